//! Model files, mapped into memory.

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use crate::error::{Error, Result};

/// Maps a model file for reading.
pub fn map(path: &Path) -> Result<Mmap> {
    let refuse = |e: std::io::Error| Error::model(path, "a model file", e);
    let file = File::open(path).map_err(refuse)?;
    let length = file.metadata().map_err(refuse)?.len();
    if length == 0 || !file.metadata().map_err(refuse)?.is_file() {
        return Err(Error::model(path, "a model file", "an empty file or no file"));
    }
    // SAFETY: the map is only read, and only while it is parsed. Another process could still
    // change or truncate the file meanwhile: a change gives bytes that fail their checksum, a
    // truncation ends the process with SIGBUS, as it would for any mapped file.
    unsafe { Mmap::map(&file) }.map_err(refuse)
}
