//! What it gains to read code values as intervals: `cargo bench --bench intervals`.
//!
//! The pictures of `tests/assets`, at 1.3 times their exposure: what is above white is cut off, and
//! the rest rounded to 8 bits. The exposure is known to the operator (a gain of 1.3), so that
//! highlights could come back. One table: PSNR in dB over the whole picture, and over what was
//! measured as white, with values taken as exact, with rounding left open, with saturated values
//! left open, and with both.

use std::ops::ControlFlow;
use std::path::Path;

use ddnm::degrade::{self, Degradation, Limits, Spec};
use ddnm::frame::{Frame, Region, Rows, Shape, from_code, to_code};
use ddnm::prior::{self, Model, Prior};
use ddnm::sampler::{self, Mode, NoiseRule, Settings, defaults};
use ddnm::{io, metrics};

const PICTURES: [&str; 3] = ["astronaut", "coffee", "chelsea"];
const EXPOSURE: f32 = 1.3;

/// Degradations behind the exposure, and noise in code values.
const TASKS: [(&str, f64); 10] = [
    ("bayer:rggb", 0.0),
    ("sr:2", 0.0),
    ("sr:4", 0.0),
    ("sr:2:bicubic", 0.0),
    ("none", 5.0),
    ("bayer:rggb", 5.0),
    ("sr:2", 5.0),
    ("sr:2:bicubic", 5.0),
    ("blur:gauss:1.6", 2.0),
    ("blur:gauss:1.6", 5.0),
];

const DRAW: Mode = Mode::Sample { eta: 0.85, rule: NoiseRule::Split, seed: 0 };

/// How measured values are read: half a code left open, the ends of the range left open.
const READINGS: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];

fn main() {
    if let Err(e) = run() {
        eprintln!("intervals: {e}");
        std::process::exit(e.exit_code());
    }
}

fn run() -> ddnm::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let only = args.iter().position(|a| a == "only").and_then(|i| args.get(i + 1));
    let prior = prior::bundled()?;
    println!("| degradation | noise | mode | white | exact | rounding open | white open | both |");
    println!("|---|---|---|---|---|---|---|---|");
    for (spec, noise) in TASKS.into_iter().filter(|t| only.is_none_or(|only| only == t.0)) {
        for mode in [Mode::Faithful, DRAW] {
            row(spec, noise, mode, &prior)?;
        }
    }
    Ok(())
}

fn row(spec: &str, noise: f64, mode: Mode, prior: &Model) -> ddnm::Result<()> {
    let (mut scores, mut white) = ([[0.0; 2]; READINGS.len()], 0.0);
    for name in PICTURES {
        let x = io::read(Path::new(&format!("tests/assets/{name}.png")))?;
        let shape = Shape { channels: 1, ..x.shape };
        let exposure = |_: &Path| -> ddnm::Result<Box<dyn Rows>> {
            Ok(Frame::filled(shape, 2.0 * EXPOSURE - 1.0).into())
        };
        let a = Spec::parse(&format!("gain:exposure+{spec}"))?.build(x.shape, &exposure)?;
        let sigma_y = noise / 127.5;
        // As a file holds it: cut off, and rounded.
        let mut file = degrade::to_file(&a, &degrade::measure(&a, &x, sigma_y, 0))?;
        file.data.iter_mut().for_each(|v| *v = from_code(to_code(*v, 8), 8));
        let saturated = reach(&a, &file);
        white += saturated.iter().filter(|s| **s).count() as f64 / x.data.len() as f64;
        let y = degrade::measurement(&a, &file)?;
        for (score, (rounding, ends)) in scores.iter_mut().zip(READINGS) {
            let end = if ends { 1.0 } else { f32::MAX };
            let half = if rounding { 1.0 / 255.0 } else { 0.0 };
            let limits = (rounding || ends).then_some(Limits { half, black: -end, white: end });
            let found = restore(&a, &y, mode, sigma_y, limits, prior)?;
            let (mut error, mut count) = (0.0, 0.0);
            for ((f, x), _) in found.data.iter().zip(&x.data).zip(&saturated).filter(|(_, s)| **s) {
                error += f64::from(f - x).powi(2);
                count += 1.0;
            }
            score[0] += metrics::psnr(&found, &x)?;
            score[1] += 10.0 * (4.0 * f64::max(count, 1.0) / error).log10();
        }
    }
    let count = PICTURES.len() as f64;
    let cells = scores.map(|[all, lost]| format!("{:.2} / {:.2}", all / count, lost / count));
    let mode = if mode == Mode::Faithful { "faithful" } else { "sample" };
    println!(
        "| `{spec}` | {noise} | {mode} | {:.1} % | {} |",
        100.0 * white / count,
        cells.join(" | ")
    );
    Ok(())
}

/// The values of the scene that enter a measured value which is white.
fn reach(a: &dyn Degradation, file: &Frame) -> Vec<bool> {
    let white: Vec<f32> = file.data.iter().map(|v| f32::from(u8::from(*v >= 1.0))).collect();
    let mut scene = vec![0.0; a.scene().len()];
    a.adjoint(Region::whole(a.scene()), &white, &mut scene);
    scene.iter().map(|v| *v > 0.0).collect()
}

fn restore(
    a: &dyn Degradation,
    y: &Frame,
    mode: Mode,
    sigma_y: f64,
    limits: Option<Limits>,
    prior: &Model,
) -> ddnm::Result<Frame> {
    let d = defaults(a, sigma_y, mode == Mode::Faithful);
    let settings = Settings {
        limits,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        ..Settings::new(mode, sigma_y, prior.diffusion().geometric(d.start, d.end, d.steps))
            .suit(&d)
    };
    sampler::restore(a, y, prior, &settings, &mut |_| ControlFlow::Continue(()))
}
