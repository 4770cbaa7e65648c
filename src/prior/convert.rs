//! Between the sampler's states and what a network takes and gives.

use super::{Conditioning, Manifest, Prediction};
use crate::schedule::Level;

/// Buffers for one window: what goes into the network and what comes out.
#[derive(Debug, Default)]
pub struct Window {
    /// `[channels, h, w]`, in the network's range; empty where a network of ours takes `x_t` as
    /// it is.
    pub state: Vec<f32>,
    /// One value, or a map `[h, w]`.
    pub told: Vec<f32>,
    /// `[output channels, h, w]`
    pub output: Vec<f32>,
}

impl Window {
    #[cfg(feature = "onnx")]
    pub fn new(manifest: &Manifest, height: usize, width: usize) -> Window {
        let [state, told, output] = Window::lengths(manifest, height, width);
        Window { state: vec![0.0; state], told: vec![0.0; told], output: vec![0.0; output] }
    }

    /// Makes the buffers those of another window size, without a state where `x_t` does;
    /// allocates only to become larger.
    pub fn fit(&mut self, manifest: &Manifest, height: usize, width: usize) {
        let [state, told, output] = Window::held(manifest, height, width);
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

    /// The values of `state`, `told` and `output` that [`fit`](Window::fit) makes room for.
    pub fn held(manifest: &Manifest, height: usize, width: usize) -> [usize; 3] {
        let [state, told, output] = Window::lengths(manifest, height, width);
        [if Self::explodes(manifest) { state } else { 0 }, told, output]
    }

    /// What a network of ours takes as its picture.
    pub fn picture<'a>(&'a self, x_t: &'a [f32]) -> &'a [f32] {
        if self.state.is_empty() { x_t } else { &self.state }
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

/// [`Window::tell`] and [`Window::scene`] at one level, as numbers: the network's input is
/// `scale x_t + offset`, the scene `keep x_t + gain output + shift`.
#[cfg(any(test, feature = "cuda"))]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conversion {
    pub scale: f32,
    pub offset: f32,
    /// What the network is told.
    pub told: f32,
    pub keep: f32,
    pub gain: f32,
    pub shift: f32,
}

#[cfg(any(test, feature = "cuda"))]
impl Conversion {
    /// `whole` asks for whole timesteps.
    pub fn new(manifest: &Manifest, level: Level, whole: bool) -> Conversion {
        let [black, white] = manifest.range.map(f64::from);
        let half = (white - black) * 0.5;
        let explodes = Window::explodes(manifest);
        let (scale, offset) =
            if explodes { (half / level.signal(), black + half) } else { (1.0, 0.0) };
        let told = match manifest.conditioning {
            Conditioning::Timestep => level.t,
            _ => level.sigma() * half,
        };
        let (keep, gain, shift) = match manifest.prediction {
            Prediction::V => (level.signal(), -level.noise(), 0.0),
            Prediction::Epsilon => (1.0 / level.signal(), -level.noise() / level.signal(), 0.0),
            Prediction::Sample if explodes => (0.0, 1.0 / half, -black / half - 1.0),
            Prediction::Sample => (0.0, 1.0, 0.0),
        };
        Conversion {
            scale: scale as f32,
            offset: offset as f32,
            told: (if whole { told.round() } else { told }) as f32,
            keep: keep as f32,
            gain: gain as f32,
            shift: shift as f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Diffusion;

    #[test]
    fn the_numbers_say_what_the_loops_do() {
        let text = include_str!("../../models/patch-xs.toml");
        let bundled = Manifest::parse(text, std::path::Path::new("patch-xs.toml")).unwrap();
        let level = Diffusion::linear(1e-4, 0.02, 1000).unwrap().at_sigma(0.37);
        for prediction in [Prediction::V, Prediction::Epsilon, Prediction::Sample] {
            for conditioning in [Conditioning::Timestep, Conditioning::Sigma] {
                for range in [[-1.0, 1.0], [0.0, 1.0]] {
                    let manifest = Manifest { prediction, conditioning, range, ..bundled.clone() };
                    let mut window = Window::default();
                    window.fit(&manifest, 1, 1);
                    let x_t = [0.3, -0.8, 0.05];
                    window.tell(&manifest, &x_t, level, true);
                    window.output.copy_from_slice(&[0.4, -0.7, 0.9]);
                    let mut x0 = [0.0; 3];
                    window.scene(&manifest, &x_t, level, &mut x0);
                    let c = Conversion::new(&manifest, level, true);
                    assert_eq!(window.told, [c.told]);
                    for i in 0..3 {
                        assert!(
                            (window.picture(&x_t)[i] - (c.scale * x_t[i] + c.offset)).abs() < 1e-6
                        );
                        let found = c.keep * x_t[i] + c.gain * window.output[i] + c.shift;
                        assert!((x0[i] - found).abs() < 1e-6, "{prediction:?} {conditioning:?}");
                    }
                }
            }
        }
    }
}
