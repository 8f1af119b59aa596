//! Which headers are the business of whoever holds the connection.

use http::HeaderName;

/// Whether a header belongs to one connection, not to the message (RFC 9110, section 7.6.1).
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Whether a header of a request is written by whoever sends it: those of the connection, and those that say where the
/// message goes and where it ends.
pub fn is_senders(name: &HeaderName) -> bool {
    is_hop_by_hop(name) || matches!(name.as_str(), "content-length" | "expect" | "host")
}
