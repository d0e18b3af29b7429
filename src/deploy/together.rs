//! Several operations on a host in one trip and one Python, each told as a step of its own.
//!
//! What an operation is does not change by it: the far side runs them one after the other, each with its token, its mutex
//! and its journal, and ends at the first that refuses. So they can be done again, as each of them can.

use super::far::{CallError, Extra, part};
use super::fleet::{Fleet, Halt, Outcomes, Reading, patiently};
use crate::engine::event::{Event, TaskInfo};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// One of them.
pub struct Part<'a> {
    /// What it is called, for people.
    pub name: &'a str,
    /// Which.
    pub operation: &'static str,
    /// Of each host; `None` where this host has none of it.
    pub parameters: &'a (dyn Fn(usize) -> Option<Value> + Sync),
    /// What its answer means.
    pub reading: Reading,
}

/// What came of the parts on one host, as far as it went: place, and by part.
type Done = (usize, Vec<Option<(Result<Value, CallError>, Duration)>>);

impl Fleet {
    /// Runs parts that must all succeed on these hosts. What came of each part: its answers, by place.
    ///
    /// # Errors
    /// The first failure, by the order of the play; Ctrl-C, before it begins.
    pub async fn together(
        &self,
        places: &[usize],
        parts: &[Part<'_>],
        extra: &(dyn Fn(usize) -> Extra + Sync),
    ) -> Result<Vec<Vec<(usize, Value)>>, Halt> {
        self.go_on()?;
        let mut good = Vec::new();
        let mut bad: Option<(usize, Halt)> = None;
        for (part, outcomes) in parts.iter().zip(self.side_by_side(places, parts, extra).await) {
            let mut answers = Vec::new();
            for (place, outcome) in outcomes {
                match outcome {
                    Ok(value) => answers.push((place, value)),
                    Err(error) if bad.as_ref().is_none_or(|(before, _)| place < *before) => {
                        let (host, step) = (Arc::clone(self.name(place)), part.name.to_owned());
                        bad = Some((place, Halt::Failed { host, step, error }));
                    }
                    Err(_) => {}
                }
            }
            good.push(answers);
        }
        match bad {
            Some((_, halt)) => Err(halt),
            None => Ok(good),
        }
    }

    /// Runs parts on hosts at once: what came of each part, by place. Where one failed, those after it were not begun.
    pub async fn side_by_side(
        &self,
        places: &[usize],
        parts: &[Part<'_>],
        extra: &(dyn Fn(usize) -> Extra + Sync),
    ) -> Vec<Outcomes> {
        let infos: Vec<Arc<TaskInfo>> = parts.iter().map(|p| self.info(p.name)).collect();
        let mut running: JoinSet<Done> = JoinSet::new();
        for &place in places {
            let far = Arc::clone(&self.fars[place]);
            let mut asked: Vec<(usize, Value)> = Vec::new();
            for (index, part) in parts.iter().enumerate() {
                if let Some(Value::Object(mut one)) = (part.parameters)(place) {
                    one.insert("op".into(), part.operation.into());
                    asked.push((index, Value::Object(one)));
                }
            }
            let Some((first, _)) = asked.first() else { continue };
            let (first, count, extra) = (Arc::clone(&infos[*first]), parts.len(), extra(place));
            let events = self.deploy.events.clone();
            running.spawn(async move {
                let _ = events.send(Event::TaskStart { host: Arc::clone(far.name()), task: first });
                let (indices, operations): (Vec<usize>, Vec<Value>) = asked.into_iter().unzip();
                let begun = Instant::now();
                let outcome = patiently(&far, "several", &json!({ "operations": operations }), &extra).await;
                let mut found = vec![None; count];
                match outcome {
                    Ok(mut told) => {
                        let answers = told["answers"].as_array_mut().map(std::mem::take).unwrap_or_default();
                        for (index, mut answer) in indices.into_iter().zip(answers) {
                            let took = answer["seconds"].take().as_f64().unwrap_or_default();
                            found[index] = Some((part(answer), Duration::from_secs_f64(took.clamp(0.0, 1e6))));
                        }
                    }
                    // How far it came is not known: the first may have failed as well as the last.
                    Err(error) => {
                        if let Some(&index) = indices.first() {
                            found[index] = Some((Err(error), begun.elapsed()));
                        }
                    }
                }
                (place, found)
            });
        }
        let mut all: Vec<Outcomes> = parts.iter().map(|_| Vec::new()).collect();
        while let Some(done) = running.join_next().await {
            let Ok((place, found)) = done else { continue };
            for (index, outcome) in found.into_iter().enumerate() {
                let Some((outcome, took)) = outcome else { continue };
                self.tell(place, &infos[index], &outcome, took, parts[index].reading);
                all[index].push((place, outcome));
            }
        }
        for outcomes in &mut all {
            outcomes.sort_by_key(|(place, _)| *place);
        }
        all
    }
}
