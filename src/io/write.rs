//! Frames to PNG files, all or nothing.

use super::atomic::{AtomicFile, reason, to_stdout};
use super::samples::Layout;
use super::{RANGE, RANGE_KEY, SCENE_KEY, icc_fits, is_standard};
use crate::error::{Error, Result};
use crate::frame::{Frame, FrameRows, Origin, Rows, Shape};
use png::{BitDepth, ColorType, DeflateCompression, EncodingError, Filter, Info};
use std::borrow::Cow;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// Compressed bytes per IDAT chunk.
const CHUNK: usize = 1 << 16;

/// Writes a picture as PNG with `bits` (8 or 16) per sample; `-` is standard output. Values
/// outside of `[-1, 1]` clip, or with [headroom](Origin::headroom) outside of `[-2, 2]`.
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

/// What a PNG file says of its picture besides the pixels.
pub struct Header<'a> {
    /// One channel becomes gray, three become RGB.
    pub shape: Shape,
    /// Bits per sample, 8 or 16.
    pub bits: u8,
    pub origin: &'a Origin,
}

impl Header<'_> {
    /// How the file's samples lie.
    ///
    /// # Errors
    /// `Error::Shape` for other channel counts, `Error::Usage` for other bit depths.
    pub fn layout(&self) -> Result<Layout> {
        let Shape { channels, height, width } = self.shape;
        if !matches!(channels, 1 | 3) {
            return Err(Error::shape("a PNG picture", "1 or 3 channels", self.shape));
        }
        if !matches!(self.bits, 8 | 16) {
            let bits = self.bits;
            return Err(Error::Usage(format!("PNG output has 8 or 16 bits, not {bits}")));
        }
        let alpha = self.alpha().is_some();
        Ok(Layout { width, height, channels, alpha, bits: self.bits })
    }

    /// The alpha plane, if it has the picture's size.
    fn alpha(&self) -> Option<&[u16]> {
        self.origin.alpha.as_deref().filter(|a| a.len() == self.shape.plane())
    }
}

/// Takes rows of a picture, `[channels, width]` each; values outside of `[-1, 1]` clip.
pub type TakeRow<'a> = &'a mut dyn FnMut(&[f32]) -> Result<()>;

/// Writes the bytes of the PNG file to `out`; other than that it is `write`. `name` stands for
/// `out` in error messages.
pub fn encode(out: &mut dyn Write, name: &Path, frame: &Frame, bits: u8) -> Result<()> {
    let header = Header { shape: frame.shape, bits, origin: &frame.origin };
    let mut rows = FrameRows::new(frame);
    let mut row = vec![0.0; frame.shape.channels * frame.shape.width];
    encode_rows(out, name, &header, &mut |take| {
        for _ in 0..frame.shape.height {
            rows.next(&mut row)?;
            take(&row)?;
        }
        Ok(())
    })
}

/// Writes the bytes of a PNG file to `out`; `produce` gives its rows, from the top, to the
/// function that it gets. `name` stands for `out` in error messages.
///
/// # Errors
/// As for `write`, and what `produce` fails with.
pub fn encode_rows(
    out: &mut dyn Write,
    name: &Path,
    header: &Header,
    produce: &mut dyn FnMut(TakeRow) -> Result<()>,
) -> Result<()> {
    let mut out = Remember { out, error: None };
    let result = encode_into(&mut out, name, header, produce);
    // The encoder turns some of the system's errors into text; the first of them is the cause.
    match (result, out.error) {
        (Err(_), Some(e)) => Err(Error::output(name, reason(&e))),
        (result, _) => result,
    }
}

fn encode_into(
    out: &mut Remember,
    name: &Path,
    header: &Header,
    produce: &mut dyn FnMut(TakeRow) -> Result<()>,
) -> Result<()> {
    let refused = |e: EncodingError| Error::output(name, e);
    let (layout, alpha) = (header.layout()?, header.alpha());
    let (Ok(width), Ok(height)) = (u32::try_from(layout.width), u32::try_from(layout.height))
    else {
        return Err(Error::shape("a PNG picture", "sides below 2^31", header.shape));
    };
    if header.origin.alpha.is_some() && alpha.is_none() {
        log::warn!("{}: leaving out the alpha plane, which has another size", name.display());
    }
    let mut info = Info::with_size(width, height);
    info.color_type = match (layout.channels, layout.alpha) {
        (1, false) => ColorType::Grayscale,
        (1, true) => ColorType::GrayscaleAlpha,
        (_, false) => ColorType::Rgb,
        (_, true) => ColorType::Rgba,
    };
    info.bit_depth = if layout.bits == 16 { BitDepth::Sixteen } else { BitDepth::Eight };
    info.icc_profile = header.origin.icc.as_deref().map(Cow::Borrowed).filter(|icc| {
        let fits = icc_fits(icc, layout.channels);
        if !fits {
            log::warn!("{}: leaving out the colour profile of another space", name.display());
        }
        fits
    });
    info.exif_metadata = header.origin.exif.as_deref().map(Cow::Borrowed);

    let mut encoder = png::Encoder::with_info(out, info).map_err(refused)?;
    encoder.set_deflate_compression(compression(layout.bits));
    encoder.set_filter(Filter::Adaptive);
    if let Some((w, h)) = header.origin.scene {
        encoder.add_text_chunk(SCENE_KEY.into(), format!("{w}x{h}")).map_err(refused)?;
    }
    let headroom = header.origin.headroom;
    if headroom {
        encoder.add_text_chunk(RANGE_KEY.into(), RANGE.to_string()).map_err(refused)?;
    }
    let mut writer = encoder.write_header().map_err(refused)?;
    let mut pixels = writer.stream_writer_with_size(CHUNK).map_err(refused)?;
    let mut raw = Vec::with_capacity(layout.row_bytes());
    let (mut y, mut narrowed) = (0, Vec::new());
    produce(&mut |row| {
        raw.clear();
        narrowed.clear();
        if headroom {
            narrowed.extend(row.iter().map(|v| v / RANGE));
        }
        let row = if headroom { &narrowed } else { row };
        let alpha = alpha.map(|a| &a[y * layout.width..][..layout.width]);
        layout.pack(row, alpha, &mut raw);
        y += 1;
        pixels.write_all(&raw).map_err(|e| Error::output(name, reason(&e)))
    })?;
    pixels.finish().map_err(refused)?;
    writer.finish().map_err(refused)
}

/// How hard to compress. On restored photographs of 8 bits the fast compressor takes a tenth of the
/// time of deflate's level 4 for files of the same size. With 16 bits its files are a tenth larger
/// than those of level 1, which no higher level betters.
fn compression(bits: u8) -> DeflateCompression {
    match bits {
        16 => DeflateCompression::Level(1),
        _ => DeflateCompression::FdeflateUltraFast,
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
