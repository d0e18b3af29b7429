//! What a plain scalar means: YAML 1.1, as PyYAML (and so Ansible) resolves it.
//!
//! The rules that surprise: `yes`, `no`, `on` and `off` are booleans; `0644` is octal (420) but `0o644` is a string;
//! `1_000` is a thousand; `1:30` is ninety (base 60); a float needs a point, and a sign in its exponent (`1e3` is a string).
//! Timestamps (`2026-11-21`) stay strings: PyYAML makes dates of them, which templates print as the same text.

use super::Kind;

/// A number that does not fit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Resolves a plain (unquoted, untagged) scalar.
pub(super) fn resolve_plain(text: &str) -> Result<Kind, TooLarge> {
    if is_null(text) {
        return Ok(Kind::Null);
    }
    if let Some(value) = bool_word(text) {
        return Ok(Kind::Bool(value));
    }
    if let Some(number) = integer(text) {
        return number.map(Kind::Int);
    }
    Ok(float(text).map_or_else(|| Kind::Str(text.into()), Kind::Float))
}

/// Whether a plain scalar of this text would be a string that comes back as it is.
pub(crate) fn plain_is_string(text: &str) -> bool {
    matches!(resolve_plain(text), Ok(Kind::Str(_))) && !looks_like_timestamp(text) && text != "=" && text != "<<"
}

pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// The eighteen spellings of YAML 1.1 that PyYAML takes (not `y` and `n`).
pub(super) fn bool_word(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// An integer in any of YAML 1.1's bases; `None` if the text has not the form of one.
pub(super) fn integer(text: &str) -> Option<Result<i64, TooLarge>> {
    let (negative, body) = split_sign(text);
    let first = body.bytes().next()?;
    if !first.is_ascii_digit() {
        return None;
    }
    let magnitude = if let Some(digits) = body.strip_prefix("0b") {
        radix(digits, 2)?
    } else if let Some(digits) = body.strip_prefix("0x") {
        radix(digits, 16)?
    } else if body.contains(':') {
        sexagesimal(body)?
    } else if body == "0" {
        Ok(0)
    } else if first == b'0' {
        radix(&body[1..], 8)?
    } else {
        radix(body, 10)?
    };
    Some(magnitude.and_then(|m| {
        let signed = if negative { -i128::from(m) } else { i128::from(m) };
        i64::try_from(signed).map_err(|_| TooLarge)
    }))
}

fn split_sign(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

fn radix(digits: &str, base: u32) -> Option<Result<u64, TooLarge>> {
    if !digits.chars().all(|c| c == '_' || c.is_digit(base)) {
        return None;
    }
    let digits = digits.replace('_', "");
    if digits.is_empty() {
        // `0_` is zero; `0b_` is nothing that PyYAML could read.
        return (base == 8).then_some(Ok(0));
    }
    Some(u64::from_str_radix(&digits, base).map_err(|_| TooLarge))
}

/// `1:30:05`, each part after the first below 60.
fn sexagesimal(body: &str) -> Option<Result<u64, TooLarge>> {
    let mut parts = body.split(':');
    let head = parts.next()?;
    if head.starts_with('0') || !head.chars().all(|c| c == '_' || c.is_ascii_digit()) {
        return None;
    }
    let mut total: u64 = match head.replace('_', "").parse() {
        Ok(n) => n,
        Err(_) => return Some(Err(TooLarge)),
    };
    for part in parts {
        let digit = sixtieth(part)?;
        total = match total.checked_mul(60).and_then(|t| t.checked_add(digit)) {
            Some(total) => total,
            None => return Some(Err(TooLarge)),
        };
    }
    Some(Ok(total))
}

fn sixtieth(part: &str) -> Option<u64> {
    let ok = matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']);
    if ok { part.parse().ok() } else { None }
}

/// A float; `None` if the text has not the form of one.
pub(super) fn float(text: &str) -> Option<f64> {
    let (negative, body) = split_sign(text);
    let signed = |x: f64| if negative { -x } else { x };
    match body {
        ".inf" | ".Inf" | ".INF" => return Some(signed(f64::INFINITY)),
        ".nan" | ".NaN" | ".NAN" if body.len() == text.len() => return Some(f64::NAN),
        _ => {}
    }
    let (mantissa, exponent) = match body.find(['e', 'E']) {
        Some(at) => (&body[..at], Some(&body[at + 1..])),
        None => (body, None),
    };
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['+', '-'])?;
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
    }
    let point = mantissa.find('.')?;
    let (whole, fraction) = (&mantissa[..point], &mantissa[point + 1..]);
    if !fraction.bytes().all(|b| b == b'_' || b.is_ascii_digit()) {
        return None;
    }
    if whole.is_empty() {
        // `.5`: no sign, and a digit right after the point.
        if body.len() != text.len() || !fraction.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
    } else if !whole.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if whole.contains(':') && exponent.is_none() {
        let mut parts = whole.split(':');
        let mut total: f64 = parts.next()?.replace('_', "").parse().ok()?;
        let mut parts = parts.peekable();
        while let Some(part) = parts.next() {
            let digit = sixtieth(part)?;
            let with_fraction = if parts.peek().is_none() { format!("{digit}.{fraction}") } else { digit.to_string() };
            total = total * 60.0 + with_fraction.replace('_', "").parse::<f64>().ok()?;
        }
        return Some(signed(total));
    }
    if !whole.bytes().all(|b| b == b'_' || b.is_ascii_digit()) {
        return None;
    }
    body.replace('_', "").parse().ok().map(signed)
}

/// A date, or a date with a time, in the forms of which PyYAML would make one: such a string is written quoted.
fn looks_like_timestamp(text: &str) -> bool {
    fn digits(text: &str, counts: std::ops::RangeInclusive<usize>) -> Option<(usize, &str)> {
        let count = text.bytes().take_while(u8::is_ascii_digit).count().min(*counts.end());
        counts.contains(&count).then(|| (count, &text[count..]))
    }
    fn matches(text: &str) -> Option<bool> {
        let (_, rest) = digits(text, 4..=4)?;
        let (month, rest) = digits(rest.strip_prefix('-')?, 1..=2)?;
        let (day, rest) = digits(rest.strip_prefix('-')?, 1..=2)?;
        if rest.is_empty() {
            return Some(month == 2 && day == 2);
        }
        let rest = match rest.strip_prefix(['T', 't']) {
            Some(rest) => rest,
            None if rest.starts_with([' ', '\t']) => rest.trim_start_matches([' ', '\t']),
            None => return None,
        };
        let (_, rest) = digits(rest, 1..=2)?;
        let (_, rest) = digits(rest.strip_prefix(':')?, 2..=2)?;
        let (_, mut rest) = digits(rest.strip_prefix(':')?, 2..=2)?;
        if let Some(fraction) = rest.strip_prefix('.') {
            rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        }
        if rest.is_empty() {
            return Some(true);
        }
        let zone = rest.trim_start_matches([' ', '\t']);
        if zone == "Z" {
            return Some(true);
        }
        let (_, rest) = digits(zone.strip_prefix(['+', '-'])?, 1..=2)?;
        Some(rest.is_empty() || digits(rest.strip_prefix(':')?, 2..=2)?.1.is_empty())
    }
    matches(text).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::approx_constant)]
    use super::*;

    fn int(text: &str) -> i64 {
        match resolve_plain(text).unwrap() {
            Kind::Int(i) => i,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn integers_in_every_base() {
        for (text, number) in [
            ("0", 0),
            ("-0", 0),
            ("42", 42),
            ("+7", 7),
            ("-12", -12),
            ("1_000", 1000),
            ("0644", 420),
            ("-017", -15),
            ("0_7", 7),
            ("0x1F", 31),
            ("0x_f", 15),
            ("0b101", 5),
            ("1:30", 90),
            ("190:20:30", 685_230),
            ("-1:01", -61),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(int(text), number, "{text}");
        }
    }

    #[test]
    fn floats_as_pyyaml_reads_them() {
        for (text, number) in [
            ("1.5", 1.5),
            ("1.", 1.0),
            ("-0.25", -0.25),
            (".5", 0.5),
            ("1_0.5", 10.5),
            ("1.0e+3", 1000.0),
            ("6.8523015e-5", 0.000_068_523_015),
            ("190:20:30.15", 685_230.15),
            ("-.inf", f64::NEG_INFINITY),
            ("+.INF", f64::INFINITY),
        ] {
            assert_eq!(resolve_plain(text).unwrap(), Kind::Float(number), "{text}");
        }
        assert!(matches!(resolve_plain(".nan").unwrap(), Kind::Float(x) if x.is_nan()));
    }

    #[test]
    fn the_rest_are_strings() {
        for text in [
            "0o17",
            "08",
            "1e3",
            "1.0e3",
            "12:65",
            "0:30",
            "-.5",
            "-.nan",
            "1.2.3",
            "y",
            "n",
            "nULL",
            "0x",
            "0b",
            "0xg",
            "_1",
            "-",
            "+",
            ".",
            "2026-11-21",
            "12e",
            "1,5",
            "v1.0",
            "1:2:",
            "TrUe",
            "0b2",
        ] {
            assert_eq!(resolve_plain(text).unwrap(), Kind::Str(text.into()), "{text}");
        }
    }

    #[test]
    fn words() {
        for text in ["yes", "Yes", "on", "ON", "true", "True"] {
            assert_eq!(resolve_plain(text).unwrap(), Kind::Bool(true), "{text}");
        }
        for text in ["no", "off", "FALSE"] {
            assert_eq!(resolve_plain(text).unwrap(), Kind::Bool(false), "{text}");
        }
        for text in ["", "~", "null", "Null", "NULL"] {
            assert_eq!(resolve_plain(text).unwrap(), Kind::Null, "{text}");
        }
    }

    #[test]
    fn a_number_beyond_64_bits_is_not_bent() {
        assert_eq!(resolve_plain("9223372036854775808"), Err(TooLarge));
        assert_eq!(resolve_plain("0xFFFFFFFFFFFFFFFFFF"), Err(TooLarge));
    }

    #[test]
    fn what_must_be_quoted_to_stay_a_string() {
        assert!(plain_is_string("web1"));
        for text in ["yes", "1", "2026-11-21", "2026-1-2 10:00:00", "2026-11-21T1:02:03.5 +01:30", "=", "<<", "", "1.5"]
        {
            assert!(!plain_is_string(text), "{text}");
        }
        for text in ["2026-11-21-backup", "2026-1-2", "2026-11-21 noon", "2026-11-21 10:00"] {
            assert!(plain_is_string(text), "{text}");
        }
    }
}
