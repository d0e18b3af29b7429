//! One running command: its standard input, output and error, and how it ended.
//!
//! russh applies backpressure to a whole connection, so a channel nobody reads would stop every other channel of that
//! machine. A task of its own therefore drains each channel into a queue (see [`super::spill`]). A reader that falls
//! behind by more than the queue holds loses its channel (with an error that says so), and nobody else notices.

use super::spill::{self, Bounds, queue};
use super::stream::Gauge;
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

/// A running command. Dropping [`Pipe::stdout`] closes the channel; dropping [`Pipe::stdin`] sends end of file.
///
/// Closing a channel kills nothing on the far side: a process ends when it reads end of file or writes to a closed
/// pipe, or when a second channel signals it.
#[derive(Debug)]
pub struct Pipe {
    /// Standard input.
    pub stdin: PipeWriter,
    /// Standard output.
    pub stdout: PipeReader,
    /// The end of standard error.
    pub stderr: StderrTail,
    /// How the command ended, once it has.
    pub exit: ExitWatch,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// With this exit status.
    Code(i32),
    /// By this signal (`TERM`, `KILL`…, without `SIG`).
    Signal(String),
    /// Nobody knows: the connection went away, or the server never said.
    Lost(String),
}

impl Exit {
    /// Whether it is exit status 0.
    pub fn is_success(&self) -> bool {
        *self == Self::Code(0)
    }
}

/// Tells how a command ended, to any number of waiters.
#[derive(Debug, Clone)]
pub struct ExitWatch(watch::Receiver<Option<Exit>>);

impl ExitWatch {
    /// Waits until the command has ended.
    pub async fn wait(&self) -> Exit {
        let mut receiver = self.0.clone();
        match receiver.wait_for(Option::is_some).await {
            Ok(exit) => exit.clone().unwrap_or_else(gone),
            Err(_) => gone(),
        }
    }

    /// How it ended, if it has.
    pub fn now(&self) -> Option<Exit> {
        self.0.borrow().clone()
    }
}

fn gone() -> Exit {
    Exit::Lost("the task that watched the command is gone".into())
}

/// The writing end of a command's standard input. Shutting it down or dropping it sends end of file.
pub struct PipeWriter {
    inner: Option<Box<dyn AsyncWrite + Send + Sync + Unpin>>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Cancels the token that makes the channel's task send end of file.
    eof: Option<DropGuard>,
    gauge: Option<Arc<Gauge>>,
}

impl std::fmt::Debug for PipeWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PipeWriter").field("open", &self.inner.is_some()).finish_non_exhaustive()
    }
}

fn broken_pipe() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the command has ended or its channel is closed")
}

impl AsyncWrite for PipeWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        // A channel that closes while its window is full would otherwise never wake its writer.
        if self.ended.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(broken_pipe()));
        }
        let this = &mut *self;
        let Some(inner) = this.inner.as_mut() else { return Poll::Ready(Err(broken_pipe())) };
        match Pin::new(inner).poll_write(cx, buf) {
            Poll::Ready(Ok(n)) => {
                if let Some(gauge) = &this.gauge {
                    gauge.sent.fetch_add(n as u64, Ordering::Relaxed);
                }
                Poll::Ready(Ok(n))
            }
            other => other,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.ended.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(broken_pipe()));
        }
        match self.inner.as_mut() {
            Some(inner) => Pin::new(inner).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(inner) = self.inner.as_mut()
            && Pin::new(inner).poll_flush(cx).is_pending()
            && self.ended.as_mut().poll(cx).is_pending()
        {
            return Poll::Pending;
        }
        self.inner = None;
        self.eof = None;
        Poll::Ready(Ok(()))
    }
}

/// The reading end of a command's standard output: as chunks ([`PipeReader::next`]) or as an [`AsyncRead`].
#[derive(Debug)]
pub struct PipeReader {
    receiver: spill::Receiver,
    current: Bytes,
    _close: DropGuard,
}

impl PipeReader {
    /// The next bytes, or `None` at the end of the output.
    ///
    /// # Errors
    /// `ConnectionReset` when the connection went away in the middle; `OutOfMemory` when this reader fell so far
    /// behind that its channel was closed.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        std::future::poll_fn(|cx| self.poll_chunk(cx)).await
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if !self.current.is_empty() {
            return Poll::Ready(Ok(Some(std::mem::take(&mut self.current))));
        }
        self.receiver.poll_next(cx)
    }
}

impl AsyncRead for PipeReader {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.poll_chunk(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(None)) => Poll::Ready(Ok(())),
            Poll::Ready(Ok(Some(mut bytes))) => {
                let n = bytes.len().min(buf.remaining());
                buf.put_slice(bytes.get(..n).unwrap_or_default());
                bytes.advance(n);
                self.current = bytes;
                Poll::Ready(Ok(()))
            }
        }
    }
}

/// How much of standard error is kept.
const STDERR_KEPT: usize = 64 * 1024;

/// The last 64 KiB of a command's standard error. Clones see the same bytes.
#[derive(Debug, Clone)]
pub struct StderrTail {
    ring: Arc<Mutex<VecDeque<u8>>>,
    total: watch::Receiver<u64>,
}

impl StderrTail {
    /// What is kept, as text (bytes that are no UTF-8 are replaced).
    pub fn text(&self) -> String {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(ring.make_contiguous()).into_owned()
    }

    /// How many bytes came in all.
    pub fn total(&self) -> u64 {
        *self.total.borrow()
    }

    /// Waits until more than `seen` bytes came in all (true), or until no more will (false).
    pub async fn grown(&self, seen: u64) -> bool {
        self.total.clone().wait_for(|total| *total > seen).await.is_ok()
    }
}

/// The end of a pipe that a transport's task holds.
pub(crate) struct Feed {
    stdout: Option<spill::Sender>,
    stderr: Arc<Mutex<VecDeque<u8>>>,
    stderr_total: watch::Sender<u64>,
    exit: watch::Sender<Option<Exit>>,
    /// Cancelled when the reader is dropped or fell too far behind: close the channel.
    pub close: CancellationToken,
    /// Cancelled when the writer is dropped or shut down: send end of file.
    pub eof: CancellationToken,
    /// To be cancelled when the channel is closed, which fails the writer.
    ended: DropGuard,
}

/// Makes a pipe and the end that feeds it; the bounds are those of output not yet read.
pub(crate) fn pipe(
    stdin: Box<dyn AsyncWrite + Send + Sync + Unpin>,
    bounds: Bounds,
    gauge: Option<Arc<Gauge>>,
) -> (Pipe, Feed) {
    let (sender, receiver) = queue(bounds);
    let (exit_sender, exit) = watch::channel(None);
    let (stderr_total, total) = watch::channel(0);
    let (close, eof, ended) = (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
    let ring = Arc::new(Mutex::new(VecDeque::new()));
    let pipe = Pipe {
        stdin: PipeWriter {
            inner: Some(stdin),
            ended: Box::pin(ended.clone().cancelled_owned()),
            eof: Some(eof.clone().drop_guard()),
            gauge,
        },
        stdout: PipeReader { receiver, current: Bytes::new(), _close: close.clone().drop_guard() },
        stderr: StderrTail { ring: Arc::clone(&ring), total },
        exit: ExitWatch(exit),
    };
    let feed = Feed {
        stdout: Some(sender),
        stderr: ring,
        stderr_total,
        exit: exit_sender,
        close,
        eof,
        ended: ended.drop_guard(),
    };
    (pipe, feed)
}

impl Feed {
    /// Hands on output without ever waiting; past the bounds, fails the reader and asks for the channel to be closed.
    pub(crate) fn stdout(&mut self, bytes: Bytes) {
        let Some(sender) = &self.stdout else { return };
        if !sender.is_wanted() {
            self.stdout = None;
        } else if let Err(error) = sender.send(bytes) {
            self.stdout_error(error);
            self.close.cancel();
        }
    }

    /// Waits until there is room (for a source that has backpressure of its own).
    pub(crate) async fn room(&self) {
        if let Some(sender) = &self.stdout {
            sender.room().await;
        }
    }

    /// Fails the reader, and ends the output.
    pub(crate) fn stdout_error(&mut self, error: io::Error) {
        if let Some(sender) = self.stdout.take() {
            sender.fail(error);
        }
    }

    /// Ends the output.
    pub(crate) fn stdout_end(&mut self) {
        self.stdout = None;
    }

    /// Whether anyone may still read the output.
    pub(crate) fn wants_stdout(&self) -> bool {
        self.stdout.as_ref().is_some_and(spill::Sender::is_wanted)
    }

    /// Keeps standard error.
    pub(crate) fn stderr(&self, bytes: &[u8]) {
        let mut ring = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        ring.extend(bytes);
        let excess = ring.len().saturating_sub(STDERR_KEPT);
        ring.drain(..excess);
        drop(ring);
        self.stderr_total.send_modify(|total| *total += bytes.len() as u64);
    }

    /// Tells how the command ended (the first telling counts).
    pub(crate) fn exit(&self, exit: Exit) {
        self.exit.send_if_modified(|slot| {
            let first = slot.is_none();
            if first {
                *slot = Some(exit);
            }
            first
        });
    }

    /// The channel is gone: ends everything. `lost` says why, where the command's end was not told.
    pub(crate) fn finish(mut self, lost: Option<String>) {
        if let Some(reason) = &lost {
            self.stdout_error(io::Error::new(io::ErrorKind::ConnectionReset, reason.clone()));
        }
        self.stdout_end();
        self.exit(Exit::Lost(lost.unwrap_or_else(|| "the server closed the channel without an exit status".into())));
        drop(self.ended);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use tokio::io::AsyncWriteExt;

    const SMALL: Bounds = Bounds { memory: 10, disk: 0 };

    #[tokio::test]
    async fn a_reader_that_falls_behind_loses_its_channel_with_an_error() {
        let (mut pipe, mut feed) = pipe(Box::new(tokio::io::sink()), SMALL, None);
        feed.stdout(Bytes::from_static(b"12345678"));
        assert!(!feed.close.is_cancelled());
        feed.stdout(Bytes::from_static(b"9abc"));
        assert!(feed.close.is_cancelled());
        assert_eq!(pipe.stdout.next().await.unwrap().unwrap(), "12345678");
        assert_eq!(pipe.stdout.next().await.unwrap_err().kind(), io::ErrorKind::OutOfMemory);
        assert!(pipe.stdout.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn reading_makes_room() {
        let (mut pipe, mut feed) = pipe(Box::new(tokio::io::sink()), SMALL, None);
        for _ in 0..100 {
            feed.stdout(Bytes::from_static(b"12345678"));
            assert_eq!(pipe.stdout.next().await.unwrap().unwrap().len(), 8);
        }
        assert!(!feed.close.is_cancelled());
    }

    #[tokio::test]
    async fn dropping_the_ends_asks_for_eof_and_close() {
        let (pipe, feed) = pipe(Box::new(tokio::io::sink()), SMALL, None);
        drop(pipe.stdin);
        assert!(feed.eof.is_cancelled() && !feed.close.is_cancelled());
        drop(pipe.stdout);
        assert!(feed.close.is_cancelled());
    }

    #[tokio::test]
    async fn a_lost_connection_fails_reader_and_writer_and_tells_why() {
        let (near, _far) = tokio::io::duplex(1);
        let (mut pipe, feed) = pipe(Box::new(near), SMALL, None);
        pipe.stdin.write_all(b"x").await.unwrap();
        feed.finish(Some("cable".into()));
        assert_eq!(pipe.stdin.write_all(b"y").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(pipe.stdout.next().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(pipe.exit.wait().await, Exit::Lost("cable".into()));
    }

    #[tokio::test]
    async fn standard_error_keeps_its_end() {
        let (pipe, feed) = pipe(Box::new(tokio::io::sink()), SMALL, None);
        feed.stderr(&vec![b'a'; STDERR_KEPT]);
        feed.stderr(b"the end");
        assert_eq!(pipe.stderr.total(), (STDERR_KEPT + 7) as u64);
        let text = pipe.stderr.text();
        assert_eq!(text.len(), STDERR_KEPT);
        assert!(text.ends_with("athe end"));
        assert!(pipe.stderr.grown(5).await);
    }
}
