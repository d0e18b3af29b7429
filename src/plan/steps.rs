//! What a plan says of each host's steps.

use crate::engine::event::Status;
use serde::{Deserialize, Serialize};

/// What a plan says of a host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct HostPlan {
    /// Whether it could be reached. Where not, nothing is done for it.
    pub reached: bool,
    /// The digest of what the inventory says of it.
    pub inventory: String,
    /// Its steps, in order.
    pub steps: Vec<Step>,
}

/// A step, or one item of its loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The play, from 0.
    pub play: u32,
    /// The task's place in the play.
    pub at: Vec<u32>,
    /// The item of the loop, from 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub item: usize,
    /// The task's name, with its role.
    pub task: String,
    /// The item's label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What it comes to.
    pub outcome: Outcome,
    /// Whether it rests on something that steps before it may change.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub assumed: bool,
    /// What is to be done, by rounds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acts: Vec<Act>,
    /// Why it would fail. Not kept in the file: it may quote anything.
    #[serde(skip)]
    pub why: Option<String>,
}

/// What a step comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Nothing has to be done.
    Ok,
    /// Something has.
    Change,
    /// A condition leaves it out.
    Skip,
    /// It fails, which the playbook ignores.
    Ignored,
    /// It fails.
    Fail,
    /// Only doing it will tell.
    Unknown,
}

/// One round of a step's actions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Act {
    /// Which, from 0. Only the first of a real run is comparable: later ones rest on what those before said.
    pub round: u32,
    /// Whether all that it rests on is what the host itself said.
    pub known: bool,
    /// Whether something in it was drawn at random, so that it is drawn anew each time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drawn: bool,
    /// The digest of the module's arguments, of who acts and where, and of the environment.
    pub aim: String,
    /// The digest of the actions.
    pub actions: String,
    /// One masked line for each action; none for `no_log`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shows: Vec<String>,
    /// The answers of the host that it rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub guard: Vec<Guard>,
}

/// An answer that a decision rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Guard {
    /// What it is about, for people.
    pub about: String,
    /// Its digest.
    pub digest: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(n: &usize) -> bool {
    *n == 0
}

impl Step {
    /// Which step it is, on its host.
    pub fn key(&self) -> (u32, &[u32], usize) {
        (self.play, &self.at, self.item)
    }

    /// Its name and its item, as a person would say it.
    pub fn title(&self) -> String {
        match &self.label {
            Some(label) => format!("`{}` ({label})", self.task),
            None => format!("`{}`", self.task),
        }
    }
}

impl Outcome {
    /// What a plan told of a step.
    pub fn of(status: Status) -> Self {
        match status {
            Status::Ok => Self::Ok,
            Status::Changed => Self::Change,
            Status::Skipped => Self::Skip,
            Status::Ignored => Self::Ignored,
            Status::Failed | Status::Unreachable => Self::Fail,
            Status::Unknown => Self::Unknown,
        }
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Ok => "nothing to do",
            Self::Change => "a change",
            Self::Skip => "left out by its condition",
            Self::Ignored => "a failure that is ignored",
            Self::Fail => "a failure",
            Self::Unknown => "known only after apply",
        }
    }
}
