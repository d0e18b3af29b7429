#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::values::Map;
use proptest::prelude::*;

/// What PyYAML 6.0.3 over libyaml writes for `tests.json`, as terse and as nice.
const EXPECTED: &str = include_str!("tests.json");

#[test]
fn writes_what_ansible_writes() {
    let cases: Vec<Value> = serde_json::from_str(EXPECTED).unwrap();
    assert!(cases.len() > 50);
    for case in cases {
        let value = case.get("value").unwrap();
        let said = |key: &str| case.get(key).and_then(Value::as_str).unwrap().to_owned();
        assert_eq!(to_yaml(value, YamlOptions::TERSE), said("terse"), "terse {value:?}");
        assert_eq!(to_yaml(value, YamlOptions::NICE), said("nice"), "nice {value:?}");
        let flow = YamlOptions { sort_keys: false, flow: Flow::Always, ..YamlOptions::TERSE };
        assert_eq!(to_yaml(value, flow), said("flow"), "flow {value:?}");
    }
}

#[test]
fn reads_documents() {
    assert_eq!(from_yaml("a: [1, yes, x]").unwrap().to_string(), "{'a': [1, True, 'x']}");
    assert_eq!(from_yaml("").unwrap(), Value::Null);
    assert_eq!(from_yaml_all("1\n---\n2\n").unwrap(), [Value::Int(1), Value::Int(2)]);
    assert_eq!(from_yaml("a: [").unwrap_err().code, "yaml-syntax");
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        "[a-z \n\t'\":#,\\-\\[\\]{}&*!|>%@`?\u{e9}\u{85}\u{2028}\u{a0}\u{1F600}\r\u{feff}\0\u{1b}]{0,20}",
        "([a-z]{1,9} {1,2}){0,40}",
        prop::sample::select(vec![
            "yes",
            "Off",
            "null",
            "~",
            "0644",
            "1_0",
            "1:30",
            "1.5",
            ".inf",
            "2026-11-21",
            "=",
            "<<",
            "---",
            "- a",
            "a: b",
            "0x1f",
            "99999999999999999999",
            "1e3",
            "... x",
            "a #b",
            "{{ x }}",
            "!vault",
        ])
        .prop_map(str::to_owned),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_filter("equal to itself", |x| !x.is_nan()).prop_map(Value::Float),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::list),
            prop::collection::vec((text(), inner), 0..5)
                .prop_map(|e| Value::map(e.into_iter().map(|(k, v)| (k.into(), v)).collect::<Map>())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(value in value(), indent in 2usize..6, width in 20usize..100, flow in 0..3) {
        let flow = [Flow::Never, Flow::Leaves, Flow::Always][usize::try_from(flow).unwrap()];
        let text = to_yaml(&value, YamlOptions { indent, width, sort_keys: false, flow });
        let back = from_yaml(&text).map_err(|d| TestCaseError::fail(format!("{d:?}\n{text}")))?;
        prop_assert_eq!(back, value, "{}", text);
    }
}
