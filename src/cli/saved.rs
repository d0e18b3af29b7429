//! Saved plans: `plan -o FILE` makes them, `apply FILE` holds hosts to them.

use super::common::command_line::{Answers, CommandLine};
use super::common::releases::{WhoArgs, code, releases};
use super::common::{Ending, Loaded, PlaybookArgs, Watched, Workspace, check_start, execute, local_user, now};
use super::{CommandError, ErrorKind, Ui};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use windlass::deploy::agreed::Agreed;
use windlass::deploy::{DeployRequest, Releases, Request};
use windlass::engine::play::Outcome;
use windlass::engine::run::Options;
use windlass::engine::watch::Watch;
use windlass::inventory::{HostName, Inventory};
use windlass::plan::{
    FORMAT_VERSION, Head, HostPlan, Keeper, Kind, PlanError, PlanFile, Recorder, Seal, changed_inputs, compare, inputs,
};
use windlass::source::reads;
use windlass::values::{Redactor, Value};

/// What the plan of plays says beyond what every plan does.
#[derive(Debug, Serialize, Deserialize)]
struct Body {
    command: CommandLine,
    run: Run,
    hosts: IndexMap<Arc<str>, HostPlan>,
    /// One for each play that says `deploy:`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    deploys: Vec<Agreed>,
}

/// What makes a further run come to the same.
#[derive(Debug, Serialize, Deserialize)]
struct Run {
    id: String,
    started: i64,
    diff: bool,
}

/// A plan that is being made, to be saved.
pub struct Making {
    out: PathBuf,
    recorder: Arc<Recorder>,
    run: Run,
}

impl Making {
    /// Begins, before anything is read. A plan that is in the way is removed, so that it can't be taken for the new one.
    pub fn begin(out: &Path, diff: bool) -> Result<Self, CommandError> {
        let folder = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Err(CommandError::usage(format_args!("there is no folder `{}` for the plan", folder.display())));
        }
        if out.symlink_metadata().is_ok() {
            if !PlanFile::is_one(out) {
                return Err(CommandError::usage(format_args!("`{}` is there, and is no plan", out.display()))
                    .hinted("name another file with -o, or remove it"));
            }
            std::fs::remove_file(out).map_err(|error| {
                let text = format!("can't remove the plan that is there, `{}`: {error}", out.display());
                CommandError::new(ErrorKind::CantCreate, text)
            })?;
        }
        reads::listen();
        let run = Run { id: uuid::Uuid::now_v7().simple().to_string(), started: now(), diff };
        Ok(Self { out: out.to_owned(), recorder: Arc::new(Recorder::new(None)), run })
    }

    /// The time at which the plan's clock stands.
    pub fn started(&self) -> i64 {
        self.run.started
    }

    /// What the run has in common with the plan.
    pub fn watched(&self) -> Watched {
        self.run.watched(Arc::clone(&self.recorder) as _, false, Answers::default())
    }

    /// What must be known of the inventory before the run, and that the plan can be saved at all.
    pub fn prepare(&self, workspace: &Workspace, loaded: &Loaded) -> Result<Prepared, CommandError> {
        let seal = Seal::new(Arc::clone(&workspace.redactor)).map_err(|error| {
            CommandError::new(ErrorKind::Failed, format_args!("the system gives no random bytes: {error}"))
        })?;
        let inventory = of_inventory(&loaded.inventory, &seal);
        let deploys = loaded.playbook.plays.iter().any(|play| play.deploy.is_some());
        Ok(Prepared { seal, inventory, deploys })
    }

    /// Writes the plan, if there is one.
    pub fn save(
        self,
        prepared: &Prepared,
        book: &PlaybookArgs,
        workspace: &Workspace,
        ending: &Ending,
        releases: &Releases,
        ui: &mut Ui,
    ) -> Result<(), CommandError> {
        let out = self.out.display();
        let Ending::Done(outcome) = ending else { return Ok(()) };
        if outcome.failed() {
            ui.warn(format_args!("no plan was saved to {out}: a task would fail"));
            return Ok(());
        }
        if let Some((_, reason)) = releases.ended().into_iter().find_map(|e| e.failure) {
            ui.warn(format_args!("no plan was saved to {out}: {reason}"));
            return Ok(());
        }
        let took_part = outcome.stats.iter().map(|(host, stats)| (Arc::clone(host), stats.unreachable == 0));
        let hosts = self.recorder.hosts(took_part, |host| prepared.inventory(host), &prepared.seal);
        let left: Vec<&str> = hosts.iter().filter(|(_, h)| !h.reached).map(|(name, _)| &**name).collect();
        if left.len() == hosts.len() {
            ui.warn(format_args!("no plan was saved to {out}: no host could be reached"));
            return Ok(());
        }
        if !left.is_empty() {
            ui.warn(format_args!("could not be reached, so that the plan does nothing for: {}", left.join(", ")));
        }
        let here = std::env::current_dir().unwrap_or_default();
        let read = reads::heard();
        let own = workspace.loader.builtin.as_deref();
        let head = Head {
            windlass_plan: FORMAT_VERSION,
            kind: if prepared.deploys { Kind::Deploy } else { Kind::Play },
            made: jiff::Timestamp::from_second(self.run.started).map(|t| t.to_string()).unwrap_or_default(),
            by: format!("{}@{}", local_user()?, machine()),
            windlass: env!("CARGO_PKG_VERSION").to_owned(),
            folder: here.to_string_lossy().into_owned(),
            key: prepared.seal.key(),
            inputs: inputs(&read, own, &here, &prepared.seal),
        };
        let command = CommandLine::of(book, &workspace.config, &prepared.seal)?;
        let deploys = releases.foretold().iter().map(|deploy| deploy.sealed(&prepared.seal)).collect();
        let body = Body { command, run: self.run, hosts, deploys };
        let body = match serde_json::to_value(body) {
            Ok(serde_json::Value::Object(body)) => body,
            _ => return Err(CommandError::new(ErrorKind::Bug, "a plan could not be written as JSON")),
        };
        PlanFile { head, body }.write(&self.out).map_err(|error| CommandError::new(ErrorKind::CantCreate, error))?;
        ui.hint(format_args!("apply exactly this with `windlass apply {out}`"));
        Ok(())
    }
}

/// What is needed to save a plan once it is made.
pub struct Prepared {
    seal: Seal,
    inventory: IndexMap<Arc<str>, String>,
    /// Whether a play says `deploy:`.
    deploys: bool,
}

impl Prepared {
    fn inventory(&self, host: &str) -> String {
        self.inventory.get(host).cloned().unwrap_or_default()
    }
}

impl Run {
    fn watched(&self, watch: Arc<dyn Watch>, silent: bool, answers: Answers) -> Watched {
        Watched { watch, id: self.id.clone(), started: self.started, diff: self.diff, silent, answers }
    }
}

/// Applies a saved plan.
pub fn apply(path: &Path, given: &PlaybookArgs, who: &WhoArgs, ui: &mut Ui) -> Result<ExitCode, CommandError> {
    let PlanFile { head, body } = PlanFile::read(path).map_err(|error| unusable(&error))?;
    let version = env!("CARGO_PKG_VERSION");
    if head.windlass != version {
        let text = format!("the plan was made by windlass {}, and this is windlass {version}", head.windlass);
        return Err(
            CommandError::new(ErrorKind::Failed, text).hinted("make it anew: another version may decide otherwise")
        );
    }
    let damaged = |why: String| unusable(&PlanError::Malformed { path: path.to_owned(), why });
    let plan: Body =
        serde_json::from_value(serde_json::Value::Object(body)).map_err(|error| damaged(error.to_string()))?;
    let seal = |redactor| Seal::with_key(&head.key, redactor).ok_or_else(|| damaged("`key` is no key".to_owned()));
    let plain = seal(Arc::new(Redactor::new()))?;
    let changed = changed_inputs(&head.inputs, &plain);
    if !changed.is_empty() {
        let error = refused("what the plan was made from is no longer the same", &changed);
        let elsewhere = std::env::current_dir().is_ok_and(|here| here != Path::new(&head.folder));
        return Err(if elsewhere && changed.iter().any(|c| c.ends_with("any more")) {
            error.hinted(format_args!("the plan was made in {}", head.folder))
        } else {
            error
        });
    }

    let book = plan.command.take_up(given, &plain)?;
    let workspace = book.workspace(Some(plan.run.started), ui)?;
    let loaded = book.load(&workspace, ui)?;
    if let Some(name) = plan.command.differs(&CommandLine::of(&book, &workspace.config, &plain)?) {
        let what = format!("`{name}` comes to something else here, by ansible.cfg or the environment");
        return Err(refused("what the plan was made from is no longer the same", &[what]));
    }
    let seal = Arc::new(seal(Arc::clone(&workspace.redactor))?);
    check_inventory(&plan, &of_inventory(&loaded.inventory, &seal))?;
    let mut options = Options::default();
    book.selection.apply(&mut options)?;
    check_start(&options, &loaded.playbook)?;

    // First all hosts are planned anew, so that none is touched where one is not as it was.
    ui.status(format_args!(
        "looking whether hosts are as they were when the plan was made ({} by {})",
        head.made, head.by
    ));
    let reached = plan.hosts.iter().filter(|(_, h)| h.reached).map(|(name, _)| Arc::clone(name));
    let recorder = Arc::new(Recorder::new(Some(reached.collect::<HashSet<_>>())));
    let answers = Answers::default();
    let request = Request::Deploy(DeployRequest { plan: plan.deploys.clone(), ..DeployRequest::default() });
    let looking = Arc::new(releases(request.clone(), None, who, &workspace));
    let mut job = book.job(&workspace, loaded.clone(), Options { plan: true, ..options.clone() });
    job.deployer = Some(Arc::clone(&looking));
    job.watched = Some(plan.run.watched(Arc::clone(&recorder) as _, true, answers.clone()));
    let outcome = match execute(job, ui)? {
        Ending::Done(outcome) => outcome,
        ending @ Ending::Interrupted => return Ok(super::apply::code(&ending).into()),
    };
    check_hosts(&plan, &recorder, &outcome, &seal)?;
    check_deploys(&plan, &looking, &seal)?;

    let left = plan.hosts.iter().filter(|(_, h)| !h.reached).map(|(name, _)| &**name).collect::<Vec<_>>();
    if !left.is_empty() {
        let names = left.join(", ");
        ui.warn(format_args!("could not be reached when the plan was made, so that nothing is done for: {names}"));
    }
    let mut job = book.job(&workspace, loaded, options);
    let keeper: Arc<dyn Watch> = Arc::new(Keeper::new(seal, &plan.hosts));
    job.watched = Some(Watched { diff: book.output.diff, ..plan.run.watched(keeper, false, answers.again()) });
    let deploying = Arc::new(releases(request, None, who, &workspace));
    job.deployer = Some(Arc::clone(&deploying));
    let ending = execute(job, ui)?;
    ui.annotate_failures(&deploying);
    Ok(code(&deploying, &ending).into())
}

/// That the inventory says of each host what it said.
fn check_inventory(plan: &Body, now: &IndexMap<Arc<str>, String>) -> Result<(), CommandError> {
    let mut wrong = Vec::new();
    for (host, planned) in plan.hosts.iter().filter(|(_, h)| h.reached) {
        match now.get(host) {
            // `localhost` without being in the inventory.
            None if planned.inventory.is_empty() => {}
            None => wrong.push(format!("{host}: the inventory does not have it any more")),
            Some(digest) if *digest == planned.inventory => {}
            Some(_) => wrong.push(format!("{host}: what the inventory says of it has changed")),
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(refused("what the plan was made from is no longer the same", &wrong)) }
}

/// That each host decides what it decided.
fn check_hosts(plan: &Body, recorder: &Recorder, outcome: &Outcome, seal: &Seal) -> Result<(), CommandError> {
    let reached = |host: &str| outcome.stats.get(host).is_none_or(|stats| stats.unreachable == 0);
    let hosts = plan.hosts.iter().filter(|(_, h)| h.reached).map(|(name, _)| (Arc::clone(name), reached(name)));
    let now = recorder.hosts(hosts, |_| String::new(), seal);
    let mut wrong = Vec::new();
    for (host, now) in &now {
        if let Some(planned) = plan.hosts.get(host) {
            wrong.extend(compare(planned, now).into_iter().map(|why| format!("{host}: {why}")));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let error = refused("hosts are no longer as they were when the plan was made", &wrong);
    let only_lost =
        now.iter().all(|(host, h)| !h.reached || plan.hosts.get(host).is_none_or(|p| compare(p, h).is_empty()));
    Err(if only_lost { CommandError { kind: ErrorKind::Unreachable, ..error } } else { error })
}

/// That each deploy would be the one that was planned.
fn check_deploys(plan: &Body, looking: &Releases, seal: &Seal) -> Result<(), CommandError> {
    const WHY: &str = "the deploy is no longer the one that was planned";
    if let Some((kind, reason)) = looking.ended().into_iter().find_map(|e| e.failure) {
        let error = refused(WHY, &[reason]);
        let lost = matches!(kind.as_str(), "unreachable" | "lost");
        return Err(if lost { CommandError { kind: ErrorKind::Unreachable, ..error } } else { error });
    }
    let now: Vec<Agreed> = looking.foretold().iter().map(|deploy| deploy.sealed(seal)).collect();
    let mut wrong = Vec::new();
    if now.len() < plan.deploys.len() {
        wrong.push("a deploy that was planned no longer takes place".to_owned());
    }
    for (planned, now) in plan.deploys.iter().zip(&now) {
        wrong.extend(planned.differences(now));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let error = refused(WHY, &wrong);
    let locked = wrong.iter().all(|why| why.contains(" is locked now by "));
    if !locked {
        return Err(error);
    }
    // When they are done, another release may serve, and then that is the reason.
    let error = CommandError { kind: ErrorKind::Locked, hints: Vec::new(), ..error };
    Err(error.hinted("try again when they are done; `windlass status` tells more"))
}

fn refused(why: &str, reasons: &[String]) -> CommandError {
    let reasons: Vec<String> = reasons.iter().map(|reason| format!("  {}", windlass::report::clean(reason))).collect();
    let text = format!("{why}; no host was touched\n{}", reasons.join("\n"));
    CommandError::new(ErrorKind::Failed, text).hinted("make a new plan with `windlass plan … -o FILE`, and look at it")
}

fn unusable(error: &PlanError) -> CommandError {
    CommandError::new(ErrorKind::Failed, error)
}

/// The digests of what the inventory says of each host.
fn of_inventory(inventory: &Inventory, seal: &Seal) -> IndexMap<Arc<str>, String> {
    // All files are opened first: what was encrypted in them is masked from then on, for every host alike.
    let all: Vec<HostName> = inventory.hosts();
    let read: Vec<_> = all.into_iter().map(|host| (inventory.variables(&host), host)).collect();
    let mut out = IndexMap::new();
    for (layers, host) in read {
        let Ok(layers) = layers else { continue };
        let mut text = String::new();
        for (_, vars) in &layers {
            for (name, node) in vars.iter() {
                let value = serde_json::to_string(&Value::from(&**node)).unwrap_or_default();
                text.extend([name, "=", node.tag.as_deref().unwrap_or_default(), &value, "\n"]);
            }
            text.push('\n');
        }
        let groups = inventory.magic(&host).get("group_names").map(ToString::to_string).unwrap_or_default();
        text.push_str(&groups);
        out.insert(host.shared(), seal.text("inventory", &text));
    }
    out
}

fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "localhost".to_owned() } else { name.trim().to_owned() }
}
