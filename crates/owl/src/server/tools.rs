//! `GET /tools` and `POST /tools/invoke`: the tools, for programs that speak neither MCP nor to a model.

use std::fmt;

use axum::body::Body;
use http::request::Parts;
use http::{Method, Response, StatusCode, header};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::Door;
use super::error::{ApiError, Code, INVALID_BODY};
use super::forward::read_body;
use super::record::{Answer, Record};
use super::routes;
use crate::context::RequestContext;
use crate::gateway::ToolRequest;
use crate::tools::json as written;
use crate::tools::{Asker, Silent, ToolFault};

/// What `/tools/invoke` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invocation {
    tool: String,
    #[serde(default)]
    args: Arguments,
}

/// The arguments, none of them there twice: two readers of such an object need not agree on which one counts.
#[derive(Default)]
struct Arguments(Map<String, Value>);

impl<'de> Deserialize<'de> for Arguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once;

        impl<'de> Visitor<'de> for Once {
            type Value = Map<String, Value>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with the tool's arguments")
            }

            fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
                Ok(Map::new())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut arguments = Map::new();
                while let Some((name, value)) = entries.next_entry::<String, Value>()? {
                    if arguments.contains_key(&name) {
                        return Err(A::Error::custom(format_args!("the argument {name:?} is there twice")));
                    }
                    arguments.insert(name, value);
                }
                Ok(arguments)
            }
        }

        deserializer.deserialize_any(Once).map(Self)
    }
}

/// The tools that are switched on, with their schemas.
pub(super) fn list(door: &Door, head: &Parts) -> Result<Response<Answer>, ApiError> {
    if head.method != Method::GET && head.method != Method::HEAD {
        return Err(ApiError::wrong_method(head, "GET, HEAD"));
    }
    let tools: Vec<Value> =
        door.gateway.tools().all().iter().map(|tool| written::definition(tool.definition())).collect();
    Ok(routes::json(json!({ "tools": tools }).to_string()))
}

/// Calls a tool. A client that goes away drops the call.
pub(super) async fn invoke(
    door: &Door,
    ctx: &RequestContext,
    record: &mut Record,
    head: Parts,
    body: Body,
) -> Result<Response<Answer>, ApiError> {
    if head.method != Method::POST {
        return Err(ApiError::wrong_method(&head, "POST"));
    }
    let body = read_body(body, &head.headers, &door.limits).await?;
    record.note_body(body.len());
    let unusable = |error: serde_json::Error| {
        ApiError::new(INVALID_BODY, format!("the body must be {{\"tool\": \"NAME\", \"args\": {{…}}}}: {error}"))
    };
    let Invocation { tool, args: Arguments(arguments) } = serde_json::from_slice(&body).map_err(unusable)?;
    record.note_tool(&tool);
    let asked = ToolRequest {
        name: &tool,
        arguments: &arguments,
        asker: Asker::Model,
        sees: false,
        progress: &Silent,
        approval: None,
    };
    let outcome = door.gateway.call_tool(ctx, asked).await;
    let mut response = routes::json(written::outcome(&outcome).to_string());
    if let Err(error) = outcome {
        record.note_tool_error(&error);
        *response.status_mut() = status(error.fault);
        if let Some(seconds) = error.retry_after_seconds() {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
    }
    Ok(response)
}

/// The status that a failed call is answered with.
pub fn status(fault: ToolFault) -> StatusCode {
    match fault {
        ToolFault::Arguments => StatusCode::BAD_REQUEST,
        ToolFault::Refused => StatusCode::FORBIDDEN,
        ToolFault::Unknown => StatusCode::NOT_FOUND,
        ToolFault::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ToolFault::Owl => StatusCode::INTERNAL_SERVER_ERROR,
        ToolFault::Configuration => StatusCode::NOT_IMPLEMENTED,
        ToolFault::Destination => StatusCode::BAD_GATEWAY,
        ToolFault::Timeout => StatusCode::GATEWAY_TIMEOUT,
    }
}

/// An error of this door's own, as these paths write it.
pub(super) fn error_json(code: &Code, message: &str) -> String {
    json!({ "ok": false, "error": { "type": code.kind, "code": code.code, "message": message } }).to_string()
}
