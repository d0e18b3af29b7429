use crate::host::{Output, PathKind};
use crate::modules::command::argv_of;
use crate::modules::testing::Fake;
use crate::values::Value;
use serde_json::json;

fn host(newer: &'static str) -> Fake {
    Fake::new().dir("/srv", 0o755).probe(move |_| Some(Output::ok(newer))).on_run(|run, files| {
        let words = argv_of(run);
        let path = if words[1] == "yes" { format!("{}/{}", words[0], words[2]) } else { words[0].clone() };
        let same = files.text(&path).as_deref() == Some("abc");
        files.put(&path, "abc", u32::from_str_radix(&words[6], 8).ok()?);
        let changed = if same { "no" } else { "yes" };
        Some(Output::ok(&format!("status=200\nchanged={changed}\nsha1=a9\nsize=3\ndest={path}\n")))
    })
}

const SUM: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[test]
fn with_a_checksum_it_is_fetched_once() {
    let mut host = host("");
    let args = json!({"url": "https://h/x.tgz", "dest": "/srv/x", "checksum": SUM, "mode": "0600"});
    let result = host.converge("get_url", args.clone()).result;
    assert!(result.changed);
    assert_eq!(result.data["status_code"], Value::from(200));
    assert_eq!(host.state("/srv/x").mode, 0o600);
    host.settled("get_url", args);
    let decision = host.converge(
        "get_url",
        json!({"url": "https://h/x.tgz", "dest": "/srv/x", "checksum": SUM,
        "mode": "0640"}),
    );
    assert!(decision.result.changed && host.ran().len() == 1, "only the mode was changed");
}

#[test]
fn without_one_the_server_is_asked_what_is_newer() {
    let args = json!({"url": "https://h/x.tgz", "dest": "/srv/x"});
    host("304").file("/srv/x", "abc", 0o644).settled("get_url", args.clone());
    let mut unsure = host("200").file("/srv/x", "abc", 0o644);
    assert!(!unsure.converge("get_url", args.clone()).result.changed);
    assert_eq!(argv_of(&unsure.ran()[0])[3], "yes");
    let mut forced = host("304").file("/srv/x", "old", 0o644);
    let mut all = args;
    all["force"] = json!(true);
    assert!(forced.converge("get_url", all).result.changed);
    assert_eq!(argv_of(&forced.ran()[0])[3], "no");
}

#[test]
fn into_a_folder_it_has_its_own_name() {
    let mut host = host("");
    let result = host.converge("get_url", json!({"url": "https://h/a/x.tgz?y", "dest": "/srv"})).result;
    assert_eq!(result.data["dest"], Value::from("/srv/x.tgz"));
    assert_eq!(host.state("/srv/x.tgz").kind, PathKind::File);
}

#[test]
fn secrets_stay_out_of_arguments() {
    let mut host = host("");
    let args = json!({"url": "https://u:hush@h/x", "dest": "/srv/x", "url_username": "me", "url_password": "hush2"});
    let decision = host.converge("get_url", args);
    assert!(!argv_of(&host.ran()[0]).iter().any(|w| w.contains("hush")));
    assert!(!decision.actions[0].shows.contains("hush"));
    assert!(!decision.result.data["url"].to_string().contains("hush"));
}

#[test]
fn failures_are_told() {
    let mut down = Fake::new()
        .dir("/srv", 0o755)
        .probe(|_| Some(Output::ok("")))
        .on_run(|_, _| Some(Output { stdout: "status=404\n".as_bytes().into(), ..Output::failed(1, "status 404\n") }));
    assert!(down.fails("get_url", json!({"url": "http://h/x", "dest": "/srv/x"})).contains("404"));
    for (args, what) in [
        (json!({"url": "http://h/x", "dest": "/no/x"}), "does not exist"),
        (json!({"url": "http://h/x", "dest": "/srv/y/"}), "does not exist"),
        (json!({"url": "x", "dest": "/srv/x"}), "must begin with"),
        (json!({"url": "http://h/x", "dest": "/srv/x", "checksum": "abc"}), "ALGORITHM"),
        (json!({"url": "http://h/x", "dest": "/srv/x", "checksum": "sha3:ab"}), "one of md5"),
    ] {
        let message = down.fails("get_url", args);
        assert!(message.contains(what), "{message}");
    }
}
