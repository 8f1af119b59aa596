//! A refusal: which rule, about what, and what would open it.
//!
//! It is written for two readers. `Display` is for the operator and names the address, its range and the key to set.
//! [`Denied::public_message`] is for clients and models, who must not learn what a name resolves to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use super::decide::Reach;
use super::hint::{Hint, Remark};
use super::pattern::{Cidr, HostPattern};
use crate::address::{AddressClass, Tier};
use crate::target::TargetUrl;

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
    NoLookup,
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
    /// Whether a public page led there.
    led_by_public: bool,
    /// What was judged. Boxed, for a refusal travels in results.
    subject: Option<Box<Subject>>,
}

/// The address that a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) address: IpAddr,
    pub(super) class: AddressClass,
    pub(super) inner: Option<Ipv4Addr>,
}

/// A refusal of which nothing was written down yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal<'a> {
    pub(super) rule: Rule,
    pub(super) subject: Option<Subject>,
    /// The entry of the block list that refused it.
    pub(super) entry: Option<Entry<'a>>,
}

/// An entry of a block list.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entry<'a> {
    Host(&'a HostPattern),
    Cidr(&'a Cidr),
}

impl Refusal<'_> {
    /// One that is about no address.
    pub(super) fn of(rule: Rule) -> Self {
        Self { rule, subject: None, entry: None }
    }

    pub(super) fn stage(&self, target: &TargetUrl) -> Stage {
        if self.subject.is_some() { Stage::of_addresses(target) } else { self.rule.stage_before_addresses() }
    }
}

impl Denied {
    /// Whether the refusal is for a private network alone, which `allowPrivateNetwork` opens: not for metadata, this link, blocked
    /// hosts and ports, nor where a public page led there.
    pub fn is_for_private_network(&self) -> bool {
        let private =
            [Rule::LocalhostName, Rule::SingleLabel, Rule::PrivateSuffix, Rule::PrivateAddress, Rule::LoopbackAddress];
        private.contains(&self.kind) && !self.led_by_public
    }

    /// The same refusal of what a public page leads to, which nothing opens.
    pub(crate) fn led_by_public(self) -> Self {
        Self { led_by_public: true, ..self }
    }

    /// The host and the port that were refused, as an entry of `allowHosts`.
    pub fn as_pattern(&self) -> Option<HostPattern> {
        let (host, port) = (&self.host, self.port);
        let text = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        text.parse().ok()
    }

    pub(super) fn new(target: &TargetUrl, refusal: Refusal<'_>, reach: Reach) -> Self {
        let Refusal { rule, subject, .. } = refusal;
        Self {
            stage: refusal.stage(target),
            rule: rule.name(),
            host: target.host().to_string(),
            port: target.port(),
            address: subject.map(|subject| subject.address),
            range: subject.map(|subject| subject.class.to_string()),
            hint: refusal.hint(target, reach),
            remark: refusal.remark(target),
            kind: rule,
            led_by_public: false,
            subject: subject.map(Box::new),
        }
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
            Rule::NoLookup => format!("{host} was not looked up"),
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

    /// What was refused and why, for the operator: `Display` without what would open it.
    pub fn reason(&self) -> String {
        struct Reason<'a>(&'a Denied);
        impl fmt::Display for Reason<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.write_reason(f)
            }
        }
        Reason(self).to_string()
    }

    /// What the address that was refused is; for a NAT64 address that was judged by the IPv4 address inside, what that is.
    pub fn class(&self) -> Option<AddressClass> {
        self.subject.as_ref().map(|subject| subject.class)
    }

    /// What was refused and why, without the hint.
    fn write_reason(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
            Rule::NoLookup => write!(f, "{host} would have to be looked up, and no query may be made"),
            Rule::OwnSocket => self.write_subject(f, "Owl itself listens there"),
            Rule::BlockedAddress => self.write_subject(f, "it is blocked"),
            Rule::NeverAddress
            | Rule::MetadataAddress
            | Rule::PrivateAddress
            | Rule::LoopbackAddress
            | Rule::LinkLocalAddress
            | Rule::SpecialAddress => self.write_subject(f, ""),
            Rule::Pivot => self.write_subject(f, "a public page may not redirect into a private network"),
        }
    }

    /// `nas.example.com resolves to 10.1.2.3, which is in 10.0.0.0/8, private use`
    fn write_subject(&self, f: &mut fmt::Formatter<'_>, besides: &str) -> fmt::Result {
        let Some(Subject { address, class, inner }) = self.subject.as_deref() else {
            return f.write_str(&self.host);
        };
        let mut which = "";
        if self.host != address.to_string() {
            let verb = if self.stage == Stage::Dns { "resolves to" } else { "is" };
            write!(f, "{} {verb} ", self.host)?;
            which = ", which";
        }
        write!(f, "{address}{which}")?;
        if let Some(inner) = inner {
            write!(f, " is NAT64 for {inner}, which")?;
        }
        match class.block {
            // Without a block in front the words stand alone: `outside the allocated IPv6 unicast space`.
            None => write!(f, " is not public: {class}")?,
            // Such an address is a block of its own, which would say it twice.
            Some(block) if class.tier == Tier::Metadata && block.prefix_len() == block.max_prefix_len() => {
                write!(f, " is {}", class.name)?;
            }
            Some(_) => write!(f, " is in {class}")?,
        }
        if besides.is_empty() { Ok(()) } else { write!(f, ", and {besides}") }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_reason(f)?;
        match &self.hint {
            None => {}
            Some(Hint::Nothing) => f.write_str("; nothing opens it")?,
            Some(hint @ (Hint::UnblockHost(_) | Hint::UnblockCidr(_))) => write!(f, "; to open it, {hint}")?,
            Some(
                hint @ (Hint::AllowPrivateNetwork
                | Hint::AllowHosts(_)
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

impl Stage {
    /// Its stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Scheme => "scheme",
            Self::UserInfo => "userinfo",
            Self::Port => "port",
            Self::Name => "name",
            Self::Dns => "dns",
            Self::Ip => "ip",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Rule {
    /// The rule's stable name.
    pub(super) fn name(self) -> &'static str {
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
            Self::NoLookup => "no-lookup",
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

    /// Whether the address was only not opened, as opposed to refused whatever is open.
    pub(super) fn is_merely_closed(self) -> bool {
        self == Self::LoopbackAddress
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
            | Self::NoLookup
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
