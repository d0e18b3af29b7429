//! Filters for numbers and sizes.

use crate::values::Value;
use crate::values::call::{Call, Made, Spec, as_text, builtin};
use crate::values::convert::to_template;
use crate::values::error::fail;

pub(super) const FILTERS: &[Spec<Value>] = &[
    builtin("int", "as an integer, or the default", &["value", "default", "base"], int),
    builtin("float", "as a float, or the default", &["value", "default"], float),
    builtin("human_readable", "a size for people (1.00 KB)", &["value", "isbits", "unit"], human_readable),
    builtin("human_to_bytes", "the bytes of a size for people", &["value", "default_unit", "isbits"], human_to_bytes),
    builtin("log", "the logarithm", &["value", "base"], log),
    builtin("pow", "to this power", &["value", "power"], pow),
    builtin("root", "the root", &["value", "base"], root),
];

const UNITS: [(&str, u32); 9] =
    [("Y", 80), ("Z", 70), ("E", 60), ("P", 50), ("T", 40), ("G", 30), ("M", 20), ("K", 10), ("B", 0)];

#[allow(clippy::cast_possible_truncation)]
fn int(call: &Call<'_>) -> Made<Value> {
    let default = call.opt("default")?.unwrap_or(Value::Int(0));
    Ok(match call.value("value")? {
        value @ Value::Int(_) => value,
        Value::Bool(b) => Value::Int(i64::from(b)),
        Value::Float(x) => Value::Int(x as i64),
        Value::Str(text) => {
            let base = u32::try_from(call.int("base", Some(10))?).unwrap_or(10);
            if !(2..=36).contains(&base) {
                return Err(fail("`base` must be from 2 to 36"));
            }
            let clean = text.trim().replace('_', "");
            let (sign, digits) = clean.strip_prefix('-').map_or((1, clean.as_str()), |d| (-1, d));
            let digits = match base {
                16 => digits.strip_prefix("0x").or(digits.strip_prefix("0X")).unwrap_or(digits),
                8 => digits.strip_prefix("0o").or(digits.strip_prefix("0O")).unwrap_or(digits),
                2 => digits.strip_prefix("0b").or(digits.strip_prefix("0B")).unwrap_or(digits),
                _ => digits,
            };
            match (i64::from_str_radix(digits, base), clean.parse::<f64>()) {
                (Ok(i), _) => Value::Int(sign * i),
                (_, Ok(x)) if x.is_finite() && base == 10 => Value::Int(x as i64),
                _ => default,
            }
        }
        _ => default,
    })
}

#[allow(clippy::cast_precision_loss)]
fn float(call: &Call<'_>) -> Made<Value> {
    let default = call.opt("default")?.unwrap_or(Value::Float(0.0));
    Ok(match call.value("value")? {
        Value::Int(i) => Value::Float(i as f64),
        Value::Bool(b) => Value::Float(f64::from(b)),
        value @ Value::Float(_) => value,
        Value::Str(text) => text.trim().parse().map_or(default, Value::Float),
        _ => default,
    })
}

#[allow(clippy::cast_precision_loss)]
fn human_readable(call: &Call<'_>) -> Made<Value> {
    let value = match call.value("value")? {
        Value::Int(i) => i as f64,
        Value::Float(x) => x,
        other => as_text(&other)?.trim().parse().map_err(|_| fail(format!("'{other}' is no number")))?,
    };
    let bits = call.flag("isbits", false)?;
    let base = if bits { "bits" } else { "Bytes" };
    let wanted = call.opt_text("unit")?.map(|u| u.to_uppercase());
    for (letter, power) in UNITS {
        let limit = 2f64.powi(i32::try_from(power).unwrap_or(0));
        let fits = match &wanted {
            Some(unit) => unit.starts_with(letter),
            None => value >= limit,
        };
        if fits || (power == 0) {
            let suffix = match letter {
                "B" => base.to_owned(),
                letter => format!("{letter}{}", if bits { "b" } else { "B" }),
            };
            return Ok(Value::from(format!("{:.2} {suffix}", value / limit)));
        }
    }
    Ok(Value::from(format!("{value:.2} {base}")))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
fn human_to_bytes(call: &Call<'_>) -> Made<Value> {
    let text = call.text("value")?;
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..split].parse().map_err(|_| fail(format!("'{text}' is no size like '10M'")))?;
    let unit = text[split..].trim();
    let unit = if unit.is_empty() { call.opt_text("default_unit")?.unwrap_or_else(|| "B".into()) } else { unit.into() };
    let upper = unit.to_uppercase();
    let found = UNITS.iter().find(|(letter, _)| upper.starts_with(letter));
    let (_, power) =
        found.ok_or_else(|| fail(format!("'{unit}' is no unit of size; use B, K, M, G, T, P, E, Z or Y")))?;
    let bits = call.flag("isbits", false)?;
    if unit.len() > 1 && ((bits && unit.ends_with('B')) || (!bits && unit.ends_with('b'))) {
        return Err(fail(format!("'{unit}' mixes bits and bytes")));
    }
    Ok(Value::Int((number * 2f64.powi(i32::try_from(*power).unwrap_or(0))).round() as i64))
}

fn number(call: &Call<'_>, name: &str) -> Made<f64> {
    let value = call.value(name)?;
    f64::try_from(to_template(&value)).map_err(|_| fail(format!("needs numbers, and `{name}` is {}", value.describe())))
}

fn log(call: &Call<'_>) -> Made<Value> {
    let x = number(call, "value")?;
    let value = match call.opt("base")? {
        None => x.ln(),
        Some(Value::Int(10)) => x.log10(),
        Some(Value::Int(2)) => x.log2(),
        Some(_) => x.log(number(call, "base")?),
    };
    if value.is_finite() { Ok(Value::Float(value)) } else { Err(fail(format!("{x} has no logarithm"))) }
}

fn pow(call: &Call<'_>) -> Made<Value> {
    Ok(Value::Float(number(call, "value")?.powf(number(call, "power")?)))
}

fn root(call: &Call<'_>) -> Made<Value> {
    let base = if call.raw("base").is_some() { number(call, "base")? } else { 2.0 };
    let x = number(call, "value")?;
    #[allow(clippy::float_cmp)]
    Ok(Value::Float(if base == 2.0 { x.sqrt() } else { x.powf(1.0 / base) }))
}
