//! What one thread needs to take tiles through a step.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::Misfit;
use super::grid::{Grid, Tile};
use super::step::{Buffers, Steps, room};
use super::strip::Strip;
use super::warm::Warm;
use crate::degrade::Reach;
use crate::error::{Error, Result};
use crate::frame::not_finite;
use crate::prior::{Evaluator, Prior};
use crate::scratch::Scratch;

/// Evaluators by window size.
type Evaluators = HashMap<(usize, usize), Box<dyn Evaluator>>;

/// One thread's own: evaluators, and buffers that are used again.
pub struct Worker {
    evaluators: Evaluators,
    input: Vec<f32>,
    estimate: Vec<f32>,
    /// What becomes of a tile's core.
    core: Vec<f32>,
    buffers: Buffers,
    /// That of the last tile's estimate; empty where it was not evaluated, or is projected later.
    pub misfit: Misfit,
    /// Kept only where there will be a next frame.
    pub scratch: Option<Scratch>,
}

fn evaluator<'a>(
    held: &'a mut Evaluators,
    prior: &dyn Prior,
    size: (usize, usize),
) -> Result<&'a mut dyn Evaluator> {
    let evaluator = match held.entry(size) {
        Entry::Occupied(held) => held.into_mut(),
        Entry::Vacant(empty) => empty.insert(prior.evaluator(size.0, size.1)?),
    };
    Ok(evaluator.as_mut())
}

/// What tiles are taken through a step with.
pub struct Stage<'a> {
    pub steps: Steps<'a>,
    pub prior: &'a dyn Prior,
    pub warm: Option<&'a Warm>,
}

impl Worker {
    pub fn new(grids: &[Grid], prior: &dyn Prior, keeps: bool) -> Worker {
        let pixels = grids.iter().map(Grid::largest_window).map(|(h, w)| h * w).max().unwrap_or(0);
        let cores = grids.iter().map(Grid::largest_core).max().unwrap_or(0);
        let buffer = |channels| Vec::with_capacity(channels * pixels);
        Worker {
            evaluators: HashMap::new(),
            input: buffer(prior.channels()),
            estimate: buffer(prior.channels()),
            core: Vec::with_capacity(prior.channels() * cores),
            buffers: Buffers::default(),
            misfit: Misfit::default(),
            scratch: keeps.then(Scratch::default),
        }
    }

    /// Makes an evaluator for windows of this size, in advance.
    pub fn prepare(&mut self, prior: &dyn Prior, size: (usize, usize)) -> Result<()> {
        evaluator(&mut self.evaluators, prior, size).map(|_| ())
    }

    /// Makes the buffers as large as those of `other`: which thread meets the largest tile is
    /// chance.
    pub fn cover(&mut self, other: &Worker) {
        self.buffers.cover(&other.buffers);
        if let (Some(own), Some(other)) = (&mut self.scratch, &other.scratch) {
            own.cover(other);
        }
    }

    /// The core of one tile after step `k` (or the prior's estimate of it, where the projection
    /// needs the whole frame).
    pub fn tile(
        &mut self,
        stage: &Stage,
        k: usize,
        tile: &Tile,
        y: &Strip,
        state: &Strip,
    ) -> Result<&[f32]> {
        let Stage { steps, prior, warm } = stage;
        self.misfit = Misfit::default();
        let scene = steps.a.scene();
        if warm.is_some_and(|warm| !warm.needs(k, tile.core())) {
            let same = &mut self.core;
            same.resize(tile.core().shape(scene.channels).len(), 0.0);
            state.read(tile.core(), same);
            return Ok(same);
        }
        let (height, width) = (tile.rows.size, tile.columns.size);
        let (pixels, channels) = (height * width, prior.channels());
        let core = tile.core();
        let (top, left) = (core.y - tile.rows.window, core.x - tile.columns.window);
        let (asked, scale) = steps.asked(k, *prior);
        let input = room(&mut self.input, channels * pixels);
        let (window, copies) = input.split_at_mut(scene.channels * pixels);
        state.read_window(tile, scale, window);
        copies.chunks_exact_mut(window.len()).for_each(|copy| copy.copy_from_slice(window));
        let estimate = room(&mut self.estimate, channels * pixels);
        evaluator(&mut self.evaluators, *prior, (height, width))?.x0(input, asked, estimate)?;
        let x0 = &mut self.core;
        x0.clear();
        for plane in estimate.chunks_exact(pixels) {
            for row in plane.chunks_exact(width).skip(top).take(core.height) {
                x0.extend_from_slice(&row[left..left + core.width]);
            }
        }
        if channels > scene.channels {
            let area = core.area();
            for i in 0..area {
                x0[i] = (0..channels).map(|c| x0[c * area + i]).sum::<f32>() / channels as f32;
            }
            x0.truncate(area);
        }
        if let Some(bad) = not_finite(x0) {
            let what =
                format!("the prior's estimate at step {}, tile at {},{}", k + 1, core.x, core.y);
            return Err(Error::Numerical {
                what,
                expected: "finite values".into(),
                found: bad.to_string(),
            });
        }
        if steps.a.reach() == Reach::Local {
            self.misfit = steps.advance(k, core, y, state, x0, &mut self.buffers);
        }
        Ok(x0)
    }
}
