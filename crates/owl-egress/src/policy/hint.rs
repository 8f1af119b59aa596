//! What would open a refused target: the shortest configuration that opens it and no more, and what is worth knowing.
//!
//! Where any URL can come in, `allowPrivateNetwork` would open every private address to whoever writes URLs, so the hint is
//! the one host or address. For an origin that the operator typed, `allowPrivateNetwork` opens that origin alone.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::decide::Reach;
use super::denied::{Entry, Refusal, Rule, Subject};
use super::names;
use crate::address::Tier;
use crate::target::{Host, TargetUrl};

/// The shortest configuration that opens what was refused, and no more. `Display` is that configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// `allowPrivateNetwork: true`
    AllowPrivateNetwork,
    /// `allowHosts: ["…"]`
    AllowHosts(Box<str>),
    /// `allowCidrs: ["…"]`
    AllowCidrs(IpNet),
    /// `allowPorts: […]`
    AllowPorts(u16),
    /// `onlyHosts: ["…"]`, beside what stands there
    OnlyHosts(Box<str>),
    /// `fakeIpRanges: ["…"]`
    FakeIpRanges(IpNet),
    /// `nat64Prefixes: ["…"]`
    Nat64Prefixes(IpNet),
    /// This entry of `blockHosts` has to go.
    UnblockHost(Box<str>),
    /// This entry of `blockCidrs` has to go.
    UnblockCidr(Box<str>),
    /// Nothing opens it.
    Nothing,
}

/// A host or range that operators often meet. `Display` says what is worth knowing about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Remark {
    /// `host.docker.internal` and its like.
    ContainerHost,
    /// A service of a Kubernetes cluster.
    KubernetesService,
    /// A machine in a Tailscale network.
    Tailnet,
    /// 100.64.0.0/10 (RFC 6598).
    SharedAddressSpace,
    /// 198.18.0.0/15, from a resolver that makes addresses up.
    FakeAddress,
    /// A name that multicast DNS answers for (RFC 6762).
    Multicast,
    /// A cloud's metadata or platform service.
    Metadata,
    /// 0.0.0.0 and ::.
    Unspecified,
    /// 64:ff9b::/96 around an IPv4 address that is not public (RFC 6052, section 3.1).
    WellKnownNat64,
    /// 64:ff9b:1::/48 (RFC 8215).
    LocalNat64,
}

impl Refusal<'_> {
    /// What opens it; `None` where no configuration does and none closes it either.
    pub(super) fn hint(&self, target: &TargetUrl, reach: Reach) -> Option<Hint> {
        match (self.entry, self.rule) {
            (Some(Entry::Host(entry)), _) => Some(Hint::UnblockHost(entry.to_string().into())),
            (Some(Entry::Cidr(entry)), _) => Some(Hint::UnblockCidr(entry.to_string().into())),
            (None, Rule::ServicePort) => Some(Hint::AllowPorts(target.port())),
            (None, Rule::OnlyHosts) => Some(Hint::OnlyHosts(bracketed(target.host()).into())),
            (None, Rule::LocalhostName | Rule::SingleLabel | Rule::PrivateSuffix) => Some(name_hint(target, reach)),
            (
                None,
                Rule::BadPort
                | Rule::MetadataName
                | Rule::DeadSuffix
                | Rule::OwnSocket
                | Rule::NeverAddress
                | Rule::Pivot,
            ) => Some(Hint::Nothing),
            // A name that does not resolve is not opened by any configuration, and not closed by one either.
            (None, Rule::NoAddress | Rule::NoLookup | Rule::BlockedHost | Rule::BlockedAddress) => None,
            (
                None,
                Rule::MetadataAddress
                | Rule::PrivateAddress
                | Rule::LoopbackAddress
                | Rule::LinkLocalAddress
                | Rule::SpecialAddress,
            ) => self.subject.map(|subject| address_hint(target, subject, reach)),
        }
    }

    /// What is worth knowing about the address, or else about the name.
    pub(super) fn remark(&self, target: &TargetUrl) -> Option<Remark> {
        let of_address =
            self.subject.filter(|_| self.entry.is_none() && !matches!(self.rule, Rule::OwnSocket | Rule::Pivot));
        of_address.and_then(address_remark).or_else(|| match target.host() {
            Host::Name(name) => names::remark(name),
            Host::Address(_) => None,
        })
    }
}

/// For a name that is refused before it is looked up.
fn name_hint(target: &TargetUrl, reach: Reach) -> Hint {
    match reach {
        Reach::OneOrigin => Hint::AllowPrivateNetwork,
        // Behind each port of this machine is something else.
        Reach::AnyUrl if target.is_localhost() => Hint::AllowHosts(with_port(target).into()),
        Reach::AnyUrl => Hint::AllowHosts(target.host().to_string().into()),
    }
}

/// For an address that no block rule refused and that something opens.
fn address_hint(target: &TargetUrl, subject: Subject, reach: Reach) -> Hint {
    let Subject { address, class, inner } = subject;
    let alone = Hint::AllowCidrs(IpNet::from(inner.map_or(address, IpAddr::V4)));
    let block = class.block.map(|block| block.to_string());
    match (class.tier, block.as_deref(), reach) {
        (Tier::Private | Tier::Loopback, _, Reach::OneOrigin) => Hint::AllowPrivateNetwork,
        (Tier::Private, _, Reach::AnyUrl) => match target.host() {
            Host::Name(name) => Hint::AllowHosts(name.as_str().into()),
            Host::Address(_) => alone,
        },
        // A name leads to loopback by `allowCidrs` only, unless it is a localhost name.
        (Tier::Loopback, _, Reach::AnyUrl) => match target.host() {
            Host::Name(_) if !target.is_localhost() => alone,
            Host::Address(_) if inner.is_some() => alone,
            Host::Name(_) | Host::Address(_) => Hint::AllowHosts(with_port(target).into()),
        },
        (Tier::Special, Some("198.18.0.0/15"), _) => class.block.map_or(alone, Hint::FakeIpRanges),
        (Tier::Special, Some("64:ff9b:1::/48"), _) => {
            IpNet::new(address, 96).map_or(alone, |net| Hint::Nat64Prefixes(net.trunc()))
        }
        (Tier::Never, _, _) => Hint::Nothing,
        (Tier::Public | Tier::LinkLocal | Tier::Metadata | Tier::Special, _, _) => alone,
    }
}

fn address_remark(subject: Subject) -> Option<Remark> {
    let block = subject.class.block.map(|block| block.to_string());
    match (subject.class.tier, block.as_deref()) {
        (Tier::Never, Some("64:ff9b::/96")) => Some(Remark::WellKnownNat64),
        (Tier::Never, Some("0.0.0.0/32" | "::/128")) => Some(Remark::Unspecified),
        (Tier::Private, Some("100.64.0.0/10")) => Some(Remark::SharedAddressSpace),
        (Tier::Special, Some("198.18.0.0/15")) => Some(Remark::FakeAddress),
        (Tier::Special, Some("64:ff9b:1::/48")) => Some(Remark::LocalNat64),
        (Tier::Metadata, _) => Some(Remark::Metadata),
        (Tier::Public | Tier::Private | Tier::Loopback | Tier::LinkLocal | Tier::Special | Tier::Never, _) => None,
    }
}

/// `host:port`, as an entry of `allowHosts`.
fn with_port(target: &TargetUrl) -> String {
    format!("{}:{}", bracketed(target.host()), target.port())
}

fn bracketed(host: &Host) -> String {
    match host {
        Host::Address(IpAddr::V6(ip)) => format!("[{ip}]"),
        Host::Name(_) | Host::Address(_) => host.to_string(),
    }
}

impl Hint {
    /// The entry of the configuration and whether it stands in a list: `("allowHosts", "\"nas.lan\"")`; `None` for what
    /// is to be taken out, or opened by nothing.
    pub fn entry(&self) -> Option<(&'static str, String)> {
        match self {
            Self::AllowPrivateNetwork => Some(("allowPrivateNetwork", "true".to_owned())),
            Self::AllowHosts(host) => Some(("allowHosts", format!("\"{host}\""))),
            Self::AllowCidrs(net) => Some(("allowCidrs", format!("\"{net}\""))),
            Self::AllowPorts(port) => Some(("allowPorts", port.to_string())),
            Self::OnlyHosts(host) => Some(("onlyHosts", format!("\"{host}\""))),
            Self::FakeIpRanges(net) => Some(("fakeIpRanges", format!("\"{net}\""))),
            Self::Nat64Prefixes(net) => Some(("nat64Prefixes", format!("\"{net}\""))),
            Self::UnblockHost(_) | Self::UnblockCidr(_) | Self::Nothing => None,
        }
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllowPrivateNetwork => f.write_str("allowPrivateNetwork: true"),
            Self::AllowHosts(host) => write!(f, "allowHosts: [\"{host}\"]"),
            Self::AllowCidrs(net) => write!(f, "allowCidrs: [\"{net}\"]"),
            Self::AllowPorts(port) => write!(f, "allowPorts: [{port}]"),
            Self::OnlyHosts(host) => write!(f, "onlyHosts: [\"{host}\"]"),
            Self::FakeIpRanges(net) => write!(f, "fakeIpRanges: [\"{net}\"]"),
            Self::Nat64Prefixes(net) => write!(f, "nat64Prefixes: [\"{net}\"]"),
            Self::UnblockHost(entry) => write!(f, "take \"{entry}\" out of `blockHosts`"),
            Self::UnblockCidr(entry) => write!(f, "take \"{entry}\" out of `blockCidrs`"),
            Self::Nothing => f.write_str("nothing opens it"),
        }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ContainerHost => "this is the machine that runs the container",
            Self::KubernetesService => "this is a Kubernetes service; its address is private to the cluster",
            Self::Tailnet => "this is a machine in a Tailscale network",
            Self::SharedAddressSpace => "Tailscale and the NAT of providers use this range",
            Self::FakeAddress => "the resolvers of Clash, Surge and sing-box answer with such fake addresses",
            Self::Multicast => "names in .local are those of machines on the same link, found by multicast DNS",
            Self::Metadata => "a cloud's own service, which hands out credentials to whoever can reach it",
            Self::Unspecified => "it would lead back to this machine; to mean that, write 127.0.0.1",
            Self::WellKnownNat64 => "NAT64 carries public IPv4 addresses only; ask for the IPv4 address itself",
            Self::LocalNat64 => "a network's own NAT64 uses this range (RFC 8215)",
        })
    }
}
