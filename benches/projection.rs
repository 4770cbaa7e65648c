//! What the projection costs beside the network: `cargo bench --bench projection`.
//!
//! For each operator over a picture of 640x480, on one thread: milliseconds of `A x` and
//! `A+ W r` with the weights of `faithful` at a noise level of 0.1, best of three, and their
//! share of one evaluation of the built-in prior over the same frame.
//!
//! Then what is solved by iteration, over the default schedules for a picture of 600x400: conjugate
//! gradients' iterations per step of `faithful`; and what a step takes beside its network more than
//! where nothing is projected, in `faithful` and in `sample`, in milliseconds and as a share of its
//! network's time (`-- steps` makes this table alone, `-- steps mask` of what has `mask` in its name).

#[allow(dead_code)]
mod common;
#[allow(dead_code)]
mod walk;

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use common::timed::Timed;
use common::{Case, DRAW};
use ddnm::degrade::{Degradation, Dual, Spec};
use ddnm::frame::{Frame, Region, Rows, Shape};
use ddnm::prior::{self, Model, Prior};
use ddnm::sampler::{self, Mode, Settings, defaults};

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

/// What is solved by iteration; 0 is a measurement in 8 bits.
const SOLVED: [(&str, f64); 10] = [
    ("blur:motion", 0.0),
    ("blur:motion", 2.0),
    ("blur:motion", 5.0),
    ("blur:motion+sr:2", 0.0),
    ("blur:motion+sr:2", 2.0),
    ("blur:motion+mask:scratches+sr:2", 0.0),
    ("blur:motion+mask:scratches+sr:2", 2.0),
    ("blur:motion+bayer:rggb", 0.0),
    ("blur:motion+bayer:rggb", 2.0),
    ("blur:motion+mask:half", 2.0),
];

fn main() -> ddnm::Result<()> {
    let prior = prior::bundled()?;
    if !std::env::args().any(|a| a == "steps") {
        single(&prior)?;
    }
    steps(&prior)
}

/// The smallest of three times, in milliseconds.
fn best(work: &mut dyn FnMut()) -> f64 {
    let times = (0..3).map(|_| {
        let started = Instant::now();
        work();
        started.elapsed().as_secs_f64() * 1e3
    });
    times.fold(f64::INFINITY, f64::min)
}

/// One use of each operator.
fn single(prior: &Model) -> ddnm::Result<()> {
    let scene = Shape::new(3, 480, 640);
    let wave = |i: usize| 0.5 * (i as f32 * 0.37).sin() * (i as f32 * 0.0013).cos();
    let x = Frame::new(scene, (0..scene.len()).map(wave).collect())?;
    let none = Spec::parse("none")?.build(scene, &ddnm::io::rows)?;
    let settings = Settings::new(Mode::Faithful, 0.1, prior.diffusion().geometric(0.1, 0.1, 1));
    let network = best(&mut || {
        let go = &mut |_| ControlFlow::Continue(());
        let _ = sampler::restore(&none, &x, prior, &settings, go);
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

/// What iterations cost over whole restorations.
fn steps(prior: &Model) -> ddnm::Result<()> {
    let x = &common::pictures()?[1];
    println!();
    println!("| operator | noise | iterations | `faithful`, ms | share | `sample`, ms | share |");
    println!("|---|---|---|---|---|---|---|");
    let args: Vec<String> = std::env::args().collect();
    let only = args.iter().skip_while(|a| *a != "steps").nth(1).map_or("", |a| a);
    for (spec, noise) in SOLVED.into_iter().filter(|(spec, _)| spec.contains(only)) {
        let case = Case::new(spec, noise, x)?;
        let (found, drawn) = (loops(&case, prior, true)?, loops(&case, prior, false)?);
        let share = |l: &Loop| 100.0 * l.projection / l.network;
        println!(
            "| `{spec}` | {noise} | {:.1} | {:.0} | {:.0} % | {:.0} | {:.0} % |",
            iterations(&case, prior)?,
            found.projection,
            share(&found),
            drawn.projection,
            share(&drawn),
        );
    }
    Ok(())
}

/// Milliseconds per step.
struct Loop {
    network: f64,
    projection: f64,
}

/// What a restoration takes beside its network, less what it takes where there is nothing to
/// project; the best of three.
fn loops(case: &Case, prior: &Model, is_faithful: bool) -> ddnm::Result<Loop> {
    let d = defaults(&case.a, case.sigma_y, is_faithful);
    let mode = if is_faithful { Mode::Faithful } else { DRAW };
    let levels = prior.diffusion().geometric(d.start, d.end, d.steps);
    let settings = Settings::new(mode, case.sigma_y, levels).suit(&d);
    let none = Spec::parse("none")?.build(case.x.shape, &ddnm::io::rows)?;
    let timed = Timed::new(prior);
    let go = &mut |_| ControlFlow::Continue(());
    let mut least = [f64::INFINITY; 4];
    for _ in 0..3 {
        let started = Instant::now();
        drop(case.a.start(&case.y.data, case.sigma_y));
        let start = started.elapsed().as_secs_f64();
        let mut beside = |a: &dyn Degradation, y: &Frame| -> ddnm::Result<[f64; 2]> {
            let started = Instant::now();
            sampler::restore(a, y, &timed, &settings, go)?;
            let all = started.elapsed().as_secs_f64();
            let network = timed.take();
            Ok([network, all - network])
        };
        let [network, whole] = beside(&*case.a, &case.y)?;
        let [_, without] = beside(&*none, case.x)?;
        least.iter_mut().zip([network, whole, without, start]).for_each(|(l, s)| *l = l.min(s));
    }
    let [network, whole, without, start] = least.map(|s| 1e3 * s / d.steps as f64);
    Ok(Loop { network, projection: (whole - without - start).max(0.0) })
}

/// Conjugate gradients' iterations per step in the plain loop of `faithful`.
fn iterations(case: &Case, prior: &Model) -> ddnm::Result<f64> {
    let d = defaults(&case.a, case.sigma_y, true);
    let levels = prior.diffusion().geometric(d.start, d.end, d.steps);
    let mut x = case.a.start(&case.y.data, case.sigma_y);
    let mut dual = Dual::new(case.sigma_y);
    for level in &levels {
        let mut x0 = walk::estimate(case, prior, *level, &x)?;
        let eta = (case.sigma_y.powi(2) / (d.relaxation * level.sigma().powi(2))) as f32;
        let mut correction = vec![0.0; x.len()];
        let weight = |s: f32| s * s / (s * s + eta);
        case.a.pinv_from(&walk::left(case, &x0), &weight, &mut dual, &mut correction);
        x0.iter_mut().zip(&correction).for_each(|(x, c)| *x += c);
        x = x0;
    }
    Ok(dual.iterations() as f64 / levels.len() as f64)
}
