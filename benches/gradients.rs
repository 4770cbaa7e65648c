//! How conjugate gradients begin and end: `cargo bench --bench gradients`.
//!
//! For operators without a closed form, and noise in code values (0 is a measurement in 8 bits):
//! iterations per step over the default schedule of `faithful`, and PSNR (dB), means over parts
//! of 192 x 192 pixels of the pictures of `tests/assets`. Every step's system begins at 0 or at
//! the last step's solution, and ends where a fixed share of its right side is left, or also
//! where a tenth of the noise is, or a quarter (`more`).

#[allow(dead_code)]
mod common;
mod walk;

use common::Case;
use ddnm::degrade::{Degradation, Dual};
use ddnm::frame::Frame;
use ddnm::metrics;
use ddnm::prior::{self, Model, Prior};
use ddnm::sampler::defaults;
use walk::{estimate, left, part};

const SPECS: [&str; 5] = [
    "blur:motion+mask:half",
    "blur:motion",
    "blur:motion+sr:2",
    "blur:motion+mask:scratches+sr:2",
    "blur:motion+bayer:rggb",
];
const NOISES: [f64; 4] = [0.0, 2.0, 5.0, 25.0];
/// Whether a step begins at the last one's solution, and times how much of the noise it may leave
/// the usual part of it.
const WAYS: [(bool, f64); 5] = [(false, 0.0), (true, 0.0), (false, 1.0), (true, 1.0), (true, 2.5)];

fn main() {
    if let Err(e) = run() {
        eprintln!("gradients: {e}");
        std::process::exit(e.exit_code());
    }
}

fn run() -> ddnm::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let only = args.iter().position(|a| a == "only").and_then(|i| args.get(i + 1));
    let prior = prior::bundled()?;
    let pictures: Vec<Frame> = common::pictures()?.iter().map(part).collect::<ddnm::Result<_>>()?;
    println!(
        "| degradation | noise | 0, share | last, share | 0, noise | last, noise | last, more |"
    );
    println!("|---|---|---|---|---|---|---|");
    for spec in SPECS.into_iter().filter(|spec| only.is_none_or(|only| only == spec)) {
        for noise in NOISES {
            let mut cells = String::new();
            for (warm, part) in WAYS {
                let (mut iterations, mut psnr) = (0.0, 0.0);
                for x in &pictures {
                    let case = Case::new(spec, noise, x)?;
                    let (i, found) = restore(&case, &prior, warm, part)?;
                    iterations += i;
                    psnr += metrics::psnr(&found, x)?;
                }
                let count = pictures.len() as f64;
                cells += &format!(" {:.1}: {:.3} |", iterations / count, psnr / count);
            }
            println!("| `{spec}` | {noise} |{cells}");
        }
    }
    Ok(())
}

/// The plain loop of `faithful`; iterations per step, and the result.
fn restore(case: &Case, prior: &Model, warm: bool, part: f64) -> ddnm::Result<(f64, Frame)> {
    let d = defaults(&case.a, case.sigma_y, true);
    let levels = prior.diffusion().geometric(d.start, d.end, d.steps);
    let mut dual = Dual::new(part * case.sigma_y);
    let mut x = case.a.start(&case.y.data, case.sigma_y);
    for level in &levels {
        let mut x0 = estimate(case, prior, *level, &x)?;
        let variance = d.relaxation * level.sigma().powi(2);
        let eta = (case.sigma_y.powi(2) / variance) as f32;
        let mut correction = vec![0.0; x.len()];
        if !warm {
            dual.clear();
        }
        let weight = |s: f32| s * s / (s * s + eta);
        case.a.pinv_from(&left(case, &x0), &weight, &mut dual, &mut correction);
        x0.iter_mut().zip(&correction).for_each(|(x, c)| *x += c);
        x = x0;
    }
    x.iter_mut().for_each(|v| *v = v.clamp(-1.0, 1.0));
    let found = Frame::new(case.x.shape, x)?;
    Ok((dual.iterations() as f64 / levels.len() as f64, found))
}
