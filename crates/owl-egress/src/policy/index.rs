//! A policy's lists, made once into what is quick to ask.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::pattern::{Cidr, HostPattern, PatternHost};
use crate::target::{Host, TargetUrl};

/// From how many entries a list of hosts is looked up by hash. Below that a scan is quicker.
const LONG: usize = 16;

/// Ranges of addresses, sorted, none inside another.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges {
    ipv4: Vec<(u32, u32)>,
    ipv6: Vec<(u128, u128)>,
}

impl Ranges {
    pub(super) fn new<'a>(cidrs: impl IntoIterator<Item = &'a Cidr>) -> Self {
        let mut ranges = Self::default();
        for cidr in cidrs {
            match cidr.net() {
                IpNet::V4(net) => ranges.ipv4.push((net.network().into(), net.broadcast().into())),
                IpNet::V6(net) => ranges.ipv6.push((net.network().into(), net.broadcast().into())),
            }
        }
        merge(&mut ranges.ipv4);
        merge(&mut ranges.ipv6);
        ranges
    }

    pub(super) fn contains(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => within(&self.ipv4, u32::from(ip)),
            IpAddr::V6(ip) => within(&self.ipv6, u128::from(ip)),
        }
    }
}

fn merge<T: Copy + Ord>(ranges: &mut Vec<(T, T)>) {
    ranges.sort_unstable();
    ranges.dedup_by(|next, kept| {
        let overlaps = next.0 <= kept.1;
        if overlaps {
            kept.1 = kept.1.max(next.1);
        }
        overlaps
    });
}

fn within<T: Copy + Ord>(ranges: &[(T, T)], bits: T) -> bool {
    let behind = ranges.partition_point(|(first, _)| *first <= bits);
    behind > 0 && bits <= ranges[behind - 1].1
}

/// Where the entries of a long list of hosts are, by what they are about. Empty for a short list.
#[derive(Clone, Debug, Default)]
pub(super) struct HostIndex {
    exact: HashMap<Host, Vec<usize>>,
    /// By the suffix without its dot.
    below: HashMap<String, Vec<usize>>,
}

impl HostIndex {
    pub(super) fn new(entries: &[HostPattern]) -> Self {
        let mut index = Self::default();
        if entries.len() < LONG {
            return index;
        }
        for (place, entry) in entries.iter().enumerate() {
            match entry.host() {
                PatternHost::Exact(host) => index.exact.entry(host.clone()).or_default().push(place),
                PatternHost::Below(suffix) => {
                    index.below.entry(suffix.trim_start_matches('.').to_owned()).or_default().push(place);
                }
            }
        }
        index
    }

    /// An entry of `entries`, the list that this index was made from, that matches `target` and is `wanted`.
    pub(super) fn find<'a>(
        &self,
        entries: &'a [HostPattern],
        target: &TargetUrl,
        wanted: impl Fn(&HostPattern) -> bool,
    ) -> Option<&'a HostPattern> {
        let fits = |entry: &&HostPattern| entry.matches(target) && wanted(entry);
        if entries.len() < LONG {
            return entries.iter().find(fits);
        }
        let among = |places: &Vec<usize>| places.iter().map(|place| &entries[*place]).find(fits);
        let exact = self.exact.get(target.host()).and_then(among);
        exact.or_else(|| match target.host() {
            Host::Name(name) => suffixes(name).find_map(|suffix| self.below.get(suffix).and_then(among)),
            Host::Address(_) => None,
        })
    }
}

/// What stands behind each dot.
fn suffixes(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('.').map(|(dot, _)| &name[dot + 1..])
}
