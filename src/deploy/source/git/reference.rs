//! What a ref means, asked of the repository itself, once.

use super::super::error::SourceError;
use super::Repository;
use crate::source::suggest;
use std::collections::BTreeMap;

/// How many names an error tells.
const NEAR: usize = 5;

/// A commit, and by which name it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The full hash.
    pub commit: String,
    /// The branch or the tag, if it was found by one.
    pub name: Option<String>,
}

/// Whether `text` is a whole hash, of SHA-1 or of SHA-256.
pub(in super::super) fn is_full_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// What `git ls-remote --symref` lists.
#[derive(Debug, Default)]
struct Listed {
    /// Refs and the commits they mean; of tags with a message, the commit they are about.
    refs: BTreeMap<String, String>,
    /// The default branch.
    default: Option<String>,
}

impl Listed {
    fn read(text: &str) -> Self {
        let mut listed = Self::default();
        let mut peeled = Vec::new();
        for (id, name) in text.lines().filter_map(|l| l.split_once('\t')) {
            if let Some(target) = id.strip_prefix("ref: ") {
                if name == "HEAD" {
                    listed.default = target.strip_prefix("refs/heads/").map(str::to_owned);
                }
            } else if let Some(tag) = name.strip_suffix("^{}") {
                peeled.push((tag.to_owned(), id.to_owned()));
            } else {
                listed.refs.insert(name.to_owned(), id.to_owned());
            }
        }
        listed.refs.extend(peeled);
        listed
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.refs.keys().filter_map(|r| r.strip_prefix("refs/heads/").or_else(|| r.strip_prefix("refs/tags/")))
    }

    /// Names that are there in place of one that is not: the nearest, those that hold it, and the default branch.
    fn near(&self, wanted: &str) -> Vec<String> {
        let mut near: Vec<String> = suggest(wanted, self.names()).into_iter().collect();
        let folded = wanted.to_lowercase();
        let holds = |name: &str| {
            let name = name.to_lowercase();
            folded.len() > 1 && name.len() > 1 && (name.contains(&folded) || folded.contains(&name))
        };
        near.extend(self.names().filter(|n| holds(n)).map(str::to_owned));
        near.extend(self.default.clone());
        near.extend(self.names().take(NEAR).map(str::to_owned));
        let mut seen = Vec::new();
        near.retain(|n| {
            !seen.contains(n) && {
                seen.push(n.clone());
                true
            }
        });
        near.truncate(NEAR);
        near
    }
}

impl Repository<'_> {
    /// The commit that a ref means, and the copy in the cache holds it afterwards.
    pub(super) fn resolve(&self, reference: &str) -> Result<Resolved, SourceError> {
        if reference.is_empty() || reference.starts_with('-') || reference.chars().any(|c| c.is_control() || c == ' ') {
            let what = format!("`{}` names no branch, tag or commit", reference.escape_default());
            return Err(SourceError::Spec { what });
        }
        // A whole hash means the same commit for ever: what is here need not be asked for.
        if is_full_commit(reference)
            && let Some(commit) = self.git.commit(reference)?
        {
            return Ok(Resolved { commit, name: None });
        }
        let words = ["ls-remote", "--quiet", "--symref", "--", self.git.url.clean()];
        let listed = Listed::read(&self.git.run("list its branches and tags", &words)?.text());
        if listed.refs.is_empty() {
            return Err(SourceError::NoCommits { repo: self.git.shown() });
        }
        let missing = || SourceError::NoSuchRef {
            reference: reference.to_owned(),
            repo: self.git.shown(),
            near: listed.near(reference),
        };
        let (named, commit) =
            (listed.refs.get(&format!("refs/heads/{reference}")), listed.refs.get(&format!("refs/tags/{reference}")));
        let (full, commit, name) = match (named, commit) {
            (Some(branch), Some(tag)) if branch != tag => {
                return Err(SourceError::AmbiguousRef { reference: reference.to_owned(), repo: self.git.shown() });
            }
            (Some(id), _) | (None, Some(id)) => (None, id, Some(reference.to_owned())),
            (None, None) => match listed.refs.get(reference) {
                Some(id) if reference == "HEAD" => (Some("HEAD"), id, listed.default.clone()),
                Some(id) => {
                    let short = reference.strip_prefix("refs/heads/").or_else(|| reference.strip_prefix("refs/tags/"));
                    (Some(reference), id, Some(short.unwrap_or(reference).to_owned()))
                }
                None => return self.by_hash(reference, &missing),
            },
        };
        if self.git.commit(commit)?.as_deref() != Some(commit) {
            // `HEAD` and `refs/pull/…` may be on no branch.
            let further = full.map(|f| format!("+{f}:refs/windlass/{commit}"));
            self.fetch(&further.iter().map(String::as_str).collect::<Vec<_>>())?;
        }
        match self.git.commit(commit)? {
            Some(commit) => Ok(Resolved { commit, name }),
            None => Err(self.git.failed("find what was just fetched", "the ref moved meanwhile; try again")),
        }
    }

    /// A commit by its hash, whole or short.
    fn by_hash(&self, reference: &str, missing: &dyn Fn() -> SourceError) -> Result<Resolved, SourceError> {
        if reference.len() < 4 || !reference.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(missing());
        }
        // Of a short hash only what is there now can tell whether it is still one commit's.
        self.fetch(&[])?;
        if let Some(commit) = self.git.commit(reference)? {
            return Ok(Resolved { commit, name: None });
        }
        // On no branch and no tag: many servers give it all the same.
        if is_full_commit(reference)
            && self.fetch(&[&format!("+{reference}:refs/windlass/{reference}")]).is_ok()
            && let Some(commit) = self.git.commit(reference)?
        {
            return Ok(Resolved { commit, name: None });
        }
        Err(missing())
    }

    /// Makes sure that a commit is in the copy.
    pub(super) fn need(&self, commit: &str) -> Result<(), SourceError> {
        if self.git.commit(commit)?.is_some() {
            return Ok(());
        }
        let missing =
            || SourceError::NoSuchRef { reference: commit.to_owned(), repo: self.git.shown(), near: Vec::new() };
        self.by_hash(commit, &missing).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_list_of_refs_is_read() {
        let text = "ref: refs/heads/main\tHEAD\naa\tHEAD\naa\trefs/heads/main\nbb\trefs/heads/release/1.2\ncc\trefs/tags/v1\ndd\trefs/tags/v1^{}\n";
        let listed = Listed::read(text);
        assert_eq!(listed.default.as_deref(), Some("main"));
        assert_eq!(listed.refs["refs/tags/v1"], "dd");
        assert_eq!(listed.near("mian")[0], "main");
        assert_eq!(listed.near("1.2")[0], "release/1.2");
        assert_eq!(listed.near("zzz"), ["main", "release/1.2", "v1"]);
    }
}
