//! Still pictures from files, pipes and memory.

use super::sniff::{HEAD, Kind, sniff};
use super::{MAX_FILE_BYTES, is_standard, jpeg, npy, png_read};
use crate::error::{Error, Result};
use crate::frame::Frame;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

const EXPECTED: &str = "a PNG or JPEG picture";

/// Reads a PNG or JPEG picture, or a `.npy` array of floats (see [`npy`]), told apart by content;
/// `-` is standard input.
///
/// The frame has one channel (gray) or three (RGB), planar, in `[-1, 1]`. `origin` holds the
/// bit depth (8 or 16; fewer bits are expanded to 8), the alpha plane in 16-bit code values,
/// the ICC profile, the EXIF block and the size of the scene, each where the file has it. The
/// pixels are as stored: an EXIF orientation is kept, not applied.
///
/// # Errors
/// `Error::Input` for what cannot be opened, is no whole PNG or JPEG picture, or is larger
/// than `MAX_SIDE`, `MAX_PIXELS` or `MAX_FILE_BYTES`.
pub fn read(path: &Path) -> Result<Frame> {
    if is_standard(path) {
        let name = Path::new("standard input");
        return read_from(io::stdin().lock(), name);
    }
    let failed = |e: io::Error| Error::input(path, EXPECTED, why(&e));
    let file = File::open(path).map_err(failed)?;
    // Some systems open folders and fail only at the first read, with a puzzling message.
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(Error::input(path, EXPECTED, "a folder"));
    }
    read_from(file, path)
}

/// Reads a picture that is already in memory; `name` stands for it in error messages. Other
/// than that it is `read`.
pub fn read_bytes(bytes: &[u8], name: &Path) -> Result<Frame> {
    match sniff(&bytes[..bytes.len().min(HEAD)]) {
        Kind::Png => png_read::decode(bytes, name),
        Kind::Jpeg => jpeg::decode(bytes, name),
        Kind::Npy => npy::decode(bytes, name),
        Kind::Other(what) => Err(Error::input(name, EXPECTED, what)),
    }
}

/// Looks at the beginning first: a wrong file, or an endless one, is refused after a few bytes.
fn read_from(mut source: impl Read, name: &Path) -> Result<Frame> {
    let failed = |e: io::Error| Error::input(name, EXPECTED, why(&e));
    let mut bytes = Vec::new();
    source.by_ref().take(HEAD as u64).read_to_end(&mut bytes).map_err(failed)?;
    if let Kind::Other(what) = sniff(&bytes) {
        return Err(Error::input(name, EXPECTED, what));
    }
    source.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let expected = format!("a file of at most {MAX_FILE_BYTES} bytes");
        return Err(Error::input(name, expected, "a larger one"));
    }
    read_bytes(&bytes, name)
}

/// Why the system would not read a file, in words that fit after "found".
fn why(e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::NotFound => "no such file".into(),
        io::ErrorKind::PermissionDenied => "a file without permission to read it".into(),
        io::ErrorKind::IsADirectory => "a folder".into(),
        io::ErrorKind::OutOfMemory => "a file that does not fit in memory".into(),
        _ => format!("a read error: {e}"),
    }
}
