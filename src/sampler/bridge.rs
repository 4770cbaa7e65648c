//! A step of a draw from a noisy measurement where no spectrum of `A` is known.
//!
//! DDNM+ weights each singular direction by its own rule. Here the estimate is moved by the damped
//! inverse `B = A^T (A A^T + eta I)^-1` instead, as in DDPG (Garber and Tirer 2024), and noise goes
//! through the same `B`, so that one system of equations is all that is solved:
//!
//! `x = a x0 + u + B (a (y - A x0) + A (v - u))`
//!
//! with the signal `a` and the noise `s` of the next level, `u` what a step adds where nothing is
//! measured (new noise and the prior's own) and `v` what it adds instead where something is, both
//! of standard deviation `s` and with a correlation `rho`. In a direction of singular value `t`,
//! with `q = t^2 / (t^2 + eta)`, the parts of the next state that are noise have these variances:
//!
//! - the measurement's own, `a B n`: `c q (1 - q) s^2`, with `c = (a sigma_y / s)^2 / eta`;
//! - `u - B A u + B A v`: `((1 - q)^2 + q^2 + 2 rho q (1 - q)) s^2`.
//!
//! Their sum is `s^2` whatever `t` is, if `rho = 1 - c / 2`. With the smallest `eta` that allows
//! it, `c = 2`, the measurement counts most and `v` is new noise; where `eta` must not be so small,
//! since the map leaves directions to the prior, `v` is `u` in part. Without noise in the
//! measurement it is `u`: then the step is DDNM's.

use super::Misfit;
use super::step::{Buffers, Steps, room};
use super::strip::Strip;
use crate::degrade::Dual;
use crate::frame::Region;
use crate::noise::NoiseField;
use crate::schedule::Level;
use crate::scratch::any;

/// Draws of what is new in `v`: those of steps with this set.
const MEASURED: u16 = 1 << 15;

/// The largest `c`: the part of the next level's variance that noise of the measurement takes at
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
        let rho = 1.0 - measured / eta / MOST;

        // `v - u`.
        let mut away = any(u.len());
        let new = NoiseField { draw: field.draw | MEASURED, ..field };
        new.fill(whole, self.a.scene().channels, &mut away);
        let (fresh, less) = ((s * (1.0 - rho * rho).max(0.0).sqrt()) as f32, (1.0 - rho) as f32);
        away.iter_mut().zip(u).for_each(|(v, u)| *v = fresh * *v - less * u);
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
            let mut from_noise = any(len);
            self.a.apply(whole, &away, &mut from_noise);
            let r = room(&mut buffers.residual, len).iter_mut().zip(&*from_noise);
            r.for_each(|(r, n)| *r = a as f32 * *r + n);
        }
        let Buffers { residual, values, .. } = buffers;
        let residual = room(residual, len);
        let weight = |s: f32, _: f64| s * s / (s * s + eta as f32);
        let noise = self.noise(values, len);
        // New noise has nothing of the last step's, and the measurement's is in it as `a n`.
        let mut dual = Dual::new(a * self.settings.sigma_y);
        self.weigh(whole, residual, &weight, noise, &mut dual, &mut away);
        for ((x, u), back) in x0.iter_mut().zip(u).zip(&*away) {
            *x = a as f32 * *x + u + back;
        }
        misfit
    }
}
