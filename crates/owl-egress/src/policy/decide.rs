//! The order of decision: which rule refuses a target, and what opens an address.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::denied::{Entry, Refusal, Rule, Subject};
use super::index::{HostIndex, Ranges};
use super::names::{self, Name};
use super::pattern::HostPattern;
use super::ports::{self, Port};
use super::{Opened, Opening, PolicyRules};
use crate::address::{Tier, classify, in_well_known_nat64};
use crate::target::{Host, LOCALHOST, TargetUrl};

/// Who wrote the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Author {
    Anyone,
    Operator,
}

/// What the rules are for, and so what a hint proposes to open; nothing else hangs on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Any URL that somebody hands in.
    AnyUrl,
    /// The one origin that the operator typed beside them.
    OneOrigin,
}

/// The rules, and their lists made quick to ask.
#[derive(Clone, Debug)]
pub(super) struct Compiled {
    pub(super) rules: PolicyRules,
    pub(super) reach: Reach,
    allow_cidrs: Ranges,
    block_cidrs: Ranges,
    fake_ips: Ranges,
    allow_hosts: HostIndex,
    only_hosts: HostIndex,
    block_hosts: HostIndex,
    /// Whether neither block list is about addresses, as most are not: then none of them has to be asked.
    blocks_nothing: bool,
    /// Whether `blockHosts` names an address: that address is then refused for every name.
    blocks_literals: bool,
}

impl Compiled {
    pub(super) fn new(rules: PolicyRules, reach: Reach) -> Self {
        let blocks_literals = rules.block_hosts.iter().any(|entry| entry.address().is_some());
        Self {
            reach,
            allow_cidrs: Ranges::new(&rules.allow_cidrs),
            block_cidrs: Ranges::new(&rules.block_cidrs),
            fake_ips: Ranges::new(&rules.fake_ip_ranges),
            allow_hosts: HostIndex::new(&rules.allow_hosts),
            only_hosts: HostIndex::new(&rules.only_hosts),
            block_hosts: HostIndex::new(&rules.block_hosts),
            blocks_nothing: rules.block_cidrs.is_empty() && !blocks_literals,
            blocks_literals,
            rules,
        }
    }

    /// Judges port and name.
    pub(super) fn judge_target(&self, target: &TargetUrl, author: Author) -> Result<(), Refusal<'_>> {
        if let Some(entry) = self.block_hosts.find(&self.rules.block_hosts, target, |_| true) {
            return Err(Refusal { entry: Some(Entry::Host(entry)), ..Refusal::of(Rule::BlockedHost) });
        }
        self.refusing_rule(target, author).map_or(Ok(()), |rule| Err(Refusal::of(rule)))
    }

    /// Judges one address.
    pub(super) fn judge_address(&self, target: &TargetUrl, ip: IpAddr) -> Result<Opened, Refusal<'_>> {
        let subject = self.subject(ip.to_canonical());
        if let Some(entry) = self.blocking_entry(target, subject) {
            return Err(Refusal { rule: Rule::BlockedAddress, subject: Some(subject), entry: Some(entry) });
        }
        match self.open(target, subject) {
            Ok(by) => Ok(Opened { by, class: subject.class, connect_to: subject.address }),
            Err(rule) => Err(Refusal { rule, subject: Some(subject), entry: None }),
        }
    }

    /// Judges all addresses; hands over those that may be connected to, which count for nothing when it ends in a refusal.
    pub(super) fn judge_addresses(
        &self,
        target: &TargetUrl,
        addresses: &[IpAddr],
        mut keep: impl FnMut(Opened),
    ) -> Result<(), Refusal<'_>> {
        let (mut any, mut closed) = (false, None);
        for ip in addresses {
            match self.judge_address(target, *ip) {
                Ok(opened) => {
                    any = true;
                    keep(opened);
                }
                Err(refusal) if refusal.rule.is_merely_closed() && target.is_localhost() => {
                    closed.get_or_insert(refusal);
                }
                Err(refusal) => return Err(refusal),
            }
        }
        if any { Ok(()) } else { Err(closed.unwrap_or(Refusal::of(Rule::NoAddress))) }
    }

    /// The entry of a block list that the address, or the IPv4 address inside, is in.
    fn blocking_entry(&self, target: &TargetUrl, subject: Subject) -> Option<Entry<'_>> {
        if self.blocks_nothing {
            return None;
        }
        let also = subject.inner.or(subject.class.embedded).map(IpAddr::V4);
        let either = |test: &dyn Fn(IpAddr) -> bool| test(subject.address) || also.is_some_and(test);
        if either(&|ip| self.block_cidrs.contains(ip)) {
            let entry = self.rules.block_cidrs.iter().find(|cidr| either(&|ip| cidr.contains(ip)));
            return entry.map(Entry::Cidr);
        }
        if !self.blocks_literals {
            return None;
        }
        let names = |entry: &&HostPattern| {
            entry.port().is_none_or(|port| port == target.port()) && either(&|ip| entry.address() == Some(ip))
        };
        self.rules.block_hosts.iter().find(names).map(Entry::Host)
    }

    /// The rule that refuses `target` by its port or name.
    fn refusing_rule(&self, target: &TargetUrl, author: Author) -> Option<Rule> {
        match ports::classify(target.port()) {
            Port::Bad => return Some(Rule::BadPort),
            Port::Service if !self.names_port(target) => return Some(Rule::ServicePort),
            Port::Service | Port::Fine => {}
        }
        let name = match target.host() {
            Host::Name(name) => names::classify(name),
            Host::Address(_) => Name::Ordinary,
        };
        // Before `onlyHosts`, for that would hint at a key that does not help.
        if name == Name::Metadata {
            return Some(Rule::MetadataName);
        }
        if !self.rules.only_hosts.is_empty() && self.only_hosts.find(&self.rules.only_hosts, target, |_| true).is_none()
        {
            return Some(Rule::OnlyHosts);
        }
        match name {
            Name::Metadata => Some(Rule::MetadataName),
            Name::Dead => match author {
                Author::Anyone => Some(Rule::DeadSuffix),
                Author::Operator => None,
            },
            Name::Localhost if !self.opens_localhost(target) => Some(Rule::LocalhostName),
            Name::SingleLabel if !self.opens_private_names(target) => Some(Rule::SingleLabel),
            Name::Private if !self.opens_private_names(target) => Some(Rule::PrivateSuffix),
            Name::Localhost | Name::SingleLabel | Name::Private | Name::Ordinary => None,
        }
    }

    /// Whether the operator named the service port: in `allowPorts`, or with this host in a `host:port` entry.
    pub(super) fn names_port(&self, target: &TargetUrl) -> bool {
        let has_port = |entry: &HostPattern| entry.port().is_some();
        self.rules.allow_ports.contains(&target.port())
            || self.allow_hosts.find(&self.rules.allow_hosts, target, has_port).is_some()
            || self.only_hosts.find(&self.rules.only_hosts, target, has_port).is_some()
    }

    /// Whether a name of a private network could lead to an address that is open.
    fn opens_private_names(&self, target: &TargetUrl) -> bool {
        self.rules.allow_private_network || !self.rules.allow_cidrs.is_empty() || self.allows_host(target)
    }

    /// Whether one of [`LOCALHOST`] could be open.
    fn opens_localhost(&self, target: &TargetUrl) -> bool {
        self.rules.allow_private_network
            || LOCALHOST.iter().any(|ip| self.allow_cidrs.contains(*ip))
            || self.allows_loopback_host(target)
    }

    fn allows_host(&self, target: &TargetUrl) -> bool {
        self.allow_hosts.find(&self.rules.allow_hosts, target, |_| true).is_some()
    }

    fn allows_loopback_host(&self, target: &TargetUrl) -> bool {
        self.allow_hosts.find(&self.rules.allow_hosts, target, HostPattern::names_loopback).is_some()
    }

    /// The address as it is judged: one below an operator's NAT64 prefix is what the IPv4 address inside is.
    ///
    /// The prefix cannot make an address better than the table knows it to be: metadata and never stay what they are.
    fn subject(&self, address: IpAddr) -> Subject {
        let class = classify(address);
        match self.inner(address) {
            Some(inner) if !matches!(class.tier, Tier::Metadata | Tier::Never) => {
                Subject { address, class: classify(inner.into()), inner: Some(inner) }
            }
            Some(_) | None => Subject { address, class, inner: None },
        }
    }

    /// The IPv4 address inside, by the longest of the operator's NAT64 prefixes.
    fn inner(&self, address: IpAddr) -> Option<Ipv4Addr> {
        let IpAddr::V6(ip) = address else { return None };
        // The well-known prefix is in the table, and there private IPv4 is never, not private.
        if in_well_known_nat64(ip) {
            return None;
        }
        let found = self.rules.nat64_prefixes.iter().filter_map(|prefix| Some((prefix.length(), prefix.embedded(ip)?)));
        found.max_by_key(|(length, _)| *length).map(|(_, inner)| inner)
    }

    /// The order of decision for an address that no block rule refuses; the first that applies wins.
    fn open(&self, target: &TargetUrl, subject: Subject) -> Result<Opening, Rule> {
        let judged = subject.inner.map_or(subject.address, IpAddr::V4);
        let embedded = subject.class.embedded.map(IpAddr::V4);
        if self.is_own_socket(judged, target.port()) || embedded.is_some_and(|ip| self.is_own_socket(ip, target.port()))
        {
            return Err(Rule::OwnSocket);
        }
        let tier = subject.class.tier;
        if tier == Tier::Never {
            return Err(Rule::NeverAddress);
        }
        if tier == Tier::Metadata {
            let exact = self.rules.allow_cidrs.iter().any(|cidr| cidr.is_exactly(judged));
            return if exact { Ok(Opening::AllowCidrs) } else { Err(Rule::MetadataAddress) };
        }
        if self.allow_cidrs.contains(judged) {
            return Ok(Opening::AllowCidrs);
        }
        match tier {
            Tier::Public => Ok(Opening::Public),
            Tier::Private | Tier::Loopback if self.rules.allow_private_network => Ok(Opening::AllowPrivateNetwork),
            Tier::Private if self.allows_host(target) => Ok(Opening::AllowHosts),
            Tier::Private => Err(Rule::PrivateAddress),
            Tier::Loopback if self.allows_loopback_host(target) => Ok(Opening::AllowHosts),
            Tier::Loopback => Err(Rule::LoopbackAddress),
            Tier::Special if self.fake_ips.contains(judged) => Ok(Opening::FakeIp),
            Tier::Special => Err(Rule::SpecialAddress),
            Tier::LinkLocal => Err(Rule::LinkLocalAddress),
            Tier::Metadata => Err(Rule::MetadataAddress),
            Tier::Never => Err(Rule::NeverAddress),
        }
    }

    /// Whether Owl listens on `ip` and `port`: no policy lets a request come back in through Owl itself.
    fn is_own_socket(&self, ip: IpAddr, port: u16) -> bool {
        let is_own = |socket: &SocketAddr| socket.ip().to_canonical() == ip;
        self.rules.own_sockets.iter().filter(|socket| socket.port() == port).any(|socket| {
            let own = socket.ip().is_unspecified() && (ip.is_loopback() || self.rules.own_sockets.iter().any(is_own));
            own || is_own(socket)
        })
    }
}
