//! Every kind of degradation with and without noise: `cargo bench --bench degradations`.
//!
//! Prints one table: means over the pictures of `tests/assets`, measurements in float. PSNR (dB)
//! and SSIM of the classical estimate, of `faithful` and of `sample`; what `faithful` gains; the
//! root of the mean square of its `A x - y`, in code values; its evaluations of the network and
//! its seconds per picture on all cores. `-- only SPEC` makes the rows of one degradation.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use ddnm::degrade::{self, Degradation, Spec};
use ddnm::frame::{Frame, Region, Shape};
use ddnm::noise::NoiseField;
use ddnm::prior::{self, Model, Prior};
use ddnm::sampler::{self, Mode, NoiseRule, Settings, defaults};
use ddnm::{io, metrics};

const PICTURES: [&str; 3] = ["astronaut", "coffee", "chelsea"];

/// Height and width of the kernel of a moving camera.
const MOTION: (usize, usize) = (7, 11);

const SPECS: [&str; 25] = [
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
    "blur:motion+mask:scratches+sr:2",
];

/// Standard deviations in code values.
const NOISES: [f64; 3] = [0.0, 5.0, 25.0];
/// Where no noise is declared an ill-conditioned operator is given what an 8-bit file rounds away.
const ROUNDING: f64 = 0.29;

const DRAW: Mode = Mode::Sample { eta: 0.85, rule: NoiseRule::Split, seed: 0 };

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
    let pictures: Vec<Frame> = PICTURES
        .iter()
        .map(|name| io::read(Path::new(&format!("tests/assets/{name}.png"))))
        .collect::<ddnm::Result<_>>()?;
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
        // What stands behind the motion sees a frame smaller by the kernel.
        let mut seen = x.shape;
        if spec.starts_with("blur:motion+") {
            (seen.height, seen.width) = (seen.height + 1 - MOTION.0, seen.width + 1 - MOTION.1);
        }
        let a = Spec::parse(spec)?.build(x.shape, &|path| Ok(picture(path, seen)?.into()))?;
        let noise = if a.truncation() > 0.0 { noise.max(ROUNDING) } else { noise };
        let sigma_y = noise / 127.5;
        let y = Frame::new(a.measurement(), degrade::measure(&a, x, sigma_y, 0))?;
        let mut classical = Frame::new(x.shape, a.start(&y.data, sigma_y))?;
        classical.data.iter_mut().for_each(|v| *v = v.clamp(-1.0, 1.0));
        let mut estimates = vec![classical];
        for mode in [Mode::Faithful, DRAW] {
            let d = defaults(&a, sigma_y, mode == Mode::Faithful);
            let settings = Settings {
                mode,
                sigma_y,
                camera: None,
                limits: None,
                levels: prior.diffusion().geometric(d.start, d.end, d.steps),
                generative: d.generative,
                frame: 0,
                threads: std::thread::available_parallelism().map_or(1, usize::from),
                band: None,
            };
            let go = &mut |_| ControlFlow::Continue(());
            let started = Instant::now();
            let found = sampler::restore(&a, &y, prior, &settings, go)?;
            if mode == Mode::Faithful {
                seconds += started.elapsed().as_secs_f64();
                evaluations = d.steps;
                residual += 127.5 * left(&a, &y, &found);
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

/// The pictures that the degradations name, drawn for a scene of this size.
fn picture(path: &Path, scene: Shape) -> ddnm::Result<Frame> {
    let (height, width) = match path.to_str() {
        Some("motion") => MOTION,
        _ => (scene.height, scene.width),
    };
    let random = NoiseField { seed: 1, frame: 0, draw: 9 };
    let value = |i: usize| {
        let (y, x) = (i / width, i % width);
        let (v, u) = (y as f32, x as f32);
        match path.to_str() {
            // A camera that moves along a line, two pixels wide.
            Some("motion") => 2.0 * (1.0 - 0.8 * (v - 0.6 * u).abs()).max(0.0) - 1.0,
            // Every other pixel is missing.
            Some("half") => random.at(0, y, x).signum(),
            // One in two hundred is.
            Some("defects") => (2.576 + random.at(0, y, x)).signum(),
            // Dark corners, down to a third.
            Some("lens") => {
                let (v, u) = (v / height as f32 - 0.5, u / width as f32 - 0.5);
                1.0 - 8.0 / 3.0 * (v * v + u * u)
            }
            // Lines of three pixels across everything.
            _ => {
                let away = |slope: f32, every: f32| (u + slope * v).rem_euclid(every) < 3.0;
                if away(0.3, 61.0) || away(-1.7, 97.0) { -1.0 } else { 1.0 }
            }
        }
    };
    Frame::new(Shape::new(1, height, width), (0..height * width).map(value).collect())
}
