//! The simulated fleet of `tests/common/fleet` as a program, for `scripts/bench fleet` and for looking by hand:
//!
//! ```sh
//! cargo bench --bench fleet -- --folder /tmp/fleet --delay 20 --bad 50
//! ```
//!
//! It says `ready PORT`, and takes lines on standard input: `inventory HOSTS` (writes one, and answers with its path),
//! `manner well` and `manner bad` (every host answers; every `--bad`th does not, by turns silent, frozen and slow), `clear`
//! (all files are forgotten), `count` (actions, and the most connections at a time, since the last), and ends with its
//! input.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr, clippy::exit)]

#[path = "../../tests/common/fleet/mod.rs"]
mod fleet;

use fleet::{Fleet, Manner};
use std::io::BufRead as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn main() {
    let mut args = std::env::args().skip(1);
    let (mut folder, mut delay, mut every) = (None, 0, 50);
    while let Some(arg) = args.next() {
        if arg == "--bench" {
            continue; // cargo's own
        }
        let value = args.next().unwrap_or_else(|| usage(&format!("{arg} needs a value")));
        let number = || value.parse().unwrap_or_else(|_| usage(&format!("{arg} can't be {value:?}")));
        match arg.as_str() {
            "--folder" => folder = Some(PathBuf::from(&value)),
            "--delay" => delay = number(),
            "--bad" => every = number(),
            _ => usage(&format!("unknown argument {arg}")),
        }
    }
    let Some(folder) = folder else { usage("--folder is needed") };
    std::fs::create_dir_all(&folder).unwrap();
    let bad = Arc::new(AtomicBool::new(false));
    let is_bad = Arc::clone(&bad);
    let manner = move |host: u32| match host / u32::try_from(every).unwrap_or(50).max(1) % 3 {
        _ if !is_bad.load(Ordering::Relaxed) || u64::from(host) % every.max(1) != 0 => Manner::Well,
        0 => Manner::Slow(Duration::from_secs(3)),
        1 => Manner::Silent,
        _ => Manner::Frozen,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let fleet = runtime.block_on(Fleet::start(&folder, Duration::from_millis(delay), manner));
    println!("ready {}", fleet.port);
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["inventory", hosts] => println!("{}", fleet.inventory(hosts.parse().unwrap()).display()),
            ["manner", manner] => {
                bad.store(*manner == "bad", Ordering::Relaxed);
                println!("{manner}");
            }
            ["clear"] => {
                fleet.clear();
                println!("cleared");
            }
            ["count"] => println!("{} {}", fleet.deeds(), fleet.most()),
            _ => println!("? {line}"),
        }
    }
}

fn usage(message: &str) -> ! {
    eprintln!("{message}\nusage: cargo bench --bench fleet -- --folder FOLDER [--delay MILLISECONDS] [--bad EVERY]");
    std::process::exit(2)
}
