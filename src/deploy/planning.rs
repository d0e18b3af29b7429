//! `windlass plan` of a deploy: what it would do, from what is on the hosts and in the source. Nothing is changed.

use super::database::{Pending, ReadError};
use super::far::Extra;
use super::fleet::{Fleet, Halt};
use super::source::{self, Packed, Relation, SourceSpec};
use super::survey::Survey;
use super::target::{decide, name};
use super::{DeployRequest, Ended, Folders};
use crate::playbook::deploy::{Backup, Strategy, Unsafe};
use serde_json::{Value, json};
use std::collections::BTreeMap;

impl Fleet {
    /// Foretells a deploy.
    pub(super) async fn foretell(
        &self,
        request: &DeployRequest,
        packed: &Packed,
        spec: &SourceSpec,
        places: &[usize],
        surveys: Vec<(usize, Survey)>,
        folders: &Folders,
    ) -> Result<Ended, Halt> {
        let taking: Vec<(usize, &Survey)> =
            surveys.iter().filter(|(p, _)| places.contains(p)).map(|(p, s)| (*p, s)).collect();
        let target = decide(&taking, &packed.tree, &name(self.deploy.started, packed.commit.as_deref(), &packed.tree));
        let args = &self.spec.args;
        let mut lines = Vec::new();
        let mut data = json!({
            "app": args.app, "tree": packed.tree, "commit": packed.commit, "source": source::mask(&spec.shown()), "files": packed.files,
            "bytes": packed.bytes, "new": target.fresh, "because": target.because,
        });
        for (place, survey) in &taking {
            if let Some(lock) = &survey.lock {
                lines.push(format!("{} is locked now by {}", self.name(*place), super::lock::told(lock)));
            }
            if let Some((entry, phase)) = survey.unfinished() {
                lines.push(format!(
                    "{}: a {} by {} ended at `{phase}`; the deploy puts that right first",
                    self.name(*place),
                    entry.kind.as_deref().unwrap_or("deploy"),
                    entry.by.as_deref().unwrap_or("?")
                ));
            }
        }
        if target.open.is_empty() && !request.again {
            lines.push(format!(
                "{} serves {} everywhere, made from the same files: nothing to do",
                args.app, target.release
            ));
            data["changes"] = false.into();
            self.document("deploy_plan", lines, data);
            return Ok(Ended::nothing());
        }
        let open = if target.open.is_empty() { places.to_vec() } else { target.open.clone() };
        let serving: Vec<Option<&str>> =
            open.iter().map(|p| taking.iter().find(|(q, _)| q == p).and_then(|(_, s)| s.release())).collect();
        let from = serving.iter().flatten().next().copied();
        let what = if target.fresh { "a new release".to_owned() } else { format!("release {}", target.release) };
        lines.push(format!(
            "deploy of {} from {}: {what}{}",
            args.app,
            source::mask(&spec.shown()),
            target.because.map(|b| format!(" ({b})")).unwrap_or_default()
        ));
        if let Some(commit) = &packed.commit {
            lines.push(format!(
                "  commit {}{}{}",
                &commit[..commit.len().min(12)],
                packed.describe.as_ref().map(|d| format!(" ({d})")).unwrap_or_default(),
                if packed.dirty { ", with changes that are not committed" } else { "" }
            ));
        }
        lines.push(format!(
            "  {} files, {} KB; in place of {}",
            packed.files,
            packed.bytes >> 10,
            from.unwrap_or("nothing: the first release")
        ));
        data["changes"] = true.into();
        data["serving"] = open
            .iter()
            .zip(&serving)
            .map(|(&p, s)| (self.name(p).to_string(), json!(s)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        data["environment"] = taking
            .iter()
            .map(|(p, s)| (self.name(*p).to_string(), json!(s.environment)))
            .collect::<serde_json::Map<_, _>>()
            .into();

        let commits = Self::commits(packed, spec, &taking, folders);
        lines.extend(commits.0);
        data["commits"] = commits.1;
        let (requirements, changed) = self.requirements(packed, &taking).await;
        lines.extend(requirements.iter().map(|l| format!("  {l}")));
        data["requirements"] = json!({ "lines": requirements, "changed": changed });
        let migrations = self.foretell_migrations(request, packed, &taking, changed).await;
        lines.extend(migrations.0);
        data["migrations"] = migrations.1;
        let steps =
            self.steps(&open, data["migrations"]["pending"].as_array().is_none_or(|l| !l.is_empty()), from.is_some())?;
        data["steps"] =
            steps.iter().map(|(phase, hosts, text)| json!({ "phase": phase, "hosts": hosts, "what": text })).collect();
        lines.push("steps:".to_owned());
        let rows = steps.into_iter().map(|(phase, hosts, text)| vec![format!("  {phase}"), hosts, text]).collect();
        lines.extend(super::tell::table(&["  phase", "hosts", "what"], rows).into_iter().skip(1));
        self.document("deploy_plan", lines, data);
        for &place in &open {
            self.count(place, crate::engine::event::Status::Changed);
        }
        Ok(Ended::done())
    }

    /// The commits since the serving one.
    fn commits(
        packed: &Packed,
        spec: &SourceSpec,
        taking: &[(usize, &Survey)],
        folders: &Folders,
    ) -> (Vec<String>, Value) {
        let old = taking.iter().find_map(|(_, s)| s.serving.as_ref().and_then(|r| r.commit.clone()));
        let (Some(old), Some(new)) = (old, packed.commit.clone()) else { return (Vec::new(), Value::Null) };
        let options = source::Options::new(&folders.cache, &folders.temp);
        let history = match source::commits_between(spec, &old, &new, &options) {
            Ok(history) => history,
            Err(error) => {
                return (
                    vec![format!("  the commits since {} can't be listed: {error}", &old[..old.len().min(9)])],
                    Value::Null,
                );
            }
        };
        let short = &old[..old.len().min(9)];
        let mut lines = match history.relation {
            Relation::Same => vec![format!("  the commit that serves already ({short})")],
            Relation::Ahead => vec![format!("  {} commits since {short}:", history.total)],
            Relation::Behind => vec![format!("  goes BACK {} commits behind {short}; these leave:", history.total)],
            Relation::Diverged { leaving } => {
                vec![format!("  another line of history: {leaving} commits of {short} leave; these come:")]
            }
            Relation::OldUnknown => vec![format!("  {short}, which serves, is not in the repository any more")],
            Relation::Shallow => vec![format!("  the history is cut off before {short}")],
            Relation::NoHistory => Vec::new(),
        };
        lines.extend(history.commits.iter().map(|c| {
            format!(
                "    {} {} ({}, {})",
                &c.hash[..c.hash.len().min(9)],
                c.subject,
                c.author,
                &c.date[..c.date.len().min(10)]
            )
        }));
        if history.total > history.commits.len() as u64 {
            lines.push(format!("    and {} more", history.total - history.commits.len() as u64));
        }
        let data = history
            .commits
            .iter()
            .map(|c| json!({ "hash": c.hash, "author": c.author, "date": c.date, "subject": c.subject }))
            .collect();
        (lines, data)
    }

    /// What the files of requirements say differently; whether the environment is built anew.
    async fn requirements(&self, packed: &Packed, taking: &[(usize, &Survey)]) -> (Vec<String>, bool) {
        let Some((place, release)) = taking.iter().find_map(|(p, s)| Some((*p, s.release()?.to_owned()))) else {
            return (vec!["requirements: a new virtual environment".to_owned()], true);
        };
        let args = &self.spec.args;
        let asked = json!({ "release": release, "requirements": args.requirements });
        let (old, names) = match self.fars[place].call("requirements", asked, Extra::default()).await {
            Ok(answer) => {
                let files: BTreeMap<String, String> =
                    serde_json::from_value(answer["files"].clone()).unwrap_or_default();
                (files.clone(), files.into_keys().collect::<Vec<_>>())
            }
            Err(error) => return (vec![format!("requirements: those of {release} can't be read: {error}")], true),
        };
        let paths: Vec<&str> = names.iter().map(String::as_str).collect();
        let new = packed.read_all(&paths).unwrap_or_default();
        let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
        let mut same = true;
        for name in &names {
            let now = new.get(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            same &= now.as_ref() == old.get(name);
            before.extend(pins(name, &old[name]));
            after.extend(pins(name, now.as_deref().unwrap_or_default()));
        }
        if same {
            return (vec!["requirements: unchanged, the virtual environment is used again".to_owned()], false);
        }
        let mut lines = vec!["requirements: changed, a new virtual environment:".to_owned()];
        for (package, version) in &after {
            match before.get(package) {
                None => lines.push(format!("  + {package} {version}")),
                Some(old) if old != version => lines.push(format!("  ~ {package} {old} -> {version}")),
                Some(_) => {}
            }
        }
        lines.extend(before.iter().filter(|(p, _)| !after.contains_key(*p)).map(|(p, v)| format!("  - {p} {v}")));
        (lines, true)
    }

    async fn foretell_migrations(
        &self,
        request: &DeployRequest,
        packed: &Packed,
        taking: &[(usize, &Survey)],
        new_environment: bool,
    ) -> (Vec<String>, Value) {
        let Some((place, release)) = taking.iter().find_map(|(p, s)| Some((*p, s.release()?.to_owned()))) else {
            let count = packed.migrations().len();
            return (
                vec![format!("migrations: {count} files in the source; all are applied to a fresh database")],
                json!({ "known": false }),
            );
        };
        match Pending::of(&self.fars[place], &release, Some(packed)).await {
            Ok(pending) => {
                let mut lines = vec![format!(
                    "migrations: {}{}",
                    pending.judgement.summary(),
                    if new_environment { " (read with the serving release's packages)" } else { "" }
                )];
                lines.extend(pending.judgement.lines().into_iter().map(|l| format!("  {l}")));
                if let Err(halt) = self.permit(&pending, false, request.allow_unsafe) {
                    let first = halt.to_string();
                    lines.push(format!("  the deploy will be refused: {}", first.lines().next().unwrap_or_default()));
                } else if self.spec.args.unsafe_migrations == Unsafe::Defer {
                    lines.push("  those that break the serving release wait until it has ended".to_owned());
                }
                let judged = serde_json::to_value(&pending.judgement).unwrap_or_default();
                (lines, json!({ "known": true, "pending": pending.names(), "judgement": judged }))
            }
            Err(error) => {
                let why = match error {
                    ReadError::Call(error) => error.to_string(),
                    ReadError::Probe { message, .. } => message,
                };
                let text = format!(
                    "migrations: known when the release is built (the serving release's packages can't read them: {why})"
                );
                (vec![text], json!({ "known": false, "why": why }))
            }
        }
    }

    /// What runs where, in order.
    fn steps(&self, open: &[usize], pending: bool, serving: bool) -> Result<Vec<(String, String, String)>, Halt> {
        let args = &self.spec.args;
        let all = self.names(open);
        let first = open.first().map(|&p| self.name(p).to_string()).unwrap_or_default();
        let mut steps: Vec<(String, String, String)> = Vec::new();
        let mut add = |phase: &str, hosts: &str, text: String| steps.push((phase.to_owned(), hosts.to_owned(), text));
        add("lock", &self.names(&self.everyone()), "one deploy of the application at a time".to_owned());
        add("preflight", &all, "room, memory, clock, Python, nginx's configuration".to_owned());
        add("build", &all, "files, virtual environment, settings and checks, static files".to_owned());
        let copy = args.backup == Backup::Always || args.backup == Backup::Auto && pending && serving;
        if copy {
            add("backup", &first, "pg_dump, read back".to_owned());
        }
        if args.migrate {
            add("migrate", &first, format!("lock_timeout {} s, {} tries", args.lock_timeout, args.migrate_tries));
        }
        let web = self.web(open);
        for (number, batch) in
            self.spec.batches(&web).map_err(|e| Halt::wrong("batch", format!("`batch`: {e}")))?.iter().enumerate()
        {
            let how = match args.strategy {
                Strategy::BlueGreen => format!(
                    "start on its own socket; {} must answer 200 for {} s; rename the link; ask nginx",
                    args.health_path, args.healthy_for
                ),
                Strategy::Restart if self.balanced() => {
                    "leave the balancer, stop the old release, start the new one, prove it, enter the balancer"
                        .to_owned()
                }
                Strategy::Restart => {
                    "stop the old release, start the new one, prove it: requests fail meanwhile".to_owned()
                }
            };
            add(&format!("batch {}", number + 1), &self.names(batch), how);
        }
        let celery: Vec<usize> =
            open.iter().copied().filter(|&p| self.spec.duties[p].worker || self.spec.duties[p].beat).collect();
        if !celery.is_empty() {
            add("workers", &self.names(&celery), format!("Celery restarts warmly, up to {} s", args.worker_wait));
        }
        if args.watch > 0 {
            add(
                "watch",
                &all,
                format!("{} s: more than {} % of errors return everything", args.watch, args.watch_limit),
            );
        }
        if serving && args.strategy == Strategy::BlueGreen {
            add(
                "drain",
                &self.names(&web),
                format!(
                    "the old release ends with its last request, after {} s at most (WebSockets never end by themselves)",
                    args.drain
                ),
            );
        }
        add("record", &all, format!("history; {} releases stay", args.keep_releases));
        Ok(steps)
    }
}

/// Packages and versions that a file of requirements pins, as far as they can be read off it.
fn pins(name: &str, text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    if name.rsplit('.').next() == Some("lock") {
        let mut package = None;
        for line in text.lines() {
            if line == "[[package]]" {
                package = None;
            } else if let Some(value) = line.strip_prefix("name = ") {
                package = Some(value.trim_matches('"').to_owned());
            } else if let (Some(value), Some(package)) = (line.strip_prefix("version = "), package.take()) {
                found.insert(package, value.trim_matches('"').to_owned());
            }
        }
        return found;
    }
    for line in text.lines() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with(['#', '-']) {
            continue;
        }
        let at = line.find(|c: char| "=<>!~; @[".contains(c)).unwrap_or(line.len());
        let (package, rest) = line.split_at(at);
        let rest = rest.split([';', '\\']).next().unwrap_or_default().trim();
        let version = rest.strip_prefix("==").unwrap_or(rest).trim();
        found.insert(
            package.to_lowercase().replace('_', "-"),
            if version.is_empty() { "any".to_owned() } else { version.to_owned() },
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_read_from_requirements_and_locks() {
        let found = pins(
            "requirements.txt",
            "# c\nDjango==5.2.1 ; python_version > '3.9'\npsycopg[binary]>=3\n-r other.txt\ngunicorn\n",
        );
        let all: Vec<_> = found.iter().map(|(k, v)| format!("{k} {v}")).collect();
        assert_eq!(all, ["django 5.2.1", "gunicorn any", "psycopg [binary]>=3"]);
        let found = pins(
            "uv.lock",
            "[[package]]\nname = \"django\"\nversion = \"5.2\"\n\n[[package]]\nname = \"asgiref\"\nversion = \"3.8\"\n",
        );
        assert_eq!(found.len(), 2);
        assert_eq!(found["django"], "5.2");
    }
}
