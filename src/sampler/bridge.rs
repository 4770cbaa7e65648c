//! A step of a draw from a noisy measurement where no spectrum of `A` is known.
//!
//! DDNM+ weights each singular direction by its own rule. Here the estimate is moved by the damped
//! inverse `B = A^T (A A^T + eta I)^-1` instead, as in DDPG (Garber and Tirer 2024), and noise goes
//! through the same `B`, so that one system of equations is all that is solved:
//!
//! `x = a x0 + u + B (a (y - A x0) + A (v - u) + w)`
//!
//! with the signal `a` and the noise `s` of the next level, `u` what a step adds where nothing is
//! measured (new noise and the prior's own), `v` new noise, both of standard deviation `s`, and `w`
//! noise of the size of the measurement. In a direction of singular value `t`, with
//! `q = t^2 / (t^2 + eta)`, the parts of the next state that are noise have these variances:
//!
//! - the measurement's own, `a B n`: `c q (1 - q) s^2`, with `c = (a sigma_y / s)^2 / eta`;
//! - `u - B A u`: `(1 - q)^2 s^2`;
//! - `B A v`: `q^2 s^2`;
//! - `B w`: `(2 - c) q (1 - q) s^2`, if the variance of `w` is `(2 - c) eta s^2`.
//!
//! Their sum is `s^2` whatever `t` is. With the smallest `eta` that allows it, `c = 2`, the measurement
//! counts most and `w` is 0; where `eta` must not be so small, since the map leaves directions to
//! the prior, `w` makes up for what is missing.

use super::Misfit;
use super::step::{Buffers, Steps, room};
use super::strip::Strip;
use crate::degrade::Dual;
use crate::frame::Region;
use crate::noise::NoiseField;
use crate::schedule::Level;
use crate::scratch::zeros;

/// Draws of `v` and `w`: those of steps with this set.
const MEASURED: u16 = 1 << 15;
const BESIDE: u16 = 1 << 14;

/// The part of the next level's variance that noise of the measurement takes at most, at
/// `q = 1 / 2`, times 4.
const MOST: f64 = 2.0;

impl Steps<'_> {
    /// Turns the estimate `x0` of the whole frame into the next state, with noise `u` where nothing
    /// is measured.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn bridge(
        &self,
        k: usize,
        y: &Strip,
        next: Level,
        field: NoiseField,
        u: &[f32],
        x0: &mut [f32],
        buffers: &mut Buffers,
    ) -> Misfit {
        let whole = Region::whole(self.a.scene());
        let (a, s) = (next.signal(), next.noise());
        if s == 0.0 {
            // Nothing is drawn any more, and the measurement is noisier than that.
            let misfit = self.compare(k, whole, y, x0, buffers);
            x0.iter_mut().for_each(|x| *x *= a as f32);
            return misfit;
        }
        let floor = f64::from(self.a.truncation()).powi(2);
        let measured = (a * self.settings.sigma_y / s).powi(2);
        let eta = (measured / MOST).max(floor);
        let beside = (s * ((MOST - measured / eta) * eta).max(0.0).sqrt()) as f32;

        let mut away = zeros(u.len());
        let new = NoiseField { draw: field.draw | MEASURED, ..field };
        new.fill(whole, self.a.scene().channels, &mut away);
        away.iter_mut().zip(u).for_each(|(v, u)| *v = s as f32 * *v - u);
        let len = self.measured_len(whole);
        let mut misfit = Misfit::default();
        if self.settings.limits.is_none() {
            // One use of `A` for both: `a (y - A (x0 - (v - u) / a))`.
            away.iter_mut().zip(&*x0).for_each(|(v, x0)| *v = x0 - *v / a as f32);
            self.compare(k, whole, y, &away, buffers);
            room(&mut buffers.residual, len).iter_mut().for_each(|r| *r *= a as f32);
        } else {
            // What lies beyond the ends of the file's range does so without the noise.
            misfit = self.compare(k, whole, y, x0, buffers);
            let mut from_noise = zeros(len);
            self.a.apply(whole, &away, &mut from_noise);
            let r = room(&mut buffers.residual, len).iter_mut().zip(&*from_noise);
            r.for_each(|(r, n)| *r = a as f32 * *r + n);
        }
        let Buffers { residual, values, .. } = buffers;
        let residual = room(residual, len);
        if beside > 0.0 {
            let (mut w, mut says) = (zeros(len), zeros(len));
            let shape = self.a.measurement();
            let field = NoiseField { draw: field.draw | BESIDE, ..field };
            field.fill(Region::whole(shape), shape.channels, &mut w);
            self.a.singular_values(whole, &mut says);
            let r = residual.iter_mut().zip(&*w).zip(&*says);
            r.filter(|(_, says)| **says > 0.0).for_each(|((r, w), _)| *r += beside * w);
        }
        let weight = |s: f32, _: f64| s * s / (s * s + eta as f32);
        let noise = self.noise(values, len);
        // New noise has nothing of the last step's.
        self.weigh(whole, residual, &weight, noise, &mut Dual::default(), &mut away);
        for ((x, u), back) in x0.iter_mut().zip(u).zip(&*away) {
            *x = a as f32 * *x + u + back;
        }
        misfit
    }
}
