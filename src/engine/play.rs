//! Plays and batches: which hosts run what, and when the run ends.

use super::board::{Board, Snapshot, exceeds};
use super::carry::Given;
use super::code::compile;
use super::deploy::Deployer;
use super::drive::{Driver, Kept};
use super::event::{Event, Stats, Traffic};
use super::machine::Counters;
use super::run::{EngineKind, Shared};
use super::state::{HostState, Standing};
use super::step::{Walker, Worlds};
use super::world::Memory;
use crate::playbook::{HostOrder, Play, Playbook, Vars};
use crate::source::{Diagnostic, Node};
use crate::values::{EvalError, Lookup, Map, Scope, Value};
use indexmap::IndexMap;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// By host, in the order in which they took part.
    pub stats: IndexMap<Arc<str>, Stats>,
    /// What travelled.
    pub traffic: Traffic,
}

impl Outcome {
    /// Whether a task failed on a host.
    pub fn failed(&self) -> bool {
        self.stats.values().any(|s| s.failed > 0)
    }

    /// Whether a host could not be reached.
    pub fn unreachable(&self) -> bool {
        self.stats.values().any(|s| s.unreachable > 0)
    }

    /// Whether something was changed, or in a plan would, or might, be.
    pub fn changed(&self) -> bool {
        self.stats.values().any(|s| s.changed > 0 || s.unknown > 0)
    }
}

/// A whole run.
pub struct Runner {
    pub(super) shared: Arc<Shared>,
    pub(super) limit: Option<String>,
    pub(super) kept: IndexMap<Arc<str>, Kept>,
    pub(super) given: Given,
    pub(super) interrupt: CancellationToken,
    pub(super) deployer: Option<Arc<dyn Deployer>>,
    pub(super) deployed: Traffic,
    /// Whether nothing comes after the play.
    last: bool,
}

impl Runner {
    /// A run over the hosts that `limit` leaves.
    pub fn new(shared: Arc<Shared>, limit: Option<String>) -> Self {
        Self {
            shared,
            limit,
            kept: IndexMap::new(),
            given: Given::default(),
            interrupt: CancellationToken::new(),
            deployer: None,
            deployed: Traffic::default(),
            last: false,
        }
    }

    /// Plays with `deploy:` are brought to their end by it.
    #[must_use]
    pub fn deployed_by(mut self, deployer: Arc<dyn Deployer>) -> Self {
        self.deployer = Some(deployer);
        self
    }

    /// Once `token` is cancelled, no host begins a further step: what runs comes to its end, and the run is over.
    #[must_use]
    pub fn interrupted_by(mut self, token: CancellationToken) -> Self {
        self.interrupt = token;
        self
    }

    /// Runs all plays of a playbook.
    ///
    /// # Errors
    /// What is wrong with a play's hosts or batches, before that play touches any host.
    pub async fn run(mut self, playbook: &Playbook) -> Result<Outcome, Vec<Diagnostic>> {
        let begun = Instant::now();
        let mut problem = None;
        for (at, play) in playbook.plays.iter().enumerate() {
            if self.interrupt.is_cancelled() {
                break;
            }
            self.last = at + 1 == playbook.plays.len() && play.deploy.is_none();
            match self.play(play).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(found) => {
                    problem = Some(found);
                    break;
                }
            }
        }
        let outcome = self.close().await;
        self.shared.tell(Event::Recap {
            hosts: outcome.stats.iter().map(|(h, s)| (Arc::clone(h), *s)).collect(),
            took: begun.elapsed(),
            traffic: outcome.traffic,
        });
        match problem {
            Some(found) => Err(found),
            None => Ok(outcome),
        }
    }

    async fn close(&mut self) -> Outcome {
        let mut stats = IndexMap::new();
        let mut traffic = self.deployed;
        let mut closing = Vec::new();
        for (host, mut kept) in std::mem::take(&mut self.kept) {
            let mut all = kept.traffic;
            for (seat, mut machine) in kept.machines {
                machine.forget(kept.journal.forgotten(&seat));
                let counters = machine.counters();
                all.trips += counters.trips;
                all.sent += counters.sent;
                all.received += counters.received;
                closing.push(tokio::spawn(machine.close()));
            }
            traffic.trips = traffic.trips.max(all.trips);
            traffic.asking = traffic.asking.max(kept.asking);
            traffic.acting = traffic.acting.max(kept.acting);
            traffic.chain = traffic.chain.max(u64::from(kept.depths.longest));
            traffic.syncs = traffic.syncs.max(kept.syncs);
            traffic.sent += all.sent;
            traffic.received += all.received;
            stats.insert(host, kept.stats);
        }
        for close in closing {
            let _ = close.await;
        }
        Outcome { stats, traffic }
    }

    /// Whether the run goes on after it.
    async fn play(&mut self, play: &Arc<Play>) -> Result<bool, Vec<Diagnostic>> {
        let scope: Arc<dyn Scope> = Arc::new(PlayScope { shared: Arc::clone(&self.shared), play: Arc::clone(play) });
        let hosts = self.hosts(play, &scope)?;
        let prompted = Arc::new(self.prompted(play, &scope)?);
        let name = match &play.name {
            Some(node) => self
                .shared
                .templar
                .render_node(node, &scope)
                .map_or_else(|_| node.as_str().unwrap_or_default().to_owned(), |v| v.to_string()),
            None => Value::from(&play.hosts).to_string(),
        };
        self.shared.tell(Event::PlayStart { name: name.clone(), hosts: hosts.clone(), plan: self.shared.options.plan });
        self.shared.watch.iter().for_each(|watch| watch.play());
        let compiled = Arc::new(compile(play));
        let mut batches = self.batches(play, &hosts, &scope)?;
        if play.deploy.is_some() && !self.deployer.as_ref().is_none_or(|d| d.prepares()) {
            batches.clear();
        }
        let rules = self.rules(play, &scope)?;
        let mut go_on = true;
        let several = batches.len() > 1;
        for batch in batches {
            let batch: Vec<Arc<str>> = batch.into_iter().filter(|h| self.takes_part(h)).collect();
            if batch.is_empty() {
                continue;
            }
            if several {
                self.shared.tell(Event::BatchStart { hosts: batch.clone() });
            }
            let board = Board::new(
                Arc::clone(play),
                name.clone(),
                Arc::clone(&prompted),
                hosts.clone(),
                batch.clone(),
                self.snapshots(),
            );
            let board = Arc::new(board.ruled(rules));
            self.batch(&board, &compiled, &batch).await?;
            self.take_over(&board);
            if board.play_ended() {
                break;
            }
            let lost = batch.iter().filter(|h| !self.takes_part(h)).count();
            if lost == batch.len() {
                self.shared.tell(Event::Notice { host: None, text: "no more hosts left".to_owned() });
                go_on = false;
                break;
            }
            let failed = |h: &&Arc<str>| self.kept.get(*h).is_some_and(|k| k.standing == Standing::Failed);
            let failed = batch.iter().filter(failed).count();
            if let Some(limit) = rules.max_fail
                && exceeds(failed, batch.len(), limit)
            {
                let text = format!(
                    "{failed} of {} hosts failed, more than `max_fail_percentage: {limit}` allows",
                    batch.len()
                );
                self.shared.tell(Event::Notice { host: None, text });
                go_on = false;
                break;
            }
            if self.interrupt.is_cancelled() || board.aborted().is_some() && lost > 0 {
                go_on = false;
                break;
            }
        }
        if go_on && !self.interrupt.is_cancelled() && play.deploy.is_some() {
            go_on = self.deploy(play, &name, &hosts, &compiled, &scope).await?;
        }
        self.shared.tell(Event::PlayEnd);
        Ok(go_on)
    }

    pub(super) fn takes_part(&self, host: &Arc<str>) -> bool {
        !self.shared.leaves_out(host)
            && self.kept.get(host).is_none_or(|k| !matches!(k.standing, Standing::Failed | Standing::Unreachable))
    }

    pub(super) fn snapshots(&self) -> HashMap<Arc<str>, Snapshot> {
        self.kept
            .iter()
            .map(|(host, kept)| {
                let snapshot = Snapshot {
                    position: Vec::new(),
                    standing: match kept.standing {
                        Standing::Failed => Standing::Failed,
                        Standing::Unreachable => Standing::Unreachable,
                        _ => Standing::Running,
                    },
                    registered: Arc::clone(&kept.registered),
                    facts: Arc::clone(&kept.facts),
                    stats: kept.stats,
                };
                (Arc::clone(host), snapshot)
            })
            .chain(self.given.snapshots().filter(|(host, _)| !self.kept.contains_key(host)))
            .collect()
    }

    async fn batch(
        &mut self,
        board: &Arc<Board>,
        compiled: &Arc<super::code::Compiled>,
        batch: &[Arc<str>],
    ) -> Result<(), Vec<Diagnostic>> {
        let memory = match (self.shared.options.plan, self.shared.options.engine) {
            (true, _) => Memory::Plan,
            (false, EngineKind::Plain) => Memory::None,
            (false, EngineKind::Ahead) => Memory::Assume,
        };
        let mut drivers = Vec::new();
        for host in batch {
            let kept = self.kept.shift_remove(host).unwrap_or_else(|| self.fresh(host, memory));
            let mut state = HostState::new(
                Arc::clone(&compiled.main),
                Arc::clone(&kept.registered),
                Arc::clone(&kept.facts),
                kept.started,
            );
            state.vars_files = Arc::new(self.vars_files(board, compiled, host, &state)?);
            // Everybody stands at the beginning before anybody moves.
            board.publish(
                host,
                Snapshot {
                    position: state.position(),
                    standing: Standing::Running,
                    registered: Arc::clone(&state.registered),
                    facts: Arc::clone(&state.facts),
                    stats: kept.stats,
                },
            );
            drivers.push(Driver::new(
                Arc::clone(&self.shared),
                Arc::clone(board),
                Arc::clone(compiled),
                Arc::clone(host),
                state,
                kept,
            ));
        }
        let running: Vec<_> = drivers
            .into_iter()
            .zip(batch)
            .map(|(driver, host)| {
                let (last, shared, host) = (self.last, Arc::clone(&self.shared), Arc::clone(host));
                tokio::spawn(async move {
                    let mut kept = driver.run().await;
                    if last {
                        kept.leave(&*shared.connector, &host).await;
                    }
                    kept
                })
            })
            .collect();
        let (interrupt, watched) = (self.interrupt.clone(), Arc::clone(board));
        let watch = tokio::spawn(async move {
            interrupt.cancelled().await;
            watched.interrupt();
        });
        let _watch = tokio_util::task::AbortOnDropHandle::new(watch);
        for (host, task) in batch.iter().zip(running) {
            match task.await {
                Ok(kept) => {
                    self.kept.insert(Arc::clone(host), kept);
                }
                Err(error) => {
                    return Err(vec![Diagnostic::bare(
                        "internal",
                        format!("internal error while working on {host}: {error}; please report it"),
                    )]);
                }
            }
        }
        Ok(())
    }

    /// A host that has done nothing yet.
    pub(super) fn fresh(&self, host: &str, memory: Memory) -> Kept {
        let (registered, facts) = self.given.of(host);
        Kept {
            registered,
            facts,
            worlds: Worlds::new(memory),
            machines: HashMap::new(),
            journal: super::journal::Journal::default(),
            started: self.shared.options.start_at.is_none(),
            stats: Stats::default(),
            standing: Standing::Running,
            asking: 0,
            acting: 0,
            syncs: 0,
            depths: super::depth::Depths::default(),
            traffic: Counters::default(),
        }
    }

    /// The files of `vars_files`, whose names may use the host's variables.
    pub(super) fn vars_files(
        &self,
        board: &Arc<Board>,
        compiled: &super::code::Compiled,
        host: &Arc<str>,
        state: &HostState,
    ) -> Result<Vec<Arc<Vars>>, Vec<Diagnostic>> {
        let walker = Walker { shared: &self.shared, board, compiled, host };
        let mut out = Vec::new();
        for file in &board.play.vars_files {
            let env = walker.env(state, &compiled.root, None, Map::new());
            let mut tried = Vec::new();
            let mut found = None;
            for candidate in &file.candidates {
                let name = match self.shared.templar.render_node(candidate, &env.scope) {
                    Ok(value) => value.to_string(),
                    Err(EvalError::Failed(problem)) => return Err(vec![*problem]),
                    Err(EvalError::Wait) => continue,
                };
                let search = crate::playbook::SearchPath::of_play(&board.play.base_dir);
                match search.find("vars", &name) {
                    Ok(path) => {
                        found = Some(path);
                        break;
                    }
                    Err(_) => tried.push(name),
                }
            }
            match found {
                Some(path) => out.push(Arc::new(crate::playbook::load_vars_file(&path, &self.shared.loader)?)),
                None if file.candidates.len() > 1 => {}
                None => {
                    let span = file.candidates.first().map_or(&board.play.span, |n| &n.span);
                    let text = format!("there is no variables file `{}` (for {host})", tried.join("`, `"));
                    return Err(vec![Diagnostic::error("no-such-file", text, span)]);
                }
            }
        }
        Ok(out)
    }

    pub(super) fn prompted(&self, play: &Play, scope: &Arc<dyn Scope>) -> Result<Map, Vec<Diagnostic>> {
        let mut map = Map::new();
        for prompt in &play.vars_prompt {
            let given = self.shared.options.extra_vars.iter().any(|l| match l {
                super::scope::Layer::Nodes(vars) => vars.contains_key(&prompt.name),
                super::scope::Layer::Data(data) => data.contains_key(&prompt.name),
            });
            if given {
                continue;
            }
            let render = |node: &Node| -> Result<Value, Vec<Diagnostic>> {
                self.shared.templar.render_node(node, scope).map_err(|e| match e {
                    EvalError::Failed(problem) => vec![*problem],
                    EvalError::Wait => Vec::new(),
                })
            };
            let default = prompt.default.as_ref().map(render).transpose()?;
            let text = match &prompt.prompt {
                Some(node) => render(node)?.to_string(),
                None => prompt.name.to_string(),
            };
            let shown = match (&default, prompt.private) {
                (Some(default), false) => format!("{text} [{default}]: "),
                _ => format!("{text}: "),
            };
            let mut answer = (self.shared.prompt)(&shown, prompt.private);
            if prompt.confirm && answer.as_deref().is_some_and(|a| !a.is_empty()) {
                let again = (self.shared.prompt)(&format!("confirm {text}: "), prompt.private);
                if again != answer {
                    answer = None;
                }
            }
            let value = match (answer.filter(|a| !a.is_empty()), default) {
                (Some(answer), _) => Value::from(answer),
                (None, Some(default)) => default,
                (None, None) => {
                    let text = format!("`{}` was not answered; give it with -e {}=…", prompt.name, prompt.name);
                    return Err(vec![Diagnostic::error("vars-prompt", text, &prompt.span)]);
                }
            };
            map.insert(Arc::clone(&prompt.name), value);
        }
        Ok(map)
    }

    pub(super) fn hosts(&self, play: &Play, scope: &Arc<dyn Scope>) -> Result<Vec<Arc<str>>, Vec<Diagnostic>> {
        let value = self.shared.templar.render_node(&play.hosts, scope).map_err(|e| match e {
            EvalError::Failed(problem) => vec![*problem],
            EvalError::Wait => {
                vec![Diagnostic::error("hosts", "`hosts` needs a value that is not known yet", &play.hosts.span)]
            }
        })?;
        let pattern = match &value {
            Value::List(items) => items.iter().map(Value::to_string).collect::<Vec<_>>().join(","),
            other => other.to_string(),
        };
        let selected = self.shared.inventory.select(&pattern, self.limit.as_deref()).map_err(|mut problem| {
            if problem.span.is_none() {
                problem.span = Some(play.hosts.span.clone());
            }
            vec![problem]
        })?;
        let mut hosts: Vec<Arc<str>> = selected.into_iter().map(|h| Arc::from(h.as_str())).collect();
        if let Some(shard) = self.shared.options.shard {
            hosts.retain(|h| shard.holds(h));
        }
        match play.order {
            HostOrder::Inventory => {}
            HostOrder::ReverseInventory => hosts.reverse(),
            HostOrder::Sorted => hosts.sort(),
            HostOrder::ReverseSorted => {
                hosts.sort();
                hosts.reverse();
            }
            HostOrder::Shuffle => {
                let key = |h: &Arc<str>| {
                    crate::host::answer::digest(
                        crate::host::Algorithm::Md5,
                        format!("{}{h}", self.shared.id).as_bytes(),
                    )
                };
                hosts.sort_by_key(key);
            }
        }
        Ok(hosts)
    }

    fn batches(
        &self,
        play: &Play,
        hosts: &[Arc<str>],
        scope: &Arc<dyn Scope>,
    ) -> Result<Vec<Vec<Arc<str>>>, Vec<Diagnostic>> {
        let mut sizes = Vec::new();
        for node in &play.serial {
            let value = self.shared.templar.render_node(node, scope).map_err(|e| match e {
                EvalError::Failed(problem) => vec![*problem],
                EvalError::Wait => Vec::new(),
            })?;
            let items = match &value {
                Value::List(items) => items.to_vec(),
                other => vec![other.clone()],
            };
            for item in items {
                sizes.push(batch_size(&item, hosts.len()).ok_or_else(|| {
                    let text = format!("`serial` takes numbers and percentages, not `{item}`");
                    vec![Diagnostic::error("serial", text, &node.span)]
                })?);
            }
        }
        Ok(split(hosts, &sizes))
    }
}

fn batch_size(value: &Value, hosts: usize) -> Option<usize> {
    let text = value.to_string();
    match text.strip_suffix('%') {
        Some(percent) => {
            let percent: f64 = percent.trim().parse().ok()?;
            Some(((hosts as f64 * percent / 100.0) as usize).max(1))
        }
        None => text.trim().parse().ok(),
    }
}

/// Hosts in batches of these sizes, the last of which repeats; 0 or nothing is all of them.
fn split(hosts: &[Arc<str>], sizes: &[usize]) -> Vec<Vec<Arc<str>>> {
    let mut out = Vec::new();
    let mut rest = hosts;
    let mut sizes = sizes.iter().copied();
    let mut size = 0;
    while !rest.is_empty() {
        size = sizes.next().unwrap_or(size);
        let take = if size == 0 { rest.len() } else { size.min(rest.len()) };
        out.push(rest[..take].to_vec());
        rest = &rest[take..];
    }
    out
}

/// What a play's own keywords see: extra vars and the play's variables.
struct PlayScope {
    shared: Arc<Shared>,
    play: Arc<Play>,
}

impl Scope for PlayScope {
    fn get(&self, name: &str) -> Lookup {
        for layer in self.shared.options.extra_vars.iter().rev() {
            match layer {
                super::scope::Layer::Nodes(vars) => {
                    if let Some(node) = vars.get(name) {
                        return Lookup::Template(Arc::clone(node));
                    }
                }
                super::scope::Layer::Data(map) => {
                    if let Some(value) = map.get(name) {
                        return Lookup::Data(value.clone());
                    }
                }
            }
        }
        if let Some(node) = self.play.keywords.vars.get(name) {
            return Lookup::Template(Arc::clone(node));
        }
        match name {
            "groups" => Lookup::Data(self.shared.groups.clone()),
            "playbook_dir" => Lookup::Data(super::scope::absolute(&self.play.base_dir)),
            _ => Lookup::Undefined,
        }
    }

    fn names(&self) -> Vec<Arc<str>> {
        self.play.keywords.vars.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_repeat_the_last_size() {
        let hosts: Vec<Arc<str>> = ["a", "b", "c", "d", "e", "f"].map(Arc::from).to_vec();
        let sizes = |s: &[usize]| split(&hosts, s).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(&[]), [6]);
        assert_eq!(sizes(&[4]), [4, 2]);
        assert_eq!(sizes(&[1, 2]), [1, 2, 2, 1]);
        assert_eq!(batch_size(&Value::from("30%"), 6), Some(1));
        assert_eq!(batch_size(&Value::from("50%"), 6), Some(3));
        assert_eq!(batch_size(&Value::from(2), 6), Some(2));
        assert_eq!(batch_size(&Value::from("many"), 6), None);
    }
}
