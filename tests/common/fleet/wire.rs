//! A socket whose bytes arrive a round trip late, and which can fall silent.

use std::collections::VecDeque;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A socket behind a distance. What it takes both ways is charged to what comes in: only round trips can be told apart.
pub struct Wire {
    inner: TcpStream,
    trip: Duration,
    frozen: Arc<AtomicBool>,
    /// When a silent one is closed.
    released: Pin<Box<WaitForCancellationFutureOwned>>,
    /// What has come in, and when it may be read; an empty piece is the end.
    late: VecDeque<(Instant, Vec<u8>)>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    pub fn new(inner: TcpStream, trip: Duration, frozen: Arc<AtomicBool>, released: CancellationToken) -> Self {
        Self { inner, trip, frozen, released: Box::pin(released.cancelled_owned()), late: VecDeque::new(), sleep: None }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.trip.is_zero() && !this.frozen.load(Ordering::Relaxed) {
            return Pin::new(&mut this.inner).poll_read(cx, buf);
        }
        let mut piece = [0; 16 << 10];
        while this.late.len() < 64 {
            let mut room = ReadBuf::new(&mut piece);
            match Pin::new(&mut this.inner).poll_read(cx, &mut room) {
                Poll::Pending => break,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => {
                    let over = room.filled().is_empty();
                    this.late.push_back((Instant::now() + this.trip, room.filled().to_vec()));
                    if over {
                        break;
                    }
                }
            }
        }
        if this.frozen.load(Ordering::Relaxed) {
            // Only that the other side has gone is still noticed.
            let gone = this.late.back().is_some_and(|(_, piece)| piece.is_empty())
                || this.released.as_mut().poll(cx).is_ready();
            this.late.clear();
            return if gone { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        let Some((due, piece)) = this.late.front_mut() else { return Poll::Pending };
        let sleep = this.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(*due)));
        if sleep.deadline() != *due {
            sleep.as_mut().reset(*due);
        }
        if sleep.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let n = piece.len().min(buf.remaining());
        buf.put_slice(&piece[..n]);
        piece.drain(..n);
        // An end stays the end.
        if piece.is_empty() && n > 0 {
            this.late.pop_front();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.frozen.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
