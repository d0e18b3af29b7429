//! Filters for addresses and networks, as `ansible.utils` has them.

use super::address::Net;
use crate::values::Value;
use crate::values::call::{Call, Made, Spec, as_int};
use crate::values::error::fail;

const COLLECTIONS: &[&str] = &["ansible.utils", "ansible.netcommon"];

const fn spec(
    name: &'static str,
    about: &'static str,
    params: &'static [&'static str],
    run: fn(&Call<'_>) -> Made<Value>,
) -> Spec<Value> {
    Spec { name, collections: COLLECTIONS, about, params, undefined: false, run }
}

pub(super) const FILTERS: &[Spec<Value>] = &[
    spec("ipaddr", "a part of an address or network, or false", &["value", "query"], |call| ipaddr(call, None)),
    spec("ipv4", "`ipaddr` for IPv4 only", &["value", "query"], |call| ipaddr(call, Some(false))),
    spec("ipv6", "`ipaddr` for IPv6 only", &["value", "query"], |call| ipaddr(call, Some(true))),
    spec("ipwrap", "IPv6 addresses in brackets", &["value"], |call| Ok(each(&call.value("value")?, &wrap))),
    spec("ipsubnet", "the subnets of a network: how many, or one of them", &["value", "query", "index"], ipsubnet),
    spec("nthhost", "one address of a network by its number", &["value", "query"], nthhost),
    spec("ipmath", "an address so many further on", &["value", "amount"], ipmath),
    spec(
        "network_in_network",
        "whether a network contains an address or network",
        &["value", "test"],
        network_in_network,
    ),
    spec(
        "network_in_usable",
        "whether an address of a network can be given to a host",
        &["value", "test"],
        network_in_usable,
    ),
    spec(
        "reduce_on_network",
        "the addresses of a list that a network contains",
        &["value", "network"],
        reduce_on_network,
    ),
    spec("next_nth_usable", "the address of a host so many further on in its network", &["value", "offset"], |call| {
        nth_usable(call, 1)
    }),
    spec("previous_nth_usable", "the address of a host so many before in its network", &["value", "offset"], |call| {
        nth_usable(call, -1)
    }),
    spec("ip4_hex", "an IPv4 address in hex", &["value", "delimiter"], ip4_hex),
    spec("hwaddr", "a MAC address in another form, or false", &["value", "query"], hwaddr),
    spec("macaddr", "the same as `hwaddr`", &["value", "query"], hwaddr),
];

fn number(value: u128) -> Value {
    i64::try_from(value).map_or_else(|_| Value::from(value.to_string()), Value::Int)
}

/// Applies to a value, or to every element of a list, leaving out those without an answer.
fn each(value: &Value, one: &dyn Fn(&Value) -> Value) -> Value {
    match value {
        Value::List(items) => Value::list(items.iter().map(one).filter(|v| *v != Value::Bool(false)).collect()),
        other => one(other),
    }
}

fn wrap(value: &Value) -> Value {
    match (value, Net::parse(value)) {
        (Value::Str(text), Some(net)) if net.six => match text.split_once('/') {
            Some((address, prefix)) => Value::from(format!("[{address}]/{prefix}")),
            None => Value::from(format!("[{text}]")),
        },
        _ => value.clone(),
    }
}

fn ipaddr(call: &Call<'_>, six: Option<bool>) -> Made<Value> {
    let query = match call.opt("query")? {
        None | Some(Value::Null) => String::new(),
        Some(query) => query.to_string(),
    };
    known_query(&query)?;
    Ok(each(&call.value("value")?, &|value| {
        let Some(net) = Net::parse(value).filter(|net| six.is_none_or(|six| net.six == six)) else {
            return Value::Bool(false);
        };
        answer(value, net, &query).unwrap_or(Value::Bool(false))
    }))
}

const QUERIES: &[&str] = &[
    "",
    "address",
    "ip",
    "host",
    "net",
    "network",
    "network_id",
    "subnet",
    "netmask",
    "hostmask",
    "wildcard",
    "prefix",
    "broadcast",
    "size",
    "size_usable",
    "cidr",
    "version",
    "type",
    "bool",
    "int",
    "public",
    "private",
    "loopback",
    "lo",
    "multicast",
    "unicast",
    "link-local",
    "revdns",
    "first_usable",
    "last_usable",
    "next_usable",
    "previous_usable",
    "range_usable",
    "network/prefix",
    "address/prefix",
    "ip/prefix",
    "host/prefix",
    "gateway",
    "gw",
    "network_netmask",
    "network_wildcard",
    "ip_netmask",
    "ip_wildcard",
    "peer",
];

fn known_query(query: &str) -> Made<()> {
    if QUERIES.contains(&query) || query.parse::<i128>().is_ok() || Net::parse(&Value::from(query)).is_some() {
        return Ok(());
    }
    let near =
        crate::source::suggest(query, QUERIES).map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
    Err(fail(format!("there is no query '{query}'{near}")))
}

fn answer(value: &Value, net: Net, query: &str) -> Option<Value> {
    let (size, inside) = (net.size(), net.number != net.network());
    let (first, last) = net.usable();
    let text = |t: String| Some(Value::from(t));
    let when = |is: bool| is.then(|| value.clone());
    let mask = net.address(!net.hosts() & if net.six { u128::MAX } else { u128::from(u32::MAX) });
    match query {
        "" => when(true),
        "bool" => Some(Value::Bool(true)),
        "address" | "ip" => (size == 1 || inside).then(|| Value::from(net.ip())),
        "host" | "host/prefix" | "address/prefix" | "ip/prefix" => {
            (size == 1 || inside).then(|| Value::from(net.cidr()))
        }
        "gateway" | "gw" => (size > 1 && inside).then(|| Value::from(net.cidr())),
        "net" => (size > 1 && !inside).then(|| Value::from(net.cidr())),
        "network" | "network_id" => text(net.address(net.network())),
        "subnet" | "network/prefix" => text(net.with(net.network()).cidr()),
        "netmask" => text(mask),
        "hostmask" | "wildcard" => text(net.address(net.hosts())),
        "network_netmask" => (size > 1).then(|| Value::from(format!("{} {mask}", net.address(net.network())))),
        "network_wildcard" => {
            (size > 1).then(|| Value::from(format!("{} {}", net.address(net.network()), net.address(net.hosts()))))
        }
        "ip_netmask" => (size > 1 && inside).then(|| Value::from(format!("{} {mask}", net.ip()))),
        "ip_wildcard" => {
            (size > 1 && inside).then(|| Value::from(format!("{} {}", net.ip(), net.address(net.hosts()))))
        }
        "prefix" => Some(Value::Int(i64::from(net.prefix))),
        "broadcast" => (size > 2 && !net.six).then(|| Value::from(net.address(net.last()))),
        "size" => Some(number(size)),
        "size_usable" => Some(number(if size <= 2 { size } else { size - 2 })),
        "cidr" => text(net.cidr()),
        "version" => Some(Value::Int(if net.six { 6 } else { 4 })),
        "type" => text((if size == 1 || inside { "address" } else { "network" }).to_owned()),
        "int" => {
            if size == 1 {
                Some(number(net.number))
            } else {
                text(format!("{}/{}", net.number, net.prefix))
            }
        }
        "public" => when(!is_private(net) && !is_loopback(net) && !is_link_local(net) && !is_multicast(net)),
        "private" => when(is_private(net)),
        "loopback" | "lo" => when(is_loopback(net)),
        "multicast" => when(is_multicast(net)),
        "unicast" => when(!is_multicast(net)),
        "link-local" => when(is_link_local(net)),
        "revdns" => text(reverse(net)),
        "first_usable" => (size > 1).then(|| Value::from(net.address(first))),
        "last_usable" => (size > 1).then(|| Value::from(net.address(last))),
        "range_usable" => (size > 1).then(|| Value::from(format!("{}-{}", net.address(first), net.address(last)))),
        "next_usable" => {
            (net.number < last && net.number + 1 >= first).then(|| Value::from(net.address(net.number + 1)))
        }
        "previous_usable" => {
            (net.number > first && net.number <= last + 1).then(|| Value::from(net.address(net.number - 1)))
        }
        // The other end of a point-to-point link.
        "peer" if size == 2 => text(net.address(net.number ^ 1)),
        "peer" if size == 4 && net.number != net.network() && net.number != net.last() => {
            text(net.address(net.number ^ 3))
        }
        "peer" => None,
        other => match other.parse::<i128>() {
            Ok(n) => {
                let base = if n < 0 { net.last().checked_add(1) } else { Some(net.network()) };
                let found = base?.checked_add_signed(n).filter(|f| (net.network()..=net.last()).contains(f))?;
                text(net.with(found).cidr())
            }
            Err(_) => when(Net::parse(&Value::from(other))?.contains(net)),
        },
    }
}

fn within(net: Net, ranges: &[&str]) -> bool {
    ranges
        .iter()
        .filter_map(|range| Net::parse(&Value::from(*range)))
        .any(|range| range.contains(Net { prefix: net.bits(), ..net }))
}

fn is_private(net: Net) -> bool {
    within(net, &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"])
}

fn is_loopback(net: Net) -> bool {
    within(net, &["127.0.0.0/8", "::1/128"])
}

fn is_link_local(net: Net) -> bool {
    within(net, &["169.254.0.0/16", "fe80::/10"])
}

fn is_multicast(net: Net) -> bool {
    within(net, &["224.0.0.0/4", "ff00::/8"])
}

fn reverse(net: Net) -> String {
    if net.six {
        let nibbles = (0..32).map(|i| format!("{:x}", (net.number >> (4 * i)) & 15)).collect::<Vec<_>>();
        format!("{}.ip6.arpa.", nibbles.join("."))
    } else {
        let bytes = (0..4).map(|i| ((net.number >> (8 * i)) & 255).to_string()).collect::<Vec<_>>();
        format!("{}.in-addr.arpa.", bytes.join("."))
    }
}

fn network(call: &Call<'_>, name: &str) -> Made<Net> {
    let value = call.value(name)?;
    Net::parse(&value).ok_or_else(|| fail(format!("'{value}' is no address or network")))
}

fn ipsubnet(call: &Call<'_>) -> Made<Value> {
    let value = call.value("value")?;
    let Some(net) = Net::parse(&value) else { return Ok(Value::Bool(false)) };
    let query = match call.opt("query")? {
        None | Some(Value::Null) => return Ok(Value::from(net.with(net.network()).cidr())),
        Some(query) => query,
    };
    if as_int(&query).is_none() {
        // The number of this subnet within the other network, from 1.
        let outer = Net::parse(&query).ok_or_else(|| fail(format!("'{query}' is no prefix length and no network")))?;
        if !outer.contains(net) {
            return Err(fail(format!("{} is not in {}", net.cidr(), outer.cidr())));
        }
        return Ok(number((net.network() - outer.network()) / net.size() + 1));
    }
    let prefix = u8::try_from(as_int(&query).unwrap_or(-1)).ok().filter(|p| *p <= net.bits());
    let prefix = prefix.ok_or_else(|| fail(format!("'{query}' is no prefix length")))?;
    let index = match call.opt("index")? {
        None | Some(Value::Null) => None,
        Some(_) => Some(i128::from(call.int("index", None)?)),
    };
    let part = Net { prefix, ..net };
    if prefix < net.prefix {
        // A network around it: the one of that length, or the n-th of those from the largest on.
        let wider = match index {
            None => prefix,
            Some(n) => u8::try_from(i128::from(prefix) + if n < 0 { n + i128::from(net.prefix - prefix) } else { n })
                .ok()
                .filter(|p| *p <= net.prefix)
                .ok_or_else(|| fail(format!("there is no subnet {n}")))?,
        };
        let outer = Net { prefix: wider, ..net };
        return Ok(Value::from(outer.with(outer.network()).cidr()));
    }
    let free = u32::from(prefix - net.prefix);
    let count: u128 = 1u128.checked_shl(free).unwrap_or(u128::MAX);
    match index {
        None => Ok(number(count)),
        Some(n) => {
            let at = if n < 0 { count.checked_add_signed(n) } else { u128::try_from(n).ok() }.filter(|at| *at < count);
            let Some(at) = at else { return Ok(Value::Bool(false)) };
            Ok(Value::from(part.with(net.network() + at * part.size()).cidr()))
        }
    }
}

fn nthhost(call: &Call<'_>) -> Made<Value> {
    let Some(net) = Net::parse(&call.value("value")?) else { return Ok(Value::Bool(false)) };
    let n = i128::from(call.int("query", None)?);
    let base = if n < 0 { net.last().checked_add(1) } else { Some(net.network()) };
    let found = base.and_then(|b| b.checked_add_signed(n)).filter(|f| (net.network()..=net.last()).contains(f));
    Ok(found.map_or(Value::Bool(false), |f| Value::from(net.address(f))))
}

fn ipmath(call: &Call<'_>) -> Made<Value> {
    let net = network(call, "value")?;
    let amount = i128::from(call.int("amount", None)?);
    let found = net.step(amount).ok_or_else(|| fail(format!("{} {amount:+} is no address", net.ip())))?;
    Ok(Value::from(net.address(found)))
}

fn network_in_network(call: &Call<'_>) -> Made<Value> {
    Ok(Value::Bool(network(call, "value")?.contains(network(call, "test")?)))
}

fn network_in_usable(call: &Call<'_>) -> Made<Value> {
    let (net, test) = (network(call, "value")?, network(call, "test")?);
    let (first, last) = net.usable();
    Ok(Value::Bool(net.six == test.six && first <= test.network() && test.last() <= last))
}

fn reduce_on_network(call: &Call<'_>) -> Made<Value> {
    let net = network(call, "network")?;
    let items = call.known_list("value")?;
    Ok(Value::list(items.iter().filter(|i| Net::parse(i).is_some_and(|n| net.contains(n))).cloned().collect()))
}

fn nth_usable(call: &Call<'_>, sign: i128) -> Made<Value> {
    let net = network(call, "value")?;
    let (first, last) = net.usable();
    let found = net.step(sign * i128::from(call.int("offset", None)?)).filter(|f| (first..=last).contains(f));
    Ok(found.map_or(Value::Bool(false), |f| Value::from(net.address(f))))
}

fn ip4_hex(call: &Call<'_>) -> Made<Value> {
    let net = network(call, "value")?;
    if net.six {
        return Err(fail("needs an IPv4 address"));
    }
    let delimiter = call.opt_text("delimiter")?.unwrap_or_default();
    let bytes: Vec<String> = (0..4).rev().map(|i| format!("{:02x}", (net.number >> (8 * i)) & 255)).collect();
    Ok(Value::from(bytes.join(&delimiter)))
}

fn hwaddr(call: &Call<'_>) -> Made<Value> {
    let text = call.text("value")?;
    let digits: String = text.chars().filter(|c| !":-.".contains(*c)).collect::<String>().to_lowercase();
    if digits.len() != 12 || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return Ok(Value::Bool(false));
    }
    let pairs = |n: usize, by: &str| {
        let groups: Vec<&str> = (0..12 / n).filter_map(|i| digits.get(i * n..(i + 1) * n)).collect();
        groups.join(by)
    };
    Ok(Value::from(match call.opt_text("query")?.as_deref() {
        None | Some("") => return Ok(Value::Str(text)),
        Some("bool") => return Ok(Value::Bool(true)),
        Some("linux" | "unix") => pairs(2, ":"),
        Some("win" | "eui48") => pairs(2, "-").to_uppercase(),
        Some("cisco") => pairs(4, "."),
        Some("bare") => pairs(12, "").to_uppercase(),
        Some(other) => {
            return Err(fail(format!("there is no query '{other}'; there are bool, linux, unix, win, cisco, bare")));
        }
    }))
}

#[cfg(test)]
#[path = "net_tests.rs"]
mod tests;
