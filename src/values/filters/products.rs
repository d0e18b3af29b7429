//! Filters that put the elements of lists together.

use super::lists::{elements, input};
use crate::values::Value;
use crate::values::call::{Call, Made, Spec, builtin};
use crate::values::error::fail;

const MAX_RESULT: usize = 1_000_000;

pub(super) const FILTERS: &[Spec<Value>] = &[
    builtin("product", "all combinations of elements of several lists", &["value", "*others", "repeat"], product),
    builtin("permutations", "all orders of some of the elements", &["value", "length"], permutations),
    builtin("combinations", "all choices of some of the elements", &["value", "length"], combinations),
    builtin("zip", "pairs of elements, as long as the shortest list", &["value", "*others", "strict"], zip),
    builtin(
        "zip_longest",
        "pairs of elements, as long as the longest list",
        &["value", "*others", "fillvalue"],
        zip_longest,
    ),
];

fn too_many(count: Option<usize>) -> Made<()> {
    match count {
        Some(count) if count <= MAX_RESULT => Ok(()),
        _ => Err(fail(format!("would make more than {MAX_RESULT} elements"))),
    }
}

fn product(call: &Call<'_>) -> Made<Value> {
    let mut lists = vec![input(call)?];
    for list in call.rest()? {
        lists.push(elements(list)?);
    }
    let repeat = usize::try_from(call.int("repeat", Some(1))?).unwrap_or(0);
    let lists: Vec<&Vec<Value>> = (0..repeat).flat_map(|_| lists.iter()).collect();
    too_many(lists.iter().try_fold(1usize, |n, list| n.checked_mul(list.len())))?;
    let mut out: Vec<Vec<Value>> = vec![Vec::new()];
    for list in lists {
        out = out
            .iter()
            .flat_map(|head| list.iter().map(move |x| [head.as_slice(), std::slice::from_ref(x)].concat()))
            .collect();
    }
    Ok(Value::list(out.into_iter().map(Value::list).collect()))
}

fn permutations(call: &Call<'_>) -> Made<Value> {
    let items = input(call)?;
    let length = match call.opt("length")? {
        None | Some(Value::Null) => items.len(),
        Some(_) => usize::try_from(call.int("length", None)?).unwrap_or(0),
    };
    too_many((0..length).try_fold(1usize, |n, i| n.checked_mul(items.len().saturating_sub(i))))?;
    let mut out = Vec::new();
    permute(&items, length, &mut Vec::new(), &mut out);
    Ok(Value::list(out))
}

fn permute(items: &[Value], length: usize, chosen: &mut Vec<usize>, out: &mut Vec<Value>) {
    if chosen.len() == length {
        out.push(Value::list(chosen.iter().map(|i| items[*i].clone()).collect()));
        return;
    }
    for i in 0..items.len() {
        if !chosen.contains(&i) {
            chosen.push(i);
            permute(items, length, chosen, out);
            chosen.pop();
        }
    }
}

fn combinations(call: &Call<'_>) -> Made<Value> {
    let items = input(call)?;
    let length = usize::try_from(call.int("length", None)?).unwrap_or(0);
    let count = (0..length).try_fold(1usize, |n, i| Some(n.checked_mul(items.len().saturating_sub(i))? / (i + 1)));
    too_many(count)?;
    let mut out = Vec::new();
    combine(&items, length, 0, &mut Vec::new(), &mut out);
    Ok(Value::list(out))
}

fn combine(items: &[Value], length: usize, from: usize, chosen: &mut Vec<Value>, out: &mut Vec<Value>) {
    if chosen.len() == length {
        out.push(Value::list(chosen.clone()));
        return;
    }
    for i in from..items.len() {
        chosen.push(items[i].clone());
        combine(items, length, i + 1, chosen, out);
        chosen.pop();
    }
}

fn zip(call: &Call<'_>) -> Made<Value> {
    let lists = zipped(call)?;
    let shortest = lists.iter().map(Vec::len).min().unwrap_or(0);
    if call.flag("strict", false)? && lists.iter().any(|l| l.len() != shortest) {
        return Err(fail("the lists are of different lengths"));
    }
    Ok(Value::list((0..shortest).map(|i| Value::list(lists.iter().map(|l| l[i].clone()).collect())).collect()))
}

fn zip_longest(call: &Call<'_>) -> Made<Value> {
    let lists = zipped(call)?;
    let fill = call.opt("fillvalue")?.unwrap_or(Value::Null);
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    let row = |i: usize| Value::list(lists.iter().map(|l| l.get(i).unwrap_or(&fill).clone()).collect());
    Ok(Value::list((0..longest).map(row).collect()))
}

fn zipped(call: &Call<'_>) -> Made<Vec<Vec<Value>>> {
    let mut lists = vec![input(call)?];
    for list in call.rest()? {
        lists.push(elements(list)?);
    }
    Ok(lists)
}
