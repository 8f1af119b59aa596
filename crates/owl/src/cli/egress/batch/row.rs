//! One row, read without copying what does not have to be copied.

use std::borrow::Cow;
use std::net::IpAddr;

use owl_egress::TargetUrl;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A row that can be judged.
pub(super) struct Row<'a> {
    /// The id, of whatever type, as it was spelt.
    pub(super) id: Option<&'a str>,
    /// The policy, as it was spelt.
    pub(super) policy: Option<&'a str>,
    pub(super) subject: Subject<'a>,
}

/// What a row is about.
pub(super) enum Subject<'a> {
    /// A URL, and what DNS would answer; without that no query may be made.
    Url { text: Cow<'a, str>, dns: Option<Vec<IpAddr>> },
    /// A bare address, `None` where the text is none, and what stands for a URL that names it.
    Ip { ip: Option<IpAddr>, target: TargetUrl },
}

/// Why a line is no row.
pub(super) struct WrongRow<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) reason: String,
}

/// As it stands in the line. Keys that are not known are passed over, so that files of cases can be given as they are.
#[derive(Deserialize)]
struct Spelt<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    ip: Option<&'a RawValue>,
    #[serde(borrow, default)]
    policy: Option<&'a RawValue>,
    #[serde(borrow, default)]
    dns: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Answers {
    #[serde(rename = "A", default)]
    ipv4: Vec<IpAddr>,
    #[serde(rename = "AAAA", default)]
    ipv6: Vec<IpAddr>,
}

impl<'a> Row<'a> {
    pub(super) fn parse(line: &'a [u8]) -> Result<Self, WrongRow<'a>> {
        let spelt: Spelt<'a> = match serde_json::from_slice(line) {
            Ok(spelt) => spelt,
            Err(error) => {
                return Err(WrongRow { id: None, reason: format!("it is not a row: {}", in_this_line(&error)) });
            }
        };
        let id = spelt.id.map(RawValue::get);
        let wrong = |reason: String| WrongRow { id, reason };
        let subject = match (spelt.url, spelt.ip) {
            (Some(url), None) => Subject::Url {
                text: text(url).ok_or_else(|| wrong("`url` is not a text".to_owned()))?,
                dns: spelt.dns.map(answers).transpose().map_err(wrong)?,
            },
            (None, Some(ip)) => {
                let text = text(ip).ok_or_else(|| wrong("`ip` is not a text".to_owned()))?;
                address(&text).ok_or_else(|| wrong("`ip` cannot be judged".to_owned()))?
            }
            (Some(_), Some(_)) => return Err(wrong("there are both `url` and `ip`: leave one out".to_owned())),
            (None, None) => return Err(wrong("there is neither `url` nor `ip`".to_owned())),
        };
        Ok(Self { id, policy: spelt.policy.map(RawValue::get), subject })
    }
}

/// A JSON text, borrowed where it holds no escape.
fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let inside = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') {
        serde_json::from_str(raw.get()).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inside))
    }
}

fn answers(raw: &RawValue) -> Result<Vec<IpAddr>, String> {
    match serde_json::from_str::<Answers>(raw.get()) {
        Ok(Answers { mut ipv4, ipv6 }) => {
            ipv4.extend(ipv6);
            Ok(ipv4)
        }
        Err(error) => Err(format!("dns: {}", in_this_line(&error))),
    }
}

/// The address, and the URL `http://address/`, by which an address is judged for no name and no port in particular.
fn address(text: &str) -> Option<Subject<'static>> {
    let ip = text.parse::<IpAddr>().ok();
    let url = match ip {
        Some(IpAddr::V4(ip)) => format!("http://{ip}/"),
        Some(IpAddr::V6(ip)) => format!("http://[{ip}]/"),
        None => "http://0.0.0.0/".to_owned(),
    };
    TargetUrl::parse(&url).ok().map(|target| Subject::Ip { ip, target })
}

/// The error without a line number, which would always be 1.
fn in_this_line(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}
