//! The wire below SSH: counts bytes, keeps the server's first words for error messages, and can be cut.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// What carries an SSH connection: a socket, a jump host's channel, a proxy command.
pub(crate) trait Carrier: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Carrier for T {}

/// How many of the server's first bytes are kept: an SSH version line has at most 255.
const HEAD: usize = 255;

/// Shared counters of one wire.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    pub sent: AtomicU64,
    pub received: AtomicU64,
    head: Mutex<Vec<u8>>,
}

impl Gauge {
    /// The first bytes that the server sent.
    pub(crate) fn head(&self) -> Vec<u8> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count_received(&self, bytes: &[u8]) {
        let before = self.received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if before < HEAD as u64 {
            let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
            let room = HEAD.saturating_sub(head.len());
            head.extend(bytes.iter().take(room));
        }
    }
}

/// A counted stream that reports an error once its token is cancelled.
///
/// russh's session task keeps waiting for the peer during a key exchange, whatever becomes of its handle; cutting the
/// wire under it is what ends it.
pub(crate) struct Wire {
    inner: Box<dyn Carrier>,
    gauge: Arc<Gauge>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Wire {
    pub(crate) fn new(inner: Box<dyn Carrier>, gauge: Arc<Gauge>, cut: CancellationToken) -> Self {
        Self { inner, gauge, cut: Box::pin(cut.cancelled_owned()) }
    }

    fn is_cut(&mut self, cx: &mut Context<'_>) -> bool {
        self.cut.as_mut().poll(cx).is_ready()
    }
}

fn cut_error() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was closed here")
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_cut(cx) {
            return Poll::Ready(Err(cut_error()));
        }
        let before = buf.filled().len();
        let this = &mut *self;
        match Pin::new(&mut this.inner).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                this.gauge.count_received(buf.filled().get(before..).unwrap_or_default());
                Poll::Ready(Ok(()))
            }
            other => other,
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_cut(cx) {
            return Poll::Ready(Err(cut_error()));
        }
        match Pin::new(&mut self.inner).poll_write(cx, buf) {
            Poll::Ready(Ok(n)) => {
                self.gauge.sent.fetch_add(n as u64, Ordering::Relaxed);
                Poll::Ready(Ok(n))
            }
            other => other,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_cut(cx) {
            return Poll::Ready(Err(cut_error()));
        }
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
