//! Why a URL in a request did not become what it stands for. It is written for the client's people: no resolved address, no
//! byte of what came, no query and no credentials of the URL.

use std::fmt;
use std::time::Duration;

use owl_egress::{TargetUrl, WebError};
use owl_wire::{MediaKind, MediaSlot, MediaUrl};

use super::kind_name;

/// A URL that is refused or cannot be had.
#[derive(Debug)]
pub struct MediaFailure {
    /// Where it stands in the body; `None` when it is about all of them.
    pub path: Option<String>,
    /// The URL, redacted; `None` when it cannot be shown.
    pub url: Option<String>,
    /// What is wrong.
    pub problem: MediaProblem,
}

/// What is wrong with a URL, or with what came from it.
#[derive(Debug)]
pub enum MediaProblem {
    /// The configuration wants no URLs.
    NoUrls,
    /// A URL in a form's field.
    FormField,
    /// A scheme that Owl does not fetch.
    Scheme(String),
    /// More than so many.
    TooMany(usize),
    /// The web client refused it, or did not get it.
    Web(WebError),
    /// The server answered with this status.
    Status(u16),
    /// Nothing came.
    Empty,
    /// An SVG image.
    Svg,
    /// Something else came.
    WrongType {
        /// What was expected.
        expected: MediaKind,
        /// What it looks like.
        came: String,
        /// How much came.
        bytes: usize,
    },
    /// All together are larger than this.
    TotalTooLarge(u64),
    /// All together took longer than this.
    Timeout(Duration),
}

impl MediaFailure {
    pub(super) fn of(slot: &MediaSlot, problem: MediaProblem) -> Self {
        Self::at(&slot.path, &slot.url, problem)
    }

    pub(super) fn at(path: &str, url: &MediaUrl, problem: MediaProblem) -> Self {
        let url = match url {
            MediaUrl::Web(url) => TargetUrl::parse(url).ok().map(|url| url.to_string()),
            MediaUrl::Foreign(_) => None,
        };
        Self { path: Some(path.to_owned()), url, problem }
    }

    pub(super) fn whole(problem: MediaProblem) -> Self {
        Self { path: None, url: None, problem }
    }
}

impl fmt::Display for MediaFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{path}: ")?;
        }
        if let Some(url) = &self.url {
            write!(f, "{url}: ")?;
        }
        self.problem.fmt(f)
    }
}

impl fmt::Display for MediaProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUrls => f.write_str("URLs are not taken here; send the content itself, as a data: URL"),
            Self::FormField => {
                f.write_str("a URL in a form's field is not fetched; send the file itself, or a data: URL")
            }
            Self::Scheme(scheme) => {
                write!(f, "a URL that begins with {scheme:?} is not fetched; use http or https, or a data: URL")
            }
            Self::TooMany(most) => {
                write!(f, "the request holds more than {most} URLs to fetch (gateway.media.maxCount); send fewer")
            }
            Self::Web(error @ (WebError::Denied(_) | WebError::RedirectRefused(_))) => write!(
                f,
                "{error}; send the content as a data: URL, or ask whoever runs Owl, whose log says what would open it"
            ),
            Self::Web(WebError::BodyTooLarge(most)) => {
                write!(f, "what is there is larger than {most} bytes (gateway.media.maxBytes)")
            }
            Self::Web(error) => error.fmt(f),
            Self::Status(status) => write!(f, "the server answered with status {status} instead of 200"),
            Self::Empty => f.write_str("the server answered with nothing in it"),
            Self::Svg => f.write_str("SVG is not taken, for it may name further URLs; send a PNG or JPEG"),
            Self::WrongType { expected, came, bytes } => {
                write!(f, "{} was expected, but {came} came ({bytes} bytes)", kind_name(*expected))
            }
            Self::TotalTooLarge(most) => write!(
                f,
                "what the request's URLs lead to is larger than {most} bytes together (gateway.media.maxTotalBytes)"
            ),
            Self::Timeout(after) => write!(
                f,
                "what the request's URLs lead to did not come within {} s (gateway.media.timeout)",
                after.as_secs_f64()
            ),
        }
    }
}
