//! `serve(release)` over the hosts: deploy, rollback, return and recovery all come here.

use super::Ended;
use super::far::Extra;
use super::fleet::{Fleet, Halt, Outcomes, changed, fine, patiently, plain};
use super::together::Part;
use crate::playbook::deploy::Strategy;
use serde_json::{Value, json};
use std::time::Duration;

/// Which release to serve, and where from.
#[derive(Debug, Clone)]
pub struct Change {
    /// The release that is to serve.
    pub release: String,
    /// What serves before, by place.
    pub previous: Vec<Option<String>>,
    /// The hosts that take part, by place.
    pub places: Vec<usize>,
}

/// How far a change has come: what has to be undone if it fails.
#[derive(Debug, Clone, Default)]
pub struct Reached {
    /// Hosts on which the candidate was, or may have been, started.
    pub started: Vec<usize>,
    /// Hosts on which the record was, or may have been, written.
    pub switched: Vec<usize>,
    /// Hosts that were, or may have been, taken out of the balancer.
    pub out: Vec<usize>,
    /// Whether Celery's processes were, or may have been, changed.
    pub workers: bool,
    /// Sizes of nginx's logs at the switch.
    pub logs: Vec<(usize, Option<u64>)>,
}

const STARTING: &str = "start and prove it";

fn healthy(answer: &Value) -> (bool, String) {
    let seconds = answer["seconds"].as_f64().unwrap_or_default();
    (answer["already"] != true, format!("healthy after {seconds} s"))
}

impl Fleet {
    /// What the health check of a release is told. A release that has served before has to prove less.
    pub(super) fn gate(&self, release: &str, previous: Option<&str>, proven: bool) -> Value {
        let a = &self.spec.args;
        json!({
            "release": release, "previous": previous, "gate_timeout": a.health_timeout,
            "successes": if proven { 2 } else { a.health_successes },
            "healthy_for": if proven { 0.0 } else { a.healthy_for },
            "wait": 90,
        })
    }

    /// Starts the candidate on hosts, each on a socket of its own, until it is healthy there.
    ///
    /// # Errors
    /// The first host on which it is not.
    pub async fn start(
        &self,
        change: &Change,
        places: &[usize],
        proven: bool,
        reached: &mut Reached,
    ) -> Result<(), Halt> {
        let web = self.web(places);
        reached.started.extend(&web);
        let parameters = |p: usize| self.gate(&change.release, change.previous[p].as_deref(), proven);
        self.all(&web, STARTING, "start", &parameters, &self.gate_limit(), healthy).await.map(drop)
    }

    /// The same of the first batch, after `before`, which all of these hosts do in the same trip.
    ///
    /// # Errors
    /// As of both.
    pub(super) async fn start_after(
        &self,
        before: Part<'_>,
        change: &Change,
        proven: bool,
        reached: &mut Reached,
    ) -> Result<(), Halt> {
        let web = self.web(&change.places);
        let batches = self.spec.batches(&web).map_err(|text| Halt::wrong("batch", format!("`batch`: {text}")))?;
        let first = match self.spec.args.strategy {
            Strategy::BlueGreen => batches.into_iter().next().unwrap_or_default(),
            // Something else has to stop before.
            Strategy::Restart => Vec::new(),
        };
        self.go_on()?;
        reached.started.extend(&first);
        let start =
            |p: usize| first.contains(&p).then(|| self.gate(&change.release, change.previous[p].as_deref(), proven));
        let parts = [before, Part { name: STARTING, operation: "start", parameters: &start, reading: healthy }];
        self.together(&change.places, &parts, &self.gate_limit()).await.map(drop)
    }

    fn gate_limit(&self) -> impl Fn(usize) -> Extra + Sync + use<> {
        let limit = u64::try_from(self.spec.args.health_timeout).unwrap_or(60) + 120;
        move |_| Extra { timeout: Some(Duration::from_secs(limit)), ..Extra::default() }
    }

    /// Makes a release serve on hosts where it is healthy: the record, the link, the front door.
    ///
    /// # Errors
    /// The first host on which that did not go well.
    pub async fn switch(&self, change: &Change, places: &[usize], reached: &mut Reached) -> Result<(), Halt> {
        self.go_on()?;
        // From here on it may have happened, whatever comes back.
        reached.switched.extend(places);
        let parameters = |p: usize| {
            json!({
                "release": change.release, "previous": change.previous[p], "web": self.spec.duties[p].web,
                "watch_log": self.spec.args.watch_log, "wait": 60,
            })
        };
        let switched = self.all(places, "switch", "switch", &parameters, &plain, changed).await?;
        reached.logs.extend(switched.into_iter().map(|(p, v)| (p, v["log"].as_u64())));
        Ok(())
    }

    /// Serves a release on all hosts, batch by batch.
    ///
    /// # Errors
    /// The first failure, with what was reached in `reached`.
    pub async fn serve(&self, change: &Change, proven: bool, reached: &mut Reached) -> Result<(), Halt> {
        let web = self.web(&change.places);
        let batches = self.spec.batches(&web).map_err(|text| Halt::wrong("batch", format!("`batch`: {text}")))?;
        for batch in batches {
            let open: Vec<usize> = batch;
            match self.spec.args.strategy {
                Strategy::BlueGreen => {
                    // A rollback has started the first batch already.
                    let cold: Vec<usize> = open.iter().copied().filter(|p| !reached.started.contains(p)).collect();
                    self.start(change, &cold, proven, reached).await?;
                    self.switch(change, &open, reached).await?;
                }
                Strategy::Restart => self.replace(change, &open, proven, reached).await?,
            }
        }
        let others: Vec<usize> = change.places.iter().copied().filter(|p| !web.contains(p)).collect();
        if !others.is_empty() {
            self.switch(change, &others, reached).await?;
        }
        self.workers(change, reached).await
    }

    /// Celery's processes follow: warmly, and with one scheduler.
    async fn workers(&self, change: &Change, reached: &mut Reached) -> Result<(), Halt> {
        let with = self.celery(&change.places);
        if with.is_empty() {
            return Ok(());
        }
        reached.workers = true;
        self.run_workers(&with, &|_| Some(change.release.clone())).await
    }

    /// Of these hosts, those with processes of Celery.
    pub(super) fn celery(&self, places: &[usize]) -> Vec<usize> {
        let has = |p: usize| self.spec.duties[p].worker || self.spec.duties[p].beat;
        places.iter().copied().filter(|&p| has(p)).collect()
    }

    async fn run_workers(
        &self,
        places: &[usize],
        release: &(dyn Fn(usize) -> Option<String> + Sync),
    ) -> Result<(), Halt> {
        let wait = self.spec.args.worker_wait;
        let parameters = |p: usize| {
            let duties = self.spec.duties[p];
            let kinds: Vec<&str> = [("worker", duties.worker), ("beat", duties.beat)]
                .into_iter()
                .filter_map(|(k, on)| on.then_some(k))
                .collect();
            json!({ "release": release(p), "kinds": kinds, "worker_wait": wait, "wait": 60 })
        };
        let limit = Duration::from_secs(u64::try_from(wait).unwrap_or(600) + 180);
        let extra = |_: usize| Extra { timeout: Some(limit), durable: true, ..Extra::default() };
        self.all(places, "restart Celery", "workers", &parameters, &extra, changed).await.map(drop)
    }

    /// Lets every other release end on these hosts.
    pub async fn drain(&self, release: &str, places: &[usize]) -> Outcomes {
        let web = self.web(places);
        let parameters = |_: usize| json!({ "release": release, "drain": self.spec.args.drain, "wait": 60 });
        let limit = Duration::from_secs(u64::try_from(self.spec.args.drain).unwrap_or(60) + 240);
        let extra = |_: usize| Extra { timeout: Some(limit), durable: true, ..Extra::default() };
        self.step(&web, "let the old release end", "drain", &parameters, &extra, |v| {
            let ended = v["ended"].as_array().map(Vec::as_slice).unwrap_or_default();
            let cut: u64 = ended.iter().filter_map(|e| e["cut"].as_u64()).sum();
            let text = match (ended.len(), cut) {
                (0, _) => String::new(),
                (_, 0) => "all of its requests were answered".to_owned(),
                (_, n) => format!("{n} connections were still open when its time was up, and are cut"),
            };
            (!ended.is_empty(), text)
        })
        .await
    }

    /// Writes down that a change is done, and removes what is no longer kept. `Some` tells where it could not be written,
    /// and why.
    pub(super) async fn finish(
        &self,
        change: &Change,
        done: &(dyn Fn(usize) -> Value + Sync),
        prune: &(dyn Fn(usize) -> Option<Value> + Sync),
    ) -> Option<Ended> {
        let parts = [
            Part {
                name: "write down that it serves",
                operation: "finish",
                parameters: &|p| Some(done(p)),
                reading: fine,
            },
            Part {
                name: "remove what is no longer kept",
                operation: "prune",
                parameters: prune,
                reading: |v| {
                    let removed = v["removed"].as_array().map(Vec::as_slice).unwrap_or_default();
                    let names: Vec<&str> = removed.iter().filter_map(Value::as_str).collect();
                    (!names.is_empty(), names.join(", "))
                },
            },
        ];
        let mut told = self.side_by_side(&change.places, &parts, &plain).await.into_iter();
        let finished = told.next().unwrap_or_default();
        for (place, outcome) in told.next().unwrap_or_default() {
            if let Err(error) = outcome {
                self.notice(Some(place), format!("old releases could not be removed: {error}"));
            }
        }
        let bad: Vec<_> = finished.into_iter().filter_map(|(p, outcome)| Some((p, outcome.err()?))).collect();
        let (_, error) = bad.first()?;
        let lost: Vec<usize> = bad.iter().map(|(p, _)| *p).collect();
        let reason = format!(
            "{} serves, but that could not be written down on {} ({error}); the next command does it",
            change.release,
            self.names(&lost),
        );
        Some(Ended {
            changed: true,
            failure: Some((error.kind().to_owned(), reason)),
            log: error.log().to_vec(),
            lost,
            ..Ended::default()
        })
    }

    /// Puts hosts back on what served before. What could not be put back is in the answer.
    pub async fn give_back(&self, change: &Change, reached: &Reached) -> Vec<(usize, String)> {
        let mut left: Vec<(usize, String)> = Vec::new();
        let mut note = |outcomes: &Outcomes| -> Vec<usize> {
            let mut good = Vec::new();
            for (place, outcome) in outcomes {
                match outcome {
                    Ok(_) => good.push(*place),
                    Err(error) => left.push((*place, error.to_string())),
                }
            }
            good
        };
        let (mut had, first): (Vec<usize>, Vec<usize>) =
            reached.switched.iter().copied().partition(|&p| change.previous[p].is_some());
        had.retain(|&p| change.previous[p].as_deref() != Some(&change.release));
        let to = |p: usize| change.previous[p].clone().unwrap_or_default();
        if !had.is_empty() {
            let web = self.web(&had);
            if self.spec.args.strategy == Strategy::Restart {
                // There is no room for both. Where this fails, so does the start below.
                if let Err(halt) = self.end_others(&to, &web, 0).await {
                    self.notice(None, format!("the new release could not be stopped: {halt}"));
                }
            }
            let gate = |p: usize| self.gate(&to(p), Some(&change.release), true);
            let started = self
                .step(&web, "start what served before", "start", &gate, &plain, |v| {
                    (v["already"] != true, String::new())
                })
                .await;
            let mut ready = note(&started);
            ready.extend(had.iter().filter(|p| !web.contains(p)));
            let parameters = |p: usize| {
                json!({
                    "release": to(p), "previous": change.release, "web": self.spec.duties[p].web, "front": false, "wait": 60,
                })
            };
            let switched = self.step(&ready, "switch back", "switch", &parameters, &plain, changed).await;
            note(&switched);
        }
        if !first.is_empty() {
            let parameters = |_: usize| json!({ "release": change.release, "wait": 60 });
            let withdrawn = self.step(&first, "stop what can't serve", "withdraw", &parameters, &plain, changed).await;
            note(&withdrawn);
        }
        if reached.workers {
            let with: Vec<usize> =
                self.celery(&change.places).into_iter().filter(|&p| change.previous[p].is_some()).collect();
            if let Err(halt) = self.run_workers_quietly(&with, &|p| change.previous[p].clone()).await {
                self.notice(None, format!("Celery's processes could not be put back: {halt}"));
            }
        }
        let gone: Vec<usize> = left.iter().map(|(p, _)| *p).collect();
        let candidates: Vec<usize> =
            reached.started.iter().copied().filter(|p| !gone.contains(p) && !first.contains(p)).collect();
        // Its last requests end first: for a moment it served.
        for &place in &candidates {
            if change.previous[place].as_deref() == Some(&change.release) {
                continue;
            }
            let keep = to(place);
            if !keep.is_empty() && reached.switched.contains(&place) {
                self.drain(&keep, &[place]).await;
            }
        }
        let discard: Vec<usize> =
            candidates.into_iter().filter(|&p| change.previous[p].as_deref() != Some(&change.release)).collect();
        let parameters = |_: usize| json!({ "release": change.release, "wait": 60 });
        let discarded = self.step(&discard, "stop the new release", "discard", &parameters, &plain, fine).await;
        for (place, outcome) in discarded {
            if let Err(error) = outcome {
                left.push((place, error.to_string()));
            }
        }
        let ready: Vec<usize> = reached.out.iter().copied().filter(|p| left.iter().all(|(q, _)| p != q)).collect();
        if let Err(halt) = self.enter(&ready).await {
            left.extend(ready.into_iter().map(|p| (p, format!("it is still out of the balancer: {halt}"))));
        }
        left.sort_by_key(|(p, _)| *p);
        left.dedup_by_key(|(p, _)| *p);
        left
    }

    /// As [`Fleet::run_workers`], also after Ctrl-C.
    pub(super) async fn run_workers_quietly(
        &self,
        places: &[usize],
        release: &(dyn Fn(usize) -> Option<String> + Sync),
    ) -> Result<(), Halt> {
        for &place in places {
            let duties = self.spec.duties[place];
            let kinds: Vec<&str> = [("worker", duties.worker), ("beat", duties.beat)]
                .into_iter()
                .filter_map(|(k, on)| on.then_some(k))
                .collect();
            let asked = json!({ "release": release(place), "kinds": kinds, "worker_wait": self.spec.args.worker_wait });
            let extra = Extra { durable: true, ..Extra::default() };
            patiently(&self.fars[place], "workers", &asked, &extra).await.map_err(|error| Halt::Failed {
                host: self.name(place).clone(),
                step: "workers".to_owned(),
                error,
            })?;
        }
        Ok(())
    }

    /// A host on which two instances can't or shall not run side by side: the old one stops, the new one starts.
    async fn replace(
        &self,
        change: &Change,
        places: &[usize],
        proven: bool,
        reached: &mut Reached,
    ) -> Result<(), Halt> {
        self.go_on()?;
        reached.out.extend(places);
        self.leave(places).await?;
        // What serves stops: from here on it has to be started again if this fails. The record names it until then, so
        // that it is what a reboot starts.
        reached.started.extend(places);
        reached.switched.extend(places);
        let budget = if self.balanced() { self.spec.args.drain } else { 0 };
        self.end_others(&|_| change.release.clone(), places, budget).await?;
        self.start(change, places, proven, reached).await?;
        self.switch(change, places, reached).await?;
        self.enter(places).await?;
        reached.out.retain(|p| !places.contains(p));
        Ok(())
    }

    /// Stops all releases but one, so that the one can start alone. Requests under way are answered first.
    async fn end_others(
        &self,
        keep: &(dyn Fn(usize) -> String + Sync),
        places: &[usize],
        budget: i64,
    ) -> Result<(), Halt> {
        let parameters = |p: usize| json!({ "release": keep(p), "drain": budget, "wait": 60 });
        let limit = Duration::from_secs(u64::try_from(budget).unwrap_or(60) + 240);
        let extra = |_: usize| Extra { timeout: Some(limit), durable: true, ..Extra::default() };
        let stopped = self.step(places, "stop the other release", "drain", &parameters, &extra, |v| {
            (v["ended"].as_array().is_some_and(|e| !e.is_empty()), String::new())
        });
        for (place, outcome) in stopped.await {
            outcome.map_err(|error| Halt::Failed {
                host: self.name(place).clone(),
                step: "stop the other release".to_owned(),
                error,
            })?;
        }
        Ok(())
    }
}
