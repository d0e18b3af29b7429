//! `windlass plan` of a deploy: what it would do, from what is on the hosts and in the source. Nothing is changed.

use super::agreed::{Agreed, AgreedHost, Asked, PlannedStep, Unsealed};
use super::database::{Course, Pending, ReadError};
use super::far::Extra;
use super::fleet::{Fleet, Halt};
use super::outlook::{Commits, Migrations, Outlook};
use super::requirements::{Requirements, files};
use super::source::{self, Packed, Relation, SourceSpec};
use super::spec::Spec;
use super::survey::Survey;
use super::target::{Target, decide, name};
use super::{DeployRequest, Ended, Folders};
use crate::engine::event::{Document, Event, Status};
use crate::playbook::deploy::{Backup, Fetch, Strategy, Unsafe};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Fleet {
    /// Foretells a deploy, and what a saved plan of it keeps.
    pub(super) async fn foretell(
        &self,
        request: &DeployRequest,
        packed: &Packed,
        spec: &SourceSpec,
        places: &[usize],
        surveys: Vec<(usize, Survey)>,
        folders: &Folders,
    ) -> Result<(Ended, Unsealed), Halt> {
        let taking: Vec<(usize, &Survey)> =
            surveys.iter().filter(|(p, _)| places.contains(p)).map(|(p, s)| (*p, s)).collect();
        let named = name(self.deploy.started, packed.commit.as_deref(), &packed.tree);
        let mut target = decide(&taking, &packed.tree, &named);
        let changes = !target.open.is_empty() || request.again;
        if target.open.is_empty() && request.again {
            target = Target { release: named, fresh: true, open: places.to_vec(), because: Some("--again") };
        }
        let args = &self.spec.args;
        let mut outlook = Outlook {
            app: args.app.clone(),
            source: source::mask(&spec.shown()),
            release: target.release.clone(),
            fresh: target.fresh,
            because: target.because.map(str::to_owned),
            changes,
            commit: packed.commit.clone(),
            found_as: packed.describe.clone(),
            dirty: packed.dirty,
            tree: packed.tree.clone(),
            files: packed.files,
            bytes: packed.bytes,
            prepared: self.deploy.prepared,
            ..Outlook::default()
        };
        let mut agreed = self.agreed(request, packed, &taking, &target, changes);
        for (place, survey) in &taking {
            let host = self.name(*place).to_string();
            let record = survey.serving.clone();
            outlook.hosts.push((host.clone(), record, survey.environment.clone(), target.open.contains(place)));
            if let Some(lock) = &survey.lock {
                outlook.notes.push(format!("{host} is locked now by {}", super::lock::told(lock)));
            }
            if let Some(unfinished) = agreed.hosts.get(&host).and_then(|h| h.unfinished.clone()) {
                outlook.notes.push(format!("{host}: {unfinished}: this is put right first"));
            }
        }
        let mut ended = Ended::nothing();
        if changes {
            ended = Ended::done();
            let serving =
                target.open.iter().find_map(|p| taking.iter().find(|(q, _)| q == p).and_then(|(_, s)| s.release()));
            outlook.commits = Self::commits(packed, spec, &taking, folders);
            let requirements = self.requirements(packed, &taking).await;
            let (migrations, course) = self.foretell_migrations(request, packed, &taking, requirements.builds()).await;
            agreed.migrations.clone_from(&migrations.pending);
            if let Some(why) = &migrations.refused {
                ended.failure = Some(("migrations".to_owned(), format!("the deploy would be refused: {why}")));
            }
            outlook.steps = self.steps(&target.open, &migrations, &course, &requirements, serving.is_some())?;
            outlook.requirements = Some(requirements);
            outlook.migrations = Some(migrations);
            agreed.steps.clone_from(&outlook.steps);
            for &place in &target.open {
                self.count(place, Status::Changed);
            }
        }
        self.deploy.tell(Event::Document(Arc::new(Document {
            kind: "deploy_plan",
            lines: outlook.lines(),
            markdown: outlook.markdown(),
            data: outlook.json(),
        })));
        // Keys in the order of the declaration, so that the same settings are the same text.
        let settings = format!("{args:?}\n{:?}", self.spec.duties);
        Ok((ended, Unsealed { agreed, settings }))
    }

    fn agreed(
        &self,
        request: &DeployRequest,
        packed: &Packed,
        taking: &[(usize, &Survey)],
        target: &Target,
        changes: bool,
    ) -> Agreed {
        let planned = request.plan.first();
        let digests = files(packed, &self.spec.args)
            .into_iter()
            .map(|file| (packed.digest(&file).unwrap_or_default().to_owned(), file))
            .map(|(digest, file)| (file, digest))
            .collect();
        Agreed {
            app: self.spec.args.app.clone(),
            changes,
            release: target.release.clone(),
            fresh: target.fresh,
            source: match super::source_of(&self.spec.args, request.reference.as_deref(), &self.deploy.base) {
                Ok(spec) => source::mask(&spec.shown()),
                Err(_) => String::new(),
            },
            tree: packed.tree.clone(),
            commit: packed.commit.clone(),
            found_as: packed.describe.clone(),
            asked: planned.map_or_else(
                || Asked {
                    reference: request.reference.clone(),
                    allow_unsafe: request.allow_unsafe,
                    allow_unreachable: request.allow_unreachable,
                    again: request.again,
                },
                |p| p.asked.clone(),
            ),
            requirements: digests,
            prepared: self.deploy.prepared,
            hosts: taking
                .iter()
                .map(|(p, s)| (self.name(*p).to_string(), AgreedHost::of(s, changes && target.open.contains(p))))
                .collect(),
            ..Agreed::default()
        }
    }

    /// The commits since the serving one.
    fn commits(packed: &Packed, spec: &SourceSpec, taking: &[(usize, &Survey)], folders: &Folders) -> Option<Commits> {
        let old = taking.iter().find_map(|(_, s)| s.serving.as_ref().and_then(|r| r.commit.clone()))?;
        let new = packed.commit.clone()?;
        let options = source::Options::new(&folders.cache, &folders.temp);
        let short = old[..old.len().min(9)].to_owned();
        let history = match source::commits_between(spec, &old, &new, &options) {
            Ok(history) => history,
            Err(error) => {
                let summary = format!("the commits since {short} can't be listed: {error}");
                return Some(Commits { summary, ..Commits::default() });
            }
        };
        let plural = |n: u64| if n == 1 { "1 commit".to_owned() } else { format!("{n} commits") };
        let summary = match history.relation {
            Relation::Same => format!("the commit that serves already ({short})"),
            Relation::Ahead => format!("{} since {short}, which serves", plural(history.total)),
            Relation::Behind => format!("BACK by {} from {short}, which serves; these leave", plural(history.total)),
            Relation::Diverged { leaving } => {
                format!("another line of history: {} of {short}, which serves, leave, and these come", plural(leaving))
            }
            Relation::OldUnknown => format!("{short}, which serves, is not in the repository any more"),
            Relation::Shallow => format!("the history is cut off before {short}, which serves (a shallow clone)"),
            Relation::NoHistory => return None,
        };
        let more = history.total.saturating_sub(history.commits.len() as u64);
        let leave = matches!(history.relation, Relation::Behind);
        Some(Commits { summary, list: history.commits, more, leave })
    }

    /// What the files of requirements say differently.
    async fn requirements(&self, packed: &Packed, taking: &[(usize, &Survey)]) -> Requirements {
        let Some((place, release)) = taking.iter().find_map(|(p, s)| Some((*p, s.release()?.to_owned()))) else {
            return Requirements::First;
        };
        let args = &self.spec.args;
        let asked = json!({ "release": release, "requirements": args.requirements });
        let before: BTreeMap<String, String> =
            match self.fars[place].call("requirements", asked, Extra::default()).await {
                Ok(answer) => serde_json::from_value(answer["files"].clone()).unwrap_or_default(),
                Err(error) => return Requirements::Unknown(error.to_string()),
            };
        let names = files(packed, args);
        let paths: Vec<&str> = names.iter().map(String::as_str).collect();
        let read = match packed.read_all(&paths) {
            Ok(read) => read,
            Err(error) => return Requirements::Unknown(error.to_string()),
        };
        let after = names
            .iter()
            .map(|name| {
                let text = read.get(name).map(|b| String::from_utf8_lossy(b).into_owned());
                (name.clone(), text.unwrap_or_default())
            })
            .collect();
        Requirements::compare(&before, &after)
    }

    async fn foretell_migrations(
        &self,
        request: &DeployRequest,
        packed: &Packed,
        taking: &[(usize, &Survey)],
        new_environment: bool,
    ) -> (Migrations, Course) {
        let Some((place, release)) = taking.iter().find_map(|(p, s)| Some((*p, s.release()?.to_owned()))) else {
            let summary =
                format!("{} files in the source; all are applied to a fresh database", packed.migrations().len());
            return (Migrations { summary, ..Migrations::default() }, Course::default());
        };
        let pending = match Pending::of(&self.fars[place], &release, Some(packed)).await {
            Ok(pending) => pending,
            Err(error) => {
                let why = match error {
                    ReadError::Call(error) => error.to_string(),
                    ReadError::Probe { message, .. } => message,
                };
                let summary =
                    format!("known when the release is built (the serving release's packages can't read them: {why})");
                return (Migrations { summary, ..Migrations::default() }, Course::default());
            }
        };
        let summary = pending.judgement.summary();
        let read_with = if new_environment { " (read with the serving release's packages)" } else { "" };
        let mut told = Migrations {
            summary: format!("{summary}{read_with}"),
            pending: Some(pending.names()),
            lines: pending.judgement.lines(),
            judgement: serde_json::to_value(&pending.judgement).ok(),
            ..Migrations::default()
        };
        if !self.spec.args.migrate {
            told.notes.push("`migrate: false`: the deploy does not apply them".to_owned());
            return (told, Course::default());
        }
        let course = match self.permit(&pending, false, request.allow_unsafe) {
            Ok(course) => course,
            Err(halt) => {
                told.refused = halt.to_string().lines().next().map(|l| l.trim_end_matches(':').to_owned());
                Course::default()
            }
        };
        if course.after {
            told.notes.push("those that break the serving release wait until it has ended".to_owned());
        } else if told.refused.is_none()
            && pending.judgement.verdict() >= super::migrations::Verdict::Breaks
            && self.spec.args.unsafe_migrations != Unsafe::Defer
        {
            told.notes.push(
                "those that break the serving release are applied all the same: it will fail meanwhile".to_owned(),
            );
        }
        (told, course)
    }

    /// What runs where, in order.
    fn steps(
        &self,
        open: &[usize],
        migrations: &Migrations,
        course: &Course,
        requirements: &Requirements,
        serving: bool,
    ) -> Result<Vec<PlannedStep>, Halt> {
        let args = &self.spec.args;
        let first: Vec<usize> = open.first().copied().into_iter().collect();
        let web = self.web(open);
        let mut steps: Vec<PlannedStep> = Vec::new();
        let mut add = |phase: &str, places: &[usize], what: String| {
            let hosts = places.iter().map(|&p| self.name(p).to_string()).collect();
            steps.push(PlannedStep { phase: phase.to_owned(), hosts, what });
        };
        let hook = |value| Spec::commands(value).map(|c| c.join("; ")).unwrap_or_default();
        add("lock", &self.everyone(), "one deploy of the application at a time; a journal on each host".to_owned());
        add("preflight", open, "room on the disk and in memory, clock, Python, nginx's configuration".to_owned());
        let how =
            if args.fetch == Fetch::Host && args.git.is_some() { "fetched by each host" } else { "sent to each host" };
        let environment =
            if requirements.builds() { "a new virtual environment" } else { "the virtual environment there is" };
        add(
            "build",
            open,
            format!("files {how}; {environment}; settings import; check --deploy --fail-level {}", args.check_level),
        );
        let pending = migrations.pending.as_ref().is_none_or(|p| !p.is_empty());
        if args.migrate || pending {
            add(
                "read",
                &first,
                "the database answers and has connections left; migrations are read and judged once more".to_owned(),
            );
        }
        let before = hook(args.before_collect.as_ref());
        if args.collectstatic && !web.is_empty() {
            let before = if before.is_empty() { String::new() } else { format!("{before}; ") };
            add(
                "static",
                &web,
                format!("{before}collectstatic into the release; hashed files join those of older releases"),
            );
        } else if !before.is_empty() {
            add("static", open, before);
        }
        let before = hook(args.before_switch.as_ref());
        if !before.is_empty() {
            add("before_switch", &first, before);
        }
        let migrates = args.migrate && pending;
        let now = migrates && (migrations.pending.is_none() || !course.before.is_empty());
        if args.backup == Backup::Always || args.backup == Backup::Auto && now && serving {
            add("backup", &first, "pg_dump, read back to prove it".to_owned());
        }
        if now {
            let some = if course.after { "what the serving release can live with; " } else { "" };
            add(
                "migrate",
                &first,
                format!("{some}a lock is waited for {} s, {} times at most", args.lock_timeout, args.migrate_tries),
            );
        }
        let batches = self.spec.batches(&web).map_err(|e| Halt::wrong("batch", format!("`batch`: {e}")))?;
        let many = batches.len() > 1;
        for (number, batch) in batches.iter().enumerate() {
            let phase = if many { format!("batch {}", number + 1) } else { "switch".to_owned() };
            add(&phase, batch, self.switching());
        }
        let others: Vec<usize> = open.iter().copied().filter(|p| !web.contains(p)).collect();
        if !others.is_empty() {
            add("switch", &others, "the record names the new release; no web here".to_owned());
        }
        let celery: Vec<usize> =
            open.iter().copied().filter(|&p| self.spec.duties[p].worker || self.spec.duties[p].beat).collect();
        if !celery.is_empty() {
            add(
                "workers",
                &celery,
                format!("Celery restarts warmly: a worker gets {} s to end its tasks", args.worker_wait),
            );
        }
        if args.watch > 0 {
            add(
                "watch",
                &web,
                format!("{} s; more than {} % of answers 5xx return all hosts", args.watch, args.watch_limit),
            );
        }
        if serving && args.strategy == Strategy::BlueGreen {
            let what = format!(
                "the old release ends with its last connection, after {} s at the latest; WebSockets are cut then",
                args.drain
            );
            add("drain", &web, what);
        }
        if migrates && course.after {
            add("migrate", &first, "the migrations that waited for the old release's end".to_owned());
        }
        let after = hook(args.after_switch.as_ref());
        if !after.is_empty() {
            add("after_switch", &first, after);
        }
        let told = if args.notify.is_some() { "; `notify` is told" } else { "" };
        add("record", open, format!("history; {} releases stay; unlock{told}", args.keep_releases));
        Ok(steps)
    }

    /// How a host goes over to the new release.
    fn switching(&self) -> String {
        let args = &self.spec.args;
        let gate = format!(
            "{} must answer 200 for {} s, {} times in a row",
            args.health_path, args.healthy_for, args.health_successes
        );
        let front = if args.front { "; then nginx is asked as a visitor would" } else { "" };
        match args.strategy {
            Strategy::BlueGreen => {
                format!(
                    "start beside the old one, on a socket of its own; {gate}; rename nginx's upstream link, no reload{front}"
                )
            }
            Strategy::Restart => {
                let (leave, enter) = if self.balanced() {
                    ("leave the balancer; ", "; enter it again")
                } else {
                    ("requests fail meanwhile: ", "")
                };
                format!("{leave}stop the old one, start the new one; {gate}{front}{enter}")
            }
        }
    }
}
