//! PNG files, row by row.

use super::samples::Layout;
use super::{MAX_DECODER_BYTES, MAX_SIDE, RANGE, RANGE_KEY, SCENE_KEY, allocate, check_size};
use crate::error::{Error, Result};
use crate::frame::Origin;
use png::{BitDepth, ColorType, DecodingError, Info, Limits, Transformations};
use std::io::{self, BufRead, Seek};
use std::path::{Path, PathBuf};

/// Deflate gives at most 1032 bytes for one byte of its own.
const MAX_RATIO: u64 = 1032;

/// A PNG file whose header has been read.
pub struct PngRows<R: BufRead + Seek> {
    reader: png::Reader<R>,
    pub layout: Layout,
    name: PathBuf,
}

impl<R: BufRead + Seek> PngRows<R> {
    /// Reads the header of a file of `file_bytes` bytes.
    pub fn new(source: R, file_bytes: u64, name: &Path) -> Result<PngRows<R>> {
        let failed = |e: DecodingError| damaged(e, name);
        let limits = Limits { bytes: MAX_DECODER_BYTES };
        let mut decoder = png::Decoder::new_with_limits(source, limits);
        // Palettes become colours, fewer than 8 bits become 8, transparency becomes alpha.
        decoder.set_transformations(Transformations::EXPAND);
        check_header(decoder.read_header_info().map_err(failed)?, file_bytes, name)?;
        let reader = decoder.read_info().map_err(failed)?;
        check_palette(reader.info(), name)?;
        let (color, depth) = reader.output_color_type();
        let (channels, alpha) = match color {
            ColorType::Grayscale => (1, false),
            ColorType::GrayscaleAlpha => (1, true),
            ColorType::Rgb => (3, false),
            ColorType::Rgba => (3, true),
            ColorType::Indexed => {
                return Err(Error::input(name, "a PNG picture", "one without colours"));
            }
        };
        let (width, height) = (reader.info().width as usize, reader.info().height as usize);
        let bits = if depth == BitDepth::Sixteen { 16 } else { 8 };
        let layout = Layout { width, height, channels, alpha, bits };
        Ok(PngRows { reader, layout, name: name.into() })
    }

    /// What stands for the file in error messages.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// Whether the rows come in the passes of an interlaced picture, not one after another.
    pub fn interlaced(&self) -> bool {
        self.reader.info().interlaced
    }

    /// The next row's samples (of the next pass, for an interlaced picture); `None` at the end.
    pub fn next(&mut self) -> Result<Option<&[u8]>> {
        let row = self.reader.next_row().map_err(|e| damaged(e, &self.name))?;
        Ok(row.map(|row| row.data()))
    }

    /// All samples of the picture, row by row, also of an interlaced one.
    pub fn whole(&mut self) -> Result<Vec<u8>> {
        let mut samples = allocate(self.layout.row_bytes() * self.layout.height, &self.name)?;
        self.reader.next_frame(&mut samples).map_err(|e| damaged(e, &self.name))?;
        Ok(samples)
    }

    /// Reads what stands behind the pixels: a cut shows here at the latest. Returns what the file
    /// says besides its colours, without the alpha plane.
    pub fn finish(mut self) -> Result<Origin> {
        self.reader.finish().map_err(|e| damaged(e, &self.name))?;
        Ok(origin(self.reader.info(), self.layout.bits, &self.name))
    }
}

/// Refuses, before any allocation, sizes over the limits and sizes that so short a file cannot
/// hold: a hostile header costs its sender nothing, the memory for it would cost us much.
fn check_header(info: &Info, file_bytes: u64, name: &Path) -> Result<()> {
    check_size(info.width as usize, info.height as usize, name)?;
    let bits = u64::from(info.width) * info.bits_per_pixel() as u64;
    let raw = bits.div_ceil(8) * u64::from(info.height);
    if raw / MAX_RATIO > file_bytes {
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

fn origin(info: &Info, bits: u8, name: &Path) -> Origin {
    let scene = info.uncompressed_latin1_text.iter().find(|t| t.keyword == SCENE_KEY);
    let size = scene.and_then(|t| parse_scene(&t.text));
    if let (Some(text), None) = (scene, size) {
        log::warn!("{}: ignoring its scene size `{}`", name.display(), text.text.escape_debug());
    }
    let range = info.uncompressed_latin1_text.iter().find(|t| t.keyword == RANGE_KEY);
    let headroom = range.is_some_and(|t| t.text == RANGE.to_string());
    if let (Some(text), false) = (range, headroom) {
        log::warn!("{}: ignoring its range `{}`", name.display(), text.text.escape_debug());
    }
    Origin {
        headroom,
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
