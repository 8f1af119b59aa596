//! What a fetch of the web's failure means for a call.

use owl_egress::WebError;

use super::{ToolError, ToolFault};

/// The error of a call whose fetch failed. `key` is where the tool stands in the configuration.
pub(super) fn failed(error: &WebError, key: &str) -> ToolError {
    let fault = match error {
        WebError::RateLimited(_) => ToolFault::RateLimited,
        WebError::TlsOptions(_) => ToolFault::Configuration,
        error if error.is_refusal() => ToolFault::Refused,
        error if error.is_timeout() => ToolFault::Timeout,
        _ => ToolFault::Destination,
    };
    let refused = match error {
        WebError::RedirectRefused(inner) => inner,
        error => error,
    };
    let (for_operator, private) = match refused {
        WebError::Denied(denied) => {
            let private = denied.as_pattern().filter(|_| denied.is_for_private_network());
            (Some(format!("{key}: {denied}")), private.map(Box::new))
        }
        other => (matches!(error, WebError::RedirectRefused(_)).then(|| other.to_string()), None),
    };
    let retry_after = match error {
        WebError::RateLimited(limited) => Some(limited.retry_after),
        _ => None,
    };
    let hint = match error {
        WebError::Denied(_) | WebError::RedirectRefused(_) => {
            Some("whoever runs Owl may open it: the log says with which key".to_owned())
        }
        WebError::BodyTooLarge(_) => Some(format!("{key}.maxBytes sets the limit")),
        WebError::TotalTimeout(_) => Some(format!("{key}.timeout sets the limit")),
        WebError::TooManyRedirects(_) => Some(format!("{key}.maxRedirects sets the limit")),
        _ => None,
    };
    ToolError { for_operator, retry_after, hint, private, ..ToolError::new(fault, error.code(), error.to_string()) }
}
