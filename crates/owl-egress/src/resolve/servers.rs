//! The addresses of a name, by asking the DNS servers that the operator named, and nothing else of the system's: no hosts
//! file, no search list, no cache. One lookup is one question for IPv4 and one for IPv6 addresses.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use hickory_proto::rr::RecordType;

use super::exchange::{Question, Reply};

/// How often each server is asked before it counts as silent: packets get lost.
const ROUNDS: usize = 2;

/// How long one server has before the next is asked beside it.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// How long the second family is waited for once the first has an address. Some networks never answer for IPv6.
const PARTIAL_WAIT: Duration = Duration::from_millis(500);

/// All addresses of `name`, each once, IPv4 first. When one family fails, those of the other are the answer: what is
/// not known is not connected to.
///
/// # Errors
/// The name does not exist, has no address, or no server can say.
///
/// # Cancel safety
/// Dropping the future closes its sockets.
pub(super) async fn lookup(servers: &[SocketAddr], name: &str) -> io::Result<Vec<IpAddr>> {
    let (ipv4, ipv6) = (Question::new(name, RecordType::A)?, Question::new(name, RecordType::AAAA)?);
    let (ipv4, ipv6) = (pin!(ask_in_turn(servers, &ipv4)), pin!(ask_in_turn(servers, &ipv6)));
    let (first, other) = match select(ipv4, ipv6).await {
        Either::Left((first, other)) | Either::Right((first, other)) => (first, other),
    };
    let second = match &first {
        Ok(Reply::Addresses(addresses)) if !addresses.is_empty() => {
            tokio::time::timeout(PARTIAL_WAIT, other).await.unwrap_or_else(|late| Err(late.into()))
        }
        Ok(Reply::Addresses(_) | Reply::NoSuchName) | Err(_) => other.await,
    };
    merge([first, second])
}

/// The IPv6 addresses of `name`, perhaps none.
///
/// # Errors
/// No server can say.
pub(super) async fn lookup_ipv6(servers: &[SocketAddr], name: &str) -> io::Result<Vec<IpAddr>> {
    match ask_in_turn(servers, &Question::new(name, RecordType::AAAA)?).await? {
        Reply::Addresses(addresses) => Ok(addresses),
        Reply::NoSuchName => Ok(Vec::new()),
    }
}

/// Asks one server after the other, the next beside the last after [`RETRY_DELAY`] or as soon as one fails. One that
/// failed is not asked again; one that is only silent is.
async fn ask_in_turn(servers: &[SocketAddr], question: &Question) -> io::Result<Reply> {
    let mut unasked: VecDeque<SocketAddr> = servers.iter().copied().cycle().take(servers.len() * ROUNDS).collect();
    let mut running = FuturesUnordered::new();
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "there is no DNS server to ask");
    loop {
        match unasked.pop_front() {
            Some(server) => running.push(async move { (server, question.ask(server).await) }),
            None if running.is_empty() => return Err(last_error),
            None => {}
        }
        let more = !unasked.is_empty();
        tokio::select! {
            // An answer that is there counts before a delay that is over.
            biased;
            Some((server, result)) = running.next() => match result {
                Ok(reply) => return Ok(reply),
                Err(error) => {
                    last_error = error;
                    unasked.retain(|other| *other != server);
                }
            },
            () = tokio::time::sleep(RETRY_DELAY), if more => {}
        }
    }
}

/// One answer from those of both families.
fn merge(results: [io::Result<Reply>; 2]) -> io::Result<Vec<IpAddr>> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    let (mut exists, mut failure) = (true, None);
    for result in results {
        match result {
            Ok(Reply::Addresses(more)) => addresses.extend(more),
            Ok(Reply::NoSuchName) => exists = false,
            Err(error) => failure = Some(error),
        }
    }
    if !addresses.is_empty() {
        addresses.sort_by_key(IpAddr::is_ipv6);
        return Ok(addresses);
    }
    let reason = match failure {
        _ if !exists => "the name does not exist",
        Some(error) => return Err(error),
        None => "the name has no address",
    };
    Err(io::Error::new(io::ErrorKind::NotFound, reason))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{Reply, merge};

    #[test]
    fn both_families_are_one_answer_and_a_failure_counts_when_there_is_none() {
        let found = |texts: &[&str]| Ok(Reply::Addresses(texts.iter().map(|text| text.parse().unwrap()).collect()));
        let missing = || Ok(Reply::NoSuchName);
        let failed = || Err(io::Error::other("it failed"));
        let check = |results: [io::Result<Reply>; 2], expected: Result<&[&str], &str>| match merge(results) {
            Ok(addresses) => {
                assert_eq!(Ok(addresses), expected.map(|texts| texts.iter().map(|ip| ip.parse().unwrap()).collect()));
            }
            Err(error) => assert_eq!(Err(error.to_string().as_str()), expected),
        };
        check(
            [found(&["2001:db8::1"]), found(&["192.0.2.2", "192.0.2.1"])],
            Ok(&["192.0.2.2", "192.0.2.1", "2001:db8::1"]),
        );
        check([found(&["192.0.2.1"]), failed()], Ok(&["192.0.2.1"]));
        check([failed(), found(&["2001:db8::1"])], Ok(&["2001:db8::1"]));
        check([missing(), found(&["2001:db8::1"])], Ok(&["2001:db8::1"]));
        check([found(&[]), found(&[])], Err("the name has no address"));
        check([found(&[]), failed()], Err("it failed"));
        check([missing(), failed()], Err("the name does not exist"));
        check([failed(), failed()], Err("it failed"));
    }
}
