//! What a step came to: conditions on its result, handlers, registered variables, failures.

use super::event::{Event, Status, StepResult, to_value};
use super::state::{HostState, ItemFlight, Settling};
use super::step::{Blocker, Walker, message};
use crate::host::{Certainty, TaskResult};
use crate::modules::Needs;
use crate::playbook::Action;
use crate::source::Node;
use crate::values::{Map, Truth, Value};
use std::sync::Arc;
use std::time::Duration;

/// The value that `no_log` leaves of a result.
const CENSORED: &str = "the output has been hidden because `no_log: true` was given for this task";

impl Walker<'_> {
    /// The item that is worked on has this result.
    pub(super) fn finish_item(&self, st: &mut HostState, mut result: TaskResult, certainty: Certainty) {
        let Some(flight) = &st.flight else { return };
        let unit = Arc::clone(&flight.unit);
        let looped = unit.task.loop_.is_some();
        let mut special = self.special(st);
        let mut retry = None;
        let attempts = flight.item.attempt;
        if !result.skipped {
            if let Err(problem) = self.judge(st, &mut special, &mut result) {
                result.failed = true;
                result.msg = Some(problem);
            }
            if !unit.task.until.is_empty() {
                let limit = self.attempts(st, &special);
                let holds = self.holds(st, &mut special, &unit.task.until, &result);
                result.data.insert("attempts".into(), Value::from(attempts));
                let settled = matches!(holds, Ok(Truth::True | Truth::Unknown));
                if !settled && attempts < limit {
                    retry = Some((attempts, limit));
                } else if !settled {
                    result.failed = true;
                    if let Err(problem) = holds {
                        result.msg = Some(problem);
                    }
                }
            }
        }
        let ignored = result.failed && self.ignores(st, &special);
        let status = status_of(&result, ignored, &certainty);
        let label = looped.then(|| self.label(st, &special));
        let hidden = self.hidden(st, &special);
        self.tell(st, &result, status, certainty.clone(), label, false, hidden, retry);
        if let Some((attempt, _)) = retry {
            let pause = Some(self.delay(st));
            let Some(flight) = &mut st.flight else { return };
            flight.item = ItemFlight { attempt: attempt + 1, pause, ..ItemFlight::default() };
            return;
        }
        self.keep_facts(st, &result);
        if !looped {
            self.finish_task(st, result, certainty, false);
            return;
        }
        self.item_done(st, result, certainty);
    }

    fn item_done(&self, st: &mut HostState, mut result: TaskResult, certainty: Certainty) {
        let special = self.special(st);
        let Some(flight) = &mut st.flight else { return };
        let unit = Arc::clone(&flight.unit);
        let Some(looped) = &unit.task.loop_ else { return };
        let loop_var = &looped.control.loop_var;
        if let Some(item) = flight.items.get(flight.at).cloned().flatten() {
            result.data.insert(Arc::clone(loop_var), item);
            result.data.insert("ansible_loop_var".into(), Value::Str(Arc::clone(loop_var)));
        }
        flight.failed |= result.failed;
        let value = to_value(&result);
        flight.results.push(result);
        if let Some(register) = &unit.task.register {
            st.register(register, value);
        }
        let broken = !looped.control.break_when.is_empty() && {
            let env = self.env(st, &unit.context, Some(&unit), special);
            matches!(self.all_hold(looped.control.break_when.iter(), &env), Ok(Truth::True))
        };
        let pause = looped.control.pause.as_ref().map(|node| self.seconds(st, node, 0.0));
        let Some(flight) = &mut st.flight else { return };
        flight.at += 1;
        flight.item = ItemFlight { attempt: 1, pause, ..ItemFlight::default() };
        if flight.at < flight.items.len() && !broken {
            return;
        }
        let results = std::mem::take(&mut flight.results);
        let whole = aggregate(&results);
        self.finish_task(st, whole, certainty, false);
    }

    /// The task is over with this result. `copied`: another host did it, for all.
    pub(super) fn finish_task(&self, st: &mut HostState, result: TaskResult, certainty: Certainty, copied: bool) {
        let Some(flight) = &st.flight else { return };
        let unit = Arc::clone(&flight.unit);
        let looped = unit.task.loop_.is_some();
        let special = self.special(st);
        let ignored = result.failed && self.ignores(st, &special);
        let status = status_of(&result, ignored, &certainty);
        let hidden = self.hidden(st, &special);
        if looped || copied {
            self.tell(st, &result, status, certainty, None, true, hidden, None);
        }
        if copied {
            self.keep_facts(st, &result);
        } else if !st.speculative
            && self.is_once(&unit, &self.env(st, &unit.context, Some(&unit), special)).unwrap_or(false)
        {
            self.board.set_once(
                st.position(),
                super::board::Once { result: result.clone(), failed: result.failed && !ignored },
            );
        }
        if let Some(register) = &unit.task.register {
            let value = to_value(&result);
            st.register(register, value);
        }
        let by_host = matches!(&unit.task.action, Action::Module(call) if call.module.needs == Needs::Host);
        let facts = match result.data.get("ansible_facts") {
            Some(Value::Map(facts)) => Some(Arc::clone(facts)),
            _ => None,
        };
        let all_facts: Arc<str> = "ansible_facts".into();
        let named = facts.iter().flat_map(|f| f.keys().chain([&all_facts]));
        st.depths.end(unit.task.register.iter().chain(named), by_host);
        // Only what the host did itself counts for it.
        if !(copied && status == Status::Skipped) && (status != Status::Failed) {
            st.stats.count(status);
        }
        let changed = result.data.get("changed").cloned().unwrap_or(Value::Bool(result.changed));
        if !result.failed && !matches!(changed, Value::Bool(false)) {
            let before = st.notified.len();
            self.notify(st, &unit);
            st.maybe_notified |= matches!(changed, Value::Unknown) && before != st.notified.len();
        } else if !result.failed {
            self.take_up(st, &unit);
        }
        st.flight = None;
        let out = status == Status::Failed;
        if out {
            st.failure = Some(Arc::new(failure(&unit, &result)));
            self.note_failure(st, self.fatal(st, &unit), None);
        }
        if self.held(st, &unit) {
            st.settling = Some(if out { Settling::Failed } else { Settling::Passed });
        } else if out {
            self.fail(st, None);
        } else {
            st.step();
        }
    }

    /// `changed_when` and `failed_when`.
    fn judge(&self, st: &HostState, special: &mut Map, result: &mut TaskResult) -> Result<(), String> {
        let Some(flight) = &st.flight else { return Ok(()) };
        let unit = Arc::clone(&flight.unit);
        if !unit.task.changed_when.is_empty() {
            match self.holds(st, special, &unit.task.changed_when, result)? {
                Truth::True => {
                    result.changed = true;
                    result.data.shift_remove("changed");
                }
                Truth::False => {
                    result.changed = false;
                    result.data.shift_remove("changed");
                }
                Truth::Unknown => {
                    result.data.insert("changed".into(), Value::Unknown);
                }
            }
        }
        if !unit.task.failed_when.is_empty() {
            match self.holds(st, special, &unit.task.failed_when, result)? {
                Truth::True => {
                    result.failed = true;
                    result.data.insert("failed_when_result".into(), Value::Bool(true));
                }
                Truth::False => {
                    result.failed = false;
                    result.data.insert("failed_when_result".into(), Value::Bool(false));
                }
                Truth::Unknown => {}
            }
        }
        Ok(())
    }

    /// Whether conditions hold that may look at the result under the name that `register` gives it.
    fn holds(
        &self,
        st: &HostState,
        special: &mut Map,
        conditions: &[Node],
        result: &TaskResult,
    ) -> Result<Truth, String> {
        let Some(flight) = &st.flight else { return Ok(Truth::True) };
        let unit = Arc::clone(&flight.unit);
        if let Some(register) = &unit.task.register {
            special.insert(Arc::clone(register), to_value(result));
        }
        let env = self.env(st, &unit.context, Some(&unit), special.clone());
        self.all_hold(conditions.iter(), &env).map_err(|blocker| match blocker {
            Blocker::Failed(problem) => message(&problem),
            Blocker::Hosts(hosts) => format!("it needs results of {} that are not there yet", hosts.join(", ")),
        })
    }

    /// How many tries `until` has: `retries` and the first one; 3 in all where it does not say.
    fn attempts(&self, st: &HostState, special: &Map) -> u32 {
        let Some(flight) = &st.flight else { return 1 };
        let Some(node) = &flight.unit.task.retries else { return 3 };
        let env = self.env(st, &flight.unit.context, Some(&flight.unit), special.clone());
        let value = self.shared.templar.render_node(node, &env.scope).unwrap_or_default();
        let retries = <i64 as crate::modules::args::FromValue>::from_value(&value).unwrap_or(2);
        u32::try_from(retries.max(0)).unwrap_or(0) + 1
    }

    /// How long to wait before the next try.
    fn delay(&self, st: &HostState) -> Duration {
        let delay = st.flight.as_ref().and_then(|f| f.unit.task.delay.clone());
        delay.map_or(Duration::from_secs(5), |node| self.seconds(st, &node, 5.0))
    }

    fn seconds(&self, st: &HostState, node: &Node, default: f64) -> Duration {
        let Some(flight) = &st.flight else { return Duration::ZERO };
        let env = self.env(st, &flight.unit.context, Some(&flight.unit), self.special(st));
        let value = self.shared.templar.render_node(node, &env.scope).unwrap_or_default();
        let seconds = <f64 as crate::modules::args::FromValue>::from_value(&value).unwrap_or(default);
        Duration::from_secs_f64(seconds.clamp(0.0, 86_400.0))
    }

    fn ignores(&self, st: &HostState, special: &Map) -> bool {
        let Some(flight) = &st.flight else { return false };
        let unit = &flight.unit;
        let env = self.env(st, &unit.context, Some(unit), special.clone());
        self.flag(unit, &env, |k| k.ignore_errors.as_ref()).ok().flatten().unwrap_or(false)
    }

    pub(super) fn hidden(&self, st: &HostState, special: &Map) -> bool {
        let Some(flight) = &st.flight else { return false };
        let unit = &flight.unit;
        if unit.context.innermost(&unit.task.keywords, |k| k.no_log.as_ref()).is_none() {
            return false;
        }
        let env = self.env(st, &unit.context, Some(unit), special.clone());
        // What can't be told is hidden.
        self.flag(unit, &env, |k| k.no_log.as_ref()).unwrap_or(Some(true)).unwrap_or(false)
    }

    fn label(&self, st: &HostState, special: &Map) -> String {
        let Some(flight) = &st.flight else { return String::new() };
        let item = flight.items.get(flight.at).cloned().flatten().unwrap_or_default();
        let control = flight.unit.task.loop_.as_ref().map(|l| &l.control);
        match control.and_then(|c| c.label.as_ref()) {
            Some(node) => {
                let env = self.env(st, &flight.unit.context, Some(&flight.unit), special.clone());
                self.shared.templar.render_node(node, &env.scope).map_or_else(|_| item.to_string(), |v| v.to_string())
            }
            None => item.to_string(),
        }
    }

    /// Facts in a result: `set_fact`'s stand with registered variables, all others with the host's facts.
    fn keep_facts(&self, st: &mut HostState, result: &TaskResult) {
        let Some(Value::Map(facts)) = result.data.get("ansible_facts") else { return };
        let Some(flight) = &st.flight else { return };
        let is_set_fact = matches!(&flight.unit.task.action, Action::Module(call) if call.module.name() == "set_fact");
        if self.gives(st, &flight.unit) {
            // A result that is only copied was given by the host that did it.
            match flight.item.frozen.as_ref().map(|f| &f.seat.host) {
                Some(other) if other == self.host => {}
                Some(other) => {
                    if !st.speculative {
                        self.board.give(other, super::board::Gift { facts: Arc::clone(facts), set: is_set_fact });
                    }
                    return;
                }
                None => return,
            }
        }
        if is_set_fact {
            let registered = Arc::make_mut(&mut st.registered);
            registered.extend(facts.iter().map(|(k, v)| (Arc::clone(k), v.clone())));
        } else {
            let own = Arc::make_mut(&mut st.facts);
            own.extend(facts.iter().map(|(k, v)| (Arc::clone(k), v.clone())));
        }
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn tell(
        &self,
        st: &mut HostState,
        result: &TaskResult,
        status: Status,
        certainty: Certainty,
        item: Option<String>,
        summary: bool,
        hidden: bool,
        retry: Option<(u32, u32)>,
    ) {
        if st.speculative {
            return;
        }
        let Some(flight) = &st.flight else { return };
        let shown = match (hidden, flight.item.refused) {
            (false, _) => result.clone(),
            (true, false) => censored(result),
            (true, true) => TaskResult { msg: result.msg.clone(), ..censored(result) },
        };
        let frozen = flight.item.frozen.as_ref();
        let delegated = frozen.map(|f| Arc::clone(&f.seat.host)).filter(|h| h != self.host);
        let step = Box::new(StepResult {
            host: Arc::clone(self.host),
            delegated,
            task: Arc::clone(&flight.info),
            item: item.map(|i| if hidden { "(hidden)".to_owned() } else { i }),
            summary,
            status,
            result: shown,
            certainty,
            actions: if summary || hidden { Vec::new() } else { flight.item.shown.clone() },
            took: Duration::from_micros(if summary { 0 } else { flight.item.took }),
            retry,
        });
        if let Some(watch) = &self.shared.watch {
            watch.told(flight.at, &step);
        }
        st.events.push(Event::Result(step));
    }
}

impl Walker<'_> {
    /// A result of what is no task of the playbook.
    pub(super) fn tell_plain(
        &self,
        st: &mut HostState,
        task: Arc<super::event::TaskInfo>,
        result: TaskResult,
        certainty: Certainty,
    ) {
        if st.speculative {
            return;
        }
        let status = status_of(&result, false, &certainty);
        st.events.push(Event::Result(Box::new(StepResult {
            host: Arc::clone(self.host),
            delegated: None,
            task,
            item: None,
            summary: false,
            status,
            result,
            certainty,
            actions: Vec::new(),
            took: Duration::ZERO,
            retry: None,
        })));
    }
}

/// What a `rescue` is told.
fn failure(unit: &super::code::Unit, result: &TaskResult) -> Map {
    let name = unit.task.name.as_ref().and_then(Node::as_str).unwrap_or_default();
    let task = Value::from_pairs([("name", Value::str(name)), ("action", Value::str(unit.task.action.name()))]);
    [("ansible_failed_task".into(), task), ("ansible_failed_result".into(), to_value(result))].into_iter().collect()
}

fn censored(result: &TaskResult) -> TaskResult {
    TaskResult {
        changed: result.changed,
        failed: result.failed,
        skipped: result.skipped,
        unknown: result.unknown,
        msg: None,
        diff: Vec::new(),
        data: [("censored".into(), Value::from(CENSORED))].into_iter().collect(),
    }
}

fn status_of(result: &TaskResult, ignored: bool, certainty: &Certainty) -> Status {
    let unknown = matches!(result.data.get("changed"), Some(Value::Unknown));
    if result.failed {
        if ignored { Status::Ignored } else { Status::Failed }
    } else if result.skipped {
        Status::Skipped
    } else if unknown && *certainty == Certainty::KnownAfterApply {
        Status::Unknown
    } else if result.changed {
        Status::Changed
    } else {
        Status::Ok
    }
}

/// The result of a loop.
fn aggregate(results: &[TaskResult]) -> TaskResult {
    let mut whole = TaskResult {
        changed: results.iter().any(|r| r.changed),
        failed: results.iter().any(|r| r.failed),
        skipped: results.iter().all(|r| r.skipped),
        ..TaskResult::default()
    };
    if results.iter().any(|r| matches!(r.data.get("changed"), Some(Value::Unknown))) && !whole.changed {
        whole.data.insert("changed".into(), Value::Unknown);
    }
    if results.iter().any(|r| r.unknown) && !whole.failed {
        whole.data.insert("skipped".into(), Value::Unknown);
    }
    whole.msg = Some(
        if whole.failed {
            "One or more items failed"
        } else if whole.skipped {
            "All items skipped"
        } else {
            "All items completed"
        }
        .to_owned(),
    );
    whole.data.insert("results".into(), Value::list(results.iter().map(to_value).collect()));
    whole
}
