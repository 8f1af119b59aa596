//! The headers that a caller may choose.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::error::WebError;
use crate::header::is_senders;

/// Refused beside those of the sender's: they claim an origin, or are the gates of a cloud's metadata service, which answers
/// nobody who cannot set them.
const REFUSED: [&str; 13] = [
    "forwarded",
    "metadata",
    "metadata-flavor",
    "metadata-token",
    "via",
    "x-aliyun-ecs-metadata-token",
    "x-aws-ec2-metadata-token",
    "x-aws-ec2-metadata-token-ttl-seconds",
    "x-client-ip",
    "x-google-metadata-request",
    "x-metadata-token",
    "x-original-url",
    "x-real-ip",
];

/// Dropped without a word: it is meant for the caller's own proxy, and nobody behind it.
const DROPPED: &str = "proxy-authorization";

/// Kept when a redirect leaves the origin.
const KEPT: [&str; 3] = ["accept", "accept-language", "user-agent"];

/// Dropped with the body that they describe.
const OF_A_BODY: [&str; 4] = ["content-encoding", "content-language", "content-location", "content-type"];

/// The caller's headers, when every one of them may be set.
///
/// # Errors
/// [`WebError::HeaderRefused`], or [`WebError::BadRequest`] for what is no header at all.
pub(super) fn check(headers: &[(String, String)]) -> Result<HeaderMap, WebError> {
    let mut checked = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| WebError::BadRequest("a header's name"))?;
        let value = HeaderValue::from_str(value).map_err(|_| WebError::BadRequest("a header's value"))?;
        if name == DROPPED {
            continue;
        }
        if is_refused(&name) {
            return Err(WebError::HeaderRefused(name.as_str().to_owned()));
        }
        checked.append(name, value);
    }
    Ok(checked)
}

fn is_refused(name: &HeaderName) -> bool {
    let text = name.as_str();
    let is_listed = REFUSED.binary_search(&text).is_ok();
    is_senders(name) || is_listed || text.starts_with("sec-") || text.starts_with("x-forwarded-")
}

/// What is left when a redirect leaves the origin.
pub(super) fn leave_origin(headers: &mut HeaderMap) {
    remove(headers, |name| !KEPT.contains(&name));
}

/// What is left when the body is not sent again.
pub(super) fn leave_body(headers: &mut HeaderMap) {
    remove(headers, |name| OF_A_BODY.contains(&name));
}

fn remove(headers: &mut HeaderMap, goes: impl Fn(&str) -> bool) {
    let gone: Vec<HeaderName> = headers.keys().filter(|name| goes(name.as_str())).cloned().collect();
    for name in gone {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_so_that_it_can_be_searched() {
        assert!(REFUSED.is_sorted());
    }

    #[test]
    fn what_frames_a_message_or_opens_metadata_is_refused() {
        let check = |name: &str, value: &str| check(&[(name.to_owned(), value.to_owned())]);
        for name in
            REFUSED.iter().copied().chain(["Host", "Connection", "TE", "X-Forwarded-Anything", "Sec-Fetch-Site"])
        {
            let refused = check(name, "v");
            assert!(matches!(&refused, Err(WebError::HeaderRefused(which)) if *which == name.to_lowercase()), "{name}");
        }
        assert!(matches!(check("x", "a\r\nY: b"), Err(WebError::BadRequest(_))));
        assert!(matches!(check("a b", "v"), Err(WebError::BadRequest(_))));
        assert!(check("Proxy-Authorization", "Basic x").is_ok_and(|headers| headers.is_empty()));
        assert!(check("Authorization", "Bearer t").is_ok_and(|headers| headers.len() == 1));
    }
}
