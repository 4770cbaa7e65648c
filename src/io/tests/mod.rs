//! The room as a whole: files in, frames, files out.

mod craft;
mod files;
mod hostile;
mod inputs;
mod outputs;

use super::*;
use crate::frame::{Frame, Origin, Shape, from_code};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder of its own for one test, removed with everything in it at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ddnm-io-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Names of everything in the folder.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn memory(bytes: &[u8]) -> Result<Frame> {
    read_bytes(bytes, Path::new("test"))
}

fn png_bytes(frame: &Frame, bits: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(&mut bytes, Path::new("test"), frame, bits).unwrap();
    bytes
}

/// A profile that only its header tells apart: enough for a container.
fn profile(space: &[u8; 4]) -> Vec<u8> {
    let mut icc: Vec<u8> = (0..200).map(|i| (i * 7 % 251) as u8).collect();
    icc[16..20].copy_from_slice(space);
    icc
}

/// A TIFF block with one entry: orientation 6.
fn exif() -> Vec<u8> {
    let mut block = b"MM\0*\0\0\0\x08\0\x01".to_vec();
    block.extend(*b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0");
    block
}

/// A frame of exact code values with everything in its origin.
fn rich(channels: usize, bits: u8, alpha: bool) -> Frame {
    let shape = Shape::new(channels, 7, 11);
    let max = if bits == 16 { 65535 } else { 255 };
    let code = |i: usize| (i * 7919 % (max + 1)) as u16;
    let data = (0..shape.len()).map(|i| from_code(code(i), bits)).collect();
    let mut frame = Frame::new(shape, data).unwrap();
    let step = if bits == 16 { 1 } else { 257 };
    frame.origin = Origin {
        bit_depth: bits,
        headroom: false,
        icc: Some(profile(if channels == 1 { b"GRAY" } else { b"RGB " })),
        exif: Some(exif()),
        alpha: alpha.then(|| (0..shape.plane()).map(|i| code(i * 3) * step).collect()),
        scene: Some((451, 300)),
    };
    frame
}
