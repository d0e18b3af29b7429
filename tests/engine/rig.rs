//! Runs a playbook against this machine and gathers what the engine tells.

use super::connector;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::mpsc;
use windlass::engine::event::{Event, Stats, Status, StepResult};
use windlass::engine::play::{Outcome, Runner};
use windlass::engine::run::{EngineKind, HostBase, Options, Shared, language_version};
use windlass::engine::scope::Layer;
use windlass::inventory::{Inventory, LoadContext as InventoryContext};
use windlass::playbook::{LoadContext, load_playbook};
use windlass::transport::ConnectContext;
use windlass::values::{Map, NoVault, Templar, TemplarOptions, Value};

/// What a run told.
pub struct Told {
    pub outcome: Outcome,
    pub events: Vec<Event>,
}

impl Told {
    pub fn stats(&self, host: &str) -> Stats {
        self.outcome.stats[host]
    }

    /// Results of whole tasks (and of single ones): host, task, status.
    pub fn results(&self) -> Vec<(String, String, Status)> {
        self.steps().map(|s| (s.host.to_string(), s.task.name.to_string(), s.status)).collect()
    }

    pub fn steps(&self) -> impl Iterator<Item = &StepResult> {
        self.events.iter().filter_map(|e| match e {
            Event::Result(result) if result.item.is_none() && result.retry.is_none() => Some(&**result),
            _ => None,
        })
    }

    pub fn result(&self, task: &str) -> &StepResult {
        self.steps()
            .find(|s| &*s.task.name == task)
            .unwrap_or_else(|| panic!("no result of {task}: {:#?}", self.events))
    }

    pub fn trips(&self) -> u64 {
        self.outcome.traffic.trips
    }
}

/// Runs `playbook` (YAML text) in `folder`, against `hosts`, all of which are this machine.
pub fn run_with(folder: &Path, playbook: &str, hosts: &[&str], options: Options) -> Told {
    run_keeping(folder, &folder.join("state"), playbook, hosts, options)
}

/// The same; what must outlive the run is kept in `state`.
pub fn run_keeping(folder: &Path, state: &Path, playbook: &str, hosts: &[&str], options: Options) -> Told {
    let path = folder.join("play.yml");
    std::fs::write(&path, playbook).unwrap();
    run_file(&path, state, hosts, options)
}

fn run_file(path: &Path, state: &Path, hosts: &[&str], mut options: Options) -> Told {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let inventory = Inventory::load(
        &[format!("{},", hosts.join(","))],
        InventoryContext { decrypt: Arc::new(NoVault), playbook_dirs: Vec::new() },
    )
    .unwrap();
    let state = Value::from(state.to_str().unwrap());
    let local: Map =
        [("ansible_connection".into(), Value::from("local")), ("windlass_state".into(), state)].into_iter().collect();
    let hosts = inventory
        .hosts()
        .into_iter()
        .map(|name| {
            let base = HostBase {
                layers: vec![Layer::Data(Arc::new(local.clone()))],
                magic: Arc::new(inventory.magic(&name)),
            };
            (Arc::from(name.as_str()), base)
        })
        .collect();
    let templar = Arc::new(Templar::new(TemplarOptions::default()));
    let mut loader = LoadContext::new(Arc::clone(&templar) as _);
    loader.roles_path = Vec::new();
    let loaded = load_playbook(path, &loader).unwrap_or_else(|problems| {
        let text: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}", text.join("\n"))
    });
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let home = std::env::temp_dir();
    let slots = tokio::sync::Semaphore::new(options.forks);
    options.diff = true;
    let shared = Arc::new(Shared {
        options,
        hosts,
        groups: inventory.groups_value(),
        templar,
        loader: Arc::new(loader),
        connector: connector::connector(ConnectContext::new(home, "nobody"), connector::Defaults::default()),
        events: sender,
        started: 1_700_000_000,
        id: "test".into(),
        version: language_version(),
        home: None,
        inventory: Arc::new(inventory),
        prompt: Arc::new(|_, _| None),
        watch: None,
        slots,
    });
    let outcome = runtime.block_on(async {
        tokio::time::timeout(std::time::Duration::from_secs(120), Runner::new(shared, None).run(&loaded))
            .await
            .expect("the run does not end")
            .unwrap()
    });
    let mut events = Vec::new();
    while let Ok(event) = receiver.try_recv() {
        events.push(event);
    }
    Told { outcome, events }
}

/// Runs under both engines in folders of their own, and checks that they agree.
pub fn run(playbook: &str) -> (tempfile::TempDir, Told) {
    let (plain_folder, ahead_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let at = |folder: &Path| playbook.replace("ROOT", folder.to_str().unwrap());
    let plain = run_with(
        plain_folder.path(),
        &at(plain_folder.path()),
        &["one"],
        Options { engine: EngineKind::Plain, ..Options::default() },
    );
    let ahead = run_with(ahead_folder.path(), &at(ahead_folder.path()), &["one"], Options::default());
    assert_eq!(plain.results(), ahead.results(), "the engines agree");
    assert!(ahead.trips() <= plain.trips(), "{} > {}", ahead.trips(), plain.trips());
    (ahead_folder, ahead)
}
