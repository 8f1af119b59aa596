//! One question to one DNS server: over UDP, and over TCP when the answer does not fit (RFC 1035, section 4.2).
//!
//! Each exchange has a socket of its own, from a port that the system picks, connected so that only the server's packets
//! come in. The future owns it: there is no task, and dropping the future closes the socket.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

/// How long a server has for its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a UDP packet may carry without being cut in pieces on the way; the value that resolvers agreed on.
const UDP_PAYLOAD: u16 = 1232;

/// The longest chain of aliases that is followed.
const MAX_ALIASES: usize = 16;

/// What is asked: the addresses of one family of an absolute name.
#[derive(Debug)]
pub(super) struct Question {
    id: u16,
    query: Query,
}

/// What a server that knows its business answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// These addresses, perhaps none.
    Addresses(Vec<IpAddr>),
    /// Nothing of that name exists, whatever the family.
    NoSuchName,
}

impl Question {
    /// For `name` without its trailing dot. The id is the same for each time it is asked.
    ///
    /// # Errors
    /// The name does not fit into a DNS message.
    pub(super) fn new(name: &str, kind: RecordType) -> io::Result<Self> {
        let name = Name::from_labels(name.split('.').map(str::as_bytes)).map_err(io::Error::other)?;
        Ok(Self { id: Message::query().metadata.id, query: Query::query(name, kind) })
    }

    /// Asks `server`.
    ///
    /// # Errors
    /// The server cannot be reached, does not answer in time, or answers that it failed.
    ///
    /// # Cancel safety
    /// Dropping the future closes its socket.
    pub(super) async fn ask(&self, server: SocketAddr) -> io::Result<Reply> {
        match tokio::time::timeout(PATIENCE, self.exchange(server)).await {
            Ok(Ok(message)) => self.read(&message),
            // The system's own words name no server.
            Ok(Err(error)) if error.raw_os_error().is_some() => {
                Err(io::Error::new(error.kind(), format!("the DNS server cannot be reached: {error}")))
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the DNS server does not answer")),
        }
    }

    /// Some old servers refuse what they do not know about (RFC 6891, section 7): they are asked without it.
    async fn exchange(&self, server: SocketAddr) -> io::Result<Message> {
        let message = self.exchange_once(server, true).await?;
        match message.metadata.response_code {
            ResponseCode::FormErr | ResponseCode::NotImp => self.exchange_once(server, false).await,
            _ => Ok(message),
        }
    }

    async fn exchange_once(&self, server: SocketAddr, with_edns: bool) -> io::Result<Message> {
        let bytes = self.encode(with_edns)?;
        match self.over_udp(server, &bytes).await? {
            Some(message) => Ok(message),
            None => self.over_tcp(server, &bytes).await,
        }
    }

    /// `None` when the answer does not fit.
    async fn over_udp(&self, server: SocketAddr, bytes: &[u8]) -> io::Result<Option<Message>> {
        let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        #[expect(clippy::disallowed_methods, reason = "this is the one place that asks DNS servers")]
        let socket = UdpSocket::bind((any, 0)).await?;
        socket.connect(server).await?;
        socket.send(bytes).await?;
        let mut buffer = vec![0; 4096];
        loop {
            let count = socket.recv(&mut buffer).await?;
            let packet = &buffer[..count];
            if self.is_cut_off(packet) {
                return Ok(None);
            }
            // What is no answer to this question is not worth an error: the answer may still come.
            if let Some(message) = self.decode(packet) {
                return Ok(Some(message));
            }
        }
    }

    async fn over_tcp(&self, server: SocketAddr, bytes: &[u8]) -> io::Result<Message> {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that asks DNS servers")]
        let mut stream = TcpStream::connect(server).await?;
        let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), bytes].concat()).await?;
        let mut answer = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut answer).await?;
        self.decode(&answer)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the DNS server's answer is broken"))
    }

    fn encode(&self, with_edns: bool) -> io::Result<Vec<u8>> {
        let mut message = Message::new(self.id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(self.query.clone());
        if with_edns {
            let mut edns = Edns::new();
            edns.set_max_payload(UDP_PAYLOAD).set_version(0);
            message.set_edns(edns);
        }
        message.to_vec().map_err(io::Error::other)
    }

    /// Whether `packet` answers this question and says that it is not all. Such a packet may end anywhere, so only its
    /// head is looked at.
    fn is_cut_off(&self, packet: &[u8]) -> bool {
        const RESPONSE_AND_TRUNCATED: u8 = 0x82;
        let is_flagged = packet.get(2).is_some_and(|flags| flags & RESPONSE_AND_TRUNCATED == RESPONSE_AND_TRUNCATED);
        packet.len() >= 12 && packet[..2] == self.id.to_be_bytes() && is_flagged
    }

    /// The message, when it answers this question and no other.
    fn decode(&self, bytes: &[u8]) -> Option<Message> {
        let message = Message::from_vec(bytes).ok()?;
        let head = &message.metadata;
        let is_mine = head.id == self.id && head.message_type == MessageType::Response && head.op_code == OpCode::Query;
        let is_echoed = match message.queries.as_slice() {
            [query] => *query == self.query,
            // A server that did not understand the question cannot repeat it.
            [] => !matches!(head.response_code, ResponseCode::NoError | ResponseCode::NXDomain),
            [_, ..] => false,
        };
        (is_mine && is_echoed).then_some(message)
    }

    /// The addresses that the answer gives this name. Only the answer section counts, and in it only what the name
    /// leads to: records of other names, and those beside the answer, prove nothing.
    fn read(&self, message: &Message) -> io::Result<Reply> {
        match message.metadata.response_code {
            ResponseCode::NoError => {}
            ResponseCode::NXDomain => return Ok(Reply::NoSuchName),
            code => return Err(io::Error::other(format!("the DNS server failed: {code}"))),
        }
        let mut owner = self.query.name();
        for _ in 0..=MAX_ALIASES {
            let records = message.answers.iter().filter(|one| one.dns_class == DNSClass::IN && one.name == *owner);
            let wanted = records.clone().filter(|record| record.record_type() == self.query.query_type());
            let addresses: Vec<IpAddr> = wanted.filter_map(|record| record.data.ip_addr()).collect();
            if !addresses.is_empty() {
                return Ok(Reply::Addresses(addresses));
            }
            let alias = records.clone().find_map(|record| match &record.data {
                RData::CNAME(name) => Some(&name.0),
                _ => None,
            });
            match alias {
                Some(name) => owner = name,
                None => return Ok(Reply::Addresses(Vec::new())),
            }
        }
        Err(io::Error::other(format!("the name has more than {MAX_ALIASES} aliases, or they go round in a circle")))
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
    use hickory_proto::rr::rdata::{A, AAAA, CNAME};
    use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
    use proptest::prelude::*;

    use super::{Question, Reply};

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    /// A reply to `question`, with records that prove nothing beside the one that does.
    fn reply(question: &Question) -> Message {
        let asked = question.query.name().clone();
        let mut message = Message::from_vec(&question.encode(true).unwrap()).unwrap();
        message.metadata.message_type = MessageType::Response;
        let a = |owner: &Name, last: u8| Record::from_rdata(owner.clone(), 0, RData::A(A::new(192, 0, 2, last)));
        let mut chaos = a(&name("Alias.example.net."), 4);
        chaos.dns_class = DNSClass::CH;
        message.add_answers([
            a(&name("other.example.net."), 3),
            chaos,
            a(&name("ALIAS.example.net."), 1),
            Record::from_rdata(name("alias.example.net."), 0, RData::AAAA(AAAA::new(1, 0, 0, 0, 0, 0, 0, 1))),
            Record::from_rdata(asked.clone(), 0, RData::CNAME(CNAME(name("alias.example.net.")))),
        ]);
        message
            .add_authority(a(&asked, 5))
            .add_additional(a(&asked, 6))
            .add_additional(a(&name("alias.example.net."), 7));
        message
    }

    #[test]
    fn only_records_of_the_answer_that_the_name_leads_to_are_read() {
        let question = Question::new("a.example.net", RecordType::A).unwrap();
        let message = question.decode(&reply(&question).to_vec().unwrap()).unwrap();
        assert_eq!(question.read(&message).unwrap(), Reply::Addresses(vec!["192.0.2.1".parse().unwrap()]));
    }

    #[test]
    fn a_reply_has_to_fit_the_question() {
        let question = Question::new("a.example.net", RecordType::A).unwrap();
        let check = |change: &dyn Fn(&mut Message), fits: bool| {
            let mut message = reply(&question);
            change(&mut message);
            assert_eq!(question.decode(&message.to_vec().unwrap()).is_some(), fits, "{message:?}");
        };
        check(&|_| {}, true);
        check(&|message| message.metadata.id ^= 1, false);
        check(&|message| message.metadata.message_type = MessageType::Query, false);
        check(&|message| message.metadata.op_code = OpCode::Notify, false);
        let query = |text: &str, kind: RecordType| Query::query(name(text), kind);
        check(&|message| message.queries[0] = query("a.example.net.", RecordType::AAAA), false);
        check(&|message| message.queries[0] = query("b.example.net.", RecordType::A), false);
        check(&|message| message.queries[0] = query("A.EXAMPLE.net.", RecordType::A), true);
        check(&|message| message.queries.push(message.queries[0].clone()), false);
        let unrepeated = |message: &mut Message, code: ResponseCode| {
            message.queries.clear();
            message.metadata.response_code = code;
        };
        check(&|message| unrepeated(message, ResponseCode::NoError), false);
        check(&|message| unrepeated(message, ResponseCode::NXDomain), false);
        check(&|message| unrepeated(message, ResponseCode::FormErr), true);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), at in 2_usize..150, byte: u8) {
            let question = Question::new("a.example.net", RecordType::A).unwrap();
            let mut changed = reply(&question).to_vec().unwrap();
            changed[at] = byte;
            changed.truncate(at.max(usize::from(byte)));
            let mut headed = question.id.to_be_bytes().to_vec();
            headed.extend(&bytes);
            for packet in [bytes, headed, changed] {
                question.is_cut_off(&packet);
                if let Some(message) = question.decode(&packet) {
                    let _addresses_or_not = question.read(&message);
                }
            }
        }
    }
}
