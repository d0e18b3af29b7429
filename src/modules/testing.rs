//! A host made of a map, for the tests of modules: it answers questions, and does primitive actions to itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::host::answer::{PathTimes, digest};
use crate::host::key::{clean, is_below, parent};
use crate::host::view::Frozen;
use crate::host::{
    Action, ActionKind, Answer, Answers, Content, Controller, Decision, Held, Next, Output, PathKind, PathState, Probe,
    Question, Run, Source, Stop, TreeEntry, View, WhoAmI,
};
use crate::values::{Map, Value};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

#[derive(Clone)]
struct Entry {
    state: PathState,
    content: Vec<u8>,
}

type ProbeFn = Box<dyn Fn(&Probe) -> Option<Output>>;
type RunFn = Box<dyn Fn(&Run, &mut Files) -> Option<Output>>;

/// The files of a [`Fake`], for what a command does to them.
#[derive(Default, Clone)]
pub struct Files(BTreeMap<String, Entry>);

impl Files {
    /// Puts a file there, owned by root.
    pub fn put(&mut self, path: &str, content: &str, mode: u32) {
        self.insert(path, PathKind::File, mode, content.as_bytes());
    }

    /// The text of a file.
    pub fn text(&self, path: &str) -> Option<String> {
        self.0.get(path).map(|e| String::from_utf8_lossy(&e.content).into_owned())
    }

    /// Makes a folder, owned by root.
    pub fn mkdir(&mut self, path: &str, mode: u32) {
        self.insert(path, PathKind::Directory, mode, b"");
    }

    /// Removes a path with all below it.
    pub fn remove(&mut self, path: &str) {
        self.0.retain(|p, _| !is_below(p, path));
    }

    fn insert(&mut self, path: &str, kind: PathKind, mode: u32, content: &[u8]) {
        let mut state = PathState::of(kind, mode);
        state.uid = Some(0);
        state.owner = Some("root".into());
        state.gid = Some(0);
        state.group = Some("root".into());
        state.size = Some(content.len() as u64);
        state.times = Some(PathTimes { inode: self.0.len() as u64 + 1000, mtime: 1000, ..PathTimes::default() });
        self.0.insert(clean(path), Entry { state, content: content.to_vec() });
    }

    fn resolve(&self, path: &str, depth: u32) -> String {
        match self.0.get(path) {
            Some(e) if e.state.kind == PathKind::Link && depth < 20 => {
                let target = e.state.target.clone().unwrap_or_default();
                let next = if target.starts_with('/') {
                    clean(&target)
                } else {
                    clean(&format!("{}/{target}", parent(path).unwrap_or("/")))
                };
                self.resolve(&next, depth + 1)
            }
            _ => path.to_owned(),
        }
    }
}

/// A host made of a map.
pub struct Fake {
    files: Files,
    sources: HashMap<String, (Vec<u8>, u32)>,
    templates: HashMap<String, String>,
    probes: Vec<ProbeFn>,
    runs: Vec<RunFn>,
    whoami: WhoAmI,
    rounds: usize,
    ran: Vec<Run>,
}

struct Asked<'a> {
    fake: &'a Fake,
    answered: &'a HashSet<Question>,
}

impl Answers for Asked<'_> {
    fn held(&self, question: &Question) -> Held {
        if self.answered.contains(question) { Held::Known(self.fake.answer(question)) } else { Held::Pending }
    }
}

impl Fake {
    /// An empty host with a root folder, seen by root.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let mut files = Files::default();
        files.mkdir("/", 0o755);
        Self {
            files,
            sources: HashMap::new(),
            templates: HashMap::new(),
            probes: Vec::new(),
            runs: Vec::new(),
            whoami: WhoAmI::root(),
            rounds: 0,
            ran: Vec::new(),
        }
    }

    /// With a folder.
    pub fn dir(mut self, path: &str, mode: u32) -> Self {
        self.files.mkdir(path, mode);
        self
    }

    /// With a file.
    pub fn file(mut self, path: &str, content: &str, mode: u32) -> Self {
        self.files.put(path, content, mode);
        self
    }

    /// With a symbolic link.
    pub fn link(mut self, path: &str, target: &str) -> Self {
        self.files.insert(path, PathKind::Link, 0o777, b"");
        self.files.0.get_mut(path).unwrap().state.target = Some(target.to_owned());
        self
    }

    /// With a file of the controller.
    pub fn source(mut self, path: &str, content: &str) -> Self {
        self.sources.insert(path.to_owned(), (content.as_bytes().to_vec(), 0o644));
        self
    }

    /// With a template of the controller, as it renders.
    pub fn template(mut self, path: &str, rendered: &str) -> Self {
        self.templates.insert(path.to_owned(), rendered.to_owned());
        self
    }

    /// Answers probes; the first one that says something counts.
    pub fn probe(mut self, answer: impl Fn(&Probe) -> Option<Output> + 'static) -> Self {
        self.probes.push(Box::new(answer));
        self
    }

    /// Does commands; the first one that says something counts.
    pub fn on_run(mut self, run: impl Fn(&Run, &mut Files) -> Option<Output> + 'static) -> Self {
        self.runs.push(Box::new(run));
        self
    }

    /// Another identity than root.
    pub fn whoami(mut self, whoami: WhoAmI) -> Self {
        self.whoami = whoami;
        self
    }

    /// What is at a path.
    pub fn state(&self, path: &str) -> PathState {
        self.files.0.get(path).map_or_else(PathState::absent, |e| e.state.clone())
    }

    /// The text of a file.
    pub fn text(&self, path: &str) -> String {
        self.files.text(path).unwrap_or_else(|| panic!("{path} is not there"))
    }

    /// How many batches of questions the last run needed.
    pub fn rounds(&self) -> usize {
        self.rounds
    }

    /// The commands that were run so far.
    pub fn ran(&self) -> &[Run] {
        &self.ran
    }

    /// Runs a module and does its actions; the decision returned holds all actions and the final result.
    pub fn converge(&mut self, module: &str, args: serde_json::Value) -> Decision {
        match self.try_converge(module, args, true) {
            Ok(decision) => decision,
            Err(message) => panic!("{module} failed: {message}"),
        }
    }

    /// The decision alone: nothing is done.
    pub fn plan(&mut self, module: &str, args: serde_json::Value) -> Decision {
        match self.try_converge(module, args, false) {
            Ok(decision) => decision,
            Err(message) => panic!("{module} failed: {message}"),
        }
    }

    /// Runs a module that must fail, and returns its message.
    pub fn fails(&mut self, module: &str, args: serde_json::Value) -> String {
        match self.try_converge(module, args, true) {
            Ok(decision) if decision.result.failed => decision.result.msg.unwrap_or_default(),
            Ok(decision) => panic!("{module} did not fail: {decision:?}"),
            Err(message) => message,
        }
    }

    /// Runs a module that must find nothing to do.
    pub fn settled(&mut self, module: &str, args: serde_json::Value) {
        let decision = self.plan(module, args);
        assert!(!decision.result.changed && decision.actions.is_empty(), "not settled: {decision:#?}");
    }

    fn try_converge(&mut self, module: &str, args: serde_json::Value, act: bool) -> Result<Decision, String> {
        let module = crate::modules::find(module).unwrap_or_else(|| panic!("no module {module}"));
        let args: Value = serde_json::from_value(args).unwrap();
        let args = args.as_map().cloned().unwrap_or_else(Map::new);
        let known: Vec<_> = (module.args)()
            .iter()
            .flat_map(|s| s.aliases.iter().chain([&s.name]).copied().collect::<Vec<_>>())
            .collect();
        if let Some(unknown) = args.keys().find(|k| !module.free_keys && !known.contains(&&***k)) {
            panic!("{} has no argument {unknown}", module.name());
        }
        let frozen = Frozen { now: 1_700_000_000, nonce: "0123456789abcdef".into() };
        let mut answered: HashSet<Question> = HashSet::new();
        let (mut memory, mut outputs): (Option<Value>, Vec<Output>) = (None, Vec::new());
        let mut actions = Vec::new();
        let mut reporting = false;
        self.rounds = 0;
        for _ in 0..50 {
            let asked = Asked { fake: self, answered: &answered };
            let view = View::new(&asked, self, &self.whoami, &frozen).round(memory.as_ref(), &outputs).diffing(true);
            let outcome = (module.plan)(&args, &view);
            let (open, _) = view.finish();
            match outcome {
                Err(Stop::Pause) => {
                    assert!(!open.is_empty(), "paused without a question");
                    self.rounds += 1;
                    answered.extend(open);
                }
                Err(Stop::Unknown(why)) => return Err(format!("unknown: {why}")),
                Err(Stop::Fail(failure)) => return Err(failure.message),
                Ok(mut decision) => {
                    assert!(!reporting || decision.actions.is_empty(), "acts while it reports");
                    let new = std::mem::take(&mut decision.actions);
                    actions.extend(new.clone());
                    if !act {
                        decision.actions = actions;
                        return Ok(decision);
                    }
                    outputs.clear();
                    for action in &new {
                        let output = self.act(action);
                        let failed = !output.success();
                        outputs.push(output.clone());
                        if failed && action.on_failure == crate::host::OnFailure::Stop {
                            if decision.next == Next::Done {
                                return Err(format!("{}: {}", action.shows, output.err()));
                            }
                            break;
                        }
                    }
                    answered.clear();
                    match decision.next {
                        Next::Done => {
                            decision.actions = actions;
                            return Ok(decision);
                        }
                        Next::Report if reporting || new.is_empty() => {
                            decision.actions = actions;
                            return Ok(decision);
                        }
                        Next::Report => {
                            reporting = true;
                            memory = Some(Value::Null);
                        }
                        Next::Again(remembered) => memory = Some(remembered),
                    }
                }
            }
        }
        panic!("{} did not settle in 50 rounds", module.name());
    }

    fn answer(&self, question: &Question) -> Answer {
        match question {
            Question::Path { path, follow, digest: algorithm } => {
                let real = self.files.resolve(path, 0);
                let at = if *follow { &real } else { path };
                let Some(entry) = self.files.0.get(at) else { return Answer::Path(PathState::absent()) };
                let mut state = entry.state.clone();
                state.real = Some(if *follow { real } else { path.clone() });
                if state.kind == PathKind::File {
                    state.digest = algorithm.map(|a| digest(a, &entry.content));
                }
                Answer::Path(state)
            }
            Question::Content { path } => {
                let real = self.files.resolve(path, 0);
                Answer::Content(
                    self.files
                        .0
                        .get(&real)
                        .filter(|e| e.state.kind == PathKind::File)
                        .map(|e| Arc::from(e.content.as_slice())),
                )
            }
            Question::Tree { path, digest: algorithm } => {
                if self.files.0.get(path).is_none_or(|e| e.state.kind != PathKind::Directory) {
                    return Answer::Tree(None);
                }
                let entries = self.files.0.iter().filter(|(p, _)| *p != path && is_below(p, path)).map(|(p, e)| {
                    let mut state = e.state.clone();
                    if state.kind == PathKind::File {
                        state.digest = algorithm.map(|a| digest(a, &e.content));
                    }
                    TreeEntry { name: p[path.trim_end_matches('/').len() + 1..].to_owned(), state }
                });
                Answer::Tree(Some(Arc::new(entries.collect())))
            }
            Question::Probe(probe) => Answer::Output(
                self.probes
                    .iter()
                    .find_map(|f| f(probe))
                    .unwrap_or_else(|| panic!("nobody answers the probe {probe:?}")),
            ),
        }
    }

    /// Does one action to the map.
    pub fn act(&mut self, action: &Action) -> Output {
        let missing_parent = |files: &Files, path: &str| {
            parent(path)
                .is_some_and(|p| files.0.get(&files.resolve(p, 0)).is_none_or(|e| e.state.kind != PathKind::Directory))
        };
        match &action.kind {
            ActionKind::Install(install) => {
                if missing_parent(&self.files, &install.path) {
                    return Output::failed(1, "no such folder");
                }
                let bytes = match &install.content {
                    Content::Bytes(bytes) => bytes.to_vec(),
                    Content::File(source) => self.sources[source.path.to_str().unwrap()].0.clone(),
                };
                if let Some(backup) = &install.backup {
                    let old = self.files.0[&install.path].clone();
                    self.files.0.insert(backup.clone(), old);
                }
                let old = self.files.0.get(&install.path).map(|e| e.state.clone());
                self.files.insert(&install.path, PathKind::File, install.mode, &bytes);
                let entry = self.files.0.get_mut(&install.path).unwrap();
                if let Some(old) = old {
                    (entry.state.owner, entry.state.uid) = (old.owner, old.uid);
                    (entry.state.group, entry.state.gid) = (old.group, old.gid);
                }
                set_owner(&mut entry.state, install.owner.as_deref(), install.group.as_deref());
            }
            ActionKind::Directory { path, mode, owner, group } => {
                if missing_parent(&self.files, path) {
                    return Output::failed(1, "no such folder");
                }
                self.files.insert(path, PathKind::Directory, mode.unwrap_or(0o755), b"");
                set_owner(&mut self.files.0.get_mut(path).unwrap().state, owner.as_deref(), group.as_deref());
            }
            ActionKind::Attributes { path, follow, mode, owner, group } => {
                let at = if *follow { self.files.resolve(path, 0) } else { path.clone() };
                let Some(entry) = self.files.0.get_mut(&at) else { return Output::failed(1, "no such file") };
                entry.state.mode = mode.unwrap_or(entry.state.mode);
                set_owner(&mut entry.state, owner.as_deref(), group.as_deref());
            }
            ActionKind::Link { path, target, hard } => {
                if *hard {
                    let source = self.files.0[target].clone();
                    self.files.0.insert(path.clone(), source);
                } else {
                    self.files.insert(path, PathKind::Link, 0o777, b"");
                    self.files.0.get_mut(path).unwrap().state.target = Some(target.clone());
                }
            }
            ActionKind::Remove { path, .. } => self.files.remove(path),
            ActionKind::Touch { path, mtime, .. } => {
                if !self.files.0.contains_key(path) {
                    self.files.put(path, "", 0o644);
                }
                if let Some(Some(at)) = mtime {
                    self.files.0.get_mut(path).unwrap().state.times.as_mut().unwrap().mtime = *at;
                }
            }
            ActionKind::Run(run) => {
                self.ran.push(run.clone());
                let output = self.runs.iter().find_map(|f| f(run, &mut self.files));
                return output.unwrap_or_else(|| panic!("nobody does the command {run:?}"));
            }
        }
        Output::ok("")
    }
}

fn set_owner(state: &mut PathState, owner: Option<&str>, group: Option<&str>) {
    let number = |text: &str| text.parse::<u32>().ok().or((text == "root").then_some(0));
    if let Some(owner) = owner {
        state.uid = number(owner).or(Some(1000));
        state.owner = Some(if state.uid == Some(0) { "root".into() } else { owner.to_owned() });
    }
    if let Some(group) = group {
        state.gid = number(group).or(Some(1000));
        state.group = Some(if state.gid == Some(0) { "root".into() } else { group.to_owned() });
    }
}

impl Controller for Fake {
    fn source(&self, _kind: &str, path: &str) -> Result<Source, String> {
        let (bytes, mode) = self.sources.get(path).ok_or_else(|| format!("could not find {path} on the controller"))?;
        Ok(Source {
            path: path.into(),
            len: bytes.len() as u64,
            mode: *mode,
            sha256: digest(crate::host::Algorithm::Sha256, bytes),
            sha1: digest(crate::host::Algorithm::Sha1, bytes),
        })
    }

    fn source_tree(&self, kind: &str, path: &str) -> Result<Vec<(String, Option<Source>)>, String> {
        let prefix = format!("{}/", path.trim_end_matches('/'));
        let mut names: Vec<_> = self.sources.keys().filter_map(|p| p.strip_prefix(&prefix)).collect();
        names.sort_unstable();
        let mut out: Vec<(String, Option<Source>)> = Vec::new();
        for name in names {
            let mut at = 0;
            while let Some(i) = name[at..].find('/') {
                let folder = name[..at + i].to_owned();
                if !out.iter().any(|(n, _)| *n == folder) {
                    out.push((folder, None));
                }
                at += i + 1;
            }
            out.push((name.to_owned(), Some(self.source(kind, &format!("{prefix}{name}"))?)));
        }
        Ok(out)
    }

    fn is_folder(&self, _kind: &str, path: &str) -> bool {
        let prefix = format!("{}/", path.trim_end_matches('/'));
        self.sources.keys().any(|p| p.starts_with(&prefix))
    }

    fn template(&self, path: &str, _options: &Map) -> Result<Option<String>, Stop> {
        self.templates
            .get(path)
            .cloned()
            .map(Some)
            .ok_or_else(|| Stop::fail(format!("could not find {path} on the controller")))
    }

    fn read(&self, _kind: &str, path: &str) -> Result<Vec<u8>, String> {
        self.sources.get(path).map(|s| s.0.clone()).ok_or_else(|| format!("could not find {path} on the controller"))
    }
}

/// One call of a module that asks nothing.
pub fn pure(module: &crate::modules::Module, args: &Map) -> Result<Decision, Stop> {
    let (fake, answered) = (Fake::new(), HashSet::new());
    let frozen = Frozen { now: 1_700_000_000, nonce: "0123456789abcdef".into() };
    let asked = Asked { fake: &fake, answered: &answered };
    (module.plan)(args, &View::new(&asked, &fake, &fake.whoami, &frozen))
}
