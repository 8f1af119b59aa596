//! The agent loop: a model's turn, the tools of Owl's that it calls, its next turn, until it is done or the budget is.
//!
//! It reads turns ([`owl_wire::turn`]) and tells what happens as [`AnswerEvent`]s; which protocol the client speaks, it does not know.
//! Functions of the client's stay the client's: a turn that calls some ends the answer, after Owl's own tools have run. What goes wrong
//! with a tool is told to the model, in a sentence, and the loop goes on.
//!
//! Nothing runs but what the answer's reader polls: to drop the [`Answer`] is to end the model's work and the tools' at once.
//!
//! Reading order: this file, `run.rs` (the loop), `turn.rs` (one turn), `calls.rs` (the tools of one turn), `offer.rs` (what a request
//! may use, and how it narrows that), `budget.rs`, `resume.rs` (a conversation taken up again).

mod budget;
mod calls;
mod offer;
pub(crate) mod resume;
mod run;
mod turn;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use owl_wire::answer::AnswerEvent;
use owl_wire::compat::Compat;
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use crate::config::Budget;
use crate::context::RequestContext;
use crate::provider::{Failure, Provider};
use crate::tools::{ToolError, ToolResult};

pub use offer::{Offer, OfferError};
pub(crate) use run::client_functions;

/// How many events may wait for the reader. Beyond it the loop waits, and with it the upstream.
const WAITING: usize = 16;

/// Who calls the tools on the loop's behalf, and leaves a line in the log for each: the gateway.
pub trait Workshop: Send + Sync {
    /// Calls a tool with what a model wrote.
    ///
    /// # Cancel safety
    /// Dropping the future ends what the tool does at once.
    fn call<'a>(
        &'a self,
        ctx: &'a RequestContext,
        tool: &'a str,
        arguments: &'a Map<String, Value>,
    ) -> BoxFuture<'a, Result<ToolResult, ToolError>>;
}

/// What an answer is made from.
pub struct Task {
    /// The request that it belongs to.
    pub ctx: RequestContext,
    /// Who has the model.
    pub provider: Arc<Provider>,
    /// The client's headers, as they go to the provider.
    pub headers: HeaderMap,
    /// The body of a chat completion, the model being the provider's own name; without tools of Owl's.
    pub body: Map<String, Value>,
    /// What the model may use of Owl's.
    pub offer: Offer,
    /// Who calls it.
    pub workshop: Arc<dyn Workshop>,
    /// What it may cost.
    pub budget: Budget,
    /// What the server gets wrong.
    pub compat: Compat,
    /// Who is told what the conversation grew by when functions of the client's are called: their ids, and the messages.
    pub parked: Option<Parked>,
}

/// Takes the ids of the client's calls and the messages that stand around them.
pub type Parked = Box<dyn FnOnce(Vec<String>, Vec<Value>) -> BoxFuture<'static, ()> + Send>;

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("provider", &self.provider.id())
            .field("offer", &self.offer)
            .finish_non_exhaustive()
    }
}

/// An answer on its way. It is worked on while it is read, and ended when it is dropped.
pub struct Answer {
    work: Option<BoxFuture<'static, ()>>,
    events: mpsc::Receiver<AnswerEvent>,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("working", &self.work.is_some()).finish_non_exhaustive()
    }
}

impl Answer {
    /// Asks the model for the first time.
    ///
    /// # Cancel safety
    /// Dropping the future ends the model's work at once.
    ///
    /// # Errors
    /// [`Failure`]: the upstream does not answer, or refuses. What fails later is an event.
    pub async fn begin(task: Task) -> Result<Self, Failure> {
        let run = run::Run::new(task);
        let first = run.ask().await?;
        let (sender, events) = mpsc::channel(WAITING);
        Ok(Self { work: Some(Box::pin(run.answer(first, sender))), events })
    }
}

impl Stream for Answer {
    type Item = AnswerEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<AnswerEvent>> {
        loop {
            if let Poll::Ready(event) = self.events.poll_recv(cx) {
                return Poll::Ready(event);
            }
            let Some(work) = &mut self.work else { return Poll::Pending };
            if work.as_mut().poll(cx).is_ready() {
                self.work = None;
                continue;
            }
            // What the work has sent meanwhile would wake this task again; it is simply taken.
            return self.events.poll_recv(cx);
        }
    }
}
