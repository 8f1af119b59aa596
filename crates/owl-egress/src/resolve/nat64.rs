//! Which NAT64 prefixes the network has (RFC 7050): those in which its DNS64 wraps the two addresses of `ipv4only.arpa`.
//!
//! Below such a prefix an address that looks public may be an IPv4 address of a private network. What is found here only
//! narrows a verdict, see [`EgressPolicy::judge_discovered`]: DNS is not trusted to open anything.
//!
//! [`EgressPolicy::judge_discovered`]: crate::policy::EgressPolicy::judge_discovered

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::Ipv6Net;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::{ResolverOptions, servers, system};
use crate::address::in_well_known_nat64;
use crate::policy::Nat64Prefix;

/// The name that has these two addresses in IPv4, and IPv6 addresses only where there is a DNS64.
const NAME: &str = "ipv4only.arpa";
const ADDRESSES: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 0, 170), Ipv4Addr::new(192, 0, 0, 171)];

/// How long a prefix may be (RFC 6052, section 2.2).
const LENGTHS: [u8; 6] = [32, 40, 48, 56, 64, 96];

/// How long a caller waits for the answer at most.
const WAIT: Duration = Duration::from_secs(2);

/// How long an answer holds, and how long a failure does.
const ANSWER_HOLDS: Duration = Duration::from_secs(3600);
const FAILURE_HOLDS: Duration = Duration::from_secs(60);

/// More prefixes than any network has.
const MOST_PREFIXES: usize = 16;

/// What is known of the network, shared by all who ask.
#[derive(Debug)]
pub(super) struct Discovery {
    known: Mutex<Known>,
    /// Whoever holds its one place asks; the others wait for what that finds.
    asking: Semaphore,
    /// The place of the thread that waits for the system, which may outlive its caller.
    threads: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Known {
    prefixes: Arc<[Nat64Prefix]>,
    until: Option<Instant>,
}

impl Default for Discovery {
    fn default() -> Self {
        Self { known: Mutex::default(), asking: Semaphore::new(1), threads: Arc::new(Semaphore::new(1)) }
    }
}

impl Discovery {
    /// The prefixes; after a failure those that were known before, none in the worst case.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the question to the next caller.
    pub(super) async fn prefixes(&self, options: &ResolverOptions) -> Arc<[Nat64Prefix]> {
        if !self.known().is_fresh(Instant::now()) {
            self.renew(options, Instant::now() + WAIT).await;
        }
        Arc::clone(&self.known().prefixes)
    }

    async fn renew(&self, options: &ResolverOptions, deadline: Instant) {
        let Ok(Ok(_only_one)) = timeout_at(deadline, self.asking.acquire()).await else { return };
        if self.known().is_fresh(Instant::now()) {
            return;
        }
        let answer = timeout_at(deadline, self.ask(options)).await.unwrap_or_else(|late| Err(late.into()));
        self.known().learn(answer.map(|addresses| prefixes_in(&addresses)), Instant::now());
    }

    async fn ask(&self, options: &ResolverOptions) -> io::Result<Vec<IpAddr>> {
        match options {
            ResolverOptions::System => system::lookup_absolute(NAME, &self.threads).await,
            ResolverOptions::Servers(servers) => servers::lookup_ipv6(servers, NAME).await,
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn is_fresh(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    fn learn(&mut self, answer: io::Result<Vec<Nat64Prefix>>, now: Instant) {
        match answer {
            Ok(prefixes) => {
                self.prefixes = prefixes.into();
                self.until = Some(now + ANSWER_HOLDS);
            }
            Err(error) => {
                tracing::debug!(%error, "the network's NAT64 prefixes are not known");
                self.until = Some(now + FAILURE_HOLDS);
            }
        }
    }
}

/// Every prefix below which one of `addresses` holds one of [`ADDRESSES`]; not the well-known one, which the table of
/// addresses judges.
fn prefixes_in(addresses: &[IpAddr]) -> Vec<Nat64Prefix> {
    let mut found: Vec<Nat64Prefix> = Vec::new();
    for address in addresses {
        let IpAddr::V6(ip) = *address else { continue };
        if in_well_known_nat64(ip) {
            continue;
        }
        let below = LENGTHS.iter().filter_map(|length| {
            let net = Ipv6Net::new(ip, *length).ok()?.trunc();
            let prefix: Nat64Prefix = net.to_string().parse().ok()?;
            prefix.embedded(ip).is_some_and(|inner| ADDRESSES.contains(&inner)).then_some(prefix)
        });
        for prefix in below {
            if found.len() < MOST_PREFIXES && !found.contains(&prefix) {
                found.push(prefix);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::IpAddr;
    use std::sync::Arc;

    use owl_testkit::{DnsAnswer, DnsOutcome, DnsServer};
    use tokio::time::Instant;

    use super::{ANSWER_HOLDS, FAILURE_HOLDS, Known, MOST_PREFIXES, NAME, prefixes_in};
    use crate::policy::Nat64Prefix;
    use crate::resolve::{Resolver, ResolverOptions};

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn texts(prefixes: &[Nat64Prefix]) -> Vec<String> {
        prefixes.iter().map(ToString::to_string).collect()
    }

    /// The layouts of RFC 6052, section 2.2, around 192.0.0.170 and 192.0.0.171.
    #[test]
    fn prefixes_of_every_length_are_found() {
        let check = |addresses: &[&str], expected: &[&str]| {
            assert_eq!(texts(&prefixes_in(&ips(addresses))), expected, "{addresses:?}");
        };
        check(&["2001:db8:c000:aa::", "2001:db8:c000:ab::"], &["2001:db8::/32"]);
        check(&["2001:db8:1c0:0:aa::"], &["2001:db8:100::/40"]);
        check(&["2001:db8:122:c000:0:aa00::"], &["2001:db8:122::/48"]);
        check(&["2001:db8:122:3c0:0:aa::"], &["2001:db8:122:300::/56"]);
        check(&["2001:db8:122:344:c0:0:aa00:0"], &["2001:db8:122:344::/64"]);
        check(&["2001:db8:64::c000:aa", "2001:db8:64::c000:ab"], &["2001:db8:64::/96"]);
        check(&["64:ff9b:1:fffe::c000:aa"], &["64:ff9b:1:fffe::/96"]);
        check(&["fd00:a::c000:ab", "fd00:b::c000:ab"], &["fd00:a::/96", "fd00:b::/96"]);
        check(&["64:ff9b::c000:aa", "64:ff9b::c000:ab"], &[]);
        check(&["2001:db8:64::c000:ac", "2001:db8:64::c000:a9"], &[]);
        check(&["192.0.0.170", "::ffff:192.0.0.170"], &[]);
        let many: Vec<String> = (1..100).map(|nth| format!("2001:db8:{nth}::c000:aa")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(prefixes_in(&ips(&many)).len(), MOST_PREFIXES);
    }

    #[test]
    fn an_answer_holds_for_an_hour_and_a_failure_for_a_minute_without_forgetting() {
        let (mut known, start) = (Known::default(), Instant::now());
        let is_fresh_until =
            |known: &Known, end: Instant| known.is_fresh(end - ANSWER_HOLDS / 7200) && !known.is_fresh(end);
        assert!(!known.is_fresh(start));
        known.learn(Ok(prefixes_in(&ips(&["2001:db8::c000:aa"]))), start);
        assert!(is_fresh_until(&known, start + ANSWER_HOLDS));
        known.learn(Err(io::ErrorKind::TimedOut.into()), start);
        assert!(is_fresh_until(&known, start + FAILURE_HOLDS));
        assert_eq!(texts(&known.prefixes), ["2001:db8::/96"]);
        known.learn(Ok(Vec::new()), start);
        assert!(known.prefixes.is_empty());
    }

    #[tokio::test]
    async fn all_who_ask_share_one_question() {
        let server = DnsServer::start();
        server.script(NAME, [DnsAnswer::addresses(&ips(&["2001:db8:64::c000:aa"])), DnsAnswer::default()]);
        let resolver = Resolver::new(ResolverOptions::Servers(vec![server.address()]));
        let (first, second) = tokio::join!(resolver.nat64_prefixes(), resolver.nat64_prefixes());
        assert_eq!(texts(&first), ["2001:db8:64::/96"]);
        assert!(Arc::ptr_eq(&first, &second) && Arc::ptr_eq(&first, &resolver.clone().nat64_prefixes().await));
        let queries = server.queries();
        assert_eq!(queries.len(), 1, "{queries:?}");
        assert_eq!((queries[0].name.as_str(), queries[0].kind.as_str()), (NAME, "AAAA"));
    }

    #[tokio::test]
    async fn a_failure_finds_nothing_and_is_not_repeated_at_once() {
        let server = DnsServer::start();
        server.script(NAME, [DnsAnswer::ends(DnsOutcome::ServFail)]);
        let resolver = Resolver::new(ResolverOptions::Servers(vec![server.address()]));
        for _ in 0..3 {
            assert!(resolver.nat64_prefixes().await.is_empty());
        }
        assert_eq!(server.queries().len(), 1);
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_leaves_the_question_to_the_next() {
        let server = DnsServer::start();
        server.script(NAME, [DnsAnswer::ends(DnsOutcome::Silence)]);
        let resolver = Resolver::new(ResolverOptions::Servers(vec![server.address()]));
        tokio::select! {
            prefixes = resolver.nat64_prefixes() => panic!("{prefixes:?} of a server that says nothing"),
            _query = server.query(|query| query.name == NAME) => {}
        }
        server.script(NAME, [DnsAnswer::addresses(&ips(&["2001:db8:64::c000:ab"]))]);
        assert_eq!(texts(&resolver.nat64_prefixes().await), ["2001:db8:64::/96"]);
    }
}
