//! Down-sampling by averaging blocks.

use std::ops::Range;

use super::Stage;
use crate::classical::bicubic;
use crate::frame::{Region, Shape};

/// `factor x factor` average pooling; blocks at the right and bottom edge average the pixels
/// that are there, so it is exact at every size. Singular value `1 / sqrt(pixels in the block)`.
pub struct Pool {
    factor: usize,
    input: Shape,
}

impl Pool {
    /// Pooling of a picture of size `input`; `factor` is 2 to 16.
    pub fn new(factor: usize, input: Shape) -> Pool {
        Pool { factor, input }
    }

    /// Calls `f(value index, block index, entry)` for every scene value of `region`.
    fn entries(&self, region: Region, mut f: impl FnMut(usize, usize, f32)) {
        let n = self.factor;
        let out = self.output_region(region);
        for c in 0..self.input.channels {
            for i in 0..region.height {
                let rows = n.min(region.height - i / n * n);
                let row = (c * region.height + i) * region.width;
                let block_row = (c * out.height + i / n) * out.width;
                for block in 0..out.width {
                    let columns = n.min(region.width - block * n);
                    let entry = 1.0 / (rows * columns) as f32;
                    for j in block * n..block * n + columns {
                        f(row + j, block_row + block, entry);
                    }
                }
            }
        }
    }
}

impl Stage for Pool {
    fn spec(&self) -> String {
        format!("sr:{}", self.factor)
    }

    fn input(&self) -> Shape {
        self.input
    }

    fn output(&self) -> Shape {
        let Shape { channels, height, width } = self.input;
        Shape::new(channels, height.div_ceil(self.factor), width.div_ceil(self.factor))
    }

    fn period(&self) -> usize {
        self.factor
    }

    fn scale(&self) -> usize {
        self.factor
    }

    fn output_region(&self, r: Region) -> Region {
        let n = self.factor;
        Region { y: r.y / n, x: r.x / n, height: r.height.div_ceil(n), width: r.width.div_ceil(n) }
    }

    fn apply(&self, region: Region, power: i32, x: &[f32], y: &mut [f32]) {
        y.fill(0.0);
        self.entries(region, |i, block, entry| y[block] += entry.powi(power) * x[i]);
    }

    fn adjoint(&self, region: Region, y: &[f32], x: &mut [f32]) {
        self.entries(region, |i, block, entry| x[i] = entry * y[block]);
    }

    fn uncertainty(&self) -> f64 {
        0.3
    }

    /// What is estimated is as noisy as what was measured, but alike in a whole block. That is
    /// `1 / s`, the factor; measured, a little less is better.
    fn noise_gain(&self) -> f64 {
        (self.factor as f64).powf(0.75)
    }

    fn classical_support(&self, rows: Range<usize>) -> Range<usize> {
        bicubic::support(rows, self.input.height, self.factor)
    }

    fn classical(&self, rows: Range<usize>, support: Range<usize>, y: &[f32], x: &mut [f32]) {
        let Shape { height, width, .. } = self.input;
        let from = Shape { height: support.len(), ..self.output() };
        let whole = (height, width);
        bicubic::upsample_rows(y, from, support.start, whole, self.factor, rows, x);
    }
}
