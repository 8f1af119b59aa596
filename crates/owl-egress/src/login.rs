//! The headers by which an upstream knows Owl: read when first needed, kept, and read again when the upstream says 401.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::{BodyExt as _, Limited};
use serde::Deserialize;
use tokio::sync::Mutex as AsyncMutex;
use zeroize::Zeroizing;

use crate::audit::Caller;
use crate::credential::{
    Authentication, BasicCredential, OAuth2, Secret, SecretSource, basic_header, bearer_header, pair_header,
    secret_header,
};
use crate::error::{EgressError, LoginError, TokenError};
use crate::network::Network;
use crate::tls::{TlsOptions, TlsOptionsError};
use crate::upstream::{Timeouts, UpstreamClient, UpstreamOptions, UpstreamRequest};

/// The most that a token endpoint may answer, in bytes.
const TOKEN_ANSWER_LIMIT: usize = 64 * 1024;

/// How long before its end a token is replaced, at most; for short-lived tokens a tenth of their life.
const TOKEN_MARGIN: Duration = Duration::from_secs(60);

/// How long the token endpoint may take to answer: it is no model.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(30);

/// How soon after a token that did not help the next is fetched: an upstream that refuses them all costs the token
/// endpoint one call a second, not one for every request.
const RENEW_PAUSE: Duration = Duration::from_secs(1);

/// What one upstream is shown, and how to get it.
pub(crate) struct Login {
    authentication: Authentication,
    extra: Vec<(HeaderName, SecretSource)>,
    token_client: Option<Box<UpstreamClient>>,
    current: Mutex<Option<Arc<Shown>>>,
    /// Held while the headers are read, so that many requests cause one reading.
    reading: AsyncMutex<()>,
    last: Mutex<Option<Reading>>,
    /// When a renewal did not help.
    unhelpful: Mutex<Option<Instant>>,
}

/// A reading that has ended; those who waited for it share what came of it, failures too.
#[derive(Clone)]
struct Reading {
    number: u64,
    outcome: Result<Arc<Shown>, LoginError>,
}

/// The headers that are being shown.
pub(crate) struct Shown {
    headers: Vec<(HeaderName, HeaderValue)>,
    /// When to get others; `None` when these hold until they are refused.
    replace_at: Option<Instant>,
    /// When they end.
    valid_until: Option<Instant>,
}

impl Shown {
    pub(crate) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    fn is_fresh(&self) -> bool {
        self.replace_at.is_none_or(|moment| Instant::now() < moment)
    }

    fn is_valid(&self) -> bool {
        self.valid_until.is_none_or(|moment| Instant::now() < moment)
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("authentication", &self.authentication).finish_non_exhaustive()
    }
}

impl Login {
    pub(crate) fn new(
        authentication: Authentication,
        extra: Vec<(HeaderName, SecretSource)>,
        tls: &TlsOptions,
        timeouts: Timeouts,
        network: &Network,
    ) -> Result<Self, TlsOptionsError> {
        let token_client = match &authentication {
            Authentication::OAuth2(grant) => Some(Box::new(token_client(grant, tls, timeouts, network)?)),
            Authentication::None
            | Authentication::Bearer(_)
            | Authentication::Basic(_)
            | Authentication::Header { .. } => None,
        };
        Ok(Self {
            authentication,
            extra,
            token_client,
            current: Mutex::default(),
            reading: AsyncMutex::new(()),
            last: Mutex::default(),
            unhelpful: Mutex::default(),
        })
    }

    pub(crate) fn token_client(&self) -> Option<&UpstreamClient> {
        self.token_client.as_deref()
    }

    /// The headers to show now.
    pub(crate) async fn headers(&self) -> Result<Arc<Shown>, EgressError> {
        if let Some(shown) = self.current().filter(|shown| shown.is_fresh()) {
            return Ok(shown);
        }
        let seen = self.readings();
        let _one_at_a_time = self.reading.lock().await;
        if let Some(reading) = self.reading_since(seen) {
            return Ok(reading.outcome?);
        }
        match self.read().await {
            Ok(shown) => Ok(shown),
            // A token is replaced a little before its end: until then it serves when no other can be had.
            Err(error) => match self.current().filter(|shown| shown.is_valid()) {
                Some(shown) => Ok(shown),
                None => Err(error.into()),
            },
        }
    }

    /// The headers to show instead of `refused`; `None` when reading again gives the same.
    pub(crate) async fn renew(&self, refused: &Arc<Shown>) -> Result<Option<Arc<Shown>>, EgressError> {
        if !self.can_change() {
            return Ok(None);
        }
        let seen = self.readings();
        let _one_at_a_time = self.reading.lock().await;
        let renewed = match self.reading_since(seen) {
            Some(reading) => reading.outcome?,
            None => match self.current().filter(|current| !Arc::ptr_eq(current, refused)) {
                Some(other) => other,
                None if self.renewing_just_failed() => return Ok(None),
                None => self.read().await?,
            },
        };
        if renewed.headers == refused.headers {
            self.note_unhelpful();
            return Ok(None);
        }
        Ok(Some(renewed))
    }

    /// The upstream refuses the renewed headers, too.
    pub(crate) fn note_unhelpful(&self) {
        *self.unhelpful.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn renewing_just_failed(&self) -> bool {
        // Files and commands are this machine's own: a secret that was just put there is taken up at once.
        if self.token_client.is_none() {
            return false;
        }
        let moment = *self.unhelpful.lock().unwrap_or_else(PoisonError::into_inner);
        moment.is_some_and(|moment| moment.elapsed() < RENEW_PAUSE)
    }

    /// How many readings have ended.
    fn readings(&self) -> u64 {
        self.last().map_or(0, |reading| reading.number)
    }

    /// The last reading, if it ended after `seen` others: while this request waited its turn.
    fn reading_since(&self, seen: u64) -> Option<Reading> {
        self.last().filter(|reading| reading.number > seen)
    }

    fn last(&self) -> Option<Reading> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `text` without the values of the headers that are being shown, whole, without their scheme, and decoded.
    pub(crate) fn redact(&self, text: &str) -> String {
        let Some(shown) = self.current() else {
            return text.to_owned();
        };
        let mut text = text.to_owned();
        for (_, value) in shown.headers() {
            let value = Zeroizing::new(String::from_utf8_lossy(value.as_bytes()).into_owned());
            let bare = value.split_once(' ').map_or(value.as_str(), |(_, bare)| bare);
            let pair = STANDARD.decode(bare).ok().and_then(|bytes| String::from_utf8(bytes).ok()).map(Zeroizing::new);
            let password = pair.as_ref().and_then(|pair| pair.split_once(':')).map(|(_, password)| password);
            for secret in [Some(value.as_str()), Some(bare), pair.as_ref().map(|pair| pair.as_str()), password] {
                // What is shorter would blank out ordinary words.
                if let Some(secret) = secret.filter(|secret| secret.len() >= 4) {
                    text = text.replace(secret, "****");
                }
            }
        }
        text
    }

    fn can_change(&self) -> bool {
        let own = match &self.authentication {
            Authentication::None => false,
            Authentication::Bearer(source)
            | Authentication::Header { value: source, .. }
            | Authentication::Basic(BasicCredential::Pair(source))
            | Authentication::Basic(BasicCredential::UserPassword { password: source, .. }) => source.can_change(),
            Authentication::OAuth2(_) => true,
        };
        own || self.extra.iter().any(|(_, source)| source.can_change())
    }

    fn current(&self) -> Option<Arc<Shown>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn read(&self) -> Result<Arc<Shown>, LoginError> {
        let outcome = self.read_sources().await.map(Arc::new);
        if let Ok(shown) = &outcome {
            *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(shown));
        }
        let reading = Reading { number: self.readings() + 1, outcome: outcome.clone() };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(reading);
        outcome
    }

    async fn read_sources(&self) -> Result<Shown, LoginError> {
        let mut headers = Vec::with_capacity(self.extra.len() + 1);
        for (name, source) in &self.extra {
            headers.push((name.clone(), secret_header(&source.read().await?)?));
        }
        let (mut replace_at, mut valid_until) = (None, None);
        match &self.authentication {
            Authentication::None => {}
            Authentication::Bearer(source) => headers.push((AUTHORIZATION, bearer_header(&source.read().await?)?)),
            Authentication::Basic(BasicCredential::Pair(source)) => {
                headers.push((AUTHORIZATION, pair_header(&source.read().await?)?));
            }
            Authentication::Basic(BasicCredential::UserPassword { username, password }) => {
                headers.push((AUTHORIZATION, basic_header(username, &password.read().await?)?));
            }
            Authentication::Header { name, value } => {
                headers.push((name.clone(), secret_header(&value.read().await?)?));
            }
            Authentication::OAuth2(grant) => {
                let token = self.fetch_token(grant).await?;
                headers.push((AUTHORIZATION, bearer_header(&token.secret)?));
                (replace_at, valid_until) = (token.replace_at, token.valid_until);
            }
        }
        Ok(Shown { headers, replace_at, valid_until })
    }

    /// One client-credentials grant (RFC 6749, section 4.4).
    async fn fetch_token(&self, grant: &OAuth2) -> Result<Token, LoginError> {
        let Some(client) = &self.token_client else {
            return Err(TokenError::Answer("was never asked for").into());
        };
        let shown = [(AUTHORIZATION, client_header(grant).await?)];
        let request = token_request(grant);
        let call = async {
            let response = Box::pin(client.send_showing(request, &shown)).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), TOKEN_ANSWER_LIMIT).collect().await;
            Ok((status, body))
        };
        let (status, body) = tokio::time::timeout(TOKEN_TIMEOUT, call)
            .await
            .map_err(|_| TokenError::Answer("took longer than 30 s"))?
            .map_err(|error: EgressError| TokenError::Call(Arc::new(error)))?;
        let body = body.map_err(|_| TokenError::Answer("broke off or is longer than 64 KiB"))?;
        Ok(read_token(status.as_u16(), &body.to_bytes())?)
    }
}

fn token_client(
    grant: &OAuth2,
    tls: &TlsOptions,
    timeouts: Timeouts,
    network: &Network,
) -> Result<UpstreamClient, TlsOptionsError> {
    let mut options = UpstreamOptions::new("token endpoint", grant.token_url.clone());
    // The private authority holds for the token endpoint too; the client certificate is the provider's alone.
    options.tls = TlsOptions { ca: tls.ca.clone(), ..TlsOptions::default() };
    options.rules = grant.rules.clone();
    options.timeouts.connect = timeouts.connect;
    options.network = network.clone();
    UpstreamClient::with_prefix(options, String::new())
}

/// The client shows itself by Basic, both halves being form-encoded before (section 2.3.1).
async fn client_header(grant: &OAuth2) -> Result<HeaderValue, LoginError> {
    let secret = grant.client_secret.read().await?;
    let encode = |text: &str| Zeroizing::new(url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>());
    let (id, secret) = (encode(&grant.client_id), Secret::new(encode(secret.expose()).as_str()));
    Ok(basic_header(&id, &secret)?)
}

fn token_request(grant: &OAuth2) -> UpstreamRequest {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if !grant.scopes.is_empty() {
        form.append_pair("scope", &grant.scopes.join(" "));
    }
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let path = grant.token_url.path_and_query().trim_start_matches('/').to_owned();
    UpstreamRequest { method: Method::POST, path, headers, body: Bytes::from(form.finish()), caller: Caller::default() }
}

struct Token {
    secret: Secret,
    replace_at: Option<Instant>,
    valid_until: Option<Instant>,
}

/// The fields of RFC 6749, sections 5.1 and 5.2, that matter here.
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: Option<String>,
    expires_in: Option<serde_json::Value>,
    error: Option<String>,
}

fn read_token(status: u16, body: &[u8]) -> Result<Token, TokenError> {
    let answer: Option<TokenAnswer> = serde_json::from_slice(body).ok();
    if status != 200 {
        let code = answer.and_then(|answer| answer.error).filter(|code| is_error_code(code));
        return Err(TokenError::Refused { status, code });
    }
    let answer = answer.ok_or(TokenError::Answer("is not the JSON of RFC 6749"))?;
    let secret = answer.access_token.filter(|token| !token.is_empty());
    let secret = Secret::new(secret.ok_or(TokenError::Answer("holds no access_token"))?);
    // Some servers send the number as a text.
    let seconds = answer.expires_in.and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()));
    let life = seconds.map(Duration::from_secs);
    let after = |time: Duration| Instant::now().checked_add(time);
    Ok(Token {
        secret,
        replace_at: life.and_then(|life| after(life.saturating_sub(TOKEN_MARGIN.min(life / 10)))),
        valid_until: life.and_then(after),
    })
}

/// The characters of an error code (RFC 6749, section 5.2), so that nothing else of an answer reaches a message.
fn is_error_code(code: &str) -> bool {
    code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}
