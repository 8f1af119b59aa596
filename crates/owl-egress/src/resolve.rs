//! From a host to its addresses.
//!
//! Names go to the system's resolver as they were typed, so `/etc/hosts`, Docker's DNS and a search list work for what the
//! operator wrote. Localhost names are never asked of DNS (RFC 6761, section 6.3).

use std::io;
use std::net::IpAddr;

use crate::target::{Host, LOCALHOST, TargetUrl};

/// All addresses of the target's host, each once, in the resolver's order.
///
/// # Errors
/// The resolver's error; an empty answer is one too.
pub async fn resolve(target: &TargetUrl) -> io::Result<Vec<IpAddr>> {
    let name = match target.host() {
        Host::Address(address) => return Ok(vec![*address]),
        Host::Name(_) if target.is_localhost() => {
            return Ok(LOCALHOST.to_vec());
        }
        Host::Name(name) => name.as_str(),
    };
    let mut addresses = Vec::new();
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks DNS")]
    let found = tokio::net::lookup_host((name, target.port())).await?;
    for socket in found {
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
