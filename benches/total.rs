//! How much longer a whole restoration takes than its network alone: `cargo bench --bench total`.
//!
//! A picture of 640x480 with noise of 25 code values, 8 evaluations, one thread. In turns, and the
//! best of each: the loop over steps and tiles from measurement to result, and what its network
//! takes of that; the whole program from one PNG file to another with its certificate.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use ddnm::degrade::{self, Spec};
use ddnm::frame::{Frame, Shape, from_code, to_code};
use ddnm::prior::{self, Evaluator, Identity, Model, Prior};
use ddnm::sampler::{self, Mode, Settings};
use ddnm::schedule::{Diffusion, Level};
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
    let settings =
        Settings::new(Mode::Faithful, sigma_y, prior.diffusion().geometric(d.start, d.end, STEPS))
            .suit(&d);
    let timed_prior = Timed { prior: &prior, nanoseconds: Arc::default() };
    let mut best = [f64::INFINITY; 3];
    for round in 0..=ROUNDS {
        let looped = timed(|| {
            let go_on = &mut |_| ControlFlow::Continue(());
            sampler::restore(&a, &y, &timed_prior, &settings, go_on).map(|_| ())
        })?;
        let seconds = [timed_prior.take(), looped, timed(|| program(&files))?];
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

/// A prior that says how long its network took.
struct Timed<'a> {
    prior: &'a Model,
    nanoseconds: Arc<AtomicU64>,
}

struct TimedEvaluator {
    evaluator: Box<dyn Evaluator>,
    nanoseconds: Arc<AtomicU64>,
}

impl Timed<'_> {
    /// Seconds since it was asked last.
    fn take(&self) -> f64 {
        self.nanoseconds.swap(0, Relaxed) as f64 * 1e-9
    }
}

impl Evaluator for TimedEvaluator {
    fn x0(&mut self, x_t: &[f32], level: Level, x0: &mut [f32]) -> ddnm::Result<()> {
        let start = Instant::now();
        let result = self.evaluator.x0(x_t, level, x0);
        self.nanoseconds.fetch_add(start.elapsed().as_nanos() as u64, Relaxed);
        result
    }
}

impl Prior for Timed<'_> {
    fn channels(&self) -> usize {
        self.prior.channels()
    }
    fn multiple(&self) -> usize {
        self.prior.multiple()
    }
    fn tile(&self) -> usize {
        self.prior.tile()
    }
    fn halo(&self, sigma: f64) -> usize {
        self.prior.halo(sigma)
    }
    fn diffusion(&self) -> &Diffusion {
        self.prior.diffusion()
    }
    fn evaluator(&self, height: usize, width: usize) -> ddnm::Result<Box<dyn Evaluator>> {
        let evaluator = self.prior.evaluator(height, width)?;
        Ok(Box::new(TimedEvaluator { evaluator, nanoseconds: self.nanoseconds.clone() }))
    }
    fn identity(&self) -> Identity {
        self.prior.identity()
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
