//! A tool that does what its arguments say, so that a door can be seen without what a tool reaches.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use owl::tools::{Asker, Content, Definition, Tool, ToolCall, ToolError, ToolFault, ToolResult};
use serde_json::{Value, json};
use tokio::sync::watch;

/// The bytes of its picture.
pub(crate) const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\npicture";

/// What the operator alone may read of a failure.
pub(crate) const FOR_OPERATOR: &str = "10.9.8.7 is private: tools.web.fetch.allowPrivateNetwork opens it";

/// `scripted`, which also answers to `scripted_tool`.
#[derive(Debug)]
pub(crate) struct Scripted {
    definition: Definition,
    begun: watch::Sender<usize>,
    dropped: watch::Sender<usize>,
}

/// Counts a call that ends, whatever way.
struct Ends<'a>(&'a watch::Sender<usize>);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count += 1);
    }
}

impl Scripted {
    pub(crate) fn new() -> Arc<Self> {
        let parameters = json!({
            "type": "object",
            "properties": {
                "say": { "type": "string" }, "steps": { "type": "integer" }, "picture": { "type": "boolean" },
                "wait": { "type": "boolean" }, "fail": { "type": "string" },
            },
            "additionalProperties": false,
        });
        let result = json!({
            "type": "object",
            "properties": { "said": { "type": "string" }, "key": { "type": "string" } },
            "required": ["said", "key"],
        });
        let definition = Definition {
            name: "scripted",
            aliases: &["scripted_tool"],
            title: "Scripted",
            description: "Does what it is told".to_owned(),
            parameters,
            result,
        };
        Arc::new(Self { definition, begun: watch::Sender::new(0), dropped: watch::Sender::new(0) })
    }

    /// Waits until so many calls have begun.
    pub(crate) async fn begun(&self, count: usize) {
        self.begun.subscribe().wait_for(|begun| *begun >= count).await.unwrap();
    }

    /// Waits until so many calls have ended.
    pub(crate) async fn ended(&self, count: usize) {
        self.dropped.subscribe().wait_for(|dropped| *dropped >= count).await.unwrap();
    }

    /// How many calls have begun.
    pub(crate) fn calls(&self) -> usize {
        *self.begun.borrow()
    }

    async fn act(&self, call: ToolCall<'_>) -> Result<ToolResult, ToolError> {
        let ends = Ends(&self.dropped);
        self.begun.send_modify(|count| *count += 1);
        let argument = |name: &str| call.arguments.get(name).cloned().unwrap_or_default();
        for step in 0..argument("steps").as_u64().unwrap_or(0) {
            call.progress.step(&format!("step {step}"));
        }
        if argument("wait") == true {
            std::future::pending::<()>().await;
        }
        if let Some(fault) = argument("fail").as_str() {
            return Err(failure(fault));
        }
        assert_eq!(call.asker, Asker::Model);
        let said = argument("say").as_str().unwrap_or_default().to_owned();
        let mut content = vec![Content::Text(said.clone())];
        if argument("picture") == true && call.sees {
            content.push(Content::Picture { data: Bytes::from_static(PICTURE), media_type: "image/png" });
        }
        drop(ends);
        Ok(ToolResult { content, details: json!({ "said": said, "key": call.ctx.principal.name() }) })
    }
}

/// Every fault by its name.
pub(crate) const FAULTS: [(&str, ToolFault); 8] = [
    ("unknown", ToolFault::Unknown),
    ("arguments", ToolFault::Arguments),
    ("refused", ToolFault::Refused),
    ("rate_limited", ToolFault::RateLimited),
    ("destination", ToolFault::Destination),
    ("timeout", ToolFault::Timeout),
    ("configuration", ToolFault::Configuration),
    ("owl", ToolFault::Owl),
];

fn failure(name: &str) -> ToolError {
    let (_, fault) = FAULTS.into_iter().find(|(known, _)| *known == name).expect("a fault");
    let mut error = ToolError::new(fault, "scripted_failure", format!("scripted: {name}"));
    error.hint = (fault == ToolFault::Refused).then(|| "ask the operator".to_owned());
    error.for_operator = (fault == ToolFault::Refused).then(|| FOR_OPERATOR.to_owned());
    error.retry_after = (fault == ToolFault::RateLimited).then_some(Duration::from_millis(6100));
    error
}

impl Tool for Scripted {
    fn definition(&self) -> &Definition {
        &self.definition
    }

    fn call<'a>(&'a self, call: ToolCall<'a>) -> BoxFuture<'a, Result<ToolResult, ToolError>> {
        Box::pin(self.act(call))
    }
}

/// Checks that a text shows nothing of what is the operator's.
#[track_caller]
pub(crate) fn check_secrecy(text: &Value) {
    assert!(!text.to_string().contains("10.9.8.7"), "{text}");
}
