//! Compressed sensing: some rows of scrambled Walsh-Hadamard transforms.

use super::{Dual, LinearMap, Spectrum, Working};
use crate::frame::Shape;
use crate::kernels::wide;
use crate::noise::philox;
use crate::scratch::{Buffer, any};

/// What is transformed together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All pixels of a channel, as a single-pixel camera does.
    Frame,
    /// The pixels of each block of 32 x 32; smaller ones at the right and bottom edge.
    Blocks,
}

const BLOCK: usize = 32;

/// `y = S H P x` for each channel: the pixels in a random order, an orthonormal transform, and
/// some of its coefficients.
///
/// The transform is Walsh's and Hadamard's of the largest power of two of pixels, then of the
/// largest that fits into the rest, and so on: orthonormal for any number of pixels. Of each of
/// these the first coefficient (the mean) is measured and the rest chosen at random, other ones in
/// each channel, so `A A^T = I` and all singular values are 1. Order and choice follow from the
/// seed alone, which stands in the spec.
///
/// The measurement is no picture: `[channels, 1, count]`.
pub struct Walsh {
    extent: Extent,
    ratio: f64,
    seed: u64,
    scene: Shape,
    /// The pixel at each place of the transform's input.
    order: Vec<u32>,
    /// Length of each transform, one behind the other.
    lengths: Vec<usize>,
    /// Per channel the places of the coefficients that are measured, ascending.
    rows: Vec<Vec<u32>>,
}

impl Walsh {
    /// A measurement of `ratio` (above 0, up to 1) of a scene's values.
    pub fn new(extent: Extent, ratio: f64, seed: u64, scene: Shape) -> Walsh {
        let mut random = Random { seed, count: 0 };
        let mut order: Vec<u32> = Vec::with_capacity(scene.plane());
        let mut lengths = Vec::new();
        for (height, width, top, left) in areas(extent, scene) {
            let from = order.len();
            let pixel = |y: usize, x: usize| (y * scene.width + x) as u32;
            order.extend((0..height * width).map(|i| pixel(top + i / width, left + i % width)));
            random.shuffle(&mut order[from..]);
            lengths.extend(powers(height * width));
        }
        let mut rows = Vec::new();
        for _ in 0..scene.channels {
            let mut chosen = Vec::new();
            let mut start = 0u32;
            for &length in &lengths {
                let mut rest: Vec<u32> = (1..length as u32).map(|i| start + i).collect();
                random.shuffle(&mut rest);
                rest.truncate(count(length, ratio) - 1);
                rest.push(start);
                rest.sort_unstable();
                chosen.append(&mut rest);
                start += length as u32;
            }
            rows.push(chosen);
        }
        Walsh { extent, ratio, seed, scene, order, lengths, rows }
    }

    /// How many values a channel of this size is measured as.
    pub fn count(extent: Extent, ratio: f64, scene: Shape) -> usize {
        let areas = areas(extent, scene);
        areas.flat_map(|a| powers(a.0 * a.1)).map(|length| count(length, ratio)).sum()
    }

    /// The transform of all of a channel's places, in place; its own inverse.
    fn transform(&self, v: &mut [f32]) {
        let mut rest = v;
        for &length in &self.lengths {
            let (here, behind) = rest.split_at_mut(length);
            wide!(walsh(here: &mut [f32]));
            rest = behind;
        }
    }
}

/// How many coefficients of a transform are measured: at least the mean.
fn count(length: usize, ratio: f64) -> usize {
    ((length as f64 * ratio).round() as usize).clamp(1, length)
}

/// `(height, width, top, left)` of what is transformed together.
fn areas(extent: Extent, scene: Shape) -> impl Iterator<Item = (usize, usize, usize, usize)> {
    let (high, wide) = match extent {
        Extent::Frame => (scene.height.max(1), scene.width.max(1)),
        Extent::Blocks => (BLOCK, BLOCK),
    };
    let tops = (0..scene.height).step_by(high);
    tops.flat_map(move |top| {
        let lefts = (0..scene.width).step_by(wide);
        lefts.map(move |left| {
            (high.min(scene.height - top), wide.min(scene.width - left), top, left)
        })
    })
}

/// A number as a sum of powers of two, the largest first.
fn powers(n: usize) -> impl Iterator<Item = usize> {
    (0..usize::BITS).rev().map(|bit| 1usize << bit).filter(move |power| n & power != 0)
}

/// Values that are worked on within one vector.
const LANES: usize = 8;

/// The orthonormal Walsh-Hadamard transform of a power of two of values, in place. Sums and
/// differences of neighbours, then of neighbouring pairs, and so on.
#[inline(always)]
fn walsh(v: &mut [f32]) {
    let n = v.len();
    let (vectors, short) = v.as_chunks_mut::<LANES>();
    for vector in vectors {
        within::<1>(vector);
        within::<2>(vector);
        within::<4>(vector);
    }
    let mut half = if short.is_empty() { LANES } else { 1 };
    // Two levels in one pass over memory.
    while 4 * half <= n {
        for four in v.chunks_exact_mut(4 * half) {
            let (front, back) = four.split_at_mut(2 * half);
            let (a, b) = front.split_at_mut(half);
            let (c, d) = back.split_at_mut(half);
            for ((a, b), (c, d)) in a.iter_mut().zip(b).zip(c.iter_mut().zip(d)) {
                let (front, back) = ((*a + *b, *a - *b), (*c + *d, *c - *d));
                (*a, *c) = (front.0 + back.0, front.0 - back.0);
                (*b, *d) = (front.1 + back.1, front.1 - back.1);
            }
        }
        half *= 4;
    }
    if 2 * half == n {
        let (a, b) = v.split_at_mut(half);
        for (a, b) in a.iter_mut().zip(b) {
            (*a, *b) = (*a + *b, *a - *b);
        }
    }
    let scale = 1.0 / (n as f32).sqrt();
    v.iter_mut().for_each(|v| *v *= scale);
}

/// Sums and differences of the values of a vector that lie `HALF` apart.
#[inline(always)]
fn within<const HALF: usize>(v: &mut [f32; LANES]) {
    let from = *v;
    for i in 0..LANES {
        let sign = if i & HALF == 0 { 1.0 } else { -1.0 };
        v[i] = from[i ^ HALF] + sign * from[i];
    }
}

/// Whole numbers that follow from a seed.
struct Random {
    seed: u64,
    count: u64,
}

impl Random {
    /// A number below `n`.
    fn below(&mut self, n: u64) -> u64 {
        let key = [self.seed as u32, (self.seed >> 32) as u32];
        let words = philox([self.count as u32, (self.count >> 32) as u32, 0, 0xC5], key);
        self.count += 1;
        let wide = u64::from(words[0]) << 32 | u64::from(words[1]);
        ((u128::from(wide) * u128::from(n)) >> 64) as u64
    }

    /// Fisher's and Yates' shuffle.
    fn shuffle(&mut self, v: &mut [u32]) {
        for i in (1..v.len()).rev() {
            v.swap(i, self.below(i as u64 + 1) as usize);
        }
    }
}

impl LinearMap for Walsh {
    fn spec(&self) -> String {
        let name = if self.extent == Extent::Frame { "hadamard" } else { "blocks" };
        format!("{name}:{}:{}", self.ratio, self.seed)
    }

    fn scene(&self) -> Shape {
        self.scene
    }

    fn measurement(&self) -> Shape {
        Shape::new(self.scene.channels, 1, self.rows.first().map_or(0, Vec::len))
    }

    fn apply(&self, x: &[f32], y: &mut [f32]) {
        let count = self.measurement().width;
        let mut v = any(self.order.len());
        let channels = x.chunks(self.scene.plane()).zip(&self.rows);
        for ((x, rows), y) in channels.zip(y.chunks_mut(count)) {
            v.iter_mut().zip(&self.order).for_each(|(v, i)| *v = x[*i as usize]);
            self.transform(&mut v);
            y.iter_mut().zip(rows).for_each(|(y, i)| *y = v[*i as usize]);
        }
    }

    fn adjoint(&self, y: &[f32], x: &mut [f32]) {
        let count = self.measurement().width;
        let mut v = any(self.order.len());
        let channels = x.chunks_mut(self.scene.plane()).zip(&self.rows);
        for ((x, rows), y) in channels.zip(y.chunks(count)) {
            v.fill(0.0);
            y.iter().zip(rows).for_each(|(y, i)| v[*i as usize] = *y);
            self.transform(&mut v);
            v.iter().zip(&self.order).for_each(|(v, i)| x[*i as usize] = *v);
        }
    }

    fn pinv(&self, y: &[f32], weight: &dyn Fn(f32) -> f32, _: &mut Dual, x: &mut [f32]) {
        let w = weight(1.0);
        let scaled = Buffer::collect(y.len(), y.iter().map(|v| w * v));
        self.adjoint(&scaled, x);
    }

    fn spectrum(&self) -> Option<Spectrum> {
        Some(Spectrum::Flat(1.0))
    }

    fn max_row_sum(&self) -> Option<f32> {
        self.lengths.iter().max().map(|n| (*n as f32).sqrt())
    }

    fn working(&self) -> Working {
        let forward = self.order.len();
        let inverse = self.measurement().len() + forward;
        Working { forward, gram: self.scene.len() + forward, inverse, kept: 0, start: inverse }
    }

    fn held_bytes(&self) -> u64 {
        let places = self.order.len() + self.rows.iter().map(Vec::len).sum::<usize>();
        (places * size_of::<u32>()) as u64
    }

    fn is_picture(&self) -> bool {
        false
    }

    fn uncertainty(&self) -> f64 {
        0.5
    }
}
