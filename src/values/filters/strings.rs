//! Filters for texts.

use crate::values::call::{Call, Made, Spec, as_text, builtin, known, truthy};
use crate::values::error::fail;
use crate::values::{Map, Value};
use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose::STANDARD, general_purpose::URL_SAFE};

pub(super) const FILTERS: &[Spec<Value>] = &[
    builtin("b64encode", "as base64", &["value", "encoding", "urlsafe"], b64encode),
    builtin("b64decode", "the text of base64", &["value", "encoding", "urlsafe"], b64decode),
    builtin("replace", "with one text in place of another", &["value", "old", "new", "count"], replace),
    builtin(
        "indent",
        "with every line but the first moved to the right",
        &["value", "width", "first", "blank"],
        indent,
    ),
    builtin("urlencode", "escaped for a URL", &["value"], urlencode),
    builtin("quote", "quoted for a POSIX shell", &["value"], quote),
    builtin(
        "comment",
        "as a comment of a configuration file",
        &[
            "value",
            "style",
            "decoration",
            "beginning",
            "end",
            "prefix",
            "prefix_count",
            "postfix",
            "postfix_count",
            "newline",
        ],
        comment,
    ),
    builtin("split", "the pieces between separators", &["value", "separator", "maxsplit"], split),
    builtin("center", "in the middle of a line", &["value", "width"], center),
    builtin("truncate", "cut to a length", &["value", "length", "killwords", "end", "leeway"], truncate),
    builtin("wordcount", "the number of words", &["value"], wordcount),
    builtin("wordwrap", "wrapped to a width", &["value", "width", "break_long_words", "wrapstring"], wordwrap),
    builtin("striptags", "without HTML tags", &["value"], striptags),
    builtin("urlsplit", "the parts of a URL", &["value", "query"], urlsplit),
    builtin("xmlattr", "the attributes of an XML element", &["value", "autospace"], xmlattr),
];

fn b64encode(call: &Call<'_>) -> Made<Value> {
    let text = call.text("value")?;
    let bytes = encode(&text, call.opt_text("encoding")?.as_deref())?;
    Ok(Value::from(if call.flag("urlsafe", false)? { URL_SAFE.encode(bytes) } else { STANDARD.encode(bytes) }))
}

fn encode(text: &str, encoding: Option<&str>) -> Made<Vec<u8>> {
    match encoding.unwrap_or("utf-8").to_ascii_lowercase().replace('_', "-").as_str() {
        "utf-8" | "utf8" | "ascii" => Ok(text.as_bytes().to_vec()),
        "utf-16-le" | "utf-16le" => Ok(text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        "utf-16-be" | "utf-16be" => Ok(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        "utf-16" => Ok([0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()),
        "latin-1" | "iso-8859-1" | "latin1" => {
            text.chars().map(|c| u8::try_from(c as u32).map_err(|_| fail(format!("'{c}' is not in latin-1")))).collect()
        }
        other => Err(fail(format!("the encoding '{other}' is not supported; use utf-8, utf-16-le or latin-1"))),
    }
}

fn b64decode(call: &Call<'_>) -> Made<Value> {
    let text: String = call.text("value")?.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let alphabet = if call.flag("urlsafe", false)? { &base64::alphabet::URL_SAFE } else { &base64::alphabet::STANDARD };
    let bytes = GeneralPurpose::new(alphabet, config)
        .decode(text.as_bytes())
        .map_err(|e| fail(format!("this is not base64: {e}")))?;
    let units =
        |from: fn([u8; 2]) -> u16| bytes.chunks_exact(2).map(|pair| from([pair[0], pair[1]])).collect::<Vec<_>>();
    let encoding = call.opt_text("encoding")?;
    Ok(Value::from(match encoding.as_deref().unwrap_or("utf-8").to_ascii_lowercase().replace('_', "-").as_str() {
        "utf-8" | "utf8" | "ascii" => String::from_utf8_lossy(&bytes).into_owned(),
        "utf-16-le" | "utf-16le" => String::from_utf16_lossy(&units(u16::from_le_bytes)),
        "utf-16-be" | "utf-16be" => String::from_utf16_lossy(&units(u16::from_be_bytes)),
        "latin-1" | "iso-8859-1" | "latin1" => bytes.iter().map(|b| char::from(*b)).collect(),
        other => return Err(fail(format!("the encoding '{other}' is not supported; use utf-8, utf-16-le or latin-1"))),
    }))
}

fn replace(call: &Call<'_>) -> Made<Value> {
    let (text, old, new) = (call.text("value")?, call.text("old")?, call.text("new")?);
    let count = match call.opt("count")? {
        None | Some(Value::Null) => None,
        Some(_) => usize::try_from(call.int("count", None)?).ok(),
    };
    Ok(Value::from(match count {
        None => text.replace(&*old, &new),
        Some(count) => text.replacen(&*old, &new, count),
    }))
}

fn indent(call: &Call<'_>) -> Made<Value> {
    let text = call.text("value")?;
    let indent = match call.opt("width")? {
        Some(Value::Str(text)) => text.to_string(),
        _ => " ".repeat(usize::try_from(call.int("width", Some(4))?).unwrap_or(0)),
    };
    let blank = call.flag("blank", false)?;
    let mut out = String::with_capacity(text.len() + 64);
    for (i, line) in text.split('\n').enumerate() {
        if i > 0 {
            out.push('\n');
        }
        let wanted = if i == 0 { call.flag("first", false)? } else { blank || !line.is_empty() };
        if wanted {
            out.push_str(&indent);
        }
        out.push_str(line);
    }
    Ok(Value::from(out))
}

/// Percent-encoding; in the pairs of a query a blank is `+` and `/` is escaped too.
fn percent(text: &str, query: bool) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b if b.is_ascii_alphanumeric() || b"_.-~".contains(&b) => out.push(char::from(b)),
            b'/' if !query => out.push('/'),
            b' ' if query => out.push('+'),
            // Writing to a string can't fail.
            b => _ = write!(out, "%{b:02X}"),
        }
    }
    out
}

fn urlencode(call: &Call<'_>) -> Made<Value> {
    let pair = |key: &str, value: &Value| -> Made<String> {
        Ok(format!("{}={}", percent(key, true), percent(&as_text(&known(value.clone())?)?, true)))
    };
    Ok(Value::from(match call.value("value")? {
        Value::Map(map) => map.iter().map(|(k, v)| pair(k, v)).collect::<Made<Vec<_>>>()?.join("&"),
        Value::List(items) => {
            let mut out = Vec::new();
            for item in items.iter() {
                match item.as_list() {
                    Some([key, value]) => out.push(pair(&as_text(key)?, value)?),
                    _ => return Err(fail("needs a text, a mapping or a list of pairs")),
                }
            }
            out.join("&")
        }
        other => percent(&as_text(&other)?, false),
    }))
}

fn quote(call: &Call<'_>) -> Made<Value> {
    let text = match call.value("value")? {
        Value::Null => String::new(),
        value => as_text(&value)?.to_string(),
    };
    let safe = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    Ok(Value::from(if !text.is_empty() && text.chars().all(safe) {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\"'\"'"))
    }))
}

fn comment(call: &Call<'_>) -> Made<Value> {
    let style = call.opt_text("style")?;
    let (decoration, beginning, end) = match style.as_deref().unwrap_or("plain") {
        "plain" => ("# ", "", ""),
        "erlang" => ("% ", "", ""),
        "c" => ("// ", "", ""),
        "cblock" => (" * ", "/*", " */"),
        "xml" => (" - ", "<!--", "-->"),
        other => {
            return Err(fail(format!("there is no comment style '{other}'; there are plain, erlang, c, cblock, xml")));
        }
    };
    let or = |name: &str, default: &str| -> Made<String> {
        Ok(call.opt_text(name)?.map_or_else(|| default.to_owned(), |t| t.to_string()))
    };
    let newline = or("newline", "\n")?;
    let decoration = or("decoration", decoration)?;
    let beginning = or("beginning", beginning)?;
    let end = or("end", end)?;
    // A prefix or postfix without text of its own is a bare decoration line.
    let bare = decoration.trim_end().to_owned();
    let prefix = or("prefix", &bare)?;
    let postfix = or("postfix", &bare)?;
    let count = |name: &str| -> Made<usize> { Ok(usize::try_from(call.int(name, Some(1))?).unwrap_or(0)) };
    let mut out = String::new();
    if !beginning.is_empty() {
        out.push_str(&beginning);
        out.push_str(&newline);
    }
    for _ in 0..count("prefix_count")? {
        out.push_str(&prefix);
        out.push_str(&newline);
    }
    let text = call.text("value")?;
    let lines: Vec<String> = text.split('\n').map(|line| format!("{decoration}{line}").trim_end().to_owned()).collect();
    out.push_str(&lines.join(&newline));
    for _ in 0..count("postfix_count")? {
        out.push_str(&newline);
        out.push_str(&postfix);
    }
    if !end.is_empty() {
        out.push_str(&newline);
        out.push_str(&end);
    }
    Ok(Value::from(out))
}

fn split(call: &Call<'_>) -> Made<Value> {
    let text = call.text("value")?;
    let limit = usize::try_from(call.int("maxsplit", Some(-1))?).ok();
    let items: Vec<Value> = match (call.opt_text("separator")?, limit) {
        (Some(separator), _) if separator.is_empty() => return Err(fail("the separator can't be empty")),
        (Some(separator), None) => text.split(&*separator).map(Value::from).collect(),
        (Some(separator), Some(n)) => text.splitn(n + 1, &*separator).map(Value::from).collect(),
        (None, None) => text.split_whitespace().map(Value::from).collect(),
        (None, Some(n)) => {
            let mut rest = text.trim_start();
            let mut out = Vec::new();
            while out.len() < n && !rest.is_empty() {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                out.push(Value::from(&rest[..end]));
                rest = rest[end..].trim_start();
            }
            if !rest.is_empty() {
                out.push(Value::from(rest));
            }
            out
        }
    };
    Ok(Value::list(items))
}

fn center(call: &Call<'_>) -> Made<Value> {
    let text = call.text("value")?;
    let width = usize::try_from(call.int("width", Some(80))?).unwrap_or(0);
    let pad = width.saturating_sub(text.chars().count());
    // Python puts the odd blank left when the width is odd too.
    let left = pad / 2 + (pad & width & 1);
    Ok(Value::from(format!("{}{text}{}", " ".repeat(left), " ".repeat(pad - left))))
}

fn truncate(call: &Call<'_>) -> Made<Value> {
    let text = call.text("value")?;
    let length = usize::try_from(call.int("length", Some(255))?).unwrap_or(0);
    let leeway = usize::try_from(call.int("leeway", Some(5))?).unwrap_or(0);
    let end = call.opt_text("end")?.unwrap_or_else(|| "...".into());
    if text.chars().count() <= length + leeway {
        return Ok(Value::Str(text));
    }
    let keep = length
        .checked_sub(end.chars().count())
        .ok_or_else(|| fail(format!("the length must be at least that of the end, {}", end.chars().count())))?;
    let cut: String = text.chars().take(keep).collect();
    if call.flag("killwords", false)? {
        return Ok(Value::from(format!("{cut}{end}")));
    }
    let words = cut.rsplit_once(' ').map_or(cut.as_str(), |(words, _)| words);
    Ok(Value::from(format!("{words}{end}")))
}

fn wordcount(call: &Call<'_>) -> Made<Value> {
    let text = call.text("value")?;
    Ok(Value::from(text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).count()))
}

fn wordwrap(call: &Call<'_>) -> Made<Value> {
    let text = call.text("value")?;
    let width = usize::try_from(call.int("width", Some(79))?).unwrap_or(79).max(1);
    let long = call.flag("break_long_words", true)?;
    let newline = call.opt_text("wrapstring")?.unwrap_or_else(|| "\n".into());
    let mut lines = Vec::new();
    for line in text.lines() {
        let mut current = String::new();
        for word in line.split(' ') {
            let mut word = word.to_owned();
            if !current.is_empty() && current.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut current));
            }
            while long && current.is_empty() && word.chars().count() > width {
                lines.push(word.chars().take(width).collect());
                word = word.chars().skip(width).collect();
            }
            if !current.is_empty() {
                current.push(' ');
            }
            current.push_str(&word);
        }
        lines.push(current);
    }
    Ok(Value::from(lines.join(&newline)))
}

fn striptags(call: &Call<'_>) -> Made<Value> {
    let text = call.text("value")?;
    let mut out = String::new();
    let mut inside = false;
    for c in text.chars() {
        match c {
            '<' => inside = true,
            '>' if inside => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    Ok(Value::from(out.split_whitespace().collect::<Vec<_>>().join(" ")))
}

fn urlsplit(call: &Call<'_>) -> Made<Value> {
    let url = call.text("value")?;
    let (rest, fragment) = url.split_once('#').unwrap_or((&url, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let scheme_ok = |s: &str| {
        s.starts_with(|c: char| c.is_ascii_alphabetic())
            && s.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    let (scheme, rest) = rest.split_once(':').filter(|(s, _)| scheme_ok(s)).unwrap_or(("", rest));
    let (netloc, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None => ("", rest),
    };
    let (user, host) = netloc.rsplit_once('@').map_or((None, netloc), |(user, host)| (Some(user), host));
    let (name, port) = match host.strip_prefix('[').and_then(|h| h.split_once(']')) {
        Some((name, rest)) => (name, rest.strip_prefix(':')),
        None => host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
    };
    let (username, password) = match user {
        Some(user) => user.split_once(':').map_or((Some(user), None), |(u, p)| (Some(u), Some(p))),
        None => (None, None),
    };
    let port = match port.filter(|p| !p.is_empty()) {
        Some(port) => Value::Int(port.parse::<u16>().map(i64::from).map_err(|_| fail(format!("'{port}' is no port")))?),
        None => Value::Null,
    };
    let lower = name.to_lowercase();
    let parts = Value::from_pairs([
        ("fragment", Value::from(fragment)),
        ("hostname", if lower.is_empty() { Value::Null } else { Value::from(lower) }),
        ("netloc", Value::from(netloc)),
        ("password", Value::from(password)),
        ("path", Value::from(path)),
        ("port", port),
        ("query", Value::from(query)),
        ("scheme", Value::from(scheme.to_lowercase())),
        ("username", Value::from(username)),
    ]);
    match call.opt_text("query")? {
        None => Ok(parts),
        Some(part) if part.is_empty() => Ok(parts),
        Some(part) => parts.get(&part).cloned().ok_or_else(|| fail(format!("a URL has no part '{part}'"))),
    }
}

fn xmlattr(call: &Call<'_>) -> Made<Value> {
    let escape = |t: &str| {
        t.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&#34;").replace('\'', "&#39;")
    };
    let map: std::sync::Arc<Map> = call.map("value")?;
    let mut out = Vec::new();
    for (key, value) in map.iter().filter(|(_, v)| !matches!(v, Value::Null)) {
        out.push(format!("{}=\"{}\"", escape(key), escape(&as_text(&known(value.clone())?)?)));
    }
    let text = out.join(" ");
    let space = match call.opt("autospace")? {
        None => true,
        Some(value) => truthy(&value),
    };
    Ok(Value::from(if space && !text.is_empty() { format!(" {text}") } else { text }))
}
