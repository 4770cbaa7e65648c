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
//! `M = Q (C + eta I) Q^T`. By Schur's complement `M - S^-1` is positive, so that for a residual `r`
//! the product `<r, M r>` is at least the square of the error in the norm of `S`, which is how far
//! `w` is from the solution in the norm of `C + eta I`: at least as far as `A^T w` from its own in
//! the usual one. How much less it is, the curvature along the last direction tells.
//!
//! Where nothing but borders is hidden, [`Bands`] are nearer to `S^-1` than `M` is, and quicker.
//!
//! Where `A^T` is known beyond the window, `A (A^T w) + eta P w = y` whatever `u` is: an estimate
//! agrees with the measurement from the first iteration on, and `u` only decides whether it is the
//! shortest such.

use std::ops::Range;

use super::Dual;
use super::bands::{self, Bands};
use super::krylov::dot;
use crate::frame::Shape;
use crate::scratch::{any, zeros};

/// A convolution `C` on a torus. A map's `A A^T` sees it through a [`Window`].
pub trait Circulant: Send + Sync {
    /// `out = (C + eta I) v`, or `(C + eta I)^-1 v`, of pictures of the whole torus.
    fn filter(&self, eta: f32, power: Power, v: &[f32], out: &mut [f32]);
    /// Whether `A^T` is known beyond the window.
    fn spreads(&self) -> bool {
        false
    }
    /// `x = A^T w` of a picture of the whole torus, if [that is known](Circulant::spreads).
    fn spread(&self, w: &[f32], x: &mut [f32]) -> bool {
        let _ = (w, x);
        self.spreads()
    }
    /// What solves for the borders of a window, where nothing else is hidden.
    fn bands(&self, window: &Window, eta: f32) -> Option<Bands> {
        let _ = (window, eta);
        None
    }
    /// Floats of working memory of [`filter`](Circulant::filter) and [`spread`](Circulant::spread).
    fn working(&self) -> usize;
}

/// A convolution and the window through which it is seen.
pub type Behind<'a> = (&'a dyn Circulant, &'a Window);

/// Which power of `C + eta I`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Power {
    Itself,
    Inverse,
}

/// What a measurement shows of a torus.
#[derive(Debug, Clone)]
pub struct Window {
    measurement: Shape,
    torus: Shape,
    /// Row and column of the measurement's first value.
    at: (usize, usize),
    /// Where nothing is measured: first values and lengths of runs of a picture of the torus.
    hidden: Vec<(u32, u32)>,
}

impl Window {
    /// `measures` is 0 where a value of the measurement says nothing; empty where all say something.
    pub fn new(measurement: Shape, torus: Shape, at: (usize, usize), measures: &[f32]) -> Window {
        let hidden = Vec::new();
        let mut window = Window { measurement, torus, at, hidden };
        let mut end = 0;
        for row in 0..measurement.channels * measurement.height {
            let (first, there) = window.row(row);
            window.hide(end..there);
            end = there + measurement.width;
            let values = measures.get(first..first + measurement.width).unwrap_or(&[]);
            for (x, _) in values.iter().enumerate().filter(|(_, v)| **v == 0.0) {
                window.hide(there + x..there + x + 1);
            }
        }
        window.hide(end..torus.len());
        window.hidden.shrink_to_fit();
        window
    }

    /// The same without the values where `seen` is 0.
    pub fn without(&self, seen: &[f32]) -> Window {
        let mut shown: Vec<f32> = vec![1.0; self.torus.len()];
        self.runs().for_each(|run| shown[run].fill(0.0));
        let mut measures = vec![0.0; self.measurement.len()];
        self.look(&mut shown, &mut measures);
        measures.iter_mut().zip(seen).for_each(|(m, seen)| *m = if *seen > 0.0 { *m } else { 0.0 });
        Window::new(self.measurement, self.torus, self.at, &measures)
    }

    fn hide(&mut self, places: Range<usize>) {
        let (first, length) = (places.start as u32, places.len() as u32);
        match self.hidden.last_mut() {
            _ if places.is_empty() => {}
            Some((start, all)) if *start + *all == first => *all += length,
            _ => self.hidden.push((first, length)),
        }
    }

    /// Where a row of the measurement begins, and where it lies on the torus.
    fn row(&self, row: usize) -> (usize, usize) {
        let (m, t) = (self.measurement, self.torus);
        let (channel, y) = (row / m.height, row % m.height);
        (row * m.width, (channel * t.height + self.at.0 + y) * t.width + self.at.1)
    }

    /// The torus.
    pub fn torus(&self) -> Shape {
        self.torus
    }

    /// How many values are hidden.
    pub fn hidden(&self) -> usize {
        self.hidden.iter().map(|(_, length)| *length as usize).sum()
    }

    /// Bytes that it holds.
    pub fn held_bytes(&self) -> u64 {
        size_of_val(&*self.hidden) as u64
    }

    /// The first and the number of the rows, and of the columns, of which nothing is measured, around
    /// the torus; `None` where more is hidden.
    pub fn borders(&self) -> Option<((usize, usize), (usize, usize))> {
        let (m, t) = (self.measurement, self.torus);
        if self.hidden() != t.len() - m.len() {
            return None;
        }
        let along = |at: usize, shown: usize, all: usize| ((at + shown) % all, all - shown);
        Some((along(self.at.0, m.height, t.height), along(self.at.1, m.width, t.width)))
    }

    fn runs(&self) -> impl Iterator<Item = Range<usize>> {
        self.hidden.iter().map(|(first, length)| *first as usize..(*first + *length) as usize)
    }

    fn rows(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.measurement.channels * self.measurement.height).map(|row| self.row(row))
    }

    /// The measured values of a picture of the torus, and whatever `y` has where there are holes.
    pub(super) fn place(&self, y: &[f32], out: &mut [f32]) {
        let width = self.measurement.width;
        for (from, to) in self.rows() {
            out[to..to + width].copy_from_slice(&y[from..from + width]);
        }
    }

    /// `out = P^T y + Q^T u`.
    fn lay(&self, y: &[f32], u: &[f32], out: &mut [f32]) {
        self.place(y, out);
        self.put(u, out);
    }

    /// What is hidden, of a picture of the torus.
    fn put(&self, u: &[f32], out: &mut [f32]) {
        let mut rest = u;
        for run in self.runs() {
            let (here, others) = rest.split_at(run.len());
            out[run].copy_from_slice(here);
            rest = others;
        }
    }

    /// `u = Q w`.
    fn take(&self, w: &[f32], u: &mut [f32]) {
        let mut rest = u;
        for run in self.runs() {
            let (here, others) = rest.split_at_mut(run.len());
            here.copy_from_slice(&w[run]);
            rest = others;
        }
    }

    /// `z = P w`; `w` is 0 elsewhere afterwards.
    pub(super) fn look(&self, w: &mut [f32], z: &mut [f32]) {
        self.runs().for_each(|run| w[run].fill(0.0));
        let width = self.measurement.width;
        for (to, from) in self.rows() {
            z[to..to + width].copy_from_slice(&w[from..from + width]);
        }
    }
}

/// When a solution is good enough: what is left is this share of it, or this long.
#[derive(Debug, Clone, Copy)]
pub struct Enough {
    pub share: f64,
    pub length: f64,
}

/// Most iterations.
const ITERATIONS: usize = 100;

/// Floats of working memory of [`solve`], of which those of the second number are kept in `Dual`;
/// `last` is what goes from pictures of the torus to the scene, if that is by the map's own adjoint.
pub fn working((c, window): Behind, last: usize) -> (usize, usize) {
    let (torus, hidden) = (window.torus.len(), window.hidden());
    let bands = if c.spreads() { bands::size(window) } else { None };
    let near = bands.map_or(0, |floats| floats + bands::working(window));
    let iterated = 3 * torus + 5 * hidden + near + c.working();
    let spread = torus + hidden + if c.spreads() { c.working() } else { last };
    (iterated.max(spread), hidden)
}

/// `x = A^T (A A^T + eta I)^-1 y`, up to `enough`; values of `y` where nothing is measured do not
/// count. Begins at the hidden values of the last solution in `dual`, and leaves its own there.
/// `adjoint` is `A^T`, for convolutions that do not [spread](Circulant::spreads).
pub fn solve(
    (c, window): Behind,
    adjoint: &dyn Fn(&[f32], &mut [f32]),
    eta: f32,
    y: &[f32],
    enough: Enough,
    dual: &mut Dual,
    x: &mut [f32],
) {
    let (len, hidden) = (window.torus.len(), window.hidden());
    let (mut here, mut there, mut w) = (any(len), any(len), any(len));
    let Dual { z: u, gram, iterations, .. } = dual;
    gram.clear();
    if u.len() != hidden {
        u.clear();
        u.resize(hidden, 0.0);
    }
    window.lay(y, u, &mut here);
    c.filter(eta, Power::Inverse, &here, &mut w);
    let mut r = any(hidden);
    window.take(&w, &mut r);
    r.iter_mut().for_each(|r| *r = -*r);
    // What is left is a part of the estimate, or where this is cut to the window, of what it
    // should measure.
    let whole = match c.spreads() {
        true => (dot(&here, &w) - f64::from(eta) * dot(&w, &w)).max(0.0),
        false => dot(y, y),
    };
    let goal = (enough.share * enough.share * whole).max(enough.length.powi(2));
    let (mut m, mut p, mut q) = (any(hidden), zeros(hidden), any(hidden));
    let bands = if c.spreads() { c.bands(window, eta) } else { None };
    // The bound on what is left, and how much of it there really was in the last direction.
    let (mut before, mut tightness) = (f64::INFINITY, 1.0);
    for iteration in 0..ITERATIONS {
        match &bands {
            Some(bands) => {
                window.put(&r, &mut here);
                bands.solve(&here, &mut there);
            }
            None => {
                here.fill(0.0);
                window.put(&r, &mut here);
                c.filter(eta, Power::Itself, &here, &mut there);
            }
        }
        window.take(&there, &mut m);
        let rm = dot(&r, &m);
        let left = match c.spreads() {
            true => rm * tightness,
            false => dot(&there, &there) - dot(&m, &m),
        };
        log::trace!("iteration {iteration}: {:.1e}", left / whole);
        if left <= goal {
            break;
        }
        let turn = (rm / before) as f32;
        p.iter_mut().zip(&m).for_each(|(p, m)| *p = m + turn * *p);
        here.fill(0.0);
        window.put(&p, &mut here);
        c.filter(eta, Power::Inverse, &here, &mut there);
        window.take(&there, &mut q);
        let curvature = dot(&p, &q);
        if curvature <= 0.0 {
            break;
        }
        let step = (rm / curvature) as f32;
        tightness = (rm / curvature).min(1.0);
        u.iter_mut().zip(&p).for_each(|(u, p)| *u += step * p);
        r.iter_mut().zip(&q).for_each(|(r, q)| *r -= step * q);
        w.iter_mut().zip(&there).for_each(|(w, v)| *w += step * v);
        before = rm;
        *iterations += 1;
    }
    drop((m, p, q, r, here, there));
    if !c.spread(&w, x) {
        let mut z = any(y.len());
        window.look(&mut w, &mut z);
        adjoint(&z, x);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Degradation, Spec};
    use super::*;
    use crate::frame::{Frame, Region, Rows};
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

    #[test]
    fn a_window_shows_what_is_measured_and_hides_the_rest() {
        let (measurement, torus) = (Shape::new(2, 3, 4), Shape::new(2, 5, 7));
        let y: Vec<f32> = (1..=24).map(|i| i as f32).collect();
        let measures: Vec<f32> = (0..24).map(|i| f32::from(u8::from(i % 7 > 0))).collect();
        let all = Window::new(measurement, torus, (1, 2), &[]);
        let some = Window::new(measurement, torus, (1, 2), &measures);
        assert_eq!((all.hidden(), some.hidden()), (70 - 24, 70 - 20));
        assert_eq!(all.without(&measures).hidden, some.hidden);
        for (window, shows) in [(&all, &vec![1.0; 24]), (&some, &measures)] {
            let u: Vec<f32> = (0..window.hidden()).map(|i| -1.0 - i as f32).collect();
            let (mut laid, mut back) = (vec![0.0; 70], vec![0.0; u.len()]);
            window.lay(&y, &u, &mut laid);
            window.take(&laid, &mut back);
            assert_eq!(back, u);
            // The 6th value of the second channel is in its second row.
            assert_eq!(laid[35 + 2 * 7 + 2 + 1], if shows[17] > 0.0 { 18.0 } else { laid[52] });
            let mut seen = vec![0.0; 24];
            window.look(&mut laid, &mut seen);
            assert!(seen.iter().zip(&y).zip(shows).all(|((s, y), shown)| *s == y * shown));
            assert_eq!(laid.iter().filter(|v| **v != 0.0).count(), 70 - window.hidden());
        }
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
