//! Whole inventories. The files and what is expected of them were compared with `ansible-inventory` and
//! `ansible --list-hosts` of ansible-core 2.19.14.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const HOSTS: &str = include_str!("tests/hosts.ini");
const TREE: &str = include_str!("tests/tree.yml");

/// A folder with files in it; names that end in `.sh` are executable.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            if Path::new(name).extension().is_some_and(|e| e == "sh") {
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            }
        }
        Self(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn load(&self, sources: &[&str]) -> Result<Inventory, Vec<Diagnostic>> {
        let sources: Vec<String> =
            sources.iter().map(|s| if s.contains(',') { (*s).to_owned() } else { self.path(s) }).collect();
        Inventory::load(&sources, LoadContext::default())
    }

    fn problems(&self, source: &str) -> Vec<String> {
        let found = self.load(&[source]).err().unwrap_or_else(|| panic!("{source} is fine"));
        let folder = format!("{}/", self.0.path().to_str().unwrap());
        found.iter().map(|d| format!("{d} | {}", d.help.join(" | ")).replace(&folder, "")).collect()
    }
}

fn hosts() -> (Folder, Inventory) {
    let folder = Folder::new(&[
        ("hosts", HOSTS),
        ("group_vars/web/10.yml", "gv_web: 1\nwho_file: web1\n"),
        ("group_vars/web/20", "who_file: web2\n"),
        ("group_vars/web/30.txt", "ignored: 1\n"),
        ("group_vars/web/.hidden.yml", "ignored: 1\n"),
        ("group_vars/all.yaml", "who_file: all\nall_only: 1\nwho: gvall\n"),
        ("group_vars/db.yml", "who_file: yml\n"),
        ("group_vars/db.yaml", "who_file: yaml\n"),
        ("host_vars/lone.json", r#"{"hv": [1, "{{ x }}"]}"#),
    ]);
    let inventory = folder.load(&["hosts"]).unwrap();
    (folder, inventory)
}

fn same_json(actual: &serde_json::Value, expected: &str) {
    let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
    let (actual, expected) = (pretty(actual), pretty(&expected));
    for (a, e) in actual.lines().zip(expected.lines()) {
        assert_eq!(a, e, "in\n{actual}");
    }
    assert_eq!(actual.len(), expected.len());
}

#[test]
fn ini_as_ansible_reads_it() {
    let (_folder, inventory) = hosts();
    same_json(&inventory.list().unwrap(), include_str!("tests/hosts.list.json"));
    assert_eq!(inventory.graph("all", false).unwrap(), include_str!("tests/hosts.graph.txt"));
    assert_eq!(
        pretty(&inventory.host_json("alpha.example.com").unwrap()),
        "{\n    \"all_only\": 1,\n    \"ansible_port\": 2222,\n    \"who\": \"gvall\",\n    \"who_file\": \"all\"\n}"
    );
}

#[test]
fn yaml_as_ansible_reads_it() {
    let folder = Folder::new(&[("tree.yml", TREE), ("tree", TREE)]);
    let inventory = folder.load(&["tree.yml"]).unwrap();
    same_json(&inventory.list().unwrap(), include_str!("tests/tree.list.json"));
    // Without an ending it is told from INI by its text.
    assert_eq!(folder.load(&["tree"]).unwrap().list().unwrap(), inventory.list().unwrap());
}

#[test]
fn a_folder_of_inventories() {
    let folder = Folder::new(&[
        ("dir/10-tree.yml", TREE),
        ("dir/20-more", "[extra]\ns2 q=1\nzed\n"),
        ("dir/30.md", "junk"),
        ("dir/40.cfg", "junk ["),
        ("dir/50.ini", "[ini]\ni1\n"),
        ("dir/.hidden", "junk ["),
        ("dir/host_vars/zed.yml", "dv: 1\n"),
        ("dir/sub/inner", "deep\n"),
    ]);
    let inventory = folder.load(&["dir"]).unwrap();
    let text = inventory.graph("all", false).unwrap();
    assert!(text.contains("  |--@extra:\n  |  |--s2\n  |  |--zed\n  |--@ini:\n  |  |--i1\n"), "{text}");
    assert!(text.contains("  |  |--deep\n"), "{text}");
    assert_eq!(inventory.host_json("zed").unwrap(), serde_json::json!({"dv": 1, "v": "all"}));
    assert_eq!(inventory.host_json("s2").unwrap(), serde_json::json!({"q": 1, "v": "sea"}));
}

#[test]
fn several_sources_are_merged_in_order() {
    let folder = Folder::new(&[
        ("a/hosts", "[web]\nw1 x=1 y=1\n"),
        ("b/hosts", "[web]\nw1:2200 x=2\nw2\n"),
        ("a/group_vars/web.yml", "g: a\n"),
        ("b/group_vars/web.yml", "g: b\n"),
    ]);
    let inventory = folder.load(&["a/hosts", "b/hosts", "x1,"]).unwrap();
    assert_eq!(inventory.hosts(), ["x1", "w1", "w2"]);
    assert_eq!(inventory.host_json("w1").unwrap(), serde_json::json!({"g": "b", "x": 2, "y": 1}));
    assert_eq!(inventory.magic(&"w2".into())["inventory_file"].to_string(), folder.path("b/hosts"));
    assert_eq!(inventory.magic(&"w2".into())["inventory_dir"].to_string(), folder.path("b"));
    assert_eq!(inventory.magic(&"x1".into())["inventory_file"].to_string(), "x1,");
    assert_eq!(inventory.magic(&"x1".into())["inventory_dir"], Value::Null);
}

#[test]
fn programs() {
    let folder = Folder::new(&[
        (
            "full.sh",
            "#!/bin/sh\nif [ \"$1\" = --list ]; then echo '{\"g1\": {\"hosts\": [\"h1\",\"h2\"], \"vars\": {\"a\": 1.0, \"b\": \"{{ x }}\"}, \"children\": [\"g2\"]}, \"g2\": [\"h3\"], \"_meta\": {\"hostvars\": {\"h1\": {\"z\": null}}}}'; else exit 9; fi\n",
        ),
        (
            "bare.sh",
            "#!/bin/sh\nif [ \"$1\" = --list ]; then echo '{\"g1\": {\"hosts\": [\"h1\",\"h2\"]}}'; else echo \"{\\\"me\\\": \\\"$2\\\"}\"; fi\n",
        ),
        ("fails.sh", "#!/bin/sh\necho cause >&2\nexit 3\n"),
        ("noise.sh", "#!/bin/sh\necho '{'\necho ' nope'\n"),
        ("wrong.sh", "#!/bin/sh\necho '{\"g\": {\"host\": []}}'\n"),
        ("file.sh", "[web]\nw1\n"),
    ]);
    let inventory = folder.load(&["full.sh"]).unwrap();
    assert_eq!(
        inventory.list().unwrap()["_meta"]["hostvars"],
        serde_json::json!({"h1": {"a": 1.0, "b": "{{ x }}", "z": null}, "h2": {"a": 1.0, "b": "{{ x }}"}, "h3": {"a": 1.0, "b": "{{ x }}"}})
    );
    assert_eq!(inventory.graph("g1", false).unwrap(), "@g1:\n  |--@g2:\n  |  |--h3\n  |--h1\n  |--h2\n");
    assert_eq!(folder.load(&["bare.sh"]).unwrap().host_json("h2").unwrap(), serde_json::json!({"me": "h2"}));
    assert_eq!(folder.load(&["file.sh"]).unwrap().hosts(), ["w1"], "executable, but no program");
    assert!(
        folder.problems("fails.sh")[0].contains("failed: exit status: 3: cause"),
        "{:?}",
        folder.problems("fails.sh")
    );
    assert!(
        folder.problems("noise.sh")[0]
            .starts_with("noise.sh --list:2:2: error: the inventory program `noise.sh`: its output is no JSON")
    );
    assert!(folder.problems("wrong.sh")[0].contains("has none of `hosts`, `vars` and `children`"));
}

#[test]
fn patterns_choose_what_ansible_chooses() {
    let (folder, inventory) = hosts();
    let select = |pattern: &str, limit: Option<&str>| {
        let found = inventory.select(pattern, limit).unwrap_or_else(|d| panic!("{pattern}: {d}"));
        found.iter().map(HostName::as_str).collect::<Vec<_>>().join(" ")
    };
    let web = "web01 web03 web05 db-a.x db-b.x db-c.x v6 2001:db8::5";
    let all = format!("lone alpha.example.com {web} lone2");
    for (pattern, chosen) in [
        ("all", all.as_str()),
        ("*", &all),
        ("web", web),
        ("web:db", &format!("{web} lone2")),
        ("web,db", &format!("{web} lone2")),
        ("db:web", "db-a.x lone2 web01 web03 web05 db-b.x db-c.x v6 2001:db8::5"),
        ("web:&db", "db-a.x"),
        ("&db:web", "db-a.x"),
        ("web:!db", "web01 web03 web05 db-b.x db-c.x v6 2001:db8::5"),
        ("!db", "lone alpha.example.com web01 web03 web05 db-b.x db-c.x v6 2001:db8::5"),
        ("prod", &format!("{web} lone2")),
        ("prod:!web:&all", "lone2"),
        ("web*", web),
        ("web*:!web0?", "db-a.x db-b.x db-c.x v6 2001:db8::5"),
        ("*.x", "db-a.x db-b.x db-c.x"),
        ("db-?.x", "db-a.x db-b.x db-c.x"),
        ("db-[ab].x", "db-a.x db-b.x"),
        ("~web", web),
        (r"~(web|lone)\d*", &format!("{web} lone lone2")),
        ("web[0]", "web01"),
        ("web[-1]", "2001:db8::5"),
        ("web[0:0]", "web01"),
        ("web[1:2]", "web03 web05"),
        ("web[5:]", "db-c.x v6 2001:db8::5"),
        ("web[20]", ""),
        ("ungrouped", "lone alpha.example.com"),
        ("all:!ungrouped", &format!("{web} lone2")),
        ("lone2:lone", "lone2 lone"),
        ("2001:db8::5", "2001:db8::5"),
        ("localhost", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("nope", ""),
        ("nope:web[0]", "web01"),
    ] {
        assert_eq!(select(pattern, None), chosen, "{pattern}");
    }

    std::fs::write(folder.path("lim"), "lone\n\nweb01\n").unwrap();
    let file = format!("@{}", folder.path("lim"));
    for (limit, chosen) in [
        ("web:!db", "web01 web03 web05 db-b.x db-c.x v6 2001:db8::5"),
        ("web[0]", "web01"),
        ("!web", "lone alpha.example.com lone2"),
        (file.as_str(), "lone web01"),
    ] {
        assert_eq!(select("all", Some(limit)), chosen, "{limit}");
    }
    assert_eq!(select("db", Some("web")), "db-a.x");
}

#[test]
fn a_limit_that_matches_nothing_is_an_error() {
    let (folder, inventory) = hosts();
    let said = |limit: &str| {
        let d = inventory.select("all", Some(limit)).unwrap_err();
        format!("{d} | {}", d.help.join(" | "))
    };
    assert_eq!(
        said("web1"),
        "--limit:1:1: error: `web1` in the limit is no host and no group of the inventory | did you mean `web`?"
    );
    assert_eq!(
        said("lone:!prd"),
        "--limit:1:1: error: `prd` in the limit is no host and no group of the inventory | did you mean `prod`?"
    );
    assert!(said("zzz*").contains("list what there is"));
    assert!(said(&format!("@{}", folder.path("missing"))).contains("there is no file"));
    assert!(said("~(").contains("is no regular expression"));
    let warned = inventory.unmatched("web:wbe:ungrouped", &Span::synthetic("site.yml", "x"));
    assert_eq!(warned.len(), 1);
    assert_eq!(warned[0].help, ["did you mean `web`?"]);
}

#[test]
fn layers_come_in_ansibles_order() {
    let mut files = vec![(
        "inv/hosts",
        "[web]\nw1 v=host\n[web:vars]\nv=web\n[top:children]\nweb\n[top:vars]\nv=top\n[all:vars]\nv=all\n",
    )];
    let texts: Vec<(String, String)> = ["inv", "play"]
        .iter()
        .flat_map(|base| {
            ["group_vars/all", "group_vars/web", "group_vars/top", "host_vars/w1", "host_vars/localhost"]
                .map(|at| (format!("{base}/{at}.yml"), format!("v: {base} {at}\n")))
        })
        .collect();
    files.extend(texts.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    let folder = Folder::new(&files);
    let context = LoadContext { playbook_dirs: vec![folder.path("play").into()], ..LoadContext::default() };
    let inventory = Inventory::load(&[folder.path("inv/hosts")], context).unwrap();
    let layers = |host: &str| {
        let layers = inventory.variables(&host.into()).unwrap();
        assert!(layers.is_sorted_by_key(|(kind, _)| *kind));
        layers
            .iter()
            .map(|(k, v)| format!("{k:?} {}", v.get("v").or(v.get("ansible_connection")).unwrap().as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        layers("w1"),
        [
            "InventoryAll all",
            "InventoryGroup top",
            "InventoryGroup web",
            "GroupVarsAll inv group_vars/all",
            "PlayGroupVarsAll play group_vars/all",
            "GroupVars inv group_vars/top",
            "GroupVars inv group_vars/web",
            "PlayGroupVars play group_vars/top",
            "PlayGroupVars play group_vars/web",
            "InventoryHost host",
            "HostVars inv host_vars/w1",
            "PlayHostVars play host_vars/w1",
        ]
    );
    assert_eq!(
        layers("localhost"),
        [
            "InventoryAll all",
            "GroupVarsAll inv group_vars/all",
            "PlayGroupVarsAll play group_vars/all",
            "InventoryHost local",
            "HostVars inv host_vars/localhost",
            "PlayHostVars play host_vars/localhost",
        ]
    );
    let (_, vars) = inventory.variables(&"w1".into()).unwrap().remove(2);
    assert_eq!(vars["v"].span.to_string(), format!("{}:4:3", folder.path("inv/hosts")));
    assert_eq!(vars["v"].text_offset(), Some(0));
}

#[test]
fn magic_variables() {
    let (folder, inventory) = hosts();
    let magic = inventory.magic(&"alpha.example.com".into());
    assert_eq!(magic["inventory_hostname_short"], Value::from("alpha"));
    assert_eq!(magic["group_names"].to_string(), "['ungrouped']");
    assert_eq!(magic["inventory_dir"].to_string(), folder.0.path().to_str().unwrap());
    assert_eq!(inventory.magic(&"db-a.x".into())["group_names"].to_string(), "['db', 'prod', 'web']");
    assert_eq!(inventory.magic(&"2001:db8::5".into())["inventory_hostname_short"], Value::from("2001:db8::5"));
    let local = inventory.magic(&"localhost".into());
    assert_eq!(local["group_names"].to_string(), "[]");
    assert!(!local.contains_key("inventory_dir"));
    assert_eq!(local["groups"].get("db").unwrap().to_string(), "['db-a.x', 'lone2']");
    assert_eq!(local["groups"].get("ungrouped").unwrap().to_string(), "['lone', 'alpha.example.com']");
}

#[test]
fn mistakes_in_ini_are_all_found() {
    let folder = Folder::new(&[(
        "hosts",
        "web[3:1]\nh1 key value=1\nh2 a='b\n[web:var]\nx=1\n[we b]\n[web]\nw1\n[prod:children]\nwbe\n[wbb:vars]\nnope\nx=1\n[a:children]\nb\n[b:children]\na\n",
    )]);
    assert_eq!(
        folder.problems("hosts"),
        [
            "hosts:1:1: error: the range [3:1] ends before it begins | see `web[01:10]`, `db-[a:c].example.org`, `[2001:db8::5]:22`",
            "hosts:2:4: error: `key` is no `name=value` | write `name=value` without blanks around `=`, and quote a value with blanks: name='a b'",
            "hosts:3:6: error: this quote is not closed | close it, or put a backslash before it if it is part of the value",
            "hosts:4:1: error: a group has no part `var` | did you mean [web:vars]?",
            "hosts:6:1: error: this is no section of an inventory | write [group], [group:children] or [group:vars], without blanks",
            "hosts:12:1: error: this is no `name = value` | a variable of a group is `name = value`",
            "hosts:17:1: error: the group `a` would contain itself through `b` | remove it from the children of one of the groups between",
            "hosts:10:1: error: the group `wbe` is not declared | did you mean `wbb`? | declare it with a line [wbe]",
            "hosts:11:1: error: variables for a group `wbb` that is not declared | did you mean `web`? | declare it with a line [wbb]",
        ]
    );
}

#[test]
fn mistakes_in_yaml_are_all_found() {
    let folder = Folder::new(&[
        (
            "hosts.yml",
            "all:\n  host:\n    a:\n  hosts:\n    - b\n  children:\n    g:\n      hosts:\n        c: 5\n        \"d[2:1]\": {}\n      vars: x\n    h: 3\n    all:\n",
        ),
        ("plugin.yml", "plugin: amazon.aws.aws_ec2\nregions: [a]\n"),
        ("list.yml", "- a\n"),
        ("x.toml", "[web]\n"),
    ]);
    assert_eq!(
        folder.problems("hosts.yml"),
        [
            "hosts.yml:2:3: error: unknown key `host` in the group `all` | did you mean `hosts`?",
            "hosts.yml:5:5: error: `hosts` of the group `all` is a mapping, and this is a list | write `name:` on a line for each, not `- name`",
            "hosts.yml:9:12: error: the variables of `c` are a mapping, and this is an integer | write them as `name: value` below the host",
            "hosts.yml:10:9: error: the range [2:1] ends before it begins | see `web[01:10]`, `db-[a:c].example.org`, `[2001:db8::5]:22`",
            "hosts.yml:11:13: error: `vars` of the group `g` is a mapping, and this is a string | write `name:` on a line for each",
            "hosts.yml:12:8: error: the group `h` is a mapping, and this is an integer | put `hosts:`, `children:` or `vars:` below it",
            "hosts.yml:13:5: error: the group `all` would contain itself through `all` | remove it from the children of one of the groups between",
        ]
    );
    assert!(
        folder.problems("plugin.yml")[0]
            .starts_with("plugin.yml:1:1: error: inventory plugins are not supported | give an executable")
    );
    assert!(folder.problems("list.yml")[0].contains("an inventory is a mapping of groups, and this is a list"));
    assert!(folder.problems("x.toml")[0].contains("TOML"));
    assert!(folder.problems("missing")[0].starts_with("error: there is no inventory `missing` | give a file"));
}

#[test]
fn mistakes_in_files_of_variables() {
    let folder = Folder::new(&[
        ("hosts", "w1\n"),
        ("group_vars/all.yml", "- a\n"),
        ("host_vars/w1.yml", "a: 1\na: 2\n"),
        ("host_vars/w2.yml", "a: [\n"),
    ]);
    assert_eq!(
        folder.problems("hosts"),
        [
            "group_vars/all.yml:1:1: error: a file of variables is a mapping, and this is a list | write `name: value` lines",
            "host_vars/w1.yml:2:1: error: `a` is given twice in this mapping | keep one of them; the first is in line 1",
        ]
    );
}

struct Rot;

impl Decrypt for Rot {
    fn decrypt(&self, armored: &str) -> Result<String, String> {
        armored
            .split_once('\n')
            .map(|(_, text)| text.to_owned())
            .filter(|text| !text.contains("other"))
            .ok_or("wrong password".to_owned())
    }
}

#[test]
fn encrypted_files_matter_only_to_their_hosts() {
    let folder = Folder::new(&[
        ("hosts", "[a]\nh1\n[b]\nh2\n"),
        ("group_vars/a.yml", "$ANSIBLE_VAULT;1.1;AES256\nsecret: 1\n"),
        ("group_vars/b.yml", "$ANSIBLE_VAULT;1.1;AES256\nother: 1\n"),
    ]);
    let context = LoadContext { decrypt: Arc::new(Rot), playbook_dirs: Vec::new() };
    let inventory = Inventory::load(&[folder.path("hosts")], context).unwrap();
    assert_eq!(inventory.variables(&"h1".into()).unwrap()[0].1["secret"].kind, Kind::Int(1));
    let locked = inventory.variables(&"h2".into()).unwrap_err();
    assert!(locked.message.ends_with("group_vars/b.yml`: wrong password"), "{locked}");
    assert!(locked.help[0].contains("--vault-password-file"));
    assert!(folder.load(&["hosts"]).unwrap().variables(&"h1".into()).is_err(), "no password was given");
}

#[test]
fn hosts_and_groups_can_come_later() {
    let folder =
        Folder::new(&[("hosts", "[web]\nw1\n"), ("group_vars/late.yml", "g: 1\n"), ("host_vars/w9.yml", "h: 1\n")]);
    let mut inventory = folder.load(&["hosts"]).unwrap();
    let node = Arc::new(Node::string("x", Span::synthetic("task", "x")));
    inventory.add_host(&"w9".into(), &["late".into(), "web".into()], Vars::from_iter([("v".into(), node)])).unwrap();
    assert_eq!(inventory.host_json("w9").unwrap(), serde_json::json!({"g": 1, "h": 1, "v": "x"}));
    assert_eq!(inventory.groups_value().get("late").unwrap().to_string(), "['w9']");
    inventory.add_host(&"w1".into(), &["late".into()], Vars::new()).unwrap();
    assert_eq!(inventory.hosts_of("late").unwrap(), ["w9", "w1"]);
    inventory.add_child(&"top".into(), &"late".into()).unwrap();
    assert_eq!(inventory.groups_of(&"w1".into()), ["top", "web", "late"]);
    assert!(inventory.add_child(&"late".into(), &"top".into()).is_err());
    assert_eq!(inventory.hosts_of("ungrouped").unwrap(), Vec::<HostName>::new());
}

#[test]
fn names_of_hosts_are_no_paths() {
    let folder = Folder::new(&[("inv/hosts", "../../secret\n"), ("secret.yml", "leaked: 1\n")]);
    let inventory = folder.load(&["inv/hosts"]).unwrap();
    assert_eq!(inventory.host_json("../../secret").unwrap(), serde_json::json!({}));
}

#[test]
fn without_an_inventory_there_is_localhost() {
    let inventory = Inventory::load(&[], LoadContext::default()).unwrap();
    assert_eq!(inventory.hosts(), Vec::<HostName>::new());
    assert_eq!(inventory.select("localhost", None).unwrap(), ["localhost"]);
    assert_eq!(inventory.host_json("localhost").unwrap(), serde_json::json!({"ansible_connection": "local"}));
    let problem = inventory.host_json("nope").unwrap_err();
    assert_eq!(problem.message, "the inventory has no host `nope`");
}

#[test]
fn a_name_for_two_things_is_warned_of() {
    let folder = Folder::new(&[("hosts", "[web]\nweb\n")]);
    let inventory = folder.load(&["hosts"]).unwrap();
    assert_eq!(inventory.warnings()[0].message, "`web` is both a host and a group");
}

#[test]
fn graph_with_variables() {
    let folder = Folder::new(&[("hosts", "[web]\nw1 x=1 y='a b'\n[web:vars]\nz=[1, 'q']\n")]);
    let inventory = folder.load(&["hosts"]).unwrap();
    assert_eq!(
        inventory.graph("web", true).unwrap(),
        "@web:\n  |--w1\n  |  |--{x = 1}\n  |  |--{y = a b}\n  |  |--{z = [1, 'q']}\n  |--{z = [1, 'q']}\n"
    );
    assert!(inventory.graph("wbe", false).unwrap_err().help[0].contains("`web`"));
}

proptest::proptest! {
    /// Whatever the text is: an inventory, or findings inside the file.
    #[test]
    fn no_text_makes_it_fall_over(
        text in r#"([a-z0-9\[\]:=,'"\\#; .\-{}()_+*!&~?é@\n]{1,4}|\[[a-z:]{1,9}\]\n|all:\n| hosts:\n){0,30}"#,
        pattern in r"[a-z0-9\[\]:,!&~*?.\-]{0,12}",
    ) {
        let folder = Folder::new(&[("hosts", text.as_str())]);
        match folder.load(&["hosts"]) {
            Ok(inventory) => {
                let _ = inventory.select(&pattern, None);
                let _ = inventory.select("all", Some(&pattern));
                inventory.list().unwrap();
            }
            Err(found) => {
                for diagnostic in found {
                    crate::source::render(&diagnostic, crate::source::RenderOptions::default());
                }
            }
        }
    }
}
