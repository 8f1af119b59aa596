//! From a host to its addresses.
//!
//! Names go to the system's resolver as they were typed, so `/etc/hosts`, Docker's DNS and a search list work for what the
//! operator wrote. Localhost names are never asked of DNS (RFC 6761, section 6.3).

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use tokio::sync::Semaphore;

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

/// Resolves names. Cloning it is cheap.
#[derive(Clone, Debug, Default)]
pub struct Resolver {
    options: Arc<ResolverOptions>,
}

impl Resolver {
    /// A resolver that has asked nobody yet.
    pub fn new(options: ResolverOptions) -> Self {
        Self { options: Arc::new(options) }
    }

    /// What it was made from.
    pub fn options(&self) -> &ResolverOptions {
        &self.options
    }

    /// The addresses of a host that the operator wrote: as it was typed, so that search lists apply.
    pub(crate) async fn lookup_as_typed(&self, target: &TargetUrl, places: &Arc<Semaphore>) -> io::Result<Vec<IpAddr>> {
        resolve(target, places).await
    }

    /// The addresses of a host that anyone wrote: of the absolute name, without a search list.
    pub(crate) async fn lookup_absolute(&self, target: &TargetUrl, places: &Arc<Semaphore>) -> io::Result<Vec<IpAddr>> {
        resolve(target, places).await
    }
}

/// All addresses of the target's host, each once, in the resolver's order.
///
/// # Errors
/// The resolver's error; an empty answer is one too.
pub(crate) async fn resolve(target: &TargetUrl, places: &Arc<Semaphore>) -> io::Result<Vec<IpAddr>> {
    let name = match target.host() {
        Host::Address(address) => return Ok(vec![*address]),
        Host::Name(_) if target.is_localhost() => {
            return Ok(LOCALHOST.to_vec());
        }
        Host::Name(name) => name.as_str(),
    };
    let mut addresses = Vec::new();
    for socket in lookup(name.to_owned(), target.port(), places).await? {
        let address = socket.ip();
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(addresses)
}

/// Asks the system on a thread of the runtime's. The thread is not freed when the request is dropped: a place is held
/// until it is, so that an upstream whose DNS is dead never takes more than its own places.
async fn lookup(name: String, port: u16, places: &Arc<Semaphore>) -> io::Result<Vec<SocketAddr>> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let ask = move || {
        let _place = place;
        #[expect(clippy::disallowed_methods, reason = "this is the one place that asks DNS")]
        (name.as_str(), port).to_socket_addrs().map(Iterator::collect)
    };
    tokio::task::spawn_blocking(ask).await.map_err(io::Error::other)?
}
