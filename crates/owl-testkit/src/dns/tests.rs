use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UdpSocket;

use super::{DnsAnswer, DnsOutcome, DnsServer, Transport};

fn question(id: u16, name: &str, kind: RecordType, payload: Option<u16>) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    if let Some(payload) = payload {
        let mut edns = Edns::new();
        edns.set_max_payload(payload);
        message.set_edns(edns);
    }
    message.to_vec().unwrap()
}

async fn udp() -> UdpSocket {
    #[expect(clippy::disallowed_methods, reason = "the test is the client")]
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap()
}

async fn ask(server: &DnsServer, packet: &[u8]) -> Message {
    let socket = udp().await;
    socket.send_to(packet, server.address()).await.unwrap();
    let mut buffer = vec![0; 65535];
    let (count, from) = socket.recv_from(&mut buffer).await.unwrap();
    assert_eq!(from, server.address());
    assert!(count <= 1232);
    Message::from_vec(&buffer[..count]).unwrap()
}

async fn ask_over_tcp(address: SocketAddr, packet: &[u8]) -> Message {
    #[expect(clippy::disallowed_methods, reason = "the test is the client")]
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_u16(packet.len().try_into().unwrap()).await.unwrap();
    stream.write_all(packet).await.unwrap();
    let mut answer = vec![0; stream.read_u16().await.unwrap().into()];
    stream.read_exact(&mut answer).await.unwrap();
    Message::from_vec(&answer).unwrap()
}

fn addresses(message: &Message) -> Vec<IpAddr> {
    message.answers.iter().filter_map(|record| record.data.ip_addr()).collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[tokio::test]
async fn answers_are_given_in_turn_and_both_families_share_a_turn() {
    let server = DnsServer::start();
    let turn = |v4: &str, v6: &str| DnsAnswer::addresses(&[ip(v4), ip(v6)]);
    server.script("Name.example.net", [turn("192.0.2.1", "2001:db8::1"), turn("192.0.2.2", "2001:db8::2")]);
    let check = async |id: u16, kind: RecordType, expected: &str| {
        let reply = ask(&server, &question(id, "nAme.example.net.", kind, None)).await;
        assert_eq!((reply.metadata.id, addresses(&reply)), (id, vec![ip(expected)]));
    };
    check(1, RecordType::A, "192.0.2.1").await;
    check(2, RecordType::AAAA, "2001:db8::1").await;
    check(3, RecordType::AAAA, "2001:db8::2").await;
    check(3, RecordType::AAAA, "2001:db8::2").await;
    check(4, RecordType::A, "192.0.2.2").await;
    assert_eq!(server.lookups_of("name.EXAMPLE.net."), 3);
    server.script("name.example.net", [turn("192.0.2.9", "2001:db8::9")]);
    check(5, RecordType::A, "192.0.2.9").await;
    assert_eq!(server.lookups_of("name.example.net"), 3, "AAAA is still what was asked most often");
    let kinds: Vec<String> = server.queries().into_iter().map(|query| query.kind).collect();
    assert_eq!(kinds, ["A", "AAAA", "AAAA", "AAAA", "A", "A"]);
}

#[tokio::test]
async fn what_does_not_fit_goes_over_tcp_in_the_same_turn() {
    let server = DnsServer::start();
    let many: Vec<IpAddr> = (0..121).map(|last| Ipv4Addr::new(192, 0, 2, last).into()).collect();
    let few = &many[..60];
    let turns = [DnsAnswer::addresses(&many), DnsAnswer::addresses(few), DnsAnswer::ends(DnsOutcome::NxDomain)];
    server.script("many.example.net", turns);
    let packet = question(7, "many.example.net.", RecordType::A, Some(4096));
    for _ in 0..2 {
        let reply = ask(&server, &packet).await;
        assert!(reply.metadata.truncation && reply.answers.is_empty());
    }
    assert_eq!(addresses(&ask_over_tcp(server.address(), &packet).await), many);
    assert_eq!(server.lookups_of("many.example.net"), 1);
    // Sixty are 1000 bytes: too long for a client that did not say it takes more than 512.
    assert!(ask(&server, &question(8, "many.example.net.", RecordType::A, None)).await.metadata.truncation);
    assert_eq!(addresses(&ask(&server, &question(8, "many.example.net.", RecordType::A, Some(1232))).await), few);
    assert_eq!(server.lookups_of("many.example.net"), 2);
    assert!(server.queries().iter().any(|query| query.over == Transport::Tcp));
}

#[tokio::test]
async fn a_row_is_scripted_with_all_that_it_says() {
    let server = DnsServer::start();
    server.script_row(&json!({
        "env": {"ipv4only.arpa": ["2001:db8::c000:aa"], "zone": {"inner.example.net.": ["10.0.0.9"]}, "search": ["lan"]},
        "steps": [
            {"name": "s.example.net", "answers": [{"A": ["192.0.2.1"], "AAAA": [], "ttl": 60, "cname": ["a.example.net"],
                "additional": {"other.example.net": ["127.0.0.1"]},
                "https_rr": {"ipv4hint": ["127.0.0.2"], "target": "b.example.net"}, "rcode_AAAA": "TIMEOUT"}]},
            {"name": "s.example.net", "answers": [{"A": [], "AAAA": [], "ttl": 0, "rcode": "SERVFAIL"}]},
        ],
    }));
    let reply = ask(&server, &question(1, "s.example.net.", RecordType::A, None)).await;
    assert_eq!(addresses(&reply), [ip("192.0.2.1")]);
    assert!(matches!(&reply.answers[0].data, RData::CNAME(name) if name.0.to_ascii() == "a.example.net."));
    assert_eq!(reply.answers[1].name.to_ascii(), "a.example.net.");
    assert!(reply.additionals.iter().any(|record| record.data.ip_addr() == Some(ip("127.0.0.1"))));
    let hints = ask(&server, &question(2, "s.example.net.", RecordType::HTTPS, None)).await;
    assert!(hints.answers.iter().any(|record| matches!(record.data, RData::HTTPS(_))));

    let socket = udp().await;
    socket.send_to(&question(3, "s.example.net.", RecordType::AAAA, None), server.address()).await.unwrap();
    let unanswered = server.query(|query| query.kind == "AAAA").await;
    assert_eq!(unanswered.peer, socket.local_addr().unwrap());
    // The server handles packets one by one: this answer is there, that one was never sent.
    let inner = ask(&server, &question(4, "inner.example.net.", RecordType::A, None)).await;
    assert_eq!(addresses(&inner), [ip("10.0.0.9")]);
    assert!(socket.try_recv(&mut [0; 512]).is_err());

    let code = async |name: &str| ask(&server, &question(5, name, RecordType::A, None)).await.metadata.response_code;
    assert_eq!(code("unknown.example.net.").await, ResponseCode::NXDomain);
    assert_eq!(code("ipv4only.arpa.").await, ResponseCode::NoError);
    server.script_step(&json!({"name": "s.example.net", "answers": [{"rcode": "SERVFAIL"}]}));
    assert_eq!(code("s.example.net.").await, ResponseCode::ServFail);
}
