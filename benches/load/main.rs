//! The load client of `tests/common/load` as a program, for `scripts/bench` and for looking by hand:
//!
//! ```sh
//! cargo bench --bench load -- --host shop.test --address 10.83.0.11 --rate 200 --seconds 60 --json report.json
//! ```
//!
//! Lines on standard input are notes while it runs: `begin WINDOW`, `end WINDOW`, `mark WORDS`, `stop`. It ends after
//! `--seconds`, with `stop`, or, where neither is given, with the end of its input; with 1 where a request failed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr, clippy::exit)]

#[path = "../../tests/common/load/mod.rs"]
mod load;

use load::{Config, Load};
use std::sync::mpsc;
use std::time::{Duration, Instant};

fn main() {
    let mut args = std::env::args().skip(1);
    let (mut host, mut address, mut rate, mut seconds, mut json) = (None, None, 200.0, None, None);
    let (mut http, mut https, mut only) = (8080, 443, Vec::new());
    while let Some(arg) = args.next() {
        if arg == "--bench" {
            continue; // cargo's own
        }
        let value = args.next().unwrap_or_else(|| usage(&format!("{arg} needs a value")));
        let wrong = || -> ! { usage(&format!("{arg} can't be {value:?}")) };
        match arg.as_str() {
            "--host" => host = Some(value),
            "--address" => address = Some(value.parse().unwrap_or_else(|_| wrong())),
            "--http-port" => http = value.parse().unwrap_or_else(|_| wrong()),
            "--https-port" => https = value.parse().unwrap_or_else(|_| wrong()),
            "--rate" => rate = value.parse().unwrap_or_else(|_| wrong()),
            "--seconds" => seconds = Some(value.parse::<f64>().unwrap_or_else(|_| wrong())),
            "--only" => only.push(value),
            "--json" => json = Some(value),
            _ => usage(&format!("unknown argument {arg}")),
        }
    }
    let (Some(host), Some(address)) = (host, address) else { usage("--host and --address are needed") };
    let mut config = Config::site(&host, address).rate(rate);
    config.http.set_port(http);
    config.https.set_port(https);
    if !only.is_empty() {
        config = config.only(&only.iter().map(String::as_str).collect::<Vec<_>>());
    }

    let load = Load::start(config);
    let (send, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs_f64(seconds));
    let mut input = true;
    loop {
        let left = until.map_or(Duration::from_secs(3600), |until| until.saturating_duration_since(Instant::now()));
        if !input {
            std::thread::sleep(left);
            break;
        }
        match lines.recv_timeout(left) {
            Ok(line) => match line.split_once(' ').unwrap_or((&line, "")) {
                ("begin", window) => load.begin(window),
                ("end", window) => load.end(window),
                ("mark", words) => load.mark(words),
                ("stop", _) => break,
                _ => eprintln!("load: begin WINDOW, end WINDOW, mark WORDS or stop, and not {line:?}"),
            },
            Err(mpsc::RecvTimeoutError::Disconnected) if until.is_some() => input = false,
            Err(mpsc::RecvTimeoutError::Timeout) if until.is_none() => {}
            Err(_) => break,
        }
    }
    let report = load.stop();
    print!("{}", report.text());
    if let Some(path) = json {
        std::fs::write(&path, format!("{:#}\n", report.json()))
            .unwrap_or_else(|error| usage(&format!("{path}: {error}")));
    }
    std::process::exit(i32::from(report.failed() > 0));
}

fn usage(what: &str) -> ! {
    eprintln!(
        "load: {what}\nusage: load --host NAME --address IP [--http-port 8080] [--https-port 443] [--rate 200] \
         [--seconds N] [--only WORD]… [--json FILE]"
    );
    std::process::exit(2);
}
