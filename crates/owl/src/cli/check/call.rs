//! One call of the doctor's: sent with a time limit, read to an end, and told in a sentence.
//!
//! What a server says is shown, since it is the best diagnosis there is, but never as it came: Owl's own credential is
//! taken out of it, and so is everything that a terminal would obey.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use owl_egress::error::Waiting;
use owl_egress::{
    Authentication, BasicCredential, Denied, EgressError, Secret, SecretSource, UpstreamBody, UpstreamClient,
    UpstreamOptions, UpstreamRequest,
};
use owl_wire::UpstreamError;

use super::report::Finding;
use crate::provider::forward::{self, one_line, plain_text};

/// The most of an answer that is read, in bytes.
const ANSWER_LIMIT: usize = 16 * 1024 * 1024;

/// The most of what a server says that is shown, in characters.
const EXCERPT: usize = 160;

/// Texts shorter than this are not taken out: they would be found everywhere.
const SHORTEST_SECRET: usize = 4;

/// Calls one provider.
pub(super) struct Caller<'a> {
    pub(super) client: &'a UpstreamClient,
    pub(super) options: &'a UpstreamOptions,
    pub(super) patience: Duration,
    pub(super) redactor: &'a Redactor,
}

/// An answer, read to its end.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    Egress(EgressError),
    Slow(Duration),
    Broken(String),
}

impl Caller<'_> {
    pub(super) async fn get(&self, path: &str) -> Result<Answer, Trouble> {
        self.in_time(self.exchange(Method::GET, path, Bytes::new())).await
    }

    pub(super) async fn post(&self, path: &str, body: Vec<u8>) -> Result<Answer, Trouble> {
        self.in_time(self.exchange(Method::POST, path, body.into())).await
    }

    /// Sends a request whose answer the caller reads.
    pub(super) async fn open(&self, path: &str, body: Vec<u8>) -> Result<Response<UpstreamBody>, Trouble> {
        self.send(Method::POST, path, body.into()).await
    }

    /// `work`, unless it takes longer than the doctor's patience.
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
        tokio::time::timeout(self.patience, work).await.unwrap_or(Err(Trouble::Slow(self.patience)))
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<UpstreamBody>, Trouble> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        if !body.is_empty() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let request =
            UpstreamRequest { method, path: path.to_owned(), headers, body, caller: owl_egress::Caller::default() };
        self.client.send(request).await.map_err(Trouble::Egress)
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<Answer, Trouble> {
        read(self.send(method, path, body).await?).await
    }

    /// What an answer that is no success says: `400 (application/json): no such model`.
    pub(super) fn tell(&self, answer: &Answer) -> String {
        let status = answer.status.as_u16();
        if matches!(status, 401 | 403 | 407) {
            // Servers quote the key that they refuse; a token of OAuth 2.0 is one that the redactor does not know.
            let challenge = answer.challenge().map_or(String::new(), |scheme| format!(", asking for {scheme}"));
            return format!("the server answered {status}{challenge}");
        }
        let kind = answer.media_type().unwrap_or("no content type");
        let said = match UpstreamError::read(&answer.body) {
            Some(error) => error.message,
            None => plain_text(&String::from_utf8_lossy(&answer.body)),
        };
        let said = self.quote(&said);
        if said.is_empty() {
            return format!("the server answered {status} without a body");
        }
        format!("the server answered {status} ({kind}): {said}")
    }

    /// A text of the server's that is fit to be shown: short, in one line, without Owl's credential.
    pub(super) fn quote(&self, text: &str) -> String {
        one_line(&self.redactor.redact(text), EXCERPT)
    }

    /// A call without an answer, as a failed step.
    pub(super) fn trouble(&self, trouble: Trouble) -> Finding {
        match trouble {
            Trouble::Egress(error) => trouble_on_the_way(self.options, error),
            Trouble::Slow(patience) => {
                let detail = format!("no complete answer within {} s", patience.as_secs());
                Finding::failed(detail).advise("is the model still being loaded? --timeout sets how long to wait")
            }
            Trouble::Broken(reason) => Finding::failed(reason),
        }
    }
}

/// Reads an answer to its end.
pub(super) async fn read(response: Response<UpstreamBody>) -> Result<Answer, Trouble> {
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, ANSWER_LIMIT).collect().await;
    let body = body.map_err(|error| Trouble::Broken(format!("the answer broke off: {error}")))?.to_bytes();
    Ok(Answer { status: parts.status, headers: parts.headers, body })
}

/// A failure between Owl and the server: what it means and what to do.
pub(super) fn trouble_on_the_way(options: &UpstreamOptions, error: EgressError) -> Finding {
    let finding = Finding::failed(error.to_string());
    match error {
        EgressError::Denied(denied) => {
            let hint = denied.hint.as_ref().map(ToString::to_string);
            let finding = match hint.filter(|hint| hint.contains(": ")) {
                Some(line) => {
                    finding.advise(format!("if you trust it, add to {}:  {line}", policy_place(options, &denied)))
                }
                None => finding,
            };
            finding.denied(denied)
        }
        EgressError::Resolve { .. } => finding.advise("look at the name in baseUrl, and at this machine's DNS"),
        EgressError::Connect { .. } => finding
            .advise("look at the port in baseUrl; does the server listen on this address, not on 127.0.0.1 alone?"),
        EgressError::Timeout { waiting: Waiting::Connect, .. } => {
            finding.advise("does a firewall drop the packets? look at the address and the port in baseUrl")
        }
        EgressError::Timeout { waiting: Waiting::Handshake, .. } => {
            finding.advise("does the server speak TLS on this port? if not, write http:// in baseUrl")
        }
        EgressError::Exchange { ref source, .. } if source.is_parse() => {
            finding.advise("does the server speak TLS on this port? then write https:// in baseUrl")
        }
        EgressError::Timeout { .. }
        | EgressError::Tls { .. }
        | EgressError::Secret(_)
        | EgressError::Credential(_)
        | EgressError::Token(_)
        | EgressError::TlsOptions(_)
        | EgressError::Request(_)
        | EgressError::Exchange { .. } => finding,
    }
}

/// Where the policy keys stand that judged: a token URL has its own.
fn policy_place(options: &UpstreamOptions, denied: &Denied) -> String {
    let base_url = &options.base_url;
    let is_provider = denied.host == base_url.host().to_string() && denied.port == base_url.port();
    let place = if is_provider { "" } else { ".auth" };
    format!("models.providers.{}{place}", options.name)
}

impl Answer {
    pub(super) fn media_type(&self) -> Option<&str> {
        media_type(&self.headers)
    }

    pub(super) fn is_html(&self) -> bool {
        self.media_type().is_some_and(|media| media.eq_ignore_ascii_case("text/html"))
    }

    /// The scheme that the server asks for: `Basic`, `Bearer`.
    pub(super) fn challenge(&self) -> Option<&str> {
        let value = self.headers.get(header::WWW_AUTHENTICATE)?.to_str().ok()?;
        let scheme = value.split([' ', ',']).next()?;
        let is_scheme =
            scheme.len() <= 20 && scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-');
        (is_scheme && !scheme.is_empty()).then_some(scheme)
    }
}

/// The media type without its parameters, when it is fit to be shown.
pub(super) fn media_type(headers: &HeaderMap) -> Option<&str> {
    forward::media_type(headers).filter(|media| media.len() <= 60)
}

/// Takes Owl's own credential out of what a server says.
pub(super) struct Redactor(Vec<Secret>);

impl Redactor {
    /// Knows every secret of a provider. One that cannot be read cannot be quoted either.
    pub(super) async fn new(options: &UpstreamOptions) -> Self {
        let mut known = Vec::new();
        let mut sources: Vec<&SecretSource> = options.headers.iter().map(|(_, source)| source).collect();
        match &options.authentication {
            Authentication::None => {}
            Authentication::Bearer(source) | Authentication::Header { value: source, .. } => sources.push(source),
            Authentication::OAuth2(grant) => sources.push(&grant.client_secret),
            Authentication::Basic(BasicCredential::Pair(source)) => {
                sources.push(source);
            }
            Authentication::Basic(BasicCredential::UserPassword { username, password }) => {
                if let Ok(password) = password.read().await {
                    known.push(encoded(&format!("{username}:{}", password.expose())));
                    known.push(password);
                }
            }
        }
        for source in sources {
            let Ok(secret) = source.read().await else { continue };
            let text = secret.expose();
            known.push(encoded(text));
            // `user:password` and `Key abc`: the part that is secret, too.
            known.extend(text.split_once([':', ' ']).map(|(_, rest)| Secret::new(rest)));
            let decoded = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok();
            if let Some(pair) = decoded.and_then(|bytes| String::from_utf8(bytes).ok()) {
                known.extend(pair.split_once(':').map(|(_, password)| Secret::new(password)));
                known.push(Secret::new(pair));
            }
            known.push(secret);
        }
        known.retain(|secret| secret.expose().len() >= SHORTEST_SECRET);
        // The longest first, so that no half of one is left over.
        known.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        Self(known)
    }

    fn redact(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.expose(), "****"))
    }
}

fn encoded(text: &str) -> Secret {
    Secret::new(STANDARD.encode(text))
}
