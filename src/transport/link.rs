//! One connection to one machine, whatever carries it.

use super::context::ConnectContext;
use super::error::TransportError;
use super::local::LocalLink;
use super::pipe::Pipe;
use super::ssh::SshLink;
use super::target::{ConnectionKind, Target};
use std::sync::atomic::Ordering;

/// A connection to one machine.
#[derive(Debug)]
pub enum Link {
    /// Over SSH.
    Ssh(Box<SshLink>),
    /// This machine.
    Local(LocalLink),
}

/// What a link has moved so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Bytes sent: on the wire for SSH (encrypted, with handshake), into pipes for this machine.
    pub bytes_sent: u64,
    /// Bytes received, likewise.
    pub bytes_received: u64,
    /// Channels opened (or local programs started).
    pub channels: u64,
}

impl Link {
    /// Connects to a machine and logs in.
    ///
    /// # Errors
    /// [`TransportError`] says at which step it failed, why, and what to do.
    pub async fn connect(target: &Target, context: &ConnectContext) -> Result<Self, TransportError> {
        Ok(match target.connection {
            ConnectionKind::Ssh => Self::Ssh(Box::new(Box::pin(SshLink::connect(target, context)).await?)),
            ConnectionKind::Local => Self::Local(LocalLink::new(
                target.name.clone(),
                target.local_directory.clone(),
                context.limits.unread(),
            )),
        })
    }

    /// Runs a command: by the login shell of the user over SSH, by `/bin/sh` on this machine.
    ///
    /// # Errors
    /// When the connection is gone or the server refuses another channel. A command that fails to start shows in
    /// [`Pipe::exit`].
    pub async fn open(&self, command: &str) -> Result<Pipe, TransportError> {
        match self {
            Self::Ssh(link) => link.open(command).await,
            Self::Local(link) => link.open(command),
        }
    }

    /// What was moved so far.
    pub fn counters(&self) -> Counters {
        let (gauge, channels) = match self {
            Self::Ssh(link) => (&link.gauge, &link.channels),
            Self::Local(link) => (&link.gauge, &link.channels),
        };
        Counters {
            bytes_sent: gauge.sent.load(Ordering::Relaxed),
            bytes_received: gauge.received.load(Ordering::Relaxed),
            channels: channels.load(Ordering::Relaxed),
        }
    }

    /// Whether the connection still stands, as far as is known here.
    pub fn is_alive(&self) -> bool {
        match self {
            Self::Ssh(link) => link.is_alive(),
            Self::Local(_) => true,
        }
    }

    /// Where the machine is, for messages: `host:port`, or `this machine`.
    pub fn address(&self) -> &str {
        match self {
            Self::Ssh(link) => link.address(),
            Self::Local(_) => "this machine",
        }
    }

    /// The login name; `None` for this machine, where it is whoever runs Windlass.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Ssh(link) => Some(link.user()),
            Self::Local(_) => None,
        }
    }

    /// Closes the connection, and with it all its channels. (Dropping a link cuts it without a goodbye.)
    pub async fn close(self) {
        match self {
            Self::Ssh(link) => link.close().await,
            Self::Local(_) => {}
        }
    }
}
