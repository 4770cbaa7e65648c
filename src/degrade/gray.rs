//! Colour that was never recorded.

use std::ops::Range;

use super::Stage;
use crate::frame::{Region, Shape, rows_of};

/// `y = (R + G + B) / 3`, as in DDNM's colorization. Singular value `1 / sqrt(3)`.
pub struct Gray {
    input: Shape,
}

const WEIGHT: f32 = 1.0 / 3.0;

impl Gray {
    /// Gray of a three-channel picture of size `input`.
    pub fn new(input: Shape) -> Gray {
        Gray { input }
    }
}

impl Stage for Gray {
    fn spec(&self) -> String {
        "gray".into()
    }

    fn input(&self) -> Shape {
        self.input
    }

    fn output(&self) -> Shape {
        Shape { channels: 1, ..self.input }
    }

    fn period(&self) -> usize {
        1
    }

    fn output_region(&self, region: Region) -> Region {
        region
    }

    fn apply(&self, region: Region, power: i32, x: &[f32], y: &mut [f32]) {
        let n = region.area();
        for (i, y) in y.iter_mut().enumerate() {
            *y = (x[i] + x[n + i] + x[2 * n + i]) * WEIGHT.powi(power);
        }
    }

    fn adjoint(&self, _region: Region, y: &[f32], x: &mut [f32]) {
        for plane in x.chunks_exact_mut(y.len()) {
            plane.iter_mut().zip(y).for_each(|(x, y)| *x = y * WEIGHT);
        }
    }

    fn uncertainty(&self) -> f64 {
        0.1
    }

    fn loses_colour(&self) -> bool {
        true
    }

    fn classical(&self, rows: Range<usize>, support: Range<usize>, y: &[f32]) -> Vec<f32> {
        let shape = Shape { height: support.len(), ..self.output() };
        let top = rows.start - support.start;
        let y = rows_of(y, shape, top..top + rows.len());
        y.repeat(3)
    }
}
