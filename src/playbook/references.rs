//! Files on this machine that tasks name literally: they must be there before any host is touched.

use super::arguments::is_dynamic;
use super::include::{maybe_true, missing};
use super::load::{Loader, Site};
use super::tree::ModuleCall;
use crate::source::{self, Node, Span};
use std::path::PathBuf;

impl Loader<'_> {
    /// Reports a literal file of a module that is missing.
    pub fn check_files(&mut self, call: &ModuleCall, site: &Site) {
        // An earlier task on this machine may make it.
        if call.base.is_some() || self.works_here {
            return;
        }
        let arg = |name: &str| call.args.iter().find(|a| &*a.key == name).map(|a| &a.value);
        let remote = maybe_true(arg("remote_src"));
        let src = arg("src").filter(|n| !is_dynamic(n));
        match call.module.name() {
            "copy" if !remote => drop(self.must_exist("files", "file", src, site)),
            "unarchive" if !remote => {
                let local = src.filter(|n| !n.as_str().is_some_and(|t| t.contains("://")));
                self.must_exist("files", "archive", local, site);
            }
            "template" => {
                // With delimiters of its own, only the task knows how to read it.
                let own = call.args.iter().any(|a| a.key.ends_with("_string"));
                let path = self.must_exist("templates", "template", src, site);
                if let Some(path) = path.filter(|p| !own && p.is_file()) {
                    let problems = match source::read(&path, &self.ctx.shown(&path)) {
                        Ok(file) => self.ctx.check.template_file(&file),
                        Err(problem) => vec![problem],
                    };
                    self.report_all(problems);
                }
            }
            "script" => {
                let line = arg("_raw_params").or_else(|| arg("cmd")).filter(|n| !is_dynamic(n));
                let Some(text) = line.and_then(Node::as_str) else { return };
                let Some(word) = super::freeform::split(text).ok().and_then(|w| w.into_iter().next()) else { return };
                let name = word.text.trim_matches(['"', '\'']);
                if let Some(line) = line {
                    self.file("files", "script", name, &line.span, site);
                }
            }
            _ => {}
        }
    }

    fn must_exist(&mut self, kind: &str, what: &str, node: Option<&Node>, site: &Site) -> Option<PathBuf> {
        let node = node?;
        self.file(kind, what, node.as_str()?, &node.span, site)
    }

    fn file(&mut self, kind: &str, what: &str, name: &str, span: &Span, site: &Site) -> Option<PathBuf> {
        // A home folder is this machine's business, and known only when the task runs.
        if name.starts_with('~') {
            return None;
        }
        match site.search.find(kind, name) {
            Ok(path) => Some(path),
            Err(tried) => {
                let problem = missing(what, name, span, &tried, self.ctx);
                self.report(problem);
                None
            }
        }
    }
}
