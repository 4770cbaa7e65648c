//! Functions of `A A^T` by Lanczos' method: of a small tridiagonal matrix, in a basis that is made
//! twice instead of being kept.

use super::LinearMap;
use super::krylov::dot;

/// Relative change of Lanczos' solution at which it is good enough.
const SETTLED: f64 = 1e-2;
/// Most dimensions of Lanczos' method, and how often it looks whether it is done.
const DIMENSIONS: usize = 60;
const LOOK: usize = 5;

/// `f(A A^T) y`.
pub fn lanczos<M: LinearMap + ?Sized>(map: &M, y: &[f32], f: &dyn Fn(f64) -> f64) -> Vec<f32> {
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
