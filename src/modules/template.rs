//! `template`: a file made from a template.

use super::args::Arguments;
use super::common::paths;
use super::common::put::{self, How, SendAttributes, SendMode, Sending, Target};
use super::registry::{FreeForm, Module, Needs};
use crate::host::answer::digest;
use crate::host::key::file_name;
use crate::host::{Algorithm, Content, Decision, Stop, View};
use crate::values::Map;

crate::module_choices! {
    /// How lines end.
    pub enum Newline {
        /// As on Unix.
        Lf = "\n" | "\\n",
        /// As on old Macs.
        Cr = "\r" | "\\r",
        /// As on Windows.
        CrLf = "\r\n" | "\\r\\n",
    }
}

crate::module_choices! {
    /// How text is written as bytes.
    pub enum Encoding {
        /// The only one.
        Utf8 = "utf-8" | "utf8" | "UTF-8",
    }
}

crate::module_args! {
    /// What `template` takes.
    pub struct TemplateArgs {
        /// The template, in `templates/` of the role or beside the playbook.
        src: String;
        /// Where the file goes; in a folder, it has the template's name.
        dest: String;
        /// Keep a copy of the former file.
        backup: bool = false;
        /// Replace a file that is there.
        force: bool = true;
        /// Write behind a link at `dest`, instead of replacing it.
        follow: bool = false;
        /// A command that must accept the new file, whose name is put for `%s`.
        validate: Option<String>;
        /// How lines end.
        newline_sequence: Newline = Newline::Lf;
        /// How text is written as bytes.
        output_encoding: Encoding = Encoding::Utf8;
        /// What begins a block.
        block_start_string: Option<String>;
        /// What ends a block.
        block_end_string: Option<String>;
        /// What begins an expression.
        variable_start_string: Option<String>;
        /// What ends an expression.
        variable_end_string: Option<String>;
        /// What begins a comment.
        comment_start_string: Option<String>;
        /// What ends a comment.
        comment_end_string: Option<String>;
        /// Drop the newline after a block.
        trim_blocks: bool = true;
        /// Drop the white space before a block at the start of its line.
        lstrip_blocks: bool = false;
    } + attributes: SendAttributes
}

/// The module.
pub static MODULE: Module = Module {
    names: &["template", "ansible.builtin.template", "ansible.legacy.template"],
    doc: "A file made from a template.",
    args: <TemplateArgs as Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan,
    writes: super::copy::writes,
};

/// The arguments that say how the template is read: given on to who renders it.
const OPTIONS: [&str; 8] = [
    "block_start_string",
    "block_end_string",
    "variable_start_string",
    "variable_end_string",
    "comment_start_string",
    "comment_end_string",
    "trim_blocks",
    "lstrip_blocks",
];

fn plan(map: &Map, view: &View<'_>) -> Result<Decision, Stop> {
    let args = TemplateArgs::from_map(map).map_err(Stop::fail)?;
    let dest = paths::absolute(view, "dest", &args.dest)?;
    put::check_validate(args.validate.as_deref())?;
    let mut options: Map = OPTIONS.iter().filter_map(|&n| map.get(n).map(|v| (n.into(), v.clone()))).collect();
    options.insert("trim_blocks".into(), args.trim_blocks.into());
    options.insert("lstrip_blocks".into(), args.lstrip_blocks.into());
    let preserved = match args.attributes.mode {
        Some(SendMode::Preserve) => view.controller().source("templates", &args.src).map_err(Stop::fail)?.mode,
        _ => 0,
    };
    let attributes = args.attributes.of(preserved);
    let rendered = view.controller().template(&args.src, &options)?;
    let Some(text) = rendered else {
        return Err(Stop::Unknown(format!("{} uses a value that is known only after apply", args.src).into()));
    };
    let text = match args.newline_sequence {
        Newline::Lf => text,
        other => {
            let end = if other == Newline::Cr { "\r" } else { "\r\n" };
            text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', end)
        }
    };
    let bytes = text.as_bytes();
    let target = Target {
        dest,
        folder: args.dest.ends_with('/'),
        follow: args.follow,
        force: args.force,
        directory_mode: None,
        how: How { attributes: &attributes, backup: args.backup, validate: args.validate.as_deref() },
    };
    let sending = Sending {
        name: Some(file_name(&args.src)),
        content: Content::text(&text),
        sha256: digest(Algorithm::Sha256, bytes),
        sha1: digest(Algorithm::Sha1, bytes),
        text: &|| Some(bytes.to_vec()),
        header: &args.src,
        src: Some(args.src.clone()),
    };
    put::send(view, &target, sending)
}

#[cfg(test)]
mod tests {
    use crate::host::PathKind;
    use crate::modules::testing::Fake;
    use crate::values::Value;
    use serde_json::json;

    fn host() -> Fake {
        Fake::new().dir("/etc", 0o755).template("a.conf.j2", "port=80\n")
    }

    #[test]
    fn a_file_is_made_once() {
        let mut host = host();
        let args = json!({"src": "a.conf.j2", "dest": "/etc/a.conf", "mode": "0640", "owner": "root"});
        let decision = host.converge("template", args.clone());
        assert!(decision.result.changed);
        assert_eq!(host.text("/etc/a.conf"), "port=80\n");
        assert_eq!(host.state("/etc/a.conf").mode, 0o640);
        assert_eq!(decision.result.data["checksum"], Value::from("f6f646f13e035c2c329fc95c9e9f2e35749eb556"));
        assert_eq!(host.rounds(), 1);
        host.settled("template", args);
    }

    #[test]
    fn in_a_folder_it_has_the_templates_name() {
        let mut host = host();
        host.converge("template", json!({"src": "a.conf.j2", "dest": "/etc"}));
        assert_eq!(host.text("/etc/a.conf.j2"), "port=80\n");
        host.settled("template", json!({"src": "a.conf.j2", "dest": "/etc/"}));
    }

    #[test]
    fn a_change_shows_as_a_diff_and_keeps_the_mode() {
        let mut host = host().file("/etc/a.conf", "port=8080\n", 0o600);
        let decision = host.converge("template", json!({"src": "a.conf.j2", "dest": "/etc/a.conf", "backup": true}));
        assert_eq!(decision.result.diff[0].before, "port=8080\n");
        assert_eq!(decision.result.diff[0].after, "port=80\n");
        assert_eq!(host.state("/etc/a.conf").mode, 0o600);
        let backup = decision.result.data["backup_file"].to_string();
        assert_eq!(host.text(&backup), "port=8080\n");
    }

    #[test]
    fn lines_end_as_asked() {
        let mut host = host();
        host.converge("template", json!({"src": "a.conf.j2", "dest": "/etc/w", "newline_sequence": "\r\n"}));
        assert_eq!(host.text("/etc/w"), "port=80\r\n");
    }

    #[test]
    fn a_link_is_replaced_or_followed() {
        let mut host = host().file("/etc/real", "port=80\n", 0o644).link("/etc/l", "/etc/real");
        host.settled("template", json!({"src": "a.conf.j2", "dest": "/etc/l", "follow": true}));
        let decision = host.converge("template", json!({"src": "a.conf.j2", "dest": "/etc/l"}));
        assert!(decision.result.changed);
        assert_eq!(host.state("/etc/l").kind, PathKind::File);
    }

    #[test]
    fn what_cannot_be_is_told() {
        let mut host = host();
        assert!(host.fails("template", json!({"src": "a.conf.j2", "dest": "/no/a"})).contains("does not exist"));
        assert!(host.fails("template", json!({"src": "none.j2", "dest": "/etc/a"})).contains("could not find"));
        assert!(host.fails("template", json!({"src": "a.conf.j2", "dest": "a"})).contains("absolute"));
        let message = host.fails("template", json!({"src": "a.conf.j2", "dest": "/etc/a", "validate": "nginx -t"}));
        assert!(message.contains("%s"));
        let message =
            host.fails("template", json!({"src": "a.conf.j2", "dest": "/etc/a", "output_encoding": "latin-1"}));
        assert!(message.contains("output_encoding"));
    }
}
