//! One SSH connection: handshake with all its checks, then any number of channels.

use super::algorithms;
use super::auth;
use super::context::ConnectContext;
use super::dial::{JumpHost, Said, dial};
use super::endpoint::{Endpoint, Proxy};
use super::error::{Problem, Step, TransportError};
use super::known_hosts::{self, KnownHosts, Names, Trust};
use super::pause::Pause;
use super::pipe::{Exit, Feed, Pipe, pipe};
use super::spill::Bounds;
use super::stream::{Carrier, Gauge, Wire};
use super::target::Target;
use russh::client::{self, DisconnectReason, Msg};
use russh::keys::PublicKeyOrCertificate;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) type HostHandle = client::Handle<Client>;

/// Longer chains of jump hosts are taken for a loop.
const MAX_JUMPS: usize = 8;

/// An authenticated SSH connection.
pub struct SshLink {
    host: String,
    address: String,
    user: String,
    handle: HostHandle,
    shared: Arc<Shared>,
    pub(crate) gauge: Arc<Gauge>,
    pub(crate) channels: AtomicU64,
    timeout: Duration,
    unread: Bounds,
    /// Ends the connection when the link is dropped.
    _cut: DropGuard,
    /// Keeps the jump host's connection as long as this one.
    _jump: Option<Arc<SshLink>>,
}

impl std::fmt::Debug for SshLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SshLink").field("host", &self.host).field("address", &self.address).finish_non_exhaustive()
    }
}

/// What the connection's own task tells.
#[derive(Debug)]
struct Shared {
    step: Mutex<Step>,
    lost: Mutex<Option<String>>,
    no_password: AtomicBool,
}

impl Shared {
    fn at(&self, step: Step) {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner) = step;
    }

    fn step(&self, gauge: &Gauge) -> Step {
        match *self.step.lock().unwrap_or_else(PoisonError::into_inner) {
            Step::Version if version_line(&gauge.head()).is_some() => Step::KeyExchange,
            step => step,
        }
    }

    fn why_lost(&self) -> String {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.clone().unwrap_or_else(|| "it was closed".into())
    }
}

/// The server's version line, once it is complete.
fn version_line(head: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(head);
    let complete = text.rfind('\n').and_then(|end| text.get(..end))?;
    complete.lines().find(|line| line.starts_with("SSH-")).map(|line| line.trim_end().to_owned())
}

/// russh's callbacks: judges the server's key, and remembers why the connection ended.
pub(crate) struct Client {
    shared: Arc<Shared>,
    endpoint: Arc<Endpoint>,
    known: Arc<KnownHosts>,
}

/// Why the handshake failed.
#[derive(Debug)]
pub(crate) enum ClientError {
    Ssh(russh::Error),
    HostKey(Box<Problem>),
}

impl From<russh::Error> for ClientError {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

impl client::Handler for Client {
    type Error = ClientError;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        self.shared.at(Step::HostKey);
        match known_hosts::check(&self.known, &self.endpoint, key) {
            Ok(trust) => {
                self.shared.no_password.store(trust == Trust::NoPassword, Ordering::Relaxed);
                self.shared.at(Step::KeyExchange);
                Ok(true)
            }
            Err(problem) => Err(ClientError::HostKey(Box::new(problem))),
        }
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Self::Error>) -> Result<(), Self::Error> {
        let text = match &reason {
            DisconnectReason::ReceivedDisconnect(info) => format!("the server ended it: {}", info.message.trim()),
            DisconnectReason::Error(ClientError::Ssh(error)) => describe(error),
            DisconnectReason::Error(ClientError::HostKey(problem)) => problem.to_string(),
        };
        *self.shared.lost.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
        match reason {
            DisconnectReason::ReceivedDisconnect(_) => Ok(()),
            DisconnectReason::Error(error) => Err(error),
        }
    }
}

fn describe(error: &russh::Error) -> String {
    match error {
        russh::Error::HUP | russh::Error::Disconnect => "the server closed the connection".into(),
        russh::Error::KeepaliveTimeout => "the server stopped answering".into(),
        other => other.to_string(),
    }
}

impl SshLink {
    /// Connects and logs in.
    pub(crate) async fn connect(target: &Target, context: &ConnectContext) -> Result<Self, TransportError> {
        let endpoint = Arc::new(Endpoint::of(target, context).await?);
        let jump = Box::pin(jump_link(&endpoint, context)).await?;
        let known = load_known_hosts(&endpoint, context).await;
        let config = Arc::new(algorithms::client_config(&endpoint, &known));
        let gate = context.gate(&match (&jump, &endpoint.proxy) {
            (Some(jump), _) => jump.address.clone(),
            (None, Proxy::Command(_)) => "a proxy command".into(),
            _ => endpoint.address(),
        });
        let mut attempt = 0;
        loop {
            let turn = Arc::clone(&gate).acquire_owned().await;
            let gauge = Arc::<Gauge>::default();
            let place = context.handshakes.acquire().await;
            let result = tokio::select! {
                result = try_connect(&endpoint, context, jump.as_ref(), &known, &config, &gauge) => result,
                never = give_way(place, &gauge) => match never {},
            };
            drop(turn);
            match result {
                Err(mut error) => {
                    attempt += 1;
                    let passing = error.is_transient();
                    let (retries, wait) = match &mut *error.problem {
                        Problem::Dropped { attempts, .. } => {
                            *attempts = attempt;
                            (endpoint.retries.max(context.limits.dropped_retries), context.limits.dropped_backoff)
                        }
                        _ if passing => (endpoint.retries, Duration::from_secs(1)),
                        _ => (0, Duration::ZERO),
                    };
                    if attempt > retries {
                        return Err(error);
                    }
                    tracing::debug!(host = endpoint.name, attempt, "connecting failed, to be tried again");
                    let wait = wait.saturating_mul(1 << (attempt - 1).min(5));
                    tokio::time::sleep(spread(wait, &endpoint.name)).await;
                }
                Ok((handle, shared, cut)) => {
                    return Ok(Self {
                        host: endpoint.name.clone(),
                        address: endpoint.address(),
                        user: endpoint.user.clone(),
                        handle,
                        shared,
                        gauge,
                        channels: AtomicU64::new(0),
                        timeout: endpoint.timeout,
                        unread: context.limits.unread(),
                        _cut: cut,
                        _jump: jump,
                    });
                }
            }
        }
    }

    /// Where it is connected to.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The name it is logged in by.
    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    /// Whether the connection still stands, as far as is known here.
    pub(crate) fn is_alive(&self) -> bool {
        !self.handle.is_closed()
    }

    /// Opens a channel to another host from the far side (for a jump).
    pub(crate) async fn forward(&self, host: &str, port: u16) -> Result<impl Carrier, String> {
        match self.handle.channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0).await {
            Ok(channel) => Ok(channel.into_stream()),
            Err(russh::Error::ChannelOpenFailure(failure)) => Err(format!("it refused to connect on: {failure:?}")),
            Err(error) => Err(if self.is_alive() { describe(&error) } else { self.shared.why_lost() }),
        }
    }

    /// Opens a channel that runs `command` by the user's login shell.
    pub(crate) async fn open(&self, command: &str) -> Result<Pipe, TransportError> {
        let fail = |problem| TransportError::new(&self.host, Step::Channel, problem);
        let lost = || fail(Problem::Lost { reason: self.shared.why_lost() });
        let opened = async {
            let channel = self.handle.channel_open_session().await?;
            // No need to wait for the reply: the output would come right behind it.
            channel.exec(true, command).await?;
            Ok(channel)
        };
        let channel = match tokio::time::timeout(self.timeout, opened).await {
            Err(_) => return Err(fail(Problem::Timeout { seconds: self.timeout.as_secs_f64() })),
            Ok(Err(russh::Error::ChannelOpenFailure(failure))) => {
                return Err(fail(Problem::ChannelRefused { reason: format!("{failure:?}") }));
            }
            Ok(Err(_)) => return Err(lost()),
            Ok(Ok(channel)) => channel,
        };
        self.channels.fetch_add(1, Ordering::Relaxed);
        let (read, write) = channel.split();
        let (pipe, feed) = pipe(Box::new(write.make_writer()), self.unread, None);
        let done = CancellationToken::new();
        tokio::spawn(control(write, feed.eof.clone(), feed.close.clone(), done.clone()));
        tokio::spawn(pump(read, feed, Arc::clone(&self.shared), done.drop_guard()));
        Ok(pipe)
    }

    /// Says goodbye and closes the connection.
    pub(crate) async fn close(self) {
        let goodbye = self.handle.disconnect(russh::Disconnect::ByApplication, "done", "en");
        let _ = tokio::time::timeout(Duration::from_secs(2), goodbye).await;
        // Wait until it is on the wire, briefly: the drop that follows cuts the wire.
        let _ = tokio::time::timeout(Duration::from_millis(500), async {
            while !self.handle.is_closed() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }
}

/// Sends end of file and close for a channel. A task apart: the one that reads must never wait for a send, since the
/// connection stops sending while a channel's messages are not read.
async fn control(
    write: ChannelWriteHalf<Msg>,
    eof: CancellationToken,
    close: CancellationToken,
    done: CancellationToken,
) {
    tokio::select! {
        () = done.cancelled() => return,
        () = close.cancelled() => {}
        () = eof.cancelled() => {
            let _ = write.eof().await;
            tokio::select! {
                () = done.cancelled() => return,
                () = close.cancelled() => {}
            }
        }
    }
    let _ = write.close().await;
}

/// Reads a channel to its end, never waiting for whoever reads the pipe.
async fn pump(mut read: ChannelReadHalf, mut feed: Feed, shared: Arc<Shared>, _done: DropGuard) {
    let mut told = false;
    while let Some(message) = read.wait().await {
        match message {
            ChannelMsg::Data { data } => feed.stdout(data),
            ChannelMsg::ExtendedData { data, .. } => feed.stderr(&data),
            // The status may come before or after the end of the output.
            ChannelMsg::Eof => feed.stdout_end(),
            ChannelMsg::ExitStatus { exit_status } => {
                told = true;
                feed.exit(Exit::Code(exit_status.cast_signed()));
            }
            ChannelMsg::ExitSignal { signal_name, .. } => {
                told = true;
                feed.exit(Exit::Signal(signal_text(&signal_name)));
            }
            ChannelMsg::Failure => {
                told = true;
                let refused = Problem::CommandRefused.to_string();
                feed.exit(Exit::Lost(refused.clone()));
                feed.stdout_error(io::Error::new(io::ErrorKind::PermissionDenied, refused));
                feed.close.cancel();
            }
            ChannelMsg::Close => told = true,
            _ => {}
        }
    }
    let lost = if told || feed.close.is_cancelled() { None } else { Some(shared.why_lost()) };
    feed.finish(lost);
}

fn signal_text(signal: &russh::Sig) -> String {
    match signal {
        russh::Sig::Custom(name) => name.clone(),
        other => format!("{other:?}"),
    }
}

/// The shared connection to the last jump host.
async fn jump_link(endpoint: &Endpoint, context: &ConnectContext) -> Result<Option<Arc<SshLink>>, TransportError> {
    let Some(target) = jump_target(endpoint)? else { return Ok(None) };
    refuse_loops(endpoint, context).await?;
    let jump = Endpoint::of(&target, context).await?;
    let connect = Box::pin(SshLink::connect(&target, context));
    let link = context.jumps.get(&jump.key(), SshLink::is_alive, connect).await;
    link.map(Some)
        .map_err(|error| TransportError { host: format!("{} (by way of {})", endpoint.name, error.host), ..error })
}

/// The last jump host of an endpoint, itself reached through those before it.
fn jump_target(endpoint: &Endpoint) -> Result<Option<Target>, TransportError> {
    let Proxy::Jump(jumps) = &endpoint.proxy else { return Ok(None) };
    let Some((last, before)) = jumps.split_last() else { return Ok(None) };
    let Some(jump) = JumpHost::parse(last) else {
        let reason = "a jump host is written [user@]host[:port]".to_owned();
        let problem = Problem::Jump { jump: last.clone(), reason };
        return Err(TransportError::new(&endpoint.name, Step::Proxy, problem));
    };
    let mut target = Target::ssh(jump.name(), &jump.host);
    target.port = jump.port;
    target.user = jump.user;
    target.overrides.config_file.clone_from(&endpoint.config_file);
    if !before.is_empty() {
        target.overrides.push("ProxyJump", before.join(","));
    }
    Ok(Some(target))
}

/// Follows the chain by its configuration alone: shared connections that wait for each other would wait forever.
async fn refuse_loops(endpoint: &Endpoint, context: &ConnectContext) -> Result<(), TransportError> {
    let mut at = endpoint.clone();
    for _ in 0..=MAX_JUMPS {
        let Some(target) = jump_target(&at)? else { return Ok(()) };
        at = Endpoint::of(&target, context).await?;
    }
    let reason = format!("the chain of jump hosts has more than {MAX_JUMPS}, or goes in a loop");
    Err(TransportError::new(&endpoint.name, Step::Proxy, Problem::Jump { jump: at.address(), reason }))
}

async fn load_known_hosts(endpoint: &Arc<Endpoint>, context: &ConnectContext) -> Arc<KnownHosts> {
    let (endpoint, files) = (Arc::clone(endpoint), Arc::clone(&context.known_files));
    let load = move || {
        let paths = endpoint.user_known_hosts.iter().chain(&endpoint.global_known_hosts);
        KnownHosts::about(&Names::of(&endpoint), &files, paths)
    };
    Arc::new(tokio::task::spawn_blocking(load).await.unwrap_or_default())
}

/// How long a server that says nothing takes up a place among the handshakes under way.
const PATIENCE: Duration = Duration::from_secs(1);

/// Keeps a place for a server that answers, and gives it up for one that does not: dead hosts delay nobody else.
async fn give_way<T>(place: T, gauge: &Gauge) -> std::convert::Infallible {
    tokio::time::sleep(PATIENCE).await;
    let _place = (gauge.received.load(Ordering::Relaxed) > 0).then_some(place);
    std::future::pending().await
}

type Connected = (HostHandle, Arc<Shared>, DropGuard);

/// One attempt, within the time limit.
async fn try_connect(
    endpoint: &Arc<Endpoint>,
    context: &ConnectContext,
    jump: Option<&Arc<SshLink>>,
    known: &Arc<KnownHosts>,
    config: &Arc<client::Config>,
    gauge: &Arc<Gauge>,
) -> Result<Connected, TransportError> {
    let first = if endpoint.proxy == Proxy::None { Step::Connect } else { Step::Proxy };
    let shared =
        Arc::new(Shared { step: Mutex::new(first), lost: Mutex::default(), no_password: AtomicBool::new(false) });
    let said = Said::default();
    let pause = Pause::default();
    let cut = CancellationToken::new();
    let guard = cut.clone().drop_guard();
    let handshake = async {
        let stream = dial(endpoint, jump, &said).await?;
        shared.at(Step::Version);
        let wire = Wire::new(stream, Arc::clone(gauge), cut.clone());
        let client = Client { shared: Arc::clone(&shared), endpoint: Arc::clone(endpoint), known: Arc::clone(known) };
        let mut handle = client::connect_stream(Arc::clone(config), wire, client)
            .await
            .map_err(|error| handshake_error(endpoint, error, &shared, gauge, &said))?;
        shared.at(Step::Authentication);
        let passwords = !shared.no_password.load(Ordering::Relaxed);
        match auth::log_in(&mut handle, endpoint, context, passwords, &pause).await {
            Ok(()) => Ok(handle),
            Err(mut error) => {
                if let Problem::Authentication { notes, .. } = &mut *error.problem
                    && let Some(lost) = shared.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
                {
                    notes.push(lost);
                }
                Err(error)
            }
        }
    };
    match pause.within(endpoint.timeout, handshake).await {
        Some(Ok(handle)) => Ok((handle, shared, guard)),
        Some(Err(error)) => Err(error),
        None => {
            let problem = Problem::Timeout { seconds: endpoint.timeout.as_secs_f64() };
            Err(TransportError::new(&endpoint.name, shared.step(gauge), problem))
        }
    }
}

fn handshake_error(
    endpoint: &Endpoint,
    error: ClientError,
    shared: &Shared,
    gauge: &Gauge,
    said: &Said,
) -> TransportError {
    let error = match error {
        ClientError::HostKey(problem) => return problem.at_host_key(&endpoint.name),
        ClientError::Ssh(error) => error,
    };
    let head = gauge.head();
    let text = String::from_utf8_lossy(&head).trim().to_owned();
    let step = shared.step(gauge);
    let command_said = said.lock().unwrap_or_else(PoisonError::into_inner).trim().replace('\n', "; ");
    let problem = match (&endpoint.proxy, error) {
        (_, russh::Error::NoCommonAlgo { kind, theirs, .. }) => {
            Problem::NoCommonAlgorithm { kind: format!("{kind:?}").to_lowercase(), theirs: theirs.join(", ") }
        }
        (_, error) if version_line(&head).is_some() => Problem::Lost { reason: describe(&error) },
        (Proxy::Command(command), _) if text.is_empty() => {
            let reason = if command_said.is_empty() { "it ended without a word".into() } else { command_said };
            Problem::ProxyCommand { command: command.clone(), reason }
        }
        _ if text.is_empty() => Problem::Dropped { said: String::new(), attempts: 1 },
        // OpenSSH says so in plain text before it hangs up (MaxStartups, PerSourcePenalties).
        _ if text.starts_with("Exceeded MaxStartups") || text.starts_with("Not allowed at this time") => {
            Problem::Dropped { said: format!(", saying {text:?}"), attempts: 1 }
        }
        _ => Problem::NotSsh { said: text },
    };
    TransportError::new(&endpoint.name, step, problem)
}

/// Waits of many hosts that were dropped together must not end together.
fn spread(wait: Duration, name: &str) -> Duration {
    let sum = name.bytes().fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    wait + wait.mul_f64(f64::from(sum % 256) / 256.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_line_may_follow_others() {
        assert_eq!(version_line(b"hello\r\nSSH-2.0-x\r\n").as_deref(), Some("SSH-2.0-x"));
        assert_eq!(version_line(b"SSH-2.0-half"), None);
        assert_eq!(version_line(b"HTTP/1.1 400\r\n"), None);
    }

    #[test]
    fn waits_are_spread_by_name() {
        let wait = Duration::from_secs(1);
        assert!(spread(wait, "a") != spread(wait, "b") && spread(wait, "a") >= wait && spread(wait, "zz") < wait * 2);
    }
}
