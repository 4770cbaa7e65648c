//! How much of each value of a scene was measured: the diagonal of the projector `A+ A`.

use super::Degradation;
use crate::frame::Region;
use crate::noise::NoiseField;

/// Random vectors that the diagonal is estimated with where rows of `A` overlap.
pub const PROBES: u16 = 64;

/// Noise streams of the probes, apart from all others.
const PROBE: u16 = 0x4000;

/// The diagonal of `A+ A` over `region`, from 0 (left to the prior) to 1 (known from the
/// measurement alone). Its sum over the scene is the rank of `A`.
///
/// Where rows do not overlap each scene value enters one measurement at most, so that the diagonal
/// is the square of `A^T` applied to one over the singular values. Elsewhere it is Hutchinson's
/// estimate, the mean of `z (A+ A z)` over [`PROBES`] vectors `z` of random signs: each value is
/// then uncertain by up to an eighth.
pub fn measured_share(a: &dyn Degradation, region: Region, out: &mut [f32]) {
    let mut y = vec![0.0; a.measured(region).shape(a.measurement().channels).len()];
    if !a.rows_overlap() {
        a.singular_values(region, &mut y);
        y.iter_mut().for_each(|s| *s = if *s > 0.0 { 1.0 / *s } else { 0.0 });
        a.adjoint(region, &y, out);
        return out.iter_mut().for_each(|v| *v *= *v);
    }
    out.fill(0.0);
    let (mut z, mut back) = (vec![0.0; out.len()], vec![0.0; out.len()]);
    for probe in 0..PROBES {
        let field = NoiseField { seed: 0, frame: 0, draw: PROBE + probe };
        field.fill(region, a.scene().channels, &mut z);
        z.iter_mut().for_each(|z| *z = z.signum());
        a.apply(region, &z, &mut y);
        a.pinv(region, &y, &|_| 1.0, &mut back);
        out.iter_mut().zip(&z).zip(&back).for_each(|((o, z), b)| *o += z * b);
    }
    out.iter_mut().for_each(|v| *v = (*v / f32::from(PROBES)).clamp(0.0, 1.0));
}
