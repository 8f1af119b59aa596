//! The policies that the case files name.

use std::str::FromStr;

use owl_egress::PolicyRules;
use serde_json::Value;

/// The policy that rows call `name`.
pub(crate) fn named_rules(name: &str) -> PolicyRules {
    let file: Value = serde_json::from_str(include_str!("../cases/policies.json")).expect("JSON");
    rules(&file["policies"][name])
}

/// A policy as the case files write it.
pub(crate) fn rules(policy: &Value) -> PolicyRules {
    let known = ["allowPrivateNetwork", "allowHosts", "allowCidrs", "onlyHosts", "blockHosts", "blockCidrs"];
    let also = ["allowPorts", "fakeIpRanges", "nat64Prefixes", "selfSockets"];
    for key in policy.as_object().expect("an object").keys() {
        assert!(known.contains(&key.as_str()) || also.contains(&key.as_str()), "{key}");
    }
    let ports = policy["allowPorts"].as_array().into_iter().flatten();
    let port = |port: &Value| port.as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
    PolicyRules {
        allow_private_network: policy["allowPrivateNetwork"].as_bool().unwrap_or_default(),
        allow_hosts: entries(policy, "allowHosts"),
        allow_cidrs: entries(policy, "allowCidrs"),
        only_hosts: entries(policy, "onlyHosts"),
        block_hosts: entries(policy, "blockHosts"),
        block_cidrs: entries(policy, "blockCidrs"),
        allow_ports: ports.map(port).collect(),
        fake_ip_ranges: entries(policy, "fakeIpRanges"),
        nat64_prefixes: entries(policy, "nat64Prefixes"),
        own_sockets: entries(policy, "selfSockets"),
    }
}

fn entries<T: FromStr<Err: std::fmt::Debug>>(policy: &Value, key: &str) -> Vec<T> {
    let entries = policy[key].as_array().into_iter().flatten();
    entries.map(|text| text.as_str().expect("a text").parse().expect("an entry")).collect()
}
