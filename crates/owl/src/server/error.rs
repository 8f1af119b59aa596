//! Every error that a client can see: its status, its type and its stable code, in the OpenAI shape.
//!
//! Who is to blame decides: the client's own mistakes are 4xx, the upstream's failures are 502 and 504, so a client can
//! tell *its* bad key from Owl's credential being refused. docs/errors.md lists the codes; a test compares.

use std::borrow::Cow;

use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use owl_egress::{EgressError, WebError};
use owl_wire::ErrorBody;

use super::record::Answer;
use super::routes::json;
use super::tools;
use crate::context::RequestId;
use crate::media::{MediaFailure, MediaProblem};
use crate::provider::{Failure, UpstreamFailure};

/// A stable code with its status and type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// `error.code`.
    pub code: &'static str,
    /// The HTTP status; `None` where it is the upstream's own.
    pub status: Option<StatusCode>,
    /// `error.type`.
    pub kind: &'static str,
    /// When it is answered, for docs/errors.md.
    pub meaning: &'static str,
}

macro_rules! codes {
    ($($name:ident = $code:literal, $status:expr, $kind:literal, $meaning:literal;)*) => {
        $(pub(crate) static $name: &Code = &Code { code: $code, status: $status, kind: $kind, meaning: $meaning };)*
        /// All codes, in the order of docs/errors.md.
        pub static CODES: &[&Code] = &[$($name),*];
    };
}

codes! {
    INVALID_API_KEY = "invalid_api_key", Some(StatusCode::UNAUTHORIZED), "invalid_request_error",
        "The client shows no key, or one that is not in `gateway.keys`.";
    CROSS_ORIGIN_REFUSED = "cross_origin_refused", Some(StatusCode::FORBIDDEN), "invalid_request_error",
        "A web page of another origin asks, which `gateway.cors.origins` does not name; or, without client keys, the `Host` is not this machine.";
    INVALID_BODY = "invalid_body", Some(StatusCode::BAD_REQUEST), "invalid_request_error",
        "The request body is not JSON (or not a form), or holds a key that Owl acts on twice. The message says where.";
    INVALID_PATH = "invalid_path", Some(StatusCode::BAD_REQUEST), "invalid_request_error",
        "The path holds a `.` or `..` segment.";
    BODY_TOO_LARGE = "body_too_large", Some(StatusCode::PAYLOAD_TOO_LARGE), "invalid_request_error",
        "The request body is larger than `gateway.limits.requestBody`.";
    BODY_INCOMPLETE = "body_incomplete", Some(StatusCode::BAD_REQUEST), "invalid_request_error",
        "The request body broke off before its end.";
    BODY_TIMEOUT = "body_timeout", Some(StatusCode::REQUEST_TIMEOUT), "invalid_request_error",
        "Nothing more of the request body came within `gateway.limits.bodyTimeout`, or less than 64 KiB in each.";
    URL_REFUSED = "url_refused", Some(StatusCode::BAD_REQUEST), "invalid_request_error",
        "The egress policy refuses a URL in the body, or URLs are not taken. `param` says which.";
    URL_FETCH_FAILED = "url_fetch_failed", Some(StatusCode::BAD_REQUEST), "invalid_request_error",
        "What a URL in the body leads to cannot be had, or is not what belongs there. The status is 502 when its server cannot be reached, 504 when it is too slow.";
    URL_TOO_LARGE = "url_too_large", Some(StatusCode::BAD_REQUEST), "invalid_request_error",
        "What a URL in the body leads to is larger than `gateway.media` allows.";
    TOO_MANY_URLS = "too_many_urls", Some(StatusCode::BAD_REQUEST), "invalid_request_error",
        "The body holds more URLs than `gateway.media.maxCount`.";
    RATE_LIMITED = "rate_limited", Some(StatusCode::TOO_MANY_REQUESTS), "invalid_request_error",
        "URLs in requests are fetched too often (`egress.rateLimit`). `Retry-After` says when to try again.";
    MODEL_NOT_FOUND = "model_not_found", Some(StatusCode::NOT_FOUND), "invalid_request_error",
        "No provider has the model. The message offers similar names.";
    MODEL_LIST_UNAVAILABLE = "model_list_unavailable", Some(StatusCode::SERVICE_UNAVAILABLE), "upstream_error",
        "No list of models that could be read has the model, and a provider's list could not be read yet.";
    PROVIDER_NOT_FOUND = "provider_not_found", Some(StatusCode::NOT_FOUND), "invalid_request_error",
        "The header `x-owl-provider` names a provider that is not configured.";
    PROVIDER_REQUIRED = "provider_required", Some(StatusCode::BAD_REQUEST), "invalid_request_error",
        "Several providers are configured, and the request names neither a model nor a provider.";
    RESPONSE_NOT_FOUND = "response_not_found", Some(StatusCode::NOT_FOUND), "invalid_request_error",
        "No response of this id is kept for this client (any more), or a part of its conversation is gone.";
    RESPONSE_NOT_CANCELLABLE = "response_not_cancellable", Some(StatusCode::BAD_REQUEST), "invalid_request_error",
        "Only a response with `background: true` that is still being made can be cancelled.";
    TOO_MANY_RESPONSES = "too_many_responses", Some(StatusCode::TOO_MANY_REQUESTS), "invalid_request_error",
        "As many responses are being made in the background as may be at a time.";
    STORE_UNAVAILABLE = "store_unavailable", Some(StatusCode::SERVICE_UNAVAILABLE), "server_error",
        "The store, in which responses are kept, cannot be used now.";
    UNKNOWN_URL = "unknown_url", Some(StatusCode::NOT_FOUND), "invalid_request_error",
        "The path is neither below `/v1/` nor one of `/tools`, `/tools/invoke` and `/mcp`.";
    METHOD_REFUSED = "method_refused", Some(StatusCode::METHOD_NOT_ALLOWED), "invalid_request_error",
        "The method is TRACE or CONNECT, which Owl does not forward, or none that the path knows.";
    UPGRADE_UNSUPPORTED = "upgrade_unsupported", Some(StatusCode::NOT_IMPLEMENTED), "invalid_request_error",
        "The request wants a WebSocket (`/v1/realtime`); Owl forwards HTTP only.";
    UPSTREAM_AUTH_FAILED = "upstream_auth_failed", Some(StatusCode::BAD_GATEWAY), "upstream_error",
        "The provider refuses Owl's credential or client certificate.";
    UPSTREAM_CREDENTIAL_UNAVAILABLE = "upstream_credential_unavailable", Some(StatusCode::BAD_GATEWAY), "upstream_error",
        "Owl's credential for the provider cannot be had: its file, command or OAuth 2.0 token endpoint failed.";
    UPSTREAM_DENIED = "upstream_denied", Some(StatusCode::BAD_GATEWAY), "upstream_error",
        "The egress policy refuses the address that the provider's name has now. Owl's log has the address and what would open it.";
    UPSTREAM_DNS_FAILED = "upstream_dns_failed", Some(StatusCode::BAD_GATEWAY), "upstream_error",
        "The provider's name does not resolve.";
    UPSTREAM_CONNECT_FAILED = "upstream_connect_failed", Some(StatusCode::BAD_GATEWAY), "upstream_error",
        "The provider does not accept the connection.";
    UPSTREAM_TLS_FAILED = "upstream_tls_failed", Some(StatusCode::BAD_GATEWAY), "upstream_error",
        "The TLS handshake with the provider failed. The message says why.";
    UPSTREAM_TIMEOUT = "upstream_timeout", Some(StatusCode::GATEWAY_TIMEOUT), "upstream_error",
        "A timeout fired; the message says which, and which key sets it.";
    UPSTREAM_DISCONNECTED = "upstream_disconnected", Some(StatusCode::BAD_GATEWAY), "upstream_error",
        "The provider closed the connection before its answer was complete, or answered something that is not HTTP.";
    UPSTREAM_REDIRECT = "upstream_redirect", Some(StatusCode::BAD_GATEWAY), "upstream_error",
        "The provider answers with a redirect; Owl does not follow it.";
    UPSTREAM_ERROR = "upstream_error", None, "upstream_error",
        "The provider answers with an error that is not JSON, such as a proxy's page. The status is its own.";
}

/// An error on its way to a client.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) code: &'static Code,
    status: StatusCode,
    message: String,
    pub(super) field: Option<Cow<'static, str>>,
    retry_after: Option<HeaderValue>,
    allow: Option<&'static str>,
}

/// How an error is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As OpenAI's clients know it.
    OpenAi,
    /// As Anthropic's clients know it.
    Anthropic,
    /// As `/tools/invoke` answers: `{ "ok": false, "error": { … } }`.
    Tool,
}

impl ApiError {
    pub(crate) fn new(code: &'static Code, message: impl Into<String>) -> Self {
        let status = code.status.unwrap_or(StatusCode::BAD_GATEWAY);
        Self { code, status, message: message.into(), field: None, retry_after: None, allow: None }
    }

    /// The path knows only these methods.
    pub(crate) fn wrong_method(request: &Parts, allow: &'static str) -> Self {
        let message = format!("{} does not take {}, but {allow}", request.uri.path(), request.method);
        Self { allow: Some(allow), ..Self::new(METHOD_REFUSED, message) }
    }

    /// The error's JSON.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        self.to_body().to_bytes()
    }

    /// The error as OpenAI's clients know it.
    pub(crate) fn to_body(&self) -> ErrorBody {
        ErrorBody {
            message: self.message.clone(),
            kind: self.code.kind.to_owned(),
            param: self.field.clone().map(Cow::into_owned),
            code: Some(self.code.code.to_owned()),
        }
    }
}

/// The type of an error for Anthropic's clients, who know these.
fn anthropic_kind(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "authentication_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::NOT_FOUND => "not_found_error",
        StatusCode::PAYLOAD_TOO_LARGE => "request_too_large",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        StatusCode::SERVICE_UNAVAILABLE => "overloaded_error",
        StatusCode::GATEWAY_TIMEOUT => "timeout_error",
        status if status.is_client_error() => "invalid_request_error",
        _ => "api_error",
    }
}

impl From<&Failure> for ApiError {
    fn from(failure: &Failure) -> Self {
        let mut error = Self::new(code_of(failure), failure.to_string());
        match failure {
            Failure::Body { field, .. } => error.field = field.map(Cow::Borrowed),
            Failure::UnknownModel { .. } => error.field = Some("model".into()),
            Failure::Media(failure) => error.tell_of_media(failure),
            Failure::Upstream { failure, .. } => {
                if let UpstreamFailure::Answer { status, retry_after, .. }
                | UpstreamFailure::Refused { status, retry_after, .. } = &**failure
                {
                    // What is no error's status would be no answer to the client's request.
                    let own = StatusCode::from_u16(*status).ok();
                    let own = own.filter(|status| status.is_client_error() || status.is_server_error());
                    error.status = own.unwrap_or(StatusCode::BAD_GATEWAY);
                    error.retry_after.clone_from(retry_after);
                }
            }
            Failure::Path | Failure::UnknownProvider { .. } | Failure::NoProviderNamed { .. } => {}
        }
        error
    }
}

fn code_of(failure: &Failure) -> &'static Code {
    match failure {
        Failure::Body { .. } => INVALID_BODY,
        Failure::Path => INVALID_PATH,
        Failure::Media(failure) => code_of_media(&failure.problem),
        Failure::UnknownModel { unread, .. } if !unread.is_empty() => MODEL_LIST_UNAVAILABLE,
        Failure::UnknownModel { .. } => MODEL_NOT_FOUND,
        Failure::UnknownProvider { .. } => PROVIDER_NOT_FOUND,
        Failure::NoProviderNamed { .. } => PROVIDER_REQUIRED,
        Failure::Upstream { failure, .. } => match &**failure {
            UpstreamFailure::Egress(error) => code_of_egress(error),
            UpstreamFailure::Credential { .. } => UPSTREAM_AUTH_FAILED,
            UpstreamFailure::Redirect { .. } => UPSTREAM_REDIRECT,
            UpstreamFailure::Refused { .. } | UpstreamFailure::Answer { .. } => UPSTREAM_ERROR,
        },
    }
}

pub(crate) fn code_of_egress(error: &EgressError) -> &'static Code {
    match error {
        EgressError::Denied(_) => UPSTREAM_DENIED,
        EgressError::Resolve { .. } => UPSTREAM_DNS_FAILED,
        EgressError::Connect { .. } => UPSTREAM_CONNECT_FAILED,
        EgressError::Tls { .. } | EgressError::TlsOptions(_) => UPSTREAM_TLS_FAILED,
        EgressError::Timeout { .. } => UPSTREAM_TIMEOUT,
        EgressError::Secret(_) | EgressError::Credential(_) | EgressError::Token(_) => UPSTREAM_CREDENTIAL_UNAVAILABLE,
        EgressError::Request(_) => INVALID_PATH,
        EgressError::Exchange { .. } => UPSTREAM_DISCONNECTED,
    }
}

fn code_of_media(problem: &MediaProblem) -> &'static Code {
    match problem {
        MediaProblem::NoUrls | MediaProblem::FormField | MediaProblem::Scheme(_) => URL_REFUSED,
        MediaProblem::Web(error) if error.is_refusal() => URL_REFUSED,
        MediaProblem::Web(WebError::RateLimited(_)) => RATE_LIMITED,
        MediaProblem::Web(WebError::BodyTooLarge(_)) | MediaProblem::TotalTooLarge(_) => URL_TOO_LARGE,
        MediaProblem::TooMany(_) => TOO_MANY_URLS,
        MediaProblem::Web(_)
        | MediaProblem::Status(_)
        | MediaProblem::Empty
        | MediaProblem::Svg
        | MediaProblem::WrongType { .. }
        | MediaProblem::Timeout(_) => URL_FETCH_FAILED,
    }
}

/// Whether the way to a server is at fault, so that it may be another time.
fn is_unreachable(error: &WebError) -> bool {
    matches!(
        error,
        WebError::Resolve { .. }
            | WebError::Connect { .. }
            | WebError::PeerMismatch
            | WebError::Proxy(_)
            | WebError::Tls(_)
            | WebError::TlsOptions(_)
            | WebError::BadResponse
            | WebError::BadFraming
            | WebError::Broken
    )
}

impl ApiError {
    fn tell_of_media(&mut self, failure: &MediaFailure) {
        self.field = failure.path.clone().map(Cow::Owned);
        match &failure.problem {
            MediaProblem::Timeout(_) => self.status = StatusCode::GATEWAY_TIMEOUT,
            MediaProblem::Web(WebError::RateLimited(limited)) => {
                self.retry_after = Some(limited.retry_after_seconds().into());
            }
            MediaProblem::Web(error) if error.is_timeout() => self.status = StatusCode::GATEWAY_TIMEOUT,
            MediaProblem::Web(error) if is_unreachable(error) => self.status = StatusCode::BAD_GATEWAY,
            MediaProblem::Web(_)
            | MediaProblem::NoUrls
            | MediaProblem::FormField
            | MediaProblem::Scheme(_)
            | MediaProblem::TooMany(_)
            | MediaProblem::Status(_)
            | MediaProblem::Empty
            | MediaProblem::Svg
            | MediaProblem::WrongType { .. }
            | MediaProblem::TotalTooLarge(_) => {}
        }
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The error as an answer.
    pub(crate) fn into_answer(self, shape: Shape, id: &RequestId) -> http::Response<Answer> {
        let mut response = match shape {
            Shape::OpenAi => json(self.to_json()),
            Shape::Anthropic => {
                let kind = anthropic_kind(self.status);
                json(owl_wire::messages::error_body(kind, &self.message, id.as_str()).to_string())
            }
            Shape::Tool => json(tools::error_json(self.code, &self.message)),
        };
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(retry_after) = self.retry_after {
            headers.insert(header::RETRY_AFTER, retry_after);
        }
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}
