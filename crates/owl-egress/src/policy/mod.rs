//! What is allowed: the one policy object that every outgoing URL and every address is judged by.
//!
//! Judging is pure: the rules, a target and an address go in, a named verdict comes out. Nothing here asks DNS, opens a
//! socket or reads a clock. A request is judged twice: [`EgressPolicy::judge_target`] before any DNS query, and
//! [`EgressPolicy::judge_address`] for each address before a connection to it. What is not opened is refused.
//!
//! Next: `pattern` (how the rules are written), `ports` and `names` (the lists), `denied` (what a refusal says).

mod denied;
mod label;
mod names;
mod pattern;
pub(crate) mod pivot;
mod ports;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use crate::address::{AddressClass, Tier, classify, in_well_known_nat64};
use crate::target::{Host, InvalidTarget, LOCALHOST, TargetUrl};

pub use denied::{Denied, Hint, Remark, Stage};
pub use pattern::{Cidr, HostPattern, InvalidPattern, Nat64Prefix};

use denied::{Rule, Subject};
use names::Name;
use ports::Port;

/// A policy as it was typed; the default opens nothing but public addresses.
#[derive(Clone, Debug, Default)]
pub struct PolicyRules {
    /// Opens localhost and the private ranges, nothing else.
    pub allow_private_network: bool,
    /// Names that may resolve to a private address; to loopback only where the entry is itself a localhost name or an
    /// address.
    pub allow_hosts: Vec<HostPattern>,
    /// Ranges that are open. Metadata addresses are opened only by a range of that one address.
    pub allow_cidrs: Vec<Cidr>,
    /// When not empty, nothing else is reachable.
    pub only_hosts: Vec<HostPattern>,
    /// Names that are refused before anything else is considered.
    pub block_hosts: Vec<HostPattern>,
    /// Ranges that are refused before anything else is considered.
    pub block_cidrs: Vec<Cidr>,
    /// Service ports that are open again.
    pub allow_ports: Vec<u16>,
    /// Special ranges that a resolver answers with in place of public addresses, taken as public.
    pub fake_ip_ranges: Vec<Cidr>,
    /// NAT64 prefixes of the operator's, whose addresses are judged by the IPv4 address inside.
    pub nat64_prefixes: Vec<Nat64Prefix>,
    /// Owl's own listening sockets. `0.0.0.0:port` and `[::]:port` stand for every loopback address with that port, and
    /// for every other address in this list; a listener on all addresses should therefore list the machine's addresses.
    pub own_sockets: Vec<SocketAddr>,
}

/// A policy that judges. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct EgressPolicy(Arc<PolicyRules>);

/// What opened an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Opening {
    /// It is public.
    Public,
    /// `allowPrivateNetwork`.
    AllowPrivateNetwork,
    /// `allowHosts`.
    AllowHosts,
    /// `allowCidrs`.
    AllowCidrs,
    /// `fakeIpRanges`.
    FakeIp,
}

/// An address that may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What opened it.
    pub by: Opening,
    /// What it is; for an address below one of `nat64_prefixes`, what the IPv4 address inside is.
    pub class: AddressClass,
    /// The address to connect to: the one that was judged, IPv4-mapped IPv6 turned into IPv4.
    pub connect_to: IpAddr,
}

/// How a text was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It may be fetched.
    Allow,
    /// It may not.
    Deny,
    /// It is not a URL.
    Invalid,
}

/// The whole judgement of one text, as `judge_url` gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The step that decided.
    pub stage: Stage,
    /// The rule that refused, or what opened the first address, in kebab case.
    pub rule: &'static str,
    /// The address that was refused, or the first that may be connected to.
    pub address: Option<IpAddr>,
    /// The block of that address and what it is in words.
    pub range: Option<String>,
    /// What would open it.
    pub hint: Option<Hint>,
    /// The refusal in a sentence; empty when allowed.
    pub message: String,
}

impl EgressPolicy {
    /// Takes the rules as they are; nothing in them can be wrong any more.
    pub fn new(rules: PolicyRules) -> Self {
        Self(Arc::new(rules))
    }

    /// The rules it was made from.
    pub fn rules(&self) -> &PolicyRules {
        &self.0
    }

    /// Judges port and name, before any DNS query. Says nothing about a literal address; that is for
    /// [`EgressPolicy::judge_address`].
    ///
    /// # Errors
    /// The refusal.
    pub fn judge_target(&self, target: &TargetUrl) -> Result<(), Denied> {
        self.judge_name_and_port(target, Author::Anyone)
    }

    /// The same for a name that the operator typed: the dead suffixes (`.test`, `.example` …) are not refused, for the
    /// operator's own DNS may know them.
    ///
    /// # Errors
    /// The refusal.
    pub fn judge_operator_target(&self, target: &TargetUrl) -> Result<(), Denied> {
        self.judge_name_and_port(target, Author::Operator)
    }

    /// Judges one address of `target`.
    ///
    /// # Errors
    /// The refusal.
    pub fn judge_address(&self, target: &TargetUrl, ip: IpAddr) -> Result<Opened, Denied> {
        let rules = &*self.0;
        let subject = rules.subject(ip.to_canonical());
        let also = subject.inner.or(subject.class.embedded).map(IpAddr::V4);
        let blocking = |cidr: &&Cidr| cidr.contains(subject.address) || also.is_some_and(|ip| cidr.contains(ip));
        if let Some(entry) = rules.block_cidrs.iter().find(blocking) {
            return Err(Denied::address(target, Rule::BlockedAddress, subject, Some(entry.to_string())));
        }
        match rules.open(target, subject) {
            Ok(by) => Ok(Opened { by, class: subject.class, connect_to: subject.address }),
            Err(rule) => Err(Denied::address(target, rule, subject, None)),
        }
    }

    /// Judges all addresses of `target` together: any that is refused refuses the name, and none is a refusal too.
    ///
    /// Only a localhost name, whose addresses are [`LOCALHOST`] and not an answer of DNS, keeps the one that is open
    /// when the other is merely not opened.
    ///
    /// # Errors
    /// The first refusal.
    pub fn judge_addresses(&self, target: &TargetUrl, addresses: &[IpAddr]) -> Result<Vec<Opened>, Denied> {
        let mut opened = Vec::with_capacity(addresses.len());
        let mut closed = None;
        for ip in addresses {
            match self.judge_address(target, *ip) {
                Ok(address) => opened.push(address),
                Err(denied) if target.is_localhost() && denied.is_merely_closed() => {
                    closed.get_or_insert(denied);
                }
                Err(denied) => return Err(denied),
            }
        }
        if opened.is_empty() {
            return Err(closed.unwrap_or_else(|| Denied::target(target, Rule::NoAddress, None)));
        }
        Ok(opened)
    }

    /// Judges `text` from its first character to its addresses. `dns` is what DNS would answer for its name; with `None`
    /// no query may be made, and needing one is a refusal.
    pub fn judge_url(&self, text: &str, dns: Option<&[IpAddr]>) -> Judgement {
        let target = match TargetUrl::parse(text) {
            Ok(target) => target,
            Err(error) => return Judgement::of_invalid(&error),
        };
        let resolved = match target.host() {
            Host::Address(ip) => vec![*ip],
            Host::Name(_) if target.is_localhost() => LOCALHOST.to_vec(),
            Host::Name(_) => dns.unwrap_or_default().to_vec(),
        };
        match self.judge_target(&target).and_then(|()| self.judge_addresses(&target, &resolved)) {
            Ok(opened) => Judgement::allowed(&target, &opened),
            Err(denied) => Judgement::denied(denied),
        }
    }

    /// The same policy without its openings: what a call gets that asks for public addresses alone.
    pub fn narrowed(&self) -> Self {
        let rules = PolicyRules {
            allow_private_network: false,
            allow_hosts: Vec::new(),
            allow_cidrs: Vec::new(),
            ..self.rules().clone()
        };
        Self::new(rules)
    }

    /// Whether the operator opened the target's port, which is closed for others.
    pub(crate) fn reopens_port(&self, target: &TargetUrl) -> bool {
        ports::classify(target.port()) == Port::Service && self.0.names_port(target)
    }

    fn judge_name_and_port(&self, target: &TargetUrl, author: Author) -> Result<(), Denied> {
        let rules = &*self.0;
        if let Some(entry) = rules.block_hosts.iter().find(|entry| entry.matches(target)) {
            return Err(Denied::target(target, Rule::BlockedHost, Some(entry.to_string())));
        }
        match rules.refusing_rule(target, author) {
            Some(rule) => Err(Denied::target(target, rule, None)),
            None => Ok(()),
        }
    }
}

/// Who wrote the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Author {
    Anyone,
    Operator,
}

impl PolicyRules {
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
        if !self.only_hosts.is_empty() && !self.only_hosts.iter().any(|entry| entry.matches(target)) {
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
    fn names_port(&self, target: &TargetUrl) -> bool {
        let entry = |entry: &HostPattern| entry.port().is_some() && entry.matches(target);
        self.allow_ports.contains(&target.port()) || self.allow_hosts.iter().chain(&self.only_hosts).any(entry)
    }

    /// Whether a name of a private network could lead to an address that is open.
    fn opens_private_names(&self, target: &TargetUrl) -> bool {
        self.allow_private_network || !self.allow_cidrs.is_empty() || self.allows_host(target)
    }

    /// Whether one of [`LOCALHOST`] could be open.
    fn opens_localhost(&self, target: &TargetUrl) -> bool {
        let opens = |cidr: &Cidr| LOCALHOST.iter().any(|ip| cidr.contains(*ip));
        self.allow_private_network || self.allow_cidrs.iter().any(opens) || self.allows_loopback_host(target)
    }

    fn allows_host(&self, target: &TargetUrl) -> bool {
        self.allow_hosts.iter().any(|entry| entry.matches(target))
    }

    fn allows_loopback_host(&self, target: &TargetUrl) -> bool {
        self.allow_hosts.iter().any(|entry| entry.names_loopback() && entry.matches(target))
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
        let found = self.nat64_prefixes.iter().filter_map(|prefix| Some((prefix.length(), prefix.embedded(ip)?)));
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
            let exact = self.allow_cidrs.iter().any(|cidr| cidr.is_exactly(judged));
            return if exact { Ok(Opening::AllowCidrs) } else { Err(Rule::MetadataAddress) };
        }
        if self.allow_cidrs.iter().any(|cidr| cidr.contains(judged)) {
            return Ok(Opening::AllowCidrs);
        }
        match tier {
            Tier::Public => Ok(Opening::Public),
            Tier::Private | Tier::Loopback if self.allow_private_network => Ok(Opening::AllowPrivateNetwork),
            Tier::Private if self.allows_host(target) => Ok(Opening::AllowHosts),
            Tier::Private => Err(Rule::PrivateAddress),
            Tier::Loopback if self.allows_loopback_host(target) => Ok(Opening::AllowHosts),
            Tier::Loopback => Err(Rule::LoopbackAddress),
            Tier::Special if self.fake_ip_ranges.iter().any(|cidr| cidr.contains(judged)) => Ok(Opening::FakeIp),
            Tier::Special => Err(Rule::SpecialAddress),
            Tier::LinkLocal => Err(Rule::LinkLocalAddress),
            Tier::Metadata => Err(Rule::MetadataAddress),
            Tier::Never => Err(Rule::NeverAddress),
        }
    }

    /// Whether Owl listens on `ip` and `port`: no policy lets a request come back in through Owl itself.
    fn is_own_socket(&self, ip: IpAddr, port: u16) -> bool {
        let is_own = |socket: &SocketAddr| socket.ip().to_canonical() == ip;
        self.own_sockets.iter().filter(|socket| socket.port() == port).any(|socket| {
            let own = socket.ip().is_unspecified() && (ip.is_loopback() || self.own_sockets.iter().any(is_own));
            own || is_own(socket)
        })
    }
}

impl Opening {
    /// The opening's stable name, in kebab case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::AllowPrivateNetwork => "allow-private-network",
            Self::AllowHosts => "allow-hosts",
            Self::AllowCidrs => "allow-cidrs",
            Self::FakeIp => "fake-ip",
        }
    }
}

impl Judgement {
    /// The judgement of a text that is no URL that is ever fetched.
    pub(crate) fn of_invalid(error: &InvalidTarget) -> Self {
        let (verdict, rule) = match error {
            InvalidTarget::Parse(_) | InvalidTarget::Query | InvalidTarget::Fragment => (Verdict::Invalid, "not-a-url"),
            InvalidTarget::Scheme(_) => (Verdict::Deny, "scheme"),
            InvalidTarget::UserInfo => (Verdict::Deny, "user-info"),
            InvalidTarget::Host(_) => (Verdict::Deny, "not-a-host-name"),
        };
        let message = error.to_string();
        Self { verdict, stage: error.stage(), rule, address: None, range: None, hint: None, message }
    }

    fn denied(denied: Denied) -> Self {
        let message = denied.to_string();
        let Denied { stage, rule, address, range, hint, .. } = denied;
        Self { verdict: Verdict::Deny, stage, rule, address, range, hint, message }
    }

    fn allowed(target: &TargetUrl, opened: &[Opened]) -> Self {
        let written = matches!(target.host(), Host::Address(_)) || target.is_localhost();
        let first = opened.first();
        Self {
            verdict: Verdict::Allow,
            stage: if written { Stage::Ip } else { Stage::Dns },
            rule: first.map_or("public", |opened| opened.by.name()),
            address: first.map(|opened| opened.connect_to),
            range: first.map(|opened| opened.class.to_string()),
            hint: None,
            message: String::new(),
        }
    }
}
