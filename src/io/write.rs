//! Frames to PNG files, all or nothing.

use super::atomic::{AtomicFile, reason, to_stdout};
use super::{SCENE_KEY, icc_fits, is_standard};
use crate::error::{Error, Result};
use crate::frame::{Frame, to_code};
use png::{BitDepth, ColorType, EncodingError, Info};
use std::borrow::Cow;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// Compressed bytes per IDAT chunk.
const CHUNK: usize = 1 << 16;

/// Writes a picture as PNG with `bits` (8 or 16) per sample; `-` is standard output. Values
/// outside of `[-1, 1]` clip.
///
/// One channel becomes gray, three become RGB. From `origin` the file gets the alpha plane (if
/// it has the frame's size), the ICC profile (if it is of the frame's colour space), the EXIF
/// block and the size of the scene. What does not fit is left out with a warning in the log.
/// The file appears under its name only when it is whole.
///
/// # Errors
/// `Error::Usage` for a name that is not a PNG name and for other bit depths, `Error::Shape`
/// for other channel counts, `Error::Output` for what the system refuses (see `is_broken_pipe`
/// for a pipe whose reader has gone).
pub fn write(path: &Path, frame: &Frame, bits: u8) -> Result<()> {
    check_picture_name(path)?;
    if is_standard(path) {
        return to_stdout(|out, name| encode(out, name, frame, bits));
    }
    let mut file = AtomicFile::create(path)?;
    encode(&mut file, path, frame, bits)?;
    file.commit()
}

/// Refuses names of picture files that `write` would not write: anything but `.png` and `-`.
///
/// # Errors
/// `Error::Usage`.
pub fn check_picture_name(path: &Path) -> Result<()> {
    let png = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"));
    if png || is_standard(path) {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "{}: pictures are written as PNG; name the output .png, or - for standard output",
        path.display()
    )))
}

/// Writes the bytes of the PNG file to `out`; other than that it is `write`. `name` stands for
/// `out` in error messages.
pub fn encode(out: &mut dyn Write, name: &Path, frame: &Frame, bits: u8) -> Result<()> {
    let mut out = Remember { out, error: None };
    let result = encode_into(&mut out, name, frame, bits);
    // The encoder turns some of the system's errors into text; the first of them is the cause.
    match (result, out.error) {
        (Err(_), Some(e)) => Err(Error::output(name, reason(&e))),
        (result, _) => result,
    }
}

fn encode_into(out: &mut Remember, name: &Path, frame: &Frame, bits: u8) -> Result<()> {
    let refused = |e: EncodingError| Error::output(name, e);
    let shape = frame.shape;
    let alpha = frame.origin.alpha.as_deref().filter(|a| {
        let fits = a.len() == shape.plane();
        if !fits {
            log::warn!("{}: leaving out the alpha plane, which has another size", name.display());
        }
        fits
    });
    let color = match (shape.channels, alpha) {
        (1, None) => ColorType::Grayscale,
        (1, Some(_)) => ColorType::GrayscaleAlpha,
        (3, None) => ColorType::Rgb,
        (3, Some(_)) => ColorType::Rgba,
        _ => return Err(Error::shape("a PNG picture", "1 or 3 channels", shape)),
    };
    let (Ok(width), Ok(height)) = (u32::try_from(shape.width), u32::try_from(shape.height)) else {
        return Err(Error::shape("a PNG picture", "sides below 2^31", shape));
    };

    let mut info = Info::with_size(width, height);
    info.color_type = color;
    info.bit_depth = match bits {
        8 => BitDepth::Eight,
        16 => BitDepth::Sixteen,
        _ => return Err(Error::Usage(format!("PNG output has 8 or 16 bits, not {bits}"))),
    };
    info.icc_profile = frame.origin.icc.as_deref().map(Cow::Borrowed).filter(|icc| {
        let fits = icc_fits(icc, shape.channels);
        if !fits {
            log::warn!("{}: leaving out the colour profile of another space", name.display());
        }
        fits
    });
    info.exif_metadata = frame.origin.exif.as_deref().map(Cow::Borrowed);

    let mut encoder = png::Encoder::with_info(out, info).map_err(refused)?;
    if let Some((w, h)) = frame.origin.scene {
        encoder.add_text_chunk(SCENE_KEY.into(), format!("{w}x{h}")).map_err(refused)?;
    }
    let mut writer = encoder.write_header().map_err(refused)?;
    let mut pixels = writer.stream_writer_with_size(CHUNK).map_err(refused)?;
    let mut row = Vec::with_capacity(shape.width * color.samples() * usize::from(bits / 8));
    for y in 0..shape.height {
        row.clear();
        fill_row(&mut row, frame, alpha, y, bits);
        pixels.write_all(&row).map_err(|e| Error::output(name, reason(&e)))?;
    }
    pixels.finish().map_err(refused)?;
    writer.finish().map_err(refused)
}

/// Appends the samples of one row, interleaved, big-endian, alpha last.
fn fill_row(row: &mut Vec<u8>, frame: &Frame, alpha: Option<&[u16]>, y: usize, bits: u8) {
    let mut push = |code: u16| match bits {
        16 => row.extend(code.to_be_bytes()),
        _ => row.push(code as u8),
    };
    let (width, plane) = (frame.shape.width, frame.shape.plane());
    for at in y * width..(y + 1) * width {
        for c in 0..frame.shape.channels {
            push(to_code(frame.data[c * plane + at], bits));
        }
        match alpha {
            Some(a) if bits == 16 => push(a[at]),
            // The nearest of 256 steps.
            Some(a) => push(((u32::from(a[at]) + 128) / 257) as u16),
            None => {}
        }
    }
}

/// A writer that keeps the first error it met.
struct Remember<'a> {
    out: &'a mut dyn Write,
    error: Option<io::Error>,
}

impl Remember<'_> {
    fn keep<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|e| {
            let kind = e.kind();
            if kind != ErrorKind::Interrupted {
                self.error.get_or_insert(e);
            }
            kind.into()
        })
    }
}

impl Write for Remember<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.out.write(bytes);
        self.keep(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.out.flush();
        self.keep(result)
    }
}
