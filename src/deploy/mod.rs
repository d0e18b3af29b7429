//! Releases of Django applications on plain hosts. See `README.md`.

pub mod agreed;
mod balancer;
mod building;
pub mod database;
pub mod far;
pub mod fleet;
pub mod lock;
pub mod migrations;
mod outlook;
mod planning;
mod recover;
mod release;
mod requirements;
mod rollback;
mod serve;
pub mod source;
pub mod spec;
pub mod survey;
pub mod target;
mod tell;
mod together;

use crate::engine::deploy::{Deploy, Deployed, Deployer, Lost};
use crate::engine::machine::Async;
use crate::playbook::deploy::DeployArgs;
use agreed::{Agreed, Unsealed};
use far::CallError;
use fleet::{Fleet, Halt, Who};
use serde_json::{Value, json};
use source::{GitSource, Packed, RepoUrl, SourceSpec};
use spec::Spec;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use survey::Survey;

/// What a person asks for.
#[derive(Debug, Clone)]
pub enum Request {
    /// A release from its source.
    Deploy(DeployRequest),
    /// Back to a release that served.
    Rollback(RollbackRequest),
    /// Which releases there are.
    Releases,
    /// What serves where.
    Status,
    /// Give a lock back that its owner can't.
    Unlock {
        /// Also one whose owner seems to live.
        force: bool,
    },
    /// A management command in the serving release, on one host.
    Exec {
        /// Its words.
        command: Vec<String>,
        /// On which host; by default the first that serves.
        host: Option<String>,
    },
    /// A page instead of the application.
    Maintenance {
        /// Whether it shows.
        on: bool,
        /// What it says.
        message: String,
    },
}

/// What a deploy is told beside its play.
#[derive(Debug, Clone, Default)]
pub struct DeployRequest {
    /// Branch, tag or commit in place of the play's.
    pub reference: Option<String>,
    /// Accept migrations that break the serving release.
    pub allow_unsafe: bool,
    /// Take the lock over, whoever holds it.
    pub take_over: bool,
    /// Go on without hosts that can't be reached.
    pub allow_unreachable: bool,
    /// A new release even of unchanged files.
    pub again: bool,
    /// What a saved plan says of each deploy, in the order of the plays: that is done, or nothing.
    pub plan: Vec<Agreed>,
}

impl DeployRequest {
    /// The same, of one deploy of a saved plan: its commit, and what was asked for when it was made.
    fn held_to(&self, planned: Option<&Agreed>) -> Self {
        let Some(planned) = planned else { return Self { plan: Vec::new(), ..self.clone() } };
        Self {
            reference: planned.asked.reference.clone(),
            allow_unsafe: planned.asked.allow_unsafe,
            take_over: self.take_over,
            allow_unreachable: planned.asked.allow_unreachable,
            again: planned.asked.again,
            plan: vec![planned.clone()],
        }
    }

    /// The commit that is to be packed: that of a saved plan, whatever its branch names by now.
    fn commit(&self) -> Option<&str> {
        self.plan.first().and_then(|planned| planned.commit.as_deref())
    }
}

/// What a rollback is told.
#[derive(Debug, Clone, Default)]
pub struct RollbackRequest {
    /// To which release; by default the one that served before.
    pub to: Option<String>,
    /// Undo the migrations between.
    pub undo_migrations: bool,
    /// Go on though the old code may not work on the newer schema.
    pub allow_unsafe: bool,
    /// Take the lock over, whoever holds it.
    pub take_over: bool,
    /// Go on without hosts that can't be reached.
    pub allow_unreachable: bool,
}

/// Where this side keeps things.
#[derive(Debug, Clone)]
pub struct Folders {
    /// Copies of repositories.
    pub cache: PathBuf,
    /// Archives on their way.
    pub temp: PathBuf,
}

/// Tells an address how a deploy ended: address and JSON. The error is for people.
pub type Notify = dyn Fn(&str, &Value) -> Result<(), String> + Send + Sync;

/// How it ended, for the command that asked.
#[derive(Debug, Clone, Default)]
pub struct Ended {
    /// Whether anything was, or would be, changed.
    pub changed: bool,
    /// Why it failed: a word for programs, and a sentence.
    pub failure: Option<(String, String)>,
    /// The last lines of the log that tells more.
    pub log: Vec<String>,
    /// Hosts on which it failed.
    failed: Vec<usize>,
    /// Hosts that could not be put right.
    lost: Vec<usize>,
    /// What a management command ended with.
    pub status: Option<i64>,
}

impl Ended {
    fn done() -> Self {
        Self { changed: true, ..Self::default() }
    }

    fn nothing() -> Self {
        Self::default()
    }

    fn failed(halt: &Halt, reason: String, failed: Vec<usize>, lost: Vec<usize>) -> Self {
        let log = match halt {
            Halt::Failed { error, .. } => error.log().to_vec(),
            _ => Vec::new(),
        };
        Self { failure: Some((halt.kind().to_owned(), reason)), log, failed, lost, ..Self::default() }
    }

    fn halted(halt: &Halt) -> Self {
        Self::failed(halt, halt.to_string(), Vec::new(), Vec::new())
    }
}

/// Does what is asked for with the hosts of a play that says `deploy:`.
pub struct Releases {
    request: Request,
    /// The application that is meant, where a playbook has several.
    app: Option<String>,
    who: Who,
    folders: Folders,
    notify: Arc<Notify>,
    ended: Mutex<Vec<Ended>>,
    foretold: Mutex<Vec<Unsealed>>,
}

impl Releases {
    /// `app` leaves out plays of other applications.
    pub fn new(request: Request, app: Option<String>, who: Who, folders: Folders, notify: Arc<Notify>) -> Self {
        Self { request, app, who, folders, notify, ended: Mutex::default(), foretold: Mutex::default() }
    }

    /// How each play's part ended, in order.
    pub fn ended(&self) -> Vec<Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What a saved plan keeps of each deploy that was foretold, in order.
    pub fn foretold(&self) -> Vec<Unsealed> {
        self.foretold.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn work(&self, mut deploy: Deploy) -> Deployed {
        let place = self.ended.lock().unwrap_or_else(PoisonError::into_inner).len();
        let planned = match &self.request {
            Request::Deploy(request) => request.plan.get(place),
            _ => None,
        };
        // What could not be reached when the plan was made is left out of it.
        if let Some(planned) = planned {
            for host in &mut deploy.hosts {
                host.chosen &= planned.hosts.contains_key(&*host.name);
            }
        }
        let spec = match Spec::render(&deploy) {
            Ok(spec) => spec,
            Err(problem) => {
                let text = format!("{problem}{}", problem.help.first().map(|h| format!(" ({h})")).unwrap_or_default());
                deploy.tell(crate::engine::event::Event::Notice { host: None, text: text.clone() });
                self.keep(Ended { failure: Some(("deploy".to_owned(), text)), ..Ended::default() });
                return Deployed::default();
            }
        };
        if self.app.as_ref().is_some_and(|app| *app != spec.args.app) {
            return Deployed { go_on: true, ..Deployed::default() };
        }
        let fleet = Fleet::new(deploy, spec, self.who.clone());
        let ended = self.run_on(&fleet, planned).await;
        if let Some((_, reason)) = &ended.failure {
            fleet.notice(None, reason.clone());
            for line in &ended.log {
                fleet.notice(None, format!("  | {line}"));
            }
        }
        self.announce(&fleet, &ended);
        let go_on = ended.failure.is_none();
        let failed: Vec<usize> = ended.failed.iter().copied().filter(|p| !ended.lost.contains(p)).collect();
        let deployed = fleet.close(&failed, &ended.lost, go_on).await;
        self.keep(ended);
        deployed
    }

    fn keep(&self, ended: Ended) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(ended);
    }

    fn announce(&self, fleet: &Fleet, ended: &Ended) {
        let kind = match &self.request {
            Request::Deploy(_) => "deploy",
            Request::Rollback(_) => "rollback",
            _ => return,
        };
        let Some(address) = fleet.spec.args.notify.as_deref().filter(|_| !fleet.deploy.plan) else { return };
        let (word, reason) = ended.failure.clone().unzip();
        let told = json!({
            "version": 1, "event": kind, "app": fleet.spec.args.app, "by": fleet.who.owner,
            "result": if word.is_some() { "failed" } else if ended.changed { "done" } else { "nothing" },
            "kind": word, "reason": reason,
            "hosts": fleet.fars.iter().map(|f| f.name().to_string()).collect::<Vec<_>>(),
        });
        if let Err(error) = (self.notify)(address, &told) {
            fleet.notice(None, format!("nobody could be told at `notify`: {error}"));
        }
    }

    async fn run_on(&self, fleet: &Fleet, planned: Option<&Agreed>) -> Ended {
        let result = match &self.request {
            Request::Deploy(request) => self.deploy(fleet, &request.held_to(planned)).await,
            Request::Rollback(request) => self.rollback(fleet, request).await,
            Request::Releases => fleet.tell_releases().await,
            Request::Status => fleet.tell_status().await,
            Request::Unlock { force } => fleet.break_lock(*force).await,
            Request::Exec { command, host } => fleet.exec(command, host.as_deref()).await,
            Request::Maintenance { on, message } => fleet.maintain(*on, message).await,
        };
        result.unwrap_or_else(|halt| Ended::halted(&halt))
    }

    async fn deploy(&self, fleet: &Fleet, request: &DeployRequest) -> Result<Ended, Halt> {
        let (spec, packed) = self.pack(fleet, request).await?;
        let plan = fleet.deploy.plan;
        let reason = format!("deploy of {}", source::mask(&spec.shown()));
        let (places, surveys) = fleet.gather(request.allow_unreachable, true, Some(&*reason).filter(|_| !plan)).await?;
        if plan {
            let (ended, foretold) = fleet.foretell(request, &packed, &spec, &places, surveys, &self.folders).await?;
            self.foretold.lock().unwrap_or_else(PoisonError::into_inner).push(foretold);
            return Ok(ended);
        }
        let all: Vec<usize> = surveys.iter().map(|(p, _)| *p).collect();
        let surveys = fleet.lock(&all, &surveys, &reason, request.take_over).await?;
        let ended = match fleet.ready(surveys).await {
            Ok((surveys, _)) => fleet.deploy(request, &packed, &spec, &places, surveys).await,
            Err(halt) => Ended::halted(&halt),
        };
        fleet.unlock(&all).await;
        Ok(ended)
    }

    async fn rollback(&self, fleet: &Fleet, request: &RollbackRequest) -> Result<Ended, Halt> {
        let (places, surveys) = fleet.gather(request.allow_unreachable, false, Some("rollback")).await?;
        let all: Vec<usize> = surveys.iter().map(|(p, _)| *p).collect();
        let surveys = fleet.lock(&all, &surveys, "rollback", request.take_over).await?;
        let ended = match fleet.ready(surveys).await {
            Ok((_, Some(release))) if request.to.is_none() => {
                let text = format!("what served before {release} serves again: `--to` goes further back");
                fleet.notice(None, text);
                Ended::done()
            }
            Ok((surveys, _)) => fleet.roll_back(request, &places, &surveys).await,
            Err(halt) => Ended::halted(&halt),
        };
        fleet.unlock(&all).await;
        Ok(ended)
    }

    async fn pack(&self, fleet: &Fleet, request: &DeployRequest) -> Result<(SourceSpec, Packed), Halt> {
        let wrong = |text: String| Halt::wrong("source", text);
        let args = &fleet.spec.args;
        let spec = source_of(args, request.reference.as_deref(), &fleet.deploy.base).map_err(wrong)?;
        if !fleet.deploy.plan {
            fleet.notice(None, format!("packing {}", source::mask(&spec.shown())));
        }
        let mut exact = spec.clone();
        if let (SourceSpec::Git(git), Some(commit)) = (&mut exact, request.commit()) {
            commit.clone_into(&mut git.reference);
        }
        let (folders, project, cancel) =
            (self.folders.clone(), args.project_dir.clone(), fleet.deploy.interrupt.clone());
        let packing = tokio::task::spawn_blocking(move || {
            let stop = || cancel.is_cancelled();
            let options = source::Options { cancel: &stop, ..source::Options::new(&folders.cache, &folders.temp) };
            let packed = source::pack(&exact, &project, &options);
            (spec, packed)
        });
        let (spec, packed) = packing.await.map_err(|e| wrong(format!("packing the source stopped: {e}")))?;
        let mut packed = packed.map_err(|e| wrong(e.to_string()))?;
        if let Some(planned) = request.plan.first() {
            // The commit was asked for by its number: what it is called is known from the plan.
            packed.describe.clone_from(&planned.found_as);
        }
        if packed.dirty {
            fleet.notice(
                None,
                "the folder has changes that are not committed: they are deployed, too, and no commit is recorded",
            );
        }
        Ok((spec, packed))
    }
}

/// The places of the hosts that take part, and what is on each that can be reached.
type Gathered = (Vec<usize>, Vec<(usize, Survey)>);

/// The source that a play names; `base` is the folder of its playbook.
fn source_of(args: &DeployArgs, reference: Option<&str>, base: &std::path::Path) -> Result<SourceSpec, String> {
    match (&args.git, &args.source) {
        (Some(git), _) => {
            let repo = RepoUrl::parse(git).map_err(|e| e.to_string())?;
            let reference = reference.or(args.r#ref.as_deref()).unwrap_or("HEAD").to_owned();
            let key_file = args.git_key_file.as_ref().map(|p| base.join(p));
            Ok(SourceSpec::Git(GitSource { reference, submodules: args.submodules, key_file, ..GitSource::new(repo) }))
        }
        (None, Some(_)) if reference.is_some() => {
            Err("--ref names a commit of a repository, and this deploy's source is a folder or an archive".to_owned())
        }
        (None, Some(path)) => {
            let path = base.join(path);
            if path.is_dir() {
                return Ok(SourceSpec::Local { path });
            }
            if path.is_file() {
                return Ok(SourceSpec::Archive { path });
            }
            Err(format!("there is no folder and no archive {}", path.display()))
        }
        (None, None) => {
            Err("what to deploy is not said: write `source: FOLDER` or `git: ADDRESS` below `deploy`".to_owned())
        }
    }
}

impl Deployer for Releases {
    fn prepares(&self) -> bool {
        matches!(self.request, Request::Deploy(_))
    }

    fn run(&self, deploy: Deploy) -> Async<'_, Deployed> {
        Box::pin(self.work(deploy))
    }
}

impl Fleet {
    /// Looks at all hosts: the places of those that take part, and what is on each that can be reached. With a `reason` to
    /// lock, the lock of the first host is taken at once where it is free: whoever has that has them all.
    ///
    /// # Errors
    /// Too many can't be reached, or a host is not laid out for the application. Then nothing is locked.
    async fn gather(&self, allow_unreachable: bool, layout: bool, reason: Option<&str>) -> Result<Gathered, Halt> {
        let failed = self.deploy.hosts.iter().find(|h| h.chosen && h.lost == Some(Lost::Failed));
        if let Some(host) = failed {
            return Err(Halt::wrong("prepare", format!("{} failed before the deploy: nothing is deployed", host.name)));
        }
        let all = self.everyone();
        let first = all.iter().copied().min_by_key(|&p| self.name(p).clone());
        let found = self
            .look(&all, &|p| {
                let mut asked = self.locking(&all, reason.filter(|_| Some(p) == first)?);
                asked["if_free"] = true.into();
                Some(asked)
            })
            .await;
        let mine = |s: &Survey| s.lock.as_ref().is_some_and(|l| l.token == self.token);
        let taken: Vec<usize> =
            found.iter().filter(|(_, s)| s.as_ref().is_ok_and(mine)).map(|(place, _)| *place).collect();
        let gathered = self.sift(found, allow_unreachable, layout);
        if gathered.is_err() {
            self.unlock(&taken).await;
        }
        gathered
    }

    /// What a look at all hosts means: who takes part.
    fn sift(
        &self,
        looked: Vec<(usize, Result<Survey, CallError>)>,
        allow_unreachable: bool,
        layout: bool,
    ) -> Result<Gathered, Halt> {
        let mut surveys = Vec::new();
        let mut lost: Vec<(usize, CallError)> = Vec::new();
        for (place, found) in looked {
            match found {
                Ok(survey) => surveys.push((place, survey)),
                Err(error @ CallError::Lost(_)) => lost.push((place, error)),
                Err(error) => {
                    return Err(Halt::Failed { host: self.name(place).clone(), step: "look".to_owned(), error });
                }
            }
        }
        let may = self
            .spec
            .may_be_lost(self.fars.len())
            .map_err(|e| Halt::wrong("max_unreachable", format!("`max_unreachable`: {e}")))?;
        if let Some((place, error)) = lost.first() {
            if !allow_unreachable && lost.len() > may {
                let names: Vec<usize> = lost.iter().map(|(p, _)| *p).collect();
                return Err(Halt::wrong(
                    "unreachable",
                    format!(
                        "{} can't be reached ({error}). All hosts of the application share its lock; to go on without: --allow-unreachable, or `max_unreachable`. What was left out is brought level by the next deploy",
                        self.names(&names)
                    ),
                ));
            }
            for (place, error) in &lost {
                self.notice(Some(*place), format!("left out, since it can't be reached: {error}"));
            }
            if surveys.is_empty() {
                return Err(Halt::wrong(
                    "unreachable",
                    format!("no host can be reached; {}: {error}", self.name(*place)),
                ));
            }
        }
        let places: Vec<usize> = surveys.iter().map(|(p, _)| *p).filter(|&p| self.deploy.hosts[p].chosen).collect();
        if places.is_empty() {
            return Err(Halt::wrong("hosts", "none of the hosts that are left takes part"));
        }
        for (place, survey) in surveys.iter().filter(|(p, _)| places.contains(p)) {
            if let Some(path) =
                survey.missing.first().filter(|_| layout && !self.deploy.plan || survey.serving.is_none() && !layout)
            {
                return Err(Halt::wrong(
                    "layout",
                    format!(
                        "{} is not laid out for {}: {path} is missing. Run the roles python, nginx and django_app on it first",
                        self.name(*place),
                        self.spec.args.app
                    ),
                ));
            }
        }
        Ok((places, surveys))
    }

    /// Under the lock: what earlier runs left behind is put right, and the hosts are looked at as they are now. With it
    /// the release of a deploy that had switched hosts and was taken back.
    async fn ready(&self, mut surveys: Vec<(usize, Survey)>) -> Result<(Vec<(usize, Survey)>, Option<String>), Halt> {
        let places: Vec<usize> = surveys.iter().map(|(p, _)| *p).collect();
        let mut taken_back = None;
        // A host that was lost may stand at another deploy than those that went on without it.
        for _ in &places {
            let Some(recovered) = self.recover(&surveys).await? else { break };
            taken_back = taken_back.or(recovered.taken_back);
            surveys = self.look_at(&places).await?;
        }
        // Where it could not be put back everywhere, there is something left to do.
        let left = surveys.iter().any(|(_, s)| s.release().is_some() && s.release() == taken_back.as_deref());
        Ok((surveys, taken_back.filter(|_| !left)))
    }

    async fn look_at(&self, places: &[usize]) -> Result<Vec<(usize, Survey)>, Halt> {
        let mut surveys = Vec::new();
        for (place, found) in self.look(places, &|_| None).await {
            let failed = |error| Halt::Failed { host: self.name(place).clone(), step: "look".to_owned(), error };
            surveys.push((place, found.map_err(failed)?));
        }
        Ok(surveys)
    }
}
