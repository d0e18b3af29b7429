//! Keywords and modules that reach beyond one host or one step: jobs that go on by themselves, facts for other hosts,
//! files that are brought here, cleared failures.

use super::rig::{Told, run, run_with};
use windlass::engine::event::Status;
use windlass::engine::run::{EngineKind, Options};
use windlass::values::Value;

fn both(playbook: &str, hosts: &[&str], check: impl Fn(&Told, &std::path::Path)) {
    for engine in [EngineKind::Plain, EngineKind::Ahead] {
        let folder = tempfile::tempdir().unwrap();
        let text = playbook.replace("ROOT", folder.path().to_str().unwrap());
        let told = run_with(folder.path(), &text, hosts, Options { engine, ..Options::default() });
        check(&told, folder.path());
    }
}

#[test]
fn a_job_goes_on_by_itself_and_is_looked_at_later() {
    let playbook = r#"
- hosts: all
  gather_facts: false
  environment: {ANSIBLE_ASYNC_DIR: ROOT/jobs}
  tasks:
    - name: start
      shell: sleep 0.5; echo "$WORD"; cat; echo oops >&2
      args: {stdin: "read", chdir: ROOT}
      environment: {WORD: said}
      async: 60
      poll: 0
      register: job
    - name: at once
      shell: test ! -e ROOT/jobs/{{ job.ansible_job_id }}.d/rc; cat {{ job.results_file }}
      register: state
      changed_when: false
    - name: wait
      async_status: {jid: "{{ job.ansible_job_id }}"}
      register: done
      until: done is finished
      retries: 50
      delay: 0.1
    - name: fails
      command: sh -c "exit 3"
      async: 60
      poll: 0
      register: bad
    - name: too long
      command: sleep 30
      async: 1
      poll: 0
      register: long
    - name: needless
      command: "false"
      args: {creates: ROOT}
      async: 60
      poll: 0
      register: needless
    - name: failed
      async_status: {jid: "{{ bad.ansible_job_id }}"}
      register: r
      until: r is finished
      retries: 50
      delay: 0.1
      ignore_errors: true
    - name: stopped
      async_status: {jid: "{{ long.ansible_job_id }}"}
      register: r
      until: r is finished
      retries: 50
      delay: 0.2
      ignore_errors: true
    - name: not run
      async_status: {jid: "{{ needless.ansible_job_id }}"}
    - name: forget
      async_status: {jid: "{{ job.ansible_job_id }}", mode: cleanup}
    - name: gone
      async_status: {jid: "{{ job.ansible_job_id }}"}
      ignore_errors: true
"#;
    both(playbook, &["one"], |told, folder| {
        let of = |task: &str| told.result(task);
        assert_eq!(of("start").status, Status::Changed);
        assert_eq!(of("start").result.data["finished"], Value::Bool(false));
        let state = of("at once").result.data["stdout"].to_string();
        assert!(state.contains("\"finished\": false"), "{state}");
        let done = &of("wait").result;
        assert!(done.changed && !done.failed, "{done:?}");
        assert_eq!(done.data["stdout"], Value::from("said\nread"));
        assert_eq!(done.data["stderr"], Value::from("oops"));
        assert_eq!(done.data["rc"], Value::from(0));
        assert_eq!(of("failed").status, Status::Ignored);
        assert_eq!(of("failed").result.data["rc"], Value::from(3));
        assert!(of("stopped").result.msg.as_deref().unwrap().contains("in time"), "{:?}", of("stopped"));
        assert_eq!(of("not run").status, Status::Ok, "{:?}", of("not run"));
        assert_eq!(of("gone").result.msg.as_deref(), Some("could not find job"));
        let id = done.data["ansible_job_id"].to_string();
        assert!(!folder.join(format!("jobs/{id}")).exists() && !folder.join(format!("jobs/{id}.d")).exists());
    });
}

#[test]
fn a_plan_starts_no_job() {
    let folder = tempfile::tempdir().unwrap();
    let playbook = r#"
- hosts: all
  gather_facts: false
  environment: {ANSIBLE_ASYNC_DIR: ROOT/jobs}
  tasks:
    - name: start
      shell: touch ROOT/ran
      async: 60
      poll: 0
      register: job
    - name: wait
      async_status: {jid: "{{ job.ansible_job_id }}"}
      register: done
      until: done is finished
"#
    .replace("ROOT", folder.path().to_str().unwrap());
    let plan = run_with(folder.path(), &playbook, &["one"], Options { plan: true, ..Options::default() });
    assert_eq!(plan.result("start").status, Status::Changed);
    assert_eq!(plan.stats("one").failed, 0, "{:?}", plan.results());
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(!folder.path().join("jobs").exists() && !folder.path().join("ran").exists());
}

#[test]
fn facts_are_kept_for_the_host_that_a_task_is_delegated_to() {
    let playbook = r#"
- hosts: one:two
  gather_facts: false
  strategy: linear
  tasks:
    - name: slow
      shell: sleep 0.2
      when: inventory_hostname == 'one'
    - name: give
      set_fact: {given: "by {{ inventory_hostname }}", own: 1}
      delegate_to: "{{ item }}"
      delegate_facts: true
      loop: [two, three]
      when: inventory_hostname == 'one'
    - name: here
      debug: {msg: "{{ given | default('none') }} {{ hostvars['three'].given }} {{ hostvars['two'].given }}"}
    - name: gather
      setup: {gather_subset: ['!all']}
      delegate_to: three
      delegate_facts: true
      run_once: true
    - name: facts
      debug: {msg: "{{ ansible_facts | length }} {{ hostvars['three'].ansible_facts | length > 0 }}"}
- hosts: three
  gather_facts: false
  tasks:
    - name: later
      debug: {msg: "{{ given }} {{ ansible_facts | length > 0 }}"}
"#;
    both(playbook, &["one", "two", "three"], |told, _| {
        let said = |task: &str, host: &str| {
            let step = told.steps().find(|s| &*s.task.name == task && &*s.host == host).unwrap();
            step.result.msg.clone().unwrap_or_default()
        };
        assert_eq!(said("here", "one"), "none by one by one");
        assert_eq!(said("here", "two"), "by one by one by one");
        assert_eq!(said("facts", "one"), "0 True");
        assert_eq!(said("later", "three"), "by one True");
    });
}

#[test]
fn cleared_failures_let_hosts_take_part_again() {
    let playbook = r#"
- hosts: all
  gather_facts: false
  tasks:
    - name: fails
      shell: test {{ inventory_hostname }} != one || { sleep 0.2; false; }
    - meta: clear_host_errors
    - name: fails later
      command: "{{ 'false' if inventory_hostname == 'two' else 'true' }}"
- hosts: all
  gather_facts: false
  tasks:
    - name: next
      command: "true"
"#;
    both(playbook, &["one", "two", "three"], |told, _| {
        let hosts: Vec<_> = told.results().into_iter().filter(|(_, t, _)| t == "next").map(|(h, ..)| h).collect();
        assert!(hosts.contains(&"one".to_owned()) && hosts.contains(&"three".to_owned()), "{hosts:?}");
        assert!(!hosts.contains(&"two".to_owned()));
        assert_eq!(told.stats("one").failed, 1);
    });
}

#[test]
fn files_are_fetched_where_they_differ() {
    let playbook = r#"
- hosts: all
  gather_facts: false
  tasks:
    - name: make
      copy: {content: "x\n", dest: "ROOT/made"}
    - name: fetch
      fetch: {src: ROOT/made, dest: kept}
    - name: flat
      fetch: {src: ROOT/made, dest: flat/, flat: true}
      register: flat
    - name: again
      fetch: {src: ROOT/made, dest: flat/, flat: true}
    - name: missing
      fetch: {src: ROOT/nothing, dest: kept}
      ignore_errors: true
    - name: passed
      fetch: {src: ROOT/nothing, dest: kept, fail_on_missing: false}
    - name: large
      shell: head -c 17000000 /dev/zero > ROOT/large
    - name: too large
      fetch: {src: ROOT/large, dest: kept}
      ignore_errors: true
"#;
    let (folder, told) = run(playbook);
    let made = folder.path().join("made");
    let kept = folder.path().join(format!("kept/one{}", made.display()));
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "x\n");
    assert_eq!(std::fs::read_to_string(folder.path().join("flat/made")).unwrap(), "x\n");
    let status = |task: &str| told.result(task).status;
    assert_eq!([status("fetch"), status("flat"), status("again")], [Status::Changed, Status::Changed, Status::Ok]);
    assert_eq!(
        [status("missing"), status("passed"), status("too large")],
        [Status::Ignored, Status::Ok, Status::Ignored]
    );
    assert!(told.result("too large").result.msg.as_deref().unwrap().contains("16 MiB"));
    assert_eq!(told.result("again").result.data["checksum"], told.result("flat").result.data["checksum"]);

    let plan = folder.path().join("plan");
    std::fs::create_dir(&plan).unwrap();
    std::fs::write(plan.join("there"), "y").unwrap();
    let playbook =
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - name: f\n      fetch: {src: ROOT/there, dest: k}\n"
            .replace("ROOT", plan.to_str().unwrap());
    let told = run_with(&plan, &playbook, &["one"], Options { plan: true, ..Options::default() });
    assert_eq!(told.result("f").status, Status::Changed);
    assert!(!plan.join("k").exists());
}
