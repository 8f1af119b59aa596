//! A refusal: which rule, about what, and what would open it.
//!
//! It is written for two readers. `Display` is for the operator and names the address, its range and the key to set.
//! [`Denied::public_message`] is for clients and models, who must not learn what a name resolves to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::names;
use crate::address::{AddressClass, Tier};
use crate::target::{Host, TargetUrl};

/// The steps of judging, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// The text is a URL.
    Parse,
    /// The scheme is http or https.
    Scheme,
    /// The URL holds no credentials.
    UserInfo,
    /// The port.
    Port,
    /// The name, before DNS is asked.
    Name,
    /// What DNS answered.
    Dns,
    /// An address that the URL itself names.
    Ip,
}

/// Every rule that refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    BlockedHost,
    BadPort,
    ServicePort,
    OnlyHosts,
    MetadataName,
    DeadSuffix,
    LocalhostName,
    SingleLabel,
    PrivateSuffix,
    NoAddress,
    BlockedAddress,
    OwnSocket,
    NeverAddress,
    MetadataAddress,
    PrivateAddress,
    LoopbackAddress,
    LinkLocalAddress,
    SpecialAddress,
    Pivot,
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The step that refused.
    pub stage: Stage,
    /// The rule's stable name, in kebab case.
    pub rule: &'static str,
    /// The host that was asked for.
    pub host: String,
    /// The port that was asked for.
    pub port: u16,
    /// The address that was refused; for a name, what it resolved to.
    pub address: Option<IpAddr>,
    /// The block of that address, and what it is in words: `10.0.0.0/8, private use`.
    pub range: Option<String>,
    /// What opens it.
    pub hint: Option<Hint>,
    /// What is worth knowing about a host or range that operators often meet.
    pub remark: Option<Remark>,
    kind: Rule,
    /// The IPv4 address inside a NAT64 address of the operator's: the one that was judged.
    inner: Option<Ipv4Addr>,
}

/// The shortest configuration that opens what was refused, and no more. `Display` is that configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// `allowPrivateNetwork: true`
    AllowPrivateNetwork,
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
    /// 64:ff9b::/96 around an IPv4 address that is not public (RFC 6052, section 3.1).
    WellKnownNat64,
    /// 64:ff9b:1::/48 (RFC 8215).
    LocalNat64,
}

/// The address that a refusal is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject {
    pub(super) address: IpAddr,
    pub(super) class: AddressClass,
    pub(super) inner: Option<Ipv4Addr>,
}

impl Denied {
    /// A refusal before any address is known.
    pub(super) fn target(target: &TargetUrl, kind: Rule, entry: Option<String>) -> Self {
        let hint = match kind {
            Rule::BlockedHost => entry.map(|entry| Hint::UnblockHost(entry.into())),
            Rule::ServicePort => Some(Hint::AllowPorts(target.port())),
            Rule::OnlyHosts => Some(Hint::OnlyHosts(target.host().to_string().into())),
            Rule::LocalhostName | Rule::SingleLabel | Rule::PrivateSuffix => Some(Hint::AllowPrivateNetwork),
            Rule::BadPort | Rule::MetadataName | Rule::DeadSuffix => Some(Hint::Nothing),
            // A name that does not resolve is not opened by any configuration, and not closed by one either.
            Rule::NoAddress
            | Rule::BlockedAddress
            | Rule::OwnSocket
            | Rule::NeverAddress
            | Rule::MetadataAddress
            | Rule::PrivateAddress
            | Rule::LoopbackAddress
            | Rule::LinkLocalAddress
            | Rule::SpecialAddress
            | Rule::Pivot => None,
        };
        Self {
            stage: kind.stage_before_addresses(),
            rule: kind.name(),
            host: target.host().to_string(),
            port: target.port(),
            address: None,
            range: None,
            hint,
            remark: name_remark(target),
            kind,
            inner: None,
        }
    }

    /// A refusal of one address.
    pub(super) fn address(target: &TargetUrl, kind: Rule, subject: Subject, entry: Option<String>) -> Self {
        let Subject { address, class, inner } = subject;
        let written = matches!(target.host(), Host::Address(_)) || target.is_localhost();
        let (hint, remark) = match entry {
            Some(entry) => (Hint::UnblockCidr(entry.into()), None),
            None => address_hint(kind, subject),
        };
        Self {
            stage: if written { Stage::Ip } else { Stage::Dns },
            rule: kind.name(),
            host: target.host().to_string(),
            port: target.port(),
            address: Some(address),
            range: Some(class.to_string()),
            hint: Some(hint),
            remark: remark.or_else(|| name_remark(target)),
            kind,
            inner,
        }
    }

    /// A refusal of an address that the policy opens, for another reason.
    pub(super) fn opened(target: &TargetUrl, kind: Rule, opened: &super::Opened) -> Self {
        let subject = Subject { address: opened.connect_to, class: opened.class, inner: None };
        Self::address(target, kind, subject, None)
    }

    /// The refusal without any resolved address or range, and without a hint that gives one away: for clients and models.
    pub fn public_message(&self) -> String {
        let Self { host, port, .. } = self;
        match self.kind {
            Rule::BadPort | Rule::ServicePort => format!("port {port} of {host} is not allowed by the egress policy"),
            Rule::MetadataName
            | Rule::DeadSuffix
            | Rule::LocalhostName
            | Rule::SingleLabel
            | Rule::PrivateSuffix
            | Rule::BlockedHost
            | Rule::OnlyHosts => format!("the name {host} is not allowed by the egress policy"),
            Rule::NoAddress => format!("{host} has no address"),
            Rule::BlockedAddress
            | Rule::OwnSocket
            | Rule::NeverAddress
            | Rule::MetadataAddress
            | Rule::PrivateAddress
            | Rule::LoopbackAddress
            | Rule::LinkLocalAddress
            | Rule::SpecialAddress => format!("{host} is not allowed by the egress policy"),
            Rule::Pivot => format!("a public page redirects to {host}, which the egress policy does not allow"),
        }
    }

    /// Whether the address was only not opened, as opposed to refused whatever is open.
    pub(super) fn is_merely_closed(&self) -> bool {
        matches!(self.kind, Rule::LoopbackAddress)
    }

    /// What was refused and why, without the hint.
    fn reason(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        match self.kind {
            Rule::BlockedHost => write!(f, "{host} is blocked"),
            Rule::BadPort => write!(f, "port {port} of {host} is one that browsers refuse too"),
            Rule::ServicePort => write!(f, "port {port} of {host} belongs to a service that is not an HTTP API"),
            Rule::OnlyHosts => write!(f, "{host}, port {port}, is not in `onlyHosts`"),
            Rule::MetadataName => write!(f, "{host} is the name of a cloud's metadata service"),
            Rule::DeadSuffix => write!(f, "{host} ends in a suffix that leads nowhere"),
            Rule::LocalhostName => write!(f, "{host} is this machine"),
            Rule::SingleLabel => write!(f, "{host} has no dot, so it can only be a private name"),
            Rule::PrivateSuffix => write!(f, "{host} ends in a suffix of private networks"),
            Rule::NoAddress => write!(f, "{host} has no address"),
            Rule::OwnSocket => self.subject(f, "Owl itself listens there"),
            Rule::BlockedAddress => self.subject(f, "it is blocked"),
            Rule::NeverAddress
            | Rule::MetadataAddress
            | Rule::PrivateAddress
            | Rule::LoopbackAddress
            | Rule::LinkLocalAddress
            | Rule::SpecialAddress => self.subject(f, ""),
            Rule::Pivot => self.subject(f, "a public page may not redirect into a private network"),
        }
    }

    /// `nas.example.com resolves to 10.1.2.3, which is in 10.0.0.0/8, private use`
    fn subject(&self, f: &mut fmt::Formatter<'_>, besides: &str) -> fmt::Result {
        let (Some(address), Some(range)) = (self.address, &self.range) else {
            return f.write_str(&self.host);
        };
        let mut which = "";
        if self.host != address.to_string() {
            let verb = if self.stage == Stage::Dns { "resolves to" } else { "is" };
            write!(f, "{} {verb} ", self.host)?;
            which = ", which";
        }
        write!(f, "{address}{which}")?;
        if let Some(inner) = self.inner {
            write!(f, " is NAT64 for {inner}, which")?;
        }
        // Without a block in front the words stand alone: `outside the allocated IPv6 unicast space`.
        let has_block = range.split(", ").next().is_some_and(|block| block.contains('/'));
        write!(f, " is {}{range}", if has_block { "in " } else { "not public: " })?;
        if besides.is_empty() { Ok(()) } else { write!(f, ", and {besides}") }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason(f)?;
        match &self.hint {
            None => {}
            Some(Hint::Nothing) => f.write_str("; nothing opens it")?,
            Some(hint @ (Hint::UnblockHost(_) | Hint::UnblockCidr(_))) => write!(f, "; to open it, {hint}")?,
            Some(
                hint @ (Hint::AllowPrivateNetwork
                | Hint::AllowCidrs(_)
                | Hint::AllowPorts(_)
                | Hint::OnlyHosts(_)
                | Hint::FakeIpRanges(_)
                | Hint::Nat64Prefixes(_)),
            ) => write!(f, "; `{hint}` opens it")?,
        }
        match self.remark {
            Some(remark) => write!(f, " ({remark})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Denied {}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllowPrivateNetwork => f.write_str("allowPrivateNetwork: true"),
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
            Self::WellKnownNat64 => "NAT64 carries public IPv4 addresses only; ask for the IPv4 address itself",
            Self::LocalNat64 => "a network's own NAT64 uses this range (RFC 8215)",
        })
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parse => "parse",
            Self::Scheme => "scheme",
            Self::UserInfo => "userinfo",
            Self::Port => "port",
            Self::Name => "name",
            Self::Dns => "dns",
            Self::Ip => "ip",
        })
    }
}

impl Rule {
    fn name(self) -> &'static str {
        match self {
            Self::BlockedHost => "blocked-host",
            Self::BadPort => "bad-port",
            Self::ServicePort => "service-port",
            Self::OnlyHosts => "only-hosts",
            Self::MetadataName => "metadata-name",
            Self::DeadSuffix => "dead-suffix",
            Self::LocalhostName => "localhost-name",
            Self::SingleLabel => "single-label",
            Self::PrivateSuffix => "private-suffix",
            Self::NoAddress => "no-address",
            Self::BlockedAddress => "blocked-address",
            Self::OwnSocket => "own-socket",
            Self::NeverAddress => "never-address",
            Self::MetadataAddress => "metadata-address",
            Self::PrivateAddress => "private-address",
            Self::LoopbackAddress => "loopback-address",
            Self::LinkLocalAddress => "link-local-address",
            Self::SpecialAddress => "special-address",
            Self::Pivot => "redirect-into-private-network",
        }
    }

    fn stage_before_addresses(self) -> Stage {
        match self {
            Self::BadPort | Self::ServicePort => Stage::Port,
            Self::BlockedHost
            | Self::OnlyHosts
            | Self::MetadataName
            | Self::DeadSuffix
            | Self::LocalhostName
            | Self::SingleLabel
            | Self::PrivateSuffix => Stage::Name,
            Self::NoAddress
            | Self::BlockedAddress
            | Self::OwnSocket
            | Self::NeverAddress
            | Self::MetadataAddress
            | Self::PrivateAddress
            | Self::LoopbackAddress
            | Self::LinkLocalAddress
            | Self::SpecialAddress
            | Self::Pivot => Stage::Dns,
        }
    }
}

/// The hint for an address that no block rule refused, and what is worth knowing about its range.
fn address_hint(kind: Rule, subject: Subject) -> (Hint, Option<Remark>) {
    let Subject { address, class, inner } = subject;
    if matches!(kind, Rule::OwnSocket | Rule::Pivot) {
        return (Hint::Nothing, None);
    }
    let alone = Hint::AllowCidrs(IpNet::from(inner.map_or(address, IpAddr::V4)));
    let block = class.block.map(|block| block.to_string());
    match (class.tier, block.as_deref()) {
        (Tier::Never, Some("64:ff9b::/96")) => (Hint::Nothing, Some(Remark::WellKnownNat64)),
        (Tier::Never, _) => (Hint::Nothing, None),
        (Tier::Private, Some("100.64.0.0/10")) => (Hint::AllowPrivateNetwork, Some(Remark::SharedAddressSpace)),
        (Tier::Private | Tier::Loopback, _) => (Hint::AllowPrivateNetwork, None),
        (Tier::Special, Some("198.18.0.0/15")) => {
            (class.block.map_or(alone, Hint::FakeIpRanges), Some(Remark::FakeAddress))
        }
        (Tier::Special, Some("64:ff9b:1::/48")) => {
            let prefix = IpNet::new(address, 96).map(|net| net.trunc());
            (prefix.map_or(alone, Hint::Nat64Prefixes), Some(Remark::LocalNat64))
        }
        (Tier::Public | Tier::LinkLocal | Tier::Metadata | Tier::Special, _) => (alone, None),
    }
}

fn name_remark(target: &TargetUrl) -> Option<Remark> {
    match target.host() {
        Host::Name(name) => names::remark(name),
        Host::Address(_) => None,
    }
}
