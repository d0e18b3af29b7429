//! The clock.

use super::put;
use crate::values::{Map, Value};

/// The facts in what `time.sh` said.
pub(super) fn parse(said: &str) -> Map {
    const NAMES: [&str; 15] = [
        "year",
        "month",
        "weekday",
        "weekday_number",
        "weeknumber",
        "day",
        "hour",
        "minute",
        "second",
        "epoch",
        "date",
        "time",
        "iso8601_basic_short",
        "tz",
        "tz_offset",
    ];
    let mut lines = said.lines();
    let parts: Vec<_> = lines.next().unwrap_or_default().split('|').map(str::to_owned).collect();
    let utc: Vec<_> = lines.next().unwrap_or_default().split('|').map(str::to_owned).collect();
    // busybox date knows no %N.
    let micro = lines.next().filter(|n| n.len() == 9 && n.bytes().all(|b| b.is_ascii_digit()));
    let micro = micro.map_or("000000", |n| &n[..6]);
    let mut time = Map::new();
    for (name, value) in NAMES.iter().zip(&parts) {
        put(&mut time, name, value);
    }
    if let (Some(short), [stamp, bare]) = (parts.get(12), &utc[..]) {
        put(&mut time, "epoch_int", parts[9].clone());
        put(&mut time, "iso8601", stamp);
        put(&mut time, "iso8601_micro", format!("{bare}.{micro}Z"));
        put(&mut time, "iso8601_basic", format!("{short}{micro}"));
        put(&mut time, "tz_dst", lines.next().unwrap_or_default());
    }
    let mut facts = Map::new();
    put(&mut facts, "date_time", Value::map(time));
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_has_all_forms() {
        let facts = parse(
            "2026|11|Saturday|6|46|21|18|07|26|1795284446|2026-11-21|18:07:26|20261121T180726|CET|+0100\n2026-11-21T17:07:26Z|2026-11-21T17:07:26\n652847854\nCEST\n",
        );
        let time = facts["date_time"].clone();
        for (name, value) in [
            ("year", "2026"),
            ("weekday", "Saturday"),
            ("epoch", "1795284446"),
            ("tz", "CET"),
            ("tz_dst", "CEST"),
            ("tz_offset", "+0100"),
            ("iso8601", "2026-11-21T17:07:26Z"),
            ("iso8601_micro", "2026-11-21T17:07:26.652847Z"),
            ("iso8601_basic", "20261121T180726652847"),
            ("iso8601_basic_short", "20261121T180726"),
        ] {
            assert_eq!(time.get(name).and_then(Value::as_str), Some(value), "{name}");
        }
    }
}
