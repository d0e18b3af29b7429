//! `postgresql_user`: roles of PostgreSQL that log in.
//!
//! A password becomes a SCRAM verifier here; the host and its logs never see it.

use super::args::Arguments;
use super::common::postgres::{self, Login, ident, literal};
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Decision, Stop, TaskResult, View};
use crate::values::{Map, Value};

crate::module_choices! {
    /// Whether the role is there.
    pub enum State {
        /// It is not.
        Absent = "absent",
        /// It is.
        Present = "present",
    }
}

crate::module_args! {
    /// What `postgresql_user` takes.
    pub struct UserArgs {
        /// The role.
        name: String, ["user"];
        /// Whether it is there.
        state: State = State::Present;
        /// Its password, or a verifier (`SCRAM-SHA-256$…`, `md5…`); empty for none.
        password: Option<String>;
        /// Kept as a verifier, which PostgreSQL always does.
        encrypted: bool = true;
        /// Do not change the password of a role that is there.
        no_password_changes: bool = false;
        /// Flags, separated by commas: `CREATEDB,NOSUPERUSER`.
        role_attr_flags: Option<String>;
        /// When the password ends.
        expires: Option<String>;
        /// How many connections it may have; -1 for any number.
        conn_limit: Option<i64>;
        /// Its comment.
        comment: Option<String>;
        /// Settings for its sessions.
        configuration: Map = Map::new();
        /// Reset settings that `configuration` does not name.
        reset_unspecified_configuration: bool = false;
        /// Whether the values of `configuration` are texts; else they are put in as they are.
        quote_configuration_values: bool = true;
        /// Fail where the role can't be removed.
        fail_on_user: bool, ["fail_on_role"] = true;
        /// The database to connect to.
        login_db: String, ["db", "maintenance_db"] = "postgres";
        /// Not supported: `postgresql_privs` grants privileges.
        r#priv: Option<String>;
    } + login: Login
}

/// The module.
pub static MODULE: Module = Module {
    names: &["postgresql_user", "community.postgresql.postgresql_user", "community.general.postgresql_user"],
    doc: "Roles of PostgreSQL that log in.",
    args: UserArgs::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: super::registry::anything,
};

/// Flags, and the columns that hold them.
const FLAGS: [(&str, &str); 7] = [
    ("SUPERUSER", "rolsuper"),
    ("CREATEROLE", "rolcreaterole"),
    ("CREATEDB", "rolcreatedb"),
    ("INHERIT", "rolinherit"),
    ("LOGIN", "rolcanlogin"),
    ("REPLICATION", "rolreplication"),
    ("BYPASSRLS", "rolbypassrls"),
];

fn flags(text: &str) -> Result<Vec<(&'static str, &'static str, bool)>, Stop> {
    let mut out = Vec::new();
    for word in text.split(',').map(|w| w.trim().to_uppercase()).filter(|w| !w.is_empty()) {
        // LOGIN and the like first: NOLOGIN begins with NO, but so could a flag.
        let found = FLAGS.iter().find_map(|(flag, column)| match word.strip_prefix("NO") {
            _ if word == *flag => Some((*flag, *column, true)),
            Some(rest) if rest == *flag => Some((*flag, *column, false)),
            _ => None,
        });
        out.push(found.ok_or_else(|| {
            let known = FLAGS.map(|f| f.0).join(", ");
            Stop::fail(format!(
                "Invalid role_attr_flags specified: {word}; known are {known}, each also with NO before it"
            ))
        })?);
    }
    Ok(out)
}

fn plan(args: &UserArgs, view: &View<'_>) -> Result<Decision, Stop> {
    if args.r#priv.is_some() {
        return Err(Stop::fail("`priv` is not supported: grant privileges with `postgresql_privs`"));
    }
    if !args.encrypted {
        return Err(Stop::fail("`encrypted: false` is not supported: PostgreSQL keeps no password in clear text"));
    }
    args.login.check(&[
        ("name", Some(&args.name)),
        ("expires", args.expires.as_deref()),
        ("comment", args.comment.as_deref()),
    ])?;
    let wanted = flags(args.role_attr_flags.as_deref().unwrap_or_default())?;
    let settings = settings(args)?;
    let base = TaskResult::ok().with("user", args.name.as_str());
    if view.memory().is_some() {
        return removed(args, view, base);
    }
    let now = args.login.query(view, &args.login_db, &question(args))?;
    let role = now.get("role").filter(|r| r.as_map().is_some());
    if args.state == State::Absent {
        return Ok(absent(args, base, role.is_some()));
    }
    let (mut statements, mut shown) = (Vec::new(), Vec::new());
    let name = ident(&args.name);
    let password = new_password(args, view, role)?;
    let mut clauses: Vec<(String, String)> = Vec::new();
    match &password {
        Some(None) => clauses.push(("PASSWORD NULL".into(), "PASSWORD NULL".into())),
        Some(Some(v)) => {
            clauses.push((format!("ENCRYPTED PASSWORD {}", literal(v)), "ENCRYPTED PASSWORD %(password)s".into()))
        }
        None => {}
    }
    let plain = |text: String| (text.clone(), text);
    let get = |column: &str| role.and_then(|r| r.get(column));
    if let Some(expires) = args.expires.as_ref()
        && (role.is_none() || get("same_expiry").and_then(Value::as_bool) != Some(true))
    {
        clauses.push(plain(format!("VALID UNTIL {}", literal(expires))));
    }
    if let Some(limit) = args.conn_limit.filter(|l| get("rolconnlimit").and_then(Value::as_int) != Some(*l)) {
        clauses.push(plain(format!("CONNECTION LIMIT {limit}")));
    }
    for (flag, column, on) in wanted {
        if get(column).and_then(Value::as_bool) != Some(on) {
            clauses.push(plain(if on { flag.to_owned() } else { format!("NO{flag}") }));
        }
    }
    if role.is_none() || !clauses.is_empty() {
        let verb = if role.is_none() { "CREATE USER" } else { "ALTER USER" };
        let with = if clauses.is_empty() { "" } else { " WITH " };
        let join = |side: fn(&(String, String)) -> &String| {
            format!("{verb} {name}{with}{}", clauses.iter().map(|c| side(c).as_str()).collect::<Vec<_>>().join(" "))
        };
        statements.push(join(|c| &c.0));
        shown.push(join(|c| &c.1));
    }
    if let Some(comment) = &args.comment
        && get("comment").and_then(Value::as_str).unwrap_or_default() != comment
    {
        statements.push(format!("COMMENT ON ROLE {name} IS {}", literal(comment)));
        shown.extend(statements.last().cloned());
    }
    let more = change_settings(args, &settings, get("config"), &name);
    shown.extend(more.iter().cloned());
    statements.extend(more);
    let result = TaskResult { changed: !statements.is_empty(), ..base }.with("queries", shown);
    if statements.is_empty() {
        return Ok(Decision::nothing(result));
    }
    let shows = if role.is_none() { "create" } else { "change" };
    let action = args.login.action(&args.login_db, &statements, true, format!("{shows} database role {}", args.name));
    Ok(Decision::act(result, vec![action]))
}

fn question(args: &UserArgs) -> String {
    let name = literal(&args.name);
    let expiry = args.expires.as_ref().map_or_else(
        || "true".to_owned(),
        |e| format!("r.rolvaliduntil IS NOT DISTINCT FROM {}::timestamptz", literal(e)),
    );
    // Only a superuser may look at verifiers; the query must not fail for others, so the table is named in a text.
    format!(
        "SELECT json_build_object('verifiers', has_table_privilege('pg_catalog.pg_authid', 'SELECT'), 'role', (SELECT row_to_json(x) FROM (SELECT r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolinherit, r.rolcanlogin, r.rolreplication, r.rolbypassrls, r.rolconnlimit, {expiry} AS same_expiry, shobj_description(r.oid, 'pg_authid') AS comment, (SELECT setconfig FROM pg_db_role_setting s WHERE s.setrole = r.oid AND s.setdatabase = 0) AS config, CASE WHEN has_table_privilege('pg_catalog.pg_authid', 'SELECT') THEN (xpath('//rolpassword/text()', query_to_xml(format('SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname = %L', r.rolname), false, true, '')))[1]::text END AS verifier FROM pg_roles r WHERE r.rolname = {name}) x));"
    )
}

/// The password to set: none to leave it, `Some(None)` to take it away.
fn new_password(args: &UserArgs, view: &View<'_>, role: Option<&Value>) -> Result<Option<Option<String>>, Stop> {
    let Some(password) = &args.password else { return Ok(None) };
    if role.is_some() && args.no_password_changes {
        return Ok(None);
    }
    if password.contains(['\n', '\0']) {
        return Err(Stop::fail("`password` must not contain a line break or a NUL"));
    }
    let now = role.and_then(|r| r.get("verifier")).and_then(Value::as_str);
    if password.is_empty() {
        return Ok((role.is_some() && now.is_some()).then_some(None));
    }
    let md5 =
        password.len() == 35 && password.starts_with("md5") && password[3..].bytes().all(|b| b.is_ascii_hexdigit());
    if md5 || (password.starts_with("SCRAM-SHA-256$") && password.len() > 80) {
        return Ok((now != Some(password.as_str())).then(|| Some(password.clone())));
    }
    if now.is_some_and(|v| postgres::matches(v, &args.name, password)) {
        return Ok(None);
    }
    Ok(Some(Some(postgres::verifier(password, view.nonce()))))
}

fn settings(args: &UserArgs) -> Result<Vec<(String, String)>, Stop> {
    let mut out = Vec::new();
    for (name, value) in &args.configuration {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.') {
            return Err(Stop::fail(format!("`{name}` is no name of a setting")));
        }
        let text = match value {
            Value::Bool(b) => if *b { "on" } else { "off" }.to_owned(),
            other => other.to_string(),
        };
        if !args.quote_configuration_values && text.contains([';', '\\', ':', '\n']) {
            return Err(Stop::fail(format!("the value of `{name}` holds what can't stand unquoted: {text}")));
        }
        out.push((name.to_string(), text));
    }
    Ok(out)
}

fn change_settings(args: &UserArgs, wanted: &[(String, String)], now: Option<&Value>, role: &str) -> Vec<String> {
    let now: Vec<(String, String)> = now
        .and_then(Value::as_list)
        .unwrap_or_default()
        .iter()
        .filter_map(|s| s.as_str()?.split_once('=').map(|(n, v)| (n.to_lowercase(), v.to_owned())))
        .collect();
    // How the server writes a list of unquoted words is its own affair.
    let same = |a: &str, b: &str| {
        a == b
            || (!args.quote_configuration_values && a.replace([' ', '\'', '"'], "") == b.replace([' ', '\'', '"'], ""))
    };
    let mut out = Vec::new();
    for (name, value) in wanted {
        if !now.iter().any(|(n, v)| *n == name.to_lowercase() && same(v, value)) {
            let value = if args.quote_configuration_values { literal(value) } else { value.clone() };
            out.push(format!("ALTER ROLE {role} SET {name} TO {value}"));
        }
    }
    if args.reset_unspecified_configuration {
        let unnamed = now.iter().filter(|(n, _)| !wanted.iter().any(|(w, _)| w.to_lowercase() == *n));
        out.extend(unnamed.map(|(n, _)| format!("ALTER ROLE {role} RESET {n}")));
    }
    out
}

fn absent(args: &UserArgs, base: TaskResult, there: bool) -> Decision {
    if !there {
        return Decision::nothing(base.with("queries", Value::list(Vec::new())));
    }
    let statements = vec![format!("DROP USER {}", ident(&args.name))];
    let result = TaskResult { changed: true, ..base }.with("user_removed", true).with("queries", statements.clone());
    let action = args.login.action(&args.login_db, &statements, true, format!("drop database role {}", args.name));
    if args.fail_on_user {
        return Decision::act(result, vec![action]);
    }
    Decision::again(result, vec![action.tolerant()], Value::from(true))
}

/// Where it is no failure that a role can't be removed.
fn removed(args: &UserArgs, view: &View<'_>, base: TaskResult) -> Result<Decision, Stop> {
    let output = view.outputs().last().cloned().unwrap_or_default();
    if output.rc == 2 || output.rc == 127 {
        return Err(args.login.complaint(&output));
    }
    let gone = output.success();
    let queries = vec![format!("DROP USER {}", ident(&args.name))];
    let result = TaskResult { changed: gone, ..base };
    Ok(Decision::nothing(result.with("user_removed", gone).with("queries", queries)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::action::{Content, Stdin};
    use crate::host::{Output, Run};
    use crate::modules::testing::Fake;
    use serde_json::json;

    fn host(said: &str) -> Fake {
        let said = said.to_owned();
        Fake::new().probe(move |_| Some(Output::ok(&said))).on_run(|_, _| Some(Output::ok("")))
    }

    fn sql(run: &Run) -> String {
        match &run.stdin {
            Stdin::Content(Content::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        }
    }

    fn role(verifier: &str) -> String {
        json!({"verifiers": true, "role": {"rolsuper": false, "rolcreatedb": true, "rolcanlogin": true, "rolconnlimit": -1, "same_expiry": true, "comment": "c", "config": ["work_mem=64MB", "search_path=a, b"], "verifier": verifier}}).to_string()
    }

    const NONE: &str = r#"{"verifiers": true, "role": null}"#;

    #[test]
    fn a_password_becomes_a_verifier() {
        let mut host = host(NONE);
        let args = json!({"name": "shop", "password": "geheim'; --", "role_attr_flags": "CREATEDB,NOSUPERUSER", "conn_limit": 5});
        let decision = host.converge("postgresql_user", args);
        let sql = sql(&host.ran()[0]);
        assert!(sql.contains("CREATE USER \"shop\" WITH ENCRYPTED PASSWORD 'SCRAM-SHA-256$4096:"), "{sql}");
        assert!(sql.contains("CONNECTION LIMIT 5 CREATEDB NOSUPERUSER;") && sql.contains("log_statement"));
        let told = format!("{decision:?}");
        assert!(!sql.contains("geheim") && !told.contains("geheim"));
        assert!(!format!("{:?}", decision.result).contains("SCRAM"));
        assert_eq!(
            decision.result.data["queries"].to_string(),
            "['CREATE USER \"shop\" WITH ENCRYPTED PASSWORD %(password)s CONNECTION LIMIT 5 CREATEDB NOSUPERUSER']"
        );
    }

    #[test]
    fn the_same_password_is_left_alone() {
        let mut host = host(&role(&postgres::verifier("geheim", "any salt")));
        let args = json!({"name": "shop", "password": "geheim", "role_attr_flags": "createdb", "expires": "infinity", "comment": "c", "conn_limit": -1, "configuration": {"work_mem": "64MB"}});
        host.settled("community.postgresql.postgresql_user", args);
        host.settled("postgresql_user", json!({"name": "shop", "password": "other", "no_password_changes": true}));
        assert!(host.converge("postgresql_user", json!({"name": "shop", "password": "other"})).result.changed);
        assert!(sql(&host.ran()[0]).contains("ALTER USER \"shop\" WITH ENCRYPTED PASSWORD 'SCRAM"));
        host.converge("postgresql_user", json!({"name": "shop", "password": ""}));
        assert!(sql(&host.ran()[1]).contains("PASSWORD NULL"));
    }

    #[test]
    fn settings_flags_and_comments() {
        let mut host = host(&role("x"));
        let args = json!({"name": "shop", "role_attr_flags": "NOLOGIN", "comment": "it's", "configuration": {"search_path": "a,b"}, "quote_configuration_values": false, "reset_unspecified_configuration": true});
        host.converge("postgresql_user", args);
        let sql = sql(&host.ran()[0]);
        assert!(sql.contains("BEGIN;\nALTER USER \"shop\" WITH NOLOGIN;\nCOMMENT ON ROLE \"shop\" IS 'it''s';\nALTER ROLE \"shop\" RESET work_mem;\nCOMMIT;"), "{sql}");
        assert!(
            host.fails("postgresql_user", json!({"name": "x", "role_attr_flags": "FLY"}))
                .contains("Invalid role_attr_flags")
        );
        assert!(host.fails("postgresql_user", json!({"name": "x", "priv": "ALL"})).contains("postgresql_privs"));
    }

    #[test]
    fn removal_may_be_refused() {
        let mut host = host(NONE);
        host.settled("postgresql_user", json!({"name": "shop", "state": "absent"}));
        let mut host = Fake::new()
            .probe(|_| Some(Output::ok(&role("x"))))
            .on_run(|_, _| Some(Output::failed(3, "psql:<stdin>:2: ERROR:  role \"shop\" cannot be dropped\n")));
        let decision =
            host.converge("postgresql_user", json!({"name": "shop", "state": "absent", "fail_on_user": false}));
        assert!(!decision.result.changed);
        assert!(
            host.fails("postgresql_user", json!({"name": "shop", "state": "absent"})).contains("cannot be dropped")
        );
    }
}
