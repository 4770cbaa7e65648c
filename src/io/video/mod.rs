//! Frames of video: how their samples lie in a stream, and streams of them in and out.
//!
//! A frame is read into the measurement that it is: of a picture with fewer chroma than luma
//! samples, every chroma sample stands beside the block of luma samples that it belongs to, as
//! [`Planes`](crate::degrade::Planes) says.

mod ccm;
mod format;
mod mipi;
mod raw;
mod sensor;
#[cfg(test)]
mod tests;
mod y4m;

pub use ccm::ColourMatrix;
pub use format::{Format, Packing};
pub use raw::RawReader;
pub use sensor::Sensor;
pub use y4m::{Header, Range, Y4mReader, frame_line};

use crate::error::Result;

/// What comes next in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// A frame, in the bytes that were handed over; `tags` is what its header said besides.
    Frame { tags: String },
    /// What stood where a frame should begin was no frame; the next one has been found.
    Skipped { why: String },
    /// The stream ended after a whole frame, or before the first.
    End,
}

/// Frames that come one by one.
pub trait Frames: Send {
    /// Puts the next frame into `bytes`.
    ///
    /// # Errors
    /// [`Error::Input`](crate::error::Error::Input) for a stream that ends within a frame.
    fn next(&mut self, bytes: &mut Vec<u8>) -> Result<Next>;
}
