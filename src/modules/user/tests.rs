#![allow(clippy::unwrap_used)]
use crate::host::action::{Command, Content, Stdin};
use crate::host::{Output, Run};
use crate::modules::testing::Fake;
use serde_json::json;

fn words(run: &Run) -> Vec<String> {
    match &run.command {
        Command::Argv(words) => words.clone(),
        Command::Shell { args, .. } => args.clone(),
    }
}

/// A host whose account files are what `passwd` says, and whose other answers are `details`.
fn host(passwd: &'static str, details: &'static str) -> Fake {
    Fake::new()
        .dir("/home", 0o755)
        .dir("/home/deploy", 0o755)
        .probe(move |probe| {
            if probe.script.contains("=member") {
                return Some(Output::ok(&format!("{details}=default HOME=/home\n=default SHELL=/bin/sh\n")));
            }
            if probe.args.first().is_some_and(|a| a == "passwd") {
                let line = passwd.lines().find(|l| l.starts_with(&format!("{}:", probe.args[1])));
                return Some(Output::ok(&line.map(|l| format!("{l}\n")).unwrap_or_default()));
            }
            if probe.args.first().is_some_and(|a| a == "group") {
                let known = [("sudo", "sudo:x:27:"), ("www-data", "www-data:x:33:"), ("adm", "adm:x:4:")];
                return Some(Output::ok(known.iter().find(|k| k.0 == probe.args[1]).map_or("", |k| k.1)));
            }
            None
        })
        .on_run(|_, _| Some(Output::ok("")))
}

const DEPLOY: &str = "deploy:x:1001:1001:Deploy:/home/deploy:/bin/bash\n";
const DETAILS: &str = "=member sudo 27\n=shadow open same 19000:0:99999:7:::\n";

#[test]
fn a_new_account() {
    let mut host = host("", "");
    let decision = host.converge(
        "user",
        json!({"name": "deploy", "uid": 1500, "groups": "sudo,www-data", "shell": "/bin/bash", "password": "$6$salt$hash", "comment": "$(reboot) it's"}),
    );
    assert_eq!(host.rounds(), 2);
    assert_eq!(
        words(&host.ran()[0]),
        ["useradd", "-u", "1500", "-G", "sudo,www-data", "-c", "$(reboot) it's", "-s", "/bin/bash", "-m", "deploy"]
    );
    assert_eq!(words(&host.ran()[1]), ["chpasswd", "-e"]);
    assert_eq!(host.ran()[1].stdin, Stdin::Content(Content::text("deploy:$6$salt$hash\n")));
    assert_eq!(decision.result.data["home"].to_string(), "/home/deploy");
    assert_eq!(decision.result.data["password"].to_string(), "NOT_LOGGING_PASSWORD");
    assert!(!format!("{:?}", decision.actions.iter().map(|a| &a.shows).collect::<Vec<_>>()).contains("salt"));
    assert_eq!(decision.actions[0].predicts.len(), 2);
}

#[test]
fn a_system_account_without_a_home() {
    let mut host = host("", "");
    host.converge(
        "user",
        json!({"name": "app", "system": true, "create_home": false, "group": "www-data", "home": "/srv/app"}),
    );
    assert_eq!(words(&host.ran()[0]), ["useradd", "-g", "www-data", "-d", "/srv/app", "-r", "-M", "app"]);
    assert!(host.fails("user", json!({"name": "app", "group": "nonesuch"})).contains("Group nonesuch does not exist"));
    assert!(host.fails("user", json!({"name": "a:b"})).contains("no login name"));
}

#[test]
fn what_is_as_asked_is_left_alone() {
    let mut host = host(DEPLOY, DETAILS);
    host.settled("user", json!({"name": "deploy", "uid": 1001, "groups": ["sudo"], "password": "x", "shell": "/bin/bash", "password_lock": false, "password_expire_max": 99999, "expires": -1}));
    host.settled("user", json!({"name": "deploy", "groups": ["sudo"], "append": true}));
    host.settled("user", json!({"name": "other", "state": "absent"}));
}

#[test]
fn only_what_differs_is_changed() {
    let mut host = host(DEPLOY, DETAILS);
    let decision = host.converge(
        "user",
        json!({"name": "deploy", "comment": "New", "shell": "/bin/sh", "groups": ["adm"], "append": true, "expires": 1_700_000_000}),
    );
    assert_eq!(
        words(&host.ran()[0]),
        ["usermod", "-a", "-G", "adm", "-c", "New", "-s", "/bin/sh", "-e", "2023-11-14", "deploy"]
    );
    assert!(decision.result.changed);
    host.converge("user", json!({"name": "deploy", "groups": []}));
    assert_eq!(words(&host.ran()[1]), ["usermod", "-G", "", "deploy"]);
    host.converge("user", json!({"name": "deploy", "home": "/srv/deploy", "move_home": true}));
    assert_eq!(words(&host.ran()[2]), ["usermod", "-d", "/srv/deploy", "-m", "deploy"]);
    host.converge("user", json!({"name": "deploy", "password_lock": true, "password_expire_max": 90}));
    assert_eq!(words(&host.ran()[3]), ["usermod", "-L", "deploy"]);
    assert_eq!(words(&host.ran()[4]), ["chage", "-M", "90", "deploy"]);
}

#[test]
fn passwords_are_compared_on_the_host() {
    let mut host = host(DEPLOY, "=shadow open other 19000:0:99999:7:::\n");
    host.settled("user", json!({"name": "deploy", "password": "$6$a$b", "update_password": "on_create"}));
    host.converge("user", json!({"name": "deploy", "password": "$6$a$b"}));
    assert_eq!(words(&host.ran()[0]), ["chpasswd", "-e"]);
    let decision = host.converge("user", json!({"name": "deploy", "password": "clear"}));
    assert!(decision.result.data["warnings"].to_string().contains("does not look like a hash"));
    let mut blind = self::host(DEPLOY, "");
    assert!(blind.fails("user", json!({"name": "deploy", "password": "$6$a$b"})).contains("become"));
}

#[test]
fn a_missing_home_is_made() {
    let mut host = host("app:x:1002:1002::/srv/app:/bin/sh\n", "");
    let decision = host.converge("user", json!({"name": "app"}));
    assert!(decision.result.changed);
    assert_eq!(words(&host.ran()[0]), ["/srv/app", "/etc/skel", "", "1002", "1002"]);
    host.settled("user", json!({"name": "app", "create_home": false}));
}

#[test]
fn removal() {
    let mut host = host(DEPLOY, DETAILS);
    let decision = host.converge("user", json!({"name": "deploy", "state": "absent", "remove": true}));
    assert_eq!(words(&host.ran()[0]), ["userdel", "-r", "deploy"]);
    assert_eq!(decision.result.data["remove"].to_string(), "True");
}

#[test]
fn keys_are_made_once_and_passphrases_stay_hidden() {
    let made = std::rc::Rc::new(std::cell::Cell::new(false));
    let seen = made.clone();
    let mut host = Fake::new()
        .probe(move |p| {
            p.script.contains("=there").then(|| {
                Output::ok(if seen.get() { "=there\n=fingerprint 256 SHA256:x\n=public ssh-ed25519 AAA\n" } else { "" })
            })
        })
        .on_run(move |run, _| {
            assert_eq!(run.env, [("WINDLASS_PASSPHRASE".to_owned(), "secret".to_owned())]);
            assert!(!words(run).contains(&"secret".to_owned()));
            made.set(true);
            Some(Output::ok(""))
        })
        .dir("/home/deploy", 0o755)
        .probe(|p| {
            Some(Output::ok(match (p.script.contains("=member"), p.args[0].as_str()) {
                (true, _) => DETAILS,
                (_, "passwd") => DEPLOY,
                _ => "",
            }))
        });
    let args =
        json!({"name": "deploy", "generate_ssh_key": true, "ssh_key_type": "ed25519", "ssh_key_passphrase": "secret"});
    let decision = host.converge("user", args.clone());
    assert!(decision.result.changed);
    assert_eq!(decision.result.data["ssh_public_key"].to_string(), "ssh-ed25519 AAA");
    assert_eq!(decision.result.data["ssh_key_file"].to_string(), "/home/deploy/.ssh/id_ed25519");
    host.settled("user", args);
}
