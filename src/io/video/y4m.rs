//! YUV4MPEG2, the uncompressed video that goes through pipes: one line of tags for the stream,
//! then for each frame a line that starts with `FRAME`, and its planes.

use super::raw::fill;
use super::{Format, Frames, Next, Packing};
use crate::error::{Error, Result};
use crate::io::check_size;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

const MAGIC: &str = "YUV4MPEG2";
const FRAME: &[u8] = b"FRAME";
/// Longest line of tags, in bytes.
const MAX_LINE: usize = 1024;
const SPACES: &str = "420jpeg, 420mpeg2, 420paldv, 420, 422, 444, 411, mono, or 420, 422, 444 \
                      with p and mono with the bits per sample, from 9 to 16";

/// Which code values black and white have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// 0 and the largest.
    Full,
    /// 16 and 235 in 8 bits (chroma 16 to 240).
    Limited,
}

/// The line that a stream starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub format: Format,
    /// What the tag `XCOLORRANGE` says.
    pub range: Option<Range>,
    /// All tags but width and height, as they came and in their order.
    tags: Vec<String>,
}

impl Header {
    /// Understands the first line of a stream, without its end.
    ///
    /// # Errors
    /// [`Error::Input`] for what is no such line, and for what is not supported: interlaced
    /// pictures and other colour spaces than those that ffmpeg writes.
    pub fn parse(line: &str, name: &Path) -> Result<Header> {
        let refuse = |expected: &str, found: &str| Err(Error::input(name, expected, found));
        let mut words = line.split(' ').filter(|w| !w.is_empty());
        if words.next() != Some(MAGIC) {
            return refuse("a stream that begins with YUV4MPEG2", &begin(line.as_bytes()));
        }
        let (mut width, mut height) = (None, None);
        let (mut space, mut range) = ("420", None);
        let mut tags = Vec::new();
        for word in words {
            let (tag, value) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
            match (tag, value) {
                ("W", _) => width = value.parse().ok(),
                ("H", _) => height = value.parse().ok(),
                ("C", _) => space = value,
                ("I", "p" | "?") => {}
                ("I", _) => return refuse("progressive frames (Ip)", word),
                ("X", "COLORRANGE=FULL") => range = Some(Range::Full),
                ("X", "COLORRANGE=LIMITED") => range = Some(Range::Limited),
                _ => {}
            }
            if !matches!(tag, "W" | "H") {
                tags.push(word.to_owned());
            }
        }
        let (Some(width), Some(height)) = (width, height) else {
            return refuse("a width and a height (W and H)", line);
        };
        check_size(width, height, name)?;
        let Some((packing, bits)) = colour_space(space) else {
            return refuse(&format!("a colour space of {SPACES}"), &format!("C{space}"));
        };
        let format = Format { width, height, packing, bits, stride: None };
        Ok(Header { format, range, tags })
    }

    /// A header for frames that came without one; `rate` is in frames per second, `N:D`.
    pub fn new(format: Format, range: Range, rate: &str) -> Header {
        let bits = format.bits;
        let space = match format.chroma() {
            _ if !format.is_ycbcr() && bits > 8 => format!("mono{bits}"),
            _ if !format.is_ycbcr() => "mono".into(),
            (2, 2) if bits == 8 => "420jpeg".into(),
            (across, down) => {
                let space = if (across, down) == (1, 1) { "444" } else { "420" };
                if bits > 8 { format!("{space}p{bits}") } else { space.into() }
            }
        };
        let limits = if range == Range::Full { "FULL" } else { "LIMITED" };
        let tags = [format!("F{rate}"), "Ip".into(), "A1:1".into(), format!("C{space}")];
        let mut tags = Vec::from(tags);
        tags.push(format!("XCOLORRANGE={limits}"));
        Header { format, range: Some(range), tags }
    }

    /// Frames per second, `N:D`, where it says so.
    pub fn rate(&self) -> Option<&str> {
        self.tags.iter().find_map(|tag| tag.strip_prefix('F'))
    }

    /// The line for frames of another size, with everything else as it was; ends the line.
    pub fn line(&self, width: usize, height: usize) -> String {
        let mut line = format!("{MAGIC} W{width} H{height}");
        for tag in &self.tags {
            line.push(' ');
            line.push_str(tag);
        }
        line.push('\n');
        line
    }
}

/// The line that a frame starts with, its end included.
pub fn frame_line(tags: &str) -> String {
    if tags.is_empty() { "FRAME\n".into() } else { format!("FRAME {tags}\n") }
}

/// Layout and bits per sample of a colour space by the name of its tag.
fn colour_space(name: &str) -> Option<(Packing, u8)> {
    let planar = |across, down| Packing::Planar { across, down };
    let bits = |text: &str| text.parse().ok().filter(|bits| (9..=16).contains(bits));
    if let Some(rest) = name.strip_prefix("mono") {
        let bits = if rest.is_empty() { 8 } else { bits(rest)? };
        return Some((Packing::Mono, bits));
    }
    let packing = |name: &str| match name {
        "420" => Some(planar(2, 2)),
        "422" => Some(planar(2, 1)),
        "444" => Some(planar(1, 1)),
        _ => None,
    };
    match name {
        "420jpeg" | "420mpeg2" | "420paldv" => Some((planar(2, 2), 8)),
        "411" => Some((planar(4, 1), 8)),
        _ => match name.split_once('p') {
            Some((space, rest)) => Some((packing(space)?, bits(rest)?)),
            None => Some((packing(name)?, 8)),
        },
    }
}

/// The beginning of something unexpected, for messages.
fn begin(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "nothing".into();
    }
    let shown = &bytes[..bytes.len().min(16)];
    format!("`{}`", shown.escape_ascii())
}

/// Reads a stream.
pub struct Y4mReader<R> {
    input: R,
    name: PathBuf,
    pub header: Header,
    /// Tags of a frame whose line has been read already.
    found: Option<String>,
    frames: u64,
}

/// How looking for the line of a frame ended.
enum Line {
    Frame(String),
    End,
    /// Something else: its beginning.
    Other(Vec<u8>),
}

impl<R: BufRead> Y4mReader<R> {
    /// Reads the header; `name` stands for the input in messages.
    ///
    /// # Errors
    /// See [`Header::parse`].
    pub fn new(mut input: R, name: &Path) -> Result<Y4mReader<R>> {
        let mut line = Vec::new();
        io::Read::take(&mut input, MAX_LINE as u64)
            .read_until(b'\n', &mut line)
            .map_err(|e| Error::input(name, "a YUV4MPEG2 stream", format!("a read error: {e}")))?;
        let text = match std::str::from_utf8(&line).ok().and_then(|l| l.strip_suffix('\n')) {
            Some(text) => text,
            None => {
                let expected = "a stream that begins with a line of YUV4MPEG2";
                return Err(Error::input(name, expected, begin(&line)));
            }
        };
        let header = Header::parse(text, name)?;
        Ok(Y4mReader { input, name: name.into(), header, found: None, frames: 0 })
    }

    fn failed(&self, e: &io::Error) -> Error {
        Error::input(&self.name, "frames", format!("a read error: {e}"))
    }

    fn cut(&self, found: String) -> Error {
        let expected = format!("a whole frame after {} whole ones", self.frames);
        Error::input(&self.name, expected, found)
    }

    fn byte(&mut self) -> Result<Option<u8>> {
        let byte = self.input.fill_buf().map(|buffer| buffer.first().copied());
        let byte = byte.map_err(|e| self.failed(&e))?;
        self.input.consume(usize::from(byte.is_some()));
        Ok(byte)
    }

    /// What follows the word `FRAME`: the rest of its line, if it is one.
    fn rest_of_line(&mut self) -> Result<Option<String>> {
        let mut tags = String::new();
        for _ in 0..MAX_LINE {
            match self.byte()? {
                Some(b'\n') => return Ok(Some(tags)),
                Some(b' ') if tags.is_empty() => tags.push(' '),
                Some(byte @ b' '..=b'~') if !tags.is_empty() => tags.push(char::from(byte)),
                Some(_) => return Ok(None),
                None => return Err(self.cut("a stream that ends in a frame's header".into())),
            }
        }
        Ok(None)
    }

    /// Reads the line of a frame where one should be.
    fn line(&mut self) -> Result<Line> {
        let mut seen = Vec::new();
        for &expected in FRAME {
            match self.byte()? {
                None if seen.is_empty() => return Ok(Line::End),
                None => return Err(self.cut("a stream that ends in a frame's header".into())),
                Some(byte) => seen.push(byte),
            }
            if seen.last() != Some(&expected) {
                return Ok(Line::Other(seen));
            }
        }
        Ok(match self.rest_of_line()? {
            Some(tags) => Line::Frame(tags.trim().into()),
            None => Line::Other(seen),
        })
    }

    /// Goes on to the next line of a frame, whatever lies before; `None` at the stream's end.
    fn search(&mut self, seen: &[u8]) -> Result<Option<String>> {
        let mut matched = usize::from(seen.last() == Some(&FRAME[0]));
        while let Some(byte) = self.byte()? {
            matched = match byte {
                _ if byte == FRAME[matched] => matched + 1,
                _ => usize::from(byte == FRAME[0]),
            };
            if matched == FRAME.len() {
                if let Some(tags) = self.rest_of_line()? {
                    return Ok(Some(tags.trim().into()));
                }
                matched = 0;
            }
        }
        Ok(None)
    }
}

impl<R: BufRead + Send> Frames for Y4mReader<R> {
    fn next(&mut self, bytes: &mut Vec<u8>) -> Result<Next> {
        let tags = match self.found.take() {
            Some(tags) => tags,
            None => match self.line()? {
                Line::End => return Ok(Next::End),
                Line::Frame(tags) => tags,
                Line::Other(seen) => {
                    let found = begin(&seen);
                    self.found = self.search(&seen)?;
                    if self.found.is_none() {
                        return Err(self.cut(format!("{found}, and no frame behind it")));
                    }
                    let frames = self.frames;
                    let why = format!(
                        "expected FRAME after {frames} frames read, found {found}; skipped"
                    );
                    return Ok(Next::Skipped { why });
                }
            },
        };
        let size = self.header.format.frame_bytes();
        let n = fill(&mut self.input, bytes, size).map_err(|e| self.failed(&e))?;
        if n < size {
            return Err(self.cut(format!("{n} of its {size} bytes")));
        }
        self.frames += 1;
        Ok(Next::Frame { tags })
    }
}
