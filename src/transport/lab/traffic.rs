//! What `windlass lab net` does to a host's cable.

use super::error::{LabError, Result};
use super::exec;
use super::host::Host;
use super::network::{device_exists, remove_device};
use super::record::Traffic;
use std::ffi::OsString;
use std::fs::File;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A change to a host's network, or to all of the host.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// Every frame to and from the host waits so many milliseconds: the round trip grows by twice that.
    Delay(f64),
    /// The host receives at most so many kilobits per second.
    Rate(u32),
    /// The cable is pulled: what is sent is lost, and nobody says so.
    Cut,
    /// All processes stop: connections are accepted by the kernel, and nothing answers.
    Freeze,
    /// Undoes all of them.
    Clear,
}

/// Applies `change` and keeps `traffic`, the account of it, true even where it fails half-way.
pub(super) fn apply(host: &Host, change: &Change, traffic: &mut Traffic, delay_program: &[OsString]) -> Result<()> {
    let cable = host.subnet.cable(host.number);
    match *change {
        Change::Delay(ms) => {
            undelay(host)?;
            traffic.delay_ms = None;
            delay(host, ms, delay_program)?;
            traffic.delay_ms = Some(ms);
        }
        Change::Rate(kbit) => {
            let rate = format!("{kbit}kbit");
            exec::run(
                "tc",
                ["qdisc", "replace", "dev", &cable, "root", "tbf", "rate", &rate, "burst", "32k", "latency", "200ms"],
            )?;
            traffic.rate_kbit = Some(kbit);
        }
        Change::Cut => {
            exec::run("ip", ["link", "set", &cable, "down"])?;
            traffic.cut = true;
        }
        Change::Freeze => host.cgroup.freeze(true)?,
        Change::Clear => {
            host.cgroup.freeze(false)?;
            undelay(host)?;
            traffic.delay_ms = None;
            if traffic.rate_kbit.is_some() {
                exec::run("tc", ["qdisc", "del", "dev", &cable, "root"])?;
                traffic.rate_kbit = None;
            }
            exec::run("ip", ["link", "set", &cable, "up"])?;
            traffic.cut = false;
        }
    }
    Ok(())
}

/// Many kernels have no netem, so a program of ours holds the frames between two taps:
/// host — cable — delay bridge — tap b — (program) — tap a — the lab's bridge.
fn delay(host: &Host, ms: f64, delay_program: &[OsString]) -> Result<()> {
    let [tap_a, tap_b] = host.subnet.taps(host.number);
    let (cable, bridge) = (host.subnet.cable(host.number), host.subnet.delay_bridge(host.number));
    host.delay_cgroup.create()?;
    let log_path = host.dir().join("delay.log");
    let log = File::create(&log_path).map_err(LabError::io("write", &log_path))?;
    let mut command = exec::command("setsid");
    // The shell joins the cgroup and becomes the program, so that no process of the lab is ever outside of one.
    command.args(["sh", "-c", r#"echo $$ > "$0/cgroup.procs" && exec "$@""#]).arg(host.delay_cgroup.path());
    command.args(delay_program).args([&tap_a, &tap_b]).arg(ms.to_string());
    command.current_dir("/").stdout(Stdio::null()).stderr(log);
    let mut child = command.spawn().map_err(|source| LabError::Spawn { program: "setsid".into(), source })?;
    let end = Instant::now() + Duration::from_secs(10);
    while !device_exists(&tap_b) {
        let ended = child.try_wait().ok().flatten();
        if ended.is_some() || Instant::now() > end {
            let status = ended.map_or_else(|| "no answer within 10 s".into(), |status| status.to_string());
            let said = std::fs::read_to_string(&log_path).unwrap_or_default();
            host.delay_cgroup.destroy()?;
            return Err(exec::failure(&command, &status, &said));
        }
        sleep(Duration::from_millis(5));
    }
    exec::run("ip", ["link", "add", &bridge, "type", "bridge"])?;
    exec::run("ip", ["link", "set", &bridge, "up"])?;
    exec::run("ip", ["link", "set", &tap_a, "master", &host.subnet.bridge(), "up"])?;
    exec::run("ip", ["link", "set", &tap_b, "master", &bridge, "up"])?;
    exec::run("ip", ["link", "set", &cable, "master", &bridge])
}

/// Plugs the cable straight into the lab's bridge again. The taps go with the program.
fn undelay(host: &Host) -> Result<()> {
    let bridge = host.subnet.delay_bridge(host.number);
    if !host.delay_cgroup.exists() && !device_exists(&bridge) {
        return Ok(());
    }
    host.delay_cgroup.destroy()?;
    exec::run("ip", ["link", "set", &host.subnet.cable(host.number), "master", &host.subnet.bridge()])?;
    remove_device(&bridge);
    Ok(())
}
