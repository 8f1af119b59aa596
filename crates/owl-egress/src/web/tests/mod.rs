//! The web client against scripted servers on pipes, so that "public" addresses can be connected to and timeouts pass
//! under a clock that stands still. The case files are in `tests/cases`.

mod audit;
mod dns_rows;
mod http_rows;
mod redirect_rows;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use owl_testkit::{Authority, DnsServer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};

use super::{WebClient, WebError, WebOptions, WebRequest, WebResponse};
use crate::audit::{AuditEvent, AuditSink, Caller};
use crate::dial::Dial;
use crate::resolve::{Resolver, ResolverOptions};
use crate::stream::Socket;

/// A public address of the case files.
const PUBLIC: &str = "http://93.184.215.14/";

/// What a connection is served with.
trait Serve: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Serve for T {}

type Handler = Arc<dyn Fn(SocketAddr, Box<dyn Serve>) -> BoxFuture<'static, ()> + Send + Sync>;

/// How an address behaves.
#[derive(Clone)]
enum Behaviour {
    Serve(Handler),
    Refuse,
    /// It never accepts.
    Silent,
    /// The connection leads somewhere else.
    WrongPeer,
}

/// All addresses that there are.
struct World {
    dialled: Mutex<Vec<SocketAddr>>,
    behaviour: Box<dyn Fn(SocketAddr) -> Behaviour + Send + Sync>,
    /// For connections to port 443.
    tls: Option<tokio_rustls::TlsAcceptor>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

impl World {
    fn new(behaviour: impl Fn(SocketAddr) -> Behaviour + Send + Sync + 'static) -> Self {
        Self { dialled: Mutex::default(), behaviour: Box::new(behaviour), tls: None }
    }

    /// Every address answers each connection with exactly these bytes, once a request has come.
    fn answering(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes: Arc<[u8]> = bytes.into().into();
        Self::serving(move |_, mut stream| {
            let bytes = Arc::clone(&bytes);
            async move {
                read_head(&mut stream).await;
                // The client may have had enough before the end.
                let _ = stream.write_all(&bytes).await;
            }
        })
    }

    fn serving<F>(handler: impl Fn(SocketAddr, Box<dyn Serve>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |address, stream| handler(address, stream).boxed());
        Self::new(move |_| Behaviour::Serve(Arc::clone(&handler)))
    }

    fn with_tls(mut self, identity: &owl_testkit::certificates::Identity) -> Self {
        use rustls::pki_types::pem::PemObject as _;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes()).collect::<Result<Vec<_>, _>>();
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain.expect("certificates"), key)
            .expect("a certificate");
        self.tls = Some(Arc::new(config).into());
        self
    }

    fn behaviour_of(&self, address: SocketAddr) -> Behaviour {
        (self.behaviour)(address)
    }

    fn dialled(&self) -> Vec<SocketAddr> {
        self.dialled.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Dial for World {
    fn dial(&self, address: SocketAddr) -> BoxFuture<'_, std::io::Result<(Socket, SocketAddr)>> {
        self.dialled.lock().unwrap_or_else(PoisonError::into_inner).push(address);
        let (near, far) = tokio::io::duplex(64 * 1024);
        match (self.behaviour)(address) {
            Behaviour::Serve(handler) => {
                tokio::spawn(serve(handler, address, far, self.tls.clone()));
                async move { Ok((Socket::Memory(near), address)) }.boxed()
            }
            Behaviour::Refuse => async { Err(std::io::ErrorKind::ConnectionRefused.into()) }.boxed(),
            Behaviour::Silent => std::future::pending().boxed(),
            Behaviour::WrongPeer => {
                let other = SocketAddr::new([10, 0, 0, 1].into(), address.port());
                async move { Ok((Socket::Memory(near), other)) }.boxed()
            }
        }
    }
}

async fn serve(handler: Handler, address: SocketAddr, stream: DuplexStream, tls: Option<tokio_rustls::TlsAcceptor>) {
    match tls.filter(|_| address.port() == 443) {
        None => handler(address, Box::new(stream)).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                handler(address, Box::new(stream)).await;
            }
        }
    }
}

/// The request's head, as text; empty when the client went away.
async fn read_head(stream: &mut (impl AsyncRead + Unpin + ?Sized)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return String::new(),
        }
    }
    String::from_utf8(head).expect("a head in ASCII")
}

/// `200 OK` with these headers and this body.
fn ok(headers: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{headers}\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// Keeps what the guard tells.
#[derive(Debug, Default)]
struct Kept(Mutex<Vec<AuditEvent>>);

impl AuditSink for Kept {
    fn record(&self, event: AuditEvent) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}

impl Kept {
    fn take(&self) -> Vec<AuditEvent> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn client_in(world: &Arc<World>, change: impl FnOnce(&mut WebOptions)) -> WebClient {
    let mut options = WebOptions::new("test");
    let dialer: Arc<dyn Dial> = Arc::<World>::clone(world);
    options.network.dialer = Some(dialer);
    change(&mut options);
    WebClient::new(options).expect("usable options")
}

async fn fetch_from(world: World, request: WebRequest) -> Result<WebResponse, WebError> {
    client_in(&Arc::new(world), |_| {}).fetch(request).await
}

fn get(url: &str) -> WebRequest {
    WebRequest::get(url, Caller::default())
}

/// An authority's certificate in a file, for `tls.ca`.
fn authority_file(authority: &Authority) -> tempfile::TempPath {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    std::io::Write::write_all(&mut file, authority.certificate().as_bytes()).expect("written");
    file.into_temp_path()
}

/// A resolver that asks this server alone.
fn resolver_asking(dns: &DnsServer) -> Resolver {
    Resolver::new(ResolverOptions::Servers(vec![dns.address()]))
}
