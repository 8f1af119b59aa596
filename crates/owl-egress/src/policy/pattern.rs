//! The texts that a policy is written in: hosts, ranges and NAT64 prefixes.
//!
//! Each is parsed where the configuration is read, into a type that cannot be wrong, and each error says what to write
//! instead. `Display` gives back the text that was typed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

use crate::target::{Host, InvalidHost, TargetUrl, dns_name, is_localhost_name};

/// `host`, `*.suffix`, or either with `:port`. `*.suffix` covers every name below the suffix, not the suffix itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    text: String,
    host: PatternHost,
    port: Option<u16>,
}

/// What a [`HostPattern`] is about, its port aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PatternHost {
    /// This host.
    Exact(Host),
    /// With the dot in front: what a covered name ends with.
    Below(String),
}

/// A range of addresses, `10.0.0.0/8`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cidr {
    text: String,
    net: IpNet,
}

/// The prefix of a NAT64 (RFC 6052, section 2.2): 32, 40, 48, 56, 64 or 96 bits long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nat64Prefix {
    text: String,
    prefix: u128,
    length: u8,
}

/// Why a text is not a pattern; `Display` says what is wrong and what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidPattern(String);

fn invalid<T>(reason: impl Into<String>) -> Result<T, InvalidPattern> {
    Err(InvalidPattern(reason.into()))
}

impl HostPattern {
    /// Whether the pattern means `target`: its host, and its port where the pattern names one.
    pub fn matches(&self, target: &TargetUrl) -> bool {
        let host = match (&self.host, target.host()) {
            (PatternHost::Exact(host), asked) => host == asked,
            (PatternHost::Below(suffix), Host::Name(name)) => name.len() > suffix.len() && name.ends_with(suffix),
            (PatternHost::Below(_), Host::Address(_)) => false,
        };
        host && self.port.is_none_or(|port| port == target.port())
    }

    /// The port that the pattern names.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    pub(super) fn host(&self) -> &PatternHost {
        &self.host
    }

    /// The address, where the pattern is one.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self.host {
            PatternHost::Exact(Host::Address(ip)) => Some(ip),
            PatternHost::Exact(Host::Name(_)) | PatternHost::Below(_) => None,
        }
    }

    /// Whether the pattern itself is a localhost name or an address: only then it opens loopback.
    pub(crate) fn names_loopback(&self) -> bool {
        match &self.host {
            PatternHost::Exact(Host::Address(_)) => true,
            PatternHost::Exact(Host::Name(name)) => is_localhost_name(name),
            PatternHost::Below(suffix) => is_localhost_name(suffix),
        }
    }
}

impl FromStr for HostPattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().is_empty() {
            return invalid("it is empty: write a host, such as `nas.lan`");
        }
        if text.contains('@') {
            return invalid("a user name or password does not belong here: write only the host");
        }
        if let Some((_, rest)) = text.split_once("://") {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            return invalid(format!("it is a URL: write only the host, `{host}`"));
        }
        if let Some((host, rest)) = text.split_once('/') {
            return match IpAddr::from_str(host) {
                Ok(_) if rest.parse::<u8>().is_ok() => {
                    invalid("it is a range of addresses: it belongs in `allowCidrs`, `blockCidrs` or `fakeIpRanges`")
                }
                Ok(_) | Err(_) => invalid(format!("a path does not belong here: write only the host, `{host}`")),
            };
        }
        let (host, port) = split_port(text)?;
        let host = match host.strip_prefix("*.") {
            Some(suffix) => match canonical_host(suffix)? {
                Host::Name(name) => PatternHost::Below(format!(".{name}")),
                Host::Address(ip) => {
                    return invalid(format!(
                        "addresses have no names below them: write `{ip}`, or a range in `allowCidrs`"
                    ));
                }
            },
            None if host == "*" => return invalid("`*` would mean every host: write hosts, or `*.suffix`"),
            None => PatternHost::Exact(canonical_host(host)?),
        };
        Ok(Self { text: text.to_owned(), host, port })
    }
}

/// Takes the port off. An IPv6 address may stand with brackets or, without a port, bare.
fn split_port(text: &str) -> Result<(&str, Option<u16>), InvalidPattern> {
    let (host, port) = match text.rsplit_once(':') {
        None => return Ok((text, None)),
        Some(_) if Ipv6Addr::from_str(text).is_ok() || text.ends_with(']') => return Ok((text, None)),
        Some(parts) => parts,
    };
    match port.parse::<u16>() {
        Ok(number) if number != 0 && !port.starts_with('+') => Ok((host, Some(number))),
        Ok(_) | Err(_) => {
            invalid(format!("`{port}` is not a port: write a number from 1 to 65535, as in `{host}:8080`"))
        }
    }
}

/// The host as the parser of URLs would make it, so that both sides of a comparison have been through the same code.
fn canonical_host(text: &str) -> Result<Host, InvalidPattern> {
    if text.contains('*') {
        return invalid("`*` may stand only in front, as in `*.example.com`");
    }
    if let Ok(ip) = Ipv6Addr::from_str(text) {
        return Ok(Host::Address(ip.to_canonical()));
    }
    match url::Host::parse(text) {
        Ok(url::Host::Ipv4(ip)) => Ok(Host::Address(ip.into())),
        Ok(url::Host::Ipv6(ip)) => Ok(Host::Address(ip.to_canonical())),
        Ok(url::Host::Domain(name)) => match dns_name(&name) {
            Ok(name) => Ok(Host::Name(name.to_owned())),
            Err(error) => not_a_host(error),
        },
        Err(error) => invalid(format!("it is not a host: {error}")),
    }
}

fn not_a_host<T>(error: InvalidHost) -> Result<T, InvalidPattern> {
    invalid(format!("it is not a host: {error}"))
}

impl Cidr {
    /// Whether `ip` is in the range. The caller has turned IPv4-mapped IPv6 into IPv4.
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.net.contains(&ip)
    }

    /// Whether the range is `ip` and nothing else.
    pub fn is_exactly(&self, ip: IpAddr) -> bool {
        self.net.addr() == ip && self.net.prefix_len() == self.net.max_prefix_len()
    }

    /// The range itself.
    pub fn net(&self) -> IpNet {
        self.net
    }
}

impl FromStr for Cidr {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((address, length)) = text.split_once('/') else {
            return match IpAddr::from_str(text) {
                Ok(ip) => invalid(format!("it has no length: write `{}` for this address alone", IpNet::from(ip))),
                Err(_) => {
                    invalid("it is not a range of addresses: write an address and a length, such as `10.0.0.0/8`")
                }
            };
        };
        let Ok(ip) = IpAddr::from_str(address) else {
            return invalid(format!(
                "`{address}` is not an address: write an address and a length, such as `10.0.0.0/8`"
            ));
        };
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        let net = match length.parse::<u8>().map(|length| IpNet::new(ip, length)) {
            Ok(Ok(net)) if digits => net,
            Ok(_) | Err(_) => return invalid(format!("`{length}` is not a length: write a number from 0 to {most}")),
        };
        if net != net.trunc() {
            return invalid(format!(
                "the address has bits behind the length: write `{}`, or `{}` for the address alone",
                net.trunc(),
                IpNet::from(ip)
            ));
        }
        // Judged as IPv4 everywhere, so a range of such addresses would never match.
        if let (IpAddr::V6(ip), length @ 96..) = (ip, net.prefix_len())
            && let Some(ip) = ip.to_ipv4_mapped()
        {
            return invalid(format!("IPv4-mapped addresses are judged as IPv4: write `{ip}/{}`", length - 96));
        }
        Ok(Self { text: text.to_owned(), net })
    }
}

impl Nat64Prefix {
    /// The IPv4 address inside `ip`, when `ip` has this prefix (RFC 6052, section 2.2).
    pub fn embedded(&self, ip: Ipv6Addr) -> Option<Ipv4Addr> {
        let bits = u128::from(ip);
        let shift = 128 - u32::from(self.length);
        if bits >> shift != self.prefix >> shift {
            return None;
        }
        // Bits 64 to 71 are the octet `u`: skipped, so that what is behind it moves up.
        let without_u = ((bits >> 64) << 64) | ((bits & ((1 << 56) - 1)) << 8);
        let at_top = if self.length == 96 { bits << 96 } else { without_u << self.length };
        u32::try_from(at_top >> 96).ok().map(Ipv4Addr::from)
    }

    /// How many bits of an address the prefix is.
    pub(crate) fn length(&self) -> u8 {
        self.length
    }
}

impl FromStr for Nat64Prefix {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let IpNet::V6(net) = Cidr::from_str(text)?.net else {
            return invalid("a NAT64 prefix is IPv6: write one such as `64:ff9b:1::/96`");
        };
        let length = net.prefix_len();
        if !matches!(length, 32 | 40 | 48 | 56 | 64 | 96) {
            return invalid(format!("a NAT64 prefix is 32, 40, 48, 56, 64 or 96 bits long (RFC 6052), not {length}"));
        }
        Ok(Self { text: text.to_owned(), prefix: u128::from(net.addr()), length })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Nat64Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for InvalidPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidPattern {}
