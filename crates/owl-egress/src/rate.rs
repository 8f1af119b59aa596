//! How often a destination may be asked: token buckets as GCRA, the generic cell rate algorithm.
//!
//! A bucket is one instant: when it will be full again if nobody calls. [`Rate::judge`] is all of the arithmetic. What is
//! kept is bounded: a bucket that is full says nothing and is forgotten first, then those that are nearly full.
//! A refusal counts nothing, changes nothing and allocates nothing.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many buckets of one kind are kept.
const BUCKETS: usize = 65_536;
const MINUTE: Duration = Duration::from_secs(60);

/// So many in so much time, of which so many may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many in a minute. With 0 none passes.
    pub per_minute: u32,
    /// How many at once, after a pause. 0 is taken as 1.
    pub burst: u32,
}

impl Rate {
    /// Judges one call of a bucket that is full again at `full_at`; `None` is a full one. An admitted call gives the new
    /// instant, a refused one how long to wait.
    ///
    /// # Errors
    /// The bucket is empty for exactly this long.
    pub fn judge(self, full_at: Option<Instant>, now: Instant) -> Result<Instant, Duration> {
        let Some(interval) = self.interval() else { return Err(MINUTE) };
        let full_at = full_at.map_or(now, |full_at| full_at.max(now));
        let most = interval.saturating_mul(self.burst.max(1) - 1);
        let missing = full_at.duration_since(now);
        if missing > most { Err(missing - most) } else { Ok(full_at + interval) }
    }

    /// The time that one call takes to come back, rounded up so that never more than the rate passes.
    fn interval(self) -> Option<Duration> {
        let nanoseconds = 60_000_000_000_u64;
        (self.per_minute > 0).then(|| Duration::from_nanos(nanoseconds.div_ceil(u64::from(self.per_minute))))
    }
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

/// A limit was reached. `Display` may be shown to a model: it does not tell a private destination from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimited {
    /// Which one.
    pub bucket: Bucket,
    /// When the next try can succeed, from now on.
    pub retry_after: Duration,
}

impl RateLimited {
    /// The wait in whole seconds, rounded up: the value of `Retry-After`.
    pub fn retry_after_seconds(&self) -> u64 {
        let wait = self.retry_after;
        (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
    }
}

impl fmt::Display for RateLimited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.bucket {
            Bucket::Key => "with this key",
            Bucket::Destination | Bucket::PrivateDestination => "to this destination",
        };
        write!(f, "too many requests {what}; try again in {} s", self.retry_after_seconds())
    }
}

impl Error for RateLimited {}

/// Counts.
#[derive(Debug)]
pub struct RateLimiter {
    limits: RateLimits,
    keys: Buckets,
    destinations: Buckets,
    private_destinations: Buckets,
}

impl RateLimiter {
    /// A limiter that has counted nothing yet.
    pub fn new(limits: RateLimits) -> Self {
        Self::keeping(limits, BUCKETS)
    }

    /// At most `capacity` buckets of each kind.
    fn keeping(limits: RateLimits, capacity: usize) -> Self {
        let buckets = || Buckets { full_at: Mutex::default(), capacity };
        Self { limits, keys: buckets(), destinations: buckets(), private_destinations: buckets() }
    }

    /// Counts one call of `key` to `destination` (`host:port`); nothing is counted when it is refused. Where both limits
    /// are reached, the refusal names the one that takes longer.
    ///
    /// # Errors
    /// A limit was reached.
    pub fn admit(&self, key: &str, destination: &str, now: Instant) -> Result<(), RateLimited> {
        // Always in this order, and both until the end: what one admits, the other must not have refused.
        let by_key = Judged::new(&self.keys, self.limits.per_key, key, now);
        let by_destination = Judged::new(&self.destinations, self.limits.per_destination, destination, now);
        let wait = |judged: &Option<Judged<'_>>, bucket| {
            let retry_after = judged.as_ref()?.verdict.err()?;
            Some(RateLimited { bucket, retry_after })
        };
        let refused = [wait(&by_key, Bucket::Key), wait(&by_destination, Bucket::Destination)];
        if let Some(longest) = refused.into_iter().flatten().max_by_key(|refused| refused.retry_after) {
            return Err(longest);
        }
        by_key.into_iter().chain(by_destination).for_each(Judged::count);
        Ok(())
    }

    /// Counts one call to a destination whose address is not public.
    ///
    /// # Errors
    /// The limit was reached.
    pub fn admit_private(&self, destination: &str, now: Instant) -> Result<(), RateLimited> {
        let rate = self.limits.per_private_destination;
        let Some(judged) = Judged::new(&self.private_destinations, rate, destination, now) else { return Ok(()) };
        if let Err(retry_after) = judged.verdict {
            return Err(RateLimited { bucket: Bucket::PrivateDestination, retry_after });
        }
        judged.count();
        Ok(())
    }
}

/// The buckets of one kind: when each is full again.
#[derive(Debug)]
struct Buckets {
    full_at: Mutex<HashMap<Box<str>, Instant>>,
    capacity: usize,
}

/// A verdict, and the lock under which it holds.
struct Judged<'a> {
    full_at: MutexGuard<'a, HashMap<Box<str>, Instant>>,
    capacity: usize,
    name: &'a str,
    now: Instant,
    verdict: Result<Instant, Duration>,
}

impl<'a> Judged<'a> {
    /// `None` without a limit.
    fn new(buckets: &'a Buckets, rate: Option<Rate>, name: &'a str, now: Instant) -> Option<Self> {
        let rate = rate?;
        let full_at = buckets.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let verdict = rate.judge(full_at.get(name).copied(), now);
        Some(Self { full_at, capacity: buckets.capacity, name, now, verdict })
    }

    fn count(mut self) {
        let Ok(next) = self.verdict else { return };
        if let Some(full_at) = self.full_at.get_mut(self.name) {
            *full_at = next;
            return;
        }
        if self.full_at.len() >= self.capacity {
            make_room(&mut self.full_at, self.capacity, self.now);
        }
        self.full_at.insert(self.name.into(), next);
    }
}

/// Forgets the buckets that are full, and if that is less than a quarter, those that will be soonest: they have the
/// least to say. A quarter at once, so that a flood of names does not pay for this on each of them.
fn make_room(buckets: &mut HashMap<Box<str>, Instant>, capacity: usize, now: Instant) {
    buckets.retain(|_, full_at| *full_at > now);
    let kept = capacity - capacity.div_ceil(4);
    if buckets.len() > kept {
        let mut instants: Vec<Instant> = buckets.values().copied().collect();
        let surplus = instants.len() - kept;
        let (_, last, _) = instants.select_nth_unstable(surplus - 1);
        let last = *last;
        buckets.retain(|_, full_at| *full_at > last);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::{prop, proptest};

    use super::{Bucket, Rate, RateLimited, RateLimiter, RateLimits};

    const NO_LIMITS: RateLimits = RateLimits { per_key: None, per_destination: None, per_private_destination: None };

    fn rate(per_minute: u32, burst: u32) -> Option<Rate> {
        Some(Rate { per_minute, burst })
    }

    fn refused(bucket: Bucket, milliseconds: u64) -> Result<(), RateLimited> {
        Err(RateLimited { bucket, retry_after: Duration::from_millis(milliseconds) })
    }

    #[test]
    fn a_burst_passes_then_one_for_each_interval() {
        let limiter = RateLimiter::new(RateLimits { per_destination: rate(60, 3), ..NO_LIMITS });
        let start = Instant::now();
        let check = |milliseconds: u64, expect| {
            let now = start + Duration::from_millis(milliseconds);
            assert_eq!(limiter.admit("key", "a.example:443", now), expect, "after {milliseconds} ms");
        };
        (0..3).for_each(|_| check(0, Ok(())));
        check(0, refused(Bucket::Destination, 1000));
        check(999, refused(Bucket::Destination, 1));
        check(1000, Ok(()));
        check(1000, refused(Bucket::Destination, 1000));
        check(2500, Ok(()));
        check(2500, refused(Bucket::Destination, 500));
        (0..3).for_each(|_| check(100_000, Ok(())));
        check(100_000, refused(Bucket::Destination, 1000));
        // A caller whose clock was read before another's.
        check(99_000, refused(Bucket::Destination, 2000));
        assert_eq!(limiter.admit("key", "a.example:80", start), Ok(()), "another port is another destination");
    }

    #[test]
    fn a_refusal_counts_nothing_anywhere() {
        let limits = RateLimits { per_key: rate(60, 3), per_destination: rate(6, 1), ..NO_LIMITS };
        let limiter = RateLimiter::new(limits);
        let now = Instant::now();
        assert_eq!(limiter.admit("key", "a", now), Ok(()));
        for _ in 0..50 {
            assert_eq!(limiter.admit("key", "a", now), refused(Bucket::Destination, 10_000));
        }
        // Two of the key's three are left, and the next is refused for the key: "d" is not counted.
        assert_eq!(limiter.admit("key", "b", now), Ok(()));
        assert_eq!(limiter.admit("key", "c", now), Ok(()));
        assert_eq!(limiter.admit("key", "d", now), refused(Bucket::Key, 1000));
        assert_eq!(limiter.admit("other", "d", now), Ok(()));
        assert_eq!(limiter.admit("key", "a", now), refused(Bucket::Destination, 10_000), "the longer wait of the two");
    }

    #[test]
    fn private_destinations_are_counted_apart() {
        let limits = RateLimits { per_destination: rate(1, 1), per_private_destination: rate(60, 2), ..NO_LIMITS };
        let limiter = RateLimiter::new(limits);
        let now = Instant::now();
        assert_eq!(limiter.admit("key", "a", now), Ok(()));
        assert_eq!(limiter.admit_private("a", now), Ok(()));
        assert_eq!(limiter.admit_private("a", now), Ok(()));
        assert_eq!(limiter.admit_private("a", now), refused(Bucket::PrivateDestination, 1000));
        assert_eq!(limiter.admit_private("b", now), Ok(()));
    }

    #[test]
    fn without_limits_everything_passes_and_nothing_is_kept() {
        let limiter = RateLimiter::new(NO_LIMITS);
        let now = Instant::now();
        for _ in 0..1000 {
            assert_eq!(limiter.admit("key", "a", now), Ok(()));
            assert_eq!(limiter.admit_private("a", now), Ok(()));
        }
        assert_eq!(limiter.keys.full_at.lock().unwrap().len(), 0);
    }

    #[test]
    fn a_rate_of_none_admits_none() {
        let none = Rate { per_minute: 0, burst: 5 };
        assert_eq!(none.judge(None, Instant::now()), Err(Duration::from_secs(60)));
        let fastest = Rate { per_minute: u32::MAX, burst: u32::MAX };
        assert!(fastest.judge(None, Instant::now()).is_ok());
        let slowest = Rate { per_minute: 1, burst: u32::MAX };
        assert!(slowest.judge(None, Instant::now()).is_ok());
    }

    #[test]
    fn full_buckets_are_forgotten_first_and_then_the_fullest() {
        let limiter = RateLimiter::keeping(RateLimits { per_destination: rate(60, 2), ..NO_LIMITS }, 8);
        let start = Instant::now();
        let admit = |name: &str, second| limiter.admit("key", name, start + Duration::from_secs(second)).is_ok();
        let known = || limiter.destinations.full_at.lock().unwrap().len();
        assert!(admit("empty", 0) && admit("empty", 0) && !admit("empty", 0));
        for n in 0..7 {
            assert!(admit(&format!("half-empty-{n}"), 0));
        }
        assert_eq!(known(), 8);
        // All are in use: the half-empty ones go, the empty one is remembered.
        assert!(admit("new", 0));
        assert!(known() <= 7 && !admit("empty", 0));
        // After a second the empty one is half-empty, after two it is full and goes with the rest.
        for n in 0..100 {
            assert!(admit(&format!("later-{n}"), 2));
            assert!(known() <= 8);
        }
        assert!(admit("empty", 2) && admit("empty", 2) && !admit("empty", 2));
    }

    #[test]
    fn a_flood_of_names_stays_within_bounds() {
        let limiter = RateLimiter::new(RateLimits { per_destination: rate(60, 1), ..NO_LIMITS });
        let now = Instant::now();
        for n in 0..200_000 {
            assert_eq!(limiter.admit("key", &n.to_string(), now), Ok(()));
        }
        let kept = limiter.destinations.full_at.lock().unwrap();
        assert!(kept.len() <= super::BUCKETS && kept.capacity() < 4 * super::BUCKETS, "{}", kept.capacity());
    }

    #[test]
    fn the_sentence_says_when_and_no_more() {
        let say = |bucket, milliseconds| refused(bucket, milliseconds).unwrap_err().to_string();
        assert_eq!(say(Bucket::Destination, 2001), "too many requests to this destination; try again in 3 s");
        assert_eq!(say(Bucket::PrivateDestination, 3000), "too many requests to this destination; try again in 3 s");
        assert_eq!(say(Bucket::Key, 0), "too many requests with this key; try again in 1 s");
    }

    /// A bucket as one would explain it: it holds tokens, gets them back evenly, and gives one for each call.
    struct Model {
        per_minute: u128,
        most: u128,
        tokens: u128,
        at: u128,
    }

    impl Model {
        /// What a token is made of: nanoseconds, each worth the rate.
        const TOKEN: u128 = 60_000_000_000;

        fn admit(&mut self, now: u128) -> Result<(), u128> {
            self.tokens = self.most.min(self.tokens + (now - self.at) * self.per_minute);
            self.at = now;
            if self.tokens < Self::TOKEN {
                return Err((Self::TOKEN - self.tokens).div_ceil(self.per_minute));
            }
            self.tokens -= Self::TOKEN;
            Ok(())
        }
    }

    proptest! {
        #[test]
        fn it_is_a_token_bucket(
            // Those whose interval is whole nanoseconds: the model does not round.
            per_minute in prop::sample::select(vec![1u32, 2, 30, 60, 120, 600, 1000, 60_000]),
            burst in 1u32..40,
            pauses in prop::collection::vec(prop::sample::select(vec![0u64, 1, 999, 50_000_000, 1_000_000_000, 7_000_000_001]), 1..200),
        ) {
            let rate = Rate { per_minute, burst };
            let most = Model::TOKEN * u128::from(burst);
            let mut model = Model { per_minute: per_minute.into(), most, tokens: most, at: 0 };
            let start = Instant::now();
            let (mut since, mut full_at) = (Duration::ZERO, None);
            for pause in pauses {
                since += Duration::from_nanos(pause);
                let now = start + since;
                let verdict = rate.judge(full_at, now);
                assert_eq!(verdict.map(|_| ()).map_err(|wait| wait.as_nanos()), model.admit(since.as_nanos()));
                match verdict {
                    Ok(next) => full_at = Some(next),
                    Err(wait) => {
                        assert!(rate.judge(full_at, now + wait).is_ok(), "the wait is enough");
                        assert!(rate.judge(full_at, now + wait - Duration::from_nanos(1)).is_err(), "and no longer");
                    }
                }
            }
        }
    }
}
