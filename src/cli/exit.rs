//! The one table of exit codes.
//!
//! | code | name | meaning |
//! |---|---|---|
//! | 0 | [`Exit::Ok`] | done; with `plan --detailed-exitcode`: nothing to change |
//! | 1 | [`Exit::Error`] | windlass could not do what was asked; also a plan that could not be made |
//! | 2 | [`Exit::Two`] | `apply`, `run`: a task failed on a host; `plan --detailed-exitcode`: there are changes |
//! | 4 | [`Exit::Unreachable`] | a host could not be reached |
//! | 64 | [`Exit::Usage`] | the command line is wrong |
//! | 65 | [`Exit::Playbook`] | a playbook, role, inventory or variable file is wrong; no host was touched |
//! | 69 | [`Exit::Unavailable`] | this machine lacks what the command needs, such as root for the lab |
//! | 70 | [`Exit::Bug`] | an error of windlass itself: please report it |
//! | 73 | [`Exit::CantCreate`] | an output file could not be written |
//! | 75 | [`Exit::Locked`] | somebody else holds the lock: try again later |
//! | 130 | [`Exit::Interrupted`] | ended by Ctrl-C, SIGTERM or SIGHUP |
//!
//! 0, 2 and 4 of `apply` are Ansible's; 0, 1 and 2 of `plan --detailed-exitcode` are Terraform's. From 64 on, codes are
//! those of BSD's `sysexits.h`, which neither of the two uses. `lab ssh` and commands that run another program in their
//! place end with that program's code.

use std::process::ExitCode;

/// How windlass ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(dead_code, reason = "the table is whole from the start; commands use their part of it")]
pub enum Exit {
    Ok = 0,
    Error = 1,
    /// A task failed, or a plan has changes: what the code 2 means depends on the command.
    Two = 2,
    Unreachable = 4,
    Usage = 64,
    Playbook = 65,
    Unavailable = 69,
    Bug = 70,
    CantCreate = 73,
    Locked = 75,
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}
