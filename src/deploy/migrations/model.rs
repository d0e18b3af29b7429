//! What the probe tells: databases, and the migrations on the way from one state to another.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// An application's label and a migration's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(String, String)", into = "(String, String)")]
pub struct MigrationId {
    /// The application's label.
    pub app: String,
    /// The file's name without `.py`; `zero` where `migrate` is to take back all.
    pub name: String,
}

impl MigrationId {
    /// A migration by application and name.
    pub fn new(app: impl Into<String>, name: impl Into<String>) -> Self {
        Self { app: app.into(), name: name.into() }
    }
}

impl From<(String, String)> for MigrationId {
    fn from((app, name): (String, String)) -> Self {
        Self { app, name }
    }
}

impl From<MigrationId> for (String, String) {
    fn from(id: MigrationId) -> Self {
        (id.app, id.name)
    }
}

impl fmt::Display for MigrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.app, self.name)
    }
}

/// What the probe was asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// What `migrate` would apply.
    #[default]
    Pending,
    /// What given migrations, that are applied, did.
    Between,
}

/// The whole answer of one release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The interpreter's version.
    pub python: String,
    /// Django's version.
    pub django: String,
    /// What was asked.
    pub mode: Mode,
    /// By alias.
    pub databases: BTreeMap<String, Database>,
    /// Aliases that were left out, and why.
    #[serde(default)]
    pub skipped: BTreeMap<String, String>,
    /// What `makemigrations` would write, by application: models that changed without a migration.
    #[serde(default)]
    pub model_changes: BTreeMap<String, Vec<String>>,
    /// Why that could not be found out.
    #[serde(default)]
    pub model_changes_error: Option<String>,
}

impl Report {
    /// What newer releases applied, in all databases: what a rollback asks the newer release about.
    pub fn ahead(&self) -> Vec<MigrationId> {
        let mut out: Vec<MigrationId> =
            self.databases.values().flat_map(|d| d.not_on_disk.iter().filter(|o| o.ahead).map(Orphan::id)).collect();
        out.sort();
        out.dedup();
        out
    }
}

/// One database.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Database {
    /// `postgresql`, `sqlite`, `mysql`, `oracle`, or what a third party's backend calls itself.
    pub vendor: String,
    /// The server's version, as far as it is known.
    pub version: Vec<u32>,
    /// Nothing is applied: no release works on this database yet.
    pub fresh: bool,
    /// What is applied, of what is on this release's disk.
    pub applied: Vec<MigrationId>,
    /// What is applied, and not on this release's disk.
    pub not_on_disk: Vec<Orphan>,
    /// Applications with several last migrations: `migrate` refuses them.
    pub conflicts: BTreeMap<String, Vec<String>>,
    /// Django's message about a migration that is applied before one it depends on: `migrate` refuses it.
    pub inconsistent: Option<String>,
    /// The migrations asked for, in the order in which they are applied.
    pub migrations: Vec<Migration>,
    /// The sizes of the tables that they touch, where the server knows them.
    pub tables: BTreeMap<String, Table>,
    /// The size of the whole database, where it is one file.
    pub bytes: Option<u64>,
    /// With [`Mode::Between`]: the way back.
    pub undo: Option<Undo>,
    /// With [`Mode::Between`]: what was named, and is not on this release's disk.
    pub unknown: Vec<MigrationId>,
}

/// A row of Django's table that this release has no file for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphan {
    /// The application's label.
    pub app: String,
    /// The migration's name.
    pub name: String,
    /// Whether this release has the application.
    pub installed: bool,
    /// It was applied after all that this release knows of the application: a newer release did it. If not, its file was
    /// squashed or deleted long ago.
    pub ahead: bool,
}

impl Orphan {
    /// Its name in full.
    pub fn id(&self) -> MigrationId {
        MigrationId::new(&self.app, &self.name)
    }
}

/// How `migrate` takes the asked migrations back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// What to run `migrate APP NAME` with, in this order. `zero` stands for before the first.
    pub targets: Vec<MigrationId>,
    /// What that takes back besides.
    pub also: Vec<MigrationId>,
}

/// A table's size, as the server estimates it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Rows; none where the server never counted.
    pub rows: Option<u64>,
    /// Without indexes.
    pub bytes: u64,
    /// With indexes and what is stored out of line.
    pub total_bytes: u64,
}

/// One migration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Migration {
    /// The application's label.
    pub app: String,
    /// The file's name without `.py`.
    pub name: String,
    /// Whether it runs in one transaction, so that locks are held to its end.
    pub atomic: bool,
    /// Whether it is an application's first.
    #[serde(default)]
    pub initial: bool,
    /// What it was squashed from.
    #[serde(default)]
    pub replaces: Vec<MigrationId>,
    /// What has to be applied before it.
    #[serde(default)]
    pub dependencies: Vec<MigrationId>,
    /// What it does, in order.
    pub operations: Vec<Operation>,
}

impl Migration {
    /// Its name in full.
    pub fn id(&self) -> MigrationId {
        MigrationId::new(&self.app, &self.name)
    }
}

/// One operation, with what the judge needs of it. Which of the options are there depends on its kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Operation {
    /// Its class's name.
    pub class: String,
    /// Django's class that says what it does; none for one that does it its own way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Django's sentence about it.
    pub description: String,
    /// Whether Django can take it back.
    pub reversible: bool,
    /// Whether it does something in this database: not for unmanaged models, and not where a router leaves it out.
    #[serde(default = "yes")]
    pub routed: bool,
    /// Whether the model was there before these migrations.
    #[serde(default = "yes")]
    pub known: bool,
    /// Why details are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
    /// `app.Model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The model's table before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The model's table after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_table: Option<String>,
    /// A new model has foreign keys.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub foreign_keys: bool,
    /// A field's name, where its facts are not needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_name: Option<String>,
    /// Whether the field was there before these migrations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_known: Option<bool>,
    /// The field before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_field: Option<Field>,
    /// The field after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<Field>,
    /// Whether Django would change the column at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub altered: Option<bool>,
    /// Tables whose columns change type along.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also_tables: Vec<String>,
    /// Of `unique_together` and `index_together`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added_sets: Vec<Vec<String>>,
    /// Of `unique_together` and `index_together`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed_sets: Vec<Vec<String>>,
    /// Whether the model has `order_with_respect_to`, before and after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ordered: Option<(bool, bool)>,
    /// An index's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    /// A constraint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraint: Option<Constraint>,
    /// `RunPython` or `RunSQL` that does nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub noop: bool,
    /// The function that `RunPython` calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The statements of `RunSQL`, in short.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sql: Vec<String>,
    /// The halves of `SeparateDatabaseAndState`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub database: Vec<Operation>,
    /// The halves of `SeparateDatabaseAndState`, and what `RunSQL` says it did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub state: Vec<Operation>,
    /// An extension of PostgreSQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// It is there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub installed: bool,
    /// The server has its files.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub available: bool,
    /// The application's role may create it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub creatable: bool,
}

impl Operation {
    /// What it is about, for people: `shop.Product.stock`.
    pub fn subject(&self) -> Option<String> {
        let field = self.old_field.as_ref().or(self.field.as_ref()).map(|f| &f.name).or(self.field_name.as_ref());
        let constraint = self.constraint.as_ref().and_then(|c| c.name.as_ref());
        let part = field.or(self.index.as_ref()).or(constraint);
        match (&self.model, part) {
            (Some(model), Some(part)) => Some(format!("{model}.{part}")),
            (Some(model), None) => Some(model.clone()),
            (None, _) => self.code.clone().or(self.extension.clone()),
        }
    }
}

/// What is not said must not count as harmless.
fn yes() -> bool {
    true
}

/// A field of a model, as the database sees it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Field {
    /// Its name in the model.
    pub name: String,
    /// Its class's name.
    pub class: String,
    /// The column; none for what has none (many-to-many, generic relations).
    pub column: Option<String>,
    /// The column's type, as this database writes it.
    #[serde(rename = "type")]
    pub sql_type: Option<String>,
    /// The column may hold NULL.
    pub null: bool,
    /// Unique, which primary keys are, too.
    pub unique: bool,
    /// `db_index`.
    pub indexed: bool,
    /// `primary_key`.
    pub primary_key: bool,
    /// A default in Python.
    pub default: bool,
    /// A default in the database, which INSERTs of code that does not know the column get.
    pub db_default: bool,
    /// That default, as SQL.
    pub db_default_sql: Option<String>,
    /// A many-to-many relation.
    pub many_to_many: bool,
    /// Its table.
    pub through: Option<String>,
    /// Whether Django makes that table.
    pub through_created: bool,
    /// A generated column.
    pub generated: bool,
    /// The server numbers it.
    pub auto: bool,
    /// `max_length`.
    pub max_length: Option<u64>,
    /// `max_digits`.
    pub digits: Option<u64>,
    /// `decimal_places`.
    pub places: Option<u64>,
    /// The table that a foreign key points at.
    pub references: Option<String>,
    /// Whether the database enforces that.
    pub constrained: bool,
    /// The column carries a CHECK of its own, as positive integers do.
    pub checked: bool,
    /// `db_collation`.
    pub collation: Option<String>,
}

impl Field {
    /// An INSERT that leaves it out succeeds.
    pub fn may_be_left_out(&self) -> bool {
        self.column.is_none() || self.null || self.db_default || self.generated || self.auto
    }
}

/// A constraint of a model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Constraint {
    /// Its name.
    pub name: Option<String>,
    /// `CheckConstraint`, `UniqueConstraint`, `ExclusionConstraint`; empty where it goes away.
    pub class: String,
    /// The fields of a unique constraint.
    pub fields: Vec<String>,
    /// It holds for some rows only.
    pub conditional: bool,
    /// It is about expressions.
    pub expressions: bool,
    /// It is deferrable.
    pub deferrable: bool,
    /// Rows that the old code writes can't violate it.
    pub spares_old_rows: bool,
}
