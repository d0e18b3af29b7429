//! `windlass deploy`: a release from its source to all hosts.

use super::database::{Course, Pending, ReadError};
use super::far::Extra;
use super::fleet::{Fleet, Halt, changed, fine, patiently, plain};
use super::serve::{Change, Reached};
use super::source::{Packed, SourceSpec};
use super::survey::{About, Survey};
use super::target::{Target, decide, name};
use super::together::Part;
use super::{DeployRequest, Ended};
use crate::playbook::deploy::Backup;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a deploy has come to: told at its end, and kept on the hosts.
#[derive(Debug, Default)]
pub(super) struct Story {
    reached: Reached,
    begun: bool,
    applied: Vec<String>,
    backup: Option<String>,
    /// The old release can't serve any more: whatever fails now, the new one stays.
    stays: bool,
}

/// A deploy under way.
pub(super) struct Work<'a> {
    pub fleet: &'a Fleet,
    pub request: &'a DeployRequest,
    pub packed: &'a Packed,
    pub spec: &'a SourceSpec,
    pub target: Target,
    pub change: Change,
    /// All hosts that take part, those with nothing to do included.
    pub surveys: Vec<(usize, Survey)>,
}

impl Fleet {
    /// Deploys. The lock is held over `places`.
    pub(super) async fn deploy(
        &self,
        request: &DeployRequest,
        packed: &Packed,
        spec: &SourceSpec,
        places: &[usize],
        surveys: Vec<(usize, Survey)>,
    ) -> Ended {
        let taking: Vec<(usize, &Survey)> =
            surveys.iter().filter(|(p, _)| places.contains(p)).map(|(p, s)| (*p, s)).collect();
        let named = name(self.deploy.started, packed.commit.as_deref(), &packed.tree);
        let target = decide(&taking, &packed.tree, &named);
        let any = !target.open.is_empty() || request.again;
        if let Some(reason) = request.plan.first().and_then(|p| self.forbidden(p, &taking, packed, &target, any)) {
            return Ended::halted(&Halt::wrong("plan", reason));
        }
        if !any {
            let text = format!(
                "{} serves {} already, made from the same files: nothing to do",
                self.names(places),
                target.release
            );
            self.notice(None, text);
            return Ended::nothing();
        }
        let target = if target.open.is_empty() {
            Target { release: named, fresh: true, open: places.to_vec(), because: Some("--again") }
        } else {
            target
        };
        if let Some(why) = target.because {
            self.notice(None, format!("{why}: a new release is made of the same files"));
        }
        let mut previous = vec![None; self.fars.len()];
        for (place, survey) in &surveys {
            previous[*place] = survey.release().map(str::to_owned);
        }
        let change = Change { release: target.release.clone(), previous, places: target.open.clone() };
        let work = Work { fleet: self, request, packed, spec, target, change, surveys };
        let mut story = Story::default();
        let result = work.forward(&mut story).await;
        work.conclude(result, story).await
    }
}

impl Work<'_> {
    async fn forward(&self, story: &mut Story) -> Result<(), Halt> {
        let (fleet, change) = (self.fleet, &self.change);
        let (release, places) = (&change.release, &change.places);
        let hosts: Vec<&str> = places.iter().map(|&p| &**fleet.name(p)).collect();
        let begin = |p: usize| json!({ "kind": "deploy", "release": release, "previous": change.previous[p], "hosts": hosts, "by": fleet.who.owner });
        story.begun = true;
        let venvs = self.build(&begin).await?;
        let first = *places.first().ok_or_else(|| Halt::wrong("hosts", "no hosts"))?;
        let pending = self.prepare(first).await?;
        if let Some(reason) =
            self.request.plan.first().and_then(|p| p.forbids_migrations(&pending.names()).into_iter().next())
        {
            return Err(Halt::wrong("plan", format!("{reason}: make a new plan")));
        }
        let fresh = change.previous.iter().all(Option::is_none);
        let course = if fleet.spec.args.migrate {
            fleet.permit(&pending, fresh, self.request.allow_unsafe)?
        } else {
            if pending.any() {
                fleet.notice(None, format!("`migrate: false`: not applied: {}", pending.names().join(", ")));
            }
            Course::default()
        };
        let backs_up = fleet.spec.args.backup == Backup::Always
            || fleet.spec.args.backup == Backup::Auto && !course.before.is_empty() && !fresh;
        let about = self.about(&venvs, &pending);
        let seal = Part {
            name: "write down what it is",
            operation: "seal",
            parameters: &|p| Some(about(p)),
            reading: changed,
        };
        if fleet.spec.args.before_switch.is_none() && !backs_up && course.before.is_empty() {
            // Nothing stands between the two.
            fleet.start_after(seal, change, false, &mut story.reached).await?;
        } else {
            fleet.together(places, &[seal], &plain).await?;
        }
        self.hook(first, "before_switch", fleet.spec.args.before_switch.as_ref()).await?;
        if backs_up {
            story.backup = fleet.backup(first, release).await?;
        }
        for arguments in &course.before {
            story.applied.extend(fleet.migrate(first, release, arguments).await?);
        }
        fleet.serve(change, false, &mut story.reached).await?;
        self.watch(&story.reached).await?;
        fleet.go_on()?;
        for (place, outcome) in fleet.drain(release, places).await {
            if let Err(error) = outcome {
                fleet.notice(Some(place), format!("the old release may still run: {error}; the next command ends it"));
            }
        }
        // Ctrl-C meanwhile: the old release can still be started again.
        fleet.go_on()?;
        if course.after {
            story.stays = true;
            story.applied.extend(fleet.migrate(first, release, &[]).await.inspect_err(|_| {
                fleet.notice(None, "the migrations that waited for the switch are not all applied: deploy again with --again when the cause is mended");
            })?);
        }
        self.hook(first, "after_switch", fleet.spec.args.after_switch.as_ref()).await
    }

    /// What the release's own code has to say, and make: checks, database and migrations, then static files.
    async fn prepare(&self, first: usize) -> Result<Pending, Halt> {
        let (fleet, args) = (self.fleet, &self.fleet.spec.args);
        let (release, places) = (&self.change.release, &self.change.places);
        let commands = crate::deploy::spec::Spec::commands(args.before_collect.as_ref())
            .map_err(|e| Halt::wrong("hook", format!("before_collect: {e}")))?;
        let checking = |p: usize| {
            let mut asked = json!({ "release": release, "fail_level": args.check_level, "wait": 300 });
            if let (true, Value::Object(asked), Value::Object(more)) =
                (p == first, &mut asked, super::database::reading())
            {
                asked.extend(more);
            }
            Some(asked)
        };
        let collecting = |p: usize| {
            Some(
                json!({ "release": release, "collect": args.collectstatic && fleet.spec.duties[p].web, "before_collect": commands, "wait": 300 }),
            )
        };
        let long = |_: usize| Extra { durable: true, timeout: Some(Duration::from_secs(3000)), ..Extra::default() };
        let parts = [
            Part { name: "check the settings", operation: "check", parameters: &checking, reading: fine },
            Part {
                name: "collect the static files",
                operation: "static",
                parameters: &collecting,
                reading: |v| {
                    let copied = v["copied"].as_u64();
                    (copied != Some(0), copied.map(|n| format!("{n} files")).unwrap_or_default())
                },
            },
        ];
        let told = fleet.together(places, &parts, &long).await?;
        let found = told.iter().flatten().find(|(place, answer)| *place == first && !answer["migrations"].is_null());
        let Some((_, answer)) = found else {
            return Err(Halt::wrong(
                "migrations",
                format!("{} did not say which migrations are pending", fleet.name(first)),
            ));
        };
        fleet.database(first, &answer["database"])?;
        self.migrations(first, &answer["migrations"])
    }

    /// The pending migrations, as `check` has read them.
    fn migrations(&self, first: usize, answer: &Value) -> Result<Pending, Halt> {
        let fleet = self.fleet;
        let pending = Pending::told(answer).map_err(|error| match error {
            ReadError::Call(error) => {
                Halt::Failed { host: fleet.name(first).clone(), step: "read the migrations".to_owned(), error }
            }
            ReadError::Probe { message, log } => Halt::wrong(
                "migrations",
                format!(
                    "the release's migrations can't be read on {}: {message}\n  {}",
                    fleet.name(first),
                    log.join("\n  ")
                ),
            ),
        })?;
        fleet.notice(None, pending.judgement.summary());
        if pending.any() {
            for line in pending.judgement.lines().into_iter().take(40) {
                fleet.notice(None, line);
            }
        }
        if fleet.spec.args.check_migrations
            && let Some((app, changes)) = pending.report.model_changes.iter().next()
        {
            return Err(Halt::wrong(
                "missing-migrations",
                format!(
                    "models of `{app}` have changes without a migration ({}): run makemigrations, or set `check_migrations: false`",
                    changes.join(", ")
                ),
            ));
        }
        Ok(pending)
    }

    /// What is written down about the release, with which it is whole.
    fn about<'v>(&'v self, venvs: &'v [(usize, Value)], pending: &Pending) -> impl Fn(usize) -> Value + Sync + 'v {
        let (fleet, release) = (self.fleet, &self.change.release);
        let mut migrations: BTreeMap<String, String> = BTreeMap::new();
        for database in pending.report.databases.values() {
            for id in
                database.applied.iter().cloned().chain(database.migrations.iter().map(super::migrations::Migration::id))
            {
                migrations.insert(id.app, id.name);
            }
        }
        move |p: usize| {
            let venv =
                venvs.iter().find(|(place, _)| *place == p).and_then(|(_, v)| v["key"].as_str()).map(str::to_owned);
            let about = About {
                tree: Some(self.packed.tree.clone()),
                commit: self.packed.commit.clone().filter(|_| !self.packed.dirty),
                venv,
                environment: None,
                by: Some(fleet.who.owner.clone()),
                made: Some(jiff::Timestamp::from_second(fleet.deploy.started).unwrap_or_default().to_string()),
                from: Some(self.packed.describe.clone().unwrap_or_else(|| self.spec.shown())),
                migrations: migrations.clone(),
            };
            let mut value = json!({ "version": 1, "release": release });
            if let (Value::Object(all), Ok(Value::Object(more))) = (&mut value, serde_json::to_value(about)) {
                all.extend(more);
            }
            json!({ "release": release, "about": value })
        }
    }

    async fn hook(
        &self,
        place: usize,
        name: &'static str,
        commands: Option<&crate::values::Value>,
    ) -> Result<(), Halt> {
        let commands =
            super::spec::Spec::commands(commands).map_err(|e| Halt::wrong("hook", format!("{name}: {e}")))?;
        if commands.is_empty() {
            return Ok(());
        }
        let parameters =
            |_: usize| json!({ "release": self.change.release, "commands": commands, "name": name, "wait": 300 });
        let long = |_: usize| Extra { durable: true, timeout: Some(Duration::from_secs(2400)), ..Extra::default() };
        self.fleet.all(&[place], name, "hooks", &parameters, &long, changed).await.map(drop)
    }

    /// Counts errors for a while; too many, and everything returns.
    async fn watch(&self, reached: &Reached) -> Result<(), Halt> {
        let (fleet, args) = (self.fleet, &self.fleet.spec.args);
        let Ok(seconds @ 1..) = u64::try_from(args.watch) else { return Ok(()) };
        fleet.notice(
            None,
            format!("watching for {seconds} s: more than {} % of errors, and all hosts return", args.watch_limit),
        );
        for _ in 0..seconds.div_ceil(5) {
            let nap = tokio::time::sleep(Duration::from_secs(seconds.min(5)));
            tokio::select! {
                () = nap => {}
                () = fleet.deploy.interrupt.cancelled() => return Err(Halt::Interrupted),
            }
            let web = fleet.web(&self.change.places);
            let parameters = |p: usize| {
                let from = reached.logs.iter().find(|(place, _)| *place == p).and_then(|(_, size)| *size);
                json!({ "watch_log": args.watch_log, "from": from.unwrap_or(0) })
            };
            let (mut total, mut bad) = (0, 0);
            for &place in &web {
                let answer = patiently(&fleet.fars[place], "watch", &parameters(place), &Extra::default()).await;
                let answer = answer.map_err(|error| Halt::Failed {
                    host: fleet.name(place).clone(),
                    step: "watch".to_owned(),
                    error,
                })?;
                total += answer["total"].as_u64().unwrap_or(0);
                bad += answer["bad"].as_u64().unwrap_or(0);
                patiently(&fleet.fars[place], "alive", &json!({}), &Extra::default()).await.map_err(|error| {
                    Halt::Failed { host: fleet.name(place).clone(), step: "watch".to_owned(), error }
                })?;
            }
            // One error among five requests is no share.
            #[allow(clippy::cast_precision_loss, reason = "shares of requests need no 53 bits")]
            if total >= 20 && bad as f64 * 100.0 > args.watch_limit * total as f64 {
                return Err(Halt::wrong(
                    "watch",
                    format!(
                        "since the switch, {bad} of {total} requests ended in an error 5xx, more than the {} % that `watch_limit` allows",
                        args.watch_limit
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Tells the end, after returning where that has to be.
    async fn conclude(&self, result: Result<(), Halt>, story: Story) -> Ended {
        let (fleet, change) = (self.fleet, &self.change);
        let release = &change.release;
        let seconds = fleet.begun.elapsed().as_secs_f64();
        let record = |result: &str, reason: Option<String>, broken: bool| {
            let (applied, backup, result) = (story.applied.clone(), story.backup.clone(), result.to_owned());
            move |p: usize| {
                json!({
                    "kind": "deploy", "result": result, "release": release, "previous": change.previous[p], "by": fleet.who.owner,
                    "commit": self.packed.commit, "seconds": (seconds * 10.0).round() / 10.0, "reason": reason,
                    "migrations": applied, "backup": backup, "broken": broken.then_some(release),
                    "unfinished": (result != "done").then_some(release),
                })
            }
        };
        match result {
            Ok(()) => {
                if let Some(ended) = fleet.finish(change, &record("done", None, false), &|p| Some(self.kept(p))).await {
                    return ended;
                }
                let was: Vec<String> = change.places.iter().filter_map(|&p| change.previous[p].clone()).collect();
                let from = was.first().map(|w| format!(" in place of {w}")).unwrap_or_default();
                fleet.notice(
                    None,
                    format!("{release} serves on {}{from} ({seconds:.1} s)", fleet.names(&change.places)),
                );
                Ended::done()
            }
            Err(halt) if story.stays && !halt.lost_lock() => {
                let reason = halt.to_string();
                fleet.finish(change, &record("done", Some(reason.clone()), false), &|_| None).await;
                fleet.notice(None, format!("{release} serves on {} all the same", fleet.names(&change.places)));
                Ended::failed(&halt, reason, self.failed_on(&halt), Vec::new())
            }
            Err(halt) => self.back(&halt, &story, &record).await,
        }
    }

    async fn back<R: Fn(usize) -> Value + Sync>(
        &self,
        halt: &Halt,
        story: &Story,
        record: &(impl Fn(&str, Option<String>, bool) -> R + Sync),
    ) -> Ended {
        let (fleet, change) = (self.fleet, &self.change);
        let reason = match halt {
            Halt::Failed { host, step, error } => format!("{step}, {host}: {error}"),
            other => other.to_string(),
        };
        if halt.lost_lock() {
            fleet.notice(
                None,
                format!("{reason}. This run touches nothing any more; whoever holds the lock puts things right"),
            );
            return Ended::failed(halt, reason, self.failed_on(halt), Vec::new());
        }
        if !story.begun {
            return Ended::failed(halt, reason, self.failed_on(halt), Vec::new());
        }
        let left = fleet.give_back(change, &story.reached).await;
        let lost: Vec<usize> = left.iter().map(|(p, _)| *p).collect();
        let there: Vec<usize> = change.places.iter().copied().filter(|p| !lost.contains(p)).collect();
        let broken = halt.blames_release() && self.target.fresh;
        let finished = fleet
            .step(
                &there,
                "write down that it does not serve",
                "finish",
                &record("returned", Some(reason.clone()), broken),
                &plain,
                fine,
            )
            .await;
        let mut lost = lost;
        lost.extend(finished.iter().filter(|(_, o)| o.is_err()).map(|(p, _)| *p));
        lost.sort_unstable();
        lost.dedup();
        for &place in &change.places {
            let text = match (&change.previous[place], lost.contains(&place)) {
                (_, true) => "could not be reached to put it back; the next `windlass deploy`, `rollback` or `status` finds it and says where it is".to_owned(),
                (Some(previous), false) => format!("{previous} serves, as before"),
                (None, false) => "nothing serves, as before: the host is stopped and clean".to_owned(),
            };
            fleet.notice(Some(place), text);
        }
        if !story.applied.is_empty() {
            fleet.notice(
                None,
                format!("migrations stay applied (the old release works with them): {}", story.applied.join(", ")),
            );
        }
        Ended::failed(halt, reason, self.failed_on(halt), lost)
    }

    fn failed_on(&self, halt: &Halt) -> Vec<usize> {
        match halt {
            Halt::Failed { host, .. } => {
                self.change.places.iter().copied().filter(|&p| self.fleet.name(p) == host).collect()
            }
            _ => self.change.places.clone(),
        }
    }

    /// What the operation `prune` is told: which releases and copies stay.
    fn kept(&self, place: usize) -> Value {
        let args = &self.fleet.spec.args;
        let keep = usize::try_from(args.keep_releases).unwrap_or(5).max(2);
        let mut kept = vec![self.change.release.clone()];
        kept.extend(self.change.previous[place].clone());
        if let Some((_, survey)) = self.surveys.iter().find(|(p, _)| *p == place) {
            for release in survey.served() {
                if kept.len() < keep && !kept.iter().any(|k| k == release) {
                    kept.push(release.to_owned());
                }
            }
        }
        json!({ "keep": kept, "keep_backups": args.keep_backups, "backup_days": args.backup_days, "wait": 60 })
    }
}
