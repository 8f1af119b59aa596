//! Where the addresses of a name come from: the URL itself, `--resolve`, or whoever resolves names for Owl.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use owl_egress::TargetUrl;
use owl_egress::error::plain_resolve;
use owl_egress::policy::{Nat64Prefix, may_be_nat64};
use owl_egress::resolve::{Resolver, ResolverOptions};
use owl_egress::target::{Host, LOCALHOST};

/// One `--resolve`: what a name leads to.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    host: Host,
    addresses: Vec<IpAddr>,
}

impl FromStr for Resolved {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((host, addresses)) = text.split_once('=') else {
            return Err("write a name, `=` and its addresses, such as nas.lan=192.168.7.2,fd12::2".to_owned());
        };
        let host = match TargetUrl::parse(&format!("http://{host}/")) {
            Ok(target) if matches!(target.host(), Host::Name(_)) && !host.contains(['/', ':', '?', '#']) => {
                target.host().clone()
            }
            Ok(_) | Err(_) => return Err(format!("{host:?} is not a name")),
        };
        let address = |text: &str| text.trim().parse().map_err(|_| format!("{text:?} is not an address"));
        Ok(Self { host, addresses: addresses.split(',').map(address).collect::<Result<_, _>>()? })
    }
}

/// What is known of names.
#[derive(Debug)]
pub(super) struct Names {
    given: Vec<Resolved>,
    offline: bool,
    resolver: Resolver,
}

/// What a lookup came to.
#[derive(Debug)]
pub(super) enum Lookup {
    /// The host is an address.
    Literal(IpAddr),
    /// A localhost name, which is never asked of DNS.
    Localhost,
    /// From `--resolve`.
    Given(Vec<IpAddr>),
    /// From the resolver, with the NAT64 prefixes that its network announces where they count.
    Found { by: &'static str, addresses: Vec<IpAddr>, nat64: Arc<[Nat64Prefix]> },
    /// The resolver had no answer.
    Failed { by: &'static str, reason: String },
    /// No query may be made.
    Forbidden,
}

impl Names {
    pub(super) fn new(given: Vec<Resolved>, offline: bool, resolver: Resolver) -> Self {
        Self { given, offline, resolver }
    }

    /// The addresses of the target's host as far as nobody has to be asked.
    pub(super) fn known(&self, target: &TargetUrl) -> Option<Vec<IpAddr>> {
        self.without_query(target)?.addresses().map(<[IpAddr]>::to_vec)
    }

    fn without_query(&self, target: &TargetUrl) -> Option<Lookup> {
        match target.host() {
            Host::Address(ip) => Some(Lookup::Literal(*ip)),
            Host::Name(_) if target.is_localhost() => Some(Lookup::Localhost),
            host @ Host::Name(_) => {
                let given = self.given.iter().filter(|one| one.host == *host);
                let addresses: Vec<IpAddr> = given.flat_map(|one| one.addresses.iter().copied()).collect();
                (!addresses.is_empty()).then_some(Lookup::Given(addresses))
            }
        }
    }

    /// Looks the target's host up: as it was typed where the operator wrote it, else as an absolute name.
    pub(super) async fn look_up(&self, target: &TargetUrl, is_operators: bool) -> Lookup {
        if let Some(lookup) = self.without_query(target) {
            return lookup;
        }
        if self.offline {
            return Lookup::Forbidden;
        }
        let answer = if is_operators {
            self.resolver.addresses_as_typed(target).await
        } else {
            self.resolver.addresses(target).await
        };
        let by = match self.resolver.options() {
            ResolverOptions::System => "the system's resolver",
            ResolverOptions::Servers(_) => "the DNS servers of `egress.resolver`",
        };
        match answer {
            Ok(addresses) => Lookup::Found { by, nat64: self.nat64_prefixes(&addresses).await, addresses },
            Err(error) => Lookup::Failed { by, reason: plain_resolve(&error) },
        }
    }

    async fn nat64_prefixes(&self, addresses: &[IpAddr]) -> Arc<[Nat64Prefix]> {
        if addresses.iter().copied().any(may_be_nat64) { self.resolver.nat64_prefixes().await } else { Arc::default() }
    }
}

impl Lookup {
    /// The addresses; `None` where no query may be made.
    pub(super) fn addresses(&self) -> Option<&[IpAddr]> {
        match self {
            Self::Literal(ip) => Some(std::slice::from_ref(ip)),
            Self::Localhost => Some(&LOCALHOST),
            Self::Given(addresses) | Self::Found { addresses, .. } => Some(addresses),
            Self::Failed { .. } => Some(&[]),
            Self::Forbidden => None,
        }
    }

    /// The NAT64 prefixes by which the addresses are judged, too.
    pub(super) fn nat64(&self) -> &[Nat64Prefix] {
        match self {
            Self::Found { nat64, .. } => nat64,
            Self::Literal(_) | Self::Localhost | Self::Given(_) | Self::Failed { .. } | Self::Forbidden => &[],
        }
    }

    /// What was done, in a clause.
    pub(super) fn told(&self) -> String {
        let joined = |addresses: &[IpAddr]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::Literal(_) => "none needed: the URL names the address itself".to_owned(),
            Self::Localhost => {
                format!("none needed: a localhost name is {} and never asked of DNS", joined(&LOCALHOST))
            }
            Self::Given(addresses) => format!("{}, as --resolve says", joined(addresses)),
            Self::Found { by, addresses, .. } => format!("{}, from {by}", joined(addresses)),
            Self::Failed { by, reason } => format!("no address from {by}: {reason}"),
            Self::Forbidden => "needed, but --offline allows none".to_owned(),
        }
    }
}
