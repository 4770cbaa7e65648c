//! Every kind of degradation with and without noise: `cargo bench --bench degradations`.
//!
//! Prints one table: means over the pictures of `tests/assets`, measurements in float. PSNR (dB)
//! and SSIM of the classical estimate, of `faithful` and of `sample`; what `faithful` gains; the
//! root of the mean square of its `A x - y`, in code values; its evaluations of the network and
//! its seconds per picture on all cores. `-- only SPEC` makes the rows of one degradation.

mod common;

use std::time::Instant;

use common::{Case, DRAW};
use ddnm::degrade::Degradation;
use ddnm::frame::{Frame, Region};
use ddnm::metrics;
use ddnm::prior::{self, Model, Prior};
use ddnm::sampler::{Mode, defaults};

const SPECS: [&str; 26] = [
    "none",
    "sr:2",
    "sr:4",
    "sr:2:bicubic",
    "sr:4:bicubic",
    "blur:gauss:1.6",
    "blur:gauss:2,1",
    "blur:box:5",
    "blur:motion",
    "mask:half",
    "mask:scratches",
    "gain:lens",
    "gray",
    "gray:601",
    "gray:709",
    "hadamard:0.25",
    "blocks:0.25",
    "gray+mask:scratches+sr:2",
    "bayer:rggb",
    "bayer:bggr",
    "bayer:grbg",
    "bayer:gbrg",
    "bayer:rggb+mask:defects",
    "sr:2+bayer:rggb",
    "blur:motion+mask:half",
    "blur:motion+mask:scratches+sr:2",
];

/// Standard deviations in code values.
const NOISES: [f64; 3] = [0.0, 5.0, 25.0];

fn main() {
    if let Err(e) = run() {
        eprintln!("degradations: {e}");
        std::process::exit(e.exit_code());
    }
}

fn run() -> ddnm::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let only = args.iter().position(|a| a == "only").and_then(|i| args.get(i + 1));
    let prior = prior::bundled()?;
    let pictures = common::pictures()?;
    println!(
        "| degradation | noise | classical | faithful | sample | gain | residual | evaluations | seconds |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for spec in SPECS.iter().filter(|spec| only.is_none_or(|only| only == *spec)) {
        for noise in NOISES {
            if *spec != "none" || noise > 0.0 {
                row(spec, noise, &prior, &pictures)?;
            }
        }
    }
    Ok(())
}

fn row(spec: &str, noise: f64, prior: &Model, pictures: &[Frame]) -> ddnm::Result<()> {
    // Sums over the pictures: PSNR and SSIM of three estimates, residual, seconds.
    let mut scores = [[0.0; 2]; 3];
    let (mut residual, mut evaluations, mut seconds) = (0.0, 0, 0.0);
    for x in pictures {
        let case = Case::new(spec, noise, x)?;
        let mut classical = Frame::new(case.x.shape, case.a.start(&case.y.data, case.sigma_y))?;
        classical.data.iter_mut().for_each(|v| *v = v.clamp(-1.0, 1.0));
        let mut estimates = vec![classical];
        for mode in [Mode::Faithful, DRAW] {
            let d = defaults(&case.a, case.sigma_y, mode == Mode::Faithful);
            let levels = prior.diffusion().geometric(d.start, d.end, d.steps);
            let started = Instant::now();
            let found = case.restore(prior, mode, levels, &d)?;
            if mode == Mode::Faithful {
                seconds += started.elapsed().as_secs_f64();
                evaluations = d.steps;
                residual += 127.5 * left(&case.a, &case.y, &found);
            }
            estimates.push(found);
        }
        for (score, found) in scores.iter_mut().zip(&estimates) {
            score[0] += metrics::psnr(found, x)?;
            score[1] += metrics::ssim(found, x)?;
        }
    }
    let count = pictures.len() as f64;
    let cells = scores.map(|[p, s]| format!("{:.2} / {:.3}", p / count, s / count)).join(" | ");
    let gain = (scores[1][0] - scores[0][0]) / count;
    let (residual, seconds) = (residual / count, seconds / count);
    println!(
        "| `{spec}` | {noise} | {cells} | {gain:+.2} | {residual:.3} | {evaluations} | {seconds:.1} |"
    );
    Ok(())
}

/// Root of the mean square of `A x - y` over what is measured.
fn left(a: &dyn Degradation, y: &Frame, x: &Frame) -> f64 {
    let whole = Region::whole(x.shape);
    let mut r = vec![0.0; y.data.len()];
    a.apply(whole, &x.data, &mut r);
    let mut s = vec![0.0; y.data.len()];
    a.singular_values(whole, &mut s);
    r.iter_mut().zip(&y.data).for_each(|(r, y)| *r -= y);
    let measured = s.iter().filter(|s| **s > 0.0).count().max(1);
    let sum: f64 =
        r.iter().zip(&s).filter(|(_, s)| **s > 0.0).map(|(r, _)| f64::from(*r).powi(2)).sum();
    (sum / measured as f64).sqrt()
}
