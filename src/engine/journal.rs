//! What hosts remember for a run that may die: which notes are where, and which are to be forgotten.
//!
//! What is owed is in [`HostState`]; this is what was noted down for it. What is noted and not owed any more goes with the
//! next program, or when the shell is closed.

use super::state::HostState;
use super::world::Seat;
use crate::host::program::{Act, Note};
use std::collections::{BTreeSet, HashMap, HashSet};

/// The notes that one host's plays have on machines.
#[derive(Debug, Default)]
pub struct Journal {
    there: HashMap<Seat, BTreeSet<(String, String)>>,
    forget: HashMap<Seat, Vec<String>>,
    /// Notes that were seen or made by this run. A shell that is opened later shows them again, since several
    /// identities may share a folder; only new ones are an earlier run's.
    known: HashSet<String>,
    /// Notes by the place of the task that they were sent for.
    sent: Vec<(Vec<u32>, String)>,
}

impl Journal {
    /// A play begins: what earlier runs left of it on machines that are open already.
    pub fn begin(&mut self, prefix: &str, state: &mut HostState) {
        self.sent.clear();
        for (id, name) in self.there.values().flatten().filter(|(id, _)| id.starts_with(prefix)) {
            state.owe_from_before(id, name);
        }
    }

    /// A shell was opened, which remembers these.
    pub fn opened(&mut self, seat: &Seat, notes: &[Note], prefix: &str, state: &mut HostState) {
        for note in notes {
            let new = self.known.insert(note.id.clone());
            if !new {
                continue;
            }
            self.there.entry(seat.clone()).or_default().insert((note.id.clone(), note.text.clone()));
            if note.id.starts_with(prefix) {
                state.owe_from_before(&note.id, &note.text);
            }
        }
    }

    /// Actions of the task at a place are sent.
    pub fn sending(&mut self, seat: &Seat, position: &[u32], act: &Act) {
        for note in &act.notes {
            self.known.insert(note.id.clone());
            self.there.entry(seat.clone()).or_default().insert((note.id.clone(), note.text.clone()));
            self.sent.push((position.to_vec(), note.id.clone()));
        }
    }

    /// What the host is to forget of the play whose notes begin with `prefix`: all that is neither owed, nor was sent
    /// for a task that the host has not come past.
    pub fn settle(&mut self, prefix: &str, state: &HostState) {
        let now = state.position();
        self.sent.retain(|(position, _)| *position >= now);
        let kept = |id: &str| state.owed.iter().any(|o| *o.id == *id) || self.sent.iter().any(|(_, sent)| sent == id);
        for (seat, there) in &mut self.there {
            there.retain(|(id, _)| {
                let over = id.starts_with(prefix) && !kept(id);
                if over {
                    self.forget.entry(seat.clone()).or_default().push(id.clone());
                }
                !over
            });
        }
    }

    /// What a machine is to forget, to be told now.
    pub fn forgotten(&mut self, seat: &Seat) -> Vec<String> {
        self.forget.remove(seat).unwrap_or_default()
    }
}
