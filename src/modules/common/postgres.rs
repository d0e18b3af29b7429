//! What the modules for PostgreSQL share: the connection through psql on the host, quoting, and password verifiers.
//!
//! Statements go through standard input, and a login's password with them, so that no process list shows them.

mod scram;

pub use scram::{matches, verifier};

use super::outputs::failed;
use crate::host::{Action, Key, Output, Probe, Run, Stop, View};
use crate::values::Value;

crate::module_args! {
    /// How to connect.
    pub struct Login {
        /// The server; the local socket if not given.
        login_host: Option<String>, ["host"];
        /// Its port.
        login_port: i64, ["port"] = 5432;
        /// The role to connect as.
        login_user: String, ["login"] = "postgres";
        /// Its password.
        login_password: Option<String>;
        /// The folder of the local socket.
        login_unix_socket: Option<String>, ["unix_socket"];
        /// As sslmode of libpq.
        ssl_mode: Option<String>, ["sslmode"];
        /// The certificate of the CA that signed the server's.
        ca_cert: Option<String>, ["ssl_rootcert"];
        /// The role to become after connecting.
        session_role: Option<String>;
        /// Whether names and values may hold what looks like SQL. They are always quoted; this refuses them instead.
        trust_input: bool = true;
    }
}

const PSQL: &str = include_str!("postgres/psql.sh");

/// An identifier, quoted.
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A literal, quoted. A backslash is escaped whatever the server's settings are.
pub fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// The key of a database, or of the whole cluster.
pub fn key(database: &str) -> Key {
    Key::Named("postgresql", database.to_owned())
}

impl Login {
    /// The words and the first lines that connect to a database.
    fn words(&self, database: &str) -> [String; 6] {
        let host = match (self.login_host.as_deref(), &self.login_unix_socket) {
            (None | Some("" | "localhost"), Some(socket)) => socket.clone(),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        let text = |v: &Option<String>| v.clone().unwrap_or_default();
        [
            host,
            self.login_port.to_string(),
            self.login_user.clone(),
            database.to_owned(),
            text(&self.ssl_mode),
            text(&self.ca_cert),
        ]
    }

    fn stdin(&self, sql: &str) -> String {
        let role = self.session_role.as_ref().map(|r| format!("SET ROLE {};\n", ident(r))).unwrap_or_default();
        format!("{}\n{role}{sql}\n", self.login_password.as_deref().unwrap_or_default())
    }

    /// Refuses what can't be passed on.
    ///
    /// # Errors
    /// A sentence that names the argument.
    pub fn check(&self, inputs: &[(&str, Option<&str>)]) -> Result<(), Stop> {
        if self.login_password.as_ref().is_some_and(|p| p.contains('\n')) {
            return Err(Stop::fail("`login_password` must not contain a line break"));
        }
        for (name, value) in inputs.iter().filter_map(|(n, v)| v.map(|v| (n, v))) {
            if value.contains('\0') {
                return Err(Stop::fail(format!("`{name}` must not contain a NUL")));
            }
            let odd = ["\"", "'", "--", ";", "/*"].iter().any(|mark| value.contains(mark));
            if !self.trust_input && odd {
                return Err(Stop::fail(format!(
                    "`{name}` is potentially dangerous, and `trust_input` is false: {value}"
                )));
            }
        }
        Ok(())
    }

    /// What a query says: one JSON value.
    ///
    /// # Errors
    /// As [`View::ask`], and a failure that says why the server could not be asked.
    pub fn query(&self, view: &View<'_>, database: &str, sql: &str) -> Result<Value, Stop> {
        let probe = Probe {
            script: PSQL,
            args: self.words(database).to_vec(),
            stdin: Some(self.stdin(&format!("SET default_transaction_read_only = on;\n{sql}"))),
            reads: vec![key(database)],
        };
        let said = view.probe(probe)?;
        if !said.success() {
            return Err(self.complaint(&said));
        }
        let text = said.out();
        serde_json::from_str(text.trim())
            .map_err(|_| Stop::fail(format!("psql said something unexpected: {}", text.trim())))
    }

    /// Why psql failed, and what may help.
    pub fn complaint(&self, said: &Output) -> Stop {
        if said.rc == 127 {
            return Stop::fail("the host has no psql: install it with `apt: name=postgresql-client` first");
        }
        let err = said.err();
        let line = err.lines().find(|l| l.contains("ERROR") || l.contains("FATAL") || l.contains("error:"));
        let line =
            line.unwrap_or_else(|| err.lines().next().unwrap_or("psql failed")).trim_start_matches("psql: error: ");
        let line = line.split_once("ERROR:").map_or(line, |(_, m)| m).trim();
        let hint = if err.contains("Peer authentication failed") {
            format!("; the socket admits the account {0} only: set `become_user: {0}`", self.login_user)
        } else if said.rc == 2 && err.contains("No such file or directory") {
            "; is the server running, and is `login_port` its port?".to_owned()
        } else {
            String::new()
        };
        let what = if said.rc == 2 { "unable to connect to database" } else { "Database query failed" };
        failed(format!("{what}: {line}{hint}"), said)
    }

    /// Statements to run. What is shown is `shows`; the statements may hold secrets and are never shown.
    pub fn action(&self, database: &str, statements: &[String], transaction: bool, shows: String) -> Action {
        let mut sql = String::new();
        // The server's log is no place for a password's verifier. Only a superuser may keep it out.
        if statements.iter().any(|s| s.contains("PASSWORD '")) {
            sql.push_str(
                "SELECT CASE WHEN rolsuper THEN set_config('log_statement', 'none', false) END FROM pg_roles WHERE rolname = current_user \\g /dev/null\n",
            );
        }
        if transaction {
            sql.push_str("BEGIN;\n");
        }
        for statement in statements {
            sql.push_str(statement);
            sql.push_str(";\n");
        }
        if transaction {
            sql.push_str("COMMIT;\n");
        }
        let words = self.words(database);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let run = Run::sh(PSQL, &words).stdin(&self.stdin(&sql));
        Action::run(run, shows).writing(vec![key(database)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_stay_what_they_are() {
        assert_eq!(ident("a\"b; DROP"), "\"a\"\"b; DROP\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("\\'; --"), "E'\\\\''; --'");
    }
}
