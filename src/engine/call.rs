//! Calling a step's module: what it needs to know, what it decides, and what its actions came to.

use super::code::Unit;
use super::event::TaskInfo;
use super::state::{FrozenStep, HostState};
use super::step::{Advance, Blocked, Emission, Walker, Worlds, failed};
use super::world::{Memory, Seat, Standing as Trust};
use crate::host::program::{Act, Expect, Then};
use crate::host::view::{Held, WhoAmI};
use crate::host::{
    Action as HostAction, ActionKind, Answers, Certainty, Decision, Next, Output, Question, Stop, TaskResult, View,
};
use crate::modules::Needs as ModuleNeeds;
use crate::playbook::Action;
use crate::values::{Map, Value};
use std::sync::Arc;
use std::time::Duration;

impl Walker<'_> {
    pub(super) fn module(
        &self,
        st: &mut HostState,
        worlds: &mut Worlds,
        unit: &Arc<Unit>,
        call: &crate::playbook::ModuleCall,
    ) -> Advance {
        let module = call.module;
        if let Some(pause) = st.flight.as_ref().and_then(|f| f.item.pause) {
            return Advance::Sleep(pause);
        }
        if st.flight.as_ref().is_some_and(|f| f.item.frozen.is_none()) {
            match self.freeze(st, unit, call) {
                Ok(frozen) => {
                    if let Some(flight) = &mut st.flight {
                        flight.item.frozen = Some(Arc::new(frozen));
                    }
                }
                Err(Advance::Unknown(mut blocked)) if st.speculative => {
                    blocked.likely = self.likely(st, worlds, unit, call);
                    return Advance::Unknown(blocked);
                }
                Err(advance) => return advance,
            }
        }
        let Some(flight) = &st.flight else { return Advance::Moved };
        let Some(frozen) = flight.item.frozen.clone() else { return Advance::Moved };
        let seat = frozen.seat.clone();
        let controller_only = module.needs == ModuleNeeds::Controller;
        let who = match worlds.who.get(&seat) {
            Some(who) => who.clone(),
            None if controller_only => WhoAmI::root(),
            None => return Advance::Connect(seat),
        };
        let env = self.env(st, &unit.context, Some(unit), self.special(st));
        let controller =
            super::controller::Files { shared: self.shared, unit, env: &env, waiting: std::cell::RefCell::default() };
        let nothing = Nothing;
        let world: &dyn Answers = if controller_only { &nothing } else { worlds.of(&seat) };
        let flight = match &st.flight {
            Some(flight) => flight,
            None => return Advance::Moved,
        };
        let view = View::new(world, &controller, &who, &frozen.frozen)
            .round(flight.item.memory.as_ref(), &flight.item.outputs)
            .diffing(frozen.diff);
        let outcome = (module.plan)(&frozen.args, &view);
        let (open, relied) = view.finish();
        let waiting = controller.waiting.into_inner();
        super::watch::note_draw(&env, &frozen);
        if matches!(outcome, Err(Stop::Unknown(_) | Stop::Fail(_)))
            && let Some(foretold) = st.flight.as_mut().and_then(|f| f.item.foretold.take())
        {
            self.finish_item(st, foretold, Certainty::KnownAfterApply);
            return Advance::Moved;
        }
        match outcome {
            Err(Stop::Pause) if !waiting.is_empty() => Advance::WaitHosts(waiting),
            Err(Stop::Pause) => Advance::Ask { seat, questions: dedup(open) },
            Err(Stop::Unknown(why)) => Advance::Unknown(Box::new(Blocked {
                why,
                seat: Some(seat),
                relied,
                writes: (module.writes)(&frozen.args),
                likely: None,
            })),
            Err(Stop::Fail(failure)) => {
                // What an earlier step has changed, or in a plan would have, may be the very reason.
                let unsure = self.rests_on(worlds, &seat, &relied, Trust::Assumed)
                    || !frozen.check && self.rests_on(worlds, &seat, &relied, Trust::Predicted);
                if unsure {
                    return Advance::Unknown(Box::new(Blocked {
                        why: format!("after the steps before ({})", failure.message).into(),
                        seat: Some(seat),
                        relied,
                        writes: (module.writes)(&frozen.args),
                        likely: None,
                    }));
                }
                let mut result = failed(failure.message.clone());
                result.data.extend(failure.data.clone());
                self.finish_item(st, result, Certainty::Exact);
                Advance::Moved
            }
            Ok(decision) => match frozen.detached {
                None => self.decided(st, worlds, &frozen, &seat, decision, relied),
                Some(seconds) => match super::background::detach(decision, &frozen, seconds, &who.home) {
                    Ok(decision) => self.decided(st, worlds, &frozen, &seat, decision, relied),
                    Err(problem) => {
                        self.finish_item(st, failed(problem), Certainty::Exact);
                        Advance::Moved
                    }
                },
            },
        }
    }

    /// What a step would ask of whose arguments only what is written is not known yet. Where and how does not depend on
    /// that, so that its questions can travel before it is known. A wrong guess makes questions that nobody needs.
    fn likely(
        &self,
        st: &HostState,
        worlds: &mut Worlds,
        unit: &Arc<Unit>,
        call: &crate::playbook::ModuleCall,
    ) -> Option<(Seat, Vec<Question>)> {
        const WRITTEN: [&str; 4] = ["content", "line", "block", "replace"];
        let env = self.env(st, &unit.context, Some(unit), self.special(st));
        let (mut args, seat) = self.aim(unit, call, &env)?;
        for (name, value) in &mut args {
            if value.has_unknown() {
                if !WRITTEN.contains(&&**name) {
                    return None;
                }
                *value = Value::str("");
            }
        }
        let who = worlds.who.get(&seat)?.clone();
        let controller =
            super::controller::Files { shared: self.shared, unit, env: &env, waiting: std::cell::RefCell::default() };
        let frozen = crate::host::view::Frozen { now: self.shared.started, nonce: "0".to_owned() };
        let view = View::new(worlds.of(&seat), &controller, &who, &frozen);
        let _ = (call.module.plan)(&args, &view);
        let (open, _) = view.finish();
        Some((seat, dedup(open)))
    }

    fn rests_on(&self, worlds: &mut Worlds, seat: &Seat, relied: &[Question], trust: Trust) -> bool {
        let world = worlds.of(seat);
        relied.iter().any(|q| world.entry(q).is_some_and(|(_, _, t)| t == trust))
    }

    fn decided(
        &self,
        st: &mut HostState,
        worlds: &mut Worlds,
        frozen: &Arc<FrozenStep>,
        seat: &Seat,
        mut decision: Decision,
        relied: Vec<Question>,
    ) -> Advance {
        if decision.actions.is_empty() {
            if let Next::Again(memory) = decision.next {
                return self.again(st, memory);
            }
            let assumed = self.rests_on(worlds, seat, &relied, Trust::Assumed);
            if assumed && worlds.memory == Memory::Assume && !frozen.check {
                return Advance::Act(Box::new(self.emission(st, worlds, frozen, seat, decision, relied)));
            }
            let volatile: Vec<Question> = relied.iter().filter(|q| q.is_volatile()).cloned().collect();
            worlds.of(seat).forget(&volatile);
            let before = st.flight.as_mut().and_then(|f| f.item.foretold.take());
            decision.result.changed |= before.is_some_and(|b| b.changed);
            if let Some(flight) = &mut st.flight {
                flight.item.shown.extend(decision.saves.iter().map(|s| s.shows.clone()));
            }
            if let Some(problem) = self.save(st, &decision) {
                decision.result = problem;
            }
            let certainty = if assumed {
                Certainty::Assumed("the steps before do not change it".to_owned())
            } else {
                decision.certainty.clone()
            };
            self.finish_item(st, decision.result, certainty);
            return Advance::Moved;
        }
        if let Some(instead) = self.watched(st, worlds, frozen, seat, &decision, &relied) {
            return instead;
        }
        if frozen.check {
            let assumed = self.rests_on(worlds, seat, &relied, Trust::Assumed);
            let Some(flight) = &mut st.flight else { return Advance::Moved };
            flight.item.shown.extend(decision.actions.iter().map(|a| a.shows.clone()));
            for action in &decision.actions {
                worlds.act(seat, action);
            }
            let mut result = foretold(&decision);
            if let Some(before) = flight.item.foretold.take() {
                result.changed |= before.changed;
            }
            if let Next::Again(memory) = decision.next {
                // Looks again as if the actions had gone well, for as far as that can be foretold.
                flight.item.outputs = vec![Output::default(); decision.actions.len()];
                flight.item.foretold = Some(result);
                return self.again(st, memory);
            }
            let certainty = if assumed {
                Certainty::Assumed("the steps before do not change it".to_owned())
            } else {
                decision.certainty
            };
            self.finish_item(st, result, certainty);
            return Advance::Moved;
        }
        Advance::Act(Box::new(self.emission(st, worlds, frozen, seat, decision, relied)))
    }

    fn emission(
        &self,
        st: &HostState,
        worlds: &mut Worlds,
        frozen: &Arc<FrozenStep>,
        seat: &Seat,
        mut decision: Decision,
        relied: Vec<Question>,
    ) -> Emission {
        let relied = dedup(relied);
        let world = worlds.of(seat);
        let guard = relied
            .iter()
            .filter(|q| !q.is_volatile())
            .filter_map(|q| {
                let (answer, raw, _) = world.entry(q)?;
                Some(Expect { question: q.clone(), answer, raw })
            })
            .collect();
        for action in &mut decision.actions {
            if let ActionKind::Run(run) = &mut action.kind {
                let mut env = frozen.environment.clone();
                env.append(&mut run.env);
                run.env = env;
                if let Some(limit) = frozen.timeout {
                    run.timeout = Some(Duration::from_secs_f64(limit.max(0.1)));
                }
                // Modules' own commands can be done again.
                run.once |= frozen.durable && !run.durable;
                run.durable |= frozen.durable;
            }
        }
        let flight = st.flight.as_ref();
        let task = flight.map(|f| &f.unit.task);
        let round = flight.map_or(0, |f| f.item.round);
        Emission {
            seat: seat.clone(),
            act: Act {
                guard,
                actions: decision.actions.clone(),
                then: Then::Stop,
                nonce: format!("{}{round}", frozen.frozen.nonce),
                notes: self.notes(st, &decision),
            },
            shared: decision.actions.iter().any(|a| a.shared),
            throttle: frozen.throttle.filter(|_| !decision.actions.is_empty()),
            sync: matches!(decision.next, Next::Again(_))
                || decision.next == Next::Report
                    && decision.actions.iter().any(|a| a.on_failure == crate::host::OnFailure::Continue)
                || task.is_some_and(|t| !t.until.is_empty() || !t.failed_when.is_empty()),
            decision: Arc::new(decision),
            relied,
            info: flight.map_or_else(
                || {
                    Arc::new(TaskInfo {
                        name: "".into(),
                        action: "".into(),
                        span: crate::source::Span::synthetic("", ""),
                        position: Vec::new(),
                        handler: false,
                    })
                },
                |f| Arc::clone(&f.info),
            ),
            position: st.position(),
        }
    }

    /// Writes what a step brings to the controller. Some if that failed.
    fn save(&self, st: &HostState, decision: &Decision) -> Option<TaskResult> {
        if st.speculative || self.foretells(st) {
            return None;
        }
        decision.saves.iter().find_map(|save| {
            let written = save.path.parent().map_or(Ok(()), std::fs::create_dir_all);
            let written = written.and_then(|()| std::fs::write(&save.path, &save.bytes));
            written.err().map(|e| failed(format!("could not write {} on the controller: {e}", save.path.display())))
        })
    }

    fn again(&self, st: &mut HostState, memory: Value) -> Advance {
        let Some(flight) = &mut st.flight else { return Advance::Moved };
        flight.item.memory = Some(memory);
        flight.item.round += 1;
        if flight.item.round > 50 {
            self.finish_item(
                st,
                failed("the module looked again 50 times; please report it".to_owned()),
                Certainty::Exact,
            );
        }
        Advance::Moved
    }

    /// What the actions came to.
    pub fn outputs(&self, st: &mut HostState, emission: &Emission, outputs: Vec<Output>) {
        let Some(flight) = &mut st.flight else { return };
        let decision = &emission.decision;
        let first_failure = outputs
            .iter()
            .zip(&decision.actions)
            .find(|(o, a)| !o.success() && a.on_failure == crate::host::OnFailure::Stop);
        flight.item.took += outputs.iter().map(|o| o.took).sum::<u64>();
        flight.item.shown.extend(decision.actions.iter().take(outputs.len()).map(|a| a.shows.clone()));
        flight.item.decision = Some(Arc::clone(decision));
        match &decision.next {
            Next::Done => {
                let result = match first_failure {
                    Some((output, action)) => action_failed(action, output),
                    None => self.save(st, decision).unwrap_or_else(|| decision.result.clone()),
                };
                self.finish_item(st, result, Certainty::Exact);
            }
            Next::Report if decision.actions.is_empty() => {
                self.finish_item(st, decision.result.clone(), Certainty::Exact);
            }
            Next::Report => {
                flight.item.outputs = outputs;
                flight.item.reporting = true;
                flight.item.memory.get_or_insert(Value::Null);
            }
            Next::Again(memory) => {
                flight.item.outputs = outputs;
                let memory = memory.clone();
                self.again(st, memory);
            }
        }
    }

    /// Takes the actions as done, for looking ahead.
    pub fn foretell(&self, st: &mut HostState, worlds: &mut Worlds, emission: &Emission) {
        worlds.of(&emission.seat).confirm(&emission.relied);
        for action in &emission.act.actions {
            worlds.act(&emission.seat, action);
        }
        self.finish_item(st, foretold(&emission.decision), emission.decision.certainty.clone());
    }

    /// A step of which only apply will tell: takes it as that, for a plan or for looking ahead.
    pub fn leave_unknown(&self, st: &mut HostState, worlds: &mut Worlds, blocked: &Blocked) {
        if st.flight.is_none() {
            return;
        }
        if let Some(seat) = &blocked.seat {
            let action = HostAction::run(crate::host::Run::argv(["true"]), blocked.why.to_string())
                .writing(blocked.writes.clone());
            worlds.act(seat, &action);
        }
        let mut result = TaskResult::ok().msg(format!("known after apply: {}", blocked.why));
        result.unknown = true;
        result.data.insert("changed".into(), Value::Unknown);
        if let Some(fact) = unknown_fact(st) {
            result.data.insert("ansible_facts".into(), Value::from_pairs([(fact.as_str(), Value::Unknown)]));
        }
        self.finish_item(st, result, Certainty::KnownAfterApply);
    }

    /// The item that is worked on has failed for a reason outside its module.
    pub fn fail_item(&self, st: &mut HostState, message: String) {
        self.finish_item(st, failed(message), Certainty::Exact);
    }

    /// The item that is worked on is passed over with this result.
    pub fn pass_over(&self, st: &mut HostState, result: TaskResult) {
        self.finish_task(st, result, Certainty::Exact, true);
    }

    /// Whether the task that is worked on is only foretold.
    pub fn foretells(&self, st: &HostState) -> bool {
        let frozen = st.flight.as_ref().and_then(|f| f.item.frozen.as_ref());
        frozen.map_or(self.shared.options.plan, |f| f.check)
    }

    /// Whether it does not matter to the task that is worked on that a machine can't be reached.
    pub fn ignores_unreachable(&self, st: &HostState) -> bool {
        let Some(flight) = &st.flight else { return false };
        let env = self.env(st, &flight.unit.context, Some(&flight.unit), Map::new());
        self.flag(&flight.unit, &env, |k| k.ignore_unreachable.as_ref()).ok().flatten().unwrap_or(false)
    }

    /// A step whose questions are open: taken as doing nothing, to see what comes after it.
    pub fn assume_nothing(&self, st: &mut HostState) {
        let mut result = TaskResult::ok();
        result.unknown = true;
        result.data.insert("changed".into(), Value::Unknown);
        self.finish_item(st, result, Certainty::KnownAfterApply);
    }
}

/// No machine at all.
struct Nothing;

impl Answers for Nothing {
    fn held(&self, _: &Question) -> Held {
        Held::Unknown("no machine is asked".into())
    }
}

/// The result that is expected of a decision's actions. Whether a command changes something is mostly known only from
/// its output.
fn foretold(decision: &Decision) -> TaskResult {
    let mut result = decision.result.clone();
    if decision.next != Next::Done && !decision.actions.is_empty() {
        result.unknown = !result.data.contains_key("changed");
        result.data.entry("changed".into()).or_insert(Value::Unknown);
    }
    result
}

/// The fact that the step in flight would set. It exists, though nobody knows its value.
fn unknown_fact(st: &HostState) -> Option<String> {
    let flight = st.flight.as_ref()?;
    let Action::Module(call) = &flight.unit.task.action else { return None };
    let database = flight.item.frozen.as_ref()?.args.get("database")?.as_str()?;
    (call.module.name() == "getent").then(|| format!("getent_{database}"))
}

fn action_failed(action: &HostAction, output: &Output) -> TaskResult {
    let said = output.err();
    let said = said.trim();
    let why = if output.timed_out {
        "it took longer than its time limit".to_owned()
    } else if said.is_empty() {
        format!("status {}", output.rc)
    } else {
        said.to_owned()
    };
    let mut result = failed(format!("could not {}: {why}", action.shows)).with("rc", output.rc);
    if let ActionKind::Run(_) = action.kind {
        result = result.with("stdout", output.out()).with("stderr", output.err());
    }
    result
}

fn dedup(questions: Vec<Question>) -> Vec<Question> {
    let mut out: Vec<Question> = Vec::with_capacity(questions.len());
    for question in questions {
        if !out.contains(&question) {
            out.push(question);
        }
    }
    out
}
