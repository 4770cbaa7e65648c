//! The last pass: into the range that a picture can have, without losing the measurement.

use crate::degrade::Degradation;
use crate::frame::Region;

/// Clips to `[-1, 1]`, and for a noise-free measurement makes `A x = y` exact again.
pub fn finish(a: &dyn Degradation, y: &[f32], sigma_y: f64, x: &mut [f32]) {
    if sigma_y > 0.0 {
        x.iter_mut().for_each(|v| *v = v.clamp(-1.0, 1.0));
    } else if a.rows_overlap() {
        between(a, y, x);
    } else {
        into_box(a, y, x);
    }
}

/// Residual (root of the mean square, in units of `[-1, 1]`) at which [`between`] is content: a
/// fortieth of an 8-bit code value.
pub const CONTENT: f64 = 2e-4;

/// Goes back and forth between `A x = y`, on the directions that `A` keeps, and the range
/// `[-1, 1]`, until both hold to [`CONTENT`].
///
/// Where rows of `A` overlap there is no exact projection onto both in a few rounds, and where the
/// file's rounding moved `y` there may be no picture that satisfies both. The rounds end in the
/// range, and where they gain less than a tenth each.
pub fn between(a: &dyn Degradation, y: &[f32], x: &mut [f32]) {
    const ROUNDS: usize = 24;
    x.iter_mut().for_each(|v| *v = v.clamp(-1.0, 1.0));
    let mut last = f64::INFINITY;
    for _ in 0..ROUNDS {
        let (r, correction) = kept_residual(a, y, x);
        let size = rms(&r);
        if size <= CONTENT || size > 0.9 * last {
            return;
        }
        last = size;
        x.iter_mut().zip(&correction).for_each(|(v, c)| *v = (*v + c).clamp(-1.0, 1.0));
    }
}

/// The residual `y - A x` on the directions that `A` keeps, and what would take it away,
/// `A+ (y - A x)`.
///
/// A picture's file ends at black and white: where `y` is one of them and `A x` beyond, nothing
/// is amiss.
pub fn kept_residual(a: &dyn Degradation, y: &[f32], x: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let whole = Region::whole(a.scene());
    let mut r = vec![0.0; y.len()];
    a.apply(whole, x, &mut r);
    for (r, y) in r.iter_mut().zip(y) {
        let clipped = a.is_picture() && y.abs() >= 1.0 && *r * y.signum() > y.abs();
        *r = if clipped { 0.0 } else { y - *r };
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

/// Moves `x` to the nearest picture (from its clipped self) with `A x = y` and all values in
/// `[-1, 1]`, where there is one; the entries of `A` must not be negative.
///
/// What a row of `A` lacks is spread over those of its pixels that can still move that way; the
/// pixels that reach the end of the range stay there and the rest is spread again. Each round
/// either meets the measurement or stops at least one more pixel per row, all in one direction,
/// so this ends at the projection onto both sets, usually after two or three rounds.
pub fn into_box(a: &dyn Degradation, y: &[f32], x: &mut [f32]) {
    const ROUNDS: usize = 64;
    // A thirtieth of a 16-bit code value; sums of float32 are not much better.
    const ENOUGH: f32 = 1e-6;
    let whole = Region::whole(a.scene());
    x.iter_mut().for_each(|v| *v = v.clamp(-1.0, 1.0));
    let mut s = vec![0.0; y.len()];
    a.singular_values(whole, &mut s);
    let mut r = vec![0.0; y.len()];
    let mut free = vec![0.0; x.len()];
    let mut free_share = vec![0.0; y.len()];
    for _ in 0..ROUNDS {
        a.apply(whole, x, &mut r);
        r.iter_mut()
            .zip(y)
            .zip(&s)
            .for_each(|((r, y), s)| *r = if *s > 0.0 { y - *r } else { 0.0 });
        if r.iter().all(|r| r.abs() <= ENOUGH) {
            return;
        }
        // Where a pixel is asked to go, and whether it can.
        a.adjoint(whole, &r, &mut free);
        for (f, v) in free.iter_mut().zip(&*x) {
            let can = if *f > 0.0 { *v < 1.0 } else { *v > -1.0 };
            *f = if can { *f } else { 0.0 };
        }
        // One step of steepest descent over the free pixels is exact for rows that do not
        // overlap: A applied to the direction says how far to go, row by row.
        a.apply(whole, &free, &mut free_share);
        let scaled: Vec<f32> = r
            .iter()
            .zip(&free_share)
            .map(|(r, f)| if *f != 0.0 { r * (r / f) } else { 0.0 })
            .collect();
        let mut step = vec![0.0; x.len()];
        a.adjoint(whole, &scaled, &mut step);
        for ((v, s), f) in x.iter_mut().zip(&step).zip(&free) {
            if *f != 0.0 {
                *v = (*v + s).clamp(-1.0, 1.0);
            }
        }
    }
}
