//! Rules for operations on models, indexes and constraints, and for code and SQL. `fields.rs` has those for fields.

use super::fields;
use super::judgement::{Lock, Verdict, Work, WorkKind};
use super::limits;
use super::model::{Database, Migration, Operation};

/// What an operation is judged in.
pub(super) struct Context<'a> {
    pub database: &'a Database,
    /// Django's major and minor version.
    pub django: (u32, u32),
    pub migration: &'a Migration,
}

impl Context<'_> {
    pub fn sqlite(&self) -> bool {
        self.database.vendor == "sqlite"
    }

    /// `db_default` came with Django 5.0.
    pub fn knows_db_default(&self) -> bool {
        self.django >= (5, 0)
    }

    /// Work on a table, with the time that it may take.
    pub fn work(&self, kind: WorkKind, table: &str) -> Work {
        let size = limits::size(self.database, table);
        let seconds = size.map(|size| match kind {
            WorkKind::Rewrite => limits::rewrite_seconds(size),
            WorkKind::Index => limits::index_seconds(size),
            WorkKind::Scan => limits::scan_seconds(size),
        });
        Work {
            kind,
            table: table.to_owned(),
            rows: size.and_then(|s| s.rows),
            bytes: size.map(|s| s.total_bytes),
            seconds,
        }
    }

    pub fn blocks_all(&self, kind: WorkKind, table: &str) -> Lock {
        Lock::BlocksAll(vec![self.work(kind, table)])
    }

    pub fn blocks_writes(&self, kind: WorkKind, table: &str) -> Lock {
        Lock::BlocksWrites(vec![self.work(kind, table)])
    }
}

/// What a rule finds. The judge adds what follows from the table's size and the migration around it.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub compatibility: Verdict,
    pub reasons: Vec<String>,
    pub lock: Lock,
    pub hint: Option<String>,
    /// The new release does not need it, and the old one does not matter any more.
    pub after: bool,
    /// It can't succeed on this database.
    pub fails: bool,
}

impl Found {
    pub fn new(compatibility: Verdict, reason: impl Into<String>) -> Self {
        Self { compatibility, reasons: vec![reason.into()], ..Self::default() }
    }

    pub fn ok(reason: impl Into<String>) -> Self {
        Self::new(Verdict::Ok, reason)
    }

    pub fn check(reason: impl Into<String>) -> Self {
        Self::new(Verdict::Check, reason)
    }

    pub fn breaks(reason: impl Into<String>) -> Self {
        Self::new(Verdict::Breaks, reason)
    }

    /// An operation that can't succeed, whoever is serving.
    pub fn fails(reason: impl Into<String>) -> Self {
        Self { fails: true, ..Self::breaks(reason) }
    }

    pub fn lock(mut self, lock: Lock) -> Self {
        self.lock = self.lock.and(lock);
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = self.hint.or(Some(hint.into()));
        self
    }

    pub fn after(mut self) -> Self {
        self.after = true;
        self
    }

    /// One more finding about the same operation: the worse verdict counts, and all reasons are told.
    pub fn and(mut self, other: Self) -> Self {
        if other.compatibility > self.compatibility {
            self.hint = other.hint.or(self.hint);
        } else {
            self.hint = self.hint.or(other.hint);
        }
        self.compatibility = self.compatibility.max(other.compatibility);
        self.reasons.extend(other.reasons);
        self.lock = self.lock.and(other.lock);
        self.after &= other.after;
        self.fails |= other.fails;
        self
    }
}

const CONCURRENTLY: &str = "use AddIndexConcurrently (django.contrib.postgres.operations) in a migration of its own with \
                            `atomic = False`";
const DEFER_DROP: &str = "deploy the code that does not use it first, with the removal in SeparateDatabaseAndState(state_operations=[…]); \
                          drop it in the next deploy, or let this deploy do it after the switch (`unsafe_migrations: defer`)";

/// The rules, without regard to whether the table is new or whether the operation reaches this database.
pub(super) fn rule(context: &Context<'_>, op: &Operation) -> Found {
    let table = op.table.as_deref().unwrap_or("the table");
    match op.kind.as_deref() {
        Some("CreateModel") => {
            let lock = if op.foreign_keys { Lock::Brief } else { Lock::None };
            Found::ok("the running release does not know the new table").lock(lock)
        }
        Some("DeleteModel") => {
            Found::breaks("the running release still uses the table").lock(Lock::Brief).hint(DEFER_DROP).after()
        }
        Some("RenameModel" | "AlterModelTable") => {
            if op.new_table.as_deref() == Some(table) {
                return Found::ok("the table keeps its name");
            }
            let new = op.new_table.as_deref().unwrap_or("another name");
            Found::breaks(format!("the running release asks for {table}, which is then called {new}"))
                .lock(Lock::Brief)
                .hint(format!("keep the name with `db_table = \"{table}\"` in the model's Meta"))
        }
        Some("AlterModelTableComment") => Found::ok("only a comment changes").lock(Lock::Brief).after(),
        Some("AlterModelOptions" | "AlterModelManagers") => Found::ok("nothing changes in the database").after(),
        Some("AlterConstraint") => Found::ok("the constraint stays as it is in the database").after(),
        Some("AlterUniqueTogether") if op.added_sets.is_empty() => {
            Found::ok("the running release is not held to the constraint any more").lock(Lock::Brief)
        }
        Some("AlterUniqueTogether") => unique("these fields together").lock(context.blocks_all(WorkKind::Index, table)),
        Some("AlterIndexTogether") if op.added_sets.is_empty() => {
            Found::ok("the running release works without the index, if slower").lock(Lock::Brief).after()
        }
        Some("AddIndex" | "AlterIndexTogether") => Found::ok("the running release does not notice the index")
            .lock(context.blocks_writes(WorkKind::Index, table))
            .hint(CONCURRENTLY)
            .after(),
        Some(kind @ ("AddIndexConcurrently" | "RemoveIndexConcurrently")) if context.migration.atomic => {
            Found::fails(format!("{kind} can't run within a transaction")).hint("set `atomic = False` in the migration")
        }
        Some("AddIndexConcurrently") => Found::ok("the index is built beside reads and writes").after(),
        Some("RemoveIndexConcurrently") => Found::ok("the running release works without the index, if slower").after(),
        Some("RemoveIndex") => {
            Found::ok("the running release works without the index, if slower").lock(Lock::Brief).after()
        }
        Some("RenameIndex") => Found::ok("no code names an index").lock(Lock::Brief).after(),
        Some("AddConstraint" | "AddConstraintNotValid") => constraint(context, op, table),
        Some("ValidateConstraint") => Found::ok("rows are checked beside reads and writes").after(),
        Some("RemoveConstraint") => {
            Found::ok("the running release is not held to the constraint any more").lock(Lock::Brief)
        }
        Some("AlterOrderWithRespectTo") => order(context, op, table),
        Some("AddField") => fields::add(context, op, table),
        Some("RemoveField") => fields::remove(op),
        Some("AlterField") => fields::alter(context, op, table),
        Some("RenameField") => fields::rename(op),
        Some("RunPython" | "RunSQL") if op.noop => Found::ok("it does nothing").after(),
        Some("RunPython") => Found::check("it changes data while the running release serves: whether that goes well is in its code")
            .hint("see that the running release can work with the data before, during and after it; work in small steps on large tables"),
        Some("RunSQL") => sql(op),
        Some("SeparateDatabaseAndState") => separate(context, op),
        Some("CreateCollation") => Found::ok("the running release does not know it"),
        Some("RemoveCollation") => Found::check("the running release may use the collation").after(),
        Some(kind) if kind.ends_with("Extension") => extension(op),
        _ => Found::check(format!("{} is not one of Django's own operations: only its code tells what it does", op.class))
            .hint("read what its database_forwards does"),
    }
}

fn unique(what: &str) -> Found {
    Found::check(format!("fails if rows are equal already, and the running release may write {what} twice"))
        .hint("see that neither the data nor the running release has duplicates (`GROUP BY … HAVING count(*) > 1`)")
}

fn constraint(context: &Context<'_>, op: &Operation, table: &str) -> Found {
    let constraint = op.constraint.clone().unwrap_or_default();
    if op.kind.as_deref() == Some("AddConstraintNotValid") {
        return Found::check("from then on, the running release can't write rows that violate it")
            .lock(Lock::Brief)
            .hint("see that the running release keeps to the constraint")
            .after();
    }
    match constraint.class.as_str() {
        "UniqueConstraint" => {
            // Django makes an index of these, and a constraint of others.
            let lock = if constraint.conditional || constraint.expressions {
                context.blocks_writes(WorkKind::Index, table)
            } else {
                context.blocks_all(WorkKind::Index, table)
            };
            if constraint.spares_old_rows {
                return Found::ok("rows of the running release hold NULL in a new field of the constraint").lock(lock);
            }
            unique("these fields").lock(lock)
        }
        "CheckConstraint" => Found::check(
            "fails if a row violates it, and so do writes of the running release that violate it",
        )
        .lock(context.blocks_all(WorkKind::Scan, table))
        .hint(
            "see that the data and the running release keep to it; on PostgreSQL, AddConstraintNotValid now and \
                 ValidateConstraint in a later migration lock nothing",
        )
        .after(),
        _ => Found::check("fails if rows violate it, and so do writes of the running release that violate it")
            .lock(context.blocks_all(WorkKind::Index, table))
            .hint("see that the data and the running release keep to it"),
    }
}

fn order(context: &Context<'_>, op: &Operation, table: &str) -> Found {
    match op.ordered {
        Some((false, true)) => Found::breaks(
            "adds the column _order, which is NOT NULL: INSERTs of the running release leave it out and fail",
        )
        .lock(context.blocks_all(WorkKind::Scan, table))
        .hint("add a field of your own with a default in the database, and sort by it in Meta.ordering"),
        Some((true, false)) => Found::breaks("drops the column _order, which the running release still writes")
            .lock(Lock::Brief)
            .hint("drop its NOT NULL by RunSQL in a deploy before, and drop the column in the next"),
        _ => Found::ok("the column _order stays as it is").after(),
    }
}

fn sql(op: &Operation) -> Found {
    let mut shown: Vec<String> =
        op.sql.iter().map(|s| format!("`{}`", s.chars().take(60).collect::<String>())).collect();
    let more = shown.len().saturating_sub(2);
    shown.truncate(2);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Found::check(format!("what SQL does is not judged: {}{more}", shown.join(", ")))
        .hint("see what it locks, for how long, and whether the running release works after it")
}

/// The half for the database is judged as usual. Of the half for the state, only what the new release would stumble over.
fn separate(context: &Context<'_>, op: &Operation) -> Found {
    let mut found = op
        .database
        .iter()
        .map(|o| judged(context, o))
        .reduce(Found::and)
        .unwrap_or_else(|| Found::ok("only Django's picture of the models changes").after());
    for removed in op.state.iter().filter(|o| o.kind.as_deref() == Some("RemoveField")) {
        if let Some(field) = removed.old_field.as_ref().filter(|f| !f.many_to_many && !f.may_be_left_out()) {
            found = found.and(
                Found::check(format!(
                    "the column of {} stays, NOT NULL and without a default that Django knows of: INSERTs of the new release leave it out",
                    field.name
                ))
                .hint("give the field null=True or db_default in a deploy before"),
            );
        }
    }
    found
}

/// The rule for an operation, or why it does not matter here.
pub(super) fn judged(context: &Context<'_>, op: &Operation) -> Found {
    if let Some(why) = &op.unreadable {
        return Found::check(format!("its details could not be read ({why})"));
    }
    if !op.routed {
        return Found::ok("it does nothing in this database").after();
    }
    let of_table = op.model.is_some() && op.kind.as_deref() != Some("CreateModel");
    if of_table && !op.known && op.kind.is_some() {
        return Found::ok("the table is new in this plan");
    }
    rule(context, op)
}

fn extension(op: &Operation) -> Found {
    let name = op.extension.as_deref().unwrap_or("the extension");
    match (op.installed, op.available, op.creatable) {
        (true, _, _) => Found::ok(format!("{name} is there already")).after(),
        (_, true, true) => Found::ok("the running release does not need it"),
        (_, true, false) => Found::fails(format!("fails: the application's role may not create {name}"))
            .hint(format!("create it beforehand as a superuser, for example with postgresql_ext: name={name}")),
        _ => Found::fails(format!("fails: the server does not have {name}"))
            .hint("install the package that brings it (postgresql-contrib has most) on the database host"),
    }
}
