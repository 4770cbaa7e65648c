//! Symmetric blurs with mirrored borders, diagonal in the basis of cosines.

use super::dct::{Dct, LINES, apply_filter};
use super::krylov;
use super::linear::{share, wiener};
use super::{AxisMap, Dual, LinearMap, Spectrum, Working};
use crate::frame::Shape;
use crate::kernels::wide;
use crate::scratch::any;

/// The shape of a kernel; it is separable and symmetric, and its sum is 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kernel {
    /// Gaussian of these standard deviations across and down, in pixels, cut off after four of
    /// them.
    Gauss(f64, f64),
    /// The mean over this many pixels (odd) in each direction.
    Box(usize),
}

impl Kernel {
    /// The middle tap and those on one side of it, `(across, down)`.
    fn taps(self) -> (Vec<f64>, Vec<f64>) {
        match self {
            Kernel::Gauss(across, down) => (gauss(across), gauss(down)),
            Kernel::Box(side) => {
                let taps = vec![1.0 / side as f64; side / 2 + 1];
                (taps.clone(), taps)
            }
        }
    }
}

fn gauss(sigma: f64) -> Vec<f64> {
    let reach = (4.0 * sigma + 0.5) as usize;
    let taps: Vec<f64> = (0..=reach).map(|j| (-0.5 * (j as f64 / sigma).powi(2)).exp()).collect();
    let sum = taps[0] + 2.0 * taps[1..].iter().sum::<f64>();
    taps.iter().map(|t| t / sum).collect()
}

/// `y = K_down x K_across`: what lies beyond the borders is taken for the mirror image of what
/// lies within (the edge pixel repeated). Then cosines are its singular vectors, with
/// `s = s_down s_across`, at every size; a real frame's borders are neither this nor anything
/// else that a frame alone could tell, but a mirror image does not ring as a wrapped or a black
/// one does.
pub struct Blur {
    kernel: Kernel,
    scene: Shape,
    across: Axis,
    down: Axis,
}

/// Singular values from here on are kept. What lies below would multiply the rounding of an
/// 8-bit file by fifty and more.
const TRUNCATION: f32 = 0.02;

impl Blur {
    /// The blur of a picture of size `scene`.
    pub fn new(kernel: Kernel, scene: Shape) -> Blur {
        let (across, down) = kernel.taps();
        let axis = |taps: Vec<f64>, size: usize| Axis {
            singular: (0..size).map(|k| response(&taps, k, size)).collect(),
            taps: taps.iter().map(|t| *t as f32).collect(),
            dct: Dct::new(size),
        };
        let (across, down) = (axis(across, scene.width), axis(down, scene.height));
        Blur { kernel, scene, across, down }
    }

    /// Every signed singular value, rows of them.
    fn singular(&self) -> impl Iterator<Item = f32> {
        let rows = self.down.singular.iter();
        rows.flat_map(|d| self.across.singular.iter().map(move |a| d * a))
    }
}

/// The factor of the `k`-th cosine of a line of `size`.
fn response(taps: &[f64], k: usize, size: usize) -> f32 {
    let angle = std::f64::consts::PI * k as f64 / size as f64;
    let sides = taps[1..].iter().enumerate();
    (taps[0] + 2.0 * sides.map(|(j, t)| t * (angle * (j + 1) as f64).cos()).sum::<f64>()) as f32
}

impl LinearMap for Blur {
    fn spec(&self) -> String {
        match self.kernel {
            Kernel::Gauss(x, y) if x == y => format!("blur:gauss:{x}"),
            Kernel::Gauss(x, y) => format!("blur:gauss:{x},{y}"),
            Kernel::Box(side) => format!("blur:box:{side}"),
        }
    }

    fn scene(&self) -> Shape {
        self.scene
    }

    fn measurement(&self) -> Shape {
        self.scene
    }

    fn apply(&self, x: &[f32], y: &mut [f32]) {
        let (across, down) = (&self.across, &self.down);
        wide!(blur(across: &Axis, down: &Axis, x: &[f32], y: &mut [f32]));
    }

    fn adjoint(&self, y: &[f32], x: &mut [f32]) {
        // Symmetric in every direction.
        self.apply(y, x);
    }

    fn pinv(&self, y: &[f32], weight: &dyn Fn(f32) -> f32, _: &mut Dual, x: &mut [f32]) {
        let kept = |s: f32, factor: f32| if s.abs() >= TRUNCATION { factor } else { 0.0 };
        let (down, across) = (&self.down, &self.across);
        let most = down.singular.iter().fold(0.0, |most: f32, d| most.max(d.abs()));
        let last = across.singular.iter().rposition(|a| most * a.abs() >= TRUNCATION);
        let columns = &across.singular[..last.map_or(0, |last| last + 1)];
        let mut filter = any(columns.len() * self.scene.height);
        let eta = krylov::tikhonov(weight);
        for (column, a) in filter.chunks_mut(self.scene.height).zip(columns) {
            let singular = down.singular.iter().map(|d| a * d);
            match eta {
                // Written out, since calling for each coefficient takes as long as a transform.
                Some(eta) => column
                    .iter_mut()
                    .zip(singular)
                    .for_each(|(f, s)| *f = kept(s, s / (s * s + eta))),
                None => column
                    .iter_mut()
                    .zip(singular)
                    .for_each(|(f, s)| *f = kept(s, weight(s.abs()) / s)),
            }
        }
        x.copy_from_slice(y);
        let (filter, down, across) = (&filter[..], &down.dct, &across.dct);
        wide!(apply_filter(x: &mut [f32], filter: &[f32], down: &Dct, across: &Dct));
    }

    fn spectrum(&self) -> Option<Spectrum> {
        let kept = || self.singular().map(f32::abs).filter(|&s| s >= TRUNCATION);
        let (min, max) = (kept().fold(f32::MAX, f32::min), kept().fold(0.0, f32::max));
        Some(Spectrum::Basis { min, max })
    }

    fn truncation(&self) -> f32 {
        TRUNCATION
    }

    fn rank(&self) -> Option<usize> {
        let kept = self.singular().filter(|s| s.abs() >= TRUNCATION).count();
        Some(kept * self.scene.channels)
    }

    fn measured_share(&self, sigma_y: f64) -> Option<f64> {
        let kept = |s: f32| if s.abs() >= TRUNCATION { s * s } else { 0.0 };
        let squares: Vec<f32> = self.singular().map(kept).collect();
        Some(share(squares.into_iter(), sigma_y))
    }

    fn axes(&self) -> Option<[AxisMap; 2]> {
        Some([self.down.map(), self.across.map()])
    }

    fn max_row_sum(&self) -> Option<f32> {
        // Weights are positive and sum to one.
        Some(1.0)
    }

    fn uncertainty(&self) -> f64 {
        0.4
    }

    /// The blurred picture itself, sharpened by Wiener's filter for details of 0.1.
    fn start(&self, y: &[f32], sigma_y: f64, x: &mut [f32]) {
        let mut r = vec![0.0; y.len()];
        self.apply(y, &mut r);
        r.iter_mut().zip(y).for_each(|(r, y)| *r = y - *r);
        self.pinv(&r, &wiener(sigma_y.max(ROUNDING), 0.1), &mut Dual::default(), x);
        x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
    }

    fn working(&self) -> Working {
        let Shape { height, width, .. } = self.scene;
        let plane = self.scene.plane();
        let lines = LINES * (height + 2 * width);
        let gram = self.scene.len() + plane;
        let inverse = plane + lines;
        Working { forward: plane, gram, inverse, kept: 0, start: self.scene.len() + inverse }
    }
}

/// Standard deviation of the rounding to 8 bits, in units of `[-1, 1]`.
const ROUNDING: f64 = 0.2887 / 127.5;

/// One axis: taps, singular values (signed) by cosine, and the transform.
struct Axis {
    taps: Vec<f32>,
    singular: Vec<f32>,
    dct: Dct,
}

impl Axis {
    fn map(&self) -> AxisMap {
        let size = self.singular.len();
        let mut matrix = vec![0.0; size * size];
        for (i, row) in matrix.chunks_exact_mut(size).enumerate() {
            for (j, tap) in self.taps.iter().enumerate() {
                let (i, j) = (i as isize, j as isize);
                row[mirrored(i + j, size)] += tap;
                if j > 0 {
                    row[mirrored(i - j, size)] += tap;
                }
            }
        }
        AxisMap { matrix, singular: self.singular.clone() }
    }
}

/// A picture's rows, then its columns, through the taps.
#[inline(always)]
fn blur(across: &Axis, down: &Axis, x: &[f32], y: &mut [f32]) {
    let (height, width) = (down.singular.len(), across.singular.len());
    let mut lines = any(height * width);
    let reach = across.taps.len() - 1;
    let mut padded = vec![0.0; width + 2 * reach];
    for (x, y) in x.chunks(lines.len()).zip(y.chunks_mut(height * width)) {
        for (row, out) in x.chunks(width).zip(lines.chunks_mut(width)) {
            padded[reach..reach + width].copy_from_slice(row);
            for j in 1..=reach {
                padded[reach - j] = row[mirrored(-(j as isize), width)];
                padded[reach + width + j - 1] = row[mirrored((width + j) as isize - 1, width)];
            }
            combine(&across.taps, out, |j| &padded[(reach as isize + j) as usize..]);
        }
        for (i, out) in y.chunks_mut(width).enumerate() {
            combine(&down.taps, out, |j| &lines[mirrored(i as isize + j, height) * width..]);
        }
    }
}

/// `out = sum_j taps[|j|] from(j)`.
#[inline(always)]
fn combine<'a>(taps: &[f32], out: &mut [f32], from: impl Fn(isize) -> &'a [f32]) {
    out.iter_mut().zip(from(0)).for_each(|(o, v)| *o = taps[0] * v);
    let sides = |j: usize| from(-(j as isize)).iter().zip(from(j as isize));
    // Two at a time: what is read and written of `out` costs as much as the sums.
    let (pairs, rest) = taps[1..].as_chunks::<2>();
    for (k, [near, far]) in pairs.iter().enumerate() {
        let nearer = sides(2 * k + 1).zip(sides(2 * k + 2));
        for (o, ((a, b), (c, d))) in out.iter_mut().zip(nearer) {
            *o += near * (a + b) + far * (c + d);
        }
    }
    if let [tap] = rest {
        for (o, (a, b)) in out.iter_mut().zip(sides(taps.len() - 1)) {
            *o += tap * (a + b);
        }
    }
}

/// The pixel that stands for `i` on an axis of `size` pixels whose mirror images follow each
/// other, edge pixels repeated.
fn mirrored(i: isize, size: usize) -> usize {
    let period = 2 * size as isize;
    let folded = i.rem_euclid(period);
    folded.min(period - 1 - folded) as usize
}
