//! The egress policy against its cases, its generated table against its sources, and the properties that no list of
//! cases shows.

#![expect(clippy::unwrap_used, reason = "a helper of a test that panics is a test that fails")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use owl_egress::address::{Tier, classify};
use owl_egress::policy::{Cidr, Hint, HostPattern, Nat64Prefix, Opening, Stage, Verdict};
use owl_egress::target::{Host, InvalidTarget, Scheme};
use owl_egress::{Denied, EgressPolicy, PolicyRules, TargetUrl};
use proptest::prelude::*;
use serde_json::Value;

#[path = "../table/generate.rs"]
mod generate;

const IPS: &str = include_str!("cases/ips.jsonl");
const URLS: &str = include_str!("cases/urls.jsonl");
const DNS: &str = include_str!("cases/dns.jsonl");
const POLICIES: &str = include_str!("cases/policies.json");

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn patterns<T: FromStr<Err: std::fmt::Debug>>(policy: &Value, key: &str) -> Vec<T> {
    policy[key].as_array().into_iter().flatten().map(|text| text.as_str().unwrap().parse().unwrap()).collect()
}

fn rules(policy: &Value) -> PolicyRules {
    let known = ["allowPrivateNetwork", "allowHosts", "allowCidrs", "onlyHosts", "blockHosts", "blockCidrs"];
    let also = ["allowPorts", "fakeIpRanges", "nat64Prefixes", "selfSockets"];
    for key in policy.as_object().unwrap().keys() {
        assert!(known.contains(&key.as_str()) || also.contains(&key.as_str()), "{key}");
    }
    PolicyRules {
        allow_private_network: policy["allowPrivateNetwork"].as_bool().unwrap_or_default(),
        allow_hosts: patterns(policy, "allowHosts"),
        allow_cidrs: patterns(policy, "allowCidrs"),
        only_hosts: patterns(policy, "onlyHosts"),
        block_hosts: patterns(policy, "blockHosts"),
        block_cidrs: patterns(policy, "blockCidrs"),
        allow_ports: policy["allowPorts"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|port| u16::try_from(port.as_u64().unwrap()).unwrap())
            .collect(),
        fake_ip_ranges: patterns(policy, "fakeIpRanges"),
        nat64_prefixes: patterns(policy, "nat64Prefixes"),
        own_sockets: patterns(policy, "selfSockets"),
    }
}

fn named_rules(name: &str) -> PolicyRules {
    let file: Value = serde_json::from_str(POLICIES).unwrap();
    rules(&file["policies"][name])
}

fn policy(json: &str) -> EgressPolicy {
    EgressPolicy::new(rules(&serde_json::from_str(json).unwrap()))
}

fn target(text: &str) -> TargetUrl {
    TargetUrl::parse(text).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn addresses(answers: &Value) -> Vec<IpAddr> {
    let of = |kind: &str| answers[kind].as_array().into_iter().flatten().map(|text| ip(text.as_str().unwrap()));
    of("A").chain(of("AAAA")).collect()
}

#[test]
fn every_address_has_the_tier_and_block_of_its_row() {
    let open = EgressPolicy::new(PolicyRules { allow_private_network: true, ..PolicyRules::default() });
    let closed = EgressPolicy::new(PolicyRules::default());
    for row in rows(IPS) {
        let address = ip(row["ip"].as_str().unwrap());
        let class = classify(address);
        assert_eq!(class.tier.name(), row["tier"].as_str().unwrap(), "{row}");
        assert_eq!(class.block, row["block"].as_str().map(|block| block.parse().unwrap()), "{row}");
        if row["via"] != "ipv4-mapped" && class.tier != Tier::LinkLocal {
            assert_eq!(class.embedded, row["embedded_v4"].as_str().map(|ip| ip.parse().unwrap()), "{row}");
        }
        let name = target("http://name.example.net/");
        assert_eq!(open.judge_address(&name, address).is_ok(), row["allowPrivateNetwork"], "{row}");
        assert_eq!(closed.judge_address(&name, address).is_ok(), row["tier"] == "public", "{row}");
    }
}

#[test]
fn every_url_has_the_verdict_and_stage_of_its_row() {
    for row in rows(URLS) {
        let policy = EgressPolicy::new(named_rules(row["policy"].as_str().unwrap()));
        let dns = row["dns"].as_object().map(|_| addresses(&row["dns"]));
        let found = policy.judge_url(row["url"].as_str().unwrap(), dns.as_deref());
        let verdict = match found.verdict {
            Verdict::Allow => "allow",
            Verdict::Deny => "deny",
            Verdict::Invalid => "invalid",
        };
        let expected = (row["expect"].as_str().unwrap(), row["stage"].as_str().unwrap());
        assert_eq!((verdict, found.stage.to_string().as_str()), expected, "{found:?} for {row}");
        assert_eq!(found.message.is_empty(), found.verdict == Verdict::Allow, "{row}");
        // What is parsed has the canonical form of the row; a name's trailing dot is taken off.
        if let (Ok(target), Some(url)) = (TargetUrl::parse(row["url"].as_str().unwrap()), row["canonical_url"].as_str())
        {
            let (host, url) = (row["canonical_host"].as_str().unwrap(), url.split('#').next().unwrap());
            let plain = host.trim_end_matches('.');
            let host = plain.trim_matches(['[', ']']).parse::<IpAddr>().map(|ip| match ip.to_canonical() {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => format!("[{ip}]"),
            });
            let expected = url.replacen(row["canonical_host"].as_str().unwrap(), &host.unwrap_or(plain.to_owned()), 1);
            assert_eq!(format!("{}{}", target.origin(), target.path_and_query()), expected, "{row}");
        }
    }
}

#[test]
fn a_url_judged_before_dns_is_judged_the_same_without_dns() {
    for row in rows(URLS) {
        let stage = row["stage"].as_str().unwrap();
        if stage != "dns" {
            let policy = EgressPolicy::new(named_rules(row["policy"].as_str().unwrap()));
            let found = policy.judge_url(row["url"].as_str().unwrap(), None);
            assert_eq!(found.stage.to_string(), stage, "{row}");
        }
    }
}

/// The first step of each row: what a resolver's first answer leads to, as far as no failure of the resolver decides it.
#[test]
fn first_answers_of_the_dns_cases_are_judged() {
    let mut judged = 0;
    for row in rows(DNS) {
        let step = &row["steps"][0];
        let answers = &step["answers"][0];
        let plain = ["A", "AAAA", "ttl"];
        // A step that ends in an error fails where the connection is made.
        if step["expect"] == "error"
            || !answers.as_object().is_some_and(|answers| answers.keys().all(|key| plain.contains(&key.as_str())))
        {
            continue;
        }
        let mut rules = named_rules(step["policy"].as_str().unwrap());
        rules.own_sockets.extend(patterns::<SocketAddr>(&row["env"], "selfSockets"));
        let policy = EgressPolicy::new(rules);
        let found = policy.judge_url(step["url"].as_str().unwrap(), Some(&addresses(answers)));
        assert_eq!(found.verdict == Verdict::Allow, step["expect"] == "allow", "{found:?} for {row}");
        judged += 1;
    }
    assert!(judged > 40, "{judged}");
}

#[test]
fn the_lists_are_those_of_the_policies_file() {
    let file: Value = serde_json::from_str(POLICIES).unwrap();
    let list = |key: &str| file[key].as_array().unwrap().clone();
    let ports = |key: &str| list(key).iter().map(|port| port.as_u64().unwrap()).collect::<Vec<_>>();
    let open = policy(r#"{"allowPrivateNetwork": true, "allowCidrs": ["0.0.0.0/0", "::/0"]}"#);
    let rule = |text: &str| open.judge_target(&target(text)).map_err(|denied| denied.rule).err();
    for port in 0..=u16::MAX {
        let expected = match u64::from(port) {
            port if ports("bad_ports").contains(&port) => Some("bad-port"),
            port if ports("service_ports").contains(&port) => Some("service-port"),
            _ => None,
        };
        if port < 12_000 || port % 997 == 0 || expected.is_some() {
            assert_eq!(rule(&format!("http://a.example.net:{port}/")), expected, "{port}");
        }
    }
    for name in list("metadata_names") {
        assert_eq!(rule(&format!("http://{}/", name.as_str().unwrap())), Some("metadata-name"));
    }
    let closed = EgressPolicy::new(PolicyRules::default());
    let refused = |text: &str| closed.judge_target(&target(text)).map_err(|denied| denied.rule).err();
    for suffix in list("private_suffixes") {
        let text = format!("http://x.{}/", suffix.as_str().unwrap());
        assert_eq!((rule(&text), refused(&text)), (None, Some("private-suffix")), "{text}");
    }
    for suffix in list("dead_suffixes") {
        let text = format!("http://x.{}/", suffix.as_str().unwrap());
        assert_eq!((rule(&text), refused(&text)), (Some("dead-suffix"), Some("dead-suffix")), "{text}");
        assert!(open.judge_operator_target(&target(&text)).is_ok(), "{text}");
    }
}

#[test]
fn the_table_is_the_one_that_the_sources_make() {
    let committed = include_str!("../src/table.rs");
    assert!(committed == generate::table(), "run `cargo run -p owl-egress --example generate_table`");
}

#[test]
fn both_neighbours_of_every_edge_match_a_naive_scan() {
    let blocks = generate::blocks();
    for block in &blocks {
        for edge in [block.net.addr(), block.net.broadcast()] {
            for near in [before(edge), Some(edge), after(edge)].into_iter().flatten() {
                agrees_with_scan(&blocks, near);
            }
        }
    }
}

fn before(ip: IpAddr) -> Option<IpAddr> {
    match ip {
        IpAddr::V4(ip) => u32::from(ip).checked_sub(1).map(|bits| IpAddr::V4(bits.into())),
        IpAddr::V6(ip) => u128::from(ip).checked_sub(1).map(|bits| IpAddr::V6(bits.into())),
    }
}

fn after(ip: IpAddr) -> Option<IpAddr> {
    match ip {
        IpAddr::V4(ip) => u32::from(ip).checked_add(1).map(|bits| IpAddr::V4(bits.into())),
        IpAddr::V6(ip) => u128::from(ip).checked_add(1).map(|bits| IpAddr::V6(bits.into())),
    }
}

/// Compares with the longest block in the sources. What `classify` adds to the table is left out.
fn agrees_with_scan(blocks: &[generate::Block], ip: IpAddr) {
    let ip = ip.to_canonical();
    let around = blocks.iter().filter(|block| block.net.contains(&ip));
    let longest = around.max_by_key(|block| block.net.prefix_len()).unwrap();
    let class = classify(ip);
    if class.name != "ISATAP address" && longest.net.to_string() != "64:ff9b::/96" {
        assert_eq!(format!("{:?}", class.tier), longest.tier, "{ip}");
        assert_eq!((class.name, class.source), (longest.name.as_str(), longest.source.as_str()), "{ip}");
    }
}

/// What a refusal says to the operator, and what it says to everyone else.
#[test]
fn refusals_say_what_opens_them_and_no_more_to_clients() {
    let check = |json: &str, text: &str, address: &str, expected: &str| {
        let target = target(text);
        let denied = policy(json).judge_address(&target, ip(address)).unwrap_err();
        assert_eq!(denied.to_string(), expected);
        assert_eq!(denied.public_message(), format!("{} is not allowed by the egress policy", denied.host));
    };
    let name = "https://llm.example.net/v1";
    check(
        "{}",
        "http://10.1.2.3/",
        "10.1.2.3",
        "10.1.2.3 is in 10.0.0.0/8, private use; `allowCidrs: [\"10.1.2.3/32\"]` opens it",
    );
    check(
        "{}",
        name,
        "10.1.2.3",
        "llm.example.net resolves to 10.1.2.3, which is in 10.0.0.0/8, private use; `allowHosts: [\"llm.example.net\"]` \
         opens it",
    );
    check(
        "{}",
        name,
        "100.101.102.103",
        "llm.example.net resolves to 100.101.102.103, which is in 100.64.0.0/10, shared address space; \
         `allowHosts: [\"llm.example.net\"]` opens it (Tailscale and the NAT of providers use this range)",
    );
    check(
        "{}",
        name,
        "198.18.0.7",
        "llm.example.net resolves to 198.18.0.7, which is in 198.18.0.0/15, benchmarking; \
         `fakeIpRanges: [\"198.18.0.0/15\"]` opens it (the resolvers of Clash, Surge and sing-box answer with such fake \
         addresses)",
    );
    check(
        "{}",
        "http://169.254.7.7/",
        "169.254.7.7",
        "169.254.7.7 is in 169.254.0.0/16, link local; `allowCidrs: [\"169.254.7.7/32\"]` opens it",
    );
    check(
        "{}",
        "http://[fe00::1]/",
        "fe00::1",
        "fe00::1 is not public: outside the allocated IPv6 unicast space; `allowCidrs: [\"fe00::1/128\"]` opens it",
    );
    check(
        "{}",
        name,
        "224.0.0.1",
        "llm.example.net resolves to 224.0.0.1, which is in 224.0.0.0/4, multicast; nothing opens it",
    );
    check(
        r#"{"nat64Prefixes": ["64:ff9b:1::/96"]}"#,
        name,
        "64:ff9b:1::a01:203",
        "llm.example.net resolves to 64:ff9b:1::a01:203, which is NAT64 for 10.1.2.3, which is in 10.0.0.0/8, private use; \
         `allowHosts: [\"llm.example.net\"]` opens it",
    );
    check(
        "{}",
        name,
        "64:ff9b:1::808:808",
        "llm.example.net resolves to 64:ff9b:1::808:808, which is in 64:ff9b:1::/48, IPv4-IPv6 translation; \
         `nat64Prefixes: [\"64:ff9b:1::/96\"]` opens it (a network's own NAT64 uses this range (RFC 8215))",
    );
    check(
        r#"{"allowPrivateNetwork": true, "blockCidrs": ["10.0.0.0/8"]}"#,
        name,
        "10.1.2.3",
        "llm.example.net resolves to 10.1.2.3, which is in 10.0.0.0/8, private use, and it is blocked; \
         to open it, take \"10.0.0.0/8\" out of `blockCidrs`",
    );
    check(
        r#"{"allowPrivateNetwork": true, "selfSockets": ["0.0.0.0:6950"]}"#,
        "http://localhost:6950/",
        "::1",
        "localhost is ::1, which is in ::1/128, loopback address, and Owl itself listens there; nothing opens it",
    );
}

#[test]
fn refused_names_and_ports_say_what_opens_them() {
    let check = |json: &str, text: &str, rule: &str, expected: &str| {
        let policy = EgressPolicy::for_origin(rules(&serde_json::from_str(json).unwrap()));
        let denied = policy.judge_operator_target(&target(text)).unwrap_err();
        assert_eq!((denied.rule, denied.to_string().as_str()), (rule, expected));
    };
    check(
        "{}",
        "http://host.docker.internal:11434/",
        "private-suffix",
        "host.docker.internal ends in a suffix of private networks; `allowPrivateNetwork: true` opens it (this is the \
         machine that runs the container)",
    );
    check(
        "{}",
        "http://vllm.models.svc.cluster.local:8000/",
        "private-suffix",
        "vllm.models.svc.cluster.local ends in a suffix of private networks; `allowPrivateNetwork: true` opens it (this \
         is a Kubernetes service; its address is private to the cluster)",
    );
    check(
        "{}",
        "http://localhost/",
        "localhost-name",
        "localhost is this machine; `allowPrivateNetwork: true` opens it",
    );
    check(
        "{}",
        "http://a.example.net:6379/",
        "service-port",
        "port 6379 of a.example.net belongs to a service that is not an HTTP API; `allowPorts: [6379]` opens it",
    );
    check(
        r#"{"allowPorts": [25]}"#,
        "http://a.example.net:25/",
        "bad-port",
        "port 25 of a.example.net is one that browsers refuse too; nothing opens it",
    );
    check(
        r#"{"onlyHosts": ["b.example.net"]}"#,
        "https://a.example.net/",
        "only-hosts",
        "a.example.net, port 443, is not in `onlyHosts`; `onlyHosts: [\"a.example.net\"]` opens it",
    );
    check(
        r#"{"blockHosts": ["*.example.net"]}"#,
        "https://a.example.net/",
        "blocked-host",
        "a.example.net is blocked; to open it, take \"*.example.net\" out of `blockHosts`",
    );
}

/// Where any URL can come in, a hint opens that host or address and no other.
#[test]
fn a_hint_for_urls_of_anyone_is_narrow() {
    let check = |text: &str, answer: &str, expected: &str| {
        let answers = [ip(answer)];
        let judgement = policy("{}").judge_url(text, Some(&answers));
        let hint = judgement.hint.unwrap();
        assert_eq!(hint.to_string(), expected, "{text}");
        let (key, value) = hint.entry().unwrap();
        let opened = policy(&format!("{{\"{key}\": [{value}]}}"));
        assert_eq!(opened.judge_url(text, Some(&answers)).verdict, Verdict::Allow, "{text}");
        assert_eq!(opened.judge_url("http://other.example.net/", Some(&[ip("10.9.9.9")])).verdict, Verdict::Deny);
    };
    check("http://nas.example.net/", "10.1.2.3", r#"allowHosts: ["nas.example.net"]"#);
    check("http://nas.lan/", "10.1.2.3", r#"allowHosts: ["nas.lan"]"#);
    check("http://nas/", "192.168.7.2", r#"allowHosts: ["nas"]"#);
    check("http://10.1.2.3/", "10.1.2.3", r#"allowCidrs: ["10.1.2.3/32"]"#);
    check("http://[fd12::1]/", "fd12::1", r#"allowCidrs: ["fd12::1/128"]"#);
    check("http://localhost:11434/", "127.0.0.1", r#"allowHosts: ["localhost:11434"]"#);
    check("http://127.0.0.1/", "127.0.0.1", r#"allowHosts: ["127.0.0.1:80"]"#);
    check("https://[::1]/", "::1", r#"allowHosts: ["[::1]:443"]"#);
    check("http://me.example.net/", "127.0.0.1", r#"allowCidrs: ["127.0.0.1/32"]"#);
    check("http://169.254.169.254/", "169.254.169.254", r#"allowCidrs: ["169.254.169.254/32"]"#);
    check("http://web.example.net/", "198.18.0.9", r#"fakeIpRanges: ["198.18.0.0/15"]"#);
}

/// What operators meet most often is called by its name.
#[test]
fn the_usual_cases_are_recognised() {
    let check = |text: &str, answer: &str, expected: &str| {
        let message = policy("{}").judge_url(text, Some(&[ip(answer)])).message;
        assert!(message.ends_with(&format!(" ({expected})")), "{message}");
    };
    let container = "this is the machine that runs the container";
    for name in ["host.docker.internal", "gateway.docker.internal", "host.containers.internal"] {
        check(&format!("http://{name}:11434/"), "192.168.65.254", container);
    }
    let kubernetes = "this is a Kubernetes service; its address is private to the cluster";
    check("http://vllm.models.svc/", "10.96.0.7", kubernetes);
    check("http://vllm.models.svc.cluster.local/", "10.96.0.7", kubernetes);
    check("http://box.tail1234.ts.net/", "100.101.102.103", "Tailscale and the NAT of providers use this range");
    let fake = "the resolvers of Clash, Surge and sing-box answer with such fake addresses";
    check("https://www.example.com/", "198.18.0.7", fake);
    check("https://www.example.com/", "198.19.255.254", fake);
    let multicast = "names in .local are those of machines on the same link, found by multicast DNS";
    check("http://printer.local/", "192.168.7.3", multicast);
    let metadata = "a cloud's own service, which hands out credentials to whoever can reach it";
    check("http://169.254.169.254/latest/meta-data/", "169.254.169.254", metadata);
    check("http://[fd00:ec2::254]/", "fd00:ec2::254", metadata);
    let nat64 = "NAT64 carries public IPv4 addresses only; ask for the IPv4 address itself";
    check("http://web.example.net/", "64:ff9b::a01:203", nat64);
    check("http://web.example.net/", "64:ff9b:1::1", "a network's own NAT64 uses this range (RFC 8215)");
    check("http://0.0.0.0:8080/", "0.0.0.0", "it would lead back to this machine; to mean that, write 127.0.0.1");
}

/// An address in `blockHosts` is that address, whatever name leads to it.
#[test]
fn a_blocked_address_is_blocked_below_every_name() {
    let blocking = policy(r#"{"allowPrivateNetwork": true, "blockHosts": ["10.1.2.3", "93.184.216.34:8080"]}"#);
    let rule = |text: &str, answer: &str| blocking.judge_url(text, Some(&[ip(answer)])).rule;
    assert_eq!(rule("http://10.1.2.3/", "10.1.2.3"), "blocked-host");
    assert_eq!(rule("http://nas.example.net/", "10.1.2.3"), "blocked-address");
    assert_eq!(rule("http://nas.example.net/", "::ffff:10.1.2.3"), "blocked-address");
    assert_eq!(rule("http://nas.example.net/", "10.1.2.4"), "allow-private-network");
    assert_eq!(rule("http://web.example.net:8080/", "93.184.216.34"), "blocked-address");
    assert_eq!(rule("http://web.example.net/", "93.184.216.34"), "public");
}

/// A long list is looked up by hash; it must judge as a short one does.
#[test]
fn long_lists_judge_as_short_ones() {
    let entries = ["nas.example.net", "*.lab.example.net", "ha.example.net:8123", "10.20.30.40", "*.lan:8080"];
    let more: Vec<String> = (0..100).map(|number| format!("\"unrelated{number}.example.org\"")).collect();
    let written = entries.map(|entry| format!("\"{entry}\"")).join(", ");
    for key in ["allowHosts", "onlyHosts", "blockHosts"] {
        let short = policy(&format!("{{\"{key}\": [{written}]}}"));
        let long = policy(&format!("{{\"{key}\": [{}, {written}]}}", more.join(", ")));
        for host in ["nas", "a.nas", "lab", "a.lab", "a.b.lab", "xlab", "ha", "ha.example.net:8123/?"] {
            let text = format!("http://{host}.example.net/").replace("?.example.net/", "");
            let (one, other) =
                (short.judge_url(&text, Some(&[ip("10.0.0.9")])), long.judge_url(&text, Some(&[ip("10.0.0.9")])));
            assert_eq!(one, other, "{key} {text}");
        }
        for text in ["http://10.20.30.40/", "http://x.lan:8080/", "http://x.lan/", "http://unrelated.example.org/"] {
            assert_eq!(short.judge_url(text, None), long.judge_url(text, None), "{key} {text}");
        }
    }
}

/// Every hint about an address, taken as the configuration it is, opens that address.
#[test]
fn a_hint_opens_what_was_refused() {
    let name = target("https://llm.example.net/v1");
    for row in rows(IPS) {
        let address = ip(row["ip"].as_str().unwrap());
        let Err(Denied { hint, .. }) = policy("{}").judge_address(&name, address) else { continue };
        let hint = hint.unwrap();
        if hint == Hint::Nothing {
            assert_eq!(row["tier"], "never", "{row}");
            continue;
        }
        let (key, value) = hint.to_string().split_once(": ").map(|(k, v)| (k.to_owned(), v.to_owned())).unwrap();
        let opened = policy(&format!("{{\"{key}\": {value}}}")).judge_address(&name, address);
        // The prefix opens the public addresses inside; a private one inside then asks for its own key.
        assert!(opened.is_ok() || matches!(hint, Hint::Nat64Prefixes(_)), "{hint} for {row}");
    }
}

#[test]
fn own_sockets_stay_closed_whatever_is_open() {
    let json = r#"{"allowPrivateNetwork": true, "allowCidrs": ["0.0.0.0/0", "::/0"],
        "selfSockets": ["0.0.0.0:6950", "192.168.1.10:1"], "nat64Prefixes": ["64:ff9b:1::/96"]}"#;
    let policy = policy(json);
    let own = target("http://name.example.net:6950/");
    for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "192.168.1.10", "64:ff9b:1::7f00:1"] {
        assert_eq!(policy.judge_address(&own, ip(address)).unwrap_err().rule, "own-socket", "{address}");
    }
    assert!(policy.judge_address(&own, ip("192.168.1.11")).is_ok());
    assert!(policy.judge_address(&target("http://name.example.net:6951/"), ip("127.0.0.1")).is_ok());
}

#[test]
fn localhost_is_its_two_addresses_and_no_answer_of_dns() {
    let check = |json: &str, text: &str, expected: Result<&[&str], &str>| {
        let found = policy(json).judge_url(text, Some(&[ip("93.184.215.14")]));
        let target = target(text);
        let opened = policy(json)
            .judge_addresses(&target, &owl_egress::target::LOCALHOST)
            .map(|opened| opened.iter().map(|opened| opened.connect_to.to_string()).collect::<Vec<_>>());
        match expected {
            Ok(addresses) => {
                assert_eq!((found.verdict, found.stage), (Verdict::Allow, Stage::Ip), "{json} {text}");
                assert_eq!(opened.unwrap(), addresses, "{json} {text}");
            }
            Err(rule) => assert_eq!(found.rule, rule, "{json} {text}"),
        }
    };
    check("{}", "http://localhost:11434/", Err("localhost-name"));
    check(r#"{"allowPrivateNetwork": true}"#, "http://localhost:11434/", Ok(&["127.0.0.1", "::1"]));
    check(r#"{"allowPrivateNetwork": true}"#, "http://a.LOCALHOST./", Ok(&["127.0.0.1", "::1"]));
    check(r#"{"allowHosts": ["localhost:11434"]}"#, "http://localhost:11434/", Ok(&["127.0.0.1", "::1"]));
    check(r#"{"allowHosts": ["localhost:11434"]}"#, "http://localhost:11435/", Err("localhost-name"));
    check(r#"{"allowCidrs": ["127.0.0.0/8"]}"#, "http://localhost/", Ok(&["127.0.0.1"]));
    check(r#"{"allowCidrs": ["10.0.0.0/8"]}"#, "http://localhost/", Err("localhost-name"));
    let own = r#"{"allowPrivateNetwork": true, "selfSockets": ["127.0.0.1:6950"]}"#;
    check(own, "http://localhost:6950/", Err("own-socket"));
    let blocked = r#"{"allowPrivateNetwork": true, "blockCidrs": ["::1/128"]}"#;
    check(blocked, "http://localhost/", Err("blocked-address"));
}

#[test]
fn each_key_opens_its_tiers_and_no_other() {
    let check = |json: &str, text: &str, address: &str, expected: Result<Opening, &str>| {
        let found = policy(json).judge_address(&target(text), ip(address));
        assert_eq!(found.map(|opened| opened.by).map_err(|denied| denied.rule), expected, "{json} {text} {address}");
    };
    let name = "http://nas.example.net:8123/";
    let hosts = r#"{"allowHosts": ["nas.example.net:8123", "127.0.0.1:9000", "*.lab.example.net"]}"#;
    check(hosts, name, "10.0.0.1", Ok(Opening::AllowHosts));
    check(hosts, name, "93.184.215.14", Ok(Opening::Public));
    check(hosts, name, "127.0.0.1", Err("loopback-address"));
    check(hosts, name, "169.254.1.1", Err("link-local-address"));
    check(hosts, name, "198.18.0.1", Err("special-address"));
    check(hosts, "http://nas.example.net/", "10.0.0.1", Err("private-address"));
    check(hosts, "http://127.0.0.1:9000/", "127.0.0.1", Ok(Opening::AllowHosts));
    check(hosts, "http://127.0.0.1:9001/", "127.0.0.1", Err("loopback-address"));
    check(hosts, "http://a.b.lab.example.net/", "fd12::1", Ok(Opening::AllowHosts));
    check(hosts, "http://lab.example.net/", "fd12::1", Err("private-address"));
    let broad = r#"{"allowCidrs": ["0.0.0.0/0", "::/0"], "allowPrivateNetwork": true}"#;
    check(broad, name, "169.254.1.1", Ok(Opening::AllowCidrs));
    check(broad, name, "198.18.0.1", Ok(Opening::AllowCidrs));
    check(broad, name, "169.254.169.254", Err("metadata-address"));
    check(broad, name, "168.63.129.16", Err("metadata-address"));
    check(broad, name, "0.0.0.0", Err("never-address"));
    check(broad, name, "64:ff9b::7f00:1", Err("never-address"));
    let exact = r#"{"allowCidrs": ["169.254.169.254/32", "fd00:ec2::254/128", "169.254.170.0/24"]}"#;
    check(exact, name, "::ffff:169.254.169.254", Ok(Opening::AllowCidrs));
    check(exact, name, "fd00:ec2::254", Ok(Opening::AllowCidrs));
    check(exact, name, "fd00:ec2::253", Err("metadata-address"));
    check(exact, name, "169.254.170.2", Err("metadata-address"));
    let fake = r#"{"fakeIpRanges": ["198.18.0.0/15", "127.0.0.0/8", "169.254.0.0/16", "10.0.0.0/8"]}"#;
    check(fake, name, "198.19.255.255", Ok(Opening::FakeIp));
    check(fake, name, "127.0.0.1", Err("loopback-address"));
    check(fake, name, "169.254.1.1", Err("link-local-address"));
    check(fake, name, "10.0.0.1", Err("private-address"));
    // The operator's prefix cannot make a well-known one better.
    let nat64 = r#"{"nat64Prefixes": ["64:ff9b::/96"], "allowPrivateNetwork": true}"#;
    check(nat64, name, "64:ff9b::a00:1", Err("never-address"));
}

/// The examples of RFC 6052, section 2.4: 192.0.2.33 below a prefix of each length.
#[test]
fn nat64_prefixes_of_every_length_are_taken_apart() {
    let check = |prefix: &str, address: &str| {
        let prefix: Nat64Prefix = prefix.parse().unwrap();
        let address: Ipv6Addr = address.parse().unwrap();
        assert_eq!(prefix.embedded(address), Some(Ipv4Addr::new(192, 0, 2, 33)), "{prefix}");
        assert_eq!(prefix.embedded(Ipv6Addr::LOCALHOST), None);
    };
    check("2001:db8::/32", "2001:db8:c000:221::");
    check("2001:db8:100::/40", "2001:db8:1c0:2:21::");
    check("2001:db8:122::/48", "2001:db8:122:c000:2:2100::");
    check("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::");
    check("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::");
    check("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33");
}

#[test]
fn a_wrong_pattern_says_what_to_write() {
    fn check<T: FromStr<Err: std::fmt::Display> + std::fmt::Debug>(text: &str, expected: &str) {
        let error = T::from_str(text).map(|_| ()).map_err(|error| error.to_string()).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
    check::<HostPattern>("", "it is empty");
    check::<HostPattern>("https://nas.lan:8443/v1", "write only the host, `nas.lan:8443`");
    check::<HostPattern>("nas.lan/v1", "write only the host, `nas.lan`");
    check::<HostPattern>("10.0.0.0/8", "`allowCidrs`");
    check::<HostPattern>("user:hunter2@nas.lan", "user name or password");
    check::<HostPattern>("*", "`*.suffix`");
    check::<HostPattern>("a.*.lan", "only in front");
    check::<HostPattern>("*.10.0.0.1", "write `10.0.0.1`");
    check::<HostPattern>("nas.lan:http", "from 1 to 65535");
    check::<HostPattern>("nas.lan:+80", "from 1 to 65535");
    check::<HostPattern>("nas.lan:0", "from 1 to 65535");
    check::<HostPattern>("nas..lan", "two dots");
    check::<HostPattern>("nas lan", "not a host");
    check::<Cidr>("10.1.2.3/8", "write `10.0.0.0/8`");
    check::<Cidr>("10.1.2.3", "write `10.1.2.3/32`");
    check::<Cidr>("fd12::1", "write `fd12::1/128`");
    check::<Cidr>("10.0.0.0/33", "from 0 to 32");
    check::<Cidr>("10.0.0.0/+8", "from 0 to 32");
    check::<Cidr>("fd00::/129", "from 0 to 128");
    check::<Cidr>("nas.lan", "`10.0.0.0/8`");
    check::<Cidr>("nas.lan/8", "`nas.lan` is not an address");
    check::<Cidr>("::ffff:10.0.0.0/104", "write `10.0.0.0/8`");
    check::<Nat64Prefix>("2001:db8::/33", "32, 40, 48, 56, 64 or 96");
    check::<Nat64Prefix>("10.0.0.0/8", "IPv6");
}

#[test]
fn a_pattern_prints_as_it_was_typed() {
    for text in ["NAS.lan", "*.Lab.example.net", "nas.lan.:8123", "[::1]:11434", "::1", "10.20.30.40:9000", "*.lan:80"]
    {
        assert_eq!(text.parse::<HostPattern>().unwrap().to_string(), text);
    }
    assert_eq!("fd12:0::/48".parse::<Cidr>().unwrap().to_string(), "fd12:0::/48");
    assert_eq!("64:ff9b:1::/96".parse::<Nat64Prefix>().unwrap().to_string(), "64:ff9b:1::/96");
    assert!("bücher.example.net".parse::<HostPattern>().unwrap().matches(&target("http://xn--bcher-kva.example.net/")));
    assert!("::ffff:10.0.0.1".parse::<HostPattern>().unwrap().matches(&target("http://10.0.0.1/")));
}

#[test]
fn a_target_is_canonical_and_prints_redacted() {
    let url = target("HTTP://EXAMPLE.net.:80/a/%20b?key=sk-secret#part");
    assert_eq!(url.scheme(), Scheme::Http);
    assert_eq!(url.host(), &Host::Name("example.net".to_owned()));
    assert_eq!((url.port(), url.path(), url.path_and_query()), (80, "/a/%20b", "/a/%20b?key=sk-secret"));
    assert_eq!((url.origin().as_str(), url.authority().as_str()), ("http://example.net", "example.net"));
    assert_eq!(url.to_string(), "http://example.net/a/%20b?…(13 bytes)");
    assert_eq!(format!("{url:?}"), url.to_string());
    let mapped = target("https://[::ffff:10.0.0.1]:8443/");
    assert_eq!((mapped.origin().as_str(), mapped.host()), ("https://10.0.0.1:8443", &Host::Address(ip("10.0.0.1"))));
    assert_eq!(target("https://[fd12::1]/").authority(), "[fd12::1]");
}

#[test]
fn an_operators_credentials_are_taken_out() {
    let (url, credentials) = TargetUrl::parse_operator("https://us%40er:p%3Ass@llm.example.net/v1").unwrap();
    let (user, password) = credentials.unwrap();
    assert_eq!((user.as_str(), password.expose()), ("us@er", "p:ss"));
    assert_eq!(url, target("https://llm.example.net/v1"));
    assert!(TargetUrl::parse_operator("https://llm.example.net").unwrap().1.is_none());
    let check = |text: &str, expected: &str| {
        let error = TargetUrl::parse_operator(text).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(expected), "{text}: {error}");
        assert!(!error.to_string().contains("hunter2") && !format!("{error:?}").contains("hunter2"), "{error:?}");
    };
    check("https://h.example.net/?key=hunter2", "no query");
    check("https://h.example.net/#hunter2", "no fragment");
    check("https://u:hunter2%ff@h.example.net/", "UTF-8");
    check("u:hunter2@h.example.net", "begin it with http://");
    check("hunter2:8000", "begin it with http://");
    check("h.example.net/v1", "begin it with http://");
    check("ftp://u:hunter2@h.example.net/", "the scheme ftp");
    check("https://u:hunter2@h..example.net/", "two dots");
    assert_eq!(TargetUrl::parse("https://u:p@h.example.net/").unwrap_err(), InvalidTarget::UserInfo);
}

/// A client may send megabytes; neither its answer nor a line of the log repeats them.
#[test]
fn a_long_url_is_printed_short_and_a_huge_one_is_none() {
    let url = |length: usize| format!("http://h.example.net/{}", "k".repeat(length));
    let shown = TargetUrl::parse(&url(5000)).unwrap().to_string();
    assert_eq!(shown, format!("{}…(3977 bytes)", url(1023)));
    assert_eq!(TargetUrl::parse(&url(1023)).unwrap().to_string(), url(1023));
    let huge = url(owl_egress::target::LONGEST);
    assert_eq!(TargetUrl::parse(&huge).unwrap_err(), InvalidTarget::TooLong);
    assert_eq!(TargetUrl::parse_operator(&huge).map(|_| ()).unwrap_err(), InvalidTarget::TooLong);
}

/// Not a benchmark: only that a lookup is a search and not a scan that allocates.
#[test]
fn a_lookup_takes_well_under_a_microsecond() {
    let addresses: Vec<IpAddr> = rows(IPS).iter().map(|row| ip(row["ip"].as_str().unwrap())).collect();
    let begin = std::time::Instant::now();
    let mut public = 0;
    for _ in 0..1000 {
        public += addresses.iter().filter(|ip| classify(std::hint::black_box(**ip)).tier == Tier::Public).count();
    }
    let each = begin.elapsed().as_nanos() / (1000 * addresses.len() as u128);
    println!("{each} ns for each of {} addresses, {public} public", addresses.len());
    assert!(each < 5000, "{each} ns");
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    let near = |range: &'static str| {
        let net = range.parse::<Cidr>().unwrap().net();
        any::<u128>().prop_map(move |bits| match net.addr() {
            IpAddr::V4(ip) => {
                let host = u32::try_from(bits & u128::from(u32::MAX)).unwrap()
                    & !u32::from(Ipv4Addr::from_bits(u32::MAX << (32 - net.prefix_len())));
                IpAddr::V4((u32::from(ip) | host).into())
            }
            IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) | (bits & !(u128::MAX << (128 - net.prefix_len())))).into()),
        })
    };
    prop_oneof![
        any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
        any::<u128>().prop_map(|bits| IpAddr::V6(bits.into())),
        near("10.0.0.0/8"),
        near("169.254.0.0/16"),
        near("192.0.0.0/16"),
        near("2001::/16"),
        near("64:ff9b::/32"),
        near("64:ff9b::/96"),
        near("::/64"),
        near("fd00::/32"),
        any::<u32>().prop_map(|bits| IpAddr::V6((0x2001_4860_0001_0002_0000_5efe_0000_0000 | u128::from(bits)).into())),
    ]
}

fn any_target() -> impl Strategy<Value = String> {
    let hosts =
        ["nas.lab.example.com", "grafana.corp.example.com", "a.example.net", "localhost", "nas", "x.lan", "x.test"];
    let ports = ["", ":8123", ":6379", ":25", ":18789"];
    (proptest::sample::select(hosts.to_vec()), proptest::sample::select(ports.to_vec()), any_address(), any::<bool>())
        .prop_map(|(host, port, ip, named)| match (named, ip) {
            (true, _) => format!("http://{host}{port}/"),
            (false, IpAddr::V4(ip)) => format!("http://{ip}{port}/"),
            (false, IpAddr::V6(ip)) => format!("http://[{ip}]{port}/"),
        })
}

fn any_rules() -> impl Strategy<Value = PolicyRules> {
    let names = ["default", "private", "loopback", "allowlist-cidr", "allowlist-broad", "allowlist-host"];
    let more = ["allowlist-linklocal", "allowlist-metadata-exact", "fakeip", "nat64", "nat64-48", "self"];
    proptest::sample::select([names, more].concat()).prop_map(named_rules)
}

proptest! {
    #[test]
    fn ipv4_mapped_is_judged_as_ipv4(bits: u32, rules in any_rules()) {
        let plain = Ipv4Addr::from_bits(bits);
        let mapped = IpAddr::V6(plain.to_ipv6_mapped());
        let name = target("http://nas.lab.example.com/");
        let policy = EgressPolicy::new(rules);
        prop_assert_eq!(classify(mapped), classify(plain.into()));
        prop_assert_eq!(policy.judge_address(&name, mapped), policy.judge_address(&name, plain.into()));
        prop_assert_eq!(target(&format!("http://[{mapped}]/")), target(&format!("http://{plain}/")));
    }

    #[test]
    fn adding_a_block_never_allows(ip in any_address(), block in any_address(), length in 0u8..=32, rules in any_rules()) {
        let name = target("http://nas.lab.example.com/");
        let net = ipnet::IpNet::new(block.to_canonical(), length).unwrap().trunc();
        let mut blocked = rules.clone();
        blocked.block_cidrs.push(net.to_string().parse().unwrap());
        let before = EgressPolicy::new(rules).judge_address(&name, ip);
        let after = EgressPolicy::new(blocked).judge_address(&name, ip);
        prop_assert!(before.is_ok() || after.is_err());
        prop_assert!(after.is_err() || !net.contains(&ip.to_canonical()));
    }

    #[test]
    fn narrowing_never_opens(ip in any_address(), rules in any_rules(), text in any_target()) {
        let target = target(&text);
        let narrow = PolicyRules { allow_private_network: false, ..rules.clone() };
        let wide = PolicyRules { allow_private_network: true, ..rules.clone() };
        let opens = |rules: PolicyRules| EgressPolicy::new(rules).rule_on(&target, Some(&[ip])).verdict() == Verdict::Allow;
        prop_assert!(!opens(narrow.clone()) || opens(wide));
        // Taking any opening key away does not open anything either.
        let bare = PolicyRules {
            allow_hosts: Vec::new(),
            allow_cidrs: Vec::new(),
            allow_ports: Vec::new(),
            fake_ip_ranges: Vec::new(),
            ..narrow.clone()
        };
        prop_assert!(!opens(bare) || opens(narrow));
    }

    #[test]
    fn a_ruling_says_what_a_judgement_says(ip in any_address(), rules in any_rules(), text in any_target()) {
        let (target, answers) = (target(&text), [ip]);
        let policy = EgressPolicy::new(rules);
        let (ruling, judgement) = (policy.rule_on(&target, Some(&answers)), policy.judge_url(&text, Some(&answers)));
        let judged = policy.judge_target(&target).and_then(|()| match target.host() {
            Host::Address(literal) => policy.judge_addresses(&target, &[*literal]),
            Host::Name(_) if target.is_localhost() => policy.judge_addresses(&target, &owl_egress::target::LOCALHOST),
            Host::Name(_) => policy.judge_addresses(&target, &answers),
        });
        prop_assert_eq!(ruling.verdict() == Verdict::Allow, judged.is_ok());
        prop_assert_eq!((ruling.verdict(), ruling.stage(), ruling.rule()), (judgement.verdict, judgement.stage, judgement.rule));
        if let Err(denied) = judged {
            prop_assert_eq!((denied.stage, denied.rule, denied.address), (ruling.stage(), ruling.rule(), ruling.address()));
            prop_assert_eq!(denied.hint.clone(), ruling.hint());
            // What a model is shown holds neither the address nor its range.
            let shown = denied.public_message();
            let hidden = denied.address.filter(|_| matches!(target.host(), Host::Name(_)));
            prop_assert!(hidden.is_none_or(|address| !shown.contains(&address.to_string())), "{}", shown);
            prop_assert!(denied.range.is_none_or(|range| !shown.contains(&range)), "{}", shown);
        }
    }

    #[test]
    fn never_is_never(ip in any_address(), rules in any_rules()) {
        let opened = EgressPolicy::new(rules).judge_address(&target("http://nas.lab.example.com/"), ip);
        if classify(ip).tier == Tier::Never {
            prop_assert!(opened.is_err());
        }
        if let Ok(opened) = opened {
            prop_assert_eq!(opened.connect_to, ip.to_canonical());
        }
    }

    #[test]
    fn the_table_matches_a_naive_scan(ip in any_address()) {
        agrees_with_scan(&generate::blocks(), ip);
    }

    #[test]
    fn any_text_is_judged_without_a_panic(text in any::<String>(), host in "[ -~é]{0,20}", rules in any_rules()) {
        let policy = EgressPolicy::new(rules);
        for text in [text.clone(), format!("http://{text}"), format!("http://{host}/"), format!("http://{host}:{text}@x/")] {
            policy.judge_url(&text, Some(&[Ipv4Addr::new(8, 8, 8, 8).into()]));
            if let Ok((url, _)) = TargetUrl::parse_operator(&text) {
                prop_assert_eq!(TargetUrl::parse(&format!("{}{}", url.origin(), url.path_and_query())), Ok(url));
            }
        }
        let _ = HostPattern::from_str(&text).is_ok();
        let _ = Cidr::from_str(&host).is_ok();
        let _ = Nat64Prefix::from_str(&host).is_ok();
    }
}
