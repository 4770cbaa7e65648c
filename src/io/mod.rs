//! Files and pipes to frames and back. Reads are by content, writes are all or nothing.

pub mod atomic;
mod draft;
pub mod files;
mod jpeg;
mod nameless;
pub mod npy;
mod picture;
mod png_read;
mod read;
mod samples;
mod sniff;
#[cfg(test)]
mod tests;
pub mod video;
mod write;

pub use atomic::{AtomicFile, check_writable, is_broken_pipe, remove_leftovers, write_bytes};
pub use draft::Draft;
pub use picture::Picture;
pub use read::{read, read_bytes, rows};
pub use write::{Header, TakeRow, check_picture_name, encode, encode_rows, write};

use crate::error::{Error, Result};
use std::path::Path;

/// Largest width and height of a picture that is read, in pixels (what JPEG can say at most).
pub const MAX_SIDE: usize = 65_535;
/// Most pixels of a picture that is read.
pub const MAX_PIXELS: usize = 1 << 28;
/// Largest picture file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 31;
/// What the decoders may allocate besides the pixels (profiles, texts, rows), in bytes.
const MAX_DECODER_BYTES: usize = 64 << 20;
/// Keyword of the PNG text chunk that records the size of the scene behind a measurement.
const SCENE_KEY: &str = "ddnm:scene";
/// Keyword of the one that says how many times wider than from black to white the file's range is;
/// the middle of both is the same.
const RANGE_KEY: &str = "ddnm:range";
/// The only range that there is.
const RANGE: f32 = 2.0;

/// The name that stands for standard input and output.
fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

/// Whether an ICC profile describes pictures of this many channels. A profile of another
/// colour space would make every viewer show wrong colours, or refuse the file.
fn icc_fits(icc: &[u8], channels: usize) -> bool {
    let space: &[u8] = if channels == 1 { b"GRAY" } else { b"RGB " };
    icc.len() >= 128 && &icc[16..20] == space
}

/// Refuses sizes that only a broken or hostile header would give, before anything is allocated
/// for them.
fn check_size(width: usize, height: usize, name: &Path) -> Result<()> {
    let pixels = width.checked_mul(height);
    if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE {
        let expected = format!("a width and height from 1 to {MAX_SIDE}");
        return Err(Error::input(name, expected, format!("{width}x{height}")));
    }
    if pixels.is_none_or(|n| n > MAX_PIXELS) {
        let expected = format!("a picture of at most {MAX_PIXELS} pixels");
        return Err(Error::input(name, expected, format!("{width}x{height}")));
    }
    Ok(())
}

/// A vector of `len` default values, or an error instead of an abort where memory is short.
fn allocate<T: Clone + Default>(len: usize, name: &Path) -> Result<Vec<T>> {
    let mut values = Vec::new();
    values.try_reserve_exact(len).map_err(|_| {
        let found = format!("one that needs {} bytes more", len.saturating_mul(size_of::<T>()));
        Error::input(name, "a picture that fits in memory", found)
    })?;
    values.resize(len, T::default());
    Ok(values)
}
