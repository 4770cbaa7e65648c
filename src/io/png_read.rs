//! PNG bytes to a frame, row by row, so that nothing but the frame itself grows with the picture.

use super::{MAX_DECODER_BYTES, MAX_SIDE, SCENE_KEY, allocate, check_size};
use crate::error::{Error, Result};
use crate::frame::{Frame, Origin, Shape, from_code};
use png::{BitDepth, ColorType, DecodingError, Info, Limits, Transformations};
use std::io::{self, Cursor};
use std::path::Path;

/// Deflate gives at most 1032 bytes for one byte of its own.
const MAX_RATIO: u64 = 1032;

/// Where the rows of a picture or of an interlace pass lie: first column and row, steps.
struct Pass {
    x: usize,
    y: usize,
    dx: usize,
    dy: usize,
}

const WHOLE: &[Pass] = &[Pass { x: 0, y: 0, dx: 1, dy: 1 }];

/// The seven passes of Adam7, from the PNG specification.
const ADAM7: &[Pass] = &[
    Pass { x: 0, y: 0, dx: 8, dy: 8 },
    Pass { x: 4, y: 0, dx: 8, dy: 8 },
    Pass { x: 0, y: 4, dx: 4, dy: 8 },
    Pass { x: 2, y: 0, dx: 4, dy: 4 },
    Pass { x: 0, y: 2, dx: 2, dy: 4 },
    Pass { x: 1, y: 0, dx: 2, dy: 2 },
    Pass { x: 0, y: 1, dx: 1, dy: 2 },
];

/// Decodes a whole PNG file.
pub fn decode(bytes: &[u8], name: &Path) -> Result<Frame> {
    let failed = |e: DecodingError| damaged(e, name);
    let limits = Limits { bytes: MAX_DECODER_BYTES };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    // Palettes become colours, fewer than 8 bits become 8, transparency becomes alpha.
    decoder.set_transformations(Transformations::EXPAND);
    check_header(decoder.read_header_info().map_err(failed)?, bytes.len(), name)?;
    let mut reader = decoder.read_info().map_err(failed)?;
    check_palette(reader.info(), name)?;

    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    let passes = if reader.info().interlaced { ADAM7 } else { WHOLE };
    let (color, depth) = reader.output_color_type();
    let bits = if depth == BitDepth::Sixteen { 16 } else { 8 };
    let (channels, has_alpha) = match color {
        ColorType::Grayscale => (1, false),
        ColorType::GrayscaleAlpha => (1, true),
        ColorType::Rgb => (3, false),
        ColorType::Rgba => (3, true),
        ColorType::Indexed => {
            return Err(Error::input(name, "a PNG picture", "one without colours"));
        }
    };
    let shape = Shape::new(channels, height, width);
    let mut data: Vec<f32> = allocate(shape.len(), name)?;
    let mut alpha: Vec<u16> = allocate(if has_alpha { shape.plane() } else { 0 }, name)?;

    let pixel_bytes = (channels + usize::from(has_alpha)) * usize::from(bits / 8);
    for pass in passes {
        // A picture narrower than the first column of a pass has no rows of that pass at all.
        let columns = width.saturating_sub(pass.x).div_ceil(pass.dx);
        if columns == 0 {
            continue;
        }
        for y in (pass.y..height).step_by(pass.dy) {
            let row = reader.next_row().map_err(failed)?;
            let Some(row) = row.filter(|r| r.data().len() == columns * pixel_bytes) else {
                return Err(Error::input(name, "a whole PNG picture", "one with rows missing"));
            };
            for (i, pixel) in row.data().chunks_exact(pixel_bytes).enumerate() {
                let at = y * width + pass.x + i * pass.dx;
                for c in 0..channels {
                    data[c * width * height + at] = from_code(sample(pixel, c, bits), bits);
                }
                if has_alpha {
                    let a = sample(pixel, channels, bits);
                    alpha[at] = if bits == 16 { a } else { a * 257 };
                }
            }
        }
    }
    // The rest of the file: a cut shows here at the latest, and texts may stand behind the pixels.
    reader.finish().map_err(failed)?;

    let mut frame = Frame::new(shape, data)?;
    frame.origin = origin(reader.info(), bits, name);
    frame.origin.alpha = has_alpha.then_some(alpha);
    Ok(frame)
}

/// Refuses, before any allocation, sizes over the limits and sizes that so short a file cannot
/// hold: a hostile header costs its sender nothing, the memory for it would cost us much.
fn check_header(info: &Info, file_bytes: usize, name: &Path) -> Result<()> {
    check_size(info.width as usize, info.height as usize, name)?;
    let bits = u64::from(info.width) * info.bits_per_pixel() as u64;
    let raw = bits.div_ceil(8) * u64::from(info.height);
    if raw / MAX_RATIO > file_bytes as u64 {
        let expected = format!("a whole {}x{} PNG picture", info.width, info.height);
        return Err(Error::input(name, expected, format!("a file of only {file_bytes} bytes")));
    }
    Ok(())
}

/// Refuses palettes that are no palettes; the decoder takes their length on trust.
fn check_palette(info: &Info, name: &Path) -> Result<()> {
    let bytes = info.palette.as_ref().map_or(0, |p| p.len());
    let fits = bytes > 0 && bytes.is_multiple_of(3) && bytes <= 3 * 256;
    if info.color_type != ColorType::Indexed || fits {
        return Ok(());
    }
    Err(Error::input(name, "a palette of 1 to 256 colours", format!("one of {bytes} bytes")))
}

/// One sample of a pixel; PNG is big-endian.
fn sample(pixel: &[u8], c: usize, bits: u8) -> u16 {
    if bits == 16 {
        u16::from_be_bytes([pixel[2 * c], pixel[2 * c + 1]])
    } else {
        u16::from(pixel[c])
    }
}

fn origin(info: &Info, bits: u8, name: &Path) -> Origin {
    let scene = info.uncompressed_latin1_text.iter().find(|t| t.keyword == SCENE_KEY);
    let size = scene.and_then(|t| parse_scene(&t.text));
    if let (Some(text), None) = (scene, size) {
        log::warn!("{}: ignoring its scene size `{}`", name.display(), text.text.escape_debug());
    }
    Origin {
        bit_depth: bits,
        icc: info.icc_profile.as_ref().map(|p| p.to_vec()),
        exif: info.exif_metadata.as_ref().map(|e| e.to_vec()),
        alpha: None,
        scene: size,
    }
}

/// `WIDTHxHEIGHT`, both from 1 to `MAX_SIDE`.
fn parse_scene(text: &str) -> Option<(usize, usize)> {
    let (w, h) = text.split_once('x')?;
    let side = |s: &str| {
        let digits = s.bytes().all(|b| b.is_ascii_digit());
        s.parse().ok().filter(|n| digits && (1..=MAX_SIDE).contains(n))
    };
    Some((side(w)?, side(h)?))
}

/// The decoder's complaint in one line of ours.
fn damaged(e: DecodingError, name: &Path) -> Error {
    let found = match e {
        DecodingError::IoError(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            "a file that ends too early".into()
        }
        DecodingError::LimitsExceeded => {
            format!("one that needs over {MAX_DECODER_BYTES} bytes besides its pixels")
        }
        e => format!("damaged data ({})", e.to_string().replace('\n', " ").trim_end_matches('.')),
    };
    Error::input(name, "a whole PNG picture", found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scene_sizes_are_read_strictly() {
        assert_eq!(parse_scene("451x300"), Some((451, 300)));
        for bad in ["", "x", "451", "451x", "0x3", "+4x3", "4x-3", "4 x 3", "4x3x2", "65536x1"] {
            assert_eq!(parse_scene(bad), None, "{bad}");
        }
    }
}
