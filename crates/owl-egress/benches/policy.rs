//! What it costs to judge: an address (the aim: under 50 ns), and a whole URL without DNS (under 2 µs).
//!
//! `cargo bench -p owl-egress --bench policy`

#![expect(clippy::unwrap_used, reason = "a benchmark that panics has failed")]

use std::hint::black_box;
use std::net::IpAddr;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use owl_egress::address::classify;
use owl_egress::policy::{Cidr, HostPattern};
use owl_egress::{EgressPolicy, PolicyRules, TargetUrl};

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(texts: &[&str]) -> Vec<T> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// From nothing at all to lists as long as anybody writes.
fn policies() -> Vec<(&'static str, EgressPolicy)> {
    let few = PolicyRules {
        allow_hosts: parsed(&["nas.lan", "*.lab.example.net", "ha.example.net:8123"]),
        allow_cidrs: parsed(&["10.20.0.0/16", "fd12::/48"]),
        block_cidrs: parsed(&["10.66.0.0/16"]),
        nat64_prefixes: parsed(&["2001:db8:64::/96"]),
        own_sockets: parsed(&["127.0.0.1:6950", "192.168.1.10:6950"]),
        ..PolicyRules::default()
    };
    let range = |number: usize| -> Cidr { format!("10.{}.{}.0/24", number / 256, number % 256).parse().unwrap() };
    let host = |number: usize| -> HostPattern { format!("*.host{number}.example.net").parse().unwrap() };
    let many = PolicyRules {
        allow_cidrs: (0..1000).map(range).collect(),
        block_cidrs: (2000..3000).map(range).collect(),
        allow_hosts: (0..1000).map(host).collect(),
        block_hosts: (1000..2000).map(host).collect(),
        ..PolicyRules::default()
    };
    vec![
        ("default", EgressPolicy::new(PolicyRules::default())),
        ("private", EgressPolicy::new(PolicyRules { allow_private_network: true, ..PolicyRules::default() })),
        ("few entries", EgressPolicy::new(few)),
        ("thousands of entries", EgressPolicy::new(many)),
    ]
}

const ADDRESSES: [&str; 8] = [
    "93.184.215.14",
    "10.1.2.3",
    "127.0.0.1",
    "169.254.169.254",
    "2606:2800:21f:cb07:6820:80da:af6b:8b2c",
    "fd12::1",
    "::ffff:192.168.1.1",
    "64:ff9b::5db8:d70e",
];

const URLS: [(&str, &str); 4] = [
    ("https://images.example.com/cats/1.png?size=large", "93.184.215.14"),
    ("http://169.254.169.254/latest/meta-data/", "169.254.169.254"),
    ("http://0x7f.1:11434/v1/models", "127.0.0.1"),
    ("http://a.host7.example.net:8123/", "10.9.8.7"),
];

fn addresses(criterion: &mut Criterion) {
    let addresses = parsed::<IpAddr>(&ADDRESSES);
    let target = TargetUrl::parse("https://nas.example.net/").unwrap();
    let mut group = criterion.benchmark_group("one address");
    group.throughput(Throughput::Elements(1));
    let mut next = (0..addresses.len()).cycle();
    group.bench_function("classify", |bencher| {
        bencher.iter(|| classify(black_box(addresses[next.next().unwrap_or_default()])));
    });
    for (name, policy) in policies() {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let ip = black_box(addresses[next.next().unwrap_or_default()]);
                policy.rule_on_address(&target, ip).verdict()
            });
        });
    }
    group.finish();
}

fn urls(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one URL");
    group.throughput(Throughput::Elements(1));
    let urls = URLS.map(|(text, ip)| (text, [ip.parse::<IpAddr>().unwrap()]));
    let mut next = (0..urls.len()).cycle();
    for (name, policy) in policies() {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let (text, answers) = &urls[next.next().unwrap_or_default()];
                let target = TargetUrl::parse(black_box(text)).unwrap();
                policy.rule_on(&target, Some(answers)).verdict()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, addresses, urls);
criterion_main!(benches);
