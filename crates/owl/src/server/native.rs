//! Forwarding to an API that a server may lack: tried where it may be there, remembered where it is not.

use http::Response;
use http_body_util::{BodyExt as _, Full, Limited};
use owl_wire::UpstreamError;

use super::Door;
use super::error::ApiError;
use super::record::{Answer, Record};
use crate::context::RequestContext;
use crate::gateway::GatewayRequest;
use crate::provider::forward::ForwardBody;
use crate::provider::{Failure, Provider, Support, UpstreamFailure};

/// The most of a refusal that is read to find out what it is about, in bytes.
const LIMIT: usize = 256 * 1024;

/// Forwards a request, if its provider may have the API; `None` if it has not.
///
/// # Errors
/// As for every request that is forwarded.
pub(super) async fn forward(
    door: &Door,
    ctx: &RequestContext,
    record: &mut Record,
    request: GatewayRequest,
    support: fn(&Provider) -> &Support,
) -> Result<Option<Response<Answer>>, ApiError> {
    let told = |failure: Failure| ApiError::from(&failure);
    let routed = door.gateway.route(ctx, request).await.map_err(told)?;
    let provider = routed.destination.provider.clone();
    let support = support(&provider);
    if !support.is_worth_trying(std::time::Instant::now()) {
        return Ok(None);
    }
    let destination = routed.destination.clone();
    let lacks = || support.lacks(std::time::Instant::now());
    let response = match door.gateway.forward(ctx, routed).await {
        Ok(response) => response,
        Err(failure) if status_of(&failure).is_some_and(|status| support.may_lack(status)) => {
            lacks();
            return Ok(None);
        }
        Err(failure) => {
            record.note_destination(destination);
            return Err(told(failure));
        }
    };
    if !support.may_lack(response.status().as_u16()) {
        record.note_destination(destination);
        return Ok(Some(response.map(Answer::Forwarded)));
    }
    match about_the_model(response).await {
        Some(response) => {
            record.note_destination(destination);
            Ok(Some(response))
        }
        None => {
            lacks();
            Ok(None)
        }
    }
}

/// The status of an error page.
fn status_of(failure: &Failure) -> Option<u16> {
    let Failure::Upstream { failure, .. } = failure else { return None };
    match &**failure {
        UpstreamFailure::Answer { status, .. } => Some(*status),
        UpstreamFailure::Egress(_)
        | UpstreamFailure::Credential { .. }
        | UpstreamFailure::Redirect { .. }
        | UpstreamFailure::Refused { .. } => None,
    }
}

/// The answer, if it says that there is no such model, which is the client's to know; nothing if there is no such API.
async fn about_the_model(response: Response<ForwardBody>) -> Option<Response<Answer>> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, LIMIT).collect().await.ok()?.to_bytes();
    let said = UpstreamError::read(&body)?;
    said.message
        .to_ascii_lowercase()
        .contains("model")
        .then(|| Response::from_parts(head, Answer::Own(Full::new(body))))
}
