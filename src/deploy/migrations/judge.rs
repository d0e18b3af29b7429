//! From what the probe found to what is said of it: the rules, and what follows from sizes, transactions and the server.

use super::judgement::{DatabaseJudgement, Judgement, Lock, MigrationJudgement, OperationJudgement, Verdict, WorkKind};
use super::limits::Limits;
use super::model::{Database, Migration, Operation, Report};
use super::operations::{Context, Found, judged};

/// Judges every operation of a report. The old code is the release that serves now (or, for a report of
/// [`Mode::Between`](super::Mode::Between), the one to go back to).
pub fn judge(report: &Report, limits: &Limits) -> Judgement {
    let django = version(&report.django);
    let mut databases: Vec<DatabaseJudgement> = report
        .databases
        .iter()
        .map(|(alias, database)| DatabaseJudgement {
            alias: alias.clone(),
            fresh: database.fresh,
            migrations: database.migrations.iter().map(|m| migration(database, django, m, limits)).collect(),
            problems: problems(database),
            notices: notices(database),
        })
        .collect();
    // As `migrate` without --database does.
    databases.sort_by_key(|d| d.alias != "default");
    let mut notices = Vec::new();
    for (app, changes) in &report.model_changes {
        notices.push(format!(
            "models of {app} have changes without a migration: {} (run `manage.py makemigrations`)",
            changes.join(", ")
        ));
    }
    if let Some(error) = &report.model_changes_error {
        notices.push(format!("whether models changed without a migration could not be found out: {error}"));
    }
    Judgement { databases, notices }
}

fn version(text: &str) -> (u32, u32) {
    let mut numbers =
        text.split('.').map(|n| n.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn problems(database: &Database) -> Vec<String> {
    let conflicts = database.conflicts.iter().map(|(app, names)| {
        format!(
            "{app} has several last migrations ({}): merge them (`manage.py makemigrations --merge`)",
            names.join(", ")
        )
    });
    conflicts.chain(database.inconsistent.clone()).collect()
}

fn notices(database: &Database) -> Vec<String> {
    let ahead: Vec<String> = database.not_on_disk.iter().filter(|o| o.ahead).map(|o| o.id().to_string()).collect();
    if ahead.is_empty() {
        return Vec::new();
    }
    vec![format!("the database is ahead of this release: {} applied, and not among its files", ahead.join(", "))]
}

/// What a transaction has done so far that matters to what comes later in it.
#[derive(Default)]
struct Held {
    /// The tables that nobody else can use, and the operation that locked the first.
    tables: Vec<String>,
    by: String,
    /// Code or SQL that may have changed rows.
    changed_rows: bool,
}

fn migration(database: &Database, django: (u32, u32), migration: &Migration, limits: &Limits) -> MigrationJudgement {
    let context = Context { database, django, migration };
    let mut held = Held::default();
    let operations = migration.operations.iter().map(|op| operation(&context, op, limits, &mut held)).collect();
    MigrationJudgement { id: migration.id(), atomic: migration.atomic, operations }
}

fn operation(context: &Context<'_>, op: &Operation, limits: &Limits, held: &mut Held) -> OperationJudgement {
    let mut found = judged(context, op);
    if context.database.fresh && !found.fails {
        found = Found::ok("the database is fresh, so that no release works on it");
    }
    if context.sqlite() {
        found.lock = on_sqlite(context, op, found.lock);
    }
    let mut blocking = Verdict::Ok;
    if context.migration.atomic && context.database.vendor == "postgresql" && !context.database.fresh {
        blocking = within_transaction(op, &mut found, held);
    }
    let blocking = blocking.max(of_lock(&found.lock, limits));
    OperationJudgement {
        operation: op.class.clone(),
        subject: op.subject(),
        verdict: found.compatibility.max(blocking),
        compatibility: found.compatibility,
        blocking,
        reasons: found.reasons,
        lock: found.lock,
        hint: found.hint,
        safe_after_switch: found.after,
        reversible: op.reversible,
        fails: found.fails,
    }
}

/// Whether requests wait too long.
fn of_lock(lock: &Lock, limits: &Limits) -> Verdict {
    let most = match lock {
        Lock::None | Lock::Brief => return Verdict::Ok,
        Lock::BlocksWrites(_) => limits.writes_blocked,
        Lock::BlocksAll(_) => limits.all_blocked,
    };
    match lock.seconds() {
        Some(seconds) if seconds <= limits.unnoticed => Verdict::Ok,
        Some(seconds) if seconds > most => Verdict::Breaks,
        _ => Verdict::Check,
    }
}

/// `SQLite` has one lock for the whole file, and changes most tables by copying them.
fn on_sqlite(context: &Context<'_>, op: &Operation, lock: Lock) -> Lock {
    let copies = matches!(
        op.kind.as_deref(),
        Some("AddConstraint" | "RemoveConstraint" | "AlterField" | "RemoveField" | "AlterUniqueTogether" | "AddField")
    );
    match (&lock, &op.table) {
        (Lock::None, _) | (_, None) => lock,
        (Lock::Brief, _) if !copies => lock,
        (_, Some(table)) => context.blocks_writes(WorkKind::Rewrite, table),
    }
}

/// Locks are held to the end of the transaction, which is the migration's.
fn within_transaction(op: &Operation, found: &mut Found, held: &mut Held) -> Verdict {
    let mut verdict = Verdict::Ok;
    let unmeasured = op.routed && !op.noop && matches!(op.kind.as_deref(), Some("RunPython" | "RunSQL") | None);
    if unmeasured {
        if !held.tables.is_empty() {
            verdict = Verdict::Check;
            found.reasons.push(format!(
                "{} stays locked against all reads and writes until it has ended, since {} comes before it in the same transaction",
                held.tables.join(", "),
                held.by
            ));
            found.hint = Some("put it into a migration of its own".to_owned());
        }
        held.changed_rows = true;
        return verdict;
    }
    let Some(table) = op.table.as_ref().filter(|_| found.lock != Lock::None) else { return verdict };
    if held.tables.contains(table) {
        found.lock = std::mem::take(&mut found.lock).exclusive();
    }
    if held.changed_rows {
        verdict = Verdict::Check;
        found.reasons.push(
            "PostgreSQL refuses to alter a table in which the same transaction has changed rows that a foreign key is \
             yet to be checked for (`pending trigger events`)"
                .to_owned(),
        );
        found.hint.get_or_insert_with(|| "put the data migration before it into a migration of its own".to_owned());
    }
    if !matches!(found.lock, Lock::BlocksWrites(_)) && !held.tables.contains(table) {
        if held.tables.is_empty() {
            held.by = op.subject().map_or_else(|| op.class.clone(), |subject| format!("{} {subject}", op.class));
        }
        held.tables.push(table.clone());
    }
    verdict
}
