//! `postgresql_privs`: who may do what in PostgreSQL.
//!
//! What is granted is read from the objects' access lists, and only what differs is granted or revoked.

mod objects;

use super::args::Arguments;
use super::common::postgres::{Login, ident, literal};
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Decision, Stop, TaskResult, View};
use crate::values::Value;
use objects::Kind;

crate::module_choices! {
    /// Whether it is granted.
    pub enum State {
        /// It is not.
        Absent = "absent",
        /// It is.
        Present = "present",
    }
}

crate::module_args! {
    /// What `postgresql_privs` takes.
    pub struct PrivsArgs {
        /// The database.
        login_db: String, ["database", "db"];
        /// Roles, separated by commas; `PUBLIC` is everybody.
        roles: String, ["role"];
        /// Whether it is granted.
        state: State = State::Present;
        /// Privileges, separated by commas; `ALL` for all of the kind.
        privs: Option<String>, ["priv"];
        /// The kind of objects.
        r#type: Kind = Kind::Table;
        /// Objects, separated by commas; `ALL_IN_SCHEMA` for all of the kind.
        objs: Option<String>, ["obj"];
        /// The schema they are in; `public` if not given.
        schema: Option<String>;
        /// Whether they may pass it on.
        grant_option: Option<bool>, ["admin_option"];
        /// With `type: default_privs`: the roles whose new objects it concerns.
        target_roles: Option<String>;
        /// Fail where a role does not exist.
        fail_on_role: bool = true;
    } + login: Login
}

/// The module.
pub static MODULE: Module = Module {
    names: &["postgresql_privs", "community.postgresql.postgresql_privs", "community.general.postgresql_privs"],
    doc: "Who may do what in PostgreSQL.",
    args: PrivsArgs::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: super::registry::anything,
};

/// The words of a list separated by commas.
fn list(text: &str) -> Vec<String> {
    text.split(',').map(|w| w.trim().to_owned()).filter(|w| !w.is_empty()).collect()
}

fn plan(args: &PrivsArgs, view: &View<'_>) -> Result<Decision, Stop> {
    let kind = args.r#type;
    args.login.check(&[
        ("roles", Some(&args.roles)),
        ("schema", args.schema.as_deref()),
        ("target_roles", args.target_roles.as_deref()),
    ])?;
    let schema = match (&args.schema, kind.in_schema()) {
        (Some(_), false) => {
            return Err(Stop::fail(format!("Argument \"schema\" is not allowed for type \"{}\".", kind.word())));
        }
        (_, false) => None,
        (schema, true) if args.objs.as_deref() == Some("schemas") || schema.as_deref() == Some("not-specified") => None,
        (schema, true) => Some(schema.clone().unwrap_or_else(|| "public".into())),
    };
    let objs = match (&args.objs, kind) {
        (Some(objs), _) => list(objs),
        (None, Kind::Database) => vec![args.login_db.clone()],
        (None, _) => return Err(Stop::fail(format!("Argument \"objs\" is required for type \"{}\".", kind.word()))),
    };
    let all = objs == ["ALL_IN_SCHEMA"];
    if all && !matches!(kind, Kind::Table | Kind::Sequence | Kind::Function | Kind::Procedure) {
        return Err(Stop::fail(
            "Argument \"objs\": ALL_IN_SCHEMA can be used only for type: table, sequence, function or procedure",
        ));
    }
    let privs = privileges(args, &objs)?;
    let roles = list(&args.roles);
    if roles.is_empty() {
        return Err(Stop::fail("argument `roles` is empty"));
    }
    let targets = list(args.target_roles.as_deref().unwrap_or_default());
    if !targets.is_empty() && kind != Kind::DefaultPrivs {
        return Err(Stop::fail("Argument \"target_roles\" may only be used with type \"default_privs\"."));
    }
    let sql = objects::question(kind, &objs, schema.as_deref(), &targets, &roles, all);
    let said = args.login.query(view, &args.login_db, &sql)?;
    let known: Vec<String> = texts(said.get("roles"));
    let (mut there, mut warnings) = (Vec::new(), Vec::new());
    for role in roles {
        let everybody =
            ["PUBLIC", "CURRENT_USER", "SESSION_USER", "CURRENT_ROLE"].contains(&role.to_uppercase().as_str());
        if everybody || known.contains(&role) {
            there.push(role);
        } else if args.fail_on_role {
            return Err(Stop::fail(format!("Role '{role}' does not exist")));
        } else {
            warnings.push(Value::from(format!("Role '{role}' does not exist, pass it")));
        }
    }
    let found = said.get("objects").and_then(Value::as_list).unwrap_or_default();
    let missing = texts(said.get("missing"));
    if let Some(name) = missing.first() {
        return Err(Stop::fail(format!("{} {name} does not exist in database {}", kind.word(), args.login_db)));
    }
    let whoami = said.get("whoami").map(ToString::to_string).unwrap_or_default();
    let mut statements = Vec::new();
    if !there.is_empty() && !found.is_empty() {
        statements = change(args, kind, found, &privs, &there, schema.as_deref(), &targets, &whoami);
    }
    let mut result = TaskResult::changed(!statements.is_empty()).with("queries", statements.clone());
    if !warnings.is_empty() {
        result = result.with("warnings", Value::list(warnings));
    }
    if statements.is_empty() {
        return Ok(Decision::nothing(result));
    }
    let verb = if args.state == State::Present { "grant" } else { "revoke" };
    let what = if privs.is_empty() { objs.join(", ") } else { privs.join(", ") };
    let shows = format!("{verb} {what} ({}) for {}", kind.word(), there.join(", "));
    Ok(Decision::act(result, vec![args.login.action(&args.login_db, &statements, true, shows)]))
}

fn texts(value: Option<&Value>) -> Vec<String> {
    value.and_then(Value::as_list).unwrap_or_default().iter().map(ToString::to_string).collect()
}

/// The privileges asked for, in the server's words.
fn privileges(args: &PrivsArgs, objs: &[String]) -> Result<Vec<String>, Stop> {
    let kind = args.r#type;
    match (&args.privs, kind) {
        (Some(_), Kind::Group) => {
            return Err(Stop::fail("Argument \"privs\" is not allowed for type \"group\"."));
        }
        (None, Kind::Group) => return Ok(Vec::new()),
        (None, _) => return Err(Stop::fail(format!("Argument \"privs\" is required for type \"{}\".", kind.word()))),
        _ => {}
    }
    let mut out = Vec::new();
    for word in list(args.privs.as_deref().unwrap_or_default()) {
        let word = match word.to_uppercase().as_str() {
            "TEMP" => "TEMPORARY".to_owned(),
            "ALTER_SYSTEM" => "ALTER SYSTEM".to_owned(),
            "ALL PRIVILEGES" => "ALL".to_owned(),
            other => other.to_owned(),
        };
        let fits = |k: Kind| word == "ALL" || k.privileges().contains(&word.as_str());
        let good =
            if kind == Kind::DefaultPrivs { objects::default_kinds(objs)?.into_iter().all(fits) } else { fits(kind) };
        if !good {
            return Err(Stop::fail(format!(
                "Invalid privileges specified: {word} is none of type \"{}\"",
                kind.word()
            )));
        }
        out.push(word);
    }
    Ok(out)
}

/// A role as it stands in a statement.
fn role_name(role: &str) -> String {
    let upper = role.to_uppercase();
    if ["PUBLIC", "CURRENT_USER", "SESSION_USER", "CURRENT_ROLE"].contains(&upper.as_str()) {
        upper
    } else {
        ident(role)
    }
}

/// The statements for what differs.
#[allow(clippy::too_many_arguments)]
fn change(
    args: &PrivsArgs,
    kind: Kind,
    found: &[Value],
    privs: &[String],
    roles: &[String],
    schema: Option<&str>,
    targets: &[String],
    whoami: &str,
) -> Vec<String> {
    let grant = args.state == State::Present;
    let mut out = Vec::new();
    for object in found {
        let name = object.get("name").map(ToString::to_string).unwrap_or_default();
        let of = match object.get("kind").and_then(Value::as_str) {
            Some(word) => objects::default_kind(word).unwrap_or(kind),
            None => kind,
        };
        let acl = object.get("acl").and_then(Value::as_list).unwrap_or_default();
        let held = |role: &str, privilege: &str| {
            let upper = role.to_uppercase();
            let role =
                if matches!(upper.as_str(), "CURRENT_USER" | "SESSION_USER" | "CURRENT_ROLE") { whoami } else { role };
            let found = acl.iter().filter(|a| {
                let grantee = a.get("grantee").and_then(Value::as_str).unwrap_or_default();
                let same = if upper == "PUBLIC" { grantee.is_empty() } else { grantee == role };
                same && a.get("privilege").and_then(Value::as_str) == Some(privilege)
            });
            found.fold(None, |so_far: Option<bool>, a| {
                Some(so_far.unwrap_or(false) || a.get("grantable").and_then(Value::as_bool).unwrap_or(false))
            })
        };
        let wanted: Vec<&str> = if kind == Kind::Group {
            vec!["MEMBER"]
        } else if privs.iter().any(|p| p == "ALL") {
            // What newer servers know is not asked of older ones.
            let known = texts(object.get("all"));
            of.privileges().iter().copied().filter(|p| known.is_empty() || known.iter().any(|k| k == p)).collect()
        } else {
            privs.iter().map(String::as_str).collect()
        };
        let (mut give, mut take, mut hold_back) = (Vec::new(), Vec::new(), Vec::new());
        for role in roles {
            let held: Vec<Option<bool>> = wanted.iter().map(|p| held(role, p)).collect();
            let lacks = |h: &Option<bool>| h.is_none() || (args.grant_option == Some(true) && *h == Some(false));
            if grant && held.iter().any(lacks) {
                give.push(role_name(role));
            }
            if grant && args.grant_option == Some(false) && held.contains(&Some(true)) {
                hold_back.push(role_name(role));
            }
            // Without the right to pass it on there is nothing to take from that alone.
            let only_option = !grant && args.grant_option == Some(true);
            if !grant && held.iter().any(|h| if only_option { *h == Some(true) } else { h.is_some() }) {
                take.push(role_name(role));
            }
        }
        let list = if privs.iter().any(|p| p == "ALL") { "ALL".to_owned() } else { privs.join(", ") };
        let on = objects::on(kind, of, &name, object);
        let target = object.get("target").and_then(Value::as_str).filter(|_| !targets.is_empty());
        let prefix = objects::prefix(kind, target, schema.filter(|_| of != Kind::Schema));
        let (option, with) = if kind == Kind::Group {
            ("ADMIN OPTION FOR ", " WITH ADMIN OPTION")
        } else {
            ("GRANT OPTION FOR ", " WITH GRANT OPTION")
        };
        let what = if kind == Kind::Group { ident(&name) } else { format!("{list} ON {on}") };
        if !give.is_empty() {
            let with = if args.grant_option == Some(true) { with } else { "" };
            out.push(format!("{prefix}GRANT {what} TO {}{with}", give.join(", ")));
        }
        if !hold_back.is_empty() {
            out.push(format!("{prefix}REVOKE {option}{what} FROM {}", hold_back.join(", ")));
        }
        if !take.is_empty() {
            let option = if args.grant_option == Some(true) { option } else { "" };
            out.push(format!("{prefix}REVOKE {option}{what} FROM {}", take.join(", ")));
        }
    }
    out
}

/// A list of literals for a query.
fn literals(names: &[String]) -> String {
    format!("ARRAY[{}]::text[]", names.iter().map(|n| literal(n)).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests;
