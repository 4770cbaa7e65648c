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
use super::budget::{Choice, Done};
use super::change::{Residual, around, detail, residual, values};
use super::grid::Grid;
use crate::degrade::{Degradation, Reach};
use crate::error::{Error, Result};
use crate::frame::{Frame, Region, Shape, crop};
use crate::schedule::Level;

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
    /// How much is to be gained in blocks that there was no time for; 0 in the others.
    owed: Vec<f64>,
}

/// What a block of a new frame is like.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Found {
    /// As in the last one.
    Still,
    /// It changed by this much, a standard deviation in units of `[-1, 1]`.
    Changed(f64),
    /// There is no last one; this much is to be seen in it.
    New(f64),
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
    scene: Shape,
    found: Vec<Found>,
    begin: Vec<Begin>,
    /// The last result, corrected by the new measurement; empty where there is none.
    x: Vec<f32>,
    still: Vec<u32>,
    steps: usize,
    /// What there is time for; everything without one.
    choice: Option<Choice>,
}

impl Memory {
    /// Remembers the first frame of a video.
    pub fn new(x: Frame, y: Frame) -> Memory {
        Memory { x, y, still: Vec::new(), owed: Vec::new() }
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
        let mut warm = Warm::empty(a, self.x.data.clone());
        let (columns, count) = (warm.columns, warm.count());
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
            let (found, still) = warm.block(a, y, settings, i, rests.then_some(frames));
            let owed = self.owed.get(i).copied().unwrap_or(0.0);
            let (found, still) = match found {
                Found::Still if owed > 0.0 => (Found::Changed(owed), 0),
                Found::Changed(change) => (Found::Changed(change.max(owed)), still),
                found => (found, still),
            };
            warm.found.push(found);
            warm.still.push(still);
        }
        warm.aim(&settings.levels);
        Ok(warm)
    }
}

impl Warm {
    /// A frame without a last one; only of use with a [`limit`](Warm::limit).
    pub fn cold(a: &dyn Degradation, y: &Frame, levels: &[Level]) -> Warm {
        let mut warm = Warm::empty(a, Vec::new());
        let count = warm.count();
        warm.found = (0..count).map(|i| Found::New(detail(a, warm.region(i), y))).collect();
        warm.still = vec![0; count];
        warm.aim(levels);
        warm
    }

    fn empty(a: &dyn Degradation, x: Vec<f32>) -> Warm {
        let block = BLOCK.next_multiple_of(a.period());
        let scene = a.scene();
        let (found, begin, still) = (Vec::new(), Vec::new(), Vec::new());
        let columns = scene.width.div_ceil(block);
        Warm { block, columns, scene, found, begin, x, still, steps: 0, choice: None }
    }

    /// Blocks of the frame.
    fn count(&self) -> usize {
        self.columns * self.scene.height.div_ceil(self.block)
    }

    /// Says where each block begins, for these levels.
    pub(super) fn aim(&mut self, levels: &[Level]) {
        let begin = |found: &Found| match *found {
            Found::Still => Begin::Still,
            Found::New(_) => Begin::Anew,
            // Beyond half of the first level the last result is no better than a guess.
            Found::Changed(change) => match levels.iter().position(|l| l.sigma() <= 2.0 * change) {
                Some(0) => Begin::Anew,
                Some(k) => Begin::At(k),
                None => Begin::At(levels.len() - 1),
            },
        };
        self.begin = self.found.iter().map(begin).collect();
        self.steps = levels.len();
    }

    /// Whether nearly nothing is left of the last frame, as after a cut.
    pub fn is_cut(&self) -> bool {
        const SHARE: f64 = 0.75;
        let anew = self.begin.iter().filter(|begin| **begin == Begin::Anew).count();
        anew as f64 >= SHARE * self.begin.len() as f64
    }

    /// Keeps to what there is time for.
    pub(super) fn limit(&mut self, choice: Choice) {
        self.choice = Some(choice);
    }

    /// What has been done of a frame with a limit.
    pub fn done(&self) -> Option<Done> {
        self.choice.as_ref().map(Choice::done)
    }

    fn region(&self, i: usize) -> Region {
        let (y, x) = (i / self.columns * self.block, i % self.columns * self.block);
        let shape = self.scene;
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
    ) -> (Found, u32) {
        let (scene, region) = (self.scene, self.region(i));
        let mut x = vec![0.0; region.shape(scene.channels).len()];
        crop(&self.x, scene, region, &mut x);
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
        let (found, weight, frames) = if still {
            let least = 1.0 / (f64::from(frames) + WORTH);
            let error = excess.clamp(least.min(most), most);
            (Found::Still, error / (1.0 + error), frames.min(LONGEST))
        } else {
            let change = (excess * variance / found.gain).sqrt();
            let change = change.max(found.change / found.gain.sqrt());
            let noise = settings.sigma_y.powi(2) / found.gain;
            let weight = change.powi(2) / (change.powi(2) + noise);
            (Found::Changed(change), weight, 0)
        };
        // Without noise every measurement is met.
        let weight = if settings.sigma_y > 0.0 { weight } else { 1.0 };
        let mut correction = vec![0.0; x.len()];
        a.pinv(region, &r, &|_| weight as f32, &mut correction);
        x.iter_mut().zip(&correction).for_each(|(x, c)| *x = (*x + c).clamp(-1.0, 1.0));
        for (c, plane) in x.chunks_exact(region.area()).enumerate() {
            for (i, row) in plane.chunks_exact(region.width).enumerate() {
                let at = c * scene.plane() + (region.y + i) * scene.width + region.x;
                self.x[at..at + region.width].copy_from_slice(row);
            }
        }
        (found, frames)
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

    /// Whether step `k` is done for a tile's core; to be asked once per tile.
    pub(super) fn needs(&self, k: usize, core: Region) -> bool {
        self.wants(k, core) && self.choice.as_ref().is_none_or(|choice| choice.takes(k, core))
    }

    /// How much is to be gained in a tile's core.
    pub(super) fn urgency(&self, core: Region) -> f64 {
        let mut most = 0.0f64;
        self.parts(core, |i, _| match self.found[i] {
            Found::Still => {}
            Found::Changed(gain) | Found::New(gain) => most = most.max(gain),
        });
        most
    }

    /// Whether a tile's core needs step `k`.
    pub(super) fn wants(&self, k: usize, core: Region) -> bool {
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
        let scene = self.scene;
        self.parts(region, |i, part| {
            if !which(self.begin[i]) {
                return;
            }
            for c in 0..scene.channels {
                for row in part.y..part.y + part.height {
                    let from = c * scene.plane() + row * scene.width + part.x;
                    let to = (c * region.height + row - region.y) * region.width;
                    let to = to + part.x - region.x;
                    x[to..to + part.width].copy_from_slice(&self.x[from..][..part.width]);
                }
            }
        });
    }

    /// Evaluations of the prior per pixel, without a limit.
    pub fn evaluations(&self, grids: &[Grid]) -> f64 {
        let pixels: usize = self.wanted(grids).map(|core| core.area()).sum();
        pixels as f64 / self.scene.plane() as f64
    }

    /// Tiles that these are, of all steps.
    pub fn tiles(&self, grids: &[Grid]) -> usize {
        self.wanted(grids).count()
    }

    /// Cores of the tiles that are evaluated without a limit.
    fn wanted<'a>(&'a self, grids: &'a [Grid]) -> impl Iterator<Item = Region> + 'a {
        grids.iter().enumerate().take(self.steps).flat_map(move |(k, grid)| {
            let cores = grid.tiles().map(|t| t.core());
            cores.filter(move |core| self.wants(k, *core))
        })
    }

    /// Remembers the frame that has been restored.
    pub fn remember(self, x: Frame, y: Frame) -> Memory {
        let mut owed = vec![0.0; self.found.len()];
        for core in self.done().iter().flat_map(|done| &done.skipped) {
            self.parts(*core, |i, _| match self.found[i] {
                Found::Still => {}
                Found::Changed(gain) | Found::New(gain) => owed[i] = gain,
            });
        }
        Memory { x, y, still: self.still, owed }
    }
}
