//! The names of degradations: `sr:4`, `gray+mask:scratches.png+sr:2`, ...

use std::path::{Path, PathBuf};

use super::chain::Chain;
use super::psf::kernel_size;
use super::{
    Bicubic, Blur, Degradation, DisjointRows, Extent, Gray, Kernel, Linear, LinearMap, Luma, Mask,
    Mosaic, Planes, Pool, Psf, Stage, Walsh,
};
use crate::classical::demosaic::Bayer;
use crate::error::{Error, Result};
use crate::frame::{Frame, Rows, Shape, collect};

/// What happened to a scene, in order; each part is one operator.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Pool(usize),
    Bicubic(usize),
    Mask(PathBuf),
    Gray(Luma),
    Bayer(Bayer),
    Gain(PathBuf),
    Blur(Kernel),
    Psf(PathBuf),
    Walsh(Extent, f64, u64),
    Planes(usize, usize),
}

/// What a part becomes over a picture of known size: an entry of a chain of rows that do not
/// overlap, or an operator of its own.
enum Piece {
    Stage(Box<dyn Stage>),
    Operator(Box<dyn Degradation>),
}

/// Opens the picture of a mask, of gains or of a kernel.
pub type Load<'a> = &'a dyn Fn(&Path) -> Result<Box<dyn Rows>>;

const KNOWN: &str = "one of none, sr:N (N from 2 to 16), sr:N:bicubic, mask:FILE, \
                     gain:FILE, gray[:equal|601|709], bayer:rggb|bggr|grbg|gbrg, blur:gauss:S, \
                     blur:box:K, blur:FILE, hadamard:RATIO, blocks:RATIO, or several joined by `+`";

impl Spec {
    /// Understands a spec; an error names the part that it could not understand.
    pub fn parse(text: &str) -> Result<Spec> {
        let parts = text.split('+').map(parse_part).collect::<Result<Vec<_>>>()?;
        let parts: Vec<Part> = parts.into_iter().flatten().collect();
        if let Some(i) = parts.iter().position(|p| matches!(p, Part::Walsh(..)))
            && let Some(behind) = parts.get(i + 1)
        {
            return Err(Error::Spec {
                part: Spec { parts: vec![behind.clone()] }.to_string(),
                expected: "nothing behind a measurement that is no picture".into(),
                found: "more".into(),
            });
        }
        Ok(Spec { parts })
    }

    /// The operator over a scene of this size.
    pub fn build(&self, scene: Shape, load: Load) -> Result<Box<dyn Degradation>> {
        let (mut from, mut shape) = (scene, scene);
        let mut stages: Vec<Box<dyn Stage>> = Vec::new();
        let mut links: Vec<Box<dyn Degradation>> = Vec::new();
        for part in &self.parts {
            match part.piece(shape, load)? {
                Piece::Stage(stage) => {
                    shape = stage.output();
                    stages.push(stage);
                }
                Piece::Operator(operator) => {
                    if !stages.is_empty() {
                        links.push(Box::new(DisjointRows::new(from, std::mem::take(&mut stages))?));
                    }
                    shape = operator.measurement();
                    from = shape;
                    links.push(operator);
                }
            }
        }
        if links.is_empty() || !stages.is_empty() {
            links.push(Box::new(DisjointRows::new(from, stages)?));
        }
        match links.len() {
            1 => Ok(links.remove(0)),
            _ => Ok(Box::new(Linear::new(Chain::new(links))?)),
        }
    }

    /// The operator that a measurement of this size comes from.
    ///
    /// `scene` is the scene's `(width, height)` where it is known; otherwise the largest scene
    /// that gives such a measurement is taken. A measurement with three channels is accepted
    /// for a one-channel degradation: [`measurement`](super::measurement) checks its colours.
    pub fn build_for(
        &self,
        measured: Shape,
        scene: Option<(usize, usize)>,
        load: Load,
    ) -> Result<Box<dyn Degradation>> {
        let mut shape = match scene {
            Some((width, height)) => Shape { height, width, ..measured },
            None => self.scene_of(measured, load)?,
        };
        shape.channels = self.scene_channels(measured);
        let built = shape;
        for part in &self.parts {
            shape = part.output(shape, load)?;
        }
        if (shape.width, shape.height) != (measured.width, measured.height) {
            let found = format!("{}x{}", measured.width, measured.height);
            let what = format!("measurement of `{self}`");
            let expected = match scene {
                Some((w, h)) => format!("{}x{} for a scene of {w}x{h}", shape.width, shape.height),
                None => format!("{}x{}", shape.width, shape.height),
            };
            return Err(Error::shape(&what, expected, found));
        }
        self.build(built, load)
    }

    /// The largest scene that gives a measurement of this size.
    ///
    /// # Errors
    /// [`Error::Usage`] where a measurement of any scene could have this size, and what `load`
    /// gives.
    pub fn scene_of(&self, measured: Shape, load: Load) -> Result<Shape> {
        let mut scene = Shape { channels: self.scene_channels(measured), ..measured };
        for part in self.parts.iter().rev() {
            let scale = part.scale();
            let (height, width) = match part {
                Part::Psf(path) => kernel_size(&path.display().to_string(), &whole(path, load)?)?,
                Part::Walsh(..) => {
                    let why = format!(
                        "`{self}`: expected the scene's --size, which a measurement \
                                       that is no picture does not tell, found none"
                    );
                    return Err(Error::Usage(why));
                }
                _ => (1, 1),
            };
            scene.height = scene.height.saturating_mul(scale).saturating_add(height - 1);
            scene.width = scene.width.saturating_mul(scale).saturating_add(width - 1);
        }
        Ok(scene)
    }

    fn scene_channels(&self, measured: Shape) -> usize {
        let drops_colour = self.parts.iter().any(|p| matches!(p, Part::Gray(_) | Part::Bayer(_)));
        if drops_colour { 3 } else { measured.channels }
    }

    /// Whether a measurement of this size fits more than one scene size.
    pub fn loses_size(&self) -> bool {
        self.parts.iter().any(|p| p.scale() > 1)
    }
}

impl std::fmt::Display for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.parts.is_empty() {
            return f.write_str("none");
        }
        for (i, part) in self.parts.iter().enumerate() {
            f.write_str(if i > 0 { "+" } else { "" })?;
            match part {
                Part::Pool(n) => write!(f, "sr:{n}")?,
                Part::Mask(path) => write!(f, "mask:{}", path.display())?,
                Part::Bicubic(n) => write!(f, "sr:{n}:bicubic")?,
                Part::Gray(Luma::Equal) => f.write_str("gray")?,
                Part::Gray(luma) => write!(f, "gray:{}", luma.name())?,
                Part::Bayer(bayer) => write!(f, "bayer:{}", bayer.name())?,
                Part::Gain(path) => write!(f, "gain:{}", path.display())?,
                Part::Blur(Kernel::Gauss(x, y)) if x == y => write!(f, "blur:gauss:{x}")?,
                Part::Blur(Kernel::Gauss(x, y)) => write!(f, "blur:gauss:{x},{y}")?,
                Part::Blur(Kernel::Box(side)) => write!(f, "blur:box:{side}")?,
                Part::Psf(path) => write!(f, "blur:{}", path.display())?,
                Part::Walsh(Extent::Frame, ratio, seed) => write!(f, "hadamard:{ratio}:{seed}")?,
                Part::Walsh(Extent::Blocks, ratio, seed) => write!(f, "blocks:{ratio}:{seed}")?,
                Part::Planes(2, 1) => f.write_str("422")?,
                Part::Planes(4, _) => f.write_str("411")?,
                Part::Planes(1, _) => f.write_str("444")?,
                Part::Planes(..) => f.write_str("420")?,
            }
        }
        Ok(())
    }
}

impl Part {
    fn scale(&self) -> usize {
        if let Part::Pool(n) | Part::Bicubic(n) = self { *n } else { 1 }
    }

    /// Width and height of what comes out for what goes in.
    fn output(&self, input: Shape, load: Load) -> Result<Shape> {
        let scale = self.scale();
        let (height, width) = match self {
            Part::Psf(path) => {
                let name = path.display().to_string();
                let (height, width) = kernel_size(&name, &whole(path, load)?)?;
                if height > input.height || width > input.width {
                    let expected = format!("at most the scene's {}x{}", input.width, input.height);
                    let what = format!("point spread function {name}");
                    return Err(Error::shape(&what, expected, format!("{width}x{height}")));
                }
                (input.height + 1 - height, input.width + 1 - width)
            }
            Part::Walsh(extent, ratio, _) => (1, Walsh::count(*extent, *ratio, input)),
            _ => (input.height.div_ceil(scale), input.width.div_ceil(scale)),
        };
        Ok(Shape { height, width, ..input })
    }

    fn piece(&self, input: Shape, load: Load) -> Result<Piece> {
        if matches!(self, Part::Gray(_) | Part::Bayer(_) | Part::Planes(..)) && input.channels != 3
        {
            let spec = Spec { parts: vec![self.clone()] };
            let what = format!("what goes into `{spec}`");
            return Err(Error::shape(&what, "3 channels", input));
        }
        Ok(match self {
            Part::Pool(n) => stage(Pool::new(*n, input)),
            Part::Bicubic(n) => operator(Bicubic::new(*n, input))?,
            Part::Gray(luma) => stage(Gray::new(*luma, input)),
            Part::Bayer(bayer) => stage(Mosaic::new(*bayer, input)),
            Part::Planes(across, down) => stage(Planes::new(*across, *down, input)),
            Part::Mask(path) => {
                stage(Mask::new(&path.display().to_string(), &mut *load(path)?, input)?)
            }
            Part::Gain(path) => {
                stage(Mask::gain(&path.display().to_string(), &whole(path, load)?, input)?)
            }
            Part::Blur(kernel) => operator(Blur::new(*kernel, input))?,
            Part::Psf(path) => {
                operator(Psf::new(&path.display().to_string(), &whole(path, load)?, input)?)?
            }
            Part::Walsh(extent, ratio, seed) => {
                operator(Walsh::new(*extent, *ratio, *seed, input))?
            }
        })
    }
}

fn whole(path: &Path, load: Load) -> Result<Frame> {
    collect(&mut *load(path)?)
}

fn stage(stage: impl Stage + 'static) -> Piece {
    Piece::Stage(Box::new(stage))
}

fn operator(map: impl LinearMap + 'static) -> Result<Piece> {
    Ok(Piece::Operator(Box::new(Linear::new(map)?)))
}

/// One part of a spec; `none` is no part at all.
fn parse_part(text: &str) -> Result<Option<Part>> {
    let refuse = |expected: &str, found: &str| {
        Err(Error::Spec { part: text.into(), expected: expected.into(), found: found.into() })
    };
    let (name, argument) = match text.split_once(':') {
        Some((name, argument)) => (name, Some(argument)),
        None => (text, None),
    };
    match (name, argument) {
        ("none", None) => Ok(None),
        // What video adds to a degradation; a measurement of it is no picture.
        ("420", None) => Ok(Some(Part::Planes(2, 2))),
        ("422", None) => Ok(Some(Part::Planes(2, 1))),
        ("411", None) => Ok(Some(Part::Planes(4, 1))),
        ("444", None) => Ok(Some(Part::Planes(1, 1))),
        ("none", Some(a)) => refuse("`none` without an argument", a),
        ("gray", None) => Ok(Some(Part::Gray(Luma::Equal))),
        ("gray", Some(a)) => match Luma::ALL.iter().find(|luma| luma.name() == a) {
            Some(luma) => Ok(Some(Part::Gray(*luma))),
            None => refuse("weights, one of gray:equal, gray:601, gray:709", a),
        },
        ("sr", Some(a)) => {
            let (factor, cubic) = match a.strip_suffix(":bicubic") {
                Some(factor) => (factor, true),
                None => (a, false),
            };
            match factor.parse::<usize>() {
                Ok(n) if (2..=16).contains(&n) && cubic => Ok(Some(Part::Bicubic(n))),
                Ok(n) if (2..=16).contains(&n) => Ok(Some(Part::Pool(n))),
                _ => refuse("a factor from 2 to 16, as in sr:4 or sr:4:bicubic", a),
            }
        }
        ("mask", Some(a)) if !a.is_empty() => Ok(Some(Part::Mask(a.into()))),
        ("mask", _) => refuse("a picture, as in mask:holes.png (white is measured)", "no file"),
        ("bayer", Some(a)) => match Bayer::ALL.iter().find(|bayer| bayer.name() == a) {
            Some(bayer) => Ok(Some(Part::Bayer(*bayer))),
            None => refuse("a phase, one of bayer:rggb, bayer:bggr, bayer:grbg, bayer:gbrg", a),
        },
        ("gain", Some(a)) if !a.is_empty() => Ok(Some(Part::Gain(a.into()))),
        ("gain", _) => refuse("a picture, as in gain:flat.png (white is the full gain)", "no file"),
        ("blur", Some(a)) if !a.is_empty() => match parse_blur(a) {
            Ok(part) => Ok(Some(part)),
            Err(expected) => refuse(expected, a),
        },
        ("blur", _) => refuse("a kernel, as in blur:gauss:1.6, blur:box:5, blur:psf.png", "none"),
        ("hadamard" | "blocks", a) => {
            let extent = if name == "blocks" { Extent::Blocks } else { Extent::Frame };
            let a = a.unwrap_or("no ratio");
            let (ratio, seed) = a.split_once(':').unwrap_or((a, "0"));
            match (ratio.parse::<f64>(), seed.parse::<u64>()) {
                (Ok(ratio), Ok(seed)) if ratio > 0.0 && ratio <= 1.0 => {
                    Ok(Some(Part::Walsh(extent, ratio, seed)))
                }
                _ => {
                    let expected = format!(
                        "a ratio above 0 and up to 1, and perhaps a seed, as in {name}:0.25:7"
                    );
                    refuse(&expected, a)
                }
            }
        }
        ("sr", None) => refuse("a factor from 2 to 16, as in sr:4", "no factor"),
        ("bayer", None) => refuse("a phase, as in bayer:rggb", "no phase"),
        _ => refuse(KNOWN, if text.is_empty() { "nothing" } else { text }),
    }
}

/// What stands behind `blur:`; an error says what was expected.
fn parse_blur(text: &str) -> std::result::Result<Part, &'static str> {
    // A kernel's name alone is no file.
    let text = if matches!(text, "gauss" | "box") { &format!("{text}:") } else { text };
    if let Some(sigmas) = text.strip_prefix("gauss:") {
        let (x, y) = sigmas.split_once(',').unwrap_or((sigmas, sigmas));
        return match (x.parse::<f64>(), y.parse::<f64>()) {
            (Ok(x), Ok(y)) if (0.1..=50.0).contains(&x) && (0.1..=50.0).contains(&y) => {
                Ok(Part::Blur(Kernel::Gauss(x, y)))
            }
            _ => Err("one or two standard deviations from 0.1 to 50 pixels, as in blur:gauss:1.6"),
        };
    }
    if let Some(side) = text.strip_prefix("box:") {
        return match side.parse::<usize>() {
            Ok(side) if (3..=99).contains(&side) && side % 2 == 1 => {
                Ok(Part::Blur(Kernel::Box(side)))
            }
            _ => Err("an odd side from 3 to 99 pixels, as in blur:box:5"),
        };
    }
    Ok(Part::Psf(text.into()))
}
