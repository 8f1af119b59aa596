//! The client for an address that a model, a page or a client chose.
//!
//! Every hop is judged anew, from its first character to its addresses; nothing is pooled, so no connection outlives the
//! policy it was opened under; no credential of Owl's can be attached. What comes is bounded while it comes.

pub mod decode;
mod error;
mod exchange;
mod headers;
mod redirect;

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::audit::Caller;
use crate::connect;
use crate::dial::DialError;
use crate::guard::Guard;
use crate::network::Network;
use crate::policy::pivot::judge_pivot;
use crate::policy::{Denied, EgressPolicy, HostPattern, Opened, PolicyRules};
use crate::rate::{RateLimited, RateLimiter};
use crate::stream::{Socket, Stream};
use crate::target::{Host, Scheme, TargetUrl};
use crate::tls::{self, TlsOptions, TlsOptionsError, TlsProfile};

use exchange::Answer;
use redirect::Hop;

pub use error::WebError;

/// Bounds on what a hostile server can cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebLimits {
    /// For the name's addresses.
    pub resolve: Duration,
    /// For the TCP connection.
    pub connect: Duration,
    /// For the TLS handshake.
    pub handshake: Duration,
    /// From the request to the end of the answer's head.
    pub head: Duration,
    /// Between two pieces of the body.
    pub idle: Duration,
    /// From the call to the end of the body, every hop included.
    pub total: Duration,
    /// Bytes on the wire, each hop by itself.
    pub wire_bytes: u64,
    /// Bytes of the decoded body.
    pub body_bytes: u64,
    /// How many redirects are followed.
    pub redirects: usize,
}

impl Default for WebLimits {
    fn default() -> Self {
        Self {
            resolve: Duration::from_secs(5),
            connect: Duration::from_secs(5),
            handshake: Duration::from_secs(5),
            head: Duration::from_secs(10),
            idle: Duration::from_secs(10),
            total: Duration::from_secs(30),
            wire_bytes: 5 * 1024 * 1024,
            body_bytes: 10 * 1024 * 1024,
            redirects: 5,
        }
    }
}

/// Everything a [`WebClient`] is built from.
#[derive(Clone, Debug)]
pub struct WebOptions {
    /// The part that asks, for the audit: `gateway`, `tool web_fetch`.
    pub component: Arc<str>,
    /// Which addresses are open.
    pub rules: PolicyRules,
    /// What a server may cost.
    pub limits: WebLimits,
    /// Which authorities are trusted; a client certificate is never shown to strangers.
    pub tls: TlsOptions,
    /// What is sent as `User-Agent` when the caller sets none.
    pub user_agent: HeaderValue,
    /// What it shares with the other clients.
    pub network: Network,
}

impl WebOptions {
    /// Options for `component` with every default.
    pub fn new(component: impl Into<Arc<str>>) -> Self {
        Self {
            component: component.into(),
            rules: PolicyRules::default(),
            limits: WebLimits::default(),
            tls: TlsOptions::default(),
            user_agent: HeaderValue::from_static(concat!("owl/", env!("CARGO_PKG_VERSION"))),
            network: Network::default(),
        }
    }
}

/// What to fetch.
#[derive(Clone, Debug)]
pub struct WebRequest {
    /// The method.
    pub method: Method,
    /// The URL, as whoever chose it wrote it.
    pub url: String,
    /// Headers that the caller chose. Those that frame a message, name a proxy or open a cloud's metadata are refused.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// On whose behalf.
    pub caller: Caller,
}

impl WebRequest {
    /// A GET of `url`.
    pub fn get(url: impl Into<String>, caller: Caller) -> Self {
        Self { method: Method::GET, url: url.into(), headers: Vec::new(), body: Bytes::new(), caller }
    }
}

/// An answer, complete.
#[derive(Clone, Debug)]
pub struct WebResponse {
    /// Where it came from, after the redirects.
    pub url: TargetUrl,
    /// Its status.
    pub status: StatusCode,
    /// Its headers. `Content-Encoding` and `Content-Length` are gone when the body was decoded.
    pub headers: HeaderMap,
    /// Its body, decoded.
    pub body: Bytes,
    /// The redirects that were followed, in order: where each pointed.
    pub redirects: Vec<TargetUrl>,
}

/// The client for addresses that nobody vouches for. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct WebClient {
    guard: Guard,
    shared: Arc<Shared>,
}

/// What all clones of a client share, whatever their policy.
#[derive(Debug)]
struct Shared {
    limits: WebLimits,
    user_agent: HeaderValue,
    tls_options: TlsOptions,
    /// Loaded with the first `https://` URL: a machine's authorities take milliseconds to read.
    tls: OnceLock<TlsProfile>,
}

impl WebClient {
    /// Builds the client; connects to nothing.
    ///
    /// # Errors
    /// A TLS file that cannot be used.
    pub fn new(options: WebOptions) -> Result<Self, TlsOptionsError> {
        let WebOptions { component, rules, limits, tls, user_agent, network } = options;
        let shared = Shared { limits, user_agent, tls_options: tls, tls: OnceLock::new() };
        if shared.tls_options.ca.is_some() {
            shared.tls()?;
        }
        Ok(Self { guard: Guard::new(component, EgressPolicy::new(rules), network), shared: Arc::new(shared) })
    }

    /// The policy in force.
    pub fn policy(&self) -> &EgressPolicy {
        &self.guard.policy
    }

    /// The same client for public addresses alone: a call may narrow what the operator opened, and never widen it.
    #[must_use]
    pub fn narrowed(&self) -> Self {
        Self { guard: self.guard.with_policy(self.guard.policy.narrowed()), shared: Arc::clone(&self.shared) }
    }

    /// The same client for these hosts, too, beside what its policy opens: what a person has allowed for it.
    #[must_use]
    pub fn opened_for(&self, hosts: &[HostPattern]) -> Self {
        Self { guard: self.guard.with_policy(self.guard.policy.opened_for(hosts)), shared: Arc::clone(&self.shared) }
    }

    /// Fetches, following redirects.
    ///
    /// # Cancel safety
    /// Dropping the future closes the connection at once.
    ///
    /// # Errors
    /// [`WebError`] for everything that is not a complete HTTP answer. Statuses are not errors here.
    pub async fn fetch(&self, request: WebRequest) -> Result<WebResponse, WebError> {
        let total = self.shared.limits.total;
        timeout(total, self.follow(request)).await.map_err(|_| WebError::TotalTimeout(total))?
    }

    async fn follow(&self, request: WebRequest) -> Result<WebResponse, WebError> {
        let WebRequest { method, url, headers, body, caller } = request;
        let headers = headers::check(&headers)?;
        let target = TargetUrl::parse(&url).map_err(WebError::Invalid);
        let target = target.inspect_err(|error| self.tell(&caller, error))?;
        let mut visit = Visit { hop: Hop { target, method, headers, body }, driven_by_public: false };
        let mut redirects: Vec<TargetUrl> = Vec::new();
        let mut visited = vec![visit.hop.target.clone()];
        loop {
            let answer = self.visit(&mut visit, &caller).await;
            let answer = answer.map_err(|error| if redirects.is_empty() { error } else { error.of_redirect() })?;
            let next = visit.hop.next(answer.status, &answer.headers);
            let next = next.inspect_err(|error| self.tell(&caller, error)).map_err(WebError::of_redirect);
            let Some(next) = next? else {
                let status = answer.status;
                let (headers, body) = answer.complete(&self.shared.limits).await?;
                return Ok(WebResponse { url: visit.hop.target, status, headers, body, redirects });
            };
            drop(answer);
            if redirects.len() == self.shared.limits.redirects {
                return Err(WebError::TooManyRedirects(self.shared.limits.redirects));
            }
            if visited.contains(&next.target) && next.method == visit.hop.method {
                return Err(WebError::RedirectLoop);
            }
            visited.push(next.target.clone());
            redirects.push(next.target.clone());
            visit.hop = next;
        }
    }

    /// One hop, from its judgement to the head of its answer.
    async fn visit(&self, visit: &mut Visit, caller: &Caller) -> Result<Answer, WebError> {
        let target = &visit.hop.target;
        let opened = self.judge(target, visit.driven_by_public, caller).await?;
        let limits = &self.shared.limits;
        let dialled = timeout(limits.connect, self.guard.dial(&opened, target.port())).await;
        let dialled = dialled.map_err(|_| WebError::ConnectTimeout(limits.connect))?;
        let (socket, opened) = dialled.map_err(|error| match error {
            DialError::Io(source) => WebError::Connect { origin: target.origin(), source },
            DialError::PeerMismatch => WebError::PeerMismatch,
            DialError::Proxy(reason) => WebError::Proxy(reason),
        })?;
        visit.driven_by_public |= opened.is_public();
        let meter = Arc::default();
        let access = self.guard.tell_opened(caller, target, &opened, &meter);
        let stream = match target.scheme() {
            Scheme::Http => Stream::plain(socket, meter, access),
            Scheme::Https => Stream::tls(self.handshake(target, socket).await?, meter, access),
        };
        exchange::ask(stream, &visit.hop, &self.shared.user_agent, limits).await
    }

    /// The judged addresses of `target`. Everything that can be refused without asking DNS is.
    async fn judge(
        &self,
        target: &TargetUrl,
        driven_by_public: bool,
        caller: &Caller,
    ) -> Result<Vec<Opened>, WebError> {
        let policy = &self.guard.policy;
        let judged = policy.judge_target(target).and_then(|()| match target.host() {
            Host::Address(address) => policy.judge_address(target, *address).map(drop),
            Host::Name(_) => Ok(()),
        });
        let refused = |denied: Denied| WebError::from(if driven_by_public { denied.led_by_public() } else { denied });
        judged.map_err(refused).inspect_err(|error| self.tell_of(caller, target, error))?;
        self.in_rate(|rates, now| rates.admit(caller.key.as_deref().unwrap_or_default(), &destination(target), now))
            .inspect_err(|error| self.tell_of(caller, target, error))?;
        let addresses = self.addresses(target).await?;
        let opened = self.guard.judge_addresses(target, &addresses).await.and_then(|opened| {
            if driven_by_public {
                judge_pivot(target, &opened)?;
            }
            Ok(opened)
        });
        let opened = opened.map_err(refused).inspect_err(|error| self.tell_of(caller, target, error))?;
        if opened.iter().any(|opened| !opened.is_public()) {
            self.in_rate(|rates, now| rates.admit_private(&destination(target), now))
                .inspect_err(|error| self.tell_of(caller, target, error))?;
        }
        Ok(opened)
    }

    async fn addresses(&self, target: &TargetUrl) -> Result<Vec<IpAddr>, WebError> {
        let failed = |source| WebError::Resolve { host: target.host().to_string(), source };
        let lookup = self.guard.network.resolver.lookup_absolute(target, &self.guard.lookups);
        match timeout(self.shared.limits.resolve, lookup).await {
            Ok(found) => found.map_err(failed),
            Err(_) => Err(failed(io::Error::new(io::ErrorKind::TimedOut, "DNS did not answer in time"))),
        }
    }

    fn in_rate(&self, count: impl FnOnce(&RateLimiter, Instant) -> Result<(), RateLimited>) -> Result<(), WebError> {
        match &self.guard.network.rates {
            Some(rates) => count(rates, Instant::now()).map_err(WebError::RateLimited),
            None => Ok(()),
        }
    }

    async fn handshake(&self, target: &TargetUrl, socket: Socket) -> Result<TlsStream<Socket>, WebError> {
        let tls = self.shared.tls().map_err(|error| WebError::TlsOptions(error.to_string()))?;
        let handshake =
            connect::handshake(tls, target, socket).map_err(|error| WebError::TlsOptions(error.to_string()))?;
        let after = self.shared.limits.handshake;
        let done = timeout(after, handshake).await.map_err(|_| WebError::HandshakeTimeout(after))?;
        done.map_err(|error| {
            tracing::debug!(origin = %target.origin(), "TLS failed: {}", tls.handshake_failure(&error));
            WebError::Tls(tls::public_failure(&error))
        })
    }

    /// Tells the audit of a refusal before there is a target.
    fn tell(&self, caller: &Caller, error: &WebError) {
        if let WebError::Invalid(invalid) = error {
            self.guard.tell_invalid(caller, invalid);
        }
    }

    /// Tells the audit of a refusal of `target`.
    fn tell_of(&self, caller: &Caller, target: &TargetUrl, error: &WebError) {
        match error {
            WebError::Denied(denied) => self.guard.tell_denied(caller, target, denied),
            WebError::RateLimited(limited) => self.guard.tell_limited(caller, target, limited.to_string()),
            _ => {}
        }
    }
}

impl Shared {
    fn tls(&self) -> Result<&TlsProfile, TlsOptionsError> {
        if let Some(profile) = self.tls.get() {
            return Ok(profile);
        }
        let profile = self.tls_options.load()?.without_resumption();
        Ok(self.tls.get_or_init(|| profile))
    }
}

/// Where a fetch is, and who brought it there.
struct Visit {
    hop: Hop,
    /// Whether a public page has redirected here: it must not lead into a private network.
    driven_by_public: bool,
}

/// `host:port`, for the rates.
fn destination(target: &TargetUrl) -> String {
    format!("{}:{}", target.host(), target.port())
}

#[cfg(test)]
mod tests;
