//! A web server whose answers a test scripts, for each host and path, down to the bytes.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::conversation::{Conversation, Socket};
use crate::event::{Closed, ClosedBy, Event, Log, Request, TlsFacts};
use crate::fault::Step;
use crate::http::{ServerTls, listen};

/// What ends the path of a route for every query; no request has it.
const ANY_QUERY: &str = "?\n";

/// What is sent for one request.
#[derive(Clone, Debug)]
pub struct Answer(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Http { status: u16, headers: Vec<(Bytes, Bytes)>, body: Bytes, chunk: Option<usize> },
    Steps(Vec<Step>),
}

impl Answer {
    /// A status without a body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self(Kind::Http { status, headers: Vec::new(), body: Bytes::new(), chunk: None })
    }

    /// 200 with a body.
    #[must_use]
    pub fn ok(body: impl Into<Bytes>) -> Self {
        Self::status(200).body(body)
    }

    /// A redirect to `location`, whose bytes are sent as they are.
    #[must_use]
    pub fn redirect(status: u16, location: impl Into<Bytes>) -> Self {
        Self::status(status).header("Location", location)
    }

    /// Anything instead of HTTP; then the connection is closed.
    #[must_use]
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::steps(vec![Step::Send(bytes.into())])
    }

    /// Steps that follow the request; then the connection is closed.
    #[must_use]
    pub fn steps(steps: Vec<Step>) -> Self {
        Self(Kind::Steps(steps))
    }

    /// Adds a header; the same name twice is two headers. A `Content-Length` given here is the one that is sent, and a
    /// `Content-Encoding` changes nothing of the body's bytes.
    ///
    /// # Panics
    /// For an answer that is not HTTP.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Bytes>) -> Self {
        let Kind::Http { headers, .. } = &mut self.0 else { panic!("this answer has no headers") };
        headers.push((Bytes::copy_from_slice(name.as_bytes()), value.into()));
        self
    }

    /// The body.
    ///
    /// # Panics
    /// For an answer that is not HTTP.
    #[must_use]
    pub fn body(mut self, bytes: impl Into<Bytes>) -> Self {
        let Kind::Http { body, .. } = &mut self.0 else { panic!("this answer has no body") };
        *body = bytes.into();
        self
    }

    /// Sends the body in chunks of this size instead of with its length.
    ///
    /// # Panics
    /// For an answer that is not HTTP, or chunks of nothing.
    #[must_use]
    pub fn chunked(mut self, size: usize) -> Self {
        let Kind::Http { chunk, .. } = &mut self.0 else { panic!("this answer has no body") };
        assert!(size > 0, "a chunk of nothing ends the body");
        *chunk = Some(size);
        self
    }

    /// What to play, and whether the connection is kept then.
    fn script(&self, is_head: bool) -> (Vec<Step>, bool) {
        let (status, headers, body, chunk) = match &self.0 {
            Kind::Steps(steps) => return (steps.clone(), false),
            Kind::Http { status, headers, body, chunk } => (status, headers, body, chunk),
        };
        let mut bytes = BytesMut::from(format!("HTTP/1.1 {status} Scripted\r\n").as_bytes());
        for (name, value) in headers {
            bytes.extend_from_slice(&[name, &b": "[..], value, b"\r\n"].concat());
        }
        let is_framed = headers.iter().any(|(name, _)| {
            name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"transfer-encoding")
        });
        if chunk.is_some() {
            bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        } else if !is_framed && !matches!(status, 100..=199 | 204 | 304) {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        if !is_head {
            write_body(&mut bytes, body, *chunk);
        }
        // What the test said of the length need not be true, so nothing can follow.
        (vec![Step::Send(bytes.freeze())], !is_framed)
    }
}

fn write_body(bytes: &mut BytesMut, body: &Bytes, chunk: Option<usize>) {
    let Some(size) = chunk else { return bytes.extend_from_slice(body) };
    for piece in body.chunks(size) {
        bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        bytes.extend_from_slice(&[piece, b"\r\n"].concat());
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
}

/// The server. Dropping it closes the listener and every connection.
#[derive(Debug)]
pub struct WebServer {
    address: SocketAddr,
    secure: bool,
    shared: Arc<Shared>,
    accepting: AbortHandle,
}

#[derive(Debug, Default)]
struct Shared {
    routes: Mutex<Vec<Route>>,
    log: Arc<Log>,
}

#[derive(Debug)]
struct Route {
    host: Option<String>,
    path: String,
    answers: Vec<Answer>,
    asked: usize,
}

impl Drop for WebServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl WebServer {
    /// Listens on a free loopback port. What nobody scripted is a 404.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// The same over TLS.
    ///
    /// # Panics
    /// Outside a tokio runtime, or if the PEM cannot be read.
    #[must_use]
    pub fn start_tls(tls: &ServerTls) -> Self {
        Self::start_with(Some(tls))
    }

    fn start_with(tls: Option<&ServerTls>) -> Self {
        let listener = listen((Ipv4Addr::LOCALHOST, 0).into());
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::<Shared>::default();
        let acceptor = tls.map(ServerTls::acceptor);
        let accepting = tokio::spawn(accept(listener, acceptor, Arc::clone(&shared))).abort_handle();
        Self { address, secure: tls.is_some(), shared, accepting }
    }

    /// Scripts a path (with its query, if it has one) for every host. Again for the same path: the answers are given in
    /// turn, and the last one from then on.
    pub fn on(&self, path: &str, answer: Answer) -> &Self {
        self.route(None, path, answer)
    }

    /// The same for a path with whatever query, or none.
    pub fn on_any_query(&self, path: &str, answer: Answer) -> &Self {
        self.route(None, &format!("{path}{ANY_QUERY}"), answer)
    }

    /// The same for one host, with or without its port. It goes before the answers for every host.
    pub fn on_host(&self, host: &str, path: &str, answer: Answer) -> &Self {
        self.route(Some(host.to_ascii_lowercase()), path, answer)
    }

    fn route(&self, host: Option<String>, path: &str, answer: Answer) -> &Self {
        let mut routes = self.shared.routes.lock().unwrap_or_else(PoisonError::into_inner);
        match routes.iter_mut().find(|route| route.host == host && route.path == path) {
            Some(route) => route.answers.push(answer),
            None => routes.push(Route { host, path: path.to_owned(), answers: vec![answer], asked: 0 }),
        }
        self
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`, or `https://localhost:PORT`.
    #[must_use]
    pub fn origin(&self) -> String {
        let port = self.address.port();
        if self.secure { format!("https://localhost:{port}") } else { format!("http://{}", self.address) }
    }

    /// The requests so far, with all of their headers.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.log.requests()
    }

    /// What happened.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.shared.log
    }
}

impl Shared {
    fn answer(&self, request: &Request) -> Answer {
        let target = match &request.query {
            Some(query) => format!("{}?{query}", request.path),
            None => request.path.clone(),
        };
        let host = request.header("host").unwrap_or_default().to_ascii_lowercase();
        let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let is_for = |route: &Route, any: bool| {
            let fits = route.host.as_ref().map_or(any, |wanted| !any && (*wanted == host || wanted == name));
            let any_query = route.path.strip_suffix(ANY_QUERY) == Some(request.path.as_str());
            fits && (route.path == target || any_query)
        };
        let found = [false, true].into_iter().find_map(|any| routes.iter().position(|route| is_for(route, any)));
        let Some(route) = found.map(|at| &mut routes[at]) else { return Answer::status(404) };
        let nth = route.asked.min(route.answers.len() - 1);
        route.asked += 1;
        route.answers[nth].clone()
    }
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _peer)) = listener.accept().await {
        connections.spawn(serve(stream, acceptor.clone(), Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, acceptor: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let _best_effort = stream.set_nodelay(true);
    let (id, traffic) = shared.log.open();
    let log = Arc::clone(&shared.log);
    let Some(acceptor) = acceptor else {
        return converse(Conversation::new(stream, id, traffic, log), &shared).await;
    };
    match acceptor.accept(stream).await {
        Ok(stream) => {
            let facts = TlsFacts::of(stream.get_ref().1);
            converse(Conversation::new(stream, id, traffic, log).with_tls(facts), &shared).await;
        }
        Err(error) => {
            log.record(Event::HandshakeFailed(id, error.to_string()));
            let (at, by) = (std::time::Instant::now(), ClosedBy::Server);
            log.record(Event::Closed(Closed { connection: id, at, by, received: 0, sent: 0 }));
        }
    }
}

async fn converse<S: Socket>(mut conversation: Conversation<S>, shared: &Shared) {
    let by = loop {
        let Some(request) = conversation.next_request().await else { break ClosedBy::Peer };
        let (script, is_kept) = shared.answer(&request).script(request.method == "HEAD");
        match conversation.play(script).await {
            Some(by) => break by,
            None if is_kept => {}
            None => break ClosedBy::Server,
        }
    };
    conversation.end(by);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Answer, WebServer};
    use crate::certificates::Authority;
    use crate::client::Client;
    use crate::event::ClosedBy;
    use crate::fault::Step;

    #[tokio::test]
    async fn answers_are_found_by_host_and_path_and_given_in_turn() {
        let server = WebServer::start();
        server.on("/", Answer::ok("first")).on("/", Answer::ok("then"));
        server.on_host("a.example", "/?q", Answer::redirect(302, "/x").header("location", &b"\xff"[..]));
        let mut client = Client::connect(server.address()).await.unwrap();
        for expect in ["first", "then", "then"] {
            assert_eq!(client.get("/", &["X-One: 1", "X-One: 2"]).await.unwrap().text(), expect);
        }
        assert_eq!(client.get("/?q", &[]).await.unwrap().status, 404);
        client.send("GET /?q HTTP/1.1\r\nHost: A.example:80\r\n\r\n").await.unwrap();
        let redirect = client.response().await.unwrap();
        assert_eq!(redirect.status, 302);
        let locations: Vec<&str> =
            redirect.headers.iter().filter(|(name, _)| name == "location").map(|(_, value)| value.as_str()).collect();
        assert_eq!(locations, ["/x", "\u{fffd}"]);
        let requests = server.requests();
        assert_eq!(requests[0].headers.get_all("x-one").iter().count(), 2);
        assert_eq!(requests.len(), 5);
    }

    #[tokio::test]
    async fn framing_is_as_the_test_says() {
        let server = WebServer::start();
        server.on("/chunks", Answer::ok("abcdefg").chunked(3).header("Content-Encoding", "br"));
        server.on("/lie", Answer::ok("abc").header("Content-Length", "1099511627776"));
        server.on("/raw", Answer::raw("SSH-2.0-x\r\n"));
        server.on("/much", Answer::steps(vec![Step::Repeat(Bytes::from_static(b"ab"), 1000), Step::Reset]));
        let mut client = Client::connect(server.address()).await.unwrap();
        assert_eq!(client.get("/chunks", &[]).await.unwrap().text(), "abcdefg");
        client.request("HEAD", "/chunks", &[], b"").await.unwrap();
        assert_eq!(client.head().await.unwrap().header("content-encoding"), Some("br"));
        client.request("GET", "/lie", &[], b"").await.unwrap();
        assert_eq!(client.head().await.unwrap().header("content-length"), Some("1099511627776"));
        assert_eq!(client.rest().await.unwrap(), "abc");
        for (path, expect) in [("/raw", 11), ("/much", 2000)] {
            let mut client = Client::connect(server.address()).await.unwrap();
            client.request("GET", path, &[], b"").await.unwrap();
            let asked = server.log().wait_for(|_| server.requests().into_iter().find(|one| one.path == path)).await;
            let closed = server.log().closed(asked.connection).await;
            assert_eq!((closed.by, closed.sent), (ClosedBy::Server, expect), "{path}");
        }
    }

    #[tokio::test]
    async fn a_handshake_that_fails_is_recorded() {
        let server = WebServer::start_tls(&Authority::new("CA").server(&["a.example"]).server_tls());
        let mut client = Client::connect(server.address()).await.unwrap();
        client.get("/", &[]).await.unwrap_err();
        let closed = server.log().closed(crate::ConnectionId(0)).await;
        assert_eq!(closed.by, ClosedBy::Server);
        assert!(server.requests().is_empty());
    }
}
