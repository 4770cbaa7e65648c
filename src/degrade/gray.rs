//! Colour that was never recorded.

use std::ops::Range;

use super::{Stage, full_width};
use crate::frame::{Region, Shape, crop};

/// How much of each colour gray is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Luma {
    /// A third each, as in DDNM's colorization.
    Equal,
    /// Recommendation ITU-R BT.601: 0.299, 0.587, 0.114; what most programs and JPEG do.
    Bt601,
    /// Recommendation ITU-R BT.709: 0.2126, 0.7152, 0.0722.
    Bt709,
}

impl Luma {
    /// Every kind.
    pub const ALL: [Luma; 3] = [Luma::Equal, Luma::Bt601, Luma::Bt709];

    /// The name in a spec: equal, 601 or 709.
    pub fn name(self) -> &'static str {
        match self {
            Luma::Equal => "equal",
            Luma::Bt601 => "601",
            Luma::Bt709 => "709",
        }
    }

    /// Weights of red, green and blue; their sum is 1.
    pub fn weights(self) -> [f32; 3] {
        match self {
            Luma::Equal => [1.0 / 3.0; 3],
            Luma::Bt601 => [0.299, 0.587, 0.114],
            Luma::Bt709 => [0.2126, 0.7152, 0.0722],
        }
    }
}

/// `y = w . (R, G, B)`, pixel by pixel. Singular value `||w||`: 0.577 for equal weights.
pub struct Gray {
    luma: Luma,
    input: Shape,
}

impl Gray {
    /// Gray of a three-channel picture of size `input`.
    pub fn new(luma: Luma, input: Shape) -> Gray {
        Gray { luma, input }
    }
}

impl Stage for Gray {
    fn spec(&self) -> String {
        match self.luma {
            Luma::Equal => "gray".into(),
            luma => format!("gray:{}", luma.name()),
        }
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
        let [r, g, b] = self.luma.weights().map(|w| w.powi(power));
        for (i, y) in y.iter_mut().enumerate() {
            *y = r * x[i] + g * x[n + i] + b * x[2 * n + i];
        }
    }

    fn adjoint(&self, _region: Region, y: &[f32], x: &mut [f32]) {
        for (plane, w) in x.chunks_exact_mut(y.len()).zip(self.luma.weights()) {
            plane.iter_mut().zip(y).for_each(|(x, y)| *x = w * y);
        }
    }

    fn uncertainty(&self) -> f64 {
        0.1
    }

    /// `1 / s`: noise that is alike in all colours.
    fn noise_gain(&self) -> f64 {
        let square: f32 = self.luma.weights().iter().map(|w| w * w).sum();
        1.0 / f64::from(square).sqrt()
    }

    fn loses_colour(&self) -> bool {
        true
    }

    fn classical(&self, rows: Range<usize>, support: Range<usize>, y: &[f32], x: &mut [f32]) {
        let shape = Shape { height: support.len(), ..self.output() };
        let top = rows.start - support.start;
        let region = full_width(top..top + rows.len(), shape);
        for plane in x.chunks_exact_mut(region.area()) {
            crop(y, shape, region, plane);
        }
    }
}
