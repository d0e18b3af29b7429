//! What only looks: `stat`, `slurp`, `find`, `setup`; and what works without a host's files: `debug`, `assert`, `fail`,
//! `set_fact`, `ping`, `pause`; and `tempfile`.

use super::{digest, project};

const ROOT: &str = "/srv/looks";

const PLAYBOOK: &str = include_str!("looks.yml");

#[test]
fn looking_changes_nothing() {
    let Some(project) = project(ROOT) else { return };
    let host = project.host.clone();
    project.file("site.yml", PLAYBOOK);
    host.sh(&format!(
        "cd {ROOT} && echo hello > file && chown deploy:www-data file && chmod 4640 file && touch -d '2020-01-02 03:04:05' file && \
         ln -s file link && ln -s nowhere dangling && mkdir sub && printf '\\000\\001\\377\\n' > bytes && echo a > sub/a.log && \
         echo b > sub/b.log && touch -d '2 days ago' sub/b.log && echo c > sub/c.txt && head -c 2000 /dev/zero > big && touch .hidden"
    ));
    let before = digest(&host, ROOT);
    let run = project.settled("site.yml");
    assert_eq!(run.with_status("ignored"), ["slurp nothing", "fails", "asserts"], "{}", run.told());
    project.plan("site.yml");
    assert_eq!(digest(&host, ROOT), before);
}

#[test]
fn temporary_files() {
    let root = "/srv/temporary";
    let Some(project) = project(root) else { return };
    project.file(
        "site.yml",
        r#"
- hosts: all
  gather_facts: false
  tasks:
    - {name: file, tempfile: {path: /srv/temporary, suffix: .x}, register: file}
    - {name: folder, tempfile: {path: /srv/temporary, state: directory, prefix: app.}, register: folder}
    - {name: used, copy: {dest: "{{ file.path }}", content: "used\n"}}
    - {name: used folder, copy: {dest: "{{ folder.path }}/in", content: "used\n"}}
"#,
    );
    project.plan("site.yml");
    assert_eq!(project.host.sh(&format!("ls -A {root}")), "");
    let run = project.apply("site.yml");
    let path = |task: &str| run.result(task)["path"].as_str().unwrap().to_owned();
    let (file, folder) = (path("file"), path("folder"));
    assert!(file.ends_with(".x") && folder.starts_with("/srv/temporary/app."), "{file} {folder}");
    let seen = project.host.sh(&format!("cat {file} {folder}/in; stat -c '%a %F' {file} {folder}; ls {root} | wc -l"));
    assert_eq!(seen, "used\nused\n600 regular file\n700 directory\n2");
    project.apply("site.yml");
    assert_eq!(project.host.sh(&format!("ls {root} | wc -l")), "4");
}

#[test]
fn facts_are_what_the_host_says() {
    let Some(project) = project("/srv/facts") else { return };
    let host = project.host.clone();
    host.sh("mkdir -p /etc/ansible/facts.d && printf '[app]\\nname=shop\\n' > /etc/ansible/facts.d/a.fact && echo '{\"n\": [1]}' > /etc/ansible/facts.d/b.fact");
    project.file("site.yml", "- hosts: all\n  gather_facts: false\n  tasks:\n    - {name: all, setup: }\n    - {name: few, setup: {gather_subset: ['!all', '!min', network], filter: 'ansible_default_ipv4'}}\n");
    let run = project.settled("site.yml");
    let facts = &run.result("all")["ansible_facts"];
    let text = |name: &str| facts[name].as_str().unwrap_or_else(|| panic!("{name}: {}", facts[name])).to_owned();
    for (fact, command) in [
        ("ansible_hostname", "hostname -s"),
        ("ansible_nodename", "uname -n"),
        ("ansible_kernel", "uname -r"),
        ("ansible_machine", "uname -m"),
        ("ansible_system", "uname -s"),
        ("ansible_distribution_release", ". /etc/os-release; echo $VERSION_CODENAME"),
        ("ansible_distribution_version", "cat /etc/debian_version"),
        ("ansible_distribution_major_version", ". /etc/os-release; echo $VERSION_ID"),
        ("ansible_machine_id", "cat /etc/machine-id"),
        ("ansible_user_id", "id -un"),
        ("ansible_user_dir", "echo ~"),
        ("ansible_user_shell", "getent passwd root | cut -d: -f7"),
        ("ansible_python_version", "python3 -c 'import platform; print(platform.python_version())'"),
        ("ansible_service_mgr", "cat /proc/1/comm"),
    ] {
        assert_eq!(text(fact), host.sh(command), "{fact}");
    }
    let number = |value: &serde_json::Value| value.as_i64().unwrap_or_else(|| panic!("{value}"));
    assert_eq!(number(&facts["ansible_processor_nproc"]).to_string(), host.sh("nproc"));
    assert_eq!(
        number(&facts["ansible_memtotal_mb"]).to_string(),
        host.sh("awk '/MemTotal/ {print int($2/1024)}' /proc/meminfo")
    );
    assert_eq!(number(&facts["ansible_effective_user_id"]), 0);
    let address = host.sh("ip -4 -o addr show scope global | awk '{split($4, a, \"/\"); print a[1]}'");
    assert_eq!(facts["ansible_default_ipv4"]["address"], address.as_str());
    assert_eq!(facts["ansible_default_ipv4"]["gateway"], host.sh("ip route | awk '/default/ {print $3}'").as_str());
    assert_eq!(
        facts["ansible_default_ipv4"]["macaddress"],
        host.sh("cat /sys/class/net/*/address | grep -v 00:00:00:00:00:00").as_str()
    );
    assert_eq!(facts["ansible_all_ipv4_addresses"], serde_json::json!([address]));
    assert_eq!(facts["ansible_date_time"]["date"], host.sh("date +%F").as_str());
    assert_eq!(facts["ansible_date_time"]["weeknumber"], host.sh("date +%W").as_str());
    assert_eq!(facts["ansible_date_time"]["tz"], host.sh("date +%Z").as_str());
    assert_eq!(facts["ansible_local"], serde_json::json!({"a": {"app": {"name": "shop"}}, "b": {"n": [1]}}));
    assert_eq!(
        facts["ansible_ssh_host_key_ed25519_public"],
        host.sh("cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub").as_str()
    );
    let few = run.result("few")["ansible_facts"].as_object().unwrap();
    assert_eq!(few.keys().collect::<Vec<_>>(), ["ansible_default_ipv4"]);
}
