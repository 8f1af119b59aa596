//! An HTTP CONNECT proxy. It connects to loopback only: a map takes the asked address, which may be a public one, to a
//! listener of the test.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

use crate::conversation::Conversation;
use crate::event::{ClosedBy, Log, Request};
use crate::fault::Step;
use crate::http::listen;

/// What the proxy does with a CONNECT whose credentials are right.
#[derive(Clone, Debug, Default)]
pub enum ProxyBehaviour {
    /// Connects to what the map says; without an entry it answers 502.
    #[default]
    Tunnel,
    /// Answers 403.
    Refuse,
    /// Answers nothing and leaves the connection open.
    Hang,
    /// Sends these bytes, then closes.
    Answer(Bytes),
}

/// How to start a [`ConnectProxy`].
#[derive(Clone, Debug, Default)]
pub struct ProxyOptions {
    /// User and password; without the right ones the answer is 407.
    pub credentials: Option<(String, String)>,
    /// What it does then.
    pub behaviour: ProxyBehaviour,
}

/// The proxy. Dropping it closes the listener and every connection.
#[derive(Debug)]
pub struct ConnectProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    options: ProxyOptions,
    routes: Mutex<HashMap<String, SocketAddr>>,
    log: Arc<Log>,
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl ConnectProxy {
    /// Listens on a free loopback port.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn start(options: ProxyOptions) -> Self {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into());
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared { options, routes: Mutex::default(), log: Arc::default() });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Self { address, shared, accepting }
    }

    /// From now on a CONNECT to `asked` reaches `listener`.
    ///
    /// # Panics
    /// If the listener is not on loopback: a test never leaves this machine.
    pub fn route(&self, asked: SocketAddr, listener: SocketAddr) {
        assert!(listener.ip().is_loopback(), "{listener} is not on loopback");
        let mut routes = self.shared.routes.lock().unwrap_or_else(PoisonError::into_inner);
        routes.insert(asked.to_string(), listener);
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, without credentials.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was asked for, in order, as it was written: `CONNECT`'s target. Other methods are there with their own.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.shared.log.requests().into_iter().map(|request| request.path).collect()
    }

    /// What happened; each CONNECT is a request whose path is the target.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.shared.log
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _peer)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let _best_effort = stream.set_nodelay(true);
    let (id, traffic) = shared.log.open();
    let mut conversation = Conversation::new(stream, id, traffic, Arc::clone(&shared.log));
    let by = converse(&mut conversation, &shared).await;
    conversation.end(by);
}

async fn converse(conversation: &mut Conversation<TcpStream>, shared: &Shared) -> ClosedBy {
    let Some(request) = conversation.next_request().await else { return ClosedBy::Peer };
    let script = match shared.judge(&request) {
        Ok(listener) => match dial(listener).await {
            Ok(mut other) => {
                let established = Step::send("HTTP/1.1 200 Connection established\r\n\r\n");
                if let Some(by) = conversation.play(vec![established]).await {
                    return by;
                }
                let _either_end = conversation.tunnel(&mut other).await;
                return ClosedBy::Peer;
            }
            Err(_) => answer("502 Bad Gateway", ""),
        },
        Err(script) => script,
    };
    conversation.play(script).await.unwrap_or(ClosedBy::Server)
}

impl Shared {
    /// Where to, or what is answered instead.
    fn judge(&self, request: &Request) -> Result<SocketAddr, Vec<Step>> {
        if request.method != "CONNECT" {
            return Err(answer("405 Method Not Allowed", ""));
        }
        if let Some((user, password)) = &self.options.credentials {
            let expected = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
            if request.header("proxy-authorization") != Some(&expected) {
                return Err(answer("407 Proxy Authentication Required", "Proxy-Authenticate: Basic realm=\"owl\"\r\n"));
            }
        }
        match &self.options.behaviour {
            ProxyBehaviour::Tunnel => {
                let routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
                routes.get(&request.path).copied().ok_or_else(|| answer("502 Bad Gateway", ""))
            }
            ProxyBehaviour::Refuse => Err(answer("403 Forbidden", "")),
            ProxyBehaviour::Hang => Err(vec![Step::Hang]),
            ProxyBehaviour::Answer(bytes) => Err(vec![Step::Send(bytes.clone())]),
        }
    }
}

fn answer(status: &str, headers: &str) -> Vec<Step> {
    vec![Step::send(&format!("HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n"))]
}

#[expect(clippy::disallowed_methods, reason = "to a listener of the test on loopback, which `route` makes sure of")]
async fn dial(listener: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(listener).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{ConnectProxy, ProxyBehaviour, ProxyOptions};
    use crate::client::Client;
    use crate::web::{Answer, WebServer};

    async fn connect(proxy: &ConnectProxy, target: &str, headers: &str) -> (Client, u16) {
        let mut client = Client::connect(proxy.address()).await.unwrap();
        client.send(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{headers}\r\n")).await.unwrap();
        let status = client.head().await.unwrap().status;
        (client, status)
    }

    #[tokio::test]
    async fn a_public_address_leads_to_a_listener_and_every_other_nowhere() {
        let web = WebServer::start();
        web.on("/", Answer::ok("here"));
        let proxy = ConnectProxy::start(ProxyOptions::default());
        proxy.route("93.184.216.34:80".parse().unwrap(), web.address());
        proxy.route("[2606:2800::1]:443".parse().unwrap(), web.address());

        let (mut client, status) = connect(&proxy, "93.184.216.34:80", "").await;
        assert_eq!(status, 200);
        assert_eq!(client.get("/", &[]).await.unwrap().text(), "here");
        assert_eq!(connect(&proxy, "[2606:2800::1]:443", "").await.1, 200);
        assert_eq!(connect(&proxy, "93.184.216.34:443", "").await.1, 502);
        assert_eq!(proxy.asked(), ["93.184.216.34:80", "[2606:2800::1]:443", "93.184.216.34:443"]);

        let mut client = Client::connect(proxy.address()).await.unwrap();
        assert_eq!(client.get("http://93.184.216.34/", &[]).await.unwrap().status, 405);
        assert_eq!(web.requests().len(), 1);
    }

    #[tokio::test]
    async fn credentials_are_asked_for() {
        let credentials = Some(("owl".to_owned(), "p:w".to_owned()));
        let proxy = ConnectProxy::start(ProxyOptions { credentials, ..ProxyOptions::default() });
        assert_eq!(connect(&proxy, "192.0.2.1:80", "").await.1, 407);
        assert_eq!(connect(&proxy, "192.0.2.1:80", "Proxy-Authorization: Basic b3dsOng=\r\n").await.1, 407);
        // owl:p:w
        assert_eq!(connect(&proxy, "192.0.2.1:80", "Proxy-Authorization: Basic b3dsOnA6dw==\r\n").await.1, 502);
    }

    #[tokio::test]
    async fn it_misbehaves_as_told() {
        let behave = |behaviour| ConnectProxy::start(ProxyOptions { behaviour, ..ProxyOptions::default() });
        assert_eq!(connect(&behave(ProxyBehaviour::Refuse), "192.0.2.1:80", "").await.1, 403);

        let garbage = behave(ProxyBehaviour::Answer(Bytes::from_static(b"SSH-2.0-x\r\n")));
        let mut client = Client::connect(garbage.address()).await.unwrap();
        client.send("CONNECT 192.0.2.1:80 HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!(client.rest().await.unwrap(), "SSH-2.0-x\r\n");

        let silent = behave(ProxyBehaviour::Hang);
        let mut client = Client::connect(silent.address()).await.unwrap();
        client.send("CONNECT 192.0.2.1:80 HTTP/1.1\r\n\r\n").await.unwrap();
        let asked = silent.log().next_request().await;
        drop(client);
        assert_eq!(silent.log().closed(asked.connection).await.sent, 0);
    }
}
