//! Frames without any header, one after another.

use super::{Format, Frames, Next};
use crate::error::{Error, Result};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Reads frames of a known format.
pub struct RawReader<R> {
    input: R,
    name: PathBuf,
    format: Format,
    /// Whole frames so far.
    frames: u64,
}

impl<R: Read> RawReader<R> {
    /// `name` stands for the input in messages.
    pub fn new(input: R, name: &Path, format: Format) -> RawReader<R> {
        RawReader { input, name: name.into(), format, frames: 0 }
    }

    fn cut(&self, rest: usize) -> Error {
        let size = self.format.frame_bytes();
        let total = self.frames * size as u64 + rest as u64;
        let padded = self.format.padded();
        let fits = padded != self.format && total.is_multiple_of(padded.frame_bytes() as u64);
        let hint = match fits {
            true => "; with rows padded to 64 bytes they add up: say --stride auto",
            false => "",
        };
        let expected = format!("whole frames of {size} bytes");
        let found = format!("{total} bytes, {rest} too many for {} frames{hint}", self.frames);
        Error::input(&self.name, expected, found)
    }
}

impl<R: Read + Send> Frames for RawReader<R> {
    fn next(&mut self, bytes: &mut Vec<u8>) -> Result<Next> {
        let size = self.format.frame_bytes();
        match fill(&mut self.input, bytes, size) {
            Ok(0) => Ok(Next::End),
            Ok(n) if n < size => Err(self.cut(n)),
            Ok(_) => {
                self.frames += 1;
                Ok(Next::Frame { tags: String::new() })
            }
            Err(e) => Err(Error::input(&self.name, "frames", format!("a read error: {e}"))),
        }
    }
}

/// Reads `size` bytes, or as many as there are, and says how many there were. A header can claim
/// any size: memory is taken as bytes come.
pub fn fill(input: &mut impl Read, bytes: &mut Vec<u8>, size: usize) -> io::Result<usize> {
    bytes.clear();
    const FIRST: usize = 1 << 20;
    bytes.reserve_exact(size.min(FIRST));
    input.take(size as u64).read_to_end(bytes)
}
