//! One tile: from the start of a process to its first estimate, and each one after that.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use super::watch::{self, Watched};
use crate::error::{Error, Result};
use crate::prior::{self, Prior};

/// Side of the window, in pixels.
const SIDE: usize = 64;
/// Evaluations after the first; the best counts.
const STEADY: usize = 40;

/// Loads the model and evaluates one window; says when it has, and then how long it takes.
pub fn child(model: Option<&str>) -> Result<()> {
    let failed = |e| Error::output(Path::new("standard output"), e);
    let start = Instant::now();
    let prior = prior::find(model)?;
    let (height, width) =
        (SIDE.next_multiple_of(prior.multiple()), SIDE.next_multiple_of(prior.multiple()));
    let mut evaluator = prior.evaluator(height, width)?;
    let load = start.elapsed();
    let level = prior.diffusion().at_sigma(0.2);
    let x = vec![0.1; prior.channels() * height * width];
    let mut x0 = x.clone();
    let milliseconds = |from: Instant| from.elapsed().as_secs_f64() * 1e3;
    let start = Instant::now();
    evaluator.x0(&x, level, &mut x0)?;
    let first = milliseconds(start);
    let mut out = std::io::stdout();
    writeln!(out).and_then(|()| out.flush()).map_err(failed)?;
    let mut steady = f64::INFINITY;
    for _ in 0..STEADY {
        let start = Instant::now();
        evaluator.x0(&x, level, &mut x0)?;
        steady = steady.min(milliseconds(start));
    }
    let line = json!({
        "width": width, "height": height, "load_ms": load.as_secs_f64() * 1e3,
        "first_ms": first, "steady_ms": steady,
    });
    writeln!(out, "{line}").map_err(failed)
}

/// Runs [`child`] several times; the run that was first at its estimate counts.
pub fn measure(program: &Path, model: Option<&str>) -> Result<Value> {
    const RUNS: usize = 5;
    let mut best: Option<Value> = None;
    for _ in 0..RUNS {
        let mut command = Command::new(program);
        command.args(["bench", "--tile"]);
        if let Some(model) = model {
            command.args(["--model", model]);
        }
        let Watched { output, first_byte, memory, .. } = watch::run(command)?;
        let mut said: Value = serde_json::from_slice(&output)
            .map_err(|e| super::failed("a tile's report", e.to_string()))?;
        said["start_ms"] = json!(first_byte * 1e3);
        said["memory"] = memory;
        let start = |v: &Value| v["start_ms"].as_f64().unwrap_or(f64::INFINITY);
        if best.as_ref().is_none_or(|b| start(&said) < start(b)) {
            best = Some(said);
        }
    }
    Ok(best.unwrap_or(Value::Null))
}
