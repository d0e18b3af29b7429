//! Each option acts.

use crate::site::Site;

fn say(template: &str) -> Site {
    Site::new().play(&format!("tasks: [{{debug: {{msg: \"said {template}\"}}}}]"))
}

#[track_caller]
fn says(site: &Site, args: &[&str], text: &str) {
    let ran = site.args(args).ends(0);
    assert!(ran.out.contains(&format!("\n             said {text}\n")), "{args:?}: no `{text}` in:\n{}", ran.out);
}

#[test]
fn extra_vars_of_all_kinds_win() {
    let site = say("{{ a }} {{ b | default('-') }}").file("vars.yml", "a: file\nb: [1, 2]\n");
    says(&site, &["apply", "site.yml", "-e", "a=x b='y z'"], "x y z");
    says(&site, &["apply", "site.yml", "-e", "a=x", "-e", "{\"a\": 7}"], "7 -");
    says(&site, &["apply", "site.yml", "-e", "@vars.yml"], "file [1, 2]");
    says(&site, &["apply", "site.yml", "-e", "a={{ c }} c=d"], "d -");
}

#[test]
fn tags_start_and_several_playbooks() {
    let tasks = "\
tasks:
  - name: One
    copy: {content: x, dest: HERE/one}
    tags: a
  - name: Two
    copy: {content: x, dest: HERE/two}
    tags: [b, c]
  - name: Three
    copy: {content: x, dest: HERE/three}
";
    let ran = |words: &str| {
        let site = Site::new().play(tasks);
        site.run(words).ends(0);
        ["one", "two", "three"].into_iter().filter(|name| site.exists(name)).collect::<Vec<_>>()
    };
    assert_eq!(ran("apply site.yml -t a,b"), ["one", "two"]);
    assert_eq!(ran("apply site.yml --skip-tags b"), ["one", "three"]);
    assert_eq!(ran("apply site.yml --start-at-task Two"), ["two", "three"]);
    let site = Site::new()
        .play(tasks)
        .file("last.yml", "- hosts: all\n  gather_facts: false\n  tasks: [{debug: {msg: last}}]\n");
    let ran = site.run("apply site.yml last.yml").ends(0);
    assert_eq!(ran.recap("here"), "ok=4 changed=3");
    assert_eq!(ran.out.matches("\nplay ").count() + usize::from(ran.out.starts_with("play ")), 2);
}

#[test]
fn a_task_to_start_at_that_is_not_there_is_an_error() {
    let ran = Site::new().play("tasks: [{name: One, debug: {}}]").run("apply site.yml --start-at-task Oen").ends(64);
    assert!(ran.err.contains("no task is called `Oen`") && ran.err.contains("`One`"), "{}", ran.err);
}

#[test]
fn verbosity_quiet_and_stats() {
    let site = Site::new().play("tasks:\n  - name: Fine\n    ping:\n  - name: Not\n    ping:\n    when: false");
    assert_eq!(site.apply().ends(0).results(), [""; 0]);
    let ran = site.run("apply site.yml -v").ends(0);
    assert_eq!(ran.results(), ["ok           here  Fine", "skipped      here  Not  Conditional result was False"]);
    assert!(site.run("apply site.yml -vv").ends(0).out.contains("\"ping\": \"pong\""));
    assert_eq!(site.run("apply site.yml -q").ends(0).out, "");
    assert!(site.run("apply site.yml --stats").ends(0).out.contains("round trip"));
}

#[test]
fn ansible_cfg_and_variables_of_the_environment() {
    let site = say("{{ inventory_hostname }}")
        .file(
            "ansible.cfg",
            "[defaults]\ninventory = other.ini\nforks = 3\nretry_files_enabled = False\nlibrary = mods\n",
        )
        .file("other.ini", "from_cfg ansible_connection=local\n")
        .file("third.ini", "from_env ansible_connection=local\n");
    let ran = site.apply().ends(0);
    assert!(ran.out.contains("said from_cfg"), "{}", ran.out);
    assert!(ran.err.contains("ansible.cfg has settings that have no effect here: defaults.library\n"), "{}", ran.err);
    let site = site.env("ANSIBLE_INVENTORY", "third.ini");
    says(&site, &["apply", "site.yml"], "from_env");
    let site = site.env("WINDLASS_INVENTORY", "hosts");
    says(&site, &["apply", "site.yml"], "here");
    says(&site, &["apply", "site.yml", "-i", "third.ini"], "from_env");
}

#[test]
fn a_setting_that_would_change_the_meaning_is_refused() {
    let site = say("x").file("ansible.cfg", "[defaults]\nhash_behaviour = merge\n");
    let ran = site.apply().ends(65);
    assert!(ran.err.contains("`hash_behaviour = merge` in ansible.cfg is not supported"), "{}", ran.err);
}

#[test]
fn vault_passwords_from_files_and_programs() {
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;
    let mut vault = windlass::values::Vault::new(Arc::default());
    vault.add("default", "open sesame");
    let secret = vault.encrypt("word: treasure-chest\n", None).unwrap();
    // What was encrypted is masked, so that only its length is said.
    let site = say("{{ word | length }}").file("group_vars/all.yml", &secret).file("pass", "open sesame\n");
    says(&site, &["apply", "site.yml", "--vault-password-file", "pass"], "14");
    says(&site, &["apply", "site.yml", "--vault-id", "team@pass"], "14");
    let site = site.file("pass.sh", "#!/bin/sh\necho open sesame\n").env("ANSIBLE_VAULT_PASSWORD_FILE", "./pass.sh");
    std::fs::set_permissions(site.path("pass.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    says(&site, &["apply", "site.yml"], "14");
    let ran = site.file("pass", "wrong\n").run("apply site.yml --vault-password-file pass").ends(65);
    assert!(ran.err.contains("group_vars/all.yml"), "{}", ran.err);
    let ran = say("x").run("apply site.yml --vault-password-file none").ends(64);
    assert!(ran.err.contains("can't read the password from `none`"), "{}", ran.err);
}

#[test]
fn a_built_in_role_gives_way_to_ones_own() {
    let site = Site::new().play("roles: [nginx]").file("roles/nginx/tasks/main.yml", "- debug: {msg: said own}\n");
    says(&site, &["apply", "site.yml"], "own");
    let ran = Site::new().play("roles: [nginx]").run("apply site.yml --list-tasks").ends(0);
    assert!(ran.out.contains("nginx : ") && ran.out.contains("(built-in/roles/nginx/"), "{}", ran.out);
    let site = Site::new().play("roles: [mine]").file("more/mine/tasks/main.yml", "- debug: {msg: said more}\n");
    says(&site, &["apply", "site.yml", "--roles-path", "more"], "more");
}

#[test]
fn connection_and_login_from_the_command_line_stand_below_the_inventory() {
    let site = say("x").file("hosts", "named ansible_connection=local\n");
    says(&site, &["apply", "site.yml", "-c", "ssh"], "x");
    let site = site.file("hosts", "named\n");
    says(&site, &["apply", "site.yml", "-c", "local"], "x");
}

#[test]
fn privileges_can_be_asked_for() {
    // `sudo` may be missing here; then the message says so, and that is what `-b` is for.
    let site = Site::new();
    let ran = site.args(&["run", "all", "-b", "--become-user", "nobody", "-a", "id -un"]);
    assert!(ran.out.contains("nobody") || ran.out.contains("sudo"), "{}\n{}", ran.out, ran.err);
    let plain = site.args(&["run", "all", "-a", "id -un"]).ends(0);
    assert!(!plain.out.contains("nobody"), "{}", plain.out);
}
