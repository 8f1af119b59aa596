//! One call of a tool: who asks, how far it is, its end before its time, and what comes of it.

use std::pin::pin;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ContentBlock, MetaObject, ProgressNotificationParam, ProgressToken,
};
use rmcp::service::{Peer, RequestContext as Exchange};
use rmcp::{ErrorData, RoleServer};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::context::RequestContext;
use crate::gateway::{Gateway, ToolRequest};
use crate::tools::{Asker, Content, Progress, ToolError, ToolFault, ToolResult};

/// How many steps may wait for a slow client; further ones are not told.
const WAITING_STEPS: usize = 16;

/// Cancelled when nobody reads the answer to an HTTP request any more. It travels among the request's extensions.
#[derive(Clone, Debug)]
pub(super) struct HungUp(pub(super) CancellationToken);

/// Calls the tool. A cancellation notification, and a client that hangs up, drop the call.
pub(super) async fn call(
    gateway: &Gateway,
    ctx: &RequestContext,
    asked: CallToolRequestParams,
    exchange: Exchange<RoleServer>,
) -> Result<CallToolResult, ErrorData> {
    let parts = exchange.extensions.get::<::http::request::Parts>();
    let hung_up = parts.and_then(|parts| parts.extensions.get::<HungUp>()).map(|hung_up| hung_up.0.clone());
    // Without HTTP there is nothing to hang up: the token is one that nobody cancels.
    let hung_up = hung_up.unwrap_or_default();
    let (sender, steps) = mpsc::channel(WAITING_STEPS);
    let telling = tell(exchange.meta.get_progress_token(), &exchange.peer, steps);
    let work = async move {
        // Dropped with the work: then there are no more steps to tell.
        let progress = Steps(sender);
        let arguments = asked.arguments.unwrap_or_default();
        let (name, progress) = (asked.name.as_ref(), &progress);
        let asked =
            ToolRequest { name, arguments: &arguments, asker: Asker::Model, sees: true, progress, approval: None };
        gateway.call_tool(ctx, asked).await
    };
    let result = tokio::select! {
        result = all_told(work, telling) => result,
        // Nobody waits for these two answers.
        () = exchange.ct.cancelled() => return Err(ErrorData::internal_error("the call was cancelled", None)),
        () = hung_up.cancelled() => return Err(ErrorData::internal_error("the client hung up", None)),
    };
    match result {
        Ok(result) => Ok(told(result, ctx)),
        Err(error) if error.fault == ToolFault::Unknown => Err(ErrorData::invalid_params(error.message, None)),
        Err(error) => Ok(failed(&error, ctx)),
    }
}

/// Runs `work` while its steps are told, and ends when all of them are.
async fn all_told<T>(work: impl Future<Output = T>, telling: impl Future<Output = ()>) -> T {
    let (mut work, mut telling) = (pin!(work), pin!(telling));
    tokio::select! {
        result = &mut work => {
            telling.await;
            result
        }
        () = &mut telling => work.await,
    }
}

/// Tells the steps to a client that asked for them.
async fn tell(token: Option<ProgressToken>, peer: &Peer<RoleServer>, mut steps: mpsc::Receiver<String>) {
    let Some(token) = token else {
        return;
    };
    let mut count = 0_u32;
    while let Some(step) = steps.recv().await {
        count += 1;
        let progress = ProgressNotificationParam::new(token.clone(), f64::from(count)).with_message(step);
        // A client that is gone is noticed elsewhere.
        let _ = peer.notify_progress(progress).await;
    }
}

struct Steps(mpsc::Sender<String>);

impl Progress for Steps {
    fn step(&self, message: &str) {
        let _ = self.0.try_send(message.to_owned());
    }
}

fn told(result: ToolResult, ctx: &RequestContext) -> CallToolResult {
    let content = result.content.into_iter().map(|piece| match piece {
        Content::Text(text) => ContentBlock::text(text),
        Content::Picture { data, media_type } => ContentBlock::image(BASE64.encode(data), media_type),
    });
    let mut told = CallToolResult::success(content.collect());
    told.structured_content = Some(result.details);
    told.meta = Some(request_id(ctx));
    told
}

/// A failure is a result, so that the model reads why; the code is for programs.
fn failed(error: &ToolError, ctx: &RequestContext) -> CallToolResult {
    let text = match &error.hint {
        Some(hint) => format!("{}\n{hint}", error.message),
        None => error.message.clone(),
    };
    let mut failed = CallToolResult::error(vec![ContentBlock::text(text)]);
    let mut meta = request_id(ctx);
    let mut told = json!({ "type": error.fault.kind(), "code": error.code });
    if let Some(seconds) = error.retry_after_seconds() {
        told["retryAfterSeconds"] = seconds.into();
    }
    meta.0.insert("owl/error".to_owned(), told);
    failed.meta = Some(meta);
    failed
}

fn request_id(ctx: &RequestContext) -> MetaObject {
    let mut meta = MetaObject::new();
    meta.0.insert("owl/requestId".to_owned(), ctx.id.as_str().into());
    meta
}
