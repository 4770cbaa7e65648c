//! Feeds damaged files to a loader, in processes with limits, and keeps what it does not survive.

mod child;
mod mutate;
#[path = "../../src/prior/tests/network.rs"]
#[allow(dead_code)] // the tests use the rest
mod network;
mod npy;
mod onnx;
mod packed;
mod parent;
mod random;
mod run;
mod target;
#[path = "../../src/prior/tests/tiny.rs"]
#[allow(dead_code)]
mod tiny;
mod words;

use target::{TARGETS, Target};

const USAGE: &str = "ddnm-fuzz TARGET [--minutes N] [--seed N]
ddnm-fuzz TARGET --replay FILE
targets: onnx, ddnm, npy";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if !start(&args) {
        eprintln!("{USAGE}");
        std::process::exit(2);
    }
}

/// False if the arguments make no sense.
fn start(args: &[String]) -> bool {
    let Some((name, options)) = args.split_first() else { return false };
    let Some(target) = TARGETS.iter().find(|t| t.name == name) else { return false };
    let (mut minutes, mut seed) = (60.0, 1);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    if let ["--child", seed, first, count] = options[..] {
        return run_child(target, seed, first, count).is_some();
    }
    if let ["--replay", file] = options[..] {
        return replay(target, file);
    }
    for pair in options.chunks(2) {
        let known = match pair {
            ["--minutes", n] => n.parse().map(|n| minutes = n).is_ok(),
            ["--seed", n] => n.parse().map(|n| seed = n).is_ok(),
            _ => false,
        };
        if !known {
            return false;
        }
    }
    let findings = parent::run(target, seed, minutes);
    std::process::exit(i32::from(findings > 0));
}

fn run_child(target: &Target, seed: &str, first: &str, count: &str) -> Option<()> {
    child::run(target, seed.parse().ok()?, first.parse().ok()?, count.parse().ok()?);
    Some(())
}

fn replay(target: &Target, file: &str) -> bool {
    match std::fs::read(file) {
        Ok(case) => println!("accepted: {}", (target.run)(&case)),
        Err(e) => eprintln!("{file}: {e}"),
    }
    true
}
