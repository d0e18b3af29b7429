//! Hosts, groups and their variables. See `README.md`.

mod data;
mod graph;
mod ini;
mod literal;
mod load;
mod names;
mod pattern;
mod range;
mod script;
mod shard;
mod vars_files;
mod words;
mod yaml;

pub use graph::pretty;
pub use names::{GroupName, HostName};
pub use shard::Shard;

use crate::source::{Diagnostic, Kind, Node, Span, suggest};
use crate::values::{Decrypt, Map, NoVault, Value};
use data::{ALL, Data};
use indexmap::IndexMap;
use pattern::LOCALHOST;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use vars_files::{Found, Reader};

/// Variables as they stand in files: rendered only when they are used.
pub type Vars = IndexMap<Arc<str>, Arc<Node>>;

/// What loading needs besides the sources.
#[derive(Clone)]
pub struct LoadContext {
    /// Opens encrypted files.
    pub decrypt: Arc<dyn Decrypt>,
    /// The folders of the playbooks, whose `group_vars` and `host_vars` count too.
    pub playbook_dirs: Vec<PathBuf>,
}

impl Default for LoadContext {
    /// No vault and no playbook.
    fn default() -> Self {
        Self { decrypt: Arc::new(NoVault), playbook_dirs: Vec::new() }
    }
}

/// Where variables of a host come from, lowest precedence first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LayerKind {
    /// The group `all` in an inventory.
    InventoryAll,
    /// Another group in an inventory.
    InventoryGroup,
    /// `group_vars/all` beside an inventory.
    GroupVarsAll,
    /// `group_vars/all` beside a playbook.
    PlayGroupVarsAll,
    /// `group_vars` of another group beside an inventory.
    GroupVars,
    /// `group_vars` of another group beside a playbook.
    PlayGroupVars,
    /// The host in an inventory.
    InventoryHost,
    /// `host_vars` beside an inventory.
    HostVars,
    /// `host_vars` beside a playbook.
    PlayHostVars,
}

/// The files of one host or group: beside each inventory, then beside each playbook.
#[derive(Debug, Clone, Default)]
struct Files {
    inventory: Vec<Found>,
    play: Vec<Found>,
}

/// All hosts and groups of a run.
pub struct Inventory {
    data: Data,
    /// The folders beside which `group_vars` and `host_vars` lie, in the order of the sources.
    bases: Vec<PathBuf>,
    context: LoadContext,
    group_files: HashMap<GroupName, Files>,
    host_files: HashMap<HostName, Files>,
    groups_value: OnceLock<Value>,
    warnings: Vec<Diagnostic>,
}

impl Inventory {
    /// Reads what is given with `-i`, in that order: files (INI, YAML, JSON), programs, folders of them, and lists of hosts
    /// (`web1,web2,`); and the `group_vars` and `host_vars` beside them and beside the playbooks.
    ///
    /// A file of variables that can't be decrypted is no error here but in [`Inventory::variables`] of the hosts that
    /// need it.
    ///
    /// # Errors
    /// Everything that is wrong in any of them.
    pub fn load(sources: &[String], context: LoadContext) -> Result<Self, Vec<Diagnostic>> {
        let (mut data, mut bases, mut problems) = (Data::default(), Vec::new(), Vec::new());
        for source in sources {
            bases.extend(load::source(source, &context, &mut data, &mut problems));
        }
        data.settle();
        let mut inventory = Self {
            data,
            bases,
            context,
            group_files: HashMap::new(),
            host_files: HashMap::new(),
            groups_value: OnceLock::new(),
            warnings: Vec::new(),
        };
        inventory.read_files(&mut problems);
        inventory.look_for_doubtful();
        if problems.is_empty() { Ok(inventory) } else { Err(problems) }
    }

    /// What is allowed and perhaps not meant.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// All hosts, in the order of the group `all`.
    pub fn hosts(&self) -> Vec<HostName> {
        self.data.members(&ALL.into()).into_iter().collect()
    }

    /// All groups, in the order in which they were named first; `all` and `ungrouped` come first.
    pub fn groups(&self) -> impl Iterator<Item = &GroupName> {
        self.data.groups.keys()
    }

    /// Whether the inventory has this host. [`Inventory::select`] also finds an implicit `localhost`.
    pub fn contains(&self, host: &HostName) -> bool {
        self.data.hosts.contains_key(host)
    }

    /// The hosts of a group and of the groups below it; `None` if there is no such group.
    pub fn hosts_of(&self, group: &str) -> Option<Vec<HostName>> {
        let name: GroupName = group.into();
        self.data.groups.contains_key(&name).then(|| self.data.members(&name).into_iter().collect())
    }

    /// The groups of a host, also through other groups, without `all`; variables of later ones win (depth, then
    /// `ansible_group_priority`, then name).
    pub fn groups_of(&self, host: &HostName) -> Vec<GroupName> {
        self.data.hosts.get(host).map(|h| self.data.groups_of(h)).unwrap_or_default()
    }

    /// The variables of a host in layers, lowest precedence first. A host that the inventory does not have is an implicit
    /// `localhost`: it has those of `all` and the connection `local`.
    ///
    /// # Errors
    /// A file that holds some of them can't be decrypted.
    pub fn variables(&self, host: &HostName) -> Result<Vec<(LayerKind, Arc<Vars>)>, Diagnostic> {
        let mut layers = Layers::default();
        let groups = self.groups_of(host);
        let all: GroupName = ALL.into();
        self.own_vars(&all, LayerKind::InventoryAll, &mut layers);
        for group in &groups {
            self.own_vars(group, LayerKind::InventoryGroup, &mut layers);
        }
        let empty = Files::default();
        let files_of = |group: &GroupName| self.group_files.get(group).unwrap_or(&empty);
        layers.files(LayerKind::GroupVarsAll, [&files_of(&all).inventory]);
        layers.files(LayerKind::PlayGroupVarsAll, [&files_of(&all).play]);
        layers.files(LayerKind::GroupVars, groups.iter().map(|g| &files_of(g).inventory));
        layers.files(LayerKind::PlayGroupVars, groups.iter().map(|g| &files_of(g).play));
        match self.data.hosts.get(host) {
            Some(own) => layers.push(LayerKind::InventoryHost, &own.vars),
            None => layers.push(LayerKind::InventoryHost, &implicit_vars()),
        }
        let files = self.host_files.get(host).unwrap_or(&empty);
        layers.files(LayerKind::HostVars, [&files.inventory]);
        layers.files(LayerKind::PlayHostVars, [&files.play]);
        layers.finish()
    }

    /// The variables of a group itself, lowest precedence first.
    fn group_layers(&self, group: &GroupName) -> Result<Vec<(LayerKind, Arc<Vars>)>, Diagnostic> {
        let mut layers = Layers::default();
        self.own_vars(group, LayerKind::InventoryGroup, &mut layers);
        if let Some(files) = self.group_files.get(group) {
            layers.files(LayerKind::GroupVars, [&files.inventory]);
            layers.files(LayerKind::PlayGroupVars, [&files.play]);
        }
        layers.finish()
    }

    fn own_vars(&self, group: &GroupName, kind: LayerKind, layers: &mut Layers) {
        if let Some(group) = self.data.groups.get(group) {
            layers.push(kind, &group.vars);
        }
    }

    /// The variables that Ansible gives every host by itself: `inventory_hostname`, `inventory_hostname_short`,
    /// `inventory_dir`, `inventory_file` (both absent for an implicit `localhost`), `group_names` (sorted) and `groups`.
    pub fn magic(&self, host: &HostName) -> Map {
        let mut magic = Map::new();
        let name = host.as_str();
        magic.insert("inventory_hostname".into(), Value::from(name));
        let is_address = name.parse::<std::net::IpAddr>().is_ok();
        let short = if is_address { name } else { name.split('.').next().unwrap_or(name) };
        magic.insert("inventory_hostname_short".into(), Value::from(short));
        if let Some(origin) = self.data.hosts.get(host).and_then(|h| h.origin.as_ref()) {
            magic.insert("inventory_file".into(), Value::from(&origin.file));
            let folder = origin.folder.as_ref().map(|f| f.to_string_lossy().into_owned());
            magic.insert("inventory_dir".into(), Value::from(folder));
        }
        let mut names: Vec<Value> = self.groups_of(host).iter().map(|g| Value::Str(g.shared())).collect();
        names.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
        magic.insert("group_names".into(), Value::list(names));
        magic.insert("groups".into(), self.groups_value());
        magic
    }

    /// `groups`: every group with its hosts.
    pub fn groups_value(&self) -> Value {
        let make = || {
            let members = |group| self.data.members(group).iter().map(|h| Value::Str(h.shared())).collect();
            Value::map(self.data.groups.keys().map(|g| (g.shared(), Value::list(members(g)))).collect())
        };
        self.groups_value.get_or_init(make).clone()
    }

    /// Adds a host while a play runs (`add_host`), or adds variables and groups to one that is there. Its files in
    /// `group_vars` and `host_vars` are read.
    ///
    /// # Errors
    /// Everything that is wrong in these files.
    pub fn add_host(&mut self, host: &HostName, groups: &[GroupName], vars: Vars) -> Result<(), Vec<Diagnostic>> {
        let own = self.data.host(host.as_str(), None, None);
        for (name, value) in vars {
            own.set(&name, value);
        }
        for group in groups {
            self.data.group(group.as_str());
            self.data.join(host.as_str(), group.as_str());
        }
        self.data.settle();
        self.groups_value = OnceLock::new();
        let mut problems = Vec::new();
        self.read_files(&mut problems);
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// Puts a group below another while a play runs (`group_by` with `parents`); both are made if they are new.
    ///
    /// # Errors
    /// The group would contain itself, or something is wrong in its files.
    pub fn add_child(&mut self, parent: &GroupName, child: &GroupName) -> Result<(), Vec<Diagnostic>> {
        self.data.group(parent.as_str());
        self.data.group(child.as_str());
        if self.data.adopt(parent.as_str(), child.as_str()).is_err() {
            let message = format!("the group `{child}` would contain itself through `{parent}`");
            return Err(vec![Diagnostic::bare("group-cycle", message).help("name other groups")]);
        }
        self.data.settle();
        self.groups_value = OnceLock::new();
        let mut problems = Vec::new();
        self.read_files(&mut problems);
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// Reads the files of all hosts and groups that were not read yet.
    fn read_files(&mut self, problems: &mut Vec<Diagnostic>) {
        let mut reader = Reader::new(Arc::clone(&self.context.decrypt));
        let (bases, dirs) = (self.bases.clone(), self.context.playbook_dirs.clone());
        let mut read = |kind: &str, name: &str| Files {
            inventory: bases.iter().map(|b| reader.read(&b.join(kind), name, problems)).collect(),
            play: dirs.iter().map(|b| reader.read(&b.join(kind), name, problems)).collect(),
        };
        for group in self.data.groups.keys() {
            if !self.group_files.contains_key(group) {
                self.group_files.insert(group.clone(), read("group_vars", group.as_str()));
            }
        }
        let implicit = LOCALHOST.map(HostName::from);
        for host in self.data.hosts.keys().chain(&implicit) {
            if !self.host_files.contains_key(host) {
                self.host_files.insert(host.clone(), read("host_vars", host.as_str()));
            }
        }
    }

    fn look_for_doubtful(&mut self) {
        for name in self.data.hosts.keys().filter(|h| self.data.groups.contains_key(h.as_str())) {
            self.warnings.push(
                Diagnostic::bare("ambiguous-name", format!("`{name}` is both a host and a group"))
                    .warning()
                    .help("a pattern with this name chooses the host; rename one of them"),
            );
        }
    }

    /// The host of this name, also an implicit `localhost`.
    fn find(&self, host: &str) -> Option<HostName> {
        let name: HostName = host.into();
        (self.data.hosts.contains_key(&name) || LOCALHOST.contains(&host)).then_some(name)
    }

    fn no_such_host(&self, host: &str) -> Diagnostic {
        unknown("host", host, self.data.hosts.keys().map(HostName::as_str))
    }

    fn no_such_group(&self, group: &str) -> Diagnostic {
        unknown("group", group, self.data.groups.keys().map(GroupName::as_str))
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Diagnostic {
    let diagnostic = Diagnostic::bare("unknown-host", format!("the inventory has no {what} `{name}`"));
    match suggest(name, known) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None => diagnostic.help("list what there is with `windlass inventory --graph`"),
    }
}

/// What an implicit `localhost` has of its own.
fn implicit_vars() -> Arc<Vars> {
    let span = Span::synthetic("the implicit localhost", "");
    let local = Node::new(Kind::Str("local".into()), span);
    Arc::new(Vars::from_iter([(Arc::from("ansible_connection"), Arc::new(local))]))
}

/// Layers in the making; empty ones are left out.
#[derive(Default)]
struct Layers {
    layers: Vec<(LayerKind, Arc<Vars>)>,
    locked: Option<Diagnostic>,
}

impl Layers {
    fn push(&mut self, kind: LayerKind, vars: &Arc<Vars>) {
        if !vars.is_empty() {
            self.layers.push((kind, Arc::clone(vars)));
        }
    }

    /// The files of several groups: all that lie beside the first inventory, then beside the second, as in Ansible.
    fn files<'a>(&mut self, kind: LayerKind, of: impl IntoIterator<Item = &'a Vec<Found>>) {
        let of: Vec<&Vec<Found>> = of.into_iter().collect();
        for base in 0..of.iter().map(|f| f.len()).max().unwrap_or(0) {
            for found in of.iter().filter_map(|files| files.get(base)) {
                if let Some(vars) = &found.vars {
                    self.push(kind, vars);
                }
                if self.locked.is_none() {
                    self.locked.clone_from(&found.locked);
                }
            }
        }
    }

    fn finish(self) -> Result<Vec<(LayerKind, Arc<Vars>)>, Diagnostic> {
        match self.locked {
            Some(locked) => Err(locked),
            None => Ok(self.layers),
        }
    }
}

#[cfg(test)]
mod tests;
