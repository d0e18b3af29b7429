//! The byte stream below an SSH connection: TCP, a channel through a jump host, or a proxy command.

use super::endpoint::{Endpoint, Proxy, join_port};
use super::error::{Problem, Step, TransportError};
use super::ssh::SshLink;
use super::stream::Carrier;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// What a proxy command says on its standard error, for messages.
pub(crate) type Said = Arc<Mutex<String>>;

/// Opens the stream. `jump` is the connection to the last jump host, where the endpoint has one.
pub(crate) async fn dial(
    endpoint: &Endpoint,
    jump: Option<&Arc<SshLink>>,
    said: &Said,
) -> Result<Box<dyn Carrier>, TransportError> {
    match (&endpoint.proxy, jump) {
        (Proxy::Command(command), _) => {
            proxy_command(command, said).map(|stream| Box::new(stream) as Box<dyn Carrier>).map_err(|error| {
                let problem = Problem::ProxyCommand { command: command.clone(), reason: error.to_string() };
                TransportError::new(&endpoint.name, Step::Proxy, problem)
            })
        }
        (_, Some(jump)) => match jump.forward(&endpoint.hostname, endpoint.port).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(reason) => {
                let problem = Problem::Jump { jump: jump.address().to_owned(), reason };
                Err(TransportError::new(&endpoint.name, Step::Proxy, problem))
            }
        },
        (_, None) => tcp(endpoint).await.map(|stream| Box::new(stream) as Box<dyn Carrier>),
    }
}

/// Too many open files, of this process and of the machine: the same numbers wherever there is an `errno`.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;

async fn tcp(endpoint: &Endpoint) -> Result<TcpStream, TransportError> {
    let address = endpoint.address();
    let fail = |step, problem| TransportError::new(&endpoint.name, step, problem);
    let found = tokio::net::lookup_host((endpoint.hostname.as_str(), endpoint.port)).await;
    let found: Vec<SocketAddr> = match found {
        Ok(found) => found.filter(|a| endpoint.ipv6.is_none_or(|six| six == a.is_ipv6())).collect(),
        Err(error) => {
            let reason = error.to_string();
            let reason = reason.strip_prefix("failed to lookup address information: ").unwrap_or(&reason).to_owned();
            return Err(fail(Step::Resolve, Problem::Resolve { address: endpoint.hostname.clone(), reason }));
        }
    };
    if found.is_empty() {
        let reason = "none of the wanted address family (AddressFamily)".to_owned();
        return Err(fail(Step::Resolve, Problem::Resolve { address: endpoint.hostname.clone(), reason }));
    }
    // Several addresses share the time, so that one that answers nothing does not hide one that would.
    let share = endpoint.timeout / u32::try_from(found.len()).unwrap_or(u32::MAX);
    let mut last = None;
    for (index, one) in found.iter().enumerate() {
        let limit = if index + 1 == found.len() { Duration::MAX } else { share };
        match tokio::time::timeout(limit, TcpStream::connect(one)).await {
            Ok(Ok(stream)) => {
                // Without this, each small request waits for the acknowledgement of the one before (40 ms).
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = Some(error),
            Err(_) => last = last.or_else(|| Some(io::ErrorKind::TimedOut.into())),
        }
    }
    let error = last.unwrap_or_else(|| io::ErrorKind::NotFound.into());
    Err(fail(
        Step::Connect,
        match error.kind() {
            _ if matches!(error.raw_os_error(), Some(EMFILE | ENFILE)) => Problem::Descriptors { address },
            io::ErrorKind::ConnectionRefused => Problem::Refused { address },
            _ => Problem::Unreachable { address, reason: error.to_string() },
        },
    ))
}

/// A proxy command's output and input. The process ends with the stream.
struct ProxyStream {
    output: ChildStdout,
    input: ChildStdin,
    _child: Child,
}

fn proxy_command(command: &str, said: &Said) -> io::Result<ProxyStream> {
    // As OpenSSH does: the shell gives way to the command. The configuration is the user's own, and the names put
    // into it were checked to hold nothing that a shell would take for its own.
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("exec {command}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let missing = || io::Error::other("a pipe of the proxy command is missing");
    let input = child.stdin.take().ok_or_else(missing)?;
    let output = child.stdout.take().ok_or_else(missing)?;
    let mut errors = child.stderr.take().ok_or_else(missing)?;
    let said = Arc::clone(said);
    tokio::spawn(async move {
        let mut buffer = [0; 1024];
        while let Ok(n @ 1..) = errors.read(&mut buffer).await {
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.len() < 4096 {
                said.push_str(&String::from_utf8_lossy(buffer.get(..n).unwrap_or_default()));
            }
        }
    });
    Ok(ProxyStream { output, input, _child: child })
}

impl AsyncRead for ProxyStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_read(cx, buf)
    }
}

impl AsyncWrite for ProxyStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.input).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(cx)
    }
}

/// A jump host as `ProxyJump` writes it: `[user@]host[:port]` or `ssh://[user@]host[:port]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JumpHost {
    pub user: Option<String>,
    pub host: String,
    pub port: Option<u16>,
}

impl JumpHost {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix("ssh://").unwrap_or(text).trim_end_matches('/');
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user.to_owned()), rest),
            None => (None, text),
        };
        let (host, port) = if let Some(inside) = rest.strip_prefix('[') {
            let (host, rest) = inside.split_once(']')?;
            (host, rest.strip_prefix(':').or(rest.is_empty().then_some(""))?)
        } else if rest.matches(':').count() == 1 {
            rest.split_once(':')?
        } else {
            (rest, "")
        };
        let port = if port.is_empty() { None } else { Some(port.parse().ok().filter(|port| *port != 0)?) };
        let user_ok = user.as_deref().is_none_or(super::options::is_safe_user);
        (user_ok && super::options::is_safe_host(host)).then(|| Self { user, host: host.to_owned(), port })
    }

    pub(crate) fn name(&self) -> String {
        self.port.map_or_else(|| self.host.clone(), |port| join_port(&self.host, port))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn jump_hosts_in_all_spellings() {
        for (text, user, host, port) in [
            ("bastion", None, "bastion", None),
            ("me@bastion:2222", Some("me"), "bastion", Some(2222)),
            ("ssh://me@bastion:22", Some("me"), "bastion", Some(22)),
            ("[2001:db8::1]:22", None, "2001:db8::1", Some(22)),
            ("2001:db8::1", None, "2001:db8::1", None),
            ("a@b@bastion", Some("a@b"), "bastion", None),
        ] {
            let want = JumpHost { user: user.map(str::to_owned), host: host.to_owned(), port };
            assert_eq!(JumpHost::parse(text), Some(want), "{text}");
        }
        for text in ["", "host:0", "host:http", "[::1", "-oX", "a b"] {
            assert_eq!(JumpHost::parse(text), None, "{text}");
        }
    }
}
