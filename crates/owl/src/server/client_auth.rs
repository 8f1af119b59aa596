//! Who asks: the client keys of `gateway.keys`.
//!
//! A key comes as `Authorization: Bearer …` (RFC 6750) or as `x-api-key`; where both are shown, one that is right is
//! enough, for OpenAI's clients always send a Bearer key, if only a placeholder. Keys are compared by their SHA-256 digests in
//! constant time, all of them every time, so that neither a key's bytes nor its place in the list shows in the timing.
//!
//! Without keys Owl listens on loopback alone, and any web page that the user opens could still ask: browsers send
//! cross-origin requests first and only keep the answer from the page, and a page can point its own name at 127.0.0.1
//! (DNS rebinding). So a keyless Owl answers no page of a foreign origin and no foreign host name.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, header};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::config::{ClientKey, GatewayConfig};
use crate::context::Principal;

/// Decides who may ask.
#[derive(Debug)]
pub(crate) struct Admission {
    keys: ClientKeys,
    origins: Vec<String>,
}

impl Admission {
    pub(crate) fn new(config: &GatewayConfig) -> Self {
        let origins = config.cors.as_ref().map(|cors| cors.origins.clone()).unwrap_or_default();
        Self { keys: ClientKeys::new(&config.keys), origins }
    }

    /// Who asks.
    pub(crate) fn admit(&self, request: &Parts) -> Result<Principal, Stranger> {
        // With CORS on, its layer has answered preflights; with CORS off, no upstream answers them in Owl's place.
        if request.method == Method::OPTIONS && request.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
            return Err(Stranger::ForeignPage);
        }
        let principal = self.keys.identify(&request.headers)?;
        if principal == Principal::Local {
            self.look_for_pages(request)?;
        }
        Ok(principal)
    }

    fn look_for_pages(&self, request: &Parts) -> Result<(), Stranger> {
        if request.headers.contains_key(header::ORIGIN) {
            return self.judge_origin(request);
        }
        if host(request).is_none_or(is_this_machine) { Ok(()) } else { Err(Stranger::ForeignHost) }
    }

    /// Whether the page that asks may ask, if it is one: it is of an origin that is named, or of this listener's own. MCP wants
    /// this of every request, whatever key it shows.
    pub(crate) fn judge_origin(&self, request: &Parts) -> Result<(), Stranger> {
        let Some(origin) = request.headers.get(header::ORIGIN) else {
            return Ok(());
        };
        let named = |allowed: &String| allowed == "*" || allowed.as_bytes() == origin.as_bytes();
        let is_own = host(request).is_some_and(|host| is_this_machine(host) && is_page_of(origin, host));
        if is_own || self.origins.iter().any(named) { Ok(()) } else { Err(Stranger::ForeignPage) }
    }
}

fn host(request: &Parts) -> Option<&str> {
    let host = request.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.or_else(|| request.uri.authority().map(http::uri::Authority::as_str))
}

fn is_page_of(origin: &HeaderValue, host: &str) -> bool {
    let authority = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

/// Whether a `Host` is a literal address, a localhost name (RFC 6761, section 6.3) or a name without a dot: none that a
/// page could have taken from a public DNS zone of its own.
fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let lower = name.trim_end_matches('.').to_ascii_lowercase();
    let is_local_name = !lower.is_empty() && (!lower.contains('.') || lower.ends_with(".localhost"));
    bare.parse::<IpAddr>().is_ok() || is_local_name
}

/// The keys that clients may show.
struct ClientKeys(Vec<(Arc<str>, [u8; 32])>);

impl fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Why a client is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stranger {
    /// It shows no key.
    NoKey,
    /// It shows a key that is not one of ours.
    WrongKey,
    /// It is a web page of an origin that may not ask.
    ForeignPage,
    /// It names a host that is not this machine, where no keys tell clients from pages.
    ForeignHost,
}

impl ClientKeys {
    /// Keeps the keys' digests.
    fn new(keys: &[ClientKey]) -> Self {
        Self(keys.iter().map(|key| (key.name.as_str().into(), digest(key.key.expose().as_bytes()))).collect())
    }

    /// Who shows these headers. Without any key configured everyone is [`Principal::Local`]: Owl then listens on loopback
    /// alone.
    fn identify(&self, headers: &HeaderMap) -> Result<Principal, Stranger> {
        if self.0.is_empty() {
            return Ok(Principal::Local);
        }
        let mut refusal = Stranger::NoKey;
        let mut found = None;
        for shown in shown_keys(headers).map(digest) {
            refusal = Stranger::WrongKey;
            for (name, known) in &self.0 {
                if bool::from(known.ct_eq(&shown)) {
                    found = Some(name);
                }
            }
        }
        found.map(|name| Principal::Key(Arc::clone(name))).ok_or(refusal)
    }
}

fn digest(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

fn shown_keys(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| {
        let value = value.as_bytes();
        let (scheme, rest) = value.split_at_checked("bearer ".len())?;
        scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
    });
    let x_api_key = headers.get("x-api-key").map(|value| value.as_bytes().trim_ascii());
    [bearer, x_api_key].into_iter().flatten().filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use owl_egress::Secret;

    use super::*;

    fn check(name: &'static str, value: &'static str, expect: Result<&str, Stranger>) {
        let keys = ClientKeys::new(&[
            ClientKey { name: "ci".to_owned(), key: Secret::new("key-one"), auto_tools: Vec::new() },
            ClientKey { name: "dev".to_owned(), key: Secret::new("key-two"), auto_tools: Vec::new() },
        ]);
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        let found = keys.identify(&headers).map(|principal| principal.name().to_owned());
        assert_eq!(found.as_deref().map_err(|stranger| *stranger), expect, "{name}: {value}");
    }

    #[test]
    fn keys_are_known_by_either_header() {
        check("authorization", "Bearer key-one", Ok("ci"));
        check("authorization", "bearer  key-two ", Ok("dev"));
        check("x-api-key", "key-two", Ok("dev"));
        check("authorization", "Bearer key-three", Err(Stranger::WrongKey));
        check("authorization", "Bearer key-on", Err(Stranger::WrongKey));
        check("authorization", "Basic key-one", Err(Stranger::NoKey));
        check("authorization", "Bearer ", Err(Stranger::NoKey));
        check("x-api-key", "", Err(Stranger::NoKey));
        check("accept", "key-one", Err(Stranger::NoKey));
    }

    #[test]
    fn without_keys_everyone_is_local() {
        assert_eq!(ClientKeys::new(&[]).identify(&HeaderMap::new()), Ok(Principal::Local));
    }

    #[test]
    fn hosts_behind_which_no_dns_answer_stands() {
        let check = |host: &str, expect: bool| assert_eq!(is_this_machine(host), expect, "{host}");
        check("localhost", true);
        check("LocalHost:6950", true);
        check("owl.localhost:6950", true);
        check("owl:6950", true);
        check("127.0.0.1:6950", true);
        check("192.168.7.20", true);
        check("[::1]:6950", true);
        check("[::1]", true);
        check("evil.example:6950", false);
        check("localhost.evil.example", false);
        check("127.0.0.1.evil.example:80", false);
        check("", false);
    }

    #[test]
    fn without_keys_no_foreign_page_asks() {
        let check = |origins: &[&str], method: &str, headers: &[(&'static str, &str)], expect: Result<(), Stranger>| {
            let origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
            let admission = Admission { keys: ClientKeys::new(&[]), origins };
            let mut request = http::Request::builder().method(method).uri("/v1/models");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(admission.admit(&parts).map(drop), expect, "{method} {headers:?}");
        };
        check(&[], "POST", &[("host", "127.0.0.1:6950")], Ok(()));
        check(&[], "POST", &[("host", "127.0.0.1:6950"), ("origin", "https://a.example")], Err(Stranger::ForeignPage));
        check(
            &[],
            "POST",
            &[("host", "a.example:6950"), ("origin", "http://a.example:6950")],
            Err(Stranger::ForeignPage),
        );
        check(&[], "GET", &[("host", "a.example:6950")], Err(Stranger::ForeignHost));
        // A page of the listener's own, and of another port on this machine.
        let own = [("host", "localhost:6950"), ("origin", "http://localhost:6950")];
        check(&[], "POST", &own, Ok(()));
        let other = [("host", "localhost:6950"), ("origin", "http://localhost:3000")];
        check(&[], "POST", &other, Err(Stranger::ForeignPage));
        check(&["https://a.example"], "POST", &[("host", "localhost"), ("origin", "https://a.example")], Ok(()));
        check(&["*"], "POST", &[("host", "localhost"), ("origin", "null")], Ok(()));
        check(&[], "OPTIONS", &[("access-control-request-method", "POST")], Err(Stranger::ForeignPage));
    }

    #[test]
    fn whatever_key_it_shows_no_foreign_page_speaks_mcp() {
        let check = |host: &str, origin: &str, expect: Result<(), Stranger>| {
            let keys = ClientKeys::new(&[ClientKey {
                name: "ci".to_owned(),
                key: Secret::new("key-one"),
                auto_tools: Vec::new(),
            }]);
            let admission = Admission { keys, origins: vec!["https://a.example".to_owned()] };
            let request = http::Request::builder().uri("/mcp").header("host", host).header("origin", origin);
            let (parts, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(admission.judge_origin(&parts), expect, "{host} {origin}");
        };
        check("owl.corp.example", "https://a.example", Ok(()));
        check("127.0.0.1:6950", "http://127.0.0.1:6950", Ok(()));
        check("127.0.0.1:6950", "http://127.0.0.1:6951", Err(Stranger::ForeignPage));
        check("owl.corp.example", "https://b.example", Err(Stranger::ForeignPage));
        check("b.example", "http://b.example", Err(Stranger::ForeignPage));
        check("127.0.0.1:6950", "null", Err(Stranger::ForeignPage));
    }

    #[test]
    fn keys_do_not_show_in_debug() {
        let keys =
            ClientKeys::new(&[ClientKey { name: "ci".to_owned(), key: Secret::new("canary"), auto_tools: Vec::new() }]);
        assert_eq!(format!("{keys:?}"), "[\"ci\"]");
    }
}
