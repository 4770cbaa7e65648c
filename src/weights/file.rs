//! The packed model file, `.ddnm`: a description and the weights, as they are used.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | `DDNM`, 13, 10, 26, 10: a text-mode transfer breaks it |
//! | 8..12 | version of the format |
//! | 12..16 | bytes of the description |
//! | 16..24 | where the weights start: a multiple of 65,536, the largest page of the boards |
//! | 24..32 | bytes of the weights |
//! | 32..64 | SHA-256 of bytes 0..32 and the description |
//! | 64..96 | SHA-256 of the weights |
//! | 96.. | the description, JSON; zeros up to the weights; the weights |
//!
//! All numbers are little-endian. The file ends with the weights.

use std::ops::Range;

use sha2::{Digest, Sha256};

/// First bytes of the file.
pub const MAGIC: [u8; 8] = *b"DDNM\r\n\x1a\n";
/// Newest version of the format. All up to it are read; a file is written in the oldest one that
/// can say what is in it, so that older programs read what they can.
///
/// | version | what it can say |
/// |---|---|
/// | 1 | weights in `f32`, `f16` and `int8`, arithmetic in `f32` |
/// | 2 | arithmetic in `int8` |
pub const FORMAT_VERSION: u32 = 2;

const FIXED: usize = 96;
/// The weights start at a multiple of this.
const PAGE: usize = 1 << 16;
/// Longest description.
const MOST_DESCRIPTION: usize = 16 << 20;

/// Where things are in a file that has been found whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    pub version: u32,
    pub description: Range<usize>,
    pub weights: Range<usize>,
    /// SHA-256 of the weights, in hexadecimal.
    pub sha256: String,
}

/// The bytes of a file in a version of the format.
pub fn write(version: u32, description: &[u8], weights: &[u8]) -> Vec<u8> {
    let start = (FIXED + description.len()).next_multiple_of(PAGE);
    let mut file = Vec::with_capacity(start + weights.len());
    file.extend(MAGIC);
    file.extend(version.to_le_bytes());
    file.extend((description.len() as u32).to_le_bytes());
    file.extend((start as u64).to_le_bytes());
    file.extend((weights.len() as u64).to_le_bytes());
    let first = Sha256::new().chain_update(&file).chain_update(description).finalize();
    file.extend_from_slice(&first);
    file.extend_from_slice(&Sha256::digest(weights));
    file.extend(description);
    file.resize(start, 0);
    file.extend(weights);
    file
}

/// Finds the parts of a file and checks all of it. An error is what was expected and what was
/// found. `verify` asks for the checksum of the weights too, which reads all of them.
pub fn read(file: &[u8], verify: bool) -> Result<Contents, (String, String)> {
    let refuse = |expected: &str, found: String| Err((expected.to_string(), found));
    if file.len() < FIXED || file[..8] != MAGIC {
        return refuse("a packed model (.ddnm)", "other first bytes, or too few".into());
    }
    let number = |at: usize, len: usize| {
        file[at..at + len].iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte))
    };
    let version = number(8, 4) as u32;
    if !(1..=FORMAT_VERSION).contains(&version) {
        let expected = format!("a version of the format from 1 to {FORMAT_VERSION}");
        return refuse(&expected, version.to_string());
    }
    // What cannot be addressed here is no size that fits either.
    let size = |at: usize, len: usize| usize::try_from(number(at, len)).unwrap_or(usize::MAX);
    let (start, length) = (size(16, 8), size(24, 8));
    let description = FIXED..FIXED.saturating_add(size(12, 4));
    let fits = description.len() <= MOST_DESCRIPTION
        && description.end <= start
        && start.is_multiple_of(PAGE)
        && start < description.end + PAGE;
    if !fits {
        return refuse("sizes that fit together", format!("{description:?} before {start}"));
    }
    match start.checked_add(length) {
        Some(end) if end == file.len() => {}
        _ => {
            let expected = format!("{} bytes", start as u128 + length as u128);
            return refuse(&expected, format!("{} bytes: truncated or altered", file.len()));
        }
    }
    let text = &file[description.clone()];
    if Sha256::new().chain_update(&file[..32]).chain_update(text).finalize()[..] != file[32..64] {
        return refuse("a description with its checksum", "an altered one".into());
    }
    if file[description.end..start].iter().any(|byte| *byte != 0) {
        return refuse("zeros before the weights", "other bytes".into());
    }
    let weights = start..file.len();
    if verify && Sha256::digest(&file[weights.clone()])[..] != file[64..96] {
        return refuse("weights with their checksum", "altered ones".into());
    }
    let sha256 = file[64..96].iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Contents { version, description, weights, sha256 })
}
