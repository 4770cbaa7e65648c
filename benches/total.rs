//! How much longer a whole restoration takes than its network alone: `cargo bench --bench total`.
//!
//! A picture of 640x480 with noise of 25 code values, 8 evaluations, one thread. In turns, the best
//! of each: the loop over steps and tiles from measurement to result, and what its network takes of
//! that; the whole program from one PNG file to another with its certificate. How many times the
//! network is the median of the turns, since a machine can be slower in some of them.

#[allow(dead_code)]
mod common;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use common::timed::{Timed, median};
use ddnm::degrade::{self, Spec};
use ddnm::frame::{Frame, Shape, from_code, to_code};
use ddnm::prior::{self, Prior};
use ddnm::sampler::{self, Mode, Settings};
use ddnm::{Error, io};

const SCENE: Shape = Shape { channels: 3, height: 480, width: 640 };
/// In code values.
const NOISE: f64 = 25.0;
const STEPS: usize = 8;
const ROUNDS: usize = 31;

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
    let timed_prior = Timed::new(&prior);
    let mut turns: Vec<[f64; 3]> = Vec::new();
    for round in 0..=ROUNDS {
        let looped = timed(|| {
            let go_on = &mut |_| ControlFlow::Continue(());
            sampler::restore(&a, &y, &timed_prior, &settings, go_on).map(|_| ())
        })?;
        let seconds = [timed_prior.take(), looped, timed(|| program(&files))?];
        // The first touches memory and caches for the first time.
        if round > 0 {
            turns.push(seconds);
        }
    }
    println!("640x480, noise {NOISE}, {STEPS} evaluations, one thread, {ROUNDS} turns:\n");
    println!("| | seconds | times the network |");
    println!("|---|---|---|");
    let names = ["network", "loop over steps and tiles", "program, file to file"];
    for (i, name) in names.iter().enumerate() {
        let best = turns.iter().map(|turn| turn[i]).fold(f64::INFINITY, f64::min);
        let times = median(turns.iter().map(|turn| turn[i] / turn[0]));
        println!("| {name} | {best:.3} | {times:.3} |");
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
