//! The client for an address that the operator typed.
//!
//! An [`UpstreamClient`] is bound to one origin, carries the credential, pools its connections, follows no redirect, and
//! cannot be built from a URL that came with a request. It passes answers on as they are, 401 included, after it has
//! tried once with a credential read anew.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::time::Sleep;

use crate::audit::Caller;
use crate::connect::Connector;
use crate::credential::{Authentication, SecretSource};
use crate::error::{EgressError, Waiting};
use crate::guard::Guard;
use crate::login::Login;
use crate::network::Network;
use crate::policy::{EgressPolicy, Opened, PolicyRules};
use crate::pool::{Live, Pool, first_byte};
use crate::target::{Scheme, TargetUrl};
use crate::tls::{TlsOptions, TlsOptionsError, TlsReport};

/// How long Owl waits for an upstream. There is no other watchdog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the name's lookup to the end of the TLS handshake, without what the network is asked about its NAT64.
    pub connect: Duration,
    /// From the moment the request begins to be sent to the answer's head; `None` waits for ever.
    pub first_byte: Option<Duration>,
    /// Between two pieces of the answer; `None` waits for ever.
    pub between_bytes: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), first_byte: None, between_bytes: None }
    }
}

/// Everything an [`UpstreamClient`] is built from.
#[derive(Clone, Debug)]
pub struct UpstreamOptions {
    /// The provider's id, for messages.
    pub name: String,
    /// Where the upstream's API begins; `/v1` is added when the path names no version.
    pub base_url: TargetUrl,
    /// How Owl authenticates.
    pub authentication: Authentication,
    /// Headers that every request carries.
    pub headers: Vec<(HeaderName, SecretSource)>,
    /// TLS.
    pub tls: TlsOptions,
    /// Which addresses the base URL's host may have.
    pub rules: PolicyRules,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// How long an idle connection is kept. Below the 5 s after which uvicorn (vLLM, SGLang) closes its end.
    pub idle_timeout: Duration,
    /// How many idle connections are kept.
    pub max_idle: usize,
    /// What it shares with the other clients of the process, its token client included.
    pub network: Network,
}

impl UpstreamOptions {
    /// The default idle time of a connection: 3 s.
    pub const IDLE_TIMEOUT: Duration = Duration::from_secs(3);
    /// The default number of idle connections.
    pub const MAX_IDLE: usize = 64;

    /// Options for `base_url` with every default.
    pub fn new(name: impl Into<String>, base_url: TargetUrl) -> Self {
        Self {
            name: name.into(),
            base_url,
            authentication: Authentication::None,
            headers: Vec::new(),
            tls: TlsOptions::default(),
            rules: PolicyRules::default(),
            timeouts: Timeouts::default(),
            idle_timeout: Self::IDLE_TIMEOUT,
            max_idle: Self::MAX_IDLE,
            network: Network::default(),
        }
    }
}

/// The most that may come before an answer's head is complete, in bytes.
const HEAD_LIMIT: u64 = 1024 * 1024;

/// A request to an upstream.
#[derive(Clone, Debug)]
pub struct UpstreamRequest {
    /// The method.
    pub method: Method,
    /// The path below the base URL, with its query and without a leading slash: `chat/completions?x=1`.
    pub path: String,
    /// The headers; `Host`, `Content-Length` and the credential are the client's own business.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// On whose behalf.
    pub caller: Caller,
}

/// What was seen while a connection was made, for diagnosis.
#[derive(Clone, Debug)]
pub struct ConnectionReport {
    /// The address that was connected to.
    pub peer: SocketAddr,
    /// The TLS session, when there is one.
    pub tls: Option<TlsReport>,
}

/// The client for one origin that the operator typed.
#[derive(Debug)]
pub struct UpstreamClient {
    connector: Connector,
    prefix: String,
    host: HeaderValue,
    login: Login,
    timeouts: Timeouts,
    pool: Arc<Pool>,
}

impl UpstreamClient {
    /// Builds the client: reads the TLS files, connects to nothing.
    ///
    /// # Errors
    /// A TLS file that cannot be used.
    pub fn new(options: UpstreamOptions) -> Result<Self, TlsOptionsError> {
        let prefix = api_prefix(options.base_url.path());
        let component = provider(&options);
        Self::build(options, prefix, component)
    }

    /// A client for an API of another kind than OpenAI's: requests go below exactly the base URL's path, and the audit knows
    /// the client by its bare name.
    ///
    /// # Errors
    /// A TLS file that cannot be used.
    pub fn below_base_url(options: UpstreamOptions) -> Result<Self, TlsOptionsError> {
        let prefix = options.base_url.path().trim_end_matches('/').to_owned();
        let component = options.name.as_str().into();
        Self::build(options, prefix, component)
    }

    /// A client whose requests go below `prefix`.
    pub(crate) fn with_prefix(options: UpstreamOptions, prefix: String) -> Result<Self, TlsOptionsError> {
        let component = provider(&options);
        Self::build(options, prefix, component)
    }

    fn build(options: UpstreamOptions, prefix: String, component: Arc<str>) -> Result<Self, TlsOptionsError> {
        let tls = match options.base_url.scheme() {
            Scheme::Https => Some(options.tls.load()?),
            Scheme::Http => None,
        };
        let host = HeaderValue::from_str(&options.base_url.authority())
            .unwrap_or_else(|_| HeaderValue::from_static("localhost"));
        let login =
            Login::new(options.authentication, options.headers, &options.tls, options.timeouts, &options.network)?;
        let connector = Connector {
            guard: Guard::new(component, EgressPolicy::for_origin(options.rules), options.network),
            target: options.base_url,
            tls,
            timeout: options.timeouts.connect,
        };
        let pool = Pool::new(options.idle_timeout, options.max_idle);
        Ok(Self { connector, prefix, host, login, timeouts: options.timeouts, pool })
    }

    /// The base URL, as it was written.
    pub fn base_url(&self) -> &TargetUrl {
        &self.connector.target
    }

    /// `text` with everything blanked out that Owl shows this upstream: servers and proxies quote requests in error pages.
    pub fn redact(&self, text: &str) -> String {
        self.login.redact(text)
    }

    /// The path that every request's path is put behind: `/v1` or `/prefix/v1`.
    pub fn path_prefix(&self) -> &str {
        &self.prefix
    }

    /// What is odd about the TLS files without keeping them from being used.
    pub fn tls_warnings(&self) -> &[String] {
        self.connector.tls.as_ref().map_or(&[], |tls| tls.warnings())
    }

    /// Judges the base URL and every address its host has now; connects to nothing.
    ///
    /// # Errors
    /// [`EgressError::Denied`] when the policy refuses the name or any address; [`EgressError::Resolve`] or
    /// [`EgressError::Timeout`] when there is no address to judge. A token URL is judged the same way.
    pub async fn admit(&self) -> Result<Vec<Opened>, EgressError> {
        let (own, token) = tokio::join!(self.admit_base_url(), self.admit_token_url());
        // A refusal stops the start; that a name does not resolve now must not hide it.
        match (own, token) {
            (Err(error), None | Some(Ok(_))) | (Ok(_), Some(Err(error))) => Err(error),
            (Err(own), Some(Err(token))) => Err(if token.is_denied() && !own.is_denied() { token } else { own }),
            (Ok(opened), None | Some(Ok(_))) => Ok(opened),
        }
    }

    /// The same for the base URL alone.
    ///
    /// # Errors
    /// As for [`UpstreamClient::admit`].
    pub async fn admit_base_url(&self) -> Result<Vec<Opened>, EgressError> {
        self.connector.judge().await
    }

    /// The same for the token URL alone, which has a policy of its own; `None` where there is none.
    ///
    /// # Errors
    /// As for [`UpstreamClient::admit`].
    pub async fn admit_token_url(&self) -> Option<Result<Vec<Opened>, EgressError>> {
        let token = self.login.token_client()?;
        Some(token.connector.judge().await)
    }

    /// Judges the base URL's port and name, before DNS is asked for it; for diagnosis.
    ///
    /// # Errors
    /// [`EgressError::Denied`].
    pub fn judge_name(&self) -> Result<(), EgressError> {
        Ok(self.connector.guard.policy.judge_operator_target(&self.connector.target)?)
    }

    /// The addresses that the base URL's host has now, not judged; for diagnosis.
    ///
    /// # Errors
    /// As for [`UpstreamClient::admit`], without a judgement of the addresses.
    pub async fn resolve(&self) -> Result<Vec<IpAddr>, EgressError> {
        self.connector.resolve().await
    }

    /// Opens a TCP connection to a judged address and closes it; for diagnosis.
    ///
    /// # Errors
    /// As for [`UpstreamClient::send`], up to the TCP connection.
    pub async fn reach(&self) -> Result<SocketAddr, EgressError> {
        self.connector.reach(&Caller::default()).await
    }

    /// Opens one connection, reports what was seen, and closes it.
    ///
    /// # Errors
    /// As for [`UpstreamClient::send`], up to the end of the TLS handshake.
    pub async fn probe(&self) -> Result<ConnectionReport, EgressError> {
        let connected = self.connector.connect(&Caller::default()).await?;
        Ok(ConnectionReport { peer: connected.peer, tls: connected.tls })
    }

    /// Sends a request and returns the answer's head; its body comes as it arrives.
    ///
    /// A pooled connection that turns out closed before any byte of an answer is replaced once. An answer of 401 makes
    /// the credential be read anew; when that gives another one, the request is sent once more.
    ///
    /// # Cancel safety
    /// Dropping the future, or the body later, closes the connection at once.
    ///
    /// # Errors
    /// [`EgressError`] for everything that is not an HTTP answer. Statuses are not errors here.
    pub async fn send(&self, request: UpstreamRequest) -> Result<Response<UpstreamBody>, EgressError> {
        let uri = self.uri(&request)?;
        let shown = self.login.headers().await?;
        let response = self.attempt(&request, &uri, shown.headers()).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        match self.login.renew(&shown).await? {
            Some(renewed) => {
                drop(response);
                let response = self.attempt(&request, &uri, renewed.headers()).await?;
                if response.status() == StatusCode::UNAUTHORIZED {
                    self.login.note_unhelpful();
                }
                Ok(response)
            }
            None => Ok(response),
        }
    }

    /// Sends a request that shows exactly these headers, in place of the client's own credential.
    pub(crate) async fn send_showing(
        &self,
        request: UpstreamRequest,
        shown: &[(HeaderName, HeaderValue)],
    ) -> Result<Response<UpstreamBody>, EgressError> {
        let uri = self.uri(&request)?;
        self.attempt(&request, &uri, shown).await
    }

    fn uri(&self, request: &UpstreamRequest) -> Result<Uri, EgressError> {
        let text = format!("{}/{}", self.prefix, request.path);
        text.parse().map_err(|error: http::uri::InvalidUri| EgressError::Request(error.into()))
    }

    async fn attempt(
        &self,
        request: &UpstreamRequest,
        uri: &Uri,
        shown: &[(HeaderName, HeaderValue)],
    ) -> Result<Response<UpstreamBody>, EgressError> {
        if let Some(live) = self.pool.take() {
            let before = live.received();
            match self.exchange(live, self.message(request, uri, shown)).await {
                Err((EgressError::Exchange { answered: false, .. }, received)) if received == before => {
                    tracing::debug!(component = %self.connector.guard.component, "a pooled connection was closed; opening another");
                }
                result => return result.map_err(|(error, _)| error),
            }
        }
        let connected = self.connector.connect(&request.caller).await?;
        let live =
            Live::open(connected.stream).await.map_err(|source| EgressError::Exchange { answered: false, source })?;
        self.exchange(Box::new(live), self.message(request, uri, shown)).await.map_err(|(error, _)| error)
    }

    fn message(
        &self,
        request: &UpstreamRequest,
        uri: &Uri,
        shown: &[(HeaderName, HeaderValue)],
    ) -> Request<Full<Bytes>> {
        let mut message = Request::new(Full::new(request.body.clone()));
        *message.method_mut() = request.method.clone();
        *message.uri_mut() = uri.clone();
        let headers = message.headers_mut();
        *headers = request.headers.clone();
        headers.insert(HOST, self.host.clone());
        let takes_a_body = matches!(request.method, Method::POST | Method::PUT | Method::PATCH);
        if takes_a_body && request.body.is_empty() {
            // hyper says nothing of an empty body; servers that ask for its length answer 411.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        headers.remove(AUTHORIZATION);
        for (name, value) in shown {
            headers.insert(name.clone(), value.clone());
        }
        message
    }

    /// Sends one message over one connection and waits for the answer's head.
    async fn exchange(
        &self,
        mut live: Box<Live>,
        message: Request<Full<Bytes>>,
    ) -> Result<Response<UpstreamBody>, (EgressError, u64)> {
        let before = live.received();
        live.meter().expect_head(HEAD_LIMIT);
        let waiting = first_byte(&mut live, message);
        let answer = match self.timeouts.first_byte {
            None => waiting.await,
            Some(after) => match tokio::time::timeout(after, waiting).await {
                Ok(answer) => answer,
                Err(_) => return Err((EgressError::Timeout { waiting: Waiting::FirstByte, after }, live.received())),
            },
        };
        match answer {
            Ok(response) => {
                live.meter().head_came(response.status());
                Ok(response.map(|incoming| UpstreamBody::new(self, incoming, live)))
            }
            Err(source) => {
                let received = live.received();
                Err((self.exchange_error(received != before, source), received))
            }
        }
    }

    fn exchange_error(&self, answered: bool, source: hyper::Error) -> EgressError {
        exchange_error(&self.connector, answered, source)
    }
}

/// A TLS alert that comes after the handshake (a refused client certificate, in TLS 1.3) is a TLS failure.
fn exchange_error(connector: &Connector, answered: bool, source: hyper::Error) -> EgressError {
    match connector.tls.as_ref().and_then(|tls| tls.explain(&source)) {
        Some(reason) => EgressError::Tls { origin: connector.target.origin(), reason },
        None => EgressError::Exchange { answered, source },
    }
}

/// What the audit calls a provider's client.
fn provider(options: &UpstreamOptions) -> Arc<str> {
    format!("provider {}", options.name).into()
}

/// `/v1` behind a base path that names no version; slashes at the end do not matter.
fn api_prefix(path: &str) -> String {
    let path = path.trim_end_matches('/');
    if path.split('/').any(is_version) { path.to_owned() } else { format!("{path}/v1") }
}

/// `v1`, `v4`, `v1beta`, `v2alpha1`; not `v2ray`.
fn is_version(segment: &str) -> bool {
    let Some(rest) = segment.strip_prefix('v') else {
        return false;
    };
    let stage = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
    stage.len() < rest.len() && (stage.is_empty() || stage.starts_with("alpha") || stage.starts_with("beta"))
}

/// The body of an upstream's answer, as it arrives. Dropping it before its end closes the connection.
#[derive(Debug)]
pub struct UpstreamBody {
    incoming: Incoming,
    live: Option<Box<Live>>,
    pool: Arc<Pool>,
    patience: Option<Patience>,
}

/// The timer between two pieces of an answer.
#[derive(Debug)]
struct Patience {
    after: Duration,
    timer: Pin<Box<Sleep>>,
}

impl UpstreamBody {
    fn new(client: &UpstreamClient, incoming: Incoming, live: Box<Live>) -> Self {
        let patience =
            client.timeouts.between_bytes.map(|after| Patience { after, timer: Box::pin(tokio::time::sleep(after)) });
        let mut body = Self { incoming, live: Some(live), pool: Arc::clone(&client.pool), patience };
        body.release_at_end();
        body
    }

    /// Gives the connection back as soon as the answer is complete: the server may never ask for more.
    fn release_at_end(&mut self) {
        if self.incoming.is_end_stream()
            && let Some(live) = self.live.take()
        {
            self.pool.put(live);
        }
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let Self { incoming, live, .. } = self;
        match live {
            Some(live) => live.poll_body(incoming, cx),
            None => Pin::new(incoming).poll_frame(cx),
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = EgressError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, EgressError>>> {
        let this = &mut *self;
        match this.poll_incoming(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(patience) = &mut this.patience {
                    patience.timer.as_mut().reset(tokio::time::Instant::now() + patience.after);
                }
                this.release_at_end();
                // Trailers end a message, and nobody asks for more.
                if frame.is_trailers()
                    && let Some(live) = this.live.take()
                {
                    this.pool.put(live);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(source))) => {
                this.live = None;
                Poll::Ready(Some(Err(EgressError::Exchange { answered: true, source })))
            }
            Poll::Ready(None) => {
                if let Some(live) = this.live.take() {
                    this.pool.put(live);
                }
                Poll::Ready(None)
            }
            Poll::Pending => {
                let Some(patience) = &mut this.patience else {
                    return Poll::Pending;
                };
                ready!(patience.timer.as_mut().poll(cx));
                this.live = None;
                let after = patience.after;
                Poll::Ready(Some(Err(EgressError::Timeout { waiting: Waiting::NextBytes, after })))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use owl_testkit::{DnsAnswer, DnsOutcome, DnsServer};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::address::Tier;
    use crate::resolve::{Resolver, ResolverOptions};

    fn request(address: SocketAddr) -> Request<Full<Bytes>> {
        Request::get("/").header(HOST, address.to_string()).body(Full::default()).expect("a request")
    }

    #[test]
    fn a_base_path_without_a_version_gets_one() {
        let check = |path: &str, expect: &str| assert_eq!(api_prefix(path), expect, "{path}");
        check("/", "/v1");
        check("/v1", "/v1");
        check("/v1/", "/v1");
        check("/llm", "/llm/v1");
        check("/llm/v1/", "/llm/v1");
        check("/api/paas/v4", "/api/paas/v4");
        check("/v1beta/openai/", "/v1beta/openai");
        check("/v2ray", "/v2ray/v1");
        check("/vllm", "/vllm/v1");
        check("/v", "/v/v1");
    }

    /// An operator's name, too, may lead below a prefix that only the network knows of.
    #[tokio::test]
    async fn an_address_below_the_network_s_nat64_is_what_is_inside() {
        let dns = DnsServer::start();
        let answer = |ip: &str| [DnsAnswer::addresses(&[ip.parse().expect("an address")])];
        dns.script("ipv4only.arpa", answer("2a00:64::c000:aa"));
        dns.script("llm.example.net", answer("2a00:64::a00:1"));
        dns.script("gpu.example.net", answer("2a00:65::a00:1"));
        let judge = async |url: &str, open: bool| {
            let (target, _) = TargetUrl::parse_operator(url).expect("a URL");
            let mut options = UpstreamOptions::new("owl", target);
            options.rules.allow_private_network = open;
            options.network.resolver = Resolver::new(ResolverOptions::Servers(vec![dns.address()]));
            UpstreamClient::new(options).expect("no TLS files").admit_base_url().await
        };
        let tier = |opened: Vec<Opened>| opened[0].class.tier;
        let refused = judge("http://llm.example.net/", false).await.expect_err("10.0.0.1 inside").to_string();
        assert!(refused.contains("NAT64 for 10.0.0.1") && refused.contains("allowPrivateNetwork: true"), "{refused}");
        assert_eq!(judge("http://llm.example.net/", true).await.map(tier).expect("open"), Tier::Private);
        assert_eq!(judge("http://gpu.example.net/", false).await.map(tier).expect("open"), Tier::Public);
        let before = dns.queries().len();
        assert_eq!(judge("http://[::1]/", true).await.map(tier).expect("open"), Tier::Loopback);
        assert_eq!(dns.queries().len(), before, "no network announces this machine");
    }

    /// A DNS that says nothing of the network takes none of the time that there is for a connection.
    #[tokio::test(start_paused = true)]
    async fn the_question_about_nat64_is_not_the_upstream_s_time() {
        let dns = DnsServer::start();
        dns.script("ipv4only.arpa", [DnsAnswer::ends(DnsOutcome::Silence)]);
        let (target, _) = TargetUrl::parse_operator("http://[fd00::1]/").expect("a URL");
        let mut options = UpstreamOptions::new("owl", target);
        options.rules.allow_private_network = true;
        options.timeouts.connect = Duration::from_millis(200);
        options.network.resolver = Resolver::new(ResolverOptions::Servers(vec![dns.address()]));
        let client = UpstreamClient::new(options).expect("no TLS files");
        let mut deadline = client.connector.deadline();
        let before = deadline;
        let judged = client.connector.judged(&Caller::default(), &mut deadline).await;
        assert_eq!(judged.expect("open").len(), 1);
        assert!(deadline >= before + Duration::from_secs(1), "{:?}", deadline - before);
    }

    /// The server's close is seen after the connection was taken from the pool and before the request is written.
    #[tokio::test]
    async fn a_connection_that_ends_before_it_takes_the_request_up_fails_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let text = format!("http://{address}");
        let (target, _) = TargetUrl::parse_operator(&text).expect("a URL");
        let mut options = UpstreamOptions::new("owl", target);
        options.rules.allow_private_network = true;
        let client = UpstreamClient::new(options).expect("no TLS files");
        let caller = Caller::default();
        let (connected, accepted) = tokio::join!(client.connector.connect(&caller), listener.accept());
        let (mut server, _) = accepted.expect("accepted");
        let mut live = Live::open(connected.unwrap_or_else(|error| panic!("{error}")).stream).await.expect("open");

        let (answer, ()) = tokio::join!(first_byte(&mut live, request(address)), async {
            assert!(server.read(&mut [0; 1024]).await.expect("a request") > 0);
            server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.expect("sent");
        });
        assert_eq!(answer.expect("an answer").status(), StatusCode::OK);

        drop(server);
        // One turn of the event loop, in which the close is noticed.
        tokio::task::yield_now().await;
        let answer = tokio::time::timeout(Duration::from_secs(10), first_byte(&mut live, request(address)));
        assert!(answer.await.expect("it does not wait for ever").is_err());
    }
}
