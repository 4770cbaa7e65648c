//! How the samples of a frame lie.

use std::ops::Range;

use super::mipi;
use crate::frame::{Shape, from_code, to_code};

/// The order of samples within a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// One sample per pixel: gray, or a sensor behind a colour filter array.
    Mono,
    /// Y', Cb and Cr planes, one chroma sample for `across x down` pixels.
    Planar { across: usize, down: usize },
    /// A Y' plane, then Cb and Cr in turns, one of each for 2x2 pixels (NV12).
    SemiPlanar,
    /// R, G and B in turns.
    Rgb,
    /// One sample of 10 bits per pixel, four in five bytes (MIPI CSI-2 RAW10).
    Raw10,
    /// One sample of 12 bits per pixel, two in three bytes (MIPI CSI-2 RAW12).
    Raw12,
}

/// Size and layout of a stream's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    pub width: usize,
    pub height: usize,
    pub packing: Packing,
    /// Bits that count, 1 to 16. Samples of more than 8 take two bytes, little-endian, unless
    /// they are packed.
    pub bits: u8,
    /// Bytes from one row to the next, where rows are padded; chroma planes' in proportion.
    pub stride: Option<usize>,
}

/// One plane of samples.
struct Plane {
    rows: usize,
    /// Samples per row.
    samples: usize,
    /// Bytes that the samples of a row take, and bytes from row to row.
    bytes: usize,
    stride: usize,
}

impl Format {
    /// Pixels per chroma sample, across and down; `(1, 1)` where there is no chroma.
    pub fn chroma(&self) -> (usize, usize) {
        match self.packing {
            Packing::Planar { across, down } => (across, down),
            Packing::SemiPlanar => (2, 2),
            _ => (1, 1),
        }
    }

    /// Whether the samples are luma and chroma.
    pub fn is_ycbcr(&self) -> bool {
        matches!(self.packing, Packing::Planar { .. } | Packing::SemiPlanar)
    }

    /// Size of a frame as a measurement: a pixel's samples as channels; with chroma, for each
    /// block of pixels its luma samples row by row, then Cb and Cr.
    pub fn shape(&self) -> Shape {
        let (across, down) = self.chroma();
        let channels = match self.packing {
            Packing::Rgb => 3,
            _ if self.is_ycbcr() => across * down + 2,
            _ => 1,
        };
        Shape::new(channels, self.height.div_ceil(down), self.width.div_ceil(across))
    }

    /// Bytes that the samples of a row of pixels take without padding (of the first plane).
    pub fn row_bytes(&self) -> usize {
        let samples = if self.packing == Packing::Rgb { 3 * self.width } else { self.width };
        self.bytes_of(samples)
    }

    /// Bytes of a frame.
    pub fn frame_bytes(&self) -> usize {
        self.planes().iter().map(|p| p.rows * p.stride).sum()
    }

    /// The same frame with rows that are padded to a multiple of 64 bytes, as libcamera does.
    pub fn padded(self) -> Format {
        Format { stride: Some(self.row_bytes().next_multiple_of(64)), ..self }
    }

    fn bytes_of(&self, samples: usize) -> usize {
        match self.packing {
            Packing::Raw10 => samples.div_ceil(4) * 5,
            Packing::Raw12 => samples.div_ceil(2) * 3,
            _ => samples * if self.bits > 8 { 2 } else { 1 },
        }
    }

    fn planes(&self) -> Vec<Plane> {
        let (across, down) = self.chroma();
        let stride = self.stride.unwrap_or(self.row_bytes());
        let plane = |rows, samples, stride| {
            let bytes = self.bytes_of(samples);
            Plane { rows, samples, bytes, stride: bytes.max(stride) }
        };
        let first = match self.packing {
            Packing::Rgb => 3 * self.width,
            _ => self.width,
        };
        let mut planes = vec![plane(self.height, first, stride)];
        let (rows, samples) = (self.height.div_ceil(down), self.width.div_ceil(across));
        match self.packing {
            Packing::Planar { .. } => {
                planes.extend([(), ()].map(|()| plane(rows, samples, stride / across)));
            }
            Packing::SemiPlanar => planes.push(plane(rows, 2 * samples, stride)),
            _ => {}
        }
        planes
    }

    /// Where sample `j` of row `i` of a plane stands in the measurement: channel, row, column.
    fn place(&self, plane: usize, i: usize, j: usize) -> (usize, usize, usize) {
        let (across, down) = self.chroma();
        match (self.packing, plane) {
            (Packing::Rgb, _) => (j % 3, i, j / 3),
            (_, 0) => ((i % down) * across + j % across, i / down, j / across),
            (Packing::SemiPlanar, _) => (across * down + j % 2, i, j / 2),
            _ => (across * down + plane - 1, i, j),
        }
    }

    /// Calls `f(plane, row, samples, bytes)` for every row of every plane.
    fn each_row(&self, mut f: impl FnMut(usize, usize, usize, Range<usize>)) {
        let mut start = 0;
        for (p, plane) in self.planes().iter().enumerate() {
            for i in 0..plane.rows {
                f(p, i, plane.samples, start..start + plane.bytes);
                start += plane.stride;
            }
        }
    }

    /// The samples of a frame of [`frame_bytes`](Format::frame_bytes), as values in `[-1, 1]`
    /// (code 0 is -1, the largest is 1); `out` is of [`shape`](Format::shape). Luma that a block
    /// at the edge lacks stays as it is.
    pub fn unpack(&self, bytes: &[u8], out: &mut [f32]) {
        let shape = self.shape();
        let mut row = Vec::new();
        self.each_row(|plane, i, samples, at| {
            row.clear();
            match self.packing {
                Packing::Raw10 => mipi::unpack10(&bytes[at], samples, &mut row),
                Packing::Raw12 => mipi::unpack12(&bytes[at], samples, &mut row),
                _ if self.bits > 8 => {
                    let pairs = bytes[at].chunks_exact(2);
                    row.extend(pairs.map(|b| u16::from_le_bytes([b[0], b[1]])));
                }
                _ => row.extend(bytes[at].iter().map(|&b| u16::from(b))),
            }
            for (j, &code) in row.iter().enumerate() {
                let (c, y, x) = self.place(plane, i, j);
                // Bits above those that count are noise.
                let value = from_code(code, self.bits).min(1.0);
                out[(c * shape.height + y) * shape.width + x] = value;
            }
        });
    }

    /// The inverse of [`unpack`](Format::unpack), rounded to code values; padding is 0.
    pub fn pack(&self, values: &[f32], bytes: &mut Vec<u8>) {
        let shape = self.shape();
        bytes.clear();
        bytes.resize(self.frame_bytes(), 0);
        let mut row = Vec::new();
        self.each_row(|plane, i, samples, at| {
            row.clear();
            row.extend((0..samples).map(|j| {
                let (c, y, x) = self.place(plane, i, j);
                to_code(values[(c * shape.height + y) * shape.width + x], self.bits)
            }));
            let out = &mut bytes[at];
            match self.packing {
                Packing::Raw10 => mipi::pack10(&row, out),
                Packing::Raw12 => mipi::pack12(&row, out),
                _ if self.bits > 8 => {
                    let pairs = out.chunks_exact_mut(2).zip(&row);
                    pairs.for_each(|(b, code)| b.copy_from_slice(&code.to_le_bytes()));
                }
                _ => out.iter_mut().zip(&row).for_each(|(b, code)| *b = *code as u8),
            }
        });
    }
}
