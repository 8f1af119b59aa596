//! Why a search has no results, for the one who asked and for the operator.

use std::time::Duration;

use owl_egress::{EgressError, UpstreamClient};

use super::engine::{Engine, EngineProblem};
use crate::tools::{ToolError, ToolFault};

/// Why there is no list of results.
#[derive(Debug)]
pub(super) enum Failure {
    /// The engine was not reached, or broke off.
    Egress(EgressError),
    /// It answered with this status.
    Status(u16),
    /// The answer broke off, or is too large.
    Broken,
    /// The answer cannot be read.
    Engine(EngineProblem),
    /// All in all it took longer than this.
    Timeout(Duration),
}

impl Failure {
    pub(super) fn into_error(self, engine: &dyn Engine, client: &UpstreamClient) -> ToolError {
        let name = engine.name();
        match self {
            Self::Egress(EgressError::Denied(denied)) => ToolError {
                for_operator: Some(format!("tools.web.search: {denied}")),
                ..ToolError::new(
                    ToolFault::Refused,
                    "url_refused",
                    format!("the search engine {name}: {}", denied.public_message()),
                )
            },
            Self::Egress(error @ EgressError::Timeout { .. }) => {
                ToolError::new(ToolFault::Timeout, "search_timeout", format!("{name}: {}", error.public_message()))
            }
            Self::Egress(error) => {
                let message = client.redact(&format!("the search engine {name}: {}", error.public_message()));
                ToolError::new(ToolFault::Destination, "search_failed", message)
            }
            Self::Timeout(after) => ToolError::new(
                ToolFault::Timeout,
                "search_timeout",
                format!("{name} did not answer within {} s (tools.web.search.timeout)", after.as_secs_f64()),
            ),
            Self::Status(status) => of_status(engine, status),
            Self::Broken => ToolError::new(
                ToolFault::Destination,
                "search_failed",
                format!("the answer of {name} broke off, or is larger than {} MiB", super::ANSWER_LIMIT >> 20),
            ),
            Self::Engine(problem) => of_answer(name, problem),
        }
    }
}

fn of_status(engine: &dyn Engine, status: u16) -> ToolError {
    let name = engine.name();
    let failed = |fault, reason: &str| {
        ToolError::new(fault, "search_failed", format!("{name} answered with status {status}: {reason}"))
    };
    match (engine.explain(status), status) {
        (Some(reason), _) => failed(ToolFault::Configuration, reason),
        (None, 401 | 403) => failed(ToolFault::Configuration, "it refuses Owl's credential (tools.web.search)"),
        (None, 429) => failed(ToolFault::Destination, "it is asked too often, or its quota is used up"),
        (None, 300..=399) => failed(
            ToolFault::Configuration,
            "a redirect, which Owl does not follow; set tools.web.search.baseUrl to where it is",
        ),
        (None, 404) => failed(ToolFault::Configuration, "there is no search at tools.web.search.baseUrl"),
        (None, _) => failed(ToolFault::Destination, "it failed"),
    }
}

fn of_answer(name: &str, problem: EngineProblem) -> ToolError {
    let (fault, reason) = match problem {
        EngineProblem::NotJson => (ToolFault::Destination, "its answer is not JSON"),
        EngineProblem::Shape(reason) => (ToolFault::Configuration, reason),
        EngineProblem::Challenge => (
            ToolFault::Destination,
            "it takes Owl for a bot and asks for a person; wait, or name another engine in tools.web.search",
        ),
    };
    ToolError::new(fault, "search_failed", format!("{name}: {reason}"))
}
