//! What every degradation must satisfy, as numbers: for the tests, and for the author of a new one.

use super::Degradation;
use crate::frame::Region;
use crate::noise::NoiseField;

/// Relative errors of one operator's identities, measured on random vectors over `region`.
/// For a correct operator in `f32` all of them are around 1e-6. One that
/// [truncates](Degradation::truncation) its singular values is held to them on the directions
/// that it keeps: `A+ A v` takes the place of `v`.
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
    /// What truncation leaves of `A v`, over what it may leave: `|A v - A A+ A v|` over
    /// `truncation |v|`. 0 for an operator without truncation, else at most 1.
    pub left_out: f64,
}

impl std::fmt::Display for Identities {
    /// What is wrong, in words; the largest errors are the ones to look at.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines = [
            ("<A v, u> and <v, A^T u> differ by", self.adjoint, "of |A v| |u|"),
            ("A A+ A v differs from A v by", self.pseudo_inverse, "of |A v|"),
            ("<P u, v> and <u, P v> with P = A+ A differ by", self.symmetric, "of |u| |v|"),
            ("P P v differs from P v by", self.idempotent, "of |P v|"),
            ("A+ S^2 u differs from A^T u by", self.spectrum, "of |A^T u|"),
        ];
        for (what, error, unit) in lines {
            writeln!(f, "{what} {error:.1e} {unit}")?;
        }
        write!(f, "left out by truncation: {:.2} of what may be", self.left_out)
    }
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

    let (mut v, w, u) =
        (random(0, x_shape.len()), random(1, x_shape.len()), random(2, y_shape.len()));
    let mut av = apply(&v);
    let mut atu = scene();
    a.adjoint(region, &u, &mut atu);
    let adjoint = relative((dot(&av, &u) - dot(&v, &atu)).abs(), norm(&av) * norm(&u));
    let (mut pv, pw) = (project(&v), project(&w));
    let symmetric = relative((dot(&pv, &w) - dot(&v, &pw)).abs(), norm(&v) * norm(&w));
    let mut left_out = 0.0;
    if a.truncation() > 0.0 {
        let kept = apply(&pv);
        let lost: Vec<f32> = av.iter().zip(&kept).map(|(a, k)| a - k).collect();
        left_out = norm(&lost) / (f64::from(a.truncation()) * norm(&v));
        (v, av) = (pv, kept);
        pv = project(&v);
        atu = project(&atu);
    }
    // W = s^2 turns the pseudo-inverse into A^T, whatever the operator's basis.
    let by_spectrum = pinv(&u, &|s| s * s);

    Identities {
        adjoint,
        pseudo_inverse: distance(&apply(&pv), &av),
        symmetric,
        idempotent: distance(&project(&pv), &pv),
        spectrum: distance(&by_spectrum, &atu),
        left_out,
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
