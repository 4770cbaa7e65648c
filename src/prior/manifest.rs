//! What must be said of a model beside its ONNX file: a small TOML.

use serde::{Deserialize, Serialize};
use std::path::Path;

use crate::error::{Error, Result};
use crate::schedule::Diffusion;

/// Most channels of an output: twice the picture's with a learned variance, and then some.
const MOST_OUTPUTS: usize = 64;

/// The description of a model. Field names are those of the TOML file.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Short name, used in certificates.
    pub name: String,
    /// The ONNX file, beside the manifest.
    pub file: String,
    /// SHA-256 of that file, in hexadecimal.
    pub sha256: String,
    /// Licence of the weights.
    pub licence: String,
    /// Channels of a picture: 1 or 3.
    pub channels: usize,
    /// The values of black and white at the network's input.
    #[serde(default = "unit_range")]
    pub range: [f32; 2],
    /// Name of the picture input, `[n, channels, h, w]`.
    pub input: String,
    /// Name of the output, `[n, output_channels, h, w]`.
    pub output: String,
    /// What the output is.
    pub prediction: Prediction,
    /// Channels of the output; those beyond `channels` (a learned variance) are dropped.
    pub output_channels: Option<usize>,
    /// How the network is told the noise level.
    pub conditioning: Conditioning,
    /// Name of the input that carries it.
    pub conditioning_input: String,
    /// The noise schedule of the training.
    pub schedule: Schedule,
    /// Window sides must be multiples of this.
    pub multiple: usize,
    /// Preferred side of a tile's core, in pixels.
    pub tile: usize,
    /// Timesteps are rounded to whole numbers. An ONNX graph says so itself.
    #[serde(default)]
    pub whole_timesteps: bool,
    /// Context that a tile needs, growing with the noise.
    pub halo: Vec<Halo>,
}

/// What a network's output stands for, with `x_t = sqrt(alpha_bar) x + sqrt(1 - alpha_bar) n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Prediction {
    /// The noise `n` (Ho et al. 2020).
    Epsilon,
    /// `v = sqrt(alpha_bar) n - sqrt(1 - alpha_bar) x` (Salimans and Ho 2022).
    V,
    /// The scene `x` itself.
    Sample,
}

/// How a network is told the noise level, and which state it expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conditioning {
    /// The timestep, `[n]`; the state is `x_t`.
    Timestep,
    /// The noise's standard deviation in units of `range`, `[n]`; the state is `x + sigma n`.
    Sigma,
    /// The same as a picture, `[n, 1, h, w]`.
    NoiseMap,
}

/// The noise schedule of the training.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    Linear { beta_start: f64, beta_end: f64, steps: usize },
    ScaledLinear { beta_start: f64, beta_end: f64, steps: usize },
    Cosine { steps: usize },
}

/// Up to noise level `sigma` (relative to the signal, `[-1, 1]` units), `pixels` of context
/// keep a tile's core close to the untiled result.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Halo {
    pub sigma: f64,
    pub pixels: usize,
}

fn unit_range() -> [f32; 2] {
    [-1.0, 1.0]
}

impl Manifest {
    /// Reads and checks a manifest; `path` is where it came from.
    pub fn parse(text: &str, path: &Path) -> Result<Manifest> {
        let manifest: Manifest = toml::from_str(text).map_err(|e| {
            Error::model(path, "a manifest (TOML)", e.to_string().trim_end().replace('\n', " "))
        })?;
        manifest.check(path)?;
        Ok(manifest)
    }

    /// Refuses impossible values.
    pub fn check(&self, path: &Path) -> Result<()> {
        let refuse = |expected: &str, found: String| Err(Error::model(path, expected, found));
        if !matches!(self.channels, 1 | 3) {
            return refuse("channels = 1 or 3", self.channels.to_string());
        }
        if self.output_channels.is_some_and(|n| !(self.channels..=MOST_OUTPUTS).contains(&n)) {
            return refuse(
                &format!("output_channels from channels to {MOST_OUTPUTS}"),
                format!("{:?}", self.output_channels),
            );
        }
        if !(self.range[1] > self.range[0] && self.range.iter().all(|v| v.is_finite())) {
            return refuse("range = [black, white]", format!("{:?}", self.range));
        }
        let is_timestep = self.conditioning == Conditioning::Timestep;
        if is_timestep && self.range != unit_range() {
            return refuse(
                "range = [-1, 1] for a model told the timestep",
                format!("{:?}", self.range),
            );
        }
        if !is_timestep && self.prediction == Prediction::V {
            return refuse("prediction epsilon or sample for a model told sigma", "v".into());
        }
        if !(1..=256).contains(&self.multiple) {
            return refuse("multiple from 1 to 256", self.multiple.to_string());
        }
        if !(16..=4096).contains(&self.tile) {
            return refuse("tile from 16 to 4096", self.tile.to_string());
        }
        if self.halo.is_empty() || self.halo.iter().any(|h| h.pixels > 1024) {
            return refuse(
                "halo with at least one entry, of at most 1024 pixels",
                format!("{:?}", self.halo),
            );
        }
        if self.file.contains(['/', '\\']) || self.file.starts_with('.') {
            return refuse("file as a plain name beside the manifest", self.file.clone());
        }
        self.diffusion().map_err(|e| Error::model(path, "a possible schedule", e))?;
        Ok(())
    }

    /// The forward process of the training.
    pub fn diffusion(&self) -> Result<Diffusion> {
        match self.schedule {
            Schedule::Linear { beta_start, beta_end, steps } => {
                Diffusion::linear(beta_start, beta_end, steps.min(1 << 16))
            }
            Schedule::ScaledLinear { beta_start, beta_end, steps } => {
                Diffusion::scaled_linear(beta_start, beta_end, steps.min(1 << 16))
            }
            Schedule::Cosine { steps } => Diffusion::cosine(steps.min(1 << 16)),
        }
    }

    /// The context for noise up to `sigma`: that of the first entry that reaches so far, or the
    /// largest.
    pub fn halo(&self, sigma: f64) -> usize {
        let reaching = self.halo.iter().filter(|h| h.sigma >= sigma);
        let nearest = reaching.min_by(|a, b| a.sigma.total_cmp(&b.sigma));
        nearest.map_or_else(|| self.halo.iter().map(|h| h.pixels).max().unwrap_or(0), |h| h.pixels)
    }
}
