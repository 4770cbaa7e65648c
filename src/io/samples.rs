//! Pixels as files hold them: interleaved samples, alpha last, 16-bit ones big-endian.

use crate::frame::{Shape, from_code, to_code};

/// How the samples of a file's pixels lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    pub width: usize,
    pub height: usize,
    /// Colours: 1 (gray) or 3 (RGB).
    pub channels: usize,
    pub alpha: bool,
    /// Bits per sample, 8 or 16.
    pub bits: u8,
}

impl Layout {
    /// Size of the picture without its alpha plane.
    pub fn shape(&self) -> Shape {
        Shape::new(self.channels, self.height, self.width)
    }

    pub fn pixel_bytes(&self) -> usize {
        (self.channels + usize::from(self.alpha)) * usize::from(self.bits / 8)
    }

    pub fn row_bytes(&self) -> usize {
        self.width * self.pixel_bytes()
    }

    fn sample(&self, pixel: &[u8], c: usize) -> u16 {
        if self.bits == 16 {
            u16::from_be_bytes([pixel[2 * c], pixel[2 * c + 1]])
        } else {
            u16::from(pixel[c])
        }
    }

    /// The colours of a row, one channel after another.
    pub fn unpack(&self, raw: &[u8], row: &mut [f32]) {
        for (x, pixel) in raw.chunks_exact(self.pixel_bytes()).enumerate() {
            for c in 0..self.channels {
                row[c * self.width + x] = from_code(self.sample(pixel, c), self.bits);
            }
        }
    }

    /// Appends the alpha values of a row, in 16-bit code values.
    pub fn unpack_alpha(&self, raw: &[u8], alpha: &mut Vec<u16>) {
        alpha.extend(raw.chunks_exact(self.pixel_bytes()).map(|pixel| {
            let a = self.sample(pixel, self.channels);
            if self.bits == 16 { a } else { a * 257 }
        }));
    }

    /// Appends the samples of a row, rounded to code values; the inverse of [`unpack`] and
    /// [`unpack_alpha`].
    ///
    /// [`unpack`]: Layout::unpack
    /// [`unpack_alpha`]: Layout::unpack_alpha
    pub fn pack(&self, row: &[f32], alpha: Option<&[u16]>, raw: &mut Vec<u8>) {
        let mut push = |code: u16| match self.bits {
            16 => raw.extend(code.to_be_bytes()),
            _ => raw.push(code as u8),
        };
        for x in 0..self.width {
            for c in 0..self.channels {
                push(to_code(row[c * self.width + x], self.bits));
            }
            match alpha {
                Some(a) if self.bits == 16 => push(a[x]),
                // The nearest of 256 steps.
                Some(a) => push(((u32::from(a[x]) + 128) / 257) as u16),
                None => {}
            }
        }
    }
}
