//! Idle connections of one upstream.
//!
//! A connection has no task of its own: the request that uses it drives it, so dropping the request closes it at once.
//! Idle ones are driven by nobody; whether the server has closed one is found out when it is taken, and a sweeper drops
//! those that nobody takes in time.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{Connection, SendRequest};
use hyper_util::rt::TokioIo;

use crate::connect::{Connected, Meter, Stream};

type Driver = Connection<TokioIo<Stream>, Full<Bytes>>;

/// One HTTP/1.1 connection, driven by whoever holds it.
pub(crate) struct Live {
    pub(crate) sender: SendRequest<Full<Bytes>>,
    /// `None` once it has ended.
    driver: Option<Driver>,
    meter: Arc<Meter>,
}

impl Live {
    pub(crate) async fn open(connected: Connected) -> hyper::Result<Self> {
        let meter = connected.stream.meter();
        #[expect(clippy::disallowed_types, reason = "this is owl-egress")]
        let (sender, driver) =
            hyper::client::conn::http1::Builder::new().handshake(TokioIo::new(connected.stream)).await?;
        Ok(Self { sender, driver: Some(driver), meter })
    }

    /// Moves the connection forward; `Ready` when it has ended.
    ///
    /// A connection that ends before it has taken up the request that waits for it says nothing to that request. Only
    /// dropping it does, so it is dropped as soon as it has ended.
    pub(crate) fn poll_drive(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        let Some(driver) = &mut self.driver else {
            return Poll::Ready(Ok(()));
        };
        let result = Pin::new(driver).poll(cx);
        if result.is_ready() {
            self.driver = None;
        }
        result
    }

    /// How many bytes have come over this connection so far.
    pub(crate) fn received(&self) -> u64 {
        self.meter.received()
    }

    /// The connection's meter.
    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Whether another request can be sent on it, as far as this side has heard.
    fn is_usable(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.poll_drive(&mut cx).is_pending() && self.sender.is_ready()
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("ended", &self.driver.is_none()).finish_non_exhaustive()
    }
}

struct Idle {
    live: Box<Live>,
    since: Instant,
}

/// The idle connections, the freshest last.
pub(crate) struct Pool {
    idle: Mutex<Vec<Idle>>,
    timeout: Duration,
    most: usize,
    sweeping: AtomicBool,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("timeout", &self.timeout).field("most", &self.most).finish_non_exhaustive()
    }
}

impl Pool {
    pub(crate) fn new(timeout: Duration, most: usize) -> Arc<Self> {
        Arc::new(Self { idle: Mutex::default(), timeout, most, sweeping: AtomicBool::new(false) })
    }

    /// The freshest connection that is not known to be closed.
    pub(crate) fn take(&self) -> Option<Box<Live>> {
        loop {
            let Idle { mut live, since } = self.lock().pop()?;
            if since.elapsed() < self.timeout && live.is_usable() {
                return Some(live);
            }
        }
    }

    /// Keeps `live` for the next request, if it can serve one.
    pub(crate) fn put(self: &Arc<Self>, mut live: Box<Live>) {
        if self.most == 0 || self.timeout.is_zero() || !live.is_usable() {
            return;
        }
        let mut idle = self.lock();
        // The oldest goes: it is the one that the server will close first.
        let surplus = (idle.len() + 1).saturating_sub(self.most);
        let dropped: Vec<Idle> = idle.drain(..surplus).collect();
        idle.push(Idle { live, since: Instant::now() });
        drop(idle);
        drop(dropped);
        if !self.sweeping.swap(true, Ordering::AcqRel) {
            tokio::spawn(sweep(Arc::downgrade(self), self.timeout));
        }
    }

    /// Drops what has been idle for too long and says when the next one will have been; `None` when none is left.
    fn drop_expired(&self) -> Option<Duration> {
        let mut idle = self.lock();
        let fresh = idle.partition_point(|one| one.since.elapsed() >= self.timeout);
        let expired: Vec<Idle> = idle.drain(..fresh).collect();
        let next = idle.first().map(|oldest| self.timeout.saturating_sub(oldest.since.elapsed()));
        if next.is_none() {
            self.sweeping.store(false, Ordering::Release);
        }
        drop(idle);
        drop(expired);
        next
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs while there are idle connections; it ends with the pool or when the last one is gone.
async fn sweep(pool: Weak<Pool>, first: Duration) {
    let mut wait = first;
    loop {
        tokio::time::sleep(wait).await;
        let Some(next) = pool.upgrade().and_then(|pool| pool.drop_expired()) else {
            return;
        };
        wait = next.max(Duration::from_millis(10));
    }
}
