//! One command of an embedded host: its process and its channel.

use super::MARKER;
use crate::transport::local::{exit_of, signal_name};
use crate::transport::pipe::Exit;
use crate::transport::spill::{self, Bounds, queue};
use bytes::BytesMut;
use russh::server::{Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What a client may send before its command reads it.
const STDIN: Bounds = Bounds { memory: 4 << 20, disk: 1 << 30 };

/// Starts `/bin/sh -c COMMAND` as a login would: in the home folder, with a small environment.
pub(super) fn start(home: &Path, user: &str, command: &str) -> io::Result<Child> {
    Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .env("USER", user)
        .env("LOGNAME", user)
        .env("SHELL", "/bin/sh")
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LANG", "C.UTF-8")
        .env(MARKER, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

/// Moves bytes both ways until the process has ended and its outputs are closed, or the client closes the channel.
pub(super) async fn run(
    mut child: Child,
    channel: Channel<Msg>,
    handle: Handle,
    mut signals: mpsc::UnboundedReceiver<Sig>,
) {
    let id = channel.id();
    let (read, write) = channel.split();
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let group = child.id();
    let closed = CancellationToken::new();
    let (to_stdin, input) = queue(STDIN);
    tokio::spawn(receive(read, to_stdin, closed.clone()));
    tokio::spawn(feed(stdin, input));
    let output = async {
        tokio::select! {
            () = closed.cancelled() => {}
            _ = async { tokio::join!(copy(stdout, &write, None), copy(stderr, &write, Some(1))) } => {}
        }
    };
    // The status goes out when the process ends, also while a background child keeps its output open.
    let status = async {
        let status = loop {
            tokio::select! {
                status = child.wait() => break status,
                Some(signal) = signals.recv() => kill(group, &signal).await,
            }
        };
        match status {
            Ok(status) => {
                let _ = match exit_of(status) {
                    Exit::Signal(_) => {
                        let name = signal_name(status.signal().unwrap_or_default());
                        handle
                            .exit_signal_request(id, sig(name), status.core_dumped(), String::new(), "en".into())
                            .await
                    }
                    _ => handle.exit_status_request(id, status.code().unwrap_or(255).cast_unsigned()).await,
                };
            }
            Err(error) => tracing::debug!(%error, "embedded host: process lost"),
        }
    };
    tokio::join!(output, status);
    let _ = write.eof().await;
    let _ = write.close().await;
}

fn sig(name: String) -> Sig {
    match name.as_str() {
        "ABRT" => Sig::ABRT,
        "ALRM" => Sig::ALRM,
        "FPE" => Sig::FPE,
        "HUP" => Sig::HUP,
        "ILL" => Sig::ILL,
        "INT" => Sig::INT,
        "KILL" => Sig::KILL,
        "PIPE" => Sig::PIPE,
        "QUIT" => Sig::QUIT,
        "SEGV" => Sig::SEGV,
        "TERM" => Sig::TERM,
        "USR1" => Sig::USR1,
        _ => Sig::Custom(name),
    }
}

/// Signals the command's process group.
async fn kill(group: Option<u32>, signal: &Sig) {
    let Some(group) = group else { return };
    let name = match signal {
        Sig::Custom(name) => name.clone(),
        other => format!("{other:?}"),
    };
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return;
    }
    let _ = Command::new("/bin/sh")
        .args(["-c", "kill -s \"$0\" -- \"-$1\"", &name, &group.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await;
}

/// Takes what the client sends, always: a channel that is not read would stop the whole connection.
async fn receive(mut read: ChannelReadHalf, to_stdin: spill::Sender, closed: CancellationToken) {
    let mut to_stdin = Some(to_stdin);
    while let Some(message) = read.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                if let Some(sender) = &to_stdin
                    && sender.send(data).is_err()
                {
                    break;
                }
            }
            ChannelMsg::Eof => to_stdin = None,
            ChannelMsg::Close => break,
            _ => {}
        }
    }
    closed.cancel();
}

async fn feed(stdin: Option<ChildStdin>, mut input: spill::Receiver) {
    let Some(mut stdin) = stdin else { return };
    while let Ok(Some(data)) = input.next().await {
        if stdin.write_all(&data).await.is_err() {
            return;
        }
    }
}

async fn copy(source: Option<impl AsyncRead + Unpin>, write: &ChannelWriteHalf<Msg>, extended: Option<u32>) {
    let Some(mut source) = source else { return };
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(32 * 1024);
        match source.read_buf(&mut buffer).await {
            Ok(n) if n > 0 => {}
            _ => return,
        }
        let data = buffer.split().freeze();
        let sent = match extended {
            None => write.data_bytes(data).await,
            Some(code) => write.extended_data_bytes(code, data).await,
        };
        if sent.is_err() {
            return;
        }
    }
}
