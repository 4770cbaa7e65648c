//! What the last frame of a video says about the next: where nothing moved, nothing needs the
//! prior.
//!
//! The new measurement is compared with the last one and with the last result, measured again,
//! block by block. Where both differ by noise alone the block is *still*: the new measurement only
//! improves what is known of it, by the share in the average that is due to it. Else the block
//! starts at the step whose noise level is about as strong as what has changed, from the last
//! result; or anew, where that is the first step.
//!
//! Two measurements differ by twice the variance of the noise whatever the last result was like:
//! that shows motion at once, and better together with the blocks around. The last result shows
//! what changes slowly: the longer a block is still, the better it must agree.

use super::Settings;
use super::change::{Residual, around, residual, values};
use super::grid::Grid;
use crate::degrade::{Degradation, Reach};
use crate::error::{Error, Result};
use crate::frame::{Frame, Region, crop};

/// Side of a block, in pixels of the scene; the next multiple of the operator's period.
const BLOCK: usize = 16;
/// Rounding to 8 bits, as a standard deviation in units of `[-1, 1]`.
const ROUNDING: f64 = 0.3 / 127.5;
/// The first estimate counts as much as this many measurements: about what a denoiser gains.
const WORTH: f64 = 4.0;
/// Most frames that an average counts: light drifts slowly.
const LONGEST: u32 = 60;

/// What is remembered of a video.
pub struct Memory {
    /// The last result, and what it was made of.
    x: Frame,
    y: Frame,
    /// For how many frames each block has been still.
    still: Vec<u32>,
}

/// How a block of a new frame begins.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Begin {
    /// From a classical estimate, with all steps.
    Anew,
    /// From the last result, at this step.
    At(usize),
    /// It is done.
    Still,
}

/// Where the restoration of a frame begins; see [`restore_warm`](super::restore_warm).
pub struct Warm {
    /// Side of a block, and blocks per row.
    block: usize,
    columns: usize,
    begin: Vec<Begin>,
    /// The last result, corrected by the new measurement.
    x: Frame,
    still: Vec<u32>,
    steps: usize,
}

impl Memory {
    /// Remembers the first frame of a video.
    pub fn new(x: Frame, y: Frame) -> Memory {
        Memory { x, y, still: Vec::new() }
    }

    /// Compares with the measurement of the next frame.
    ///
    /// # Errors
    /// [`Error::Usage`] for an operator that needs the whole frame.
    pub fn compare(&self, a: &dyn Degradation, y: &Frame, settings: &Settings) -> Result<Warm> {
        if a.reach() != Reach::Local {
            let why = format!("warm: expected a degradation that is local, found {}", a.spec());
            return Err(Error::Usage(why));
        }
        let scene = a.scene();
        let block = BLOCK.next_multiple_of(a.period());
        let columns = scene.width.div_ceil(block);
        let count = columns * scene.height.div_ceil(block);
        let mut warm = Warm {
            block,
            columns,
            begin: Vec::with_capacity(count),
            x: self.x.clone(),
            still: Vec::with_capacity(count),
            steps: settings.levels.len(),
        };
        let variance = settings.sigma_y.powi(2) + ROUNDING.powi(2);
        let moved: Vec<Residual> = (0..count)
            .map(|i| {
                let measured = a.measured(warm.region(i));
                let (mut r, s) = values(a, warm.region(i), y);
                let mut last = vec![0.0; r.len()];
                crop(&self.y.data, y.shape, measured, &mut last);
                r.iter_mut().zip(&last).for_each(|(r, last)| *r -= last);
                residual(&r, &s, measured, 2.0 * variance)
            })
            .collect();
        for i in 0..count {
            let rests = moved[i].is_noise(1.0) && around(&moved, i, columns).is_noise(1.0);
            let frames = self.still.get(i).copied().unwrap_or(0) + 1;
            let (begin, still) = warm.block(a, y, settings, i, rests.then_some(frames));
            warm.begin.push(begin);
            warm.still.push(still);
        }
        Ok(warm)
    }
}

impl Warm {
    fn region(&self, i: usize) -> Region {
        let (y, x) = (i / self.columns * self.block, i % self.columns * self.block);
        let shape = self.x.shape;
        let (height, width) = (self.block.min(shape.height - y), self.block.min(shape.width - x));
        Region { y, x, height, width }
    }

    /// Decides about block `i`, which did not move for `rests` frames or moves now, and corrects
    /// it.
    fn block(
        &mut self,
        a: &dyn Degradation,
        y: &Frame,
        settings: &Settings,
        i: usize,
        rests: Option<u32>,
    ) -> (Begin, u32) {
        let (scene, region) = (self.x.shape, self.region(i));
        let mut x = vec![0.0; region.shape(scene.channels).len()];
        crop(&self.x.data, scene, region, &mut x);
        let (of, s) = values(a, region, y);
        let mut r = vec![0.0; of.len()];
        a.apply(region, &x, &mut r);
        r.iter_mut().zip(&of).zip(&s).for_each(|((r, y), s)| {
            *r = if *s > 0.0 { y - *r } else { 0.0 };
        });
        let variance = settings.sigma_y.powi(2) + ROUNDING.powi(2);
        let found = residual(&r, &s, a.measured(region), variance);
        // The error of what is known, in variances of the noise: at most that of the measurements
        // so far, at best what a denoiser leaves of it.
        let frames = rests.unwrap_or(0);
        let most = 1.0 / f64::from(frames.max(1));
        let still = rests.is_some() && found.is_noise(1.0 + most);
        let excess = (found.square - 1.0).max(0.0);
        let (begin, weight, frames) = if still {
            let least = 1.0 / (f64::from(frames) + WORTH);
            let error = excess.clamp(least.min(most), most);
            (Begin::Still, error / (1.0 + error), frames.min(LONGEST))
        } else {
            let change = (excess * variance / found.gain).sqrt();
            let change = change.max(found.change / found.gain.sqrt());
            let noise = settings.sigma_y.powi(2) / found.gain;
            let weight = change.powi(2) / (change.powi(2) + noise);
            let levels = &settings.levels;
            // Beyond half of the first level the last result is no better than a guess.
            match levels.iter().position(|l| l.sigma() <= 2.0 * change) {
                Some(0) => (Begin::Anew, 0.0, 0),
                Some(k) => (Begin::At(k), weight, 0),
                None => (Begin::At(levels.len() - 1), weight, 0),
            }
        };
        // Without noise every measurement is met.
        let weight = if settings.sigma_y > 0.0 { weight } else { 1.0 };
        let mut correction = vec![0.0; x.len()];
        a.pinv(region, &r, &|_| weight as f32, &mut correction);
        x.iter_mut().zip(&correction).for_each(|(x, c)| *x = (*x + c).clamp(-1.0, 1.0));
        for (c, plane) in x.chunks_exact(region.area()).enumerate() {
            for (i, row) in plane.chunks_exact(region.width).enumerate() {
                let at = c * scene.plane() + (region.y + i) * scene.width + region.x;
                self.x.data[at..at + region.width].copy_from_slice(row);
            }
        }
        (begin, frames)
    }

    /// Calls `f(block, part of it in region)`.
    fn parts(&self, region: Region, mut f: impl FnMut(usize, Region)) {
        let b = self.block;
        let (bottom, right) = (region.y + region.height, region.x + region.width);
        for row in region.y / b..bottom.div_ceil(b) {
            for column in region.x / b..right.div_ceil(b) {
                let (y, x) = (region.y.max(row * b), region.x.max(column * b));
                let height = bottom.min((row + 1) * b) - y;
                let width = right.min((column + 1) * b) - x;
                f(row * self.columns + column, Region { y, x, height, width });
            }
        }
    }

    /// Whether step `k` has to be done for a tile's core.
    pub(super) fn needs(&self, k: usize, core: Region) -> bool {
        let mut needs = false;
        self.parts(core, |i, _| {
            needs |= match self.begin[i] {
                Begin::Anew => true,
                Begin::At(first) => first <= k,
                Begin::Still => false,
            }
        });
        needs
    }

    /// Puts what is known into a classical estimate of `region`.
    pub(super) fn start(&self, region: Region, x: &mut [f32]) {
        self.copy(region, x, |begin| begin != Begin::Anew);
    }

    /// Puts what is still into the result of all steps.
    pub(super) fn keep(&self, region: Region, x: &mut [f32]) {
        self.copy(region, x, |begin| begin == Begin::Still);
    }

    fn copy(&self, region: Region, x: &mut [f32], which: impl Fn(Begin) -> bool) {
        let scene = self.x.shape;
        self.parts(region, |i, part| {
            if !which(self.begin[i]) {
                return;
            }
            for c in 0..scene.channels {
                for row in part.y..part.y + part.height {
                    let from = c * scene.plane() + row * scene.width + part.x;
                    let to = (c * region.height + row - region.y) * region.width;
                    let to = to + part.x - region.x;
                    x[to..to + part.width].copy_from_slice(&self.x.data[from..][..part.width]);
                }
            }
        });
    }

    /// Evaluations of the prior per pixel.
    pub fn evaluations(&self, grids: &[Grid]) -> f64 {
        let mut pixels = 0;
        for (k, grid) in grids.iter().enumerate().take(self.steps) {
            let done = grid.tiles().map(|t| t.core()).filter(|core| self.needs(k, *core));
            pixels += done.map(|core| core.area()).sum::<usize>();
        }
        pixels as f64 / self.x.shape.plane() as f64
    }

    /// Remembers the frame that has been restored.
    pub fn remember(self, x: Frame, y: Frame) -> Memory {
        Memory { x, y, still: self.still }
    }
}
