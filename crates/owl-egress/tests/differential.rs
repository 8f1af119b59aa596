//! Owl's judgement of addresses beside that of another crate, `ssrf-guard`: wherever the two disagree, the block is listed
//! here with the reason, so that a new disagreement fails.
//!
//! `ssrf-guard` brings an HTTP client in. It is a development dependency of this test and of nothing that is shipped; only
//! its pure function `is_public` is called.

#![expect(clippy::unwrap_used, reason = "a helper of a test that panics is a test that fails")]

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use owl_egress::address::{AddressClass, Tier, classify};
use proptest::prelude::*;
use serde_json::Value;

#[path = "../table/generate.rs"]
#[expect(dead_code, reason = "only the blocks are used here")]
mod generate;

const IPS: &str = include_str!("cases/ips.jsonl");

/// Which of the two would connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opens {
    Owl,
    Guard,
}

/// Every disagreement: where, who would connect, and why Owl judges as it does.
const DISAGREEMENTS: &[(&str, Opens, &str)] = &[
    ("168.63.129.16/32", Opens::Guard, "Azure's platform service, at a public address"),
    ("192.31.196.0/24", Opens::Guard, "AS112: in the registry of special purposes, answered by whoever is nearest"),
    ("192.52.193.0/24", Opens::Guard, "AMT: in the registry of special purposes, a multicast relay"),
    ("192.175.48.0/24", Opens::Guard, "AS112: in the registry of special purposes, answered by whoever is nearest"),
    (
        "::/96",
        Opens::Guard,
        "IPv4-compatible: deprecated, and a stack that takes it for IPv4 connects to the address inside",
    ),
    ("::ffff:0:0:0/96", Opens::Guard, "SIIT: never a destination, and a translator connects to the address inside"),
    ("100:0:0:1::/64", Opens::Guard, "the dummy prefix: not globally reachable (RFC 9780)"),
    ("2001::/23", Opens::Guard, "IETF protocol assignments: what is not assigned reaches nobody (RFC 2928)"),
    ("2001:1::1/128", Opens::Guard, "the port control protocol's anycast: the router of one's own network"),
    ("2001:1::2/128", Opens::Guard, "TURN's anycast: a relay of one's own network"),
    ("2001:1::3/128", Opens::Guard, "DNS-SD's anycast: a registrar of one's own network"),
    ("2001:3::/32", Opens::Guard, "AMT: in the registry of special purposes, a multicast relay"),
    ("2001:4:112::/48", Opens::Guard, "AS112: in the registry of special purposes, answered by whoever is nearest"),
    ("2001:10::/28", Opens::Guard, "ORCHID: deprecated, and not routed"),
    ("2001:20::/28", Opens::Guard, "ORCHIDv2: identifiers of hosts, not addresses (RFC 7343)"),
    ("2001:30::/28", Opens::Guard, "DETs: identifiers of drones, not addresses (RFC 9374)"),
    ("2620:4f:8000::/48", Opens::Guard, "AS112: in the registry of special purposes, answered by whoever is nearest"),
    ("ISATAP address", Opens::Guard, "a tunnel takes it to the IPv4 address inside, private ones too (RFC 5214)"),
    (
        "outside the allocated IPv6 unicast space",
        Opens::Guard,
        "IANA gave it to nobody: what answers is one's own network",
    ),
];

/// The block that an address was found in, as the table above names it.
fn block(class: &AddressClass) -> String {
    class.block.map_or_else(|| class.name.to_owned(), |block| block.to_string())
}

/// Who alone would connect to `ip`, and the block.
fn disagreement(ip: IpAddr) -> Option<(String, Opens)> {
    let class = classify(ip);
    match (class.tier == Tier::Public, ssrf_guard::is_public(ip)) {
        (true, false) => Some((block(&class), Opens::Owl)),
        (false, true) => Some((block(&class), Opens::Guard)),
        (true, true) | (false, false) => None,
    }
}

fn is_listed((block, opens): &(String, Opens)) -> bool {
    DISAGREEMENTS.iter().any(|(listed, who, _)| listed == block && who == opens)
}

/// First, last, and some addresses of a block, by bits that a seed gives.
fn of_block(net: IpNet, seed: u128) -> [IpAddr; 3] {
    let inside = match net {
        IpNet::V4(net) => {
            let bits = u32::try_from(seed & u128::from(u32::MAX)).unwrap();
            IpAddr::V4((u32::from(net.network()) | (bits & u32::from(net.hostmask()))).into())
        }
        IpNet::V6(net) => IpAddr::V6((u128::from(net.network()) | (seed & u128::from(net.hostmask()))).into()),
    };
    [net.network(), net.broadcast(), inside]
}

#[test]
fn every_disagreement_is_listed_with_its_reason_and_is_one() {
    let mut found: BTreeMap<String, (Opens, IpAddr)> = BTreeMap::new();
    let cases = IPS.lines().map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        row["ip"].as_str().unwrap().parse::<IpAddr>().unwrap()
    });
    let edges = generate::blocks().into_iter().flat_map(|block| of_block(block.net, 0x5555_aaaa_1234_9876));
    for ip in cases.chain(edges) {
        if let Some((block, opens)) = disagreement(ip) {
            found.entry(format!("{block} {opens:?}")).or_insert((opens, ip));
        }
    }
    let listed: BTreeMap<String, &str> =
        DISAGREEMENTS.iter().map(|(block, opens, reason)| (format!("{block} {opens:?}"), *reason)).collect();
    let new: Vec<_> = found.iter().filter(|(key, _)| !listed.contains_key(*key)).collect();
    let gone: Vec<_> = listed.keys().filter(|key| !found.contains_key(*key)).collect();
    assert!(new.is_empty() && gone.is_empty(), "not listed: {new:#?}; listed, but the two agree: {gone:#?}");
}

proptest! {
    #[test]
    fn random_addresses_of_every_block_disagree_only_as_listed(seed: u128) {
        for block in generate::blocks() {
            for ip in of_block(block.net, seed) {
                let found = disagreement(ip);
                prop_assert!(found.as_ref().is_none_or(is_listed), "{ip}: {found:?}");
            }
        }
    }

    #[test]
    fn random_addresses_disagree_only_as_listed(ipv4: u32, ipv6: u128) {
        for ip in [IpAddr::V4(ipv4.into()), IpAddr::V6(ipv6.into())] {
            let found = disagreement(ip);
            prop_assert!(found.as_ref().is_none_or(is_listed), "{ip}: {found:?}");
        }
    }
}
