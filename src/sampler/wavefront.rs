//! The loop over steps and tiles, in the order that [`Order`] gives.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::finish::finish;
use super::grid::{Grid, Tile};
use super::order::{Order, Task};
use super::step::{Buffers, Steps, room};
use super::strip::Strip;
use super::warm::Warm;
use super::{Finished, OnFinished, OnProgress, Progress, Settings, grids};
use crate::degrade::{Degradation, Reach, full_width};
use crate::error::{Error, Result};
use crate::frame::{Region, Rows};
use crate::prior::{Evaluator, Prior};

/// Takes a frame through all steps.
pub fn run(
    a: &dyn Degradation,
    source: &mut dyn Rows,
    prior: &dyn Prior,
    settings: &Settings,
    warm: Option<&Warm>,
    done: OnFinished,
    progress: OnProgress,
) -> Result<()> {
    let grids = grids(a, prior, &settings.levels);
    let total = grids.iter().map(Grid::len).sum();
    let wave = Wave { steps: Steps { a, settings }, prior, warm };
    let mut workers: Vec<Worker> =
        (0..settings.threads).map(|_| Worker::new(&grids, a, prior)).collect();
    let mut strips = Strips::new(a, grids.len(), settings.generative < 1.0);
    let shared = Shared {
        progress: Mutex::new((progress, Progress { done: 0, total })),
        stop: AtomicBool::new(false),
    };
    let band = settings.band.unwrap_or(usize::MAX);
    let mut order = Order::new(a, &grids, band, settings.threads);
    while let Some(task) = order.next_task() {
        match task {
            Task::Start { rows, support } => {
                strips.measure(support.end, source)?;
                for (rows, mut x) in wave.classical(rows, &strips.y) {
                    let region = full_width(rows, a.scene());
                    if let Some(warm) = warm {
                        warm.start(region, &mut x);
                    }
                    if let Some(classical) = &mut strips.classical {
                        classical.append(region, &x);
                    }
                    wave.steps.start(region, &mut x);
                    strips.states[0].append(region, &x);
                }
            }
            Task::Tiles { step, rows } => {
                let (before, after) = strips.states.split_at_mut(step + 1);
                let (state, next) = (&before[step], &mut after[0]);
                let end = grids[step].rows[rows.end - 1].core_end;
                next.grow(end);
                let tiles = grids[step].tiles(rows);
                wave.run_tiles(step, tiles, &strips.y, state, next, &mut workers, &shared)?;
                if a.reach() == Reach::Global && end == a.scene().height {
                    wave.advance_frame(step, &strips.y, state, next);
                }
            }
            Task::Finish { rows } => {
                let region = full_width(rows.clone(), a.scene());
                let mut x = strips.states[grids.len()].rows(rows.clone());
                if let Some(classical) = &strips.classical {
                    // Two estimates with errors of their own: a blend is often better than either.
                    let b = settings.generative;
                    let classical = classical.rows(rows);
                    x.iter_mut().zip(&classical).for_each(|(x, c)| *x = c + b * (*x - c));
                }
                if let Some(warm) = warm {
                    warm.keep(region, &mut x);
                }
                let measured = a.measured(region);
                let y = strips.y.rows(measured.y..measured.y + measured.height);
                finish(a, region, &y, settings.sigma_y, &mut x);
                done(Finished { region, x: &x, y: &y })?;
            }
        }
        strips.release(&order);
    }
    Ok(())
}

/// All rows that are held.
struct Strips {
    y: Strip,
    /// The classical estimate, where the result is blended with it.
    classical: Option<Strip>,
    /// What each step starts from, and what the last one ends with.
    states: Vec<Strip>,
}

impl Strips {
    fn new(a: &dyn Degradation, steps: usize, blends: bool) -> Strips {
        Strips {
            y: Strip::new(a.measurement()),
            classical: blends.then(|| Strip::new(a.scene())),
            states: (0..=steps).map(|_| Strip::new(a.scene())).collect(),
        }
    }

    /// Takes rows of the measurement from `source`, up to `end`.
    fn measure(&mut self, end: usize, source: &mut dyn Rows) -> Result<()> {
        while self.y.end() < end {
            let row = self.y.next_row();
            source.next(row)?;
            if let Some(bad) = row.iter().find(|v| !v.is_finite()) {
                return Err(Error::shape("measurement", "finite values", bad));
            }
        }
        Ok(())
    }

    /// Lets go of what no task needs any more.
    fn release(&mut self, order: &Order) {
        self.y.release(order.first_of_measurement());
        if let Some(classical) = &mut self.classical {
            classical.release(order.finished());
        }
        for (k, state) in self.states.iter_mut().enumerate() {
            state.release(order.first_of_state(k));
        }
    }
}

struct Wave<'a> {
    steps: Steps<'a>,
    prior: &'a dyn Prior,
    warm: Option<&'a Warm>,
}

/// What the workers share besides the states.
struct Shared<'a> {
    progress: Mutex<(OnProgress<'a>, Progress)>,
    stop: AtomicBool,
}

/// One thread's own: evaluators by window size, and buffers that are used again.
struct Worker {
    evaluators: HashMap<(usize, usize), Box<dyn Evaluator>>,
    window: Vec<f32>,
    input: Vec<f32>,
    estimate: Vec<f32>,
    /// The state in a tile's core, and what becomes of it.
    before: Vec<f32>,
    core: Vec<f32>,
    buffers: Buffers,
}

impl Worker {
    fn new(grids: &[Grid], a: &dyn Degradation, prior: &dyn Prior) -> Worker {
        let pixels = grids.iter().map(Grid::largest_window).map(|(h, w)| h * w).max().unwrap_or(0);
        let cores = grids.iter().map(Grid::largest_core).max().unwrap_or(0);
        let buffer = |channels| Vec::with_capacity(channels * pixels);
        Worker {
            evaluators: HashMap::new(),
            window: buffer(a.scene().channels),
            input: buffer(prior.channels()),
            estimate: buffer(prior.channels()),
            before: Vec::with_capacity(a.scene().channels * cores),
            core: Vec::with_capacity(prior.channels() * cores),
            buffers: Buffers::default(),
        }
    }
}

impl Wave<'_> {
    /// Classical estimates of whole blocks of rows, each on a thread of its own.
    fn classical(&self, rows: Range<usize>, y: &Strip) -> Vec<(Range<usize>, Vec<f32>)> {
        let (a, sigma_y) = (self.steps.a, self.steps.settings.sigma_y);
        let blocks: Vec<Range<usize>> = rows
            .clone()
            .step_by(a.classical_block())
            .map(|top| top..(top + a.classical_block()).min(rows.end))
            .collect();
        let estimate = |rows: &Range<usize>| {
            let support = a.classical_support(rows.clone());
            (rows.clone(), a.start_rows(rows.clone(), &y.rows(support), sigma_y))
        };
        let (own, others) = blocks.split_at(1);
        std::thread::scope(|scope| {
            let started: Vec<_> = others
                .iter()
                .map(|rows| {
                    let start = std::thread::Builder::new();
                    (rows, start.spawn_scoped(scope, || estimate(rows)))
                })
                .collect();
            let mut done = vec![estimate(&own[0])];
            done.extend(started.into_iter().map(|(rows, thread)| match thread {
                // A thread that panicked has a bug to show: let it.
                Ok(thread) => thread.join().unwrap_or_else(|p| std::panic::resume_unwind(p)),
                Err(_) => estimate(rows),
            }));
            done
        })
    }

    /// Evaluates some tiles of step `k`, spread over the workers.
    #[allow(clippy::too_many_arguments)]
    fn run_tiles(
        &self,
        k: usize,
        tiles: Vec<Tile>,
        y: &Strip,
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
                let core = self.run_tile(k, tile, y, state, worker).inspect_err(|_| {
                    shared.stop.store(true, Ordering::Relaxed);
                })?;
                lock(&next).write(tile.core(), core);
                shared.tile_done();
            }
            Ok(())
        };
        let count = workers.len().min(tiles.len());
        let (own, others) = workers[..count].split_at_mut(1);
        let results: Vec<Result<()>> = std::thread::scope(|scope| {
            let start = |w| std::thread::Builder::new().spawn_scoped(scope, || work(w));
            // Where the system gives no more threads, those that there are do the work.
            let started: Vec<_> = others.iter_mut().flat_map(start).collect();
            let mut results = vec![work(&mut own[0])];
            // A worker that panicked has a bug to show: let it.
            let done = started.into_iter().map(|t| t.join());
            results.extend(done.map(|r| r.unwrap_or_else(|p| std::panic::resume_unwind(p))));
            results
        });
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
    fn run_tile<'w>(
        &self,
        k: usize,
        tile: &Tile,
        y: &Strip,
        state: &Strip,
        worker: &'w mut Worker,
    ) -> Result<&'w [f32]> {
        let scene = self.steps.a.scene();
        if self.warm.is_some_and(|warm| !warm.needs(k, tile.core())) {
            let same = &mut worker.core;
            same.resize(tile.core().shape(scene.channels).len(), 0.0);
            state.read(tile.core(), same);
            return Ok(same);
        }
        let (height, width) = (tile.rows.size, tile.columns.size);
        let (pixels, channels) = (height * width, self.prior.channels());
        let evaluator = match worker.evaluators.entry((height, width)) {
            Entry::Occupied(held) => held.into_mut(),
            Entry::Vacant(empty) => empty.insert(self.prior.evaluator(height, width)?),
        };
        let window = room(&mut worker.window, scene.channels * pixels);
        state.read_window(tile, window);
        let (asked, scale) = self.steps.asked(k, self.prior);
        let input = room(&mut worker.input, channels * pixels);
        for part in input.chunks_exact_mut(window.len()) {
            part.iter_mut().zip(&*window).for_each(|(to, v)| *to = v * scale);
        }
        let estimate = room(&mut worker.estimate, channels * pixels);
        evaluator.x0(input, asked, estimate)?;

        let core = tile.core();
        let (top, left) = (core.y - tile.rows.window, core.x - tile.columns.window);
        let cut = |planes: &[f32], out: &mut Vec<f32>| {
            out.clear();
            for plane in planes.chunks_exact(pixels) {
                for row in plane.chunks_exact(width).skip(top).take(core.height) {
                    out.extend_from_slice(&row[left..left + core.width]);
                }
            }
        };
        let x0 = &mut worker.core;
        cut(estimate, x0);
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
            cut(window, &mut worker.before);
            self.steps.advance(k, core, y, &worker.before, x0, &mut worker.buffers);
        }
        Ok(x0)
    }

    /// Finishes step `k` on the assembled frame.
    fn advance_frame(&self, k: usize, y: &Strip, state: &Strip, next: &mut Strip) {
        let scene = self.steps.a.scene();
        let whole = Region::whole(scene);
        let before = state.rows(0..scene.height);
        let mut x0 = next.rows(0..scene.height);
        self.steps.advance(k, whole, y, &before, &mut x0, &mut Buffers::default());
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
