//! Kinds of objects: where their access lists are, and how statements name them.

use super::literals;
use crate::host::Stop;
use crate::modules::common::postgres::{ident, literal};
use crate::values::Value;

crate::module_choices! {
    /// A kind of objects.
    pub enum Kind {
        /// Tables, views and the like.
        Table = "table",
        /// Sequences.
        Sequence = "sequence",
        /// Functions.
        Function = "function",
        /// Procedures.
        Procedure = "procedure",
        /// Databases.
        Database = "database",
        /// Schemas.
        Schema = "schema",
        /// Languages.
        Language = "language",
        /// Tablespaces.
        Tablespace = "tablespace",
        /// Membership in roles.
        Group = "group",
        /// Objects to come.
        DefaultPrivs = "default_privs",
        /// Foreign-data wrappers.
        ForeignDataWrapper = "foreign_data_wrapper",
        /// Foreign servers.
        ForeignServer = "foreign_server",
        /// Types.
        Type = "type",
        /// Server settings.
        Parameter = "parameter",
    }
}

impl Kind {
    /// Whether its objects are in a schema.
    pub fn in_schema(self) -> bool {
        matches!(
            self,
            Self::Table | Self::Sequence | Self::Function | Self::Procedure | Self::Type | Self::DefaultPrivs
        )
    }

    /// All its privileges, as the manual's table of access privileges has them.
    pub fn privileges(self) -> &'static [&'static str] {
        match self {
            Self::Table => &["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"],
            Self::Sequence => &["USAGE", "SELECT", "UPDATE"],
            Self::Function | Self::Procedure => &["EXECUTE"],
            Self::Database => &["CREATE", "CONNECT", "TEMPORARY"],
            Self::Schema => &["CREATE", "USAGE"],
            Self::Tablespace => &["CREATE"],
            Self::Language | Self::ForeignDataWrapper | Self::ForeignServer | Self::Type => &["USAGE"],
            Self::Parameter => &["SET", "ALTER SYSTEM"],
            Self::Group | Self::DefaultPrivs => &[],
        }
    }

    /// What stands before an object's name in GRANT.
    fn keyword(self) -> &'static str {
        match self {
            Self::Table => "TABLE",
            Self::Sequence => "SEQUENCE",
            Self::Function => "FUNCTION",
            Self::Procedure => "PROCEDURE",
            Self::Database => "DATABASE",
            Self::Schema => "SCHEMA",
            Self::Language => "LANGUAGE",
            Self::Tablespace => "TABLESPACE",
            Self::ForeignDataWrapper => "FOREIGN DATA WRAPPER",
            Self::ForeignServer => "FOREIGN SERVER",
            Self::Type => "TYPE",
            Self::Parameter => "PARAMETER",
            Self::Group | Self::DefaultPrivs => "",
        }
    }
}

/// The kind of a word of `objs` with `type: default_privs`.
pub(super) fn default_kind(word: &str) -> Option<Kind> {
    Some(match word.to_uppercase().as_str() {
        "TABLES" => Kind::Table,
        "SEQUENCES" => Kind::Sequence,
        "FUNCTIONS" => Kind::Function,
        "TYPES" => Kind::Type,
        "SCHEMAS" => Kind::Schema,
        _ => return None,
    })
}

/// The words of `objs` with `type: default_privs`.
fn default_words(objs: &[String]) -> Vec<String> {
    if objs == ["ALL_DEFAULT"] {
        return ["TABLES", "SEQUENCES", "FUNCTIONS", "TYPES"].map(str::to_owned).to_vec();
    }
    objs.iter().map(|o| o.to_uppercase()).collect()
}

/// Their kinds.
///
/// # Errors
/// A sentence that names a word that is none.
pub(super) fn default_kinds(objs: &[String]) -> Result<Vec<Kind>, Stop> {
    let kind = |w: &String| {
        default_kind(w).ok_or_else(|| {
            Stop::fail(format!("Invalid Object set specified: {w}; known are TABLES, SEQUENCES, FUNCTIONS, TYPES, SCHEMAS and ALL_DEFAULT"))
        })
    };
    default_words(objs).iter().map(kind).collect()
}

/// The query that says which objects there are, with their access lists.
pub(super) fn question(
    kind: Kind,
    objs: &[String],
    schema: Option<&str>,
    targets: &[String],
    roles: &[String],
    all: bool,
) -> String {
    let exploded = |acl: &str| {
        format!(
            "(SELECT COALESCE(json_agg(json_build_object('grantee', COALESCE(g.rolname, ''), 'privilege', a.privilege_type, 'grantable', a.is_grantable)), '[]') FROM aclexplode({acl}) a LEFT JOIN pg_roles g ON g.oid = a.grantee)"
        )
    };
    let space = literal(schema.unwrap_or("public"));
    // Names of what is in a schema are qualified; functions' names are written by the server.
    let column = match kind {
        Kind::Table | Kind::Sequence | Kind::Type => "n.nspname::text",
        _ => "NULL::text",
    };
    let rows = |name: &str, acl: &str, letter: &str, owner: &str, from: &str, limit: &str| {
        let list = exploded(&format!("COALESCE({acl}, acldefault('{letter}', {owner}))"));
        let every = format!(
            "(SELECT json_agg(DISTINCT a.privilege_type) FROM aclexplode(acldefault('{letter}', {owner})) a WHERE a.grantee = {owner})"
        );
        let limit = if limit.is_empty() { String::new() } else { format!(" AND {limit}") };
        format!(
            "SELECT {name}::text AS name, {column} AS schema, {list} AS acl, {every} AS \"all\" FROM {from} WHERE true{limit}"
        )
    };
    let named = |column: &str| if all { String::new() } else { format!("{column} = ANY({})", literals(objs)) };
    let both = |a: String, b: String| if b.is_empty() { a } else { format!("{a} AND {b}") };
    let source = match kind {
        Kind::Table | Kind::Sequence => {
            let (kinds, letter) = if kind == Kind::Table { ("'r','v','m','f','p'", "r") } else { ("'S'", "s") };
            let limit = format!("n.nspname = {space} AND c.relkind IN ({kinds})");
            let from = "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace";
            rows("c.relname", "c.relacl", letter, "c.relowner", from, &both(limit, named("c.relname")))
        }
        Kind::Function | Kind::Procedure => {
            let prokind = if kind == Kind::Procedure { "p.prokind = 'p'" } else { "p.prokind <> 'p'" };
            let limit = format!("n.nspname = {space} AND {prokind}");
            // `f(int:text)` names a function by the types of its arguments.
            let wanted: Vec<String> = objs.iter().map(|o| signature(o, schema)).collect();
            let which = if all {
                String::new()
            } else {
                let matches: Vec<String> =
                    wanted.iter().map(|w| format!("p.oid = to_regprocedure({})", literal(w))).collect();
                format!("({})", matches.join(" OR "))
            };
            let from = "pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace";
            rows("p.oid::regprocedure", "p.proacl", "f", "p.proowner", from, &both(limit, which))
        }
        Kind::Type => {
            let from = "pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace";
            let limit = format!("n.nspname = {space}");
            rows("t.typname", "t.typacl", "T", "t.typowner", from, &both(limit, named("t.typname")))
        }
        Kind::Database => rows("datname", "datacl", "d", "datdba", "pg_database", &named("datname")),
        Kind::Schema => rows("nspname", "nspacl", "n", "nspowner", "pg_namespace", &named("nspname")),
        Kind::Language => rows("lanname", "lanacl", "l", "lanowner", "pg_language", &named("lanname")),
        Kind::Tablespace => rows("spcname", "spcacl", "t", "spcowner", "pg_tablespace", &named("spcname")),
        Kind::ForeignDataWrapper => {
            rows("fdwname", "fdwacl", "F", "fdwowner", "pg_foreign_data_wrapper", &named("fdwname"))
        }
        Kind::ForeignServer => rows("srvname", "srvacl", "S", "srvowner", "pg_foreign_server", &named("srvname")),
        Kind::Parameter => format!(
            "SELECT x.name, {} AS acl, NULL::json AS \"all\" FROM unnest({}) AS x(name) LEFT JOIN pg_parameter_acl p ON p.parname = lower(x.name)",
            exploded("p.paracl"),
            literals(objs)
        ),
        Kind::Group => format!(
            "SELECT r.rolname::text AS name, (SELECT COALESCE(json_agg(json_build_object('grantee', u.rolname, 'privilege', 'MEMBER', 'grantable', m.admin_option)), '[]') FROM pg_auth_members m JOIN pg_roles u ON u.oid = m.member WHERE m.roleid = r.oid) AS acl, NULL::json AS \"all\" FROM pg_roles r WHERE {}",
            named("r.rolname")
        ),
        Kind::DefaultPrivs => default_privs(objs, schema, targets, &exploded),
    };
    let missing = match kind {
        _ if all => "'[]'::json".to_owned(),
        Kind::DefaultPrivs | Kind::Parameter => "'[]'::json".to_owned(),
        Kind::Function | Kind::Procedure => {
            let pairs: Vec<String> = objs
                .iter()
                .map(|o| format!("({}, to_regprocedure({}))", literal(o), literal(&signature(o, schema))))
                .collect();
            format!(
                "(SELECT COALESCE(json_agg(w.name), '[]') FROM (VALUES {}) AS w(name, oid) WHERE w.oid IS NULL)",
                pairs.join(", ")
            )
        }
        _ => format!(
            "(SELECT COALESCE(json_agg(w.name), '[]') FROM unnest({}) AS w(name) WHERE w.name NOT IN (SELECT name FROM found))",
            literals(objs)
        ),
    };
    format!(
        "WITH found AS ({source}) SELECT json_build_object('whoami', current_user, 'roles', (SELECT COALESCE(json_agg(rolname), '[]') FROM pg_roles WHERE rolname = ANY({})), 'objects', (SELECT COALESCE(json_agg(row_to_json(found)), '[]') FROM found), 'missing', {missing});",
        literals(roles)
    )
}

fn default_privs(
    objs: &[String],
    schema: Option<&str>,
    targets: &[String],
    exploded: &impl Fn(&str) -> String,
) -> String {
    let letter = |w: &String| match w.as_str() {
        "TABLES" => ("r", "r"),
        "SEQUENCES" => ("S", "s"),
        "FUNCTIONS" => ("f", "f"),
        "TYPES" => ("T", "T"),
        _ => ("n", "n"),
    };
    let kinds: Vec<String> = default_words(objs)
        .iter()
        .map(|w| {
            let (in_table, in_default) = letter(w);
            format!("('{w}', '{in_table}', '{in_default}')")
        })
        .collect();
    let owners = if targets.is_empty() {
        "SELECT oid, rolname FROM pg_roles WHERE rolname = current_user".to_owned()
    } else {
        format!("SELECT oid, rolname FROM pg_roles WHERE rolname = ANY({})", literals(targets))
    };
    // Without a schema the list starts from the built-in privileges; with one it starts empty.
    let (space, built_in) = match schema {
        Some(name) => (
            format!(
                "(CASE WHEN k.kind = 'SCHEMAS' THEN 0 ELSE (SELECT oid FROM pg_namespace WHERE nspname = {}) END)",
                literal(name)
            ),
            "NULL::aclitem[]".to_owned(),
        ),
        None => ("0".to_owned(), "acldefault(k.built_in::\"char\", o.oid)".to_owned()),
    };
    let acl = exploded(&format!("COALESCE(d.defaclacl, {built_in})"));
    format!(
        "SELECT k.kind AS name, k.kind AS kind, o.rolname AS target, {acl} AS acl, (SELECT json_agg(DISTINCT a.privilege_type) FROM aclexplode(acldefault(k.built_in::\"char\", o.oid)) a WHERE a.grantee = o.oid) AS \"all\" FROM (VALUES {}) AS k(kind, letter, built_in) CROSS JOIN ({owners}) o LEFT JOIN pg_default_acl d ON d.defaclrole = o.oid AND d.defaclobjtype = k.letter::\"char\" AND d.defaclnamespace = {space}",
        kinds.join(", ")
    )
}

/// `f(int:text)` in the form that the server reads.
fn signature(object: &str, schema: Option<&str>) -> String {
    let (name, arguments) = object.split_once('(').unwrap_or((object, ")"));
    let name = match name.split_once('.') {
        Some((space, name)) => format!("{}.{}", ident(space), ident(name)),
        None => format!("{}.{}", ident(schema.unwrap_or("public")), ident(name)),
    };
    format!("{name}({}", arguments.replace(':', ","))
}

/// What stands after ON.
pub(super) fn on(kind: Kind, of: Kind, name: &str, object: &Value) -> String {
    match kind {
        Kind::DefaultPrivs => name.to_owned(),
        // The server has written the name itself.
        Kind::Function | Kind::Procedure => format!("{} {name}", kind.keyword()),
        Kind::Parameter => format!("{} {}", kind.keyword(), name.split('.').map(ident).collect::<Vec<_>>().join(".")),
        _ => {
            let schema = object.get("schema").and_then(Value::as_str);
            let qualified = schema.map_or_else(|| ident(name), |s| format!("{}.{}", ident(s), ident(name)));
            format!("{} {qualified}", of.keyword())
        }
    }
}

/// What stands before GRANT and REVOKE.
pub(super) fn prefix(kind: Kind, target: Option<&str>, schema: Option<&str>) -> String {
    if kind != Kind::DefaultPrivs {
        return String::new();
    }
    let mut out = "ALTER DEFAULT PRIVILEGES ".to_owned();
    if let Some(target) = target {
        out.push_str(&format!("FOR ROLE {} ", ident(target)));
    }
    if let Some(schema) = schema {
        out.push_str(&format!("IN SCHEMA {} ", ident(schema)));
    }
    out
}
