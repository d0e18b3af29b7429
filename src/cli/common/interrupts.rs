//! The wish that a run comes to its end: Ctrl-C, SIGTERM (a CI job that is cancelled, a service manager), and SIGHUP (the
//! terminal is gone, often with the SSH session that windlass was started from).

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    CtrlC,
    Terminate,
    HangUp,
}

/// Listens from when it is made, so that none is missed in between.
pub struct Interrupts {
    ctrl_c: Signal,
    terminate: Signal,
    hang_up: Option<Signal>,
}

impl Interrupts {
    pub fn listen() -> io::Result<Interrupts> {
        // Under `nohup` a run is meant to outlive its terminal, and listening would undo that.
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let hang_up = if ignores(&status, SignalKind::hangup()) { None } else { Some(signal(SignalKind::hangup())?) };
        Ok(Interrupts {
            ctrl_c: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up,
        })
    }

    /// The next one.
    pub async fn recv(&mut self) -> Interrupt {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(()) = self.ctrl_c.recv() => Interrupt::CtrlC,
            Some(()) = self.terminate.recv() => Interrupt::Terminate,
            Some(()) = hang_up => Interrupt::HangUp,
            else => std::future::pending().await,
        }
    }
}

/// Whether the process of this `/proc/PID/status` ignores a signal (`proc(5)`: `SigIgn` is a mask in hexadecimal, whose
/// lowest bit is signal 1).
fn ignores(status: &str, kind: SignalKind) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let bit = u32::try_from(kind.as_raw_value() - 1).unwrap_or(u32::MAX);
    mask.checked_shr(bit).unwrap_or(0) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_read_from_the_mask() {
        let status = |mask: &str| format!("Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t{mask}\nSigCgt:\t0\n");
        assert!(ignores(&status("0000000000000001"), SignalKind::hangup()));
        assert!(!ignores(&status("0000000000000001"), SignalKind::terminate()));
        assert!(ignores(&status("0000000000005001"), SignalKind::terminate()));
        assert!(!ignores(&status("0000000000001000"), SignalKind::hangup()));
        assert!(!ignores("", SignalKind::hangup()));
    }
}
