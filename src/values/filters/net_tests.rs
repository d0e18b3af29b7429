#![allow(clippy::unwrap_used)]

use crate::source::Span;
use crate::values::conformance::FileScope;
use crate::values::{Templar, TemplarOptions, Value};

fn eval(expr: &str) -> Value {
    let templar = Templar::new(TemplarOptions::default());
    templar.expression(expr, &Span::synthetic("t", expr), &FileScope::parse("x: 1")).unwrap()
}

#[test]
fn answers_the_usual_queries() {
    for (query, expected) in [
        ("address", "192.168.10.5"),
        ("host", "192.168.10.5/24"),
        ("network", "192.168.10.0"),
        ("subnet", "192.168.10.0/24"),
        ("netmask", "255.255.255.0"),
        ("hostmask", "0.0.0.255"),
        ("broadcast", "192.168.10.255"),
        ("first_usable", "192.168.10.1"),
        ("last_usable", "192.168.10.254"),
        ("range_usable", "192.168.10.1-192.168.10.254"),
        ("next_usable", "192.168.10.6"),
        ("network_netmask", "192.168.10.0 255.255.255.0"),
        ("revdns", "5.10.168.192.in-addr.arpa."),
        ("1", "192.168.10.1/24"),
        ("-1", "192.168.10.255/24"),
        ("private", "192.168.10.5/24"),
        ("192.168.0.0/16", "192.168.10.5/24"),
    ] {
        assert_eq!(
            eval(&format!("'192.168.10.5/24' | ansible.utils.ipaddr('{query}')")),
            Value::from(expected),
            "{query}"
        );
    }
    assert_eq!(eval("'192.168.10.5/24' | ipaddr('prefix')"), Value::Int(24));
    assert_eq!(eval("'10.0.0.0/255.0.0.0' | ipaddr('prefix')"), Value::Int(8));
    assert_eq!(eval("'192.168.10.5/24' | ipaddr('size')"), Value::Int(256));
    for none in [
        "'192.168.10.5/24' | ipaddr('public')",
        "'x' | ipaddr",
        "'10.0.0.300' | ipaddr",
        "'10.0.0.1/33' | ipaddr",
        "'::1' | ipv4",
    ] {
        assert_eq!(eval(none), Value::Bool(false), "{none}");
    }
    assert_eq!(eval("['10.0.0.1', 'x', '::1'] | ipaddr"), Value::from(vec!["10.0.0.1", "::1"]));
    assert_eq!(eval("['10.0.0.1', '::1'] | ipv6"), Value::from(vec!["::1"]));
    assert_eq!(eval("'2001:db8::1/64' | ipaddr('subnet')"), Value::from("2001:db8::/64"));
    assert_eq!(eval("['10.0.0.1', '2001:db8::1'] | ipwrap"), Value::from(vec!["10.0.0.1", "[2001:db8::1]"]));
}

#[test]
fn subnets_and_arithmetic() {
    assert_eq!(eval("'192.168.144.0/20' | ipsubnet(24)"), Value::Int(16));
    assert_eq!(eval("'192.168.144.0/20' | ipsubnet(26, 0)"), Value::from("192.168.144.0/26"));
    assert_eq!(eval("'192.168.144.0/20' | ipsubnet(26, -1)"), Value::from("192.168.159.192/26"));
    assert_eq!(eval("'192.168.144.5' | ipsubnet(20)"), Value::from("192.168.144.0/20"));
    assert_eq!(eval("'10.0.0.0/8' | nthhost(305)"), Value::from("10.0.1.49"));
    assert_eq!(eval("'192.168.1.255' | ipmath(1)"), Value::from("192.168.2.0"));
    assert_eq!(eval("'192.168.0.0/24' | network_in_network('192.168.0.1')"), Value::Bool(true));
    assert_eq!(eval("'192.168.0.0/24' | network_in_usable('192.168.0.255')"), Value::Bool(false));
    assert_eq!(eval("['10.0.0.1', '11.0.0.1'] | reduce_on_network('10.0.0.0/8')"), Value::from(vec!["10.0.0.1"]));
    assert_eq!(eval("'192.168.122.1/24' | next_nth_usable(2)"), Value::from("192.168.122.3"));
    assert_eq!(eval("'192.168.1.5' | ip4_hex"), Value::from("c0a80105"));
    assert_eq!(eval("'1a:2b:3c:4d:5e:6f' | hwaddr('cisco')"), Value::from("1a2b.3c4d.5e6f"));
}
