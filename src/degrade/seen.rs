//! Measurements some values of which say nothing.

use super::torus::{Circulant, Power, Window};
use super::{Degradation, Dual, LinearMap, krylov};
use crate::frame::{Region, Shape};

/// `x = A+ W r` over the whole frame as in [`Degradation::pinv`], of an `A` without its rows where
/// `seen` is 0: what these values of the measurement are asks nothing of `x`. Where rows of `A` do
/// not overlap, an `r` of 0 there is the same and cheaper.
pub fn pinv_seen(
    a: &dyn Degradation,
    seen: &[f32],
    r: &[f32],
    weight: &dyn Fn(f32) -> f32,
    x: &mut [f32],
) {
    let less = a.circulant().map(|whole| Less { whole, window: whole.window().without(seen) });
    krylov::pinv(&Seen { a, seen, less }, &masked(r, seen), weight, &mut Dual::default(), x);
}

/// `A` with rows of zeros where `seen` is 0.
struct Seen<'a> {
    a: &'a dyn Degradation,
    seen: &'a [f32],
    less: Option<Less<'a>>,
}

/// A convolution of which less is seen.
struct Less<'a> {
    whole: &'a dyn Circulant,
    window: Window,
}

impl Circulant for Less<'_> {
    fn window(&self) -> &Window {
        &self.window
    }

    fn filter(&self, eta: f32, power: Power, v: &[f32], out: &mut [f32]) {
        self.whole.filter(eta, power, v, out);
    }

    fn spreads(&self) -> bool {
        self.whole.spreads()
    }

    fn spread(&self, w: &[f32], x: &mut [f32]) -> bool {
        self.whole.spread(w, x)
    }

    fn working(&self) -> usize {
        self.whole.working()
    }
}

fn masked(y: &[f32], seen: &[f32]) -> Vec<f32> {
    y.iter().zip(seen).map(|(y, seen)| if *seen > 0.0 { *y } else { 0.0 }).collect()
}

impl LinearMap for Seen<'_> {
    fn spec(&self) -> String {
        self.a.spec()
    }

    fn scene(&self) -> Shape {
        self.a.scene()
    }

    fn measurement(&self) -> Shape {
        self.a.measurement()
    }

    fn apply(&self, x: &[f32], y: &mut [f32]) {
        self.a.apply(Region::whole(self.a.scene()), x, y);
        y.iter_mut().zip(self.seen).for_each(|(y, seen)| *y = if *seen > 0.0 { *y } else { 0.0 });
    }

    fn adjoint(&self, y: &[f32], x: &mut [f32]) {
        self.a.adjoint(Region::whole(self.a.scene()), &masked(y, self.seen), x);
    }

    fn gram(&self, y: &[f32], out: &mut [f32]) {
        self.a.gram(&masked(y, self.seen), out);
        out.iter_mut().zip(self.seen).for_each(|(o, seen)| *o = if *seen > 0.0 { *o } else { 0.0 });
    }

    fn circulant(&self) -> Option<&dyn Circulant> {
        self.less.as_ref().map(|less| less as &dyn Circulant)
    }

    fn truncation(&self) -> f32 {
        self.a.truncation()
    }
}
