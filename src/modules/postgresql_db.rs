//! `postgresql_db`: databases of PostgreSQL.

use super::args::Arguments;
use super::common::outputs::{failed, gist, with_output};
use super::common::postgres::{Login, ident, key, literal};
use super::common::text;
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Action, Decision, Key, Run, Stop, TaskResult, View};
use crate::values::Value;

crate::module_choices! {
    /// What should be true of the database.
    pub enum State {
        /// It is not there.
        Absent = "absent",
        /// It is written to a file.
        Dump = "dump",
        /// It is there.
        Present = "present",
        /// It has another name.
        Rename = "rename",
        /// It is read from a file.
        Restore = "restore",
    }
}

crate::module_args! {
    /// What `postgresql_db` takes.
    pub struct DbArgs {
        /// Its name.
        name: String, ["db"];
        /// What should be true of it.
        state: State = State::Present;
        /// Its owner.
        owner: Option<String>;
        /// The database that it is a copy of.
        template: Option<String>;
        /// Its encoding.
        encoding: Option<String>;
        /// Its collation.
        lc_collate: Option<String>;
        /// Its character classification.
        lc_ctype: Option<String>;
        /// Its locale, with `locale_provider: icu`.
        icu_locale: Option<String>;
        /// Who provides its locale: `libc` or `icu`.
        locale_provider: Option<String>;
        /// How many connections it takes; -1 for any number.
        conn_limit: Option<i64>;
        /// Where it lies.
        tablespace: Option<String>;
        /// Its comment.
        comment: Option<String>;
        /// End other connections when removing it.
        force: bool = false;
        /// The file, or the new name.
        target: Option<String>;
        /// Further options for psql, pg_dump or pg_restore.
        target_opts: Option<String>;
        /// Further options for pg_dump.
        dump_extra_args: Option<String>;
        /// The database to connect to.
        maintenance_db: String = "postgres";
    } + login: Login
}

/// The module.
pub static MODULE: Module = Module {
    names: &["postgresql_db", "community.postgresql.postgresql_db", "community.general.postgresql_db"],
    doc: "Databases of PostgreSQL.",
    args: DbArgs::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: super::registry::anything,
};

fn plan(args: &DbArgs, view: &View<'_>) -> Result<Decision, Stop> {
    args.login.check(&[
        ("name", Some(&args.name)),
        ("owner", args.owner.as_deref()),
        ("template", args.template.as_deref()),
        ("tablespace", args.tablespace.as_deref()),
        ("comment", args.comment.as_deref()),
    ])?;
    match args.state {
        State::Dump | State::Restore => return transfer(args, view),
        State::Rename => return rename(args, view),
        _ => {}
    }
    let sql = format!(
        "SELECT json_build_object('version', current_setting('server_version_num')::int, 'encoding', {}, 'db', (SELECT row_to_json(r) FROM (SELECT pg_get_userbyid(datdba) AS owner, encoding, pg_encoding_to_char(encoding) AS encoding_name, datcollate, datctype, datconnlimit, spcname, shobj_description(d.oid, 'pg_database') AS comment FROM pg_database d JOIN pg_tablespace t ON t.oid = dattablespace WHERE datname = {}) r));",
        args.encoding.as_ref().map_or("NULL".to_owned(), |e| format!("pg_char_to_encoding({})", literal(e))),
        literal(&args.name)
    );
    let now = args.login.query(view, &args.maintenance_db, &sql)?;
    let db = now.get("db").filter(|d| d.as_map().is_some());
    let statements = match (args.state, db) {
        (State::Absent, None) => Vec::new(),
        (State::Absent, Some(_)) => drop(args, now.get("version").and_then(Value::as_int).unwrap_or(0)),
        (_, None) => create(args),
        (_, Some(db)) => alter(args, &now, db)?,
    };
    let shows = match (args.state, db) {
        (State::Absent, _) => format!("drop database {}", args.name),
        (_, None) => format!("create database {}", args.name),
        _ => format!("change database {}", args.name),
    };
    Ok(decide(args, statements, shows))
}

fn decide(args: &DbArgs, statements: Vec<String>, shows: String) -> Decision {
    let result = TaskResult::changed(!statements.is_empty())
        .with("db", args.name.as_str())
        .with("executed_commands", statements.clone());
    if statements.is_empty() {
        return Decision::nothing(result);
    }
    // CREATE DATABASE can't be part of a transaction.
    let action = args.login.action(&args.maintenance_db, &statements, false, shows);
    Decision::act(result, vec![action])
}

fn drop(args: &DbArgs, version: i64) -> Vec<String> {
    let name = ident(&args.name);
    match (args.force, version >= 130_000) {
        (false, _) => vec![format!("DROP DATABASE {name}")],
        (true, true) => vec![format!("DROP DATABASE {name} WITH (FORCE)")],
        (true, false) => vec![
            format!(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = {} AND pid <> pg_backend_pid()",
                literal(&args.name)
            ),
            format!("DROP DATABASE {name}"),
        ],
    }
}

fn given(value: &Option<String>) -> Option<&String> {
    value.as_ref().filter(|v| !v.is_empty())
}

fn create(args: &DbArgs) -> Vec<String> {
    let mut sql = format!("CREATE DATABASE {}", ident(&args.name));
    let mut put = |word: &str, value: Option<String>| {
        if let Some(value) = value {
            sql.push_str(&format!(" {word} {value}"));
        }
    };
    put("OWNER", given(&args.owner).map(|v| ident(v)));
    put("TEMPLATE", given(&args.template).map(|v| ident(v)));
    put("ENCODING", given(&args.encoding).map(|v| literal(v)));
    put("LC_COLLATE", given(&args.lc_collate).map(|v| literal(v)));
    put("LC_CTYPE", given(&args.lc_ctype).map(|v| literal(v)));
    put("ICU_LOCALE", given(&args.icu_locale).map(|v| literal(v)));
    put("LOCALE_PROVIDER", given(&args.locale_provider).map(|v| ident(v)));
    put("TABLESPACE", given(&args.tablespace).map(|v| ident(v)));
    put("CONNECTION LIMIT", args.conn_limit.map(|l| l.to_string()));
    let mut all = vec![sql];
    all.extend(given(&args.comment).map(|c| comment(&args.name, c)));
    all
}

fn comment(name: &str, text: &str) -> String {
    format!("COMMENT ON DATABASE {} IS {}", ident(name), literal(text))
}

fn alter(args: &DbArgs, now: &Value, db: &Value) -> Result<Vec<String>, Stop> {
    let get = |name: &str| db.get(name).and_then(Value::as_str).unwrap_or_default();
    if args.encoding.as_ref().is_some_and(|e| !e.is_empty()) && db.get("encoding") != now.get("encoding") {
        return Err(Stop::fail(format!(
            "Changing database encoding is not supported. Current encoding: {}",
            get("encoding_name")
        )));
    }
    for (what, wanted, column) in
        [("LC_COLLATE", &args.lc_collate, "datcollate"), ("LC_CTYPE", &args.lc_ctype, "datctype")]
    {
        if given(wanted).is_some_and(|w| w != get(column)) {
            return Err(Stop::fail(format!("Changing {what} is not supported. Current {what}: {}", get(column))));
        }
    }
    let mut all = Vec::new();
    let name = ident(&args.name);
    if let Some(owner) = given(&args.owner).filter(|o| *o != get("owner")) {
        all.push(format!("ALTER DATABASE {name} OWNER TO {}", ident(owner)));
    }
    if let Some(limit) = args.conn_limit.filter(|l| db.get("datconnlimit").and_then(Value::as_int) != Some(*l)) {
        all.push(format!("ALTER DATABASE {name} CONNECTION LIMIT {limit}"));
    }
    if let Some(space) = given(&args.tablespace).filter(|t| *t != get("spcname")) {
        all.push(format!("ALTER DATABASE {name} SET TABLESPACE {}", ident(space)));
    }
    if let Some(text) = args.comment.as_ref().filter(|c| *c != get("comment")) {
        all.push(comment(&args.name, text));
    }
    Ok(all)
}

fn rename(args: &DbArgs, view: &View<'_>) -> Result<Decision, Stop> {
    let Some(target) = given(&args.target) else {
        return Err(Stop::fail("The \"target\" option must be defined when the \"rename\" option is used."));
    };
    if *target == args.name || args.maintenance_db == args.name {
        return Err(Stop::fail("`name` must differ from `target` and from `maintenance_db`"));
    }
    let exists = |name: &str| format!("EXISTS (SELECT FROM pg_database WHERE datname = {})", literal(name));
    let sql = format!("SELECT json_build_array({}, {});", exists(&args.name), exists(target));
    let now = args.login.query(view, &args.maintenance_db, &sql)?;
    let there: Vec<bool> = now.as_list().unwrap_or_default().iter().filter_map(Value::as_bool).collect();
    match there[..] {
        [true, false] => {
            let sql = format!("ALTER DATABASE {} RENAME TO {}", ident(&args.name), ident(target));
            Ok(decide(args, vec![sql], format!("rename database {} to {target}", args.name)))
        }
        [false, true] => Ok(decide(args, Vec::new(), String::new())),
        [true, true] => {
            Err(Stop::fail(format!("Both the source and the target databases exist: {}, {target}", args.name)))
        }
        _ => Err(Stop::fail(format!("The source and the target databases do not exist: {}, {target}", args.name))),
    }
}

/// To a file, or from one.
fn transfer(args: &DbArgs, view: &View<'_>) -> Result<Decision, Stop> {
    let dump = args.state == State::Dump;
    let word = if dump { "dump" } else { "restore" };
    if view.memory().is_some() {
        let output = view.outputs().last().cloned().unwrap_or_default();
        if !output.success() {
            return Err(failed(format!("{word} of {} failed: {}", args.name, gist(&output)), &output));
        }
        let result = with_output(TaskResult::changed(true), &output.out(), &output.err());
        return Ok(Decision::nothing(result.with("rc", 0).with("db", args.name.as_str()).msg(output.out())));
    }
    let Some(target) = given(&args.target).filter(|t| t.starts_with('/')) else {
        return Err(Stop::fail(format!("`target` must be the absolute path of a file with `state: {word}`")));
    };
    if args.dump_extra_args.is_some() && !dump {
        return Err(Stop::fail("`dump_extra_args` needs `state: dump`"));
    }
    let split = |text: &Option<String>| text::words(text.as_deref().unwrap_or_default()).map_err(Stop::fail);
    let (more, extra) = (split(&args.target_opts)?, split(&args.dump_extra_args)?);
    let login = &args.login;
    let host = match (login.login_host.as_deref(), &login.login_unix_socket) {
        (None | Some("" | "localhost"), Some(socket)) => socket.as_str(),
        (host, _) => host.unwrap_or_default(),
    };
    let port = login.login_port.to_string();
    let role = login.session_role.as_deref().unwrap_or_default();
    let mut words = vec![host, &port, &login.login_user, &args.name, target, word, role];
    words.extend(more.iter().chain(&extra).map(String::as_str));
    let mut run = Run::sh(include_str!("postgresql_db/dump.sh"), &words).durable();
    for (name, value) in
        [("PGPASSWORD", &login.login_password), ("PGSSLMODE", &login.ssl_mode), ("PGSSLROOTCERT", &login.ca_cert)]
    {
        if let Some(value) = value {
            run = run.env(name, value);
        }
    }
    let (shows, keys) = if dump {
        (format!("dump database {} to {target}", args.name), vec![Key::below(target)])
    } else {
        (format!("restore database {} from {target}", args.name), vec![key(&args.name)])
    };
    let action = Action::run(run, shows).writing(keys);
    let foretold = TaskResult::changed(true).with("db", args.name.as_str()).with("stderr", Value::Unknown);
    Ok(Decision::report(foretold, vec![action]))
}

#[cfg(test)]
mod tests {
    use crate::host::action::{Content, Stdin};
    use crate::host::{Output, Run};
    use crate::modules::testing::Fake;
    use serde_json::json;

    fn host(said: &'static str) -> Fake {
        Fake::new().probe(move |_| Some(Output::ok(said))).on_run(|_, _| Some(Output::ok("")))
    }

    fn sql(run: &Run) -> String {
        match &run.stdin {
            Stdin::Content(Content::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        }
    }

    const DB: &str = r#"{"version": 150018, "encoding": 6, "db": {"owner": "shop", "encoding": 6, "encoding_name": "UTF8", "datcollate": "C", "datctype": "C", "datconnlimit": -1, "spcname": "pg_default", "comment": null}}"#;
    const NONE: &str = r#"{"version": 150018, "encoding": null, "db": null}"#;

    #[test]
    fn made_once() {
        let mut host = host(NONE);
        let args = json!({"name": "it's \"x\"", "owner": "shop", "encoding": "UTF8", "template": "template0", "login_password": "geheim"});
        let decision = host.converge("postgresql_db", args);
        assert_eq!(
            sql(&host.ran()[0]),
            "geheim\nCREATE DATABASE \"it's \"\"x\"\"\" OWNER \"shop\" TEMPLATE \"template0\" ENCODING 'UTF8';\n\n"
        );
        assert!(!format!("{:?}", decision.result).contains("geheim"));
        let mut host = self::host(DB);
        host.settled(
            "community.postgresql.postgresql_db",
            json!({"name": "shop", "owner": "shop", "encoding": "utf-8", "lc_collate": "C"}),
        );
        assert_eq!(host.rounds(), 1);
    }

    #[test]
    fn changed_and_removed() {
        let mut host = host(DB);
        host.converge("postgresql_db", json!({"db": "shop", "owner": "other", "conn_limit": 5}));
        assert!(
            sql(&host.ran()[0])
                .contains("ALTER DATABASE \"shop\" OWNER TO \"other\";\nALTER DATABASE \"shop\" CONNECTION LIMIT 5;")
        );
        host.converge("postgresql_db", json!({"db": "shop", "state": "absent", "force": true}));
        assert!(sql(&host.ran()[1]).contains("DROP DATABASE \"shop\" WITH (FORCE);"));
        assert!(
            host.fails("postgresql_db", json!({"db": "shop", "lc_ctype": "de_DE"})).contains("Current LC_CTYPE: C")
        );
        let mut host = self::host(NONE);
        host.settled("postgresql_db", json!({"db": "shop", "state": "absent"}));
    }

    #[test]
    fn renamed_dumped_restored() {
        let mut host = host("[true, false]");
        host.converge("postgresql_db", json!({"db": "a", "target": "b", "state": "rename"}));
        assert!(sql(&host.ran()[0]).contains("ALTER DATABASE \"a\" RENAME TO \"b\""));
        let mut host = self::host("[false, true]");
        host.settled("postgresql_db", json!({"db": "a", "target": "b", "state": "rename"}));
        let decision = host.converge("postgresql_db", json!({"db": "a", "target": "/b/a.sql.gz", "state": "dump", "login_password": "x", "target_opts": "-n public"}));
        assert!(decision.result.changed && host.ran()[0].durable);
        assert_eq!(host.ran()[0].env, [("PGPASSWORD".to_owned(), "x".to_owned())]);
        assert!(host.fails("postgresql_db", json!({"db": "a", "state": "dump"})).contains("target"));
    }

    #[test]
    fn failures_say_what_helps() {
        let mut host = Fake::new().probe(|_| Some(Output::failed(2, "psql: error: connection to server on socket \"/run/x\" failed: FATAL:  Peer authentication failed for user \"postgres\"\n")));
        assert!(host.fails("postgresql_db", json!({"name": "a"})).contains("become_user: postgres"));
        let mut host = Fake::new().probe(|_| Some(Output::failed(127, "")));
        assert!(host.fails("postgresql_db", json!({"name": "a"})).contains("postgresql-client"));
        assert!(host.fails("postgresql_db", json!({"name": "a; DROP", "trust_input": false})).contains("dangerous"));
    }
}
