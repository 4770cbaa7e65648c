//! A still picture that has been opened: its headers are known, its rows come when asked for.

use super::png_read::PngRows;
use super::samples::Layout;
use super::sniff::{HEAD, Kind, sniff};
use super::{MAX_FILE_BYTES, RANGE, is_standard, jpeg, npy};
use crate::error::{Error, Result};
use crate::frame::{Frame, FrameRows, Origin, Rows, Shape, collect};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

const EXPECTED: &str = "a PNG or JPEG picture";
const BUFFER: usize = 1 << 16;

/// A PNG or JPEG picture or a `.npy` array of floats (see [`npy`]), told apart by content.
///
/// A PNG file is gone through once, whole, so that damage shows before any work; after that its
/// rows are read again as they are needed, and nothing of it is held. An interlaced one, a JPEG
/// or `.npy` file and what comes through a pipe must be held in memory: [`held_bytes`](Picture::held_bytes).
pub struct Picture {
    name: PathBuf,
    source: Source,
    coding: Coding,
    layout: Layout,
    /// The values of a `.npy` file.
    floats: Option<Frame>,
    /// The bit depth (8 or 16; fewer bits are expanded to 8), the alpha plane in 16-bit code
    /// values, the ICC profile, the EXIF block and the size of the scene, each where the file has
    /// it. The pixels are as stored: an EXIF orientation is kept, not applied.
    pub origin: Origin,
}

enum Source {
    File(File),
    Memory(Vec<u8>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Png,
    InterlacedPng,
    Jpeg,
    Npy,
}

impl Picture {
    /// Opens a picture; `-` is standard input.
    ///
    /// # Errors
    /// `Error::Input` for what cannot be opened, is no whole PNG or JPEG picture, or is larger
    /// than `MAX_SIDE`, `MAX_PIXELS` or `MAX_FILE_BYTES`.
    pub fn open(path: &Path) -> Result<Picture> {
        if is_standard(path) {
            let name = Path::new("standard input");
            let source = Source::Memory(read_whole(io::stdin().lock(), name)?);
            return Picture::new(source, name);
        }
        let failed = |e: io::Error| Error::input(path, EXPECTED, why(&e));
        let file = File::open(path).map_err(failed)?;
        // Some systems open folders and fail only at the first read, with a puzzling message.
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(Error::input(path, EXPECTED, "a folder"));
        }
        if metadata.is_file() {
            return Picture::from_file(file, path);
        }
        Picture::new(Source::Memory(read_whole(file, path)?), path)
    }

    /// A picture in a regular file; `name` stands for it in error messages.
    pub fn from_file(file: File, name: &Path) -> Result<Picture> {
        Picture::new(Source::File(file), name)
    }

    /// A picture in memory; `name` stands for it in error messages.
    pub fn from_bytes(bytes: Vec<u8>, name: &Path) -> Result<Picture> {
        Picture::new(Source::Memory(bytes), name)
    }

    fn new(mut source: Source, name: &Path) -> Result<Picture> {
        let failed = |e: io::Error| Error::input(name, EXPECTED, why(&e));
        let length = source.length().map_err(failed)?;
        let mut head = Vec::new();
        source.open(name)?.take(HEAD as u64).read_to_end(&mut head).map_err(failed)?;
        let mut floats = None;
        let (layout, origin, coding) = match sniff(&head) {
            Kind::Other(what) => return Err(Error::input(name, EXPECTED, what)),
            _ if length > MAX_FILE_BYTES => {
                let expected = format!("a file of at most {MAX_FILE_BYTES} bytes");
                return Err(Error::input(name, expected, "a larger one"));
            }
            Kind::Jpeg => {
                let bytes = match source {
                    Source::Memory(bytes) => bytes,
                    Source::File(_) => read_whole(source.open(name)?, name)?,
                };
                let (layout, origin) = jpeg::inspect(&bytes, name)?;
                source = Source::Memory(bytes);
                (layout, origin, Coding::Jpeg)
            }
            Kind::Npy => {
                let bytes = match source {
                    Source::Memory(bytes) => bytes,
                    Source::File(_) => read_whole(source.open(name)?, name)?,
                };
                let frame = npy::decode(&bytes, name)?;
                let Shape { channels, height, width } = frame.shape;
                floats = Some(frame);
                source = Source::Memory(Vec::new());
                let layout = Layout { width, height, channels, alpha: false, bits: 16 };
                (layout, Origin::default(), Coding::Npy)
            }
            Kind::Png => {
                let mut rows = PngRows::new(source.open(name)?, length, name)?;
                let (layout, interlaced) = (rows.layout, rows.interlaced());
                let (mut alpha, mut count) = (Vec::new(), 0);
                while let Some(row) = rows.next()? {
                    count += 1;
                    if layout.alpha && !interlaced {
                        layout.unpack_alpha(row, &mut alpha);
                    }
                }
                let mut origin = rows.finish()?;
                if count < layout.height && !interlaced {
                    return Err(Error::input(name, "a whole PNG picture", "one with rows missing"));
                }
                origin.alpha = (layout.alpha && !interlaced).then_some(alpha);
                let coding = if interlaced { Coding::InterlacedPng } else { Coding::Png };
                (layout, origin, coding)
            }
        };
        let mut picture = Picture { name: name.into(), source, coding, layout, floats, origin };
        if layout.alpha && coding == Coding::InterlacedPng {
            let mut alpha = Vec::new();
            layout.unpack_alpha(&picture.samples()?, &mut alpha);
            picture.origin.alpha = Some(alpha);
        }
        Ok(picture)
    }

    /// One channel (gray) or three (RGB).
    pub fn shape(&self) -> Shape {
        self.layout.shape()
    }

    /// Memory that the picture takes while its rows are read, besides a few rows.
    pub fn held_bytes(&self) -> u64 {
        let file = match &self.source {
            Source::File(_) => 0,
            // The decoder of JPEG makes a copy, and keeps rows of blocks in several forms.
            Source::Memory(bytes) if self.coding == Coding::Jpeg => {
                2 * bytes.len() + 64 * self.layout.row_bytes()
            }
            Source::Memory(bytes) => bytes.len(),
        };
        let samples = match self.coding {
            Coding::Png => 0,
            Coding::Npy => size_of::<f32>() * self.shape().len(),
            Coding::InterlacedPng | Coding::Jpeg => self.layout.row_bytes() * self.layout.height,
        };
        let alpha = self.origin.alpha.as_ref().map_or(0, |a| 2 * a.len());
        (file + samples + alpha) as u64
    }

    /// Why the picture is held in memory whole, if it is.
    pub fn held_whole(&self) -> Option<&'static str> {
        match (self.coding, &self.source) {
            (Coding::Jpeg, _) => Some("a JPEG is decoded in one piece"),
            (Coding::InterlacedPng, _) => {
                Some("an interlaced PNG has its first row complete only at its end")
            }
            (Coding::Npy, _) => Some("an array may have all its values in one row"),
            (Coding::Png, Source::Memory(_)) => Some("a pipe can be read only once"),
            (Coding::Png, Source::File(_)) => None,
        }
    }

    /// The picture's rows, from the top.
    pub fn rows(&self) -> Result<Box<dyn Rows + '_>> {
        let layout = self.layout;
        if let Some(frame) = &self.floats {
            return Ok(Box::new(FrameRows::new(frame)));
        }
        if self.coding != Coding::Png {
            let rows = SampleRows { layout, samples: self.samples()?, y: 0 };
            return Ok(in_range(rows, self.origin.headroom));
        }
        let rows = FileRows::new(self.source.open(&self.name)?, layout, &self.name)?;
        Ok(in_range(rows, self.origin.headroom))
    }

    /// The picture's rows, from the top, for whoever has no use for anything else of it.
    pub fn into_rows(self) -> Result<Box<dyn Rows>> {
        if self.coding != Coding::Png {
            return Ok(self.into_frame()?.into());
        }
        let headroom = self.origin.headroom;
        let rows = FileRows::new(self.source.into_input(&self.name)?, self.layout, &self.name)?;
        Ok(in_range(rows, headroom))
    }

    /// The whole picture: planar, in `[-1, 1]`.
    pub fn into_frame(self) -> Result<Frame> {
        if let Some(frame) = self.floats {
            return Ok(frame);
        }
        let mut frame = collect(&mut *self.rows()?)?;
        frame.origin = self.origin;
        Ok(frame)
    }

    /// The bytes of a picture that came from memory.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        match self.source {
            Source::Memory(bytes) => bytes,
            Source::File(_) => Vec::new(),
        }
    }

    /// The samples of a picture that cannot be read row by row.
    fn samples(&self) -> Result<Vec<u8>> {
        match (&self.source, self.coding) {
            (Source::Memory(bytes), Coding::Jpeg) => jpeg::decode(bytes, self.layout, &self.name),
            _ => PngRows::new(self.source.open(&self.name)?, u64::MAX, &self.name)?.whole(),
        }
    }
}

/// Rows whose code values stand for a wider range, see [`Origin::headroom`].
struct Widened<R>(R);

impl<R: Rows> Rows for Widened<R> {
    fn shape(&self) -> Shape {
        self.0.shape()
    }

    fn next(&mut self, row: &mut [f32]) -> Result<()> {
        self.0.next(row)?;
        row.iter_mut().for_each(|v| *v *= RANGE);
        Ok(())
    }
}

fn in_range<'a>(rows: impl Rows + 'a, headroom: bool) -> Box<dyn Rows + 'a> {
    if headroom { Box::new(Widened(rows)) } else { Box::new(rows) }
}

/// What a PNG file is decoded from.
trait Input: BufRead + Seek {}
impl<T: BufRead + Seek> Input for T {}

impl Source {
    fn length(&self) -> io::Result<u64> {
        match self {
            Source::File(file) => Ok(file.metadata()?.len()),
            Source::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }

    /// From the beginning; one reader at a time.
    fn open(&self, name: &Path) -> Result<Box<dyn Input + '_>> {
        match self {
            Source::Memory(bytes) => Ok(Box::new(Cursor::new(bytes.as_slice()))),
            Source::File(file) => {
                let mut file = file;
                file.rewind().map_err(|e| Error::input(name, EXPECTED, why(&e)))?;
                Ok(Box::new(BufReader::with_capacity(BUFFER, file)))
            }
        }
    }

    fn into_input(self, name: &Path) -> Result<Box<dyn Input>> {
        match self {
            Source::Memory(bytes) => Ok(Box::new(Cursor::new(bytes))),
            Source::File(mut file) => {
                file.rewind().map_err(|e| Error::input(name, EXPECTED, why(&e)))?;
                Ok(Box::new(BufReader::with_capacity(BUFFER, file)))
            }
        }
    }
}

/// The rows of a picture in a file.
struct FileRows<'a> {
    layout: Layout,
    rows: PngRows<Box<dyn Input + 'a>>,
}

impl<'a> FileRows<'a> {
    /// The file must still be what `layout` was read from.
    fn new(input: Box<dyn Input + 'a>, layout: Layout, name: &Path) -> Result<FileRows<'a>> {
        let rows = PngRows::new(input, u64::MAX, name)?;
        if rows.layout != layout || rows.interlaced() {
            return Err(changed(name));
        }
        Ok(FileRows { layout, rows })
    }
}

impl Rows for FileRows<'_> {
    fn shape(&self) -> Shape {
        self.layout.shape()
    }

    fn next(&mut self, row: &mut [f32]) -> Result<()> {
        match self.rows.next()? {
            Some(raw) => self.layout.unpack(raw, row),
            None => return Err(changed(self.rows.name())),
        }
        Ok(())
    }
}

fn changed(name: &Path) -> Error {
    Error::input(name, "the same picture as at first", "one that has changed meanwhile")
}

/// The rows of a picture whose samples are all in memory.
struct SampleRows {
    layout: Layout,
    samples: Vec<u8>,
    y: usize,
}

impl Rows for SampleRows {
    fn shape(&self) -> Shape {
        self.layout.shape()
    }

    fn next(&mut self, row: &mut [f32]) -> Result<()> {
        let Some(raw) = self.samples.chunks_exact(self.layout.row_bytes()).nth(self.y) else {
            let expected = format!("{} rows", self.layout.height);
            return Err(Error::shape("picture", expected, "a call for one more"));
        };
        self.layout.unpack(raw, row);
        self.y += 1;
        Ok(())
    }
}

/// Looks at the beginning first: a wrong file, or an endless one, is refused after a few bytes.
fn read_whole(mut source: impl Read, name: &Path) -> Result<Vec<u8>> {
    let failed = |e: io::Error| Error::input(name, EXPECTED, why(&e));
    let mut bytes = Vec::new();
    source.by_ref().take(HEAD as u64).read_to_end(&mut bytes).map_err(failed)?;
    if let Kind::Other(what) = sniff(&bytes) {
        return Err(Error::input(name, EXPECTED, what));
    }
    source.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
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
