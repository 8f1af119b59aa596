//! Acting: a request that asks for tools of Owl's is answered by the agent loop, over the provider's chat completions.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, header};
use owl_wire::RequestFacts;
use owl_wire::hosted::HostedTool;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Destination, ENCODED, Gateway, ToolRequest, is_encoded};
use crate::agent::{Answer, Offer, Parked, Task, Workshop, client_functions, resume};
use crate::context::{Principal, RequestContext};
use crate::media::Inlined;
use crate::provider::{Failure, Provider};
use crate::tools::{Approval, Asker, Silent, ToolError, ToolResult};

/// How long an id is that Owl gives a call, in bytes: `call_` and 32 hexadecimal digits.
const CALL_ID: usize = 37;

/// A request that Owl answers with a model's turns and its own tools.
pub struct ActRequest {
    /// The body of a chat completion without tools of Owl's; the model is called as the client calls it.
    pub body: Map<String, Value>,
    /// The client's headers.
    pub headers: HeaderMap,
    /// The provider that the client named, if it did.
    pub provider: Option<String>,
    /// The tools of Owl's that it asks for.
    pub hosted: Vec<HostedTool>,
    /// Whether the model answers once, with no tool of Owl's, not even one that is offered unasked.
    pub alone: bool,
    /// Who is asked before a tool goes to a private address.
    pub approval: Option<Arc<dyn Approval>>,
}

/// An answer that is on its way.
#[derive(Debug)]
pub struct Acted {
    /// Where the model is, for the record.
    pub destination: Destination,
    /// What happens, as it does.
    pub answer: Answer,
}

/// What tells whether the loop can answer a request.
#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    n: Option<u64>,
}

/// The gateway as the agent loop sees it.
struct Bench {
    gateway: Arc<Gateway>,
    approval: Option<Arc<dyn Approval>>,
}

impl Workshop for Bench {
    fn call<'a>(
        &'a self,
        ctx: &'a RequestContext,
        tool: &'a str,
        arguments: &'a Map<String, Value>,
    ) -> BoxFuture<'a, Result<ToolResult, ToolError>> {
        let asked = ToolRequest {
            name: tool,
            arguments,
            asker: Asker::Model,
            sees: false,
            progress: &Silent,
            approval: self.approval.as_deref(),
        };
        Box::pin(self.gateway.call_tool(ctx, asked))
    }
}

impl Gateway {
    /// Has a model answer with the tools that the request asks for. What comes back is worked on while it is read.
    ///
    /// # Cancel safety
    /// Dropping the future or the answer ends the model's work and the tools' at once.
    ///
    /// # Errors
    /// [`Failure`]: a body that cannot be acted on, an unknown model or provider, a URL that is refused, an upstream that does not
    /// answer or refuses. What goes wrong after the model has begun is told by the answer.
    pub async fn act(self: &Arc<Self>, ctx: &RequestContext, request: ActRequest) -> Result<Acted, Failure> {
        let ActRequest { mut body, mut headers, provider, hosted, alone, approval } = request;
        let unusable = |reason: String, field| Failure::Body { reason, field: Some(field) };
        if is_encoded(&headers) {
            return Err(Failure::Body { reason: ENCODED.to_owned(), field: None });
        }
        let model = body.get("model").and_then(Value::as_str).map(str::to_owned);
        let (provider, upstream_name) = self.locate(provider.as_deref(), model.as_deref()).await?;
        let taken = client_functions(body.get("tools"));
        let auto = if alone { Vec::new() } else { self.auto_tools(ctx, &provider) };
        let offer =
            Offer::new(&self.tools, hosted, &auto, &taken).map_err(|error| unusable(error.to_string(), "tools"))?;
        if !offer.is_empty() && body.get("n").and_then(Value::as_u64).is_some_and(|n| n > 1) {
            return Err(unusable("with tools that Owl runs there is one answer: leave out `n`".to_owned(), "n"));
        }
        if !body.get("messages").is_some_and(Value::is_array) {
            return Err(unusable("`messages` must be a list".to_owned(), "messages"));
        }
        self.resume(ctx, &mut body).await;
        if let Some(name) = upstream_name {
            body.insert("model".to_owned(), (*name).into());
        }
        let stream = body.get("stream").and_then(Value::as_bool) == Some(true);
        let (mut body, inlined) = self.settle_tree(ctx, body).await?;
        if stream {
            ask_for_usage(&mut body);
        }
        headers.remove(header::CONTENT_LENGTH);
        let task = Task {
            ctx: ctx.clone(),
            provider: Arc::clone(&provider),
            headers,
            body,
            offer,
            workshop: Arc::new(Bench { gateway: Arc::clone(self), approval }),
            budget: self.budget,
            compat: provider.compat().of(model.as_deref().unwrap_or_default()).clone(),
            parked: Some(self.parking(ctx)),
        };
        let answer = Answer::begin(task).await?;
        Ok(Acted { destination: Destination { provider, model, stream, inlined }, answer })
    }

    /// Whether a chat completion that asks for no tool of Owl's is answered by the loop all the same: because tools are offered
    /// unasked, or because the operator wants the server's answers put right.
    ///
    /// # Errors
    /// [`Failure`]: the model or the provider is not known.
    pub async fn acts_unasked(
        &self,
        ctx: &RequestContext,
        provider: Option<&str>,
        body: &Bytes,
    ) -> Result<bool, Failure> {
        let some_do = |provider: &Arc<Provider>| !provider.auto_tools().is_empty() || provider.compat().forwarding;
        if self.auto_tools.is_empty() && !self.providers.iter().any(some_do) {
            return Ok(false);
        }
        // Several answers are more than the loop makes; they come as the server gives them.
        let Ok(asked) = serde_json::from_slice::<Asked>(body) else { return Ok(false) };
        if asked.n.is_some_and(|n| n > 1) {
            return Ok(false);
        }
        let (provider, _) = self.locate(provider, asked.model.as_deref()).await?;
        Ok(provider.compat().forwarding || !self.auto_tools(ctx, &provider).is_empty())
    }

    /// Whether a request of another API offers tools of Owl's unasked.
    ///
    /// # Errors
    /// [`Failure`]: the model or the provider is not known.
    pub async fn offers_unasked(
        &self,
        ctx: &RequestContext,
        provider: Option<&str>,
        body: &Bytes,
    ) -> Result<bool, Failure> {
        if self.auto_tools.is_empty() && self.providers.iter().all(|provider| provider.auto_tools().is_empty()) {
            return Ok(false);
        }
        let Ok(asked) = serde_json::from_slice::<Asked>(body) else { return Ok(false) };
        let (provider, _) = self.locate(provider, asked.model.as_deref()).await?;
        Ok(!self.auto_tools(ctx, &provider).is_empty())
    }

    /// The tools that are offered unasked, of those that are switched on.
    pub fn auto_tools(&self, ctx: &RequestContext, provider: &Provider) -> Vec<String> {
        let of_key = match &ctx.principal {
            Principal::Key(name) => self.auto_tools.get(&**name).map(Vec::as_slice).unwrap_or_default(),
            Principal::Local | Principal::Stranger => &[],
        };
        let named = provider.auto_tools().iter().chain(of_key);
        named.filter(|name| self.tools.get(name).is_some()).cloned().collect()
    }

    /// Keeps what Owl's tools have left around calls of the client's.
    fn parking(&self, ctx: &RequestContext) -> Parked {
        let (conversations, ctx) = (Arc::clone(&self.conversations), ctx.clone());
        Box::new(move |call_ids, messages| {
            Box::pin(async move {
                if let Err(error) = conversations.park(&ctx.principal, call_ids, messages).await {
                    tracing::warn!(
                        request_id = ctx.id.as_str(),
                        "what tools gave before a client's call is not kept: {error}"
                    );
                }
            })
        })
    }

    /// Puts back what Owl's tools had left around calls of the client's.
    async fn resume(&self, ctx: &RequestContext, body: &mut Map<String, Value>) {
        let Some(Value::Array(messages)) = body.get_mut("messages") else { return };
        let is_owls = |id: &&str| id.len() == CALL_ID && id.starts_with("call_");
        let ids: Vec<String> =
            messages.iter().filter_map(|message| resume::call_ids(message).find(is_owls)).map(str::to_owned).collect();
        if ids.is_empty() {
            return;
        }
        let parked = match self.conversations.resume(&ctx.principal, ids).await {
            Ok(parked) => parked,
            Err(error) => {
                tracing::warn!(request_id = ctx.id.as_str(), "what tools gave before is not found: {error}");
                return;
            }
        };
        let mut parked: HashMap<String, Vec<Value>> = parked.into_iter().collect();
        let mut at = 0;
        while at < messages.len() {
            let known = resume::call_ids(&messages[at]).find_map(|id| parked.remove(id));
            at += known.map_or(1, |hidden| resume::restore(messages, at, hidden));
        }
    }

    /// Puts what the URLs in a body lead to in their place.
    async fn settle_tree(
        &self,
        ctx: &RequestContext,
        body: Map<String, Value>,
    ) -> Result<(Map<String, Value>, Inlined), Failure> {
        let unusable = |error: &dyn std::fmt::Display| Failure::Body { reason: error.to_string(), field: None };
        let bytes = Bytes::from(serde_json::to_vec(&body).map_err(|error| unusable(&error))?);
        let has_media = RequestFacts::scan(&bytes).map_err(|error| unusable(&error))?.media;
        if !has_media || !self.media.is_on() {
            return Ok((body, Inlined::default()));
        }
        let (settled, inlined) = self.settle(ctx, bytes).await?;
        Ok((serde_json::from_slice(&settled).map_err(|error| unusable(&error))?, inlined))
    }
}

/// The turns' tokens are summed, so every stream has to say them.
fn ask_for_usage(body: &mut Map<String, Value>) {
    let options = body.entry("stream_options").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(options) = options {
        options.insert("include_usage".to_owned(), true.into());
    }
}
