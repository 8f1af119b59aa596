//! What can go wrong with a request, by whom it is to blame.
//!
//! The door turns a [`Failure`] into a status and a code; here it is only said what happened and to whom.

use std::fmt;

use owl_egress::EgressError;
use owl_wire::UpstreamError;

use crate::media::MediaFailure;

/// Why a request got no answer of its upstream's.
#[derive(Debug)]
pub enum Failure {
    /// The body is not what the endpoint takes.
    Body {
        /// What is wrong and where.
        reason: String,
        /// The field it is about.
        field: Option<&'static str>,
    },
    /// The path would leave the API.
    Path,
    /// A URL in the body is refused, or cannot be had.
    Media(Box<MediaFailure>),
    /// No provider has this model.
    UnknownModel {
        /// The name asked for.
        model: String,
        /// Names that are close to it.
        similar: Vec<String>,
        /// The providers that may have it, because their lists could not be read yet.
        unread: Vec<String>,
    },
    /// No provider has this name.
    UnknownProvider {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// Several providers, and nothing in the request says which.
    NoProviderNamed {
        /// The names there are.
        known: Vec<String>,
    },
    /// The provider failed.
    Upstream {
        /// Its name.
        provider: String,
        /// Its base URL, without user and query.
        base_url: String,
        /// How.
        failure: Box<UpstreamFailure>,
    },
}

/// How a provider failed.
#[derive(Debug)]
pub enum UpstreamFailure {
    /// No answer came, or it broke off.
    Egress(EgressError),
    /// It refused Owl's credential.
    Credential {
        /// Its status.
        status: u16,
        /// What to look at.
        advice: &'static str,
    },
    /// It redirects, and Owl does not follow.
    Redirect {
        /// Its status.
        status: u16,
        /// Where it points, without user and query.
        location: Option<String>,
    },
    /// The API itself refused a request that Owl has made of the client's.
    Refused {
        /// Its status.
        status: u16,
        /// What it says, without Owl's credential.
        said: UpstreamError,
        /// Its `Retry-After`, when there is one.
        retry_after: Option<http::HeaderValue>,
    },
    /// It answered with an error that is not in JSON.
    Answer {
        /// Its status.
        status: u16,
        /// The type it gave its body.
        content_type: String,
        /// The beginning of the body as plain text.
        excerpt: String,
        /// Its `Retry-After`, when there is one.
        retry_after: Option<http::HeaderValue>,
        /// What it may mean.
        advice: Option<&'static str>,
    },
}

impl fmt::Display for UpstreamFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Egress(error) => f.write_str(&error.public_message()),
            Self::Credential { status, advice } => {
                write!(f, "it refused Owl's credential with status {status}; {advice}")
            }
            Self::Redirect { status, location: Some(location) } => {
                write!(
                    f,
                    "it answered {status}, a redirect to {location}, which Owl does not follow; set baseUrl to where the API is"
                )
            }
            Self::Redirect { status, location: None } => {
                write!(f, "it answered {status}, a redirect without a readable Location, which Owl does not follow")
            }
            Self::Refused { status, said, .. } => write!(f, "it answered {status}: {}", said.message),
            Self::Answer { status, content_type, excerpt, advice, .. } => {
                write!(f, "it answered {status}")?;
                if excerpt.is_empty() {
                    write!(f, " without a body")?;
                } else {
                    write!(f, " with {content_type}: {excerpt}")?;
                }
                advice.map_or(Ok(()), |advice| write!(f, " ({advice})"))
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body { reason, .. } => write!(f, "the request body is not usable: {reason}"),
            Self::Media(failure) => failure.fmt(f),
            Self::Path => f.write_str("the path holds a `.` or `..` segment, which would leave the API"),
            Self::UnknownModel { model, unread, .. } if !unread.is_empty() => write!(
                f,
                "no provider that answers has a model named {model:?}, and the list of {} could not be read yet",
                unread.join(", ")
            ),
            Self::UnknownModel { model, similar, .. } => {
                write!(f, "no provider has a model named {model:?}")?;
                match similar.as_slice() {
                    [] => f.write_str("; GET /v1/models lists them"),
                    similar => write!(f, "; did you mean {}?", similar.join(" or ")),
                }
            }
            Self::UnknownProvider { name, known } => {
                write!(f, "no provider is named {name:?}; there are: {}", known.join(", "))
            }
            Self::NoProviderNamed { known } => write!(
                f,
                "the request names no model, so it does not say which provider it is for; add the header \
                 `x-owl-provider` with one of: {}",
                known.join(", ")
            ),
            Self::Upstream { provider, base_url, failure } => write!(f, "provider {provider} ({base_url}): {failure}"),
        }
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Upstream { failure, .. } => match &**failure {
                UpstreamFailure::Egress(error) => Some(error),
                UpstreamFailure::Credential { .. }
                | UpstreamFailure::Redirect { .. }
                | UpstreamFailure::Refused { .. }
                | UpstreamFailure::Answer { .. } => None,
            },
            Self::Body { .. }
            | Self::Path
            | Self::Media(_)
            | Self::UnknownModel { .. }
            | Self::UnknownProvider { .. }
            | Self::NoProviderNamed { .. } => None,
        }
    }
}
