//! Inventories in Ansible's YAML form.

use super::data::{Data, Origin};
use super::range;
use crate::source::{Diagnostic, Entry, Kind, Node, suggest};
use std::sync::Arc;

/// Reads a document into `data`; everything that is wrong is added to `found`.
pub(super) fn read(root: &Node, origin: &Origin, data: &mut Data, found: &mut Vec<Diagnostic>) {
    let Some(groups) = root.as_map() else {
        found.push(
            Diagnostic::error(
                "bad-inventory",
                format!("an inventory is a mapping of groups, and this is {}", root.describe()),
                &root.span,
            )
            .help("begin with `all:` and put `hosts:`, `children:` and `vars:` below it"),
        );
        return;
    };
    if let Some(plugin) = groups.iter().find(|e| &*e.key == "plugin" && e.value.as_str().is_some()) {
        found.push(
            Diagnostic::error("inventory-plugin", "inventory plugins are not supported", &plugin.key_span).help(
                "give an executable that prints the hosts as JSON when called with --list, or a file with the hosts",
            ),
        );
        return;
    }
    let mut reader = Reader { origin, data, found };
    for group in groups {
        reader.group(group);
    }
}

struct Reader<'a> {
    origin: &'a Origin,
    data: &'a mut Data,
    found: &'a mut Vec<Diagnostic>,
}

const PARTS: [&str; 3] = ["hosts", "children", "vars"];

impl Reader<'_> {
    fn group(&mut self, entry: &Entry) {
        let name = &*entry.key;
        let parts = match &entry.value.kind {
            Kind::Null => &[][..],
            Kind::Map(parts) => parts,
            _ => {
                let message = format!("the group `{name}` is a mapping, and this is {}", entry.value.describe());
                self.found.push(
                    Diagnostic::error("bad-group", message, &entry.value.span)
                        .help("put `hosts:`, `children:` or `vars:` below it"),
                );
                return;
            }
        };
        self.data.group(name);
        for part in parts {
            match &*part.key {
                "vars" => {
                    for var in self.entries(part, name) {
                        self.data.group(name).set(&var.key, Arc::new(var.value.clone()));
                    }
                }
                "children" => {
                    for child in self.entries(part, name) {
                        self.group(&child);
                        if self.data.groups.contains_key(&*child.key) && self.data.adopt(name, &child.key).is_err() {
                            let message = format!("the group `{}` would contain itself through `{name}`", child.key);
                            self.found.push(
                                Diagnostic::error("group-cycle", message, &child.key_span)
                                    .help("remove it from the children of one of the groups between"),
                            );
                        }
                    }
                }
                "hosts" => {
                    for host in self.entries(part, name) {
                        self.host(&host, name);
                    }
                }
                other => {
                    let message = format!("unknown key `{other}` in the group `{name}`");
                    let help = match suggest(other, PARTS) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => "a group has `hosts`, `children` and `vars`; variables belong under `vars`".to_owned(),
                    };
                    self.found.push(Diagnostic::error("unknown-keyword", message, &part.key_span).help(help));
                }
            }
        }
    }

    /// The entries of a part; a single name counts as one without a value.
    fn entries(&mut self, part: &Entry, group: &str) -> Vec<Entry> {
        match &part.value.kind {
            Kind::Map(entries) => entries.clone(),
            Kind::Null => Vec::new(),
            Kind::Str(name) if &*part.key != "vars" => {
                let value = Node::new(Kind::Null, part.value.span.clone());
                vec![Entry { key: Arc::clone(name), key_span: part.value.span.clone(), value }]
            }
            _ => {
                let message = format!(
                    "`{}` of the group `{group}` is a mapping, and this is {}",
                    part.key,
                    part.value.describe()
                );
                let help = match part.value.kind {
                    Kind::List(_) => "write `name:` on a line for each, not `- name`",
                    _ => "write `name:` on a line for each",
                };
                self.found.push(Diagnostic::error("bad-group", message, &part.value.span).help(help));
                Vec::new()
            }
        }
    }

    fn host(&mut self, entry: &Entry, group: &str) {
        let (names, port) = match range::expand(&entry.key) {
            Ok(expanded) => expanded,
            Err(problem) => {
                self.found.push(
                    Diagnostic::error("bad-host", problem, &entry.key_span)
                        .help("see `web[01:10]`, `db-[a:c].example.org`, `[2001:db8::5]:22`"),
                );
                return;
            }
        };
        let vars = match &entry.value.kind {
            Kind::Null => &[][..],
            Kind::Map(vars) => vars,
            _ => {
                let message =
                    format!("the variables of `{}` are a mapping, and this is {}", entry.key, entry.value.describe());
                self.found.push(
                    Diagnostic::error("bad-host", message, &entry.value.span)
                        .help("write them as `name: value` below the host"),
                );
                return;
            }
        };
        let port = port.map(|port| (port, Node::new(Kind::Int(i64::from(port)), entry.key_span.clone())));
        for name in names {
            let host = self.data.host(&name, port.as_ref().map(|(p, n)| (*p, n)), Some(self.origin));
            for var in vars {
                host.set(&var.key, Arc::new(var.value.clone()));
            }
            self.data.join(&name, group);
        }
    }
}
