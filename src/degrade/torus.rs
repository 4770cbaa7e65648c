//! `(A A^T + eta I)^-1 y` where `A A^T` is a convolution seen through a window.
//!
//! Let `C` be the convolution, on a torus so large that nothing that is measured meets itself
//! around it, `P` what a measurement shows of the torus and `Q` the rest: what lies beyond the
//! frame, and holes. `A A^T = P C P^T` is no convolution, but its system has the solution
//!
//! `z = P w`, `w = (C + eta I)^-1 (P^T y + Q^T u)`
//!
//! with the one `u` that makes `Q w = 0`: then `P (C + eta I) P^T z = y`. So all that is unknown
//! are values where nothing is measured, and the system for them,
//!
//! `S u = -Q (C + eta I)^-1 P^T y`, `S = Q (C + eta I)^-1 Q^T`,
//!
//! is small where a frame has nothing but borders. Conjugate gradients solve it, preconditioned by
//!
//! `F = Q ((C + eta I)^-1 + I / t)^-1 Q^T = t Q (I - t (C + (eta + t) I)^-1) Q^T`.
//!
//! An infinite `t` would be the first guess, `Q (C + eta I) Q^T`, which exceeds `S^-1` by what a
//! Schur complement takes away: much where `C` is large, since there what is shown tells most of
//! what is hidden. For places hidden by chance the coherent potential approximation (P. Soven,
//! Phys. Rev. 156, 1967) gives `S^-1` just this form in the mean. A `t` between the smallest and the
//! largest eigenvalues of `C + eta I` serves all kinds of places, few or many (`docs/sampler.md`).
//!
//! `<r, F r>` is about the square of the error in the norm of `S`, which is how far `w` is from the
//! solution in the norm of `C + eta I`: at least as far as `A^T w` from its own in the usual one.
//! How much it really is, the curvature along the last direction tells.
//!
//! Where nothing but borders is hidden, [`Bands`] are nearer to `S^-1` than `F` is, and quicker.
//!
//! Where `A^T` is known beyond the window, `A (A^T w) + eta P w = y` whatever `u` is: an estimate
//! agrees with the measurement from the first iteration on, and `u` only decides whether it is the
//! shortest such.

use super::Dual;
use super::bands::{self, Bands};
use super::krylov::{add, advance, dot};
use super::window::Window;
use crate::scratch::{any, zeros};

/// A convolution `C` on a torus. A map's `A A^T` sees it through a [`Window`].
pub trait Circulant: Send + Sync {
    /// `out = (C + eta I)^-1 v`, of a channel of the torus.
    fn inverse(&self, eta: f32, v: &[f32], out: &mut [f32]);
    /// The smallest and the largest eigenvalue of `C`, about.
    fn extremes(&self) -> (f32, f32);
    /// Whether `A^T` is known beyond the window.
    fn spreads(&self) -> bool {
        false
    }
    /// `x = A^T w` of a channel of the torus and of the scene, if [that is known](Circulant::spreads).
    fn spread(&self, w: &[f32], x: &mut [f32]) -> bool {
        let _ = (w, x);
        self.spreads()
    }
    /// What solves for the borders of a window, where nothing else is hidden.
    fn bands(&self, window: &Window, eta: f32) -> Option<Bands> {
        let _ = (window, eta);
        None
    }
    /// Floats of working memory of [`inverse`](Circulant::inverse) and [`spread`](Circulant::spread).
    fn working(&self) -> usize;
}

/// A convolution and the window through which it is seen.
pub type Behind<'a> = (&'a dyn Circulant, &'a Window);

/// When a solution is good enough: what is left is this share of it, or this long.
#[derive(Debug, Clone, Copy)]
pub struct Enough {
    pub share: f64,
    pub length: f64,
}

/// Most iterations.
const ITERATIONS: usize = 100;

/// Floats of working memory of [`solve`], of which those of the second number are kept in `Dual`;
/// `last` is what goes from a measurement to the scene, if that is by the map's own adjoint.
pub fn working((c, window): Behind, last: usize) -> (usize, usize) {
    let plane = window.torus().plane();
    let most = (0..window.torus().channels).map(|channel| window.hidden_in(channel)).max();
    let bands = if c.spreads() { bands::size(window) } else { None };
    let near = bands.map_or(0, |floats| floats + bands::working(window));
    let iterated = 3 * plane + 4 * most.unwrap_or(0) + near + c.working();
    let kept = window.hidden();
    if c.spreads() {
        return (kept + iterated, kept);
    }
    (kept + window.measurement().len() + iterated.max(last), kept)
}

/// `x = A^T (A A^T + eta I)^-1 y`, up to `enough` in each channel; values of `y` where nothing is
/// measured do not count. Begins at the hidden values of the last solution in `dual`, and leaves
/// its own there. `adjoint` is `A^T`, for convolutions that do not [spread](Circulant::spreads).
pub fn solve(
    (c, window): Behind,
    adjoint: &dyn Fn(&[f32], &mut [f32]),
    eta: f32,
    y: &[f32],
    enough: Enough,
    dual: &mut Dual,
    x: &mut [f32],
) {
    let channels = window.measurement().channels;
    if dual.z.len() != window.hidden() {
        dual.z.clear();
        dual.z.resize(window.hidden(), 0.0);
    }
    dual.gram.clear();
    // What is left may be as long in all.
    let enough = Enough { length: enough.length / (channels as f64).sqrt(), ..enough };
    let bands = if c.spreads() { c.bands(window, eta) } else { None };
    let mut w = any(window.torus().plane());
    let mut z = any(if c.spreads() { 0 } else { y.len() });
    let scene = x.len() / channels;
    let (mut rest, mut most) = (&mut dual.z[..], 0);
    // Channels have nothing to do with each other, and one of them fits a cache.
    for (channel, y) in y.chunks(window.measurement().plane()).enumerate() {
        let (u, others) = rest.split_at_mut(window.hidden_in(channel));
        rest = others;
        let plane = Plane { c, window, bands: bands.as_ref(), channel, eta };
        most = most.max(plane.solve(y, enough, u, &mut w));
        if c.spreads() {
            c.spread(&w, &mut x[channel * scene..][..scene]);
        } else {
            let z = &mut z[channel * y.len()..][..y.len()];
            window.look(channel, &mut w, z);
        }
    }
    dual.iterations += most;
    drop(w);
    if !c.spreads() {
        adjoint(&z, x);
    }
}

/// One channel of a system.
struct Plane<'a> {
    c: &'a dyn Circulant,
    window: &'a Window,
    bands: Option<&'a Bands>,
    channel: usize,
    eta: f32,
}

impl Plane<'_> {
    /// `w`, from hidden values `u` to better ones; returns the number of iterations.
    fn solve(&self, y: &[f32], enough: Enough, u: &mut [f32], w: &mut [f32]) -> usize {
        let Plane { c, window, channel, eta, .. } = *self;
        let hidden = u.len();
        let (mut here, mut there) = (any(w.len()), any(w.len()));
        window.lay(channel, y, u, &mut here);
        c.inverse(eta, &here, w);
        let mut r = any(hidden);
        window.take(channel, w, &mut r);
        r.iter_mut().for_each(|r| *r = -*r);
        // What is left is a part of the estimate.
        let whole = (dot(&here, w) - f64::from(eta) * dot(w, w)).max(0.0);
        let goal = (enough.share * enough.share * whole).max(enough.length.powi(2));
        let (mut m, mut p, mut q) = (any(hidden), zeros(hidden), any(hidden));
        // How much of what seemed left there really was in the last direction.
        let (mut before, mut tightness) = (f64::INFINITY, 1.0);
        // From here on only hidden values are put there.
        here.fill(0.0);
        for iteration in 0..ITERATIONS {
            self.precondition(&r, &mut here, &mut there, &mut m);
            let rm = dot(&r, &m);
            log::trace!("channel {channel}, iteration {iteration}: {:.1e}", rm * tightness / whole);
            if rm * tightness <= goal {
                return iteration;
            }
            let turn = (rm / before) as f32;
            advance(&mut p, turn, &m);
            window.put(channel, &p, &mut here);
            c.inverse(eta, &here, &mut there);
            window.take(channel, &there, &mut q);
            let curvature = dot(&p, &q);
            if curvature <= 0.0 {
                return iteration;
            }
            let step = (rm / curvature) as f32;
            tightness = rm / curvature;
            add(u, step, &p);
            add(&mut r, -step, &q);
            add(w, step, &there);
            // What it left of the last one, an iteration is taken to leave again: nobody looks.
            // Of the first nothing is known.
            let kept = if before.is_finite() { rm / before } else { 1.0 };
            before = rm;
            if kept * rm * tightness <= goal {
                return iteration + 1;
            }
        }
        ITERATIONS
    }

    /// `m = F r`, or what bands make of it; `there` is lost, and so are hidden values of `here`, whose
    /// others are 0.
    fn precondition(&self, r: &[f32], here: &mut [f32], there: &mut [f32], m: &mut [f32]) {
        /// Times the geometric mean of the extremes.
        const BETWEEN: f32 = 3.0;
        /// Part of the largest eigenvalue that the smallest counts as at least.
        const LEAST: f32 = 1e-5;
        let Plane { c, window, bands, channel, eta } = *self;
        if let Some(bands) = bands {
            window.put(channel, r, here);
            bands.solve(here, there);
            return window.take(channel, there, m);
        }
        let (least, most) = c.extremes();
        let t = BETWEEN * ((least + eta).max(LEAST * most) * (most + eta)).sqrt();
        window.put(channel, r, here);
        c.inverse(eta + t, here, there);
        window.take(channel, there, m);
        m.iter_mut().zip(r).for_each(|(m, r)| *m = t * (r - t * *m));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Degradation, Spec};
    use super::*;
    use crate::frame::{Frame, Region, Rows, Shape};
    use crate::noise::NoiseField;

    fn hole(i: usize) -> f32 {
        if i.is_multiple_of(5) { -1.0 } else { 1.0 }
    }

    /// A kernel without symmetries, a sharp one, and masks behind either.
    fn load(name: &Path) -> crate::Result<Box<dyn Rows>> {
        let (shape, value): (_, fn(usize) -> f32) = match name.to_str() {
            Some("kernel") => (Shape::new(1, 3, 4), |i| ((i * 5 % 12) as f32 - 5.9) / 6.0),
            Some("sharp") => (Shape::new(1, 2, 3), |i| if i == 1 { 30.0 } else { -0.5 }),
            Some("holes") => (Shape::new(1, 38, 44), hole),
            _ => (Shape::new(1, 39, 45), hole),
        };
        Ok(Frame::new(shape, (0..shape.len()).map(value).collect())?.into())
    }

    fn build(spec: &str) -> Box<dyn Degradation> {
        Spec::parse(spec).unwrap().build(Shape::new(3, 40, 47), &load).unwrap()
    }

    fn random(len: usize, draw: u16) -> Vec<f32> {
        let field = NoiseField { seed: 5, frame: 0, draw };
        (0..len).map(|i| field.at(0, 0, i)).collect()
    }

    /// What of the system a solution leaves, relative to `y`, and its iterations.
    fn solved(
        a: &dyn Degradation,
        eta: f32,
        share: f64,
        y: &[f32],
        dual: &mut Dual,
    ) -> (f64, usize) {
        let whole = Region::whole(a.scene());
        let before = dual.iterations();
        let mut x = vec![0.0; a.scene().len()];
        let enough = Enough { share, length: 0.0 };
        let adjoint = |z: &[f32], x: &mut [f32]| a.adjoint(whole, z, x);
        solve(a.circulant().unwrap(), &adjoint, eta, y, enough, dual, &mut x);
        // Of (A^T A + eta I) x = A^T y, which no other x satisfies.
        let (mut r, mut left) = (vec![0.0; y.len()], vec![0.0; x.len()]);
        a.apply(whole, &x, &mut r);
        r.iter_mut().zip(y).for_each(|(r, y)| *r = y - *r);
        a.adjoint(whole, &r, &mut left);
        left.iter_mut().zip(&x).for_each(|(l, x)| *l -= eta * x);
        ((dot(&left, &left) / dot(y, y)).sqrt(), dual.iterations() - before)
    }

    /// Random values where something is measured.
    fn measurement(a: &dyn Degradation, draw: u16) -> Vec<f32> {
        let mut says = vec![0.0; a.measurement().len()];
        a.singular_values(Region::whole(a.scene()), &mut says);
        let y = random(says.len(), draw);
        y.iter().zip(&says).map(|(y, says)| if *says > 0.0 { *y } else { 0.0 }).collect()
    }

    #[test]
    fn systems_are_solved_as_well_as_is_asked() {
        for spec in [
            "blur:kernel",
            "blur:sharp",
            "blur:kernel+mask:holes",
            "blur:kernel+sr:2",
            "blur:sharp+bayer:rggb",
        ] {
            let a = build(spec);
            let y = measurement(&*a, 1);
            for eta in [1e-3, 0.1] {
                let (rough, few) = solved(&*a, eta, 0.1, &y, &mut Dual::default());
                let (fine, many) = solved(&*a, eta, 1e-5, &y, &mut Dual::default());
                assert!(fine < 2e-5 && rough < 0.1, "{spec}, {eta}: {fine:.1e} {rough:.1e}");
                assert!(few < many, "{spec}, {eta}: {few} {many}");
            }
        }
    }

    #[test]
    fn an_estimate_agrees_with_the_measurement_before_it_is_the_shortest() {
        for spec in ["blur:sharp", "blur:sharp+mask:gaps"] {
            let a = build(spec);
            let (y, mut x) = (measurement(&*a, 2), vec![0.0; a.scene().len()]);
            let enough = Enough { share: 1e9, length: 0.0 };
            let mut dual = Dual::default();
            let spread = |_: &[f32], _: &mut [f32]| panic!("it is known beyond the window");
            solve(a.circulant().unwrap(), &spread, 0.0, &y, enough, &mut dual, &mut x);
            assert_eq!(dual.iterations(), 0);
            let mut r = vec![0.0; y.len()];
            a.apply(Region::whole(a.scene()), &x, &mut r);
            r.iter_mut().zip(&y).for_each(|(r, y)| *r = if *y == 0.0 { 0.0 } else { y - *r });
            let left = (dot(&r, &r) / dot(&y, &y)).sqrt();
            assert!(left < 1e-5, "{spec}: {left:.1e}");
        }
    }

    #[test]
    fn borders_take_an_iteration_or_two() {
        for spec in ["blur:kernel", "blur:sharp"] {
            let a = build(spec);
            let (c, window) = a.circulant().unwrap();
            assert!(c.bands(window, 0.1).is_some());
            let (_, found) = solved(&*a, 1e-3, 0.05, &measurement(&*a, 4), &mut Dual::default());
            assert!(found <= 2, "{spec}: {found}");
        }
        let holes = build("blur:sharp+mask:gaps");
        let (c, window) = holes.circulant().unwrap();
        assert!(c.bands(window, 0.1).is_none());
    }

    #[test]
    fn a_step_begins_at_the_hidden_values_of_the_last() {
        let a = build("blur:kernel+mask:holes");
        let y = measurement(&*a, 3);
        let mut dual = Dual::default();
        let (_, first) = solved(&*a, 0.01, 1e-3, &y, &mut dual);
        let (left, again) = solved(&*a, 0.01, 1e-3, &y, &mut dual);
        assert!(first > 2 && again == 0 && left < 1e-3, "{first} {again} {left:.1e}");
        let near: Vec<f32> = y.iter().map(|v| 0.99 * v).collect();
        let (_, similar) = solved(&*a, 0.011, 1e-3, &near, &mut dual);
        assert!(similar < first, "{similar} {first}");
    }

    #[test]
    fn convolutions_behind_windows_are_known_as_such() {
        for (spec, known) in [
            ("blur:kernel", true),
            ("blur:kernel+mask:holes", true),
            ("blur:kernel+sr:2", true),
            ("blur:kernel+bayer:rggb", true),
            // Means over cells some pixels of which are missing.
            ("blur:kernel+mask:holes+sr:2", false),
            ("sr:2", false),
        ] {
            assert_eq!(build(spec).circulant().is_some(), known, "{spec}");
        }
    }
}
