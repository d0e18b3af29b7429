//! What only looks at files.

use crate::site::Site;

fn site() -> Site {
    Site::new()
        .file("hosts", "[web]\nweb[1:3]\n[db]\ndb1\n")
        .file(
            "site.yml",
            "\
- name: Web servers
  hosts: web
  tags: web
  roles: [app]
  tasks:
    - name: Configure
      copy: {content: a, dest: /tmp/a}
      tags: [config]
- name: Databases
  hosts: db
  tasks:
    - command: uptime
",
        )
        .file("roles/app/tasks/main.yml", "- name: Install\n  apt: {name: nginx}\n")
}

#[test]
fn tasks_with_their_tags_and_places() {
    let ran = site().run("apply site.yml --list-tasks").ends(0);
    assert_eq!(
        ran.out,
        "\
play 1: Web servers  (site.yml:1:3)
  tasks:
    app : Install  [web]  (roles/app/tasks/main.yml:1:3)
    Configure  [config, web]  (site.yml:6:7)
play 2: Databases  (site.yml:9:3)
  tasks:
    command  (site.yml:12:7)
"
    );
    let ran = site().run("plan site.yml --list-tasks -t config").ends(0);
    assert!(ran.out.contains("Configure") && !ran.out.contains("Install"), "{}", ran.out);
}

#[test]
fn hosts_of_each_play_within_the_limit() {
    let ran = site().run("apply site.yml --list-hosts -l web:!web2").ends(0);
    assert_eq!(
        ran.out,
        "\
play 1: Web servers  (site.yml:1:3)
  hosts (2):
    web1
    web3
play 2: Databases  (site.yml:9:3)
  hosts (0):
"
    );
}

#[test]
fn a_limit_from_a_file() {
    let ran = site().file("some", "web1\ndb1\n").run("apply site.yml --list-hosts -l @some").ends(0);
    assert!(ran.out.contains("web1") && ran.out.contains("db1") && !ran.out.contains("web2"), "{}", ran.out);
}

#[test]
fn tags_that_there_are() {
    let ran = site().run("apply site.yml --list-tags").ends(0);
    assert!(ran.out.contains("  tags: config, web\n") && ran.out.contains("  tags: (none)\n"), "{}", ran.out);
}

#[test]
fn a_check_of_the_syntax_says_that_all_is_well() {
    let ran = site().run("apply site.yml --syntax-check").ends(0);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", "no errors in 2 plays\n"));
}

#[test]
fn the_inventory_as_list_graph_and_host() {
    let site = site().file("host_vars/web1.yml", "port: 80\n");
    let ran = site.run("inventory --graph web").ends(0);
    assert_eq!(ran.out, "@web:\n  |--web1\n  |--web2\n  |--web3\n");
    let ran = site.run("inventory --list -l db").ends(0);
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json["db"]["hosts"], serde_json::json!(["db1"]));
    assert_eq!(json["web"]["hosts"], serde_json::json!([]));
    assert_eq!(site.run("inventory --host web1 -y").ends(0).out, "port: 80\n");
    let ran = site.run("inventory --host web9").ends(65);
    assert!(ran.err.contains("the inventory has no host `web9`"), "{}", ran.err);
    site.run("inventory").ends(64);
    site.run("inventory --list --graph").ends(64);
    site.run("inventory --graph -l web1").ends(64);
}

#[test]
fn parts_of_an_inventory_share_its_hosts() {
    let hosts = |part: &str| {
        let ran = site().run(&format!("apply site.yml --list-hosts --shard {part}")).ends(0);
        ran.out.lines().filter(|l| l.starts_with("    ")).map(|l| l.trim().to_owned()).collect::<Vec<_>>()
    };
    let mut all = [hosts("1/2"), hosts("2/2")].concat();
    all.sort();
    assert_eq!(all, ["db1", "web1", "web2", "web3"]);
    let ran = site().run("apply site.yml --list-hosts --shard 3/2").ends(64);
    assert!(ran.err.contains("write K/N"), "{}", ran.err);
}

#[test]
fn what_one_host_does_for_all_is_no_part() {
    let once = site().file("site.yml", "- hosts: web\n  tasks:\n    - command: uptime\n      run_once: true\n");
    let ran = once.run("apply site.yml --shard 1/2").ends(65);
    assert!(ran.err.contains("site.yml:4:17") && ran.err.contains("each job would run it once"), "{}", ran.err);
}

#[test]
fn reports_of_parts_become_one() {
    let site = Site::new()
        .file("hosts", "a ansible_connection=local\nb ansible_connection=local\nc ansible_connection=local\n")
        .file(
            "site.yml",
            "- hosts: all\n  gather_facts: false\n  tasks:\n    - command: test {{ inventory_hostname }} != b\n",
        );
    let mut names = Vec::new();
    for part in ["1/2", "2/2"] {
        let ran = site.run(&format!("apply site.yml --json --shard {part}"));
        let name = format!("part-{}.json", &part[..1]);
        std::fs::write(site.path(&name), ran.out).unwrap();
        names.push(name);
    }
    let ran = site.run(&format!("report merge {}", names.join(" "))).ends(2);
    assert!(ran.out.contains("failed       b  command") && ran.out.contains("3 hosts"), "{}", ran.out);
    let ran = site.run(&format!("report merge {} {}", names[0], names[0])).ends(1);
    assert!(ran.err.contains("not parts of one inventory"), "{}", ran.err);
}
