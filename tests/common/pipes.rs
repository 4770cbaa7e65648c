//! Frames through `ddnm stream`, from pipe to pipe.

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// Frames of one value each, 16x16.
pub const FIRST: &[u8] = b"YUV4MPEG2 W16 H16 F25:1 Ip A1:1 C420mpeg2 XYSCSS=420MPEG2\n";
pub const FRAME: usize = 16 * 16 * 3 / 2;

pub fn frame(value: u8) -> Vec<u8> {
    let mut bytes = b"FRAME\n".to_vec();
    bytes.extend([value; FRAME]);
    bytes
}

pub fn video(count: u8) -> Vec<u8> {
    (0..count).fold(FIRST.to_vec(), |mut bytes, i| {
        bytes.extend(frame(i));
        bytes
    })
}

pub fn start(args: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_ddnm"))
        .arg("stream")
        .args(args)
        .args(["--threads", "1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Sends all of `input` through the program.
pub fn stream(args: &[&str], input: &[u8]) -> Output {
    let mut child = start(args);
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A program that has ended needs no more of it.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

pub const FAST: [&str; 4] = ["-d", "none", "--steps", "1"];

pub fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The JSON lines on standard error.
pub fn lines(text: &str) -> Vec<Value> {
    text.lines().filter(|l| l.starts_with('{')).map(|l| serde_json::from_str(l).unwrap()).collect()
}
