//! Local facts: `NAME.fact` files that hold JSON or INI, or print it.

use super::put;
use crate::values::{Map, Value};

/// The facts in what `local.sh` said.
pub(super) fn parse(said: &[u8]) -> Map {
    let mut local = Map::new();
    for part in said.split(|&b| b == 0x1e).skip(1) {
        let text = String::from_utf8_lossy(part);
        let (head, body) = text.split_once('\n').unwrap_or((&text, ""));
        let mut words = head.splitn(3, ' ');
        let (how, rc, path) =
            (words.next().unwrap_or_default(), words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let name = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".fact");
        let value = match (how, rc) {
            ("run" | "read", "0") => read(body, path),
            ("run", rc) => Value::from(format!("Failure executing fact script ({path}), rc: {rc}")),
            _ => Value::from(format!("error loading facts as it can't be read ({path})")),
        };
        put(&mut local, name, value);
    }
    let mut facts = Map::new();
    put(&mut facts, "local", Value::map(local));
    facts
}

/// JSON if it is that, else sections of `key = value` lines.
fn read(text: &str, path: &str) -> Value {
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        return value;
    }
    ini(text).map_or_else(
        || Value::from(format!("error loading facts as JSON or ini - please check content: {path}")),
        Value::map,
    )
}

fn ini(text: &str) -> Option<Map> {
    let mut sections: Vec<(String, Map)> = Vec::new();
    let mut last: Option<String> = None;
    for raw in text.lines() {
        let line = raw.trim();
        if line.is_empty() {
            last = None;
            continue;
        }
        if line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            sections.push((name.to_owned(), Map::new()));
            last = None;
            continue;
        }
        let (_, section) = sections.last_mut()?;
        if let (true, Some(key)) = (raw.starts_with([' ', '\t']), &last) {
            // A line that is indented goes on with the value before.
            let so_far = section.get(key.as_str()).map(ToString::to_string).unwrap_or_default();
            put(section, key, format!("{so_far}\n{line}"));
            continue;
        }
        let at = line.find(['=', ':'])?;
        let key = line[..at].trim().to_lowercase();
        put(section, &key, line[at + 1..].trim());
        last = Some(key);
    }
    if sections.is_empty() {
        return None;
    }
    Some(sections.into_iter().map(|(name, map)| (name.into(), Value::map(map))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_ini_scripts_and_failures() {
        let facts = parse(
            b"\x1eread 0 /etc/ansible/facts.d/a.fact\n{\"x\": [1, 2]}\n\x1eread 0 /f/b.fact\n[General]\nName = web one\nport: 80\n\x1erun 0 /f/c.fact\n\"text\"\n\x1erun 3 /f/d.fact\n\n\x1eread 0 /f/e.fact\nnonsense\n",
        );
        let local = &facts["local"];
        assert_eq!(local.get("a").and_then(|a| a.get("x")), Some(&Value::from(vec![1, 2])));
        let general = local.get("b").and_then(|b| b.get("General"));
        assert_eq!(general.and_then(|g| g.get("name")), Some(&Value::from("web one")));
        assert_eq!(general.and_then(|g| g.get("port")), Some(&Value::from("80")));
        assert_eq!(local.get("c"), Some(&Value::from("text")));
        assert!(local.get("d").is_some_and(|d| d.to_string().contains("rc: 3")));
        assert!(local.get("e").is_some_and(|e| e.to_string().contains("please check content")));
        assert_eq!(parse(b"")["local"], Value::map(Map::new()));
    }
}
