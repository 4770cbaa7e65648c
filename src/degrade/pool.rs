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

    /// Calls `f(values, blocks, rows)` for every scene row of `region`: the indices of its values, of
    /// the blocks they lie in, and how many rows these blocks have.
    fn lines(&self, region: Region, mut f: impl FnMut(Range<usize>, Range<usize>, usize)) {
        let out = self.output_region(region);
        for line in 0..self.input.channels * region.height {
            let (c, i) = (line / region.height, line % region.height);
            let rows = self.factor.min(region.height - i / self.factor * self.factor);
            let blocks = (c * out.height + i / self.factor) * out.width;
            f(line * region.width..(line + 1) * region.width, blocks..blocks + out.width, rows);
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
        self.lines(region, |values, blocks, rows| {
            let entry = |columns: usize| (1.0 / (rows * columns) as f32).powi(power);
            let whole = entry(self.factor);
            let (y, x) = (&mut y[blocks], &x[values]);
            if self.factor == 2 && x.len().is_multiple_of(2) {
                let (pairs, _) = x.as_chunks::<2>();
                return y.iter_mut().zip(pairs).for_each(|(y, [a, b])| {
                    *y += whole * a;
                    *y += whole * b;
                });
            }
            for (y, x) in y.iter_mut().zip(x.chunks(self.factor)) {
                let entry = if x.len() == self.factor { whole } else { entry(x.len()) };
                x.iter().for_each(|x| *y += entry * x);
            }
        });
    }

    fn adjoint(&self, region: Region, y: &[f32], x: &mut [f32]) {
        self.lines(region, |values, blocks, rows| {
            let whole = 1.0 / (rows * self.factor) as f32;
            let (y, x) = (&y[blocks], &mut x[values]);
            if self.factor == 2 && x.len().is_multiple_of(2) {
                let (pairs, _) = x.as_chunks_mut::<2>();
                return pairs.iter_mut().zip(y).for_each(|(x, y)| *x = [whole * y; 2]);
            }
            for (y, x) in y.iter().zip(x.chunks_mut(self.factor)) {
                let full = x.len() == self.factor;
                let entry = if full { whole } else { 1.0 / (rows * x.len()) as f32 };
                x.fill(entry * y);
            }
        });
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
