//! `windlass rollback`: back to a release that is still there. Nothing is built and nothing fetched.

use super::database::{ReadError, read};
use super::fleet::{Fleet, Halt, fine, plain};
use super::migrations::{Arguments, Limits, MigrationId, Mode, Rollback, RollbackVerdict, judge_rollback};
use super::serve::{Change, Reached};
use super::survey::Survey;
use super::together::Part;
use super::{Ended, RollbackRequest};
use serde_json::json;

/// Which release a rollback goes to.
///
/// # Errors
/// There is none, or the one that is asked for is not there, or not to serve.
pub fn choose(
    surveys: &[(usize, &Survey)],
    wanted: Option<&str>,
    name: &dyn Fn(usize) -> String,
) -> Result<String, String> {
    let Some((_, first)) = surveys.first() else { return Err("no hosts".to_owned()) };
    let whole_everywhere = |release: &str| surveys.iter().find(|(_, s)| s.whole(release).is_none());
    if let Some(release) = wanted {
        if let Some((place, survey)) = whole_everywhere(release) {
            let there: Vec<&str> = survey.releases.iter().filter(|r| r.complete).map(|r| r.release.as_str()).collect();
            return Err(format!(
                "{} has no release {release} (it may have been removed since: keep_releases). It has: {}",
                name(*place),
                if there.is_empty() { "none".to_owned() } else { there.join(", ") }
            ));
        }
        if surveys.iter().all(|(_, s)| s.release() == Some(release) && s.settled()) {
            return Err(format!("{release} serves already, on all hosts"));
        }
        return Ok(release.to_owned());
    }
    let served = surveys.iter().map(|(_, s)| s.served()).max_by_key(Vec::len).unwrap_or_default();
    let mut skipped = Vec::new();
    for release in served.iter().filter(|r| first.release() != Some(**r)) {
        if let Some((place, _)) = whole_everywhere(release) {
            skipped.push(format!("{release} is not on {} any more", name(*place)));
        } else if surveys.iter().any(|(_, s)| s.releases.iter().any(|r| r.release == *release && r.broken.is_some())) {
            skipped.push(format!("{release} is marked as broken"));
        } else {
            return Ok((*release).to_owned());
        }
    }
    let why = if skipped.is_empty() { "no other release has served here".to_owned() } else { skipped.join("; ") };
    Err(format!("there is nothing to return to: {why}. `windlass releases` shows what there is"))
}

impl Fleet {
    /// Goes back. The lock is held.
    pub(super) async fn roll_back(
        &self,
        request: &RollbackRequest,
        places: &[usize],
        surveys: &[(usize, Survey)],
    ) -> Ended {
        let taking: Vec<(usize, &Survey)> =
            surveys.iter().filter(|(p, _)| places.contains(p)).map(|(p, s)| (*p, s)).collect();
        let release = match choose(&taking, request.to.as_deref(), &|p| self.name(p).to_string()) {
            Ok(release) => release,
            Err(text) => return Ended::halted(&Halt::wrong("rollback", text)),
        };
        let mut previous = vec![None; self.fars.len()];
        for (place, survey) in surveys {
            previous[*place] = survey.release().map(str::to_owned);
        }
        let open: Vec<usize> =
            taking.iter().filter(|(_, s)| s.release() != Some(&release) || !s.settled()).map(|(p, _)| *p).collect();
        let change = Change { release: release.clone(), previous, places: open };
        let mut reached = Reached::default();
        let mut begun = false;
        let result = self.back_to(request, &change, surveys, &mut reached, &mut begun).await;
        let seconds = (self.begun.elapsed().as_secs_f64() * 10.0).round() / 10.0;
        let record = |result: &'static str, reason: Option<String>| {
            let change = &change;
            move |p: usize| {
                json!({
                    "kind": "rollback", "result": result, "release": change.release, "previous": change.previous[p],
                    "by": self.who.owner, "seconds": seconds, "reason": reason,
                })
            }
        };
        match result {
            Ok(()) => {
                if let Some(ended) = self.finish(&change, &record("done", None), &|_| None).await {
                    return ended;
                }
                let from = change.places.first().and_then(|&p| change.previous[p].clone()).unwrap_or_default();
                self.notice(
                    None,
                    format!(
                        "{release} serves again on {}, in place of {from} ({seconds} s)",
                        self.names(&change.places)
                    ),
                );
                Ended::done()
            }
            Err(halt) if !begun || halt.lost_lock() => Ended::halted(&halt),
            Err(halt) => {
                let reason = halt.to_string();
                let left = self.give_back(&change, &reached).await;
                let lost: Vec<usize> = left.iter().map(|(p, _)| *p).collect();
                let there: Vec<usize> = change.places.iter().copied().filter(|p| !lost.contains(p)).collect();
                self.step(
                    &there,
                    "write down that it does not serve",
                    "finish",
                    &record("returned", Some(reason.clone())),
                    &plain,
                    fine,
                )
                .await;
                for &place in &change.places {
                    let was = change.previous[place].clone().unwrap_or_default();
                    let text = if lost.contains(&place) {
                        "could not be put back; the next `windlass rollback`, `deploy` or `status` says where it is"
                            .to_owned()
                    } else {
                        format!("{was} serves, as before")
                    };
                    self.notice(Some(place), text);
                }
                Ended::failed(&halt, reason, change.places.clone(), lost)
            }
        }
    }

    async fn back_to(
        &self,
        request: &RollbackRequest,
        change: &Change,
        surveys: &[(usize, Survey)],
        reached: &mut Reached,
        begun: &mut bool,
    ) -> Result<(), Halt> {
        let places = &change.places;
        let hosts: Vec<&str> = places.iter().map(|&p| &**self.name(p)).collect();
        let Some(&first) = self.web(places).first().or(places.first()) else { return Ok(()) };
        let begin = |p: usize| {
            json!({
                "kind": "rollback", "release": change.release, "previous": change.previous[p], "hosts": hosts, "by": self.who.owner,
            })
        };
        *begun = true;
        // Django takes a second to start: the old release starts meanwhile, on a socket of its own.
        let journal = Part { name: "begin", operation: "begin", parameters: &|p| Some(begin(p)), reading: fine };
        let early = self.start_after(journal, change, true, reached);
        let (started, between) = tokio::join!(early, self.between(first, change, surveys));
        let undo = self.judge(request, change, between?, surveys)?;
        started?;
        if !undo.is_empty() {
            let newer = change.previous[first].clone().unwrap_or_default();
            for (alias, id) in undo {
                let arguments = [format!("--database={alias}"), id.app, id.name];
                self.migrate(first, &newer, &arguments).await?;
            }
        }
        self.serve(change, true, reached).await?;
        for (place, outcome) in self.drain(&change.release, places).await {
            if let Err(error) = outcome {
                self.notice(Some(place), format!("the other release may still run: {error}; the next command ends it"));
            }
        }
        Ok(())
    }

    /// What stands between the serving release and the one to return to.
    async fn between(
        &self,
        first: usize,
        change: &Change,
        surveys: &[(usize, Survey)],
    ) -> Result<Option<Rollback>, Halt> {
        let Some(newer) = change.previous[first].clone() else { return Ok(None) };
        // Releases that stand on the same migrations have nothing between them, and Django need not be asked.
        let about = |release: &str| {
            surveys
                .iter()
                .find(|(p, _)| *p == first)
                .and_then(|(_, s)| s.whole(release))
                .map(|r| r.about.migrations.clone())
        };
        if let (Some(old), Some(new)) = (about(&change.release), about(&newer))
            && !old.is_empty()
            && old == new
        {
            return Ok(None);
        }
        let far = &self.fars[first];
        let failed = |what: &str, error: ReadError| {
            Halt::wrong("migrations", format!("{what} can't be read on {}: {error}", self.name(first)))
        };
        let report = read(far, &change.release, None, &Arguments::default())
            .await
            .map_err(|e| failed("the older release's migrations", e))?;
        let ahead: Vec<MigrationId> = report
            .databases
            .values()
            .flat_map(|d| d.not_on_disk.iter().filter(|o| o.ahead).map(super::migrations::Orphan::id))
            .collect();
        if ahead.is_empty() {
            return Ok(None);
        }
        let ask = Arguments { mode: Mode::Between, migrations: ahead, ..Arguments::default() };
        let report = read(far, &newer, None, &ask).await.map_err(|e| failed("the newer release's migrations", e))?;
        Ok(Some(judge_rollback(&report, &Limits::default())))
    }

    /// What to undo, if anything.
    fn judge(
        &self,
        request: &RollbackRequest,
        change: &Change,
        between: Option<Rollback>,
        surveys: &[(usize, Survey)],
    ) -> Result<Vec<(String, MigrationId)>, Halt> {
        let Some(between) = between else {
            self.notice(None, "no migrations lie between the two releases");
            return Ok(Vec::new());
        };
        let names: Vec<String> = between.migrations.iter().map(|(_, id)| id.to_string()).collect();
        self.notice(None, format!("migrations between the two releases: {}", names.join(", ")));
        for concern in &between.concerns {
            self.notice(None, concern.clone());
        }
        let copies: Vec<String> = surveys
            .iter()
            .flat_map(|(p, s)| {
                s.backups.iter().map(move |b| format!("{}:{}/backups/{}", self.name(*p), self.spec.args.root, b.name))
            })
            .collect();
        let copies = if copies.is_empty() {
            "there is no copy of the database on the hosts".to_owned()
        } else {
            format!("copies of the database: {}", copies.join(", "))
        };
        match (between.verdict, request.undo_migrations) {
            (RollbackVerdict::CodeOnly, false) => {
                self.notice(None, format!("{} works with them: they stay applied", change.release));
                Ok(Vec::new())
            }
            (RollbackVerdict::Irreversible, true) => Err(Halt::wrong(
                "migrations",
                format!("they can't be undone: {}. {copies}", between.irreversible.join("; ")),
            )),
            (_, true) => {
                if !between.loses.is_empty() {
                    self.notice(None, format!("undoing them throws away what is in {}", between.loses.join(", ")));
                }
                Ok(between.undo)
            }
            (_, false) if request.allow_unsafe => Ok(Vec::new()),
            (RollbackVerdict::Undo, false) => Err(Halt::wrong(
                "migrations",
                format!(
                    "{} may not work on the database as it is now:\n  {}\nThey can be undone: --undo-migrations (which throws away what is in: {}); or go on as it is: --allow-unsafe-migrations. {copies}",
                    change.release,
                    between.concerns.join("\n  "),
                    between.loses.join(", ")
                ),
            )),
            (RollbackVerdict::Irreversible, false) => Err(Halt::wrong(
                "migrations",
                format!(
                    "{} may not work on the database as it is now, and not all can be undone ({}):\n  {}\nGo on as it is: --allow-unsafe-migrations. {copies}",
                    change.release,
                    between.irreversible.join("; "),
                    between.concerns.join("\n  ")
                ),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::survey::Broken;
    use super::super::survey::tests::survey;
    use super::*;

    fn host(serving: &str, before: &[&str]) -> Survey {
        let mut host = survey(Some(serving), &["a", "b", "c"]);
        host.history = before
            .iter()
            .map(|r| {
                serde_json::from_value(json!({"time": "t", "event": "deploy", "result": "done", "release": r})).unwrap()
            })
            .collect();
        host
    }

    #[test]
    fn it_goes_to_what_served_before_and_never_to_a_broken_one() {
        let named = |_: usize| "web1".to_owned();
        let mut one = host("c", &["a", "b", "c"]);
        assert_eq!(choose(&[(0, &one)], None, &named), Ok("b".to_owned()));
        one.releases[1].broken = Some(Broken { time: String::new(), reason: String::new() });
        assert_eq!(choose(&[(0, &one)], None, &named), Ok("a".to_owned()));
        assert_eq!(choose(&[(0, &one)], Some("b"), &named), Ok("b".to_owned()));
        assert!(choose(&[(0, &one)], Some("x"), &named).unwrap_err().contains("web1 has no release x"));
        assert!(choose(&[(0, &one)], Some("c"), &named).unwrap_err().contains("serves already"));
        assert!(choose(&[(0, &host("a", &["a"]))], None, &named).unwrap_err().contains("nothing to return to"));
    }
}
