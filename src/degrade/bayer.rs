//! The colour filter array of a camera sensor.

use std::ops::Range;

use super::Stage;
use crate::classical::demosaic::{self, Bayer};
use crate::frame::{Region, Shape};

/// One colour per pixel, as a sensor behind a Bayer filter records it: a selection, so every
/// singular value is 1.
pub struct Mosaic {
    bayer: Bayer,
    input: Shape,
}

impl Mosaic {
    /// The mosaic of a three-channel picture of size `input`.
    pub fn new(bayer: Bayer, input: Shape) -> Mosaic {
        Mosaic { bayer, input }
    }

    /// Calls `f(mosaic index, scene index)` for every pixel of `region`.
    fn entries(&self, region: Region, mut f: impl FnMut(usize, usize)) {
        let n = region.area();
        for i in 0..region.height {
            let row = [0, 1].map(|x| self.bayer.channel(region.y + i, x));
            for j in 0..region.width {
                let pixel = i * region.width + j;
                f(pixel, row[(region.x + j) % 2] * n + pixel);
            }
        }
    }
}

impl Stage for Mosaic {
    fn spec(&self) -> String {
        format!("bayer:{}", self.bayer.name())
    }

    fn input(&self) -> Shape {
        self.input
    }

    fn output(&self) -> Shape {
        Shape { channels: 1, ..self.input }
    }

    fn period(&self) -> usize {
        2
    }

    fn is_mosaic(&self) -> bool {
        true
    }

    fn output_region(&self, region: Region) -> Region {
        region
    }

    fn apply(&self, region: Region, _power: i32, x: &[f32], y: &mut [f32]) {
        self.entries(region, |pixel, value| y[pixel] = x[value]);
    }

    fn adjoint(&self, region: Region, y: &[f32], x: &mut [f32]) {
        x.fill(0.0);
        self.entries(region, |pixel, value| x[value] = y[pixel]);
    }

    fn uncertainty(&self) -> f64 {
        0.03
    }

    fn classical_block(&self) -> usize {
        demosaic::BLOCK
    }

    fn classical_bytes(&self) -> u64 {
        demosaic::straight_bytes(self.input.height, self.input.width)
    }

    fn classical_support(&self, rows: Range<usize>) -> Range<usize> {
        demosaic::support(rows, self.input.height)
    }

    fn classical(&self, rows: Range<usize>, support: Range<usize>, y: &[f32], x: &mut [f32]) {
        demosaic::straight_rows(y, rows, support, self.input.width, self.bayer, x);
    }
}
