//! Every expectation here is what Python 3.11 answers.
#![allow(clippy::unwrap_used)]
use super::*;

fn bytes(pattern: &str, text: &str) -> bool {
    Pattern::new(pattern, Over::Bytes, false, false).unwrap().find(&widen(text.as_bytes())).unwrap().is_some()
}

fn sub(pattern: &str, replacement: &str, text: &str) -> (String, usize) {
    Pattern::new(pattern, Over::Text, true, false).unwrap().replace_all(text, replacement).unwrap()
}

#[test]
fn ends_and_starts() {
    assert!(bytes("foo$", "foo\n") && bytes("foo$", "foo") && !bytes("foo$", "foo\n\n"));
    assert!(!bytes(r"foo\Z", "foo\n") && bytes(r"\Afoo", "foo"));
    assert!(!bytes("^b", "a\nb") && bytes("(?m)^b$", "a\nb\nc"));
    assert!(bytes(r"(?i)^PORT\s*=", "port =80\n"));
}

#[test]
fn classes_and_braces_are_pythons() {
    assert!(bytes("[[]x", "[x") && bytes("[]a]+$", "]a"));
    assert!(bytes("[a&&b]", "&") && bytes("[a~~b]", "~") && bytes("[!--]", "-"));
    assert!(bytes("{{ x }}", "{{ x }}") && bytes("a{,2}b$", "aab") && bytes("a{2}", "aa") && !bytes("a{2}", "a"));
    assert!(bytes("a{x}", "a{x}") && bytes(r"\{a\}", "{a}"));
    assert!(bytes(r"\<a\>\/\ \'", "<a>/ '") && bytes(r"[\]\-a]+$", "]-a"));
    assert!(bytes(r"[\w.-]+$", "a_b.c-d") && !bytes(r"^[\s]$", "x") && bytes(r"[^\S\n]", "\t"));
    assert!(bytes("^[^#;]*x", "ax"));
    assert!(bytes("^[ #]+$", " #"));
}

#[test]
fn over_bytes_a_character_is_a_byte() {
    assert!(bytes("^..$", "é") && bytes("é", "caf\u{e9}") && !bytes(r"^\w$", "é"));
    let pattern = Pattern::new("b.", Over::Bytes, false, false).unwrap();
    assert!(pattern.find(&widen(b"a\xff\xfeb\x80")).unwrap().is_some());
    assert_eq!(narrow(&widen(b"a\xff\x00")), b"a\xff\x00");
}

#[test]
fn groups_and_references() {
    assert!(bytes(r"^(a|b)\1$", "aa") && !bytes(r"^(a|b)\1$", "ab"));
    assert!(bytes(r"^(?P<q>['\x22]).*(?P=q)$", "'x'") && bytes(r"(?#note)a(?=b)(?!c)", "ab"));
    assert!(bytes(r"(?<=a)b(?<!c)", "ab") && bytes(r"\bfoo\b", "a foo b") && !bytes(r"\bfoo\b", "afoob"));
}

#[test]
fn replacements_expand_and_count() {
    assert_eq!(sub(r"(\w+)=(\w+)", r"\2=\g<1>\n\g<0>", "a=b"), ("b=a\na=b".into(), 1));
    assert_eq!(sub("x*", "-", "abxd"), ("-a-b--d-".into(), 5));
    assert_eq!(sub("^", "# ", "a\nb\n"), ("# a\n# b\n# ".into(), 3));
    assert_eq!(sub("$", ";", "a\nb"), ("a;\nb;".into(), 2));
    assert_eq!(sub("(a)|(b)", r"[\1\2]", "ab"), ("[a][b]".into(), 2));
    assert_eq!(sub(r"a", r"\.\\", "a"), (r"\.\".into(), 1));
    assert_eq!(sub("(?P<n>a)", r"\g<n>\101", "a"), ("aA".into(), 1));
    let pattern = Pattern::new("a", Over::Text, false, false).unwrap();
    assert!(pattern.replace_all("a", r"\1").unwrap_err().contains("group 1"));
    assert!(pattern.replace_all("a", r"\q").unwrap_err().contains("means nothing"));
    assert!(pattern.replace_all("a", "\\").unwrap_err().contains("backslash"));
}

#[test]
fn nonsense_is_told() {
    for pattern in ["(", "[a", "a\\", r"\h", "*a", r"\x4"] {
        let error = Pattern::new(pattern, Over::Text, false, false).unwrap_err();
        assert!(error.contains(pattern), "{error}");
    }
}
