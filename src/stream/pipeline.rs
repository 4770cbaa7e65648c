//! One frame of a stream: from its bytes to the bytes of the restored one.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::colour::Affine;
use crate::degrade::{Degradation, DisjointRows, Planes, Reach, Stage};
use crate::error::{Error, Result};
use crate::frame::{Frame, Region, Shape};
use crate::io::video::{ColourMatrix, Format, Sensor};
use crate::prior::Prior;
use crate::sampler::grid::Grid;
use crate::sampler::{Budget, Clock, Memory, Settings, Warm, grids, restore_warm};

/// Most frames of practice, and about how many seconds they may take: the first two evaluate one
/// tile for each thread, whatever that takes.
const PRACTICE_FRAMES: usize = 10;
const PRACTICE: f64 = 1.0;

/// What a stream of frames is restored with; see [`Pipeline`].
pub struct Parts<'a> {
    /// From the scene to the frames that come in: its measurement is of `input`'s shape.
    pub a: &'a dyn Degradation,
    /// Knows scenes as `a` has them: planes of Y', Cb and Cr where the frames are such.
    pub prior: &'a dyn Prior,
    pub settings: &'a Settings,
    pub input: Format,
    /// Frames of the scene's size.
    pub output: Format,
    /// From a scene of R'G'B' to the planes of frames that go out as such.
    pub coded: Option<Affine>,
    /// For frames of a raw sensor.
    pub sensor: Option<Sensor>,
    /// From a sensor's colours to those of the frames that go out, which are R'G'B' or made of it.
    pub colours: Option<ColourMatrix>,
    /// Whether frames begin with what is known of the scene from the one before.
    pub warm: bool,
    /// The time that each frame has, and the clock for it.
    pub budget: Option<(Duration, Clock)>,
    /// What black is in each channel of the measurement, in `[-1, 1]`: there a mask left nothing.
    pub black: Vec<f32>,
}

/// Restores frames of one stream, all with the same operator and prior.
pub struct Pipeline<'a> {
    parts: Parts<'a>,
    /// From the scene to the frames that go out.
    written: DisjointRows,
    /// `A 1`, and singular values.
    gain: Vec<f32>,
    singular: Vec<f32>,
    y: Frame,
    memory: Option<Memory>,
    budget: Option<Budget>,
}

/// What is said of a frame that has been restored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Evaluations of the network per pixel, and the most for any pixel.
    pub evaluations: f64,
    pub steps: usize,
    /// Tiles of all steps: those that were evaluated, those that did not change, and those that
    /// there was no time for.
    pub tiles: Tiles,
    /// By how many seconds a frame took longer than it had.
    pub late: f64,
    /// Whether nearly all has changed since the last frame, so that this one began anew.
    pub cut: bool,
    /// What the written frame, measured again, differs by from the one that came in: largest and
    /// root mean square, in code values of 8 bits.
    pub residual_max: f64,
    pub residual_rms: f64,
}

/// What became of the tiles of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tiles {
    pub evaluated: usize,
    pub still: usize,
    pub skipped: usize,
}

/// From a scene to frames of this format and size.
pub fn recording(format: &Format, scene: Shape) -> Result<DisjointRows> {
    let (across, down) = format.chroma();
    let stages: Vec<Box<dyn Stage>> = match format.is_ycbcr() {
        true => vec![Box::new(Planes::new(across, down, scene))],
        false => vec![],
    };
    DisjointRows::new(scene, stages)
}

impl<'a> Pipeline<'a> {
    /// Checks that the parts fit each other.
    ///
    /// # Errors
    /// [`Error::Shape`] where the operator does not give frames like the input's, and where the
    /// output is of another size than the scene.
    pub fn new(parts: Parts<'a>) -> Result<Pipeline<'a>> {
        let (a, scene) = (parts.a, parts.a.scene());
        let expected = |what: &str, expected: Shape, found: Shape| match expected == found {
            true => Ok(()),
            false => Err(Error::shape(what, expected, found)),
        };
        expected(&format!("frames of `{}`", a.spec()), a.measurement(), parts.input.shape())?;
        let written = recording(&parts.output, scene)?;
        expected("frames that go out", written.measurement(), parts.output.shape())?;
        let len = a.measurement().len();
        let (mut gain, mut singular) = (vec![0.0; len], vec![0.0; len]);
        a.dc_gain(Region::whole(scene), &mut gain);
        a.singular_values(Region::whole(scene), &mut singular);
        let y = Frame::filled(a.measurement(), 0.0);
        let budget = parts.budget.clone().map(|(time, clock)| Budget::new(time, clock));
        if budget.is_some() && a.reach() != Reach::Local {
            let why = format!("budget: expected a degradation that is local, found {}", a.spec());
            return Err(Error::Usage(why));
        }
        Ok(Pipeline { parts, written, gain, singular, y, memory: None, budget })
    }

    /// Learns how long things take, before the first frame is waited for: on frames that are black
    /// and white in turns, so that each is all new, compared with the one before or not. Does
    /// nothing without a budget.
    ///
    /// # Errors
    /// Those of [`frame`](Pipeline::frame).
    pub fn practise(&mut self) -> Result<()> {
        let bytes = self.parts.input.frame_bytes();
        let frames = [vec![0; bytes], vec![u8::MAX; bytes]];
        let mut out = Vec::new();
        let began = self.budget.as_ref().map_or(0.0, Budget::now);
        for i in 0..PRACTICE_FRAMES {
            let Some(budget) = &mut self.budget else { return Ok(()) };
            let left = PRACTICE - (budget.now() - began);
            if i < 2 {
                budget.forget();
            } else if left <= 0.0 {
                break;
            }
            budget.shorten(left);
            self.frame(&frames[i % 2], &mut out, &mut || {})?;
        }
        if let Some(budget) = &mut self.budget {
            budget.shorten(f64::INFINITY);
        }
        self.memory = None;
        Ok(())
    }

    /// Restores the frame in `bytes`, of the input's format, into `out`. `pause` is called after
    /// every tile.
    pub fn frame(
        &mut self,
        bytes: &[u8],
        out: &mut Vec<u8>,
        pause: &mut (dyn FnMut() + Send),
    ) -> Result<Outcome> {
        if let Some(budget) = &mut self.budget {
            budget.begin();
        }
        self.measure(bytes);
        let Parts { a, prior, settings, output, .. } = &self.parts;
        let last = self.memory.take();
        let mut warm = last.map(|m| m.compare(*a, &self.y, settings)).transpose()?;
        // After a cut the last frame says nothing: what little seems to agree is chance.
        let cut = warm.as_ref().is_some_and(Warm::is_cut);
        warm = warm.filter(|_| !cut);
        let timed = self.budget.as_ref().map(|budget| budget.timed(*prior));
        let prior: &dyn Prior = timed.as_ref().map_or(*prior, |timed| timed);
        let mut settings = (*settings).clone();
        if let Some(budget) = &self.budget {
            let warm = warm.get_or_insert_with(|| Warm::cold(*a, &self.y, &settings.levels));
            settings.levels = budget.choose(*a, prior, &settings, warm);
        }
        let mut paused = Duration::ZERO;
        let x = restore_warm(*a, &self.y, prior, &settings, warm.as_ref(), &mut |_| {
            let began = Instant::now();
            pause();
            paused += began.elapsed();
            ControlFlow::Continue(())
        })?;
        if let Some(budget) = &mut self.budget {
            budget.restored();
        }
        let grids = grids(*a, prior, &settings.levels);
        let (evaluations, tiles) = work(&grids, warm.as_ref(), a.scene());
        if self.parts.warm {
            self.memory = Some(match warm {
                None => Memory::new(x.clone(), self.y.clone()),
                Some(warm) => warm.remember(x.clone(), self.y.clone()),
            });
        }
        let whole = Region::whole(a.scene());
        let mut samples = vec![0.0; self.written.measurement().len()];
        let (residual_max, residual_rms) = match (self.parts.coded, self.parts.colours) {
            (None, None) => {
                self.written.apply(whole, &x.data, &mut samples);
                output.pack(&samples, out);
                self.residual(Some(out.as_slice()), x, samples)
            }
            // Colours are other than the scene has them, or coarser: the scene is what is checked.
            (coded, colours) => {
                let mut shown = Cow::Borrowed(&x.data);
                if let Some(colours) = colours {
                    colours.apply(shown.to_mut());
                }
                if let Some(coded) = coded {
                    shown = Cow::Owned(planes(&coded, &shown));
                }
                self.written.apply(whole, &shown, &mut samples);
                drop(shown);
                output.pack(&samples, out);
                self.residual(None, x, samples)
            }
        };
        let skipped = tiles.skipped > 0;
        let late = match &mut self.budget {
            None => 0.0,
            Some(budget) => budget.end(paused.as_secs_f64(), skipped),
        };
        let steps = settings.levels.len();
        Ok(Outcome { evaluations, steps, tiles, late, cut, residual_max, residual_rms })
    }

    /// From a frame's bytes to the measurement, 0 where nothing was measured.
    fn measure(&mut self, bytes: &[u8]) {
        let shape = self.y.shape;
        self.parts.input.unpack(bytes, &mut self.y.data);
        if let Some(sensor) = &self.parts.sensor {
            sensor.develop(shape, &mut self.y.data);
        }
        let planes = self.y.data.chunks_exact_mut(shape.plane()).zip(&self.parts.black);
        let known = self.gain.chunks_exact(shape.plane()).zip(self.singular.chunks(shape.plane()));
        for ((plane, black), (gain, singular)) in planes.zip(known) {
            for ((v, g), s) in plane.iter_mut().zip(gain).zip(singular) {
                *v = if *s > 0.0 { *v - (1.0 - g) * black } else { 0.0 };
            }
        }
    }

    /// The residual of a written frame, or of the scene itself; `x` and `samples` are used as
    /// buffers.
    fn residual(&self, written: Option<&[u8]>, mut x: Frame, mut samples: Vec<f32>) -> (f64, f64) {
        let whole = Region::whole(x.shape);
        if let Some(written) = written {
            self.parts.output.unpack(written, &mut samples);
            self.written.pinv(whole, &samples, &|_| 1.0, &mut x.data);
        }
        drop(samples);
        let mut again = vec![0.0; self.y.data.len()];
        self.parts.a.apply(whole, &x.data, &mut again);
        let (mut max, mut sum, mut count) = (0.0f64, 0.0, 0u64);
        for ((v, y), s) in again.iter().zip(&self.y.data).zip(&self.singular) {
            if *s > 0.0 {
                let r = 127.5 * f64::from(v - y);
                (max, sum, count) = (max.max(r.abs()), sum + r * r, count + 1);
            }
        }
        (max, (sum / count.max(1) as f64).sqrt())
    }
}

/// The planes of a scene of R'G'B'.
fn planes(coded: &Affine, x: &[f32]) -> Vec<f32> {
    let n = x.len() / 3;
    let mut out = vec![0.0; 3 * n];
    for i in 0..n {
        let rgb = [0, 1, 2].map(|c| f64::from(x[c * n + i]));
        coded.at(rgb).iter().enumerate().for_each(|(c, v)| out[c * n + i] = *v as f32);
    }
    out
}

/// Evaluations per pixel, and what became of the tiles.
fn work(grids: &[Grid], warm: Option<&Warm>, scene: Shape) -> (f64, Tiles) {
    let all: usize = grids.iter().map(Grid::len).sum();
    let Some(warm) = warm else {
        return (grids.len() as f64, Tiles { evaluated: all, ..Tiles::default() });
    };
    let (evaluations, evaluated, skipped) = match warm.done() {
        None => (warm.evaluations(grids), warm.tiles(grids), 0),
        Some(done) => {
            let evaluations = done.pixels as f64 / scene.plane() as f64;
            (evaluations, done.evaluated, done.skipped.len())
        }
    };
    (evaluations, Tiles { evaluated, still: all - evaluated - skipped, skipped })
}
