//! What the commands have in common: from strings to operators, settings and files.

use std::path::Path;

use crate::degrade::{Degradation, Spec};
use crate::error::{Error, Result};
use crate::frame::{Frame, Shape};
use crate::io::{MAX_PIXELS, MAX_SIDE};
use crate::prior::Prior;
use crate::sampler::{Mode, NoiseRule, Settings, defaults};

/// Reads the picture of a mask.
pub fn load_mask(path: &Path) -> Result<Frame> {
    crate::io::read(path)
}

/// The operator that the measurement `file` comes from; `size` is what the user said of the
/// scene, which goes before what the file says.
pub fn operator(spec: &str, file: &Frame, size: Option<&str>) -> Result<Box<dyn Degradation>> {
    let spec = Spec::parse(spec)?;
    let scene = match size {
        Some(size) => {
            let (width, height) = parse_size(size)?;
            Shape::new(file.shape.channels, height, width)
        }
        None => spec.scene_of(file.shape, &load_mask)?,
    };
    if scene.width.max(scene.height) > MAX_SIDE || scene.plane() > MAX_PIXELS {
        let expected = format!("sides up to {MAX_SIDE} and at most {MAX_PIXELS} pixels");
        return Err(Error::shape(&format!("scene of `{spec}`"), expected, scene));
    }
    let said = size.map(parse_size).transpose()?;
    // A file's own record belongs to the degradation that made it; where another one is asked
    // for, only the measurement itself counts.
    if let (Some((width, height)), None) = (file.origin.scene, said) {
        match spec.build_for(file.shape, Some((width, height)), &load_mask) {
            Err(Error::Shape { .. }) => {
                log::warn!(
                    "the file records a scene of {width}x{height}, which does not fit `{spec}`"
                );
            }
            done => return done,
        }
    }
    let a = spec.build_for(file.shape, said, &load_mask)?;
    if said.is_none() && spec.loses_size() {
        let Shape { width, height, .. } = a.scene();
        log::warn!("assuming a scene of {width}x{height}; say --size if it was smaller");
    }
    Ok(a)
}

/// `WIDTHxHEIGHT`.
pub fn parse_size(text: &str) -> Result<(usize, usize)> {
    let pair = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    match pair {
        Some((w, h)) if (1..=MAX_SIDE).contains(&w) && (1..=MAX_SIDE).contains(&h) => Ok((w, h)),
        _ => {
            let why = format!("size: expected WIDTHxHEIGHT, as in 640x480, found {text}");
            Err(Error::Usage(why))
        }
    }
}

/// Bits per sample: what was asked for, or what the input has.
pub fn depth(asked: Option<u8>, input: &Frame) -> Result<u8> {
    match asked {
        None => Ok(if input.origin.bit_depth == 16 { 16 } else { 8 }),
        Some(bits @ (8 | 16)) => Ok(bits),
        Some(other) => Err(Error::Usage(format!("depth: expected 8 or 16, found {other}"))),
    }
}

/// Noise in code values, checked, in units of `[-1, 1]`.
pub fn sigma(code_values: f64, what: &str) -> Result<f64> {
    if (0.0..=25500.0).contains(&code_values) {
        return Ok(code_values / 127.5);
    }
    Err(Error::Usage(format!("{what}: expected 0 to 25500 code values, found {code_values}")))
}

/// The part of the arguments that decides the schedule.
pub struct Schedule<'a> {
    pub mode: &'a str,
    pub rule: &'a str,
    pub eta: f64,
    pub seed: u64,
    pub noise: f64,
    pub steps: Option<usize>,
    pub start: Option<f64>,
    pub end: Option<f64>,
    pub generative: Option<f32>,
    pub threads: usize,
    /// Bits per sample of the measurement's file; 0 for floats.
    pub bits: u8,
}

/// Standard deviation of the rounding to 8 bits, in units of `[-1, 1]`: `2 / 255 / sqrt(12)`.
const ROUNDING: f64 = 0.002_264;

impl Schedule<'_> {
    /// Complete settings: what was said, and defaults for the degradation for the rest.
    pub fn settings(&self, a: &dyn Degradation, prior: &dyn Prior) -> Result<Settings> {
        let usage = |why: String| Err(Error::Usage(why));
        let mut sigma_y = sigma(self.noise, "noise")?;
        if self.bits == 8 && a.truncation() > 0.0 {
            // An ill-conditioned operator's inverse would multiply the rounding of the file.
            sigma_y = sigma_y.max(ROUNDING);
        }
        let rule = match self.rule {
            "split" => NoiseRule::Split,
            "ddim" => NoiseRule::Ddim,
            other => return usage(format!("rule: expected split or ddim, found {other}")),
        };
        if !(0.0..=1.0).contains(&self.eta) {
            return usage(format!("eta: expected 0 to 1, found {}", self.eta));
        }
        let mode = match self.mode {
            "faithful" => Mode::Faithful,
            "sample" => Mode::Sample { eta: self.eta, rule, seed: self.seed },
            other => return usage(format!("mode: expected faithful or sample, found {other}")),
        };
        let default = defaults(a, sigma_y, mode == Mode::Faithful);
        let steps = self.steps.unwrap_or(default.steps);
        if !(1..=1000).contains(&steps) {
            return usage(format!("steps: expected 1 to 1000, found {steps}"));
        }
        let given = |v: Option<f64>, what| v.map(|v| sigma(v, what)).transpose();
        let start = given(self.start, "start")?.unwrap_or(default.start);
        let end = given(self.end, "end")?.unwrap_or(default.end.min(start));
        if !(end > 0.0 && end <= start) {
            let (start, end) = (start * 127.5, end * 127.5);
            let why =
                format!("noise levels: expected 0 < end <= start, found start {start}, end {end}");
            return usage(why);
        }
        let generative = self.generative.unwrap_or(default.generative);
        if !(0.0..=1.0).contains(&generative) {
            return usage(format!("generative: expected 0 to 1, found {generative}"));
        }
        let threads = match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n.min(1024),
        };
        let levels = prior.diffusion().geometric(start, end, steps);
        Ok(Settings { mode, sigma_y, levels, generative, frame: 0, threads, band: None })
    }
}
