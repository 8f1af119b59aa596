//! The addresses of a name, by asking the system: `/etc/hosts`, then whatever the system is configured to ask.

use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::Arc;

use tokio::sync::Semaphore;

/// Where the system keeps names of its own.
const HOSTS: &str = "/etc/hosts";

/// The addresses of `name` as `curl` would find them: a search list applies.
pub(super) async fn lookup_as_typed(name: &str, places: &Arc<Semaphore>) -> io::Result<Vec<IpAddr>> {
    let name = name.to_owned();
    on_a_thread(places, move || ask(&name)).await
}

/// The addresses of exactly `name`, without a search list.
pub(super) async fn lookup_absolute(name: &str, places: &Arc<Semaphore>) -> io::Result<Vec<IpAddr>> {
    let name = name.to_owned();
    let find = move || {
        let hosts = std::fs::read(HOSTS).unwrap_or_default();
        find_absolute(&String::from_utf8_lossy(&hosts), &name, ask)
    };
    on_a_thread(places, find).await
}

/// With a trailing dot the system applies no search list, but it also overlooks what its hosts file says of the name.
fn find_absolute(
    hosts: &str,
    name: &str,
    ask: impl FnOnce(&str) -> io::Result<Vec<IpAddr>>,
) -> io::Result<Vec<IpAddr>> {
    let found = hosts_entries(hosts, name);
    if found.is_empty() { ask(&format!("{name}.")) } else { Ok(found) }
}

/// Asks on a thread of the runtime's. The thread is not freed when the request is dropped: a place is held until it is,
/// so that an upstream whose DNS is dead never takes more than its own places.
async fn on_a_thread(
    places: &Arc<Semaphore>,
    find: impl FnOnce() -> io::Result<Vec<IpAddr>> + Send + 'static,
) -> io::Result<Vec<IpAddr>> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let find = move || {
        let _place = place;
        find()
    };
    tokio::task::spawn_blocking(find).await.map_err(io::Error::other)?
}

fn ask(name: &str) -> io::Result<Vec<IpAddr>> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system's resolver")]
    let found = (name, 0).to_socket_addrs()?;
    Ok(found.map(|socket| socket.ip()).collect())
}

/// The addresses that a hosts file gives `name`; case does not matter. What is not an address is passed over.
fn hosts_entries(hosts: &str, name: &str) -> Vec<IpAddr> {
    let entry = |line: &str| {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let address = words.next()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then(|| address.parse().ok())?
    };
    hosts.lines().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::{find_absolute, hosts_entries};

    #[test]
    fn the_hosts_file_is_read_for_the_exact_name() {
        let hosts = "127.0.0.1\tlocalhost\n\
            # 10.0.0.9 nas.lan\n\
            10.0.0.1   NAS.lan nas # nas.example.net\r\n\
            fd12::1 nas.lan\n\
            fe80::1%eth0 nas.lan\n\
            not-an-address nas.lan\n\
            10.0.0.2\n\n";
        let check = |name: &str, expected: &[&str]| {
            let found: Vec<String> = hosts_entries(hosts, name).iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{name}");
        };
        check("nas.lan", &["10.0.0.1", "fd12::1"]);
        check("nas", &["10.0.0.1"]);
        check("nas.example.net", &[]);
        check("lan", &[]);
        check("10.0.0.2", &[]);
    }

    #[test]
    fn the_system_is_asked_for_the_absolute_name_that_the_hosts_file_does_not_know() {
        let check = |name: &str, expected: &str| {
            let mut asked = None;
            let found = find_absolute("10.0.0.1 nas.lan nas\n", name, |name| {
                asked = Some(name.to_owned());
                Ok(vec![IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))])
            });
            assert_eq!(found.unwrap(), [expected.parse::<IpAddr>().unwrap()], "{name}");
            asked
        };
        assert_eq!(check("nas.lan", "10.0.0.1"), None);
        assert_eq!(check("nas", "10.0.0.1"), None);
        assert_eq!(check("nas.example.net", "192.0.2.1").as_deref(), Some("nas.example.net."));
        assert_eq!(check("other", "192.0.2.1").as_deref(), Some("other."));
    }
}
