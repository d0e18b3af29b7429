//! Host patterns in inventories: `web[01:10:2]`, `db-[a:c].x:2200`, `[2001:db8::5]:22`.

/// The names that a pattern stands for, and the port behind it.
///
/// # Errors
/// What is wrong with a range, in a sentence.
pub(super) fn expand(pattern: &str) -> Result<(Vec<String>, Option<u16>), String> {
    let (host, port) = split_port(pattern)?;
    let mut names = Vec::new();
    expand_into(host, &mut names)?;
    Ok((names, port))
}

/// The host and the port of `host:22` or `[v6]:22`; an IPv6 address without brackets has no port.
pub(super) fn split_port(pattern: &str) -> Result<(&str, Option<u16>), String> {
    let Some((host, digits)) = pattern.rsplit_once(':') else { return Ok((pattern, None)) };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok((pattern, None));
    }
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).filter(|h| is_ipv6(h));
    // A colon outside of brackets: an IPv6 address, whose last part is no port.
    let mut depth = 0;
    let outside = host.chars().any(|c| {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        c == ':' && depth == 0
    });
    if (outside || depth != 0) && inner.is_none() {
        return Ok((pattern, None));
    }
    let port = digits.parse().map_err(|_| format!("{digits} is no port: a port is at most 65535"))?;
    Ok((inner.unwrap_or(host), Some(port)))
}

fn is_ipv6(text: &str) -> bool {
    text.parse::<std::net::Ipv6Addr>().is_ok()
}

/// How many names one pattern may stand for.
const MAX_NAMES: usize = 65_536;

fn expand_into(pattern: &str, names: &mut Vec<String>) -> Result<(), String> {
    let Some(open) = pattern.find('[') else {
        names.push(pattern.to_owned());
        return Ok(());
    };
    let (head, rest) = (&pattern[..open], &pattern[open + 1..]);
    let Some(close) = rest.find(']') else { return Err("the `[` of a range is not closed".to_owned()) };
    let (range, tail) = (&rest[..close], &rest[close + 1..]);
    for middle in members(range)? {
        expand_into(&format!("{head}{middle}{tail}"), names)?;
        if names.len() > MAX_NAMES {
            return Err(format!("the range stands for more than {MAX_NAMES} hosts"));
        }
    }
    Ok(())
}

fn members(range: &str) -> Result<Vec<String>, String> {
    let bounds: Vec<&str> = range.split(':').collect();
    let (begin, end, step) = match bounds[..] {
        [begin, end] => (begin, end, 1),
        [begin, end, step] => match step.parse::<usize>() {
            Ok(step) if step > 0 => (begin, end, step),
            _ => return Err(format!("the step `{step}` of a range must be a number above 0")),
        },
        _ => return Err(format!("a range is written [begin:end] or [begin:end:step], not [{range}]")),
    };
    let begin = if begin.is_empty() { "0" } else { begin };
    if end.is_empty() {
        return Err(format!("the range [{range}] has no end"));
    }
    let backwards = || Err(format!("the range [{range}] ends before it begins"));
    if let (Some(first), Some(last)) = (letter(begin), letter(end)) {
        if first > last {
            return backwards();
        }
        return Ok(LETTERS[first..=last].iter().step_by(step).map(|b| char::from(*b).to_string()).collect());
    }
    let width = if begin.starts_with('0') && begin.len() > 1 { begin.len() } else { 0 };
    if width != 0 && width != end.len() {
        return Err(format!("begin and end of the range [{range}] must have the same number of digits"));
    }
    let number = |text: &str| {
        text.parse::<u32>().map_err(|_| format!("a range goes between two numbers or two letters, not [{range}]"))
    };
    let (first, last) = (number(begin)?, number(end)?);
    if first > last {
        return backwards();
    }
    if (last - first) as usize / step >= MAX_NAMES {
        return Err(format!("the range stands for more than {MAX_NAMES} hosts"));
    }
    Ok((first..=last).step_by(step).map(|n| format!("{n:0width$}")).collect())
}

/// Small letters come before capital ones, as in Ansible.
const LETTERS: &[u8; 52] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

fn letter(text: &str) -> Option<usize> {
    match text.as_bytes() {
        [byte] => LETTERS.iter().position(|l| l == byte),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn names(pattern: &str) -> String {
        let (names, port) = expand(pattern).unwrap();
        let port = port.map_or(String::new(), |p| format!(" @{p}"));
        format!("{}{port}", names.join(" "))
    }

    #[test]
    fn expands() {
        assert_eq!(names("web"), "web");
        assert_eq!(names("web[1:3]"), "web1 web2 web3");
        assert_eq!(names("web[01:05:2]"), "web01 web03 web05");
        assert_eq!(names("web[:2]x"), "web0x web1x web2x");
        assert_eq!(names("db-[a:c].x:2200"), "db-a.x db-b.x db-c.x @2200");
        assert_eq!(names("r[1:2]n[a:b]"), "r1na r1nb r2na r2nb");
        assert_eq!(names("[y:B]"), "y z A B");
        assert_eq!(names("[2001:db8::5]:2022"), "2001:db8::5 @2022");
        assert_eq!(names("2001:db8::5"), "2001:db8::5");
        assert_eq!(names("::1"), "::1");
        assert_eq!(names("10.0.0.[1:2]:22"), "10.0.0.1 10.0.0.2 @22");
    }

    #[test]
    fn says_what_is_wrong() {
        for (pattern, said) in [
            ("web[1:3", "not closed"),
            ("web[1]", "[begin:end]"),
            ("web[1:]", "has no end"),
            ("web[01:100]", "same number of digits"),
            ("web[3:1]", "ends before it begins"),
            ("web[c:a]", "ends before it begins"),
            ("web[a:3]", "between two numbers or two letters"),
            ("web[1:3:0]", "above 0"),
            ("web[0:4000000000]", "more than"),
            ("web[0:999][0:999]", "more than"),
            ("web:70000", "no port"),
        ] {
            let error = expand(pattern).unwrap_err();
            assert!(error.contains(said), "{pattern}: {error}");
        }
    }
}
