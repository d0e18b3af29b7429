//! Who is let in, and which requests are answered.

use super::{Options, session};
use russh::keys::{Certificate, HashAlg, PublicKey};
use russh::server::{self, Auth, ChannelOpenHandle, Msg, Response, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, MethodKind, MethodSet, Pty, Sig};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What holds for all connections.
pub(super) struct Policy {
    pub home: PathBuf,
    pub client_key: PublicKey,
    pub methods: Vec<MethodKind>,
    pub options: Options,
}

/// Accepts connections until told to stop.
pub(super) async fn run(
    listener: TcpListener,
    config: Arc<server::Config>,
    policy: Arc<Policy>,
    stop: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((socket, _)) = accepted else { continue };
        let _ = socket.set_nodelay(true);
        let connection = Connection {
            policy: Arc::clone(&policy),
            user: String::new(),
            passed: 0,
            waiting: HashMap::new(),
            running: HashMap::new(),
        };
        tokio::spawn(serve(Arc::clone(&config), socket, connection, stop.clone()));
    }
}

async fn serve(config: Arc<server::Config>, socket: TcpStream, connection: Connection, stop: CancellationToken) {
    let Ok(session) = server::run_stream(config, socket, connection).await else { return };
    let handle = session.handle();
    tokio::select! {
        () = stop.cancelled() => {
            let _ = handle.disconnect(russh::Disconnect::ByApplication, "the host was stopped".into(), "en".into()).await;
        }
        result = session => {
            if let Err(error) = result {
                tracing::debug!(%error, "embedded host: connection ended");
            }
        }
    }
}

/// One client.
struct Connection {
    policy: Arc<Policy>,
    user: String,
    /// How many of the required methods were passed.
    passed: usize,
    /// Channels without a command yet.
    waiting: HashMap<ChannelId, Channel<Msg>>,
    /// Running commands, by their way to receive signals.
    running: HashMap<ChannelId, mpsc::UnboundedSender<Sig>>,
}

impl Connection {
    /// A method was passed: done, or on to the next one required.
    fn passed(&mut self, user: &str, method: MethodKind) -> Auth {
        let required = &self.policy.options.required;
        if required.is_empty() {
            user.clone_into(&mut self.user);
            return Auth::Accept;
        }
        if required.get(self.passed) != Some(&method) {
            return self.rejected();
        }
        self.passed += 1;
        match required.get(self.passed) {
            None => {
                user.clone_into(&mut self.user);
                Auth::Accept
            }
            Some(next) => {
                Auth::Reject { proceed_with_methods: Some(MethodSet::from([*next].as_slice())), partial_success: true }
            }
        }
    }

    fn rejected(&self) -> Auth {
        let required = self.policy.options.required.get(self.passed);
        let methods = required.map_or(self.policy.methods.as_slice(), std::slice::from_ref);
        Auth::Reject { proceed_with_methods: Some(MethodSet::from(methods)), partial_success: false }
    }

    fn judge(&mut self, user: &str, method: MethodKind, good: bool) -> Auth {
        if good && self.policy.methods.contains(&method) { self.passed(user, method) } else { self.rejected() }
    }

    fn is_password(&self, given: &[u8]) -> bool {
        self.policy.options.password.as_ref().is_some_and(|password| password.expose().as_bytes() == given)
    }
}

impl server::Handler for Connection {
    type Error = russh::Error;

    async fn auth_none(&mut self, _user: &str) -> Result<Auth, Self::Error> {
        Ok(self.rejected())
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        let good = self.is_password(password.as_bytes());
        Ok(self.judge(user, MethodKind::Password, good))
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let shown = key.public_key.key_data();
        let good = self.policy.client_key.key_data() == shown
            || self.policy.options.authorized_keys.iter().any(|one| one.key_data() == shown);
        Ok(self.judge(user, MethodKind::PublicKey, good))
    }

    async fn auth_openssh_certificate(&mut self, user: &str, certificate: &Certificate) -> Result<Auth, Self::Error> {
        let authorities = &self.policy.options.user_authorities;
        let trusted: Vec<_> = authorities.iter().map(|key| key.fingerprint(HashAlg::Sha256)).collect();
        let good = certificate.validate(&trusted).is_ok() && certificate.valid_principals().iter().any(|p| p == user);
        Ok(self.judge(user, MethodKind::PublicKey, good))
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        Ok(match response {
            None if self.policy.options.password.is_some() => Auth::Partial {
                name: Cow::Borrowed(""),
                instructions: Cow::Borrowed(""),
                prompts: Cow::Owned(vec![(Cow::Borrowed("Password: "), false)]),
            },
            None => self.rejected(),
            Some(mut answers) => {
                let answer = answers.next();
                let good = answer.is_some_and(|answer| self.is_password(&answer));
                self.judge(user, MethodKind::KeyboardInteractive, good)
            }
        })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.running.retain(|_, signals| !signals.is_closed());
        let limit = self.policy.options.max_sessions;
        if limit != 0 && self.waiting.len() + self.running.len() >= limit {
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
            return Ok(());
        }
        self.waiting.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        let port = u16::try_from(port).unwrap_or(0);
        if !self.policy.options.tcp_forwarding {
            reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
            return Ok(());
        }
        let host = host.to_owned();
        tokio::spawn(async move {
            match TcpStream::connect((host.as_str(), port)).await {
                Ok(mut socket) => {
                    let _ = socket.set_nodelay(true);
                    reply.accept().await;
                    let _ = tokio::io::copy_bidirectional(&mut channel.into_stream(), &mut socket).await;
                }
                Err(_) => reply.reject(ChannelOpenFailure::ConnectFailed).await,
            }
        });
        Ok(())
    }

    async fn exec_request(&mut self, id: ChannelId, command: &[u8], session: &mut Session) -> Result<(), Self::Error> {
        let Some(channel) = self.waiting.remove(&id) else { return session.channel_failure(id) };
        let command = String::from_utf8_lossy(command).into_owned();
        match session::start(&self.policy.home, &self.user, &command) {
            Ok(child) => {
                session.channel_success(id)?;
                let (signals, inbox) = mpsc::unbounded_channel();
                self.running.insert(id, signals);
                tokio::spawn(session::run(child, channel, session.handle(), inbox));
                Ok(())
            }
            Err(error) => {
                tracing::debug!(%error, "embedded host: command not started");
                session.channel_failure(id)
            }
        }
    }

    async fn signal(&mut self, id: ChannelId, signal: Sig, _session: &mut Session) -> Result<(), Self::Error> {
        if let Some(signals) = self.running.get(&id) {
            let _ = signals.send(signal);
        }
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _session: &mut Session) -> Result<(), Self::Error> {
        self.waiting.remove(&id);
        Ok(())
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        _term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn shell_request(&mut self, id: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }
}
