//! What people ask between deploys: what serves where, which releases there are, who holds the lock.

use super::far::Extra;
use super::fleet::{Fleet, Halt, changed, plain};
use super::lock::{Life, ended, life, told};
use super::survey::Survey;
use super::{Ended, source};
use crate::engine::event::{Document, Event};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Fleet {
    pub(super) fn document(&self, kind: &'static str, lines: Vec<String>, data: Value) {
        self.deploy.tell(Event::Document(Arc::new(Document { kind, lines, markdown: Vec::new(), data })));
    }

    fn chosen(&self) -> Vec<usize> {
        self.everyone().into_iter().filter(|&p| self.deploy.hosts[p].chosen).collect()
    }

    /// Which releases there are, on which hosts.
    pub(super) async fn tell_releases(&self) -> Result<Ended, Halt> {
        let found = self.look(&self.chosen(), &|_| None).await;
        let mut all: BTreeMap<String, Vec<(usize, &super::survey::Release, bool)>> = BTreeMap::new();
        let mut lost = Vec::new();
        for (place, survey) in &found {
            match survey {
                Ok(survey) => {
                    for release in &survey.releases {
                        let serves = survey.release() == Some(&release.release);
                        all.entry(release.release.clone()).or_default().push((*place, release, serves));
                    }
                }
                Err(error) => lost.push((*place, error.to_string())),
            }
        }
        let mut rows: Vec<(i64, Vec<String>, Value)> = Vec::new();
        for (name, on) in &all {
            let Some((_, first, _)) = on.first() else { continue };
            let serving: Vec<usize> = on.iter().filter(|(_, _, serves)| *serves).map(|(p, _, _)| *p).collect();
            let broken = on.iter().find_map(|(_, r, _)| r.broken.as_ref());
            let incomplete = on.iter().any(|(_, r, _)| !r.complete);
            let state = match (serving.is_empty(), broken, incomplete) {
                (false, _, _) if serving.len() == found.len() => "serves".to_owned(),
                (false, _, _) => format!("serves on {}", self.names(&serving)),
                (true, Some(broken), _) => format!("broken: {}", broken.reason),
                (true, None, true) => "not whole".to_owned(),
                (true, None, false) => String::new(),
            };
            let places: Vec<usize> = on.iter().map(|(p, _, _)| *p).collect();
            let hosts = if places.len() == found.len() { "all".to_owned() } else { self.names(&places) };
            let about = &first.about;
            let row = vec![
                name.clone(),
                about.commit.as_deref().map_or("-", |c| &c[..c.len().min(9)]).to_owned(),
                about.made.clone().unwrap_or_else(|| "-".to_owned()),
                about.by.clone().unwrap_or_else(|| "-".to_owned()),
                hosts,
                state,
            ];
            let data = json!({
                "release": name, "commit": about.commit, "made": about.made, "by": about.by, "from": about.from, "tree": about.tree,
                "hosts": places.iter().map(|&p| self.name(p).to_string()).collect::<Vec<_>>(),
                "serving_on": serving.iter().map(|&p| self.name(p).to_string()).collect::<Vec<_>>(),
                "broken": broken.map(|b| b.reason.clone()), "complete": !incomplete,
            });
            rows.push((first.built, row, data));
        }
        rows.sort_by_key(|(built, _, _)| std::cmp::Reverse(*built));
        let mut lines = table(
            &["release", "commit", "made", "by", "hosts", ""],
            rows.iter().map(|(_, row, _)| row.clone()).collect(),
        );
        if rows.is_empty() {
            lines = vec![format!("{} has no releases yet", self.spec.args.app)];
        }
        lines.extend(lost.iter().map(|(p, why)| format!("{}: {why}", self.name(*p))));
        let data =
            json!({ "app": self.spec.args.app, "releases": rows.into_iter().map(|(_, _, d)| d).collect::<Vec<_>>() });
        self.document("releases", lines, data);
        Ok(self.with_lost(lost))
    }

    fn with_lost(&self, lost: Vec<(usize, String)>) -> Ended {
        if lost.is_empty() {
            return Ended::nothing();
        }
        let places: Vec<usize> = lost.into_iter().map(|(p, _)| p).collect();
        let reason = format!("{} can't be asked", self.names(&places));
        Ended { failure: Some(("unreachable".to_owned(), reason)), lost: places, ..Ended::default() }
    }

    /// What serves where, since when, from which commit, by whom, how healthy; which hosts differ.
    pub(super) async fn tell_status(&self) -> Result<Ended, Halt> {
        let places = self.chosen();
        let found = self.look(&places, &|_| None).await;
        let mut rows = Vec::new();
        let mut data = Vec::new();
        let mut notes = Vec::new();
        let mut lost = Vec::new();
        let mut serving: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut ill = Vec::new();
        for (place, survey) in &found {
            let survey = match survey {
                Ok(survey) => survey,
                Err(error) => {
                    rows.push(vec![self.name(*place).to_string(), "can't be reached".to_owned()]);
                    data.push(json!({ "host": &**self.name(*place), "error": error.to_string() }));
                    lost.push((*place, error.to_string()));
                    continue;
                }
            };
            let web = self.spec.duties[*place].web;
            let health = if survey.serving.is_some() && web { self.health(*place).await } else { Health::none() };
            if survey.serving.is_some() && web && !health.well {
                ill.push(*place);
            }
            if let Some(record) = &survey.serving {
                serving.entry(record.release.clone()).or_default().push(*place);
            }
            let record = survey.serving.as_ref();
            rows.push(vec![
                self.name(*place).to_string(),
                record.map_or_else(|| "nothing serves".to_owned(), |r| r.release.clone()),
                record.map(|r| r.since.clone()).unwrap_or_default(),
                record.and_then(|r| r.commit.as_deref()).map_or("-", |c| &c[..c.len().min(9)]).to_owned(),
                record.map(|r| r.by.clone()).unwrap_or_default(),
                if web { health.text.clone() } else { "no web".to_owned() },
            ]);
            notes.extend(self.oddities(*place, survey));
            data.push(json!({
                "host": &**self.name(*place), "serving": survey.serving, "healthy": health.well, "health": health.text,
                "settled": survey.settled(), "lock": survey.lock.as_ref().map(told), "maintenance": survey.maintenance,
                "unfinished": survey.unfinished().map(|(e, phase)| json!({"release": e.release, "phase": phase, "kind": e.kind, "by": e.by})),
                "history": survey.history.iter().rev().take(5).collect::<Vec<_>>(),
                "instances": survey.instances.iter().map(|i| json!({"kind": i.kind, "release": i.release, "active": i.active, "restarts": i.restarts})).collect::<Vec<_>>(),
            }));
        }
        let mut lines = table(&["host", "release", "since", "commit", "by", "health"], rows);
        if serving.len() > 1 {
            let most = serving.iter().max_by_key(|(_, on)| on.len()).map(|(r, _)| r.clone()).unwrap_or_default();
            for (release, on) in serving.iter().filter(|(r, _)| **r != most) {
                notes.push(format!(
                    "{} differs: {release}, where the others serve {most}; the next deploy brings it level",
                    self.names(on)
                ));
            }
        }
        lines.extend(notes.iter().cloned());
        let same = serving.len() <= 1;
        self.document(
            "status",
            lines,
            json!({ "app": self.spec.args.app, "hosts": data, "same": same, "notes": notes }),
        );
        if !ill.is_empty() && lost.is_empty() {
            let reason = format!("not healthy: {}", self.names(&ill));
            return Ok(Ended { failure: Some(("unhealthy".to_owned(), reason)), failed: ill, ..Ended::default() });
        }
        Ok(self.with_lost(lost))
    }

    async fn health(&self, place: usize) -> Health {
        match self.fars[place].call("health", Value::Null, Extra::default()).await {
            Err(error) => Health { well: false, text: error.to_string() },
            Ok(answer) => {
                let own = answer["own"]["status"].as_u64();
                let front = answer["front"]["status"].as_u64();
                let asked_front = self.spec.args.front;
                let part = |status: Option<u64>, error: &Value| match (status, error.as_str()) {
                    (Some(200), _) => "200".to_owned(),
                    (Some(status), _) => status.to_string(),
                    (None, Some(error)) => error.to_owned(),
                    (None, None) => "no answer".to_owned(),
                };
                let well = own == Some(200) && (!asked_front || front == Some(200));
                let mut text = format!("{}: {}", self.spec.args.health_path, part(own, &answer["own_error"]));
                if asked_front {
                    text.push_str(&format!(", through nginx: {}", part(front, &answer["front_error"])));
                }
                Health { well, text: source::mask(&text) }
            }
        }
    }

    /// What a person should know of a host.
    fn oddities(&self, place: usize, survey: &Survey) -> Vec<String> {
        let host = self.name(place);
        let mut notes = Vec::new();
        let expires = u64::try_from(self.spec.args.lock_expires).unwrap_or(120);
        if let Some(lock) = &survey.lock {
            let dead = life(lock, &self.who, expires, &ended) == Life::Dead;
            let what = if dead { "its owner is dead, and the next deploy takes it over" } else { "its owner lives" };
            notes.push(format!("{host}: locked by {}: {what}", told(lock)));
        }
        if let Some((entry, phase)) = survey.unfinished() {
            let kind = entry.kind.as_deref().unwrap_or("deploy");
            let release = entry.release.as_deref().unwrap_or("?");
            if survey.lock.as_ref().is_none_or(|l| life(l, &self.who, expires, &ended) == Life::Dead) {
                notes.push(format!("{host}: a {kind} of {release} by {} ended at `{phase}` without a word; the next deploy or rollback puts it right", entry.by.as_deref().unwrap_or("?")));
            } else {
                notes.push(format!("{host}: a {kind} of {release} is at `{phase}`"));
            }
        }
        if survey.maintenance {
            notes.push(format!("{host}: the maintenance page shows; windlass maintenance off"));
        }
        if let Some(record) = &survey.serving
            && record.environment.is_some()
            && record.environment != survey.environment
        {
            notes.push(format!(
                "{host}: the environment changed since {} was started; the next deploy puts it in force",
                record.release
            ));
        }
        for instance in &survey.instances {
            if survey.release() != Some(&instance.release) && instance.active == "active" {
                notes.push(format!("{host}: {} of {} still runs", instance.kind, instance.release));
            } else if instance.restarts > 0 && instance.active == "active" {
                notes.push(format!(
                    "{host}: {} of {} was started again {} times by systemd: see journalctl -u '{}@*'",
                    instance.kind, instance.release, instance.restarts, self.spec.args.app
                ));
            } else if instance.active == "failed" {
                notes.push(format!(
                    "{host}: {} of {} failed: see journalctl -u '{}@*'",
                    instance.kind, instance.release, self.spec.args.app
                ));
            }
        }
        notes
    }

    /// Gives a lock back that its owner can't.
    pub(super) async fn break_lock(&self, force: bool) -> Result<Ended, Halt> {
        let found = self.look(&self.chosen(), &|_| None).await;
        let mut lost = Vec::new();
        let mut any = false;
        for (place, survey) in &found {
            let survey = match survey {
                Ok(survey) => survey,
                Err(error) => {
                    lost.push((*place, error.to_string()));
                    continue;
                }
            };
            let Some(lock) = &survey.lock else { continue };
            let expires = u64::try_from(self.spec.args.lock_expires).unwrap_or(120);
            if !force && life(lock, &self.who, expires, &ended) == Life::Lives {
                return Err(Halt::wrong(
                    "locked",
                    format!(
                        "{} is locked by {}, who seems to live. Stop it there, wait {expires} s, or, if it is surely dead: --force",
                        self.name(*place),
                        told(lock)
                    ),
                ));
            }
            let asked = json!({ "force": true, "over": lock.token, "owner": self.who.owner });
            let done = self.fars[*place].call("unlock", asked, Extra::default()).await;
            done.map_err(|error| Halt::Failed { host: self.name(*place).clone(), step: "unlock".to_owned(), error })?;
            any = true;
            self.notice(Some(*place), format!("unlocked; it was {}'s", told(lock)));
        }
        if !any && lost.is_empty() {
            self.notice(None, format!("{} is not locked", self.spec.args.app));
        }
        if found.iter().any(|(_, s)| s.as_ref().is_ok_and(|s| s.unfinished().is_some())) {
            self.notice(None, "a deploy is unfinished: the next deploy or rollback puts it right");
        }
        let ended = self.with_lost(lost);
        Ok(Ended { changed: any, ..ended })
    }

    /// A management command, on one host.
    pub(super) async fn exec(&self, command: &[String], host: Option<&str>) -> Result<Ended, Halt> {
        let web = self.web(&self.chosen());
        let place = match host {
            Some(name) => self.chosen().into_iter().find(|&p| &**self.name(p) == name),
            None => web.first().or(self.chosen().first()).copied(),
        };
        let Some(place) = place else {
            return Err(Halt::wrong("host", format!("{} is none of this application's hosts", host.unwrap_or("?"))));
        };
        let manage = format!("/usr/local/sbin/{}-manage", self.spec.args.app);
        let run = crate::host::Run::argv(std::iter::once(manage).chain(command.iter().cloned()));
        let failed = |error| Halt::Failed { host: self.name(place).clone(), step: "exec".to_owned(), error };
        let output = self.fars[place].run(run).await.map_err(failed)?;
        let lines: Vec<String> = output.out().lines().chain(output.err().lines()).map(str::to_owned).collect();
        let data =
            json!({ "host": &**self.name(place), "rc": output.rc, "stdout": output.out(), "stderr": output.err() });
        self.document("exec", lines, data);
        let status = Some(i64::from(output.rc));
        if output.success() {
            return Ok(Ended { status, ..Ended::nothing() });
        }
        let reason = format!("{} ended with status {} on {}", command.join(" "), output.rc, self.name(place));
        Ok(Ended { status, failure: Some(("exec".to_owned(), reason)), failed: vec![place], ..Ended::default() })
    }

    /// Shows a page instead of the application, or the application again.
    pub(super) async fn maintain(&self, on: bool, message: &str) -> Result<Ended, Halt> {
        let places = self.web(&self.chosen());
        let (_, surveys) = self.gather(false, true, None).await?;
        let all: Vec<usize> = surveys.iter().map(|(p, _)| *p).collect();
        self.lock(&all, &surveys, "maintenance", false).await?;
        let page = page(&self.spec.args.app, message);
        let parameters = |_: usize| json!({ "on": on, "page": page });
        let result = self
            .all(
                &places,
                if on { "show the maintenance page" } else { "take the maintenance page away" },
                "maintenance",
                &parameters,
                &plain,
                changed,
            )
            .await;
        self.unlock(&all).await;
        result.map(|_| Ended::done())
    }
}

struct Health {
    well: bool,
    text: String,
}

impl Health {
    fn none() -> Self {
        Self { well: false, text: "-".to_owned() }
    }
}

/// The maintenance page.
fn page(app: &str, message: &str) -> String {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>{}</title>\n<style>body{{font:1.2rem/1.5 sans-serif;max-width:34rem;margin:20vh auto;padding:0 1rem;text-align:center}}</style>\n<p>{}</p>\n",
        escape(app),
        escape(message)
    )
}

/// Rows under headings, in columns; the last column is as wide as it likes.
pub(super) fn table(headings: &[&str], rows: Vec<Vec<String>>) -> Vec<String> {
    let mut all: Vec<Vec<String>> = vec![headings.iter().map(|h| (*h).to_owned()).collect()];
    all.extend(rows);
    let columns = all.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|c| all.iter().filter_map(|row| row.get(c)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    all.iter()
        .map(|row| {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            cells.join("  ").trim_end().to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_straight_columns() {
        let rows = vec![vec!["web1".to_owned(), "r1".to_owned()], vec!["w2".to_owned(), "release-2".to_owned()]];
        assert_eq!(table(&["host", "release"], rows), ["host  release", "web1  r1", "w2    release-2"]);
    }

    #[test]
    fn the_page_holds_no_markup_of_the_message() {
        assert!(page("shop", "<script>x</script> & back").contains("&lt;script&gt;x&lt;/script&gt; &amp; back"));
    }
}
