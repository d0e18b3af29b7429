//! `command`: a program with arguments, run without a shell.

use super::args::Arguments;
use super::common::{exec, paths, text};
use super::registry::{FreeForm, Module, Needs, anything};
use crate::host::quote::quote_all;
use crate::host::{Action, Decision, Run, Stop, View};
use crate::values::{Map, Value};

crate::module_args! {
    /// What `command` takes.
    pub struct CommandArgs {
        /// The command line, written after the module's name.
        _raw_params: Option<String>;
        /// The command line.
        cmd: Option<String>;
        /// The program and its arguments as a list.
        argv: Vec<String>;
        /// The folder to run in.
        chdir: Option<String>;
        /// A path or glob pattern: where something is there, the command does not run.
        creates: Option<String>;
        /// A path or glob pattern: where nothing is there, the command does not run.
        removes: Option<String>;
        /// What the command reads.
        stdin: Option<String>;
        /// End `stdin` with a newline.
        stdin_add_newline: bool = true;
        /// Cut newlines off the end of the output.
        strip_empty_ends: bool = true;
        /// Replace `$NAME`, `${NAME}` and a leading `~` in the arguments, from the environment on the host.
        expand_argument_vars: bool = true;
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["command", "ansible.builtin.command", "ansible.legacy.command"],
    doc: "A program with arguments, run without a shell.",
    args: <CommandArgs as Arguments>::specs,
    free_form: FreeForm::Command,
    free_keys: false,
    needs: Needs::Host,
    plan,
    writes: anything,
};

fn plan(map: &Map, view: &View<'_>) -> Result<Decision, Stop> {
    let args = CommandArgs::from_map(map).map_err(Stop::fail)?;
    let (name, given) = exec::one_of(map, &["_raw_params", "cmd", "argv"])?;
    let words = if name == "argv" {
        args.argv.clone()
    } else {
        text::words(&given.to_string()).map_err(|e| Stop::fail(format!("can't split the command line: {e}")))?
    };
    if words.is_empty() {
        return Err(Stop::fail("no command given: write it after the module's name, or in `cmd` or `argv`"));
    }
    if let Some(word) = words.iter().find(|w| w.contains('\0')) {
        return Err(Stop::fail(format!("an argument holds a NUL character, which no command can take: {word:?}")));
    }
    let cmd = Value::from(words.clone());
    if view.memory().is_some() {
        return Ok(Decision::nothing(report(cmd, &words[0], &args, view)));
    }
    let chdir =
        args.chdir.as_deref().map(|d| paths::absolute_from(view, "chdir", d, &view.whoami().home)).transpose()?;
    let base = chdir.as_deref().unwrap_or(&view.whoami().home);
    if let Some(why) = exec::needless(view, args.creates.as_deref(), args.removes.as_deref(), base)? {
        return Ok(Decision::nothing(exec::skipped(cmd, &why)));
    }
    let shows = format!("run {}", quote_all(words.iter().map(String::as_str)));
    let expands = args.expand_argument_vars && words.iter().any(|w| w.contains('$') || w.starts_with('~'));
    let mut run = if expands { expanding(&words) } else { Run::argv(words) };
    run.chdir = chdir;
    if let Some(stdin) = &args.stdin {
        run = run.stdin(&format!("{stdin}{}", if args.stdin_add_newline { "\n" } else { "" }));
    }
    Ok(Decision::report(exec::foretold(cmd), vec![Action::run(run, shows)]))
}

fn report(cmd: Value, program: &str, args: &CommandArgs, view: &View<'_>) -> crate::host::TaskResult {
    let output = view.outputs().first();
    let mut result = exec::result(cmd, output, args.strip_empty_ends);
    // Where the program is missing, playbooks know the number of the error (ENOENT), not a shell's 127.
    let missing = |o: &crate::host::Output| {
        o.rc == 127 && o.stdout.is_empty() && (o.err().contains("not found") || o.err().contains("No such file"))
    };
    if output.is_some_and(missing) {
        result.data.insert("rc".into(), Value::from(2));
        result.msg = Some(format!("[Errno 2] No such file or directory: `{program}` is not on the host's PATH"));
    }
    result
}

/// Builds the words from pieces and runs them. A piece is one argument: `=TEXT` literal, `$NAME` a variable of the
/// environment, left as written (`-TEXT`, the piece after it) where there is none, `.` the end of a word. It is then
/// that a leading `~` or `~USER` of the word is replaced.
const EXPAND: &str = r#"home_of() {
  if command -v getent >/dev/null 2>&1; then getent passwd "$1" | cut -d: -f6
  else awk -F: -v u="$1" '$1 == u { print $6 }' /etc/passwd; fi
}
n=$# word=
while [ "$n" -gt 0 ]; do
  kind=${1%"${1#?}"} text=${1#?}
  shift; n=$((n - 1))
  case $kind in
    =) word=$word$text ;;
    '$')
      if value=$(printenv "$text" && echo x); then
        value=${value%x}; word=$word${value%?}
      else word=$word${1#?}; fi
      shift; n=$((n - 1)) ;;
    .)
      case $word in
        '~'*)
          user=${word#?}; user=${user%%/*}; rest=${word#?"$user"}
          if [ -z "$user" ]; then home=${HOME:-$(home_of "$(id -un)")}; else home=$(home_of "$user"); fi
          [ -z "$home" ] || word=${home%/}$rest ;;
      esac
      set -- "$@" "$word"; word= ;;
  esac
done
exec "$@""#;

fn expanding(words: &[String]) -> Run {
    let mut pieces: Vec<String> = Vec::new();
    for word in words {
        pieces_of(word, &mut pieces);
        pieces.push(".".to_owned());
    }
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    Run::sh(EXPAND, &pieces)
}

/// `$NAME` and `${NAME}` as Python's `os.path.expandvars` finds them; any other `$` stands for itself.
fn pieces_of(word: &str, pieces: &mut Vec<String>) {
    let mut rest = word;
    while let Some(at) = rest.find('$') {
        let after = &rest[at + 1..];
        let name = match after.strip_prefix('{') {
            Some(braced) => braced.find('}').map(|end| &braced[..end]),
            None => {
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                Some(&after[..end])
            }
        };
        let literal = &rest[..at];
        match name.filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')) {
            Some(name) => {
                let len = if after.starts_with('{') { name.len() + 3 } else { name.len() + 1 };
                if !literal.is_empty() {
                    pieces.push(format!("={literal}"));
                }
                pieces.push(format!("${name}"));
                pieces.push(format!("-{}", &rest[at..at + len]));
                rest = &rest[at + len..];
            }
            None => {
                pieces.push(format!("={}", &rest[..=at]));
                rest = after;
            }
        }
    }
    if !rest.is_empty() {
        pieces.push(format!("={rest}"));
    }
}

/// The words of an action, for tests.
#[cfg(test)]
pub(super) fn argv_of(run: &Run) -> Vec<String> {
    use crate::host::action::Command;
    match &run.command {
        Command::Argv(words) => words.clone(),
        Command::Shell { args, .. } => args.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::host::Output;
    use crate::modules::testing::Fake;
    use serde_json::json;

    fn host() -> Fake {
        Fake::new().dir("/srv", 0o755).on_run(|run, files| {
            let words = argv_of(run);
            match words[0].as_str() {
                "touch" => files.put(&words[1], "", 0o644),
                "false" => return Some(Output::failed(1, "no\n")),
                "nope" => return Some(Output::failed(127, "sh: 1: exec: nope: not found\n")),
                _ => {}
            }
            Some(Output::ok("out\nput\n\n"))
        })
    }

    #[test]
    fn words_reach_the_host_as_they_are() {
        let mut host = host();
        let decision = host.converge("command", json!({"_raw_params": "echo 'a; reboot' \"b\\\"c\" *"}));
        assert_eq!(argv_of(&host.ran()[0]), ["echo", "a; reboot", "b\"c", "*"]);
        assert!(decision.result.changed);
        assert_eq!(decision.result.data["rc"], Value::from(0));
        assert_eq!(decision.result.data["stdout"], Value::from("out\nput"));
        assert_eq!(decision.result.data["stdout_lines"], Value::from(vec!["out", "put"]));
        assert_eq!(decision.result.data["cmd"], Value::from(vec!["echo", "a; reboot", "b\"c", "*"]));
    }

    #[test]
    fn a_failure_has_all_fields() {
        let mut host = host();
        let decision = host.converge("command", json!({"cmd": "false"}));
        assert!(decision.result.failed);
        assert_eq!(decision.result.msg.as_deref(), Some("non-zero return code"));
        assert_eq!(decision.result.data["rc"], Value::from(1));
        assert_eq!(decision.result.data["stderr_lines"], Value::from(vec!["no"]));
        let decision = host.converge("command", json!({"cmd": "nope"}));
        assert_eq!(decision.result.data["rc"], Value::from(2));
        assert!(decision.result.msg.unwrap().contains("No such file"));
    }

    #[test]
    fn creates_and_removes_keep_it_from_running() {
        let mut host = host();
        let args = json!({"argv": ["touch", "/srv/x"], "creates": "x", "chdir": "/srv"});
        assert!(host.converge("command", args.clone()).result.changed);
        host.settled("command", args.clone());
        let result = host.plan("command", args).result;
        assert_eq!(result.data["stdout"], Value::from("skipped, since x exists"));
        assert_eq!(result.data["rc"], Value::from(0));
        host.settled("command", json!({"cmd": "rm /srv/y", "removes": "/srv/y"}));
    }

    #[test]
    fn a_pattern_is_asked_by_a_probe() {
        let mut host = host().probe(|p| Some(Output::ok(if p.args[0] == "/srv/a b*" { "yes\n" } else { "no\n" })));
        host.settled("command", json!({"cmd": "touch /srv/q", "creates": "/srv/a b*"}));
        assert!(host.plan("command", json!({"cmd": "touch /srv/q", "creates": "/srv/z*"})).result.changed);
    }

    #[test]
    fn variables_are_pieces_and_never_text_of_a_script() {
        let mut pieces = Vec::new();
        pieces_of("a$HOME/${X}$$ $(id) ${a-b}", &mut pieces);
        assert_eq!(pieces, ["=a", "$HOME", "-$HOME", "=/", "$X", "-${X}", "=$", "=$", "= $", "=(id) $", "={a-b}"]);
        let mut host = host();
        host.converge("command", json!({"argv": ["echo", "$HOME"], "expand_argument_vars": false}));
        assert_eq!(argv_of(&host.ran()[0]), ["echo", "$HOME"]);
    }

    #[test]
    fn stdin_ends_with_a_newline_unless_told() {
        let mut host = host();
        host.converge("command", json!({"cmd": "cat", "stdin": "a"}));
        host.converge("command", json!({"cmd": "cat", "stdin": "a", "stdin_add_newline": false}));
        let stdin = |i: usize| host.ran()[i].stdin.clone();
        assert_ne!(stdin(0), stdin(1));
        assert_eq!(stdin(0), Run::argv(["x"]).stdin("a\n").stdin);
    }

    #[test]
    fn bad_commands_are_told() {
        let mut host = host();
        assert!(host.fails("command", json!({})).contains("no command given"));
        assert!(host.fails("command", json!({"cmd": "a 'b"})).contains("not closed"));
        assert!(host.fails("command", json!({"cmd": "a", "argv": ["b"]})).contains("exclude"));
        assert!(host.fails("command", json!({"argv": ["a", "b\u{0}c"]})).contains("NUL"));
    }
}
