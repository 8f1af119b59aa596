//! The calls of Owl's tools in one turn: side by side, within the budget, each with an answer for the model.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream;
use owl_wire::answer::{AnswerEvent, HostedCall, HostedError, HostedOutcome, WebSource};
use serde_json::{Map, Value, json};

use super::budget::Purse;
use super::turn::{Call, Gone, Teller};
use super::{Offer, Workshop};
use crate::context::RequestContext;
use crate::tools::{Content, ToolError, ToolResult, untrusted};

/// The longest arguments that are read, in bytes.
const LONGEST_ARGUMENTS: usize = 256 * 1024;

/// The code of a call that the budget does not allow.
const BUDGET_SPENT: &str = "budget_spent";

/// A call that may be made, or why it may not.
struct Admitted {
    call: HostedCall,
    arguments: Result<Map<String, Value>, HostedError>,
}

/// Makes the calls and tells of each; returns the messages with what they gave, in the calls' order.
pub(super) async fn make(
    ctx: &RequestContext,
    workshop: &dyn Workshop,
    offer: &mut Offer,
    purse: &mut Purse,
    calls: &[Call],
    teller: &Teller,
) -> Result<(Vec<Value>, Vec<WebSource>), Gone> {
    let admitted: Vec<Admitted> = calls.iter().map(|call| admit(call, offer, purse)).collect();
    let deadline = Deadline { end: purse.end(), timeout: purse.timeout() };
    let run = |(at, one): (usize, Admitted)| async move {
        teller.tell(AnswerEvent::ToolBegan(one.call.clone())).await?;
        let begun = Instant::now();
        let result = match one.arguments {
            Ok(arguments) => deadline.within(workshop.call(ctx, &one.call.tool, &arguments)).await,
            Err(error) => Err(error),
        };
        Ok((at, outcome(one.call, result, begun.elapsed())))
    };
    let mut running = stream::iter(admitted.into_iter().enumerate().map(run)).buffer_unordered(purse.parallel());
    let mut done: Vec<Option<HostedOutcome>> = calls.iter().map(|_| None).collect();
    while let Some(ended) = running.next().await {
        let (at, mut outcome) = ended?;
        if let Err(reason) = offer.admit(&outcome.call.tool, &outcome.details) {
            fail(&mut outcome, failed("not_allowed", reason));
        }
        pay(&mut outcome, purse);
        teller.tell(AnswerEvent::ToolEnded(outcome.clone())).await?;
        done[at] = Some(outcome);
    }
    let mut messages = Vec::new();
    let mut sources = Vec::new();
    for outcome in done.into_iter().flatten() {
        messages.push(json!({ "role": "tool", "tool_call_id": outcome.call.id, "content": outcome.content }));
        sources.extend(outcome.sources);
    }
    Ok((messages, sources))
}

fn failed(code: &str, message: impl Into<String>) -> HostedError {
    HostedError { code: code.to_owned(), message: message.into() }
}

fn admit(call: &Call, offer: &mut Offer, purse: &mut Purse) -> Admitted {
    let parsed = parse(&call.arguments);
    let shown = match &parsed {
        Ok(arguments) => Value::Object(arguments.clone()),
        Err(_) => untrusted::line_of(&call.arguments, 200).into(),
    };
    let arguments = if offer.has(&call.name) {
        parsed.map_err(|reason| failed("invalid_arguments", reason)).and_then(|mut arguments| {
            offer.narrow(&call.name, &mut arguments).map_err(|reason| failed("not_allowed", reason))?;
            Ok(arguments)
        })
    } else {
        let known: Vec<&str> = offer.names().collect();
        let name = untrusted::line_of(&call.name, 64);
        Err(failed("tool_not_found", format!("there is no tool {name:?}; there are: {}", known.join(", "))))
    };
    let arguments = purse.call().map_err(|reason| failed(BUDGET_SPENT, reason)).and(arguments);
    Admitted { call: HostedCall { id: call.id.clone(), tool: call.name.clone(), arguments: shown }, arguments }
}

fn parse(arguments: &str) -> Result<Map<String, Value>, String> {
    if arguments.len() > LONGEST_ARGUMENTS {
        return Err(format!("the arguments have {} bytes; {LONGEST_ARGUMENTS} are read at most", arguments.len()));
    }
    if arguments.trim().is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(arguments).map_err(|error| format!("the arguments are no JSON object: {error}"))
}

/// When the tools have to be done.
#[derive(Clone, Copy)]
struct Deadline {
    end: Option<Instant>,
    timeout: Duration,
}

impl Deadline {
    async fn within(
        self,
        call: impl Future<Output = Result<ToolResult, ToolError>>,
    ) -> Result<ToolResult, HostedError> {
        let told = |error: ToolError| {
            let hint = error.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
            failed(error.code, format!("{}{hint}", error.message))
        };
        let Some(end) = self.end else { return call.await.map_err(told) };
        match tokio::time::timeout_at(end.into(), call).await {
            Ok(result) => result.map_err(told),
            Err(_) => Err(failed(BUDGET_SPENT, format!("the {} s for tools are over", self.timeout.as_secs()))),
        }
    }
}

fn outcome(call: HostedCall, result: Result<ToolResult, HostedError>, took: Duration) -> HostedOutcome {
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match result {
        Ok(result) => {
            let content = texts(&result.content).join("\n\n");
            let sources = sources(&result.details);
            HostedOutcome { call, content, details: result.details, error: None, sources, took_ms }
        }
        Err(error) => {
            let content = sentence(&error);
            HostedOutcome { call, content, details: Value::Null, error: Some(error), sources: Vec::new(), took_ms }
        }
    }
}

/// The texts of a result: pictures are only for those who said that they see.
fn texts(content: &[Content]) -> Vec<&str> {
    let mut texts = Vec::new();
    for piece in content {
        match piece {
            Content::Text(text) => texts.push(text.as_str()),
            Content::Picture { .. } => {}
        }
    }
    texts
}

fn sentence(error: &HostedError) -> String {
    format!("The call failed: {}.", error.message.trim_end_matches('.'))
}

/// A result that the budget does not cover is not told: half of one could not be marked as what it is.
fn pay(outcome: &mut HostedOutcome, purse: &mut Purse) {
    if outcome.error.is_some() {
        return;
    }
    if let Err(reason) = purse.result(outcome.content.len()) {
        fail(outcome, failed(BUDGET_SPENT, reason));
    }
}

/// Takes back what a call gave.
fn fail(outcome: &mut HostedOutcome, error: HostedError) {
    outcome.content = sentence(&error);
    outcome.details = Value::Null;
    outcome.sources.clear();
    outcome.error = Some(error);
}

/// The pages that a result is about, by the shapes that the tools' schemas give.
fn sources(details: &Value) -> Vec<WebSource> {
    let source = |value: &Value| {
        let url = ["finalUrl", "url"].iter().find_map(|key| value[key].as_str())?;
        let title = value["title"].as_str().map(untrusted::unwrapped).unwrap_or_default();
        Some(WebSource { url: untrusted::unwrapped(url).to_owned(), title: untrusted::line_of(title, 200) })
    };
    match details["results"].as_array() {
        Some(results) => results.iter().filter_map(source).collect(),
        None => source(details).into_iter().collect(),
    }
}
