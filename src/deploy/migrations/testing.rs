//! What the probe told of real databases, and what the old code then did on them.
//!
//! `testdata/*.json` was recorded by applying one migration a case to a copy of a database, and then running the code of
//! the release before on it: ordinary rows, and rows at the edge of what that release allows.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use serde::Deserialize;

use super::judge::judge;
use super::limits::Limits;
use super::model::{Database, Migration, Mode, Report, Table, Undo};
use super::{Judgement, Lock, RollbackVerdict, Verdict, judge_rollback, split};

const POSTGRESQL: &str = include_str!("testdata/postgresql-django52.json");
const SQLITE: &str = include_str!("testdata/sqlite-django52.json");
const OLD_DJANGO: &str = include_str!("testdata/postgresql-django42.json");

#[derive(Deserialize)]
struct Recording {
    django: String,
    vendor: String,
    version: Vec<u32>,
    cases: BTreeMap<String, Case>,
}

#[derive(Clone, Deserialize)]
struct Case {
    migrations: Vec<Migration>,
    tables: BTreeMap<String, Table>,
    /// What failed, by what the old code tried. Nothing failed before the migration.
    old_code: BTreeMap<String, String>,
    #[serde(default)]
    undo: Option<Undo>,
    /// Why `migrate` could not take it back.
    #[serde(default)]
    back: String,
}

fn recording(text: &str) -> Recording {
    serde_json::from_str(text).unwrap()
}

impl Recording {
    fn report(&self, case: &Case) -> Report {
        let database = Database {
            vendor: self.vendor.clone(),
            version: self.version.clone(),
            migrations: case.migrations.clone(),
            tables: case.tables.clone(),
            bytes: (self.vendor == "sqlite").then_some(200_000),
            undo: case.undo.clone(),
            ..Database::default()
        };
        Report {
            python: "3.11.7".to_owned(),
            django: self.django.clone(),
            mode: Mode::Pending,
            databases: BTreeMap::from([("default".to_owned(), database)]),
            skipped: BTreeMap::new(),
            model_changes: BTreeMap::new(),
            model_changes_error: None,
        }
    }

    fn judged(&self, name: &str) -> Judgement {
        judge(&self.report(&self.cases[name]), &Limits::default())
    }

    /// The same with a table as large as asked for.
    fn judged_with(&self, name: &str, rows: u64, bytes: u64) -> Judgement {
        let mut case = self.cases[name].clone();
        for table in case.tables.values_mut() {
            *table = Table { rows: Some(rows), bytes, total_bytes: bytes + bytes / 3 };
        }
        judge(&self.report(&case), &Limits::default())
    }
}

/// `ok` is a promise that nothing fails; `breaks` says that something does. `unseen` names cases where it takes other data
/// or other code than the recording's to fail.
fn holds(text: &str, unseen: &[&str]) {
    let recording = recording(text);
    let mut wrong = Vec::new();
    for (name, case) in &recording.cases {
        let judged = recording.judged(name);
        let fine = match judged.verdict() {
            Verdict::Ok => case.old_code.is_empty(),
            Verdict::Breaks => !case.old_code.is_empty() || unseen.contains(&name.as_str()),
            Verdict::Check => true,
        };
        if !fine {
            wrong.push(format!("{name}: {:?}\n  {}", case.old_code, judged.lines().join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn verdicts_hold_against_what_the_old_code_did() {
    // No key was large enough to overflow.
    holds(POSTGRESQL, &["alter_pk"]);
    holds(OLD_DJANGO, &["alter_pk"]);
    // There, Django writes what `db_default` says by itself; and the migration fails where there are two rows.
    holds(SQLITE, &["alter_drop_db_default", "field_db_default_unique"]);
}

/// All verdicts at a glance, so that a change of a rule shows.
#[test]
fn the_verdicts_of_all_operations() {
    let recording = recording(POSTGRESQL);
    let lines: Vec<String> = recording
        .cases
        .keys()
        .flat_map(|name| {
            let judged = recording.judged(name);
            let after = judged.migrations().all(super::MigrationJudgement::safe_after_switch);
            let later = if after { " [may wait for the switch]" } else { "" };
            judged
                .lines()
                .into_iter()
                .map(move |l| format!("{name}{later}: {}", l.trim_start_matches("shop.0002_case: ")))
        })
        .collect();
    assert_eq!(lines.join("\n"), include_str!("testdata/verdicts.txt").trim_end(), "{}", lines.join("\n"));
}

fn only(judged: &Judgement) -> &super::OperationJudgement {
    &judged.databases[0].migrations[0].operations[0]
}

#[test]
fn the_size_of_a_table_decides_about_locks() {
    let recording = recording(POSTGRESQL);
    let giga = 1_000_000_000;
    assert_eq!(recording.judged("index_add").verdict(), Verdict::Ok);
    let large = recording.judged_with("index_add", 400_000_000, 50 * giga);
    let index = only(&large);
    assert_eq!((index.compatibility, index.blocking), (Verdict::Ok, Verdict::Breaks));
    assert!(matches!(index.lock, Lock::BlocksWrites(_)), "{index}");
    assert!(index.hint.as_ref().unwrap().contains("AddIndexConcurrently"), "{index}");
    assert!(index.to_string().contains("about 22 min"), "{index}");
    assert_eq!(recording.judged_with("index_add", 2_000_000, giga / 5).verdict(), Verdict::Check);

    assert_eq!(recording.judged("alter_bigint").verdict(), Verdict::Ok);
    let large = recording.judged_with("alter_bigint", 400_000_000, 50 * giga);
    assert!(matches!(only(&large).lock, Lock::BlocksAll(_)));
    assert_eq!(large.verdict(), Verdict::Breaks);

    for name in [
        "field_null",
        "field_db_default",
        "field_db_default_now",
        "alter_grow",
        "alter_decimal_grow",
        "index_concurrently",
    ] {
        assert_eq!(recording.judged_with(name, 400_000_000, 50 * giga).verdict(), Verdict::Ok, "{name}");
    }
    for name in ["field_db_default_volatile", "field_generated", "field_null_index", "alter_decimal_scale"] {
        assert_eq!(recording.judged_with(name, 400_000_000, 50 * giga).verdict(), Verdict::Breaks, "{name}");
    }
}

#[test]
fn a_table_whose_size_nobody_knows_is_to_be_checked() {
    let recording = recording(POSTGRESQL);
    let mut case = recording.cases["index_add"].clone();
    case.tables.clear();
    let judged = judge(&recording.report(&case), &Limits::default());
    assert_eq!(judged.verdict(), Verdict::Check);
    assert!(only(&judged).to_string().contains("size unknown"));
}

#[test]
fn a_transaction_holds_its_locks_while_data_is_changed() {
    let judged = recording(POSTGRESQL).judged("runpython_with_field");
    let code = &judged.databases[0].migrations[0].operations[1];
    let text = code.to_string();
    assert!(text.contains("shop_product stays locked") && text.contains("AddField shop.Product.size"), "{text}");
    assert_eq!(code.blocking, Verdict::Check);
}

#[test]
fn on_a_fresh_database_only_what_can_not_succeed_is_told() {
    let recording = recording(POSTGRESQL);
    for (name, expected) in
        [("field_not_null", Verdict::Ok), ("runpython", Verdict::Ok), ("extension", Verdict::Breaks)]
    {
        let mut case = recording.cases[name].clone();
        for op in &mut case.migrations[0].operations {
            (op.available, op.installed) = (false, false);
        }
        let mut report = recording.report(&case);
        report.databases.get_mut("default").unwrap().fresh = true;
        let judged = judge(&report, &Limits::default());
        assert_eq!(judged.verdict(), expected, "{name}");
        assert!(judged.summary().contains("fresh"), "{}", judged.summary());
    }
}

#[test]
fn what_breaks_the_old_code_waits_for_the_switch_where_the_new_code_can_do_without() {
    let recording = recording(POSTGRESQL);
    let split_of = |name: &str| {
        let report = recording.report(&recording.cases[name]);
        split(&report.databases["default"], &judge(&report, &Limits::default()).databases[0])
    };
    let after = |name: &str| split_of(name).unwrap().after.len();
    assert_eq!((after("field_remove_null"), after("delete_model"), after("field_null")), (1, 1, 0));
    assert_eq!(split_of("field_null").unwrap().before_targets[0].to_string(), "shop.0002_case");
    // The new code needs the first; the new code's INSERTs would leave the column of the second out.
    for name in ["field_not_null", "field_remove", "field_rename", "rename_model"] {
        assert_eq!(split_of(name).unwrap_err().len(), 1, "{name}");
    }
}

#[test]
fn what_depends_on_a_migration_that_waits_has_to_wait_too() {
    let recording = recording(POSTGRESQL);
    let mut case = recording.cases["field_remove_null"].clone();
    let mut next = recording.cases["field_null"].migrations[0].clone();
    next.name = "0003_next".to_owned();
    next.dependencies = vec![case.migrations[0].id()];
    case.migrations.push(next);
    let report = recording.report(&case);
    let refused = split(&report.databases["default"], &judge(&report, &Limits::default()).databases[0]).unwrap_err();
    assert_eq!(refused.len(), 1);
    assert!(refused[0].starts_with("shop.0003_next: depends on shop.0002_case"), "{refused:?}");
}

#[test]
fn a_rollback_knows_what_stands_in_its_way() {
    let recording = recording(POSTGRESQL);
    for (name, case) in &recording.cases {
        let rollback = judge_rollback(&recording.report(case), &Limits::default());
        // `migrate` back was tried.
        assert_eq!(case.back.is_empty(), rollback.irreversible.is_empty(), "{name}: {} / {rollback:?}", case.back);
        if rollback.verdict == RollbackVerdict::CodeOnly {
            assert!(case.old_code.is_empty(), "{name}");
        }
    }
    let of = |name: &str| judge_rollback(&recording.report(&recording.cases[name]), &Limits::default());
    assert_eq!(of("field_null").verdict, RollbackVerdict::CodeOnly);
    let added = of("field_not_null");
    assert_eq!(added.verdict, RollbackVerdict::Undo);
    assert_eq!(added.undo[0].1.to_string(), "shop.0001_initial");
    assert_eq!(added.loses, ["shop.Product.size"]);
    assert!(
        added.concerns[0].starts_with("shop.0002_case: AddField shop.Product.size: breaks"),
        "{:?}",
        added.concerns
    );
    assert_eq!(of("runpython_irreversible").verdict, RollbackVerdict::Irreversible);
    assert_eq!(of("field_remove").gone, ["shop.Product.text"]);
    // A row that the newer release does not know either can't be judged.
    let mut report = recording.report(&recording.cases["field_null"]);
    report.databases.get_mut("default").unwrap().unknown = vec![super::MigrationId::new("gone", "0001_x")];
    assert_eq!(judge_rollback(&report, &Limits::default()).verdict, RollbackVerdict::Irreversible);
}

#[test]
fn what_migrate_would_refuse_is_a_problem_and_the_rest_a_notice() {
    let recording = recording(POSTGRESQL);
    let mut report = recording.report(&recording.cases["field_null"]);
    report.model_changes.insert("shop".to_owned(), vec!["Add field x to product".to_owned()]);
    let database = report.databases.get_mut("default").unwrap();
    database.conflicts.insert("shop".to_owned(), vec!["0002_a".to_owned(), "0002_b".to_owned()]);
    let orphan = |name: &str, ahead| super::Orphan { app: "shop".into(), name: name.into(), installed: true, ahead };
    database.not_on_disk = vec![orphan("0001_squashed_away", false), orphan("0009_newer", true)];
    assert_eq!(report.ahead(), [super::MigrationId::new("shop", "0009_newer")]);
    let judged = judge(&report, &Limits::default());
    assert_eq!(judged.problems().count(), 1);
    let text = judged.lines().join("\n");
    assert!(text.contains("problem: shop has several last migrations (0002_a, 0002_b)"), "{text}");
    assert!(text.contains("notice: the database is ahead of this release: shop.0009_newer applied"), "{text}");
    assert!(text.contains("notice: models of shop have changes without a migration: Add field x to product"), "{text}");
    assert!(!text.contains("squashed_away"), "{text}");
}
