//! A picture in memory: planar `f32`, with where it came from.

use std::borrow::Borrow;

use crate::error::{Error, Result};

/// Size of a planar buffer: `[channels, height, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl Shape {
    pub fn new(channels: usize, height: usize, width: usize) -> Shape {
        Shape { channels, height, width }
    }

    /// Number of values of one channel.
    pub fn plane(&self) -> usize {
        self.height.saturating_mul(self.width)
    }

    /// Number of values of all channels.
    pub fn len(&self) -> usize {
        self.channels * self.plane()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl std::fmt::Display for Shape {
    /// Width first, as people write picture sizes: `640x480, 3 channels`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let s = if self.channels == 1 { "" } else { "s" };
        write!(f, "{}x{}, {} channel{s}", self.width, self.height, self.channels)
    }
}

/// A rectangle of a picture, in pixels from its top left corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Region {
    pub y: usize,
    pub x: usize,
    pub height: usize,
    pub width: usize,
}

impl Region {
    /// The whole of a picture of this size.
    pub fn whole(shape: Shape) -> Region {
        Region { y: 0, x: 0, height: shape.height, width: shape.width }
    }

    /// Number of pixels.
    pub fn area(&self) -> usize {
        self.height * self.width
    }

    /// A buffer shape of this size with `channels` channels.
    pub fn shape(&self, channels: usize) -> Shape {
        Shape::new(channels, self.height, self.width)
    }
}

/// The first value that is not finite, if there is one.
pub fn not_finite(values: &[f32]) -> Option<f32> {
    // Without an early end it is vectors of values that are looked at.
    let all = values.iter().fold(true, |all, v| all & v.is_finite());
    if all { None } else { values.iter().copied().find(|v| !v.is_finite()) }
}

/// Copies `region` of a planar picture of `shape` into `out`, `[channels, region.height, region.width]`.
pub fn crop(data: &[f32], shape: Shape, region: Region, out: &mut [f32]) {
    for c in 0..shape.channels {
        for i in 0..region.height {
            let from = c * shape.plane() + (region.y + i) * shape.width + region.x;
            let to = (c * region.height + i) * region.width;
            out[to..to + region.width].copy_from_slice(&data[from..from + region.width]);
        }
    }
}

/// Some rows of a planar picture of `shape`, planar again.
pub fn rows_of(data: &[f32], shape: Shape, rows: std::ops::Range<usize>) -> Vec<f32> {
    let region = Region { y: rows.start, x: 0, height: rows.len(), width: shape.width };
    let mut out = vec![0.0; region.shape(shape.channels).len()];
    crop(data, shape, region, &mut out);
    out
}

/// What a file said about its picture besides the colours, kept so that it can be written back.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Origin {
    /// Bits per sample of the file: 8 or 16 (0: not from a file).
    pub bit_depth: u8,
    /// ICC profile, as stored.
    pub icc: Option<Vec<u8>>,
    /// EXIF block (TIFF structure, without a container's prefix), orientation included.
    pub exif: Option<Vec<u8>>,
    /// Alpha plane in 16-bit code values, `[height, width]`, row by row.
    pub alpha: Option<Vec<u16>>,
    /// Size of the scene `(width, height)` that this file is a measurement of, where it is recorded.
    pub scene: Option<(usize, usize)>,
    /// Whether the file keeps what is darker than black and brighter than white: its code values
    /// then stand for -2 to 2.
    pub headroom: bool,
}

/// A picture: planar `[C, H, W]`, `f32`. Black is -1, white is 1: `value = code / 127.5 - 1`
/// for 8-bit code values.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    pub shape: Shape,
    pub data: Vec<f32>,
    pub origin: Origin,
}

impl Frame {
    /// A frame over `data`, which holds `shape.len()` values.
    pub fn new(shape: Shape, data: Vec<f32>) -> Result<Frame> {
        if data.len() != shape.len() || shape.is_empty() {
            let expected = format!("{} values for {shape}", shape.len());
            return Err(Error::shape("frame", expected, data.len()));
        }
        Ok(Frame { shape, data, origin: Origin::default() })
    }

    /// A frame of one value everywhere.
    pub fn filled(shape: Shape, value: f32) -> Frame {
        Frame { shape, data: vec![value; shape.len()], origin: Origin::default() }
    }

    /// One channel, `[height, width]`.
    pub fn channel(&self, c: usize) -> &[f32] {
        &self.data[c * self.shape.plane()..(c + 1) * self.shape.plane()]
    }

    /// One channel, to be changed.
    pub fn channel_mut(&mut self, c: usize) -> &mut [f32] {
        let plane = self.shape.plane();
        &mut self.data[c * plane..(c + 1) * plane]
    }
}

/// A picture that comes row by row, from the top.
pub trait Rows {
    /// Size of the whole picture.
    fn shape(&self) -> Shape;
    /// Puts the next row into `row`: its channels one after another, `[channels, width]`. Called
    /// as many times as the picture has rows.
    fn next(&mut self, row: &mut [f32]) -> Result<()>;
}

/// The rows of a picture in memory, borrowed or owned.
pub struct FrameRows<F> {
    frame: F,
    y: usize,
}

impl<F: Borrow<Frame>> FrameRows<F> {
    pub fn new(frame: F) -> FrameRows<F> {
        FrameRows { frame, y: 0 }
    }
}

impl<F: Borrow<Frame>> Rows for FrameRows<F> {
    fn shape(&self) -> Shape {
        self.frame.borrow().shape
    }

    fn next(&mut self, row: &mut [f32]) -> Result<()> {
        let frame = self.frame.borrow();
        let Shape { height, width, .. } = frame.shape;
        if self.y == height {
            return Err(Error::shape("picture", format!("{height} rows"), "a call for one more"));
        }
        let planes = frame.data.chunks_exact(height * width);
        for (part, plane) in row.chunks_exact_mut(width).zip(planes) {
            part.copy_from_slice(&plane[self.y * width..][..width]);
        }
        self.y += 1;
        Ok(())
    }
}

impl From<Frame> for Box<dyn Rows> {
    fn from(frame: Frame) -> Box<dyn Rows> {
        Box::new(FrameRows::new(frame))
    }
}

/// All rows of a picture, put together.
///
/// # Errors
/// What `rows` gives, and [`Error::Shape`] where memory is short.
pub fn collect(rows: &mut dyn Rows) -> Result<Frame> {
    let shape = rows.shape();
    let mut data = Vec::new();
    data.try_reserve_exact(shape.len()).map_err(|_| {
        let found = format!("one of {shape}, {} bytes", shape.len() * size_of::<f32>());
        Error::shape("picture", "one that fits in memory", found)
    })?;
    data.resize(shape.len(), 0.0);
    let mut row = vec![0.0; shape.channels * shape.width];
    for y in 0..shape.height {
        rows.next(&mut row)?;
        for (c, part) in row.chunks_exact(shape.width).enumerate() {
            data[c * shape.plane() + y * shape.width..][..shape.width].copy_from_slice(part);
        }
    }
    Frame::new(shape, data)
}

/// Rounds a value in `[-1, 1]` to the nearest code value of `bits` bits; out-of-range values clip.
pub fn to_code(value: f32, bits: u8) -> u16 {
    let max = code_max(bits);
    // NaN becomes 0: `as` saturates and maps NaN to zero.
    // Truncated, since `round` is a call of a function where SSE4.1 is not taken for granted.
    (((value * 0.5 + 0.5) * max).clamp(0.0, max) + 0.5) as u16
}

/// The value in `[-1, 1]` of a code value of `bits` bits.
pub fn from_code(code: u16, bits: u8) -> f32 {
    code as f32 * (2.0 / code_max(bits)) - 1.0
}

/// Largest code value of `bits` bits, 1 to 16.
pub fn code_max(bits: u8) -> f32 {
    ((1u32 << bits.min(16)) - 1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_value_survives_the_round_trip() {
        for bits in 1..=16 {
            for code in 0..=code_max(bits) as u16 {
                assert_eq!(to_code(from_code(code, bits), bits), code, "{bits} bits");
            }
        }
        assert_eq!(to_code(3.0, 8), 255);
        assert_eq!(to_code(-3.0, 16), 0);
    }

    #[test]
    fn a_frame_refuses_data_of_another_size() {
        assert!(Frame::new(Shape::new(3, 2, 2), vec![0.0; 11]).is_err());
        assert!(Frame::new(Shape::new(3, 0, 2), vec![]).is_err());
    }
}
