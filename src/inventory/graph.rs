//! The inventory as text and JSON, as `ansible-inventory` prints it.

use super::data::ALL;
use super::{GroupName, HostName, Inventory};
use crate::source::{Diagnostic, Kind, Node};
use crate::values::Value;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::fmt::Write;

impl Inventory {
    /// What `--list` prints: groups with hosts and children, and every host's variables under `_meta`.
    ///
    /// # Errors
    /// A file of variables that can't be decrypted.
    pub fn list(&self) -> Result<Json, Diagnostic> {
        let mut out: BTreeMap<String, Json> = BTreeMap::new();
        let mut hostvars: BTreeMap<String, Json> = BTreeMap::new();
        for host in self.data.members(&ALL.into()) {
            let vars = self.flat(&host)?;
            if !vars.is_empty() {
                hostvars.insert(host.to_string(), Json::Object(vars));
            }
        }
        out.insert("_meta".to_owned(), json!({ "hostvars": hostvars, "profile": "inventory_legacy" }));
        for (name, group) in &self.data.groups {
            let mut about = Map::new();
            if !group.children.is_empty() {
                about.insert("children".to_owned(), json!(names(&group.children)));
            }
            if !group.hosts.is_empty() && *name != ALL {
                about.insert("hosts".to_owned(), json!(names(&group.hosts)));
            }
            if !about.is_empty() {
                out.insert(name.to_string(), Json::Object(about));
            }
        }
        Ok(json!(out))
    }

    /// What `--host` prints: the variables of one host, not rendered.
    ///
    /// # Errors
    /// There is no such host, or a file of variables can't be decrypted.
    pub fn host_json(&self, host: &str) -> Result<Json, Diagnostic> {
        match self.find(host) {
            Some(host) => Ok(Json::Object(self.flat(&host)?)),
            None => Err(self.no_such_host(host)),
        }
    }

    /// What `--graph` prints: the tree of groups and hosts below `group`, perhaps with the variables of hosts and groups.
    ///
    /// # Errors
    /// There is no such group, or a file of variables can't be decrypted.
    pub fn graph(&self, group: &str, with_vars: bool) -> Result<String, Diagnostic> {
        let name: GroupName = group.into();
        if !self.data.groups.contains_key(&name) {
            return Err(self.no_such_group(group));
        }
        let mut out = String::new();
        self.branch(&name, 0, with_vars, &mut out)?;
        Ok(out)
    }

    fn branch(&self, name: &GroupName, depth: usize, with_vars: bool, out: &mut String) -> Result<(), Diagnostic> {
        leaf(out, &format!("@{name}:"), depth);
        let Some(group) = self.data.groups.get(name) else { return Ok(()) };
        for child in &group.children {
            self.branch(child, depth + 1, with_vars, out)?;
        }
        if *name != ALL {
            for host in &group.hosts {
                leaf(out, host.as_str(), depth + 1);
                if with_vars {
                    vars(out, &self.flat(host)?, depth + 2);
                }
            }
        }
        if with_vars {
            let mut own = Map::new();
            for (_, layer) in self.group_layers(name)? {
                own.extend(layer.iter().map(|(k, v)| (k.to_string(), to_json(v))));
            }
            vars(out, &sorted(own), depth + 1);
        }
        Ok(())
    }

    /// All variables of a host in one sorted mapping, templates as text.
    fn flat(&self, host: &HostName) -> Result<Map<String, Json>, Diagnostic> {
        let mut all = Map::new();
        for (_, layer) in self.variables(host)? {
            all.extend(layer.iter().map(|(name, node)| (name.to_string(), to_json(node))));
        }
        Ok(sorted(all))
    }
}

fn sorted(map: Map<String, Json>) -> Map<String, Json> {
    map.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect()
}

fn names<N: AsRef<str>>(all: impl IntoIterator<Item = N>) -> Vec<String> {
    all.into_iter().map(|n| n.as_ref().to_owned()).collect()
}

fn leaf(out: &mut String, text: &str, depth: usize) {
    if depth > 0 {
        out.push_str(&"  |".repeat(depth));
        out.push_str("--");
    }
    out.push_str(text);
    out.push('\n');
}

fn vars(out: &mut String, vars: &Map<String, Json>, depth: usize) {
    for (name, value) in vars {
        let value = serde_json::from_value::<Value>(value.clone()).unwrap_or_default();
        let mut text = String::new();
        let _ = write!(text, "{{{name} = {value}}}");
        leaf(out, &text, depth);
    }
}

/// A node as JSON; an encrypted string stays encrypted, in the form that Ansible gives it.
fn to_json(node: &Node) -> Json {
    match &node.kind {
        Kind::Str(text) if node.tag.as_deref() == Some("vault") => json!({ "__ansible_vault": &**text }),
        Kind::List(items) => Json::Array(items.iter().map(to_json).collect()),
        Kind::Map(entries) => {
            let map: BTreeMap<&str, Json> = entries.iter().map(|e| (&*e.key, to_json(&e.value))).collect();
            json!(map)
        }
        _ => json!(Value::from(node)),
    }
}

/// JSON text indented by four, as Ansible prints it.
pub fn pretty(json: &Json) -> String {
    use serde::Serialize;
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    // Writing to memory cannot fail, and keys are strings.
    let _ = json.serialize(&mut serializer);
    String::from_utf8(out).unwrap_or_default()
}
