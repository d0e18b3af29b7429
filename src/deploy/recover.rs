//! What a run that died left behind is put right before anything new begins.

use super::fleet::{Fleet, Halt};
use super::serve::{Change, Reached};
use super::survey::Survey;
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

impl Fleet {
    /// Puts hosts right. The lock is held. Whether anything was done.
    ///
    /// # Errors
    /// A host could not be put right: which, and why.
    pub async fn recover(&self, surveys: &[(usize, Survey)]) -> Result<bool, Halt> {
        let recovery = decide(surveys, &|p| self.name(p).to_string());
        let about = surveys.iter().find_map(|(_, s)| s.unfinished().map(|(e, phase)| (e.clone(), phase.to_owned())));
        let Some((entry, phase)) = about else { return Ok(false) };
        let kind = entry.kind.clone().unwrap_or_else(|| "deploy".to_owned());
        let by = entry.by.clone().unwrap_or_default();
        let mut previous: Vec<Option<String>> = vec![None; self.fars.len()];
        let (release, places, result) = match recovery {
            Recovery::None => return Ok(false),
            Recovery::Forward { release } => {
                self.notice(None, format!("the {kind} of {release} by {by} ended at `{phase}` without a word; every host had switched, so it is brought to its end"));
                let places: Vec<usize> = surveys.iter().map(|(p, _)| *p).collect();
                (release, places, "done")
            }
            Recovery::Back { release, previous: before } => {
                self.notice(None, format!("the {kind} of {release} by {by} ended at `{phase}` without a word; not every host had switched, so all return to what served before"));
                let places: Vec<usize> = before.iter().map(|(p, _)| *p).collect();
                for (place, was) in before {
                    previous[place] = was;
                }
                let change = Change {
                    release: release.clone(),
                    previous: previous.clone(),
                    places: places.clone(),
                    kind: "recovery",
                };
                let switched = surveys
                    .iter()
                    .filter(|(p, s)| places.contains(p) && s.release() == Some(&release))
                    .map(|(p, _)| *p);
                let reached = Reached {
                    started: self.web(&places),
                    switched: switched.collect(),
                    workers: places.iter().any(|&p| self.spec.duties[p].worker || self.spec.duties[p].beat),
                    logs: Vec::new(),
                };
                let left = self.give_back(&change, &reached).await;
                if let Some((place, why)) = left.first() {
                    return Err(Halt::wrong("recovery", format!("{} could not be put back: {why}", self.name(*place))));
                }
                (release, places, "returned")
            }
        };
        for &place in &places {
            let settled =
                self.fars[place].call("settle", json!({ "release": release }), super::far::Extra::default()).await;
            settled.map_err(|error| Halt::Failed { host: self.name(place).clone(), step: "settle".into(), error })?;
        }
        if result == "done" {
            self.drain(&release, &places).await;
        }
        for &place in &places {
            let asked = json!({
                "kind": kind, "result": result, "release": release, "previous": entry.previous, "by": by,
                "reason": format!("ended at {phase} without a word; put right by {}", self.who.owner),
            });
            let done = self.fars[place].call("finish", asked, super::far::Extra::default()).await;
            done.map_err(|error| Halt::Failed { host: self.name(place).clone(), step: "finish".into(), error })?;
        }
        Ok(true)
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
