//! What a file holds of a result, and the check that it does.

use std::hash::{DefaultHasher, Hasher};

use crate::error::{Error, Result};
use crate::frame::{from_code, to_code};
use crate::io::{Header, Picture, TakeRow};
use crate::sampler::Finished;

/// Rounds a result to code values on its way to the file, and remembers their checksum.
pub struct Rounding {
    bits: u8,
    /// Of all code values, row by row: it is to find a broken file, not a forged one.
    hash: DefaultHasher,
    /// A row's code values, little-endian.
    codes: Vec<u8>,
}

impl Rounding {
    pub fn new(header: &Header) -> Rounding {
        Rounding { bits: header.bits, hash: DefaultHasher::new(), codes: Vec::new() }
    }

    /// Rounds finished rows, gives them to the file, and returns them as [`Finished::x`].
    pub fn pass(&mut self, part: &Finished, take: TakeRow) -> Result<Vec<f32>> {
        let (width, plane) = (part.region.width, part.region.area());
        let rounded: Vec<f32> =
            part.x.iter().map(|&v| from_code(to_code(v, self.bits), self.bits)).collect();
        let mut row = Vec::with_capacity(part.x.len() / part.region.height);
        for y in 0..part.region.height {
            row.clear();
            for plane in rounded.chunks_exact(plane) {
                row.extend_from_slice(&plane[y * width..][..width]);
            }
            self.count(&row);
            take(&row)?;
        }
        Ok(rounded)
    }

    fn count(&mut self, row: &[f32]) {
        // Code values are what has a checksum; the floats follow from them.
        self.codes.resize(2 * row.len(), 0);
        for (code, v) in self.codes.chunks_exact_mut(2).zip(row) {
            code.copy_from_slice(&to_code(*v, self.bits).to_le_bytes());
        }
        self.hash.write(&self.codes);
    }

    /// Checks that a picture holds what has passed.
    ///
    /// # Errors
    /// [`Error::Numerical`] if it holds anything else.
    pub fn check(self, written: &Picture) -> Result<()> {
        let mut again = Rounding { bits: self.bits, hash: DefaultHasher::new(), codes: self.codes };
        let shape = written.shape();
        let mut rows = written.rows()?;
        let mut row = vec![0.0; shape.channels * shape.width];
        for _ in 0..shape.height {
            rows.next(&mut row)?;
            again.count(&row);
        }
        if self.hash.finish() == again.hash.finish() {
            return Ok(());
        }
        Err(Error::Numerical {
            what: "the file that was written".into(),
            expected: "the pixels that were computed".into(),
            found: "other ones when it is read again".into(),
        })
    }
}
