//! Connections: accepting them, TLS, limits, and the orderly end.
//!
//! The accept loop is Owl's own because a public listener needs what `axum::serve` does not give: a bound on connections,
//! a clock on slow heads, TLS handshakes off the accept path, and a drain with an end.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower_service::Service as _;

use super::record::BreakingOff;
use crate::config::{GatewayConfig, ServerTls};

/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait when the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// After how long without a byte the kernel asks whether the client is still there, and how often then: a client that
/// vanished without a word (its power, its network) ends its request, and the upstream's work with it.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// The smallest buffer that hyper takes for a request's head, in bytes.
const SMALLEST_HEAD: usize = 8 * 1024;

/// What the listener speaks TLS with.
pub(super) fn tls_acceptor(tls: &ServerTls) -> Result<TlsAcceptor, String> {
    let mut config = tls.load().map_err(|error| format!("{}: {}", error.key, error.reason))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Accepts until `stop`, then closes idle connections and waits for the others' requests, at most for the configured
/// time.
pub(super) async fn run(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    config: &GatewayConfig,
    stop: impl Future<Output = ()>,
    breaking_off: &BreakingOff,
) {
    let server = Arc::new(protocol(config));
    let patience = config.limits.header_timeout;
    let places = Arc::new(Semaphore::new(config.limits.connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            Some(_ended) = connections.join_next() => continue,
            () = &mut stop => break,
        };
        let (stream, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!("a connection could not be accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let watcher = graceful.watcher();
        let (server, router, tls) = (Arc::clone(&server), router.clone(), tls.clone());
        connections.spawn(async move {
            let _place = place;
            match tls {
                None => serve(&server, router, stream, watcher, patience).await,
                Some(tls) => {
                    if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
                        serve(&server, router, stream, watcher, patience).await;
                    }
                }
            }
        });
    }
    drop(listener);
    let open = graceful.count();
    if open > 0 {
        tracing::info!(connections = open, "stopping: waiting for open connections to finish their requests");
    }
    if tokio::time::timeout(config.drain_timeout, graceful.shutdown()).await.is_err() {
        tracing::warn!(
            "open connections were broken off after {} s (gateway.drainTimeout)",
            config.drain_timeout.as_secs_f64()
        );
    }
    breaking_off.begin();
    // Whatever still runs ends here, and leaves its record while there is a log.
    connections.shutdown().await;
}

/// The next connection, once there is a place for it: those that wait in the kernel's queue cost Owl nothing.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    Ok((stream, place))
}

/// HTTP/1.1 and HTTP/2 on one port: by ALPN under TLS, by the preface without (RFC 9113, section 3.3).
fn protocol(config: &GatewayConfig) -> auto::Builder<TokioExecutor> {
    let limits = &config.limits;
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.request_headers.max(SMALLEST_HEAD));
    server
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.request_headers).unwrap_or(u32::MAX))
        .keep_alive_interval(Some(limits.header_timeout));
    server
}

async fn serve<S>(
    server: &auto::Builder<TokioExecutor>,
    router: Router,
    stream: S,
    watcher: hyper_util::server::graceful::Watcher,
    patience: Duration,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let asked = AtomicBool::new(false);
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        asked.store(true, Ordering::Relaxed);
        let mut router = router.clone();
        router.call(request.map(Body::new))
    });
    let connection = server.serve_connection(TokioIo::new(stream), service);
    // hyper's clock runs only when it knows which protocol is spoken: not while nothing, or half a preface, has come.
    let silent = async {
        tokio::time::sleep(patience).await;
        if asked.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        // What goes wrong on a client's connection is in the request's record, if there was a request at all.
        ended = watcher.watch(connection) => if let Err(error) = ended {
            tracing::debug!("a client's connection ended: {error}");
        },
        () = silent => tracing::debug!("a client's connection was closed: no request came"),
    }
}
