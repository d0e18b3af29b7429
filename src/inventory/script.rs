//! Executable inventories: programs that print hosts as JSON.

use super::data::{Data, Origin};
use crate::source::{Diagnostic, Entry, Kind, Node, SourceFile, Span};
use serde_json::Value as Json;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Runs `path --list` and reads what it prints into `data`; everything that is wrong is added to `found`.
pub(super) fn read(path: &Path, name: &str, origin: &Origin, data: &mut Data, found: &mut Vec<Diagnostic>) {
    let result = run(path, name, &["--list"]).and_then(|(json, span)| {
        let Json::Object(groups) = json else {
            return Err(bad(name, "it prints no JSON object", &span));
        };
        Ok((groups, span))
    });
    let (groups, span) = match result {
        Ok(listed) => listed,
        Err(problem) => return found.push(problem),
    };
    let mut hostvars = None;
    let mut named = Vec::new();
    for (group, about) in &groups {
        if group == "_meta" {
            hostvars = about.get("hostvars").and_then(Json::as_object);
            continue;
        }
        if let Err(problem) = read_group(group, about, &span, origin, data, &mut named) {
            found.push(bad(name, &problem, &span));
        }
    }
    for (group, about) in &groups {
        for child in about.get("children").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str) {
            data.group(child);
            if data.adopt(group, child).is_err() {
                found.push(bad(name, &format!("its group `{child}` would contain itself through `{group}`"), &span));
            }
        }
    }
    for host in named {
        match hostvars {
            Some(all) => set_vars(data, &host, all.get(&host), &span),
            // Without `_meta`, the program is asked for each host.
            None => match run(path, name, &["--host", &host]) {
                Ok((vars, span)) => set_vars(data, &host, Some(&vars), &span),
                Err(problem) => return found.push(problem),
            },
        }
    }
}

fn set_vars(data: &mut Data, host: &str, vars: Option<&Json>, span: &Span) {
    for (name, value) in vars.and_then(Json::as_object).into_iter().flatten() {
        data.host(host, None, None).set(name, Arc::new(node(value, span)));
    }
}

/// One group: `{hosts, vars, children}`, or a list of hosts.
fn read_group(
    group: &str,
    about: &Json,
    span: &Span,
    origin: &Origin,
    data: &mut Data,
    named: &mut Vec<String>,
) -> Result<(), String> {
    data.group(group);
    let hosts = match about {
        Json::Array(_) => Some(about),
        Json::Object(about) => {
            if !["hosts", "vars", "children"].iter().any(|part| about.contains_key(*part)) && !about.is_empty() {
                return Err(format!("its group `{group}` has none of `hosts`, `vars` and `children`"));
            }
            match about.get("vars") {
                None | Some(Json::Null) => {}
                Some(Json::Object(vars)) => {
                    for (name, value) in vars {
                        data.group(group).set(name, Arc::new(node(value, span)));
                    }
                }
                Some(_) => return Err(format!("`vars` of its group `{group}` is no object")),
            }
            about.get("hosts")
        }
        Json::Null => None,
        _ => return Err(format!("its group `{group}` is neither an object nor a list")),
    };
    match hosts {
        None | Some(Json::Null) => Ok(()),
        Some(Json::Array(hosts)) => {
            for host in hosts {
                let Json::String(host) = host else {
                    return Err(format!("a host of its group `{group}` is no string"));
                };
                data.host(host, None, Some(origin));
                data.join(host, group);
                if !named.contains(host) {
                    named.push(host.clone());
                }
            }
            Ok(())
        }
        Some(_) => Err(format!("`hosts` of its group `{group}` is no list")),
    }
}

fn bad(name: &str, problem: &str, span: &Span) -> Diagnostic {
    Diagnostic::error("inventory-script", format!("the inventory program `{name}`: {problem}"), span).help(
        r#"with --list it prints {"group": {"hosts": ["name"], "vars": {}}, "_meta": {"hostvars": {"name": {}}}}"#,
    )
}

/// Runs the program; gives its JSON and a place that names the call.
fn run(path: &Path, name: &str, arguments: &[&str]) -> Result<(Json, Span), Diagnostic> {
    let call = format!("{name} {}", arguments.join(" "));
    let failed = |why: String| {
        Diagnostic::bare("inventory-script", format!("the inventory program `{name}` failed: {why}"))
            .help(format!("run it by hand: `{call}`"))
    };
    let output =
        Command::new(path).args(arguments).stdin(Stdio::null()).output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rfind(|line| !line.trim().is_empty()).map_or(String::new(), |line| format!(": {line}"));
        return Err(failed(format!("{}{last}", output.status)));
    }
    let text = String::from_utf8(output.stdout).map_err(|_| failed("its output is not UTF-8".to_owned()))?;
    let file = Arc::new(SourceFile { name: call.clone(), text });
    let start = Span { file: Arc::clone(&file), start: 0, end: 0, line: 1, column: 1 };
    if file.text.trim().is_empty() {
        return Ok((Json::Object(serde_json::Map::new()), start));
    }
    match serde_json::from_str(&file.text) {
        Ok(json) => Ok((json, start)),
        Err(error) => {
            let line =
                file.text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
            let at = start.within(line + error.column().saturating_sub(1), 1);
            Err(bad(name, &format!("its output is no JSON ({error})"), &at))
        }
    }
}

/// JSON as a node; strings may hold templates, as those of an inventory program do in Ansible.
fn node(json: &Json, span: &Span) -> Node {
    let kind = match json {
        Json::Null => Kind::Null,
        Json::Bool(b) => Kind::Bool(*b),
        Json::Number(n) => n.as_i64().map_or_else(|| Kind::Float(n.as_f64().unwrap_or(f64::NAN)), Kind::Int),
        Json::String(s) => Kind::Str(s.as_str().into()),
        Json::Array(items) => Kind::List(items.iter().map(|item| node(item, span)).collect()),
        Json::Object(entries) => Kind::Map(
            entries
                .iter()
                .map(|(key, value)| Entry {
                    key: key.as_str().into(),
                    key_span: span.clone(),
                    value: node(value, span),
                })
                .collect(),
        ),
    };
    Node::new(kind, span.clone())
}
