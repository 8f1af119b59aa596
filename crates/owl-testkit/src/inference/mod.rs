//! An OpenAI-compatible inference server that the last user message scripts.
//!
//! Without a marker it answers with one sentence. Markers, anywhere in the last user message (or the prompt, or the
//! input of the responses API), are listed at [`script::Script`]. In a chat, `[[plan [{"calls": [{"name": …, "arguments": {…}}]}, {"text": …}]]]` scripts
//! the turns that answer the message, one after the other; `reasoning` may stand beside them. A test can also script a path
//! ([`InferenceServer::script`]), give it a canned answer ([`InferenceServer::answer`]), or send the header
//! `x-echo-body: 1`, which returns the request's body byte for byte.
//!
//! Read next: `script.rs` (the markers), `chat.rs` (turns, whole and streamed), `endpoints.rs` (everything else).

mod chat;
mod endpoints;
mod multipart;
mod reply;
mod responses;
pub mod script;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Response, StatusCode};
use tokio::sync::mpsc;

use crate::event::{Closed, ConnectionId, Event, Log, Request};
use crate::http::{Body, HttpServer, ListenOptions, ServerTls, full};
pub use chat::SENTENCE;
use script::Script;

/// What a client must show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Credential {
    /// Nothing.
    #[default]
    None,
    /// `Authorization: Bearer …`; refused in vLLM's way, with JSON.
    Bearer(String),
    /// `Authorization: Basic …` in UTF-8; refused in nginx's way, with an HTML page.
    Basic(String, String),
    /// Any header with exactly this value.
    Header(String, String),
}

/// How an [`InferenceServer`] starts.
#[derive(Debug)]
pub struct InferenceOptions {
    /// Where to listen; port 0 finds a free one.
    pub listen: SocketAddr,
    /// The models that it serves.
    pub models: Vec<String>,
    /// What it demands of clients.
    pub credential: Credential,
    /// Everything is below this path (`/llm`); the rest is 404.
    pub prefix: String,
    /// TLS instead of plain TCP.
    pub tls: Option<ServerTls>,
    /// Events go here, too.
    pub sink: Option<mpsc::UnboundedSender<Event>>,
    /// Whether events are kept for the waiting methods; a server under load should not.
    pub remember: bool,
}

impl Default for InferenceOptions {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            models: vec!["tiny-chat".to_owned(), "org/tiny-embed".to_owned()],
            credential: Credential::None,
            prefix: String::new(),
            tls: None,
            sink: None,
            remember: true,
        }
    }
}

/// The server. Dropping it closes the listener and every connection.
#[derive(Debug)]
pub struct InferenceServer {
    http: HttpServer,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    models: Vec<String>,
    credential: Credential,
    prefix: String,
    paths: HashMap<String, PathAnswer>,
}

#[derive(Clone, Debug)]
enum PathAnswer {
    Script(Script),
    Canned { status: StatusCode, content_type: String, body: Bytes },
}

impl InferenceServer {
    /// Starts listening.
    ///
    /// # Panics
    /// If the address cannot be bound, or outside a tokio runtime.
    #[must_use]
    pub fn start(options: InferenceOptions) -> Self {
        let InferenceOptions { listen, models, credential, prefix, tls, sink, remember } = options;
        let state = Arc::new(Mutex::new(State { models, credential, prefix, paths: HashMap::new() }));
        let shared = Arc::clone(&state);
        let log = Arc::new(Log::new(sink, remember));
        let http = HttpServer::start(ListenOptions { listen, tls, log }, move |request| {
            let action = decide(&shared, &request);
            Box::pin(async move {
                match action {
                    Action::Answer(response) => *response,
                    Action::NeverAnswer => std::future::pending().await,
                }
            })
        });
        Self { http, state }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.http.address()
    }

    /// `http://127.0.0.1:PORT/prefix/v1`; `https://localhost:…` with TLS.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("{}{}/v1", self.http.origin(), lock(&self.state).prefix)
    }

    /// What happened.
    #[must_use]
    pub fn log(&self) -> &Log {
        self.http.log()
    }

    /// The next request that this method has not yet returned.
    pub async fn next_request(&self) -> Request {
        self.log().next_request().await
    }

    /// Waits until a connection has ended.
    pub async fn closed(&self, connection: ConnectionId) -> Closed {
        self.log().closed(connection).await
    }

    /// Serves other models from now on.
    pub fn set_models(&self, models: &[&str]) {
        lock(&self.state).models = models.iter().map(|&model| model.to_owned()).collect();
    }

    /// Demands another credential from now on.
    pub fn demand(&self, credential: Credential) {
        lock(&self.state).credential = credential;
    }

    /// Obeys a marker (`[[error 503]]`, `[[slow]]`, …) for every request to a path, such as `/v1/models`.
    pub fn script(&self, path: &str, marker: &str) {
        lock(&self.state).paths.insert(path.to_owned(), PathAnswer::Script(Script::find(marker)));
    }

    /// Answers every request to a path with these very bytes.
    ///
    /// # Panics
    /// If the status is none.
    pub fn answer(&self, path: &str, status: u16, content_type: &str, body: impl Into<Bytes>) {
        let status = StatusCode::from_u16(status).expect("an HTTP status");
        let canned = PathAnswer::Canned { status, content_type: content_type.to_owned(), body: body.into() };
        lock(&self.state).paths.insert(path.to_owned(), canned);
    }

    /// Takes back [`Self::script`] and [`Self::answer`] for a path.
    pub fn behave(&self, path: &str) {
        lock(&self.state).paths.remove(path);
    }

    /// Closes connections that wait for a request, now, and the others after their answer.
    pub fn close_idle(&self) {
        self.http.close_idle();
    }
}

/// What becomes of a request.
enum Action {
    Answer(Box<Response<Body>>),
    NeverAnswer,
}

impl From<Response<Body>> for Action {
    fn from(response: Response<Body>) -> Self {
        Self::Answer(Box::new(response))
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn decide(state: &Mutex<State>, request: &Request) -> Action {
    let state = lock(state);
    let Some(path) = request.path.strip_prefix(&state.prefix) else {
        return reply::html(StatusCode::NOT_FOUND).into();
    };
    if path == "/health" {
        return Response::new(full("")).into();
    }
    if let Some(refusal) = refuse(&state.credential, request) {
        return refusal.into();
    }
    match state.paths.get(path) {
        Some(PathAnswer::Canned { status, content_type, body }) => {
            reply::bytes(*status, content_type, body.clone()).into()
        }
        Some(PathAnswer::Script(script)) => endpoints::answer(&state.models, path, request, Some(script.clone())),
        None => endpoints::answer(&state.models, path, request, None),
    }
}

fn refuse(demanded: &Credential, request: &Request) -> Option<Response<Body>> {
    let authorization = request.header("authorization");
    let is_good = match demanded {
        Credential::None => true,
        Credential::Bearer(key) => authorization.and_then(|value| value.strip_prefix("Bearer ")) == Some(key.as_str()),
        Credential::Basic(user, password) => {
            let pair = STANDARD.encode(format!("{user}:{password}"));
            authorization.and_then(|value| value.strip_prefix("Basic ")) == Some(pair.as_str())
        }
        Credential::Header(name, value) => request.header(name) == Some(value.as_str()),
    };
    if is_good {
        return None;
    }
    Some(match demanded {
        Credential::Basic(..) => {
            let mut page = reply::html(StatusCode::UNAUTHORIZED);
            let challenge = http::HeaderValue::from_static("Basic realm=\"models\"");
            page.headers_mut().insert("www-authenticate", challenge);
            page
        }
        Credential::None | Credential::Bearer(_) | Credential::Header(..) => {
            reply::json(StatusCode::UNAUTHORIZED, r#"{"error":"Unauthorized"}"#)
        }
    })
}

#[cfg(test)]
mod tests;
