//! A connection as bytes: what it is made of, what has come and gone over it, and the audit record that it owes.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::audit::{AccessEnd, AccessId, AuditEvent, AuditSink};

/// A connection below TLS.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    /// So that timeouts can be tested under a clock that stands still.
    #[cfg(test)]
    Memory(tokio::io::DuplexStream),
}

/// A connection, with a count of the bytes that came and went over it.
pub(crate) struct Stream {
    transport: Transport,
    meter: Arc<Meter>,
    /// Told when the connection ends, if its beginning was.
    access: Option<OpenAccess>,
}

enum Transport {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

/// What has come and gone over a connection.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    received: AtomicU64,
    sent: AtomicU64,
    /// How much may come until the head is complete; 0 when none is waited for.
    head_until: AtomicU64,
    /// The status of the last answer; 0 when there was none.
    status: AtomicU16,
}

impl Meter {
    /// How many bytes have come so far.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// From now on a head is waited for, of so many bytes at most: interim answers (1xx) without end would otherwise be
    /// read for ever.
    pub(crate) fn expect_head(&self, limit: u64) {
        self.head_until.store(self.received() + limit, Ordering::Relaxed);
    }

    /// The head is complete.
    pub(crate) fn head_came(&self, status: http::StatusCode) {
        self.head_until.store(0, Ordering::Relaxed);
        self.status.store(status.as_u16(), Ordering::Relaxed);
    }

    /// Whether more came than a head may have.
    pub(crate) fn is_head_too_long(&self) -> bool {
        let until = self.head_until.load(Ordering::Relaxed);
        until > 0 && self.received() > until
    }
}

/// An access that was told as opened; dropping it tells its end.
#[derive(Debug)]
pub(crate) struct OpenAccess {
    pub(crate) id: AccessId,
    pub(crate) begun: Instant,
    pub(crate) audit: Arc<dyn AuditSink>,
    pub(crate) meter: Arc<Meter>,
}

impl Drop for OpenAccess {
    fn drop(&mut self) {
        let status = self.meter.status.load(Ordering::Relaxed);
        self.audit.record(AuditEvent::Ended(AccessEnd {
            id: self.id,
            received: self.meter.received(),
            sent: self.meter.sent.load(Ordering::Relaxed),
            duration: self.begun.elapsed(),
            status: (status > 0).then_some(status),
        }));
    }
}

impl Stream {
    pub(crate) fn plain(socket: Socket, meter: Arc<Meter>, access: Option<OpenAccess>) -> Self {
        Self { transport: Transport::Plain(socket), meter, access }
    }

    pub(crate) fn tls(tls: TlsStream<Socket>, meter: Arc<Meter>, access: Option<OpenAccess>) -> Self {
        Self { transport: Transport::Tls(Box::new(tls)), meter, access }
    }

    /// What the connection owes the audit, for whoever knows the status of its last answer: a stream may end before.
    pub(crate) fn take_access(&mut self) -> Option<OpenAccess> {
        self.access.take()
    }

    /// The meter, which outlives the stream.
    pub(crate) fn meter(&self) -> Arc<Meter> {
        Arc::clone(&self.meter)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("meter", &self.meter).finish_non_exhaustive()
    }
}

/// Calls the same method of whatever the bytes go through.
macro_rules! each {
    ($enum:expr, $of:ident { $($variant:ident),* } $(test $testing:ident)?, $inner:ident => $call:expr) => {
        match $enum {
            $($of::$variant($inner) => $call,)*
            $(#[cfg(test)] $of::$testing($inner) => $call,)?
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.meter.is_head_too_long() {
            let reason = "too many bytes came before the head of the answer was complete";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, reason)));
        }
        let before = buf.filled().len();
        let result = each!(&mut self.transport, Transport { Plain, Tls }, inner => Pin::new(inner).poll_read(cx, buf));
        let count = buf.filled().len() - before;
        if count > 0 {
            self.meter.received.fetch_add(count as u64, Ordering::Relaxed);
        }
        result
    }
}

impl Stream {
    fn count_sent(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = written {
            self.meter.sent.fetch_add(count as u64, Ordering::Relaxed);
        }
        written
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written =
            each!(&mut self.transport, Transport { Plain, Tls }, inner => Pin::new(inner).poll_write(cx, buf));
        self.count_sent(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(&mut self.transport, Transport { Plain, Tls }, inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(&mut self.transport, Transport { Plain, Tls }, inner => Pin::new(inner).poll_shutdown(cx))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = each!(
            &mut self.transport,
            Transport { Plain, Tls },
            inner => Pin::new(inner).poll_write_vectored(cx, bufs)
        );
        self.count_sent(written)
    }

    fn is_write_vectored(&self) -> bool {
        each!(&self.transport, Transport { Plain, Tls }, inner => inner.is_write_vectored())
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(&mut *self, Self { Tcp } test Memory, inner => Pin::new(inner).poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(&mut *self, Self { Tcp } test Memory, inner => Pin::new(inner).poll_write(cx, buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(&mut *self, Self { Tcp } test Memory, inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(&mut *self, Self { Tcp } test Memory, inner => Pin::new(inner).poll_shutdown(cx))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(&mut *self, Self { Tcp } test Memory, inner => Pin::new(inner).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        each!(self, Self { Tcp } test Memory, inner => inner.is_write_vectored())
    }
}
