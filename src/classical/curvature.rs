//! A picture's curvature along four directions, weighted per pixel by how straight the picture
//! runs each way: what filling holes and refining mosaics have in common.
//!
//! Both minimize the sum over all pixels and directions of `weight * (second difference)^2` by
//! relaxation, and set the weights anew from each result. A pixel then bends only across the
//! directions in which its surroundings bend anyway, so edges and lines stay sharp.

use std::ops::Range;

use crate::frame::Shape;
use crate::scratch::{Buffer, List, zeros};

/// Weight of the two diagonals next to 1 for row and column: the best of a search on photographs
/// with pixels missing at random, and a flat optimum.
const DIAGONAL: f32 = 0.9;

/// Rows that are worked on together. The work is local, so bands bound the memory it takes.
const BAND: usize = 128;
/// Rows seen, and changed for the time being, on both sides of a band.
pub const OVERLAP: usize = 16;
/// Rows of the largest band.
pub const MOST_ROWS: usize = BAND + 2 * OVERLAP;
/// Border of a band's buffers, so that the stencil never leaves them: a pixel takes part in
/// second differences that are centred next to it and reach one further.
const EDGE: usize = 2;

/// How weights follow from curvature.
pub struct Rule {
    /// Curvature (root of the mean square over the window) up to which a direction counts as
    /// straight, in the units of the values.
    pub straight: f32,
    /// Half the window over which curvature is averaged.
    pub radius: usize,
}

/// Some rows of a picture with a border of `EDGE`, and the weights there.
pub struct Band {
    stride: usize,
    rows: usize,
    /// The rows of the picture that are loaded, and those of them that are stored.
    loaded: Range<usize>,
    stored: Range<usize>,
    /// The values, channel after channel, 0 in the border.
    planes: List<f32>,
    /// Per direction: weight of the second difference centred at each pixel; 0 where it would
    /// leave the picture.
    weights: [List<f32>; 4],
    energy: List<f32>,
    /// One row.
    sums: Buffer<f32>,
}

/// Calls `work` on each band of a picture, from the top, and stores what it changes.
pub fn by_bands(values: &mut [f32], shape: Shape, mut work: impl FnMut(&mut Band)) {
    let mut band = Band::new(shape);
    for top in (0..shape.height).step_by(BAND) {
        band.stored = top..(top + BAND).min(shape.height);
        band.loaded = top.saturating_sub(OVERLAP)..(band.stored.end + OVERLAP).min(shape.height);
        band.load(values, shape);
        work(&mut band);
        band.store(values, shape);
    }
}

/// Bytes of the buffers of [`by_bands`].
pub fn band_bytes(shape: Shape) -> u64 {
    let rows = shape.height.min(MOST_ROWS) + 2 * EDGE;
    // Values, the four directions' weights, and curvature.
    let buffers = shape.channels + 4 + 1;
    (buffers * rows * (shape.width + 2 * EDGE) * size_of::<f32>()) as u64
}

/// Calls `work` on a picture of a few rows as one band.
pub fn as_band(values: &mut [f32], shape: Shape, work: impl FnOnce(&mut Band)) {
    let mut band = Band::new(shape);
    (band.stored, band.loaded) = (0..shape.height, 0..shape.height);
    band.load(values, shape);
    work(&mut band);
    band.store(values, shape);
}

impl Band {
    fn new(shape: Shape) -> Band {
        let stride = shape.width + 2 * EDGE;
        Band {
            stride,
            rows: 0,
            loaded: 0..0,
            stored: 0..0,
            planes: List::new(),
            weights: std::array::from_fn(|_| List::new()),
            energy: List::new(),
            sums: zeros(stride),
        }
    }

    /// The band's pixels: picture row, and the buffer index and length of the row there.
    pub fn lines(&self) -> impl Iterator<Item = (usize, Range<usize>)> + use<> {
        let stride = self.stride;
        let rows = self.loaded.clone().enumerate();
        rows.map(move |(r, y)| {
            let row = (r + EDGE) * stride;
            (y, row + EDGE..row + stride - EDGE)
        })
    }

    fn load(&mut self, values: &[f32], shape: Shape) {
        self.rows = self.loaded.len() + 2 * EDGE;
        let size = self.stride * self.rows;
        for buffer in self.weights.iter_mut().chain([&mut self.energy]) {
            buffer.clear();
            buffer.reserve_exact(size);
            buffer.resize(size, 0.0);
        }
        self.planes.clear();
        self.planes.reserve_exact(shape.channels * size);
        self.planes.resize(shape.channels * size, 0.0);
        for c in 0..shape.channels {
            for (y, at) in self.lines() {
                let from = c * shape.plane() + y * shape.width;
                self.plane(c)[at].copy_from_slice(&values[from..from + shape.width]);
            }
        }
    }

    fn store(&self, values: &mut [f32], shape: Shape) {
        for (c, plane) in self.planes.chunks_exact(self.energy.len()).enumerate() {
            for (y, at) in self.lines().filter(|(y, _)| self.stored.contains(y)) {
                let to = c * shape.plane() + y * shape.width;
                values[to..to + shape.width].copy_from_slice(&plane[at]);
            }
        }
    }

    /// The values of a channel.
    pub fn plane(&mut self, channel: usize) -> &mut [f32] {
        let size = self.energy.len();
        &mut self.planes[channel * size..(channel + 1) * size]
    }

    /// The four directions' index steps.
    fn steps(&self) -> [usize; 4] {
        [1, self.stride, self.stride + 1, self.stride - 1]
    }

    /// Per direction: weight of a straight picture, and the rows and columns of a band in which
    /// a second difference has both its ends inside the picture.
    fn centres(&self, direction: usize) -> (f32, Range<usize>, Range<usize>) {
        let base = if direction < 2 { 1.0 } else { DIAGONAL };
        let within = |n: usize, margin: usize| margin..(n - margin).max(margin);
        let rows = within(self.rows, EDGE + usize::from(direction != 0));
        let columns = within(self.stride, EDGE + usize::from(direction != 1));
        (base, rows, columns)
    }

    /// Sets the weights of a picture that is straight everywhere.
    pub fn weigh_alike(&mut self) {
        for direction in 0..4 {
            let (base, rows, columns) = self.centres(direction);
            for y in rows {
                let row = y * self.stride;
                self.weights[direction][row + columns.start..row + columns.end].fill(base);
            }
        }
    }

    /// Sets the weights from the curvature around each pixel: its square summed over `views`,
    /// each a linear combination of channels.
    pub fn weigh<V: Iterator<Item: AsRef<[(usize, f32)]>>>(
        &mut self,
        views: impl Fn() -> V,
        rule: &Rule,
    ) {
        let scale = 1.0 / (rule.straight * rule.straight);
        let size = self.energy.len();
        for (direction, step) in self.steps().into_iter().enumerate() {
            let (base, rows, columns) = self.centres(direction);
            self.energy.fill(0.0);
            for y in rows.clone() {
                let (from, to) = (y * self.stride + columns.start, y * self.stride + columns.end);
                let (line, energy) = (&mut self.sums[columns.clone()], &mut self.energy[from..to]);
                for view in views() {
                    add_energy(&self.planes, size, view.as_ref(), from..to, step, line, energy);
                }
            }
            for y in rows.clone() {
                let top = y.saturating_sub(rule.radius).max(rows.start);
                let bottom = (y + rule.radius + 1).min(rows.end);
                self.sums.fill(0.0);
                for row in top..bottom {
                    let energy = &self.energy[row * self.stride..(row + 1) * self.stride];
                    for (sum, energy) in self.sums.iter_mut().zip(energy) {
                        *sum += energy;
                    }
                }
                let row = &mut self.weights[direction][y * self.stride..(y + 1) * self.stride];
                for x in columns.clone() {
                    let left = x.saturating_sub(rule.radius).max(columns.start);
                    let right = (x + rule.radius + 1).min(columns.end);
                    let sum: f32 = self.sums[left..right].iter().sum();
                    let count = ((bottom - top) * (right - left)) as f32;
                    let ratio = 1.0 + sum * scale / count;
                    row[x] = base / (ratio * ratio);
                }
            }
        }
    }

    /// Half the derivative of the weighted curvature by pixel `i`, in each of the channels.
    pub fn force<const N: usize>(&self, channels: [usize; N], i: usize) -> [f32; N] {
        let size = self.energy.len();
        let planes = channels.map(|c| &self.planes[c * size..(c + 1) * size]);
        let mut force = [0.0; N];
        for (w, s) in self.weights.iter().zip(self.steps()) {
            let (before, here, after) = (w[i - s], w[i], w[i + s]);
            for (force, u) in force.iter_mut().zip(planes) {
                let (b, c, a) = (u[i - s], u[i], u[i + s]);
                *force += before * (u[i - 2 * s] - 2.0 * b + c)
                    + after * (u[i + 2 * s] - 2.0 * a + c)
                    - 2.0 * here * (b - 2.0 * c + a);
            }
        }
        force
    }

    /// Half the second derivative, the same for all channels; never 0.
    pub fn stiffness(&self, i: usize) -> f32 {
        let weights = self.weights.iter().zip(self.steps());
        weights.map(|(w, s)| w[i - s] + w[i + s] + 4.0 * w[i]).sum::<f32>() + 1e-12
    }
}

/// Adds the squared second differences of a view at the pixels `at`.
fn add_energy(
    planes: &[f32],
    size: usize,
    view: &[(usize, f32)],
    at: Range<usize>,
    step: usize,
    line: &mut [f32],
    energy: &mut [f32],
) {
    line.fill(0.0);
    for &(channel, factor) in view {
        let plane = &planes[channel * size..(channel + 1) * size];
        let before = &plane[at.start - step..at.end - step];
        let here = &plane[at.clone()];
        let after = &plane[at.start + step..at.end + step];
        for (x, bend) in line.iter_mut().enumerate() {
            *bend += factor * (before[x] + after[x] - 2.0 * here[x]);
        }
    }
    for (energy, bend) in energy.iter_mut().zip(line) {
        *energy += *bend * *bend;
    }
}
