//! An alarm for a wrong degradation or a wrong noise.
//!
//! The residual of a finished result says nothing of either: any `y` fits a surjective `A`. What
//! can give them away is the prior's last estimate before it is projected: how far its `A x0` was
//! from the measurement, its [`Misfit`]. It is held against what right degradations give on the
//! pictures of `tests/assets`; `docs/alarm.md` says what is found this way, and what is not.

use std::path::Path;

use crate::certificate::sha256;
use crate::degrade::{Degradation, Spec};
use crate::error::{Error, Result};
use crate::frame::{Rows, Shape};
use crate::prior::{self, Identity, Prior};
use crate::sampler::{Misfit, Mode, NoiseRule, Settings, defaults};

/// The model and the share of new noise that bounds hold for.
const MODEL: &str = "patch-s";
const ETA: f64 = 0.85;

/// Fewer measured values than this say too little.
const LEAST: u64 = 256;

/// [`fingerprint`] of the schedules and the model that the bounds were made with.
#[cfg(test)]
const MADE_WITH: &str = "0544083e71abd229";

/// Bounds of a correct run's misfit (root of the mean square): in code values where there is no
/// noise, and else relative to the noise.
struct Row {
    spec: &'static str,
    /// Declared noise in code values.
    noise: f64,
    faithful: [f64; 2],
    sample: [f64; 2],
}

const fn row(spec: &'static str, noise: f64, faithful: [f64; 2], sample: [f64; 2]) -> Row {
    Row { spec, noise, faithful, sample }
}

/// Made by `cargo bench --bench alarm -- calibrate`: least and greatest value over parts of
/// 128 x 128 pixels, and half of what lies between on both sides.
const ROWS: [Row; 18] = [
    row("none", 5.0, [0.561, 1.066], [0.930, 1.117]),
    row("none", 15.0, [0.833, 1.027], [0.935, 1.057]),
    row("none", 25.0, [0.873, 1.036], [0.932, 1.043]),
    row("none", 50.0, [0.904, 1.052], [0.914, 1.054]),
    row("bayer", 0.0, [0.472, 1.359], [1.083, 2.234]),
    row("bayer", 5.0, [0.476, 0.897], [0.878, 1.699]),
    row("bayer", 25.0, [0.668, 1.088], [0.759, 1.065]),
    row("sr:2", 0.0, [0.095, 2.900], [0.463, 1.140]),
    row("sr:2", 5.0, [0.695, 0.980], [0.897, 1.112]),
    row("sr:2", 25.0, [0.826, 1.017], [0.843, 0.995]),
    row("sr:4", 0.0, [0.188, 1.117], [0.359, 0.549]),
    row("sr:4", 5.0, [0.542, 0.831], [0.850, 1.129]),
    row("sr:4", 25.0, [0.748, 0.948], [0.677, 0.881]),
    row("sr:2:bicubic", 0.0, [0.290, 1.797], [0.382, 0.950]),
    row("sr:2:bicubic", 5.0, [0.668, 0.953], [0.863, 1.061]),
    row("blur:gauss:1.6", 0.29, [1.334, 2.422], [1.729, 2.249]),
    row("blur:gauss:1.6", 2.0, [0.954, 1.027], [0.976, 1.031]),
    row("blur:gauss:1.6", 5.0, [0.955, 0.994], [0.980, 1.017]),
];

/// What the misfit of a result says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is as a right degradation and noise give it. It may still be the wrong one.
    Usual,
    /// It is not.
    Alarm,
    /// Nobody knows what is usual for this degradation, noise, model and schedule.
    NotCalibrated,
}

impl Verdict {
    /// As certificates and lines name it.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Usual => "usual",
            Verdict::Alarm => "alarm",
            Verdict::NotCalibrated => "not calibrated",
        }
    }
}

/// A misfit and what it is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// Root of the mean square, in code values.
    pub rms: f64,
    /// Values that were counted.
    pub count: u64,
    /// What is usual, in code values.
    pub usual: Option<[f64; 2]>,
    pub verdict: Verdict,
}

/// What the bounds depend on besides the code, in short: the default schedules of all rows, and
/// the weights of the bundled model. Where it changes, bounds must be made anew.
///
/// # Errors
/// None that could be met: the operators and the model are in the program.
pub fn fingerprint() -> Result<String> {
    let mut text = prior::bundled()?.identity().sha256;
    let load = |path: &Path| -> Result<Box<dyn Rows>> {
        Err(Error::input(path, "no file", "one that is asked for"))
    };
    for Row { spec, noise, .. } in &ROWS {
        let spec = if *spec == "bayer" { "bayer:rggb" } else { spec };
        let a = Spec::parse(spec)?.build(Shape::new(3, 128, 128), &load)?;
        for faithful in [true, false] {
            text += &format!("{:?}", defaults(&a, noise / 127.5, faithful));
        }
    }
    Ok(sha256(text.as_bytes()).chars().take(16).collect())
}

/// Judges a result's misfit; `prior` is the model that it was made with.
pub fn judge(
    a: &dyn Degradation,
    settings: &Settings,
    prior: &Identity,
    misfit: Misfit,
) -> Finding {
    let rms = 127.5 * misfit.rms();
    let known = misfit.count >= LEAST && is_calibrated(a, settings, prior);
    let usual = if known { usual(a, settings) } else { None };
    let verdict = match usual {
        None => Verdict::NotCalibrated,
        Some([least, most]) if (least..=most).contains(&rms) => Verdict::Usual,
        Some(_) => Verdict::Alarm,
    };
    Finding { rms, count: misfit.count, usual, verdict }
}

/// Whether model and schedule are those that the bounds were made with.
fn is_calibrated(a: &dyn Degradation, settings: &Settings, prior: &Identity) -> bool {
    let usual = defaults(a, settings.sigma_y, settings.mode == Mode::Faithful);
    let near = |found: f64, expected: f64| (found / expected - 1.0).abs() < 0.01;
    let (Some(first), Some(last)) = (settings.levels.first(), settings.levels.last()) else {
        return false;
    };
    let mode = match settings.mode {
        Mode::Faithful => true,
        Mode::Sample { eta, rule, .. } => eta == ETA && rule == NoiseRule::Split,
    };
    mode && prior.name == MODEL
        && prior.arithmetic == "f32"
        && settings.camera.is_none()
        && settings.limits.is_none()
        && settings.levels.len() == usual.steps
        && near(first.sigma(), usual.start)
        && near(last.sigma(), usual.end)
        && settings.generative == usual.generative
        && settings.relaxation == usual.relaxation
        && settings.momentum == usual.momentum
}

/// The bounds for a degradation and its noise, in code values; between two noises that bounds are
/// known for they are those of both.
fn usual(a: &dyn Degradation, settings: &Settings) -> Option<[f64; 2]> {
    let spec = a.spec();
    let spec = match spec.strip_prefix("bayer:") {
        // All phases are alike.
        Some(phase) if !phase.contains('+') => "bayer",
        _ => &spec,
    };
    let noise = 127.5 * settings.sigma_y;
    let rows = || ROWS.iter().filter(|row| row.spec == spec);
    // Within a hundredth: 0.29 stands for what an 8-bit file rounds away.
    let below = rows().rfind(|row| row.noise <= 1.01 * noise)?;
    let above = rows().find(|row| row.noise >= 0.99 * noise)?;
    if (below.noise == 0.0) != (above.noise == 0.0) {
        // Without noise the misfit has another unit.
        return None;
    }
    let of = |row: &Row| if settings.mode == Mode::Faithful { row.faithful } else { row.sample };
    let unit = if noise > 0.0 { noise } else { 1.0 };
    let ([a, b], [c, d]) = (of(below), of(above));
    Some([unit * a.min(c), unit * b.max(d)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Diffusion;

    fn settings(spec: &str, noise: f64) -> (Box<dyn Degradation>, Settings) {
        let load = |_: &std::path::Path| unreachable!();
        let a = Spec::parse(spec).unwrap().build(Shape::new(3, 64, 64), &load).unwrap();
        let sigma_y = noise / 127.5;
        let d = defaults(&a, sigma_y, true);
        let levels = Diffusion::linear(1e-4, 0.02, 1000).unwrap();
        let levels = levels.geometric(d.start, d.end, d.steps);
        let settings = Settings::new(Mode::Faithful, sigma_y, levels).suit(&d);
        (a, settings)
    }

    fn verdict(a: &dyn Degradation, settings: &Settings, rms: f64) -> Verdict {
        let prior =
            Identity { name: MODEL.into(), arithmetic: "f32".into(), ..Identity::default() };
        let misfit = Misfit { squares: (rms / 127.5).powi(2) * 1000.0, count: 1000 };
        judge(a, settings, &prior, misfit).verdict
    }

    #[test]
    fn bounds_are_of_the_schedules_and_the_model_in_use() {
        let found = fingerprint().unwrap();
        assert_eq!(found, MADE_WITH, "make them anew: cargo bench --bench alarm -- calibrate");
    }

    #[test]
    fn bounds_are_in_code_values_or_relative_to_the_noise() {
        for (spec, noise, usual, strange) in [
            ("sr:2", 0.0, 1.6, 3.0),
            ("bayer:gbrg", 0.0, 1.2, 6.0),
            ("none", 25.0, 24.0, 14.0),
            // Between two noises.
            ("none", 20.0, 19.0, 11.0),
            ("blur:gauss:1.6", 0.289, 0.6, 1.0),
        ] {
            let (a, settings) = settings(spec, noise);
            assert_eq!(verdict(&a, &settings, usual), Verdict::Usual, "{spec} {noise}");
            assert_eq!(verdict(&a, &settings, strange), Verdict::Alarm, "{spec} {noise}");
            assert_eq!(verdict(&a, &settings, f64::NAN), Verdict::Alarm, "{spec} {noise}");
        }
    }

    #[test]
    fn what_was_not_calibrated_is_not_judged() {
        for (spec, noise) in
            [("sr:3", 0.0), ("none", 60.0), ("none", 2.0), ("sr:2", 1.0), ("bayer:rggb+sr:2", 0.0)]
        {
            let (a, settings) = settings(spec, noise);
            assert_eq!(verdict(&a, &settings, 99.0), Verdict::NotCalibrated, "{spec} {noise}");
        }
        let (a, mut settings) = settings("sr:2", 0.0);
        assert_eq!(verdict(&a, &settings, 99.0), Verdict::Alarm);
        settings.levels.pop();
        assert_eq!(verdict(&a, &settings, 99.0), Verdict::NotCalibrated);
    }
}
