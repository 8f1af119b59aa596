//! The resolver and the policy together, against a DNS server that gives the answers of the rows; and the resolver alone,
//! against servers that fail in the ways that servers do.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use owl_testkit::dns::Transport;
use owl_testkit::{DnsAnswer, DnsOutcome, DnsServer};
use serde_json::Value;
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;

use super::{Resolver, ResolverOptions};
use crate::policy::{Denied, EgressPolicy, Opened};
use crate::rows::named_rules;
use crate::target::TargetUrl;

const ROWS: &str = include_str!("../../tests/cases/dns.jsonl");

fn target(text: &str) -> TargetUrl {
    TargetUrl::parse(text).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| ip(text)).collect()
}

fn answer(addresses: &[&str]) -> DnsAnswer {
    DnsAnswer::addresses(&ips(addresses))
}

fn asking(servers: &[SocketAddr]) -> Resolver {
    Resolver::new(ResolverOptions::Servers(servers.to_vec()))
}

/// No place is needed to ask a server.
async fn lookup(resolver: &Resolver, host: &str) -> io::Result<Vec<IpAddr>> {
    resolver.lookup_absolute(&target(&format!("http://{host}/")), &Arc::new(Semaphore::new(0))).await
}

fn list<T: FromStr<Err: std::fmt::Debug>>(value: &Value) -> Vec<T> {
    value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().parse().unwrap()).collect()
}

/// The policy that a step names, with the row's own sockets.
fn policy(step: &Value, env: &Value) -> EgressPolicy {
    let mut rules = named_rules(step["policy"].as_str().unwrap());
    rules.own_sockets.extend(list::<SocketAddr>(&env["selfSockets"]));
    EgressPolicy::new(rules)
}

/// How a step went, before any connection: what was opened, or `deny` or `error` and why.
async fn judge(resolver: &Resolver, step: &Value, env: &Value) -> Result<Vec<Opened>, (&'static str, String)> {
    let (policy, target) = (policy(step, env), target(step["url"].as_str().unwrap()));
    let deny = |denied: Denied| ("deny", denied.to_string());
    policy.judge_target(&target).map_err(deny)?;
    let found = resolver.lookup_absolute(&target, &Arc::new(Semaphore::new(0))).await;
    let addresses = found.map_err(|error| ("error", error.to_string()))?;
    let opened = policy.judge_addresses(&target, &addresses).map_err(deny)?;
    let prefixes = resolver.nat64_prefixes().await;
    policy.judge_discovered(&target, opened, &prefixes).map_err(deny)
}

/// Everything that a row says, but for what a connection does.
#[tokio::test]
async fn every_row_has_its_verdict_and_its_number_of_lookups() {
    for row in ROWS.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let server = DnsServer::start();
        server.script_row(&row);
        let resolver = asking(&[server.address()]);
        for step in row["steps"].as_array().unwrap() {
            let name = step["name"].as_str().unwrap();
            server.script_step(step);
            let before = server.lookups_of(name);
            let went = judge(&resolver, step, &row["env"]).await;
            // An address that takes no connection is an error only after it was allowed.
            let expected = if step["connect_fails"].is_array() { "allow" } else { step["expect"].as_str().unwrap() };
            assert_eq!(went.as_ref().map_or_else(|(verdict, _)| *verdict, |_| "allow"), expected, "{went:?} for {row}");
            if let Ok(opened) = went {
                let found: Vec<IpAddr> = opened.iter().map(|one| one.connect_to).collect();
                let connect: Vec<IpAddr> = list(&step["connect"]);
                let canonical: Vec<IpAddr> = connect.iter().map(IpAddr::to_canonical).collect();
                assert_eq!(found, canonical, "{row}");
            }
            let lookups = u64::try_from(server.lookups_of(name) - before).unwrap();
            assert_eq!(lookups, step["max_lookups"].as_u64().unwrap(), "{row}");
            for name in list::<String>(&step["must_not_query"]) {
                assert_eq!(server.lookups_of(&name), 0, "{row}");
            }
        }
    }
}

#[tokio::test]
async fn a_lookup_is_one_question_for_each_family_and_nothing_is_remembered() {
    let server = DnsServer::start();
    server.script("a.example.net", [answer(&["192.0.2.1", "2001:db8::1"]), answer(&["192.0.2.2", "192.0.2.2"])]);
    let resolver = asking(&[server.address()]);
    assert_eq!(lookup(&resolver, "A.Example.net.").await.unwrap(), ips(&["192.0.2.1", "2001:db8::1"]));
    assert_eq!(lookup(&resolver, "a.example.net").await.unwrap(), ips(&["192.0.2.2"]));
    let mut kinds: Vec<String> = server.queries().into_iter().map(|query| query.kind).collect();
    kinds.sort();
    assert_eq!(kinds, ["A", "A", "AAAA", "AAAA"]);
}

#[tokio::test]
async fn addresses_and_localhost_are_asked_of_nobody() {
    let server = DnsServer::start();
    let resolver = asking(&[server.address()]);
    assert_eq!(lookup(&resolver, "10.1.2.3").await.unwrap(), ips(&["10.1.2.3"]));
    assert_eq!(lookup(&resolver, "[fd12::1]").await.unwrap(), ips(&["fd12::1"]));
    assert_eq!(lookup(&resolver, "a.localhost").await.unwrap(), ips(&["127.0.0.1", "::1"]));
    assert_eq!(server.queries(), []);
}

#[tokio::test]
async fn a_long_answer_comes_over_tcp_whole() {
    let server = DnsServer::start();
    let many: Vec<IpAddr> = (0..=250).map(|last| Ipv4Addr::new(192, 0, 2, last).into()).collect();
    server.script("many.example.net", [DnsAnswer::addresses(&many)]);
    assert_eq!(lookup(&asking(&[server.address()]), "many.example.net").await.unwrap(), many);
    let over_tcp = server.queries().iter().filter(|query| query.over == Transport::Tcp).count();
    assert_eq!((over_tcp, server.lookups_of("many.example.net")), (1, 1));
}

#[tokio::test]
async fn an_answer_is_what_the_name_leads_to_and_nothing_beside_it() {
    let server = DnsServer::start();
    let resolver = asking(&[server.address()]);
    let alias = |addresses: &[&str], aliases: &[String]| DnsAnswer { cname: aliases.to_vec(), ..answer(addresses) };
    let chain = |length: usize| (0..length).map(|nth| format!("n{nth}.example.net")).collect::<Vec<_>>();
    server.script("longest.example.net", [alias(&["192.0.2.1"], &chain(16))]);
    server.script("longer.example.net", [alias(&["192.0.2.1"], &chain(17))]);
    server.script("circle.example.net", [alias(&[], &["b.example.net".into(), "Circle.example.net".into()])]);
    let beside = vec![("beside.example.net".to_owned(), ip("127.0.0.1"))];
    let https = Some(("t.example.net".to_owned(), vec![Ipv4Addr::LOCALHOST]));
    server.script("beside.example.net", [DnsAnswer { additional: beside, https, ..DnsAnswer::default() }]);

    assert_eq!(lookup(&resolver, "longest.example.net").await.unwrap(), ips(&["192.0.2.1"]));
    let error = async |host: &str| lookup(&resolver, host).await.unwrap_err().to_string();
    assert!(error("longer.example.net").await.contains("16 aliases"));
    assert!(error("circle.example.net").await.contains("go round in a circle"));
    assert_eq!(error("beside.example.net").await, "the name has no address");
    assert_eq!(error("unknown.example.net").await, "the name does not exist");
    let names: Vec<String> = server.queries().into_iter().map(|query| query.name).collect();
    assert!(names.iter().all(|name| !name.starts_with('n')), "an alias is not asked for: {names:?}");
}

#[tokio::test]
async fn a_server_that_fails_is_left_for_the_next_and_not_asked_again() {
    let (bad, good) = (DnsServer::start(), DnsServer::start());
    let gone = DnsServer::start().address();
    good.script("a.example.net", [answer(&["192.0.2.1"])]);
    // Who does not understand is asked once more in simpler words, for each of the two families.
    for (outcome, queries) in [(DnsOutcome::ServFail, 2), (DnsOutcome::Refused, 2), (DnsOutcome::FormErr, 4)] {
        let before = bad.queries().len();
        bad.script("a.example.net", [DnsAnswer::ends(outcome)]);
        let found = lookup(&asking(&[bad.address(), gone, good.address()]), "a.example.net").await;
        assert_eq!(found.unwrap(), ips(&["192.0.2.1"]), "{outcome:?}");
        assert_eq!(bad.queries().len() - before, queries, "{outcome:?}");
    }
    let error = lookup(&asking(&[bad.address()]), "a.example.net").await.unwrap_err().to_string();
    assert!(error.starts_with("the DNS server failed: "), "{error}");
    let error = lookup(&asking(&[gone]), "a.example.net").await.unwrap_err().to_string();
    assert!(error.starts_with("the DNS server cannot be reached: "), "{error}");
    assert!(lookup(&asking(&[]), "a.example.net").await.is_err());
}

#[tokio::test]
async fn a_silent_server_is_asked_again_and_the_next_beside_it() {
    let (silent, good) = (DnsServer::start(), DnsServer::start());
    silent.script("a.example.net", [DnsAnswer::ends(DnsOutcome::Silence)]);
    good.script("a.example.net", [answer(&["192.0.2.1"])]);
    let found = lookup(&asking(&[silent.address(), good.address()]), "a.example.net").await;
    assert_eq!(found.unwrap(), ips(&["192.0.2.1"]));

    let resolver = asking(&[silent.address()]);
    let twice = async {
        let first = silent.query(|query| query.kind == "A").await;
        silent.query(|query| query.kind == "A" && query.peer != first.peer).await
    };
    tokio::select! {
        result = lookup(&resolver, "a.example.net") => panic!("{result:?} of a server that says nothing"),
        _second = twice => {}
    }
}

/// What comes from the server, but answers something else, is passed over.
#[tokio::test]
async fn only_the_answer_to_the_question_counts() {
    #[expect(clippy::disallowed_methods, reason = "a fake that listens")]
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let server = socket.local_addr().unwrap();
    let liar = async {
        let mut buffer = vec![0; 512];
        loop {
            let (count, peer) = socket.recv_from(&mut buffer).await.unwrap();
            let ask = buffer[..count].to_vec();
            let reply = |id_change: u8, name_change: u8, last: u8| {
                // The question without EDNS, then one A record that points back at its name.
                let end = 12 + ask[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
                let mut reply = ask[..end].to_vec();
                reply[1] ^= id_change;
                reply[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
                reply[13] ^= name_change;
                reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, last]);
                reply
            };
            // The last differs from the name that was asked in its case alone.
            for packet in [vec![], vec![0xff; 40], reply(1, 0, 66), reply(0, 1, 67), reply(0, 0x20, 1)] {
                socket.send_to(&packet, peer).await.unwrap();
            }
        }
    };
    let resolver = asking(&[server]);
    tokio::select! {
        () = liar => {}
        found = lookup(&resolver, "a.example.net") => assert_eq!(found.unwrap(), ips(&["192.0.2.1"])),
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_dropped_lookup_leaves_no_socket() {
    let server = DnsServer::start();
    server.script("a.example.net", [DnsAnswer::ends(DnsOutcome::Silence)]);
    // The third column is the peer; only a lookup of this test connects to this server.
    let peer = format!("0100007F:{:04X}", server.address().port());
    let connected = || {
        let sockets = std::fs::read_to_string("/proc/self/net/udp").unwrap();
        sockets.lines().filter(|line| line.split_ascii_whitespace().nth(2) == Some(&peer)).count()
    };
    let resolver = asking(&[server.address()]);
    let both_asked = async {
        server.query(|query| query.kind == "A").await;
        server.query(|query| query.kind == "AAAA").await;
        connected()
    };
    tokio::select! {
        result = lookup(&resolver, "a.example.net") => panic!("{result:?} of a server that says nothing"),
        sockets = both_asked => assert_eq!(sockets, 2),
    }
    assert_eq!(connected(), 0);
}
