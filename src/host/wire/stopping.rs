//! Stopping a far side from another one with the same privilege: what it is told, and what it says.
//!
//! A shell that runs a command reads nothing meanwhile, and a channel that is closed ends nothing. What a shell is at
//! therefore stands in its folder (`pid`: process and mark; `dur`: mark and place of a durable command), and so does
//! what it is told: `stop` (no further group), `kill` (no further action either).

use super::compile::mark;
use crate::host::answer::Answer;
use crate::host::key::Key;
use crate::host::program::{Group, Program};
use crate::host::question::{Probe, Question};

/// How a shell is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopping {
    /// It begins no further group of its program.
    Soon,
    /// Its command is ended (TERM, and KILL 5 s later), and nothing more begins. Durable commands go on.
    Now,
    /// This command is ended if it still runs, durable or not: its time is over. The program goes on.
    Late {
        /// The number of the shell's program, from 1.
        program: u64,
        /// The group in it.
        group: usize,
        /// The place in the group.
        index: usize,
    },
}

/// What is left of what ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// A durable command, which goes on; the next run waits for it.
    Durable,
    /// Processes that could not be ended: they belong to somebody else, or hang in the kernel.
    Processes,
}

/// The program that stops the shell whose folder this is.
pub fn stopping(folder: &str, how: Stopping) -> Program {
    let (word, mark) = match how {
        Stopping::Soon => ("soon", String::new()),
        Stopping::Now => ("now", String::new()),
        Stopping::Late { program, group, index } => ("late", mark(program, group, index)),
    };
    // `wstop` is a function of the far side.
    let probe = Probe::new("wstop \"$1\" \"$2\" \"$3\"", &[folder, word, &mark], vec![Key::Volatile]);
    Program { groups: vec![Group::Ask(vec![Question::Probe(probe)])] }
}

impl Left {
    /// Reads the answer to [`stopping`].
    pub fn of(answer: &Answer) -> Self {
        match answer {
            Answer::Output(output) if output.out().trim() == "durable" => Self::Durable,
            Answer::Output(output) if output.success() && output.out().trim().is_empty() => Self::Nothing,
            _ => Self::Processes,
        }
    }
}
