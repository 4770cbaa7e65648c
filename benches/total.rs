//! How much longer a whole restoration takes than its network alone: `cargo bench --bench total`.
//!
//! A picture of 640x480 with noise of 25 code values, 8 evaluations, one thread. In turns, and the
//! best of each: every window of every step through the network and nothing else; the loop over
//! steps and tiles from measurement to result; the whole program from one PNG file to another with
//! its certificate. All three see the same windows.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use ddnm::degrade::{self, Spec};
use ddnm::frame::{Frame, Shape, from_code, to_code};
use ddnm::prior::{self, Evaluator, Model, Prior};
use ddnm::sampler::{self, Mode, Settings, grid::Grid};
use ddnm::{Error, io};

const SCENE: Shape = Shape { channels: 3, height: 480, width: 640 };
/// In code values.
const NOISE: f64 = 25.0;
const STEPS: usize = 8;
const ROUNDS: usize = 15;

fn main() -> ddnm::Result<()> {
    let y = measurement()?;
    let files = [file("noisy.png"), file("clean.png"), file("clean.json")];
    io::write(&files[0], &y, 8)?;
    let a = Spec::parse("none")?.build(SCENE, &io::rows)?;
    let prior = prior::bundled()?;
    let sigma_y = NOISE / 127.5;
    let d = sampler::defaults(&a, sigma_y, true);
    let settings = Settings {
        mode: Mode::Faithful,
        sigma_y,
        camera: None,
        levels: prior.diffusion().geometric(d.start, d.end, STEPS),
        generative: d.generative,
        relaxation: d.relaxation,
        momentum: d.momentum,
        frame: 0,
        threads: 1,
        band: None,
    };
    let mut network = Network::new(&prior, sampler::grids(&a, &prior, &settings.levels))?;
    let mut best = [f64::INFINITY; 3];
    for round in 0..=ROUNDS {
        let seconds = [
            timed(|| network.run(&settings))?,
            timed(|| {
                let go_on = &mut |_| ControlFlow::Continue(());
                sampler::restore(&a, &y, &prior, &settings, go_on).map(|_| ())
            })?,
            timed(|| program(&files))?,
        ];
        // The first touches memory and caches for the first time.
        if round > 0 {
            best.iter_mut().zip(seconds).for_each(|(best, s)| *best = best.min(s));
        }
    }
    println!("640x480, noise {NOISE}, {STEPS} evaluations, one thread, best of {ROUNDS}:\n");
    println!("| | seconds | times the network |");
    println!("|---|---|---|");
    let names = ["network", "loop over steps and tiles", "program, file to file"];
    for (name, seconds) in names.iter().zip(best) {
        println!("| {name} | {seconds:.3} | {:.3} |", seconds / best[0]);
    }
    Ok(())
}

fn timed(work: impl FnOnce() -> ddnm::Result<()>) -> ddnm::Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("total-{name}"))
}

/// A photograph, mirrored where it is too small, with noise, as a file of 8 bits holds it.
fn measurement() -> ddnm::Result<Frame> {
    let photograph = io::read(Path::new("tests/assets/coffee.png"))?;
    let of = photograph.shape;
    let mirrored = |i: usize, n: usize| if i < n { i } else { 2 * n - 2 - i };
    let value = |i: usize| {
        let (c, y, x) = (i / SCENE.plane(), i % SCENE.plane() / SCENE.width, i % SCENE.width);
        photograph.channel(c)[mirrored(y, of.height) * of.width + mirrored(x, of.width)]
    };
    let x = Frame::new(SCENE, (0..SCENE.len()).map(value).collect())?;
    let a = Spec::parse("none")?.build(SCENE, &io::rows)?;
    let noisy = degrade::measure(&a, &x, NOISE / 127.5, 0);
    Frame::new(SCENE, noisy.into_iter().map(|v| from_code(to_code(v, 8), 8)).collect())
}

/// Every window of every step.
struct Network {
    grids: Vec<Grid>,
    evaluators: Vec<((usize, usize), Box<dyn Evaluator>)>,
    x_t: Vec<f32>,
    x0: Vec<f32>,
}

impl Network {
    fn new(prior: &Model, grids: Vec<Grid>) -> ddnm::Result<Network> {
        let mut sizes: Vec<(usize, usize)> = grids
            .iter()
            .flat_map(Grid::tiles)
            .map(|tile| (tile.rows.size, tile.columns.size))
            .collect();
        sizes.sort_unstable();
        sizes.dedup();
        let evaluators: ddnm::Result<Vec<_>> = sizes
            .iter()
            .map(|&(height, width)| Ok(((height, width), prior.evaluator(height, width)?)))
            .collect();
        let largest = sizes.iter().map(|(h, w)| h * w).max().unwrap_or(0) * prior.channels();
        let x_t = (0..largest).map(|i| (0.37 * i as f64).sin() as f32).collect();
        Ok(Network { grids, evaluators: evaluators?, x_t, x0: vec![0.0; largest] })
    }

    fn run(&mut self, settings: &Settings) -> ddnm::Result<()> {
        for (grid, level) in self.grids.iter().zip(&settings.levels) {
            for tile in grid.tiles() {
                let size = (tile.rows.size, tile.columns.size);
                let values = SCENE.channels * size.0 * size.1;
                if let Some((_, evaluator)) = self.evaluators.iter_mut().find(|e| e.0 == size) {
                    evaluator.x0(&self.x_t[..values], *level, &mut self.x0[..values])?;
                }
            }
        }
        Ok(())
    }
}

fn program([y, x, certificate]: &[PathBuf; 3]) -> ddnm::Result<()> {
    let status = Command::new(env!("CARGO_BIN_EXE_ddnm"))
        .arg("restore")
        .arg(y)
        .arg("-o")
        .arg(x)
        .arg("--certificate")
        .arg(certificate)
        .args(["-d", "none", "--threads", "1", "-q", "--noise", &NOISE.to_string()])
        .args(["--steps", &STEPS.to_string()])
        .stderr(Stdio::inherit())
        .status()
        .map_err(|e| Error::output(y, e))?;
    match status.success() {
        true => Ok(()),
        false => Err(Error::Usage(format!("expected the program to succeed, found {status}"))),
    }
}
