//! How an evaluation can end without a value.

use crate::source::Diagnostic;
use minijinja as mj;
use std::fmt;
use std::sync::Arc;

/// Why an evaluation gave no value.
#[derive(Debug, Clone)]
pub enum EvalError {
    /// Something it needs is not known yet: try again when the scope knows more.
    Wait,
    /// It can't succeed, and here is why.
    Failed(Box<Diagnostic>),
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait => f.write_str("waits for answers"),
            Self::Failed(diagnostic) => write!(f, "{diagnostic}"),
        }
    }
}

impl std::error::Error for EvalError {}

impl From<Diagnostic> for EvalError {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Failed(Box::new(diagnostic))
    }
}

/// What a condition came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It depends on something that is known only after apply.
    Unknown,
}

/// What travels through the template engine inside its errors and invalid values: the engine stops as soon as one of
/// these is touched, so that none is ever taken for "undefined".
#[derive(Debug, Clone)]
pub(crate) enum Signal {
    Wait,
    Unknown,
    Failed(Arc<Diagnostic>),
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait => f.write_str("not known yet"),
            Self::Unknown => f.write_str("known after apply"),
            Self::Failed(diagnostic) => f.write_str(&diagnostic.message),
        }
    }
}

impl std::error::Error for Signal {}

impl Signal {
    /// As an error of the template engine.
    pub(crate) fn error(self) -> mj::Error {
        mj::Error::new(mj::ErrorKind::InvalidOperation, self.to_string()).with_source(self)
    }

    /// As a value that stops whoever touches it.
    pub(crate) fn value(self) -> mj::Value {
        mj::Value::from(self.error())
    }

    /// The signal in an error or in what caused it.
    pub(crate) fn find(error: &mj::Error) -> Option<Signal> {
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = next {
            if let Some(signal) = error.downcast_ref::<Signal>() {
                return Some(signal.clone());
            }
            next = error.source();
        }
        None
    }
}

/// A plain failure inside a filter, test or function; the place is added by the engine.
pub(crate) fn fail(message: impl Into<String>) -> mj::Error {
    mj::Error::new(mj::ErrorKind::InvalidOperation, message.into())
}
