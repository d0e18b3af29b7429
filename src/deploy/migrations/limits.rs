//! How long work on a table takes, and how long is too long.

use super::model::{Database, Table};

// Measured with PostgreSQL 15 on a machine of two busy cores: 3 million rows, 403 MB, 491 MB with indexes, took 29 s to be
// rewritten (and 22 s with a volatile default), 5 s to be indexed by two integers, 10 s by a text of 32 characters, and
// 1.9 s to be read for a check. Busy is how a server is while it serves.

/// Bytes a second (with indexes, which are built anew) of a table that is rewritten.
const REWRITE_BYTES: f64 = 20e6;
/// Bytes a second (without indexes) of a table that an index is built on.
const INDEX_BYTES: f64 = 40e6;
/// Rows a second of the same: sorting them is what takes the time where rows are narrow.
const INDEX_ROWS: f64 = 300_000.0;
/// Bytes a second (without indexes) of a table that is read through.
const SCAN_BYTES: f64 = 150e6;

/// Up to here nobody notices: a slow page.
const UNNOTICED_SECONDS: f64 = 2.0;
/// When nobody can even read, all workers wait within moments, and pages without that table hang as well.
const ALL_BLOCKED_SECONDS: f64 = 5.0;
/// When only writes wait. gunicorn kills a worker that is silent for 30 s; this leaves room for the estimate.
const WRITES_BLOCKED_SECONDS: f64 = 20.0;

/// What the judge takes for bearable. [`Limits::default`] has the measured figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Seconds that a lock may be held without a word.
    pub unnoticed: f64,
    /// Seconds that a table may be closed to reading and writing.
    pub all_blocked: f64,
    /// Seconds that a table may be closed to writing.
    pub writes_blocked: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { unnoticed: UNNOTICED_SECONDS, all_blocked: ALL_BLOCKED_SECONDS, writes_blocked: WRITES_BLOCKED_SECONDS }
    }
}

/// A table's size; the whole database's where that is all that is known (`SQLite`).
pub(super) fn size(database: &Database, table: &str) -> Option<Table> {
    let whole = database.bytes.map(|bytes| Table { rows: None, bytes, total_bytes: bytes });
    database.tables.get(table).copied().or(whole)
}

#[allow(clippy::cast_precision_loss)] // Estimates.
pub(super) fn rewrite_seconds(table: Table) -> f64 {
    table.total_bytes as f64 / REWRITE_BYTES
}

#[allow(clippy::cast_precision_loss)] // Estimates.
pub(super) fn index_seconds(table: Table) -> f64 {
    (table.bytes as f64 / INDEX_BYTES).max(table.rows.unwrap_or(0) as f64 / INDEX_ROWS)
}

#[allow(clippy::cast_precision_loss)] // Estimates.
pub(super) fn scan_seconds(table: Table) -> f64 {
    table.bytes as f64 / SCAN_BYTES
}

/// A length of time as people say it.
pub(super) fn about(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => "under a second".to_owned(),
        s if s < 90.0 => format!("about {s:.0} s"),
        s if s < 5400.0 => format!("about {:.0} min", s / 60.0),
        s => format!("about {:.1} h", s / 3600.0),
    }
}

/// A size as people say it.
#[allow(clippy::cast_precision_loss)] // For people.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes as f64 {
        b if b < 1e6 => format!("{:.0} kB", b / 1e3),
        b if b < 1e9 => format!("{:.0} MB", b / 1e6),
        b => format!("{:.1} GB", b / 1e9),
    }
}
