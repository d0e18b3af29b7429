//! Plays on this machine.

use crate::site::Site;
use std::io::BufRead;

const FILES: &str = "\
vars: {who: world}
tasks:
  - name: Folder
    file: {path: HERE/out, state: directory, mode: '0755'}
  - name: Greeting
    template: {src: greeting.j2, dest: HERE/out/greeting, mode: '0640'}
    notify: Tell
  - name: Parts
    copy: {content: '{{ item }}', dest: 'HERE/out/{{ item }}'}
    loop: [one, two]
  - name: Link
    file: {src: one, dest: HERE/out/link, state: link}
  - name: Line
    lineinfile: {path: HERE/out/one, line: more}
  - name: Look
    command: cat HERE/out/greeting
    register: seen
    changed_when: false
  - name: Once
    command: touch HERE/out/made
    args: {creates: HERE/out/made}
  - name: Say
    debug: {var: seen.stdout}
handlers:
  - name: Tell
    shell: echo told >> HERE/out/told
";

fn files() -> Site {
    Site::new().play(FILES).file("greeting.j2", "hello {{ who }}\n")
}

#[test]
fn a_second_apply_changes_nothing() {
    let site = files();
    let ran = site.apply().ends(0);
    assert_eq!(
        ran.results(),
        [
            "changed      here  Folder",
            "changed      here  Greeting",
            "changed      here  Parts  (one)",
            "changed      here  Parts  (two)",
            "changed      here  Link",
            "changed      here  Line",
            "changed      here  Once",
            "ok           here  Say",
            "changed      here  handler Tell",
        ]
    );
    assert_eq!(ran.recap("here"), "ok=9 changed=7");
    assert_eq!(site.read("out/greeting"), "hello world\n");
    assert_eq!(site.read("out/one"), "one\nmore\n");
    assert_eq!(site.read("out/told"), "told\n");
    // The template's file is as it was left; `one` is written and gets its line again, as the playbook says.
    let ran = site.run("apply site.yml --skip-tags none").ends(0);
    assert_eq!(ran.results(), ["changed      here  Parts  (one)", "changed      here  Line", "ok           here  Say"]);
    assert_eq!(site.read("out/told"), "told\n", "the handler was not told again");
}

#[test]
fn both_engines_do_the_same() {
    let outputs: Vec<(Vec<String>, String)> = ["ahead", "plain"]
        .iter()
        .map(|engine| {
            let site = files();
            let ran = site.run(&format!("apply site.yml --engine {engine}")).ends(0);
            (ran.results().iter().map(|line| (*line).to_owned()).collect(), site.read("out/one"))
        })
        .collect();
    assert_eq!(outputs[0], outputs[1]);
}

#[test]
fn a_plan_touches_nothing_and_says_what_apply_would_do() {
    let site = files();
    let ran = site.run("plan site.yml").ends(0);
    assert!(!site.exists("out"));
    assert_eq!(
        ran.results()[..4],
        [
            "would change here  Folder",
            "would change here  Greeting  assumed",
            "would change here  Parts  (one)  assumed",
            "would change here  Parts  (two)  assumed",
        ]
    );
    assert!(ran.out.contains("\n             - create folder HERE/out\n"), "{}", ran.out);
    assert_eq!(site.run("apply site.yml --check").ends(0).results(), ran.results());
    assert!(!site.exists("out"));
}

#[test]
fn detailed_exit_codes_of_a_plan() {
    let site = Site::new().play("tasks: [{copy: {content: a, dest: HERE/a}}]");
    site.run("plan site.yml --detailed-exitcode").ends(2);
    site.apply().ends(0);
    site.run("plan site.yml --detailed-exitcode").ends(0);
    let site = Site::new().play("tasks: [{fail: {msg: no}}]");
    site.run("plan site.yml --detailed-exitcode").ends(1);
    site.run("plan site.yml").ends(2);
    site.play("tasks: [{commandd: ls}]").run("plan site.yml --detailed-exitcode").ends(65);
}

#[test]
fn differences_are_shown_when_asked_for() {
    let site = Site::new().play("tasks: [{copy: {content: \"a\\nc\\n\", dest: HERE/a}}]").file("a", "a\nb\n");
    let ran = site.run("plan site.yml --diff").ends(0);
    for line in ["--- HERE/a", "@@ -1,2 +1,2 @@", " a", "-b", "+c"] {
        assert!(ran.out.contains(&format!("\n             {line}\n")), "{line} is not in:\n{}", ran.out);
    }
    assert!(!site.run("plan site.yml").ends(0).out.contains("@@"));
}

#[test]
fn a_failed_task_ends_its_host_and_the_others_go_on() {
    let site = Site::new()
        .file("hosts", "[all:vars]\nansible_connection=local\n[all]\na\nb\n")
        .play("tasks:\n  - name: Try\n    shell: echo out; echo err >&2; exit 7\n    when: inventory_hostname == 'a'\n  - name: Mark\n    copy: {content: x, dest: 'HERE/{{ inventory_hostname }}'}");
    let ran = site.apply().ends(2);
    assert!(ran.out.contains("failed       a  Try\n"), "{}", ran.out);
    for line in ["non-zero return code", "exit code: 7", "stderr: err", "stdout: out", "at site.yml:4:7"] {
        assert!(ran.out.contains(&format!("\n             {line}\n")), "{line} is not in:\n{}", ran.out);
    }
    assert_eq!((ran.recap("a").as_str(), ran.recap("b").as_str()), ("failed=1", "ok=1 changed=1 skipped=1"));
    assert!(!site.exists("a"));
    assert_eq!(site.read("b"), "x");
}

#[test]
fn rescue_always_ignored_and_retried() {
    let site = Site::new().play(
        "\
tasks:
  - block:
      - name: Break
        command: /bin/false
    rescue:
      - name: Mend
        debug: {msg: 'after {{ ansible_failed_task.name }}'}
    always:
      - name: Clean
        copy: {content: x, dest: HERE/cleaned}
  - name: Whatever
    command: /bin/false
    ignore_errors: true
  - name: Insist
    shell: echo x >> HERE/tries; test $(wc -l < HERE/tries) -ge 3
    register: try
    until: try.rc == 0
    retries: 5
    delay: 0
",
    );
    let ran = site.apply().ends(0);
    assert_eq!(
        ran.results(),
        [
            "failed       here  Break",
            "ok           here  Mend",
            "changed      here  Clean",
            "ignored      here  Whatever  non-zero return code",
            "retrying     here  Insist  try 1 of 6 failed",
            "retrying     here  Insist  try 2 of 6 failed",
            "changed      here  Insist",
        ]
    );
    assert!(ran.out.contains("after Break"), "{}", ran.out);
    assert_eq!(ran.recap("here"), "ok=4 changed=2 rescued=1 ignored=1");
}

#[test]
fn an_unreachable_host_ends_with_4_and_the_others_go_on() {
    // Nothing listens on the port of discarded packets.
    let site = Site::new()
        .file("hosts", "here ansible_connection=local\ngone ansible_host=127.0.0.1 ansible_port=9\n")
        .play("tasks:\n  - name: Mark\n    copy: {content: x, dest: 'HERE/{{ inventory_hostname }}'}\n  - fail: {msg: too}");
    let ran = site.run("apply site.yml -T 5").ends(4);
    assert_eq!(site.read("here"), "x");
    assert_eq!(ran.recap("gone"), "unreachable=1");
    assert_eq!(ran.recap("here"), "ok=1 changed=1 failed=1");
    assert!(ran.out.contains("unreachable  gone  Mark\n"), "{}", ran.out);
}

#[test]
fn a_file_that_is_missing_on_the_controller_fails_with_its_name() {
    let site = Site::new().play("vars: {name: none}\ntasks: [{copy: {src: '{{ name }}.txt', dest: HERE/a}}]");
    let ran = site.apply().ends(2);
    assert!(ran.out.contains("none.txt") && ran.out.contains("at site.yml:"), "{}", ran.out);
    assert!(!site.exists("a"));
}

#[test]
fn secrets_are_not_shown() {
    let site = Site::new().file("hosts", "here ansible_connection=local ansible_password=s3cr3t-word\n").play(
        "\
tasks:
  - name: Hidden
    command: echo hidden-word
    no_log: true
  - name: Known
    command: echo {{ ansible_password }}
",
    );
    for words in ["apply site.yml -vvv --diff", "apply site.yml --json"] {
        let ran = site.run(words).ends(0);
        for secret in ["hidden-word", "s3cr3t-word"] {
            assert!(!ran.out.contains(secret) && !ran.err.contains(secret), "{words}: {secret}\n{}", ran.out);
        }
    }
}

#[test]
fn json_lines_for_programs() {
    let ran = files().run("apply site.yml --json").ends(0);
    let events: Vec<serde_json::Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events[0]["version"], 1);
    assert_eq!(events.last().unwrap()["hosts"]["here"]["changed"], 7);
    let greeting = events.iter().find(|e| e["task"]["name"] == "Greeting" && e["event"] == "result").unwrap();
    assert_eq!((&greeting["status"], &greeting["task"]["line"]), (&"changed".into(), &7.into()));
    assert_eq!(ran.err, "");
}

#[test]
fn single_modules() {
    let site = Site::new();
    let ran = site.args(&["run", "all", "-a", "echo 'a  b'"]).ends(0);
    assert_eq!(ran.out, "changed      here  command\n             a  b\n");
    let ran = site.args(&["run", "here", "-m", "copy", "-a", "content=x dest=HERE"]).ends(2);
    assert!(ran.out.contains("failed       here  copy\n"), "{}", ran.out);
    let dest = site.path("x");
    let json = serde_json::json!({ "content": "a=b c", "dest": dest }).to_string();
    site.args(&["run", "all", "-m", "copy", "-a", &json, "--check"]).ends(0);
    assert!(!site.exists("x"));
    site.args(&["run", "all", "-m", "copy", "-a", &json]).ends(0);
    assert_eq!(site.read("x"), "a=b c");
}

#[test]
fn ctrl_c_lets_the_running_step_end_and_begins_no_other() {
    interrupted("-INT", "interrupted: nothing more is begun");
}

/// A CI job that is cancelled, and a laptop that lost the session in which windlass was started.
#[test]
fn sigterm_and_sighup_do_what_ctrl_c_does() {
    interrupted("-TERM", "interrupted by SIGTERM");
    interrupted("-HUP", "the terminal is gone");
}

#[track_caller]
fn interrupted(signal: &str, says: &str) {
    let site = Site::new().play(
        "tasks:\n  - name: Slow\n    shell: sleep 2; echo x > HERE/slow\n  - name: Next\n    copy: {content: x, dest: HERE/next}",
    );
    let mut child = site
        .command(&["apply", "site.yml", "-vvv"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("begins       here  Slow")));
    let killed = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{rest:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains(says));
    assert!(site.exists("slow") && !site.exists("next"), "{rest:?}");
    assert!(rest.iter().any(|line| line.starts_with("changed      here  Slow")), "{rest:?}");
}
