//! What is sent to one identity on one machine in one go, and what comes back.

use super::action::{Action, Output};
use super::answer::Answer;
use super::question::Question;

/// An ordered list of groups.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Program {
    /// Run one after the other.
    pub groups: Vec<Group>,
}

/// One part of a program.
#[derive(Debug, Clone, PartialEq)]
pub enum Group {
    /// Questions; neighbours of the same kind are answered by one call of the host's tool.
    Ask(Vec<Question>),
    /// A step's actions.
    Act(Act),
}

/// The actions of one step, or of one item of its loop.
#[derive(Debug, Clone, PartialEq)]
pub struct Act {
    /// What must still be so; on a mismatch the whole program stops and nothing of this group is done.
    pub guard: Vec<Expect>,
    /// In order.
    pub actions: Vec<Action>,
    /// What follows when an action with [`OnFailure::Stop`](super::OnFailure) fails.
    pub then: Then,
    /// A number for temporary names, that no other step has.
    pub nonce: String,
    /// What the host is to remember before it begins with the actions, and until it is told to forget.
    pub notes: Vec<Note>,
}

/// Something that a host remembers from run to run: a handler that is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its name on the host: hexadecimal digits and `-`.
    pub id: String,
    /// What is remembered, one line.
    pub text: String,
}

/// What follows the failure of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The program stops.
    Stop,
    /// The next group runs (the next item of a loop, or a step whose failure is ignored).
    Go,
}

/// One answer that a decision rested on.
#[derive(Debug, Clone, PartialEq)]
pub struct Expect {
    /// The question.
    pub question: Question,
    /// The answer that must still hold, as far as it is known.
    pub answer: Answer,
    /// SHA-256 of the host's own words, for answers that are compared as a whole.
    pub raw: Option<String>,
}

/// What comes back, in the order in which it happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A question is answered: group, place in the group, answer, SHA-256 of the host's words.
    Answered {
        /// Group.
        group: usize,
        /// Place in the group.
        index: usize,
        /// The answer.
        answer: Answer,
        /// For a later guard.
        raw: Option<String>,
    },
    /// An action begins.
    Began {
        /// Group.
        group: usize,
        /// Place in the group.
        index: usize,
    },
    /// An action ended.
    Done {
        /// Group.
        group: usize,
        /// Place in the group.
        index: usize,
        /// What it said.
        output: Output,
    },
    /// The guard of a group did not hold: the program stopped there.
    Mismatch {
        /// Group.
        group: usize,
    },
    /// The program is over; whether it ran to its end.
    End {
        /// Whether it ran to its end.
        complete: bool,
    },
}

impl Program {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}
