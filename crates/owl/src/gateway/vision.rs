//! Questions about pictures, answered by a model of a provider through chat completions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, header};
use http_body_util::{BodyExt as _, Limited};
use owl_egress::EgressError;
use owl_wire::UpstreamError;
use owl_wire::chat::{ChatMessage, ChatPiece, ChatRequest};
use serde_json::{Value, json};

use super::{Gateway, GatewayRequest};
use crate::context::RequestContext;
use crate::provider::{Failure, UpstreamFailure};
use crate::tools::{Question, Sight, ToolError, ToolFault, Vision};

/// The most that is read of an answer, in bytes.
const ANSWER_LIMIT: usize = 8 << 20;

impl Vision for Gateway {
    fn ask<'a>(&'a self, ctx: &'a RequestContext, question: Question) -> BoxFuture<'a, Result<Sight, ToolError>> {
        Box::pin(self.look(ctx, question))
    }
}

impl Gateway {
    async fn look(&self, ctx: &RequestContext, question: Question) -> Result<Sight, ToolError> {
        let routed = self.route(ctx, as_request(&question)).await.map_err(|failure| failed(&failure))?;
        let provider = routed.destination.provider.id().to_owned();
        let response = self.forward(ctx, routed).await.map_err(|failure| failed(&failure))?;
        let status = response.status();
        let of_provider = |what: &str| {
            let message = format!("provider {provider}: {what}");
            ToolError::new(ToolFault::Destination, "vision_failed", message)
        };
        let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await;
        let body = body.map_err(|_| of_provider("its answer broke off, or is larger than 8 MiB"))?.to_bytes();
        let answer: Value = serde_json::from_slice(&body).map_err(|_| of_provider("its answer is not JSON"))?;
        if let Some(error) = UpstreamError::from_value(&answer) {
            let what =
                format!("the model {:?} did not answer ({}): {}", question.model, status.as_u16(), error.message);
            return Err(of_provider(&what).hint("a model that sees pictures is needed: tools.image.model"));
        }
        let piece = ChatPiece::read(&body).unwrap_or_default();
        if piece.content.is_empty() {
            return Err(of_provider("its answer has no text"));
        }
        Ok(Sight { model: question.model, text: piece.content })
    }
}

fn as_request(question: &Question) -> GatewayRequest {
    let picture = |(data, media_type): &(Bytes, &'static str)| {
        let url = format!("data:{media_type};base64,{}", STANDARD.encode(data));
        json!({ "type": "image_url", "image_url": { "url": url } })
    };
    let text = json!({ "type": "text", "text": question.prompt });
    let parts: Vec<Value> = question.pictures.iter().map(picture).chain([text]).collect();
    let message = ChatMessage { role: "user".to_owned(), content: parts.into() };
    let request = ChatRequest { model: question.model.clone(), messages: vec![message], ..ChatRequest::default() };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let body = request.to_bytes().into();
    GatewayRequest { method: Method::POST, path: "chat/completions".to_owned(), headers, body, provider: None }
}

/// Why the gateway got no answer.
fn failed(failure: &Failure) -> ToolError {
    let fault = match failure {
        Failure::UnknownModel { .. } | Failure::UnknownProvider { .. } | Failure::NoProviderNamed { .. } => {
            return ToolError::new(ToolFault::Configuration, "vision_model_not_found", failure.to_string())
                .hint("`model` and tools.image.model name a model as GET /v1/models lists it");
        }
        Failure::Upstream { failure, .. } => match &**failure {
            UpstreamFailure::Egress(EgressError::Timeout { .. }) => ToolFault::Timeout,
            UpstreamFailure::Egress(_)
            | UpstreamFailure::Credential { .. }
            | UpstreamFailure::Redirect { .. }
            | UpstreamFailure::Refused { .. }
            | UpstreamFailure::Answer { .. } => ToolFault::Destination,
        },
        // The body is Owl's own.
        Failure::Body { .. } | Failure::Path | Failure::Media(_) => ToolFault::Owl,
    };
    ToolError::new(fault, "vision_failed", failure.to_string())
}
