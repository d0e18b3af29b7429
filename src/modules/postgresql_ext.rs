//! `postgresql_ext`: extensions of a database.

use super::args::Arguments;
use super::common::postgres::{Login, ident, literal};
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Decision, Stop, TaskResult, View};
use crate::values::Value;

crate::module_choices! {
    /// Whether the extension is there.
    pub enum State {
        /// It is not.
        Absent = "absent",
        /// It is.
        Present = "present",
    }
}

crate::module_args! {
    /// What `postgresql_ext` takes.
    pub struct ExtArgs {
        /// The extension.
        name: String, ["ext"];
        /// The database.
        login_db: String, ["db", "database"];
        /// Whether it is there.
        state: State = State::Present;
        /// The schema for its objects.
        schema: Option<String>;
        /// The version; `latest` for the newest.
        version: Option<String>;
        /// Bring along, or remove, what depends on it.
        cascade: bool = false;
        /// Its comment.
        comment: Option<String>;
    } + login: Login
}

/// The module.
pub static MODULE: Module = Module {
    names: &["postgresql_ext", "community.postgresql.postgresql_ext", "community.general.postgresql_ext"],
    doc: "Extensions of a database.",
    args: ExtArgs::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: super::registry::anything,
};

fn plan(args: &ExtArgs, view: &View<'_>) -> Result<Decision, Stop> {
    args.login.check(&[
        ("name", Some(&args.name)),
        ("schema", args.schema.as_deref()),
        ("version", args.version.as_deref()),
        ("comment", args.comment.as_deref()),
    ])?;
    let sql = format!(
        "SELECT json_build_object('default', (SELECT default_version FROM pg_available_extensions WHERE name = {0}), 'versions', (SELECT COALESCE(json_agg(version), '[]') FROM pg_available_extension_versions WHERE name = {0}), 'ext', (SELECT row_to_json(x) FROM (SELECT e.extversion, n.nspname, obj_description(e.oid, 'pg_extension') AS comment FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = {0}) x));",
        literal(&args.name)
    );
    let now = args.login.query(view, &args.login_db, &sql)?;
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let newest = text(now.get("default"));
    let ext = now.get("ext").filter(|e| e.as_map().is_some());
    let have = text(ext.and_then(|e| e.get("extversion")));
    let name = ident(&args.name);
    let cascade = if args.cascade { " CASCADE" } else { "" };
    let wanted = match args.version.as_deref() {
        Some("latest") => newest.clone(),
        Some("") | None => None,
        Some(version) => Some(version.to_owned()),
    };
    let mut statements = Vec::new();
    match (args.state, ext) {
        (State::Absent, None) => {}
        (State::Absent, Some(_)) => statements.push(format!("DROP EXTENSION {name}{cascade}")),
        (State::Present, None) => {
            let Some(_) = newest else {
                return Err(Stop::fail(format!(
                    "Extension {} is not available on the server: install the package that brings it (many are in postgresql-contrib)",
                    args.name
                )));
            };
            let mut sql = format!("CREATE EXTENSION {name}");
            if let Some(schema) = &args.schema {
                sql.push_str(&format!(" WITH SCHEMA {}", ident(schema)));
            }
            if let Some(version) = &wanted {
                sql.push_str(&format!(" VERSION {}", literal(version)));
            }
            statements.push(format!("{sql}{cascade}"));
        }
        (State::Present, Some(ext)) => {
            if let Some(version) = wanted.as_ref().filter(|v| Some(*v) != have.as_ref()) {
                statements.push(format!("ALTER EXTENSION {name} UPDATE TO {}", literal(version)));
            }
            if let Some(schema) =
                args.schema.as_ref().filter(|s| ext.get("nspname").and_then(Value::as_str) != Some(s.as_str()))
            {
                statements.push(format!("ALTER EXTENSION {name} SET SCHEMA {}", ident(schema)));
            }
        }
    }
    if let Some(comment) = args.comment.as_ref().filter(|_| args.state == State::Present)
        && text(ext.and_then(|e| e.get("comment"))).unwrap_or_default() != *comment
    {
        statements.push(format!("COMMENT ON EXTENSION {name} IS {}", literal(comment)));
    }
    let after = match args.state {
        State::Absent => None,
        State::Present => wanted.or_else(|| have.clone()).or(newest),
    };
    let result = TaskResult::changed(!statements.is_empty())
        .with("db", args.login_db.as_str())
        .with("ext", args.name.as_str())
        .with("prev_version", have.unwrap_or_default())
        .with("version", after.unwrap_or_default())
        .with("queries", statements.clone());
    if statements.is_empty() {
        return Ok(Decision::nothing(result));
    }
    let verb = match (args.state, ext) {
        (State::Absent, _) => "drop",
        (_, None) => "create",
        _ => "change",
    };
    let shows = format!("{verb} extension {} in {}", args.name, args.login_db);
    Ok(Decision::act(result, vec![args.login.action(&args.login_db, &statements, true, shows)]))
}

#[cfg(test)]
mod tests {
    use crate::host::Output;
    use crate::modules::testing::Fake;
    use serde_json::json;

    fn host(said: &'static str) -> Fake {
        Fake::new().probe(move |_| Some(Output::ok(said))).on_run(|_, _| Some(Output::ok("")))
    }

    #[test]
    fn made_updated_and_dropped() {
        let mut new = host(r#"{"default": "1.6", "versions": ["1.6"], "ext": null}"#);
        let result = new
            .converge("postgresql_ext", json!({"name": "pg_trgm", "db": "shop", "schema": "x", "cascade": true}))
            .result;
        assert_eq!(result.data["queries"].to_string(), "['CREATE EXTENSION \"pg_trgm\" WITH SCHEMA \"x\" CASCADE']");
        new.settled("postgresql_ext", json!({"name": "pg_trgm", "db": "shop", "state": "absent"}));
        let mut old = host(
            r#"{"default": "1.6", "versions": ["1.5", "1.6"], "ext": {"extversion": "1.5", "nspname": "public", "comment": null}}"#,
        );
        old.settled("postgresql_ext", json!({"name": "pg_trgm", "db": "shop"}));
        let result =
            old.converge("postgresql_ext", json!({"name": "pg_trgm", "db": "shop", "version": "latest"})).result;
        let queries = result.data["queries"].as_list().map(<[_]>::to_vec).unwrap_or_default();
        assert_eq!(
            queries.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["ALTER EXTENSION \"pg_trgm\" UPDATE TO '1.6'"]
        );
        assert_eq!(result.data["prev_version"].to_string(), "1.5");
        assert_eq!(
            old.converge("postgresql_ext", json!({"name": "pg_trgm", "db": "shop", "state": "absent"})).actions.len(),
            1
        );
        let mut none = host(r#"{"default": null, "versions": [], "ext": null}"#);
        assert!(none.fails("postgresql_ext", json!({"name": "postgis", "db": "shop"})).contains("not available"));
    }
}
