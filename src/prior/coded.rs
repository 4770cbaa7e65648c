//! A prior of R'G'B' pictures as one of their coded planes.

use super::{Evaluator, Identity, Prior};
use crate::colour::{Affine, Coding};
use crate::error::Result;
use crate::schedule::{Diffusion, Level};

/// Knows scenes of Y', Cb and Cr planes (or of luma alone, three times the same) by what an RGB
/// prior knows of them.
///
/// The map from planes to R'G'B' is linear but not orthogonal: white noise in the planes is noise
/// in R'G'B' that is much the same in all channels. The RGB prior is asked at the level whose
/// white noise is as strong in luma, [`Coding::noise_gain`] times that of the planes, with the
/// state scaled accordingly.
pub struct Coded<'a> {
    inner: &'a dyn Prior,
    to_rgb: Affine,
    gain: f64,
}

impl<'a> Coded<'a> {
    /// For planes of this coding.
    pub fn new(inner: &'a dyn Prior, coding: Coding) -> Coded<'a> {
        Coded { inner, to_rgb: coding.to_rgb(), gain: coding.noise_gain() }
    }
}

impl Prior for Coded<'_> {
    fn channels(&self) -> usize {
        self.inner.channels()
    }

    fn multiple(&self) -> usize {
        self.inner.multiple()
    }

    fn tile(&self) -> usize {
        self.inner.tile()
    }

    fn halo(&self, sigma: f64) -> usize {
        self.inner.halo(self.gain * sigma)
    }

    fn diffusion(&self) -> &Diffusion {
        self.inner.diffusion()
    }

    fn evaluator(&self, height: usize, width: usize) -> Result<Box<dyn Evaluator>> {
        Ok(Box::new(CodedEvaluator {
            inner: self.inner.evaluator(height, width)?,
            diffusion: self.inner.diffusion().clone(),
            to_rgb: self.to_rgb,
            from_rgb: self.to_rgb.inverse(),
            gain: self.gain,
            rgb: vec![0.0; self.channels() * height * width],
        }))
    }

    fn prepare(&self, windows: &[(usize, usize)], threads: usize) -> Result<()> {
        self.inner.prepare(windows, threads)
    }

    fn allows_for_equal_noise(&self) -> bool {
        true
    }

    fn identity(&self) -> Identity {
        self.inner.identity()
    }
}

struct CodedEvaluator {
    inner: Box<dyn Evaluator>,
    diffusion: Diffusion,
    to_rgb: Affine,
    from_rgb: Affine,
    gain: f64,
    rgb: Vec<f32>,
}

impl Evaluator for CodedEvaluator {
    fn x0(&mut self, x_t: &[f32], level: Level, x0: &mut [f32]) -> Result<()> {
        let rgb_level = self.diffusion.at_sigma(self.gain * level.sigma());
        let (signal, rgb_signal) = (level.signal(), rgb_level.signal());
        self.rgb.resize(x_t.len(), 0.0);
        map(&self.to_rgb, x_t, 1.0 / signal, rgb_signal, &mut self.rgb);
        self.inner.x0(&self.rgb, rgb_level, x0)?;
        self.rgb.copy_from_slice(x0);
        map(&self.from_rgb, &self.rgb, 1.0, 1.0, x0);
        Ok(())
    }
}

/// `after * map(before * x)`, pixel by pixel; both are `[3, ..]`.
fn map(map: &Affine, x: &[f32], before: f64, after: f64, out: &mut [f32]) {
    let n = x.len() / 3;
    let matrix = map.matrix.map(|row| row.map(|v| (v * before * after) as f32));
    let offset = map.offset.map(|v| (v * after) as f32);
    for (c, plane) in out.chunks_exact_mut(n).enumerate() {
        let ([a, b, d], offset) = (matrix[c], offset[c]);
        for (i, v) in plane.iter_mut().enumerate() {
            *v = a * x[i] + b * x[n + i] + d * x[2 * n + i] + offset;
        }
    }
}
