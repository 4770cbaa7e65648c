//! What the projection costs beside the network: `cargo bench --bench projection`.
//!
//! For each operator over a picture of 640x480, on one thread: milliseconds of `A x` and
//! `A+ W r` with the weights of `faithful` at a noise level of 0.1, best of three, and their
//! share of one evaluation of the built-in prior over the same frame.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use ddnm::degrade::{Degradation, Spec};
use ddnm::frame::{Frame, Region, Rows, Shape};
use ddnm::prior::{self, Prior};
use ddnm::sampler::{self, Mode, Settings};

/// Spec and noise in code values.
const OPERATORS: [(&str, f64); 12] = [
    ("sr:2", 0.0),
    ("bayer:rggb", 0.0),
    ("sr:2:bicubic", 0.0),
    ("sr:2:bicubic", 2.0),
    ("blur:gauss:1.6", 2.0),
    ("blur:box:5", 2.0),
    ("hadamard:0.25", 0.0),
    ("blocks:0.25", 0.0),
    ("blur:psf", 2.0),
    ("blur:psf", 5.0),
    ("blur:psf+sr:2", 2.0),
    ("gray:601+sr:2:bicubic", 0.0),
];

fn main() -> ddnm::Result<()> {
    let scene = Shape::new(3, 480, 640);
    let wave = |i: usize| 0.5 * (i as f32 * 0.37).sin() * (i as f32 * 0.0013).cos();
    let x = Frame::new(scene, (0..scene.len()).map(wave).collect())?;
    let prior = prior::bundled()?;
    let best = |work: &mut dyn FnMut()| {
        let times = (0..3).map(|_| {
            let started = Instant::now();
            work();
            started.elapsed().as_secs_f64() * 1e3
        });
        times.fold(f64::INFINITY, f64::min)
    };

    let none = Spec::parse("none")?.build(scene, &ddnm::io::rows)?;
    let settings = Settings::new(Mode::Faithful, 0.1, prior.diffusion().geometric(0.1, 0.1, 1));
    let network = best(&mut || {
        let go = &mut |_| ControlFlow::Continue(());
        let _ = sampler::restore(&none, &x, &prior, &settings, go);
    });
    println!("one evaluation of the network over {scene}: {network:.0} ms");
    println!("| operator | noise | A x, ms | A+ W r, ms | share |\n|---|---|---|---|---|");
    // A line of 11 x 7 pixels.
    let kernel = |_: &Path| -> ddnm::Result<Box<dyn Rows>> {
        let value = |i: usize| {
            let away = ((i / 11) as f32 - (i % 11) as f32 * 0.6).abs();
            2.0 * (1.0 - 0.8 * away).max(0.0) - 1.0
        };
        Ok(Frame::new(Shape::new(1, 7, 11), (0..77).map(value).collect())?.into())
    };
    for (spec, noise) in OPERATORS {
        let a = Spec::parse(spec)?.build(scene, &kernel)?;
        let whole = Region::whole(scene);
        let mut y = vec![0.0; a.measurement().len()];
        let apply = best(&mut || a.apply(whole, &x.data, &mut y));
        let mut back = vec![0.0; scene.len()];
        let eta = (noise / 127.5 / 0.1).powi(2) as f32;
        let weight = |s: f32| s * s / (s * s + eta);
        let pinv = best(&mut || a.pinv(whole, &y, &weight, &mut back));
        let share = 100.0 * (apply + pinv) / network;
        println!("| {spec} | {noise} | {apply:.1} | {pinv:.1} | {share:.1} % |");
    }
    Ok(())
}
