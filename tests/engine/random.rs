//! Random playbooks: the fast engine must do what the plain one does, a second run nothing, and a plan must foretell.
//!
//! `WINDLASS_CASES` says how many (100). A failure is shrunk, and printed with its seed.

use super::rig::{Told, run_keeping, run_with};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use windlass::engine::event::Status;
use windlass::engine::run::{EngineKind, Options};
use windlass::host::Certainty;

const PATHS: [&str; 9] = ["a", "b", "d", "d/x", "d/y", "l", "l/x", "l/y", "d/e/f"];

/// What one task does.
#[derive(Debug, Clone)]
enum Do {
    Folder(usize, &'static str),
    Touch(usize),
    Absent(usize),
    Link(usize, usize),
    Mode(usize, &'static str),
    Copy(usize, u8),
    CopyResult(usize, u8),
    Line(usize, u8, bool),
    NoLine(usize, u8),
    Block(usize, u8),
    Stat(usize),
    Write(usize, u8),
    Append(usize),
    Cat(usize),
    Remove(usize),
    SetFact(u8),
    Fail,
    FailOnTwo,
    Debug,
    Many(Vec<usize>, u8),
}

#[derive(Debug, Clone)]
struct Task {
    what: Do,
    /// The result is kept as `rN`.
    register: Option<u8>,
    when: Option<(u8, u8)>,
    notify: Option<u8>,
    ignore: bool,
    unchanged: bool,
    throttle: Option<u8>,
    only: bool,
}

#[derive(Debug, Clone)]
enum Item {
    Task(Task),
    Block { body: Vec<Task>, rescue: Vec<Task>, always: Vec<Task> },
    Flush,
}

#[derive(Debug, Clone)]
struct Book {
    items: Vec<Item>,
    handlers: Vec<Task>,
    /// Keywords of the play.
    keywords: &'static str,
}

fn any_do(converging: bool) -> BoxedStrategy<Do> {
    let path = 0..PATHS.len();
    let mode = prop_oneof![Just("0755"), Just("0700"), Just("u=rwX,go=")];
    let files = prop_oneof![
        3 => (path.clone(), mode.clone()).prop_map(|(p, m)| Do::Folder(p, m)),
        1 => path.clone().prop_map(Do::Touch),
        2 => (path.clone(), path.clone()).prop_map(|(a, b)| Do::Link(a, b)),
        1 => (path.clone(), mode).prop_map(|(p, m)| Do::Mode(p, m)),
        4 => (path.clone(), 0..4u8).prop_map(|(p, n)| Do::Copy(p, n)),
        3 => (path.clone(), 0..4u8, any::<bool>()).prop_map(|(p, n, c)| Do::Line(p, n, c)),
        2 => (path.clone(), 0..3u8).prop_map(|(p, n)| Do::Block(p, n)),
        2 => path.clone().prop_map(Do::Stat),
        1 => (0..4u8).prop_map(Do::SetFact),
        1 => Just(Do::Debug),
        1 => (proptest::collection::vec(path.clone(), 1..4), 0..3u8).prop_map(|(p, n)| Do::Many(p, n)),
    ];
    if converging {
        return files.boxed();
    }
    prop_oneof![
        12 => files,
        2 => path.clone().prop_map(Do::Absent),
        1 => (path.clone(), 0..4u8).prop_map(|(p, n)| Do::NoLine(p, n)),
        2 => (path.clone(), 0..4u8).prop_map(|(p, n)| Do::CopyResult(p, n)),
        2 => (path.clone(), 0..4u8).prop_map(|(p, n)| Do::Write(p, n)),
        1 => path.clone().prop_map(Do::Append),
        2 => path.clone().prop_map(Do::Cat),
        1 => path.prop_map(Do::Remove),
        1 => Just(Do::Fail),
        1 => Just(Do::FailOnTwo),
    ]
    .boxed()
}

fn any_task(converging: bool) -> impl Strategy<Value = Task> {
    (
        any_do(converging),
        proptest::option::of(0..4u8),
        proptest::option::weighted(0.3, (0..4u8, 0..6u8)),
        proptest::option::weighted(0.3, 0..3u8),
        proptest::bool::weighted(0.3),
        proptest::bool::weighted(0.3),
        proptest::option::weighted(0.1, 1..3u8),
        proptest::bool::weighted(0.1),
    )
        .prop_map(|(what, register, when, notify, ignore, unchanged, throttle, only)| Task {
            what,
            register,
            when,
            notify,
            ignore,
            unchanged,
            throttle,
            only,
        })
}

fn any_book(converging: bool) -> impl Strategy<Value = Book> {
    let tasks = move |n| proptest::collection::vec(any_task(converging), n);
    let item = prop_oneof![
        8 => any_task(converging).prop_map(Item::Task),
        1 => (tasks(1..4), tasks(0..3), tasks(0..3))
            .prop_map(|(body, rescue, always)| Item::Block { body, rescue, always }),
        1 => Just(Item::Flush),
    ];
    (proptest::collection::vec(item, 1..14), proptest::collection::vec(any_task(converging), 3..4))
        .prop_map(|(items, handlers)| Book { items, handlers, keywords: "" })
}

fn line(n: u8) -> String {
    format!("key{n} = {}", n * 7)
}

impl Task {
    fn yaml(&self, indent: usize, name: &str, out: &mut String) {
        let pad = " ".repeat(indent);
        let at = |p: &usize| format!("\"ROOT/{}\"", PATHS[*p]);
        let action = match &self.what {
            Do::Folder(p, m) => format!("file: {{path: {}, state: directory, mode: \"{m}\"}}", at(p)),
            Do::Touch(p) => {
                format!("file: {{path: {}, state: touch, access_time: preserve, modification_time: preserve}}", at(p))
            }
            Do::Absent(p) => format!("file: {{path: {}, state: absent}}", at(p)),
            Do::Link(a, b) => format!("file: {{src: {}, dest: {}, state: link, force: true}}", at(b), at(a)),
            Do::Mode(p, m) => format!("file: {{path: {}, mode: \"{m}\"}}", at(p)),
            Do::Copy(p, n) => format!("copy: {{content: \"text {n}\\n\", dest: {}}}", at(p)),
            Do::CopyResult(p, r) => {
                format!(
                    "copy: {{content: \"{{{{ r{r}.stdout | default('none') }}}} {{{{ r{r}.changed }}}}\", dest: {}}}",
                    at(p)
                )
            }
            Do::Line(p, n, create) => {
                format!("lineinfile: {{path: {}, regexp: '^key{n}', line: '{}', create: {create}}}", at(p), line(*n))
            }
            Do::NoLine(p, n) => format!("lineinfile: {{path: {}, regexp: '^key{n}', state: absent}}", at(p)),
            Do::Block(p, n) => {
                format!("blockinfile: {{path: {}, block: 'block {n}', marker: '# {{mark}} {n}', create: true}}", at(p))
            }
            Do::Stat(p) => format!("stat: {{path: {}}}", at(p)),
            Do::Write(p, n) => format!("shell: echo written {n} > {}", at(p)),
            Do::Append(p) => format!("shell: echo more >> {}", at(p)),
            Do::Cat(p) => format!("command: cat {}", at(p)),
            Do::Remove(p) => format!("command: rm -rf {}", at(p)),
            Do::SetFact(n) => format!("set_fact: {{fact: {n}}}"),
            Do::FailOnTwo => "command: \"{{ 'false' if inventory_hostname == 'two' else 'true' }}\"".to_owned(),
            Do::Fail => "fail: {msg: on purpose}".to_owned(),
            Do::Debug => "debug: {msg: \"{{ fact }} {{ r0.changed }}\"}".to_owned(),
            Do::Many(_, n) => format!("copy: {{content: \"many {n}\\n\", dest: \"ROOT/{{{{ item }}}}\"}}"),
        };
        let _ = writeln!(out, "{pad}- name: {name}\n{pad}  {action}");
        if let Do::Many(paths, _) = &self.what {
            let names: Vec<_> = paths.iter().map(|p| PATHS[*p]).collect();
            let _ = writeln!(out, "{pad}  loop: [{}]", names.join(", "));
        }
        if let Some(r) = self.register {
            let _ = writeln!(out, "{pad}  register: r{r}");
        }
        let mut conditions = Vec::new();
        if let Some((r, kind)) = self.when {
            let condition = match kind {
                0 => format!("r{r} is changed"),
                1 => format!("r{r} is not changed"),
                2 => format!("r{r} is failed"),
                3 => format!("r{r}.stat.exists | default(true)"),
                4 => format!("'text' in r{r}.stdout | default('')"),
                _ => "fact == 2".to_owned(),
            };
            conditions.push(format!("\"{condition}\""));
        }
        if self.only {
            conditions.push("inventory_hostname != 'two'".to_owned());
        }
        if !conditions.is_empty() {
            let _ = writeln!(out, "{pad}  when: [{}]", conditions.join(", "));
        }
        if let Some(h) = self.notify {
            let _ = writeln!(out, "{pad}  notify: h{h}");
        }
        if let Some(n) = self.throttle {
            let _ = writeln!(out, "{pad}  throttle: {n}");
        }
        if self.ignore {
            let _ = writeln!(out, "{pad}  ignore_errors: true");
        }
        if self.unchanged && matches!(self.what, Do::Cat(_) | Do::Write(..)) {
            let _ = writeln!(out, "{pad}  changed_when: false");
        }
    }
}

impl Book {
    fn yaml(&self, root: &Path) -> String {
        let mut out = String::from("- hosts: all\n  gather_facts: false\n  vars: {fact: 0}\n  tasks:\n");
        for r in 0..4 {
            let _ = writeln!(out, "    - set_fact: {{r{r}: {{changed: false, failed: false, stdout: zero}}}}");
        }
        let mut n = 0;
        let mut tasks = |list: &[Task], indent: usize, out: &mut String| {
            for task in list {
                n += 1;
                task.yaml(indent, &format!("t{n}"), out);
            }
        };
        for item in &self.items {
            match item {
                Item::Task(task) => tasks(std::slice::from_ref(task), 4, &mut out),
                Item::Block { body, rescue, always } => {
                    out.push_str("    - block:\n");
                    tasks(body, 8, &mut out);
                    for (key, list) in [("rescue", rescue), ("always", always)] {
                        if !list.is_empty() {
                            let _ = writeln!(out, "      {key}:");
                            tasks(list, 8, &mut out);
                        }
                    }
                }
                Item::Flush => out.push_str("    - meta: flush_handlers\n"),
            }
        }
        out.push_str(self.keywords);
        out.push_str("  handlers:\n");
        for (i, handler) in self.handlers.iter().enumerate() {
            handler.yaml(4, &format!("h{i}"), &mut out);
        }
        out.replace("ROOT", root.to_str().unwrap())
    }
}

fn files(root: &Path) -> PathBuf {
    root.join("files")
}

/// All files that runs have worked on: mode, and content or target.
fn snapshot(root: &Path) -> BTreeMap<String, String> {
    use std::os::unix::fs::PermissionsExt;
    let root = &*files(root);
    let mut out = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            let mode = meta.permissions().mode() & 0o7777;
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            let what = if meta.is_symlink() {
                let target = std::fs::read_link(&path).unwrap();
                format!("-> {}", target.to_str().unwrap().replace(root.to_str().unwrap(), "ROOT"))
            } else if meta.is_dir() {
                open.push(path);
                format!("{mode:o}/")
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                format!("{mode:o} {}", text.replace(root.to_str().unwrap(), "ROOT"))
            };
            out.insert(name, what);
        }
    }
    out
}

/// Three hosts, each in a folder of its own.
const HOSTS: [&str; 3] = ["one", "two", "three"];

fn go_on_three(root: &Path, book: &Book, options: Options) -> BTreeMap<&'static str, Vec<(String, Status)>> {
    let control = tempfile::tempdir().unwrap();
    for host in HOSTS {
        std::fs::create_dir_all(files(root).join(host)).unwrap();
    }
    let own = files(root).join("{{ inventory_hostname }}");
    let told = run_with(control.path(), &book.yaml(&own), &HOSTS, options);
    let of = |host: &str| {
        let own = told.results().into_iter().filter(|(h, _, _)| h == host);
        own.map(|(_, task, status)| (task, status)).collect()
    };
    HOSTS.iter().map(|host| (*host, of(host))).collect()
}

fn go(root: &Path, book: &Book, options: Options) -> Told {
    let control = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(files(root)).unwrap();
    // What is kept from run to run belongs to the files that the runs work on.
    run_keeping(control.path(), &root.join("state"), &book.yaml(&files(root)), &["one"], options)
}

fn plain() -> Options {
    Options { engine: EngineKind::Plain, ..Options::default() }
}

fn runner() -> TestRunner {
    let cases = std::env::var("WINDLASS_CASES").ok().and_then(|c| c.parse().ok()).unwrap_or(100);
    TestRunner::new(Config { cases, failure_persistence: None, max_shrink_iters: 400, ..Config::default() })
}

#[test]
fn both_engines_end_the_same() {
    runner()
        .run(&any_book(false), |book| {
            let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let slow = go(one.path(), &book, plain());
            let fast = go(two.path(), &book, Options::default());
            let yaml = book.yaml(Path::new("ROOT"));
            prop_assert_eq!(slow.results(), fast.results(), "results of\n{}", yaml);
            prop_assert_eq!(snapshot(one.path()), snapshot(two.path()), "files of\n{}", yaml);
            prop_assert_eq!(slow.stats("one"), fast.stats("one"), "counts of\n{}", yaml);
            Ok(())
        })
        .unwrap();
}

#[test]
fn several_hosts_end_the_same_under_both_engines() {
    let keywords =
        ["", "  any_errors_fatal: true\n", "  max_fail_percentage: 40\n", "  any_errors_fatal: true\n  throttle: 1\n"];
    let book = (any_book(false), proptest::sample::select(keywords.to_vec()));
    runner()
        .run(&book.prop_map(|(book, keywords)| Book { keywords, ..book }), |book| {
            let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let slow = go_on_three(one.path(), &book, plain());
            let fast = go_on_three(two.path(), &book, Options::default());
            let yaml = book.yaml(Path::new("ROOT"));
            prop_assert_eq!(slow, fast, "results of\n{}", yaml);
            prop_assert_eq!(snapshot(one.path()), snapshot(two.path()), "files of\n{}", yaml);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_second_run_never_differs_from_a_second_plain_run() {
    runner()
        .run(&any_book(true), |book| {
            let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            go(one.path(), &book, plain());
            go(two.path(), &book, Options::default());
            let slow = go(one.path(), &book, plain());
            let fast = go(two.path(), &book, Options::default());
            prop_assert_eq!(slow.results(), fast.results(), "{}", book.yaml(Path::new("ROOT")));
            prop_assert_eq!(snapshot(one.path()), snapshot(two.path()));
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_plan_foretells_what_happens_and_touches_nothing() {
    runner()
        .run(&any_book(false), |book| {
            let root = tempfile::tempdir().unwrap();
            // Something is there already.
            go(root.path(), &book, plain());
            let before = snapshot(root.path());
            let plan = go(root.path(), &book, Options { plan: true, ..Options::default() });
            let yaml = book.yaml(Path::new("ROOT"));
            prop_assert_eq!(&before, &snapshot(root.path()), "a plan touched something of\n{}", yaml);
            let real = go(root.path(), &book, plain());
            for (foretold, happened) in plan.steps().zip(real.steps()) {
                // From the first step on of which the plan says that it can't be sure, or that fails, the ways may part.
                if foretold.certainty != Certainty::Exact
                    || matches!(happened.status, Status::Failed | Status::Ignored)
                    || matches!(foretold.status, Status::Unknown)
                {
                    break;
                }
                prop_assert_eq!(
                    (&foretold.task.name, foretold.status),
                    (&happened.task.name, happened.status),
                    "{:#?}\n{:#?}\n{}",
                    plan.results(),
                    real.results(),
                    yaml
                );
            }
            Ok(())
        })
        .unwrap();
}
