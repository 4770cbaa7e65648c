//! JPEG bytes to samples.
//!
//! The decoder paints what is missing gray and says nothing, so the file's own structure is
//! walked first: a picture that ends before its end-of-image marker is refused.

use super::samples::Layout;
use super::{MAX_SIDE, allocate, check_size};
use crate::error::{Error, Result};
use crate::frame::Origin;
use image::codecs::jpeg::JpegDecoder;
use image::{ColorType, ImageDecoder, ImageError, Limits};
use std::io::Cursor;
use std::path::Path;

const EXPECTED: &str = "a whole JPEG picture";

/// What the frame header of a JPEG file says.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Header {
    width: usize,
    height: usize,
    components: u8,
}

/// Reads the headers of a JPEG file: how its samples will lie, gray as one channel and anything
/// else as RGB, and what it says besides.
///
/// A file that was cut is an error. Damage inside the compressed data that keeps the file's
/// structure intact is not always noticed: JPEG carries no checksum.
pub fn inspect(bytes: &[u8], name: &Path) -> Result<(Layout, Origin)> {
    let failed = |e: ImageError| Error::input(name, EXPECTED, complaint(&e));
    let header = walk(bytes).map_err(|found| Error::input(name, EXPECTED, found))?;
    check_header(&header, bytes.len(), name)?;
    let mut decoder = decoder(bytes, name)?;
    if decoder.dimensions() != (header.width as u32, header.height as u32) {
        return Err(Error::input(name, EXPECTED, "one that contradicts itself about its size"));
    }
    let channels = match decoder.color_type() {
        ColorType::L8 => 1,
        ColorType::Rgb8 => 3,
        other => {
            return Err(Error::input(name, "a gray or RGB JPEG picture", format!("{other:?}")));
        }
    };
    // The profile of a four-ink picture does not describe the RGB that it was turned into.
    let icc = if header.components == 4 { None } else { decoder.icc_profile().map_err(failed)? };
    let exif = decoder.exif_metadata().map_err(failed)?;
    let Header { width, height, .. } = header;
    let layout = Layout { width, height, channels, alpha: false, bits: 8 };
    Ok((layout, Origin { bit_depth: 8, icc, exif, ..Origin::default() }))
}

/// All samples of a JPEG file with this layout.
pub fn decode(bytes: &[u8], layout: Layout, name: &Path) -> Result<Vec<u8>> {
    let mut samples: Vec<u8> = allocate(layout.row_bytes() * layout.height, name)?;
    let failed = |e: ImageError| Error::input(name, EXPECTED, complaint(&e));
    decoder(bytes, name)?.read_image(&mut samples).map_err(failed)?;
    Ok(samples)
}

fn decoder<'a>(bytes: &'a [u8], name: &Path) -> Result<JpegDecoder<Cursor<&'a [u8]>>> {
    let failed = |e: ImageError| Error::input(name, EXPECTED, complaint(&e));
    let mut decoder = JpegDecoder::new(Cursor::new(bytes)).map_err(failed)?;
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MAX_SIDE as u32);
    limits.max_image_height = Some(MAX_SIDE as u32);
    decoder.set_limits(limits).map_err(failed)?;
    Ok(decoder)
}

/// Refuses sizes over the limits, and sizes that so short a file cannot hold: every block of
/// 8x8 pixels takes at least one bit.
fn check_header(header: &Header, file_bytes: usize, name: &Path) -> Result<()> {
    let Header { width, height, .. } = *header;
    if height == 0 {
        return Err(Error::input(name, EXPECTED, "one whose height is not in its header"));
    }
    check_size(width, height, name)?;
    let blocks = width.div_ceil(8) * height.div_ceil(8);
    if blocks / 8 > file_bytes {
        let expected = format!("a whole {width}x{height} JPEG picture");
        return Err(Error::input(name, expected, format!("a file of only {file_bytes} bytes")));
    }
    Ok(())
}

/// Walks the segments up to the end-of-image marker and returns the frame header; the error is
/// what was found instead, in words. `bytes` begins with a start-of-image marker.
///
/// Whole segments are stepped over, so the end marker of an embedded preview does not count.
fn walk(bytes: &[u8]) -> std::result::Result<Header, &'static str> {
    const CUT: &str = "a file that ends too early";
    let mut header = None;
    let mut at = 2;
    loop {
        // Entropy-coded data (and padding) runs up to the next 0xff that starts a marker:
        // 0xff00 is a data byte, 0xffd0..0xffd7 are restarts inside the data.
        let marker = loop {
            let &[first, second] = bytes.get(at..at + 2).ok_or(CUT)? else { return Err(CUT) };
            match (first, second) {
                (0xff, 0xff) => at += 1,
                (0xff, 0x00 | 0x01 | 0xd0..=0xd7) => at += 2,
                (0xff, marker) => break marker,
                _ => at += 1,
            }
        };
        at += 2;
        if marker == 0xd9 {
            return header.ok_or("one without a picture in it");
        }
        let length = bytes.get(at..at + 2).ok_or(CUT)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        if length < 2 {
            return Err("a segment of impossible length");
        }
        let segment = bytes.get(at + 2..at + length).ok_or(CUT)?;
        // Start of frame, in all its kinds; c4, c8 and cc mean other things.
        if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            let &[_, h1, h0, w1, w0, components, ..] = segment else {
                return Err("a frame header that is too short");
            };
            let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
            let (width, height) = (usize::from(width), usize::from(height));
            if header.replace(Header { width, height, components }).is_some() {
                return Err("one with two frame headers");
            }
        }
        if marker == 0xda && header.is_none() {
            return Err("pixels before their frame header");
        }
        at += length;
    }
}

/// The decoder's complaint in one line of ours.
fn complaint(e: &ImageError) -> String {
    format!("damaged or unsupported data ({})", e.to_string().replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_steps_over_previews_and_restarts() {
        let mut file = vec![0xff, 0xd8];
        file.extend([0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9]); // a preview in a segment
        file.extend([0xff, 0xc0, 0, 11, 8, 0, 5, 0, 7, 1, 1, 0x11, 0]);
        file.extend([0xff, 0xda, 0, 3, 0, 1, 2, 0xff, 0, 3, 0xff, 0xd0, 4, 0xff, 0xff, 0xd9]);
        assert_eq!(walk(&file), Ok(Header { width: 7, height: 5, components: 1 }));
        for cut in 2..file.len() {
            assert!(walk(&file[..cut]).is_err(), "{cut}");
        }
    }
}
