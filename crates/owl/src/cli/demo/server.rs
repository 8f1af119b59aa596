//! The demo's inference server: scripted, behind Basic authentication, on loopback.
//!
//! It stands in for a server that somebody runs behind a password. It is no fake for tests, and it infers nothing.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use owl_wire::ErrorBody;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::script;

/// The user name that the server wants.
pub(super) const USER: &str = "owl";

/// The password that the server wants. It protects nothing but the demo's own canned answers.
pub(super) const PASSWORD: &str = "hunts-at-night";

/// The model that answers.
pub(super) const MODEL: &str = "tiny-owl";

/// The model that embeds.
const EMBEDDING_MODEL: &str = "tiny-owl-embed";

/// About 50 tokens a second.
const PACE: Duration = Duration::from_millis(20);

/// The largest request that is read, in bytes.
const REQUEST_LIMIT: usize = 8 * 1024 * 1024;

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// The server, bound and not yet answering.
#[derive(Debug)]
pub(super) struct DemoServer(TcpListener);

impl DemoServer {
    pub(super) async fn bind() -> io::Result<Self> {
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map(Self)
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Answers until it is dropped.
    pub(super) async fn run(self) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.0.accept() => {
                    // A connection that could not be accepted is its client's to see.
                    let Ok((connection, _)) = accepted else { continue };
                    // Tokens leave one by one.
                    let _ = connection.set_nodelay(true);
                    let served = http1::Builder::new().serve_connection(TokioIo::new(connection), service_fn(answer));
                    connections.spawn(served);
                }
                Some(_ended) = connections.join_next() => {}
            }
        }
    }
}

async fn answer(request: Request<Incoming>) -> Result<Answer, Infallible> {
    if !is_welcome(&request) {
        return Ok(stranger());
    }
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, REQUEST_LIMIT).collect().await else {
        return Ok(error(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large for a demo"));
    };
    let body: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
    Ok(match (&head.method, head.uri.path()) {
        (&Method::GET, "/v1/models") => models(),
        (&Method::POST, "/v1/chat/completions") => chat(&body),
        (&Method::POST, "/v1/embeddings") => embeddings(&body),
        (method, path) => error(StatusCode::NOT_FOUND, &format!("the demo's server has nothing at {method} {path}")),
    })
}

fn is_welcome(request: &Request<Incoming>) -> bool {
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let pair = shown.and_then(|shown| shown.strip_prefix("Basic ")).and_then(|pair| STANDARD.decode(pair).ok());
    pair.is_some_and(|pair| pair == format!("{USER}:{PASSWORD}").as_bytes())
}

fn stranger() -> Answer {
    let message = "the demo's server wants its user name and its password; ask Owl instead, who knows them";
    let mut answer = error(StatusCode::UNAUTHORIZED, message);
    let challenge = HeaderValue::from_static("Basic realm=\"owl demo\", charset=\"UTF-8\"");
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    answer
}

fn error(status: StatusCode, message: &str) -> Answer {
    let body =
        ErrorBody { message: message.to_owned(), kind: "invalid_request_error".to_owned(), param: None, code: None };
    let mut answer = whole("application/json", body.to_bytes());
    *answer.status_mut() = status;
    answer
}

fn whole(media: &'static str, body: impl Into<Bytes>) -> Answer {
    with_type(media, Full::new(body.into()).boxed_unsync())
}

fn with_type(media: &'static str, body: UnsyncBoxBody<Bytes, Infallible>) -> Answer {
    let mut answer = Response::new(body);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    answer
}

fn json_answer(body: &Value) -> Answer {
    whole("application/json", body.to_string())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn models() -> Answer {
    let model =
        |id: &str| json!({ "id": id, "object": "model", "created": 0, "owned_by": "owl demo", "max_model_len": 8192 });
    json_answer(&json!({ "object": "list", "data": [model(MODEL), model(EMBEDDING_MODEL)] }))
}

fn chat(request: &Value) -> Answer {
    if request["model"] != MODEL {
        return unknown_model(request);
    }
    if request["messages"].as_array().is_none_or(Vec::is_empty) {
        return error(StatusCode::BAD_REQUEST, "`messages` must be a list with at least one message");
    }
    let text = script::reply(request);
    let all: Vec<String> = text.split_inclusive(' ').map(str::to_owned).collect();
    let limit = request["max_tokens"].as_u64().or(request["max_completion_tokens"].as_u64());
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let reply = Reply {
        id: format!("chatcmpl-{}", uuid::Uuid::now_v7().simple()),
        created: now(),
        finish_reason: if all.len() > limit { "length" } else { "stop" },
        prompt_tokens: script::count_words(request),
        tokens: all.into_iter().take(limit).collect(),
    };
    if request["stream"] == true {
        let with_usage = request["stream_options"]["include_usage"] == true;
        return with_type("text/event-stream", paced(reply.events(with_usage)));
    }
    json_answer(&reply.whole())
}

/// One event at a time, at a model's pace.
fn paced(events: Vec<String>) -> UnsyncBoxBody<Bytes, Infallible> {
    let clock = tokio::time::interval(PACE);
    let paced = stream::unfold((events.into_iter(), clock), |(mut events, mut clock)| async {
        let event = events.next()?;
        clock.tick().await;
        let frame = Frame::data(Bytes::from(format!("data: {event}\n\n")));
        Some((Ok(frame), (events, clock)))
    });
    StreamBody::new(paced).boxed_unsync()
}

/// What the model says.
struct Reply {
    id: String,
    created: u64,
    tokens: Vec<String>,
    finish_reason: &'static str,
    prompt_tokens: usize,
}

impl Reply {
    fn events(&self, with_usage: bool) -> Vec<String> {
        let first = self.chunk(&json!({ "role": "assistant", "content": "" }), None);
        let words = self.tokens.iter().map(|token| self.chunk(&json!({ "content": token }), None));
        let last = self.chunk(&json!({}), Some(self.finish_reason));
        let mut events: Vec<Value> = [first].into_iter().chain(words).chain([last]).collect();
        if with_usage {
            let mut usage = self.object("chat.completion.chunk", &json!([]));
            usage["usage"] = self.usage();
            events.push(usage);
        }
        events.iter().map(Value::to_string).chain(["[DONE]".to_owned()]).collect()
    }

    fn chunk(&self, delta: &Value, finish_reason: Option<&str>) -> Value {
        self.object(
            "chat.completion.chunk",
            &json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason }]),
        )
    }

    fn whole(&self) -> Value {
        let message = json!({ "role": "assistant", "content": self.tokens.concat() });
        let choice = json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": self.finish_reason });
        let mut whole = self.object("chat.completion", &json!([choice]));
        whole["usage"] = self.usage();
        whole
    }

    fn object(&self, object: &str, choices: &Value) -> Value {
        json!({ "id": self.id, "object": object, "created": self.created, "model": MODEL, "choices": choices })
    }

    fn usage(&self) -> Value {
        let (prompt, completion) = (self.prompt_tokens, self.tokens.len());
        json!({ "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion })
    }
}

/// vLLM's words.
fn unknown_model(request: &Value) -> Answer {
    error(StatusCode::NOT_FOUND, &format!("The model {} does not exist.", request["model"]))
}

fn embeddings(request: &Value) -> Answer {
    if request["model"] != EMBEDDING_MODEL {
        return unknown_model(request);
    }
    let inputs: Vec<&str> = match &request["input"] {
        Value::String(text) => vec![text],
        Value::Array(texts) => texts.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if inputs.is_empty() {
        return error(StatusCode::BAD_REQUEST, "`input` must be a text or a list of texts");
    }
    let embed =
        |(index, text): (usize, &&str)| json!({ "object": "embedding", "index": index, "embedding": embedding(text) });
    let data: Vec<Value> = inputs.iter().enumerate().map(embed).collect();
    let tokens: usize = inputs.iter().map(|text| text.split_whitespace().count()).sum();
    let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
    json_answer(&json!({ "object": "list", "data": data, "model": EMBEDDING_MODEL, "usage": usage }))
}

/// Eight numbers from -1 to 1, the same ones for the same text.
fn embedding(text: &str) -> Vec<f64> {
    Sha256::digest(text.as_bytes()).iter().take(8).map(|byte| f64::from(*byte) / 127.5 - 1.0).collect()
}
