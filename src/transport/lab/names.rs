//! Names of labs, hosts and suites.

use super::error::LabError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What both kinds of name must look like: they become folders, cgroups and host names.
const RULE: &str = "use at most 30 lower-case letters, digits and hyphens, a letter first, no hyphen last";

fn check(what: &'static str, name: &str) -> Result<(), LabError> {
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let good = plain && name.len() <= 30 && name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.ends_with('-');
    if good { Ok(()) } else { Err(LabError::BadName { what, name: name.to_owned(), rule: RULE }) }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = LabError;
            fn from_str(name: &str) -> Result<$type, LabError> {
                check($what, name)?;
                Ok($type(name.to_owned()))
            }
        }

        impl TryFrom<String> for $type {
            type Error = LabError;
            fn try_from(name: String) -> Result<$type, LabError> {
                name.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// The name of a lab: hosts that share a network.
    LabName, "lab"
}
name! {
    /// The name of a host of a lab; its host name too.
    HostName, "host"
}

/// A Debian release that hosts can run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Suite {
    /// Debian 12.
    #[default]
    Bookworm,
    /// Debian 13.
    Trixie,
}

impl Suite {
    /// All of them, oldest first.
    pub const ALL: [Suite; 2] = [Suite::Bookworm, Suite::Trixie];

    /// Debian's code name.
    pub fn as_str(self) -> &'static str {
        match self {
            Suite::Bookworm => "bookworm",
            Suite::Trixie => "trixie",
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Suite {
    type Err = LabError;
    fn from_str(name: &str) -> Result<Suite, LabError> {
        Suite::ALL.into_iter().find(|suite| suite.as_str() == name).ok_or_else(|| LabError::BadSuite(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_host_names_and_nothing_a_path_or_a_shell_could_take_amiss() {
        for good in ["h1", "web-1", "a", "abcdefghijklmnopqrstuvwxyz1234"] {
            assert!(good.parse::<HostName>().is_ok(), "{good}");
        }
        for bad in ["", "1h", "-h", "h-", "H1", "a.b", "../x", "a b", "a;b", "é", "abcdefghijklmnopqrstuvwxyz12345"] {
            assert!(bad.parse::<HostName>().is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<LabName>("\"../x\"").is_err());
    }

    #[test]
    fn suites_are_known_by_their_code_names() {
        assert_eq!("trixie".parse::<Suite>().unwrap(), Suite::Trixie);
        assert!("sid".parse::<Suite>().is_err());
    }
}
