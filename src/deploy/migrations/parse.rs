//! The probe's output as a [`Report`], or as the reason why there is none.

use serde::Deserialize;
use serde_json::Value;

use super::model::Report;

/// The line before the document.
const MARKER: &str = "@windlass-migrations";
/// The version of the document that this program reads.
const FORMAT: u64 = 1;

/// Why there is no report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// The probe did not get to print its document: no Python, a signal, a Python that is too old.
    #[error("the release's Python did not run the look at its migrations to its end")]
    NoDocument {
        /// The last lines of what was printed.
        tail: Vec<String>,
    },
    /// The document is not what this program reads.
    #[error("the look at the migrations gave an answer that can't be read: {0}")]
    Format(String),
    /// The probe says why it could not look.
    #[error("{}: {message}", kind.what(database.as_deref()))]
    Failed {
        /// What failed.
        kind: ProbeErrorKind,
        /// The database's alias, where it is about one.
        database: Option<String>,
        /// The exception. What the environment holds as secrets is masked; the caller masks what it knows besides.
        message: String,
        /// The traceback's last frames, without source lines.
        trace: Vec<String>,
    },
}

impl ProbeError {
    /// What failed; none where the probe could not tell.
    pub fn kind(&self) -> Option<ProbeErrorKind> {
        match self {
            Self::Failed { kind, .. } => Some(*kind),
            _ => None,
        }
    }

    /// The last lines of a traceback or an output.
    pub fn last_lines(&self) -> &[String] {
        match self {
            Self::NoDocument { tail } => tail,
            Self::Failed { trace, .. } => trace,
            Self::Format(_) => &[],
        }
    }
}

/// What the probe failed at, in the order in which it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeErrorKind {
    /// The probe was asked for something that is not there (an alias of `DATABASES`).
    Arguments,
    /// There is no `manage.py`, or it names no settings.
    Project,
    /// Django is not installed, or too old.
    Django,
    /// The settings can't be imported.
    Settings,
    /// An application can't be loaded.
    Apps,
    /// A database does not answer.
    Database,
    /// The migrations can't be loaded.
    Migrations,
    /// None of these.
    #[serde(other)]
    Internal,
}

impl ProbeErrorKind {
    fn what(self, database: Option<&str>) -> String {
        let alias = database.unwrap_or("default");
        match self {
            Self::Arguments => "the look at the migrations was asked for what is not there".to_owned(),
            Self::Project => "this is no Django project".to_owned(),
            Self::Django => "the release's virtual environment has no usable Django".to_owned(),
            Self::Settings => "the settings can't be imported".to_owned(),
            Self::Apps => "the applications can't be loaded".to_owned(),
            Self::Database => format!("the database `{alias}` can't be reached"),
            Self::Migrations => "the migrations can't be loaded".to_owned(),
            Self::Internal => "the look at the migrations failed".to_owned(),
        }
    }
}

#[derive(Deserialize)]
struct Failure {
    kind: ProbeErrorKind,
    message: String,
    #[serde(default)]
    trace: Vec<String>,
}

/// Reads what the probe printed on standard output. Whatever stands before and after the document is passed over. One
/// database that can't be looked at fails the whole: nothing may be migrated half known.
pub fn parse(stdout: &[u8]) -> Result<Report, ProbeError> {
    let text = String::from_utf8_lossy(stdout);
    let mut lines = text.lines();
    let Some(line) = lines.by_ref().find(|line| *line == MARKER).and_then(|_| lines.next()) else {
        let all: Vec<&str> = text.lines().collect();
        return Err(ProbeError::NoDocument {
            tail: all[all.len().saturating_sub(5)..].iter().map(|l| (*l).to_owned()).collect(),
        });
    };
    let document: Value = serde_json::from_str(line).map_err(|e| ProbeError::Format(e.to_string()))?;
    let format = document.get("format").and_then(Value::as_u64);
    if format != Some(FORMAT) {
        return Err(ProbeError::Format(format!("it has format {format:?}, and {FORMAT} is read")));
    }
    failed(&document, None)?;
    for (alias, database) in document.get("databases").and_then(Value::as_object).into_iter().flatten() {
        failed(database, Some(alias))?;
    }
    Report::deserialize(document).map_err(|e| ProbeError::Format(e.to_string()))
}

fn failed(value: &Value, database: Option<&str>) -> Result<(), ProbeError> {
    let Some(error) = value.get("error") else { return Ok(()) };
    let failure = Failure::deserialize(error).map_err(|e| ProbeError::Format(e.to_string()))?;
    Err(ProbeError::Failed {
        kind: failure.kind,
        database: database.map(str::to_owned),
        message: failure.message,
        trace: failure.trace,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn noise_around_the_document_is_passed_over() {
        let text = "hello\n\n@windlass-migrations\n{\"format\":1,\"python\":\"3.11.7\",\"django\":\"5.2.19\",\"mode\":\"pending\",\"databases\":{}}\nbye\n";
        assert_eq!(parse(text.as_bytes()).unwrap().django, "5.2.19");
    }

    #[test]
    fn failures_are_told_by_kind() {
        let failed = |document: &str| parse(format!("@windlass-migrations\n{document}\n").as_bytes()).unwrap_err();
        let error = failed(
            r#"{"format":1,"error":{"kind":"settings","message":"KeyError: 'X'","trace":["a.py:1 in <module>"]}}"#,
        );
        assert_eq!(error.kind(), Some(ProbeErrorKind::Settings));
        assert_eq!(error.to_string(), "the settings can't be imported: KeyError: 'X'");
        assert_eq!(error.last_lines(), ["a.py:1 in <module>"]);
        let error = failed(
            r#"{"format":1,"databases":{"default":{},"log":{"error":{"kind":"database","message":"no route"}}}}"#,
        );
        assert_eq!(error.to_string(), "the database `log` can't be reached: no route");
        assert_eq!(
            failed(r#"{"format":1,"error":{"kind":"new","message":"m"}}"#).kind(),
            Some(ProbeErrorKind::Internal)
        );
        assert!(matches!(failed(r#"{"format":2}"#), ProbeError::Format(_)));
        assert!(matches!(failed("{"), ProbeError::Format(_)));
        assert!(matches!(failed(r#"{"format":1}"#), ProbeError::Format(_)));
        let error = parse(b"Segmentation fault\n").unwrap_err();
        assert_eq!(error.last_lines(), ["Segmentation fault"]);
    }
}
