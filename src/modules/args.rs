//! A module's arguments: declared once, for parsing, for checking a playbook before any host is touched, and for the
//! reference.

use crate::host::ModeSpec;
use crate::values::{Map, Value};

/// One declared argument.
#[derive(Debug)]
pub struct ArgSpec {
    /// Ansible's name.
    pub name: &'static str,
    /// Ansible's other names for it.
    pub aliases: &'static [&'static str],
    /// What it takes, in a word.
    pub kind: &'static str,
    /// The words it takes, if it takes only some.
    pub choices: &'static [&'static str],
    /// Whether it must be given.
    pub required: bool,
    /// What it means.
    pub doc: &'static str,
}

/// Arguments of one type: what [`args!`](crate::modules::args!) makes.
pub trait Arguments: Sized {
    /// All declared arguments.
    fn specs() -> Vec<ArgSpec>;

    /// Reads them from a rendered mapping, leaving alone what is not declared here.
    ///
    /// # Errors
    /// A sentence that names the argument.
    fn from_map(map: &Map) -> Result<Self, String>;
}

/// A type that an argument can have, read as leniently as Ansible reads it.
pub trait FromValue: Sized {
    /// What it takes, in a word.
    const KIND: &'static str;
    /// The words it takes, if it takes only some.
    const CHOICES: &'static [&'static str] = &[];
    /// Whether it must be given when no default is declared.
    const REQUIRED: bool = true;

    /// Reads it.
    ///
    /// # Errors
    /// What was expected, to follow "must be".
    fn from_value(value: &Value) -> Result<Self, String>;

    /// Its value when it is not given, if that means something.
    fn missing() -> Option<Self> {
        None
    }
}

impl<T: FromValue> FromValue for Option<T> {
    const KIND: &'static str = T::KIND;
    const CHOICES: &'static [&'static str] = T::CHOICES;
    const REQUIRED: bool = false;

    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Null | Value::Omit => Ok(None),
            value => T::from_value(value).map(Some),
        }
    }

    fn missing() -> Option<Self> {
        Some(None)
    }
}

impl FromValue for String {
    const KIND: &'static str = "a string";

    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Str(s) => Ok(s.to_string()),
            Value::Int(_) | Value::Float(_) | Value::Bool(_) => Ok(value.to_string()),
            other => Err(format!("a string, not {}", other.describe())),
        }
    }
}

impl FromValue for bool {
    const KIND: &'static str = "a boolean";

    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Bool(b) => Ok(*b),
            Value::Int(1) => Ok(true),
            Value::Int(0) => Ok(false),
            Value::Str(s) => match s.to_ascii_lowercase().as_str() {
                "yes" | "on" | "true" | "1" | "y" | "t" => Ok(true),
                "no" | "off" | "false" | "0" | "n" | "f" => Ok(false),
                _ => Err(format!("a boolean (true or false), not `{s}`")),
            },
            other => Err(format!("a boolean (true or false), not {}", other.describe())),
        }
    }
}

impl FromValue for i64 {
    const KIND: &'static str = "an integer";

    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Int(i) => Ok(*i),
            Value::Str(s) => s.trim().parse().map_err(|_| format!("an integer, not `{s}`")),
            Value::Float(x) if x.fract() == 0.0 => Ok(*x as i64),
            other => Err(format!("an integer, not {}", other.describe())),
        }
    }
}

impl FromValue for f64 {
    const KIND: &'static str = "a number";

    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Int(i) => Ok(*i as f64),
            Value::Float(x) => Ok(*x),
            Value::Str(s) => s.trim().parse().map_err(|_| format!("a number, not `{s}`")),
            other => Err(format!("a number, not {}", other.describe())),
        }
    }
}

/// A string counts as a list, split at commas, as in Ansible.
impl FromValue for Vec<String> {
    const KIND: &'static str = "a list of strings";
    const REQUIRED: bool = false;

    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::List(items) => items.iter().map(String::from_value).collect(),
            Value::Str(s) => Ok(s.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()),
            Value::Int(_) | Value::Float(_) => Ok(vec![value.to_string()]),
            other => Err(format!("a list of strings, not {}", other.describe())),
        }
    }

    fn missing() -> Option<Self> {
        Some(Vec::new())
    }
}

impl FromValue for Value {
    const KIND: &'static str = "any value";

    fn from_value(value: &Value) -> Result<Self, String> {
        Ok(value.clone())
    }
}

impl FromValue for Map {
    const KIND: &'static str = "a mapping";

    fn from_value(value: &Value) -> Result<Self, String> {
        value.as_map().cloned().ok_or_else(|| format!("a mapping, not {}", value.describe()))
    }
}

/// An integer is taken as YAML read it: `0644` is 420, which is the mode that was meant.
impl FromValue for ModeSpec {
    const KIND: &'static str = "a file mode";

    fn from_value(value: &Value) -> Result<Self, String> {
        match value {
            Value::Int(i) => u32::try_from(*i)
                .ok()
                .filter(|m| *m <= 0o7777)
                .map(Self::Octal)
                .ok_or_else(|| format!("a file mode like \"0644\", not {i}")),
            Value::Str(s) => Self::parse(s),
            other => Err(format!("a file mode like \"0644\", not {}", other.describe())),
        }
    }
}

/// Reads one argument under its name or one of its aliases. Used by `args!`.
///
/// # Errors
/// A sentence that names the argument.
pub fn read<T: FromValue>(map: &Map, name: &str, aliases: &[&str], default: Option<fn() -> T>) -> Result<T, String> {
    let found = std::iter::once(&name)
        .chain(aliases)
        .find_map(|n| map.get(*n))
        .filter(|v| !matches!(v, Value::Omit | Value::Null) || (!T::REQUIRED && default.is_none()));
    match found {
        Some(value) => T::from_value(value).map_err(|expected| format!("argument `{name}` must be {expected}")),
        None => default.map(|d| d()).or_else(T::missing).ok_or_else(|| format!("argument `{name}` is required")),
    }
}

/// Declares a module's arguments as a struct.
///
/// ```text
/// args! {
///     /// What `file` takes.
///     pub struct FileArgs {
///         /// The path.
///         path: String, ["dest", "name"];
///         /// What should be there.
///         state: Option<State>;
///         /// Below it, too.
///         recurse: bool = false;
///     }
///     + attributes: FileAttributes        // optional: arguments declared elsewhere
/// }
/// ```
/// A field whose type is neither an `Option` nor a list and that has no default is required. Write `r#type` for `type`.
#[macro_export]
macro_rules! module_args {
    ($(#[$meta:meta])* pub struct $name:ident {
        $( $(#[doc = $doc:literal])+ $field:ident : $ty:ty $(, [$($alias:literal),*])? $(= $default:expr)? ; )*
    } $( + $more:ident : $more_ty:ty )* ) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $field: $ty, )*
            $(
                #[doc = "Arguments shared with other modules."]
                pub $more: $more_ty,
            )*
        }

        impl $crate::modules::args::Arguments for $name {
            #[allow(unused_mut, clippy::vec_init_then_push)]
            fn specs() -> Vec<$crate::modules::args::ArgSpec> {
                let mut specs = Vec::new();
                $( specs.push($crate::modules::args::ArgSpec {
                    name: stringify!($field).trim_start_matches("r#"),
                    aliases: &[$($($alias),*)?],
                    kind: <$ty as $crate::modules::args::FromValue>::KIND,
                    choices: <$ty as $crate::modules::args::FromValue>::CHOICES,
                    required: <$ty as $crate::modules::args::FromValue>::REQUIRED
                        && $crate::module_args!(@none $($default)?),
                    doc: concat!($($doc),+),
                }); )*
                $( specs.extend(<$more_ty as $crate::modules::args::Arguments>::specs()); )*
                specs
            }

            fn from_map(map: &$crate::values::Map) -> Result<Self, String> {
                Ok(Self {
                    $( $field: $crate::modules::args::read::<$ty>(
                        map,
                        stringify!($field).trim_start_matches("r#"),
                        &[$($($alias),*)?],
                        $crate::module_args!(@default $($default)?),
                    )?, )*
                    $( $more: <$more_ty as $crate::modules::args::Arguments>::from_map(map)?, )*
                })
            }
        }
    };
    (@none) => { true };
    (@none $default:expr) => { false };
    (@default) => { None };
    (@default $default:expr) => { Some(|| $default.into()) };
}

/// Declares an argument that takes one of some words.
///
/// `module_choices! { /// doc … pub enum State { Absent = "absent", File = "file" } }`
#[macro_export]
macro_rules! module_choices {
    ($(#[$meta:meta])* pub enum $name:ident { $( $(#[$vmeta:meta])* $variant:ident = $word:literal $(| $other:literal)* ),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $( $(#[$vmeta])* #[doc = concat!("`", $word, "`")] $variant ),* }

        impl $name {
            #[allow(dead_code)]
            /// The word in a playbook.
            pub fn word(self) -> &'static str {
                match self { $( Self::$variant => $word ),* }
            }
        }

        impl $crate::modules::args::FromValue for $name {
            const KIND: &'static str = "one of some words";
            const CHOICES: &'static [&'static str] = &[$($word $(, $other)*),*];

            fn from_value(value: &$crate::values::Value) -> Result<Self, String> {
                let text = <String as $crate::modules::args::FromValue>::from_value(value)?;
                match text.as_str() {
                    $( $word $(| $other)* => Ok(Self::$variant), )*
                    other => Err(format!("one of {}, not `{other}`", Self::CHOICES.join(", "))),
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    module_choices! {
        /// What should be there.
        pub enum State { Absent = "absent", Present = "present" | "installed" }
    }

    module_args! {
        /// What the test takes.
        pub struct TestArgs {
            /// The path.
            path: String, ["dest", "name"];
            /// The kind.
            r#type: Option<String>;
            /// The state.
            state: State = State::Present;
            /// Names.
            names: Vec<String>;
            /// Forced.
            force: bool = false;
            /// Owner.
            user: String = "root";
        }
    }

    fn map(pairs: &[(&str, Value)]) -> Map {
        pairs.iter().map(|(k, v)| ((*k).into(), v.clone())).collect()
    }

    #[test]
    fn reads_names_aliases_and_defaults() {
        let args =
            TestArgs::from_map(&map(&[("dest", "/x".into()), ("type", "a".into()), ("names", "a, b".into())])).unwrap();
        assert_eq!(args.path, "/x");
        assert_eq!(args.r#type.as_deref(), Some("a"));
        assert_eq!(args.state, State::Present);
        assert_eq!(args.names, ["a", "b"]);
        assert_eq!(args.user, "root");
        assert!(!args.force);
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(TestArgs::from_map(&Map::new()).unwrap_err(), "argument `path` is required");
        let error = TestArgs::from_map(&map(&[("path", "/x".into()), ("state", "gone".into())])).unwrap_err();
        assert_eq!(error, "argument `state` must be one of absent, present, installed, not `gone`");
        let error = TestArgs::from_map(&map(&[("path", "/x".into()), ("force", "perhaps".into())])).unwrap_err();
        assert_eq!(error, "argument `force` must be a boolean (true or false), not `perhaps`");
    }

    #[test]
    fn omitted_is_as_if_it_were_not_there() {
        let args = TestArgs::from_map(&map(&[("path", "/x".into()), ("state", Value::Omit)])).unwrap();
        assert_eq!(args.state, State::Present);
    }

    #[test]
    fn the_specs_tell_what_is_required() {
        let specs = TestArgs::specs();
        let required: Vec<_> = specs.iter().filter(|s| s.required).map(|s| s.name).collect();
        assert_eq!(required, ["path"]);
        assert_eq!(specs[1].name, "type");
        assert_eq!(specs[2].choices, ["absent", "present", "installed"]);
    }
}
