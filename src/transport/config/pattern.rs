//! The patterns of `ssh_config` and `known_hosts`.

/// Whether `text` matches a pattern in which `*` stands for any characters and `?` for one.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || text.get(t) == Some(&c) => {
                p += 1;
                t += 1;
            }
            // Let the last star take one more character, and try again behind it.
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|c| *c == b'*')
}

/// Whether a list of patterns accepts `text`: one matches, and none with `!` before it does.
pub(crate) fn list_matches<'a>(patterns: impl IntoIterator<Item = &'a str>, text: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(negated) if matches(negated, text) => return false,
            Some(_) => {}
            None => found |= matches(pattern, text),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, text, want) in [
            ("*", "", true),
            ("a*b*c", "aXXbYYc", true),
            ("a*b*c", "aXXbYY", false),
            ("?.example", "a.example", true),
            ("?.example", "ab.example", false),
            ("*.example.org", "example.org", false),
            ("web", "web", true),
            ("web", "webs", false),
            ("**x", "yx", true),
        ] {
            assert_eq!(matches(pattern, text), want, "{pattern} {text}");
        }
    }

    #[test]
    fn a_negated_pattern_excludes() {
        assert!(list_matches(["*.org", "!x.org"], "y.org"));
        assert!(!list_matches(["*.org", "!x.org"], "x.org"));
        assert!(!list_matches(["!x.org"], "y.org"));
    }
}
