//! An address with its network.

use crate::values::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address with the length of its network's prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Net {
    pub number: u128,
    pub six: bool,
    pub prefix: u8,
}

impl Net {
    pub(super) fn parse(value: &Value) -> Option<Self> {
        let text = match value {
            Value::Str(text) => text.trim(),
            Value::Int(i) => {
                let number = u32::try_from(*i).ok()?;
                return Some(Self { number: u128::from(number), six: false, prefix: 32 });
            }
            _ => return None,
        };
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let (number, six) = match address.parse::<IpAddr>().ok()? {
            IpAddr::V4(a) => (u128::from(u32::from(a)), false),
            IpAddr::V6(a) => (u128::from(a), true),
        };
        let bits = if six { 128 } else { 32 };
        let prefix = match prefix {
            None => None,
            Some(text) => Some(match text.parse::<u8>() {
                Ok(prefix) if prefix <= bits => prefix,
                Ok(_) => return None,
                // A netmask, written out.
                Err(_) => {
                    let mask = u32::from(text.parse::<Ipv4Addr>().ok()?);
                    (!six && mask.leading_ones() + mask.trailing_zeros() == 32)
                        .then(|| u8::try_from(mask.leading_ones()).ok())??
                }
            }),
        };
        Some(Self { number, six, prefix: prefix.unwrap_or(bits) })
    }

    pub(super) fn bits(self) -> u8 {
        if self.six { 128 } else { 32 }
    }

    /// The bits that differ within the network.
    pub(super) fn hosts(self) -> u128 {
        let free = u32::from(self.bits() - self.prefix);
        if free == 128 { u128::MAX } else { (1 << free) - 1 }
    }

    pub(super) fn network(self) -> u128 {
        self.number & !self.hosts()
    }

    pub(super) fn last(self) -> u128 {
        self.number | self.hosts()
    }

    pub(super) fn size(self) -> u128 {
        self.hosts().saturating_add(1)
    }

    pub(super) fn with(self, number: u128) -> Self {
        Self { number, ..self }
    }

    pub(super) fn address(self, number: u128) -> String {
        if self.six {
            Ipv6Addr::from(number).to_string()
        } else {
            Ipv4Addr::from(u32::try_from(number & 0xffff_ffff).unwrap_or(0)).to_string()
        }
    }

    pub(super) fn ip(self) -> String {
        self.address(self.number)
    }

    pub(super) fn cidr(self) -> String {
        format!("{}/{}", self.ip(), self.prefix)
    }

    pub(super) fn contains(self, other: Self) -> bool {
        self.six == other.six && self.network() <= other.network() && other.last() <= self.last()
    }

    /// The first and last address that a host can have.
    pub(super) fn usable(self) -> (u128, u128) {
        let (first, last) = (self.network(), self.last());
        if self.size() <= 2 || self.six {
            (first + u128::from(self.six && self.size() > 2), last)
        } else {
            (first + 1, last - 1)
        }
    }

    pub(super) fn step(self, amount: i128) -> Option<u128> {
        self.number.checked_add_signed(amount).filter(|n| self.six || *n <= u128::from(u32::MAX))
    }
}
