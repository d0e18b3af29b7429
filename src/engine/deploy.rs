//! What the engine hands over at the end of a play that says `deploy:`. Who deploys is above the engine.

use super::board::Board;
use super::code::{Compiled, whole};
use super::event::{Event, Stats};
use super::machine::{Async, Connector, Variables};
use super::play::Runner;
use super::state::{HostState, Standing};
use super::step::Walker;
use super::world::{Identity, Memory};
use crate::inventory::Shard;
use crate::playbook::Play;
use crate::playbook::deploy::DeployCall;
use crate::source::Diagnostic;
use crate::values::{EvalError, Map, Scope, Templar, Value};
use indexmap::IndexMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// One host of the play.
#[derive(Clone)]
pub struct DeployHost {
    /// Its name in the inventory.
    pub name: Arc<str>,
    /// Its variables.
    pub scope: Arc<dyn Scope>,
    /// Who works there.
    pub identity: Identity,
    /// How it is reached.
    pub variables: Variables,
    /// Whether `--limit` leaves it in. The others only share the lock.
    pub chosen: bool,
    /// Why it takes no part any more: it could not be reached, or failed in the plays before.
    pub lost: Option<Lost>,
}

/// Why a host takes no part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// It could not be reached.
    Unreachable,
    /// A task failed.
    Failed,
}

/// A play's deploy.
pub struct Deploy {
    /// The play's name.
    pub play: String,
    /// What the playbook says.
    pub call: Arc<DeployCall>,
    /// The folder of the playbook.
    pub base: PathBuf,
    /// Whether it only foretells.
    pub plan: bool,
    /// All hosts of the play.
    pub hosts: Vec<DeployHost>,
    /// Hosts of the pattern that `balancer` of the call names.
    pub balancers: Vec<DeployHost>,
    /// Whether hosts were changed before it in this run.
    pub prepared: bool,
    /// Renders.
    pub templar: Arc<Templar>,
    /// Opens shells.
    pub connector: Arc<dyn Connector>,
    /// Where it tells what happens.
    pub events: mpsc::UnboundedSender<Event>,
    /// Ctrl-C, once.
    pub interrupt: CancellationToken,
    /// When the run began, seconds since 1970.
    pub started: i64,
}

impl Deploy {
    /// Tells an event; nobody waits for it.
    pub fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }
}

/// How it went: what counts for each host, and whether the run goes on.
#[derive(Debug, Clone, Default)]
pub struct Deployed {
    /// To be added to each host's counts.
    pub stats: IndexMap<Arc<str>, Stats>,
    /// Whether later plays run.
    pub go_on: bool,
    /// Round trips of the host that took most of them.
    pub trips: u64,
}

/// Who deploys.
pub trait Deployer: Send + Sync {
    /// Whether the play's own part (the role that lays the application out) runs before.
    fn prepares(&self) -> bool;

    /// Deploys, or does what else is asked for (a rollback).
    fn run(&self, deploy: Deploy) -> Async<'_, Deployed>;
}

impl Runner {
    /// Hands a play's hosts to who deploys. Whether the run goes on.
    pub(super) async fn deploy(
        &mut self,
        play: &Arc<Play>,
        name: &str,
        chosen: &[Arc<str>],
        compiled: &Arc<Compiled>,
        scope: &Arc<dyn Scope>,
    ) -> Result<bool, Vec<Diagnostic>> {
        let Some(call) = &play.deploy else { return Ok(true) };
        let Some(deployer) = self.deployer.clone() else {
            let problem = Diagnostic::error("deploy", "a deploy can't be run by this command", &call.span);
            return Err(vec![problem.help("use `windlass deploy`, `windlass plan` or `windlass apply`")]);
        };
        if self.shared.options.shard.is_some_and(Shard::divides) {
            let problem = Diagnostic::error(
                "shard",
                "a deploy can't be split with `--shard`: its hosts return as one",
                &call.span,
            );
            return Err(vec![problem.help("run it as one job; `--shard` is for ordinary plays")]);
        }
        // All hosts of the application, also those that `--limit` leaves out: they share its lock.
        let limit = self.limit.take();
        let all = self.hosts(play, scope);
        self.limit = limit;
        let all = all?;
        let board = Arc::new(Board::new(
            Arc::clone(play),
            name.to_owned(),
            Arc::new(self.prompted(play, scope)?),
            all.clone(),
            all.clone(),
            self.snapshots(),
        ));
        let memory = if self.shared.options.plan { Memory::Plan } else { Memory::Assume };
        let mut hosts = Vec::new();
        let mut prepared = false;
        for host in &all {
            prepared |= self.kept.get(host).is_some_and(|k| k.stats.changed > 0);
            hosts.push(self.deploy_host(host, chosen.contains(host), &board, compiled, memory, call)?);
        }
        let mut balancers = Vec::new();
        for host in self.balancers(call, hosts.first())? {
            balancers.push(self.deploy_host(&host, false, &board, compiled, memory, call)?);
        }
        let deploy = Deploy {
            play: name.to_owned(),
            call: Arc::clone(call),
            base: play.base_dir.clone(),
            plan: self.shared.options.plan,
            hosts,
            balancers,
            prepared,
            templar: Arc::clone(&self.shared.templar),
            connector: Arc::clone(&self.shared.connector),
            events: self.shared.events.clone(),
            interrupt: self.interrupt.clone(),
            started: self.shared.started,
        };
        let done = deployer.run(deploy).await;
        self.deployed.trips = self.deployed.trips.max(done.trips);
        for (host, stats) in &done.stats {
            let fresh = self.fresh(host, memory);
            let kept = self.kept.entry(Arc::clone(host)).or_insert(fresh);
            kept.stats.add(stats);
            if stats.unreachable > 0 {
                kept.standing = Standing::Unreachable;
            } else if stats.failed > 0 {
                kept.standing = Standing::Failed;
            }
        }
        Ok(done.go_on)
    }

    /// What a host is to who deploys.
    fn deploy_host(
        &self,
        host: &Arc<str>,
        chosen: bool,
        board: &Arc<Board>,
        compiled: &Arc<Compiled>,
        memory: Memory,
        call: &DeployCall,
    ) -> Result<DeployHost, Vec<Diagnostic>> {
        let kept = self.fresh(host, memory);
        let (registered, facts) = self
            .kept
            .get(host)
            .map_or((kept.registered, kept.facts), |k| (Arc::clone(&k.registered), Arc::clone(&k.facts)));
        let mut state = HostState::new(Arc::clone(&compiled.main), registered, facts, true);
        state.vars_files = Arc::new(self.vars_files(board, compiled, host, &state)?);
        let walker = Walker { shared: &self.shared, board, compiled, host };
        let Some(unit) = whole(compiled) else {
            return Err(vec![Diagnostic::error("internal", "the module `setup` is missing", &call.span)]);
        };
        Ok(DeployHost {
            identity: walker.identity(&state, &unit).map_err(|p| vec![p])?,
            variables: super::variables::of_host(&self.shared, board, &state, host, host),
            name: Arc::clone(host),
            scope: walker.env(&state, &compiled.root, None, Map::new()).scope,
            chosen,
            lost: match self.kept.get(host).map(|k| k.standing) {
                Some(Standing::Unreachable) => Some(Lost::Unreachable),
                Some(Standing::Failed) => Some(Lost::Failed),
                _ => None,
            },
        })
    }

    /// The hosts that `balancer` names, also those that `--limit` leaves out.
    fn balancers(&self, call: &DeployCall, first: Option<&DeployHost>) -> Result<Vec<Arc<str>>, Vec<Diagnostic>> {
        let entry = call.args.iter().find(|e| &*e.key == "balancer");
        let (Some(entry), Some(first)) = (entry, first) else { return Ok(Vec::new()) };
        let pattern = self.shared.templar.render_node(&entry.value, &first.scope).map_err(|error| match error {
            EvalError::Failed(problem) => vec![*problem],
            EvalError::Wait => {
                vec![Diagnostic::error("deploy", "`balancer` needs a value that is not known yet", &entry.value.span)]
            }
        })?;
        if matches!(pattern, Value::Null | Value::Omit) {
            return Ok(Vec::new());
        }
        let found = self.shared.inventory.select(&pattern.to_string(), None).map_err(|mut problem| {
            if problem.span.is_none() {
                problem.span = Some(entry.value.span.clone());
            }
            vec![problem]
        })?;
        if found.is_empty() {
            let text = format!("`balancer` names `{pattern}`, and no host of the inventory is that");
            let problem = Diagnostic::error("deploy", text, &entry.value.span);
            return Err(vec![problem.help("name a group or hosts, or remove `balancer`")]);
        }
        Ok(found.into_iter().map(|h| Arc::from(h.as_str())).collect())
    }
}
