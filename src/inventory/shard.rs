//! A part of an inventory, so that several jobs share a fleet that is too large for one.

use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// Part `number` of `count`, counted from 1.
///
/// A host belongs to one part, by its name alone: whoever reads another inventory, or the same one later, comes to the
/// same part, and hosts that come or go move no other host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    number: u32,
    count: u32,
}

impl Shard {
    /// Whether a host belongs to this part.
    pub fn holds(self, host: &str) -> bool {
        let digest = Sha256::digest(host.as_bytes());
        let start: [u8; 8] = std::array::from_fn(|i| digest[i]);
        u64::from_be_bytes(start) % u64::from(self.count) == u64::from(self.number - 1)
    }

    /// Whether it leaves hosts out at all.
    pub fn divides(self) -> bool {
        self.count > 1
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no part: write K/N, such as 2/5, with K from 1 to N");
        let (number, count) = text.split_once('/').ok_or_else(wrong)?;
        let (number, count): (u32, u32) =
            (number.trim().parse().map_err(|_| wrong())?, count.trim().parse().map_err(|_| wrong())?);
        if number == 0 || number > count {
            return Err(wrong());
        }
        Ok(Self { number, count })
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_host_is_in_exactly_one_part_and_stays_there() {
        let parts: Vec<Shard> = (1..=5).map(|k| format!("{k}/5").parse().unwrap()).collect();
        let mut sizes = [0; 5];
        for host in (0..5000).map(|n| format!("web{n}.example.org")) {
            let of: Vec<usize> = (0..5).filter(|&p| parts[p].holds(&host)).collect();
            assert_eq!(of.len(), 1, "{host}");
            sizes[of[0]] += 1;
        }
        // An even spread: no part is a tenth off.
        assert!(sizes.iter().all(|s| (900..1100).contains(s)), "{sizes:?}");
        // Written down once: the parts of tomorrow's program are today's.
        let of = |host: &str| (0..5).position(|p| parts[p].holds(host)).unwrap() + 1;
        assert_eq!([of("web1"), of("web2"), of("db1")], PARTS);
    }

    /// Of web1, web2 and db1 among five, by SHA-256.
    const PARTS: [usize; 3] = [2, 3, 4];

    #[test]
    fn a_part_is_written_as_k_of_n() {
        assert_eq!("2/5".parse::<Shard>().unwrap().to_string(), "2/5");
        for wrong in ["", "2", "0/5", "6/5", "a/b", "-1/5", "1/0"] {
            assert!(wrong.parse::<Shard>().unwrap_err().contains("K from 1 to N"), "{wrong}");
        }
    }
}
