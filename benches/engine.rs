//! How long one evaluation of the network takes: `cargo bench --bench engine`.
//!
//! Prints milliseconds per tile for square windows, one tile at a time and two at a time, each
//! on a thread of its own. `-- model FILE` times another prior. `-- serve` is for
//! `benches/engines.py`, which compares with other engines in one run: it answers requests on
//! standard input, a line each, with one line of JSON:
//!
//! - `about ENGINE`: what the engine is, in words
//! - `run ENGINE SIDE THREADS INSTANCES REPEATS`: best and median milliseconds per tile, with
//!   INSTANCES tiles at a time, each on THREADS threads
//! - `output ENGINE SIDE T IN OUT`: reads the state `x_t` of timestep T from file IN and writes
//!   the estimate `x0` to OUT, both `[channels, side, side]` in little-endian `f32`

use std::collections::HashMap;
use std::io::BufRead;
use std::path::Path;
use std::sync::Barrier;
use std::time::Instant;

use ddnm::Error;
use ddnm::frame::Region;
use ddnm::noise::NoiseField;
use ddnm::prior::{self, Evaluator, Prior};
use ddnm::schedule::Level;
use serde_json::{Value, json};

const SIDES: [usize; 4] = [64, 128, 192, 256];
const INSTANCES: [usize; 2] = [1, 2];
/// Seconds per cell of the table.
const BUDGET: f64 = 1.0;
/// Tiles per instance in one measurement of several at a time: instances wait for each other
/// only after so many, as they do in a restoration after a row of tiles.
const BATCH: usize = 4;

/// The engines that can evaluate a prior.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Engine {
    /// Our own kernels.
    Ddnm,
    /// tract alone, from ONNX.
    Tract,
}

impl Engine {
    const ALL: [Engine; 2] = [Engine::Ddnm, Engine::Tract];

    fn name(self) -> &'static str {
        match self {
            Engine::Ddnm => "ddnm",
            Engine::Tract => "tract",
        }
    }

    fn parse(name: &str) -> ddnm::Result<Engine> {
        let known = Self::ALL.into_iter().find(|e| e.name() == name);
        known.ok_or_else(|| {
            let names = Self::ALL.map(Engine::name).join(", ");
            Error::Usage(format!("engine: expected one of {names}, found {name}"))
        })
    }

    fn about(self) -> String {
        match self {
            Engine::Ddnm => format!(
                "ddnm {}, kernels {}",
                env!("CARGO_PKG_VERSION"),
                ddnm::kernels::Isa::choose().map_or("unknown", |isa| isa.name())
            ),
            Engine::Tract => format!("tract {}", locked_version("tract-core")),
        }
    }

    fn load(self, model: Option<&str>) -> ddnm::Result<Box<dyn Prior>> {
        match self {
            Engine::Ddnm => Ok(Box::new(prior::find(model)?)),
            Engine::Tract => {
                let bundled = concat!(env!("CARGO_MANIFEST_DIR"), "/models/patch-s.toml");
                Ok(Box::new(prior::find(Some(model.unwrap_or(bundled)))?.with_tract_alone()))
            }
        }
    }
}

/// The version of a dependency that this was built with.
fn locked_version(package: &str) -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let entry = lock.split_once(&format!("name = \"{package}\"")).map_or("", |(_, rest)| rest);
    entry.split('"').nth(1).unwrap_or("of unknown version")
}

/// One tile at work on its own thread.
struct Worker {
    evaluator: Box<dyn Evaluator>,
    level: Level,
    x_t: Vec<f32>,
    x0: Vec<f32>,
}

impl Worker {
    fn new(prior: &dyn Prior, side: usize) -> ddnm::Result<Worker> {
        let whole = Region { y: 0, x: 0, height: side, width: side };
        let mut x_t = vec![0.0; prior.channels() * side * side];
        NoiseField { seed: 0, frame: 0, draw: 0 }.fill(whole, prior.channels(), &mut x_t);
        let level = prior.diffusion().at_sigma(0.2);
        let x0 = vec![0.0; x_t.len()];
        Ok(Worker { evaluator: prior.evaluator(side, side)?, level, x_t, x0 })
    }

    fn evaluate(&mut self, times: usize) -> ddnm::Result<()> {
        (0..times).try_for_each(|_| self.evaluator.x0(&self.x_t, self.level, &mut self.x0))
    }
}

/// Milliseconds per tile, one number per repeat after a first one that is not counted.
fn time(workers: &mut [Worker], repeats: usize) -> ddnm::Result<Vec<f64>> {
    let mut found = Vec::new();
    let per_tile =
        |start: Instant, tiles: usize| start.elapsed().as_secs_f64() * 1e3 / tiles as f64;
    if let [worker] = workers {
        for _ in 0..=repeats {
            let start = Instant::now();
            worker.evaluate(1)?;
            found.push(per_tile(start, 1));
        }
    } else {
        let tiles = workers.len() * BATCH;
        let barrier = Barrier::new(workers.len() + 1);
        let work = |worker: &mut Worker| {
            let mut result = Ok(());
            for _ in 0..=repeats {
                barrier.wait();
                // One that failed still waits, so that the others do not wait for ever.
                result = result.and_then(|()| worker.evaluate(BATCH));
                barrier.wait();
            }
            result
        };
        std::thread::scope(|scope| {
            let started: Vec<_> = workers.iter_mut().map(|w| scope.spawn(|| work(w))).collect();
            for _ in 0..=repeats {
                // Before the barrier: with all cores at work, this thread may wake late after it.
                let start = Instant::now();
                barrier.wait();
                barrier.wait();
                found.push(per_tile(start, tiles));
            }
            let mut ended = started.into_iter().map(|t| t.join());
            ended.try_for_each(|r| r.unwrap_or_else(|p| std::panic::resume_unwind(p)))
        })?;
    }
    found.remove(0);
    Ok(found)
}

fn best_and_median(mut ms: Vec<f64>) -> (f64, f64) {
    ms.sort_by(f64::total_cmp);
    (ms[0], ms[ms.len() / 2])
}

/// Engines, loaded when first asked for.
#[derive(Default)]
struct Bench {
    model: Option<String>,
    priors: HashMap<Engine, Box<dyn Prior>>,
    workers: HashMap<(Engine, usize), Vec<Worker>>,
}

impl Bench {
    fn workers(
        &mut self,
        engine: Engine,
        side: usize,
        count: usize,
    ) -> ddnm::Result<&mut [Worker]> {
        if !self.priors.contains_key(&engine) {
            self.priors.insert(engine, engine.load(self.model.as_deref())?);
        }
        let prior = &self.priors[&engine];
        let workers = self.workers.entry((engine, side)).or_default();
        while workers.len() < count {
            workers.push(Worker::new(prior.as_ref(), side)?);
        }
        Ok(&mut workers[..count])
    }

    fn answer(&mut self, request: &str) -> ddnm::Result<Value> {
        let words: Vec<&str> = request.split_whitespace().collect();
        match words[..] {
            ["about", engine] => Ok(json!({ "about": Engine::parse(engine)?.about() })),
            ["run", engine, side, threads, instances, repeats] => {
                if threads != "1" {
                    return Err(Error::Usage("expected one thread per tile".into()));
                }
                let (instances, repeats) = (number(instances)?, number(repeats)?);
                let workers = self.workers(Engine::parse(engine)?, number(side)?, instances)?;
                let (best, median) = best_and_median(time(workers, repeats)?);
                Ok(json!({ "best": best, "median": median }))
            }
            ["output", engine, side, t, from, to] => {
                let engine = Engine::parse(engine)?;
                self.output(engine, number(side)?, number(t)?, Path::new(from), Path::new(to))?;
                Ok(json!({}))
            }
            _ => Err(Error::Usage(format!("expected about, run or output, found {request}"))),
        }
    }

    fn output(
        &mut self,
        engine: Engine,
        side: usize,
        t: usize,
        from: &Path,
        to: &Path,
    ) -> ddnm::Result<()> {
        let bytes = std::fs::read(from).map_err(|e| Error::input(from, "a readable file", e))?;
        let value = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        let x_t: Vec<f32> = bytes.chunks_exact(4).map(value).collect();
        let mut x0 = vec![0.0; x_t.len()];
        self.workers(engine, side, 1)?;
        let level = self.priors[&engine].diffusion().at_step(t);
        self.workers(engine, side, 1)?[0].evaluator.x0(&x_t, level, &mut x0)?;
        let bytes: Vec<u8> = x0.iter().flat_map(|v| v.to_le_bytes()).collect();
        std::fs::write(to, bytes).map_err(|e| Error::output(to, e))
    }

    /// One request a line, until standard input ends.
    fn serve(&mut self) -> ddnm::Result<()> {
        for line in std::io::stdin().lock().lines() {
            let line = line.map_err(|e| Error::input(Path::new("-"), "a line", e))?;
            let answer = self.answer(&line).unwrap_or_else(|e| json!({ "error": e.to_string() }));
            println!("{answer}");
        }
        Ok(())
    }

    fn table(&mut self) -> ddnm::Result<()> {
        println!("Milliseconds per tile, best (median).\n");
        println!("| engine | window | one tile at a time | two tiles, two threads |");
        println!("|---|---|---|---|");
        for engine in Engine::ALL {
            for side in SIDES {
                let mut cells = Vec::new();
                for instances in INSTANCES {
                    let workers = self.workers(engine, side, instances)?;
                    let first = time(workers, 1)?[0];
                    let repeats = (BUDGET * 1e3 / (first * (workers.len() * BATCH) as f64)).ceil();
                    let (best, median) = best_and_median(time(workers, 2 + repeats as usize)?);
                    cells.push(format!("{best:.2} ({median:.2})"));
                }
                println!("| {} | {side} | {} |", engine.about(), cells.join(" | "));
            }
        }
        Ok(())
    }
}

fn number(word: &str) -> ddnm::Result<usize> {
    let parsed = word.parse().ok().filter(|n| *n > 0);
    parsed.ok_or_else(|| Error::Usage(format!("expected a number above 0, found {word}")))
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let after = |word: &str| args.iter().position(|a| a == word).and_then(|i| args.get(i + 1));
    let mut bench = Bench { model: after("model").cloned(), ..Bench::default() };
    let result = if args.iter().any(|a| a == "serve") { bench.serve() } else { bench.table() };
    if let Err(e) = result {
        eprintln!("engine: {e}");
        std::process::exit(e.exit_code());
    }
}
