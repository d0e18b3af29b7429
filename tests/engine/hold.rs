//! What one host means for the others: `any_errors_fatal`, `max_fail_percentage`, `throttle`, `run_once`, `order`.

use super::rig::{Told, run_with};
use windlass::engine::event::Status;
use windlass::engine::run::{EngineKind, Options};

/// Runs on three hosts under both engines; `check` sees what each told, and its folder.
fn both(playbook: &str, check: impl Fn(&Told, &std::path::Path)) {
    for engine in [EngineKind::Plain, EngineKind::Ahead] {
        let folder = tempfile::tempdir().unwrap();
        let text = playbook.replace("ROOT", folder.path().to_str().unwrap());
        let told = run_with(folder.path(), &text, &["a", "b", "c"], Options { engine, ..Options::default() });
        check(&told, folder.path());
    }
}

/// What a host did, in order.
fn of(told: &Told, host: &str) -> Vec<(String, Status)> {
    told.results().into_iter().filter(|(h, _, _)| h == host).map(|(_, task, status)| (task, status)).collect()
}

fn names(told: &Told, host: &str) -> Vec<String> {
    of(told, host).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn a_fatal_failure_sends_all_hosts_where_it_sends_the_one() {
    let playbook = r#"
- hosts: all
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - block:
        - name: one
          command: "{{ 'false' if inventory_hostname == 'a' else 'true' }}"
        - name: two
          copy: {content: x, dest: "ROOT/two-{{ inventory_hostname }}"}
      rescue:
        - name: rescued
          command: "true"
      always:
        - name: always
          command: "true"
    - name: after
      command: "{{ 'false' if inventory_hostname == 'b' else 'true' }}"
    - name: not reached
      copy: {content: x, dest: "ROOT/reached-{{ inventory_hostname }}"}
- hosts: all
  gather_facts: false
  tasks: [{name: next, command: "true"}]
"#;
    both(playbook, |told, folder| {
        for host in ["a", "b", "c"] {
            assert_eq!(names(told, host), ["one", "rescued", "always", "after"], "{host}");
            assert!(!folder.join(format!("two-{host}")).exists());
            assert!(!folder.join(format!("reached-{host}")).exists());
        }
        let counts = |h: &str| (told.stats(h).failed, told.stats(h).rescued, told.stats(h).ok);
        // As `ansible-playbook` counts.
        assert_eq!([counts("a"), counts("b"), counts("c")], [(0, 1, 3), (1, 0, 3), (0, 0, 4)]);
    });
}

#[test]
fn files_do_not_run_ahead_of_a_failure_for_all() {
    // Without the keyword, the file would be written: nobody else can see it.
    let playbook = r#"
- hosts: all
  gather_facts: false
  tasks:
    - name: slow
      shell: sleep 0.3; test {{ inventory_hostname }} != a
      any_errors_fatal: true
      when: inventory_hostname == 'a'
    - name: file
      copy: {content: x, dest: "ROOT/{{ inventory_hostname }}"}
"#;
    both(playbook, |told, folder| {
        assert_eq!(names(told, "a"), ["slow"]);
        assert_eq!(of(told, "b"), [("slow".to_owned(), Status::Skipped)]);
        assert!(!folder.join("b").exists() && !folder.join("c").exists());
    });
}

#[test]
fn nothing_runs_ahead_of_too_many_failures_where_all_others_are_out() {
    let playbook = r#"
- hosts: all
  gather_facts: false
  max_fail_percentage: 40
  tasks:
    - block:
        - name: one
          command: "false"
          when: inventory_hostname != 'b'
      always:
        - name: slow
          shell: "{{ 'sleep 0.3' if inventory_hostname == 'b' else 'true' }}"
    - name: two
      copy: {content: x, dest: "ROOT/two-{{ inventory_hostname }}"}
    - name: three
      copy: {content: x, dest: "ROOT/three-{{ inventory_hostname }}"}
"#;
    both(playbook, |told, folder| {
        // What was done was told.
        for name in ["two", "three"] {
            let done = names(told, "b").iter().any(|n| n == name);
            assert_eq!(folder.join(format!("{name}-b")).exists(), done, "{name}: {:?}", names(told, "b"));
        }
        assert!(!folder.join("three-b").exists());
    });
}

#[test]
fn a_handler_that_fails_holds_those_that_it_does_not_run_on() {
    let playbook = r#"
- hosts: all
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - name: tells
      debug: {msg: x}
      changed_when: inventory_hostname == 'c'
      notify: fails
    - meta: flush_handlers
    - name: file
      copy: {content: x, dest: "ROOT/{{ inventory_hostname }}"}
  handlers:
    - name: fails
      shell: sleep 0.3; false
"#;
    both(playbook, |told, folder| {
        assert_eq!(names(told, "c"), ["tells", "fails"]);
        assert_eq!(names(told, "a"), ["tells"]);
        assert!(!folder.join("a").exists() && !folder.join("b").exists());
    });
}

#[test]
fn a_run_that_changes_nothing_does_not_pay_for_being_held() {
    let folder = tempfile::tempdir().unwrap();
    let tasks: String = (0..12)
        .map(|i| {
            format!(
                "    - copy: {{content: x, dest: \"{0}/{{{{ inventory_hostname }}}}{i}\"}}\n",
                folder.path().display()
            )
        })
        .collect();
    let playbook = |keywords: &str| format!("- hosts: all\n  gather_facts: false\n{keywords}  tasks:\n{tasks}");
    let hosts = ["a", "b", "c"];
    run_with(folder.path(), &playbook(""), &hosts, Options::default());
    let free = run_with(folder.path(), &playbook(""), &hosts, Options::default());
    let held = playbook("  any_errors_fatal: true\n  max_fail_percentage: 0\n  throttle: 1\n");
    let held = run_with(folder.path(), &held, &hosts, Options::default());
    assert!(hosts.iter().all(|h| held.stats(h).changed == 0 && held.stats(h).ok == 12));
    assert_eq!(held.trips(), free.trips());
}

#[test]
fn too_many_failures_end_the_run_after_the_step() {
    let playbook = r#"
- hosts: all
  gather_facts: false
  max_fail_percentage: "{{ share }}"
  vars: {share: "30%"}
  tasks:
    - name: one
      shell: test {{ inventory_hostname }} != a || { sleep 0.3; false; }
    - name: file
      copy: {content: x, dest: "ROOT/{{ inventory_hostname }}"}
- hosts: all
  gather_facts: false
  tasks: [{name: next, command: "true"}]
"#;
    both(playbook, |told, folder| {
        assert_eq!([names(told, "a"), names(told, "b"), names(told, "c")], [["one"], ["one"], ["one"]]);
        assert!(!folder.join("b").exists());
        assert_eq!((told.stats("a").failed, told.stats("b").failed), (1, 0));
    });
    both(&playbook.replace("30%", "34"), |told, _| {
        assert_eq!(names(told, "a"), ["one"]);
        assert_eq!(names(told, "b"), ["one", "file", "next"]);
    });
}

/// How many were in the task at once.
const CROWD: &str = r#"
- hosts: all
  gather_facts: false
  strategy: STRATEGY
  tasks:
    - name: crowded
      shell: echo in >> ROOT/log; sleep 0.2; echo out >> ROOT/log
      loop: [1, 2]
      throttle: "{{ most }}"
  vars: {most: 1}
"#;

fn most_at_once(folder: &std::path::Path) -> i32 {
    let log = std::fs::read_to_string(folder.join("log")).unwrap();
    let mut inside = 0;
    log.lines()
        .map(|l| if l == "in" { 1 } else { -1 })
        .map(|d| {
            inside += d;
            inside
        })
        .max()
        .unwrap()
}

#[test]
fn a_throttle_limits_the_hosts_in_a_task() {
    for strategy in ["linear", "free"] {
        let playbook = CROWD.replace("STRATEGY", strategy);
        both(&playbook, |_, folder| assert_eq!(most_at_once(folder), 1));
        both(&playbook.replace("most: 1", "most: 2"), |_, folder| assert_eq!(most_at_once(folder), 2));
        both(&playbook.replace("most: 1", "most: 0"), |_, folder| assert_eq!(most_at_once(folder), 3));
    }
}

#[test]
fn who_does_what_is_done_once_is_the_first_that_comes_to_it() {
    // The first host is past it: it failed, and was rescued.
    let playbook = r#"
- hosts: all
  gather_facts: false
  tasks:
    - block:
        - name: fails
          command: "{{ 'false' if inventory_hostname == 'a' else 'true' }}"
        - name: once
          shell: echo {{ inventory_hostname }} >> ROOT/once
          run_once: true
      rescue:
        - name: rescued
          debug: {msg: x}
    - meta: end_host
      when: inventory_hostname == 'a'
    - name: again
      shell: echo {{ inventory_hostname }} >> ROOT/once
      run_once: true
"#;
    both(playbook, |_, folder| {
        assert_eq!(std::fs::read_to_string(folder.join("once")).unwrap(), "b\nb\n");
    });
}

#[test]
fn forced_handlers_may_be_a_template() {
    let playbook = r#"
- hosts: a
  gather_facts: false
  force_handlers: "{{ forced }}"
  vars: {forced: FORCED}
  tasks:
    - name: tells
      command: "true"
      notify: handler
    - name: fails
      command: "false"
  handlers:
    - name: handler
      debug: {msg: x}
"#;
    both(&playbook.replace("FORCED", "yes"), |told, _| {
        assert_eq!(names(told, "a"), ["tells", "fails", "handler"]);
    });
    both(&playbook.replace("FORCED", "no"), |told, _| assert_eq!(names(told, "a"), ["tells", "fails"]));
}

#[test]
fn hosts_come_in_the_order_that_the_play_says() {
    for (order, expected) in
        [("sorted", "abc"), ("reverse_sorted", "cba"), ("inventory", "abc"), ("reverse_inventory", "cba")]
    {
        let playbook = format!(
            "- hosts: all\n  gather_facts: false\n  order: {order}\n  serial: 1\n  tasks:\n    - debug: {{msg: x}}\n"
        );
        both(&playbook, |told, _| {
            let hosts: String = told.results().into_iter().map(|(h, _, _)| h).collect();
            assert_eq!(hosts, expected, "{order}");
        });
    }
}

#[test]
fn starting_at_a_task_gathers_facts_first() {
    let playbook = r#"
- hosts: a
  tasks: [{name: other, debug: {msg: x}}]
- hosts: a
  tasks:
    - name: first
      debug: {msg: x}
    - name: second
      debug: {msg: "{{ ansible_facts.hostname | length > 0 }}"}
"#;
    for engine in [EngineKind::Plain, EngineKind::Ahead] {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { engine, start_at: Some("second".to_owned()), ..Options::default() };
        let told = run_with(folder.path(), playbook, &["a"], options);
        assert_eq!(names(&told, "a"), ["Gathering Facts", "second"]);
    }
}
