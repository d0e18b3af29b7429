//! What a run that died left behind is put right before anything new begins.

use super::database::Pending;
use super::far::{CallError, Extra};
use super::fleet::{Fleet, Halt, fine, patiently, plain};
use super::serve::{Change, Reached};
use super::survey::Survey;
use crate::playbook::deploy::Unsafe;
use serde_json::json;

/// What is to be done about an unfinished deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovery {
    /// Nothing is unfinished.
    None,
    /// Every host had switched: the rest follows.
    Forward {
        /// The release that serves everywhere.
        release: String,
    },
    /// Some had, some had not: all go back.
    Back {
        /// The release that is not to serve.
        release: String,
        /// What served before, as the journals tell, by place.
        previous: Vec<(usize, Option<String>)>,
    },
}

/// Decides from the journals: all hosts of the deploy switched, forward; else back. Hosts that can't be reached have no
/// say. `name` is what a host is called in journals.
pub fn decide(surveys: &[(usize, Survey)], name: &dyn Fn(usize) -> String) -> Recovery {
    let unfinished = surveys.iter().find_map(|(_, s)| {
        let (first, _) = s.unfinished()?;
        Some((first.release.clone()?, first.hosts.clone()))
    });
    let Some((release, hosts)) = unfinished else { return Recovery::None };
    let of: Vec<&(usize, Survey)> = surveys
        .iter()
        .filter(|(_, s)| s.unfinished().is_some_and(|(e, _)| e.release.as_deref() == Some(&release)))
        .collect();
    let switched = |s: &Survey| s.release() == Some(&release);
    // Also those that came to their end while others did not.
    if surveys.iter().filter(|(p, _)| hosts.contains(&name(*p))).all(|(_, s)| switched(s))
        && of.iter().all(|(_, s)| switched(s))
    {
        return Recovery::Forward { release };
    }
    let previous = of
        .iter()
        .map(|(p, s)| {
            let before = s.unfinished().and_then(|(e, _)| e.previous.clone());
            (*p, before.filter(|b| *b != release))
        })
        .collect();
    Recovery::Back { release, previous }
}

/// What was put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The release of a deploy that had switched hosts and was taken back: what a rollback would have done.
    pub taken_back: Option<String>,
}

impl Fleet {
    /// Puts hosts right. The lock is held. `None` where nothing was unfinished.
    ///
    /// # Errors
    /// A host could not be put right: which, and why.
    pub async fn recover(&self, surveys: &[(usize, Survey)]) -> Result<Option<Recovered>, Halt> {
        let recovery = decide(surveys, &|p| self.name(p).to_string());
        let about = surveys.iter().find_map(|(_, s)| s.unfinished().map(|(e, phase)| (e.clone(), phase.to_owned())));
        let Some((entry, phase)) = about else { return Ok(None) };
        let kind = entry.kind.clone().unwrap_or_else(|| "deploy".to_owned());
        let by = entry.by.clone().unwrap_or_default();
        let (release, places, result) = match recovery {
            Recovery::None => return Ok(None),
            Recovery::Forward { release } => {
                self.notice(None, format!("the {kind} of {release} by {by} ended at `{phase}` without a word; every host had switched, so it is brought to its end"));
                // Hosts that were left out of it serve something else, and go on with that.
                let places: Vec<usize> =
                    surveys.iter().filter(|(_, s)| s.release() == Some(&release)).map(|(p, _)| *p).collect();
                match self.complete(&release, &places).await? {
                    None => {
                        if kind == "deploy" && self.spec.args.after_switch.is_some() {
                            self.notice(None, "whether its commands of `after_switch` were run is not known: `windlass exec` runs them by hand");
                        }
                        if let Some(&first) = places.first().filter(|_| kind == "deploy") {
                            self.tell_deferred(&release, first).await;
                        }
                        (release, places, "done")
                    }
                    Some(why) => {
                        self.notice(
                            None,
                            format!("{release} does not serve well ({why}): all return to what served before"),
                        );
                        let before = |s: &Survey| s.journal.first().and_then(|e| e.previous.clone());
                        let previous = surveys
                            .iter()
                            .filter(|(p, _)| places.contains(p))
                            .map(|(p, s)| (*p, before(s).filter(|b| *b != release)))
                            .collect();
                        self.put_back(surveys, &release, previous).await?;
                        (release, places, "returned")
                    }
                }
            }
            Recovery::Back { release, previous } => {
                self.notice(None, format!("the {kind} of {release} by {by} ended at `{phase}` without a word; not every host had switched, so all return to what served before"));
                let places: Vec<usize> = previous.iter().map(|(p, _)| *p).collect();
                self.put_back(surveys, &release, previous).await?;
                (release, places, "returned")
            }
        };
        for &place in &places {
            let asked = json!({
                "kind": kind, "result": result, "release": release, "previous": entry.previous, "by": by,
                "reason": format!("ended at {phase} without a word; put right by {}", self.who.owner),
                "unfinished": release,
            });
            let done = patiently(&self.fars[place], "finish", &asked, &Extra::default()).await;
            done.map_err(|error| Halt::Failed { host: self.name(place).clone(), step: "finish".into(), error })?;
        }
        let switched = surveys.iter().any(|(_, s)| s.release() == Some(&release));
        let taken_back = (kind == "deploy" && result == "returned" && switched).then_some(release);
        Ok(Some(Recovered { taken_back }))
    }

    /// Migrations that were to follow the switch did not, where the deploy ended before. They are not applied here: what
    /// comes next may be a rollback, which they would be in the way of.
    async fn tell_deferred(&self, release: &str, place: usize) {
        if !self.spec.args.migrate || self.spec.args.unsafe_migrations != Unsafe::Defer {
            return;
        }
        match Pending::of(&self.fars[place], release, None).await {
            Ok(pending) if pending.any() => self.notice(
                None,
                format!(
                    "migrations of {release} that waited for the switch are not applied: {}. The next deploy applies them; of the same files, that is `windlass deploy --again`",
                    pending.names().join(", ")
                ),
            ),
            Ok(_) => {}
            Err(error) => self.notice(
                None,
                format!("whether migrations of {release} are still to be applied can't be read: {error}"),
            ),
        }
    }

    /// The rest of a change that every one of these hosts has switched to; `Some` says why it can't be.
    async fn complete(&self, release: &str, places: &[usize]) -> Result<Option<String>, Halt> {
        self.settle(places, release).await?;
        let parameters = |p: usize| json!({ "release": release, "web": self.spec.duties[p].web, "wait": 60 });
        for (place, outcome) in self.step(places, "switch", "switch", &parameters, &plain, fine).await {
            match outcome {
                Ok(_) => {}
                Err(error @ CallError::Refused { .. }) if error.kind() != "lost-lock" => {
                    return Ok(Some(format!("{}: {error}", self.name(place))));
                }
                Err(error) => {
                    return Err(Halt::Failed { host: self.name(place).clone(), step: "switch".to_owned(), error });
                }
            }
        }
        let with: Vec<usize> = self.celery(places);
        if let Err(halt) = self.run_workers_quietly(&with, &|_| Some(release.to_owned())).await {
            self.notice(None, format!("Celery's processes do not all run {release}: {halt}"));
        }
        self.enter(&self.web(places)).await?;
        self.drain(release, places).await;
        Ok(None)
    }

    /// Back to what served before. Where that does not start either, it is told, and what comes next can mend it.
    async fn put_back(
        &self,
        surveys: &[(usize, Survey)],
        release: &str,
        before: Vec<(usize, Option<String>)>,
    ) -> Result<(), Halt> {
        let places: Vec<usize> = before.iter().map(|(p, _)| *p).collect();
        let mut previous: Vec<Option<String>> = vec![None; self.fars.len()];
        for (place, was) in before {
            previous[place] = was;
        }
        let change = Change { release: release.to_owned(), previous, places: places.clone() };
        // With `restart` the old release may have been stopped before anything was recorded.
        let stops = self.spec.args.strategy == crate::playbook::deploy::Strategy::Restart;
        let may = |s: &Survey| stops || s.release() == Some(release);
        let switched = surveys.iter().filter(|(p, s)| places.contains(p) && may(s)).map(|(p, _)| *p);
        let reached = Reached {
            started: self.web(&places),
            switched: switched.collect(),
            out: self.web(&places),
            workers: !self.celery(&places).is_empty(),
            logs: Vec::new(),
        };
        for (place, why) in self.give_back(&change, &reached).await {
            self.notice(Some(place), format!("could not be put back: {why}"));
        }
        self.settle(&places, release).await
    }

    async fn settle(&self, places: &[usize], release: &str) -> Result<(), Halt> {
        for &place in places {
            let asked = json!({ "release": release });
            let settled = patiently(&self.fars[place], "settle", &asked, &Extra::default()).await;
            settled.map_err(|error| Halt::Failed { host: self.name(place).clone(), step: "settle".into(), error })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::survey::Entry;
    use super::super::survey::tests::survey;
    use super::*;

    fn cut(serving: Option<&str>, previous: Option<&str>, phase: &str) -> Survey {
        let mut host = survey(serving, &["old", "new"]);
        let line = |phase: &str| -> Entry {
            serde_json::from_value(
                json!({"phase": phase, "state": "begin", "release": "new", "previous": previous, "hosts": ["a", "b"]}),
            )
            .unwrap()
        };
        host.journal = vec![line("start"), line(phase)];
        host
    }

    #[test]
    fn all_switched_goes_forward_and_anything_else_back() {
        let named = |p: usize| ["a", "b"][p].to_owned();
        let back = |hosts: &[(usize, Survey)]| decide(hosts, &named);
        let (early, late) = (cut(Some("old"), Some("old"), "unpack"), cut(Some("new"), Some("old"), "switch"));
        assert_eq!(back(&[(0, late.clone()), (1, late.clone())]), Recovery::Forward { release: "new".into() });
        let all = vec![(0, Some("old".to_owned())), (1, Some("old".to_owned()))];
        assert_eq!(
            back(&[(0, late.clone()), (1, early.clone())]),
            Recovery::Back { release: "new".into(), previous: all }
        );
        assert_eq!(back(&[(0, survey(Some("old"), &["old"]))]), Recovery::None);
        // One has gone back already: so do the others.
        let returned = survey(Some("old"), &["old", "new"]);
        assert!(matches!(back(&[(0, late), (1, returned)]), Recovery::Back { .. }));
    }

    #[test]
    fn a_first_deploy_that_was_cut_goes_back_to_nothing() {
        let first = cut(None, None, "venv");
        assert_eq!(
            decide(&[(0, first)], &|_| "a".to_owned()),
            Recovery::Back { release: "new".into(), previous: vec![(0, None)] }
        );
    }
}
