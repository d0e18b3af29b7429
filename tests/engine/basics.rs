//! What a playbook means.

use super::rig::{run, run_with};
use windlass::engine::event::Status;
use windlass::engine::run::Options;
use windlass::host::Certainty;

fn statuses(told: &super::rig::Told) -> Vec<(String, Status)> {
    told.results().into_iter().map(|(_, task, status)| (task, status)).collect()
}

const FILES: &str = r#"
- hosts: all
  gather_facts: false
  vars:
    base: ROOT/x
  tasks:
    - name: folder
      file: {path: "{{ base }}", state: directory, mode: "0755"}
    - name: content
      copy: {content: "hello {{ inventory_hostname }}\n", dest: "{{ base }}/f", mode: "0644"}
      register: copied
      notify: after
    - name: line
      lineinfile: {path: "{{ base }}/f", line: second}
    - name: link
      file: {src: "{{ base }}/f", dest: "{{ base }}/l", state: link}
    - name: command
      command: cat {{ base }}/f
      register: shown
      changed_when: false
    - name: only if changed
      copy: {content: "{{ shown.stdout }}", dest: "{{ base }}/g"}
      when: copied is changed
    - name: never
      command: "false"
      when: shown.stdout == "x"
  handlers:
    - name: after
      command: touch {{ base }}/handled
"#;

#[test]
fn files_links_lines_and_commands() {
    let (folder, told) = run(FILES);
    use Status::{Changed, Ok, Skipped};
    let expected = [
        ("folder", Changed),
        ("content", Changed),
        ("line", Changed),
        ("link", Changed),
        ("command", Ok),
        ("only if changed", Changed),
        ("never", Skipped),
        ("after", Changed),
    ];
    assert_eq!(statuses(&told), expected.map(|(n, s)| (n.to_owned(), s)));
    let text = std::fs::read_to_string(folder.path().join("x/f")).unwrap();
    assert_eq!(text, "hello one\nsecond\n");
    assert_eq!(std::fs::read_to_string(folder.path().join("x/g")).unwrap(), "hello one\nsecond");
    assert!(folder.path().join("x/handled").exists());
}

#[test]
fn a_second_run_changes_nothing_and_takes_few_trips() {
    let folder = tempfile::tempdir().unwrap();
    let playbook = FILES.replace("ROOT", folder.path().to_str().unwrap());
    run_with(folder.path(), &playbook, &["one"], Options::default());
    // The line changes the file that was copied, so that it is copied again: take that out.
    let playbook = playbook.replace("lineinfile: {path: \"{{ base }}/f\", line: second}", "debug: {msg: x}");
    run_with(folder.path(), &playbook, &["one"], Options::default());
    let told = run_with(folder.path(), &playbook, &["one"], Options::default());
    assert_eq!(told.stats("one").changed, 0, "{:?}", told.results());
    assert!(told.trips() <= 4, "{} trips", told.trips());
}

#[test]
fn a_plan_is_sure_of_what_no_step_before_it_touches() {
    let folder = tempfile::tempdir().unwrap();
    let playbook = r#"
- hosts: all
  gather_facts: false
  tasks:
    - name: first
      copy: {content: "a", dest: "ROOT/a"}
    - name: anything
      command: touch ROOT/b creates=ROOT/b
    - name: doubtful
      copy: {content: "c", dest: "ROOT/c"}
"#
    .replace("ROOT", folder.path().to_str().unwrap());
    let plan = run_with(folder.path(), &playbook, &["one"], Options { plan: true, ..Options::default() });
    assert_eq!(plan.result("first").certainty, Certainty::Exact);
    // It rests on an answer that its own action puts in doubt, and no other.
    assert_eq!(plan.result("anything").certainty, Certainty::KnownAfterApply);
    assert!(matches!(plan.result("doubtful").certainty, Certainty::Assumed(_)));
}

#[test]
fn a_plan_touches_nothing_and_foretells_what_happens() {
    let folder = tempfile::tempdir().unwrap();
    let playbook = FILES.replace("ROOT", folder.path().to_str().unwrap());
    let plan = run_with(folder.path(), &playbook, &["one"], Options { plan: true, ..Options::default() });
    assert!(!folder.path().join("x").exists());
    let of = |name: &str| plan.results().into_iter().find(|(_, t, _)| t == name).unwrap().2;
    for name in ["folder", "content", "line", "link", "after"] {
        assert_eq!(of(name), Status::Changed, "{name}: {:?}", plan.results());
    }
    assert_eq!(of("never"), Status::Unknown);
}

#[test]
fn failures_are_rescued_and_always_runs() {
    let (_, told) = run(r"
- hosts: all
  gather_facts: false
  tasks:
    - block:
        - name: fails
          command: sh -c 'echo out; echo err >&2; exit 3'
        - name: not reached
          command: 'true'
      rescue:
        - name: rescued
          debug: {msg: '{{ ansible_failed_result.rc }} {{ ansible_failed_task.name }}'}
      always:
        - name: always
          debug: {msg: x}
    - name: ignored
      command: 'false'
      ignore_errors: true
    - name: judged
      command: sh -c 'exit 1'
      register: r
      failed_when: r.rc != 1
      changed_when: r.rc == 1
    - block:
        - name: fails again
          fail: {msg: no}
      always:
        - name: always again
          debug: {msg: x}
    - name: the end
      debug: {msg: x}
");
    use Status::{Changed, Failed, Ignored, Ok};
    let expected = [
        ("fails", Failed),
        ("rescued", Ok),
        ("always", Ok),
        ("ignored", Ignored),
        ("judged", Changed),
        ("fails again", Failed),
        ("always again", Ok),
    ];
    assert_eq!(statuses(&told), expected.map(|(n, s)| (n.to_owned(), s)));
    assert_eq!(told.result("rescued").result.msg.as_deref(), Some("3 fails"));
    let stats = told.stats("one");
    assert_eq!((stats.failed, stats.rescued, stats.ignored), (1, 1, 1));
}

#[test]
fn loops_registers_and_retries() {
    let (folder, told) = run(r#"
- hosts: all
  gather_facts: false
  tasks:
    - name: many
      copy: {content: "{{ item.v }}", dest: "ROOT/{{ item.k }}"}
      loop: [{k: a, v: 1}, {k: b, v: 2}]
      register: many
    - name: seen
      debug: {msg: "{{ many.results | map(attribute='dest') | map('basename') | join(',') }} {{ many.changed }}"}
    - name: tries
      shell: echo x >> ROOT/tries; test $(wc -l < ROOT/tries) -ge 3
      register: r
      until: r.rc == 0
      retries: 5
      delay: 0
    - name: attempts
      debug: {msg: "{{ r.attempts }}"}
    - name: items
      debug: {msg: "{{ item }}"}
      with_items: [[1, 2], 3]
    - name: none
      command: /bin/false
      loop: []
    - name: filtered
      command: echo {{ item }}
      loop: [1, 2, 3]
      when: item > 2
      changed_when: false
"#);
    assert_eq!(told.result("seen").result.msg.as_deref(), Some("a,b True"));
    assert_eq!(told.result("attempts").result.data["msg"], windlass::values::Value::from(3));
    assert_eq!(told.result("none").status, Status::Skipped);
    assert_eq!(told.result("filtered").status, Status::Ok);
    assert_eq!(std::fs::read_to_string(folder.path().join("b")).unwrap(), "2");
}

#[test]
fn hosts_share_what_they_must() {
    let folder = tempfile::tempdir().unwrap();
    let playbook = r#"
- hosts: all
  gather_facts: false
  tasks:
    - name: own
      set_fact: {mine: "{{ inventory_hostname }}"}
    - name: once
      shell: echo {{ inventory_hostname }} >> ROOT/once; cat ROOT/once
      run_once: true
      register: once
    - name: others
      debug: {msg: "{{ ansible_play_hosts | map('extract', hostvars, 'mine') | join(',') }} {{ once.stdout }}"}
    - name: there
      shell: echo {{ inventory_hostname }} >> ROOT/there
      delegate_to: two
- hosts: three
  gather_facts: false
  tasks:
    - name: later
      debug: {msg: "{{ hostvars['one'].mine }} {{ mine }}"}
"#
    .replace("ROOT", folder.path().to_str().unwrap());
    let told = run_with(folder.path(), &playbook, &["one", "two", "three"], Options::default());
    for step in told.steps().filter(|s| &*s.task.name == "others") {
        assert_eq!(step.result.msg.as_deref(), Some("one,two,three one"));
    }
    assert_eq!(std::fs::read_to_string(folder.path().join("once")).unwrap(), "one\n");
    assert_eq!(std::fs::read_to_string(folder.path().join("there")).unwrap().lines().count(), 3);
    assert_eq!(told.result("later").result.msg.as_deref(), Some("one three"));
}

#[test]
fn includes_and_handlers_by_topic() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("inc.yml"),
        "- name: included\n  debug: {msg: '{{ item }} {{ word }}'}\n  changed_when: item == 2\n  notify: topic\n",
    )
    .unwrap();
    let playbook = r#"
- hosts: all
  gather_facts: false
  tasks:
    - include_tasks: "{{ file }}"
      loop: [1, 2]
      vars: {word: w}
    - name: flush
      meta: flush_handlers
    - name: after
      debug: {msg: x}
  vars: {file: inc.yml}
  handlers:
    - name: h1
      debug: {msg: h1}
      listen: topic
    - name: h2
      debug: {msg: h2}
      listen: topic
    - name: h3
      debug: {msg: h3}
"#;
    let told = run_with(folder.path(), playbook, &["one"], Options::default());
    let names: Vec<_> = told.results().into_iter().map(|(_, t, _)| t).collect();
    assert_eq!(names, ["included", "included", "h1", "h2", "after"]);
}
