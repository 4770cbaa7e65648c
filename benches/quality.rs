//! Restoration quality on the pictures of `tests/assets`: `cargo bench --bench quality`.
//!
//! Prints one table, PSNR in dB over the whole picture, measurement in float. Every task stands
//! beside its classical estimates and, for noise, beside one evaluation of the prior. With
//! `-- sweep SPEC NOISE START,END,STEPS,GENERATIVE,RELAXATION,MOMENTUM ...` (sigma in `[-1, 1]`
//! units) it tries other schedules. `-- model FILE` uses another prior, `-- only TASK` one task.

mod common;

use common::{Case, DRAW};
use ddnm::classical::{bicubic, demosaic, fill};
use ddnm::degrade::Degradation;
use ddnm::frame::{Frame, Region, Shape};
use ddnm::metrics;
use ddnm::prior::{self, Model, Prior};
use ddnm::sampler::{Defaults, Mode, defaults};

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
    let pictures = common::pictures()?;
    if let Some(i) = args.iter().position(|a| a == "sweep") {
        let [spec, noise, schedules @ ..] = &args[i + 1..] else { return Ok(()) };
        let noise = noise.parse().unwrap_or(0.0);
        for schedule in schedules {
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
    println!("| task | estimate | {} | mean |", common::NAMES.join(" | "));
    println!("|---|---|{}---|", "---|".repeat(common::NAMES.len()));
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
