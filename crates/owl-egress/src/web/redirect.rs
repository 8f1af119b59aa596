//! Where a redirect leads, and what goes there. Pure; the judgement of the new target is not made here.

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderMap, Method, StatusCode};

use super::error::WebError;
use super::headers::{leave_body, leave_origin};
use crate::target::TargetUrl;

/// What is sent to one server.
#[derive(Clone, Debug)]
pub(super) struct Hop {
    pub(super) target: TargetUrl,
    pub(super) method: Method,
    /// The caller's.
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Hop {
    /// Where the answer to this hop leads; `None` when it is final (WHATWG Fetch, section 4.4, "HTTP-redirect fetch").
    ///
    /// # Errors
    /// [`WebError::BadRedirect`], or [`WebError::Invalid`] when it leads to what is never fetched.
    pub(super) fn next(&self, status: StatusCode, headers: &HeaderMap) -> Result<Option<Self>, WebError> {
        if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(None);
        }
        let mut locations = headers.get_all(LOCATION).iter();
        let Some(location) = locations.next() else {
            return Ok(None);
        };
        if locations.any(|other| other != location) {
            return Err(WebError::BadRedirect("has two different headers Location"));
        }
        let location = std::str::from_utf8(location.as_bytes());
        let location = location.map_err(|_| WebError::BadRedirect("has a header Location that is not UTF-8"))?;
        let target = self.target.join(location).map_err(WebError::Invalid)?;
        self.towards(target, status).map(Some)
    }

    fn towards(&self, target: TargetUrl, status: StatusCode) -> Result<Self, WebError> {
        let mut next = Self { target, ..self.clone() };
        let becomes_get = match status.as_u16() {
            303 => next.method != Method::GET && next.method != Method::HEAD,
            301 | 302 => next.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            next.method = Method::GET;
            next.body = Bytes::new();
            leave_body(&mut next.headers);
        }
        if next.target.origin() != self.target.origin() {
            if !next.body.is_empty() {
                return Err(WebError::BadRedirect("would send the request's body to another origin"));
            }
            leave_origin(&mut next.headers);
        }
        Ok(next)
    }
}
