//! The last pass: into the range that a picture can have, without losing the measurement.

use crate::degrade::Degradation;
use crate::frame::Region;

/// Clips `region` to `[-1, 1]`, and for a noise-free measurement makes `A x = y` exact again.
pub fn finish(a: &dyn Degradation, region: Region, y: &[f32], sigma_y: f64, x: &mut [f32]) {
    if sigma_y > 0.0 {
        x.iter_mut().for_each(|v| *v = v.clamp(-1.0, 1.0));
    } else {
        into_box(a, region, y, x);
    }
}

/// Moves `x`, of `region`, to the nearest picture (from its clipped self) with `A x = y` and all values in
/// `[-1, 1]`, where there is one; the entries of `A` must not be negative.
///
/// What a row of `A` lacks is spread over those of its pixels that can still move that way; the
/// pixels that reach the end of the range stay there and the rest is spread again. Each round
/// either meets the measurement or stops at least one more pixel per row, all in one direction,
/// so this ends at the projection onto both sets, usually after two or three rounds.
pub fn into_box(a: &dyn Degradation, region: Region, y: &[f32], x: &mut [f32]) {
    const ROUNDS: usize = 64;
    // A thirtieth of a 16-bit code value; sums of float32 are not much better.
    const ENOUGH: f32 = 1e-6;
    x.iter_mut().for_each(|v| *v = v.clamp(-1.0, 1.0));
    let mut s = vec![0.0; y.len()];
    a.singular_values(region, &mut s);
    let mut r = vec![0.0; y.len()];
    let mut free = vec![0.0; x.len()];
    let mut free_share = vec![0.0; y.len()];
    for _ in 0..ROUNDS {
        a.apply(region, x, &mut r);
        r.iter_mut()
            .zip(y)
            .zip(&s)
            .for_each(|((r, y), s)| *r = if *s > 0.0 { y - *r } else { 0.0 });
        if r.iter().all(|r| r.abs() <= ENOUGH) {
            return;
        }
        // Where a pixel is asked to go, and whether it can.
        a.adjoint(region, &r, &mut free);
        for (f, v) in free.iter_mut().zip(&*x) {
            let can = if *f > 0.0 { *v < 1.0 } else { *v > -1.0 };
            *f = if can { *f } else { 0.0 };
        }
        // One step of steepest descent over the free pixels is exact for rows that do not
        // overlap: A applied to the direction says how far to go, row by row.
        a.apply(region, &free, &mut free_share);
        let scaled: Vec<f32> = r
            .iter()
            .zip(&free_share)
            .map(|(r, f)| if *f != 0.0 { r * (r / f) } else { 0.0 })
            .collect();
        let mut step = vec![0.0; x.len()];
        a.adjoint(region, &scaled, &mut step);
        for ((v, s), f) in x.iter_mut().zip(&step).zip(&free) {
            if *f != 0.0 {
                *v = (*v + s).clamp(-1.0, 1.0);
            }
        }
    }
}
