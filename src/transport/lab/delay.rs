//! The program that makes a slow network: it passes frames between two tap devices and holds each for a while.

use super::error::{LabError, Result};
use std::io;
use std::time::Duration;

/// Creates the two tap devices and passes frames between them, each `wait` late, until this process ends.
/// Returns only when it fails.
#[cfg(target_os = "linux")]
pub fn delay_frames(tap_a: &str, tap_b: &str, wait: Duration) -> Result<()> {
    let open = |name: &str| {
        tun_tap::Iface::without_packet_info(name, tun_tap::Mode::Tap)
            .map_err(|source| LabError::Io { doing: format!("create the tap device `{name}`"), source })
    };
    let (a, b) = (open(tap_a)?, open(tap_b)?);
    std::thread::scope(|scope| {
        scope.spawn(|| pass(&a, &b, wait));
        pass(&b, &a, wait);
    });
    Err(LabError::Io { doing: "read from the tap devices".into(), source: io::ErrorKind::BrokenPipe.into() })
}

/// Taps are a device of Linux.
#[cfg(not(target_os = "linux"))]
pub fn delay_frames(_: &str, _: &str, _: Duration) -> Result<()> {
    Err(LabError::Io { doing: "create tap devices".into(), source: io::ErrorKind::Unsupported.into() })
}

/// One direction. One thread reads and stamps, another sleeps and writes, so that reading never waits for a frame
/// that is not due.
#[cfg(target_os = "linux")]
fn pass(from: &tun_tap::Iface, to: &tun_tap::Iface, wait: Duration) {
    use std::sync::mpsc::sync_channel;
    use std::time::Instant;

    /// Frames held each way. More are dropped, as a router with a full queue would.
    const HELD: usize = 20_000;
    /// Longer than any frame, also where the kernel joins several.
    const LONGEST: usize = 65_536 + 64;

    let (sender, receiver) = sync_channel::<(Instant, Box<[u8]>)>(HELD);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for (due, frame) in receiver {
                let now = Instant::now();
                if due > now {
                    std::thread::sleep(due - now);
                }
                // A device that is down or full loses the frame, as a cable does.
                let _ = to.send(&frame);
            }
        });
        let mut buffer = vec![0; LONGEST];
        loop {
            match from.recv(&mut buffer) {
                Ok(length) => drop(sender.try_send((Instant::now() + wait, buffer[..length].into()))),
                // A tap that is down answers every read with an error, and comes up later.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    });
}
