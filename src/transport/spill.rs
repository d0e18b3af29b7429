//! A queue of bytes whose sender never waits: what exceeds a limit of memory goes to an unnamed temporary file.
//!
//! A connection's messages must always be taken off it, also while whoever reads one channel is slower than the
//! network (it hashes, or writes to a slow disk). Memory stays bounded, and nothing fails that only takes longer.

use bytes::Bytes;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::{Notify, mpsc};

/// How much may wait to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Bytes in memory.
    pub memory: usize,
    /// Bytes in the temporary file.
    pub disk: usize,
}

#[derive(Debug)]
enum Item {
    Memory(Bytes),
    Spilled { offset: u64, length: usize },
    Failed(io::Error),
}

#[derive(Debug)]
struct Shared {
    bounds: Bounds,
    memory: AtomicUsize,
    disk: AtomicUsize,
    room: Notify,
    file: Mutex<Option<Spill>>,
}

#[derive(Debug)]
struct Spill {
    file: File,
    end: u64,
}

/// The end that puts bytes in.
#[derive(Debug)]
pub(crate) struct Sender {
    items: mpsc::UnboundedSender<Item>,
    shared: Arc<Shared>,
}

/// The end that takes bytes out.
#[derive(Debug)]
pub(crate) struct Receiver {
    items: mpsc::UnboundedReceiver<Item>,
    shared: Arc<Shared>,
}

/// Makes a queue.
pub(crate) fn queue(bounds: Bounds) -> (Sender, Receiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared {
        bounds,
        memory: AtomicUsize::new(0),
        disk: AtomicUsize::new(0),
        room: Notify::new(),
        file: Mutex::default(),
    });
    (Sender { items: sender, shared: Arc::clone(&shared) }, Receiver { items: receiver, shared })
}

impl Sender {
    /// Puts bytes in, without waiting for the other end.
    ///
    /// # Errors
    /// When even the temporary file has no more room, or cannot be written.
    pub(crate) fn send(&self, bytes: Bytes) -> io::Result<()> {
        let shared = &self.shared;
        let length = bytes.len();
        let item = if shared.memory.load(Ordering::Acquire) + length <= shared.bounds.memory {
            shared.memory.fetch_add(length, Ordering::AcqRel);
            Item::Memory(bytes)
        } else {
            Item::Spilled { offset: shared.spill(&bytes)?, length }
        };
        // Nobody there to read it any more is no error: the other end says so by closing the channel.
        let _ = self.items.send(item);
        Ok(())
    }

    /// Fails the other end, once it has read what came before.
    pub(crate) fn fail(&self, error: io::Error) {
        let _ = self.items.send(Item::Failed(error));
    }

    /// Whether the other end is still there.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.items.is_closed()
    }

    /// Waits until half of the memory is free (for a source that has backpressure of its own).
    pub(crate) async fn room(&self) {
        while self.shared.memory.load(Ordering::Acquire) > self.shared.bounds.memory / 2 {
            self.shared.room.notified().await;
        }
    }
}

impl Shared {
    /// Writes bytes to the file, and tells where.
    fn spill(&self, bytes: &[u8]) -> io::Result<u64> {
        let mut slot = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = self.disk.load(Ordering::Acquire);
        if waiting + bytes.len() > self.bounds.disk {
            let all = self.bounds.memory + self.bounds.disk;
            let message = format!("more than {all} bytes of output waited to be read; the channel was closed");
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, message));
        }
        let spill = match &mut *slot {
            Some(spill) => spill,
            None => slot.insert(Spill { file: tempfile::tempfile()?, end: 0 }),
        };
        if waiting == 0 {
            spill.file.set_len(0)?;
            spill.end = 0;
        }
        let offset = spill.end;
        spill.file.write_all_at(bytes, offset)?;
        spill.end += bytes.len() as u64;
        self.disk.fetch_add(bytes.len(), Ordering::AcqRel);
        Ok(offset)
    }

    fn read_back(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let slot = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let spill = slot.as_ref().ok_or_else(|| io::Error::other("the temporary file is gone"))?;
        let mut bytes = vec![0; length];
        spill.file.read_exact_at(&mut bytes, offset)?;
        self.disk.fetch_sub(length, Ordering::AcqRel);
        Ok(bytes.into())
    }
}

impl Receiver {
    /// The next bytes; `None`: there are no more.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        match self.items.poll_recv(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(Ok(None)),
            Poll::Ready(Some(Item::Failed(error))) => Poll::Ready(Err(error)),
            Poll::Ready(Some(Item::Spilled { offset, length })) => {
                Poll::Ready(self.shared.read_back(offset, length).map(Some))
            }
            Poll::Ready(Some(Item::Memory(bytes))) => {
                self.shared.memory.fetch_sub(bytes.len(), Ordering::AcqRel);
                self.shared.room.notify_one();
                Poll::Ready(Ok(Some(bytes)))
            }
        }
    }

    /// Waits for the next bytes.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Bytes>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[tokio::test]
    async fn what_does_not_fit_memory_comes_back_from_disk_in_order() {
        let (sender, mut receiver) = queue(Bounds { memory: 10, disk: 1000 });
        let mut want = Vec::new();
        for round in 0..3u8 {
            for number in 0..20u8 {
                let bytes = vec![round * 20 + number; 7];
                want.extend_from_slice(&bytes);
                sender.send(bytes.into()).unwrap();
            }
            // Part of it is read between rounds, so that memory and disk take turns.
            let mut got = Vec::new();
            for _ in 0..if round == 1 { 20 } else { 10 } {
                got.extend_from_slice(&receiver.next().await.unwrap().unwrap());
            }
            assert_eq!(want.drain(..got.len()).collect::<Vec<_>>(), got);
        }
        drop(sender);
        while let Some(bytes) = receiver.next().await.unwrap() {
            assert_eq!(want.drain(..bytes.len()).collect::<Vec<_>>(), bytes);
        }
        assert!(want.is_empty());
        assert_eq!(receiver.shared.memory.load(Ordering::Relaxed), 0);
        assert_eq!(receiver.shared.disk.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn the_file_is_used_again_once_it_is_read() {
        let (sender, mut receiver) = queue(Bounds { memory: 1, disk: 100 });
        for _ in 0..50 {
            sender.send(Bytes::from_static(b"12345678")).unwrap();
            receiver.next().await.unwrap().unwrap();
        }
        assert_eq!(receiver.shared.file.lock().unwrap().as_ref().unwrap().end, 8);
    }

    #[test]
    fn there_is_an_end_to_it() {
        let (sender, _receiver) = queue(Bounds { memory: 10, disk: 10 });
        sender.send(Bytes::from_static(b"12345678")).unwrap();
        sender.send(Bytes::from_static(b"12345678")).unwrap();
        assert_eq!(sender.send(Bytes::from_static(b"1234")).unwrap_err().kind(), io::ErrorKind::OutOfMemory);
    }
}
