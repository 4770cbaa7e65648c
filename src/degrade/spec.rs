//! The names of degradations: `sr:4`, `gray+mask:scratches.png+sr:2`, ...

use std::path::{Path, PathBuf};

use super::{DisjointRows, Gray, Mask, Mosaic, Planes, Pool, Stage};
use crate::classical::demosaic::Bayer;
use crate::error::{Error, Result};
use crate::frame::{Frame, Shape};

/// What happened to a scene, in order; each part is one operator.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Pool(usize),
    Mask(PathBuf),
    Gray,
    Bayer(Bayer),
    Planes(usize, usize),
}

/// Reads the picture of a mask.
pub type Load<'a> = &'a dyn Fn(&Path) -> Result<Frame>;

const KNOWN: &str = "one of none, sr:N (N from 2 to 16), mask:FILE, gray, \
                     bayer:rggb|bggr|grbg|gbrg, or several joined by `+`";

impl Spec {
    /// Understands a spec; an error names the part that it could not understand.
    pub fn parse(text: &str) -> Result<Spec> {
        let parts = text.split('+').map(parse_part).collect::<Result<Vec<_>>>()?;
        Ok(Spec { parts: parts.into_iter().flatten().collect() })
    }

    /// The operator over a scene of this size.
    pub fn build(&self, scene: Shape, load: Load) -> Result<DisjointRows> {
        let mut shape = scene;
        let mut stages: Vec<Box<dyn Stage>> = Vec::new();
        for part in &self.parts {
            let stage = part.stage(shape, load)?;
            shape = stage.output();
            stages.push(stage);
        }
        DisjointRows::new(scene, stages)
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
    ) -> Result<DisjointRows> {
        let mut shape = self.scene_of(measured);
        if let Some((width, height)) = scene {
            (shape.width, shape.height) = (width, height);
        }
        let built = shape;
        for part in &self.parts {
            shape.width = shape.width.div_ceil(part.scale());
            shape.height = shape.height.div_ceil(part.scale());
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
    pub fn scene_of(&self, measured: Shape) -> Shape {
        let drops_colour = self.parts.iter().any(|p| matches!(p, Part::Gray | Part::Bayer(_)));
        let factor = self.parts.iter().fold(1usize, |f, p| f.saturating_mul(p.scale()));
        let side = |n: usize| n.saturating_mul(factor);
        Shape::new(
            if drops_colour { 3 } else { measured.channels },
            side(measured.height),
            side(measured.width),
        )
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
                Part::Gray => f.write_str("gray")?,
                Part::Bayer(bayer) => write!(f, "bayer:{}", bayer.name())?,
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
        if let Part::Pool(n) = self { *n } else { 1 }
    }

    fn stage(&self, input: Shape, load: Load) -> Result<Box<dyn Stage>> {
        if matches!(self, Part::Gray | Part::Bayer(_) | Part::Planes(..)) && input.channels != 3 {
            let spec = Spec { parts: vec![self.clone()] };
            let what = format!("what goes into `{spec}`");
            return Err(Error::shape(&what, "3 channels", input));
        }
        Ok(match self {
            Part::Pool(n) => Box::new(Pool::new(*n, input)),
            Part::Gray => Box::new(Gray::new(input)),
            Part::Bayer(bayer) => Box::new(Mosaic::new(*bayer, input)),
            Part::Planes(across, down) => Box::new(Planes::new(*across, *down, input)),
            Part::Mask(path) => {
                Box::new(Mask::new(&path.display().to_string(), &load(path)?, input)?)
            }
        })
    }
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
        ("gray", None) => Ok(Some(Part::Gray)),
        // What video adds to a degradation; a measurement of it is no picture.
        ("420", None) => Ok(Some(Part::Planes(2, 2))),
        ("422", None) => Ok(Some(Part::Planes(2, 1))),
        ("411", None) => Ok(Some(Part::Planes(4, 1))),
        ("444", None) => Ok(Some(Part::Planes(1, 1))),
        ("none" | "gray", Some(a)) => refuse(&format!("`{name}` without an argument"), a),
        ("sr", Some(a)) => match a.parse::<usize>() {
            Ok(n) if (2..=16).contains(&n) => Ok(Some(Part::Pool(n))),
            _ => refuse("a factor from 2 to 16, as in sr:4", a),
        },
        ("mask", Some(a)) if !a.is_empty() => Ok(Some(Part::Mask(a.into()))),
        ("mask", _) => refuse("a picture, as in mask:holes.png (white is measured)", "no file"),
        ("bayer", Some(a)) => match Bayer::ALL.iter().find(|bayer| bayer.name() == a) {
            Some(bayer) => Ok(Some(Part::Bayer(*bayer))),
            None => refuse("a phase, one of bayer:rggb, bayer:bggr, bayer:grbg, bayer:gbrg", a),
        },
        ("sr", None) => refuse("a factor from 2 to 16, as in sr:4", "no factor"),
        ("bayer", None) => refuse("a phase, as in bayer:rggb", "no phase"),
        _ => refuse(KNOWN, if text.is_empty() { "nothing" } else { text }),
    }
}
