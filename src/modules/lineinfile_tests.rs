use crate::modules::testing::Fake;
use serde_json::{Value, json};

/// The text after the module ran on it; and that a second run changes nothing.
fn after(before: &str, args: &Value) -> String {
    let mut host = Fake::new().dir("/etc", 0o755).file("/etc/f", before, 0o644);
    let mut all = json!({"path": "/etc/f"});
    all.as_object_mut().into_iter().for_each(|all| all.extend(args.as_object().cloned().unwrap_or_default()));
    host.converge("lineinfile", all.clone());
    host.settled("lineinfile", all);
    host.text("/etc/f")
}

#[test]
fn a_line_is_added_once() {
    assert_eq!(after("a\n", &json!({"line": "b"})), "a\nb\n");
    assert_eq!(after("a", &json!({"line": "b"})), "a\nb\n");
    assert_eq!(after("", &json!({"line": "b"})), "b\n");
    assert_eq!(after("b\na\n", &json!({"line": "b"})), "b\na\n");
    assert_eq!(after("b\r\na\n", &json!({"line": "b"})), "b\na\n");
    assert_eq!(after("a\n", &json!({"line": "b", "insertbefore": "BOF"})), "b\na\n");
    assert_eq!(after("a\n", &json!({"line": "b", "insertafter": "BOF"})), "b\na\n");
}

#[test]
fn the_last_match_is_replaced_unless_the_first_is_asked_for() {
    let text = "x=1\ny=2\nx=3\n";
    assert_eq!(after(text, &json!({"regexp": "^x=", "line": "x=9"})), "x=1\ny=2\nx=9\n");
    assert_eq!(after(text, &json!({"regexp": "^x=", "line": "x=9", "firstmatch": true})), "x=9\ny=2\nx=3\n");
    assert_eq!(after(text, &json!({"search_string": "y=", "line": "y=9"})), "x=1\ny=9\nx=3\n");
    assert_eq!(after(text, &json!({"regexp": "^z=", "line": "z=9"})), "x=1\ny=2\nx=3\nz=9\n");
    assert_eq!(after(text, &json!({"regexp": "^x=\\d$", "line": "x=9"})), "x=1\ny=2\nx=9\n");
}

#[test]
fn a_new_line_goes_where_it_is_asked_for() {
    let text = "a1\nb\na2\nc\n";
    assert_eq!(after(text, &json!({"line": "x", "insertafter": "^a"})), "a1\nb\na2\nx\nc\n");
    assert_eq!(after(text, &json!({"line": "x", "insertafter": "^a", "firstmatch": true})), "a1\nx\nb\na2\nc\n");
    assert_eq!(after(text, &json!({"line": "x", "insertbefore": "^a"})), "a1\nb\nx\na2\nc\n");
    assert_eq!(after(text, &json!({"line": "x", "insertbefore": "^z"})), "a1\nb\na2\nc\nx\n");
    assert_eq!(after("a", &json!({"line": "x", "insertafter": "^a"})), "a\nx\n");
    assert_eq!(after(text, &json!({"line": "c", "insertafter": "^a"})), text);
}

#[test]
fn groups_fill_the_line() {
    let args = json!({"regexp": "^(\\s*)port=(\\d+)$", "line": "\\1port=\\g<2>0", "backrefs": true});
    let mut host = Fake::new().dir("/etc", 0o755).file("/etc/f", "  port=8\n", 0o644);
    let mut all = args.clone();
    all["path"] = json!("/etc/f");
    host.converge("lineinfile", all);
    assert_eq!(host.text("/etc/f"), "  port=80\n");
    let nothing = json!({"regexp": "^(zz)$", "line": "\\1", "backrefs": true});
    assert_eq!(after("a\n", &nothing), "a\n");
}

#[test]
fn lines_are_removed() {
    let text = "a\nb\nab\n";
    assert_eq!(after(text, &json!({"regexp": "a", "state": "absent"})), "b\n");
    assert_eq!(after(text, &json!({"line": "a", "state": "absent"})), "b\nab\n");
    assert_eq!(after(text, &json!({"search_string": "b", "state": "absent"})), "a\n");
    let mut host = Fake::new().dir("/etc", 0o755).file("/etc/f", text, 0o644);
    let decision = host.converge("lineinfile", json!({"path": "/etc/f", "regexp": "^a", "state": "absent"}));
    assert_eq!(decision.result.data["found"], crate::values::Value::from(2));
    assert_eq!(decision.result.msg.as_deref(), Some("2 line(s) removed"));
    host.settled("lineinfile", json!({"path": "/etc/none", "line": "a", "state": "absent"}));
}

#[test]
fn links_are_followed_and_attributes_set() {
    let mut host = Fake::new().dir("/etc", 0o755).file("/etc/real", "a\n", 0o600).link("/etc/l", "/etc/real");
    let decision = host.converge("lineinfile", json!({"path": "/etc/l", "line": "b", "mode": "0644", "backup": true}));
    assert_eq!(host.text("/etc/real"), "a\nb\n");
    assert_eq!(host.state("/etc/real").mode, 0o644);
    assert_eq!(decision.result.msg.as_deref(), Some("line added and ownership or permissions changed"));
    assert_eq!(host.text(&decision.result.data["backup"].to_string()), "a\n");
    assert_eq!(decision.result.diff[0].after, "a\nb\n");
    assert_eq!(host.rounds(), 1);
}

#[test]
fn a_file_is_made_only_when_asked() {
    let mut host = Fake::new();
    assert!(host.fails("lineinfile", json!({"path": "/etc/f", "line": "a"})).contains("does not exist"));
    host.converge("lineinfile", json!({"path": "/etc/f", "line": "a", "create": true}));
    assert_eq!(host.text("/etc/f"), "a\n");
}

#[test]
fn bad_arguments_are_told() {
    let mut host = Fake::new();
    let mut told = |args: Value, what: &str| {
        let message = host.fails("lineinfile", args);
        assert!(message.contains(what), "{message}");
    };
    told(json!({"path": "/f"}), "`line` is required");
    told(json!({"path": "/f", "state": "absent"}), "is required");
    told(json!({"path": "/f", "line": "a", "backrefs": true}), "needs `regexp`");
    told(json!({"path": "/f", "line": "a", "insertafter": "a", "insertbefore": "b"}), "exclude");
    told(json!({"path": "/f", "line": "a", "regexp": "a("}), "`a(`");
    told(json!({"path": "/", "line": "a"}), "folder");
}
