//! Missing and attenuated pixels.

use std::ops::Range;

use super::{Stage, full_width};
use crate::error::{Error, Result};
use crate::frame::{Frame, Region, Shape, crop, to_code};

/// `y = m x`, value by value, with `m` in `[0, 1]`: white (1) is measured, black (0) is missing.
/// Singular values are the mask's own values.
pub struct Mask {
    /// What names it in a spec: mask or gain.
    part: &'static str,
    name: String,
    /// The value of the largest code.
    peak: f32,
    input: Shape,
    /// 16-bit code values, one plane for all channels or one per channel.
    codes: Vec<u16>,
}

/// Gains below this share of the brightest would multiply noise too much to be undone.
pub const LEAST_GAIN: f32 = 1.0 / 32.0;

impl Mask {
    /// A mask from a picture of the same width and height as `input`; a gray mask holds for
    /// every channel, a colour one per channel. `name` stands in the spec.
    pub fn new(name: &str, mask: &Frame, input: Shape) -> Result<Mask> {
        let Shape { channels, height, width } = mask.shape;
        let fits = height == input.height && width == input.width;
        if !fits || (channels != 1 && channels != input.channels) {
            let expected =
                format!("{}x{} with 1 or {} channels", input.width, input.height, input.channels);
            return Err(Error::shape(&format!("mask {name}"), expected, mask.shape));
        }
        let codes: Vec<u16> = mask.data.iter().map(|&v| to_code(v, 16)).collect();
        Ok(Mask { part: "mask", name: name.into(), peak: 1.0, input, codes })
    }

    /// A gain per pixel, as of a lens that darkens its corners or of a sensor's unequal pixels:
    /// like a mask, but gains can be above 1 (in a file of floats), and what is darker than
    /// [`LEAST_GAIN`] of the brightest counts as missing.
    pub fn gain(name: &str, gains: &Frame, input: Shape) -> Result<Mask> {
        let peak = 0.5 * (gains.data.iter().copied().fold(-1.0, f32::max) + 1.0);
        if !(peak > 0.0 && peak.is_finite()) {
            let expected = "something that is not black";
            return Err(Error::shape(
                &format!("gain {name}"),
                expected,
                format!("a peak of {peak}"),
            ));
        }
        let mut relative = gains.clone();
        for v in &mut relative.data {
            let share = 0.5 * (*v + 1.0) / peak;
            *v = if share >= LEAST_GAIN { 2.0 * share - 1.0 } else { -1.0 };
        }
        Ok(Mask { part: "gain", peak, ..Mask::new(name, &relative, input)? })
    }

    fn entries(&self, region: Region, mut f: impl FnMut(usize, f32)) {
        let plane = self.input.plane();
        let scale = self.peak / 65535.0;
        for c in 0..self.input.channels {
            // A gray mask has one plane, which every channel reads.
            let from = c * plane % self.codes.len();
            for i in 0..region.height {
                let row = from + (region.y + i) * self.input.width + region.x;
                let out = (c * region.height + i) * region.width;
                for (j, &m) in self.codes[row..row + region.width].iter().enumerate() {
                    f(out + j, f32::from(m) * scale);
                }
            }
        }
    }
}

impl Stage for Mask {
    fn spec(&self) -> String {
        format!("{}:{}", self.part, self.name)
    }

    fn input(&self) -> Shape {
        self.input
    }

    fn output(&self) -> Shape {
        self.input
    }

    fn period(&self) -> usize {
        1
    }

    fn output_region(&self, region: Region) -> Region {
        region
    }

    fn apply(&self, region: Region, power: i32, x: &[f32], y: &mut [f32]) {
        self.entries(region, |i, m| y[i] = m.powi(power) * x[i]);
    }

    fn adjoint(&self, region: Region, y: &[f32], x: &mut [f32]) {
        self.entries(region, |i, m| x[i] = m * y[i]);
    }

    fn uncertainty(&self) -> f64 {
        0.03
    }

    fn held_bytes(&self) -> u64 {
        (self.codes.len() * size_of::<u16>()) as u64
    }

    fn classical(&self, rows: Range<usize>, support: Range<usize>, y: &[f32], x: &mut [f32]) {
        let shape = Shape { height: support.len(), ..self.output() };
        let top = rows.start - support.start;
        crop(y, shape, full_width(top..top + rows.len(), shape), x);
    }
}
