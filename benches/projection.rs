//! What the projection costs beside the network: `cargo bench --bench projection`.
//!
//! For each operator over a picture of 640x480, on one thread: the least milliseconds of `A x` and of
//! `A+ W r` with the weights of `faithful` at a noise level of 0.1, and the share of both of one
//! evaluation of the built-in prior over the same frame. A share is the median of some turns, since
//! a machine can be slower in some of them.
//!
//! Then what is solved by iteration, over the default schedules for a picture of 600x400: conjugate
//! gradients' iterations per step of `faithful`; and what a step takes beside its network more than
//! where nothing is projected, in `faithful` and in `sample`, in milliseconds and as a share of its
//! network's time. `-- single` and `-- steps` make one table alone, `-- steps mask` of what has `mask`
//! in its name.

#[allow(dead_code)]
mod common;
#[allow(dead_code)]
mod walk;

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use common::timed::{Timed, median};
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
const SOLVED: [(&str, f64); 11] = [
    ("blur:motion", 0.0),
    ("blur:motion", 2.0),
    ("blur:motion", 5.0),
    ("blur:motion+sr:2", 0.0),
    ("blur:motion+sr:2", 2.0),
    ("blur:motion+mask:scratches+sr:2", 0.0),
    ("blur:motion+mask:scratches+sr:2", 2.0),
    ("blur:motion+bayer:rggb", 0.0),
    ("blur:motion+bayer:rggb", 2.0),
    ("blur:motion+mask:half", 0.0),
    ("blur:motion+mask:half", 2.0),
];

/// Of measuring.
const TURNS: usize = 5;

fn main() -> ddnm::Result<()> {
    let prior = prior::bundled()?;
    let args: Vec<String> = std::env::args().collect();
    let of = |table| {
        let mut after = args.iter().skip_while(move |a| *a != table);
        after.next().map(|_| after.next().map_or("", |name| name))
    };
    match (of("single"), of("steps")) {
        (Some(name), _) => single(&prior, name),
        (_, Some(name)) => steps(&prior, name),
        _ => single(&prior, "").and_then(|()| steps(&prior, "")),
    }
}

/// In milliseconds.
fn time(work: impl FnOnce()) -> f64 {
    let started = Instant::now();
    work();
    started.elapsed().as_secs_f64() * 1e3
}

/// One use of each operator.
fn single(prior: &Model, only: &str) -> ddnm::Result<()> {
    let scene = Shape::new(3, 480, 640);
    let wave = |i: usize| 0.5 * (i as f32 * 0.37).sin() * (i as f32 * 0.0013).cos();
    let x = Frame::new(scene, (0..scene.len()).map(wave).collect())?;
    let none = Spec::parse("none")?.build(scene, &ddnm::io::rows)?;
    let settings = Settings::new(Mode::Faithful, 0.1, prior.diffusion().geometric(0.1, 0.1, 1));
    let go = &mut |_| ControlFlow::Continue(());
    let mut least = f64::INFINITY;
    println!("| operator | noise | A x, ms | A+ W r, ms | share |\n|---|---|---|---|---|");
    // A line of 11 x 7 pixels.
    let kernel = |_: &Path| -> ddnm::Result<Box<dyn Rows>> {
        let value = |i: usize| {
            let away = ((i / 11) as f32 - (i % 11) as f32 * 0.6).abs();
            2.0 * (1.0 - 0.8 * away).max(0.0) - 1.0
        };
        Ok(Frame::new(Shape::new(1, 7, 11), (0..77).map(value).collect())?.into())
    };
    for (spec, noise) in OPERATORS.into_iter().filter(|(spec, _)| spec.contains(only)) {
        let a = Spec::parse(spec)?.build(scene, &kernel)?;
        let whole = Region::whole(scene);
        let mut y = vec![0.0; a.measurement().len()];
        let mut back = vec![0.0; scene.len()];
        let eta = (noise / 127.5 / 0.1).powi(2) as f32;
        let weight = |s: f32| s * s / (s * s + eta);
        let mut turns = Vec::new();
        for _ in 0..3 * TURNS {
            let network = time(|| drop(sampler::restore(&none, &x, prior, &settings, go)));
            let apply = time(|| a.apply(whole, &x.data, &mut y));
            let pinv = time(|| a.pinv(whole, &y, &weight, &mut back));
            turns.push([network, apply, pinv]);
            least = least.min(network);
        }
        let [apply, pinv] = [1, 2].map(|i| turns.iter().map(|t| t[i]).fold(f64::MAX, f64::min));
        let share = 100.0 * median(turns.iter().map(|[network, a, b]| (a + b) / network));
        println!("| {spec} | {noise} | {apply:.1} | {pinv:.1} | {share:.1} % |");
    }
    println!("\none evaluation of the network over {scene}: {least:.0} ms");
    Ok(())
}

/// What iterations cost over whole restorations.
fn steps(prior: &Model, only: &str) -> ddnm::Result<()> {
    let x = &common::pictures()?[1];
    println!();
    println!("| operator | noise | iterations | `faithful`, ms | share | `sample`, ms | share |");
    println!("|---|---|---|---|---|---|---|");
    for (spec, noise) in SOLVED.into_iter().filter(|(spec, _)| spec.contains(only)) {
        let case = Case::new(spec, noise, x)?;
        let measured = |is_faithful| loops(&*case.a, x, &case.y, case.sigma_y, prior, is_faithful);
        let (found, drawn) = (measured(true)?, measured(false)?);
        println!(
            "| `{spec}` | {noise} | {:.1} | {:.0} | {:.0} % | {:.0} | {:.0} % |",
            iterations(&case, prior)?,
            found.projection,
            100.0 * found.share,
            drawn.projection,
            100.0 * drawn.share,
        );
    }
    Ok(())
}

/// Milliseconds per step.
struct Loop {
    projection: f64,
    /// Of the network's time.
    share: f64,
}

/// What a restoration takes beside its network, less what it takes where there is nothing to
/// project; the medians of some turns.
fn loops(
    a: &dyn Degradation,
    x: &Frame,
    y: &Frame,
    sigma_y: f64,
    prior: &Model,
    is_faithful: bool,
) -> ddnm::Result<Loop> {
    let d = defaults(a, sigma_y, is_faithful);
    let mode = if is_faithful { Mode::Faithful } else { DRAW };
    let levels = prior.diffusion().geometric(d.start, d.end, d.steps);
    let settings = Settings::new(mode, sigma_y, levels).suit(&d);
    let none = Spec::parse("none")?.build(x.shape, &ddnm::io::rows)?;
    let timed = Timed::new(prior);
    let go = &mut |_| ControlFlow::Continue(());
    let mut turns = Vec::new();
    for _ in 0..TURNS {
        let start = time(|| drop(a.start(&y.data, sigma_y)));
        let mut beside = |a: &dyn Degradation, y: &Frame| -> ddnm::Result<[f64; 2]> {
            let started = Instant::now();
            sampler::restore(a, y, &timed, &settings, go)?;
            let all = 1e3 * started.elapsed().as_secs_f64();
            let network = 1e3 * timed.take();
            Ok([network, all - network])
        };
        let [network, whole] = beside(a, y)?;
        let [_, without] = beside(&*none, x)?;
        turns.push([network, (whole - without - start).max(0.0)].map(|ms| ms / d.steps as f64));
    }
    let share = median(turns.iter().map(|[network, projection]| projection / network));
    Ok(Loop { projection: median(turns.iter().map(|turn| turn[1])), share })
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
