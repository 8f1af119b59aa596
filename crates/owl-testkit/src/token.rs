//! An OAuth2 token endpoint for the client-credentials grant (RFC 6749, section 4.4).

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::json;

use crate::event::{Log, Request};
use crate::http::{Body, HttpServer, ListenOptions, ServerTls, full};

/// How the endpoint behaves.
#[derive(Clone, Debug)]
pub struct TokenOptions {
    /// The client that may ask.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// What `expires_in` says; absent from the answer if `None`.
    pub expires_in: Option<u64>,
    /// TLS instead of plain TCP.
    pub tls: Option<ServerTls>,
}

impl Default for TokenOptions {
    fn default() -> Self {
        let (client_id, client_secret) = ("owl".to_owned(), "token secret".to_owned());
        Self { client_id, client_secret, expires_in: Some(3600), tls: None }
    }
}

/// The endpoint, at `POST /token`. The tokens are `token-1`, `token-2`, …
#[derive(Debug)]
pub struct TokenServer {
    http: HttpServer,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    options: TokenOptions,
    issued: u64,
}

impl TokenServer {
    /// Listens on a free loopback port.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn start(options: TokenOptions) -> Self {
        let listen = ListenOptions { tls: options.tls.clone(), ..ListenOptions::default() };
        let state = Arc::new(Mutex::new(State { options, issued: 0 }));
        let shared = Arc::clone(&state);
        let http = HttpServer::start(listen, move |request| {
            let answer = lock(&shared).answer(&request);
            Box::pin(std::future::ready(answer))
        });
        Self { http, state }
    }

    /// The token endpoint's URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/token", self.http.origin())
    }

    /// What happened.
    #[must_use]
    pub fn log(&self) -> &Log {
        self.http.log()
    }

    /// How many tokens were handed out.
    #[must_use]
    pub fn issued(&self) -> u64 {
        lock(&self.state).issued
    }

    /// The token that was handed out last.
    #[must_use]
    pub fn current_token(&self) -> String {
        format!("token-{}", self.issued())
    }

    /// From now on only this secret is right.
    pub fn rotate_secret(&self, secret: &str) {
        secret.clone_into(&mut lock(&self.state).options.client_secret);
    }

    /// From now on `expires_in` says this.
    pub fn set_expires_in(&self, seconds: Option<u64>) {
        lock(&self.state).options.expires_in = seconds;
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn answer(&mut self, request: &Request) -> Response<Body> {
        let form = parse_form(&request.body);
        let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        if request.method != "POST" || request.path != "/token" {
            return json_response(StatusCode::NOT_FOUND, &json!({"error": "not_found"}));
        }
        if field("grant_type").as_deref() != Some("client_credentials") {
            return json_response(StatusCode::BAD_REQUEST, &json!({"error": "unsupported_grant_type"}));
        }
        let shown = basic_client(request).or_else(|| Some((field("client_id")?, field("client_secret")?)));
        let expected = (self.options.client_id.clone(), self.options.client_secret.clone());
        if shown != Some(expected) {
            let error = json!({"error": "invalid_client", "error_description": "unknown client or wrong secret"});
            return json_response(StatusCode::UNAUTHORIZED, &error);
        }
        self.issued += 1;
        let mut token = json!({"access_token": format!("token-{}", self.issued), "token_type": "Bearer"});
        if let Some(seconds) = self.options.expires_in {
            token["expires_in"] = seconds.into();
        }
        if let Some(scope) = field("scope") {
            token["scope"] = scope.into();
        }
        json_response(StatusCode::OK, &token)
    }
}

/// RFC 6749, 2.3.1: both halves are form-encoded before the Basic scheme's base64.
fn basic_client(request: &Request) -> Option<(String, String)> {
    let encoded = request.header("authorization")?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    Some((decode(id), decode(secret)))
}

fn parse_form(body: &Bytes) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(body);
    text.split('&').filter_map(|pair| pair.split_once('=')).map(|(key, value)| (decode(key), decode(value))).collect()
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

fn json_response(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(full(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response.headers_mut().insert("cache-control", http::HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::{TokenOptions, TokenServer};
    use crate::client::Client;

    #[tokio::test]
    async fn tokens_are_counted_and_secrets_rotate() {
        let server = TokenServer::start(TokenOptions::default());
        let mut client = Client::connect(server.http.address()).await.unwrap();
        let mut ask = async |headers: &[&str], form: &str| {
            client.request("POST", "/token", headers, form.as_bytes()).await.unwrap();
            client.response().await.unwrap().json()
        };
        let form = "grant_type=client_credentials&client_id=owl&client_secret=token+secret&scope=a%20b";
        let first = ask(&[], form).await;
        assert_eq!((&first["access_token"], &first["expires_in"]), (&"token-1".into(), &3600.into()));
        assert_eq!(first["scope"], "a b");
        // owl:token+secret
        let basic = "Authorization: Basic b3dsOnRva2VuK3NlY3JldA==";
        assert_eq!(ask(&[basic], "grant_type=client_credentials").await["access_token"], "token-2");
        server.rotate_secret("other");
        assert_eq!(ask(&[], form).await["error"], "invalid_client");
        assert_eq!(ask(&[], "grant_type=password").await["error"], "unsupported_grant_type");
        assert_eq!((server.issued(), server.current_token()), (2, "token-2".to_owned()));
    }
}
