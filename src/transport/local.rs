//! Programs on this machine, behind the same [`Pipe`] as remote ones.

use super::error::{Problem, Step, TransportError};
use super::pipe::{Exit, Feed, Pipe, pipe};
use super::spill::Bounds;
use super::stream::Gauge;
use bytes::{Bytes, BytesMut};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// This machine as a host (`ansible_connection: local`).
#[derive(Debug)]
pub struct LocalLink {
    host: String,
    directory: Option<PathBuf>,
    unread: Bounds,
    pub(crate) gauge: Arc<Gauge>,
    pub(crate) channels: AtomicU64,
}

impl LocalLink {
    pub(crate) fn new(host: String, directory: Option<PathBuf>, unread: Bounds) -> Self {
        Self { host, directory, unread, gauge: Arc::default(), channels: AtomicU64::new(0) }
    }

    /// Starts `sh -c COMMAND` in a process group of its own, so that an interrupt at the terminal is ours to handle.
    pub(crate) fn open(&self, command: &str) -> Result<Pipe, TransportError> {
        let mut program = Command::new("/bin/sh");
        program.arg("-c").arg(command).process_group(0);
        if let Some(directory) = &self.directory {
            program.current_dir(directory);
        }
        self.channels.fetch_add(1, Ordering::Relaxed);
        spawn(program, self.unread, Some(Arc::clone(&self.gauge))).map_err(|error| {
            TransportError::new(
                &self.host,
                Step::Spawn,
                Problem::Spawn { program: "/bin/sh".into(), reason: error.to_string() },
            )
        })
    }
}

/// Starts a program with all three streams piped.
pub(crate) fn spawn(mut program: Command, unread: Bounds, gauge: Option<Arc<Gauge>>) -> std::io::Result<Pipe> {
    program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn()?;
    let missing = || std::io::Error::other("a pipe of the new process is missing");
    let stdin = child.stdin.take().ok_or_else(missing)?;
    let stdout = child.stdout.take().ok_or_else(missing)?;
    let stderr = child.stderr.take().ok_or_else(missing)?;
    let (pipe, feed) = pipe(Box::new(stdin), unread, gauge.clone());
    tokio::spawn(run(child, stdout, stderr, feed, gauge));
    Ok(pipe)
}

/// Drains both outputs and waits for the process. A background child that keeps the pipes open does not delay the
/// exit status, only the end of the output.
async fn run(
    mut child: Child,
    stdout: impl AsyncRead + Unpin,
    stderr: impl AsyncRead + Unpin,
    mut feed: Feed,
    gauge: Option<Arc<Gauge>>,
) {
    let (mut stdout, mut stderr) = (Some(stdout), Some(stderr));
    let (mut out, mut err) = (BytesMut::with_capacity(64 * 1024), BytesMut::new());
    let mut ended = false;
    let close = feed.close.clone();
    while !ended || stdout.is_some() || stderr.is_some() {
        tokio::select! {
            status = child.wait(), if !ended => {
                ended = true;
                feed.exit(status.map_or_else(|e| Exit::Lost(e.to_string()), exit_of));
            }
            () = close.cancelled(), if stdout.is_some() => stdout = None,
            read = read_some(&mut stdout, &mut out, &feed), if stdout.is_some() => {
                if let Some(bytes) = read {
                    if let Some(gauge) = &gauge {
                        gauge.received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                    }
                    feed.stdout(bytes);
                } else {
                    feed.stdout_end();
                }
                if !feed.wants_stdout() {
                    stdout = None;
                }
            }
            read = read_chunk(&mut stderr, &mut err), if stderr.is_some() => match read {
                Some(bytes) => feed.stderr(&bytes),
                None => stderr = None,
            },
        }
    }
    feed.finish(None);
}

async fn read_some(source: &mut Option<impl AsyncRead + Unpin>, buffer: &mut BytesMut, feed: &Feed) -> Option<Bytes> {
    feed.room().await;
    read_chunk(source, buffer).await
}

async fn read_chunk(source: &mut Option<impl AsyncRead + Unpin>, buffer: &mut BytesMut) -> Option<Bytes> {
    buffer.reserve(16 * 1024);
    match source.as_mut()?.read_buf(buffer).await {
        Ok(n) if n > 0 => Some(buffer.split().freeze()),
        _ => None,
    }
}

pub(crate) fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal_name(signal)),
        (None, None) => Exit::Lost("the process ended in an unknown way".into()),
    }
}

/// The name of a signal number without `SIG`, as SSH names signals (Linux numbers).
pub(crate) fn signal_name(signal: i32) -> String {
    match signal {
        1 => "HUP",
        2 => "INT",
        3 => "QUIT",
        4 => "ILL",
        6 => "ABRT",
        8 => "FPE",
        9 => "KILL",
        10 => "USR1",
        11 => "SEGV",
        12 => "USR2",
        13 => "PIPE",
        14 => "ALRM",
        15 => "TERM",
        other => return other.to_string(),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use tokio::io::AsyncWriteExt;

    fn link() -> LocalLink {
        LocalLink::new("here".into(), None, Bounds { memory: 1 << 20, disk: 0 })
    }

    async fn all(mut pipe: Pipe) -> (String, String, Exit) {
        drop(pipe.stdin);
        let mut text = String::new();
        pipe.stdout.read_to_string(&mut text).await.unwrap();
        let exit = pipe.exit.wait().await;
        (text, pipe.stderr.text(), exit)
    }

    #[tokio::test]
    async fn streams_and_status_come_back() {
        let (out, err, exit) = all(link().open("echo out; echo err >&2; exit 3").unwrap()).await;
        assert_eq!((out.as_str(), err.as_str(), exit), ("out\n", "err\n", Exit::Code(3)));
    }

    #[tokio::test]
    async fn input_goes_in_and_its_end_is_seen() {
        let mut pipe = link().open("cat; echo done").unwrap();
        pipe.stdin.write_all(b"hello ").await.unwrap();
        pipe.stdin.shutdown().await.unwrap();
        let (out, _, exit) = all(pipe).await;
        assert_eq!((out.as_str(), exit), ("hello done\n", Exit::Code(0)));
    }

    #[tokio::test]
    async fn a_signal_is_named() {
        let (_, _, exit) = all(link().open("kill -KILL $$").unwrap()).await;
        assert_eq!(exit, Exit::Signal("KILL".into()));
    }

    #[tokio::test]
    async fn a_background_child_does_not_delay_the_status() {
        let pipe = link().open("sleep 5 & exit 4").unwrap();
        let exit = tokio::time::timeout(std::time::Duration::from_secs(3), pipe.exit.wait()).await.unwrap();
        assert_eq!(exit, Exit::Code(4));
    }

    #[tokio::test]
    async fn much_output_is_bounded_and_complete() {
        let mut pipe = link().open("head -c 8388608 /dev/zero").unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let mut total = 0;
        while let Some(bytes) = pipe.stdout.next().await.unwrap() {
            total += bytes.len();
        }
        assert_eq!(total, 8 << 20);
    }
}
