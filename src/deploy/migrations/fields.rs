//! Rules for operations on fields. What they say of the old code's INSERTs was tried with real databases.

use super::judgement::{Lock, Verdict, WorkKind};
use super::model::{Field, Operation};
use super::operations::{Context, Found};
use super::types::{Change, change};

/// Functions in a column's default that PostgreSQL evaluates once for all rows. Others may differ from row to row, which
/// has the table rewritten.
const STABLE: &[&str] = &[
    "now",
    "statement_timestamp",
    "transaction_timestamp",
    "current_timestamp",
    "localtimestamp",
    "current_date",
    "cast",
];

pub(super) fn add(context: &Context<'_>, op: &Operation, table: &str) -> Found {
    let Some(field) = &op.field else { return Found::check("its field could not be read") };
    if field.many_to_many {
        return Found::ok("its table is new").lock(if field.through_created { Lock::Brief } else { Lock::None });
    }
    if field.column.is_none() {
        return Found::ok("it has no column").after();
    }
    let found = if field.null && field.default {
        Found::ok("rows that the running release writes hold NULL in the new column")
    } else if field.may_be_left_out() {
        Found::ok("INSERTs of the running release may leave the new column out")
    } else {
        Found::breaks("INSERTs of the running release leave the new column out and fail: it is NOT NULL, without a default in the database")
            .hint(if context.knows_db_default() {
                "give the field a db_default (Django's `default` is not kept in the database), or add it with null=True now and make it NOT NULL in the next deploy"
            } else {
                "add it with null=True now; fill it and make it NOT NULL in the next deploy (Django 5.0 and later: db_default)"
            })
    };
    let found = if field.unique && !field.auto && !field.null && field.db_default {
        found.and(
            Found::breaks("all rows get the same value in a unique column")
                .hint("add it with null=True now; fill it and make it NOT NULL in the next deploy"),
        )
    } else if field.unique && field.null && field.default {
        found.and(Found::check(
            "all rows that are there get the same value in a unique column: fails with more than one",
        ))
    } else {
        found
    };
    found.lock(add_lock(context, field, table))
}

/// One transaction adds the column and all that belongs to it, so that the lock of the first step holds to the end.
fn add_lock(context: &Context<'_>, field: &Field, table: &str) -> Lock {
    let old_server =
        context.database.vendor == "postgresql" && context.database.version.first().is_some_and(|v| *v < 11);
    let volatile = field.db_default_sql.as_deref().is_some_and(volatile);
    let filled = field.default || field.db_default;
    let mut lock = Lock::Brief;
    if field.generated || field.auto || volatile || (old_server && filled) {
        lock = lock.and(context.blocks_all(WorkKind::Rewrite, table));
    } else if field.checked {
        lock = lock.and(context.blocks_all(WorkKind::Scan, table));
    }
    // Foreign keys are indexed, too.
    if field.unique || field.indexed {
        lock = lock.and(context.blocks_all(WorkKind::Index, table));
    }
    lock
}

/// Whether a default may be another one for each row.
fn volatile(sql: &str) -> bool {
    let mut rest = sql;
    while let Some(at) = rest.find('(') {
        let before = rest[..at].trim_end();
        let begin = before.rfind(|c: char| !c.is_alphanumeric() && c != '_').map_or(0, |i| i + 1);
        let name = before[begin..].to_ascii_lowercase();
        if !name.is_empty() && !STABLE.contains(&name.as_str()) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

pub(super) fn remove(op: &Operation) -> Found {
    if op.field_known == Some(false) {
        return Found::ok("the field is new in this plan").lock(Lock::Brief);
    }
    let Some(field) = &op.old_field else { return Found::check("its field could not be read") };
    if field.many_to_many {
        if !field.through_created {
            return Found::ok("its table stays").after();
        }
        return Found::breaks("the running release still uses its table").lock(Lock::Brief).hint(STATE_FIRST).after();
    }
    if field.column.is_none() {
        return Found::ok("it has no column").after();
    }
    let found = Found::breaks("the running release still reads and writes the column").lock(Lock::Brief);
    if field.may_be_left_out() {
        return found.hint(STATE_FIRST).after();
    }
    // After the switch, the new release's INSERTs would fail until the column is gone: neither order works.
    found.hint(
        "three steps: give the field null=True or db_default and deploy; then deploy the code without it, with the \
         removal in SeparateDatabaseAndState(state_operations=[…]); then drop the column",
    )
}

const STATE_FIRST: &str = "deploy the code without the field first, with the removal in SeparateDatabaseAndState(state_operations=[…]); \
                           drop the column in the next deploy, or let this deploy do it after the switch (`unsafe_migrations: defer`)";

pub(super) fn rename(op: &Operation) -> Found {
    let (Some(old), Some(new)) = (&op.old_field, &op.field) else { return Found::check("its field could not be read") };
    // Where the values are.
    let place = |f: &Field| if f.many_to_many { f.through.clone() } else { f.column.clone() };
    if place(old) == place(new) {
        return Found::ok("its place in the database keeps its name").after();
    }
    if op.field_known == Some(false) {
        return Found::ok("the field is new in this plan").lock(Lock::Brief);
    }
    let name = place(old).unwrap_or_else(|| old.name.clone());
    let found = Found::breaks(format!("the running release asks for {name}, which is then called otherwise"));
    found.lock(Lock::Brief).hint(if old.many_to_many {
        format!("keep the table with `db_table=\"{name}\"` on the field")
    } else {
        format!("keep the column with `db_column=\"{name}\"` on the field, set by an AlterField before the RenameField")
    })
}

pub(super) fn alter(context: &Context<'_>, op: &Operation, table: &str) -> Found {
    let (Some(old), Some(new)) = (&op.old_field, &op.field) else { return Found::check("its field could not be read") };
    if op.altered == Some(false) {
        return Found::ok("nothing changes in the database").after();
    }
    if old.many_to_many || new.many_to_many {
        return if old.through == new.through {
            Found::ok("its table stays as it is").lock(Lock::Brief)
        } else {
            Found::breaks("the running release asks for its table under the old name").lock(Lock::Brief)
        };
    }
    // What the running release has never heard of can't break it, but for what its INSERTs leave out.
    let known = op.field_known != Some(false);
    let mut parts = Vec::new();
    if old.column != new.column {
        parts.push(column(old, known));
    }
    if old.null != new.null {
        parts.push(nullable(context, new, known, table));
    }
    if old.sql_type != new.sql_type {
        parts.push(column_type(context, op, old, new, known, table));
    }
    parts.extend(rules(context, old, new, known, table));
    if old.db_default != new.db_default || old.db_default_sql != new.db_default_sql {
        parts.push(database_default(new, known));
    }
    parts
        .into_iter()
        .reduce(Found::and)
        .unwrap_or_else(|| Found::ok("the column's values and rules stay").lock(Lock::Brief))
}

fn column(old: &Field, known: bool) -> Found {
    let name = old.column.as_deref().unwrap_or(&old.name);
    if !known {
        return Found::ok("the field is new in this plan").lock(Lock::Brief);
    }
    Found::breaks(format!("the running release asks for the column {name}, which is then called otherwise"))
        .lock(Lock::Brief)
        .hint(format!("keep `db_column=\"{name}\"`"))
}

fn nullable(context: &Context<'_>, new: &Field, known: bool, table: &str) -> Found {
    if new.null {
        // The new release writes NULLs that the old one, draining or returned to, may not expect.
        let verdict = if known { Verdict::Check } else { Verdict::Ok };
        return Found::new(verdict, "the running release may meet NULL where it never was")
            .lock(Lock::Brief)
            .hint("see that the running release can read NULL there, or write it from the next release on");
    }
    let lock = context.blocks_all(WorkKind::Scan, table);
    if known {
        return Found::breaks("the running release may write NULL, and so may rows that are there")
            .lock(lock)
            .hint("deploy the code that writes no NULL first; make it NOT NULL in the next deploy")
            .after();
    }
    if new.may_be_left_out() {
        return Found::ok("INSERTs of the running release get the default in the database").lock(lock);
    }
    Found::breaks("INSERTs of the running release leave the new column out and fail: it is NOT NULL, without a default in the database")
        .lock(lock)
        .hint("move this operation to the next deploy")
        .after()
}

fn column_type(context: &Context<'_>, op: &Operation, old: &Field, new: &Field, known: bool, table: &str) -> Found {
    let (from, to) = (old.sql_type.as_deref().unwrap_or("none"), new.sql_type.as_deref().unwrap_or("none"));
    let rewrite = || {
        let also = op.also_tables.iter().filter(|t| t.as_str() != table);
        let tables = std::iter::once(table).chain(also.map(String::as_str));
        Lock::BlocksAll(tables.map(|t| context.work(WorkKind::Rewrite, t)).collect())
    };
    match change(from, to) {
        Change::Widens { rewrites } => {
            let found = Found::ok(format!("what fits {from} fits {to}"));
            if rewrites { found.lock(rewrite()).hint(COPY) } else { found.lock(Lock::Brief) }
        }
        _ if !known => Found::ok("the field is new in this plan").lock(rewrite()),
        // It does not enforce lengths and ranges.
        Change::Narrows if context.sqlite() => {
            Found::check(format!("the running release may write what does not fit {to}")).lock(rewrite())
        }
        Change::Narrows => Found::breaks(format!(
            "the running release may write what does not fit {to}, and rows that are there may not fit either"
        ))
        .lock(rewrite())
        .hint("deploy the code that keeps to the new limit first; change the column in the next deploy")
        .after(),
        Change::Other => Found::check(format!("values become {to} where the running release knows {from}"))
            .lock(rewrite())
            .hint(COPY),
    }
}

const COPY: &str =
    "add a second column of the new type, write both, fill it in small steps, and change over in a later deploy";

/// Uniqueness, checks, indexes and foreign keys.
fn rules(context: &Context<'_>, old: &Field, new: &Field, known: bool, table: &str) -> Vec<Found> {
    let mut parts = Vec::new();
    if new.unique && !old.unique {
        let lock = context.blocks_all(WorkKind::Index, table);
        parts.push(if known {
            Found::check("fails if values are equal already, and the running release may write one twice")
                .lock(lock)
                .hint("see that neither the data nor the running release has duplicates")
        } else {
            Found::check("fails if values are equal already").lock(lock)
        });
    } else if old.unique && !new.unique {
        parts.push(Found::ok("the running release is not held to uniqueness any more").lock(Lock::Brief));
    }
    if new.checked && !old.checked {
        parts.push(
            Found::check(
                "fails if a value violates its new check, and so do writes of the running release that violate it",
            )
            .lock(context.blocks_all(WorkKind::Scan, table))
            .hint("see that the data and the running release keep to it"),
        );
    } else if old.checked && !new.checked {
        parts.push(Found::ok("the running release is not held to the check any more").lock(Lock::Brief));
    }
    if new.indexed && !old.indexed && !new.unique {
        parts.push(
            Found::ok("the running release does not notice the index")
                .lock(context.blocks_writes(WorkKind::Index, table))
                .hint("keep db_index off, and use AddIndexConcurrently for an index in Meta.indexes")
                .after(),
        );
    } else if old.indexed && !new.indexed {
        parts.push(Found::ok("the running release works without the index, if slower").lock(Lock::Brief).after());
    }
    let target = |f: &Field| f.references.clone().filter(|_| f.constrained);
    if target(new).is_some() && target(new) != target(old) {
        parts.push(
            Found::check("fails if a row points nowhere, and so do writes of the running release that point elsewhere")
                .lock(context.blocks_all(WorkKind::Scan, table))
                .hint("see that the data and the running release keep to the foreign key"),
        );
    } else if target(old).is_some() && target(new).is_none() {
        parts.push(Found::ok("the running release is not held to the foreign key any more").lock(Lock::Brief));
    }
    if old.collation != new.collation {
        parts.push(
            Found::check("sorts and compares otherwise")
                .lock(context.blocks_all(WorkKind::Index, table))
                .hint("see that the running release does not rely on the old order"),
        );
    }
    parts
}

fn database_default(new: &Field, known: bool) -> Found {
    if new.may_be_left_out() {
        return Found::ok("only the default in the database changes").lock(Lock::Brief);
    }
    let who = if known { "leaves the value to the database" } else { "does not know the column" };
    Found::breaks(format!("the running release {who}: without the default, its INSERTs fail"))
        .lock(Lock::Brief)
        .hint("keep db_default for this deploy; remove it in the next")
        .after()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_that_differs_from_row_to_row_is_told_from_others() {
        for (sql, expected) in [
            ("0", false),
            ("%s", false),
            ("(%s)", false),
            ("STATEMENT_TIMESTAMP()", false),
            ("(STATEMENT_TIMESTAMP())", false),
            ("RANDOM()", true),
            ("(now() + gen_random_uuid())", true),
        ] {
            assert_eq!(volatile(sql), expected, "{sql}");
        }
    }
}
