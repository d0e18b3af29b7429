//! The commits between two.

use super::error::SourceError;
use super::git::Git;

/// How many commits are told one by one.
const TOLD: usize = 50;

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its full hash.
    pub hash: String,
    /// Who wrote it.
    pub author: String,
    /// When it was written, RFC 3339.
    pub date: String,
    /// Its first line.
    pub subject: String,
}

/// How the new commit stands to the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// They are the same.
    Same,
    /// The new one's history holds the old one.
    Ahead,
    /// The old one's history holds the new one: the commits told are those that leave.
    Behind,
    /// Neither holds the other (a force push, or another branch): this many commits leave.
    Diverged {
        /// Commits of the old one that the new one does not have.
        leaving: u64,
    },
    /// The old one is in the repository no more, or not known there yet.
    OldUnknown,
    /// The history is cut off before it reaches the old one (a shallow clone), so that they can't be compared.
    Shallow,
    /// This kind of source has no history.
    NoHistory,
}

/// What lies between two commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// How the new one stands to the old one.
    pub relation: Relation,
    /// The commits, newest first, at most 50: those that come, or with [`Relation::Behind`] those that leave.
    pub commits: Vec<Commit>,
    /// How many there are in all.
    pub total: u64,
}

impl History {
    /// None to tell.
    pub(super) fn none(relation: Relation) -> Self {
        Self { relation, commits: Vec::new(), total: 0 }
    }

    /// Reads it from a repository that is here.
    pub(super) fn read(git: &Git, old: &str, new: &str) -> Result<Self, SourceError> {
        let Some(new) = git.commit(new)? else {
            return Err(SourceError::NoSuchRef { reference: new.to_owned(), repo: git.shown(), near: Vec::new() });
        };
        let shallow = git.run("look at its history", &["rev-parse", "--is-shallow-repository"])?.text() == "true";
        let Some(old) = git.commit(old)? else {
            return Ok(Self::none(if shallow { Relation::Shallow } else { Relation::OldUnknown }));
        };
        if old == new {
            return Ok(Self::none(Relation::Same));
        }
        let coming = Self::count(git, &old, &new)?;
        let leaving = Self::count(git, &new, &old)?;
        let relation = match (coming, leaving) {
            (_, 0) => Relation::Ahead,
            (0, _) => Relation::Behind,
            _ if shallow => return Ok(Self::none(Relation::Shallow)),
            _ => Relation::Diverged { leaving },
        };
        let (from, to, total) = match relation {
            Relation::Behind => (&new, &old, leaving),
            _ => (&old, &new, coming),
        };
        let range = format!("{from}..{to}");
        let most = format!("--max-count={TOLD}");
        let format = "--format=%H%x1f%an%x1f%aI%x1f%s";
        let log = git.run(
            "read its history",
            &["log", "-z", "--no-color", "--no-show-signature", &most, format, &range, "--"],
        )?;
        let text = String::from_utf8_lossy(&log.stdout);
        let commits = text.split('\0').filter_map(|record| {
            let mut fields = record.trim_start_matches('\n').splitn(4, '\u{1f}').map(str::to_owned);
            Some(Commit { hash: fields.next()?, author: fields.next()?, date: fields.next()?, subject: fields.next()? })
        });
        Ok(Self { relation, commits: commits.collect(), total })
    }

    fn count(git: &Git, from: &str, to: &str) -> Result<u64, SourceError> {
        let range = format!("{from}..{to}");
        Ok(git.run("count its commits", &["rev-list", "--count", &range, "--"])?.text().parse().unwrap_or(0))
    }
}
