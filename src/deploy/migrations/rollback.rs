//! What stands between a release and an older one: whether the old code works on the newer schema, or what has to be undone.

use serde::{Deserialize, Serialize};

use super::judge::judge;
use super::judgement::Verdict;
use super::limits::Limits;
use super::model::{MigrationId, Operation, Report};

/// What a rollback can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RollbackVerdict {
    /// The old code works on the schema as it is: change the code only.
    CodeOnly,
    /// It does not for sure, and all can be undone with the newer release's files.
    Undo,
    /// It does not for sure, and something can't be undone: only a backup brings the old schema back.
    Irreversible,
}

/// What stands between two releases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rollback {
    /// What can be done.
    pub verdict: RollbackVerdict,
    /// How the old code goes with the newer schema: `check` means that nobody can tell without a look.
    pub compatibility: Verdict,
    /// The migrations between, oldest first, each with its database's alias.
    pub migrations: Vec<(String, MigrationId)>,
    /// The operations that stand in the way, one line each.
    pub concerns: Vec<String>,
    /// `migrate --database ALIAS APP NAME` of the newer release, in this order, undoes them.
    pub undo: Vec<(String, MigrationId)>,
    /// What that would take back besides: migrations of other applications that depend on them.
    pub also_undone: Vec<(String, MigrationId)>,
    /// Operations that Django can't take back.
    pub irreversible: Vec<String>,
    /// Data that undoing throws away.
    pub loses: Vec<String>,
    /// Data that is gone already, and that undoing does not bring back.
    pub gone: Vec<String>,
    /// Named migrations that the newer release has no files for. They can neither be judged nor undone.
    pub unknown: Vec<(String, MigrationId)>,
}

/// Judges a report of [`Mode::Between`](super::Mode::Between), which the *newer* release gave about the migrations that the
/// older one has no files for.
pub fn judge_rollback(report: &Report, limits: &Limits) -> Rollback {
    let judgement = judge(report, limits);
    let mut out = Rollback {
        verdict: RollbackVerdict::CodeOnly,
        compatibility: judgement.migrations().map(super::MigrationJudgement::compatibility).max().unwrap_or_default(),
        migrations: Vec::new(),
        concerns: Vec::new(),
        undo: Vec::new(),
        also_undone: Vec::new(),
        irreversible: Vec::new(),
        loses: Vec::new(),
        gone: Vec::new(),
        unknown: Vec::new(),
    };
    for judged in &judgement.databases {
        let Some(database) = report.databases.get(&judged.alias) else { continue };
        let named = |ids: &[MigrationId]| ids.iter().map(|id| (judged.alias.clone(), id.clone())).collect::<Vec<_>>();
        out.unknown.extend(named(&database.unknown));
        if let Some(undo) = &database.undo {
            out.undo.extend(named(&undo.targets));
            out.also_undone.extend(named(&undo.also));
        }
        for (migration, judged_migration) in database.migrations.iter().zip(&judged.migrations) {
            let id = migration.id();
            out.migrations.push((judged.alias.clone(), id.clone()));
            for (op, said) in migration.operations.iter().zip(&judged_migration.operations) {
                if said.compatibility > Verdict::Ok {
                    let subject = said.subject.as_ref().map(|s| format!(" {s}")).unwrap_or_default();
                    let reasons = said.reasons.join("; ");
                    out.concerns.push(format!("{id}: {}{subject}: {}: {reasons}", op.class, said.compatibility));
                }
                if !op.reversible {
                    out.irreversible.push(format!("{id}: {}", op.description));
                } else if let Some(field) = comes_back_empty(op) {
                    out.irreversible.push(format!(
                        "{id}: {}: {field} is NOT NULL without a default, so that it can't come back where there are rows",
                        op.description
                    ));
                }
                data(op, &mut out);
            }
        }
    }
    if !out.unknown.is_empty() {
        out.compatibility = out.compatibility.max(Verdict::Check);
        out.concerns
            .extend(out.unknown.iter().map(|(_, id)| format!("{id}: check: the newer release has no file for it")));
    }
    out.verdict = match out.compatibility {
        Verdict::Ok => RollbackVerdict::CodeOnly,
        _ if out.irreversible.is_empty() && out.unknown.is_empty() => RollbackVerdict::Undo,
        _ => RollbackVerdict::Irreversible,
    };
    out
}

/// The field that the way back would add to rows it has no value for.
fn comes_back_empty(op: &Operation) -> Option<&str> {
    let removed = op.kind.as_deref() == Some("RemoveField") && op.routed && op.known && op.field_known != Some(false);
    let field = op.old_field.as_ref().filter(|_| removed)?;
    (!field.many_to_many && !field.default && !field.may_be_left_out()).then_some(&field.name)
}

/// What an operation and its way back do to data.
fn data(op: &Operation, out: &mut Rollback) {
    if !op.routed {
        return;
    }
    for part in &op.database {
        data(part, out);
    }
    let Some(subject) = op.subject() else { return };
    match op.kind.as_deref() {
        Some("CreateModel" | "AddField") => out.loses.push(subject),
        Some("DeleteModel") if op.known => out.gone.push(subject),
        Some("RemoveField") if op.known && op.field_known != Some(false) => out.gone.push(subject),
        _ => {}
    }
}
