//! Frames within a budget of memory: `cargo bench --bench budget`, minutes long, Linux only.
//!
//! Each line restores one frame twice, with and without the budget, each in a process of its own:
//! what the plan said, what the process was seen to take at most (RssAnon), whether the two
//! results are the same file, and seconds. The frames are a photograph side by side with itself.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ddnm::frame::{Frame, Shape};
use ddnm::io;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const CASES: [(usize, usize, &str, &str); 5] = [
    (640, 480, "bayer:rggb", "32M"),
    (640, 480, "sr:2", "32M"),
    (1920, 1080, "bayer:rggb", "48M"),
    (4056, 3040, "bayer:rggb", "96M"),
    (4056, 3040, "sr:2", "96M"),
];

fn main() -> Result<()> {
    let photograph = io::read(Path::new("tests/assets/coffee.png"))?;
    let folder = std::env::temp_dir().join(format!("ddnm-budget-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let name = |of: &str| folder.join(of).display().to_string();
    println!(
        "| frame | measurement | budget | planned, MiB | seen, MiB | s | without: seen, MiB | s | same file |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for (width, height, spec, budget) in CASES {
        let (x, y) = (name("x.png"), name("y.png"));
        io::write(x.as_ref(), &tiled(&photograph, width, height)?, 8)?;
        run(&["degrade", &x, "-o", &y, "-d", spec])?;
        let said = run(&["plan", &y, "-d", spec, "--max-memory", budget, "--json"])?.output;
        let planned = serde_json::from_slice::<serde_json::Value>(&said)?;
        let (held, free) = (name("held.png"), name("free.png"));
        let restore = |out, more: &[&str]| {
            run(&[&["restore", &y, "-o", out, "-q", "-d", spec][..], more].concat())
        };
        let within = restore(&held, &["--max-memory", budget])?;
        let without = restore(&free, &[])?;
        println!(
            "| {width}x{height} | `{spec}` | {budget} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {} |",
            mib(planned["bytes"]["total"].as_u64().unwrap_or(0)),
            mib(within.most),
            within.seconds,
            mib(without.most),
            without.seconds,
            if std::fs::read(held)? == std::fs::read(free)? { "yes" } else { "NO" }
        );
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn tiled(of: &Frame, width: usize, height: usize) -> Result<Frame> {
    let shape = Shape::new(3, height, width);
    let value = |i: usize| {
        let (c, y, x) = (i / shape.plane(), i % shape.plane() / width, i % width);
        of.channel(c)[y % of.shape.height * of.shape.width + x % of.shape.width]
    };
    Ok(Frame::new(shape, (0..shape.len()).map(value).collect())?)
}

/// What came of one process.
struct Run {
    output: Vec<u8>,
    /// The most private memory that it was seen to have, in bytes.
    most: u64,
    seconds: f64,
}

fn run(args: &[&str]) -> Result<Run> {
    let started = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_ddnm"))
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait()?.is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find(|l| l.starts_with("RssAnon:"));
        let kib: Option<u64> = line.and_then(|l| l.split_whitespace().nth(1)?.parse().ok());
        most = most.max(kib.unwrap_or(0) * 1024);
        std::thread::sleep(Duration::from_millis(1));
    }
    let seconds = started.elapsed().as_secs_f64();
    let done = child.wait_with_output()?;
    if !done.status.success() {
        return Err(format!("{args:?} failed").into());
    }
    Ok(Run { output: done.stdout, most, seconds })
}
