//! The loop over steps and tiles.
//!
//! The state of step `s + 1` in a row of tiles depends on the state of step `s` in the rows of
//! their windows, and on nothing else. So the rows of tiles of all steps can be done in any order
//! that respects this: here always the deepest step that can go on, at most `band` rows of tiles
//! at a time, and rows of a state that no window needs any more are let go. With a band as high
//! as the frame this is the ordinary loop over steps; with low bands only a few rows of each
//! state exist at a time. The result is the same, because every tile is a function of one fixed
//! window alone.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::grid::{Grid, Tile};
use super::step::Steps;
use super::strip::Strip;
use super::{OnProgress, Progress, Settings, tiling};
use crate::degrade::{Degradation, Reach};
use crate::error::{Error, Result};
use crate::frame::{Frame, Region};
use crate::prior::{Evaluator, Prior};

/// Runs all steps from a classical estimate; returns the last state, planar, before the finishing pass.
pub fn run(
    a: &dyn Degradation,
    y: &Frame,
    prior: &dyn Prior,
    settings: &Settings,
    classical: Vec<f32>,
    progress: OnProgress,
) -> Result<Vec<f32>> {
    let tiling = tiling(a, prior, &settings.levels);
    let scene = a.scene();
    let steps = settings.levels.len();
    let grids: Vec<Grid> = (0..steps).map(|k| tiling.grid(scene, k)).collect();
    let total = grids.iter().map(Grid::len).sum();
    let wave = Wave { steps: Steps { a, y, settings }, prior };
    let mut workers: Vec<Worker> = (0..settings.threads).map(|_| Worker::default()).collect();
    let mut states: Vec<Strip> = (0..=steps).map(|_| Strip::new(scene)).collect();
    states[0] = Strip::from_planar(scene, &wave.steps.start(classical));
    let mut next_row = vec![0; steps];
    let shared = Shared {
        progress: Mutex::new((progress, Progress { done: 0, total })),
        stop: AtomicBool::new(false),
    };

    let ready = |k: usize, next_row: &[usize], states: &[Strip]| {
        let waiting = grids[k].rows[next_row[k]..].iter();
        let needed = |rows: &super::grid::Span| (rows.window + rows.size).min(scene.height);
        waiting.take_while(|rows| needed(rows) <= states[k].complete()).count()
    };
    while let Some((k, rows)) =
        (0..steps).rev().map(|k| (k, ready(k, &next_row, &states))).find(|(_, rows)| *rows > 0)
    {
        let from = next_row[k];
        let until = from + rows.min(settings.band.unwrap_or(usize::MAX));
        let (before, after) = states.split_at_mut(k + 1);
        let (state, next) = (&mut before[k], &mut after[0]);
        let end = grids[k].rows[until - 1].core_end;
        next.grow(end);
        wave.run_tiles(k, grids[k].tiles(from..until), state, next, &mut workers, &shared)?;
        if a.reach() == Reach::Local {
            next.finish(end);
        } else if end == scene.height {
            wave.advance_frame(k, state, next);
            next.finish(end);
        }
        next_row[k] = until;
        // A frame-wide projection still needs the whole of the state it started from.
        let done = end == scene.height;
        let keep = grids[k].rows.get(until).map_or(scene.height, |rows| rows.window);
        if a.reach() == Reach::Local || done {
            state.release(keep);
        }
    }
    let mut x = vec![0.0; scene.len()];
    states[steps].read(Region::whole(scene), &mut x);
    Ok(x)
}

struct Wave<'a> {
    steps: Steps<'a>,
    prior: &'a dyn Prior,
}

/// What the workers share besides the states.
struct Shared<'a> {
    progress: Mutex<(OnProgress<'a>, Progress)>,
    stop: AtomicBool,
}

/// One thread's own: evaluators by window size, and buffers that are used again.
#[derive(Default)]
struct Worker {
    evaluators: HashMap<(usize, usize), Box<dyn Evaluator>>,
    window: Vec<f32>,
    input: Vec<f32>,
    estimate: Vec<f32>,
}

impl Wave<'_> {
    /// Evaluates some tiles of step `k`, spread over the workers.
    fn run_tiles(
        &self,
        k: usize,
        tiles: Vec<Tile>,
        state: &Strip,
        next: &mut Strip,
        workers: &mut [Worker],
        shared: &Shared,
    ) -> Result<()> {
        let next = Mutex::new(next);
        let taken = AtomicUsize::new(0);
        let work = |worker: &mut Worker| -> Result<()> {
            while let Some(tile) = tiles.get(taken.fetch_add(1, Ordering::Relaxed)) {
                if shared.stop.load(Ordering::Relaxed) {
                    return Err(Error::Interrupted);
                }
                let core = self.run_tile(k, tile, state, worker).inspect_err(|_| {
                    shared.stop.store(true, Ordering::Relaxed);
                })?;
                lock(&next).write(tile.core(), &core);
                shared.tile_done();
            }
            Ok(())
        };
        let count = workers.len().min(tiles.len());
        let results: Vec<Result<()>> = if count == 1 {
            vec![work(&mut workers[0])]
        } else {
            std::thread::scope(|scope| {
                let started: Vec<_> =
                    workers[..count].iter_mut().map(|w| scope.spawn(|| work(w))).collect();
                // A worker that panicked has a bug to show: let it.
                started
                    .into_iter()
                    .map(|t| t.join().unwrap_or_else(|p| std::panic::resume_unwind(p)))
                    .collect()
            })
        };
        // A worker that only stopped because another failed is not the reason.
        let mut failed: Vec<Error> = results.into_iter().filter_map(Result::err).collect();
        failed.sort_by_key(|e| *e == Error::Interrupted);
        match failed.into_iter().next() {
            Some(e) => Err(e),
            None if shared.stop.load(Ordering::Relaxed) => Err(Error::Interrupted),
            None => Ok(()),
        }
    }

    /// The core of one tile after step `k` (or the prior's estimate of it, where the projection
    /// needs the whole frame).
    fn run_tile(
        &self,
        k: usize,
        tile: &Tile,
        state: &Strip,
        worker: &mut Worker,
    ) -> Result<Vec<f32>> {
        let scene = self.steps.a.scene();
        let (height, width) = (tile.rows.size, tile.columns.size);
        let (pixels, channels) = (height * width, self.prior.channels());
        let evaluator = match worker.evaluators.entry((height, width)) {
            Entry::Occupied(held) => held.into_mut(),
            Entry::Vacant(empty) => empty.insert(self.prior.evaluator(height, width)?),
        };
        worker.window.resize(scene.channels * pixels, 0.0);
        state.read_window(tile, &mut worker.window);
        let scale = self.steps.input_scale(k);
        worker.input.clear();
        // A gray scene goes through a colour prior as equal channels.
        for _ in 0..channels / scene.channels {
            worker.input.extend(worker.window.iter().map(|v| v * scale));
        }
        worker.estimate.resize(channels * pixels, 0.0);
        evaluator.x0(&worker.input, self.steps.settings.levels[k], &mut worker.estimate)?;

        let core = tile.core();
        let (top, left) = (core.y - tile.rows.window, core.x - tile.columns.window);
        let cut = |planes: &[f32], out: &mut Vec<f32>| {
            for plane in planes.chunks_exact(pixels) {
                for row in plane.chunks_exact(width).skip(top).take(core.height) {
                    out.extend_from_slice(&row[left..left + core.width]);
                }
            }
        };
        let mut x0 = Vec::with_capacity(channels * core.area());
        cut(&worker.estimate, &mut x0);
        if channels > scene.channels {
            let area = core.area();
            for i in 0..area {
                x0[i] = (0..channels).map(|c| x0[c * area + i]).sum::<f32>() / channels as f32;
            }
            x0.truncate(area);
        }
        if let Some(bad) = x0.iter().find(|v| !v.is_finite()) {
            let what =
                format!("the prior's estimate at step {}, tile at {},{}", k + 1, core.x, core.y);
            return Err(Error::Numerical {
                what,
                expected: "finite values".into(),
                found: bad.to_string(),
            });
        }
        if self.steps.a.reach() == Reach::Local {
            let mut before = Vec::with_capacity(x0.len());
            cut(&worker.window, &mut before);
            self.steps.advance(k, core, &before, &mut x0);
        }
        Ok(x0)
    }

    /// Finishes step `k` on the assembled frame.
    fn advance_frame(&self, k: usize, state: &Strip, next: &mut Strip) {
        let scene = self.steps.a.scene();
        let whole = Region::whole(scene);
        let (mut before, mut x0) = (vec![0.0; scene.len()], vec![0.0; scene.len()]);
        state.read(whole, &mut before);
        next.read(whole, &mut x0);
        self.steps.advance(k, whole, &before, &mut x0);
        next.write(whole, &x0);
    }
}

impl Shared<'_> {
    fn tile_done(&self) {
        let mut held = lock(&self.progress);
        let (on_progress, progress) = &mut *held;
        progress.done += 1;
        let progress = *progress;
        if on_progress(progress).is_break() {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// Locks; a lock poisoned by another worker's panic is of no matter, since that panic goes on up.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}
