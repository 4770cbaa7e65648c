//! Whole pictures at once.

use super::Picture;
use crate::error::Result;
use crate::frame::{Frame, Rows};
use std::path::Path;

/// Reads a PNG or JPEG picture; `-` is standard input. See [`Picture::open`].
pub fn read(path: &Path) -> Result<Frame> {
    Picture::open(path)?.into_frame()
}

/// Opens a picture whose rows are to be read one by one, as a mask's.
pub fn rows(path: &Path) -> Result<Box<dyn Rows>> {
    Picture::open(path)?.into_rows()
}

/// Reads a picture that is already in memory; `name` stands for it in error messages. Other
/// than that it is `read`.
pub fn read_bytes(bytes: &[u8], name: &Path) -> Result<Frame> {
    Picture::from_bytes(bytes.to_vec(), name)?.into_frame()
}
