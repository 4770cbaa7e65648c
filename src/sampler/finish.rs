//! The last pass: into the range that a picture can have, without losing the measurement.

use super::Settings;
use crate::degrade::{Degradation, Limits};
use crate::frame::Region;
use crate::scratch::zeros;

/// Clips `region` to `[-1, 1]`, and for a noise-free measurement makes `A x = y` exact again.
pub fn finish(a: &dyn Degradation, region: Region, y: &[f32], settings: &Settings, x: &mut [f32]) {
    if settings.sigma_y > 0.0 {
        x.iter_mut().for_each(|v| *v = v.clamp(-1.0, 1.0));
    } else if a.rows_overlap() {
        between(a, y, settings.limits.as_ref(), x);
    } else {
        into_box(a, region, y, settings.limits.as_ref(), x);
    }
}

/// Residual (root of the mean square, in units of `[-1, 1]`) at which [`between`] is content: a
/// fortieth of an 8-bit code value.
pub const CONTENT: f64 = 2e-4;

/// Moves `x` into the range `[-1, 1]` with `A x = y` on the directions that `A` keeps, up to
/// [`CONTENT`], where rows of `A` overlap. With `limits` measured values are intervals.
///
/// Each round changes only the pixels that are not at the end of the range, or would move off
/// it, by the shortest change of those that takes the residual away. The file's rounding can have
/// moved `y` to where no picture is: the rounds end where they gain less than a twentieth.
pub fn between(a: &dyn Degradation, y: &[f32], limits: Option<&Limits>, x: &mut [f32]) {
    const ROUNDS: usize = 32;
    x.iter_mut().for_each(|v| *v = v.clamp(-1.0, 1.0));
    let (mut r, mut step) = kept_residual(a, y, limits, x);
    let mut size = rms(&r);
    for round in 0..ROUNDS {
        if size <= CONTENT {
            return;
        }
        if round > 0 {
            drop(step);
            step = free_step(a, &r, x);
        }
        // The step becomes what it leads to: the less is held, the larger a frame may be.
        step.iter_mut().zip(&*x).for_each(|(s, v)| *s = (v + *s).clamp(-1.0, 1.0));
        let (left, _) = kept_residual(a, y, limits, &step);
        let gained = rms(&left) < 0.95 * size;
        if rms(&left) < size {
            x.copy_from_slice(&step);
            r = left;
            size = rms(&r);
        }
        if !gained && round > 0 {
            return;
        }
    }
}

/// The shortest step of the pixels that can move which takes `r` away: `D A^T z` with
/// `(A D A^T + eta I) z = r`, by conjugate gradients; `D` is 1 for those pixels and 0 for others.
fn free_step(a: &dyn Degradation, r: &[f32], x: &[f32]) -> Vec<f32> {
    const ITERATIONS: usize = 40;
    const ENOUGH: f64 = 0.02;
    let whole = Region::whole(a.scene());
    let eta = a.truncation().powi(2);
    let mut step = vec![0.0; x.len()];
    a.adjoint(whole, r, &mut step);
    let can = |v: f32, to: f32| if to > 0.0 { v < 1.0 } else { v > -1.0 };
    let free: Vec<bool> = x.iter().zip(&step).map(|(v, to)| can(*v, *to)).collect();
    let back = |z: &[f32], out: &mut [f32]| {
        a.adjoint(whole, z, out);
        out.iter_mut().zip(&free).for_each(|(o, free)| *o = if *free { *o } else { 0.0 });
    };
    let square = |v: &[f32]| v.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
    let (mut z, mut left, mut p) = (vec![0.0; r.len()], r.to_vec(), r.to_vec());
    let mut q = vec![0.0; r.len()];
    let mut size = square(&left);
    let goal = ENOUGH * ENOUGH * size;
    for _ in 0..ITERATIONS {
        back(&p, &mut step);
        a.apply(whole, &step, &mut q);
        q.iter_mut().zip(&p).for_each(|(q, p)| *q += eta * p);
        let curvature: f64 = p.iter().zip(&q).map(|(p, q)| f64::from(*p) * f64::from(*q)).sum();
        if curvature <= 0.0 || size <= goal {
            break;
        }
        let along = (size / curvature) as f32;
        z.iter_mut().zip(&p).for_each(|(z, p)| *z += along * p);
        left.iter_mut().zip(&q).for_each(|(l, q)| *l -= along * q);
        let next = square(&left);
        let turn = (next / size) as f32;
        p.iter_mut().zip(&left).for_each(|(p, l)| *p = l + turn * *p);
        size = next;
    }
    back(&z, &mut step);
    step
}

/// The residual `y - A x` on the directions that `A` keeps, and what would take it away,
/// `A+ (y - A x)`.
///
/// A picture's file ends at black and white: where `y` is one of them and `A x` beyond, nothing
/// is amiss. With `limits` measured values are intervals, and these say where they end.
pub fn kept_residual(
    a: &dyn Degradation,
    y: &[f32],
    limits: Option<&Limits>,
    x: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let whole = Region::whole(a.scene());
    let mut r = vec![0.0; y.len()];
    a.apply(whole, x, &mut r);
    let ends = a.is_picture() && limits.is_none();
    for (r, y) in r.iter_mut().zip(y) {
        let clipped = ends && y.abs() >= 1.0 && *r * y.signum() > y.abs();
        *r = if clipped { 0.0 } else { y - *r };
    }
    if let Some(limits) = limits {
        let mut gain = vec![0.0; y.len()];
        a.dc_gain(whole, &mut gain);
        limits.shorten(y, &gain, &mut r);
    }
    let mut correction = vec![0.0; x.len()];
    a.pinv(whole, &r, &|_| 1.0, &mut correction);
    if a.truncation() > 0.0 {
        a.apply(whole, &correction, &mut r);
    }
    (r, correction)
}

/// Root of the mean square.
pub fn rms(r: &[f32]) -> f64 {
    let sum: f64 = r.iter().map(|r| f64::from(*r).powi(2)).sum();
    (sum / r.len().max(1) as f64).sqrt()
}

/// Moves `x`, of `region`, to the nearest picture (from its clipped self) with `A x = y` and all values in
/// `[-1, 1]`, where there is one; the entries of `A` must not be negative.
///
/// What a row of `A` lacks is spread over those of its pixels that can still move that way; the
/// pixels that reach the end of the range stay there and the rest is spread again. Each round
/// either meets the measurement or stops at least one more pixel per row, all in one direction,
/// so this ends at the projection onto both sets, usually after two or three rounds. With `limits`
/// measured values are intervals.
pub fn into_box(
    a: &dyn Degradation,
    region: Region,
    y: &[f32],
    limits: Option<&Limits>,
    x: &mut [f32],
) {
    const ROUNDS: usize = 64;
    // A thirtieth of a 16-bit code value; sums of float32 are not much better.
    const ENOUGH: f32 = 1e-6;
    x.iter_mut().for_each(|v| *v = v.clamp(-1.0, 1.0));
    let mut s = zeros(y.len());
    a.singular_values(region, &mut s);
    let mut r = zeros(y.len());
    let mut free = zeros(x.len());
    let mut free_share = zeros(y.len());
    let mut step = zeros(x.len());
    let mut gain = zeros(if limits.is_some() { y.len() } else { 0 });
    if limits.is_some() {
        a.dc_gain(region, &mut gain);
    }
    for _ in 0..ROUNDS {
        a.apply(region, x, &mut r);
        r.iter_mut()
            .zip(y)
            .zip(&*s)
            .for_each(|((r, y), s)| *r = if *s > 0.0 { y - *r } else { 0.0 });
        if let Some(limits) = limits {
            limits.shorten(y, &gain, &mut r);
        }
        // Where a pixel is asked to go, and whether it can. Asked also where nothing is amiss: then
        // every frame takes the same buffers.
        a.adjoint(region, &r, &mut free);
        if r.iter().all(|r| r.abs() <= ENOUGH) {
            return;
        }
        for (f, v) in free.iter_mut().zip(&*x) {
            let can = if *f > 0.0 { *v < 1.0 } else { *v > -1.0 };
            *f = if can { *f } else { 0.0 };
        }
        // One step of steepest descent over the free pixels is exact for rows that do not
        // overlap: A applied to the direction says how far to go, row by row.
        a.apply(region, &free, &mut free_share);
        for (r, f) in r.iter_mut().zip(&*free_share) {
            *r = if *f != 0.0 { *r * (*r / f) } else { 0.0 };
        }
        a.adjoint(region, &r, &mut step);
        for ((v, s), f) in x.iter_mut().zip(&*step).zip(&*free) {
            if *f != 0.0 {
                *v = (*v + s).clamp(-1.0, 1.0);
            }
        }
    }
}
