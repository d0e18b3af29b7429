//! Looking ahead: everything that can be sent in one go from where a host stands.
//!
//! The state and what is known are copied and walked on, taking actions as done and open questions as "nothing to do".
//! The program is then the actions that certainly come next, followed by the questions in sight. The real state
//! follows later, step by step, with the results; a wrong guess is caught by a guard on the host.

use super::code::{Instr, Unit};
use super::state::HostState;
use super::step::{Advance, Emission, Walker, Worlds};
use super::world::{Seat, Standing, World};
use crate::host::action::{ActionKind, Content};
use crate::host::effect::affects;
use crate::host::key::parent;
use crate::host::{Answer, Key, Next, OnFailure, Question};
use crate::playbook::Action;
use crate::source::bool_of;
use std::collections::{HashMap, HashSet};

/// The most steps that are looked ahead, so that a host of a long play is not walked over and over.
const STEPS: usize = 5000;

/// Contents in one program, in bytes: what is in flight is bounded.
const BYTES: u64 = 8 << 20;

/// What is sent in one go.
#[derive(Debug)]
pub struct Foreseen {
    /// To whom.
    pub seat: Seat,
    /// First these actions, in order.
    pub acts: Vec<Box<Emission>>,
    /// Then these questions.
    pub questions: Vec<Question>,
    /// Questions to others, if there are no actions.
    pub others: Vec<(Seat, Vec<Question>)>,
}

/// Looks ahead from a state that has something to send.
pub fn look_ahead(walker: &Walker<'_>, state: &HostState, worlds: &Worlds, linear: bool) -> Option<Foreseen> {
    let mut st = state.clone();
    st.speculative = true;
    st.events = Vec::new();
    st.depths = st.depths.aside();
    let mut worlds = worlds.clone();
    let mut seen: Option<Foreseen> = None;
    // Whether actions can still be sent: from the first open question on they can't.
    let mut certain = true;
    let mut checked = Checked::default();
    let mut bytes = 0;
    let mut steps = 0;
    while steps < STEPS {
        match walker.advance(&mut st, &mut worlds) {
            Advance::Moved => steps += 1,
            Advance::Ask { seat, questions } => {
                certain = false;
                let foreseen = seen.get_or_insert_with(|| Foreseen::new(seat.clone()));
                foreseen.ask(&seat, questions);
                walker.assume_nothing(&mut st);
            }
            Advance::Act(mut emission) => {
                let first = seen.is_none();
                let foreseen = seen.get_or_insert_with(|| Foreseen::new(emission.seat.clone()));
                bytes += weight(&emission);
                let may = certain
                    && !st.behind
                    && foreseen.seat == emission.seat
                    && (first || bytes <= BYTES && emission.throttle.is_none())
                    // What others can see waits for them; the first one has waited already.
                    && (first || !emission.shared || !linear || walker.board.others_reached(walker.host, &walker.awaits(&st)));
                if may {
                    checked.spare(&mut emission, worlds.of(&foreseen.seat));
                }
                let again = matches!(emission.decision.next, Next::Again(_)).then(|| void(&emission));
                walker.foretell(&mut st, &mut worlds, &emission);
                if may {
                    certain = !emission.sync;
                    // It will look again, most likely at the same things.
                    if let Some(questions) = again {
                        foreseen.ask(&emission.seat, questions);
                    }
                    foreseen.acts.push(emission);
                } else {
                    certain = false;
                }
            }
            Advance::Unknown(blocked) => {
                certain = false;
                if let Some(foreseen) = &mut seen {
                    // The host itself will be asked again by then.
                    if let Some(seat) = blocked.seat.as_ref().filter(|seat| **seat == foreseen.seat) {
                        let world = worlds.of(seat);
                        let unsure = |q: &&Question| world.entry(q).is_some_and(|(_, _, t)| t != Standing::Known);
                        let questions = blocked.relied.iter().filter(unsure).cloned().collect();
                        foreseen.ask(seat, questions);
                    }
                    if let Some((seat, questions)) = blocked.likely.as_ref().filter(|(seat, _)| *seat == foreseen.seat)
                    {
                        foreseen.ask(seat, questions.clone());
                    }
                }
                if st.flight.is_some() {
                    walker.leave_unknown(&mut st, &mut worlds, &blocked);
                } else {
                    // Handlers that may or may not have been notified: what comes after them can be asked already.
                    st.notified.clear();
                    st.maybe_notified = false;
                    st.step();
                }
                steps += 1;
            }
            Advance::Connect(_) if seen.is_some() => {
                certain = false;
                walker.assume_nothing(&mut st);
                steps += 1;
            }
            Advance::Connect(_)
            | Advance::WaitHosts(_)
            | Advance::WaitOnce
            | Advance::Sleep(_)
            | Advance::Reset
            | Advance::End => break,
        }
    }
    seen
}

/// Modules that only look, whatever their arguments.
const LOOKING: [&str; 9] = ["stat", "slurp", "find", "debug", "assert", "set_fact", "setup", "ping", "getent"];
/// Modules that only look where the playbook says so by `changed_when: false`.
const COMMANDS: [&str; 4] = ["command", "shell", "script", "raw"];

/// Whether a task changes nothing by what the playbook says of it.
fn only_looks(unit: &Unit) -> bool {
    let Action::Module(call) = &unit.task.action else { return false };
    let name = call.module.name();
    let never = matches!(unit.task.changed_when.as_slice(), [one] if bool_of(one).is_ok_and(|changed| !changed));
    LOOKING.contains(&name) || never && COMMANDS.contains(&name)
}

impl Walker<'_> {
    /// The place that the other hosts must have reached before an action that they can see, under `linear`. Tasks that
    /// only look wait for those that change something, not for each other.
    pub(super) fn awaits(&self, st: &HostState) -> Vec<u32> {
        let mut position = st.position();
        let Some(frame) = st.frames.last().filter(|_| st.settling.is_none()) else { return position };
        let looks = |pc: usize| matches!(frame.code.instrs.get(pc), Some(Instr::Task(unit)) if only_looks(unit));
        if looks(frame.pc)
            && let Some(last) = position.last_mut()
        {
            let run = (0..frame.pc).rev().take_while(|pc| looks(*pc)).count();
            *last = u32::try_from(frame.pc - run).unwrap_or(*last);
        }
        position
    }
}

impl Foreseen {
    fn new(seat: Seat) -> Self {
        Self { seat, acts: Vec::new(), questions: Vec::new(), others: Vec::new() }
    }

    fn ask(&mut self, seat: &Seat, questions: Vec<Question>) {
        let list = if *seat == self.seat {
            &mut self.questions
        } else {
            // Another shell would answer while these actions run: nobody could tell before or after which one.
            if !self.acts.is_empty() {
                return;
            }
            let at = match self.others.iter().position(|(s, _)| s == seat) {
                Some(at) => at,
                None => {
                    self.others.push((seat.clone(), Vec::new()));
                    self.others.len() - 1
                }
            };
            &mut self.others[at].1
        };
        for question in questions {
            if !list.contains(&question) {
                list.push(question);
            }
        }
    }
}

/// What the guards of a program's earlier actions have made sure of, and the paths that those actions have written: the
/// host need not look at the same things again for every step.
#[derive(Default)]
struct Checked {
    held: HashMap<Question, Answer>,
    written: HashSet<String>,
}

impl Checked {
    /// Takes from a guard what is sure by the time that its turn comes.
    fn spare(&mut self, emission: &mut Emission, world: &World) {
        emission.act.guard.retain(|expect| {
            let trust = world.entry(&expect.question).map(|(_, _, trust)| trust);
            let followed = trust == Some(Standing::Predicted) && self.has_written(&expect.question);
            let held = trust != Some(Standing::Assumed) && self.held.get(&expect.question) == Some(&expect.answer);
            !followed && !held
        });
        self.held.extend(emission.act.guard.iter().map(|e| (e.question.clone(), e.answer.clone())));
        for action in &emission.act.actions {
            self.held
                .retain(|question, _| !question.reads().iter().any(|r| action.writes.iter().any(|w| affects(w, r))));
            // Where a failure does not stop the program, nothing follows from what should have been written.
            if action.on_failure == OnFailure::Stop {
                self.written.extend(action.writes.iter().filter_map(|w| match w {
                    Key::Path(path) => Some(path.clone()),
                    _ => None,
                }));
            }
        }
    }

    /// Whether the path that a question is about, or a folder above it, was written.
    fn has_written(&self, question: &Question) -> bool {
        let mut at = question.subject();
        while let Some(path) = at {
            if self.written.contains(path) {
                return true;
            }
            at = parent(path);
        }
        false
    }
}

/// The answers that a step rests on and that its own actions make void.
fn void(emission: &Emission) -> Vec<Question> {
    let writes = || emission.act.actions.iter().flat_map(|action| &action.writes);
    let touched = |q: &&Question| q.reads().iter().any(|read| writes().any(|written| affects(written, read)));
    emission.relied.iter().filter(touched).cloned().collect()
}

fn weight(emission: &Emission) -> u64 {
    let content = |c: &Content| match c {
        Content::Bytes(bytes) => bytes.len() as u64,
        // Streamed from disk.
        Content::File(_) => 0,
    };
    emission
        .act
        .actions
        .iter()
        .map(|action| match &action.kind {
            ActionKind::Install(install) => content(&install.content),
            ActionKind::Run(run) => run.attach.iter().map(|(_, c)| content(c)).sum(),
            _ => 0,
        })
        .sum()
}
