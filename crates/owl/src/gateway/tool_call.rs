//! The one line that a call of a tool leaves in the log, whatever its door and whatever its end. It holds no argument and
//! nothing of the result.

use std::time::{Duration, Instant};

use tracing::Level;

use crate::context::RequestContext;
use crate::tools::{ToolError, ToolFault};

/// The longest name of a tool that is written, in characters: it is the client's.
const LONGEST_NAME: usize = 64;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It gave a result.
    Done,
    /// Owl said no: the arguments, the policy, the rate.
    Refused,
    /// What was asked for could not be had.
    Failed,
    /// Whoever asked went away, or cancelled it.
    ClientGone,
}

/// What is known of a call so far. Dropping it writes it, once.
#[derive(Debug)]
pub(super) struct CallRecord<'a> {
    ctx: &'a RequestContext,
    tool: String,
    started: Instant,
    outcome: Outcome,
    error: Option<ToolError>,
}

impl<'a> CallRecord<'a> {
    pub(super) fn begin(ctx: &'a RequestContext, tool: &str) -> Self {
        let tool = tool.chars().take(LONGEST_NAME).collect();
        Self { ctx, tool, started: Instant::now(), outcome: Outcome::ClientGone, error: None }
    }

    pub(super) fn note<T>(&mut self, result: &Result<T, ToolError>) {
        self.error = result.as_ref().err().cloned();
        self.outcome = match self.error.as_ref().map(|error| error.fault) {
            None => Outcome::Done,
            Some(ToolFault::Unknown | ToolFault::Arguments | ToolFault::Refused | ToolFault::RateLimited) => {
                Outcome::Refused
            }
            Some(ToolFault::Destination | ToolFault::Timeout | ToolFault::Configuration | ToolFault::Owl) => {
                Outcome::Failed
            }
        };
    }

    /// A page that is not there is no failure of Owl's; what the operator can mend is worth a look.
    fn level(&self) -> Level {
        match self.error.as_ref().map(|error| error.fault) {
            Some(ToolFault::Owl) => Level::ERROR,
            Some(ToolFault::Configuration) => Level::WARN,
            _ => Level::INFO,
        }
    }

    fn write(&self) {
        let error = self.error.as_ref();
        let told = error.map(|error| error.for_operator.as_deref().unwrap_or(&error.message));
        let milliseconds = |time: Duration| (time.as_secs_f64() * 1e5).round() / 1e2;
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "owl::tool",
                    request_id = self.ctx.id.as_str(),
                    key = self.ctx.principal.name(),
                    tool = self.tool.as_str(),
                    code = error.map(|error| error.code),
                    error = told,
                    duration_ms = milliseconds(self.started.elapsed()),
                    outcome = match self.outcome {
                        Outcome::Done => "done",
                        Outcome::Refused => "refused",
                        Outcome::Failed => "failed",
                        Outcome::ClientGone => "client_gone",
                    },
                )
            };
        }
        match self.level() {
            Level::ERROR => line!(error),
            Level::WARN => line!(warn),
            _ => line!(info),
        }
    }
}

impl Drop for CallRecord<'_> {
    fn drop(&mut self) {
        self.write();
    }
}
