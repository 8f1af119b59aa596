//! What is allowed: the one policy object that every outgoing URL and every address is judged by.
//!
//! Judging is pure: the rules, a target and an address go in, a named verdict comes out. Nothing here asks DNS, opens a
//! socket or reads a clock. A request is judged twice: [`EgressPolicy::judge_target`] before any DNS query, and
//! [`EgressPolicy::judge_address`] for each address before a connection to it. What is not opened is refused.
//!
//! A policy is built once and judges often: [`EgressPolicy::new`] sorts its lists, and judging an address costs nanoseconds
//! and allocates nothing unless it is refused and the refusal has to be told. [`EgressPolicy::rule_on`] judges without telling.
//!
//! Next: `pattern` (how the rules are written), `decide` (the order of decision), `index` (the lists, sorted), `ports` and
//! `names` (what is known of those), `judgement` (a whole text), `denied` and `hint` (what a refusal says).

mod decide;
mod denied;
mod discovered;
mod hint;
mod index;
mod judgement;
mod label;
mod names;
mod pattern;
pub(crate) mod pivot;
mod ports;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::address::AddressClass;
use crate::target::{Host, LOCALHOST, TargetUrl};

pub use denied::{Denied, Stage};
pub use discovered::may_be_nat64;
pub use hint::{Hint, Remark};
pub use judgement::{Judgement, Ruling, Verdict};
pub use pattern::{Cidr, HostPattern, InvalidPattern, Nat64Prefix};

use decide::{Author, Compiled, Reach};
use denied::{Refusal, Rule};
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

impl PolicyRules {
    /// Whether they open anything that is not public.
    pub fn opens_private(&self) -> bool {
        self.allow_private_network || !self.allow_hosts.is_empty() || !self.allow_cidrs.is_empty()
    }

    /// The same without what opens anything that is not public.
    #[must_use]
    pub fn narrowed(&self) -> Self {
        Self { allow_private_network: false, allow_hosts: Vec::new(), allow_cidrs: Vec::new(), ..self.clone() }
    }
}

/// A policy that judges. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct EgressPolicy(Arc<Compiled>);

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

impl EgressPolicy {
    /// For URLs that a model, a page or a client chose. The rules are taken as they are; nothing in them can be wrong any
    /// more. A refusal hints at what opens that one host or address, for whatever is opened here is open to every URL.
    pub fn new(rules: PolicyRules) -> Self {
        Self(Arc::new(Compiled::new(rules, Reach::AnyUrl)))
    }

    /// For one origin that the operator typed. It judges as [`EgressPolicy::new`] does, but a refusal of a private address
    /// hints at `allowPrivateNetwork`, which here opens that origin alone.
    pub fn for_origin(rules: PolicyRules) -> Self {
        Self(Arc::new(Compiled::new(rules, Reach::OneOrigin)))
    }

    /// The rules it was made from.
    pub fn rules(&self) -> &PolicyRules {
        &self.0.rules
    }

    /// Judges port and name, before any DNS query. Says nothing about a literal address; that is for
    /// [`EgressPolicy::judge_address`].
    ///
    /// # Errors
    /// The refusal.
    pub fn judge_target(&self, target: &TargetUrl) -> Result<(), Denied> {
        self.0.judge_target(target, Author::Anyone).map_err(|refusal| self.tell(target, refusal))
    }

    /// The same for a name that the operator typed: the dead suffixes (`.test`, `.example` …) are not refused, for the
    /// operator's own DNS may know them.
    ///
    /// # Errors
    /// The refusal.
    pub fn judge_operator_target(&self, target: &TargetUrl) -> Result<(), Denied> {
        self.0.judge_target(target, Author::Operator).map_err(|refusal| self.tell(target, refusal))
    }

    /// Judges one address of `target`.
    ///
    /// # Errors
    /// The refusal.
    pub fn judge_address(&self, target: &TargetUrl, ip: IpAddr) -> Result<Opened, Denied> {
        self.0.judge_address(target, ip).map_err(|refusal| self.tell(target, refusal))
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
        match self.0.judge_addresses(target, addresses, |address| opened.push(address)) {
            Ok(()) => Ok(opened),
            Err(refusal) => Err(self.tell(target, refusal)),
        }
    }

    /// Judges `text` from its first character to its addresses. `dns` is what DNS would answer for its name; with `None`
    /// no query may be made, and needing one is a refusal.
    pub fn judge_url(&self, text: &str, dns: Option<&[IpAddr]>) -> Judgement {
        match TargetUrl::parse(text) {
            Ok(target) => Judgement::from(&self.rule_on(&target, dns)),
            Err(error) => Judgement::from(&error),
        }
    }

    /// Judges a target that anyone wrote, as [`EgressPolicy::judge_url`] does, and writes nothing down: no message, no hint,
    /// no text for the range is made until the [`Ruling`] is asked for it.
    pub fn rule_on<'a>(&'a self, target: &'a TargetUrl, dns: Option<&[IpAddr]>) -> Ruling<'a> {
        let mut first = None;
        let outcome = self.0.judge_target(target, Author::Anyone).and_then(|()| {
            let keep = |address| {
                first.get_or_insert(address);
            };
            match (target.host(), dns) {
                (Host::Address(ip), _) => self.0.judge_addresses(target, &[*ip], keep),
                (Host::Name(_), _) if target.is_localhost() => self.0.judge_addresses(target, &LOCALHOST, keep),
                (Host::Name(_), Some(answers)) => self.0.judge_addresses(target, answers, keep),
                (Host::Name(_), None) => Err(Refusal::of(Rule::NoLookup)),
            }
        });
        Ruling::new(target, self.0.reach, first, outcome.err())
    }

    /// Judges a bare address, for no name and on no port in particular: as if a URL named it.
    pub fn rule_on_address<'a>(&'a self, target: &'a TargetUrl, ip: IpAddr) -> Ruling<'a> {
        match self.0.judge_address(target, ip) {
            Ok(opened) => Ruling::new(target, self.0.reach, Some(opened), None),
            Err(refusal) => Ruling::new(target, self.0.reach, None, Some(refusal)),
        }
    }

    /// The same policy without its openings: what a call gets that asks for public addresses alone.
    pub fn narrowed(&self) -> Self {
        Self(Arc::new(Compiled::new(self.rules().narrowed(), self.0.reach)))
    }

    /// The same policy with these hosts among those of `allowHosts`.
    pub fn opened_for(&self, hosts: &[HostPattern]) -> Self {
        let mut rules = self.rules().clone();
        rules.allow_hosts.extend_from_slice(hosts);
        Self(Arc::new(Compiled::new(rules, self.0.reach)))
    }

    /// Whether the operator opened the target's port, which is closed for others.
    pub(crate) fn reopens_port(&self, target: &TargetUrl) -> bool {
        ports::classify(target.port()) == Port::Service && self.0.names_port(target)
    }

    fn tell(&self, target: &TargetUrl, refusal: Refusal<'_>) -> Denied {
        Denied::new(target, refusal, self.0.reach)
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

    /// The configuration's key that opened it; `None` where nothing had to.
    pub fn key(self) -> Option<&'static str> {
        match self {
            Self::Public => None,
            Self::AllowPrivateNetwork => Some("allowPrivateNetwork"),
            Self::AllowHosts => Some("allowHosts"),
            Self::AllowCidrs => Some("allowCidrs"),
            Self::FakeIp => Some("fakeIpRanges"),
        }
    }
}
