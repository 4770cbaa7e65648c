//! A prior whose posterior is known exactly: scenes drawn from a Gaussian.

use super::{Evaluator, Identity, Prior};
use crate::error::{Error, Result};
use crate::frame::Shape;
use crate::schedule::{Diffusion, Level};

/// Scenes distributed as `N(0, C)` over one window, `C` dense: for tests against truth.
///
/// `E[x | x_t] = sqrt(alpha_bar) C (alpha_bar C + (1 - alpha_bar) I)^-1 x_t`.
#[derive(Debug, Clone)]
pub struct Gaussian {
    shape: Shape,
    /// `C`, row by row, `shape.len()` squared.
    covariance: Vec<f64>,
    diffusion: Diffusion,
}

impl Gaussian {
    /// The prior `N(0, covariance)` over scenes of size `shape`, symmetric and positive
    /// semi-definite.
    pub fn new(shape: Shape, covariance: Vec<f64>, diffusion: Diffusion) -> Result<Gaussian> {
        if covariance.len() != shape.len() * shape.len() {
            let expected = format!("{} entries", shape.len() * shape.len());
            return Err(Error::shape("covariance", expected, covariance.len()));
        }
        Ok(Gaussian { shape, covariance, diffusion })
    }

    /// The matrix that maps `x_t` to `E[x | x_t]`, row by row.
    pub fn denoiser(&self, level: Level) -> Vec<f64> {
        let n = self.shape.len();
        let a = level.alpha_bar;
        let mut m: Vec<f64> = self.covariance.iter().map(|c| a * c).collect();
        (0..n).for_each(|i| m[i * n + i] += 1.0 - a);
        // M is symmetric and commutes with C, so C M^-1 = M^-1 C: solve M X = sqrt(a) C.
        let mut x: Vec<f64> = self.covariance.iter().map(|c| level.signal() * c).collect();
        solve(&mut m, &mut x, n);
        x
    }
}

/// Solves `M X = B` in place of `B` by Gaussian elimination with row pivots; all `n x n`.
fn solve(m: &mut [f64], b: &mut [f64], n: usize) {
    for k in 0..n {
        let pivot = (k..n).max_by(|&i, &j| m[i * n + k].abs().total_cmp(&m[j * n + k].abs()));
        let pivot = pivot.unwrap_or(k);
        for j in 0..n {
            m.swap(k * n + j, pivot * n + j);
            b.swap(k * n + j, pivot * n + j);
        }
        let inverse = 1.0 / m[k * n + k];
        for j in 0..n {
            m[k * n + j] *= inverse;
            b[k * n + j] *= inverse;
        }
        for i in (0..n).filter(|&i| i != k) {
            let factor = m[i * n + k];
            if factor != 0.0 {
                for j in 0..n {
                    m[i * n + j] -= factor * m[k * n + j];
                    b[i * n + j] -= factor * b[k * n + j];
                }
            }
        }
    }
}

impl Prior for Gaussian {
    fn channels(&self) -> usize {
        self.shape.channels
    }

    fn multiple(&self) -> usize {
        1
    }

    fn tile(&self) -> usize {
        self.shape.height.max(self.shape.width)
    }

    fn halo(&self, _sigma: f64) -> usize {
        0
    }

    fn diffusion(&self) -> &Diffusion {
        &self.diffusion
    }

    fn evaluator(&self, height: usize, width: usize) -> Result<Box<dyn Evaluator>> {
        if (height, width) != (self.shape.height, self.shape.width) {
            return Err(Error::shape("window", self.shape, format!("{width}x{height}")));
        }
        Ok(Box::new(GaussianEvaluator { prior: self.clone(), held: None }))
    }

    fn identity(&self) -> Identity {
        Identity {
            name: "gaussian".into(),
            sha256: String::new(),
            weights: "f64".into(),
            arithmetic: "f64".into(),
            kernels: String::new(),
        }
    }
}

struct GaussianEvaluator {
    prior: Gaussian,
    /// The denoiser of the last level asked for.
    held: Option<(Level, Vec<f64>)>,
}

impl Evaluator for GaussianEvaluator {
    fn x0(&mut self, x_t: &[f32], level: Level, x0: &mut [f32]) -> Result<()> {
        if self.held.as_ref().is_none_or(|(l, _)| *l != level) {
            self.held = Some((level, self.prior.denoiser(level)));
        }
        let n = x_t.len();
        if let Some((_, matrix)) = &self.held {
            for (row, out) in matrix.chunks_exact(n).zip(x0) {
                *out = row.iter().zip(x_t).map(|(m, x)| m * f64::from(*x)).sum::<f64>() as f32;
            }
        }
        Ok(())
    }
}
