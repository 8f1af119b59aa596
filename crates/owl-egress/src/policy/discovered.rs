//! Addresses below a NAT64 prefix that the network itself announces (RFC 7050), judged by the IPv4 address inside too.
//!
//! What DNS says of the network can only narrow a verdict. A prefix whose addresses are to be opened by the address
//! inside alone is one that the operator writes, in `nat64Prefixes`.

use std::net::{IpAddr, Ipv6Addr};

use super::decide::Compiled;
use super::{Denied, EgressPolicy, Nat64Prefix, Opened, PolicyRules};
use crate::address::{Tier, in_well_known_nat64};
use crate::target::TargetUrl;

/// Whether `address` could be below a prefix that the network announces: for the others nothing has to be asked.
pub fn may_be_nat64(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) => !(ip.is_loopback() || ip.is_unicast_link_local() || in_well_known_nat64(ip)),
    }
}

impl EgressPolicy {
    /// Judges addresses that were opened once more, by the IPv4 address inside those below one of `prefixes`. An address
    /// around one that is not public is from then on what the one inside is.
    ///
    /// # Errors
    /// The first refusal; it says that the address is NAT64 for another.
    pub fn judge_discovered(
        &self,
        target: &TargetUrl,
        opened: Vec<Opened>,
        prefixes: &[Nat64Prefix],
    ) -> Result<Vec<Opened>, Denied> {
        opened.into_iter().map(|one| self.judge_inside(target, one, prefixes)).collect()
    }

    fn judge_inside(&self, target: &TargetUrl, opened: Opened, prefixes: &[Nat64Prefix]) -> Result<Opened, Denied> {
        let IpAddr::V6(ip) = opened.connect_to else { return Ok(opened) };
        let mut judged = opened;
        for prefix in prefixes {
            let Some(inner) = prefix.embedded(ip) else { continue };
            match self.judge_address(target, inner.into()) {
                Ok(Opened { class, .. }) if class.tier == Tier::Public => {}
                Ok(Opened { by, class, .. }) => judged = Opened { by, class, ..opened },
                Err(denied) => return Err(self.refuse_around(target, ip, prefix).unwrap_or(denied)),
            }
        }
        Ok(judged)
    }

    /// The refusal in the words for an address below a prefix of the operator's.
    fn refuse_around(&self, target: &TargetUrl, ip: Ipv6Addr, prefix: &Nat64Prefix) -> Option<Denied> {
        let rules = PolicyRules { nat64_prefixes: vec![prefix.clone()], ..self.rules().clone() };
        Self(Compiled::new(rules, self.0.reach).into()).judge_address(target, ip.into()).err()
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{EgressPolicy, Nat64Prefix, PolicyRules, may_be_nat64};
    use crate::address::Tier;
    use crate::policy::Opening;
    use crate::policy::pivot::judge_pivot;
    use crate::target::TargetUrl;

    fn policy(change: impl FnOnce(&mut PolicyRules)) -> EgressPolicy {
        let mut rules = PolicyRules::default();
        change(&mut rules);
        EgressPolicy::new(rules)
    }

    #[test]
    fn what_was_discovered_narrows_and_never_opens() {
        let target = TargetUrl::parse("http://nas.example.net/").unwrap();
        // As public as it looks: 2a00::/32 is an ordinary block, 2a00:64::/96 a network's NAT64 in it.
        let prefixes: Vec<Nat64Prefix> = vec!["2a00:64::/96".parse().unwrap(), "fd64::/96".parse().unwrap()];
        let check = |policy: &EgressPolicy, address: &str, expected: Result<(Opening, Tier), &str>| {
            let address: IpAddr = address.parse().unwrap();
            let opened = policy.judge_addresses(&target, &[address]).unwrap();
            let found = policy.judge_discovered(&target, opened.clone(), &prefixes);
            assert_eq!(policy.judge_discovered(&target, opened.clone(), &[]), Ok(opened));
            match (found, expected) {
                (Ok(found), Ok(expected)) => {
                    assert_eq!(found.len(), 1);
                    assert_eq!((found[0].by, found[0].class.tier), expected, "{address}");
                    assert_eq!(found[0].connect_to, address);
                }
                (Err(denied), Err(expected)) => assert_eq!(denied.to_string(), expected),
                (found, _) => panic!("{found:?} for {address}"),
            }
        };
        let default = policy(|_| {});
        let open = policy(|rules| rules.allow_private_network = true);
        let blocking = policy(|rules| rules.block_cidrs = vec!["8.8.8.8/32".parse().unwrap()]);
        let public = Ok((Opening::Public, Tier::Public));

        check(&default, "2a00:64::808:808", public);
        check(&default, "2a00:65::a00:1", public);
        check(&default, "8.8.8.8", public);
        check(
            &default,
            "2a00:64::a00:1",
            Err("nas.example.net resolves to 2a00:64::a00:1, which is NAT64 for 10.0.0.1, which is in 10.0.0.0/8, \
                 private use; `allowHosts: [\"nas.example.net\"]` opens it"),
        );
        check(&open, "2a00:64::a00:1", Ok((Opening::AllowPrivateNetwork, Tier::Private)));
        check(&open, "2a00:64::808:808", public);
        // The prefix itself is private here, whatever is inside.
        check(&open, "fd64::808:808", Ok((Opening::AllowPrivateNetwork, Tier::Private)));
        let refused = |policy: &EgressPolicy, address: &str| {
            let opened = policy.judge_addresses(&target, &[address.parse().unwrap()]).unwrap();
            let denied = policy.judge_discovered(&target, opened, &prefixes).unwrap_err();
            assert!(denied.to_string().contains("which is NAT64 for"), "{denied}");
            assert!(!denied.public_message().contains("2a00"), "{}", denied.public_message());
            denied.rule
        };
        assert_eq!(refused(&open, "2a00:64::a9fe:a9fe"), "metadata-address");
        assert_eq!(refused(&open, "2a00:64::e000:1"), "never-address");
        assert_eq!(refused(&open, "fd64::c612:1"), "special-address");
        assert_eq!(refused(&blocking, "2a00:64::808:808"), "blocked-address");
    }

    #[test]
    fn a_redirect_to_what_is_private_inside_says_what_is_inside() {
        let target = TargetUrl::parse("http://nas.example.net/").unwrap();
        let policy = policy(|rules| rules.allow_private_network = true);
        let opened = policy.judge_addresses(&target, &["2a00:64::a00:1".parse().unwrap()]).unwrap();
        let opened = policy.judge_discovered(&target, opened, &["2a00:64::/96".parse().unwrap()]).unwrap();
        let denied = judge_pivot(&target, &opened).unwrap_err();
        assert_eq!(denied.class().map(|class| class.tier), Some(Tier::Private));
        assert!(denied.to_string().contains("10.0.0.0/8, private use"), "{denied}");
    }

    #[test]
    fn only_what_could_be_below_a_prefix_is_worth_a_question() {
        let check = |address: &str, expected: bool| {
            assert_eq!(may_be_nat64(address.parse().unwrap()), expected, "{address}");
        };
        check("127.0.0.1", false);
        check("8.8.8.8", false);
        check("::ffff:8.8.8.8", false);
        check("::1", false);
        check("fe80::1", false);
        check("64:ff9b::808:808", false);
        check("2a00:64::808:808", true);
        check("fd64::808:808", true);
    }

    #[test]
    fn a_refusal_hints_at_what_its_policy_would() {
        let target = TargetUrl::parse("http://nas.example.net/").unwrap();
        let prefixes = ["2a00:64::/96".parse().unwrap()];
        let check = |policy: &EgressPolicy, expected: &str| {
            let opened = policy.judge_addresses(&target, &["2a00:64::a00:1".parse().unwrap()]).unwrap();
            let denied = policy.judge_discovered(&target, opened, &prefixes).unwrap_err();
            assert_eq!(denied.hint.map(|hint| hint.to_string()).as_deref(), Some(expected));
        };
        check(&EgressPolicy::new(PolicyRules::default()), "allowHosts: [\"nas.example.net\"]");
        check(&EgressPolicy::for_origin(PolicyRules::default()), "allowPrivateNetwork: true");
    }

    #[test]
    fn one_refused_address_refuses_the_name() {
        let target = TargetUrl::parse("http://nas.example.net/").unwrap();
        let prefixes = ["2a00:64::/96".parse().unwrap()];
        let addresses: Vec<IpAddr> =
            ["8.8.8.8", "2a00:64::808:808", "2a00:64::7f00:1"].iter().map(|text| text.parse().unwrap()).collect();
        let policy = policy(|_| {});
        let opened = policy.judge_addresses(&target, &addresses).unwrap();
        assert_eq!(policy.judge_discovered(&target, opened.clone(), &prefixes).unwrap_err().rule, "loopback-address");
        let kept = policy.judge_discovered(&target, opened[..2].to_vec(), &prefixes).unwrap();
        assert_eq!(kept, opened[..2]);
    }
}
