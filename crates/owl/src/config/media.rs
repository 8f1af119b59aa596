//! What becomes of URLs in requests: fetched by Owl, passed on, or refused.

use std::time::Duration;

use super::build::Builder;
use super::problem::KeyPath;
use super::raw_egress::{RawMedia, RawMediaMode, RawMediaTable};

/// What Owl does with a URL that a client put into a request (an image, a file, a recording).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaMode {
    /// Owl fetches it under the gateway's policy and puts the content in its place.
    Inline,
    /// The URL is passed on, and the inference server fetches it.
    Forward,
    /// The request is refused.
    Refuse,
}

/// URLs in requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaConfig {
    /// What becomes of them.
    pub mode: MediaMode,
    /// How many one request may hold.
    pub max_count: usize,
    /// How large each may be, decoded, in bytes.
    pub max_bytes: u64,
    /// How large all of one request may be together, decoded, in bytes.
    pub max_total_bytes: u64,
    /// How long fetching all of one request may take.
    pub timeout: Duration,
}

impl Default for MediaConfig {
    fn default() -> Self {
        Self {
            mode: MediaMode::Inline,
            max_count: 16,
            max_bytes: 20 << 20,
            max_total_bytes: 50 << 20,
            timeout: Duration::from_secs(30),
        }
    }
}

impl Builder<'_, '_> {
    /// `gateway.media`, a word or an object.
    pub(crate) fn media(&mut self, raw: &RawMedia, path: &KeyPath) -> Option<MediaConfig> {
        let raw = match raw {
            RawMedia::Mode(mode) => return Some(MediaConfig { mode: media_mode(*mode), ..MediaConfig::default() }),
            RawMedia::Table(raw) => raw,
        };
        let RawMediaTable { mode, max_count, max_bytes, max_total_bytes, timeout } = raw;
        let max_bytes = self.size(max_bytes, &path.key("maxBytes"), 1..=1 << 40, "from 1B to 1024GiB");
        let total = self.size(max_total_bytes, &path.key("maxTotalBytes"), 1..=1 << 40, "from 1B to 1024GiB");
        let timeout = self.positive(timeout, &path.key("timeout"));
        Some(MediaConfig {
            mode: media_mode(*mode),
            max_count: *max_count,
            max_bytes: max_bytes?,
            max_total_bytes: total?,
            timeout: timeout?,
        })
    }
}

fn media_mode(raw: RawMediaMode) -> MediaMode {
    match raw {
        RawMediaMode::Inline => MediaMode::Inline,
        RawMediaMode::Forward => MediaMode::Forward,
        RawMediaMode::Refuse => MediaMode::Refuse,
    }
}
