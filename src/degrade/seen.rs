//! Measurements some values of which say nothing.

use super::torus::{Behind, Circulant};
use super::window::Window;
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
    let less = a.circulant().map(|(c, window)| (c, window.without(seen)));
    // Where much is hidden, what is seen is the smaller system.
    let less = less.filter(|(_, window)| window.hidden() <= window.torus().len() / MOST);
    krylov::pinv(&Seen { a, seen, less }, &masked(r, seen), weight, &mut Dual::default(), x);
}

/// One in how many values of a torus may be hidden.
const MOST: usize = 4;

/// `A` with rows of zeros where `seen` is 0.
struct Seen<'a> {
    a: &'a dyn Degradation,
    seen: &'a [f32],
    /// The convolution of `A`, of which less is seen.
    less: Option<(&'a dyn Circulant, Window)>,
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

    fn circulant(&self) -> Option<Behind<'_>> {
        self.less.as_ref().map(|(c, window)| (*c, window))
    }

    fn truncation(&self) -> f32 {
        self.a.truncation()
    }
}
