//! What was answered, found by the paths that it tells of.
//!
//! Thousands of files may be written in one step, and each write concerns few of the answers: these are found without
//! looking at all of them.

use super::world::{Standing, reads};
use crate::host::key::is_below;
use crate::host::{Answer, Key, PathState, Question};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

/// An answer, and how far it can be trusted.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub answer: Answer,
    /// SHA-256 of the host's own words.
    pub raw: Option<String>,
    pub standing: Standing,
}

/// Answers by their questions.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger {
    entries: HashMap<Arc<Question>, Entry>,
    /// Every question about a path, by that path, and by where that path really is.
    by_path: BTreeMap<String, Vec<Arc<Question>>>,
    /// Questions that a write anywhere may concern.
    wide: HashSet<Arc<Question>>,
}

impl Ledger {
    pub fn get(&self, question: &Question) -> Option<&Entry> {
        self.entries.get(question)
    }

    /// For another standing, or other attributes: not for another place.
    pub fn get_mut(&mut self, question: &Question) -> Option<&mut Entry> {
        self.entries.get_mut(question)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Question, &Entry)> {
        self.entries.iter().map(|(question, entry)| (&**question, entry))
    }

    pub fn insert(&mut self, question: Question, entry: Entry) {
        self.remove(&question);
        let question = Arc::new(question);
        for path in paths(&question, &entry.answer) {
            self.by_path.entry(path).or_default().push(Arc::clone(&question));
        }
        let narrow = reads(&question, Some(&entry.answer)).iter().all(|key| matches!(key, Key::Path(_)));
        if !narrow || question.subject().is_none() {
            self.wide.insert(Arc::clone(&question));
        }
        self.entries.insert(question, entry);
    }

    pub fn remove(&mut self, question: &Question) {
        let Some(entry) = self.entries.remove(question) else { return };
        for path in paths(question, &entry.answer) {
            if let Some(list) = self.by_path.get_mut(&path) {
                list.retain(|other| **other != *question);
                if list.is_empty() {
                    self.by_path.remove(&path);
                }
            }
        }
        self.wide.remove(question);
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Removes what `keep` does not keep of `questions`.
    pub fn sift(&mut self, questions: &[Arc<Question>], mut keep: impl FnMut(&Question, &mut Entry) -> bool) {
        for question in questions {
            if let Some(entry) = self.entries.get_mut(question)
                && !keep(question, entry)
            {
                self.remove(question);
            }
        }
    }

    /// All questions.
    pub fn all(&self) -> Vec<Arc<Question>> {
        self.entries.keys().cloned().collect()
    }

    /// All questions whose answers a write of these keys may change, and perhaps others.
    pub fn near(&self, written: &[Key]) -> Vec<Arc<Question>> {
        let mut found: HashSet<Arc<Question>> = self.wide.clone();
        for key in written {
            match key {
                Key::Path(path) | Key::Below(path) => found.extend(self.at_or_below(path)),
                _ => return self.all(),
            }
        }
        found.into_iter().collect()
    }

    /// The questions about a path.
    pub fn about(&self, path: &str) -> Vec<Arc<Question>> {
        let list = self.by_path.get(path).map(Vec::as_slice).unwrap_or_default();
        list.iter().filter(|question| question.subject() == Some(path)).cloned().collect()
    }

    /// The questions about a path or something below it.
    pub fn about_below(&self, path: &str) -> Vec<Arc<Question>> {
        let found = self.at_or_below(path).into_iter();
        found.filter(|question| question.subject().is_some_and(|subject| is_below(subject, path))).collect()
    }

    fn at_or_below(&self, path: &str) -> Vec<Arc<Question>> {
        let at = self.by_path.get(path).into_iter();
        at.chain(below(&self.by_path, path).map(|(_, list)| list)).flatten().cloned().collect()
    }
}

/// The entries below a path of a map by paths.
pub(super) fn below<'a, T>(map: &'a BTreeMap<String, T>, path: &str) -> impl Iterator<Item = (&'a String, &'a T)> {
    // `0` is the character after `/`.
    let path = path.trim_end_matches('/');
    let (from, to) = (format!("{path}/"), format!("{path}0"));
    map.range::<str, _>((Bound::Excluded(from.as_str()), Bound::Excluded(to.as_str())))
}

/// The paths that a question is about: by its name, and really.
fn paths(question: &Question, answer: &Answer) -> Vec<String> {
    let Some(subject) = question.subject() else { return Vec::new() };
    let mut paths = vec![subject.to_owned()];
    if let Answer::Path(PathState { real: Some(real), .. }) = answer
        && real != subject
    {
        paths.push(real.clone());
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::effect::affects;
    use crate::host::{PathKind, Probe};

    fn entry(real: Option<&str>) -> Entry {
        let mut state = PathState::of(PathKind::File, 0o644);
        state.real = real.map(str::to_owned);
        if real.is_none() {
            state.kind = PathKind::Absent;
        }
        Entry { answer: Answer::Path(state), raw: None, standing: Standing::Known }
    }

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        for (path, real) in [
            ("/", Some("/")),
            ("/a", Some("/a")),
            ("/a/b", Some("/a/b")),
            ("/a/b/c", Some("/a/b/c")),
            ("/a/b-c", Some("/a/b-c")),
            ("/a/b0", Some("/a/b0")),
            ("/l/x", Some("/a/b/x")),
            ("/gone/y", None),
        ] {
            ledger.insert(Question::path(path), entry(real));
        }
        ledger.insert(Question::Tree { path: "/a".into(), digest: None }, entry(Some("/a")));
        for key in [Key::Accounts, Key::path("/a/b/c"), Key::below("/l")] {
            ledger.insert(Question::Probe(Probe::new("true", &[], vec![key])), entry(Some("/")));
        }
        ledger
    }

    #[test]
    fn whatever_a_write_may_concern_is_near_it() {
        let ledger = ledger();
        for written in [
            Key::path("/"),
            Key::path("/a"),
            Key::path("/a/b"),
            Key::path("/a/b/x"),
            Key::below("/a/b"),
            Key::below("/l"),
            Key::path("/etc/passwd"),
            Key::Accounts,
            Key::Anything,
        ] {
            let near = ledger.near(std::slice::from_ref(&written));
            for (question, entry) in ledger.iter() {
                let touched = reads(question, Some(&entry.answer)).iter().any(|r| affects(&written, r));
                assert!(!touched || near.iter().any(|q| **q == *question), "{written:?} concerns {question:?}");
            }
        }
        let near = ledger.near(&[Key::path("/a/b")]);
        let named = |path: &str| near.iter().any(|q| **q == Question::path(path));
        assert!(named("/a/b") && named("/a/b/c") && named("/l/x"));
        assert!(!named("/a") && !named("/a/b-c") && !named("/a/b0"));
    }

    #[test]
    fn what_is_removed_is_found_no_more() {
        let mut ledger = ledger();
        let all = ledger.all();
        assert_eq!(all.len(), 12);
        assert_eq!(ledger.about("/a").len(), 2);
        assert_eq!(ledger.about_below("/a/b").len(), 2);
        ledger.insert(Question::path("/l/x"), entry(Some("/l/x")));
        assert!(!ledger.near(&[Key::path("/a/b/x")]).iter().any(|q| **q == Question::path("/l/x")));
        ledger.sift(&all, |_, _| false);
        assert!(ledger.iter().next().is_none() && ledger.near(&[Key::path("/")]).is_empty());
        assert!(ledger.by_path.is_empty() && ledger.wide.is_empty());
    }
}
