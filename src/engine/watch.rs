//! Whoever looks on while hosts move. A saved plan is recorded through this, and what is decided later is held against it.

use super::event::{StepResult, TaskInfo};
use super::hold::Failure;
use super::run::Shared;
use super::state::{FrozenStep, HostState, Standing};
use super::step::{Advance, Walker, Worlds, failed};
use super::world::{Seat, Standing as Trust};
use crate::host::program::Expect;
use crate::host::{Certainty, Decision, Question, TaskResult};
use crate::playbook::Strategy;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A module's decision to do something, before anything of it is done.
#[derive(Debug)]
pub struct Decided<'a> {
    /// The host it counts for.
    pub host: &'a Arc<str>,
    /// The task.
    pub task: &'a TaskInfo,
    /// Which item of its loop, from 0.
    pub item: usize,
    /// Which try of `until`, from 1.
    pub attempt: u32,
    /// How many rounds of actions there were before.
    pub round: u32,
    /// Arguments and identity.
    pub frozen: &'a FrozenStep,
    /// What is to be done.
    pub decision: &'a Decision,
    /// The answers that it rests on and that can be compared, each with how far it was trusted.
    pub guard: Vec<(Expect, Trust)>,
    /// Whether nothing of it may be told (`no_log`).
    pub hidden: bool,
    /// Whether something failed on this host before and was rescued.
    pub after_failure: bool,
    /// Whether the engine only looks ahead: it will come here again.
    pub speculative: bool,
}

impl Decided<'_> {
    /// Whether every answer that it rests on is what the host itself said last.
    pub fn is_known(&self) -> bool {
        self.guard.iter().all(|(_, trust)| *trust == Trust::Known)
    }
}

/// Looks on, and may say no.
pub trait Watch: Send + Sync {
    /// A play begins; those before are over on all hosts.
    fn play(&self);

    /// Whether nothing is to be done for this host at all.
    fn leaves_out(&self, host: &str) -> bool;

    /// A module has decided to do something. Called again for the same decision, as often as the engine looks; must
    /// then say the same.
    ///
    /// # Errors
    /// Why it must not be done: the host fails with this sentence, whatever `rescue` and `ignore_errors` say.
    fn decided(&self, step: &Decided<'_>) -> Result<(), String>;

    /// A step, or one item of its loop (from 0), is over.
    fn told(&self, item: usize, result: &StepResult);
}

impl Shared {
    /// Whether whoever looks on wants nothing done for this host.
    pub(super) fn leaves_out(&self, host: &str) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.leaves_out(host))
    }
}

impl Walker<'_> {
    /// Asks whoever looks on about a decision to act. Some: what happens instead.
    pub(super) fn watched(
        &self,
        st: &mut HostState,
        worlds: &mut Worlds,
        frozen: &FrozenStep,
        seat: &Seat,
        decision: &Decision,
        relied: &[Question],
    ) -> Option<Advance> {
        let watch = self.shared.watch.as_ref()?;
        let flight = st.flight.as_ref()?;
        let world = worlds.of(seat);
        let guard = relied.iter().filter(|q| !q.is_volatile()).filter_map(|question| {
            let (answer, raw, trust) = world.entry(question)?;
            Some((Expect { question: question.clone(), answer, raw }, trust))
        });
        let step = Decided {
            host: self.host,
            task: &flight.info,
            item: flight.at,
            attempt: flight.item.attempt,
            round: flight.item.round,
            frozen,
            decision,
            guard: guard.collect(),
            hidden: self.hidden(st, &self.special(st)),
            after_failure: st.failure.is_some(),
            speculative: st.speculative,
        };
        let known = step.is_known();
        let reason = watch.decided(&step).err()?;
        if st.speculative {
            return Some(super::freeze::unknown("whether the plan allows it", Vec::new()));
        }
        if !known {
            // It may be the guess that is wrong, and not the host: ask first.
            world_forgets(worlds, seat, relied);
            return Some(Advance::Moved);
        }
        Some(self.turn_away(st, reason))
    }

    /// The host stops here, uncaught.
    fn turn_away(&self, st: &mut HostState, reason: String) -> Advance {
        let unit = st.flight.as_ref().map(|f| Arc::clone(&f.unit));
        let result: TaskResult = failed(reason);
        self.tell(st, &result, super::event::Status::Failed, Certainty::Exact, None, false, false, None);
        let fatal = unit.is_some_and(|unit| self.fatal(st, &unit));
        if fatal && self.compiled.play.strategy != Strategy::Linear {
            self.board.abort(format!("`any_errors_fatal` is set, and {} failed", self.host));
        } else {
            let host = Arc::clone(self.host);
            self.board.note_failure(Failure { position: st.position(), host, fatal, out: true });
        }
        st.stats.failed += 1;
        st.flight = None;
        st.frames.clear();
        st.standing = Standing::Failed;
        Advance::Moved
    }
}

fn world_forgets(worlds: &mut Worlds, seat: &Seat, relied: &[Question]) {
    let world = worlds.of(seat);
    world.forget(relied);
    world.forget_assumed();
}

/// That a template drew something at random.
pub(super) fn note_draw(env: &super::step::Env, frozen: &FrozenStep) {
    if env.drawn.load(Ordering::Relaxed) {
        frozen.drawn.store(true, Ordering::Relaxed);
    }
}
