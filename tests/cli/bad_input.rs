//! What is wrong is told with its place, all of it, before any host is touched, and with its exit code.

use crate::site::Site;

#[test]
fn all_errors_are_told_with_excerpts_and_suggestions() {
    let site = Site::new().file(
        "site.yml",
        "\
- hosts: all
  taskz: []
  tasks:
    - name: One
      copyy: {content: a, dest: /none/touched}
    - name: Two
      copy: {content: a, dest: /none/touched, moode: '0644'}
",
    );
    let ran = site.apply().ends(65);
    assert_eq!(ran.out, "");
    assert_eq!(
        ran.err,
        "\
error[unknown-keyword]: unknown keyword `taskz` in this play
 --> site.yml:2:3
  |
2 |   taskz: []
  |   ^^^^^
  |
  = help: did you mean `tasks`?

error[unknown-module]: there is no module `copyy`
 --> site.yml:5:7
  |
5 |       copyy: {content: a, dest: /none/touched}
  |       ^^^^^
  |
  = help: did you mean `copy`?

error[unknown-argument]: `copy` has no argument `moode`
 --> site.yml:7:47
  |
7 |       copy: {content: a, dest: /none/touched, moode: '0644'}
  |                                               ^^^^^
  |
  = help: did you mean `mode`?

error: 3 errors found; no host was touched
"
    );
}

#[test]
fn playbook_variables_and_limit_are_all_told_at_once() {
    let site = Site::new().play("tasks: [{command: ls, whne: true}]");
    let ran = site.args(&["apply", "site.yml", "-e", "a-b=1", "-e", "@none.yml", "-l", "heer"]).ends(65);
    for expected in ["unknown keyword `whne`", "`a-b` is no name for a variable", "there is no file `none.yml`"] {
        assert!(ran.err.contains(expected), "{expected} is not in:\n{}", ran.err);
    }
    assert!(ran.err.ends_with("error: 3 errors found; no host was touched\n"), "{}", ran.err);
}

#[test]
fn a_wrong_inventory_is_an_error_with_its_place() {
    let site = Site::new().play("tasks: []").file("wrong.yml", "all:\n  hotss:\n    a:\n");
    let ran = site.run("apply site.yml -i wrong.yml").ends(65);
    assert!(ran.err.contains("wrong.yml:2:3") && ran.err.contains("did you mean `hosts`?"), "{}", ran.err);
}

#[test]
fn a_missing_inventory_names_the_ways_out() {
    let site = Site::new().play("tasks: []");
    let ran = site.run("apply site.yml -i hostss").ends(64);
    assert_eq!(ran.err, "error: there is no inventory `hostss`\n\nhint: did you mean `hosts`?\n");
    std::fs::remove_file(site.path("hosts")).unwrap();
    let ran = site.apply().ends(64);
    assert!(ran.err.starts_with("error: no inventory: it is not known which hosts there are\n\nhint: "), "{}", ran.err);
}

#[test]
fn a_missing_playbook_is_told_with_a_near_name() {
    let ran = Site::new().play("tasks: []").run("apply sit.yml").ends(65);
    assert!(
        ran.err.contains("there is no file `sit.yml`") && ran.err.contains("did you mean `site.yml`?"),
        "{}",
        ran.err
    );
}

#[test]
fn errors_of_the_command_line_end_with_64() {
    let site = Site::new().play("tasks: []");
    for words in
        ["apply", "apply site.yml --frobnicate", "apply site.yml -f 0", "plan site.yml -c smoke", "nothing", "run"]
    {
        let ran = site.run(words).ends(64);
        assert_eq!(ran.out, "", "{words}");
    }
    let ran = site.run("apply site.yml -l nobody").ends(64);
    assert!(ran.err.contains("`nobody` in the limit is no host and no group"), "{}", ran.err);
    let ran = site.run("apply site.yml --private-key none").ends(64);
    assert!(ran.err.contains("there is no private key `none`"), "{}", ran.err);
}

#[test]
fn templates_are_checked_before_any_host_is_touched() {
    let site = Site::new().play(
        "tasks:\n  - copy: {dest: HERE/touched, content: a}\n  - debug: {msg: \"{{ a | no_such_filter }}\"}\n  \
         - debug: {msg: \"{{ a\"}\n    when: b ==\n",
    );
    let ran = site.apply().ends(65);
    assert!(ran.err.contains("no_such_filter"), "{}", ran.err);
    assert!(ran.err.contains("3 errors found"), "{}", ran.err);
    assert!(!site.exists("touched"));
}

#[test]
fn an_undefined_variable_fails_its_task_with_name_and_place() {
    let site =
        Site::new().play("tasks:\n  - name: Greet\n    debug: {msg: \"hello {{ greting }}\"}\nvars: {greeting: hi}");
    let ran = site.apply().ends(2);
    assert_eq!(ran.results()[0], "failed       here  Greet");
    for expected in ["`greting` is undefined", "did you mean `greeting`?", "at site.yml:4:7"] {
        assert!(ran.out.contains(expected), "{expected} is not in:\n{}", ran.out);
    }
}

#[test]
fn what_ansible_has_and_windlass_has_not_is_an_error() {
    let site = Site::new().file(
        "site.yml",
        "- hosts: all\n  strategy: debug\n  tasks:\n    - apt: {name: x}\n      async: 5\n      poll: 0\n",
    );
    let ran = site.apply().ends(65);
    assert!(ran.err.contains("the strategy `debug` is not supported"), "{}", ran.err);
    assert!(ran.err.contains("`poll: 0` is for command and shell"), "{}", ran.err);
}

#[test]
fn an_encrypted_file_without_a_password_says_how_to_give_one() {
    let vault = "$ANSIBLE_VAULT;1.1;AES256\n6162\n";
    let site = Site::new().play("tasks: []").file("group_vars/all.yml", vault);
    let ran = site.apply().ends(65);
    assert!(ran.err.contains("group_vars/all.yml") && ran.err.contains("--vault-password-file"), "{}", ran.err);
}

#[test]
fn single_modules_are_checked_in_the_same_way() {
    let site = Site::new();
    let ran = site.args(&["run", "all", "-m", "file", "-a", "path=/tmp staet=absent"]).ends(64);
    assert!(ran.err.contains("--> -a:1:11") && ran.err.contains("did you mean `state`?"), "{}", ran.err);
    let ran = site.args(&["run", "all", "-m", "fiel"]).ends(64);
    assert!(ran.err.contains("there is no module `fiel`") && ran.err.contains("did you mean `file`?"), "{}", ran.err);
    let ran = site.args(&["run", "nobody", "-m", "ping"]).ends(64);
    assert!(ran.err.contains("no host matches `nobody`"), "{}", ran.err);
}
