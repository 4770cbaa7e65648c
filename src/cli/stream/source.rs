//! What comes in and what goes out, by what the command line says.

use std::io::{BufReader, stdin};
use std::path::Path;

use super::super::args::Stream;
use super::super::job;
use super::camera::Camera;
use super::options::{self, RATE, usage};
use crate::classical::demosaic::Bayer;
use crate::colour::{Affine, Coding, Matrix};
use crate::error::Result;
use crate::frame::{Shape, code_max};
use crate::io::video::{
    ColourMatrix, Format, Frames, Header, Packing, Range, RawReader, Sensor, Y4mReader,
};

/// Frames that come in.
pub struct Source {
    pub frames: Box<dyn Frames>,
    pub format: Format,
    /// The line that they began with.
    pub header: Option<Header>,
    /// Code values of black and white.
    pub range: Range,
    /// For a sensor's.
    pub sensor: Option<Sensor>,
    pub colours: Option<ColourMatrix>,
    /// As on the command line, or in the camera's profile.
    pub noise: String,
}

/// Name of standard input in messages.
const NAME: &str = "standard input";
/// No noise.
const NONE: &str = "0";
/// Exponent of a tone curve that nobody has said anything of.
const GAMMA: f32 = 2.2;

/// Layout and bits of frames without a header, by name, and whether a sensor gives them.
fn raw_kind(name: &str) -> Option<(Packing, u8, bool)> {
    Some(match name {
        "yuv420p" => (Packing::Planar { across: 2, down: 2 }, 8, false),
        "nv12" => (Packing::SemiPlanar, 8, false),
        "rgb24" => (Packing::Rgb, 8, false),
        "gray8" => (Packing::Mono, 8, false),
        "gray16le" => (Packing::Mono, 16, false),
        "bayer8" => (Packing::Mono, 8, true),
        "bayer10" => (Packing::Mono, 10, true),
        "bayer12" => (Packing::Mono, 12, true),
        "bayer16" => (Packing::Mono, 16, true),
        "raw10" => (Packing::Raw10, 10, true),
        "raw12" => (Packing::Raw12, 12, true),
        _ => return None,
    })
}

/// Whether rows of so many bytes make a plane that can be counted with.
fn fits(rows: usize, stride: usize) -> bool {
    const MOST: usize = 1 << 30;
    rows.checked_mul(stride).is_some_and(|bytes| bytes <= MOST)
}

impl Source {
    /// Opens standard input.
    pub fn open(args: &Stream) -> Result<Source> {
        let asked = match args.range.as_deref() {
            None => None,
            Some("full") => Some(Range::Full),
            Some("limited") => Some(Range::Limited),
            Some(other) => return usage("range", "full or limited", other),
        };
        let input = || BufReader::with_capacity(1 << 16, stdin());
        if args.format == "y4m" {
            options::check(args, false)?;
            let reader = Y4mReader::new(input(), Path::new(NAME))?;
            let header = reader.header.clone();
            let format = header.format;
            // What ffmpeg calls gray is of full range.
            let usual = if format.is_ycbcr() { Range::Limited } else { Range::Full };
            let range = asked.or(header.range).unwrap_or(usual);
            let frames = Box::new(reader);
            let noise = args.noise.clone().unwrap_or_else(|| NONE.into());
            let header = Some(header);
            return Ok(Source {
                frames,
                format,
                header,
                range,
                sensor: None,
                colours: None,
                noise,
            });
        }
        let Some((packing, bits, of_sensor)) = raw_kind(&args.format) else {
            let known = "y4m, yuv420p, nv12, rgb24, gray8, gray16le, bayer8, bayer10, bayer12, \
                         bayer16, raw10 or raw12";
            return usage("format", known, &args.format);
        };
        options::check(args, of_sensor)?;
        let Some(size) = &args.size else {
            return usage("format", "a --size for frames without a header", &args.format);
        };
        let (width, height) = job::parse_size(size)?;
        let tight = Format { width, height, packing, bits, stride: None };
        let format = match args.stride.as_deref() {
            None => tight,
            Some("auto") => tight.padded(),
            Some(text) => match text.parse() {
                Ok(bytes) if bytes >= tight.row_bytes() && fits(height, bytes) => {
                    Format { stride: Some(bytes), ..tight }
                }
                _ => {
                    let least = tight.row_bytes();
                    let expected = format!(
                        "auto, or at least the {least} bytes of a row, in planes of at most 1 GiB"
                    );
                    return usage("stride", &expected, text);
                }
            },
        };
        let usual = if format.is_ycbcr() { Range::Limited } else { Range::Full };
        let range = asked.unwrap_or(usual);
        let camera = Camera::new(args, bits)?;
        let developed = if of_sensor { Some(sensor(args, &camera, bits)?) } else { None };
        let frames = Box::new(RawReader::new(input(), Path::new(NAME), format));
        let (sensor, colours) = developed.unzip();
        let noise = camera.noise.unwrap_or_else(|| NONE.into());
        Ok(Source {
            frames,
            format,
            header: None,
            range,
            sensor,
            colours: colours.flatten(),
            noise,
        })
    }

    /// How colours were turned into the frames' code values; `None` where these are R'G'B', or
    /// are to become it.
    pub fn coding(&self, args: &Stream, scene: Shape) -> Result<Option<Coding>> {
        let matrix = matrix(args, self.format.height)?;
        let full = self.range == Range::Full;
        let mono = scene.channels == 1;
        let coded = self.format.is_ycbcr() || mono;
        let bits = self.format.bits;
        Ok(coded.then_some(Coding { matrix, full, bits, mono }))
    }

    /// How a scene of R'G'B' becomes luma and chroma, where frames go out as such.
    pub fn coded(&self, args: &Stream, output: &Format) -> Result<Option<Affine>> {
        if self.format.is_ycbcr() || !output.is_ycbcr() {
            return Ok(None);
        }
        let matrix = matrix(args, output.height)?;
        let full = args.range.is_some() && self.range == Range::Full;
        let coding = Coding { matrix, full, bits: output.bits, mono: false };
        Ok(Some(coding.to_rgb().inverse()))
    }

    /// Frames of the scene that go out, and their header, if they have one.
    pub fn output(&self, args: &Stream, scene: Shape) -> Result<(Format, Option<Header>)> {
        let Shape { channels, height, width } = scene;
        let to_y4m = match args.to.as_deref() {
            None => self.header.is_some(),
            Some("y4m" | "y4m444") => true,
            Some("raw") => false,
            Some(other) => return usage("to", "y4m, y4m444 or raw", other),
        };
        let rate = args.rate.as_deref().unwrap_or(RATE);
        let is_444 = args.to.as_deref() == Some("y4m444");
        let format = Format { width, height, stride: None, ..self.format };
        if !format.is_ycbcr() && channels == 3 {
            let bits = match (self.sensor.is_some(), args.depth.unwrap_or(8)) {
                (true, bits @ (8 | 16)) => bits,
                (true, other) => return usage("depth", "8 or 16", other),
                // Samples of two bytes are of 16 bits where nothing says otherwise.
                (false, _) => {
                    if format.bits > 8 {
                        16
                    } else {
                        8
                    }
                }
            };
            if !to_y4m {
                return Ok((Format { packing: Packing::Rgb, bits, ..format }, None));
            }
            let side = if is_444 { 1 } else { 2 };
            let packing = Packing::Planar { across: side, down: side };
            let format = Format { packing, bits, ..format };
            let range = if args.range.is_some() { self.range } else { Range::Limited };
            let rate = self.header.as_ref().and_then(Header::rate).unwrap_or(rate);
            return Ok((format, Some(Header::new(format, range, rate))));
        }
        if is_444 {
            return usage("to", "y4m for frames that are no R'G'B'", "y4m444");
        }
        if !to_y4m {
            return Ok((format, None));
        }
        let format = match format.packing {
            Packing::SemiPlanar => {
                Format { packing: Packing::Planar { across: 2, down: 2 }, ..format }
            }
            _ => format,
        };
        let made = || Header::new(format, self.range, rate);
        Ok((format, Some(self.header.clone().unwrap_or_else(made))))
    }
}

/// The weights of colours in luma that were asked for, or are usual for frames of so many rows.
fn matrix(args: &Stream, rows: usize) -> Result<Matrix> {
    match args.matrix.as_deref() {
        None if rows >= 720 => Ok(Matrix::Bt709),
        None | Some("bt601") => Ok(Matrix::Bt601),
        Some("bt709") => Ok(Matrix::Bt709),
        Some(other) => usage("matrix", "bt601 or bt709", other),
    }
}

/// The sensor behind the filter that the degradation ends with, and its colours.
fn sensor(args: &Stream, camera: &Camera, bits: u8) -> Result<(Sensor, Option<ColourMatrix>)> {
    let mut last = args.degradation.split('+').rev().skip_while(|p| p.starts_with("mask:"));
    let phase = last.next().and_then(|p| p.strip_prefix("bayer:"));
    let Some(bayer) = Bayer::ALL.into_iter().find(|b| Some(b.name()) == phase) else {
        let expected = format!("one that ends with a filter, as bayer:rggb, for {}", args.format);
        return usage("degradation", &expected, &args.degradation);
    };
    let (black, white) = (camera.black.unwrap_or(0.0), camera.white.unwrap_or(code_max(bits)));
    let gamma = camera.gamma.unwrap_or(GAMMA);
    let sensor = Sensor::new(bayer, bits, (black, white), camera.gains.unwrap_or([1.0; 3]), gamma)?;
    let colours = camera.matrix.map(|rows| ColourMatrix::new(rows, gamma)).transpose()?;
    Ok((sensor, colours))
}
