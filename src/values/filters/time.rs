//! Filters for times.

use crate::values::Value;
use crate::values::call::{Call, Made, Spec, builtin};
use crate::values::error::fail;
use crate::values::evaluation;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

pub(super) const FILTERS: &[Spec<Value>] = &[
    builtin("strftime", "a time, in seconds since 1970 or now, as text", &["value", "second", "utc"], strftime),
    builtin("to_datetime", "the parts of a time in a text", &["value", "format"], to_datetime),
];

#[allow(clippy::cast_possible_truncation)]
fn strftime(call: &Call<'_>) -> Made<Value> {
    let format = call.text("value")?;
    let time = match call.opt("second")? {
        None | Some(Value::Null) => (evaluation::current()?.engine.options.clock)(),
        Some(second) => {
            let seconds: f64 =
                second.to_string().trim().parse().map_err(|_| fail(format!("'{second}' is no number of seconds")))?;
            jiff::Timestamp::from_nanosecond((seconds * 1e9) as i128).map_err(|e| fail(e.to_string()))?
        }
    };
    let zone = if call.flag("utc", false)? { TimeZone::UTC } else { TimeZone::system() };
    jiff::fmt::strtime::format(&*format, &time.to_zoned(zone))
        .map(Value::from)
        .map_err(|e| fail(format!("the format '{format}' can't be used: {e}")))
}

/// A mapping with the parts; `.strftime()`, `.timestamp()` and `.isoformat()` are its methods.
fn to_datetime(call: &Call<'_>) -> Made<Value> {
    let text = call.text("value")?;
    let format = call.opt_text("format")?.unwrap_or_else(|| "%Y-%m-%d %H:%M:%S".into());
    let bad = |e: jiff::Error| fail(format!("'{text}' is no time of the form '{format}': {e}"));
    let parsed = jiff::fmt::strtime::parse(&*format, &*text).map_err(bad)?;
    let time = match parsed.to_datetime() {
        Ok(time) => time,
        Err(_) => parsed.to_date().map_err(bad)?.at(0, 0, 0, 0),
    };
    Ok(Value::from_pairs([
        ("year", Value::from(i64::from(time.year()))),
        ("month", Value::from(i64::from(time.month()))),
        ("day", Value::from(i64::from(time.day()))),
        ("hour", Value::from(i64::from(time.hour()))),
        ("minute", Value::from(i64::from(time.minute()))),
        ("second", Value::from(i64::from(time.second()))),
        ("microsecond", Value::from(i64::from(time.subsec_nanosecond() / 1000))),
    ]))
}

/// The time that [`to_datetime`] made, if the mapping is one.
fn time_of(map: &Value) -> Option<DateTime> {
    if map.as_map()?.len() != 7 {
        return None;
    }
    let part = |name: &str| map.get(name).and_then(Value::as_int);
    DateTime::new(
        i16::try_from(part("year")?).ok()?,
        i8::try_from(part("month")?).ok()?,
        i8::try_from(part("day")?).ok()?,
        i8::try_from(part("hour")?).ok()?,
        i8::try_from(part("minute")?).ok()?,
        i8::try_from(part("second")?).ok()?,
        i32::try_from(part("microsecond")? * 1000).ok()?,
    )
    .ok()
}

/// A method of a time; none if this is no time or has no such method.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn method(map: &Value, name: &str, format: Option<&str>) -> Made<Option<Value>> {
    let Some(time) = time_of(map) else { return Ok(None) };
    Ok(Some(match (name, format) {
        ("strftime", Some(format)) => {
            let text = jiff::fmt::strtime::format(format, time);
            Value::from(text.map_err(|e| fail(format!("the format '{format}' can't be used: {e}")))?)
        }
        // Without a zone of its own the time counts as UTC here, so that differences are right.
        ("timestamp", None) => {
            let zoned = time.to_zoned(TimeZone::UTC).map_err(|e| fail(e.to_string()))?;
            Value::Float(zoned.timestamp().as_microsecond() as f64 / 1e6)
        }
        ("isoformat", None) => Value::from(time.to_string()),
        ("date", None) => Value::from(time.date().to_string()),
        _ => return Ok(None),
    }))
}
