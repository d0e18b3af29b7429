//! What is known of a machine, and what each action does to that knowledge.

use super::ledger::{Entry, Ledger, below};
use crate::host::answer::digest;
use crate::host::effect::affects;
use crate::host::key::{clean, parent};
use crate::host::{
    Action, ActionKind, Answer, Content, Held, Install, Key, PathKind, PathState, Question, WhoAmI, view::Answers,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who acts on a machine: one shell is kept open for each.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seat {
    /// The inventory name of the machine; another host's where a task is delegated.
    pub host: Arc<str>,
    /// Who.
    pub identity: Identity,
}

/// Under which login and privilege something is done.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Identity {
    /// Another login than the inventory's.
    pub remote_user: Option<String>,
    /// Another port.
    pub port: Option<u16>,
    /// Another way to connect.
    pub connection: Option<String>,
    /// Raised privileges.
    pub become_: Option<Become>,
}

/// Raised privileges.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Become {
    /// To whose.
    pub user: String,
    /// `sudo` or `su`.
    pub method: String,
    /// Further flags.
    pub flags: Vec<String>,
    /// Another program than the method's.
    pub exe: Option<String>,
}

/// How far an answer can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The host said so, and nothing has happened since that could change it.
    Known,
    /// It follows from an action.
    Predicted,
    /// The host said so, but something has happened since that may have changed it.
    Assumed,
}

/// What is known of a path through actions alone.
#[derive(Debug, Clone)]
struct Model {
    state: PathState,
    content: Option<Content>,
    /// Whether something has happened since that may have changed it.
    doubtful: bool,
    /// A folder that an action has made: what is not known to be in it is not there.
    fresh: bool,
}

/// What happens to answers that an action may have changed without its being known how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// They are forgotten, and predictions are not made: every step asks anew.
    None,
    /// They are kept as assumptions, which a guard checks on the host.
    Assume,
    /// As in a plan, where the action is not done: the host can still be asked, but will say what was before.
    Plan,
}

/// What is known of one machine as one identity sees it.
#[derive(Debug, Clone)]
pub struct World {
    memory: Memory,
    answers: Ledger,
    models: BTreeMap<String, Model>,
    /// Keys written by actions that a plan has left out.
    left_out: Vec<(Key, Arc<str>)>,
}

impl World {
    /// Nothing is known.
    pub fn new(memory: Memory) -> Self {
        Self { memory, answers: Ledger::default(), models: BTreeMap::new(), left_out: Vec::new() }
    }

    /// What another identity on the same machine begins with: what follows from actions, and nothing that was seen,
    /// since it may see other things.
    #[must_use]
    pub fn beside(&self) -> Self {
        let mut answers = Ledger::default();
        for (question, entry) in self.answers.iter().filter(|(_, entry)| entry.standing == Standing::Predicted) {
            answers.insert(question.clone(), entry.clone());
        }
        Self { memory: self.memory, answers, models: self.models.clone(), left_out: self.left_out.clone() }
    }

    /// How much of this follows from actions.
    pub fn deeds(&self) -> usize {
        self.models.len() + self.left_out.len()
    }

    /// The host said so.
    pub fn learn(&mut self, question: Question, answer: Answer, raw: Option<String>) {
        if self.memory == Memory::Plan && self.modelled(&question).is_some() {
            // The host says what is; the plan goes by what will be.
            return;
        }
        let doubtful = self.memory == Memory::Plan
            && self.left_out.iter().any(|(w, _)| reads(&question, Some(&answer)).iter().any(|r| affects(w, r)));
        let standing = if doubtful { Standing::Assumed } else { Standing::Known };
        self.answers.insert(question, Entry { answer, raw, standing });
    }

    /// What is held of a question, with the host's own words' digest and how far it can be trusted.
    pub fn entry(&self, question: &Question) -> Option<(Answer, Option<String>, Standing)> {
        if let Some(entry) = self.answers.get(question) {
            return Some((entry.answer.clone(), entry.raw.clone(), entry.standing));
        }
        let answer = self.modelled(question)?;
        Some((answer, None, if self.doubts(question) { Standing::Assumed } else { Standing::Predicted }))
    }

    /// Forgets answers, since they did not hold.
    pub fn forget(&mut self, questions: &[Question]) {
        for question in questions {
            self.answers.remove(question);
            let mut at = question.subject();
            if let Some(path) = at {
                self.models.remove(path);
            }
            // Nothing is known any more of what an absence or an empty folder further up said, either.
            while let Some(up) = at.and_then(parent) {
                match self.models.get_mut(up) {
                    Some(model) if model.state.kind == PathKind::Absent => {
                        self.models.remove(up);
                    }
                    Some(model) => model.fresh = false,
                    None => {}
                }
                at = Some(up);
            }
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.answers.clear();
        self.models.clear();
    }

    /// Whether a plan has left out an action that could have made accounts, or rights of theirs.
    pub fn misses_accounts(&self) -> bool {
        self.left_out.iter().any(|(written, _)| affects(written, &Key::Accounts))
    }

    /// Forgets what is only assumed: whoever looks again after an action of its own must see what it did.
    pub fn forget_assumed(&mut self) {
        let all = self.answers.all();
        self.answers.sift(&all, |_, entry| entry.standing != Standing::Assumed);
        self.models.retain(|_, model| !model.doubtful);
    }

    /// A guard held: what was assumed is known.
    pub fn confirm(&mut self, questions: &[Question]) {
        for question in questions {
            if let Some(entry) = self.answers.get_mut(question) {
                entry.standing = Standing::Known;
            } else if self.doubts(question)
                && let Some(answer) = self.modelled(question)
            {
                let entry = Entry { answer, raw: None, standing: Standing::Known };
                self.answers.insert(question.clone(), entry);
            }
        }
    }

    /// Whether what actions tell of a path may have changed since: of itself, or of a folder on the way.
    fn doubts(&self, question: &Question) -> bool {
        let mut at = question.subject();
        while let Some(path) = at {
            if self.models.get(path).is_some_and(|m| m.doubtful) {
                return true;
            }
            at = parent(path);
        }
        false
    }

    fn modelled(&self, question: &Question) -> Option<Answer> {
        let path = question.subject()?;
        match (self.models.get(path), question) {
            (Some(model), Question::Path { follow, digest: algorithm, .. }) => {
                if *follow && model.state.kind == PathKind::Link {
                    return None;
                }
                let mut state = model.state.clone();
                state.real = Some(path.to_owned());
                if let (PathKind::File, Some(algorithm)) = (state.kind, algorithm) {
                    state.digest = Some(match model.content.as_ref()? {
                        Content::Bytes(bytes) => digest(*algorithm, bytes),
                        Content::File(source) => match algorithm {
                            crate::host::Algorithm::Sha256 => source.sha256.clone(),
                            crate::host::Algorithm::Sha1 => source.sha1.clone(),
                            _ => return None,
                        },
                    });
                }
                Some(Answer::Path(state))
            }
            (Some(model), Question::Content { .. }) => match (&model.state.kind, &model.content) {
                (PathKind::Absent, _) => Some(Answer::Content(None)),
                (PathKind::File, Some(Content::Bytes(bytes))) => Some(Answer::Content(Some(Arc::clone(bytes)))),
                _ => None,
            },
            (Some(model), Question::Tree { .. }) => {
                (model.state.kind == PathKind::Absent).then_some(Answer::Tree(None))
            }
            (None, _) => {
                // Below what is known to be gone, or was made just now, there is nothing.
                let mut at = path;
                while let Some(up) = parent(at) {
                    match self.models.get(up).map(|m| (m.state.kind, m.fresh)) {
                        Some((kind, fresh)) if fresh || kind == PathKind::Absent => {
                            return match question {
                                Question::Path { .. } => {
                                    let real = fresh.then(|| path.to_owned());
                                    Some(Answer::Path(PathState { real, ..PathState::absent() }))
                                }
                                Question::Content { .. } => Some(Answer::Content(None)),
                                Question::Tree { .. } => Some(Answer::Tree(None)),
                                Question::Probe(_) => None,
                            };
                        }
                        Some(_) => return None,
                        None => at = up,
                    }
                }
                None
            }
            (Some(_), Question::Probe(_)) => None,
        }
    }

    /// An action was done, or, in a plan, is taken as done: what it may have changed is forgotten, assumed or
    /// predicted. `whoami` is whoever acts.
    pub fn act(&mut self, action: &Action, whoami: &WhoAmI) {
        if self.memory == Memory::None {
            self.clear();
            return;
        }
        let before = action.kind.path().map(|p| self.state_of(&clean(p)));
        // Below a folder that is reached through a link, other names for the same files would not be noticed.
        let direct = action.kind.path().map(clean).is_some_and(|path| {
            [false, true].into_iter().any(|follow| {
                let question = Question::Path { path: path.clone(), follow, digest: None };
                matches!(self.entry(&question), Some((Answer::Path(s), _, _)) if s.real.as_ref() == Some(&path))
            })
        });
        let mut written = action.writes.clone();
        // The same place by its other name, where a folder on the way is a link.
        if let Some(path) = action.kind.path().map(clean) {
            for question in self.answers.about(&path) {
                if let Some(Entry { answer: Answer::Path(PathState { real: Some(real), .. }), .. }) =
                    self.answers.get(&question)
                    && *real != path
                {
                    written.push(Key::Path(real.clone()));
                }
            }
        }
        let broad = written.iter().any(|k| matches!(k, Key::Anything | Key::Packages | Key::Units));
        // Of what only gets other attributes, the answers are corrected below.
        let corrected = match &action.kind {
            ActionKind::Attributes { path, .. } | ActionKind::Touch { path, .. } => Some(clean(path)),
            _ => None,
        };
        let memory = self.memory;
        let why: Arc<str> = action.shows.as_str().into();
        let near = if broad { self.answers.all() } else { self.answers.near(&written) };
        self.answers.sift(&near, |question, entry| {
            if question.is_volatile() {
                return memory == Memory::Plan && !broad;
            }
            let touched = reads(question, Some(&entry.answer)).iter().any(|r| written.iter().any(|w| affects(w, r)));
            if touched {
                entry.standing = Standing::Assumed;
            }
            // A narrow write changes what it names; a broad one most likely leaves this alone.
            let is_corrected = corrected.is_some() && corrected.as_deref() == question.subject();
            !touched || broad || memory == Memory::Plan || is_corrected
        });
        if broad {
            for model in self.models.values_mut() {
                model.doubtful = true;
            }
        } else {
            for key in &written {
                match key {
                    Key::Path(path) | Key::Below(path) => self.unmodel(path, corrected.as_deref()),
                    key => self
                        .models
                        .retain(|path, _| corrected.as_ref() == Some(path) || !affects(key, &Key::Path(path.clone()))),
                }
            }
        }
        if memory == Memory::Plan {
            self.left_out.extend(written.iter().map(|k| (k.clone(), Arc::clone(&why))));
        }
        if let Some(path) = action.kind.path() {
            let path = clean(path);
            self.predict(&action.kind, &path, before.flatten(), whoami);
            if let (ActionKind::Directory { .. }, Some(model)) = (&action.kind, self.models.get_mut(&path)) {
                model.fresh = direct;
            }
        }
        self.fill(&written);
        for (question, answer) in &action.predicts {
            self.answers
                .insert(question.clone(), Entry { answer: answer.clone(), raw: None, standing: Standing::Predicted });
        }
    }

    /// Forgets what actions told of a path and of all below it, but for one path.
    fn unmodel(&mut self, path: &str, except: Option<&str>) {
        let mut gone: Vec<String> = below(&self.models, path).map(|(at, _)| at.clone()).collect();
        gone.extend(self.models.contains_key(path).then(|| path.to_owned()));
        for at in gone.iter().filter(|at| Some(at.as_str()) != except) {
            self.models.remove(at);
        }
    }

    /// What has come into folders that were made, without its being known what: they are no longer empty.
    fn fill(&mut self, written: &[Key]) {
        for key in written {
            let (Key::Path(path) | Key::Below(path)) = key else { continue };
            if matches!(key, Key::Path(_)) && self.models.contains_key(path) {
                continue;
            }
            let mut at = Some(path.as_str());
            while let Some(path) = at {
                if let Some(model) = self.models.get_mut(path) {
                    model.fresh = false;
                }
                at = parent(path);
            }
        }
    }

    /// What is known of a path, from whatever was asked about it.
    fn state_of(&self, path: &str) -> Option<PathState> {
        if let Some(model) = self.models.get(path) {
            return Some(model.state.clone());
        }
        let about = self.answers.about(path);
        about.iter().find_map(|question| match (&**question, &self.answers.get(question)?.answer) {
            (Question::Path { follow, .. }, Answer::Path(state)) if !follow || state.real.as_deref() == Some(path) => {
                Some(state.clone())
            }
            _ => None,
        })
    }

    fn predict(&mut self, kind: &ActionKind, path: &str, before: Option<PathState>, whoami: &WhoAmI) {
        let mut content = None;
        let state = match kind {
            ActionKind::Install(install) => {
                content = Some(install.content.clone());
                installed(install, before.as_ref(), whoami)
            }
            ActionKind::Directory { mode, owner, group, .. } => {
                let mut state = PathState::of(PathKind::Directory, mode.unwrap_or(0o755));
                // A folder may inherit its group and its set-group bit from the one above.
                (state.uid, state.owner) = (Some(whoami.uid), Some(whoami.user.clone()));
                own(&mut state, owner.as_deref(), group.as_deref());
                state
            }
            ActionKind::Attributes { mode, owner, group, follow, .. } => {
                let Some(mut state) = before else { return };
                if state.kind == PathKind::Link && *follow {
                    return;
                }
                content = self.models.get(path).and_then(|m| m.content.clone());
                state.mode = mode.unwrap_or(state.mode);
                own(&mut state, owner.as_deref(), group.as_deref());
                state.times = None;
                if content.is_none() {
                    self.reattribute(path, &state);
                    return;
                }
                state
            }
            ActionKind::Link { target, hard: false, .. } => {
                let mut state = PathState::of(PathKind::Link, 0o777);
                (state.uid, state.owner) = (Some(whoami.uid), Some(whoami.user.clone()));
                state.target = Some(target.clone());
                state
            }
            ActionKind::Remove { .. } => {
                self.unmodel(path, None);
                PathState::absent()
            }
            ActionKind::Touch { .. } => match before {
                Some(mut state) if state.exists() => {
                    state.times = None;
                    self.reattribute(path, &state);
                    return;
                }
                Some(_) => {
                    let mut state = PathState::of(PathKind::File, 0o644);
                    (state.uid, state.owner) = (Some(whoami.uid), Some(whoami.user.clone()));
                    state.size = Some(0);
                    content = Some(Content::text(""));
                    state
                }
                None => return,
            },
            ActionKind::Link { hard: true, .. } | ActionKind::Run(_) => return,
        };
        // The model answers from now on, for every way of asking.
        let void =
            if state.kind == PathKind::Absent { self.answers.about_below(path) } else { self.answers.about(path) };
        self.answers.sift(&void, |_, _| false);
        self.models.insert(path.to_owned(), Model { state, content, doubtful: false, fresh: false });
    }

    /// The content stays, its attributes are others.
    fn reattribute(&mut self, path: &str, state: &PathState) {
        if let Some(model) = self.models.get_mut(path) {
            model.state = state.clone();
        }
        for question in self.answers.about(path) {
            let Some(entry) = self.answers.get_mut(&question) else { continue };
            match (&*question, &mut entry.answer) {
                (Question::Path { .. }, Answer::Path(answer)) => {
                    let (real, digest) = (answer.real.clone(), answer.digest.clone());
                    *answer = PathState { real, digest, ..state.clone() };
                    entry.standing = Standing::Predicted;
                }
                (Question::Content { .. }, _) => entry.standing = Standing::Predicted,
                _ => {}
            }
        }
    }
}

impl Answers for World {
    fn held(&self, question: &Question) -> Held {
        match self.entry(question) {
            Some((answer, _, _)) => Held::Known(answer),
            None => Held::Pending,
        }
    }
}

/// The keys that an answer rests on.
pub(super) fn reads(question: &Question, answer: Option<&Answer>) -> Vec<Key> {
    let mut keys = question.reads();
    // Where a link on the way leads nowhere, nobody can tell what would change it.
    if let Some(Answer::Path(PathState { kind: PathKind::Absent, real: None, .. })) = answer {
        keys.push(Key::Below("/".to_owned()));
    }
    if let Some(Answer::Path(PathState { real: Some(real), .. })) = answer
        && question.subject() != Some(real)
    {
        keys.push(Key::Path(real.clone()));
    }
    keys
}

fn installed(install: &Install, before: Option<&PathState>, whoami: &WhoAmI) -> PathState {
    let mut state = PathState::of(PathKind::File, install.mode);
    match before {
        Some(old) if install.replaces && old.exists() => {
            (state.uid, state.owner) = (old.uid, old.owner.clone());
            (state.gid, state.group) = (old.gid, old.group.clone());
        }
        _ => (state.uid, state.owner) = (Some(whoami.uid), Some(whoami.user.clone())),
    }
    own(&mut state, install.owner.as_deref(), install.group.as_deref());
    state.size = Some(install.content.len());
    state
}

fn own(state: &mut PathState, owner: Option<&str>, group: Option<&str>) {
    if let Some(owner) = owner {
        match owner.parse() {
            Ok(uid) => (state.uid, state.owner) = (Some(uid), None),
            Err(_) => (state.uid, state.owner) = ((owner == "root").then_some(0), Some(owner.to_owned())),
        }
    }
    if let Some(group) = group {
        match group.parse() {
            Ok(gid) => (state.gid, state.group) = (Some(gid), None),
            Err(_) => (state.gid, state.group) = ((group == "root").then_some(0), Some(group.to_owned())),
        }
    }
}

#[cfg(test)]
#[path = "world_tests.rs"]
mod tests;
