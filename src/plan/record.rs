//! Records what a plan decides.

use super::digest::Seal;
use super::material::Met;
use super::steps::{HostPlan, Outcome, Step};
use crate::engine::event::StepResult;
use crate::engine::watch::{Decided, Watch};
use indexmap::IndexMap;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// A step on a host, by place and item.
type Place = (Vec<u32>, usize);

/// Records what a plan decides.
pub struct Recorder {
    /// Only these hosts, if there are any limits.
    only: Option<HashSet<Arc<str>>>,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    /// The number of plays that have begun.
    plays: u32,
    hosts: IndexMap<Arc<str>, Vec<(Step, Vec<Met>)>>,
    /// Decided and not told yet.
    open: HashMap<(Arc<str>, Place), Vec<Met>>,
}

impl Recorder {
    /// A recorder; if `only` names hosts, nothing is planned for others.
    pub fn new(only: Option<HashSet<Arc<str>>>) -> Self {
        Self { only, found: Mutex::default() }
    }

    /// What was decided for these hosts, each with whether it could be reached. `inventory` gives the digest of what the
    /// inventory says of one. To be called when the run is over and all secrets are known.
    pub fn hosts(
        &self,
        hosts: impl IntoIterator<Item = (Arc<str>, bool)>,
        inventory: impl Fn(&str) -> String,
        seal: &Seal,
    ) -> IndexMap<Arc<str>, HostPlan> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        hosts
            .into_iter()
            .map(|(host, reached)| {
                let met = found.hosts.shift_remove(&host).filter(|_| reached).unwrap_or_default();
                let steps = met.into_iter().map(|(step, acts)| Step {
                    task: seal.masked(&step.task),
                    label: step.label.as_deref().map(|label| seal.masked(label)),
                    why: step.why.as_deref().map(|why| seal.masked(why)),
                    acts: acts.iter().map(|met| met.act(seal)).collect(),
                    ..step
                });
                let plan = HostPlan { reached, inventory: inventory(&host), steps: steps.collect() };
                (host, plan)
            })
            .collect()
    }
}

impl Watch for Recorder {
    fn play(&self) {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).plays += 1;
    }

    fn leaves_out(&self, host: &str) -> bool {
        self.only.as_ref().is_some_and(|only| !only.contains(host))
    }

    fn decided(&self, step: &Decided<'_>) -> Result<(), String> {
        // What a further try would do, only the one before can tell.
        if !step.speculative && step.attempt == 1 {
            let met = Met::new(step);
            let place = (Arc::clone(step.host), (step.task.position.clone(), step.item));
            let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            let acts = found.open.entry(place).or_default();
            // A task that runs in plans, too, is looked at until it is done.
            match acts.iter_mut().find(|a| a.round == met.round) {
                Some(before) => *before = met,
                None => acts.push(met),
            }
        }
        Ok(())
    }

    fn told(&self, item: usize, result: &StepResult) {
        if result.summary || result.retry.is_some() {
            return;
        }
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (result.task.position.clone(), item);
        let acts = found.open.remove(&(Arc::clone(&result.host), place)).unwrap_or_default();
        let outcome = Outcome::of(result.status);
        let failed = matches!(outcome, Outcome::Fail | Outcome::Ignored);
        let step = Step {
            play: found.plays.saturating_sub(1),
            at: result.task.position.clone(),
            item,
            task: result.task.name.to_string(),
            label: result.item.clone(),
            outcome,
            assumed: matches!(result.certainty, crate::host::Certainty::Assumed(_)),
            acts: Vec::new(),
            why: result.result.msg.clone().filter(|_| failed),
        };
        found.hosts.entry(Arc::clone(&result.host)).or_default().push((step, acts));
    }
}
