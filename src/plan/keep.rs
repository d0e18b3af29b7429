//! Keeps a run to its plan: what is decided while hosts change is held against what was foretold.

use super::digest::Seal;
use super::material::Met;
use super::steps::{HostPlan, Outcome, Step};
use crate::engine::event::{StepResult, TaskInfo};
use crate::engine::watch::{Decided, Watch};
use indexmap::IndexMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Lets pass what the plan says, and nothing else.
///
/// What may differ from the plan, and why:
/// - a step that it leaves to apply (`known after apply`), and what follows from such a step alone: tasks of an include,
///   items of a loop, handlers;
/// - tasks that run since something failed and was rescued;
/// - how a step acts that rests on what steps before it bring about, as long as its arguments are those of the plan;
/// - rounds after the first and further tries: they rest on what the host has said meanwhile.
pub struct Keeper {
    seal: Arc<Seal>,
    hosts: IndexMap<Arc<str>, HostSteps>,
    plays: AtomicU32,
}

struct HostSteps {
    reached: bool,
    steps: HashMap<(u32, Vec<u32>, usize), Step>,
}

impl Keeper {
    /// A keeper for a plan.
    pub fn new(seal: Arc<Seal>, plan: &IndexMap<Arc<str>, HostPlan>) -> Self {
        let hosts = plan.iter().map(|(host, plan)| {
            let steps = plan.steps.iter().map(|s| ((s.play, s.at.clone(), s.item), s.clone())).collect();
            (Arc::clone(host), HostSteps { reached: plan.reached, steps })
        });
        Self { seal, hosts: hosts.collect(), plays: AtomicU32::new(0) }
    }
}

impl HostSteps {
    /// Whether a task that the plan does not have follows from what the plan leaves to apply.
    fn leaves_open(&self, play: u32, task: &TaskInfo) -> bool {
        self.steps.values().filter(|s| s.play == play && s.outcome == Outcome::Unknown).any(|open| {
            // Below an include, or another item of a loop; a handler that such a step may have notified.
            task.position.starts_with(&open.at) || task.handler && open.at < task.position
        })
    }
}

impl Watch for Keeper {
    fn play(&self) {
        self.plays.fetch_add(1, Ordering::SeqCst);
    }

    fn leaves_out(&self, host: &str) -> bool {
        self.hosts.get(host).is_none_or(|h| !h.reached)
    }

    fn decided(&self, step: &Decided<'_>) -> Result<(), String> {
        let play = self.plays.load(Ordering::SeqCst).saturating_sub(1);
        let Some(host) = self.hosts.get(step.host) else {
            return Err("the plan does not have this host".to_owned());
        };
        let Some(planned) = host.steps.get(&(play, step.task.position.clone(), step.item)) else {
            if step.after_failure || host.leaves_open(play, step.task) {
                return Ok(());
            }
            return Err(refusal("the plan does not have this step"));
        };
        match planned.outcome {
            Outcome::Unknown | Outcome::Change => {}
            // It acts in the plan, too, and was found to change nothing (`changed_when`), or to be ignored.
            Outcome::Ok | Outcome::Ignored if !planned.acts.is_empty() => {}
            other => {
                let assumed =
                    if planned.assumed { " unless the steps before it changed that, which they did" } else { "" };
                return Err(refusal(&format!("the plan says {}{assumed}", other.words())));
            }
        }
        // None: it was left to apply as a whole. What is drawn at random is drawn anew.
        let Some(first) = planned.acts.first().filter(|first| !first.drawn) else { return Ok(()) };
        let now = Met::new(step).act(&self.seal);
        if first.aim != now.aim {
            return Err(refusal("its arguments are not those of the plan (a variable or a fact differs)"));
        }
        let comparable = step.round == 0 && step.attempt == 1 && first.round == 0 && first.known;
        if comparable && step.is_known() && first.actions != now.actions {
            return Err(refusal("it would do something else than planned"));
        }
        Ok(())
    }

    fn told(&self, _: usize, _: &StepResult) {}
}

fn refusal(why: &str) -> String {
    format!(
        "not as planned: {why}. Nothing of this step was done, and this host stops here; make a new plan for the rest"
    )
}
