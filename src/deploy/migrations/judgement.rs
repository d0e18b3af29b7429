//! What the judge says, and how it reads.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::limits;
use super::model::MigrationId;

/// How an operation goes with the release that runs while it is applied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The old code goes on as before.
    #[default]
    Ok,
    /// A person has to look: it depends on data or on code.
    Check,
    /// The old code fails, the migration fails, or requests wait too long.
    Breaks,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Check => "check",
            Self::Breaks => "breaks",
        })
    }
}

/// What a lock is held for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkKind {
    /// Every row is written anew.
    Rewrite,
    /// An index is built.
    Index,
    /// Every row is read.
    Scan,
}

/// The work that a lock is held for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Its kind.
    pub kind: WorkKind,
    /// The table.
    pub table: String,
    /// Its rows, where the server has counted.
    pub rows: Option<u64>,
    /// Its bytes with indexes; none where nobody knows.
    pub bytes: Option<u64>,
    /// How long it may take.
    pub seconds: Option<f64>,
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            WorkKind::Rewrite => "rewrites",
            WorkKind::Index => "builds an index on",
            WorkKind::Scan => "reads all of",
        };
        write!(f, "{what} {}", self.table)?;
        match (self.rows, self.bytes) {
            (Some(rows), Some(bytes)) => write!(f, " ({rows} rows, {})", limits::bytes(bytes))?,
            (None, Some(bytes)) => write!(f, " (at most {})", limits::bytes(bytes))?,
            _ => f.write_str(" (size unknown)")?,
        }
        self.seconds.map_or(Ok(()), |s| write!(f, ", {}", limits::about(s)))
    }
}

/// What other sessions wait for while an operation runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "lock", content = "work")]
pub enum Lock {
    /// Nothing.
    #[default]
    None,
    /// A strong lock (ACCESS EXCLUSIVE, or SHARE ROW EXCLUSIVE on the other end of a foreign key), for a moment.
    Brief,
    /// Writes to the table wait (SHARE).
    BlocksWrites(Vec<Work>),
    /// Reads and writes of the table wait (ACCESS EXCLUSIVE).
    BlocksAll(Vec<Work>),
}

impl Lock {
    /// The work that it is held for.
    pub fn work(&self) -> &[Work] {
        match self {
            Self::None | Self::Brief => &[],
            Self::BlocksWrites(work) | Self::BlocksAll(work) => work,
        }
    }

    /// How long it may be held; none where a size is unknown.
    pub fn seconds(&self) -> Option<f64> {
        self.work().iter().map(|w| w.seconds).sum()
    }

    /// The stronger of both, with the work of both.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::None, lock) | (lock, Self::None) => lock,
            // What is locked for a moment stays locked to the end of the transaction.
            (Self::Brief, lock) | (lock, Self::Brief) => lock.exclusive(),
            (Self::BlocksWrites(a), Self::BlocksWrites(b)) => Self::BlocksWrites(a.into_iter().chain(b).collect()),
            (a, b) => Self::BlocksAll(a.into_work().into_iter().chain(b.into_work()).collect()),
        }
    }

    /// The same work under a lock that lets nobody in.
    pub(super) fn exclusive(self) -> Self {
        match self {
            Self::None | Self::Brief => Self::Brief,
            Self::BlocksWrites(work) | Self::BlocksAll(work) => Self::BlocksAll(work),
        }
    }

    fn into_work(self) -> Vec<Work> {
        match self {
            Self::None | Self::Brief => Vec::new(),
            Self::BlocksWrites(work) | Self::BlocksAll(work) => work,
        }
    }
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = match self {
            Self::None => return f.write_str("locks nothing"),
            Self::Brief => return f.write_str("a brief lock"),
            Self::BlocksWrites(_) => "writes wait",
            Self::BlocksAll(_) => "reads and writes wait",
        };
        write!(f, "{who} while it ")?;
        for (i, work) in self.work().iter().enumerate() {
            write!(f, "{}{work}", if i == 0 { "" } else { "; and " })?;
        }
        Ok(())
    }
}

/// What is said of one operation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OperationJudgement {
    /// Its class's name.
    pub operation: String,
    /// What it is about: `shop.Product.stock`.
    pub subject: Option<String>,
    /// The worse of the two below.
    pub verdict: Verdict,
    /// Whether the release that was there before works on the schema after it. It counts for a rollback, too.
    pub compatibility: Verdict,
    /// Whether requests wait too long while it runs.
    pub blocking: Verdict,
    /// Why; one clause each.
    pub reasons: Vec<String>,
    /// What waits.
    pub lock: Lock,
    /// How to do it without harm.
    pub hint: Option<String>,
    /// The new release works before it is applied, and nothing breaks when it is applied after the old one has ended.
    pub safe_after_switch: bool,
    /// Django can take it back.
    pub reversible: bool,
    /// It can't succeed on this database, whoever is serving.
    pub fails: bool,
}

/// What is said of one migration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MigrationJudgement {
    /// Which.
    pub id: MigrationId,
    /// Whether it runs in one transaction.
    pub atomic: bool,
    /// Its operations, in order.
    pub operations: Vec<OperationJudgement>,
}

impl MigrationJudgement {
    /// The worst of its operations.
    pub fn verdict(&self) -> Verdict {
        self.operations.iter().map(|o| o.verdict).max().unwrap_or_default()
    }

    /// The worst of its operations, as far as the old code is concerned.
    pub fn compatibility(&self) -> Verdict {
        self.operations.iter().map(|o| o.compatibility).max().unwrap_or_default()
    }

    /// Whether all of it can wait until the old release has ended.
    pub fn safe_after_switch(&self) -> bool {
        self.operations.iter().all(|o| o.safe_after_switch)
    }

    /// One line an operation.
    pub fn lines(&self) -> Vec<String> {
        if self.operations.is_empty() {
            return vec![format!("{}: ok: no operations", self.id)];
        }
        self.operations.iter().map(|o| format!("{}: {o}", self.id)).collect()
    }
}

impl fmt::Display for OperationJudgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.operation)?;
        if let Some(subject) = &self.subject {
            write!(f, " {subject}")?;
        }
        write!(f, ": {}: {}", self.verdict, self.reasons.join("; "))?;
        if self.lock != Lock::None {
            write!(f, "; {}", self.lock)?;
        }
        if let Some(hint) = self.hint.as_ref().filter(|_| self.verdict > Verdict::Ok) {
            write!(f, "; do: {hint}")?;
        }
        Ok(())
    }
}

/// What is said of one database.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DatabaseJudgement {
    /// Its alias.
    pub alias: String,
    /// Nothing is applied yet.
    pub fresh: bool,
    /// In the order in which they are applied.
    pub migrations: Vec<MigrationJudgement>,
    /// Why `migrate` would refuse; no flag helps.
    pub problems: Vec<String>,
    /// What is worth knowing.
    pub notices: Vec<String>,
}

/// What is said of a whole report.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// By alias, `default` first.
    pub databases: Vec<DatabaseJudgement>,
    /// What is worth knowing about the release: models without migrations.
    pub notices: Vec<String>,
}

impl Judgement {
    /// The worst of all migrations.
    pub fn verdict(&self) -> Verdict {
        self.migrations().map(MigrationJudgement::verdict).max().unwrap_or_default()
    }

    /// Whether there is nothing to migrate.
    pub fn is_empty(&self) -> bool {
        self.migrations().next().is_none()
    }

    /// Whether `migrate` itself would refuse.
    pub fn problems(&self) -> impl Iterator<Item = &str> {
        self.databases.iter().flat_map(|d| d.problems.iter().map(String::as_str))
    }

    /// All migrations of all databases.
    pub fn migrations(&self) -> impl Iterator<Item = &MigrationJudgement> {
        self.databases.iter().flat_map(|d| &d.migrations)
    }

    /// One sentence: `3 migrations to apply: 2 ok, 1 breaks the running release`.
    pub fn summary(&self) -> String {
        let count = self.migrations().count();
        if count == 0 {
            return "no migrations to apply".to_owned();
        }
        let of = |v: Verdict| self.migrations().filter(|m| m.verdict() == v).count();
        let parts: Vec<String> = [(Verdict::Ok, "ok"), (Verdict::Check, "to check"), (Verdict::Breaks, "unsafe")]
            .into_iter()
            .filter(|(v, _)| of(*v) > 0)
            .map(|(v, word)| format!("{} {word}", of(v)))
            .collect();
        let plural = if count == 1 { "" } else { "s" };
        let fresh = if self.databases.iter().all(|d| d.fresh) { ", on a fresh database" } else { "" };
        format!("{count} migration{plural} to apply{fresh}: {}", parts.join(", "))
    }

    /// All of it for people, without colours: one line an operation, then problems and notices. Several databases are
    /// told apart by their alias in front.
    pub fn lines(&self) -> Vec<String> {
        let mut out = Vec::new();
        for database in &self.databases {
            let alias = if self.databases.len() > 1 { format!("[{}] ", database.alias) } else { String::new() };
            if database.fresh && database.migrations.iter().all(|m| m.verdict() == Verdict::Ok) {
                // Hundreds of lines that all say the same.
                out.extend(database.migrations.iter().map(|m| format!("{alias}{}: ok: the database is fresh", m.id)));
            } else {
                out.extend(
                    database.migrations.iter().flat_map(MigrationJudgement::lines).map(|l| format!("{alias}{l}")),
                );
            }
            out.extend(database.problems.iter().map(|p| format!("{alias}problem: {p}")));
            out.extend(database.notices.iter().map(|n| format!("{alias}notice: {n}")));
        }
        out.extend(self.notices.iter().map(|n| format!("notice: {n}")));
        out
    }
}
