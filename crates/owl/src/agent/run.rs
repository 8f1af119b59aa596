//! The loop itself.

use std::time::Instant;

use futures_util::future::BoxFuture;
use owl_wire::answer::{AnswerEvent, Ending, FinishReason, Usage, WebSource};
use owl_wire::citation;
use owl_wire::error::ErrorBody;
use serde_json::Value;
use tokio::sync::mpsc::Sender;

use super::budget::Purse;
use super::turn::{Asked, Call, Functions, Gone, Owner, Teller, Turn};
use super::{Task, calls, turn};
use crate::provider::Failure;

/// An answer being made.
pub(super) struct Run {
    task: Task,
    purse: Purse,
    /// The names of the client's functions.
    functions: Vec<String>,
    /// What the conversation has grown by.
    grown: Vec<Value>,
    sources: Vec<WebSource>,
    usage: Option<Usage>,
    /// Why tools may not be used any more.
    spent: Option<String>,
}

impl Run {
    pub(super) fn new(mut task: Task) -> Self {
        let functions = client_functions(task.body.get("tools"));
        task.offer.put_into(&mut task.body);
        task.compat.adapt(&mut task.body);
        let purse = Purse::new(task.budget, Instant::now());
        Self { task, purse, functions, grown: Vec::new(), sources: Vec::new(), usage: None, spent: None }
    }

    /// Asks the model with the conversation as it is.
    pub(super) fn ask(&self) -> BoxFuture<'_, Result<Asked, Failure>> {
        let Task { ctx, provider, headers, body, .. } = &self.task;
        Box::pin(turn::ask(ctx, provider, headers, body))
    }

    /// Makes the answer, from the first turn's head on.
    pub(super) async fn answer(mut self, first: Asked, events: Sender<AnswerEvent>) {
        // That nobody listens any more needs no telling.
        let _ = self.turns(first, &Teller(events)).await;
    }

    async fn turns(&mut self, first: Asked, teller: &Teller) -> Result<(), Gone> {
        let mut response = first;
        loop {
            teller.tell(AnswerEvent::TurnBegan).await?;
            let turn = {
                let functions = Functions { offer: &self.task.offer, client: &self.functions };
                turn::read(&self.task.provider, response, &self.task.compat, &functions, teller).await?
            };
            teller.tell(AnswerEvent::TurnEnded).await?;
            self.count(&turn);
            let (own, clients): (Vec<Call>, Vec<Call>) =
                turn.calls.iter().cloned().partition(|call| call.owner == Owner::Owl);
            if own.is_empty() || self.spent.is_some() {
                return self.end(turn, &clients, teller).await;
            }
            self.use_tools(&turn, &own, teller).await?;
            if !clients.is_empty() {
                return self.hand_over(&turn, &clients, teller).await;
            }
            self.prepare_next();
            response = match self.ask().await {
                Ok(response) => response,
                Err(failure) => {
                    teller.tell(AnswerEvent::Failed(told(&failure))).await?;
                    return Err(Gone);
                }
            };
        }
    }

    fn count(&mut self, turn: &Turn) {
        self.usage = match (self.usage, turn.usage) {
            (Some(before), Some(now)) => Some(before.plus(now)),
            (before, now) => before.or(now),
        };
    }

    async fn use_tools(&mut self, turn: &Turn, own: &[Call], teller: &Teller) -> Result<(), Gone> {
        self.grow(turn.message());
        let Task { ctx, workshop, offer, .. } = &mut self.task;
        let (results, sources) = calls::make(ctx, &**workshop, offer, &mut self.purse, own, teller).await?;
        results.into_iter().for_each(|message| self.grow(message));
        self.sources.extend(sources);
        self.purse.step();
        Ok(())
    }

    fn grow(&mut self, message: Value) {
        if let Some(Value::Array(messages)) = self.task.body.get_mut("messages") {
            messages.push(message.clone());
        }
        self.grown.push(message);
    }

    /// The next turn may choose freely; and it may use no tools when the budget is spent.
    fn prepare_next(&mut self) {
        let body = &mut self.task.body;
        if body.contains_key("tool_choice") {
            body.insert("tool_choice".to_owned(), "auto".into());
        }
        self.spent = self.purse.is_spent(Instant::now());
        if self.spent.is_some() {
            body.insert("tool_choice".to_owned(), "none".into());
        }
    }

    /// The answer ends with the client's calls; the results of Owl's own tools wait for the client's.
    async fn hand_over(&mut self, turn: &Turn, clients: &[Call], teller: &Teller) -> Result<(), Gone> {
        if let Some(park) = self.task.parked.take() {
            park(clients.iter().map(|call| call.id.clone()).collect(), self.grown.clone()).await;
        }
        let ending = self.ending(FinishReason::ToolCalls, &turn.text);
        teller.tell(AnswerEvent::Ended(Box::new(ending))).await
    }

    async fn end(&mut self, mut turn: Turn, clients: &[Call], teller: &Teller) -> Result<(), Gone> {
        // A call that the spent budget keeps from being made is in no conversation.
        turn.calls.retain(|call| call.owner == Owner::Client);
        let before = !self.grown.is_empty();
        self.grown.push(turn.message());
        let reason = match turn.finish.take() {
            Some(FinishReason::ToolCalls) if clients.is_empty() => FinishReason::Stop,
            finish => finish.unwrap_or(FinishReason::Stop),
        };
        if before && !clients.is_empty() {
            return self.hand_over(&turn, clients, teller).await;
        }
        let ending = self.ending(reason, &turn.text);
        teller.tell(AnswerEvent::Ended(Box::new(ending))).await
    }

    fn ending(&mut self, reason: FinishReason, text: &str) -> Ending {
        Ending {
            reason,
            usage: self.usage,
            citations: citation::find(text, &self.sources),
            budget: self.spent.take(),
            messages: std::mem::take(&mut self.grown),
        }
    }
}

/// What a failure in a later turn tells the client.
fn told(failure: &Failure) -> ErrorBody {
    ErrorBody {
        message: failure.to_string(),
        kind: "upstream_error".to_owned(),
        param: None,
        code: Some("upstream_error".to_owned()),
    }
}

/// The names of the functions in a request's `tools`.
pub(crate) fn client_functions(tools: Option<&Value>) -> Vec<String> {
    let tools = tools.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    tools.iter().filter_map(|tool| tool["function"]["name"].as_str()).map(str::to_owned).collect()
}
