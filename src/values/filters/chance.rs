//! Filters that draw: the same on every evaluation of the same step.

use crate::values::call::{Call, Made, Spec, as_text, builtin, known};
use crate::values::error::fail;
use crate::values::{Value, evaluation};

pub(super) const FILTERS: &[Spec<Value>] = &[
    builtin("random", "a random element, or number below", &["value", "start", "step", "seed"], random),
    builtin("shuffle", "in random order", &["value", "seed"], shuffle),
    Spec {
        name: "random_mac",
        collections: &["community.general"],
        about: "a MAC address with this prefix",
        params: &["value", "seed"],
        undefined: false,
        run: random_mac,
    },
];

/// The stream for a filter: from the seed that was given, or from the step's.
fn stream(call: &Call<'_>, what: &str) -> Made<crate::values::random::Stream> {
    use crate::values::random::{Stream, mix};
    Ok(Stream::new(match call.opt("seed")? {
        None | Some(Value::Null) => evaluation::current()?.draw(what),
        Some(seed) => mix(as_text(&known(seed)?)?.as_bytes(), 1),
    }))
}

fn random(call: &Call<'_>) -> Made<Value> {
    let mut stream = stream(call, "random")?;
    match call.value("value")? {
        Value::List(items) if items.is_empty() => Err(fail("an empty list has no random element")),
        Value::List(items) => {
            let index = usize::try_from(stream.below(items.len() as u64)).unwrap_or(0);
            Ok(items[index].clone())
        }
        Value::Int(end) => {
            let (start, step) = (call.int("start", Some(0))?, call.int("step", Some(1))?.max(1));
            let count = u64::try_from((end - start + step - 1).div_euclid(step)).unwrap_or(0);
            if count == 0 {
                return Err(fail(format!("there is no number from {start} below {end}")));
            }
            Ok(Value::Int(start + step * i64::try_from(stream.below(count)).unwrap_or(0)))
        }
        other => Err(fail(format!("needs a list or an integer, not {}", other.describe()))),
    }
}

fn shuffle(call: &Call<'_>) -> Made<Value> {
    let mut items = call.list("value")?.to_vec();
    stream(call, "shuffle")?.shuffle(&mut items);
    Ok(Value::list(items))
}

fn random_mac(call: &Call<'_>) -> Made<Value> {
    let prefix = call.text("value")?.to_lowercase();
    let mut parts: Vec<String> = prefix.split(':').filter(|p| !p.is_empty()).map(str::to_owned).collect();
    if parts.is_empty() || parts.len() > 5 || parts.iter().any(|p| p.len() != 2 || u8::from_str_radix(p, 16).is_err()) {
        return Err(fail(format!("'{prefix}' is no start of a MAC address: one to five pairs like '52:54:00'")));
    }
    let mut stream = stream(call, "random_mac")?;
    while parts.len() < 6 {
        parts.push(format!("{:02x}", stream.below(256)));
    }
    Ok(Value::from(parts.join(":")))
}
