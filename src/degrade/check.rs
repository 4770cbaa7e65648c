//! What every degradation must satisfy, as numbers: for the tests, and for the author of a new one.

use super::Degradation;
use crate::frame::Region;
use crate::noise::NoiseField;

/// Relative errors of one operator's identities, measured on random vectors over `region`.
/// For a correct operator in `f32` all of them are around 1e-6.
#[derive(Debug, Clone, Copy)]
pub struct Identities {
    /// `<A v, u> = <v, A^T u>`.
    pub adjoint: f64,
    /// `A A+ A v = A v`.
    pub pseudo_inverse: f64,
    /// `<P u, v> = <u, P v>` with `P = A+ A`.
    pub symmetric: f64,
    /// `P P v = P v`.
    pub idempotent: f64,
    /// `A A^T` has the declared singular values: `A A+ S^2 u = A A^T u`.
    pub spectrum: f64,
}

impl Identities {
    /// The largest of the errors.
    pub fn worst(&self) -> f64 {
        let all = [self.pseudo_inverse, self.symmetric, self.idempotent, self.spectrum];
        all.iter().fold(self.adjoint, |a, &b| if b > a || b.is_nan() { b } else { a })
    }
}

/// Measures the identities over `region`, which must be one that the operator accepts.
pub fn identities(a: &dyn Degradation, region: Region) -> Identities {
    let x_shape = region.shape(a.scene().channels);
    let y_shape = a.measured(region).shape(a.measurement().channels);
    let random = |draw: u16, len: usize| {
        let field = NoiseField { seed: 0x5eed, frame: 0, draw };
        (0..len).map(|i| field.at(0, 0, i)).collect::<Vec<f32>>()
    };
    let apply = |x: &[f32]| {
        let mut y = vec![0.0; y_shape.len()];
        a.apply(region, x, &mut y);
        y
    };
    let scene = || vec![0.0; x_shape.len()];
    let pinv = |y: &[f32], weight: &dyn Fn(f32) -> f32| {
        let mut x = scene();
        a.pinv(region, y, weight, &mut x);
        x
    };
    let project = |x: &[f32]| pinv(&apply(x), &|_| 1.0);

    let (v, w, u) = (random(0, x_shape.len()), random(1, x_shape.len()), random(2, y_shape.len()));
    let av = apply(&v);
    let mut atu = scene();
    a.adjoint(region, &u, &mut atu);
    let (pv, pw) = (project(&v), project(&w));
    // W = s^2 turns the pseudo-inverse into A^T, whatever the operator's basis.
    let by_spectrum = pinv(&u, &|s| s * s);

    Identities {
        adjoint: relative((dot(&av, &u) - dot(&v, &atu)).abs(), norm(&av) * norm(&u)),
        pseudo_inverse: distance(&apply(&pv), &av),
        symmetric: relative((dot(&pv, &w) - dot(&v, &pw)).abs(), norm(&v) * norm(&w)),
        idempotent: distance(&project(&pv), &pv),
        spectrum: distance(&by_spectrum, &atu),
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn norm(a: &[f32]) -> f64 {
    dot(a, a).sqrt()
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    let d: Vec<f32> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    relative(norm(&d), norm(b))
}

/// An error relative to a size; a region in which nothing is measured has size 0 and error 0.
fn relative(error: f64, size: f64) -> f64 {
    if error == 0.0 { 0.0 } else { error / size }
}
