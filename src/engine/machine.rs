//! What the engine needs of a machine. Transports implement it; the engine knows no socket.

use super::world::Identity;
use crate::host::program::{Event, Note, Program};
use crate::host::view::WhoAmI;
use crate::host::{Answer, Question};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::mpsc;

/// A future that can be sent between threads.
pub type Async<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a machine can't be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MachineError {
    /// It could not be reached, or the connection broke: the host counts as unreachable.
    #[error("{message}")]
    Unreachable {
        /// What happened, at which step, and what to do.
        message: String,
    },
    /// It was reached, but what is asked can't be done there (a wrong sudo password): the task fails.
    #[error("{message}")]
    Refused {
        /// What happened and what to do.
        message: String,
    },
}

/// Counts of what travelled to one machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Round trips after the handshake.
    pub trips: u64,
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
}

/// Something that happens while a program runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// An event of the program.
    Event(Event),
    /// A large file is on its way.
    Sending {
        /// Its name.
        file: String,
        /// Bytes sent so far.
        sent: u64,
        /// All its bytes.
        len: u64,
    },
    /// A person should know this (a command of an earlier run is awaited, a slow upload).
    Notice(String),
}

/// One identity on one machine.
pub trait Machine: Send + Sync {
    /// Who it is.
    fn whoami(&self) -> &WhoAmI;

    /// Runs a program; its events are sent as they happen, the last one being [`Event::End`].
    fn run<'a>(
        &'a mut self,
        program: &'a Program,
        events: mpsc::UnboundedSender<Progress>,
    ) -> Async<'a, Result<(), MachineError>>;

    /// What has travelled so far.
    fn counters(&self) -> Counters;

    /// What it remembered from earlier runs when the shell was opened.
    fn notes(&self) -> &[Note];

    /// Makes it forget notes, with the next program or when the shell is closed.
    fn forget(&mut self, ids: Vec<String>);

    /// Tells how many bytes have come so far over what carries it, where that says something every now and then as long
    /// as it lives, whatever the shell does; none where silence means nothing.
    fn pulse(&self) -> Option<Pulse> {
        None
    }

    /// Ends the shell in good order.
    fn close(self: Box<Self>) -> Async<'static, ()>;
}

/// Values of connection variables (`ansible_host`…) of one host.
///
/// The error says why a value can't be had (what its template mentions is undefined): to go on with a default then
/// would be to work on another machine, or as another user.
pub type Variables = Arc<dyn Fn(&str) -> Result<Option<String>, String> + Send + Sync>;

/// Counts bytes: see [`Machine::pulse`].
pub type Pulse = Box<dyn Fn() -> u64 + Send + Sync>;

/// A question, its answer, and the SHA-256 of the host's own words.
pub type Told = (Question, Answer, Option<String>);

/// How running work is stopped from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Programs end before their next group of actions; the commands that run come to their end.
    Soon,
    /// The commands that run are ended, but for durable ones.
    Now,
}

/// An open shell, and what it answered already.
pub type Opened = (Box<dyn Machine>, Vec<Told>);

/// Where machines come from.
pub trait Connector: Send + Sync {
    /// Opens a shell. Connections to one machine are shared between identities.
    fn open<'a>(
        &'a self,
        host: &'a str,
        identity: &'a Identity,
        variables: Variables,
    ) -> Async<'a, Result<Box<dyn Machine>, MachineError>>;

    /// The same, with questions that may travel in the same breath; those that were answered are told.
    fn open_asking<'a>(
        &'a self,
        host: &'a str,
        identity: &'a Identity,
        variables: Variables,
        first: &'a [Question],
    ) -> Async<'a, Result<Opened, MachineError>> {
        let _ = first;
        Box::pin(async move { Ok((self.open(host, identity, variables).await?, Vec::new())) })
    }

    /// Closes the connection to a host, so that the next shell connects anew (`meta: reset_connection`).
    fn reset<'a>(&'a self, host: &'a str) -> Async<'a, ()>;

    /// Stops all programs that run, each over a second channel with the same privilege, and says in a sentence each
    /// what could not be stopped, and why. Takes a bounded time.
    fn stop(&self, how: Stop) -> Async<'_, Vec<String>>;
}
