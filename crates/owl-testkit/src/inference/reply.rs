//! Responses in the shapes that inference servers and nginx give them.

use std::io;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};

use crate::http::{Body, full};

/// Odd spellings of numbers that a gateway must not tidy up.
pub(super) const ODD_NUMBERS: &str = r#""x_odd":{"one":1.0,"thousand":1e3,"big":9223372036854775808,"tiny":-0.0}"#;

pub(super) fn bytes(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_str(content_type).unwrap_or(HeaderValue::from_static("text/plain"));
    response.headers_mut().insert("content-type", content_type);
    response.headers_mut().insert("server", HeaderValue::from_static("owl-testkit"));
    response
}

pub(super) fn json(status: StatusCode, text: &str) -> Response<Body> {
    bytes(status, "application/json", text.to_owned())
}

/// A JSON object with [`ODD_NUMBERS`] spliced in at its end.
pub(super) fn odd_json(object: &Value) -> Response<Body> {
    json(StatusCode::OK, &add_odd_numbers(object))
}

pub(super) fn add_odd_numbers(object: &Value) -> String {
    let mut text = object.to_string();
    text.truncate(text.len() - 1);
    text + "," + ODD_NUMBERS + "}"
}

/// The page that nginx writes for a status.
pub(super) fn html(status: StatusCode) -> Response<Body> {
    let title = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or("Unknown"));
    let page = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
         <hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
    );
    bytes(status, "text/html", page)
}

/// An error as OpenAI writes it.
pub(super) fn error(status: u16, message: &str, kind: &str, code: &Value) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let error = json!({"error": {"message": message, "type": kind, "param": null, "code": code}});
    let mut response = json(status, &error.to_string());
    if matches!(status.as_u16(), 429 | 503) {
        response.headers_mut().insert("retry-after", HeaderValue::from_static("7"));
    }
    response
}

pub(super) fn redirect(location: &str) -> Response<Body> {
    let mut response = html(StatusCode::TEMPORARY_REDIRECT);
    if let Ok(location) = HeaderValue::from_str(location) {
        response.headers_mut().insert("location", location);
    }
    response
}

/// An event stream of these pieces, each of them written out before the next one is made.
pub(super) fn event_stream<S>(pieces: S) -> Response<Body>
where
    S: Stream<Item = io::Result<Bytes>> + Send + 'static,
{
    let frames = pieces.then(|piece| async {
        // hyper writes out what it has when the body is not ready: so this body is never ready twice in a row.
        tokio::task::yield_now().await;
        piece.map(Frame::data)
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    response.headers_mut().insert("content-type", HeaderValue::from_static("text/event-stream; charset=utf-8"));
    response.headers_mut().insert("cache-control", HeaderValue::from_static("no-cache"));
    response
}

/// A stream of pieces that are all known.
pub(super) fn pieces(all: Vec<Bytes>) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
    stream::iter(all).map(Ok)
}

/// Puts pieces together and cuts them again at every `size` bytes, in the middle of characters, too.
pub(super) fn recut(all: &[Bytes], size: usize) -> Vec<Bytes> {
    let together: Bytes = all.concat().into();
    (0..together.len()).step_by(size).map(|at| together.slice(at..together.len().min(at + size))).collect()
}
