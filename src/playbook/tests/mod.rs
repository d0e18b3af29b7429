#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod errors;
mod roles;
mod shapes;

use super::*;
use crate::source::{Diagnostic, Format, Node, RenderOptions, render};
use std::path::Path;
use std::sync::Arc;

/// Finds what begins with `bad`.
struct Told;

impl Check for Told {
    fn node(&self, node: &Node) -> Vec<Diagnostic> {
        if let Some(items) = node.as_list() {
            return items.iter().flat_map(|n| self.node(n)).collect();
        }
        let bad = node.as_str().is_some_and(|t| t.contains("{{ bad"));
        if bad { vec![Diagnostic::error("template", "bad template", &node.span)] } else { Vec::new() }
    }
    fn condition(&self, node: &Node) -> Vec<Diagnostic> {
        let bad = node.as_str().is_some_and(|t| t.contains("bad("));
        if bad { vec![Diagnostic::error("template", "bad expression", &node.span)] } else { Vec::new() }
    }
}

/// A folder of files, `site.yml` among them.
pub(super) struct Case {
    folder: tempfile::TempDir,
    pub ctx: LoadContext,
}

impl Case {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self { folder, ctx: LoadContext::new(Arc::new(Told)) }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn load(&self) -> Result<Playbook, Vec<Diagnostic>> {
        load_playbook(&self.path().join("site.yml"), &self.ctx)
    }

    pub fn say(&self, problems: &[Diagnostic]) -> String {
        let options = RenderOptions { format: Format::Short, ..RenderOptions::default() };
        let text: Vec<String> = problems.iter().map(|d| render(d, options)).collect();
        text.join("\n").replace(&format!("{}/", self.path().display()), "")
    }

    pub fn good(&self) -> Playbook {
        self.load().unwrap_or_else(|problems| panic!("{}", self.say(&problems)))
    }

    pub fn bad(&self) -> String {
        match self.load() {
            Ok(book) => panic!("no error in {book:?}"),
            Err(problems) => self.say(&problems),
        }
    }
}

/// A playbook whose only play has these tasks.
pub(super) fn tasks(text: &str) -> Case {
    let indented = text.lines().collect::<Vec<_>>().join("\n  ");
    Case::new(&[("site.yml", &format!("- hosts: all\n  tasks:\n  {indented}\n"))])
}

pub(super) fn first(items: &[Item]) -> Arc<Task> {
    match items.first() {
        Some(Item::Task(task)) => Arc::clone(task),
        other => panic!("no task: {other:?}"),
    }
}

pub(super) fn task(text: &str) -> Arc<Task> {
    first(&tasks(text).good().plays[0].tasks)
}

pub(super) fn args(task: &Task) -> Vec<(String, String)> {
    match &task.action {
        Action::Module(call) => call
            .args
            .iter()
            .map(|a| (a.key.to_string(), crate::source::text_of(&a.value).unwrap().to_string()))
            .collect(),
        other => panic!("no module: {other:?}"),
    }
}

pub(super) fn texts(nodes: &[Node]) -> Vec<&str> {
    nodes.iter().map(|n| n.as_str().unwrap_or("?")).collect()
}
