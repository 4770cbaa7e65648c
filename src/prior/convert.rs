//! Between the sampler's states and what a network takes and gives.

use super::{Conditioning, Manifest, Prediction};
use crate::schedule::Level;

/// Buffers for one window: what goes into the network and what comes out.
#[derive(Debug, Default)]
pub struct Window {
    /// `[channels, h, w]`, in the network's range.
    pub state: Vec<f32>,
    /// One value, or a map `[h, w]`.
    pub told: Vec<f32>,
    /// `[output channels, h, w]`
    pub output: Vec<f32>,
}

impl Window {
    #[cfg(feature = "onnx")]
    pub fn new(manifest: &Manifest, height: usize, width: usize) -> Window {
        let mut window = Window::default();
        window.fit(manifest, height, width);
        window
    }

    /// Makes the buffers those of another window size; allocates only to become larger.
    pub fn fit(&mut self, manifest: &Manifest, height: usize, width: usize) {
        let [state, told, output] = Window::lengths(manifest, height, width);
        let fit = |v: &mut Vec<f32>, len: usize| {
            v.reserve_exact(len.saturating_sub(v.len()));
            v.resize(len, 0.0);
        };
        fit(&mut self.state, state);
        fit(&mut self.told, told);
        fit(&mut self.output, output);
    }

    /// Values of `state`, `told` and `output`.
    pub fn lengths(manifest: &Manifest, height: usize, width: usize) -> [usize; 3] {
        let outputs = manifest.output_channels.unwrap_or(manifest.channels);
        let told = match manifest.conditioning {
            Conditioning::NoiseMap => height * width,
            _ => 1,
        };
        [manifest.channels * height * width, told, outputs * height * width]
    }

    /// Whether a network sees the scene plus noise, in its own range, and not `x_t`.
    fn explodes(manifest: &Manifest) -> bool {
        manifest.conditioning != Conditioning::Timestep
    }

    /// Fills `state` and `told` for the state `x_t`. `whole` asks for whole timesteps.
    pub fn tell(&mut self, manifest: &Manifest, x_t: &[f32], level: Level, whole: bool) {
        let [black, white] = manifest.range;
        let half = (white - black) * 0.5;
        let (scale, offset) = match Self::explodes(manifest) {
            true => (half / level.signal() as f32, black + half),
            false => (1.0, 0.0),
        };
        self.state.iter_mut().zip(x_t).for_each(|(state, x)| *state = x * scale + offset);
        let told = match manifest.conditioning {
            Conditioning::Timestep => level.t as f32,
            _ => level.sigma() as f32 * half,
        };
        self.told.fill(if whole { told.round() } else { told });
    }

    /// The scene that the network's output stands for. Channels beyond the picture's (a learned
    /// variance) are behind these, and dropped.
    pub fn scene(&self, manifest: &Manifest, x_t: &[f32], level: Level, x0: &mut [f32]) {
        let [black, white] = manifest.range;
        let half = (white - black) * 0.5;
        let (signal, noise) = (level.signal() as f32, level.noise() as f32);
        let values = x0.iter_mut().zip(x_t).zip(&self.output).map(|((x0, x), o)| (x0, *x, *o));
        match manifest.prediction {
            Prediction::V => values.for_each(|(x0, x, v)| *x0 = signal * x - noise * v),
            Prediction::Epsilon => values.for_each(|(x0, x, e)| *x0 = (x - noise * e) / signal),
            Prediction::Sample if Self::explodes(manifest) => {
                values.for_each(|(x0, _, s)| *x0 = (s - black) / half - 1.0);
            }
            Prediction::Sample => values.for_each(|(x0, _, s)| *x0 = s),
        }
    }
}
