//! The HTTP/1.1 server under the fakes: accepts, speaks TLS if told to, reads each request whole, records it, and
//! notices the moment the other side goes away, whatever the handler is doing then.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::Response;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::event::{Closed, ClosedBy, ConnectionId, Event, Log, Request, TlsFacts, Traffic};

/// A response's body. An error in it cuts the connection in the middle of the answer.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// What a handler gives back.
pub type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// A body that is known whole.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// The server's side of TLS, as PEM.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// The server's certificate and what it was signed with, the leaf first.
    pub certificates: String,
    /// Its private key.
    pub key: String,
    /// Clients must show a certificate that one of these signed.
    pub client_ca: Option<String>,
}

impl ServerTls {
    /// # Panics
    /// If the PEM cannot be read: that is the test's mistake.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let read = |pem: &str| -> Vec<CertificateDer<'static>> {
            CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().expect("certificates in PEM")
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the default versions fit the provider");
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add_parsable_certificates(read(pem));
                let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider)
                    .build()
                    .expect("a usable client CA");
                builder.with_client_cert_verifier(verifier)
            }
        };
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("a private key in PEM");
        let mut config =
            builder.with_single_cert(read(&self.certificates), key).expect("a key that fits the certificate");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

/// How to start an [`HttpServer`].
#[derive(Debug)]
pub struct ListenOptions {
    /// Where; port 0 finds a free one.
    pub listen: SocketAddr,
    /// TLS instead of plain TCP.
    pub tls: Option<ServerTls>,
    /// Where events go.
    pub log: Arc<Log>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self { listen: (Ipv4Addr::LOCALHOST, 0).into(), tls: None, log: Arc::default() }
    }
}

/// A listening HTTP/1.1 server. Dropping it closes the listener and every connection.
#[derive(Debug)]
pub struct HttpServer {
    address: SocketAddr,
    secure: bool,
    log: Arc<Log>,
    close_idle: watch::Sender<()>,
    accepting: AbortHandle,
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl HttpServer {
    /// Listens and answers each request with `handler`.
    ///
    /// # Panics
    /// If the address cannot be bound, or outside a tokio runtime.
    pub fn start(options: ListenOptions, handler: impl Fn(Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = listen(options.listen);
        let address = listener.local_addr().expect("a bound socket has an address");
        let acceptor = options.tls.as_ref().map(ServerTls::acceptor);
        let secure = acceptor.is_some();
        let close_idle = watch::Sender::new(());
        let shared = Shared {
            log: Arc::clone(&options.log),
            acceptor,
            handler: Arc::new(handler),
            close_idle: close_idle.subscribe(),
        };
        let accepting = tokio::spawn(accept(listener, shared)).abort_handle();
        Self { address, secure, log: options.log, close_idle, accepting }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, or `https://localhost:PORT`.
    #[must_use]
    pub fn origin(&self) -> String {
        if self.secure {
            format!("https://localhost:{}", self.address.port())
        } else {
            format!("http://{}", self.address)
        }
    }

    /// What happened.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Closes connections that wait for a request, now, and the others after their answer.
    pub fn close_idle(&self) {
        self.close_idle.send_replace(());
    }
}

/// Binds a listener.
///
/// # Panics
/// If the address cannot be bound, or outside a tokio runtime.
pub(crate) fn listen(address: SocketAddr) -> TcpListener {
    let listener = std::net::TcpListener::bind(address).expect("an address that can be bound");
    listener.set_nonblocking(true).expect("a socket can be non-blocking");
    TcpListener::from_std(listener).expect("a tokio runtime")
}

#[derive(Clone)]
struct Shared {
    log: Arc<Log>,
    acceptor: Option<TlsAcceptor>,
    handler: Arc<dyn Fn(Request) -> Answer + Send + Sync>,
    close_idle: watch::Receiver<()>,
}

async fn accept(listener: TcpListener, shared: Shared) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _peer)) = listener.accept().await {
        connections.spawn(serve(stream, shared.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, shared: Shared) {
    let _best_effort = stream.set_nodelay(true);
    let (id, traffic) = shared.log.open();
    let watch = Watch { id, log: Arc::clone(&shared.log), traffic, over: false };
    let Some(acceptor) = &shared.acceptor else {
        return speak_http(Watched { stream, watch }, id, None, shared).await;
    };
    match acceptor.accept(stream).await {
        Ok(stream) => {
            let facts = TlsFacts::of(stream.get_ref().1);
            speak_http(Watched { stream, watch }, id, Some(facts), shared).await;
        }
        Err(error) => shared.log.record(Event::HandshakeFailed(id, error.to_string())),
    }
}

async fn speak_http<S>(stream: Watched<S>, id: ConnectionId, tls: Option<TlsFacts>, shared: Shared)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let Shared { log, handler, mut close_idle, .. } = shared;
    let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
        let (log, handler, tls) = (Arc::clone(&log), Arc::clone(&handler), tls.clone());
        async move {
            let request = read_whole(request, id, tls).await?;
            log.record(Event::Request(Box::new(request.clone())));
            Ok::<_, hyper::Error>(handler(request).await)
        }
    });
    // hyper keeps reading while the handler works: at the end of the stream it drops the handler's future and the body.
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    close_idle.mark_unchanged();
    tokio::select! {
        _ended = connection.as_mut() => return,
        _asked = close_idle.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ended = connection.await;
}

async fn read_whole(
    request: http::Request<hyper::body::Incoming>,
    connection: ConnectionId,
    tls: Option<TlsFacts>,
) -> Result<Request, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Request {
        connection,
        at: Instant::now(),
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        headers: head.headers,
        body,
        tls,
    })
}

/// A stream that counts its bytes and records its end, once: when reading finds it, or when it is dropped.
struct Watched<S> {
    stream: S,
    watch: Watch,
}

struct Watch {
    id: ConnectionId,
    log: Arc<Log>,
    traffic: Arc<Traffic>,
    over: bool,
}

impl Watch {
    fn end(&mut self, by: ClosedBy) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        let (received, sent) = (self.traffic.received(), self.traffic.sent());
        self.log.record(Event::Closed(Closed { connection: self.id, at: Instant::now(), by, received, sent }));
    }

    fn wrote(&mut self, result: &Poll<io::Result<usize>>) {
        match result {
            Poll::Ready(Ok(count)) => self.traffic.add_sent(*count),
            Poll::Ready(Err(_)) => self.end(ClosedBy::Peer),
            Poll::Pending => {}
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end(ClosedBy::Server);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        match &result {
            Poll::Ready(Ok(())) if buffer.filled().len() > before => {
                self.watch.traffic.add_received(buffer.filled().len() - before);
            }
            Poll::Ready(_) if buffer.remaining() > 0 => self.watch.end(ClosedBy::Peer),
            Poll::Ready(_) | Poll::Pending => {}
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch.wrote(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch.wrote(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
