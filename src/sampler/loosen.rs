//! Classical estimates of frames with saturated values.

use crate::degrade::{Degradation, Limits, pinv_seen, wiener};
use crate::frame::Region;
use crate::scratch::zeros;

/// Moves a classical estimate `x` of the whole frame towards the intervals of the measurement `y`
/// with noise `sigma_y`, where rows of `A` overlap. Such an estimate takes saturated values for
/// exact, and rings around them: a blur's turns the edge of a cut-off highlight into a ditch.
///
/// The first round asks nothing of values at white, since the estimate has been made to fit them;
/// the second asks of those that came out darker to be white at least.
pub fn loosen(a: &dyn Degradation, y: &[f32], limits: &Limits, sigma_y: f64, x: &mut [f32]) {
    const ROUNDS: usize = 2;
    /// Details that a classical estimate lacks, as in those of blurs.
    const SPREAD: f64 = 0.1;
    let whole = Region::whole(a.scene());
    let (mut gain, mut r, mut seen) = (zeros(y.len()), zeros(y.len()), zeros(y.len()));
    let mut correction = zeros(x.len());
    a.dc_gain(whole, &mut gain);
    for round in 0..ROUNDS {
        x.iter_mut().for_each(|v| *v = v.clamp(-1.0, 1.0));
        a.apply(whole, x, &mut r);
        a.singular_values(whole, &mut seen);
        let mut is_open = false;
        for (((r, y), gain), seen) in r.iter_mut().zip(y).zip(&*gain).zip(&mut *seen) {
            *r = y - *r;
            // As if the estimate was brighter than all that was measured.
            let beyond = if round == 0 { -r.abs() } else { *r };
            if limits.is_open(*y, *gain, beyond) {
                (*seen, is_open) = (0.0, true);
            }
        }
        if !is_open {
            return;
        }
        limits.shorten(y, &gain, &mut r);
        pinv_seen(a, &seen, &r, &wiener(sigma_y, SPREAD), &mut correction);
        x.iter_mut().zip(&*correction).for_each(|(x, c)| *x += c);
    }
}
