//! What an address is: how far it is from being public, and the block that says so.
//!
//! [`classify`] is the longest match in one generated table (`table.rs`), after IPv4-mapped IPv6 (RFC 4291, section
//! 2.5.5.2) has become IPv4. It knows no policy and opens nothing; see [`crate::policy`] for that. It costs nanoseconds
//! and allocates nothing, because it runs for every address of every request.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::table;

/// How far an address is from being public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tier {
    /// Globally reachable unicast with nothing special about it.
    Public,
    /// Private networks: RFC 1918, RFC 6598, RFC 4193.
    Private,
    /// This machine (RFC 1122, RFC 4291).
    Loopback,
    /// This link (RFC 3927, RFC 4291).
    LinkLocal,
    /// Metadata and platform services of a cloud, wherever their address lies.
    Metadata,
    /// Everything else that the registries list, ISATAP (RFC 5214), and what is outside `2000::/3`.
    Special,
    /// Never a destination: unspecified, multicast, broadcast, and IPv6 that wraps IPv4 in a way nobody routes.
    Never,
}

impl Tier {
    /// Its name in one lower-case word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Loopback => "loopback",
            Self::LinkLocal => "linklocal",
            Self::Metadata => "metadata",
            Self::Special => "special",
            Self::Never => "never",
        }
    }
}

/// What an address is. `Display` reads `10.0.0.0/8, private use`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressClass {
    /// How far the address is from being public.
    pub tier: Tier,
    /// The block that the address was found in; `None` where no block says anything special.
    pub block: Option<IpNet>,
    /// What the block is, in words that fit into a sentence.
    pub name: &'static str,
    /// Where the block is defined: an RFC, or a vendor's page.
    pub source: &'static str,
    /// The IPv4 address inside an IPv6 address that carries one: 6to4, Teredo, NAT64, ISATAP and the dead forms.
    pub embedded: Option<Ipv4Addr>,
}

/// Says what `address` is. IPv4-mapped IPv6 is the IPv4 address inside.
pub fn classify(address: IpAddr) -> AddressClass {
    match address.to_canonical() {
        IpAddr::V4(ip) => classify_ipv4(ip),
        IpAddr::V6(ip) => classify_ipv6(ip),
    }
}

fn classify_ipv4(ip: Ipv4Addr) -> AddressClass {
    longest_match(&table::IPV4, &IPV4_STARTS, ip.octets()[0], u32::from(ip))
}

fn classify_ipv6(ip: Ipv6Addr) -> AddressClass {
    let class = longest_match(&table::IPV6, &IPV6_STARTS, ip.octets()[0], u128::from(ip));
    let embedded = embedded_ipv4(ip);
    match class.tier {
        // RFC 6052, section 3.1: the well-known prefix must not carry a non-global IPv4 address.
        Tier::Never if in_well_known_nat64(ip) => match embedded.map(classify_ipv4) {
            Some(AddressClass { tier: Tier::Public, .. }) => AddressClass { tier: Tier::Public, embedded, ..class },
            Some(_) | None => AddressClass { embedded, ..class },
        },
        // An ISATAP interface identifier tunnels to the IPv4 address inside, whatever the prefix in front of it says
        // (RFC 5214, section 6.1). On the local link it never leaves it.
        Tier::Public | Tier::Private if is_isatap(ip) => AddressClass { embedded, ..ISATAP },
        Tier::Public
        | Tier::Private
        | Tier::Loopback
        | Tier::LinkLocal
        | Tier::Metadata
        | Tier::Special
        | Tier::Never => AddressClass { embedded, ..class },
    }
}

const ISATAP: AddressClass = AddressClass {
    tier: Tier::Special,
    block: None,
    name: "ISATAP address",
    source: "RFC 5214 section 6.1",
    embedded: None,
};

/// How many ranges begin before each first octet: most octets then leave nothing to search.
type Starts = [u8; 257];

static IPV4_STARTS: Starts = {
    let mut starts = [0; 257];
    let mut range = 0;
    while range < table::IPV4.len() {
        count_behind(&mut starts, table::IPV4[range].0.to_be_bytes()[0]);
        range += 1;
    }
    starts
};

static IPV6_STARTS: Starts = {
    let mut starts = [0; 257];
    let mut range = 0;
    while range < table::IPV6.len() {
        count_behind(&mut starts, table::IPV6[range].0.to_be_bytes()[0]);
        range += 1;
    }
    starts
};

const fn count_behind(starts: &mut Starts, octet: u8) {
    let mut behind = octet as usize + 1;
    while behind < starts.len() {
        starts[behind] += 1;
        behind += 1;
    }
}

/// The block whose range holds `bits`, of which `octet` is the first. Both tables begin with the lowest address, so there
/// always is one.
fn longest_match<T: Copy + Ord>(ranges: &[(T, u8)], starts: &Starts, octet: u8, bits: T) -> AddressClass {
    let (from, to) = (usize::from(starts[usize::from(octet)]), usize::from(starts[usize::from(octet) + 1]));
    let behind = from + ranges[from..to].partition_point(|(first, _)| *first <= bits);
    table::BLOCKS[usize::from(ranges[behind - 1].1)]
}

/// Whether `ip` is in `64:ff9b::/96` (RFC 6052, section 2.1).
pub(crate) fn in_well_known_nat64(ip: Ipv6Addr) -> bool {
    u128::from(ip) >> 32 == 0x0064_ff9b_u128 << 64
}

/// Whether the interface identifier is ISATAP's, with or without the universal bit (RFC 5214, section 6.1).
fn is_isatap(ip: Ipv6Addr) -> bool {
    matches!(ip.segments(), [_, _, _, _, 0 | 0x0200, 0x5efe, _, _])
}

/// The IPv4 address that `ip` carries, by the forms that a prefix or an interface identifier gives away.
fn embedded_ipv4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = u128::from(ip);
    let low = u32::try_from(bits & u128::from(u32::MAX)).ok()?;
    match ip.segments() {
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, _, _] => (low > 1).then(|| low.into()),
        // SIIT (RFC 2765) and NAT64 (RFC 6052).
        [0, 0, 0, 0, 0xffff, 0, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => Some(low.into()),
        // 6to4 (RFC 3056): the router, behind the prefix.
        [0x2002, high, low, ..] => Some(((u32::from(high) << 16) | u32::from(low)).into()),
        // Teredo (RFC 4380, section 4): the client, every bit turned over.
        [0x2001, 0, ..] => Some((!low).into()),
        _ if is_isatap(ip) => Some(low.into()),
        _ => None,
    }
}

impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(block) = self.block {
            write!(f, "{block}, ")?;
        }
        f.write_str(self.name)?;
        match self.embedded {
            Some(ip) => write!(f, " around {ip}"),
            None => Ok(()),
        }
    }
}

/// A row of the generated table.
pub(crate) const fn ipv4(bits: u32, length: u8, tier: Tier, name: &'static str, source: &'static str) -> AddressClass {
    let block = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::from_bits(bits), length));
    row(block, length, tier, name, source)
}

/// A row of the generated table.
pub(crate) const fn ipv6(bits: u128, length: u8, tier: Tier, name: &'static str, source: &'static str) -> AddressClass {
    let block = IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from_bits(bits), length));
    row(block, length, tier, name, source)
}

/// The rows that only say "the rest" show no block: `::/0` would tell an operator nothing.
const fn row(block: IpNet, length: u8, tier: Tier, name: &'static str, source: &'static str) -> AddressClass {
    let block = if length == 0 { None } else { Some(block) };
    AddressClass { tier, block, name, source, embedded: None }
}
