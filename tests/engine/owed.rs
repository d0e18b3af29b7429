//! Handlers that a run which was cut off owes, and the next one runs.

use super::rig::{Told, run_with};
use std::path::Path;
use windlass::engine::event::{Event, Status};
use windlass::engine::run::{EngineKind, Options};

const BOOK: &str = r#"
- hosts: all
  gather_facts: false
  tasks:
    - name: content
      copy: {content: x, dest: ROOT/f}
      notify: reload
    - name: may fail
      command: test -e ROOT/go
      changed_when: false
    - meta: flush_handlers
    - name: needs the handler
      command: test -e ROOT/handled
      changed_when: false
  handlers:
    - name: reload
      shell: echo run >>ROOT/handled; test ! -e ROOT/broken
"#;

struct Case {
    folder: tempfile::TempDir,
    engine: EngineKind,
}

/// In both engines, each with a folder of its own.
fn everywhere(check: impl Fn(&Case)) {
    for engine in [EngineKind::Plain, EngineKind::Ahead] {
        check(&Case { folder: tempfile::tempdir().unwrap(), engine });
    }
}

impl Case {
    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, book: &str) -> Told {
        self.with(book, Options::default())
    }

    fn with(&self, book: &str, options: Options) -> Told {
        let book = book.replace("ROOT", self.path().to_str().unwrap());
        run_with(self.path(), &book, &["one"], Options { engine: self.engine, ..options })
    }

    fn touch(&self, name: &str) {
        std::fs::write(self.path().join(name), "").unwrap();
    }

    fn handled(&self) -> usize {
        std::fs::read_to_string(self.path().join("handled")).map_or(0, |text| text.lines().count())
    }

    /// What the host remembers.
    fn notes(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path().join("state/notified")) else { return Vec::new() };
        entries.map(|e| std::fs::read_to_string(e.unwrap().path()).unwrap()).collect()
    }
}

fn notices(told: &Told) -> String {
    let texts = told.events.iter().filter_map(|e| match e {
        Event::Notice { text, .. } => Some(text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_run_that_failed_owes_its_handlers_and_the_next_one_runs_them() {
    everywhere(|case| {
        assert_eq!(case.run(BOOK).stats("one").failed, 1);
        assert_eq!((case.handled(), case.notes()), (0, vec!["reload\n".to_owned()]));
        case.touch("go");
        let plan = case.with(BOOK, Options { plan: true, ..Options::default() });
        assert!(notices(&plan).contains("apply runs it"), "{}", notices(&plan));
        assert_eq!(plan.result("reload").status, Status::Changed);
        assert_eq!((case.handled(), case.notes().len()), (0, 1), "a plan touches nothing");
        let told = case.run(BOOK);
        assert_eq!((told.result("content").status, told.result("reload").status), (Status::Ok, Status::Changed));
        assert!(notices(&told).contains("`reload` is owed since an earlier run that was cut off: it runs now"));
        assert_eq!((case.handled(), case.notes()), (1, vec![]));
        let told = case.run(BOOK);
        assert_eq!((told.stats("one").changed, notices(&told).as_str(), case.handled()), (0, "", 1));
    });
}

#[test]
fn a_handler_that_failed_is_owed_again() {
    everywhere(|case| {
        case.touch("go");
        case.touch("broken");
        assert_eq!(case.run(BOOK).stats("one").failed, 1);
        assert_eq!(case.notes().len(), 1);
        std::fs::remove_file(case.path().join("broken")).unwrap();
        assert_eq!(case.run(BOOK).result("reload").status, Status::Changed);
        assert_eq!((case.handled(), case.notes()), (2, vec![]));
    });
}

#[test]
fn a_task_that_changed_nothing_owes_nothing() {
    let book = BOOK.replace(
        "copy: {content: x, dest: ROOT/f}",
        "command: echo no\n      changed_when: \"'yes' in said.stdout\"\n      register: said",
    );
    everywhere(|case| {
        case.run(&book);
        assert_eq!((case.handled(), case.notes()), (0, vec![]), "it failed all the same");
        assert!(!notices(&case.run(&book)).contains("owed"));
    });
}

#[test]
fn what_no_task_tells_any_more_runs_at_the_end() {
    everywhere(|case| {
        case.run(BOOK);
        let later = BOOK.replace("      notify: reload\n", "").replace(
            "    - name: needs the handler\n      command: test -e ROOT/handled\n      changed_when: false\n",
            "",
        );
        // A run of some tasks only leaves it alone.
        case.touch("go");
        case.with(&later, Options { tags: vec!["other".into()], ..Options::default() });
        assert_eq!((case.handled(), case.notes().len()), (0, 1));
        assert_eq!(case.run(&later).result("reload").status, Status::Changed);
        assert_eq!((case.handled(), case.notes()), (1, vec![]));
    });
}

#[test]
fn a_handler_that_is_gone_is_told_and_forgotten() {
    everywhere(|case| {
        case.run(BOOK);
        case.touch("go");
        case.touch("handled");
        let renamed = BOOK.replace("reload", "restart");
        assert!(notices(&case.run(&renamed)).contains("`reload` is owed since"));
        assert_eq!(case.notes(), Vec::<String>::new());
        assert!(!notices(&case.run(&renamed)).contains("owed"));
    });
}

#[test]
fn a_play_that_meta_ended_owes_nothing_and_another_play_takes_nothing() {
    everywhere(|case| {
        let ended = BOOK.replace("    - name: may fail\n", "    - meta: end_play\n    - name: may fail\n");
        case.run(&ended);
        assert_eq!((case.handled(), case.notes()), (0, vec![]));
        std::fs::remove_file(case.path().join("f")).unwrap();
        case.run(BOOK);
        assert_eq!(case.notes().len(), 1);
        case.touch("go");
        case.touch("handled");
        let other = BOOK.replace("- hosts: all", "- name: another\n  hosts: all");
        assert_eq!(notices(&case.run(&other)), "");
        assert_eq!(case.notes().len(), 1);
    });
}

#[test]
fn forced_handlers_are_owed_no_more() {
    everywhere(|case| {
        let told = case.with(BOOK, Options { force_handlers: true, ..Options::default() });
        assert_eq!((told.stats("one").failed, case.handled(), case.notes()), (1, 1, vec![]));
    });
}

#[test]
fn notes_cost_no_trip() {
    let without = BOOK.replace("      notify: reload\n", "      notify: []\n");
    let trips = |book: &str| {
        let case = Case { folder: tempfile::tempdir().unwrap(), engine: EngineKind::Ahead };
        case.touch("go");
        case.touch("handled");
        let first = case.run(book).trips();
        (first, case.run(book).trips())
    };
    let (changing, converged) = trips(BOOK);
    let (changing_without, converged_without) = trips(&without);
    assert_eq!(converged, converged_without);
    // One for the handler.
    assert!(changing <= changing_without + 1, "{changing} and {changing_without}");
}
