//! What the tests of the whole program share.

#![allow(dead_code)] // each test program uses its own part of this

#[cfg(unix)]
pub mod pipes;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use ddnm::frame::{Frame, Region, Shape, crop, to_code};

/// A folder of its own, removed when dropped.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ddnm-test-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The path as an argument.
    pub fn arg(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Names of the files in the folder.
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A part of a picture of `tests/assets`.
pub fn part(name: &str, x: usize, y: usize, width: usize, height: usize) -> Frame {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/assets").join(name);
    let whole = ddnm::io::read(&path).unwrap();
    let shape = Shape::new(whole.shape.channels, height, width);
    let mut data = vec![0.0; shape.len()];
    crop(&whole.data, whole.shape, Region { y, x, height, width }, &mut data);
    Frame::new(shape, data).unwrap()
}

/// Runs the program.
pub fn ddnm(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ddnm")).args(args).output().unwrap()
}

/// Runs the program, which must succeed, and returns what it printed.
pub fn ok(args: &[&str]) -> String {
    let output = ddnm(args);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Compares a result with a stored picture of `tests/assets`: within one code value, with at most
/// 0.1 % of the values differing, as all architectures must.
pub fn agrees_with_golden(found: &Frame, name: &str) {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/assets/golden-{name}.png"));
    let golden = ddnm::io::read(&path).unwrap();
    assert_eq!(found.shape, golden.shape);
    let codes = |f: &Frame| f.data.iter().map(|&v| i32::from(to_code(v, 8))).collect::<Vec<_>>();
    let (found, golden) = (codes(found), codes(&golden));
    let differing: Vec<i32> =
        found.iter().zip(&golden).map(|(a, b)| (a - b).abs()).filter(|&d| d > 0).collect();
    let most = differing.iter().max();
    assert!(most.is_none_or(|&d| d == 1), "{name}: {most:?} code values apart");
    assert!(differing.len() * 1000 <= found.len(), "{name}: {} values differ", differing.len());
}

/// Waits for a process and returns the most private memory (RssAnon), in bytes, that it was seen
/// to have. Its output must be read elsewhere, or be short.
#[cfg(target_os = "linux")]
pub fn most_memory(child: &mut std::process::Child) -> u64 {
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find(|l| l.starts_with("RssAnon:"));
        let kib: Option<u64> = line.and_then(|l| l.split_whitespace().nth(1)?.parse().ok());
        most = most.max(kib.unwrap_or(0) * 1024);
        std::thread::sleep(std::time::Duration::from_micros(300));
    }
    most
}

/// Runs a command with an empty disk of `size` at the folder `at`, and copies what is on it to the
/// folder `copy` before it goes: a tmpfs in a mount namespace of its own. `None`, with the reason
/// printed, where the system lets nobody make one.
#[cfg(target_os = "linux")]
pub fn on_a_small_disk(
    size: &str,
    [at, copy]: [&str; 2],
    command: &[&str],
    input: std::process::Stdio,
) -> Option<Output> {
    const SCRIPT: &str = "mount -t tmpfs -o \"size=$1\" none \"$0\" || exit 99; copy=$2; shift 2; \
                          \"$@\"; code=$?; cp -r \"$0/.\" \"$copy\"; exit $code";
    let unshare = |how: &str, command: &[&str], input| {
        let disk = ["sh", "-c", SCRIPT, at, size, copy];
        Command::new("unshare").arg(how).args(disk).args(command).stdin(input).output()
    };
    std::fs::create_dir_all(at).unwrap();
    let mut why = String::new();
    // As root, or as whoever is root in a namespace of users.
    for how in ["-m", "-rm"] {
        match unshare(how, &["true"], std::process::Stdio::null()) {
            Ok(done) if done.status.success() => return unshare(how, command, input).ok(),
            Ok(done) => why += &String::from_utf8_lossy(&done.stderr),
            Err(e) => why += &e.to_string(),
        }
    }
    eprintln!("not tested: no tmpfs of {size} can be mounted here: {why}");
    None
}
