//! Bytes that stay where they are, and views of them as numbers.

use half::f16;
use memmap2::Mmap;

/// Bytes for as long as a program needs them.
pub enum Bytes {
    /// Aligned for floats.
    Owned(Vec<f32>),
    /// Part of the binary.
    Static(&'static [u8]),
    Mapped(Mmap),
}

impl Bytes {
    /// A copy in memory, padded with zeros to whole floats.
    pub fn copy(bytes: &[u8]) -> Bytes {
        let floats = bytes.chunks(4).map(|chunk| {
            let mut whole = [0; 4];
            whole[..chunk.len()].copy_from_slice(chunk);
            f32::from_ne_bytes(whole)
        });
        Bytes::Owned(floats.collect())
    }

    pub fn as_slice(&self) -> &[u8] {
        match self {
            // SAFETY: floats are bytes without padding, and a byte needs no alignment.
            Bytes::Owned(floats) => unsafe { floats.as_slice().align_to::<u8>().1 },
            Bytes::Static(bytes) => bytes,
            Bytes::Mapped(map) => map,
        }
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self {
            Bytes::Owned(_) => "owned",
            Bytes::Static(_) => "static",
            Bytes::Mapped(_) => "mapped",
        };
        write!(f, "{} {kind} bytes", self.as_slice().len())
    }
}

/// Bytes as single-precision numbers, little-endian as they lie. `None` if they are not aligned.
pub fn as_f32(bytes: &[u8]) -> Option<&[f32]> {
    // SAFETY: every bit pattern is a float; what is not aligned is refused.
    match unsafe { bytes.align_to::<f32>() } {
        ([], floats, []) => Some(floats),
        _ => None,
    }
}

/// Bytes as half-precision numbers. `None` if they are not aligned.
pub fn as_f16(bytes: &[u8]) -> Option<&[f16]> {
    // SAFETY: every bit pattern is a half; what is not aligned is refused.
    match unsafe { bytes.align_to::<f16>() } {
        ([], halves, []) => Some(halves),
        _ => None,
    }
}

/// Bytes as signed ones.
pub fn as_i8(bytes: &[u8]) -> &[i8] {
    // SAFETY: the same size and alignment, and every bit pattern is one.
    unsafe { bytes.align_to::<i8>().1 }
}
