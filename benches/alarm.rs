//! What the alarm for a wrong degradation or noise finds: `cargo bench --bench alarm`.
//!
//! Every part of 128 x 128 pixels of the pictures of `tests/assets` is measured, rounded to 8 bits
//! and restored; `docs/alarm.md` holds the table. For each task the share of alarms where all is as
//! declared: by the bounds of `src/alarm.rs`, which these very parts made, and by bounds from the
//! other pictures alone. Then the share of alarms where something is not as declared. `-- calibrate`
//! prints the bounds instead, `-- only TASK` makes the rows of one task.

use std::ops::ControlFlow;
use std::path::Path;

use ddnm::alarm::{self, Verdict};
use ddnm::degrade::{self, Degradation, Spec};
use ddnm::frame::{Frame, FrameRows, Region, Shape, crop, from_code, to_code};
use ddnm::io;
use ddnm::prior::{self, Model, Prior};
use ddnm::sampler::{self, Misfit, Mode, NoiseRule, Settings, defaults};

const PICTURES: [&str; 3] = ["astronaut", "coffee", "chelsea"];
const SIDE: usize = 128;

/// Degradations and noises in code values; 0.29 is what an 8-bit file rounds away.
const TASKS: [(&str, &[f64]); 6] = [
    ("none", &[5.0, 15.0, 25.0, 50.0]),
    ("bayer:rggb", &[0.0, 5.0, 25.0]),
    ("sr:2", &[0.0, 5.0, 25.0]),
    ("sr:4", &[0.0, 5.0, 25.0]),
    ("sr:2:bicubic", &[0.0, 5.0]),
    ("blur:gauss:1.6", &[0.29, 2.0, 5.0]),
];

const MODES: [(&str, Mode); 2] = [
    ("faithful", Mode::Faithful),
    ("sample", Mode::Sample { eta: 0.85, rule: NoiseRule::Split, seed: 0 }),
];

/// What really happened, other than what was declared.
struct Mismatch {
    name: String,
    /// The blur in front, in pixels.
    blur: Option<f64>,
    spec: String,
    noise: f64,
}

fn main() {
    if let Err(e) = run() {
        eprintln!("alarm: {e}");
        std::process::exit(e.exit_code());
    }
}

fn run() -> ddnm::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let calibrate = args.iter().any(|a| a == "calibrate");
    let only = args.iter().position(|a| a == "only").and_then(|i| args.get(i + 1));
    let prior = prior::bundled()?;
    let pictures: Vec<Vec<Frame>> =
        PICTURES.iter().map(|name| parts(name)).collect::<Result<_, _>>()?;
    if calibrate {
        println!("MADE_WITH {:?}", alarm::fingerprint()?);
    } else {
        println!(
            "| degradation | noise | mode | as declared | by other pictures | not as declared |"
        );
        println!("|---|---|---|---|---|---|");
    }
    for (spec, noises) in TASKS.iter().filter(|t| only.is_none_or(|only| only == t.0)) {
        for noise in *noises {
            let mut bounds = Vec::new();
            for (name, mode) in MODES {
                let task = Task { spec, noise: *noise, mode, prior: &prior };
                let right: Vec<Vec<Seen>> =
                    pictures.iter().map(|parts| task.all(parts, None)).collect::<Result<_, _>>()?;
                bounds.push(usual(right.iter().flatten()));
                if !calibrate {
                    row(&task, name, &right, &pictures)?;
                }
            }
            if calibrate {
                let unit = if *noise > 0.0 { *noise } else { 1.0 };
                let pair = |[a, b]: [f64; 2]| format!("[{:.3}, {:.3}]", a / unit, b / unit);
                let spec = if spec.starts_with("bayer") { "bayer" } else { spec };
                println!("    row({spec:?}, {noise:?}, {}, {}),", pair(bounds[0]), pair(bounds[1]));
            }
        }
    }
    Ok(())
}

/// A picture in parts, those that are whole.
fn parts(name: &str) -> ddnm::Result<Vec<Frame>> {
    let x = io::read(Path::new(&format!("tests/assets/{name}.png")))?;
    let mut parts = Vec::new();
    for y in (0..=x.shape.height - SIDE).step_by(SIDE) {
        for left in (0..=x.shape.width - SIDE).step_by(SIDE) {
            let region = Region { y, x: left, height: SIDE, width: SIDE };
            let shape = Shape::new(x.shape.channels, SIDE, SIDE);
            let mut data = vec![0.0; shape.len()];
            crop(&x.data, x.shape, region, &mut data);
            parts.push(Frame::new(shape, data)?);
        }
    }
    Ok(parts)
}

/// The bounds that these make: least and greatest, and half of what lies between on both sides.
fn usual<'a>(seen: impl Iterator<Item = &'a Seen>) -> [f64; 2] {
    let (mut least, mut most) = (f64::MAX, 0.0f64);
    for Seen { rms, .. } in seen {
        (least, most) = (least.min(*rms), most.max(*rms));
    }
    let margin = (most - least) / 2.0;
    [least - margin, most + margin]
}

fn row(task: &Task, mode: &str, right: &[Vec<Seen>], pictures: &[Vec<Frame>]) -> ddnm::Result<()> {
    let share = |alarms: usize, of: usize| format!("{:.0} %", 100.0 * alarms as f64 / of as f64);
    let rate = |seen: &[Seen]| share(seen.iter().filter(|s| s.alarm).count(), seen.len());
    let all: Vec<Seen> = right.iter().flatten().copied().collect();
    // Each picture by bounds that it had no part in.
    let mut strange = 0;
    for (i, own) in right.iter().enumerate() {
        let others = right.iter().enumerate().filter(|(j, _)| *j != i).flat_map(|(_, seen)| seen);
        let [least, most] = usual(others);
        strange += own.iter().filter(|s| s.rms < least || s.rms > most).count();
    }
    let mut found = Vec::new();
    for mismatch in mismatches(task.spec, task.noise) {
        let mut seen = Vec::new();
        for parts in pictures {
            seen.extend(task.all(parts, Some(&mismatch))?);
        }
        found.push(format!("{} {}", mismatch.name, rate(&seen)));
    }
    let (spec, noise) = (task.spec, task.noise);
    let strange = share(strange, all.len());
    println!("| `{spec}` | {noise} | {mode} | {} | {strange} | {} |", rate(&all), found.join(", "));
    Ok(())
}

fn mismatches(spec: &str, noise: f64) -> Vec<Mismatch> {
    let same = |name: &str| Mismatch { name: name.into(), blur: None, spec: spec.into(), noise };
    let mut all = Vec::new();
    if noise > 0.3 {
        all.push(Mismatch { noise: 2.0 * noise, ..same("noise declared at half") });
        all.push(Mismatch { noise: 0.5 * noise, ..same("at twice its strength") });
    } else {
        all.extend([2.0, 5.0].map(|n| Mismatch { noise: n, ..same(&format!("noise of {n}")) }));
    }
    if spec.starts_with("sr") {
        let blurs = [0.8, 1.6, 2.4];
        all.extend(blurs.map(|s| Mismatch { blur: Some(s), ..same(&format!("blurred by {s}")) }));
        let other = match spec.strip_suffix(":bicubic") {
            Some(mean) => mean.into(),
            None => format!("{spec}:bicubic"),
        };
        all.push(Mismatch { spec: other.clone(), ..same(&format!("`{other}`")) });
    }
    let relatives: &[&str] = match spec {
        "bayer:rggb" => &["bayer:bggr", "bayer:grbg", "bayer:gbrg"],
        "blur:gauss:1.6" => &["blur:gauss:1.2", "blur:gauss:2.2"],
        _ => &[],
    };
    all.extend(relatives.iter().map(|s| Mismatch { spec: (*s).into(), ..same(&format!("`{s}`")) }));
    all
}

/// What came out of a restoration.
#[derive(Clone, Copy)]
struct Seen {
    rms: f64,
    alarm: bool,
}

/// What is declared.
struct Task<'a> {
    spec: &'a str,
    noise: f64,
    mode: Mode,
    prior: &'a Model,
}

impl Task<'_> {
    /// Restores all parts, of what was measured as declared or else as `really`.
    fn all(&self, parts: &[Frame], really: Option<&Mismatch>) -> ddnm::Result<Vec<Seen>> {
        parts.iter().map(|x| self.one(x, really)).collect()
    }

    fn one(&self, x: &Frame, really: Option<&Mismatch>) -> ddnm::Result<Seen> {
        let build = |spec: &str| Spec::parse(spec)?.build(x.shape, &|name| io::rows(name));
        let a = build(self.spec)?;
        let blurred = match really.and_then(|m| m.blur) {
            Some(sigma) => {
                let blur = build(&format!("blur:gauss:{sigma}"))?;
                &Frame::new(x.shape, degrade::measure(&blur, x, 0.0, 0))?
            }
            None => x,
        };
        let (did, noise) = match really {
            Some(m) => (build(&m.spec)?, m.noise),
            None => (build(self.spec)?, self.noise),
        };
        let mut file = degrade::to_file(&did, &degrade::measure(&did, blurred, noise / 127.5, 0))?;
        file.data.iter_mut().for_each(|v| *v = from_code(to_code(*v, 8), 8));
        self.restore(&a, &degrade::measurement(&a, &file)?)
    }

    fn restore(&self, a: &dyn Degradation, y: &Frame) -> ddnm::Result<Seen> {
        let sigma_y = self.noise / 127.5;
        let d = defaults(a, sigma_y, self.mode == Mode::Faithful);
        let settings = Settings {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            ..Settings::new(
                self.mode,
                sigma_y,
                self.prior.diffusion().geometric(d.start, d.end, d.steps),
            )
            .suit(&d)
        };
        let mut misfit = Misfit::default();
        let mut done = |part: sampler::Finished| {
            misfit.add(part.misfit);
            Ok(())
        };
        let go = &mut |_| ControlFlow::Continue(());
        sampler::restore_rows(a, &mut FrameRows::new(y), self.prior, &settings, &mut done, go)?;
        let finding = alarm::judge(a, &settings, &self.prior.identity(), misfit);
        Ok(Seen { rms: finding.rms, alarm: finding.verdict == Verdict::Alarm })
    }
}
