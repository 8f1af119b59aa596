//! Idle connections of one upstream.
//!
//! A connection has no task of its own: the request that uses it drives it, so dropping the request closes it at once.
//! Idle ones are driven by nobody; whether the server has closed one is found out when it is taken, and a sweeper drops
//! those that nobody takes in time.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Connection, SendRequest};
use hyper_util::rt::TokioIo;

use crate::stream::{Meter, OpenAccess, Stream};

type Driver = Connection<TokioIo<Stream>, Full<Bytes>>;

/// One HTTP/1.1 connection, driven by whoever holds it.
pub(crate) struct Live {
    pub(crate) sender: SendRequest<Full<Bytes>>,
    /// `None` once it has ended.
    driver: Option<Driver>,
    meter: Arc<Meter>,
    /// Tells the audit when it is dropped, if its beginning was told.
    _access: Option<OpenAccess>,
}

impl Live {
    pub(crate) async fn open(stream: Stream) -> hyper::Result<Self> {
        #[expect(clippy::disallowed_types, reason = "this is owl-egress")]
        Self::open_with(&hyper::client::conn::http1::Builder::new(), stream).await
    }

    /// A connection whose server may send heads of `head_bytes` with `head_fields` fields at most.
    pub(crate) async fn open_bounded(stream: Stream, head_bytes: usize, head_fields: usize) -> hyper::Result<Self> {
        #[expect(clippy::disallowed_types, reason = "this is owl-egress")]
        let mut builder = hyper::client::conn::http1::Builder::new();
        builder.max_buf_size(head_bytes).max_headers(head_fields);
        Self::open_with(&builder, stream).await
    }

    #[expect(clippy::disallowed_types, reason = "this is owl-egress")]
    async fn open_with(builder: &hyper::client::conn::http1::Builder, mut stream: Stream) -> hyper::Result<Self> {
        let (meter, access) = (stream.meter(), stream.take_access());
        let (sender, driver) = builder.handshake(TokioIo::new(stream)).await?;
        Ok(Self { sender, driver: Some(driver), meter, _access: access })
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

    /// Drives the connection until the next piece of a body that comes over it is there.
    pub(crate) fn poll_body(
        &mut self,
        incoming: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let mut unwoken = Context::from_waker(Waker::noop());
        if let Poll::Ready(frame) = Pin::new(&mut *incoming).poll_frame(&mut unwoken) {
            return Poll::Ready(frame);
        }
        let driven = self.poll_drive(cx);
        match (Pin::new(incoming).poll_frame(&mut unwoken), driven) {
            (Poll::Ready(frame), _) => Poll::Ready(frame),
            (Poll::Pending, Poll::Ready(Err(error))) => Poll::Ready(Some(Err(error))),
            (Poll::Pending, Poll::Ready(Ok(())) | Poll::Pending) => Poll::Pending,
        }
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

/// Drives `live` until the answer's head is there.
pub(crate) async fn first_byte(live: &mut Live, message: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
    // Outside tokio's cooperative budget, which would wake a task that is not to be woken.
    let mut answer = pin!(tokio::task::unconstrained(live.sender.send_request(message)));
    // Only driving the connection can complete the answer, and the answer is looked at after every drive: it needs no
    // waker, and this task is spared being woken by itself.
    poll_fn(|cx| {
        let mut unwoken = Context::from_waker(Waker::noop());
        let driven = live.poll_drive(cx);
        if let Poll::Ready(answer) = answer.as_mut().poll(&mut unwoken) {
            return Poll::Ready(answer);
        }
        match driven {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    })
    .await
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
