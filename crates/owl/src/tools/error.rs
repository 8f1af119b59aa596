//! Why a call failed, for the one who asked and for the operator.

use std::fmt;
use std::time::Duration;

use owl_egress::policy::HostPattern;

/// Who or what is to blame; a door makes its status of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolFault {
    /// There is no such tool, or it is switched off.
    Unknown,
    /// The arguments are wrong.
    Arguments,
    /// The egress policy, or another rule of the operator's, says no.
    Refused,
    /// Too often.
    RateLimited,
    /// What was asked for cannot be had from where it is, or is not what it should be.
    Destination,
    /// It took too long.
    Timeout,
    /// The operator has to configure something first.
    Configuration,
    /// Owl itself.
    Owl,
}

impl ToolFault {
    /// The same for programs: `error.type` of every door.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Unknown | Self::Arguments | Self::Refused | Self::RateLimited => "invalid_request_error",
            Self::Destination | Self::Timeout => "destination_error",
            Self::Configuration | Self::Owl => "server_error",
        }
    }
}

/// A stable code of a tool's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolCode {
    /// `error.code`.
    pub code: &'static str,
    /// Who or what may be to blame.
    pub faults: &'static [ToolFault],
    /// When it is answered, for docs/errors.md.
    pub meaning: &'static str,
}

macro_rules! codes {
    ($($code:literal, [$($fault:ident),+], $meaning:literal;)*) => {
        /// Every code that a tool gives, in the order of docs/errors.md. A new one is a row here and one there; a test compares both
        /// with what the tools say.
        pub static TOOL_CODES: &[ToolCode] =
            &[$(ToolCode { code: $code, faults: &[$(ToolFault::$fault),+], meaning: $meaning }),*];
    };
}

codes! {
    "tool_not_found", [Unknown], "There is no such tool, or it is switched off.";
    "invalid_arguments", [Arguments], "An argument is missing, unknown or wrong. The message names it.";
    "url_refused", [Refused], "The tool's egress policy refuses the address, or what it redirects to.";
    "header_refused", [Refused], "A header may not be set.";
    "bad_request", [Refused], "The request cannot be made.";
    "rate_limited", [RateLimited], "The tool is called, or the server asked, too often.";
    "resolve_failed", [Destination], "The name does not resolve.";
    "connect_failed", [Destination], "The server does not accept the connection.";
    "peer_mismatch", [Destination], "The connection leads to another address than the one that was judged.";
    "proxy_failed", [Destination], "The egress proxy does not let the connection through.";
    "tls_error", [Destination, Configuration], "The TLS handshake failed, or a TLS file of the tool's cannot be used.";
    "connect_timeout", [Timeout], "The server did not accept the connection in time.";
    "tls_timeout", [Timeout], "The TLS handshake took too long.";
    "headers_timeout", [Timeout], "The answer did not begin in time.";
    "idle_timeout", [Timeout], "Nothing more of the answer came in time.";
    "too_slow", [Timeout], "The answer came too slowly.";
    "total_timeout", [Timeout], "All in all it took too long.";
    "head_too_large", [Destination], "The answer's headers are too large.";
    "bad_response", [Destination], "The answer is not HTTP.";
    "bad_framing", [Destination], "The answer says two things of its length.";
    "connection_broken", [Destination], "The answer broke off.";
    "body_too_large", [Destination], "The answer is larger than the tool reads.";
    "encoding_unsupported", [Destination], "The answer is compressed in a way that was not asked for.";
    "bad_encoding", [Destination], "The answer cannot be decompressed.";
    "bad_redirect", [Destination], "The answer is a redirect that cannot be followed.";
    "too_many_redirects", [Destination], "More redirects than the tool follows.";
    "redirect_loop", [Destination], "The redirects lead in a circle.";
    "robots_refused", [Refused], "The site's robots.txt does not want the page read, and `respectRobots` is on.";
    "nothing_selected", [Arguments], "The selector is wrong, or nothing on the page is what it says.";
    "unsupported_content", [Destination], "The answer holds no text.";
    "unreadable_content", [Destination], "The answer is not what its type says, or cannot be read.";
    "path_refused", [Refused], "The path does not lie below `tools.image.roots`.";
    "image_not_found", [Arguments], "There is no such file below `tools.image.roots`.";
    "image_unavailable", [Destination], "The server did not answer with a picture.";
    "image_unreadable", [Arguments, Destination], "What is there is no picture that can be read.";
    "image_too_large", [Arguments], "The picture is larger than `tools.image.maxBytes`.";
    "image_timeout", [Timeout], "Reading the pictures took longer than `tools.image.timeout`.";
    "no_vision_model", [Configuration], "No model is configured that sees.";
    "vision_model_not_found", [Configuration], "No provider has the model that is to look.";
    "vision_failed", [Destination, Timeout, Owl], "The model that was to look did not answer.";
    "search_failed", [Destination, Configuration], "The search engine did not answer with results.";
    "search_timeout", [Timeout], "The search engine did not answer in time.";
    "internal_error", [Owl], "Owl failed itself.";
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolError {
    /// Who or what is to blame.
    pub fault: ToolFault,
    /// The stable code, in snake case: one of [`TOOL_CODES`].
    pub code: &'static str,
    /// What was wrong, for the one who asked, a model included: no resolved address, no credential, no byte of a server's that
    /// was not made harmless.
    pub message: String,
    /// What would help, where something does.
    pub hint: Option<String>,
    /// What only the operator may know, such as the key that would open an address.
    pub for_operator: Option<String>,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// The host and port that were refused for being in a private network, and for nothing else.
    pub private: Option<Box<HostPattern>>,
}

impl ToolError {
    /// An error with a message alone.
    pub fn new(fault: ToolFault, code: &'static str, message: impl Into<String>) -> Self {
        Self { fault, code, message: message.into(), hint: None, for_operator: None, retry_after: None, private: None }
    }

    /// The arguments are wrong; the message names the argument.
    pub fn arguments(message: impl Into<String>) -> Self {
        Self::new(ToolFault::Arguments, "invalid_arguments", message)
    }

    /// When to try again, in whole seconds, rounded up: the value of `Retry-After`.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after.map(|wait| (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1))
    }

    /// The same with what would help.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ToolError {}
