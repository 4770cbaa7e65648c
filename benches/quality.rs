//! Restoration quality on the pictures of `tests/assets`: `cargo bench --bench quality`.
//!
//! Prints one table, PSNR in dB over the whole picture, measurement in float. Every task stands
//! beside its classical estimates and, for noise, beside one evaluation of the prior. With
//! `-- sweep TASK START,END,STEPS,GENERATIVE,RELAXATION,MOMENTUM ...` (sigma in `[-1, 1]` units) it tries other schedules.
//! `-- model FILE` uses another prior, `-- only TASK` one task.

use std::ops::ControlFlow;
use std::path::Path;

use ddnm::classical::{bicubic, demosaic, fill};
use ddnm::degrade::{self, Degradation, Spec};
use ddnm::frame::{Frame, Region, Rows, Shape};
use ddnm::prior::{self, Model, Prior};
use ddnm::sampler::{self, Defaults, Mode, NoiseRule, Settings, defaults};
use ddnm::schedule::Level;
use ddnm::{io, metrics};

const PICTURES: [&str; 3] = ["astronaut", "coffee", "chelsea"];

/// A task: its name, its degradation, its noise in code values.
const TASKS: [(&str, &str, f64); 15] = [
    ("bayer", "bayer:rggb", 0.0),
    ("missing", "mask:half", 0.0),
    ("noise15", "none", 15.0),
    ("noise25", "none", 25.0),
    ("noise50", "none", 50.0),
    ("sr2", "sr:2", 0.0),
    ("sr4", "sr:4", 0.0),
    ("old", "gray+mask:half+sr:2", 0.0),
    ("cubic2", "sr:2:bicubic", 0.0),
    ("cubic4", "sr:4:bicubic", 0.0),
    // What the rounding of an 8-bit file amounts to.
    ("blur0", "blur:gauss:1.6", 0.29),
    ("blur2", "blur:gauss:1.6", 2.0),
    ("blur5", "blur:gauss:1.6", 5.0),
    ("motion2", "blur:motion", 2.0),
    ("hadamard", "hadamard:0.25", 0.0),
];

const DRAW: Mode = Mode::Sample { eta: 0.85, rule: NoiseRule::Split, seed: 0 };

fn main() {
    if let Err(e) = run() {
        eprintln!("quality: {e}");
        std::process::exit(e.exit_code());
    }
}

fn run() -> ddnm::Result<()> {
    // `cargo bench` passes flags of its own.
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let after = |word: &str| args.iter().position(|a| a == word).and_then(|i| args.get(i + 1));
    let prior = prior::find(after("model").map(String::as_str))?;
    let pictures: Vec<Frame> = PICTURES
        .iter()
        .map(|name| io::read(Path::new(&format!("tests/assets/{name}.png"))))
        .collect::<ddnm::Result<_>>()?;
    if let Some(i) = args.iter().position(|a| a == "sweep") {
        let task = TASKS.iter().find(|t| Some(&t.0.to_string()) == args.get(i + 1));
        let (_, spec, noise) = *task.unwrap_or(&TASKS[0]);
        for schedule in args.iter().skip(i + 2) {
            let v: Vec<f64> = schedule.split(',').filter_map(|v| v.parse().ok()).collect();
            let [start, end, steps, generative, relaxation, momentum] = v[..] else { continue };
            let (steps, generative, momentum) =
                (steps as usize, generative as f32, momentum as f32);
            let d = Defaults { steps, start, end, generative, relaxation, momentum };
            let label = format!("{d:?}");
            row(&label, &pictures, |x| {
                let case = Case::new(spec, noise, x)?;
                let levels = prior.diffusion().geometric(start, end, steps);
                case.restore(&prior, Mode::Faithful, levels, &d)
            })?;
        }
        return Ok(());
    }
    println!("| task | estimate | {} | mean |", PICTURES.join(" | "));
    println!("|---|---|{}---|", "---|".repeat(PICTURES.len()));
    for (task, spec, noise) in TASKS {
        if after("only").is_none_or(|only| only == task) {
            print_task(task, spec, noise, &prior, &pictures)?;
        }
    }
    Ok(())
}

fn print_task(
    task: &str,
    spec: &str,
    noise: f64,
    prior: &Model,
    pictures: &[Frame],
) -> ddnm::Result<()> {
    let row = |label: &str, f: &dyn Fn(&Case, &Frame) -> ddnm::Result<Frame>| {
        row(&format!("{task} | {label}"), pictures, |x| f(&Case::new(spec, noise, x)?, x))
    };
    match task {
        "bayer" => {
            let rggb = demosaic::Bayer::Rggb;
            type Method = fn(&[f32], usize, usize, demosaic::Bayer) -> Vec<f32>;
            let methods: [(&str, Method); 3] = [
                ("bilinear", demosaic::bilinear),
                ("Malvar", demosaic::malvar),
                ("Menon", demosaic::menon),
            ];
            for (label, method) in methods {
                row(label, &|case, x| {
                    let Shape { height, width, .. } = x.shape;
                    Frame::new(x.shape, method(&case.y.data, height, width, rggb))
                })?;
            }
        }
        "missing" => {
            for window in [3, 5, 7] {
                row(&format!("local mean {window}x{window}"), &|case, x| {
                    let mut known = vec![0.0; case.y.data.len()];
                    case.a.singular_values(Region::whole(x.shape), &mut known);
                    let mut v = case.y.data.clone();
                    fill::local_mean(&mut v, &known, x.shape, window);
                    Frame::new(x.shape, v)
                })?;
            }
        }
        "sr2" | "sr4" => {
            row("bicubic", &|case, x| {
                let Shape { height, width, .. } = x.shape;
                let factor = if task == "sr2" { 2 } else { 4 };
                Frame::new(
                    x.shape,
                    bicubic::upsample(&case.y.data, case.y.shape, height, width, factor),
                )
            })?;
        }
        _ => {}
    }
    if noise > 0.0 && spec != "blur:motion" {
        row("measurement", &|case, x| Frame::new(x.shape, case.y.data.clone()))?;
    }
    if spec != "none" {
        row("classical start", &|case, x| {
            Frame::new(x.shape, case.a.start(&case.y.data, case.sigma_y))
        })?;
    } else {
        row("one evaluation", &|case, _| {
            // The whole weight on the prior: an infinitely noisy measurement.
            let level = prior.diffusion().at_sigma(noise / 127.5);
            let d = defaults(&case.a, case.sigma_y, true);
            let blind = Case { sigma_y: 1e6, ..Case::new(spec, noise, case.x)? };
            blind.restore(prior, Mode::Faithful, vec![level], &d)
        })?;
    }
    for (label, mode) in [("faithful", Mode::Faithful), ("sample", DRAW)] {
        row(&format!("**{label}**"), &|case, _| {
            let d = defaults(&case.a, case.sigma_y, mode == Mode::Faithful);
            let levels = prior.diffusion().geometric(d.start, d.end, d.steps);
            case.restore(prior, mode, levels, &d)
        })?;
    }
    Ok(())
}

/// Prints one row: the PSNR of an estimate on every picture.
fn row(
    label: &str,
    pictures: &[Frame],
    estimate: impl Fn(&Frame) -> ddnm::Result<Frame>,
) -> ddnm::Result<()> {
    let mut values = Vec::new();
    for x in pictures {
        let mut found = estimate(x)?;
        found.data.iter_mut().for_each(|v| *v = v.clamp(-1.0, 1.0));
        values.push(metrics::psnr(&found, x)?);
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let cells: Vec<String> = values.iter().map(|v| format!("{v:.2}")).collect();
    println!("| {label} | {} | {mean:.2} |", cells.join(" | "));
    Ok(())
}

/// The point spread function of a camera that moves: a line of 11 x 7 pixels, two wide.
fn motion() -> ddnm::Result<Frame> {
    let (width, height) = (11, 7);
    let value = |i: usize| {
        let (y, x) = ((i / width) as f32, (i % width) as f32);
        let distance = (y - x * (height - 1) as f32 / (width - 1) as f32).abs();
        2.0 * (1.0 - 0.8 * distance).max(0.0) - 1.0
    };
    Frame::new(Shape::new(1, height, width), (0..width * height).map(value).collect())
}

/// One task on one picture.
struct Case<'a> {
    x: &'a Frame,
    a: Box<dyn Degradation>,
    y: Frame,
    sigma_y: f64,
}

impl Case<'_> {
    fn new<'a>(spec: &str, noise: f64, x: &'a Frame) -> ddnm::Result<Case<'a>> {
        let half = |path: &Path| -> ddnm::Result<Box<dyn Rows>> {
            if path == Path::new("motion") {
                return Ok(motion()?.into());
            }
            // Each pixel is missing with probability one half, all channels together.
            let shape = Shape { channels: 1, ..x.shape };
            let field = ddnm::noise::NoiseField { seed: 1, frame: 0, draw: 9 };
            let value = |i: usize| field.at(0, i / shape.width, i % shape.width).signum();
            Ok(Frame::new(shape, (0..shape.len()).map(value).collect())?.into())
        };
        let a = Spec::parse(spec)?.build(x.shape, &half)?;
        let sigma_y = noise / 127.5;
        let y = Frame::new(a.measurement(), degrade::measure(&a, x, sigma_y, 0))?;
        Ok(Case { x, a, y, sigma_y })
    }

    fn restore(
        &self,
        prior: &Model,
        mode: Mode,
        levels: Vec<Level>,
        d: &Defaults,
    ) -> ddnm::Result<Frame> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let settings = Settings { threads, ..Settings::new(mode, self.sigma_y, levels).suit(d) };
        sampler::restore(&self.a, &self.y, prior, &settings, &mut |_| ControlFlow::Continue(()))
    }
}
