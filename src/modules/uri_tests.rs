#![allow(clippy::unwrap_used)]
use crate::host::{Content, Output};
use crate::modules::command::argv_of;
use crate::modules::testing::Fake;
use crate::values::Value;
use serde_json::json;

fn host(said: &str, headers: &str, content: &str) -> Fake {
    let out = format!("{said}headers={}\n\n{headers}{content}", headers.len());
    Fake::new().dir("/srv", 0o755).source("up.bin", "data").on_run(move |_, _| Some(Output::ok(&out)))
}

fn fine() -> Fake {
    let headers = "HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n\
        X-Run-Id: 7\r\nStatus: evil\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2\r\n\r\n";
    host("curl=0\nstatus=200\nredirects=1\nurl=http://h/b\n", headers, "{\"a\": [1, null]}")
}

fn attached(host: &Fake, name: &str) -> String {
    let run = host.ran().last().unwrap();
    match &run.attach.iter().find(|(n, _)| n == name).unwrap().1 {
        Content::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        Content::File(source) => format!("file {}", source.path.display()),
    }
}

#[test]
fn an_answer_becomes_a_result() {
    let mut host = fine();
    let result = host.converge("uri", json!({"url": "http://h/a", "return_content": true})).result;
    assert!(!result.changed && !result.failed);
    for (name, value) in [
        ("status", Value::from(200)),
        ("redirected", true.into()),
        ("url", "http://h/b".into()),
        ("x_run_id", "7".into()),
        ("content", "{\"a\": [1, null]}".into()),
        ("cookies_string", "a=1; b=2".into()),
    ] {
        assert_eq!(result.data[name], value, "{name}");
    }
    assert_eq!(result.data["json"].to_string(), "{'a': [1, None]}");
    assert!(!result.data.contains_key("location"), "only the last answer counts");
}

#[test]
fn the_wrong_status_is_a_failure_with_its_fields() {
    let mut host = host("curl=0\nstatus=404\nredirects=0\nurl=http://h/\n", "HTTP/1.1 404 Not Found\r\n\r\n", "");
    let result = host.converge("uri", json!({"url": "http://h/"})).result;
    assert!(result.failed);
    assert_eq!(result.msg.as_deref(), Some("Status code was 404 and not [200]: HTTP Error 404: Not Found"));
    assert!(!host.converge("uri", json!({"url": "http://h/", "status_code": [200, 404]})).result.failed);
    assert!(!host.converge("uri", json!({"url": "http://h/", "status_code": "200,404"})).result.failed);
}

#[test]
fn no_answer_is_status_minus_one() {
    let mut host = host("curl=7\nstatus=000\nredirects=0\nurl=http://h/\nerror=curl: (7) refused \n", "", "");
    let result = host.converge("uri", json!({"url": "http://h/"})).result;
    assert!(result.failed);
    assert_eq!(result.data["status"], Value::from(-1));
    assert!(result.msg.unwrap().contains("(7) refused"));
}

#[test]
fn bodies_are_written_as_asked() {
    let mut host = fine();
    let mut send = |args: serde_json::Value| {
        let mut all = json!({"url": "http://h/", "method": "post"});
        all.as_object_mut().unwrap().extend(args.as_object().unwrap().clone());
        host.converge("uri", all);
        (attached(&host, "body"), attached(&host, "curl"))
    };
    let (body, config) = send(json!({"body": {"a": "é", "b": [1]}, "body_format": "json"}));
    assert_eq!(body, r#"{"a": "\u00e9", "b": [1]}"#);
    assert!(config.contains("header = \"Content-Type: application/json\"") && config.contains("request = \"POST\""));
    let (body, _) = send(json!({"body": {"a b": "x&y", "l": [1, 2]}, "body_format": "form-urlencoded"}));
    assert_eq!(body, "a+b=x%26y&l=1&l=2");
    let (body, config) =
        send(json!({"body": {"f": {"filename": "up.bin"}, "t": "x"}, "body_format": "form-multipart"}));
    assert!(body.contains("name=\"f\"; filename=\"up.bin\"") && body.contains("\r\n\r\ndata\r\n"));
    assert!(config.contains("multipart/form-data; boundary=windlass-"));
    assert_eq!(send(json!({"src": "up.bin"})).0, "file up.bin");
}

#[test]
fn secrets_stay_out_of_arguments() {
    let mut host = fine();
    let args = json!({"url": "http://h/", "password": "hush", "user": "me", "headers": {"Authorization": "hush"}});
    let decision = host.converge("uri", args);
    assert!(attached(&host, "curl").contains("hush"));
    assert!(!argv_of(&host.ran()[0]).iter().any(|w| w.contains("hush")));
    assert!(!decision.actions[0].shows.contains("hush"));
}

#[test]
fn it_is_left_out_and_told() {
    let mut host = fine().file("/srv/done", "", 0o644);
    host.settled("uri", json!({"url": "http://h/", "creates": "/srv/done"}));
    for (args, what) in [
        (json!({"url": "h"}), "must begin"),
        (json!({"url": "http://h/", "method": "GET /"}), "one word"),
        (json!({"url": "http://h/", "body": {"a": 1}}), "body_format"),
        (json!({"url": "http://h/", "body": "a", "src": "b"}), "exclude"),
        (json!({"url": "http://h/", "status_code": ["ok"]}), "integers"),
    ] {
        let message = host.fails("uri", args);
        assert!(message.contains(what), "{message}");
    }
}
