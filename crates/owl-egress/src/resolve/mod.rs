//! From a host to its addresses; the only place that asks DNS.
//!
//! A host that the *operator* wrote goes to the system's resolver as it was typed, so `/etc/hosts`, Docker's DNS and a
//! search list work. One that anybody else wrote is looked up as the absolute name that it is. DNS servers that the
//! operator named are asked for absolute names alone. Localhost names are never asked of DNS (RFC 6761, section 6.3), and
//! nothing is remembered: each lookup is a new question, so that a name that leads elsewhere now is judged by that.
//!
//! Next: `system`, `servers` and `exchange` (who is asked, and how), `nat64` (what the network says of itself).

mod exchange;
mod nat64;
mod servers;
mod system;

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::sync::Semaphore;

use self::nat64::Discovery;
use crate::policy::Nat64Prefix;
use crate::target::{Host, LOCALHOST, TargetUrl};

/// How many lookups one upstream may have under way.
pub(crate) const LOOKUPS: usize = 8;

/// Who resolves names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ResolverOptions {
    /// The system: `/etc/hosts`, then whatever the system is configured to ask.
    #[default]
    System,
    /// These DNS servers, and nothing else.
    Servers(Vec<SocketAddr>),
}

/// Resolves names. Cloning it is cheap, and clones share what was discovered.
#[derive(Clone, Debug, Default)]
pub struct Resolver {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    options: ResolverOptions,
    discovery: Discovery,
}

/// Whether a search list applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    AsTyped,
    Absolute,
}

impl Resolver {
    /// A resolver that has asked nobody yet.
    pub fn new(options: ResolverOptions) -> Self {
        Self { shared: Arc::new(Shared { options, discovery: Discovery::default() }) }
    }

    /// What it was made from.
    pub fn options(&self) -> &ResolverOptions {
        &self.shared.options
    }

    /// The addresses of a host that anyone wrote, for those who only ask: of the absolute name, without a search list.
    ///
    /// # Errors
    /// The resolver's error; an empty answer is one too.
    pub async fn addresses(&self, target: &TargetUrl) -> io::Result<Vec<IpAddr>> {
        self.lookup_absolute(target, &Arc::new(Semaphore::new(1))).await
    }

    /// The addresses of a host that the operator wrote, for those who only ask: as it was typed, so that search lists apply.
    ///
    /// # Errors
    /// The resolver's error; an empty answer is one too.
    pub async fn addresses_as_typed(&self, target: &TargetUrl) -> io::Result<Vec<IpAddr>> {
        self.lookup_as_typed(target, &Arc::new(Semaphore::new(1))).await
    }

    /// The addresses of a host that the operator wrote: as it was typed, so that search lists apply. Each address once,
    /// in the resolver's order.
    ///
    /// # Errors
    /// The resolver's error; an empty answer is one too.
    ///
    /// # Cancel safety
    /// Dropping the future closes its sockets. A thread that waits for the system keeps its place in `places` until it
    /// is done.
    pub(crate) async fn lookup_as_typed(&self, target: &TargetUrl, places: &Arc<Semaphore>) -> io::Result<Vec<IpAddr>> {
        self.lookup(target, places, Reading::AsTyped).await
    }

    /// The addresses of a host that anyone wrote: of the absolute name, without a search list. Otherwise as
    /// [`Resolver::lookup_as_typed`].
    pub(crate) async fn lookup_absolute(&self, target: &TargetUrl, places: &Arc<Semaphore>) -> io::Result<Vec<IpAddr>> {
        self.lookup(target, places, Reading::Absolute).await
    }

    /// The NAT64 prefixes that the network announces (RFC 7050), but the well-known one; for
    /// [`EgressPolicy::judge_discovered`]. Only the first caller in an hour waits for DNS, two seconds at most; after a
    /// failure it is asked again in a minute, and until then what was known before holds.
    ///
    /// Nothing needs to be asked where no address [could be below one](crate::policy::may_be_nat64).
    ///
    /// # Cancel safety
    /// Dropping the future leaves the question to the next caller.
    ///
    /// [`EgressPolicy::judge_discovered`]: crate::policy::EgressPolicy::judge_discovered
    pub async fn nat64_prefixes(&self) -> Arc<[Nat64Prefix]> {
        self.shared.discovery.prefixes(&self.shared.options).await
    }

    async fn lookup(&self, target: &TargetUrl, places: &Arc<Semaphore>, reading: Reading) -> io::Result<Vec<IpAddr>> {
        let name = match target.host() {
            Host::Address(address) => return Ok(vec![*address]),
            Host::Name(_) if target.is_localhost() => return Ok(LOCALHOST.to_vec()),
            Host::Name(name) => name.as_str(),
        };
        let mut addresses = match (&self.shared.options, reading) {
            (ResolverOptions::System, Reading::AsTyped) => system::lookup_as_typed(name, places).await?,
            (ResolverOptions::System, Reading::Absolute) => system::lookup_absolute(name, places).await?,
            (ResolverOptions::Servers(servers), Reading::AsTyped | Reading::Absolute) => {
                servers::lookup(servers, name).await?
            }
        };
        let mut seen = HashSet::new();
        addresses.retain(|address| seen.insert(*address));
        if addresses.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests;
