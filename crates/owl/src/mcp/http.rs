//! MCP over streamable HTTP, behind a listener that says who asks.
//!
//! The listener has read the body, known the client, and judged `Origin` and `Host`; so the SDK's own checks of these, which know
//! lists of names only, are off.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::http::{HeaderMap, Method, Request, Response, StatusCode, header};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

use super::call::HungUp;
use super::handler::Handler;
use super::sessions::{InUse, Sessions};
use crate::context::RequestContext;
use crate::gateway::Gateway;

const SESSION_ID: &str = "mcp-session-id";

/// How soon a client may ask again for a session that there was no room for, in seconds.
const TRY_AGAIN: u32 = 60;

/// MCP for any number of clients.
pub struct HttpDoor {
    service: StreamableHttpService<Handler, Sessions>,
    sessions: Arc<Sessions>,
    /// No stream waits for what Owl might say by itself any more.
    closing: CancellationToken,
    /// Every session ends; if nothing else ends them, the end of the door does.
    closed: DropGuard,
    alive: watch::Sender<()>,
}

impl fmt::Debug for HttpDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpDoor").field("sessions", &self.sessions).finish_non_exhaustive()
    }
}

impl HttpDoor {
    /// A door with no session yet.
    pub fn new(gateway: Arc<Gateway>) -> Self {
        let sessions = Arc::new(Sessions::new());
        let closed = CancellationToken::new();
        let config = StreamableHttpServerConfig::default()
            .with_sse_retry(None)
            .with_cancellation_token(closed.clone())
            .with_max_request_body_bytes(usize::MAX)
            .disable_allowed_hosts()
            .disable_allowed_origins();
        let handler = Handler::for_clients(gateway);
        let alive = watch::Sender::new(());
        let watching = alive.clone();
        let handlers = move || Ok(handler.watched(watching.subscribe()));
        let service = StreamableHttpService::new(handlers, Arc::clone(&sessions), config);
        Self { service, sessions, closing: CancellationToken::new(), closed: closed.drop_guard(), alive }
    }

    /// Answers one request; among its extensions is its [`RequestContext`].
    ///
    /// # Cancel safety
    /// Dropping the future, or the answer's body, ends the call at once.
    pub async fn answer(&self, mut request: Request<Bytes>) -> Response<BoxBody<Bytes, Infallible>> {
        let Some(ctx) = request.extensions().get::<RequestContext>().cloned() else {
            return refuse(StatusCode::INTERNAL_SERVER_ERROR, "nobody said who asks");
        };
        let hung_up = CancellationToken::new();
        request.extensions_mut().insert(HungUp(hung_up.clone()));
        let guard = hung_up.drop_guard();
        let in_use = match session_id(request.headers()) {
            Some(id) => match self.sessions.use_of(id, &ctx.principal) {
                Some(in_use) => Some(in_use),
                None => return refuse(StatusCode::NOT_FOUND, "Not Found: Session not found"),
            },
            None if opens_session(&request) && self.sessions.make_room().await.is_err() => {
                return refuse(StatusCode::SERVICE_UNAVAILABLE, "all sessions are in use; try again later");
            }
            None => None,
        };
        // What a client waits on for what Owl might say by itself, which it never does.
        let ends_early = (request.method() == Method::GET).then(|| self.closing.clone().cancelled_owned());
        let ends_session = request.method() == Method::DELETE;
        let mut response = self.service.handle(request.map(Full::new)).await;
        if ends_session && response.status() == StatusCode::ACCEPTED {
            // It is done, not only accepted; the client for Python takes 202 for a failure.
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        let opened = session_id(response.headers()).filter(|_| in_use.is_none());
        let in_use = opened.map(|id| self.sessions.keep(id.into(), ctx.principal.clone())).or(in_use);
        response
            .map(|body| Watched { body, ends_early: ends_early.map(Box::pin), _in_use: in_use, _guard: guard }.boxed())
    }

    /// Ends the streams on which clients only wait, so that a listener that drains does not wait for them. Calls go on.
    pub fn begin_closing(&self) {
        self.closing.cancel();
    }

    /// Ends every session, and waits for the end of the last call.
    pub async fn close(&self) {
        self.begin_closing();
        self.closed.token().cancel();
        self.alive.closed().await;
    }
}

fn session_id(headers: &HeaderMap) -> Option<&str> {
    headers.get(SESSION_ID).and_then(|id| id.to_str().ok())
}

/// Whether the request is an `initialize`. What cannot be read is the SDK's to refuse.
fn opens_session(request: &Request<Bytes>) -> bool {
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(borrow)]
        method: std::borrow::Cow<'a, str>,
    }
    let message = serde_json::from_slice::<Message<'_>>(request.body());
    request.method() == Method::POST && message.is_ok_and(|message| message.method == "initialize")
}

fn refuse(status: StatusCode, text: &'static str) -> Response<BoxBody<Bytes, Infallible>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())).boxed());
    *response.status_mut() = status;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, TRY_AGAIN.into());
    }
    response
}

/// An answer's body. Dropping it is hanging up.
struct Watched {
    body: BoxBody<Bytes, Infallible>,
    ends_early: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    _in_use: Option<InUse>,
    _guard: DropGuard,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.ends_early.as_mut().is_some_and(|closing| closing.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use owl_egress::Network;

    use super::super::sessions::MOST;
    use super::*;
    use crate::context::Principal;

    async fn ask(
        door: &HttpDoor,
        key: &str,
        session: Option<&str>,
        method: Method,
        body: &str,
    ) -> Response<BoxBody<Bytes, Infallible>> {
        let mut request = Request::builder()
            .method(method)
            .uri("/mcp")
            .header("host", "localhost")
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json");
        if let Some(session) = session {
            request = request.header(SESSION_ID, session);
        }
        let mut request = request.body(Bytes::copy_from_slice(body.as_bytes())).unwrap();
        let ctx = RequestContext { principal: Principal::Key(key.into()), ..RequestContext::local() };
        request.extensions_mut().insert(ctx);
        door.answer(request).await
    }

    const HELLO: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25",
        "capabilities":{},"clientInfo":{"name":"test","version":"0"}}}"#;
    const READY: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

    async fn open(door: &HttpDoor, key: &str) -> Result<String, StatusCode> {
        let response = ask(door, key, None, Method::POST, HELLO).await;
        let id = session_id(response.headers()).map(str::to_owned).ok_or(response.status())?;
        drop(response);
        assert_eq!(ask(door, key, Some(&id), Method::POST, READY).await.status(), StatusCode::ACCEPTED);
        Ok(id)
    }

    #[tokio::test]
    async fn there_is_room_for_so_many_sessions() {
        let gateway = Gateway::new(Vec::new(), &Network::default()).expect("no files");
        let door = HttpDoor::new(Arc::new(gateway));
        // The first is being read from, the second is not.
        let read = open(&door, "one").await.expect("room");
        let listening = ask(&door, "one", Some(&read), Method::GET, "").await;
        assert_eq!(listening.status(), StatusCode::OK);
        let idle = open(&door, "one").await.expect("room");
        for _ in 2..MOST {
            open(&door, "two").await.expect("room");
        }
        assert_eq!(ask(&door, "one", Some(&idle), Method::POST, PING).await.status(), StatusCode::OK);
        let last = open(&door, "two").await.expect("the oldest idle one makes room, which is the third");
        for session in [&read, &idle] {
            assert_eq!(ask(&door, "one", Some(session), Method::POST, PING).await.status(), StatusCode::OK);
        }
        assert_eq!(door.sessions.count(), MOST);
        // What belongs to a request is gone with it, and a session with its owner's word.
        assert_eq!(ask(&door, "two", Some(&read), Method::DELETE, "").await.status(), StatusCode::NOT_FOUND);
        assert_eq!(ask(&door, "two", Some(&last), Method::DELETE, "").await.status(), StatusCode::NO_CONTENT);
        assert_eq!(door.sessions.count(), MOST - 1);
        // The end: nothing is left that holds the gateway.
        door.close().await;
        drop(listening);
        assert_eq!(ask(&door, "one", Some(&idle), Method::POST, PING).await.status(), StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn where_all_are_in_use_there_is_no_room() {
        let gateway = Gateway::new(Vec::new(), &Network::default()).expect("no files");
        let door = HttpDoor::new(Arc::new(gateway));
        let mut listening = Vec::new();
        for _ in 0..MOST {
            let session = open(&door, "one").await.expect("room");
            listening.push(ask(&door, "one", Some(&session), Method::GET, "").await);
        }
        assert_eq!(open(&door, "one").await, Err(StatusCode::SERVICE_UNAVAILABLE));
        listening.pop();
        open(&door, "one").await.expect("room again");
    }

    #[tokio::test]
    async fn nobody_is_taken_for_somebody() {
        let gateway = Gateway::new(Vec::new(), &Network::default()).expect("no files");
        let door = HttpDoor::new(Arc::new(gateway));
        let request = Request::post("/mcp").body(Bytes::from_static(HELLO.as_bytes())).unwrap();
        assert_eq!(door.answer(request).await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
