//! `A+ W y` from nothing but `A` and `A^T`.
//!
//! `A+ W y = A^T f(A A^T) y` with `f(s^2) = weight(s) / s^2`. The weights of `faithful` are
//! `s^2 / (s^2 + eta)`: then this is `A^T (A A^T + eta I)^-1 y`, a system of equations, for
//! conjugate gradients. Other weights need the function itself, by Lanczos' method.
//!
//! A measurement without noise is solved to the precision of `f32`, or where the map leaves
//! directions to the prior to ten thousandths. With noise some hundredths of the residual are
//! left, or a part of the noise (a discrepancy principle for the system, which is solved again in
//! the next step): far less than the noise itself. A step's system differs little from the one of
//! the step before, and begins at its solution. `docs/sampler.md` has the measurement of both.

use super::lanczos::lanczos;
use super::torus::{self, Enough};
use super::{LinearMap, Working};
use crate::kernels::wide;
use crate::scratch::{Buffer, Scratch, any, zeros};

/// What conjugate gradients take along from one step of a restoration to the next: the solution
/// `z` of `x = A^T z`, and the noise of the measurement, which says when they may stop.
#[derive(Debug, Clone, Default)]
pub struct Dual {
    /// Empty before the first solution.
    pub(super) z: Vec<f32>,
    /// `A A^T z`, known from the solution: to begin there costs no use of `A`.
    pub(super) gram: Vec<f32>,
    sigma_y: f64,
    pub(super) iterations: usize,
}

impl Dual {
    /// Before the first step of a restoration with noise `sigma_y`, in units of `[-1, 1]`.
    pub fn new(sigma_y: f64) -> Dual {
        Dual { sigma_y, ..Dual::default() }
    }

    /// Iterations of all solutions until now.
    pub fn iterations(&self) -> usize {
        self.iterations
    }

    /// How long `part` of the noise in `y` is.
    fn noise(&self, part: f64, y: &[f32]) -> f64 {
        // Where nothing is measured there is none.
        let measured = y.iter().filter(|v| **v != 0.0).count() as f64;
        part * self.sigma_y * measured.sqrt()
    }

    /// Forgets the last solution.
    pub fn clear(&mut self) {
        self.z.clear();
    }
}

/// Share of the residual that may be left: without noise, where the map leaves directions to the
/// prior, so that no solution is exact anyway.
const EXACT: f64 = 1e-6;
const TRUNCATED: f64 = 1e-4;
/// Part of the noise that may be left of the residual, if that is more than the share: where hidden
/// values are solved for, and where frames are.
const OF_HIDDEN: f64 = 0.1;
const OF_FRAME: f64 = 0.25;
/// Most iterations of conjugate gradients.
const ITERATIONS: usize = 300;
/// Iterations after which a preconditioner must have done something.
const PATIENCE: usize = 40;
/// Values that are looked at together.
const BLOCK: usize = 4096;

/// `x = A+ W y`; directions with singular values well below the map's truncation give 0. Conjugate
/// gradients begin at the last solution that `dual` holds, and leave theirs there.
pub fn pinv<M: LinearMap + ?Sized>(
    map: &M,
    y: &[f32],
    weight: &dyn Fn(f32) -> f32,
    dual: &mut Dual,
    x: &mut [f32],
) {
    let floor = map.truncation().powi(2);
    match tikhonov(weight) {
        Some(eta) => {
            let share = match (eta > 0.0, floor > 0.0) {
                (true, _) => map.noisy_share(),
                (_, true) => TRUNCATED,
                _ => EXACT,
            };
            let eta = eta.max(floor);
            let circulant = map.circulant();
            let part = if circulant.is_some() { OF_HIDDEN } else { OF_FRAME };
            let enough = Enough { share, length: dual.noise(part, y) };
            // What is taken for a moment is taken in each iteration.
            Scratch::provide(|| match circulant {
                Some(behind) => {
                    torus::solve(behind, &|z, x| map.adjoint(z, x), eta, y, enough, dual, x);
                }
                None => {
                    conjugate_gradients(map, y, eta, enough, dual);
                    map.adjoint(&dual.z, x);
                }
            });
        }
        None => {
            // A filter of Wiener's is at most 1 / (s^2 + floor) here too: small singular values
            // fade out alike, whatever the weights are.
            let fade = |s2: f64| if floor > 0.0 { 1.0 / (s2 + f64::from(floor)) } else { f64::MAX };
            let f = |s2: f64| {
                let s = s2.max(0.0).sqrt() as f32;
                if s <= 1e-4 {
                    return 0.0;
                }
                (f64::from(weight(s)) / s2).clamp(-fade(s2), fade(s2))
            };
            map.adjoint(&lanczos(map, y, &f), x);
        }
    }
}

/// The working memory of a map whose `pinv` is the one here, from that of its `apply` and
/// `adjoint`, and of `gram` and `precondition`; its `start` is taken for a `pinv`. (Lanczos' method
/// holds four vectors.)
pub fn working<M: LinearMap + ?Sized>(map: &M, forward: usize, gram: usize) -> Working {
    let measured = map.measurement().len();
    let (own, kept) = match map.circulant() {
        Some(behind) => torus::working(behind, forward),
        None => (6 * measured + gram.max(forward), 2 * measured),
    };
    let inverse = own.max(4 * measured + gram.max(forward));
    Working { forward, gram, inverse, kept, start: inverse }
}

/// `eta`, if the weights are `s^2 / (s^2 + eta)`.
pub fn tikhonov(weight: &dyn Fn(f32) -> f32) -> Option<f32> {
    let w = weight(1.0);
    if !(w > 0.0 && w <= 1.0) {
        return None;
    }
    let eta = 1.0 / w - 1.0;
    let fits = |s: f32| (weight(s) - s * s / (s * s + eta)).abs() < 1e-3;
    [0.01, 0.05, 0.2, 0.5].iter().all(|&s| fits(s)).then_some(eta)
}

/// `z = (A A^T + eta I)^-1 y` in `dual`, up to `share` of `y` or a part of the noise.
fn conjugate_gradients<M: LinearMap + ?Sized>(
    map: &M,
    y: &[f32],
    eta: f32,
    enough: Enough,
    dual: &mut Dual,
) {
    let whole = dot(y, y);
    let enough = (enough.share * enough.share * whole).max(enough.length.powi(2));
    let Dual { z, gram, iterations, .. } = dual;
    let mut r = Buffer::collect(y.len(), y.iter().copied());
    let (mut m, mut p, mut q) = (any(y.len()), zeros(y.len()), any(y.len()));
    if z.len() == y.len() {
        // As far along the last solution as is best: never further away than 0 is.
        add(gram, eta, z);
        let (along, curvature) = (dot(z, y), dot(z, gram));
        let step = if curvature > 0.0 { (along / curvature) as f32 } else { 0.0 };
        z.iter_mut().for_each(|z| *z *= step);
        add(&mut r, -step, gram);
    } else {
        z.clear();
        z.resize(y.len(), 0.0);
    }
    let (mut before, mut left, mut helped) = (f64::INFINITY, dot(&r, &r), true);
    for iteration in 0..ITERATIONS {
        log::trace!("iteration {iteration}: {:.1e}", left / whole);
        if left <= enough {
            break;
        }
        if iteration == PATIENCE && left > whole / 4.0 {
            // What should help does not: it was found at few places, and others may be unlike them.
            (helped, before) = (false, f64::INFINITY);
        }
        match helped {
            true => map.precondition(eta, &r, &mut m),
            false => m.copy_from_slice(&r),
        }
        let rm = dot(&r, &m);
        if rm <= 0.0 {
            break;
        }
        let turn = (rm / before) as f32;
        advance(&mut p, turn, &m);
        let curvature = shifted(map, eta, &p, &mut q);
        if curvature <= 0.0 {
            break;
        }
        let step = (rm / curvature) as f32;
        add(z, step, &p);
        left = 0.0;
        for (r, q) in r.chunks_mut(BLOCK).zip(q.chunks(BLOCK)) {
            add(r, -step, q);
            left += dot(r, r);
        }
        before = rm;
        *iterations += 1;
    }
    // What the residual says of it.
    gram.clear();
    gram.extend(y.iter().zip(&r).zip(&*z).map(|((y, r), z)| y - r - eta * z));
}

/// `q = (A A^T + eta I) p`, and `<p, q>`.
fn shifted<M: LinearMap + ?Sized>(map: &M, eta: f32, p: &[f32], q: &mut [f32]) -> f64 {
    map.gram(p, q);
    // Blocks that stay in a cache from one use to the next: these vectors are frames.
    let mut curvature = 0.0;
    for (q, p) in q.chunks_mut(BLOCK).zip(p.chunks(BLOCK)) {
        add(q, eta, p);
        curvature += dot(p, q);
    }
    curvature
}

/// `to += scale * from`.
pub fn add(to: &mut [f32], scale: f32, from: &[f32]) {
    #[inline(always)]
    fn sums(to: &mut [f32], scale: f32, from: &[f32]) {
        to.iter_mut().zip(from).for_each(|(to, v)| *to += scale * v);
    }
    wide!(sums(to: &mut [f32], scale: f32, from: &[f32]));
}

/// `p = m + turn * p`: the next direction.
pub fn advance(p: &mut [f32], turn: f32, m: &[f32]) {
    #[inline(always)]
    fn sums(p: &mut [f32], turn: f32, m: &[f32]) {
        p.iter_mut().zip(m).for_each(|(p, m)| *p = m + turn * *p);
    }
    wide!(sums(p: &mut [f32], turn: f32, m: &[f32]));
}

/// The scalar product, in `f64`.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    wide!(sum(a: &[f32], b: &[f32]) -> f64)
}

#[inline(always)]
fn sum(a: &[f32], b: &[f32]) -> f64 {
    // Blocks are summed in parallel lanes: a single running sum would wait for itself.
    const LANES: usize = 8;
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0f64; LANES];
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for i in 0..LANES {
            sums[i] += f64::from(a[i]) * f64::from(b[i]);
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Shape;

    /// Means of three neighbours on a line, with a hole.
    struct Line;

    const LENGTH: usize = 60;

    impl LinearMap for Line {
        fn spec(&self) -> String {
            "line".into()
        }
        fn scene(&self) -> Shape {
            Shape::new(1, 1, LENGTH + 2)
        }
        fn measurement(&self) -> Shape {
            Shape::new(1, 1, LENGTH)
        }
        fn apply(&self, x: &[f32], y: &mut [f32]) {
            y.iter_mut().zip(x.windows(3)).for_each(|(y, x)| *y = x.iter().sum::<f32>() / 3.0);
            y[17] = 0.0;
        }
        fn adjoint(&self, y: &[f32], x: &mut [f32]) {
            x.fill(0.0);
            for (i, v) in y.iter().enumerate().filter(|(i, _)| *i != 17) {
                x[i..i + 3].iter_mut().for_each(|x| *x += v / 3.0);
            }
        }
        fn noisy_share(&self) -> f64 {
            1e-3
        }
    }

    fn measurement(phase: f32) -> Vec<f32> {
        let mut y: Vec<f32> = (0..LENGTH).map(|i| (i as f32 * 0.9 + phase).sin()).collect();
        y[17] = 0.0;
        y
    }

    /// What of `y` a solution leaves, and its iterations.
    fn solve(y: &[f32], eta: f32, dual: &mut Dual) -> (f64, usize) {
        let (mut x, mut left) = (vec![0.0; LENGTH + 2], vec![0.0; LENGTH]);
        let before = dual.iterations();
        pinv(&Line, y, &|s| s * s / (s * s + eta), dual, &mut x);
        Line.apply(&x, &mut left);
        let z = &dual.z;
        left.iter_mut().zip(y).zip(z).for_each(|((l, y), z)| *l = y - *l - eta * z);
        (dot(&left, &left).sqrt(), dual.iterations() - before)
    }

    #[test]
    fn a_step_begins_where_the_last_one_ended() {
        let mut dual = Dual::new(0.0);
        let (_, first) = solve(&measurement(0.0), 0.01, &mut dual);
        // The same again costs nothing, a similar one less, also with another weight.
        let (left, again) = solve(&measurement(0.0), 0.01, &mut dual);
        let size = dot(&measurement(0.0), &measurement(0.0)).sqrt();
        assert!(again == 0 && left < 1.1e-3 * size, "{again}, {left}");
        let (left, similar) = solve(&measurement(0.01), 0.012, &mut dual);
        assert!(similar < first && left < 1.1e-3 * size, "{similar} of {first}, {left}");
        // What is along the last solution has its length at once.
        let double: Vec<f32> = measurement(0.01).iter().map(|v| -2.0 * v).collect();
        assert_eq!(solve(&double, 0.012, &mut dual).1, 0);
        dual.clear();
        assert_eq!(solve(&measurement(0.0), 0.01, &mut dual).1, first);
    }

    #[test]
    fn a_part_of_the_noise_may_be_left() {
        let y = measurement(0.0);
        let (_, whole) = solve(&y, 0.01, &mut Dual::new(0.0));
        for sigma_y in [0.05, 0.5] {
            let (left, found) = solve(&y, 0.01, &mut Dual::new(sigma_y));
            let noise = sigma_y * ((LENGTH - 1) as f64).sqrt();
            assert!(
                left <= 1.001 * OF_FRAME * noise && found < whole,
                "{sigma_y}: {left}, {found}"
            );
        }
    }

    #[test]
    fn only_filters_of_wiener_are_systems_of_equations() {
        assert_eq!(tikhonov(&|_| 1.0), Some(0.0));
        assert!((tikhonov(&|s| s * s / (s * s + 0.3)).unwrap() - 0.3).abs() < 1e-6);
        assert_eq!(tikhonov(&|s| s.powi(4)), None);
        assert_eq!(tikhonov(&|s| if s < 0.3 { 0.0 } else { 1.0 }), None);
    }
}
