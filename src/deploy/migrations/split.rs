//! Which migrations can wait until the old release has ended.

use std::collections::HashSet;

use super::judgement::{DatabaseJudgement, Verdict};
use super::model::{Database, MigrationId};

/// The pending migrations of one database in two parts.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Split {
    /// Applied before the switch, in order.
    pub before: Vec<MigrationId>,
    /// What to run `migrate APP NAME` with to apply just those, in order.
    pub before_targets: Vec<MigrationId>,
    /// Applied when the old release has ended, in order: a plain `migrate` does it.
    pub after: Vec<MigrationId>,
}

/// Puts what would break the old release behind the switch, with all that depends on it. Where that can't be, since the new
/// release needs it, or since it would hold requests up then as well, the error has one line for each migration that
/// stands in the way.
pub fn split(database: &Database, judgement: &DatabaseJudgement) -> Result<Split, Vec<String>> {
    let mut after: HashSet<MigrationId> = HashSet::new();
    let mut refused = Vec::new();
    let mut out = Split::default();
    for (migration, judged) in database.migrations.iter().zip(&judgement.migrations) {
        let id = migration.id();
        let blocks = judged.operations.iter().any(|o| o.fails || o.blocking == Verdict::Breaks);
        let waits_for = migration.dependencies.iter().find(|d| after.contains(d));
        let breaks = judged.compatibility() == Verdict::Breaks;
        if blocks {
            refused.push(format!("{id}: holds requests up, or fails, at any time"));
        }
        if !breaks && waits_for.is_none() {
            out.before.push(id);
            continue;
        }
        if !judged.safe_after_switch() {
            refused.push(match waits_for {
                Some(other) if !breaks => {
                    format!("{id}: depends on {other}, which has to wait for the switch, but the new release may need it before")
                }
                _ => format!("{id}: breaks the running release before the switch, and the new one needs it before it starts"),
            });
        }
        after.insert(id.clone());
        out.after.push(id);
    }
    if !refused.is_empty() {
        return Err(refused);
    }
    for (i, id) in out.before.iter().enumerate() {
        if !out.before[i + 1..].iter().any(|later| later.app == id.app) {
            out.before_targets.push(id.clone());
        }
    }
    Ok(out)
}
