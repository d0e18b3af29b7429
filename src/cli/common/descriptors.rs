//! Open files: each connection is one.

use crate::cli::{CommandError, ErrorKind};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use windlass::transport::DESCRIPTORS;

/// What a run opens beside its connections: files that it reads and sends, programs that it calls.
const BESIDE: u64 = 64;

/// Makes sure that there may be as many connections as hosts. Where the process may open fewer files, but could allow
/// itself more (the soft limit is below the hard one), it does so.
///
/// # Errors
/// The hard limit is too low: what it is, and how it is raised.
pub fn ensure(hosts: usize) -> Result<(), CommandError> {
    let needed = u64::try_from(hosts).unwrap_or(u64::MAX).saturating_add(BESIDE);
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|soft| soft >= needed) {
        return Ok(());
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if limit.maximum.is_none_or(|hard| hard >= needed) && setrlimit(Resource::Nofile, raised).is_ok() {
        return Ok(());
    }
    let allowed = limit.maximum.or(limit.current).unwrap_or_default();
    let text = format!(
        "{hosts} hosts need a connection each, some {needed} open files in all, and this process may open {allowed} at \
         most (RLIMIT_NOFILE); no host was touched"
    );
    Err(CommandError::new(ErrorKind::Unavailable, text).hinted(DESCRIPTORS))
}
