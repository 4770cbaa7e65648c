//! `ddnm bench`: speed and footprint of this program on this machine, in numbers that can be
//! sent to others.
//!
//! Each case is a fresh process, so that nothing that an earlier one left in memory counts; what
//! it takes is watched from outside.

mod scene;
mod tile;
mod watch;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::args::Bench;
use super::{job, print, version};
use crate::boards::heat::{Throttling, temperature};
use crate::boards::{self, Board, Machine};
use crate::degrade::{self, Degradation, Spec};
use crate::error::{Error, Result};
use crate::frame::Shape;
use crate::io;
use crate::plan;
use crate::prior::{Model, Prior};
use watch::Watched;

pub fn run(args: Bench) -> Result<()> {
    if args.tile {
        return tile::child(args.model.as_deref());
    }
    let folder = Folder::new()?;
    let report = measure(&args, &folder)?;
    match args.json {
        true => print(&report.to_string()),
        false => print(&text(&report)),
    }
}

fn measure(args: &Bench, folder: &Folder) -> Result<Value> {
    let machine = boards::detect(Path::new("/"))?;
    let board = match &args.board {
        Some(name) => Some(boards::find(name)?),
        None => machine.board,
    };
    let prior = job::model(args.model.as_deref(), None)?;
    let (width, height) = job::parse_size(&args.size)?;
    let scene = Shape::new(3, height, width);
    let a = Spec::parse(&args.degradation)?.build(scene, &job::load_mask)?;
    let frame = scene::frame(scene);
    let sigma_y = job::sigma(args.noise, "noise")?;
    let y = degrade::to_file(&a, &degrade::measure(&a, &frame, sigma_y, 0))?;
    let input = folder.path("y.png");
    let mut y = y;
    y.origin.scene = Some((width, height));
    io::write(&input, &y, 8)?;

    let root = Path::new("/");
    let (cool, program) = (temperature(root), program()?);
    let tile = tile::measure(&program, args.model.as_deref())?;
    let mut frames = Vec::new();
    for threads in counts(job::threads(args.threads, &machine, None)) {
        frames.push(frame_of(args, &program, &input, folder, threads)?);
    }
    Ok(json!({
        "version": version::text()?,
        "binary_bytes": std::fs::metadata(&program).map(|m| m.len()).ok(),
        "machine": machine, "board": board.map(|b| b.name.as_str()),
        "model": { "name": prior.identity().name, "sha256": prior.identity().sha256,
                   "weights": prior.identity().weights, "kernels": prior.identity().kernels },
        "tile": tile,
        "case": { "spec": a.spec(), "noise": args.noise, "width": width, "height": height },
        "frames": with_rates(frames, args, &a, &prior, board, &machine)?,
        "heat": { "start": cool, "end": temperature(root), "throttling": Throttling::read(root) },
    }))
}

/// 1, 2, 4, … and the most.
fn counts(most: usize) -> Vec<usize> {
    let mut counts: Vec<usize> =
        std::iter::successors(Some(1), |n| Some(n * 2)).take_while(|n| *n < most).collect();
    counts.push(most);
    counts
}

/// Restores the frame in a process of its own.
fn frame_of(
    args: &Bench,
    program: &Path,
    input: &Path,
    folder: &Folder,
    threads: usize,
) -> Result<Value> {
    let mut command = Command::new(program);
    command.arg("restore").arg(input).arg("-o").arg(folder.path("x.png"));
    command.args(["-q", "--json", "-d", &args.degradation]);
    command.args(["--noise", &args.noise.to_string(), "--threads", &threads.to_string()]);
    if let Some(model) = &args.model {
        command.args(["--model", model]);
    }
    let Watched { output, seconds, memory, .. } = watch::run(command)?;
    let said: Value = serde_json::from_slice(&output)
        .map_err(|e| failed("a restoration's report", e.to_string()))?;
    Ok(json!({
        "threads": threads, "seconds": seconds, "memory": memory,
        "planned_bytes": said["planned_bytes"], "evaluations": said["evaluations"],
        "residual_max": said["residual_max"],
    }))
}

/// Adds operations and bytes per second, counted, and their share of the board's peaks.
fn with_rates(
    frames: Vec<Value>,
    args: &Bench,
    a: &dyn Degradation,
    prior: &Model,
    board: Option<&Board>,
    machine: &Machine,
) -> Result<Vec<Value>> {
    let settings = job::Schedule {
        mode: "faithful",
        rule: None,
        eta: None,
        seed: 0,
        noise: job::Noise::Even(job::sigma(args.noise, "noise")?),
        steps: None,
        start: None,
        end: None,
        generative: None,
        relaxation: None,
        momentum: None,
        travel: None,
        threads: machine.threads(),
        board: None,
        bits: 8,
    }
    .settings(a, prior)?;
    let job =
        plan::Job { a, prior, settings: &settings, input_bytes: 0, bits: 8, output_is_held: false };
    let plan = plan::plan(&job, &[])?;
    let operations = 2.0 * plan.multiply_accumulates as f64;
    let rate = |mut frame: Value| {
        let seconds = frame["seconds"].as_f64().unwrap_or(f64::NAN);
        let (flops, bytes) = (operations / seconds, plan.bytes_moved as f64 / seconds);
        frame["gflops"] = json!(flops / 1e9);
        frame["gb_per_s"] = json!(bytes / 1e9);
        frame["share_of_peak"] = json!(board.map(|b| flops / 1e9 / b.arithmetic.gflops));
        frame["share_of_bandwidth"] = json!(board.map(|b| bytes / 1e9 / b.bandwidth.gb_per_s));
        frame
    };
    Ok(frames.into_iter().map(rate).collect())
}

fn text(report: &Value) -> String {
    let number = |v: &Value, digits: usize| match v.as_f64() {
        Some(n) => format!("{n:.digits$}"),
        None => "-".into(),
    };
    let mib = |v: &Value| v.as_f64().map_or("-".into(), |b| format!("{:.1}", b / 1048576.0));
    let tile = &report["tile"];
    let mut lines = vec![
        report["version"].as_str().unwrap_or_default().to_owned(),
        format!("board     {}", report["board"].as_str().unwrap_or("none")),
        format!("program   {} MiB", mib(&report["binary_bytes"])),
        format!(
            "tile      {}x{}: {} ms from start to first estimate ({} to load, {} for the first), {} ms each after that",
            tile["width"],
            tile["height"],
            number(&tile["start_ms"], 1),
            number(&tile["load_ms"], 1),
            number(&tile["first_ms"], 1),
            number(&tile["steady_ms"], 2),
        ),
        format!(
            "frame     {}x{} through `{}`, noise {}",
            report["case"]["width"],
            report["case"]["height"],
            report["case"]["spec"].as_str().unwrap_or_default(),
            report["case"]["noise"]
        ),
        String::new(),
        "| threads | s | GFLOP/s | of peak | private, MiB | planned | file-backed | Pss |".into(),
        "|---|---|---|---|---|---|---|---|".into(),
    ];
    for frame in report["frames"].as_array().into_iter().flatten() {
        lines.push(format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            frame["threads"],
            number(&frame["seconds"], 2),
            number(&frame["gflops"], 1),
            number(&frame["share_of_peak"], 2),
            mib(&frame["memory"]["private"]),
            mib(&frame["planned_bytes"]),
            mib(&frame["memory"]["file"]),
            mib(&frame["memory"]["pss"]),
        ));
    }
    let heat = &report["heat"];
    lines.push(format!(
        "\nheat      {} degrees at the start, {} at the end",
        number(&heat["start"], 1),
        number(&heat["end"], 1)
    ));
    lines.push(
        "GFLOP/s counts what direct convolutions would need; Winograd's needs a quarter, so it can \
         exceed the peak."
            .into(),
    );
    lines.join("\n")
}

/// Where this program is.
fn program() -> Result<PathBuf> {
    std::env::current_exe().map_err(|e| failed("the program's own file", e.to_string()))
}

fn failed(expected: &str, found: String) -> Error {
    Error::input(Path::new("bench"), expected, found)
}

/// A folder for the frame, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Folder> {
        let path = std::env::temp_dir().join(format!("ddnm-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|e| Error::output(&path, e))?;
        Ok(Folder(path))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
