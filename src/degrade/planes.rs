//! Luma for every pixel, chroma for blocks of them: how video is recorded.

use std::ops::Range;

use super::Stage;
use crate::frame::{Region, Shape};

/// Of a scene of Y', Cb and Cr planes, all luma and the mean of the chroma of each block of
/// `across x down` pixels. Singular values 1 for luma and `1 / sqrt(pixels in the block)` for
/// chroma.
///
/// The measurement is a picture of blocks: for each, its luma row by row, then Cb and Cr. Blocks
/// at the right and bottom edge have the pixels that are there; the luma that they lack is not
/// measured.
pub struct Planes {
    across: usize,
    down: usize,
    input: Shape,
}

impl Planes {
    /// Of a three-channel picture of size `input`.
    pub fn new(across: usize, down: usize, input: Shape) -> Planes {
        Planes { across, down, input }
    }

    /// Calls `f(scene index, measurement index, entry)` for every scene value of `region`.
    fn entries(&self, region: Region, mut f: impl FnMut(usize, usize, f32)) {
        let (across, down) = (self.across, self.down);
        let out = self.output_region(region);
        for c in 0..3 {
            for i in 0..region.height {
                let rows = down.min(region.height - i / down * down);
                for j in 0..region.width {
                    let columns = across.min(region.width - j / across * across);
                    let (channel, entry) = match c {
                        0 => ((i % down) * across + j % across, 1.0),
                        _ => (across * down + c - 1, 1.0 / (rows * columns) as f32),
                    };
                    let scene = (c * region.height + i) * region.width + j;
                    let row = channel * out.height + i / down;
                    f(scene, row * out.width + j / across, entry);
                }
            }
        }
    }
}

impl Stage for Planes {
    fn spec(&self) -> String {
        let ratio = match (self.across, self.down) {
            (1, 1) => "444",
            (2, 1) => "422",
            (4, 1) => "411",
            _ => "420",
        };
        ratio.into()
    }

    fn input(&self) -> Shape {
        self.input
    }

    fn output(&self) -> Shape {
        let Shape { height, width, .. } = self.input;
        let channels = self.across * self.down + 2;
        Shape::new(channels, height.div_ceil(self.down), width.div_ceil(self.across))
    }

    fn period(&self) -> usize {
        // One is a multiple of the other.
        self.across.max(self.down)
    }

    /// Rows count: of columns there can be more.
    fn scale(&self) -> usize {
        self.down
    }

    fn output_region(&self, r: Region) -> Region {
        let (across, down) = (self.across, self.down);
        let (height, width) = (r.height.div_ceil(down), r.width.div_ceil(across));
        Region { y: r.y / down, x: r.x / across, height, width }
    }

    fn apply(&self, region: Region, power: i32, x: &[f32], y: &mut [f32]) {
        y.fill(0.0);
        self.entries(region, |scene, at, entry| y[at] += entry.powi(power) * x[scene]);
    }

    fn adjoint(&self, region: Region, y: &[f32], x: &mut [f32]) {
        self.entries(region, |scene, at, entry| x[scene] = entry * y[at]);
    }

    fn uncertainty(&self) -> f64 {
        0.02
    }

    fn classical_support(&self, rows: Range<usize>) -> Range<usize> {
        let last = self.output().height;
        (rows.start / self.down).saturating_sub(1)..(rows.end.div_ceil(self.down) + 1).min(last)
    }

    /// Chroma linearly between the centres of blocks.
    fn classical(&self, rows: Range<usize>, support: Range<usize>, y: &[f32], x: &mut [f32]) {
        let (across, down, width) = (self.across, self.down, self.input.width);
        let blocks = self.output().width;
        let at = |channel: usize, row: usize, column: usize| {
            y[(channel * support.len() + row - support.start) * blocks + column]
        };
        let (luma, chroma) = x.split_at_mut(rows.len() * width);
        for (i, row) in rows.clone().zip(luma.chunks_exact_mut(width)) {
            for (j, x) in row.iter_mut().enumerate() {
                *x = at((i % down) * across + j % across, i / down, j / across);
            }
        }
        for (c, plane) in chroma.chunks_exact_mut(rows.len() * width).enumerate() {
            let channel = across * down + c;
            for (i, row) in rows.clone().zip(plane.chunks_exact_mut(width)) {
                let (top, bottom, v) = between(i, down, self.output().height);
                for (j, x) in row.iter_mut().enumerate() {
                    let (left, right, u) = between(j, across, blocks);
                    let row = |r| at(channel, r, left) * (1.0 - u) + at(channel, r, right) * u;
                    *x = row(top) * (1.0 - v) + row(bottom) * v;
                }
            }
        }
    }
}

/// The two of `count` blocks of `size` pixels whose centres pixel `i` lies between, and the
/// weight of the second.
fn between(i: usize, size: usize, count: usize) -> (usize, usize, f32) {
    let centre = (i as f32 + 0.5) / size as f32 - 0.5;
    let first = centre.max(0.0) as usize;
    (first, (first + 1).min(count - 1), (centre - first as f32).max(0.0))
}
