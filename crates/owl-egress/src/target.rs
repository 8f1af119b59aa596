//! What was asked for: a URL, parsed once, printed redacted.
//!
//! The text goes through one WHATWG parser (<https://url.spec.whatwg.org/>), and from then on only what that parser
//! made of it is used, so that a name judged here is the name connected to there. A [`TargetUrl`] never holds credentials
//! or a fragment, is only ever `http` or `https`, and its host is an address or a name that DNS could know. Which of them
//! may be reached is not decided here; see [`crate::policy`].

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use percent_encoding::percent_decode_str;
use url::Url;

use crate::credential::Secret;
use crate::policy::Stage;

/// The schemes that Owl speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Cleartext HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

/// The host of a [`TargetUrl`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name: lower case, punycode, no trailing dot.
    Name(String),
    /// A literal address; an IPv4-mapped IPv6 address is already IPv4 here.
    Address(IpAddr),
}

/// A URL that was parsed once; only this parse is used from then on.
#[derive(Clone, PartialEq, Eq)]
pub struct TargetUrl {
    /// The canonical form: its host is `host` again, and it has neither credentials nor a fragment.
    url: Url,
    scheme: Scheme,
    host: Host,
    port: u16,
}

/// Why a text is not a target. No variant holds a piece of the text that could be a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidTarget {
    /// Not a URL.
    Parse(url::ParseError),
    /// Longer than [`LONGEST`].
    TooLong,
    /// A scheme that Owl does not speak; empty where the text before the colon may be a host or a user name.
    Scheme(String),
    /// Credentials in a URL, or in a base URL credentials that are not UTF-8.
    UserInfo,
    /// A host that no DNS name can be.
    Host(InvalidHost),
    /// A base URL with a query.
    Query,
    /// A base URL with a fragment.
    Fragment,
}

/// Why a host is neither an address nor a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidHost {
    /// Two dots in a row, or one in front.
    EmptyLabel,
    /// A character outside `[a-z0-9_.-]`.
    Character(char),
    /// More than 63 octets between two dots (RFC 1035, section 2.3.4).
    LabelTooLong,
    /// More than 253 octets (RFC 1035, section 2.3.4, without the length octets at both ends).
    NameTooLong,
}

/// The longest URL that is read, in bytes. HTTP libraries take somewhat less, and servers much less.
pub const LONGEST: usize = 64 * 1024;

/// How much of a path is printed, in bytes.
const LONGEST_SHOWN: usize = 1024;

/// The addresses of localhost names, which DNS is never asked about (RFC 6761, section 6.3).
pub const LOCALHOST: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

impl TargetUrl {
    /// Parses a URL that anyone may have written.
    ///
    /// # Errors
    /// It is not a URL, not `http` or `https`, holds credentials, or its host cannot be a DNS name.
    pub fn parse(text: &str) -> Result<Self, InvalidTarget> {
        Self::unattended(parse_http(text)?)
    }

    /// The URL that `reference`, a `Location` say, means on a page of this one.
    ///
    /// # Errors
    /// As [`TargetUrl::parse`].
    pub fn join(&self, reference: &str) -> Result<Self, InvalidTarget> {
        Self::unattended(http_only(self.url.join(reference).map_err(InvalidTarget::Parse)?)?)
    }

    /// A URL that anyone may have written holds no credentials.
    fn unattended(url: Url) -> Result<Self, InvalidTarget> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidTarget::UserInfo);
        }
        Self::canonical(url)
    }

    /// Parses a base URL that the operator typed. `user:password@` is taken out, percent-decoded, and returned apart.
    ///
    /// # Errors
    /// As [`TargetUrl::parse`], but credentials are an error only when they are not UTF-8; a query and a fragment are.
    pub fn parse_operator(text: &str) -> Result<(Self, Option<(String, Secret)>), InvalidTarget> {
        let url = parse_http(text)?;
        if url.query().is_some() {
            return Err(InvalidTarget::Query);
        }
        if url.fragment().is_some() {
            return Err(InvalidTarget::Fragment);
        }
        let decode = |text: &str| match percent_decode_str(text).decode_utf8() {
            Ok(text) => Ok(text.into_owned()),
            Err(_) => Err(InvalidTarget::UserInfo),
        };
        let credentials = if url.username().is_empty() && url.password().is_none() {
            None
        } else {
            Some((decode(url.username())?, Secret::new(decode(url.password().unwrap_or_default())?)))
        };
        Ok((Self::canonical(url)?, credentials))
    }

    /// Makes the host canonical and drops what is never sent.
    fn canonical(mut url: Url) -> Result<Self, InvalidTarget> {
        let broken = |()| InvalidTarget::Parse(url::ParseError::EmptyHost);
        let scheme = if url.scheme() == "https" { Scheme::Https } else { Scheme::Http };
        let host = match url.host() {
            Some(url::Host::Ipv4(ip)) => Host::Address(ip.into()),
            Some(url::Host::Ipv6(ip)) => Host::Address(ip.to_canonical()),
            Some(url::Host::Domain(name)) => Host::Name(dns_name(name).map_err(InvalidTarget::Host)?.to_owned()),
            None => return Err(broken(())),
        };
        // Each of these writes the URL anew, so only where it changes something.
        match &host {
            Host::Name(name) if url.host_str() != Some(name) => {
                url.set_host(Some(name)).map_err(InvalidTarget::Parse)?;
            }
            Host::Address(ip @ IpAddr::V4(_)) if matches!(url.host(), Some(url::Host::Ipv6(_))) => {
                url.set_ip_host(*ip).map_err(broken)?;
            }
            Host::Name(_) | Host::Address(_) => {}
        }
        if !url.username().is_empty() {
            url.set_username("").map_err(broken)?;
        }
        if url.password().is_some() {
            url.set_password(None).map_err(broken)?;
        }
        if url.fragment().is_some() {
            url.set_fragment(None);
        }
        let port = url.port_or_known_default().ok_or(InvalidTarget::Parse(url::ParseError::InvalidPort))?;
        Ok(Self { url, scheme, host, port })
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port, the scheme's default filled in.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path, percent-encoded, beginning with `/`.
    pub fn path(&self) -> &str {
        self.url.path()
    }

    /// The path and, behind a `?`, the query: what a request line holds.
    pub fn path_and_query(&self) -> &str {
        &self.url[url::Position::BeforePath..]
    }

    /// `https://host:port`, the port left out where it is the scheme's default, IPv6 in brackets.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority())
    }

    /// `host:port` as it belongs into a `Host` header, the port left out where it is the scheme's default.
    pub fn authority(&self) -> String {
        self.url[url::Position::BeforeHost..url::Position::AfterPort].to_owned()
    }

    /// Whether the host is `localhost` or below it. Such a name is [`LOCALHOST`], and DNS is never asked (RFC 6761).
    pub fn is_localhost(&self) -> bool {
        match &self.host {
            Host::Name(name) => is_localhost_name(name),
            Host::Address(_) => false,
        }
    }
}

/// Whether `name` is `localhost` or below it (RFC 6761, section 6.3).
pub(crate) fn is_localhost_name(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// Parses `text`, for http and https only.
fn parse_http(text: &str) -> Result<Url, InvalidTarget> {
    // Before it is parsed: what is never fetched must not cost a parse of megabytes.
    if text.len() > LONGEST {
        return Err(InvalidTarget::TooLong);
    }
    http_only(Url::parse(text).map_err(InvalidTarget::Parse)?)
}

fn http_only(url: Url) -> Result<Url, InvalidTarget> {
    if matches!(url.scheme(), "http" | "https") {
        return Ok(url);
    }
    // In `localhost:8000` and in `user:password@host` the parser takes what is before the colon for a scheme.
    let scheme = if url.has_authority() { url.scheme().to_owned() } else { String::new() };
    Err(InvalidTarget::Scheme(scheme))
}

/// The name without its trailing dot, when DNS could know it. The parser has already made it lower case and punycode.
pub(crate) fn dns_name(name: &str) -> Result<&str, InvalidHost> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let foreign = |c: &char| !matches!(c, 'a'..='z' | '0'..='9' | '_' | '-' | '.');
    if let Some(character) = name.chars().find(foreign) {
        return Err(InvalidHost::Character(character));
    }
    if name.len() > 253 {
        return Err(InvalidHost::NameTooLong);
    }
    for label in name.split('.') {
        match label.len() {
            0 => return Err(InvalidHost::EmptyLabel),
            1..=63 => {}
            _ => return Err(InvalidHost::LabelTooLong),
        }
    }
    Ok(name)
}

impl InvalidTarget {
    /// At which step of judging a URL this was found.
    pub fn stage(&self) -> Stage {
        match self {
            Self::Parse(_) | Self::TooLong | Self::Query | Self::Fragment => Stage::Parse,
            Self::Scheme(_) => Stage::Scheme,
            Self::UserInfo => Stage::UserInfo,
            Self::Host(_) => Stage::Name,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(ip) => write!(f, "{ip}"),
        }
    }
}

impl fmt::Display for TargetUrl {
    /// Redacted: a query is only counted, for it may hold a key, and so is what goes on for too long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        // The parser has made it ASCII, so that no character is cut.
        match path.get(..LONGEST_SHOWN).filter(|head| head.len() < path.len()) {
            Some(head) => write!(f, "{}{head}…({} bytes)", self.origin(), path.len() - head.len())?,
            None => write!(f, "{}{path}", self.origin())?,
        }
        match self.url.query() {
            Some(query) => write!(f, "?…({} bytes)", query.len()),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for InvalidTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parse(url::ParseError::RelativeUrlWithoutBase) => {
                f.write_str("it is not a URL: begin it with http:// or https://")
            }
            Self::Parse(error) => write!(f, "it is not a URL: {error}"),
            Self::TooLong => write!(f, "it is longer than {LONGEST} bytes, and servers take no such URL"),
            Self::Scheme(scheme) if scheme.is_empty() => f.write_str("begin it with http:// or https://"),
            Self::Scheme(scheme) => write!(f, "the scheme {scheme} is not spoken, only http and https are"),
            Self::UserInfo => f.write_str("user names and passwords do not belong in this URL, or are not UTF-8"),
            Self::Host(host) => write!(f, "the host cannot be a name: {host}"),
            Self::Query => f.write_str("a base URL has no query: leave out the `?` and what follows it"),
            Self::Fragment => f.write_str("a base URL has no fragment: leave out the `#` and what follows it"),
        }
    }
}

impl std::error::Error for InvalidTarget {}

impl fmt::Display for InvalidHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyLabel => f.write_str("there is nothing between two dots, or before the first"),
            Self::Character(character) => {
                write!(f, "it holds {character:?}, but only letters, digits, `-`, `_` and `.` may occur")
            }
            Self::LabelTooLong => f.write_str("a part between two dots is longer than 63 characters"),
            Self::NameTooLong => f.write_str("it is longer than 253 characters"),
        }
    }
}
