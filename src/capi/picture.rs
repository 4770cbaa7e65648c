//! Pictures in the caller's memory.

use std::ffi::c_void;

use crate::error::{Error, Result};
use crate::frame::{Rows, Shape, from_code, to_code};
use crate::sampler::Finished;

/// Samples of whole numbers from black 0 to white 255.
pub const DDNM_U8: u32 = 1;
/// Samples of whole numbers from black 0 to white 65535, in the machine's byte order.
pub const DDNM_U16: u32 = 2;
/// Samples that are floats from black 0.0 to white 1.0.
pub const DDNM_F32: u32 = 4;

/// What samples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Samples {
    U8,
    U16,
    F32,
}

impl Samples {
    /// By its number in C.
    pub fn new(number: u32) -> Result<Samples> {
        match number {
            DDNM_U8 => Ok(Samples::U8),
            DDNM_U16 => Ok(Samples::U16),
            DDNM_F32 => Ok(Samples::F32),
            other => {
                let expected = "DDNM_U8, DDNM_U16 or DDNM_F32";
                Err(Error::Usage(format!("samples: expected {expected}, found {other}")))
            }
        }
    }

    fn bytes(self) -> usize {
        match self {
            Samples::U8 => 1,
            Samples::U16 => 2,
            Samples::F32 => 4,
        }
    }

    /// Bits of code values; 0 for floats.
    pub fn bits(self) -> u8 {
        match self {
            Samples::U8 => 8,
            Samples::U16 => 16,
            Samples::F32 => 0,
        }
    }

    fn read(self, at: &[u8]) -> f32 {
        match *at {
            [v, ..] if self == Samples::U8 => from_code(v.into(), 8),
            [a, b, ..] if self == Samples::U16 => from_code(u16::from_ne_bytes([a, b]), 16),
            [a, b, c, d, ..] => 2.0 * f32::from_ne_bytes([a, b, c, d]) - 1.0,
            _ => f32::NAN,
        }
    }

    fn write(self, v: f32, to: &mut [u8]) {
        match self {
            Samples::U8 => to[0] = to_code(v, 8) as u8,
            Samples::U16 => to[..2].copy_from_slice(&to_code(v, 16).to_ne_bytes()),
            Samples::F32 => to[..4].copy_from_slice(&(0.5 * v + 0.5).to_ne_bytes()),
        }
    }
}

/// A picture in the caller's memory. Sample (channel c, row y, column x) lies at byte
/// c * plane + y * row + x * pixel of `data`; it need not be aligned.
#[repr(C)]
pub struct Picture {
    pub data: *mut c_void,
    /// How many there are at `data`.
    pub bytes: usize,
    /// Bytes from one column to the next; 0: channels side by side.
    pub pixel: usize,
    /// Bytes from one row to the next; 0: without a gap.
    pub row: usize,
    /// Bytes from one channel to the next; 0: one sample.
    pub plane: usize,
    /// Size in pixels.
    pub width: u32,
    pub height: u32,
    pub channels: u32,
    /// DDNM_U8, DDNM_U16 or DDNM_F32. A result's may be others than the measurement's.
    pub samples: u32,
}

/// Where samples lie: bytes from one to the next, and from the first to the end of the last.
#[derive(Clone, Copy)]
struct Layout {
    samples: Samples,
    shape: Shape,
    pixel: usize,
    row: usize,
    plane: usize,
    end: usize,
}

impl Picture {
    /// Refuses a picture that is not of this shape, or does not hold what it says.
    pub fn check(&self, what: &str, shape: Shape, samples: Option<Samples>) -> Result<()> {
        if self.data.is_null() {
            return Err(Error::Usage(format!("{what}: expected data, found NULL")));
        }
        let layout = self.layout()?;
        if layout.shape != shape {
            return Err(Error::shape(what, shape, layout.shape));
        }
        if samples.is_some_and(|samples| samples != layout.samples) {
            let expected = format!("{samples:?}, as the options say");
            return Err(Error::shape(what, expected, format!("{:?}", layout.samples)));
        }
        if layout.end > self.bytes || self.bytes > isize::MAX as usize {
            let found = format!("{} bytes", self.bytes);
            return Err(Error::shape(what, format!("at least {} bytes", layout.end), found));
        }
        Ok(())
    }

    /// Refuses two pictures that share memory.
    pub fn apart(&self, other: &Picture) -> Result<()> {
        let range = |p: &Picture| (p.data as usize, (p.data as usize).saturating_add(p.bytes));
        let ((a, a_end), (b, b_end)) = (range(self), range(other));
        if a < b_end && b < a_end {
            let why = "pictures: expected two that share no memory, found an overlap";
            return Err(Error::Usage(why.into()));
        }
        Ok(())
    }

    fn layout(&self) -> Result<Layout> {
        let samples = Samples::new(self.samples)?;
        let [width, height, channels] =
            [self.width, self.height, self.channels].map(|n| n as usize);
        let or = |said: usize, packed: usize| if said == 0 { packed } else { said };
        let pixel = or(self.pixel, channels * samples.bytes());
        let row = or(self.row, width.saturating_mul(pixel));
        let plane = or(self.plane, samples.bytes());
        let last = |count: usize, step: usize| count.saturating_sub(1).saturating_mul(step);
        let end = [last(width, pixel), last(height, row), last(channels, plane), samples.bytes()];
        let end = end.into_iter().fold(0, usize::saturating_add);
        let shape = Shape::new(channels, height, width);
        Ok(Layout { samples, shape, pixel, row, plane, end })
    }
}

/// The rows of a picture.
pub struct Source<'a> {
    bytes: &'a [u8],
    layout: Layout,
    y: usize,
}

impl<'a> Source<'a> {
    /// # Safety
    /// The picture is [checked](Picture::check), and nobody writes into its bytes while this lives.
    pub unsafe fn new(picture: &'a Picture) -> Result<Source<'a>> {
        let layout = picture.layout()?;
        // SAFETY: the caller's promise; any byte is a `u8`.
        let bytes = unsafe { std::slice::from_raw_parts(picture.data.cast(), picture.bytes) };
        Ok(Source { bytes, layout, y: 0 })
    }
}

impl Rows for Source<'_> {
    fn shape(&self) -> Shape {
        self.layout.shape
    }

    fn next(&mut self, row: &mut [f32]) -> Result<()> {
        let Layout { samples, shape, pixel, plane, .. } = self.layout;
        if self.y == shape.height {
            let expected = format!("{} rows", shape.height);
            return Err(Error::shape("picture", expected, "a call for one more"));
        }
        let from = self.y * self.layout.row;
        for (c, part) in row.chunks_exact_mut(shape.width).enumerate() {
            for (x, v) in part.iter_mut().enumerate() {
                *v = samples.read(&self.bytes[from + c * plane + x * pixel..]);
            }
        }
        self.y += 1;
        Ok(())
    }
}

/// A picture that rows are written into.
pub struct Target<'a> {
    bytes: &'a mut [u8],
    layout: Layout,
}

impl<'a> Target<'a> {
    /// # Safety
    /// The picture is [checked](Picture::check), and nobody else uses its bytes while this lives.
    pub unsafe fn new(picture: &'a Picture) -> Result<Target<'a>> {
        let layout = picture.layout()?;
        // SAFETY: the caller's promise; any byte is a `u8`.
        let bytes = unsafe { std::slice::from_raw_parts_mut(picture.data.cast(), picture.bytes) };
        Ok(Target { bytes, layout })
    }

    /// Rounds finished rows to samples.
    pub fn write(&mut self, part: &Finished) {
        let Layout { samples, shape, pixel, row, plane, .. } = self.layout;
        for (i, values) in part.x.chunks_exact(shape.width).enumerate() {
            let (c, y) = (i / part.region.height, part.region.y + i % part.region.height);
            for (x, v) in values.iter().enumerate() {
                samples.write(*v, &mut self.bytes[c * plane + y * row + x * pixel..]);
            }
        }
    }
}
