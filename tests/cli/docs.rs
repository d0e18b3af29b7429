//! `docs/cli.md` is true.

use std::path::Path;

fn docs() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_table_of_exit_codes_is_that_of_the_program() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/exit.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let rows: Vec<String> = source
        .lines()
        .filter_map(|line| line.strip_prefix("//! | ")?.strip_suffix(" |"))
        .filter_map(|row| {
            let mut cells = row.split(" | ");
            let (code, _, meaning) = (cells.next()?, cells.next()?, cells.next()?);
            code.parse::<u8>().ok()?;
            Some(format!("| {code} | {meaning} |"))
        })
        .collect();
    assert_eq!(rows.len(), 11);
    let docs = docs();
    for row in rows {
        assert!(docs.contains(&row), "docs/cli.md lacks this row:\n{row}");
    }
}

#[test]
fn every_option_of_the_commands_is_described() {
    let docs = docs();
    for command in ["apply", "plan", "run", "inventory"] {
        let output =
            std::process::Command::new(env!("CARGO_BIN_EXE_windlass")).args([command, "--help"]).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let options = help.lines().filter(|line| line.trim_start().starts_with('-') && !line.ends_with(']'));
        for option in options.filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--"))) {
            let option = option.trim_end_matches(['.', ',']);
            assert!(docs.contains(&format!("`{option}")) || docs.contains(&format!(" {option}")), "{command} {option}");
        }
    }
}
