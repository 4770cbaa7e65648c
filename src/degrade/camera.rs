//! Noise as a camera has it: the more light, the more of it.

use super::Degradation;
use super::krylov::dot;
use crate::frame::Region;
use crate::scratch::zeros;

/// Photons and electronics: the variance of a value is `gain * value + read^2`, values and
/// standard deviations in code values of 0 to 255 whatever the file's depth. `gain` is how many
/// code values one electron gives, `read` the noise that is there in the dark.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CameraNoise {
    pub gain: f64,
    pub read: f64,
}

/// From 8-bit code values to units of `[-1, 1]`.
const CODES: f64 = 127.5;

impl CameraNoise {
    /// How many electrons come, on average, where there is so much light: black 0, white 1.
    pub fn electrons(&self, light: f64) -> f64 {
        if self.gain > 0.0 { 255.0 * light.max(0.0) / self.gain } else { 0.0 }
    }

    /// The error of a value, in units of `[-1, 1]`, where so many electrons came; `z` is a
    /// standard normal number.
    pub fn error(&self, light: f64, electrons: f64, z: f64) -> f64 {
        (self.gain * (electrons - self.electrons(light)) + self.read * z) / CODES
    }

    /// Standard deviation, in units of `[-1, 1]`, of a value of so much light: black 0, white 1.
    pub fn sigma(&self, light: f64) -> f64 {
        // Noise has taken some values below black.
        let variance = self.gain * 255.0 * light.max(0.0) + self.read * self.read;
        variance.sqrt() / CODES
    }

    /// Standard deviation of a value between black and white, for what needs one number for a
    /// whole frame.
    pub fn typical(&self) -> f64 {
        self.sigma(0.5)
    }

    /// The standard deviation of each value of `A x` over `region`, in units of `[-1, 1]`; `ax`
    /// holds these values and then the deviations.
    pub fn sigmas(&self, a: &dyn Degradation, region: Region, ax: &mut [f32]) {
        let mut gain = zeros(ax.len());
        a.dc_gain(region, &mut gain);
        for (v, g) in ax.iter_mut().zip(&*gain) {
            *v = self.sigma(f64::from(0.5 * (*v + g))) as f32;
        }
    }
}

/// `x = A^T (A A^T + diag(eta))^-1 r` over the whole frame, by conjugate gradients: what a
/// proximal step adds to an estimate for noise that differs from value to value, with `eta` the
/// square of its strength over that of the step. Where rows of `A` do not overlap, weighting `r`
/// value by value is the same and cheaper.
pub fn weighted(a: &dyn Degradation, r: &[f32], eta: &[f32], x: &mut [f32]) {
    const ITERATIONS: usize = 300;
    /// Share of the residual that is left, as for noise of one strength.
    const SHARE: f64 = 0.03;
    let whole = Region::whole(a.scene());
    // As if all singular values were the largest: exact where they are, and a good start where
    // the noise is what differs most.
    let most = a.spectrum().max().powi(2);
    let floor = a.truncation().powi(2);
    let near = |r: &[f32], out: &mut [f32]| {
        let values = out.iter_mut().zip(r).zip(eta);
        values.for_each(|((o, r), eta)| *o = r / (eta.max(floor) + most));
    };
    let (mut z, mut left, mut m) = (vec![0.0; r.len()], r.to_vec(), vec![0.0; r.len()]);
    near(&left, &mut m);
    let (mut p, mut q) = (m.clone(), vec![0.0; r.len()]);
    let mut size = dot(&left, &m);
    let goal = SHARE * SHARE * dot(r, r);
    for _ in 0..ITERATIONS {
        if size <= 0.0 || dot(&left, &left) <= goal {
            break;
        }
        a.adjoint(whole, &p, x);
        a.apply(whole, x, &mut q);
        for ((q, p), eta) in q.iter_mut().zip(&p).zip(eta) {
            *q += eta.max(floor) * p;
        }
        let curvature = dot(&p, &q);
        if curvature <= 0.0 {
            break;
        }
        let step = (size / curvature) as f32;
        z.iter_mut().zip(&p).for_each(|(z, p)| *z += step * p);
        left.iter_mut().zip(&q).for_each(|(l, q)| *l -= step * q);
        near(&left, &mut m);
        let next = dot(&left, &m);
        let turn = (next / size) as f32;
        p.iter_mut().zip(&m).for_each(|(p, m)| *p = m + turn * *p);
        size = next;
    }
    a.adjoint(whole, &z, x);
}
