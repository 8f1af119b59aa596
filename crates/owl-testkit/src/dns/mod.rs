//! A DNS server that answers from a script, over UDP and TCP: each name has a list of answers that are given in turn, and
//! the last one repeats.
//!
//! A turn is one lookup: its A and its AAAA query belong to the same one, and so do a query that is sent again because
//! no answer came, and the one over TCP after an answer that UDP could not hold.

mod script;

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::http::listen;

pub use script::{DnsAnswer, DnsOutcome};

/// No UDP answer is longer, whatever the client would take.
const UDP_LIMIT: usize = 1232;

/// A query that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsQuery {
    /// The name, in lower case and without its last dot.
    pub name: String,
    /// The type: `A`, `AAAA`, `HTTPS` …
    pub kind: String,
    /// How it came.
    pub over: Transport,
    /// The socket that asked.
    pub peer: SocketAddr,
}

/// How a query came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In a packet.
    Udp,
    /// Over a connection.
    Tcp,
}

/// The server. Dropping it closes its sockets. A name that no script knows does not exist.
#[derive(Debug)]
pub struct DnsServer {
    address: SocketAddr,
    state: Arc<State>,
    serving: [AbortHandle; 2],
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        for task in &self.serving {
            task.abort();
        }
    }
}

#[derive(Debug, Default)]
struct State {
    zone: Mutex<HashMap<String, Script>>,
    queries: watch::Sender<Vec<DnsQuery>>,
}

/// A name's answers, and how far each type of query has come in them.
#[derive(Debug, Default)]
struct Script {
    answers: Vec<DnsAnswer>,
    next: HashMap<RecordType, usize>,
    /// The turns of queries that had no whole answer yet, by type and id: they may be asked again.
    open: HashMap<(RecordType, u16), usize>,
    lookups: HashMap<RecordType, usize>,
}

impl DnsServer {
    /// Listens on a free loopback port, the same for UDP and TCP.
    ///
    /// # Panics
    /// If no port can be bound, or outside a tokio runtime.
    #[must_use]
    pub fn start() -> Self {
        let (tcp, udp) = bind();
        let address = udp.local_addr().expect("a bound socket has an address");
        let state = Arc::<State>::default();
        let serving = [
            tokio::spawn(serve_udp(udp, Arc::clone(&state))).abort_handle(),
            tokio::spawn(serve_tcp(tcp, Arc::clone(&state))).abort_handle(),
        ];
        Self { address, state, serving }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on `name` has these answers, beginning with the first. What was counted stays counted.
    pub fn script(&self, name: &str, answers: impl IntoIterator<Item = DnsAnswer>) {
        let mut zone = self.state.zone();
        let script = zone.entry(canonical(name)).or_default();
        script.answers = answers.into_iter().collect();
        script.next.clear();
        script.open.clear();
    }

    /// Scripts what a row of the DNS cases says: the names of its `env` (`zone`, `ipv4only.arpa`) and of its steps. Of
    /// several steps for one name the first counts; [`DnsServer::script_step`] goes on to the next.
    ///
    /// # Panics
    /// If the row cannot be read.
    pub fn script_row(&self, row: &Value) {
        for step in row["steps"].as_array().expect("a row has steps").iter().rev() {
            self.script_step(step);
        }
        for (key, value) in row["env"].as_object().expect("a row has an env") {
            match key.as_str() {
                "ipv4only.arpa" => self.script(key, [DnsAnswer::addresses(&script::parsed(value))]),
                "zone" => {
                    for (name, addresses) in value.as_object().expect("names with addresses") {
                        self.script(name, [DnsAnswer::addresses(&script::parsed(addresses))]);
                    }
                }
                // Not of the DNS server's world: the client's search list, its hosts file, its policy.
                "search" | "hosts_file" | "selfSockets" => {}
                _ => panic!("an env has no key {key}"),
            }
        }
    }

    /// Scripts the answers of one step of such a row.
    ///
    /// # Panics
    /// If the step cannot be read.
    pub fn script_step(&self, step: &Value) {
        let answers = step["answers"].as_array().expect("a step has answers").iter();
        self.script(step["name"].as_str().expect("a step has a name"), answers.map(DnsAnswer::from_row));
    }

    /// Every query so far.
    #[must_use]
    pub fn queries(&self) -> Vec<DnsQuery> {
        self.state.queries.borrow().clone()
    }

    /// Waits for the query that `wanted` picks out; an earlier one counts too.
    pub async fn query(&self, mut wanted: impl FnMut(&DnsQuery) -> bool) -> DnsQuery {
        let mut queries = self.state.queries.subscribe();
        let found = queries.wait_for(|queries| queries.iter().any(&mut wanted)).await;
        let found = found.expect("the server outlives its borrow");
        found.iter().find(|query| wanted(query)).expect("it was there a moment ago").clone()
    }

    /// How often `name` was looked up: its queries of one type, of the type that was asked most often.
    #[must_use]
    pub fn lookups_of(&self, name: &str) -> usize {
        let zone = self.state.zone();
        zone.get(&canonical(name)).and_then(|script| script.lookups.values().max().copied()).unwrap_or_default()
    }
}

impl State {
    fn zone(&self) -> std::sync::MutexGuard<'_, HashMap<String, Script>> {
        self.zone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reply to `packet`, if there is one.
    fn reply(&self, packet: &[u8], over: Transport, peer: SocketAddr) -> Option<Vec<u8>> {
        let request = Message::from_vec(packet).ok()?;
        let query = request.queries.first()?.clone();
        let (name, kind) = (canonical(&query.name().to_ascii()), query.query_type());
        let mut zone = self.zone();
        let script = zone.entry(name.clone()).or_default();
        let turn = script.turn(kind, request.metadata.id);
        self.queries.send_modify(|queries| queries.push(DnsQuery { name, kind: kind.to_string(), over, peer }));
        let mut reply = Message::response(request.metadata.id, request.metadata.op_code);
        reply.metadata.recursion_desired = request.metadata.recursion_desired;
        reply.metadata.recursion_available = true;
        reply.add_query(query.clone());
        match script.answers.get(turn).or(script.answers.last()) {
            None => reply.metadata.response_code = ResponseCode::NXDomain,
            Some(answer) => {
                reply.metadata.response_code = answer.outcome_of(kind).code()?;
                answer.fill(&mut reply, query.name(), kind);
            }
        }
        let bytes = reply.to_vec().expect("a reply that can be written");
        if over == Transport::Udp && bytes.len() > UDP_LIMIT.min(request.max_payload().into()) {
            return Some(reply.truncate().to_vec().expect("a reply that can be written"));
        }
        // Who is not understood asks again in simpler words, without EDNS.
        if !matches!(reply.metadata.response_code, ResponseCode::FormErr | ResponseCode::NotImp) {
            script.open.remove(&(kind, request.metadata.id));
        }
        Some(bytes)
    }
}

impl Script {
    /// The turn that a query belongs to.
    fn turn(&mut self, kind: RecordType, id: u16) -> usize {
        let Self { next, open, lookups, .. } = self;
        *open.entry((kind, id)).or_insert_with(|| {
            *lookups.entry(kind).or_default() += 1;
            let next = next.entry(kind).or_default();
            std::mem::replace(next, *next + 1)
        })
    }
}

/// A TCP listener and a UDP socket with the same port.
fn bind() -> (TcpListener, UdpSocket) {
    for _ in 0..100 {
        let tcp = listen((Ipv4Addr::LOCALHOST, 0).into());
        let address = tcp.local_addr().expect("a bound socket has an address");
        // Another process may hold that port for UDP.
        #[expect(clippy::disallowed_methods, reason = "a fake that listens")]
        let Ok(udp) = std::net::UdpSocket::bind(address) else { continue };
        udp.set_nonblocking(true).expect("a socket can be non-blocking");
        return (tcp, UdpSocket::from_std(udp).expect("a tokio runtime"));
    }
    panic!("no port is free for both UDP and TCP");
}

async fn serve_udp(socket: UdpSocket, state: Arc<State>) {
    let mut buffer = vec![0; 4096];
    loop {
        // An error tells of a client that is gone; the socket itself is fine.
        let Ok((count, peer)) = socket.recv_from(&mut buffer).await else { continue };
        if let Some(reply) = state.reply(&buffer[..count], Transport::Udp, peer) {
            let _client_may_be_gone = socket.send_to(&reply, peer).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, peer)) = listener.accept().await {
        connections.spawn(converse(stream, peer, Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}

/// Answers the queries of one connection until the client closes it.
async fn converse(mut stream: TcpStream, peer: SocketAddr, state: Arc<State>) -> io::Result<()> {
    loop {
        let mut packet = vec![0; stream.read_u16().await?.into()];
        stream.read_exact(&mut packet).await?;
        if let Some(reply) = state.reply(&packet, Transport::Tcp, peer) {
            let length = u16::try_from(reply.len()).map_err(io::Error::other)?;
            stream.write_all(&[&length.to_be_bytes(), reply.as_slice()].concat()).await?;
        }
    }
}

fn canonical(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
