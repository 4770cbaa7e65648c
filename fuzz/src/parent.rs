//! Starts processes that run cases, and saves the cases that end one.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::random::Random;
use crate::target::Target;

/// Cases of one process.
const BATCH: u64 = 500;
/// How long a case may take by the clock; by processor time, the child limits itself.
const PATIENCE: Duration = Duration::from_secs(300);

/// How a process ended.
enum End {
    /// All of its cases ran; so many were accepted.
    Done(u64),
    /// This case ended it.
    Lost(u64, String),
}

/// Runs cases for so many minutes; returns the number of findings.
pub fn run(target: &Target, seed: u64, minutes: f64) -> usize {
    let started = Instant::now();
    let (mut next, mut accepted, mut findings) = (0, 0, 0);
    let mut panics = BTreeMap::new();
    while started.elapsed().as_secs_f64() < minutes * 60.0 {
        match batch(target, seed, next, &mut panics) {
            End::Done(count) => {
                accepted += count;
                next += BATCH;
            }
            End::Lost(case, why) => {
                findings += 1;
                let file = save(target, "finding", seed, case);
                println!("finding: case {case} of seed {seed}: {why}: {file}");
                next = case + 1;
            }
        }
        if (next / BATCH).is_multiple_of(20) {
            println!("{next} cases, {accepted} accepted, {findings} findings");
        }
    }
    println!("{next} cases of seed {seed}, {accepted} accepted, {findings} findings");
    for (place, (case, text)) in &panics {
        let file = save(target, "caught", seed, *case);
        println!("panic that the library caught at {place}: {text}: {file}");
    }
    findings
}

type Panics = BTreeMap<String, (u64, String)>;

fn batch(target: &Target, seed: u64, first: u64, panics: &mut Panics) -> End {
    let mut child = match spawn(target, seed, first) {
        Ok(child) => child,
        Err(e) => panic!("cannot start a process: {e}"),
    };
    let lines = lines(&mut child);
    let mut current = first;
    loop {
        let line = match lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => {
                // It may have ended by itself meanwhile.
                let _ = child.kill();
                let _ = child.wait();
                return End::Lost(current, format!("{} seconds", PATIENCE.as_secs()));
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        match line.split_once(' ') {
            Some(("case", number)) => current = number.parse().unwrap_or(current),
            Some(("accepted", count)) => {
                let _ = child.wait();
                return End::Done(count.parse().unwrap_or(0));
            }
            Some(("panic", text)) => {
                let place = text.split(' ').nth(2).unwrap_or(text).to_string();
                panics.entry(place).or_insert((current, text.to_string()));
            }
            _ => {}
        }
    }
    let why = child.wait().map_or_else(|e| e.to_string(), |status| status.to_string());
    End::Lost(current, why)
}

fn spawn(target: &Target, seed: u64, first: u64) -> std::io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args([target.name, "--child"])
        .args([seed, first, BATCH].map(|n| n.to_string()))
        .stdout(Stdio::piped())
        .spawn()
}

/// What a child says, line by line.
fn lines(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = channel();
    if let Some(out) = child.stdout.take() {
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
    }
    receiver
}

/// Saves a case, and the file in it beside; returns the name.
fn save(target: &Target, what: &str, seed: u64, case: u64) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("findings");
    let name = format!("{what}-{}-{seed}-{case}", target.name);
    let bytes = (target.make)(&mut Random::new(seed, case));
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("{name}.case")), &bytes)?;
        std::fs::write(folder.join(format!("{name}.{}", target.name)), (target.file)(&bytes))
    };
    match write() {
        Ok(()) => name,
        Err(e) => format!("not saved: {e}"),
    }
}
