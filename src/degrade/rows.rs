//! Degradations whose rows do not overlap, and every composition of them.
//!
//! Pooling, masks, gray and colour filter arrays have in common that no scene value enters two
//! measurements. If that holds for `A` and for `B` it holds for `B A` too, so `A A^T` is diagonal
//! for every chain of them, `A A^T = diag(d)`, and the pseudo-inverse has a closed form:
//! `A+ = A^T diag(1/d)`, with 0 where `d` is 0. The singular values are `sqrt(d)`. `d` itself
//! follows from the squares of the entries: `d(B A) = (B o B) d(A)`, `o` entry by entry.
//! The correct composite of masking, gray and pooling (an "old photo") is one case of this.

use std::ops::Range;

use super::filling::Filling;
use super::{Degradation, Reach, Spectrum, blocks, full_width};
use crate::error::{Error, Result};
use crate::frame::{Region, Shape, crop};
use crate::scratch::{Buffer, zeros};

/// Colour cannot be guessed from a window's worth of context: from higher levels than this the
/// prior lets it drift away from the classical estimate's gray.
pub const COLOURLESS: f64 = 0.1;

/// The same for colour that was seen once in several pixels, where it is known better than that.
pub const MOSAIC: f64 = 0.05;

/// One degradation of a chain: a matrix with non-negative entries whose rows do not overlap.
pub trait Stage: Send + Sync {
    /// The part of the spec that names it.
    fn spec(&self) -> String;
    /// Size of what goes in.
    fn input(&self) -> Shape;
    /// Size of what comes out.
    fn output(&self) -> Shape;
    /// Regions of the input must start at multiples of this.
    fn period(&self) -> usize;
    /// Input pixels per output pixel, in each direction.
    fn scale(&self) -> usize {
        1
    }
    /// Whether neighbouring output pixels are of different colours.
    fn is_mosaic(&self) -> bool {
        false
    }
    /// The rectangle of the output that belongs to a rectangle of the input.
    fn output_region(&self, region: Region) -> Region;
    /// `y_i = sum_j a_ij^power x_j`, `power` 1 (the operator) or 2 (for the spectrum).
    fn apply(&self, region: Region, power: i32, x: &[f32], y: &mut [f32]);
    /// `x = A^T y`.
    fn adjoint(&self, region: Region, y: &[f32], x: &mut [f32]);
    /// Noise level that a restoration should start at if this were all that happened.
    fn uncertainty(&self) -> f64;
    /// How many times as strong noise is behind the stage's classical estimate as in front of it,
    /// in the directions where it is strongest.
    fn noise_gain(&self) -> f64 {
        1.0
    }
    /// Whether colour is lost everywhere.
    fn loses_colour(&self) -> bool {
        false
    }
    /// Rows of the input that a classical estimate is made of at a time are multiples of this.
    fn classical_block(&self) -> usize {
        self.period()
    }
    /// The rows of the output that the classical estimate of the input's `rows` depends on.
    fn classical_support(&self, rows: Range<usize>) -> Range<usize> {
        rows
    }
    /// Bytes that the stage itself holds.
    fn held_bytes(&self) -> u64 {
        0
    }
    /// Bytes of working memory that the classical estimate of a block needs, besides what goes in
    /// and comes out.
    fn classical_bytes(&self) -> u64 {
        0
    }
    /// A classical estimate `x` of the input's `rows` (whole blocks, up to the last) from the rows
    /// `support` of the output, both as they would look without loss of brightness.
    fn classical(&self, rows: Range<usize>, support: Range<usize>, y: &[f32], x: &mut [f32]);
}

/// A chain of stages, applied first to last.
pub struct DisjointRows {
    stages: Vec<Box<dyn Stage>>,
    scene: Shape,
    spectrum: Spectrum,
    max_row_sum: f32,
    /// Where not every value of the measurement says something.
    filling: Option<Filling>,
}

impl DisjointRows {
    /// The chain over a scene of size `scene`; the stages' sizes must follow from each other,
    /// which [`Spec::build`](super::Spec::build) takes care of. No stage is the identity.
    ///
    /// # Errors
    /// [`Error::Shape`] if nothing at all is measured, as with a mask that is all black.
    pub fn new(scene: Shape, stages: Vec<Box<dyn Stage>>) -> Result<DisjointRows> {
        let spectrum = Spectrum::Flat(1.0);
        let mut chain = DisjointRows { stages, scene, spectrum, max_row_sum: 1.0, filling: None };
        if chain.stages.is_empty() {
            return Ok(chain);
        }
        let (mut min, mut max, mut complete) = (f32::MAX, 0.0f32, true);
        chain.max_row_sum = 0.0;
        for region in blocks(&chain).collect::<Vec<_>>() {
            let mut v = vec![0.0; chain.measured(region).shape(chain.measurement().channels).len()];
            chain.dc_gain(region, &mut v);
            chain.max_row_sum = v.iter().copied().fold(chain.max_row_sum, f32::max);
            chain.singular_values(region, &mut v);
            for s in v {
                if s > 0.0 {
                    (min, max) = (min.min(s), max.max(s));
                } else {
                    complete = false;
                }
            }
        }
        if max == 0.0 {
            let what = format!("degradation `{}`", chain.spec());
            return Err(Error::shape(&what, "something measured (white in the mask)", "nothing"));
        }
        let flat = min >= max;
        chain.spectrum = if flat { Spectrum::Flat(max) } else { Spectrum::Diagonal { min, max } };
        if !complete {
            // A mosaic is filled colour by colour, also behind a mask.
            let block = chain.classical_block();
            let support = |top| chain.unfilled_support(top..(top + block).min(scene.height));
            let supports = (0..scene.height).step_by(block).map(support).collect();
            chain.filling = Some(Filling::new(&chain, chain.is_mosaic(), supports));
        }
        Ok(chain)
    }

    /// The rows of the measurement that an estimate of the scene's `rows` depends on where all of
    /// them say something.
    fn unfilled_support(&self, rows: Range<usize>) -> Range<usize> {
        let measured = self.measured_rows(rows.clone());
        let support = self.needs(rows, self.stages.len());
        // The measurement of the rows themselves is used besides.
        support.start.min(measured.start)..support.end.max(measured.end)
    }

    /// The least number of scene rows that is a multiple, for each stage, of the `rows` of its
    /// input: the stage behind two poolings by 2 with a period of 2 wants multiples of 8.
    fn common(&self, rows: impl Fn(&dyn Stage) -> usize) -> usize {
        let (mut scale, mut common) = (1, 1);
        for stage in &self.stages {
            common = lcm(common, lcm(scale * rows(stage.as_ref()), scale * stage.period()));
            scale *= stage.scale();
        }
        common
    }

    /// The rows of the measurement that belong to `rows` of the scene.
    fn measured_rows(&self, rows: Range<usize>) -> Range<usize> {
        let r = self.measured(full_width(rows, self.scene));
        r.y..r.y + r.height
    }

    /// The rows of the scene that belong to `rows` of the measurement.
    fn scene_of(&self, rows: Range<usize>) -> Region {
        let scale: usize = self.stages.iter().map(|s| s.scale()).product();
        full_width(rows.start * scale..(rows.end * scale).min(self.scene.height), self.scene)
    }

    /// The rows that a classical estimate of the scene's `rows` makes use of in front of the
    /// `count`th stage, or behind all of them.
    fn needs(&self, rows: Range<usize>, count: usize) -> Range<usize> {
        self.stages[..count].iter().enumerate().fold(rows, |rows, (i, stage)| {
            let rows = stage.classical_support(rows);
            // The next stage makes its estimates in blocks.
            let block = self.stages.get(i + 1).map_or(1, |s| s.classical_block());
            let end = rows.end.next_multiple_of(block).min(stage.output().height);
            rows.start / block * block..end
        })
    }

    /// The region of the input of the `count`th stage that belongs to one of the scene.
    fn region_of(&self, region: Region, count: usize) -> Region {
        self.stages[..count].iter().fold(region, |r, s| s.output_region(r))
    }

    /// Runs the stages over `region` with entries to the power `power`.
    fn forward(&self, region: Region, power: i32, x: &[f32], y: &mut [f32]) {
        let Some((last, before)) = self.stages.split_last() else {
            return y.copy_from_slice(x);
        };
        let mut region = region;
        let mut held: Option<Buffer<f32>> = None;
        for stage in before {
            let next = stage.output_region(region);
            let mut out = zeros(next.shape(stage.output().channels).len());
            stage.apply(region, power, held.as_ref().map_or(x, |h| h), &mut out);
            (region, held) = (next, Some(out));
        }
        last.apply(region, power, held.as_ref().map_or(x, |h| h), y);
    }

    fn on_ones(&self, region: Region, power: i32, out: &mut [f32]) {
        if self.stages.is_empty() {
            return out.fill(1.0);
        }
        let mut ones = zeros(region.shape(self.scene.channels).len());
        ones.fill(1.0);
        self.forward(region, power, &ones, out);
    }
}

impl Degradation for DisjointRows {
    fn spec(&self) -> String {
        if self.stages.is_empty() {
            return "none".into();
        }
        self.stages.iter().map(|s| s.spec()).collect::<Vec<_>>().join("+")
    }

    fn scene(&self) -> Shape {
        self.scene
    }

    fn measurement(&self) -> Shape {
        self.stages.last().map_or(self.scene, |s| s.output())
    }

    fn measured(&self, region: Region) -> Region {
        self.stages.iter().fold(region, |r, s| s.output_region(r))
    }

    fn apply(&self, region: Region, x: &[f32], y: &mut [f32]) {
        self.forward(region, 1, x, y);
    }

    fn adjoint(&self, region: Region, y: &[f32], x: &mut [f32]) {
        let Some((first, after)) = self.stages.split_first() else {
            return x.copy_from_slice(y);
        };
        let mut held: Option<Buffer<f32>> = None;
        for (i, stage) in after.iter().enumerate().rev() {
            let region = self.region_of(region, i + 1);
            let mut out = zeros(region.shape(stage.input().channels).len());
            stage.adjoint(region, held.as_ref().map_or(y, |h| h), &mut out);
            held = Some(out);
        }
        first.adjoint(region, held.as_ref().map_or(y, |h| h), x);
    }

    fn pinv(&self, region: Region, y: &[f32], weight: &dyn Fn(f32) -> f32, x: &mut [f32]) {
        if self.stages.is_empty() {
            let weight = weight(1.0);
            return x.iter_mut().zip(y).for_each(|(x, y)| *x = y * weight);
        }
        let scaled = if let Spectrum::Flat(s) = self.spectrum {
            // Unmeasured rows are all zero: whatever stands there, the adjoint drops it.
            let factor = weight(s) / (s * s);
            Buffer::collect(y.len(), y.iter().map(|v| v * factor))
        } else {
            let mut d = zeros(y.len());
            self.on_ones(region, 2, &mut d);
            for (d, v) in d.iter_mut().zip(y) {
                *d = if *d > 0.0 { v * (weight(d.sqrt()) / *d) } else { 0.0 };
            }
            d
        };
        self.adjoint(region, &scaled, x);
    }

    fn singular_values(&self, region: Region, out: &mut [f32]) {
        self.on_ones(region, 2, out);
        out.iter_mut().for_each(|d| *d = d.sqrt());
    }

    fn dc_gain(&self, region: Region, out: &mut [f32]) {
        self.on_ones(region, 1, out);
    }

    fn spectrum(&self) -> Spectrum {
        self.spectrum
    }

    fn period(&self) -> usize {
        self.common(|s| s.period())
    }

    fn reach(&self) -> Reach {
        Reach::Local
    }

    fn max_row_sum(&self) -> f32 {
        self.max_row_sum
    }

    fn uncertainty(&self) -> f64 {
        let uncertainty = self.stages.iter().map(|s| s.uncertainty()).fold(0.0, f64::max);
        if self.loses_colour() {
            uncertainty.min(COLOURLESS)
        } else if self.stages.iter().any(|s| s.is_mosaic()) {
            uncertainty.min(MOSAIC)
        } else {
            uncertainty
        }
    }

    fn noise_gain(&self) -> f64 {
        let gain = self.stages.iter().map(|s| s.noise_gain()).product();
        // Demosaicking spreads a value's noise over its neighbourhood and over the other colours.
        match self.stages.iter().any(|s| s.is_mosaic()) {
            true => f64::max(gain, std::f64::consts::SQRT_2),
            false => gain,
        }
    }

    fn is_identity(&self) -> bool {
        self.stages.is_empty()
    }

    fn is_mosaic(&self) -> bool {
        self.stages.iter().rev().take_while(|s| s.scale() == 1).any(|s| s.is_mosaic())
    }

    fn loses_colour(&self) -> bool {
        self.stages.iter().any(|s| s.loses_colour())
    }

    fn classical_block(&self) -> usize {
        // Tall enough that what neighbouring blocks compute twice is little.
        const LEAST: usize = 64;
        LEAST.next_multiple_of(self.common(|s| s.classical_block()))
    }

    fn held_bytes(&self) -> u64 {
        self.stages.iter().map(|s| s.held_bytes()).sum()
    }

    fn classical_bytes(&self) -> u64 {
        let filling = self.filling.as_ref().map_or(0, |f| f.bytes(self.measurement()));
        filling + self.stages.iter().map(|s| s.classical_bytes()).max().unwrap_or(0)
    }

    fn classical_support(&self, rows: Range<usize>) -> Range<usize> {
        match &self.filling {
            None => self.unfilled_support(rows),
            Some(filling) => {
                let block = self.classical_block();
                let (first, last) = (rows.start / block, (rows.end - 1) / block);
                filling.support(first..last + 1)
            }
        }
    }

    fn classical_rows(&self, rows: Range<usize>, y: &[f32], x: &mut [f32]) {
        if self.stages.is_empty() {
            return x.copy_from_slice(y);
        }
        let support = self.classical_support(rows.clone());
        let shape = Shape { height: support.len(), ..self.measurement() };
        let mut gain = zeros(y.len());
        self.dc_gain(self.scene_of(support.clone()), &mut gain);
        let bright = y.iter().zip(&*gain).map(|(y, g)| if *g > 0.0 { y / g } else { 0.0 });
        let mut v = Buffer::collect(y.len(), bright);
        if let Some(filling) = &self.filling {
            filling.fill(&mut v, &gain, shape);
        }
        drop(gain);
        let mut held = support.clone();
        for (i, stage) in self.stages.iter().enumerate().rev() {
            let needs = self.needs(rows.clone(), i);
            if i == 0 {
                stage.classical(needs, held, &v, x);
                break;
            }
            let Shape { channels, width, .. } = stage.input();
            let mut made = zeros(channels * needs.len() * width);
            stage.classical(needs.clone(), held, &v, &mut made);
            (v, held) = (made, needs);
        }
        drop(v);
        // What was measured is known better than any guess.
        let region = Region { y: rows.start, x: 0, height: rows.len(), width: self.scene.width };
        let measured = self.measured_rows(rows);
        let top = measured.start - support.start;
        let within = full_width(top..top + measured.len(), shape);
        let mut own = zeros(within.shape(shape.channels).len());
        crop(y, shape, within, &mut own);
        let mut r = zeros(own.len());
        self.apply(region, x, &mut r);
        r.iter_mut().zip(&*own).for_each(|(r, y)| *r = y - *r);
        let mut correction = zeros(x.len());
        self.pinv(region, &r, &|_| 1.0, &mut correction);
        x.iter_mut().zip(&*correction).for_each(|(x, c)| *x += c);
    }
}

fn lcm(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y > 0 {
        (x, y) = (y, x % y);
    }
    a / x * b
}
