//! Operations on a host: what is sent, and what comes back. What they do is in `far/*.py`.

use crate::engine::deploy::DeployHost;
use crate::engine::machine::{Connector, Machine, MachineError, Progress};
use crate::host::program::{Act, Event, Group, Program, Then};
use crate::host::{Action, Content, OnFailure, Output, Run};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};

/// Everything that an operation may need, sent with each and gone after it.
const PROGRAM: &str = concat!(
    include_str!("far/base.py"),
    "\n\n",
    include_str!("far/lock.py"),
    "\n\n",
    include_str!("far/look.py"),
    "\n\n",
    include_str!("far/build.py"),
    "\n\n",
    include_str!("far/serve.py"),
    "\n\n",
    include_str!("far/data.py"),
    "\n\n",
    include_str!("far/balance.py"),
    "\n\nif __name__ == \"__main__\":\n    main()\n",
);

/// Python is what an application of Django needs anyway; the one of the system is used. It need not look for installed
/// packages (`-S`): operations are many, and use none.
const START: &str = r#"
command -v python3 >/dev/null || { echo "there is no python3 on this host: add the role python to a play before this one" >&2; exit 127; }
exec python3 -IS "$WINDLASS_DIR/operation.py"
"#;

/// Why an operation did not end well.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// The host can't be reached, or the connection broke: what happened there is not known.
    #[error("{0}")]
    Lost(String),
    /// The operation says no.
    #[error("{message}")]
    Refused {
        /// A word for programs: `unhealthy`, `migrate`, `lost-lock`…
        kind: String,
        /// What is wrong, for people.
        message: String,
        /// The last lines of the log that tells more, without secrets.
        log: Vec<String>,
    },
    /// It ended in a way that is none of its own.
    #[error("{message}")]
    Broken {
        /// What was seen.
        message: String,
        /// Standard error.
        log: Vec<String>,
    },
}

impl CallError {
    /// The word for programs.
    pub fn kind(&self) -> &str {
        match self {
            Self::Lost(_) => "lost",
            Self::Refused { kind, .. } => kind,
            Self::Broken { .. } => "broken",
        }
    }

    /// The lines that tell more.
    pub fn log(&self) -> &[String] {
        match self {
            Self::Lost(_) => &[],
            Self::Refused { log, .. } | Self::Broken { log, .. } => log,
        }
    }
}

/// Files and limits of one call.
#[derive(Debug, Clone, Default)]
pub struct Extra {
    /// Files beside the operation, named in its parameters by `attached`.
    pub attach: Vec<(String, Content)>,
    /// It goes on when the connection breaks.
    pub durable: bool,
    /// After which it is ended.
    pub timeout: Option<Duration>,
}

/// One host, and the shells on it.
pub struct Far {
    /// The host.
    pub host: DeployHost,
    connector: Arc<dyn Connector>,
    /// What every operation is told: application, folders, user, token.
    common: Map<String, Value>,
    /// Shells that are open and have nothing to do. Operations that run at once have one each.
    idle: Mutex<Vec<Box<dyn Machine>>>,
    trips: std::sync::atomic::AtomicU64,
    calls: std::sync::atomic::AtomicU64,
}

impl Far {
    /// A host that is not connected to yet.
    pub fn new(host: DeployHost, connector: Arc<dyn Connector>, common: Map<String, Value>) -> Self {
        Self {
            host,
            connector,
            common,
            idle: Mutex::default(),
            trips: std::sync::atomic::AtomicU64::new(0),
            calls: std::sync::atomic::AtomicU64::new(0),
        }
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.host.name
    }

    /// Round trips so far.
    pub fn trips(&self) -> u64 {
        self.trips.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Runs an operation.
    ///
    /// # Errors
    /// [`CallError`]. After [`CallError::Lost`] the next call connects anew.
    pub async fn call(&self, operation: &str, parameters: Value, extra: Extra) -> Result<Value, CallError> {
        let mut all = self.common.clone();
        all.insert("op".into(), operation.into());
        if let Value::Object(own) = parameters {
            all.extend(own);
        }
        let mut run = Run::sh(START, &[]).stdin(&Value::Object(all).to_string());
        run.attach.push(("operation.py".to_owned(), Content::text(PROGRAM)));
        run.attach.extend(extra.attach);
        run.durable = extra.durable;
        run.timeout = extra.timeout;
        read(operation, &self.run(run).await?)
    }

    /// Runs a command of another's making.
    ///
    /// # Errors
    /// The connection, or the shell; never the command's status.
    pub async fn run(&self, run: Run) -> Result<Output, CallError> {
        let number = self.calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut action = Action::run(run, "deploy");
        action.on_failure = OnFailure::Continue;
        let act = Act {
            guard: Vec::new(),
            actions: vec![action],
            then: Then::Stop,
            nonce: format!("deploy{number}"),
            notes: Vec::new(),
        };
        self.send(&Program { groups: vec![Group::Act(act)] }).await
    }

    async fn send(&self, program: &Program) -> Result<Output, CallError> {
        let idle = self.idle.lock().await.pop();
        let mut shell = if let Some(shell) = idle {
            shell
        } else {
            let opened = self.connector.open(&self.host.name, &self.host.identity, Arc::clone(&self.host.variables));
            opened.await.map_err(machine)?
        };
        let (events, mut received) = mpsc::unbounded_channel();
        let before = shell.counters().trips;
        let ran = shell.run(program, events).await;
        let trips = shell.counters().trips.saturating_sub(before);
        self.trips.fetch_add(trips, std::sync::atomic::Ordering::Relaxed);
        let mut found = None;
        while let Ok(progress) = received.try_recv() {
            if let Progress::Event(Event::Done { output, .. }) = progress {
                found = Some(output);
            }
        }
        if let Err(error) = ran {
            if matches!(error, MachineError::Unreachable { .. }) {
                self.idle.lock().await.clear();
                self.connector.reset(&self.host.name).await;
            }
            return Err(machine(error));
        }
        self.idle.lock().await.push(shell);
        found.ok_or_else(|| CallError::Lost("the host did not say how the operation ended".to_owned()))
    }

    /// Ends its shells.
    pub async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle.lock().await);
        for shell in idle {
            shell.close().await;
        }
    }
}

fn machine(error: MachineError) -> CallError {
    match error {
        MachineError::Unreachable { message } => CallError::Lost(message),
        MachineError::Refused { message } => CallError::Refused { kind: "shell".to_owned(), message, log: Vec::new() },
    }
}

/// What an operation said.
fn read(operation: &str, output: &Output) -> Result<Value, CallError> {
    let lines =
        |text: String| text.lines().rev().take(20).map(str::to_owned).collect::<Vec<_>>().into_iter().rev().collect();
    if output.timed_out {
        return Err(CallError::Refused {
            kind: "timeout".to_owned(),
            message: format!("`{operation}` took too long and was ended"),
            log: lines(output.err()),
        });
    }
    match serde_json::from_slice(&output.stdout).ok() {
        Some(Value::Object(answer)) if answer.contains_key("ok") || answer.contains_key("error") => {
            part(Value::Object(answer))
        }
        _ => {
            let log: Vec<String> = lines(output.err());
            let last = log.last().cloned().unwrap_or_default();
            let message = if output.rc == 127 || last.is_empty() {
                format!(
                    "`{operation}` ended with status {}{}{last}",
                    output.rc,
                    if last.is_empty() { "" } else { ": " }
                )
            } else {
                format!("`{operation}` broke off: {last}")
            };
            Err(CallError::Broken { message, log })
        }
    }
}

/// One operation's answer: `ok` with what it tells, or `error`.
///
/// # Errors
/// Its refusal.
pub(super) fn part(mut answer: Value) -> Result<Value, CallError> {
    if let Some(told) = answer.get_mut("ok") {
        return Ok(told.take());
    }
    let error = answer["error"].take();
    let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let log = error
        .get("log")
        .and_then(Value::as_array)
        .map_or_else(Vec::new, |lines| lines.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    Err(CallError::Refused { kind: text("kind"), message: text("message"), log })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_refusals_and_accidents_are_told_apart() {
        assert_eq!(read("look", &Output::ok(r#"{"ok": {"a": 1}}"#)).unwrap(), json!({"a": 1}));
        let refused = Output::ok(r#"{"error": {"kind": "unhealthy", "message": "no", "log": ["x"]}}"#);
        let error = read("start", &refused).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str(), error.log()), ("unhealthy", "no", &["x".to_owned()][..]));
        let broken = Output { rc: 1, ..Output::failed(1, "Traceback\nKeyError: 'x'\n") };
        assert_eq!(read("start", &broken).unwrap_err().to_string(), "`start` broke off: KeyError: 'x'");
        assert_eq!(read("start", &Output { timed_out: true, ..broken }).unwrap_err().kind(), "timeout");
    }
}
