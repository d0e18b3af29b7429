//! The probe for Django's migrations is Python that old interpreters read, too. What it finds is tested with real
//! deploys, and by recordings beside the code.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::process::{Command, Stdio};

use windlass::deploy::migrations::{ARGUMENTS, Arguments, MigrationId, Mode, PROBE, ProbeErrorKind, parse};

fn python(arguments: &[&str]) -> Option<Command> {
    Command::new("python3").arg("--version").output().ok().filter(|o| o.status.success())?;
    let mut command = Command::new("python3");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Some(command)
}

fn run(mut command: Command, input: &str) -> std::process::Output {
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn the_probe_is_python_3_8() {
    let Some(command) = python(&["-c", "import ast, sys; ast.parse(sys.stdin.read(), feature_version=(3, 8))"]) else {
        return;
    };
    let output = run(command, PROBE);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_folder_without_a_project_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = Arguments {
        mode: Mode::Between,
        migrations: vec![MigrationId::new("shop", "0002_stock")],
        ..Arguments::default()
    };
    assert_eq!(arguments.to_json(), r#"{"mode":"between","migrations":[["shop","0002_stock"]]}"#);
    let Some(mut command) = python(&["-"]) else { return };
    command.current_dir(folder.path()).env(ARGUMENTS, arguments.to_json()).env_remove("DJANGO_SETTINGS_MODULE");
    let output = run(command, PROBE);
    let error = parse(&output.stdout).unwrap_err();
    assert_eq!(error.kind(), Some(ProbeErrorKind::Project), "{error}");
    assert!(output.status.success());
}
