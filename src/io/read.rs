//! Whole pictures at once.

use super::Picture;
use crate::error::Result;
use crate::frame::Frame;
use std::path::Path;

/// Reads a PNG or JPEG picture; `-` is standard input. See [`Picture::open`].
pub fn read(path: &Path) -> Result<Frame> {
    Picture::open(path)?.into_frame()
}

/// Reads a picture that is already in memory; `name` stands for it in error messages. Other
/// than that it is `read`.
pub fn read_bytes(bytes: &[u8], name: &Path) -> Result<Frame> {
    Picture::from_bytes(bytes.to_vec(), name)?.into_frame()
}
