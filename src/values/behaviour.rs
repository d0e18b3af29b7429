//! What no table can show: unknown and pending values, cycles, places, template files, the checker.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::source::{Diagnostic, Node, SourceFile, Span, parse_one};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Default)]
struct TestScope {
    names: BTreeMap<String, Lookup>,
    folders: Vec<PathBuf>,
    seed: u64,
}

impl Scope for TestScope {
    fn get(&self, name: &str) -> Lookup {
        self.names.get(name).cloned().unwrap_or(Lookup::Undefined)
    }
    fn names(&self) -> Vec<Arc<str>> {
        self.names.keys().map(|k| Arc::from(k.as_str())).collect()
    }
    fn search_path(&self, kind: &str) -> Vec<PathBuf> {
        if kind == "templates" { self.folders.clone() } else { Vec::new() }
    }
    fn seed(&self) -> u64 {
        self.seed
    }
}

fn node(text: &str) -> Node {
    parse_one(Arc::new(SourceFile { name: "play.yml".into(), text: text.into() })).unwrap()
}

/// A scope with the variables of a YAML text, `unknown` (unknown), `pending` (waits) and `result`, partly unknown.
fn scope_of(text: &str) -> TestScope {
    let mut names = BTreeMap::new();
    if !text.is_empty() {
        for entry in node(text).as_map().unwrap() {
            names.insert(entry.key.to_string(), Lookup::Template(Arc::new(entry.value.clone())));
        }
    }
    names.insert("unknown".into(), Lookup::Data(Value::Unknown));
    names.insert("pending".into(), Lookup::Wait);
    let part =
        Value::from_pairs([("stdout", Value::Unknown), ("changed", Value::Bool(true)), ("item", Value::from("a"))]);
    let items =
        Value::list(vec![part.clone(), Value::from_pairs([("stdout", Value::from("x")), ("item", Value::from("b"))])]);
    names.insert("result".into(), Lookup::Data(part));
    names.insert("results".into(), Lookup::Data(items));
    TestScope { names, ..TestScope::default() }
}

fn scope(text: &str) -> Arc<dyn Scope> {
    Arc::new(scope_of(text))
}

fn templar() -> Templar {
    Templar::new(TemplarOptions::default())
}

fn eval(expr: &str, vars: &str) -> Result<Value, EvalError> {
    templar().render_text(&format!("{{{{ {expr} }}}}"), &Span::synthetic("t", expr), &scope(vars))
}

fn fails(result: Result<Value, EvalError>) -> Diagnostic {
    match result {
        Err(EvalError::Failed(diagnostic)) => *diagnostic,
        other => panic!("should have failed: {other:?}"),
    }
}

#[test]
fn touching_the_unknown_makes_the_result_unknown() {
    for expr in [
        "unknown",
        "unknown + 1",
        "unknown | default('x')",
        "unknown is defined",
        "unknown is undefined",
        "unknown.a.b | default('x')",
        "'a' ~ unknown",
        "'a' ~ result",
        "result | string",
        "result | to_json",
        "result.stdout | upper",
        "result == result_copy",
        "[1, 2] == [1, result.stdout]",
        "results | map(attribute='stdout') | join(',')",
        "results | selectattr('stdout', 'equalto', 'x') | list",
        "result.items() | list | string",
        "config.a",
        "config.deep[0]",
        "true if unknown else false",
        "unknown or true",
        "results | map(attribute='stdout') | map('upper') | list",
        "'x' in results | map(attribute='stdout')",
    ] {
        let vars = "result_copy: {stdout: x, changed: true, item: a}\nconfig: {a: '{{ unknown }}', deep: ['{{ result.stdout }}']}\n";
        assert_eq!(eval(expr, vars).unwrap(), Value::Unknown, "{expr}");
    }
    let text = templar().render_text("a {{ result }} b", &Span::synthetic("t", ""), &scope("")).unwrap();
    assert_eq!(text, Value::Unknown);
}

#[test]
fn what_is_not_touched_stays_known() {
    for (expr, expected) in [
        ("result.changed", "true"),
        ("true or unknown", "true"),
        ("false and unknown", "false"),
        ("'x' if true else unknown", "'x'"),
        ("results | length", "2"),
        ("results | map(attribute='item') | list", "['a', 'b']"),
        ("results[1].stdout", "'x'"),
        ("config.b", "'known'"),
        ("result is changed", "true"),
        ("result", "{'stdout': unknown, 'changed': true, 'item': 'a'}"),
        ("result | combine({'z': 1}) | dict2items | length", "4"),
    ] {
        let vars = "config: {a: '{{ unknown }}', b: known, c: '{{ pending }}'}\n";
        let known = eval(expr, vars).unwrap();
        if expr == "result" {
            assert_eq!(known.get("stdout"), Some(&Value::Unknown));
            assert_eq!(known.get("changed"), Some(&Value::Bool(true)));
        } else {
            let expected = templar().expression(expected, &Span::synthetic("t", ""), &scope("")).unwrap();
            assert_eq!(known, expected, "{expr}");
        }
    }
}

#[test]
fn unknown_elements_of_nodes_leave_the_rest_known() {
    let node = node("a: '{{ unknown }}'\nb: [1, '{{ result.stdout }}', '{{ result.item }}']\nc: '{{ config }}'\n");
    let value = templar().render_node(&node, &scope("config: {a: '{{ unknown }}', b: 2}\n")).unwrap();
    assert_eq!(value.get("a"), Some(&Value::Unknown));
    assert_eq!(value.get("b"), Some(&Value::list(vec![Value::from(1), Value::Unknown, Value::from("a")])));
    assert_eq!(value.get("c").unwrap().get("a"), Some(&Value::Unknown));
    assert_eq!(value.get("c").unwrap().get("b"), Some(&Value::Int(2)));
}

#[test]
fn pending_values_wait() {
    for expr in [
        "pending",
        "pending | default('x')",
        "pending is defined",
        "copy",
        "config",
        "config.c",
        "[1, pending]",
        "'a' ~ config",
    ] {
        let result = eval(expr, "copy: '{{ pending }}'\nconfig: {b: 1, c: '{{ pending }}'}\n");
        assert!(matches!(result, Err(EvalError::Wait)), "{expr}: {result:?}");
    }
    assert_eq!(eval("config.b", "config: {b: 1, c: '{{ pending }}'}\n").unwrap(), Value::Int(1));
    assert_eq!(eval("true or pending", "").unwrap(), Value::Bool(true));
    // A mistake beside it is told at once.
    let node = node("a: '{{ pending }}'\nb: '{{ nope }}'\n");
    assert!(matches!(templar().render_node(&node, &scope("")), Err(EvalError::Failed(_))));
}

#[test]
fn conditions() {
    let is = |text: &str| {
        let node = Node::string(text, Span::synthetic("t", text));
        templar().condition(&node, &scope("flag: true\nname: web\n"))
    };
    assert_eq!(is("flag").unwrap(), Truth::True);
    assert_eq!(is("not flag").unwrap(), Truth::False);
    assert_eq!(is("{{ flag }}").unwrap(), Truth::True);
    assert_eq!(is(" name == 'web' ").unwrap(), Truth::True);
    assert_eq!(is("name is match('\\\\w+')").unwrap(), Truth::True);
    assert_eq!(is("unknown").unwrap(), Truth::Unknown);
    assert_eq!(is("flag and result.stdout == ''").unwrap(), Truth::Unknown);
    assert_eq!(is("not flag and unknown").unwrap(), Truth::False);
    assert!(matches!(is("pending"), Err(EvalError::Wait)));
    for (text, code) in [
        ("name", "condition-not-boolean"),
        ("1", "condition-not-boolean"),
        ("none", "condition-not-boolean"),
        ("", "condition-empty"),
        ("'{{ name }}' == 'web'", "condition-template"),
        ("nope", "undefined-variable"),
        ("flag &&", "template-syntax"),
    ] {
        match is(text) {
            Err(EvalError::Failed(d)) => assert_eq!(d.code, code, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    let list = Node::new(crate::source::Kind::Int(1), Span::synthetic("t", "1"));
    assert!(templar().condition(&list, &scope("")).is_err());
    let bool = Node::new(crate::source::Kind::Bool(false), Span::synthetic("t", "no"));
    assert_eq!(templar().condition(&bool, &scope("")).unwrap(), Truth::False);
}

#[test]
fn cycles_name_the_chain() {
    let error = fails(eval("a", "a: '{{ b }}'\nb: 'x{{ c.d }}'\nc: {d: '{{ a }}'}\n"));
    assert_eq!(error.code, "variable-cycle");
    assert!(error.message.contains("`a` → `b` → `c` → `a`"), "{}", error.message);
    // A mapping may use its own other parts.
    assert_eq!(eval("m.a", "m: {a: '{{ m.b }}', b: 1}\n").unwrap(), Value::Int(1));
    let deep: String = (0..200).map(|i| format!("v{i}: '{{{{ v{} }}}}'\n", i + 1)).collect();
    assert_eq!(fails(eval("v0", &deep)).code, "variable-depth");
}

#[test]
fn undefined_is_told_with_its_place_and_a_suggestion() {
    let text = "- name: x\n  port: '{{ prot + 1 }}'\n  text: |\n    first\n    second {{ confg.a }}\n";
    let items = node(text);
    let task = &items.as_list().unwrap()[0];
    let scope = scope("port: 80\nconfig: {a: 1}\n");
    let error = fails(templar().render_node(task.get("port").unwrap(), &scope));
    let span = error.span.clone().unwrap();
    assert_eq!((span.line, span.column), (2, 13), "{error}");
    assert!(error.message.contains("`prot` is undefined"), "{error}");
    assert_eq!(error.help, ["did you mean `port`?"]);
    let error = fails(templar().render_node(task.get("text").unwrap(), &scope));
    let span = error.span.clone().unwrap();
    assert_eq!((span.file.name.as_str(), span.line, span.column), ("play.yml", 5, 15), "{error}");
    assert_eq!(error.help, ["did you mean `config`?"]);
}

#[test]
fn undefined_inside_a_variable_shows_the_variable() {
    let error = fails(eval("url", "url: 'http://{{ hots }}/'\nhost: h\n"));
    assert!(error.message.contains("`hots`"), "{error}");
    assert_eq!(error.span.as_ref().unwrap().line, 1);
    assert_eq!(error.span.as_ref().unwrap().file.name, "play.yml");
    assert_eq!(error.help, ["did you mean `host`?"]);
    assert_eq!(error.labels.len(), 1);
    let error = fails(eval("app", "app: {name: a, url: '{{ hots }}'}\n"));
    assert!(error.message.contains("`hots`"), "{error}");
}

#[test]
fn errors_name_the_filter_and_what_was_wrong() {
    for (expr, part) in [
        ("[1] | combine({})", "the filter `combine`: needs mappings"),
        ("'x' | regex_replace('(', '')", "the pattern '('"),
        ("'x' | to_nice_json(indnt=2)", "has no argument `indnt`; it takes `indent`"),
        ("'x' | upprcase", "there is no filter `upprcase`"),
        ("'x' | form_json", "there is no filter `form_json`"),
        ("lookup('fle', 'x')", "there is no lookup `fle`"),
        ("lookup('file', 'nope.txt')", "there is no file 'nope.txt'"),
        ("'%s' % 'x'", "formatting with % is not supported"),
        ("[1].append(2)", "no method named append"),
        ("range(100000) | product(range(100000)) | list", "more than 1000000"),
    ] {
        let error = fails(eval(expr, ""));
        assert!(error.message.contains(part), "{expr}: {error}");
    }
    assert_eq!(fails(eval("'x' | form_json", "")).help, ["did you mean `from_json`?"]);
    assert!(fails(eval("[1].append(2)", "")).help[0].contains("list + [item]"));
}

#[test]
fn endless_templates_end() {
    let text = "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}";
    let error = fails(templar().render_text(text, &Span::synthetic("t", text), &scope("")));
    assert_eq!(error.code, "template-endless");
}

#[test]
fn tags_and_keys() {
    let text =
        "'{{ name }}_key': 1\nraw: !unsafe '{{ name }}'\nlist: ['{{ omit }}', 1]\ngone: '{{ nope | default(omit) }}'\n";
    let value = templar().render_node(&node(text), &scope("name: web\n")).unwrap();
    assert_eq!(value.to_string(), "{'web_key': 1, 'raw': '{{ name }}', 'list': [1]}");
    assert_eq!(eval("omit", "").unwrap(), Value::Omit);
    assert_eq!(eval("nope | default(omit)", "").unwrap(), Value::Omit);
    assert_eq!(eval("omit if true else 1", "").unwrap(), Value::Omit);
}

#[test]
fn data_is_never_templated() {
    let mut scope = scope_of("copy: '{{ fact }}'\n");
    scope.names.insert("fact".into(), Lookup::Data(Value::from("{{ 1 + 1 }}")));
    let scope: Arc<dyn Scope> = Arc::new(scope);
    let value = templar().render_text("{{ copy }}", &Span::synthetic("t", ""), &scope).unwrap();
    assert_eq!(value, Value::from("{{ 1 + 1 }}"));
}

#[test]
fn vault_values_are_decrypted_and_become_known_secrets() {
    let redactor = Arc::new(Redactor::new());
    let mut vault = Vault::new(Arc::clone(&redactor));
    vault.add("default", "pw");
    let armored = vault.encrypt("geheim99", None).unwrap().replace('\n', "\n  ");
    let node = node(&format!("secret: !vault |\n  {armored}"));
    let options =
        TemplarOptions { decrypt: Arc::new(vault), redactor: Arc::clone(&redactor), ..TemplarOptions::default() };
    let templar = Templar::new(options);
    let mut inner = scope_of("");
    inner.names.insert("secret".into(), Lookup::Template(Arc::new(node.get("secret").unwrap().clone())));
    let inner: Arc<dyn Scope> = Arc::new(inner);
    assert_eq!(templar.render_node(&node, &inner).unwrap().get("secret"), Some(&Value::from("geheim99")));
    let text = templar.render_text("pw={{ secret }}", &Span::synthetic("t", ""), &inner).unwrap();
    assert_eq!(text, Value::from("pw=geheim99"));
    assert_eq!(redactor.redact("pw=geheim99"), "pw=********");
    let error = fails(super::Templar::new(TemplarOptions::default()).render_node(&node, &inner));
    assert!(error.message.contains("no vault password"), "{error}");
}

#[test]
fn random_draws_are_the_same_for_the_same_step() {
    let with = |seed: u64| -> Arc<dyn Scope> { Arc::new(TestScope { seed, ..scope_of("") }) };
    let text = "{{ range(90000) | list | random }} {{ 1000000 | random }} {{ 1000000 | random }} {{ 'x' | password_hash(rounds=1000) }}";
    let draw = |seed| templar().render_text(text, &Span::synthetic("t", ""), &with(seed)).unwrap().to_string();
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    let one = draw(1);
    let numbers: Vec<&str> = one.split(' ').collect();
    assert_ne!(numbers[1], numbers[2]);
}

#[test]
fn passwords_are_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("creds/db");
    let expr = format!("lookup('password', '{} length=24 chars=ascii_letters,digits')", path.display());
    let first = eval(&expr, "").unwrap();
    assert_eq!(first.as_str().unwrap().len(), 24);
    assert_eq!(eval(&expr, "").unwrap(), first);
    assert_eq!(std::fs::read_to_string(&path).unwrap().trim_end(), first.as_str().unwrap());
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    // The file that Ansible left beside an encrypted one.
    let kept = folder.path().join("kept");
    std::fs::write(&kept, "gW-E.JFt salt=3KcBFj.LZC4Ex17y\n").unwrap();
    let hashed = eval(&format!("lookup('password', '{} encrypt=sha512_crypt')", kept.display()), "").unwrap();
    assert!(
        hashed.as_str().unwrap().starts_with("$6$rounds=656000$3KcBFj.LZC4Ex17y$V0XV4NY5fzn74R46c95uj9"),
        "{hashed}"
    );
}

#[test]
fn template_files() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("part.j2"), "part {{ name }} {{ nope2 | default('-') }}\n").unwrap();
    std::fs::write(folder.path().join("macros.j2"), "{% macro hi(x) %}hi {{ x }}{% endmacro %}").unwrap();
    std::fs::write(folder.path().join("broken.j2"), "line\n{{ nmae }}\n").unwrap();
    let mut inner = scope_of("name: web\nitems: [a, b]\nnothing:\n");
    inner.folders.push(folder.path().to_path_buf());
    let scope: Arc<dyn Scope> = Arc::new(inner);
    let file = |text: &str| Arc::new(SourceFile { name: "templates/t.j2".into(), text: text.into() });
    let render = |text: &str| templar().template_file(&file(text), &TemplateOptions::default(), &scope);
    for (text, expected) in [
        ("a\n{% if true %}\nb\n{% endif %}\nc\n", "a\nb\nc\n"),
        ("  {% if true %}\nb\n  {% endif %}\nc", "  b\n  c"),
        ("#jinja2: lstrip_blocks: True\n  {% if true %}\nb\n  {% endif %}\n", "b\n"),
        ("#jinja2: trim_blocks: False\n{% if true %}\nb{% endif %}\n", "\nb\n"),
        ("{{ items }}\n", "['a', 'b']\n"),
        ("{{ name }}\n\n", "web\n\n"),
        ("[{{ nothing }}]", "[]"),
        ("{{ 'a\\nb' }}", "a\nb"),
        ("{% include 'part.j2' %}|", "part web -\n|"),
        ("{% from 'macros.j2' import hi %}{{ hi(name) }}", "hi web"),
        ("{% import 'macros.j2' as m %}{{ m.hi('x') }}", "hi x"),
        ("{% include 'none.j2' ignore missing %}x", "x"),
        ("{{ lookup('template', 'part.j2') }}", "part web -\n"),
        ("{{ nope.a.b | default('d') }}{% for i in nope.list | default([]) %}x{% endfor %}", "d"),
        ("#jinja2: newline_sequence: '\\r\\n'\na\nb\n", "a\r\nb\r\n"),
        ("#jinja2: variable_start_string: '[[', variable_end_string: ']]'\n[[ name ]] {{ name }}", "web {{ name }}"),
    ] {
        assert_eq!(render(text).unwrap(), Value::from(expected), "{text}");
    }
    assert_eq!(render("{{ unknown }}").unwrap(), Value::Unknown);
    assert!(matches!(render("{{ pending }}"), Err(EvalError::Wait)));
    let error = fails(render("#jinja2: lstrip_blocks: True\na\n  {{ nmae }}\n"));
    let span = error.span.clone().unwrap();
    assert_eq!((span.file.name.as_str(), span.line, span.column), ("templates/t.j2", 3, 6), "{error}");
    let error = fails(render("{% include 'broken.j2' %}"));
    let span = error.span.clone().unwrap();
    assert!(span.file.name.ends_with("broken.j2") && span.line == 2 && span.column == 4, "{error}");
    assert_eq!(fails(render("#jinja2: nonsense: True\n")).code, "template-header");
    assert!(fails(render("{% include 'none.j2' %}")).message.contains("none.j2"));
}

#[derive(Debug)]
struct Hosts;

impl Scopes for Hosts {
    fn names(&self) -> Vec<Arc<str>> {
        vec!["web1".into(), "web2".into()]
    }
    fn scope(&self, name: &str) -> Option<Arc<dyn Scope>> {
        let number = name.strip_prefix("web")?.parse::<u8>().ok().filter(|n| (1..=2).contains(n))?;
        Some(scope(&format!("port: {}\nurl: 'http://{name}:{{{{ port }}}}'\n", 8000 + u32::from(number))))
    }
}

#[test]
fn hostvars_are_rendered_in_their_own_scope() {
    let mut inner = scope_of("port: 1\ngroup: [web1, web2]\n");
    inner.names.insert("hostvars".into(), Lookup::Scopes(Arc::new(Hosts)));
    let scope: Arc<dyn Scope> = Arc::new(inner);
    let eval = |text: &str| templar().render_text(text, &Span::synthetic("t", text), &scope);
    assert_eq!(eval("{{ hostvars['web2'].url }}").unwrap(), Value::from("http://web2:8002"));
    assert_eq!(eval("{{ hostvars.web1['port'] }}").unwrap(), Value::Int(8001));
    assert_eq!(eval("{{ group | map('extract', hostvars, 'port') | list }}").unwrap(), Value::from(vec![8001, 8002]));
    assert_eq!(eval("{{ hostvars | list }}").unwrap(), Value::from(vec!["web1", "web2"]));
    assert_eq!(eval("{{ 'web3' in hostvars }}").unwrap(), Value::Bool(false));
    assert_eq!(eval("{{ hostvars.web3.port | default('none') }}").unwrap(), Value::from("none"));
    assert!(matches!(eval("{{ hostvars.web1.pending }}"), Err(EvalError::Wait)));
    assert_eq!(eval("{{ vars['port'] }}").unwrap(), Value::Int(1));
}

#[test]
fn the_checker_finds_what_does_not_exist() {
    let check = |text: &str| {
        let found = templar().check_node(&node(text));
        found
            .iter()
            .map(|d| format!("{}:{} {}", d.span.as_ref().unwrap().line, d.span.as_ref().unwrap().column, d.message))
            .collect::<Vec<_>>()
    };
    let good = [
        "a: '{{ x | ansible.builtin.combine({}) | map(\"upper\") | selectattr(\"a\", \"match\", \"x\") | list }}'",
        "a: '{{ x.foo() }} {{ lookup(\"file\", \"x\") }} {{ q(\"ansible.builtin.env\", \"x\") }} {{ range(3) }} {{ now() }}'",
        "a: '{% macro m(x) %}{{ x }}{% endmacro %}{{ m(1) }} {% set f = 1 %}{{ 1 if (f) else (2) }} {{ not (true) }}'",
        "a: '{{ x is not ansible.builtin.defined and x is divisibleby(2) and x is in([1]) }}'",
        "a: !unsafe '{{ x | nope }}'\nb: '{{ \"| nope\" }}'\nc: plain | nope",
        "a: '{% for item in items if item is odd %}{{ loop.index }}{% endfor %}{% filter upper %}x{% endfilter %}'",
        "a: '{{ x | map(attribute=\"a\") | select(\">\", 1) | map(\"extract\", y) | reject(f) }}'",
        "a: '{% raw %}{{ x | nope }}{% endraw %}{# {{ x | nope }} #}'",
    ];
    for text in good {
        assert_eq!(check(text), Vec::<String>::new(), "{text}");
    }
    assert_eq!(check("a: x\nb: '{{ y | nofilter }}'"), ["2:12 there is no filter `nofilter`"]);
    assert_eq!(check("b: '{{ y is notest }}'"), ["1:13 there is no test `notest`"]);
    assert_eq!(check("b: '{{ y | map(\"nope\") }}'"), ["1:16 there is no filter `nope`"]);
    assert_eq!(check("b: '{{ y | rejectattr(\"a\", \"nope\") }}'"), ["1:28 there is no test `nope`"]);
    assert_eq!(check("b: '{{ lookup(\"nope\") }}'"), ["1:15 there is no lookup `nope`"]);
    assert_eq!(check("b: '{{ nope(1) }}'"), ["1:8 there is no function `nope`"]);
    assert_eq!(check("b: '{{ x | my.own.filter }}'"), ["1:12 there is no filter `my.own.filter`"]);
    assert_eq!(check("b: |\n  a\n  {{ x +* 2 }}").len(), 1);
    assert!(check("b: |\n  a\n  {{ x +* 2 }}")[0].starts_with("3:"));
    assert_eq!(check("b: '{{ x'").len(), 1);
    assert_eq!(check("'{{ x | nope }}': 1").len(), 1);
    let condition = |text: &str| templar().check_condition(&node(text).get("when").unwrap().clone()).len();
    assert_eq!(condition("when: x is defined and (y | bool)"), 0);
    assert_eq!(condition("when: [x, y is nope, 'z +']"), 2);
    assert_eq!(condition("when: 1"), 1);
    assert_eq!(condition("when: '{{ x | nope }}'"), 1);
    let file =
        Arc::new(SourceFile { name: "t.j2".into(), text: "#jinja2: trim_blocks: False\na\n{{ x | nope }}\n".into() });
    let found = templar().check_template(&file, &TemplateOptions::default());
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].span.as_ref().unwrap().line, found[0].span.as_ref().unwrap().column), (3, 8));
}

#[test]
fn the_catalogue_has_no_doubles() {
    let all = catalogue();
    let mut names: Vec<_> = all.iter().map(|(kind, name, _)| (*kind, *name)).collect();
    names.dedup();
    assert_eq!(names.len(), all.len());
    assert!(all.len() > 200, "{}", all.len());
}
