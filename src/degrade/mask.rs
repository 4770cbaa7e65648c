//! Missing and attenuated pixels.

use std::ops::Range;

use super::{Stage, full_width};
use crate::error::{Error, Result};
use crate::frame::{Frame, FrameRows, Region, Rows, Shape, crop, to_code};
use crate::kernels::wide;

/// `y = m x`, value by value, with `m` in `[0, 1]`: white (1) is measured, black (0) is missing.
/// Singular values are the mask's own values.
pub struct Mask {
    /// What names it in a spec: mask or gain.
    part: &'static str,
    name: String,
    /// The value of the largest code.
    peak: f32,
    input: Shape,
    /// One plane for all channels, or one per channel.
    codes: Codes,
}

/// A mask's values. Most masks are black and white, and the frames of those come row by row: a
/// bit per pixel is then next to nothing.
enum Codes {
    Bits {
        len: usize,
        words: Vec<u64>,
    },
    /// 16-bit code values.
    Levels(Vec<u16>),
}

impl Codes {
    fn len(&self) -> usize {
        match self {
            Codes::Bits { len, .. } => *len,
            Codes::Levels(levels) => levels.len(),
        }
    }

    fn get(&self, i: usize) -> u16 {
        match self {
            Codes::Bits { words, .. } => (words[i / 64] >> (i % 64) & 1) as u16 * u16::MAX,
            Codes::Levels(levels) => levels[i],
        }
    }

    /// The value at `i`, 0 until now, becomes `code`.
    fn set(&mut self, i: usize, code: u16) {
        match self {
            Codes::Bits { words, .. } if code == u16::MAX => words[i / 64] |= 1 << (i % 64),
            Codes::Bits { .. } if code == 0 => {}
            Codes::Bits { len, .. } => {
                let levels = (0..*len).map(|j| self.get(j)).collect();
                *self = Codes::Levels(levels);
                self.set(i, code);
            }
            Codes::Levels(levels) => levels[i] = code,
        }
    }
}

/// Gains below this share of the brightest would multiply noise too much to be undone.
pub const LEAST_GAIN: f32 = 1.0 / 32.0;

impl Mask {
    /// A mask from a picture of the same width and height as `input`; a gray mask holds for
    /// every channel, a colour one per channel. `name` stands in the spec.
    pub fn new(name: &str, mask: &mut dyn Rows, input: Shape) -> Result<Mask> {
        let Shape { channels, height, width } = mask.shape();
        let fits = height == input.height && width == input.width;
        if !fits || (channels != 1 && channels != input.channels) {
            let expected =
                format!("{}x{} with 1 or {} channels", input.width, input.height, input.channels);
            return Err(Error::shape(&format!("mask {name}"), expected, mask.shape()));
        }
        let len = mask.shape().len();
        let mut codes = Codes::Bits { len, words: vec![0; len.div_ceil(64)] };
        let mut row = vec![0.0; channels * width];
        for y in 0..height {
            mask.next(&mut row)?;
            for (c, part) in row.chunks_exact(width).enumerate() {
                let at = (c * height + y) * width;
                part.iter().enumerate().for_each(|(x, &v)| codes.set(at + x, to_code(v, 16)));
            }
        }
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
        Ok(Mask { part: "gain", peak, ..Mask::new(name, &mut FrameRows::new(&relative), input)? })
    }

    /// `out = m^power v` over `region`, row by row.
    fn multiply(&self, region: Region, power: i32, v: &[f32], out: &mut [f32]) {
        let mask = self;
        wide!(scale(mask: &Mask, region: Region, power: i32, v: &[f32], out: &mut [f32]));
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
        self.multiply(region, power, x, y);
    }

    fn adjoint(&self, region: Region, y: &[f32], x: &mut [f32]) {
        self.multiply(region, 1, y, x);
    }

    fn uncertainty(&self) -> f64 {
        0.03
    }

    /// `1 / s` of the twentieth part of the values that have least light: a level that covers
    /// noise there is better everywhere, and a few dark pixels must not decide.
    fn noise_gain(&self) -> f64 {
        let Codes::Levels(levels) = &self.codes else { return 1.0 / f64::from(self.peak) };
        let mut seen: Vec<u16> = levels.iter().copied().filter(|code| *code > 0).collect();
        if seen.is_empty() {
            return 1.0;
        }
        let at = seen.len() / 20;
        let (_, dark, _) = seen.select_nth_unstable(at);
        65535.0 / (f64::from(*dark) * f64::from(self.peak))
    }

    fn held_bytes(&self) -> u64 {
        match &self.codes {
            Codes::Bits { words, .. } => size_of_val(words.as_slice()) as u64,
            Codes::Levels(levels) => size_of_val(levels.as_slice()) as u64,
        }
    }

    fn classical(&self, rows: Range<usize>, support: Range<usize>, y: &[f32], x: &mut [f32]) {
        let shape = Shape { height: support.len(), ..self.output() };
        let top = rows.start - support.start;
        crop(y, shape, full_width(top..top + rows.len(), shape), x);
    }
}

/// [`Mask::multiply`].
#[inline(always)]
fn scale(mask: &Mask, region: Region, power: i32, v: &[f32], out: &mut [f32]) {
    let plane = mask.input.plane();
    let scale = mask.peak / 65535.0;
    let gain = |code: u16| (f32::from(code) * scale).powi(power);
    let (none, all) = (gain(0), gain(u16::MAX));
    let lines = v.chunks(region.width).zip(out.chunks_mut(region.width)).enumerate();
    for (line, (v, out)) in lines {
        let (c, i) = (line / region.height, line % region.height);
        // A gray mask has one plane, which every channel reads.
        let from = c * plane % mask.codes.len() + (region.y + i) * mask.input.width + region.x;
        match &mask.codes {
            Codes::Bits { words, .. } => {
                let (mut v, mut out, mut at) = (v, out, from);
                while !v.is_empty() {
                    // As many as are left of a word: mostly all or none of them are measured.
                    let count = (64 - at % 64).min(v.len());
                    let bits = words[at / 64] >> (at % 64);
                    let same = u64::MAX >> (64 - count);
                    let (these, others) = v.split_at(count);
                    let (here, rest) = out.split_at_mut(count);
                    let values = here.iter_mut().zip(these);
                    match bits & same {
                        0 => values.for_each(|(o, v)| *o = none * v),
                        bits if bits == same => values.for_each(|(o, v)| *o = all * v),
                        bits => values.enumerate().for_each(|(j, (o, v))| {
                            *o = if bits >> j & 1 == 1 { all } else { none } * v;
                        }),
                    }
                    (v, out, at) = (others, rest, at + count);
                }
            }
            Codes::Levels(levels) => {
                let values = out.iter_mut().zip(v).zip(&levels[from..]);
                values.for_each(|((o, v), code)| *o = gain(*code) * v);
            }
        }
    }
}
