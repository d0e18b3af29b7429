//! What a release's migrations mean for the release that serves while they run.
//!
//! ```text
//! probe.py (in the release's own Python) ── JSON ─► parse ─► Report ─► judge ─► Judgement ─► split
//!                                                                 └──► judge_rollback ─► Rollback
//! ```
//!
//! The probe reads and never judges; the judge is a pure function of what the probe found and of [`Limits`]. The rules are
//! told to users in `docs/migrations.md`.

mod fields;
mod judge;
mod judgement;
mod limits;
mod model;
mod operations;
mod parse;
mod rollback;
mod split;
mod types;

#[cfg(test)]
mod testing;

pub use judge::judge;
pub use judgement::{
    DatabaseJudgement, Judgement, Lock, MigrationJudgement, OperationJudgement, Verdict, Work, WorkKind,
};
pub use limits::Limits;
pub use model::{Database, Migration, MigrationId, Mode, Operation, Orphan, Report, Table, Undo};
pub use parse::{ProbeError, ProbeErrorKind, parse};
pub use rollback::{Rollback, RollbackVerdict, judge_rollback};
pub use split::{Split, split};

/// The probe: a Python script for standard input of `venv/bin/python -`, in the project's folder (where `manage.py` is), with
/// the environment and the user that the application runs with. It reads only, and exits with 0 whatever it found;
/// [`parse`] reads what it prints. Its arguments are JSON in the variable [`ARGUMENTS`].
pub const PROBE: &str = include_str!("probe.py");

/// The environment variable that holds the probe's arguments; [`Arguments`] makes its value.
pub const ARGUMENTS: &str = "WINDLASS_MIGRATIONS";

/// What the probe is asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Arguments {
    /// What `migrate` would apply, or what given migrations did.
    pub mode: Mode,
    /// With [`Mode::Between`]: which.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub migrations: Vec<MigrationId>,
    /// Aliases of `DATABASES` to look at. Without any: `default`, and all others that hold Django's table of migrations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub databases: Vec<String>,
    /// The settings module, where it is known. Else the environment or `manage.py` names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
}

impl Arguments {
    /// The value of [`ARGUMENTS`].
    pub fn to_json(&self) -> String {
        serde_json::to_value(self).unwrap_or_default().to_string()
    }
}
