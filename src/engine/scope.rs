//! The precedence ladder: which variables a task on a host sees.
//!
//! The order is the one that Ansible documents ("Understanding variable precedence"), lowest to highest: role defaults,
//! inventory, facts, play vars, vars_prompt, vars_files, role vars, block vars, task vars, include_vars, set_facts and
//! registered vars, role params, include params, extra vars. Loop variables stand above all.

use super::board::Board;
use super::code::{Context, Unit};
use super::depth::Depths;
use super::run::Shared;
use super::state::HostState;
use crate::playbook::{RoleUse, SearchPath, Vars};
use crate::source::Node;
use crate::values::{Lookup, Map, Scope, Scopes, Value};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Some variables of one origin.
#[derive(Clone)]
pub enum Layer {
    /// As they stand in a file.
    Nodes(Arc<Vars>),
    /// Data.
    Data(Arc<Map>),
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nodes(vars) => write!(f, "{} variables", vars.len()),
            Self::Data(map) => write!(f, "{} values", map.len()),
        }
    }
}

impl Layer {
    fn get(&self, name: &str) -> Option<Lookup> {
        match self {
            Self::Nodes(vars) => vars.get(name).map(|n: &Arc<Node>| Lookup::Template(Arc::clone(n))),
            Self::Data(map) => map.get(name).map(|v| Lookup::Data(v.clone())),
        }
    }

    fn names(&self) -> Vec<Arc<str>> {
        match self {
            Self::Nodes(vars) => vars.keys().cloned().collect(),
            Self::Data(map) => map.keys().cloned().collect(),
        }
    }
}

/// Another host whose variables were needed before it had come as far as this one.
pub type Needs = Arc<Mutex<Vec<Arc<str>>>>;

/// What one evaluation sees.
pub struct TaskScope {
    layers: Vec<Layer>,
    facts: Arc<Map>,
    hosts: Option<HostVars>,
    search: Arc<SearchPath>,
    seed: Seed,
    depths: Depths,
}

/// What random draws start from.
#[derive(Debug, Clone, Default)]
pub struct Seed {
    /// The number.
    pub number: u64,
    /// Whether anything was drawn.
    pub drawn: Arc<AtomicBool>,
}

/// The variables of all hosts, as one host sees them at its place in the play.
#[derive(Clone)]
struct HostVars {
    shared: Arc<Shared>,
    board: Arc<Board>,
    position: Arc<Vec<u32>>,
    own: Arc<str>,
    needs: Needs,
}

/// What a scope is made from.
pub struct ScopeParts<'a> {
    /// The run.
    pub shared: &'a Arc<Shared>,
    /// The other hosts.
    pub board: &'a Arc<Board>,
    /// The host.
    pub host: &'a Arc<str>,
    /// Where it is.
    pub state: &'a HostState,
    /// What stands around the task.
    pub context: &'a Context,
    /// The task, where it is for one.
    pub unit: Option<&'a Unit>,
    /// Loop variables and the like.
    pub special: Map,
    /// Where the engine is told of other hosts that are needed.
    pub needs: &'a Needs,
    /// What random draws start from.
    pub seed: Seed,
}

/// The scope of a task, or of a play where there is none.
pub fn scope(parts: ScopeParts<'_>) -> Arc<dyn Scope> {
    let ScopeParts { shared, board, host, state, context, unit, special, needs, seed } = parts;
    let mut layers = Vec::with_capacity(24);
    let mut special = special;
    of_role(&mut special, context);
    layers.push(Layer::Data(Arc::new(special)));
    layers.push(Layer::Data(Arc::clone(board.steady.get_or_init(|| Arc::new(steady(shared, board))))));
    layers.extend(shared.options.extra_vars.iter().rev().cloned());
    for frame in state.frames.iter().rev() {
        layers.extend(frame.locals.iter().rev().cloned());
    }
    layers.extend(context.roles.iter().rev().filter(|r| !r.params.is_empty()).map(|r| nodes(&r.params)));
    layers.push(Layer::Data(Arc::clone(&state.registered)));
    layers.extend(state.include_vars.iter().rev().cloned());
    if let Some(unit) = unit {
        layers.push(nodes(&unit.task.keywords.vars));
    }
    // The first of the chain is the play, whose variables come further down.
    layers.extend(context.chain.iter().skip(1).rev().map(|k| nodes(&k.vars)));
    let public = || {
        let play = board.play.role_uses.iter().filter(|r| r.public);
        state.public_roles.iter().rev().chain(play.rev())
    };
    layers.extend(context.roles.iter().rev().map(|r| nodes(&r.vars)));
    layers.extend(public().map(|r| nodes(&r.vars)));
    layers.extend(state.vars_files.iter().rev().map(nodes));
    layers.push(Layer::Data(Arc::clone(&board.prompted)));
    layers.extend(context.chain.first().map(|k| nodes(&k.vars)));
    layers.push(Layer::Data(Arc::clone(&state.facts)));
    if let Some(base) = shared.hosts.get(host) {
        layers.extend(base.layers.iter().rev().cloned());
        layers.push(Layer::Data(Arc::clone(&base.magic)));
    }
    layers.extend(context.roles.iter().rev().map(|r| nodes(&r.defaults)));
    layers.extend(public().map(|r| nodes(&r.defaults)));
    layers.retain(|l| !matches!(l, Layer::Nodes(v) if v.is_empty()));
    let search = match unit {
        Some(unit) => Arc::clone(&unit.task.search),
        None => Arc::new(SearchPath::of_play(&board.play.base_dir)),
    };
    Arc::new(TaskScope {
        layers,
        facts: Arc::clone(&state.facts),
        hosts: Some(HostVars {
            shared: Arc::clone(shared),
            board: Arc::clone(board),
            position: Arc::new(state.position()),
            own: Arc::clone(host),
            needs: Arc::clone(needs),
        }),
        search,
        seed,
        depths: state.depths.clone(),
    })
}

fn nodes(vars: &Arc<Vars>) -> Layer {
    Layer::Nodes(Arc::clone(vars))
}

/// Ansible's special variables that depend on the role.
fn of_role(map: &mut Map, context: &Context) {
    let mut set = |name: &str, value: Value| {
        map.entry(name.into()).or_insert(value);
    };
    if let Some(role) = context.roles.last() {
        set("role_name", Value::Str(Arc::clone(&role.role.name)));
        set("ansible_role_name", Value::Str(Arc::clone(&role.role.name)));
        set("role_path", absolute(&role.role.path));
        let parents: Vec<Value> = context.roles[..context.roles.len() - 1]
            .iter()
            .rev()
            .map(|r| Value::Str(Arc::clone(&r.role.name)))
            .collect();
        set("ansible_parent_role_names", Value::list(parents));
    }
}

/// Those that are the same for all tasks and hosts of a batch: made once, since lists of all hosts for each task of each
/// host would be the most of the work with thousands of them.
fn steady(shared: &Shared, board: &Board) -> Map {
    let mut map = Map::new();
    let mut set = |name: &str, value: Value| {
        map.insert(name.into(), value);
    };
    set("ansible_check_mode", Value::Bool(shared.options.plan));
    set("ansible_diff_mode", Value::Bool(shared.options.diff));
    set("ansible_verbosity", Value::Int(i64::from(shared.options.verbosity)));
    set("ansible_play_hosts_all", Value::list(board.all.iter().map(|h| Value::Str(Arc::clone(h))).collect()));
    set("playbook_dir", absolute(&board.play.base_dir));
    set("ansible_playbook_dir", absolute(&board.play.base_dir));
    set("ansible_version", shared.version.clone());
    set("ansible_run_tags", Value::from(shared.options.tags.clone()));
    set("ansible_skip_tags", Value::from(shared.options.skip_tags.clone()));
    set("ansible_play_name", Value::str(board.name.as_str()));
    set("ansible_forks", Value::from(shared.options.forks));
    set("ansible_config_file", Value::Null);
    let role_names = |uses: &[Arc<RoleUse>]| {
        let mut names: Vec<Arc<str>> = uses.iter().map(|r| Arc::clone(&r.role.name)).collect();
        names.dedup();
        Value::list(names.into_iter().map(Value::Str).collect())
    };
    set("ansible_play_role_names", role_names(&board.play.roles));
    set("role_names", role_names(&board.play.role_uses));
    map
}

/// Those that change as hosts fail.
const ACTIVE: [&str; 3] = ["ansible_play_hosts", "ansible_play_batch", "play_hosts"];

/// A folder of the controller by its full path: a task may use it from anywhere.
pub(super) fn absolute(folder: &std::path::Path) -> Value {
    let full = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    Value::str(full.to_string_lossy())
}

impl Scope for TaskScope {
    fn get(&self, name: &str) -> Lookup {
        self.depths.look(name);
        let (special, rest) = self.layers.split_at(1);
        if let Some(found) = special.iter().find_map(|layer| layer.get(name)) {
            return found;
        }
        if let Some(hosts) = self.hosts.as_ref().filter(|_| ACTIVE.contains(&name)) {
            let (play, batch) = hosts.board.active_names();
            return Lookup::Data(if name == ACTIVE[0] { play } else { batch });
        }
        if let Some(found) = rest.iter().find_map(|layer| layer.get(name)) {
            return found;
        }
        match (name, &self.hosts) {
            ("ansible_facts", _) => Lookup::Data(ansible_facts(&self.facts)),
            ("hostvars", Some(hosts)) => Lookup::Scopes(Arc::new(hosts.clone())),
            ("groups", Some(hosts)) => Lookup::Data(hosts.shared.groups.clone()),
            _ => Lookup::Undefined,
        }
    }

    fn names(&self) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = Vec::new();
        for layer in &self.layers {
            names.extend(layer.names());
        }
        names.extend(["ansible_facts", "hostvars", "groups"].map(Arc::from));
        names.extend(self.hosts.iter().flat_map(|_| ACTIVE.map(Arc::from)));
        names.sort();
        names.dedup();
        names
    }

    fn search_path(&self, kind: &str) -> Vec<PathBuf> {
        self.search.folders(kind)
    }

    fn seed(&self) -> u64 {
        self.seed.drawn.store(true, Ordering::Relaxed);
        self.seed.number
    }
}

/// Facts under their short names.
fn ansible_facts(facts: &Map) -> Value {
    Value::map(facts.iter().map(|(k, v)| (Arc::from(k.strip_prefix("ansible_").unwrap_or(k)), v.clone())).collect())
}

impl fmt::Debug for HostVars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hostvars")
    }
}

impl Scopes for HostVars {
    fn names(&self) -> Vec<Arc<str>> {
        self.shared.hosts.keys().cloned().collect()
    }

    fn scope(&self, name: &str) -> Option<Arc<dyn Scope>> {
        let (name, base) = self.shared.hosts.get_key_value(name)?;
        // What another host registers before this place must have happened.
        let behind = *name != self.own && !self.board.has_reached(name, &self.position);
        let snapshot = self.board.snapshot(name);
        let mut layers = vec![];
        layers.extend(self.shared.options.extra_vars.iter().rev().cloned());
        layers.push(Layer::Data(Arc::clone(&snapshot.registered)));
        layers.push(Layer::Data(Arc::clone(&snapshot.facts)));
        let fixed = layers.len();
        layers.extend(base.layers.iter().rev().cloned());
        layers.push(Layer::Data(Arc::clone(&base.magic)));
        Some(Arc::new(OtherHost {
            name: Arc::clone(name),
            layers,
            fixed,
            behind,
            facts: snapshot.facts,
            needs: Arc::clone(&self.needs),
            hosts: self.clone(),
        }))
    }
}

/// The variables of another host.
struct OtherHost {
    name: Arc<str>,
    layers: Vec<Layer>,
    fixed: usize,
    behind: bool,
    facts: Arc<Map>,
    needs: Needs,
    hosts: HostVars,
}

/// What the inventory says and no fact changes: no need to wait for it.
const STEADY: [&str; 7] = [
    "ansible_host",
    "ansible_port",
    "ansible_user",
    "ansible_connection",
    "inventory_hostname",
    "inventory_hostname_short",
    "group_names",
];

impl Scope for OtherHost {
    fn get(&self, name: &str) -> Lookup {
        if self.behind && !STEADY.contains(&name) {
            let mut needs = self.needs.lock().unwrap_or_else(PoisonError::into_inner);
            needs.push(Arc::clone(&self.name));
            return Lookup::Wait;
        }
        let skip = if self.behind { self.fixed } else { 0 };
        if let Some(found) = self.layers[skip..].iter().find_map(|l| l.get(name)) {
            return found;
        }
        match name {
            "ansible_facts" => Lookup::Data(ansible_facts(&self.facts)),
            "groups" => Lookup::Data(self.hosts.shared.groups.clone()),
            "hostvars" => Lookup::Scopes(Arc::new(self.hosts.clone())),
            _ => Lookup::Undefined,
        }
    }

    fn names(&self) -> Vec<Arc<str>> {
        let mut names: Vec<Arc<str>> = self.layers.iter().flat_map(Layer::names).collect();
        names.push("ansible_facts".into());
        names.sort();
        names.dedup();
        names
    }
}
