//! Down-sampling as most programs do it: cubic interpolation against aliasing.

use super::krylov::{self, tikhonov};
use super::{Dual, LinearMap, Spectrum, Working};
use crate::classical::bicubic::upsample_rows;
use crate::frame::Shape;
use crate::kernels::wide;
use crate::scratch::{Buffer, any};

/// `sr:N:bicubic`: R. G. Keys' cubic with `a = -1/2`, widened by the factor, as MATLAB's
/// `imresize` with antialiasing: output pixel `i` lies at `(i + 1/2) N - 1/2`, each row of
/// weights sums to one, and beyond the edges the picture is mirrored with the edge repeated.
///
/// Rows and columns are independent, `A = A_h (x) A_w`, and rows that are far from each other do
/// not overlap: so `A A^T` is banded along both axes and its inverse is two passes of a banded
/// Cholesky factor, exact at every size. Singular values lie from about `(0.35 .. 0.5 / 4 N)^2`
/// relative; two thirds of the largest and more.
pub struct Bicubic {
    factor: usize,
    scene: Shape,
    down: Axis,
    across: Axis,
}

impl Bicubic {
    /// Down-sampling of a picture of size `scene`; `factor` is 2 to 16.
    pub fn new(factor: usize, scene: Shape) -> Bicubic {
        let (down, across) = (Axis::new(scene.height, factor), Axis::new(scene.width, factor));
        Bicubic { factor, scene, down, across }
    }
}

impl LinearMap for Bicubic {
    fn spec(&self) -> String {
        format!("sr:{}:bicubic", self.factor)
    }

    fn scene(&self) -> Shape {
        self.scene
    }

    fn measurement(&self) -> Shape {
        Shape::new(self.scene.channels, self.down.rows.len(), self.across.rows.len())
    }

    fn apply(&self, x: &[f32], y: &mut [f32]) {
        let Bicubic { down, across, .. } = self;
        wide!(reduce(down: &Axis, across: &Axis, x: &[f32], y: &mut [f32]));
    }

    fn adjoint(&self, y: &[f32], x: &mut [f32]) {
        let Bicubic { down, across, .. } = self;
        wide!(spread(down: &Axis, across: &Axis, y: &[f32], x: &mut [f32]));
    }

    fn gram(&self, y: &[f32], out: &mut [f32]) {
        let (down, across) = (&self.down.gram, &self.across.gram);
        wide!(gram(down: &Gram, across: &Gram, y: &[f32], out: &mut [f32]));
    }

    fn pinv(&self, y: &[f32], weight: &dyn Fn(f32) -> f32, _: &mut Dual, x: &mut [f32]) {
        if tikhonov(weight) != Some(0.0) {
            // With noise the system no longer comes apart into rows and columns, but it is so
            // well conditioned that a few iterations do, and they are cheap.
            return krylov::pinv(self, y, weight, &mut Dual::default(), x);
        }
        let out = self.measurement();
        let mut z: Vec<f64> = y.iter().map(|v| f64::from(*v)).collect();
        let mut turned = vec![0.0; out.plane()];
        for plane in z.chunks_mut(out.plane()) {
            self.down.gram.solve(plane, out.width);
            // Many columns at a time are many times faster than one.
            transpose(plane, &mut turned, out.width);
            self.across.gram.solve(&mut turned, out.height);
            transpose(&turned, plane, out.height);
        }
        let z = Buffer::collect(z.len(), z.iter().map(|v| *v as f32));
        self.adjoint(&z, x);
    }

    fn noisy_share(&self) -> f64 {
        // Iterations are cheap.
        1e-2
    }

    fn spectrum(&self) -> Option<Spectrum> {
        let (down, across) = (self.down.gram.extremes(), self.across.gram.extremes());
        let product = |i: fn((f64, f64)) -> f64| (i(down) * i(across)).sqrt() as f32;
        Some(Spectrum::Basis { min: product(|e| e.0), max: product(|e| e.1) })
    }

    fn max_row_sum(&self) -> Option<f32> {
        let most = |axis: &Axis| {
            let sums = axis.rows.iter().map(|r| r.weights.iter().map(|w| w.abs()).sum::<f32>());
            sums.fold(0.0, f32::max)
        };
        Some(most(&self.down) * most(&self.across))
    }

    fn uncertainty(&self) -> f64 {
        0.3
    }

    fn start(&self, y: &[f32], sigma_y: f64, x: &mut [f32]) {
        let Shape { height, width, .. } = self.scene;
        let size = (height, width);
        upsample_rows(y, self.measurement(), 0, size, self.factor, 0..height, x);
        let mut r = vec![0.0; y.len()];
        self.apply(x, &mut r);
        r.iter_mut().zip(y).for_each(|(r, y)| *r = y - *r);
        let mut correction = vec![0.0; x.len()];
        let weight = super::linear::wiener(sigma_y, 0.1);
        self.pinv(&r, &weight, &mut Dual::default(), &mut correction);
        x.iter_mut().zip(&correction).for_each(|(x, c)| *x += c);
    }

    fn working(&self) -> Working {
        let measurement = self.measurement();
        let lines = measurement.height * self.scene.width;
        let own = krylov::working(self, lines, measurement.plane());
        let start = measurement.len() + self.scene.len() + own.inverse;
        Working { start, ..own }
    }
}

/// Rows of `width` become columns.
fn transpose(from: &[f64], to: &mut [f64], width: usize) {
    let height = from.len() / width;
    for (i, row) in from.chunks(width).enumerate() {
        row.iter().enumerate().for_each(|(j, v)| to[j * height + i] = *v);
    }
}

/// `y = A x`, planes one after another.
#[inline(always)]
fn reduce(down: &Axis, across: &Axis, x: &[f32], y: &mut [f32]) {
    let (width, narrow) = (across.columns.len(), across.rows.len());
    let mut lines = any(down.rows.len() * width);
    let planes = x.chunks(down.columns.len() * width).zip(y.chunks_mut(down.rows.len() * narrow));
    for (x, y) in planes {
        combine(&down.rows, x, &mut lines, width);
        for (line, out) in lines.chunks(width).zip(y.chunks_mut(narrow)) {
            products(&across.rows, line, out);
        }
    }
}

/// `x = A^T y`, planes one after another.
#[inline(always)]
fn spread(down: &Axis, across: &Axis, y: &[f32], x: &mut [f32]) {
    let (width, narrow) = (across.columns.len(), across.rows.len());
    let mut lines = any(down.rows.len() * width);
    let planes = x.chunks_mut(down.columns.len() * width).zip(y.chunks(down.rows.len() * narrow));
    for (x, y) in planes {
        for (line, y) in lines.chunks_mut(width).zip(y.chunks(narrow)) {
            products(&across.columns, y, line);
        }
        combine(&down.columns, &lines, x, width);
    }
}

/// Values of `out`, each a sum of some values of `from`.
#[inline(always)]
fn products(rows: &[Row], from: &[f32], out: &mut [f32]) {
    for (row, out) in rows.iter().zip(out) {
        *out = row.weights.iter().zip(&from[row.start..]).map(|(w, v)| w * v).sum();
    }
}

/// Rows of `out`, each a sum of some rows of `from`.
#[inline(always)]
fn combine(rows: &[Row], from: &[f32], out: &mut [f32], width: usize) {
    for (row, out) in rows.iter().zip(out.chunks_mut(width)) {
        let mut terms = row.weights.iter().zip(from[row.start * width..].chunks(width));
        match terms.next() {
            Some((w, from)) => out.iter_mut().zip(from).for_each(|(o, v)| *o = w * v),
            None => out.fill(0.0),
        }
        for (w, from) in terms {
            out.iter_mut().zip(from).for_each(|(o, v)| *o += w * v);
        }
    }
}

/// `out = A A^T y`, planes one after another.
#[inline(always)]
fn gram(down: &Gram, across: &Gram, y: &[f32], out: &mut [f32]) {
    let (height, width) = (down.size(), across.size());
    let mut between = any(height * width);
    for (y, out) in y.chunks(height * width).zip(out.chunks_mut(height * width)) {
        down.apply_down(y, &mut between, width);
        across.apply_across(&between, out, width);
    }
}

/// The matrix along one axis.
struct Axis {
    rows: Vec<Row>,
    columns: Vec<Row>,
    gram: Gram,
}

/// The non-zero entries of one row of the matrix, from column `start` on; or the other way round.
struct Row {
    start: usize,
    weights: Vec<f32>,
}

impl Row {
    /// Column `j` of a matrix of these rows.
    fn across(rows: &[Row], j: usize) -> Row {
        let entry = |row: &Row| j.checked_sub(row.start).and_then(|k| row.weights.get(k)).copied();
        let start = rows.iter().position(|row| entry(row).is_some()).unwrap_or(0);
        let end = rows.iter().rposition(|row| entry(row).is_some()).map_or(0, |last| last + 1);
        Row { start, weights: rows[start..end].iter().map(|r| entry(r).unwrap_or(0.0)).collect() }
    }
}

impl Axis {
    fn new(size: usize, factor: usize) -> Axis {
        let rows: Vec<Vec<(usize, f64)>> =
            (0..size.div_ceil(factor)).map(|i| weights(i, size, factor)).collect();
        let gram = Gram::new(&rows);
        let row = |entries: Vec<(usize, f64)>| Row {
            start: entries[0].0,
            weights: entries.iter().map(|e| e.1 as f32).collect(),
        };
        let rows: Vec<Row> = rows.into_iter().map(row).collect();
        let columns = (0..size).map(|j| Row::across(&rows, j)).collect();
        Axis { rows, columns, gram }
    }
}

/// The entries of row `i`, neighbours of each other, mirrored taps added up.
fn weights(i: usize, size: usize, factor: usize) -> Vec<(usize, f64)> {
    let n = factor as isize;
    let centre = (i as f64 + 0.5) * factor as f64 - 0.5;
    let from = centre.floor() as isize - 2 * n;
    let mut line = vec![0.0; size];
    for j in from..=from + 4 * n + 1 {
        let period = 2 * size as isize;
        let folded = j.rem_euclid(period);
        let at = folded.min(period - 1 - folded) as usize;
        line[at] += keys((centre - j as f64) / factor as f64);
    }
    let sum: f64 = line.iter().sum();
    let first = line.iter().position(|w| *w != 0.0).unwrap_or(0);
    let last = line.iter().rposition(|w| *w != 0.0).unwrap_or(0);
    (first..=last).map(|j| (j, line[j] / sum)).collect()
}

/// Keys' kernel, `a = -1/2`.
fn keys(x: f64) -> f64 {
    let x = x.abs();
    match x {
        _ if x <= 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
        _ if x < 2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
        _ => 0.0,
    }
}

/// `A A^T` along one axis: its band, entry `(i, i - k)` at `entries[k * size + i]`, and that of the
/// Cholesky factor `L` at `lower[i * (band + 1) + k]`.
struct Gram {
    band: usize,
    entries: Vec<f32>,
    lower: Vec<f64>,
}

impl Gram {
    fn new(rows: &[Vec<(usize, f64)>]) -> Gram {
        let end = |r: &[(usize, f64)]| r[0].0 + r.len();
        let product = |a: &[(usize, f64)], b: &[(usize, f64)]| -> f64 {
            let (from, to) = (a[0].0.max(b[0].0), end(a).min(end(b)));
            (from..to).map(|j| a[j - a[0].0].1 * b[j - b[0].0].1).sum()
        };
        // Columns of later rows begin later, but for those that the far edge mirrors.
        let overlaps = |i: usize, k: usize| end(&rows[i - k]) > rows[i][0].0;
        let band = (0..rows.len()).map(|i| (0..=i).rev().find(|&k| overlaps(i, k)).unwrap_or(0));
        let band = band.max().unwrap_or(0);
        let mut lower = vec![0.0; rows.len() * (band + 1)];
        let mut entries = vec![0.0; lower.len()];
        for i in 0..rows.len() {
            for k in (0..=band.min(i)).rev() {
                let j = i - k;
                let mut v = product(&rows[i], &rows[j]);
                entries[k * rows.len() + i] = v as f32;
                for l in k + 1..=band.min(i) {
                    if l - k <= band.min(j) {
                        v -= lower[i * (band + 1) + l] * lower[j * (band + 1) + l - k];
                    }
                }
                lower[i * (band + 1) + k] =
                    if k == 0 { v.max(0.0).sqrt() } else { v / lower[j * (band + 1)] };
            }
        }
        Gram { band, entries, lower }
    }

    fn size(&self) -> usize {
        self.entries.len() / (self.band + 1)
    }

    /// The entry in row `i` and column `j`, at most `band` apart.
    #[inline(always)]
    fn entry(&self, i: usize, j: usize) -> f32 {
        self.entries[i.abs_diff(j) * self.size() + i.max(j)]
    }

    /// The columns of row `i` that are not 0, among `n`.
    #[inline(always)]
    fn columns(&self, i: usize, n: usize) -> std::ops::RangeInclusive<usize> {
        i.saturating_sub(self.band)..=(i + self.band).min(n - 1)
    }

    /// `out = A A^T y` along columns, of `width` of them.
    #[inline(always)]
    fn apply_down(&self, y: &[f32], out: &mut [f32], width: usize) {
        let n = y.len() / width;
        for (i, out) in out.chunks_mut(width).enumerate() {
            out.fill(0.0);
            for j in self.columns(i, n) {
                let g = self.entry(i, j);
                out.iter_mut().zip(&y[j * width..]).for_each(|(o, v)| *o += g * v);
            }
        }
    }

    /// The same along rows of `width` values.
    #[inline(always)]
    fn apply_across(&self, y: &[f32], out: &mut [f32], width: usize) {
        for (y, out) in y.chunks(width).zip(out.chunks_mut(width)) {
            out.fill(0.0);
            // One diagonal after another, so that neighbours are worked on together.
            for (k, diagonal) in self.entries.chunks(width).enumerate().take(width) {
                let entries = &diagonal[k..];
                for ((o, g), v) in out[k..].iter_mut().zip(entries).zip(y) {
                    *o += g * v;
                }
                if k > 0 {
                    for ((o, g), v) in out.iter_mut().zip(entries).zip(&y[k..]) {
                        *o += g * v;
                    }
                }
            }
        }
    }

    /// `z <- (A A^T)^-1 z` for `width` columns side by side.
    fn solve(&self, z: &mut [f64], width: usize) {
        let n = z.len() / width;
        let row = self.band + 1;
        for i in 0..n {
            let (before, here) = z.split_at_mut(i * width);
            for k in 1..=self.band.min(i) {
                let l = self.lower[i * row + k];
                let other = &before[(i - k) * width..];
                here[..width].iter_mut().zip(other).for_each(|(h, o)| *h -= l * o);
            }
            let inverse = 1.0 / self.lower[i * row];
            here[..width].iter_mut().for_each(|h| *h *= inverse);
        }
        for i in (0..n).rev() {
            let (here, behind) = z.split_at_mut((i + 1) * width);
            let here = &mut here[i * width..];
            for k in 1..=self.band.min(n - 1 - i) {
                let l = self.lower[(i + k) * row + k];
                let other = &behind[(k - 1) * width..];
                here.iter_mut().zip(other).for_each(|(h, o)| *h -= l * o);
            }
            let inverse = 1.0 / self.lower[i * row];
            here.iter_mut().for_each(|h| *h *= inverse);
        }
    }

    /// The smallest and the largest eigenvalue, by (inverse) power iteration from a vector that
    /// alternates, or does not.
    fn extremes(&self) -> (f64, f64) {
        const ROUNDS: usize = 200;
        let row = self.band + 1;
        let n = self.lower.len() / row;
        let normalize = |v: &mut [f64]| {
            let length = v.iter().map(|v| v * v).sum::<f64>().sqrt();
            v.iter_mut().for_each(|v| *v /= length);
            length
        };
        let start =
            |i: usize, sign: f64| 1.0 + sign * 0.9 * if i.is_multiple_of(2) { 1.0 } else { -1.0 };
        let mut small: Vec<f64> = (0..n).map(|i| start(i, -1.0) + 0.01 * i as f64).collect();
        let mut large = vec![1.0; n];
        let (mut min, mut max) = (0.0, 0.0);
        for _ in 0..ROUNDS {
            normalize(&mut small);
            self.solve(&mut small, 1);
            min = 1.0 / small.iter().map(|v| v * v).sum::<f64>().sqrt();
            // L L^T v.
            normalize(&mut large);
            let mut up = vec![0.0; n];
            for i in 0..n {
                for k in 0..=self.band.min(i) {
                    up[i - k] += self.lower[i * row + k] * large[i];
                }
            }
            for i in 0..n {
                large[i] =
                    (0..=self.band.min(i)).map(|k| self.lower[i * row + k] * up[i - k]).sum();
            }
            max = large.iter().map(|v| v * v).sum::<f64>().sqrt();
        }
        (min, max)
    }
}
