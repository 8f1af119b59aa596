//! Which names are refused before DNS is asked.
//!
//! A name is judged by how it ends alone: what it resolves to is judged later, and apart.

use super::hint::Remark;

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

/// Suffixes of private networks, each one label: RFC 6762 with its appendix G, ICANN's reservation of 2024-07-29
/// (internal), and what Kubernetes, Consul and Windows use.
const PRIVATE: [&str; 11] =
    ["consul", "corp", "home", "internal", "intranet", "lan", "local", "localdomain", "private", "svc", "workgroup"];

/// The one private suffix of two labels (RFC 8375).
const HOME_ARPA: &str = "home.arpa";

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
    let (rest, last) = match name.rsplit_once('.') {
        Some((rest, last)) => (Some(rest), last),
        None => (None, name),
    };
    if METADATA.binary_search(&name).is_ok() {
        Name::Metadata
    } else if last == "localhost" {
        Name::Localhost
    } else if rest.is_none() {
        Name::SingleLabel
    // Before the dead suffixes, for home.arpa is below arpa.
    } else if PRIVATE.contains(&last) || below(name, HOME_ARPA) {
        Name::Private
    } else if DEAD.contains(&last) {
        Name::Dead
    } else {
        Name::Ordinary
    }
}

/// Whether `name` is `suffix` or below it, on the boundary of a label.
fn below(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// What is worth saying about a name that operators often meet.
pub(super) fn remark(name: &str) -> Option<Remark> {
    match name {
        "host.docker.internal" | "gateway.docker.internal" | "host.containers.internal" | "host.lima.internal" => {
            Some(Remark::ContainerHost)
        }
        _ if below(name, "svc") || below(name, "svc.cluster.local") => Some(Remark::KubernetesService),
        _ if below(name, "ts.net") => Some(Remark::Tailnet),
        _ if below(name, "local") => Some(Remark::Multicast),
        _ => None,
    }
}
