//! What a playbook gives to modules, checked against what they declare.

use super::load::Loader;
use super::tree::ModuleCall;
use crate::host::ModeSpec;
use crate::modules::args::ArgSpec;
use crate::modules::{FreeForm, Module};
use crate::source::{Diagnostic, Entry, Kind, Node, Span, bool_of, int_of, suggest, text_of};
use std::sync::Arc;

/// Modules that users of Ansible know and that are not here, with what to do instead.
const ELSEWHERE: &[(&str, &str)] = &[
    ("add_host", "list the host in the inventory"),
    ("group_by", "use groups of the inventory, or `when`"),
    ("apt_key", "put the key below /etc/apt/keyrings with `get_url`, and name it in `apt_repository`"),
    ("apt_rpm", "use `package`"),
    ("dnf", "use `package`; hosts are Debian"),
    ("expect", "use `command` with `stdin`"),
    ("pause", "use `wait_for` with `timeout`"),
    ("yum", "use `package`; hosts are Debian"),
    ("win_command", "hosts are Debian"),
    ("synchronize", "use `copy`, `git` or `unarchive`"),
    ("include", "use `include_tasks` or `import_tasks`"),
];

/// How arguments that hold a file mode begin to say so.
const MODE: &str = "a file mode";

/// Keys of a free-form command line, of those that the module declares: all others belong to the command.
const COMMAND_KEYS: &[&str] =
    &["chdir", "creates", "executable", "removes", "stdin", "stdin_add_newline", "strip_empty_ends"];

impl Loader<'_> {
    /// The error for a name that no module has.
    pub fn unknown_module(&self, name: &str, span: &Span) -> Diagnostic {
        let problem = Diagnostic::error("unknown-module", format!("there is no module `{name}`"), span);
        let short = name.rsplit('.').next().unwrap_or(name);
        if let Some((_, instead)) = ELSEWHERE.iter().find(|(n, _)| *n == short) {
            return problem.help(*instead);
        }
        if short != name
            && let Some(module) = self.ctx.module(short)
        {
            return problem.help(format!("did you mean `{}`?", module.names.get(1).unwrap_or(&module.name())));
        }
        let names = self.ctx.modules.iter().flat_map(|m| m.names).chain(super::action::BUILT_IN);
        // A shared collection makes any two names look alike.
        let alike = |near: &String| suggest(short, [near.rsplit('.').next().unwrap_or(near)]).is_some();
        match suggest(name, names).filter(alike) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help("`command`, `shell` and `script` can run what no module does"),
        }
    }

    /// Reads what stands behind a module's name, and `args:`.
    pub fn call(
        &mut self,
        module: &'static Module,
        name_span: &Span,
        value: &Node,
        more: Option<&Node>,
    ) -> Option<ModuleCall> {
        let mut call = ModuleCall { module, name_span: name_span.clone(), args: Vec::new(), base: None };
        match &value.kind {
            Kind::Null => {}
            Kind::Map(entries) => call.args.clone_from(entries),
            Kind::Str(text) if module.free_form == FreeForm::No && is_one_template(text) => {
                call.base = Some(value.clone());
            }
            Kind::Str(_) => self.free_form(&mut call, value)?,
            _ => {
                let message = format!("the arguments of `{}` can't be {}", module.name(), value.describe());
                self.report(
                    Diagnostic::error("wrong-type", message, &value.span)
                        .help("write them as a mapping, one `name: value` a line"),
                );
                return None;
            }
        }
        match more.map(|node| (node, &node.kind)) {
            Some((_, Kind::Map(entries))) => {
                for entry in entries {
                    if !call.args.iter().any(|a| a.key == entry.key) {
                        call.args.push(entry.clone());
                    }
                }
            }
            Some((node, Kind::Str(text))) if is_one_template(text) => call.base = Some(node.clone()),
            None | Some((_, Kind::Null)) => {}
            Some((node, _)) => self.report(
                Diagnostic::error(
                    "wrong-type",
                    format!("`args` is a mapping, and this is {}", node.describe()),
                    &node.span,
                )
                .help("write each argument as `name: value`"),
            ),
        }
        if let Some(base) = &call.base {
            self.check_node(base);
        }
        self.check_args(module, &call.args);
        self.check_required(&call);
        Some(call)
    }

    fn free_form(&mut self, call: &mut ModuleCall, value: &Node) -> Option<()> {
        let module = call.module;
        let command = module.free_form == FreeForm::Command;
        let specs = (module.args)();
        let is_key = |key: &str| {
            if command { COMMAND_KEYS.contains(&key) && specs.iter().any(|s| s.name == key) } else { true }
        };
        let found = match super::freeform::parse(value, &is_key) {
            Ok(found) => found,
            Err(problem) => {
                self.report(problem);
                return None;
            }
        };
        call.args = found.pairs;
        match found.rest {
            Some(rest) if command => {
                call.args.push(Entry { key: "_raw_params".into(), key_span: rest.span.clone(), value: rest });
            }
            Some(rest) => {
                let message = format!("`{}` takes no plain text", module.name());
                self.report(
                    Diagnostic::error("free-form", message, &rest.span)
                        .label("this belongs to no argument")
                        .help("write the arguments as a mapping, one `name: value` a line"),
                );
                return None;
            }
            None => {}
        }
        Some(())
    }

    /// Reports arguments that the module does not have, and literal values that it can't take.
    pub fn check_args(&mut self, module: &Module, args: &[Entry]) {
        let specs = (module.args)();
        let mut seen: Vec<(&'static str, &Entry)> = Vec::new();
        for entry in args {
            if is_expression(module.name(), &entry.key) {
                self.check_expressions(&entry.value);
            } else {
                self.check_node(&entry.value);
            }
            let Some(spec) = specs.iter().find(|s| s.name == &*entry.key || s.aliases.contains(&&*entry.key)) else {
                let raw = module.free_form == FreeForm::Command && &*entry.key == "_raw_params";
                if !raw && !module.free_keys {
                    self.report(unknown_argument(module, &specs, entry));
                }
                continue;
            };
            if let Some((_, first)) = seen.iter().find(|(name, _)| *name == spec.name) {
                let message = format!("`{}` and `{}` are the same argument", first.key, entry.key);
                self.report(
                    Diagnostic::error("argument-twice", message, &entry.key_span)
                        .also(&first.key_span, "given here first")
                        .help("keep one of them"),
                );
            }
            seen.push((spec.name, entry));
            if let Some(problem) = wrong_value(module, spec, entry) {
                self.report(problem);
            }
        }
    }

    /// Reports arguments that must be given and are not, where that can be known.
    fn check_required(&mut self, call: &ModuleCall) {
        if call.base.is_some() {
            return;
        }
        let module = call.module;
        let mut given: Vec<Arc<str>> =
            call.args.iter().filter(|a| !a.value.is_null()).map(|a| Arc::clone(&a.key)).collect();
        for (_, names) in self.defaults.iter().filter(|(name, _)| *name == module.name()) {
            given.extend(names.iter().cloned());
        }
        let has = |name: &str| given.iter().any(|g| &**g == name);
        let mut problems = Vec::new();
        for spec in (module.args)().iter().filter(|s| s.required) {
            if !has(spec.name) && !spec.aliases.iter().any(|a| has(a)) {
                let message = format!("`{}` needs the argument `{}`", module.name(), spec.name);
                problems.push(Diagnostic::error("missing-argument", message, &call.name_span).help(format!(
                    "add `{}:` ({}): {}",
                    spec.name,
                    spec.kind,
                    spec.doc.trim()
                )));
            }
        }
        if module.free_form == FreeForm::Command && !["_raw_params", "cmd", "argv"].iter().any(|n| has(n)) {
            let message = format!("`{}` has no command", module.name());
            problems.push(
                Diagnostic::error("missing-argument", message, &call.name_span)
                    .help(format!("write `{}: COMMAND`", module.name())),
            );
        }
        self.report_all(problems);
    }

    fn check_expressions(&mut self, node: &Node) {
        for node in node.as_list().unwrap_or(std::slice::from_ref(node)) {
            if node.as_str().is_some() {
                self.check_condition(node);
            }
        }
    }
}

/// Arguments that hold expressions without braces.
fn is_expression(module: &str, key: &str) -> bool {
    matches!((module, key), ("assert", "that") | ("debug", "var"))
}

/// Whether a text is one `{{ … }}` and nothing else, so that it may yield a mapping.
pub(super) fn is_one_template(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("{{") && text.ends_with("}}") && text[2..].find("}}") == Some(text.len() - 4)
}

fn unknown_argument(module: &Module, specs: &[ArgSpec], entry: &Entry) -> Diagnostic {
    let message = format!("`{}` has no argument `{}`", module.name(), entry.key);
    let problem = Diagnostic::error("unknown-argument", message, &entry.key_span);
    let names: Vec<&str> = specs.iter().flat_map(|s| std::iter::once(&s.name).chain(s.aliases)).copied().collect();
    if let Some(near) = suggest(&entry.key, &names) {
        return problem.help(format!("did you mean `{near}`?"));
    }
    if super::task::KEYWORDS.contains(&&*entry.key) {
        return problem
            .help(format!("`{}` is a keyword of the task: indent it as far as the module's name", entry.key));
    }
    let names: Vec<&str> = specs.iter().map(|s| s.name).filter(|n| *n != "_raw_params").collect();
    if names.is_empty() {
        return problem.help(format!("`{}` takes no arguments", module.name()));
    }
    problem.help(format!("it has: {}", names.join(", ")))
}

/// Whether a node, or anything in it, is only known when it is rendered.
pub(super) fn is_dynamic(node: &Node) -> bool {
    match &node.kind {
        Kind::Str(_) => node.is_template() || node.tag.is_some(),
        Kind::List(items) => items.iter().any(is_dynamic),
        Kind::Map(entries) => entries.iter().any(|e| is_dynamic(&e.value)),
        _ => false,
    }
}

/// The error for a literal that the argument can't take.
fn wrong_value(module: &Module, spec: &ArgSpec, entry: &Entry) -> Option<Diagnostic> {
    let node = &entry.value;
    if node.is_null() || is_dynamic(node) {
        return None;
    }
    if !spec.choices.is_empty() {
        return wrong_choice(module, spec, entry);
    }
    let good = match spec.kind {
        "a string" => text_of(node).is_ok(),
        "a boolean" => bool_of(node).is_ok(),
        "an integer" => int_of(node).is_ok() || matches!(node.kind, Kind::Float(x) if x.fract() == 0.0),
        "a number" => {
            matches!(node.kind, Kind::Int(_) | Kind::Float(_))
                || node.as_str().is_some_and(|t| t.trim().parse::<f64>().is_ok())
        }
        "a list of strings" => match &node.kind {
            Kind::List(items) => items.iter().all(|n| text_of(n).is_ok()),
            Kind::Bool(_) | Kind::Map(_) => false,
            _ => true,
        },
        "a mapping" => matches!(node.kind, Kind::Map(_)),
        kind if kind.starts_with(MODE) => match &node.kind {
            Kind::Int(mode) => (0..=0o7777).contains(mode),
            Kind::Str(text) => ModeSpec::parse(text).is_ok() || (kind != MODE && &**text == "preserve"),
            _ => false,
        },
        _ => true,
    };
    if good {
        return None;
    }
    let what = match text_of(node) {
        Ok(text) => format!("`{text}`"),
        Err(_) => node.describe().to_owned(),
    };
    let message = format!("`{}` of `{}` must be {}, and this is {what}", entry.key, module.name(), spec.kind);
    let problem = Diagnostic::error("wrong-value", message, &node.span);
    Some(match spec.kind {
        "a boolean" => problem.help("write `true` or `false`"),
        kind if kind.starts_with(MODE) => {
            problem.help("write it in quotes: octal as \"0644\", or symbolic as \"u=rw,go=r\"")
        }
        _ => problem,
    })
}

fn wrong_choice(module: &Module, spec: &ArgSpec, entry: &Entry) -> Option<Diagnostic> {
    let node = &entry.value;
    // A list of words: each must be one of them.
    let items = match &node.kind {
        Kind::List(items) if spec.kind.contains("list") => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    for item in items {
        let text = text_of(item).unwrap_or_else(|_| item.describe().into());
        // `yes` and `no` are booleans to YAML, and words to some arguments.
        let same = |c: &&str| **c == *text || (matches!(item.kind, Kind::Bool(_)) && c.eq_ignore_ascii_case(&text));
        if spec.choices.iter().any(same) {
            continue;
        }
        let list = spec.choices.iter().map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", ");
        let message = format!("`{}` of `{}` can't be `{text}`", entry.key, module.name());
        let mut problem = Diagnostic::error("bad-choice", message, &item.span);
        if let Some(near) = suggest(&text, spec.choices) {
            problem = problem.help(format!("did you mean `{near}`?"));
        }
        return Some(problem.help(format!("it is one of {list}")));
    }
    None
}
