//! Random edits, each with what ansible-core 2.19 made of it (`testdata/edits.jsonl`: generated, one case a line).
#![allow(clippy::unwrap_used)]

use crate::modules::testing::Fake;
use serde_json::{Value, json};

#[test]
fn edits_come_out_as_ansible_makes_them() {
    let mut wrong = Vec::new();
    for line in include_str!("../testdata/edits.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| case[name].as_str().unwrap_or_default().to_owned();
        let mut host = Fake::new().dir("/etc", 0o755).file("/etc/f", &text("before"), 0o644);
        let mut args = case["args"].clone();
        args["path"] = json!("/etc/f");
        if case["failed"] == true {
            host.fails(&text("module"), args);
            continue;
        }
        let result = host.converge(&text("module"), args).result;
        let same = host.text("/etc/f") == text("after")
            && case["changed"] == result.changed
            // The one sentence that is worded otherwise.
            && (result.msg.as_deref() == case["msg"].as_str() || text("msg").starts_with("Pattern for before/after"));
        if !same {
            wrong.push(format!("{line}\n  here: {:?} {:?}", host.text("/etc/f"), result.msg));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
