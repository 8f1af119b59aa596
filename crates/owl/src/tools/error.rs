//! Why a call failed, for the one who asked and for the operator.

use std::fmt;
use std::time::Duration;

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

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolError {
    /// Who or what is to blame.
    pub fault: ToolFault,
    /// The stable code, in snake case, listed in docs/errors.md.
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
}

impl ToolError {
    /// An error with a message alone.
    pub fn new(fault: ToolFault, code: &'static str, message: impl Into<String>) -> Self {
        Self { fault, code, message: message.into(), hint: None, for_operator: None, retry_after: None }
    }

    /// The arguments are wrong; the message names the argument.
    pub fn arguments(message: impl Into<String>) -> Self {
        Self::new(ToolFault::Arguments, "invalid_arguments", message)
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
