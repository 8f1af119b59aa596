//! What tools keep in memory, within bounds, and what several callers wait for together.
//!
//! Who asks for what is being made already waits for that. It is made for all of them: when one goes, the others still get
//! it; when the last one goes, the work is dropped on the spot. What failed is told to those who waited, and not kept.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use lru::LruCache;
use tokio::time::Instant;

use super::ToolError;
use crate::config::CacheConfig;

/// What an entry takes besides what it says itself, in bytes.
const OVERHEAD: u64 = 512;

/// Something that may be kept.
pub(super) trait Keep: Send + Sync + 'static {
    /// How much memory it takes, in bytes.
    fn size(&self) -> usize;
    /// Since when it is true.
    fn since(&self) -> Instant;
    /// Whether it may be kept at all.
    fn may_be_kept(&self) -> bool;
}

/// What is kept, and what is being made.
pub(super) struct Cache<K, V> {
    bounds: CacheConfig,
    kept: Mutex<Kept<K, V>>,
    flights: Mutex<Flights<K, V>>,
}

struct Kept<K, V> {
    values: LruCache<K, Arc<V>>,
    size: u64,
}

struct Flights<K, V> {
    under_way: HashMap<K, (u64, WeakShared<Flight<V>>)>,
    next: u64,
}

/// Something being made for everybody who waits for it.
type Flight<V> = BoxFuture<'static, Result<Arc<V>, ToolError>>;

impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

impl<K: Hash + Eq + Clone + Send + 'static, V: Keep> Cache<K, V> {
    /// An empty one.
    pub(super) fn new(bounds: CacheConfig) -> Arc<Self> {
        let kept = Mutex::new(Kept { values: LruCache::unbounded(), size: 0 });
        let flights = Mutex::new(Flights { under_way: HashMap::new(), next: 0 });
        Arc::new(Self { bounds, kept, flights })
    }

    /// What is kept under `key`, or what is being made, or what `make` makes now.
    ///
    /// # Cancel safety
    /// Dropping the future drops what is being made, unless others wait for it.
    ///
    /// # Errors
    /// What `make` fails with.
    pub(super) async fn get<F>(self: &Arc<Self>, key: K, make: impl FnOnce() -> F) -> Result<Arc<V>, ToolError>
    where
        F: Future<Output = Result<V, ToolError>> + Send + 'static,
    {
        let flight = match self.kept(&key) {
            Some(value) => return Ok(value),
            None => self.join(key, make),
        };
        match flight {
            Ok(flight) => flight.await,
            Err(value) => Ok(value),
        }
    }

    /// The flight for `key`; or the value, when it was kept in this moment.
    fn join<F>(self: &Arc<Self>, key: K, make: impl FnOnce() -> F) -> Result<Shared<Flight<V>>, Arc<V>>
    where
        F: Future<Output = Result<V, ToolError>> + Send + 'static,
    {
        let mut flights = lock(&self.flights);
        if let Some(flight) = flights.under_way.get(&key).and_then(|(_, flight)| flight.upgrade()) {
            return Ok(flight);
        }
        // A flight keeps its value before it is taken off the list.
        if let Some(value) = self.kept(&key) {
            return Err(value);
        }
        let id = flights.next;
        flights.next += 1;
        let landing = Landing { cache: Arc::clone(self), key: key.clone(), id };
        let making = make();
        let flight: Flight<V> = Box::pin(async move {
            let value = Arc::new(making.await?);
            landing.cache.keep(&landing.key, &value);
            drop(landing);
            Ok(value)
        });
        let flight = flight.shared();
        if let Some(weak) = flight.downgrade() {
            flights.under_way.insert(key, (id, weak));
        }
        Ok(flight)
    }

    fn kept(&self, key: &K) -> Option<Arc<V>> {
        let mut kept = lock(&self.kept);
        let value = kept.values.get(key)?;
        if is_fresh(value.as_ref(), self.bounds.max_age) {
            return Some(Arc::clone(value));
        }
        let stale = kept.values.pop(key)?;
        kept.size -= size(stale.as_ref());
        None
    }

    fn keep(&self, key: &K, value: &Arc<V>) {
        let added = size(value.as_ref());
        let is_wanted = value.may_be_kept() && is_fresh(value.as_ref(), self.bounds.max_age);
        if !is_wanted || added > self.bounds.max_size {
            return;
        }
        let mut kept = lock(&self.kept);
        kept.size += added;
        if let Some(replaced) = kept.values.put(key.clone(), Arc::clone(value)) {
            kept.size -= size(replaced.as_ref());
        }
        while kept.size > self.bounds.max_size {
            let Some((_, oldest)) = kept.values.pop_lru() else { break };
            kept.size -= size(oldest.as_ref());
        }
    }
}

fn size<V: Keep>(value: &V) -> u64 {
    OVERHEAD.saturating_add(value.size() as u64)
}

fn is_fresh<V: Keep>(value: &V, max_age: Duration) -> bool {
    value.since().elapsed() < max_age
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a flight off the list when it has landed or was dropped.
struct Landing<K: Hash + Eq, V> {
    cache: Arc<Cache<K, V>>,
    key: K,
    id: u64,
}

impl<K: Hash + Eq, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        let mut flights = lock(&self.cache.flights);
        // Another may have begun since the last of those who waited for this one went.
        if flights.under_way.get(&self.key).is_some_and(|(id, _)| *id == self.id) {
            flights.under_way.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::sync::{oneshot, watch};

    use super::*;
    use crate::tools::ToolFault;

    struct Page {
        text: String,
        since: Instant,
        keep: bool,
    }

    impl Keep for Page {
        fn size(&self) -> usize {
            self.text.len()
        }
        fn since(&self) -> Instant {
            self.since
        }
        fn may_be_kept(&self) -> bool {
            self.keep
        }
    }

    fn cache(max_size: u64) -> Arc<Cache<&'static str, Page>> {
        Cache::new(CacheConfig { max_size, max_age: Duration::from_secs(60) })
    }

    fn page(text: &str, keep: bool) -> Page {
        Page { text: text.to_owned(), since: Instant::now(), keep }
    }

    /// What `get` gives when a page of this text would be made.
    async fn got(cache: &Arc<Cache<&'static str, Page>>, key: &'static str, text: &str, keep: bool) -> String {
        let made = page(text, keep);
        let got = cache.get(key, || async { Ok(made) }).await;
        got.map(|page| page.text.clone()).unwrap_or_default()
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_made_is_kept_for_its_time() {
        let cache = cache(10_000);
        assert_eq!(got(&cache, "a", "first", true).await, "first");
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(got(&cache, "a", "second", true).await, "first");
        assert_eq!(got(&cache, "b", "other", true).await, "other");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(got(&cache, "a", "second", true).await, "second");
        assert_eq!(got(&cache, "c", "once", false).await, "once");
        assert_eq!(got(&cache, "c", "twice", true).await, "twice");
    }

    #[tokio::test]
    async fn what_was_not_asked_for_longest_goes_first() {
        let text = "x".repeat(1000);
        let cache = cache(2 * (1000 + OVERHEAD));
        for key in ["a", "b", "a", "c"] {
            got(&cache, key, &text, true).await;
        }
        assert_eq!(got(&cache, "a", "new", true).await, text);
        assert_eq!(got(&cache, "b", "new", true).await, "new");
        assert!(lock(&cache.kept).size <= cache.bounds.max_size);
        let large = "x".repeat(5000);
        assert_eq!(got(&cache, "d", &large, true).await, large);
        assert_eq!(got(&cache, "d", "not kept", true).await, "not kept");
        let none = self::cache(0);
        assert_eq!(got(&none, "a", "", true).await, "");
        assert_eq!(lock(&none.kept).values.len(), 0);
    }

    #[tokio::test]
    async fn callers_wait_for_one_another_and_a_failure_is_not_kept() {
        let cache = cache(10_000);
        let made = Arc::new(AtomicUsize::new(0));
        let (go, gone) = watch::channel(false);
        let fail = |_| {
            let (made, mut gone) = (Arc::clone(&made), gone.clone());
            let make = move || async move {
                made.fetch_add(1, Ordering::Relaxed);
                gone.changed().await.unwrap();
                Err(ToolError::new(ToolFault::Destination, "code", "gone"))
            };
            Box::pin(cache.get("a", make))
        };
        let mut waiting: Vec<_> = (0..5).map(fail).collect();
        assert!(waiting.iter_mut().all(|one| one.now_or_never().is_none()));
        go.send(true).unwrap();
        let all = join_all(waiting).await;
        assert!(all.into_iter().all(|one| one.is_err_and(|error| error.message == "gone")));
        assert_eq!(made.load(Ordering::Relaxed), 1);
        assert_eq!(got(&cache, "a", "there", true).await, "there");
        assert!(lock(&cache.flights).under_way.is_empty());
    }

    /// Tells when it is dropped.
    struct Told(Option<oneshot::Sender<()>>);

    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.take().map(|sender| sender.send(()));
        }
    }

    #[tokio::test]
    async fn the_work_ends_with_the_last_who_waits() {
        let cache = cache(10_000);
        let (sender, mut dropped) = oneshot::channel();
        let told = Told(Some(sender));
        let mut first = Box::pin(cache.get("a", || async move {
            let _told = told;
            pending::<Result<Page, ToolError>>().await
        }));
        assert!((&mut first).now_or_never().is_none());
        let mut second = Box::pin(cache.get("a", || async { Ok(page("never made", true)) }));
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        assert!((&mut second).now_or_never().is_none());
        assert!(dropped.try_recv().is_err(), "the second still waits");
        drop(second);
        assert!(dropped.try_recv().is_ok());
        assert_eq!(got(&cache, "a", "new", true).await, "new");
    }

    #[tokio::test]
    async fn who_joined_gets_it_when_the_one_who_began_has_gone() {
        let cache = cache(10_000);
        let (sender, answer) = oneshot::channel::<&str>();
        let mut first = Box::pin(cache.get("a", || async move { Ok(page(answer.await.unwrap(), true)) }));
        assert!((&mut first).now_or_never().is_none());
        let second = tokio::spawn({
            let cache = Arc::clone(&cache);
            async move { got(&cache, "a", "never made", true).await }
        });
        tokio::task::yield_now().await;
        drop(first);
        sender.send("the answer").unwrap();
        assert_eq!(second.await.unwrap(), "the answer");
    }
}
