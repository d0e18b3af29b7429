//! What a change of a column's type means for code that knows the old one.

/// A change of type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// All that fitted fits.
    Widens {
        /// Every row is written anew (or the table is).
        rewrites: bool,
    },
    /// Something that fitted does not any more.
    Narrows,
    /// Another kind of value.
    Other,
}

#[derive(Debug, PartialEq, Eq)]
enum Type {
    /// The most characters.
    Text(Option<u64>),
    /// Bytes.
    Integer(u8),
    /// Precision and scale.
    Decimal(u64, u64),
    Float(u8),
    Other(String),
}

fn read(text: &str) -> Type {
    let text = text.to_ascii_lowercase();
    let (name, rest) = text.split_once('(').map_or((text.as_str(), None), |(n, r)| (n, Some(r)));
    let inside = rest.and_then(|r| r.split_once(')')).map(|(i, _)| i);
    let numbers: Vec<u64> =
        inside.into_iter().flat_map(|i| i.split(',')).filter_map(|n| n.trim().parse().ok()).collect();
    match (name.trim(), numbers.as_slice()) {
        ("varchar" | "character varying", [most]) => Type::Text(Some(*most)),
        ("text" | "varchar" | "character varying" | "longtext", []) => Type::Text(None),
        ("smallint" | "smallserial", _) => Type::Integer(2),
        ("integer" | "int" | "serial", _) => Type::Integer(4),
        ("bigint" | "bigserial", _) => Type::Integer(8),
        ("numeric" | "decimal", [digits, places]) => Type::Decimal(*digits, *places),
        ("real", _) => Type::Float(4),
        ("double precision", _) => Type::Float(8),
        _ => Type::Other(text),
    }
}

/// Compares two types as Django writes them for PostgreSQL and `SQLite`; others' mostly look alike.
pub(super) fn change(old: &str, new: &str) -> Change {
    match (read(old), read(new)) {
        (Type::Text(_), Type::Text(None)) => Change::Widens { rewrites: false },
        (Type::Text(Some(old)), Type::Text(Some(new))) if new >= old => Change::Widens { rewrites: false },
        (Type::Integer(old), Type::Integer(new)) | (Type::Float(old), Type::Float(new)) if new >= old => {
            Change::Widens { rewrites: new > old }
        }
        (Type::Text(_), Type::Text(Some(_)))
        | (Type::Integer(_), Type::Integer(_))
        | (Type::Float(_), Type::Float(_)) => Change::Narrows,
        (Type::Decimal(digits, places), Type::Decimal(new_digits, new_places)) => {
            let whole = digits.saturating_sub(places);
            if new_places >= places && new_digits.saturating_sub(new_places) >= whole {
                Change::Widens { rewrites: new_places != places }
            } else {
                Change::Narrows
            }
        }
        (Type::Other(old), Type::Other(new)) if old == new => Change::Widens { rewrites: false },
        _ => Change::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_told_from_what_does_not() {
        for (old, new, expected) in [
            ("varchar(20)", "varchar(40)", Change::Widens { rewrites: false }),
            ("varchar(20)", "text", Change::Widens { rewrites: false }),
            ("varchar(20)", "varchar(10)", Change::Narrows),
            ("text", "varchar(10)", Change::Narrows),
            ("integer", "bigint", Change::Widens { rewrites: true }),
            ("serial", "integer", Change::Widens { rewrites: false }),
            ("bigint", "integer", Change::Narrows),
            ("numeric(8, 2)", "numeric(10, 2)", Change::Widens { rewrites: false }),
            ("numeric(8, 2)", "numeric(12, 4)", Change::Widens { rewrites: true }),
            // Two places more, and no digit more in front: 8 - 2 = 6, 9 - 4 = 5.
            ("numeric(8, 2)", "numeric(9, 4)", Change::Narrows),
            ("numeric(8, 2)", "numeric(8, 1)", Change::Narrows),
            ("integer", "varchar(20)", Change::Other),
            ("jsonb", "text", Change::Other),
            ("jsonb", "jsonb", Change::Widens { rewrites: false }),
        ] {
            assert_eq!(change(old, new), expected, "{old} -> {new}");
        }
    }
}
