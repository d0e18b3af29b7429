//! The shells that run a program now, so that it can be stopped: by a person, or when its time is over.
//!
//! Closing a channel ends nothing, and a shell that runs a command reads nothing. Whatever stops it is therefore said
//! over a second channel of the same connection, by a shell with the same privilege.

use super::link::Link;
use super::session::{Privilege, Session, SessionError};
use crate::host::action::ActionKind;
use crate::host::program::{Event, Group, Program};
use crate::host::wire::{Left, Signal, Stopping};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// How long the host itself is given to keep a time limit: twice 5 s from TERM to KILL (for the command, and for what it
/// leaves behind), and some to tell.
const GRACE: Duration = Duration::from_secs(15);

/// How long ending a command over a second channel may take before the shell is given up.
const GIVE_UP: Duration = Duration::from_secs(20);

/// How long a host is given when a person stops the run: 5 s from TERM to KILL, and some to get there.
pub const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Where a shell is, and how another one with its privilege gets there.
#[derive(Debug)]
pub struct Place {
    /// The host's name.
    pub host: String,
    /// The connection.
    pub link: Arc<Link>,
    /// The privilege.
    pub privilege: Option<Privilege>,
    /// The shell's folder.
    pub folder: String,
}

impl Place {
    /// Stops the shell.
    ///
    /// # Errors
    /// When no second shell can be had there.
    pub async fn stop(&self, how: Stopping) -> Result<Left, SessionError> {
        let mut second = Session::open(&self.link, &self.host, self.privilege.as_ref(), None).await?;
        let left = second.stop(&self.folder, how).await?;
        second.close().await;
        Ok(left)
    }
}

/// The shells that run a program now. Clones are the same list.
#[derive(Debug, Clone, Default)]
pub struct Shells(Arc<Mutex<List>>);

#[derive(Debug)]
struct List {
    next: u64,
    grace: Duration,
    at_work: BTreeMap<u64, (Arc<Place>, usize)>,
}

impl Default for List {
    fn default() -> Self {
        Self { next: 0, grace: GRACE, at_work: BTreeMap::new() }
    }
}

/// Takes a shell off the list when it is dropped.
struct AtWork<'a>(&'a Shells, u64);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.list(|list| list.at_work.remove(&self.1));
    }
}

impl Shells {
    fn list<T>(&self, with: impl FnOnce(&mut List) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn enter(&self, place: &Arc<Place>, program: &Program) -> AtWork<'_> {
        let acts = program.groups.iter().filter(|g| matches!(g, Group::Act(_))).count();
        let number = self.list(|list| {
            list.next += 1;
            list.at_work.insert(list.next, (Arc::clone(place), acts));
            list.next
        });
        AtWork(self, number)
    }

    /// Runs a program in a session, which can be stopped meanwhile. A command that has gone over its time limit,
    /// because the host does not keep it, is ended over a second channel.
    ///
    /// # Errors
    /// As [`Session::run`], and when a command can't be ended.
    pub async fn run(
        &self,
        session: &mut Session,
        place: &Arc<Place>,
        program: &Program,
        mut tell: impl FnMut(Signal),
    ) -> Result<(), SessionError> {
        let _at_work = self.enter(place, program);
        let (number, grace) = (session.programs() + 1, self.list(|list| list.grace));
        let (began, mut watched) = watch::channel(None);
        let ended = Arc::new(Mutex::new(None));
        let over = Arc::clone(&ended);
        let running = session.run(program, move |mut signal| {
            match &mut signal {
                Signal::Event(Event::Began { group, index }) => {
                    let limit = limit_of(program, *group, *index);
                    began.send_replace(limit.map(|limit| (Instant::now() + limit + grace, limit, *group, *index)));
                }
                Signal::Event(Event::Done { group, index, output }) => {
                    began.send_replace(None);
                    let ended = *over.lock().unwrap_or_else(PoisonError::into_inner);
                    output.timed_out |= ended == Some((*group, *index));
                }
                _ => {}
            }
            tell(signal);
        });
        tokio::pin!(running);
        let mut stopping: Option<JoinHandle<_>> = None;
        let result = loop {
            let due = *watched.borrow_and_update();
            let Some((at, limit, group, index)) = due else {
                tokio::select! {
                    result = &mut running => break result,
                    _ = watched.changed() => continue,
                }
            };
            tokio::select! {
                result = &mut running => break result,
                _ = watched.changed() => continue,
                () = tokio::time::sleep_until(at) => {}
            }
            *ended.lock().unwrap_or_else(PoisonError::into_inner) = Some((group, index));
            let there = Arc::clone(place);
            let how = Stopping::Late { program: number, group, index };
            stopping = Some(tokio::spawn(async move { there.stop(how).await }));
            tokio::select! {
                result = &mut running => break result,
                _ = watched.changed() => continue,
                () = tokio::time::sleep(GIVE_UP) => {}
            }
            let said = match stopping.take() {
                Some(task) if task.is_finished() => task.await.ok(),
                _ => None,
            };
            let why = match said {
                Some(Ok(_)) => "it does not end".to_owned(),
                Some(Err(error)) => error.to_string(),
                None => "the host does not answer".to_owned(),
            };
            return Err(SessionError::Lost {
                host: place.host.clone(),
                message: format!(
                    "a command took longer than its time limit of {} s and could not be ended ({why}); look at what \
                     hangs there, and end it",
                    limit.as_secs_f64()
                ),
            });
        };
        // The command has ended; its children may take longer, and nobody should find them later.
        if let Some(task) = stopping {
            let _ = tokio::time::timeout(GIVE_UP, task).await;
        }
        result
    }

    /// Stops all shells that are at work, and says in a sentence each what could not be stopped, and why. Takes at
    /// most [`STOP_WITHIN`].
    pub async fn stop(&self, how: Stopping) -> Vec<String> {
        let shells: Vec<_> = self.list(|list| list.at_work.values().cloned().collect());
        let mut set = JoinSet::new();
        for (place, acts) in shells {
            // A program with one group of actions has nothing to leave out.
            if how == Stopping::Soon && acts < 2 {
                continue;
            }
            set.spawn(async move {
                let stopped = tokio::time::timeout(STOP_WITHIN, place.stop(how)).await;
                sentence(&place.host, how, stopped.ok())
            });
        }
        let mut said = Vec::new();
        while let Some(sentence) = set.join_next().await {
            said.extend(sentence.ok().flatten());
        }
        said.sort();
        said
    }
}

fn sentence(host: &str, how: Stopping, stopped: Option<Result<Left, SessionError>>) -> Option<String> {
    let goes_on = if how == Stopping::Soon { "what it was told to do goes on" } else { "what runs there goes on" };
    match stopped {
        Some(Ok(Left::Nothing)) => None,
        Some(Ok(Left::Durable)) => Some(format!(
            "{host}: the command there goes on, since it must not be cut off in its middle; the next run waits for it"
        )),
        Some(Ok(Left::Processes)) => Some(format!(
            "{host}: some of what runs there could not be ended: it belongs to another user, or hangs; look with \
             `ps -ef`"
        )),
        // It names the host.
        Some(Err(error)) => Some(format!("{error}; {goes_on}")),
        None => Some(format!("{host}: no answer within {} s; {goes_on}", STOP_WITHIN.as_secs())),
    }
}

fn limit_of(program: &Program, group: usize, index: usize) -> Option<Duration> {
    let Group::Act(act) = program.groups.get(group)? else { return None };
    match &act.actions.get(index)?.kind {
        ActionKind::Run(run) => run.timeout,
        _ => None,
    }
}

#[cfg(test)]
#[path = "shells_tests.rs"]
mod tests;
