//! The engine's machines, made of the transport's connections.

use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{Mutex, OnceCell, mpsc};
use windlass::engine::machine::{
    Async, Connector, Counters, Machine, MachineError, Opened, Progress, Pulse, Stop, Variables,
};
use windlass::engine::world::Identity;
use windlass::host::Question;
use windlass::host::program::{Event, Group, Note, Program};
use windlass::host::view::WhoAmI;
use windlass::host::wire::{Signal, Stopping};
use windlass::transport::session::{Method, Privilege, Session, SessionError};
use windlass::transport::shells::{Place, Shells};
use windlass::transport::{ConnectContext, Link, Secret, Target};

/// What the command line says about connections, below what the inventory says.
#[derive(Debug, Default, Clone)]
pub struct Defaults {
    /// Values for connection variables that the inventory does not set (`ansible_user`…).
    pub variables: HashMap<&'static str, String>,
    /// Values that win over the inventory's (`-e` does not come here: it is above everything already).
    pub overrides: HashMap<&'static str, String>,
    /// For `become`.
    pub become_password: Option<Secret>,
}

type Slot = Arc<OnceCell<Arc<Link>>>;

struct Links {
    context: ConnectContext,
    defaults: Defaults,
    open: Mutex<HashMap<String, Slot>>,
    shells: Shells,
}

/// A connector over SSH and this machine: one connection a host and login, shared by all its shells.
pub fn connector(context: ConnectContext, defaults: Defaults) -> Arc<dyn Connector> {
    Arc::new(Links { context, defaults, open: Mutex::default(), shells: Shells::default() })
}

fn unreachable(message: impl ToString) -> MachineError {
    MachineError::Unreachable { message: message.to_string() }
}

fn unusable(host: &str, error: &str) -> MachineError {
    MachineError::Refused { message: format!("{host}: connection variables: {error}") }
}

impl Links {
    fn target(&self, host: &str, identity: &Identity, variables: &Variables) -> Result<Target, MachineError> {
        let wrong = std::cell::RefCell::new(None);
        let variable = |name: &str| {
            variables(name).unwrap_or_else(|error| {
                wrong.borrow_mut().get_or_insert(error);
                None
            })
        };
        let lookup = |name: &str| {
            let own = match name {
                "ansible_connection" => identity.connection.clone(),
                "ansible_port" => identity.port.map(|p| p.to_string()),
                _ => None,
            };
            // Variables win over keywords, keywords over the command line's defaults.
            self.defaults
                .overrides
                .get(name)
                .cloned()
                .or_else(|| variable(name))
                .or(own)
                .or_else(|| (name == "ansible_user").then(|| identity.remote_user.clone()).flatten())
                .or_else(|| self.defaults.variables.get(name).cloned())
        };
        let target = Target::from_vars(host, &lookup).map_err(|e| MachineError::Refused { message: e.to_string() });
        match wrong.take() {
            Some(error) => Err(unusable(host, &error)),
            None => target,
        }
    }

    async fn link(&self, host: &str, identity: &Identity, variables: &Variables) -> Result<Arc<Link>, MachineError> {
        let target = self.target(host, identity, variables)?;
        let key = format!("{host} {:?} {:?} {:?}", identity.remote_user, identity.port, identity.connection);
        let slot = {
            let mut open = self.open.lock().await;
            let stale = open.get(&key).and_then(|s| s.get()).is_some_and(|link| !link.is_alive());
            if stale {
                open.remove(&key);
            }
            Arc::clone(open.entry(key).or_default())
        };
        let link = slot
            .get_or_try_init(|| async { Link::connect(&target, &self.context).await.map(Arc::new) })
            .await
            .map_err(unreachable)?;
        Ok(Arc::clone(link))
    }
}

impl Connector for Links {
    fn open<'a>(
        &'a self,
        host: &'a str,
        identity: &'a Identity,
        variables: Variables,
    ) -> Async<'a, Result<Box<dyn Machine>, MachineError>> {
        Box::pin(async move { Ok(self.open_asking(host, identity, variables, &[]).await?.0) })
    }

    fn open_asking<'a>(
        &'a self,
        host: &'a str,
        identity: &'a Identity,
        variables: Variables,
        first: &'a [Question],
    ) -> Async<'a, Result<Opened, MachineError>> {
        Box::pin(async move {
            let link = self.link(host, identity, &variables).await?;
            let mut password = None;
            if identity.become_.is_some() {
                for name in ["ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"] {
                    if password.is_none() {
                        password = variables(name).map_err(|e| unusable(host, &e))?.map(Secret::new);
                    }
                }
            }
            let password = password.or_else(|| self.defaults.become_password.clone());
            let privilege = identity.become_.as_ref().map(|raised| Privilege {
                user: raised.user.clone(),
                method: if raised.method == "su" { Method::Su } else { Method::Sudo },
                flags: raised.flags.clone(),
                exe: raised.exe.clone(),
                password,
            });
            let state = variables("windlass_state").map_err(|e| unusable(host, &e))?;
            if state.as_ref().is_some_and(|folder| !folder.starts_with('/') || folder.contains('\n')) {
                return Err(unusable(host, "windlass_state: it is the absolute path of a folder"));
            }
            let before = link.counters();
            let program = match first {
                [] => Program::default(),
                questions => Program { groups: vec![Group::Ask(questions.to_vec())] },
            };
            let opening = Session::open_asking(&link, host, privilege.as_ref(), state.as_deref(), &program);
            let (session, signals) = opening.await.map_err(refused)?;
            let opened = link.counters();
            let told = signals.into_iter().filter_map(|signal| match signal {
                Signal::Event(Event::Answered { index, answer, raw, .. }) => {
                    Some((first.get(index)?.clone(), answer, raw))
                }
                _ => None,
            });
            let told = told.collect();
            let place = Place { host: host.to_owned(), link, privilege, folder: session.folder().to_owned() };
            let shell = Box::new(Shell {
                session,
                place: Arc::new(place),
                shells: self.shells.clone(),
                sent: opened.bytes_sent.saturating_sub(before.bytes_sent),
                received: opened.bytes_received.saturating_sub(before.bytes_received),
            });
            Ok((shell as Box<dyn Machine>, told))
        })
    }

    fn reset<'a>(&'a self, host: &'a str) -> Async<'a, ()> {
        Box::pin(async move {
            let prefix = format!("{host} ");
            self.open.lock().await.retain(|key, _| !key.starts_with(&prefix));
        })
    }

    fn stop(&self, how: Stop) -> Async<'_, Vec<String>> {
        Box::pin(self.shells.stop(match how {
            Stop::Soon => Stopping::Soon,
            Stop::Now => Stopping::Now,
        }))
    }
}

fn refused(error: SessionError) -> MachineError {
    match error {
        SessionError::Refused { .. } => MachineError::Refused { message: error.to_string() },
        SessionError::Lost { .. } => unreachable(error),
    }
}

struct Shell {
    session: Session,
    place: Arc<Place>,
    shells: Shells,
    /// Bytes of this shell alone: others may share its link.
    sent: u64,
    received: u64,
}

impl Machine for Shell {
    fn whoami(&self) -> &WhoAmI {
        self.session.whoami()
    }

    fn run<'a>(
        &'a mut self,
        program: &'a Program,
        events: mpsc::UnboundedSender<Progress>,
    ) -> Async<'a, Result<(), MachineError>> {
        Box::pin(async move {
            let mut broken = None;
            let before = self.place.link.counters();
            let result = self
                .shells
                .run(&mut self.session, &self.place, program, |signal| {
                    let progress = match signal {
                        Signal::Event(event) => Progress::Event(event),
                        Signal::Joined { .. } => Progress::Notice(
                            "a command that an earlier run left there is still at work (or just ended): waiting for it"
                                .to_owned(),
                        ),
                        Signal::Sending { path, sent, len } => {
                            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                            Progress::Sending { file, sent, len }
                        }
                        Signal::Broken(message) => {
                            broken = Some(message);
                            return;
                        }
                        Signal::Hello(_) | Signal::Refused(_) => return,
                    };
                    // The engine may have stopped listening; the program runs on to its end all the same.
                    let _ = events.send(progress);
                })
                .await;
            let after = self.place.link.counters();
            self.sent += after.bytes_sent.saturating_sub(before.bytes_sent);
            self.received += after.bytes_received.saturating_sub(before.bytes_received);
            match (result, broken) {
                (Err(error), _) => Err(refused(error)),
                (Ok(()), Some(message)) => Err(MachineError::Refused { message }),
                (Ok(()), None) => Ok(()),
            }
        })
    }

    fn counters(&self) -> Counters {
        Counters { trips: self.session.trips(), sent: self.sent, received: self.received }
    }

    fn notes(&self) -> &[Note] {
        self.session.notes()
    }

    fn forget(&mut self, ids: Vec<String>) {
        self.session.forget(ids);
    }

    fn pulse(&self) -> Option<Pulse> {
        // An SSH connection is asked for a sign of life; pipes to a program on this machine are not.
        let link = Arc::clone(&self.place.link);
        matches!(*link, Link::Ssh(_)).then(|| Box::new(move || link.counters().bytes_received) as Pulse)
    }

    fn close(self: Box<Self>) -> Async<'static, ()> {
        Box::pin(self.session.close())
    }
}
