//! Where another door stands behind this listener: it is handed the requests that were let in, and speaks a protocol of its own.
//!
//! This door knows of the other only that it answers; who asks, how long a body may be, the request's id and its record stay here.

use std::convert::Infallible;
use std::fmt;

use axum::body::Body;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;

use super::Door;
use super::error::ApiError;
use super::forward::read_body;
use super::record::{Answer, Record};
use super::routes::{turned_away, unknown};
use crate::context::RequestContext;

/// An answer's body, as it arrives.
pub type AnnexBody = BoxBody<Bytes, Infallible>;

/// Another door.
pub trait Annex: Send + Sync + fmt::Debug {
    /// Answers a request of which the body is there; its [`RequestContext`] is among the extensions.
    ///
    /// # Cancel safety
    /// Dropping the future, or the answer's body, ends the work at once.
    fn answer(&self, request: Request<Bytes>) -> BoxFuture<'_, Response<AnnexBody>>;
}

pub(super) async fn hand_over(
    door: &Door,
    ctx: &RequestContext,
    record: &mut Record,
    head: Parts,
    body: Body,
) -> Result<Response<Answer>, ApiError> {
    let Some(annex) = &door.mcp else {
        return Err(unknown(&head));
    };
    door.admission.judge_origin(&head).map_err(turned_away)?;
    let body = read_body(body, &head.headers, &door.limits).await?;
    record.note_body(body.len());
    let mut request = Request::from_parts(head, body);
    request.extensions_mut().insert(ctx.clone());
    Ok(annex.answer(request).await.map(Answer::Annexed))
}
