//! A process that is watched while it runs.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::failed;
use crate::error::Result;

/// What came of a process.
pub struct Watched {
    pub output: Vec<u8>,
    /// From its start to the first byte that it wrote, in seconds.
    pub first_byte: f64,
    /// From its start to its end, in seconds.
    pub seconds: f64,
    /// The most bytes that it was seen to take: private, backed by files, and its proportional
    /// share of what is shared; null where the kernel does not say.
    pub memory: Value,
}

/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// Runs a command that must succeed.
pub fn run(mut command: Command) -> Result<Watched> {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| failed("to start a process", e.to_string()))?;
    let (said, heard) = mpsc::channel();
    let pipe = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut output = Vec::new();
        if let Some(mut pipe) = pipe {
            let mut first = [0; 1];
            if pipe.read_exact(&mut first).is_ok() {
                let _ = said.send(Instant::now());
                output.push(first[0]);
            }
            let _ = pipe.read_to_end(&mut output);
        }
        output
    });
    let folder = Path::new("/proc").join(child.id().to_string());
    let mut most = [None; 3];
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|e| failed("a process", e.to_string()))? {
            break status;
        }
        for (most, found) in most.iter_mut().zip(memory(&folder)) {
            *most = (*most).max(found);
        }
        std::thread::sleep(LOOK);
    };
    let seconds = start.elapsed().as_secs_f64();
    let output = reader.join().unwrap_or_default();
    if !status.success() {
        let mut complaint = String::new();
        if let Some(mut pipe) = child.stderr {
            let _ = pipe.read_to_string(&mut complaint);
        }
        return Err(failed("a process that succeeds", complaint.trim().to_owned()));
    }
    let first_byte = heard.try_recv().map_or(seconds, |at| (at - start).as_secs_f64());
    let [private, file, pss] = most;
    let memory = json!({ "private": private, "file": file, "pss": pss });
    Ok(Watched { output, first_byte, seconds, memory })
}

/// Private, file-backed and proportional bytes of a process now.
fn memory(folder: &Path) -> [Option<u64>; 3] {
    let status = std::fs::read_to_string(folder.join("status")).unwrap_or_default();
    let rollup = std::fs::read_to_string(folder.join("smaps_rollup")).unwrap_or_default();
    let bytes = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib * 1024)
    };
    [bytes(&status, "RssAnon:"), bytes(&status, "RssFile:"), bytes(&rollup, "Pss:")]
}
