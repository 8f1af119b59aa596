//! Which names are refused before DNS is asked.
//!
//! A name is judged by how it ends alone: what it resolves to is judged later, and apart.

use super::denied::Remark;
use crate::target::is_localhost_name;

/// The metadata services of clouds: a name like these has no other use. Sorted.
const METADATA: [&str; 15] = [
    "api.metadata.cloud.ibm.com",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata",
    "metadata.aliyuncs.com",
    "metadata.azure.com",
    "metadata.azure.internal",
    "metadata.digitalocean.com",
    "metadata.goog",
    "metadata.google.internal",
    "metadata.oraclecloud.com",
    "metadata.packet.net",
    "metadata.platformequinix.com",
    "metadata.tencentyun.com",
    "rancher-metadata",
];

/// Suffixes that no public server is below: RFC 6761 (test, invalid, example), RFC 7686 (onion), RFC 9476 (alt),
/// RFC 3172 (arpa).
const DEAD: [&str; 6] = ["test", "invalid", "example", "onion", "alt", "arpa"];

/// Suffixes of private networks: RFC 6762 with its appendix G, RFC 8375 (home.arpa), ICANN's reservation of 2024-07-29
/// (internal), and what Kubernetes, Consul and Windows use.
const PRIVATE: [&str; 12] = [
    "consul",
    "corp",
    "home",
    "home.arpa",
    "internal",
    "intranet",
    "lan",
    "local",
    "localdomain",
    "private",
    "svc",
    "workgroup",
];

/// What a name is by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// Nothing is known against it.
    Ordinary,
    /// A cloud's metadata service.
    Metadata,
    /// Below a suffix that leads nowhere.
    Dead,
    /// `localhost`, or below it (RFC 6761, section 6.3).
    Localhost,
    /// No dot at all.
    SingleLabel,
    /// Below a suffix of private networks.
    Private,
}

pub(super) fn classify(name: &str) -> Name {
    if METADATA.binary_search(&name).is_ok() {
        Name::Metadata
    } else if is_localhost_name(name) {
        Name::Localhost
    } else if !name.contains('.') {
        Name::SingleLabel
    // Before the dead suffixes, for home.arpa is below arpa.
    } else if below_any(name, &PRIVATE) {
        Name::Private
    } else if below_any(name, &DEAD) {
        Name::Dead
    } else {
        Name::Ordinary
    }
}

/// Whether `name` is one of `suffixes` or below it, on the boundary of a label.
fn below_any(name: &str, suffixes: &[&str]) -> bool {
    suffixes.iter().any(|suffix| name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

/// What is worth saying about a name that operators often meet.
pub(super) fn remark(name: &str) -> Option<Remark> {
    match name {
        "host.docker.internal" | "gateway.docker.internal" | "host.containers.internal" => Some(Remark::ContainerHost),
        _ if below_any(name, &["svc", "svc.cluster.local"]) => Some(Remark::KubernetesService),
        _ if below_any(name, &["ts.net"]) => Some(Remark::Tailnet),
        _ => None,
    }
}
