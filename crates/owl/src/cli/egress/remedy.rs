//! The shortest configuration that would open a refused URL and nothing else, tried out before it is told.

use std::fmt::Display;
use std::net::IpAddr;

use owl_egress::policy::Hint;
use owl_egress::{Denied, EgressPolicy, PolicyRules, TargetUrl};

use super::basis::Basis;

/// How many keys may be needed: a port, a name and each of some addresses.
const KEYS: usize = 16;

/// What would open a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// These keys, as they have to stand: `allowPorts: [6379], allowHosts: ["nas.lan"]`.
    Write(String),
    /// This has to go from a block list.
    Remove(String),
    /// Nothing opens it.
    Nothing,
    /// It is not the policy that is in the way.
    NotThePolicy,
}

/// Takes one hint after the other, until the URL would be allowed.
pub(super) fn of(basis: &Basis, target: &TargetUrl, addresses: Option<&[IpAddr]>, denied: &Denied) -> Remedy {
    let mut rules = basis.policy().rules().clone();
    let mut keys: Vec<&'static str> = Vec::new();
    let mut refusal = denied.clone();
    for _ in 0..KEYS {
        let hint = match refusal.hint {
            None => return Remedy::NotThePolicy,
            Some(Hint::Nothing) => return Remedy::Nothing,
            Some(hint @ (Hint::UnblockHost(_) | Hint::UnblockCidr(_))) => return Remedy::Remove(hint.to_string()),
            Some(hint) => hint,
        };
        match hint.entry() {
            Some((key, _)) if grow(&mut rules, &hint) && !keys.contains(&key) => keys.push(key),
            Some(_) => {}
            None => return Remedy::Nothing,
        }
        match judge(basis, &basis.with(rules.clone()), target, addresses) {
            Ok(()) => return Remedy::Write(written(&keys, &rules)),
            // What only needs to be looked up is as open as it can be said to be.
            Err(next) if next.hint.is_none() => return Remedy::Write(written(&keys, &rules)),
            Err(next) => refusal = next,
        }
    }
    Remedy::Nothing
}

fn judge(basis: &Basis, policy: &EgressPolicy, target: &TargetUrl, addresses: Option<&[IpAddr]>) -> Result<(), Denied> {
    basis.judge_target(policy, target)?;
    policy.judge_addresses(target, addresses.unwrap_or_default()).map(|_| ())
}

/// Adds the hint to the rules, where it was not there yet.
fn grow(rules: &mut PolicyRules, hint: &Hint) -> bool {
    match hint {
        Hint::AllowPrivateNetwork => !std::mem::replace(&mut rules.allow_private_network, true),
        Hint::AllowHosts(host) => push(&mut rules.allow_hosts, host),
        Hint::AllowCidrs(net) => push(&mut rules.allow_cidrs, &net.to_string()),
        Hint::AllowPorts(port) => push(&mut rules.allow_ports, &port.to_string()),
        Hint::OnlyHosts(host) => push(&mut rules.only_hosts, host),
        Hint::FakeIpRanges(net) => push(&mut rules.fake_ip_ranges, &net.to_string()),
        Hint::Nat64Prefixes(net) => push(&mut rules.nat64_prefixes, &net.to_string()),
        Hint::UnblockHost(_) | Hint::UnblockCidr(_) | Hint::Nothing => false,
    }
}

fn push<T: std::str::FromStr + PartialEq>(list: &mut Vec<T>, text: &str) -> bool {
    match text.parse() {
        Ok(entry) if !list.contains(&entry) => {
            list.push(entry);
            true
        }
        Ok(_) | Err(_) => false,
    }
}

/// The keys with everything that then stands in them, so that what was open stays so.
fn written(keys: &[&'static str], rules: &PolicyRules) -> String {
    let quoted = |list: &[&dyn Display]| list.iter().map(|entry| format!("\"{entry}\"")).collect::<Vec<_>>().join(", ");
    fn all<T: Display>(list: &[T]) -> Vec<&dyn Display> {
        list.iter().map(|entry| entry as &dyn Display).collect()
    }
    let ports = || rules.allow_ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let one = |key: &&str| match *key {
        "allowPrivateNetwork" => "allowPrivateNetwork: true".to_owned(),
        "allowPorts" => format!("allowPorts: [{}]", ports()),
        "allowHosts" => format!("allowHosts: [{}]", quoted(&all(&rules.allow_hosts))),
        "allowCidrs" => format!("allowCidrs: [{}]", quoted(&all(&rules.allow_cidrs))),
        "onlyHosts" => format!("onlyHosts: [{}]", quoted(&all(&rules.only_hosts))),
        "fakeIpRanges" => format!("fakeIpRanges: [{}]", quoted(&all(&rules.fake_ip_ranges))),
        _ => format!("nat64Prefixes: [{}]", quoted(&all(&rules.nat64_prefixes))),
    };
    keys.iter().map(one).collect::<Vec<_>>().join(", ")
}
