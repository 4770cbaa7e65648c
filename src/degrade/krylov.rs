//! `A+ W y` from nothing but `A` and `A^T`.
//!
//! `A+ W y = A^T f(A A^T) y` with `f(s^2) = weight(s) / s^2`. The weights of `faithful` are
//! `s^2 / (s^2 + eta)`: then this is `A^T (A A^T + eta I)^-1 y`, a system of equations, for
//! conjugate gradients. Other weights (DDNM+) need the function itself, by Lanczos' method: `f`
//! of a small tridiagonal matrix, in a basis that is made twice instead of being kept.
//!
//! Both end where the relative error falls below a bound. A measurement without noise is solved to
//! the precision of `f32`; with noise some hundredths of the residual are left, which is far less than
//! the noise itself once the estimate agrees with the measurement up to that, and what an early
//! step leaves the next one finds. They need no start but 0, since what they are given is the
//! residual of an estimate: the better that is, the smaller what they leave.

use super::{LinearMap, Working};

/// Share of the residual that may be left: without noise, where the map leaves directions to the
/// prior, so that no solution is exact anyway.
const EXACT: f64 = 1e-6;
const TRUNCATED: f64 = 1e-3;
/// Relative change of Lanczos' solution at which it is good enough.
const SETTLED: f64 = 1e-2;
/// Most iterations of conjugate gradients.
const ITERATIONS: usize = 300;
/// Values that are looked at together.
const BLOCK: usize = 4096;
/// Most dimensions of Lanczos' method, and how often it looks whether it is done.
const DIMENSIONS: usize = 60;
const LOOK: usize = 5;

/// `x = A+ W y`; directions with singular values well below the map's truncation give 0.
pub fn pinv<M: LinearMap + ?Sized>(map: &M, y: &[f32], weight: &dyn Fn(f32) -> f32, x: &mut [f32]) {
    let floor = map.truncation().powi(2);
    let z = match tikhonov(weight) {
        Some(eta) => {
            let share = match (eta > 0.0, floor > 0.0) {
                (true, _) => map.noisy_share(),
                (_, true) => TRUNCATED,
                _ => EXACT,
            };
            conjugate_gradients(map, y, eta.max(floor), share)
        }
        None => {
            let f = |s2: f64| {
                let s = s2.max(0.0).sqrt() as f32;
                if s <= 1e-4 || s < map.truncation() { 0.0 } else { f64::from(weight(s)) / s2 }
            };
            lanczos(map, y, &f)
        }
    };
    map.adjoint(&z, x);
}

/// The working memory of a map whose `pinv` is the one here, from that of its `apply` and
/// `adjoint`, and of `gram` and `precondition`; its `start` is taken for a `pinv`.
pub fn working<M: LinearMap + ?Sized>(map: &M, forward: usize, gram: usize) -> Working {
    // Lanczos' method holds four vectors where conjugate gradients hold five.
    let inverse = 5 * map.measurement().len() + gram.max(forward);
    Working { forward, gram, inverse, start: inverse }
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

/// `(A A^T + eta I)^-1 y`, up to `share` of `y`.
fn conjugate_gradients<M: LinearMap + ?Sized>(
    map: &M,
    y: &[f32],
    eta: f32,
    share: f64,
) -> Vec<f32> {
    let whole = dot(y, y);
    let mut z = vec![0.0; y.len()];
    let mut r = y.to_vec();
    let mut m = vec![0.0; y.len()];
    let mut p = vec![0.0; y.len()];
    let mut q = vec![0.0; y.len()];
    let (mut before, mut left) = (f64::INFINITY, whole);
    for iteration in 0..ITERATIONS {
        log::trace!("iteration {iteration}: {:.1e}", left / whole);
        if left <= share * share * whole {
            break;
        }
        map.precondition(eta, &r, &mut m);
        let rm = dot(&r, &m);
        if rm <= 0.0 {
            break;
        }
        let turn = (rm / before) as f32;
        p.iter_mut().zip(&m).for_each(|(p, m)| *p = m + turn * *p);
        map.gram(&p, &mut q);
        // Blocks that stay in a cache from one use to the next: these vectors are frames.
        let mut curvature = 0.0;
        for (q, p) in q.chunks_mut(BLOCK).zip(p.chunks(BLOCK)) {
            q.iter_mut().zip(p).for_each(|(q, p)| *q += eta * p);
            curvature += dot(p, q);
        }
        if curvature <= 0.0 {
            break;
        }
        let step = (rm / curvature) as f32;
        z.iter_mut().zip(&p).for_each(|(z, p)| *z += step * p);
        left = 0.0;
        for (r, q) in r.chunks_mut(BLOCK).zip(q.chunks(BLOCK)) {
            r.iter_mut().zip(q).for_each(|(r, q)| *r -= step * q);
            left += dot(r, r);
        }
        before = rm;
    }
    z
}

/// `f(A A^T) y`.
fn lanczos<M: LinearMap + ?Sized>(map: &M, y: &[f32], f: &dyn Fn(f64) -> f64) -> Vec<f32> {
    let size = dot(y, y).sqrt();
    if size == 0.0 {
        return vec![0.0; y.len()];
    }
    let mut basis = Basis::new(map, y, size);
    let (mut diagonal, mut beside) = (Vec::new(), Vec::new());
    let mut shares: Vec<f64> = Vec::new();
    while diagonal.len() < DIMENSIONS {
        let (a, b) = basis.advance();
        diagonal.push(a);
        let last = b <= 1e-6 * a.abs() || diagonal.len() == DIMENSIONS;
        if last || diagonal.len().is_multiple_of(LOOK) {
            let found = first_column(f, &diagonal, &beside);
            let change = found.iter().enumerate();
            let change: f64 =
                change.map(|(i, v)| (v - shares.get(i).unwrap_or(&0.0)).powi(2)).sum();
            let whole: f64 = found.iter().map(|v| v * v).sum();
            shares = found;
            if last || change <= SETTLED * SETTLED * whole {
                break;
            }
        }
        beside.push(b);
    }
    // The same basis again, from the same arithmetic.
    let mut basis = Basis::new(map, y, size);
    let mut z = vec![0.0; y.len()];
    for (i, share) in shares.iter().enumerate() {
        let share = (share * size) as f32;
        z.iter_mut().zip(&basis.here).for_each(|(z, q)| *z += share * q);
        if i + 1 < shares.len() {
            basis.advance();
        }
    }
    z
}

/// Lanczos' orthonormal basis of `y, A A^T y, (A A^T)^2 y, ..`, of which three members are held.
struct Basis<'a, M: ?Sized> {
    map: &'a M,
    before: Vec<f32>,
    here: Vec<f32>,
    next: Vec<f32>,
    beta: f64,
}

impl<'a, M: LinearMap + ?Sized> Basis<'a, M> {
    fn new(map: &'a M, y: &[f32], size: f64) -> Basis<'a, M> {
        let here = y.iter().map(|v| (f64::from(*v) / size) as f32).collect();
        let zero = || vec![0.0; y.len()];
        Basis { map, before: zero(), here, next: zero(), beta: 0.0 }
    }

    /// Moves on to the next member; returns the matrix' entries on and beside its diagonal.
    fn advance(&mut self) -> (f64, f64) {
        self.map.gram(&self.here, &mut self.next);
        let alpha = dot(&self.next, &self.here);
        let (a, b) = (alpha as f32, self.beta as f32);
        for ((n, h), p) in self.next.iter_mut().zip(&self.here).zip(&self.before) {
            *n -= a * h + b * p;
        }
        self.beta = dot(&self.next, &self.next).sqrt();
        let scale = if self.beta > 0.0 { (1.0 / self.beta) as f32 } else { 0.0 };
        self.next.iter_mut().for_each(|n| *n *= scale);
        std::mem::swap(&mut self.before, &mut self.here);
        std::mem::swap(&mut self.here, &mut self.next);
        (alpha, self.beta)
    }
}

/// The first column of `f(T)`, `T` symmetric and tridiagonal, by Jacobi's rotations.
fn first_column(f: &dyn Fn(f64) -> f64, diagonal: &[f64], beside: &[f64]) -> Vec<f64> {
    const SWEEPS: usize = 30;
    let n = diagonal.len();
    let mut t = vec![0.0; n * n];
    let mut vectors = vec![0.0; n * n];
    for i in 0..n {
        t[i * n + i] = diagonal[i];
        vectors[i * n + i] = 1.0;
        if i + 1 < n {
            (t[i * n + i + 1], t[(i + 1) * n + i]) = (beside[i], beside[i]);
        }
    }
    let scale: f64 = t.iter().map(|v| v * v).sum();
    for _ in 0..SWEEPS {
        let off = |i: usize| if i.is_multiple_of(n + 1) { 0.0 } else { t[i] * t[i] };
        if (0..n * n).map(off).sum::<f64>() <= 1e-24 * scale {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                if t[p * n + q] == 0.0 {
                    continue;
                }
                let theta = (t[q * n + q] - t[p * n + p]) / (2.0 * t[p * n + q]);
                let tan = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let cos = 1.0 / (tan * tan + 1.0).sqrt();
                let sin = tan * cos;
                let turn = |a: &mut f64, b: &mut f64| {
                    (*a, *b) = (cos * *a - sin * *b, sin * *a + cos * *b)
                };
                for k in 0..n {
                    let (mut a, mut b) = (t[k * n + p], t[k * n + q]);
                    turn(&mut a, &mut b);
                    (t[k * n + p], t[k * n + q]) = (a, b);
                    let (mut a, mut b) = (vectors[k * n + p], vectors[k * n + q]);
                    turn(&mut a, &mut b);
                    (vectors[k * n + p], vectors[k * n + q]) = (a, b);
                }
                for k in 0..n {
                    let (mut a, mut b) = (t[p * n + k], t[q * n + k]);
                    turn(&mut a, &mut b);
                    (t[p * n + k], t[q * n + k]) = (a, b);
                }
            }
        }
    }
    let mut out = vec![0.0; n];
    for i in 0..n {
        let factor = f(t[i * n + i]) * vectors[i];
        (0..n).for_each(|k| out[k] += factor * vectors[k * n + i]);
    }
    out
}

/// The scalar product, in `f64`.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
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
