//! `docs/modules.md` and `docs/templates.md` are made from what the program itself declares. This test fails when they
//! are stale; `WINDLASS_BLESS=1 cargo test --test reference` writes them anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write as _;
use std::path::Path;
use windlass::modules::args::{ArgSpec, Arguments};
use windlass::modules::{FreeForm, Module, Needs, all};
use windlass::playbook::deploy::DeployArgs;
use windlass::values::{CatalogueKind, Map, Value, catalogue};

const MADE: &str =
    "<!-- Made by tests/reference.rs: change the code, then run WINDLASS_BLESS=1 cargo test --test reference -->\n";

fn check(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    if std::env::var_os("WINDLASS_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let different = there.lines().zip(text.lines()).position(|(a, b)| a != b);
    let line = different.unwrap_or_else(|| there.lines().count().min(text.lines().count())) + 1;
    assert!(there == text, "docs/{name} is stale from line {line}: run `WINDLASS_BLESS=1 cargo test --test reference`");
}

/// Text for a cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|").replace('<', "&lt;")
}

fn takes(spec: &ArgSpec) -> String {
    if spec.choices.is_empty() {
        return spec.kind.to_owned();
    }
    spec.choices.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn module(out: &mut String, module: &Module) {
    let _ = writeln!(out, "\n## {}\n\n{}\n", module.name(), cell(module.doc));
    let full: Vec<String> = module.names[1..].iter().map(|name| format!("`{name}`")).collect();
    if !full.is_empty() {
        let _ = writeln!(out, "Also: {}.\n", full.join(", "));
    }
    if module.needs == Needs::Controller {
        let _ = writeln!(out, "Works on this side only; no connection is made for it.\n");
    }
    if module.free_form == FreeForm::Command {
        let _ = writeln!(out, "Takes a command line behind its name, too.\n");
    }
    if module.free_keys {
        let _ = writeln!(out, "Takes further arguments under names of your choice.\n");
    }
    let specs = (module.args)();
    // What stands for the command line behind the name is no argument to write.
    let specs: Vec<&ArgSpec> = specs.iter().filter(|spec| !spec.name.starts_with('_')).collect();
    if specs.is_empty() {
        let _ = writeln!(out, "No arguments{}.", if module.free_keys { " of its own" } else { "" });
        return;
    }
    out.push_str("| argument | takes | meaning |\n|---|---|---|\n");
    for spec in specs {
        let aliases: Vec<String> = spec.aliases.iter().map(|alias| format!("`{alias}`")).collect();
        let aliases = if aliases.is_empty() { String::new() } else { format!(" ({})", aliases.join(", ")) };
        let required = if spec.required { ", **required**" } else { "" };
        let _ = writeln!(out, "| `{}`{aliases} | {}{required} | {} |", spec.name, takes(spec), cell(spec.doc));
    }
}

#[test]
fn modules() {
    let mut out = String::from(MADE);
    out.push_str(
        "# Modules\n\nNames, arguments, defaults and results are Ansible's. An argument that is not listed is an error \
         before any host is\ntouched. Other names of an argument stand in brackets.\n\n",
    );
    let names: Vec<String> = all().iter().map(|m| format!("[{0}](#{0})", m.name())).collect();
    out.push_str(&names.join(" · "));
    out.push('\n');
    for each in all() {
        module(&mut out, each);
    }
    check("modules.md", &out);
}

#[test]
fn every_module_and_argument_is_documented() {
    for module in all() {
        assert!(!module.doc.trim().is_empty(), "{} says nothing of itself", module.name());
        for spec in (module.args)() {
            assert!(!spec.doc.trim().is_empty(), "{}: {} says nothing of itself", module.name(), spec.name);
        }
    }
}

#[test]
fn templates() {
    let mut out = String::from(MADE);
    out.push_str(
        "# What templates can use\n\nEach filter, test and lookup is also known under the full name that Ansible gives it \
         (`ansible.builtin.…` and others).\n",
    );
    let catalogue = catalogue();
    for (kind, title, form) in [
        (CatalogueKind::Filter, "Filters", "`x | NAME`"),
        (CatalogueKind::Test, "Tests", "`x is NAME`"),
        (CatalogueKind::Function, "Functions", "`NAME(x)`"),
        (CatalogueKind::Lookup, "Lookups", "`lookup('NAME', x)`, `query('NAME', x)`, `with_NAME`"),
    ] {
        let _ = writeln!(out, "\n## {title}\n\n{form}\n\n| name | what it gives |\n|---|---|");
        for (_, name, about) in catalogue.iter().filter(|(k, _, _)| *k == kind) {
            assert!(!about.trim().is_empty(), "{name} says nothing of itself");
            let _ = writeln!(out, "| `{}` | {} |", name.replace('|', "\\|"), cell(about));
        }
    }
    check("templates.md", &out);
}

/// A default as it is written in a playbook: numbers, truth, texts and words; others stand in the text.
fn default_of(debug: &str, spec: &ArgSpec) -> String {
    let line = format!("    {}: ", spec.name);
    let Some(value) = debug.lines().find_map(|l| l.strip_prefix(&line)?.strip_suffix(',')) else {
        return String::new();
    };
    if let Some(word) = spec.choices.iter().find(|w| w.replace('_', "").eq_ignore_ascii_case(value)) {
        return format!("`{word}`");
    }
    let plain = value.parse::<f64>().is_ok() || matches!(value, "true" | "false");
    match value.strip_prefix('"').and_then(|v| v.strip_suffix('"')) {
        Some(text) if !text.is_empty() => format!("`{text}`"),
        _ if plain => format!("`{}`", value.strip_suffix(".0").unwrap_or(value)),
        _ => String::new(),
    }
}

#[test]
fn keys_of_deploy() {
    let mut map = Map::new();
    for name in ["app", "root", "user"] {
        map.insert(name.into(), Value::from(""));
    }
    let debug = format!("{:#?}", DeployArgs::from_map(&map).unwrap());
    let mut out = String::from("| key | takes | default | meaning |\n|---|---|---|---|\n");
    for spec in DeployArgs::specs() {
        let aliases: Vec<String> = spec.aliases.iter().map(|alias| format!(" (`{alias}`)")).collect();
        let _ = writeln!(
            out,
            "| `{}`{} | {} | {} | {} |",
            spec.name,
            aliases.join(""),
            takes(&spec),
            default_of(&debug, &spec),
            cell(spec.doc)
        );
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/deploy.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once("src/playbook/deploy.rs -->\n").expect("the mark is there");
    let (_, after) = rest.split_once("<!-- end of keys -->").expect("the end mark is there");
    check("deploy.md", &format!("{before}src/playbook/deploy.rs -->\n{out}<!-- end of keys -->{after}"));
}

/// Code in a guide that says which file it is from stands there.
#[test]
fn quoted_code_is_as_it_stands() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide = std::fs::read_to_string(root.join("docs/writing-a-module.md")).unwrap();
    let mut quotes = 0;
    for part in guide.split("<!-- from ").skip(1) {
        let (file, rest) = part.split_once(" -->\n```rust\n").expect("code follows at once");
        let code = rest.split("```").next().unwrap();
        let text = std::fs::read_to_string(root.join(file)).unwrap();
        assert!(text.contains(code), "docs/writing-a-module.md quotes what {file} does not say:\n{code}");
        quotes += 1;
    }
    assert!(quotes > 5);
}
