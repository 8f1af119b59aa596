//! What must hold for any URL, any policy and any rows. The fuzz targets call the same functions.
//!
//! The judge is written out here anew, address by address, and shares no table with what it judges.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use owl::cli::egress::batch;
use owl::config::policy_rules;
use owl_egress::policy::{Cidr, Verdict};
use owl_egress::target::{Host, LOCALHOST};
use owl_egress::{EgressPolicy, PolicyRules, TargetUrl};

/// The first line is a policy, the second the addresses that DNS would give (nothing: no query may be made), and the rest a
/// URL.
pub(crate) fn egress_url(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.splitn(3, '\n');
    let (policy, answers, url) =
        (lines.next().unwrap_or_default(), lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let Ok(rules) = policy_rules(policy) else { return };
    let answers: Vec<IpAddr> = answers.split(',').filter_map(|ip| ip.trim().parse().ok()).collect();
    let dns = (!answers.is_empty()).then_some(answers.as_slice());
    let judgement = EgressPolicy::new(rules.clone()).judge_url(url, dns);
    let operators = EgressPolicy::for_origin(rules.clone()).judge_url(url, dns);
    assert_eq!(judgement.verdict, operators.verdict, "the two differ in hints only");
    assert_eq!(judgement.message.is_empty(), judgement.verdict == Verdict::Allow);
    if judgement.verdict == Verdict::Allow {
        let target = TargetUrl::parse(url).expect("what is allowed is a URL");
        is_rightly_allowed(&rules, &target, &answers);
        assert_eq!(TargetUrl::parse(&format!("{}{}", target.origin(), target.path_and_query())), Ok(target));
    }
}

/// Any rows: a line of JSON for each that is not blank, and no panic.
pub(crate) fn egress_batch(data: &[u8]) {
    let mut out = Vec::new();
    let summary = batch::run(data, &mut out).expect("a vector takes everything");
    let asked = data.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
    let mut answers = 0;
    for line in out.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        let answer: serde_json::Value = serde_json::from_slice(line).expect("an answer is JSON");
        assert!(answer["verdict"].is_string() || answer["error"].is_string(), "{answer}");
        answers += 1;
    }
    assert_eq!((answers, summary.judged + summary.wrong), (asked, asked as u64));
}

fn is_rightly_allowed(rules: &PolicyRules, target: &TargetUrl, answers: &[IpAddr]) {
    let matches = |list: &[owl_egress::policy::HostPattern]| list.iter().any(|entry| entry.matches(target));
    assert!(!matches(&rules.block_hosts), "{target} is blocked");
    assert!(rules.only_hosts.is_empty() || matches(&rules.only_hosts), "{target} is not among the only hosts");
    match target.host() {
        Host::Address(ip) => assert!(is_open(rules, target, *ip), "{ip} is closed"),
        Host::Name(_) if target.is_localhost() => {
            assert!(LOCALHOST.iter().any(|ip| is_open(rules, target, *ip)), "this machine is closed");
        }
        Host::Name(name) => {
            assert!(!answers.is_empty(), "{name} was allowed without an address");
            let closed = answers.iter().find(|ip| !is_open(rules, target, **ip));
            assert_eq!(closed, None, "{name} leads to what is closed");
        }
    }
}

fn is_open(rules: &PolicyRules, target: &TargetUrl, ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let within = |list: &[Cidr], ip: IpAddr| list.iter().any(|cidr| covers(cidr, ip));
    let own = rules.own_sockets.iter().any(|socket| socket.ip().to_canonical() == ip && socket.port() == target.port());
    if within(&rules.block_cidrs, ip) || own {
        return false;
    }
    let mut judged = ip;
    if let (IpAddr::V6(outer), false) = (ip, matches!(tier(ip), "never" | "metadata")) {
        let inside = rules.nat64_prefixes.iter().filter_map(|prefix| prefix.embedded(outer));
        // Of several prefixes the longest counts; here it is enough that any of them lets it through.
        let inside: Vec<IpAddr> = inside.map(IpAddr::V4).collect();
        if inside.len() > 1 {
            return true;
        }
        judged = inside.first().copied().unwrap_or(ip);
    }
    let named = rules.allow_hosts.iter().any(|entry| entry.matches(target));
    let literal = matches!(target.host(), Host::Address(_)) || target.is_localhost();
    match tier(judged) {
        "never" => false,
        "metadata" => rules.allow_cidrs.iter().any(|cidr| cidr.is_exactly(judged)),
        _ if within(&rules.allow_cidrs, judged) => true,
        "public" => true,
        "private" => rules.allow_private_network || named,
        "loopback" => rules.allow_private_network || (named && literal),
        "special" => within(&rules.fake_ip_ranges, judged),
        _ => false,
    }
}

fn covers(cidr: &Cidr, ip: IpAddr) -> bool {
    let net = cidr.net();
    let same =
        |one: u128, other: u128, bits: u32, length: u8| length == 0 || (one ^ other) >> (bits - u32::from(length)) == 0;
    match (net.addr(), ip) {
        (IpAddr::V4(base), IpAddr::V4(ip)) => same(u32::from(base).into(), u32::from(ip).into(), 32, net.prefix_len()),
        (IpAddr::V6(base), IpAddr::V6(ip)) => same(base.into(), ip.into(), 128, net.prefix_len()),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

fn tier(ip: IpAddr) -> &'static str {
    match ip {
        IpAddr::V4(ip) => tier_of_ipv4(ip),
        IpAddr::V6(ip) => tier_of_ipv6(ip),
    }
}

fn tier_of_ipv4(ip: Ipv4Addr) -> &'static str {
    match ip.octets() {
        [0, 0, 0, 0] | [255, 255, 255, 255] | [224..=239, ..] => "never",
        [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => "metadata",
        [169, 254, 169, 123 | 250 | 251 | 253 | 254] | [169, 254, 170, 2 | 23] => "metadata",
        [169, 254, 0, 23] | [169, 254, 10, 10] | [169, 254, 42, 42] => "metadata",
        [169, 254, ..] => "linklocal",
        [127, ..] => "loopback",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => "private",
        [0, ..] | [240..=255, ..] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => "special",
        [192, 0, 0 | 2, _] | [192, 31, 196, _] | [192, 52, 193, _] | [192, 88, 99, _] | [192, 175, 48, _] => "special",
        _ => "public",
    }
}

fn tier_of_ipv6(ip: Ipv6Addr) -> &'static str {
    let isatap = matches!(ip.segments(), [_, _, _, _, 0 | 0x200, 0x5efe, ..]);
    let inside = Ipv4Addr::from(u32::try_from(u128::from(ip) & 0xffff_ffff).expect("32 bits"));
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => "loopback",
        [0, 0, 0, 0, 0 | 0xffff, 0, ..] | [0, 0, 0, 0, 0, 0xffff, ..] | [0xff00..=0xffff, ..] => "never",
        [0x64, 0xff9b, 0, 0, 0, 0, ..] if tier_of_ipv4(inside) == "public" => "public",
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => "never",
        [0xfd00, 0xec2, ..]
        | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]
        | [0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe]
        | [0xfd00, 0x100, 0, 0, 0, 0, 0x100, 0x200]
        | [0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42]
        | [0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 1]
        | [0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe] => "metadata",
        [0xfe80..=0xfebf, ..] => "linklocal",
        _ if isatap => "special",
        [0xfc00..=0xfdff, ..] => "private",
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x2620, 0x4f, 0x8000, ..] | [0x3fff, 0..=0xfff, ..] => {
            "special"
        }
        [0x2000..=0x3fff, ..] => "public",
        _ => "special",
    }
}
