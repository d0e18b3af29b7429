//! The error every command returns: its kind decides the exit code, its hints say what to do next.

use super::exit::Exit;
use std::fmt;
use windlass::transport::lab::LabError;

/// What sort of failure it is. Each has one exit code: see [`super::exit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "the kinds are those of the exit table; commands use their part of it")]
pub enum ErrorKind {
    /// What was asked could not be done.
    Failed,
    /// A task failed on a host.
    HostFailed,
    /// A host could not be reached.
    Unreachable,
    /// The command line is wrong in a way that only the command can see.
    Usage,
    /// A playbook, role, inventory or variable file is wrong.
    Playbook,
    /// This machine lacks what the command needs.
    Unavailable,
    /// An error of windlass itself.
    Bug,
    /// An output file could not be written.
    CantCreate,
    /// Somebody else holds the lock.
    Locked,
    /// Ctrl-C.
    Interrupted,
}

impl ErrorKind {
    pub fn exit(self) -> Exit {
        match self {
            ErrorKind::Failed => Exit::Error,
            ErrorKind::HostFailed => Exit::Two,
            ErrorKind::Unreachable => Exit::Unreachable,
            ErrorKind::Usage => Exit::Usage,
            ErrorKind::Playbook => Exit::Playbook,
            ErrorKind::Unavailable => Exit::Unavailable,
            ErrorKind::Bug => Exit::Bug,
            ErrorKind::CantCreate => Exit::CantCreate,
            ErrorKind::Locked => Exit::Locked,
            ErrorKind::Interrupted => Exit::Interrupted,
        }
    }
}

/// Why a command failed. The message is one sentence without a full stop, or a rendered diagnostic.
#[derive(Debug)]
pub struct CommandError {
    pub kind: ErrorKind,
    pub message: String,
    pub hints: Vec<String>,
}

impl CommandError {
    pub fn new(kind: ErrorKind, message: impl fmt::Display) -> CommandError {
        CommandError { kind, message: message.to_string(), hints: Vec::new() }
    }

    pub fn usage(message: impl fmt::Display) -> CommandError {
        CommandError::new(ErrorKind::Usage, message)
    }

    /// Adds what to do next.
    pub fn hinted(mut self, hint: impl fmt::Display) -> CommandError {
        self.hints.push(hint.to_string());
        self
    }
}

impl From<LabError> for CommandError {
    fn from(error: LabError) -> CommandError {
        let kind = match &error {
            LabError::Unavailable { .. } => ErrorKind::Unavailable,
            LabError::BadName { .. } | LabError::BadFolder(_) | LabError::BadSuite(_) | LabError::NoSuchHost { .. } => {
                ErrorKind::Usage
            }
            _ => ErrorKind::Failed,
        };
        let hint = error.hint();
        let error = CommandError::new(kind, error);
        match hint {
            Some(hint) => error.hinted(hint),
            None => error,
        }
    }
}

/// Anything else a command meets on the way: writing a file, starting a program.
impl From<anyhow::Error> for CommandError {
    fn from(error: anyhow::Error) -> CommandError {
        CommandError::new(ErrorKind::Failed, format_args!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_decides_the_code_and_hints_come_from_where_the_knowledge_is() {
        let error = CommandError::from(LabError::NoSuchHost {
            lab: "default".into(),
            name: "h9".into(),
            known: vec!["h1".into(), "h2".into()],
        });
        assert_eq!(error.kind.exit() as u8, 64);
        assert_eq!(error.hints, ["its hosts are: h1, h2"]);
        let error = CommandError::from(LabError::Unavailable { reason: "r".into(), instead: "i".into() });
        assert_eq!((error.kind.exit() as u8, error.message.as_str()), (69, "the lab can't run here: r"));
    }
}
