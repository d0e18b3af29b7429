//! The parser, the places and the rendering, over small files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use std::fmt::Write;
use std::sync::Arc;

fn file(text: &str) -> Arc<SourceFile> {
    Arc::new(SourceFile { name: "t.yml".into(), text: text.into() })
}

fn one(text: &str) -> Node {
    parse_one(file(text)).unwrap_or_else(|d| panic!("{text}: {d:?}"))
}

/// `message` and the first help of every finding.
fn problems(text: &str) -> Vec<String> {
    let found = parse(file(text)).expect_err(text);
    found.iter().map(|d| format!("{d} | {}", d.help.first().map_or("", String::as_str))).collect()
}

/// A node in a compact form.
fn show(node: &Node) -> String {
    let mut out = String::new();
    if let Some(tag) = &node.tag {
        write!(out, "!{tag} ").unwrap();
    }
    match &node.kind {
        Kind::Null => out.push('~'),
        Kind::Bool(b) => write!(out, "{b}").unwrap(),
        Kind::Int(i) => write!(out, "{i}").unwrap(),
        Kind::Float(x) => write!(out, "{x:?}").unwrap(),
        Kind::Str(s) => write!(out, "{s:?}").unwrap(),
        Kind::List(items) => write!(out, "[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")).unwrap(),
        Kind::Map(entries) => {
            let entries: Vec<_> = entries.iter().map(|e| format!("{}: {}", e.key, show(&e.value))).collect();
            write!(out, "{{{}}}", entries.join(", ")).unwrap();
        }
    }
    out
}

#[test]
fn scalars_by_style() {
    let text = "a: yes\nb: 'yes'\nc: \"0644\"\nd: 0644\ne: |\n  on\nf: >-\n  one\n  two\ng:\nh: x: y\n"
        .replace("h: x: y\n", "on: off\n");
    assert_eq!(
        show(&one(&text)),
        r#"{a: true, b: "yes", c: "0644", d: 420, e: "on\n", f: "one two", g: ~, on: false}"#
    );
}

#[test]
fn keys_stay_text() {
    assert_eq!(show(&one("yes: 1\n0644: 2\n'q': 3\n~: 4\n1.5: 5\n")), "{yes: 1, 0644: 2, q: 3, ~: 4, 1.5: 5}");
}

#[test]
fn documents() {
    assert_eq!(parse(file("")).unwrap(), []);
    assert_eq!(parse(file("# nothing\n")).unwrap(), []);
    assert!(one("").is_null());
    assert!(one("---\n").is_null());
    let several = parse(file("---\n---\na: 1\n...\n---\nb\n")).unwrap();
    assert_eq!(several.iter().map(show).collect::<Vec<_>>(), ["~", "{a: 1}", "\"b\""]);
    let found = parse_one(file("a: 1\n---\nb: 2\n")).unwrap_err();
    assert_eq!(found[0].to_string(), "t.yml:3:1: error: this file holds more than one YAML document");
}

#[test]
fn byte_order_mark_and_crlf() {
    let node = one("\u{feff}a: 1\r\nb: x y\r\nc: |\r\n  l1\r\n  l2\r\n");
    assert_eq!(show(&node), r#"{a: 1, b: "x y", c: "l1\nl2\n"}"#);
    assert_eq!(node.get("b").unwrap().span.to_string(), "t.yml:2:4");
}

#[test]
fn tags() {
    let node = one(
        "a: !!str 5\nb: !!int \"0x1f\"\nc: !!float 3\nd: !unsafe {x: \"{{ y }}\", z: [w, 1]}\ne: !vault |\n  $A\nf: ! 5\ng: !!bool \"no\"\nh: !!str\n",
    );
    assert_eq!(
        show(&node),
        r#"{a: "5", b: 31, c: 3.0, d: !unsafe {x: !unsafe "{{ y }}", z: [!unsafe "w", 1]}, e: !vault "$A\n", f: "5", g: false, h: ""}"#
    );
    assert_eq!(
        problems("a: !vautl x\nb: !!binary aa\nc: !!int x\nd: !env X\n"),
        [
            "t.yml:1:4: error: unknown YAML tag `!vautl` | did you mean `!vault`?",
            "t.yml:2:4: error: the YAML tag `!!binary` is not supported | write the value as a plain string, number, list or mapping",
            "t.yml:3:10: error: x is not what `!!int` asks for | ",
            "t.yml:4:4: error: unknown YAML tag `!env` | a value that begins with `!` must be quoted; the tags that exist are `!vault` and `!unsafe`",
        ]
    );
}

#[test]
fn merge_keys() {
    assert_eq!(
        show(&one("base: &b {x: 1, y: 2}\nd:\n  y: 9\n  <<: *b\n  z: 1\n")),
        "{base: {x: 1, y: 2}, d: {x: 1, y: 9, z: 1}}"
    );
    assert_eq!(
        show(&one("- &a {x: 1}\n- &b {x: 2, y: 2}\n- <<: [*a, *b]\n  z: 3\n- {\"<<\": 1}\n")),
        "[{x: 1}, {x: 2, y: 2}, {x: 1, y: 2, z: 3}, {<<: 1}]"
    );
    assert_eq!(
        problems("a: {<<: 3}\n"),
        [
            "t.yml:1:9: error: `<<` merges mappings, and this is an integer | give it an alias of a mapping (`<<: *defaults`) or a list of such aliases"
        ]
    );
}

#[test]
fn aliases_have_limits() {
    assert_eq!(show(&one("a: &k word\n*k : 1\nc: *k\n")), r#"{a: "word", word: 1, c: "word"}"#);
    let mut laughs = "x0: &x0 [a, a, a, a, a, a, a, a, a]\n".to_owned();
    for i in 1..10 {
        let of = i - 1;
        writeln!(laughs, "x{i}: &x{i} [{}]", vec![format!("*x{of}"); 9].join(", ")).unwrap();
    }
    assert!(problems(&laughs)[0].contains("copy too much"));
    // Each alias adds a level: deep without being large.
    let mut chain = "x0: &x0 [a]\n".to_owned();
    for i in 1..5000 {
        writeln!(chain, "x{i}: &x{i} [*x{}]", i - 1).unwrap();
    }
    assert!(problems(&chain)[0].contains("levels deep"));
    assert!(problems("a: &a [*a]\n")[0].contains("refers to a node that contains it"));
    assert!(problems(&"[".repeat(5000))[0].contains("levels deep"));
    assert!(problems("a: *b\n")[0].starts_with("t.yml:1:4: error: this alias names no anchor before it"));
}

#[test]
fn duplicate_keys_name_the_first() {
    let found = parse(file("a: 1\nb: 2\na: 3\nc: {d: 1, d: 2}\n")).unwrap_err();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].to_string(), "t.yml:3:1: error: `a` is given twice in this mapping");
    assert_eq!(found[0].labels[0].span.line, 1);
    assert_eq!(found[0].help, ["keep one of them; the first is in line 1"]);
    assert_eq!(found[1].to_string(), "t.yml:4:11: error: `d` is given twice in this mapping");
}

#[test]
fn unquoted_templates_are_recognised() {
    for (text, place, fix) in [
        ("a: {{ b }}\n", "1:4", "\"{{ b }}\""),
        ("a: {{ b }}/etc # why\n", "1:4", "\"{{ b }}/etc\""),
        ("- {{ x.y | default('a') }}\n", "1:3", "\"{{ x.y | default('a') }}\""),
        ("- name: {{ x | default(\"a\") }}\n  b: 1\n", "1:9", "'{{ x | default(\"a\") }}'"),
        ("k:\n  {{ x }}: 1\n", "2:3", "\"{{ x }}\""),
    ] {
        let found = parse(file(text)).unwrap_err();
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert_eq!(
            found[0].to_string(),
            format!("t.yml:{place}: error: a value that begins with `{{{{` must be quoted")
        );
        assert_eq!(found[0].help, [format!("write it as {fix}")], "{text}");
    }
    let found = problems("a: \"{{ x }}\" foo\n");
    assert_eq!(found, ["t.yml:1:14: error: text follows the closing quote | quote the whole value: \"{{ x }} foo\""]);
}

#[test]
fn mistakes_of_syntax_are_explained() {
    for (text, said) in [
        ("a:\n\tb: 1\n", "t.yml:2:1: error: a tab is used for indentation"),
        ("a: 1\n\tb: 2\n", "t.yml:2:1: error: a tab is used for indentation"),
        (
            "- name: x\n foo: 1\n",
            "t.yml:2:2: error: this line fits neither the list above it nor what is inside the list",
        ),
        ("- name: x\n   foo: 1\n", "t.yml:2:7: error: a key can't stand here"),
        ("- name: x: y\n", "t.yml:1:10: error: a second `:` in one line"),
        ("a:\n  - x\n - y\n", "t.yml:3:2: error: this line does not line up with the keys above it"),
        ("a: @x\n", "t.yml:1:4: error: a plain value can't begin with `@`"),
        ("a: \"\\d\"\n", "t.yml:1:4: error: unknown escape in a double-quoted string"),
        ("a: \"x\nb: 1\n", "t.yml:2:1: error: a quoted string that begins before this is not closed"),
        ("a: [1, 2\nb: 1\n", "t.yml:2:2: error: a bracket before this is not closed, or a comma is missing"),
        ("? [1]\n: 2\n", "t.yml:1:3: error: a key must be a string, and this is a list"),
        ("a: 99999999999999999999\n", "t.yml:1:4: error: `99999999999999999999` does not fit into a 64-bit integer"),
    ] {
        let found = parse(file(text)).expect_err(text);
        assert_eq!(found[0].to_string(), said);
        assert!(!found[0].help.is_empty(), "{text} says not what to do");
    }
}

#[test]
fn json_with_tabs_is_yaml_enough() {
    assert_eq!(show(&one("{\n\t\"a\": [\n\t\t1, \"\\u00e9\"],\n\t\"b\": null\n}\n")), r#"{a: [1, "é"], b: ~}"#);
}

#[test]
fn spans_cover_what_stands_there() {
    let text = "a: 'x'\nmap:\n  k: [1, 2]\n  l: v  # c\nb: |\n  t1\n  t2\n\nz: 1\n";
    let node = one(text);
    let at = |n: &Node| text[n.span.start..n.span.end].to_owned();
    assert_eq!(at(node.get("a").unwrap()), "'x'");
    assert_eq!(at(node.get("map").unwrap()), "k: [1, 2]\n  l: v");
    assert_eq!(at(node.get("map").unwrap().get("k").unwrap()), "[1, 2]");
    assert_eq!(at(node.get("b").unwrap()), "t1\n  t2");
    assert_eq!(node.as_map().unwrap()[3].key_span.to_string(), "t.yml:9:1");
}

#[test]
fn an_error_in_a_string_finds_its_place() {
    let node = one(
        "a: é {{ x }}\nb: '{{ y }}'\nc: \"t\\n{{ z }}\"\nd: |\n    one\n    {{ w }}\n\n    {{ v }}\ne: >\n  f1\n  {{ u }}\n",
    );
    let place = |key: &str, what: &str| {
        let node = node.get(key).unwrap();
        let span = node.span_at(node.as_str().unwrap().find(what).unwrap(), what.len());
        (span.to_string(), span.file.text[span.start..span.end].to_owned())
    };
    assert_eq!(node.get("a").unwrap().text_offset(), Some(0));
    assert_eq!(node.get("b").unwrap().text_offset(), Some(1));
    assert_eq!(node.get("c").unwrap().text_offset(), None);
    assert_eq!(place("a", "x"), ("t.yml:1:9".into(), "x".into()));
    assert_eq!(place("b", "y"), ("t.yml:2:8".into(), "y".into()));
    assert_eq!(place("c", "z"), ("t.yml:3:4".into(), "\"t\\n{{ z }}\"".into()));
    assert_eq!(place("d", "w"), ("t.yml:6:8".into(), "w".into()));
    assert_eq!(place("d", "v"), ("t.yml:8:8".into(), "v".into()));
    assert_eq!(place("e", "u").0, "t.yml:10:3");
}

#[test]
fn templates_are_told_from_text() {
    let node = one("a: 'x {{ y }}'\nb: !unsafe '{{ y }}'\nc: x\nd: '{% if x %}{% endif %}'\n");
    let is = |key: &str| node.get(key).unwrap().is_template();
    assert_eq!((is("a"), is("b"), is("c"), is("d")), (true, false, false, true));
}

fn sample() -> Diagnostic {
    let node = one("- hosts: web\n  serail: 2\n");
    let entry = &node.as_list().unwrap()[0].as_map().unwrap()[1];
    Diagnostic::error("unknown-keyword", "unknown keyword `serail`", &entry.key_span)
        .label("not a keyword of a play")
        .also(&node.as_list().unwrap()[0].span, "in this play")
        .help("did you mean `serial`?")
}

#[test]
fn rendered_for_people() {
    let text = render(&sample(), RenderOptions::default());
    let expected = "\
error[unknown-keyword]: unknown keyword `serail`
 --> t.yml:2:3
  |
1 | - hosts: web
  |   ---------- in this play
2 |   serail: 2
  |   ^^^^^^ not a keyword of a play
  |
  = help: did you mean `serial`?";
    assert_eq!(text, expected);
    let colored = render(&sample(), RenderOptions { color: true, ..RenderOptions::default() });
    assert!(colored.contains("\u{1b}["));
    assert_eq!(
        render(&Diagnostic::bare("x", "no file").help("do"), RenderOptions::default()),
        "error[x]: no file\n |\n = help: do"
    );
}

#[test]
fn rendered_for_machines() {
    let short = RenderOptions { format: Format::Short, ..RenderOptions::default() };
    assert_eq!(render(&sample(), short), "t.yml:2:3: error: unknown keyword `serail`\n  help: did you mean `serial`?");
    let line = render(&sample(), RenderOptions { format: Format::Json, ..RenderOptions::default() });
    assert!(!line.contains('\n'));
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(json["code"], "unknown-keyword");
    assert_eq!(json["span"]["line"], 2);
    assert_eq!(json["span"]["end_column"], 9);
    assert_eq!(json["labels"][0]["span"]["end_line"], 2);
    assert_eq!(json["help"][0], "did you mean `serial`?");
}

#[test]
fn files_that_can_not_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("site.yml");
    let said = |path: &std::path::Path| load(path).unwrap_err().remove(0);
    std::fs::write(&path, "a: 1\n").unwrap();
    assert_eq!(show(&load_one(&path).unwrap()), "{a: 1}");

    let missing = said(&dir.path().join("sit.yml"));
    assert!(missing.message.starts_with("there is no file `"), "{missing}");
    assert!(missing.help[0].ends_with("site.yml`?"), "{missing:?}");
    assert!(said(dir.path()).message.contains("is a folder"));
    std::fs::write(&path, b"a: 1\nb: \xe9\n").unwrap();
    assert!(said(&path).message.contains("is not UTF-8 text (first wrong byte in line 2)"));
    std::fs::File::create(&path).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
    assert!(said(&path).message.contains("has 17 MiB"));
}

proptest::proptest! {
    /// Whatever the text is: an answer, and every finding inside the file.
    #[test]
    fn no_text_makes_it_fall_over(text in "[ -~\n\t\u{e9}]{0,80}|([a-c:\\-\\[\\]{}&*!|>'\",# \n<%@]{1,3}){0,40}") {
        match parse(file(&text)) {
            Ok(_) => {}
            Err(found) => {
                for diagnostic in &found {
                    let span = diagnostic.span.as_ref().unwrap();
                    assert!(span.start <= span.end && span.end <= text.len(), "{diagnostic}");
                    render(diagnostic, RenderOptions::default());
                }
            }
        }
    }
}
