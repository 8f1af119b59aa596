//! A policy in one line, as its keys are written, for the audit.

use std::fmt::{self, Display};

use super::PolicyRules;

impl Display for PolicyRules {
    /// `allowPrivateNetwork: true, allowCidrs: ["10.20.0.0/16"]`; `default` when nothing is set. Owl's own sockets are not
    /// the operator's words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut keys = Vec::new();
        if self.allow_private_network {
            keys.push("allowPrivateNetwork: true".to_owned());
        }
        list(&mut keys, "allowHosts", &self.allow_hosts);
        list(&mut keys, "allowCidrs", &self.allow_cidrs);
        list(&mut keys, "onlyHosts", &self.only_hosts);
        list(&mut keys, "blockHosts", &self.block_hosts);
        list(&mut keys, "blockCidrs", &self.block_cidrs);
        if !self.allow_ports.is_empty() {
            keys.push(format!("allowPorts: {:?}", self.allow_ports));
        }
        list(&mut keys, "fakeIpRanges", &self.fake_ip_ranges);
        list(&mut keys, "nat64Prefixes", &self.nat64_prefixes);
        f.write_str(if keys.is_empty() { "default" } else { "" })?;
        f.write_str(&keys.join(", "))
    }
}

fn list(keys: &mut Vec<String>, key: &str, entries: &[impl Display]) {
    if !entries.is_empty() {
        let entries: Vec<String> = entries.iter().map(|entry| format!("\"{entry}\"")).collect();
        keys.push(format!("{key}: [{}]", entries.join(", ")));
    }
}
