//! What the commands have in common: from strings to operators, settings and files.

use std::path::Path;

use crate::boards::{Board, Machine, MemoryLimit};
use crate::degrade::{CameraNoise, Degradation, Limits, Spec, estimate};
use crate::error::{Error, Result};
use crate::frame::{Origin, Rows, Shape};
use crate::io::{MAX_PIXELS, MAX_SIDE, Picture};
use crate::prior::{self, Model, Prior};
use crate::sampler::{Mode, NoiseRule, Settings, defaults};
use crate::schedule;

/// Opens the picture of a mask.
pub fn load_mask(path: &Path) -> Result<Box<dyn Rows>> {
    crate::io::rows(path)
}

/// The operator that a measurement of this size comes from; `size` is what the user said of the
/// scene, which goes before what the file recorded of it.
pub fn operator(
    spec: &str,
    measured: Shape,
    recorded: Option<(usize, usize)>,
    size: Option<&str>,
) -> Result<Box<dyn Degradation>> {
    let spec = Spec::parse(spec)?;
    let scene = match size {
        Some(size) => {
            let (width, height) = parse_size(size)?;
            Shape::new(measured.channels, height, width)
        }
        None => spec.scene_of(measured, &load_mask)?,
    };
    if scene.width.max(scene.height) > MAX_SIDE || scene.plane() > MAX_PIXELS {
        let expected = format!("sides up to {MAX_SIDE} and at most {MAX_PIXELS} pixels");
        return Err(Error::shape(&format!("scene of `{spec}`"), expected, scene));
    }
    let said = size.map(parse_size).transpose()?;
    // A file's own record belongs to the degradation that made it; where another one is asked
    // for, only the measurement itself counts.
    if let (Some((width, height)), None) = (recorded, said) {
        match spec.build_for(measured, Some((width, height)), &load_mask) {
            Err(Error::Shape { .. }) => {
                log::warn!(
                    "the file records a scene of {width}x{height}, which does not fit `{spec}`"
                );
            }
            done => return done,
        }
    }
    let a = spec.build_for(measured, said, &load_mask)?;
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
            let expected = format!("WIDTHxHEIGHT, as in 640x480, sides up to {MAX_SIDE}");
            Err(Error::Usage(format!("size: expected {expected}, found {text}")))
        }
    }
}

/// The model that was asked for, or the one that suits the board.
pub fn model(asked: Option<&str>, board: Option<&Board>) -> Result<Model> {
    prior::find(asked.map(str::to_owned).or_else(|| usual_model(board)).as_deref())
}

/// The model that suits the board, with the weights that suit it if a file has them.
pub fn usual_model(board: Option<&Board>) -> Option<String> {
    let names = board?.defaults.models();
    let there = names.iter().find(|name| prior::named(name).is_some());
    there.or(names.last()).cloned()
}

/// The most threads to use: as many as asked for; of what the machine grants (or of the board's
/// usual number) all for 0, and all but so many for less.
pub fn threads(asked: isize, machine: &Machine, board: Option<&Board>) -> usize {
    let granted = board.map_or_else(|| machine.threads(), |board| board.defaults.threads);
    match asked {
        1.. => asked.unsigned_abs().min(1024),
        _ => granted.saturating_sub(asked.unsigned_abs()).max(1),
    }
}

/// The most memory to use: what was asked for, and never more than there is.
pub fn memory(asked: Option<&str>, machine: &Machine) -> Result<Vec<MemoryLimit>> {
    let asked = bytes(asked)?.map(MemoryLimit::of);
    Ok(asked.into_iter().chain(machine.memory_left()).collect())
}

/// An amount of memory: bytes, or with K, M or G (powers of 1024).
pub fn bytes(asked: Option<&str>) -> Result<Option<u64>> {
    asked.map(parse_bytes).transpose()
}

fn parse_bytes(text: &str) -> Result<u64> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'K' | 'k')) => (&text[..at], 1u64 << 10),
        Some((at, 'M' | 'm')) => (&text[..at], 1 << 20),
        Some((at, 'G' | 'g')) => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    match digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)) {
        Some(bytes) if bytes > 0 => Ok(bytes),
        _ => {
            let why = format!("max-memory: expected bytes, as in 64M, found {text}");
            Err(Error::Usage(why))
        }
    }
}

/// Bits per sample: what was asked for, or what the input has.
pub fn depth(asked: Option<u8>, input: &Origin) -> Result<u8> {
    match asked {
        None => Ok(if input.bit_depth == 16 { 16 } else { 8 }),
        Some(bits @ (8 | 16)) => Ok(bits),
        Some(other) => Err(Error::Usage(format!("depth: expected 8 or 16, found {other}"))),
    }
}

/// What saturated values leave open, where they are to leave anything.
pub fn limits(saturation: bool, input: &Origin) -> Result<Option<Limits>> {
    if saturation && input.bit_depth == 0 {
        let why = "saturation: expected a picture, whose code values end at black and white, \
                   found floats";
        return Err(Error::Usage(why.into()));
    }
    let white = if input.headroom { 2.0 } else { 1.0 };
    // That rounding leaves half a code value open is no help: `benches/intervals.rs`.
    Ok(saturation.then_some(Limits { half: 0.0, black: -white, white }))
}

/// Noise in code values, checked, in units of `[-1, 1]`.
pub fn sigma(code_values: f64, what: &str) -> Result<f64> {
    if (0.0..=25500.0).contains(&code_values) {
        return Ok(code_values / 127.5);
    }
    Err(Error::Usage(format!("{what}: expected 0 to 25500 code values, found {code_values}")))
}

/// The noise of a measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Noise {
    /// As strong everywhere: standard deviation in units of `[-1, 1]`.
    Even(f64),
    Camera(CameraNoise),
}

impl Noise {
    /// Understands a number of code values or `poisson:GAIN,READ`.
    pub fn parse(text: &str) -> Result<Noise> {
        Noise::parse_among(text, "code values or poisson:GAIN,READ")
    }

    /// [`parse`](Noise::parse), where `known` is all that could have been said.
    fn parse_among(text: &str, known: &str) -> Result<Noise> {
        let refuse =
            |expected: &str| Err(Error::Usage(format!("noise: expected {expected}, found {text}")));
        if let Some(pair) = text.strip_prefix("poisson:") {
            let number = |text: &str| text.trim().parse::<f64>().ok();
            let pair = pair.split_once(',').and_then(|(g, r)| Some((number(g)?, number(r)?)));
            return match pair.and_then(|(gain, read)| Noise::camera(gain, read)) {
                Some(noise) => Ok(noise),
                None => refuse("two numbers from 0 to 255, as in poisson:0.4,2"),
            };
        }
        match text.parse::<f64>() {
            Ok(code_values) => Ok(Noise::Even(sigma(code_values, "noise")?)),
            Err(_) => refuse(known),
        }
    }

    /// A camera's noise, in code values; without a gain only that of the readout, which is as
    /// strong everywhere. `None` unless both are 0 to 255.
    pub fn camera(gain: f64, read: f64) -> Option<Noise> {
        let range = 0.0..=255.0;
        let noise = match gain > 0.0 {
            true => Noise::Camera(CameraNoise { gain, read }),
            false => Noise::Even(read / 127.5),
        };
        (range.contains(&gain) && range.contains(&read)).then_some(noise)
    }

    /// The noise of a measurement's file: [`parse`](Noise::parse), or for `auto` an estimate from
    /// what the file holds, in code values besides.
    pub fn of_file(
        text: &str,
        a: &dyn Degradation,
        file: &Picture,
    ) -> Result<(Noise, Option<f64>)> {
        if text != "auto" {
            let known = "code values, poisson:GAIN,READ or auto";
            return Ok((Noise::parse_among(text, known)?, None));
        }
        let found = estimate::noise(a, file.rows()?.as_mut())?;
        Ok((Noise::Even(found / 127.5), Some(found)))
    }

    /// The same noise on values that are `factor` times as large.
    pub fn scaled(self, factor: f64) -> Noise {
        match self {
            Noise::Even(sigma) => Noise::Even(sigma * factor),
            Noise::Camera(camera) => Noise::Camera(CameraNoise {
                gain: camera.gain * factor * factor,
                read: camera.read * factor,
            }),
        }
    }
}

/// The part of the arguments that decides the schedule.
pub struct Schedule<'a> {
    pub mode: &'a str,
    pub rule: Option<&'a str>,
    pub eta: Option<f64>,
    pub seed: u64,
    pub noise: Noise,
    pub steps: Option<usize>,
    pub start: Option<f64>,
    pub end: Option<f64>,
    pub generative: Option<f32>,
    pub relaxation: Option<f64>,
    pub momentum: Option<f32>,
    /// `LENGTH,REPEATS`.
    pub travel: Option<&'a str>,
    /// The most threads; see [`threads`].
    pub threads: usize,
    /// Its defaults hold where nothing was said.
    pub board: Option<&'a Board>,
    /// Bits per sample of the measurement's file; 0 for floats.
    pub bits: u8,
}

/// Share of new noise per step of a draw, if nothing else is said.
const ETA: f64 = 0.85;

/// Standard deviation of the rounding to 8 bits, in units of `[-1, 1]`: `2 / 255 / sqrt(12)`.
const ROUNDING: f64 = 0.002_264;

impl Schedule<'_> {
    /// Complete settings: what was said, and defaults for the degradation for the rest.
    pub fn settings(&self, a: &dyn Degradation, prior: &dyn Prior) -> Result<Settings> {
        let usage = |why: String| Err(Error::Usage(why));
        let (mut sigma_y, mut camera) = match self.noise {
            Noise::Even(sigma) => (sigma, None),
            Noise::Camera(camera) => (camera.typical(), Some(camera)),
        };
        if self.bits == 8 && a.truncation() > 0.0 {
            // An ill-conditioned operator's inverse would multiply the rounding of the file.
            sigma_y = sigma_y.max(ROUNDING);
            if let Some(camera) = &mut camera {
                camera.read = camera.read.max(ROUNDING * 127.5);
            }
        }
        let mode = self.mode()?;
        let default = defaults(a, sigma_y, mode == Mode::Faithful);
        let most = self.board.map_or(usize::MAX, |board| board.defaults.steps);
        let steps = self.steps.unwrap_or(default.steps.min(most));
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
        let relaxation = self.relaxation.unwrap_or(default.relaxation);
        if !(1e-3..=1e3).contains(&relaxation) {
            return usage(format!("relaxation: expected 0.001 to 1000, found {relaxation}"));
        }
        let momentum = self.momentum.unwrap_or(default.momentum);
        if !(0.0..=1.0).contains(&momentum) {
            return usage(format!("momentum: expected 0 to 1, found {momentum}"));
        }
        let levels = prior.diffusion().geometric(start, end, steps);
        let levels = match self.travel {
            None => levels,
            Some(text) => {
                let (length, repeats) = parse_travel(text)?;
                schedule::travel(&levels, length, repeats)
            }
        };
        Ok(Settings {
            mode,
            sigma_y,
            camera,
            limits: None,
            levels,
            generative,
            relaxation,
            momentum,
            frame: 0,
            threads: self.threads,
            band: self.board.map(|board| board.defaults.band),
        })
    }
}

impl Schedule<'_> {
    /// The mode; what only the other one has is refused.
    fn mode(&self) -> Result<Mode> {
        let usage = |why: String| Err(Error::Usage(why));
        let of_sample = [
            ("eta", self.eta.is_some()),
            ("rule", self.rule.is_some()),
            ("travel", self.travel.is_some()),
        ];
        let of_faithful =
            [("relaxation", self.relaxation.is_some()), ("momentum", self.momentum.is_some())];
        let (others, other) = match self.mode {
            "faithful" => (&of_sample[..], "sample"),
            "sample" => (&of_faithful[..], "faithful"),
            found => return usage(format!("mode: expected faithful or sample, found {found}")),
        };
        if let Some((name, _)) = others.iter().find(|(_, given)| *given) {
            return usage(format!("{name}: expected the mode {other}, found {}", self.mode));
        }
        if self.mode == "faithful" {
            return Ok(Mode::Faithful);
        }
        let rule = match self.rule {
            None | Some("split") => NoiseRule::Split,
            Some("ddim") => NoiseRule::Ddim,
            Some(found) => return usage(format!("rule: expected split or ddim, found {found}")),
        };
        let eta = self.eta.unwrap_or(ETA);
        if !(0.0..=1.0).contains(&eta) {
            return usage(format!("eta: expected 0 to 1, found {eta}"));
        }
        Ok(Mode::Sample { eta, rule, seed: self.seed })
    }
}

/// `LENGTH,REPEATS` of time travel.
fn parse_travel(text: &str) -> Result<(usize, usize)> {
    let pair = text.split_once(',').and_then(|(l, r)| Some((l.parse().ok()?, r.parse().ok()?)));
    match pair {
        Some((length @ 1..=1000, repeats @ 1..=100)) => Ok((length, repeats)),
        _ => {
            let expected = "a length up to 1000 and repeats up to 100, as in 2,2";
            Err(Error::Usage(format!("travel: expected {expected}, found {text}")))
        }
    }
}
