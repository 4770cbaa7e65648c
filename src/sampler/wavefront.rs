//! The loop over steps and tiles, in the order that [`Order`] gives.

use std::collections::BTreeSet;
use std::ops::{ControlFlow, Deref, Range};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::crew::{Crew, Dismissed};
use super::finish::finish;
use super::grid::{Grid, Span};
use super::loosen::loosen;
use super::order::{Order, Places, Task};
use super::step::{Buffers, Steps};
use super::strip::{Rack, Strip};
use super::warm::Warm;
use super::worker::{Stage, Worker};
use super::{Finished, Misfit, OnFinished, OnProgress, Progress, Settings, grids};
use crate::degrade::{Degradation, Dual, Reach, full_width};
use crate::error::{Error, Result};
use crate::frame::{Region, Rows, not_finite};
use crate::prior::Prior;
use crate::scratch::{Scratch, zeros};

/// What a restoration is given: lent for one frame, or shared with threads that stay.
pub enum Part<'a, T: ?Sized> {
    Lent(&'a T),
    Shared(Arc<T>),
}

impl<T: ?Sized> Deref for Part<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Part::Lent(part) => part,
            Part::Shared(part) => part,
        }
    }
}

/// What the threads of a restoration share: what it is made with, the rows of all states, and
/// what each thread works with.
pub struct Wavefront<'a> {
    a: Part<'a, dyn Degradation + 'a>,
    prior: Part<'a, dyn Prior + 'a>,
    warm: Option<&'a Warm>,
    settings: RwLock<Settings>,
    grids: Vec<Grid>,
    strips: Strips,
    /// Those of the last step's tiles.
    misfits: Mutex<Vec<Misfit>>,
    /// Where the last step on the whole frame has ended.
    dual: Mutex<Dual>,
    workers: Vec<Mutex<Worker>>,
    pub crew: Crew<Work>,
}

/// All rows that are held.
struct Strips {
    y: RwLock<Strip>,
    /// The classical estimate, where the result is blended with it.
    classical: Option<RwLock<Strip>>,
    /// What each step starts from, and what the last one ends with.
    states: Vec<RwLock<Strip>>,
}

/// What threads do together.
#[derive(Clone, Copy)]
pub enum Work {
    /// Classical estimates of the scene's rows `from .. end`, a block each.
    Start { from: usize, end: usize },
    /// Tiles of a step, from this one on.
    Tiles { step: usize, from: usize },
}

/// What the thread needs that leads a restoration.
pub struct Lead {
    places: Places,
    measured: Rack,
    scenes: Rack,
    /// Kept only where there will be a next frame.
    scratch: Option<Scratch>,
}

impl Lead {
    /// `keeps` says whether there will be a next frame.
    pub fn new(a: &dyn Degradation, keeps: bool) -> Lead {
        Lead {
            places: Places::default(),
            measured: Rack::new(a.measurement(), keeps),
            scenes: Rack::new(a.scene(), keeps),
            scratch: keeps.then(Scratch::default),
        }
    }
}

impl<'a> Wavefront<'a> {
    /// All that is needed for frames of the operator's size; `keeps` says whether there will be
    /// more than one.
    pub fn new(
        a: Part<'a, dyn Degradation + 'a>,
        prior: Part<'a, dyn Prior + 'a>,
        warm: Option<&'a Warm>,
        settings: Settings,
        keeps: bool,
    ) -> Wavefront<'a> {
        let grids = grids(&*a, &*prior, &settings.levels);
        let strip = |shape| RwLock::new(Strip::new(shape));
        let scene = a.scene();
        let strips = Strips {
            y: strip(a.measurement()),
            classical: (settings.generative < 1.0).then(|| strip(scene)),
            states: (0..=grids.len()).map(|_| strip(scene)).collect(),
        };
        let tiles = grids.iter().map(Grid::len).max().unwrap_or(1);
        let blocks = scene.height.div_ceil(a.classical_block());
        let threads = settings.threads.min(tiles.max(blocks));
        let worker = |_| Mutex::new(Worker::new(&grids, &*prior, keeps));
        let workers = (0..threads).map(worker).collect();
        let misfits = Mutex::new(vec![Misfit::default(); grids.last().map_or(0, Grid::len)]);
        let (settings, dual, crew) = (RwLock::new(settings), Mutex::default(), Crew::new());
        Wavefront { a, prior, warm, settings, grids, strips, misfits, dual, workers, crew }
    }

    pub fn degradation(&self) -> &dyn Degradation {
        &*self.a
    }

    /// Threads that can work on a frame, the one that leads included.
    pub fn threads(&self) -> usize {
        self.workers.len()
    }

    /// Sets the number of the next frame.
    pub fn set_frame(&self, number: u32) {
        write(&self.settings).frame = number;
    }

    /// Makes what evaluations will need, for every thread.
    pub fn prepare(&self) -> Result<()> {
        let sides = |spans: &[Span]| spans.iter().map(|s| s.size).collect::<BTreeSet<_>>();
        let mut windows = BTreeSet::new();
        for grid in &self.grids {
            let widths = sides(&grid.columns);
            let rows = sides(&grid.rows);
            windows.extend(rows.iter().flat_map(|h| widths.iter().map(|w| (*h, *w))));
        }
        let windows = Vec::from_iter(windows);
        self.prior.prepare(&windows, self.workers.len())?;
        for worker in &self.workers {
            windows.iter().try_for_each(|size| lock(worker).prepare(&*self.prior, *size))?;
        }
        Ok(())
    }

    /// Makes all threads' buffers as large as the largest among them: what a thread meets in a
    /// frame is chance.
    pub fn level(&self) {
        let mut first = lock(&self.workers[0]);
        self.workers[1..].iter().for_each(|other| first.cover(&lock(other)));
        self.workers[1..].iter().for_each(|other| lock(other).cover(&first));
    }

    /// Takes a single frame through all steps, with threads that end with it.
    pub fn once(
        &self,
        source: &mut dyn Rows,
        done: OnFinished,
        progress: OnProgress,
    ) -> Result<()> {
        let mut lead = Lead::new(&*self.a, false);
        std::thread::scope(|scope| {
            let _dismissed = Dismissed(&self.crew);
            for member in 1..self.workers.len() {
                let start = std::thread::Builder::new();
                // Where the system gives no more threads, those that there are do the work.
                if start.spawn_scoped(scope, move || self.serve(member)).is_ok() {
                    self.crew.join();
                }
            }
            self.frame(&mut lead, source, done, progress)
        })
    }

    /// Takes a frame through all steps.
    pub fn frame(
        &self,
        lead: &mut Lead,
        source: &mut dyn Rows,
        done: OnFinished,
        progress: OnProgress,
    ) -> Result<()> {
        let Lead { places, measured, scenes, scratch } = lead;
        self.strips.clear(measured, scenes);
        let settings = read(&self.settings);
        *lock(&self.dual) = Dual::new(settings.sigma_y);
        let total = self.grids.iter().map(Grid::len).sum();
        let mut progress = Told { progress, now: Progress { done: 0, total } };
        let band = settings.band.unwrap_or(usize::MAX);
        let mut order = Order::new(&*self.a, &self.grids, band, settings.threads, places);
        // Steps on the whole frame are alike, and all of their buffers are as large as that.
        let mut between = match (self.a.reach(), &scratch) {
            (Reach::Global, None) => Some(Scratch::default()),
            _ => None,
        };
        Scratch::lend(scratch, || {
            while let Some(task) = order.next_task() {
                match task {
                    Task::Start { rows, support } => {
                        self.strips.measure(support.end, source, measured)?;
                        self.start(rows, scenes)?;
                    }
                    Task::Tiles { step, rows } => {
                        if self.tiles(step, rows, scenes, &mut progress)? {
                            match &mut between {
                                None => self.advance_frame(step),
                                kept => Scratch::lend(kept, || self.advance_frame(step)),
                            }
                        }
                    }
                    Task::Finish { rows } => {
                        between = None;
                        self.finish(&settings, rows, done)?;
                    }
                }
                self.strips.release(&order, measured, scenes);
            }
            Ok(())
        })
    }

    /// A thread's part of all frames, until it is sent home.
    pub fn serve(&self, member: usize) {
        self.crew.serve(|work, i| self.item(member, work, i));
    }

    /// Classical estimates of whole blocks of rows.
    fn start(&self, rows: Range<usize>, rack: &mut Rack) -> Result<()> {
        write(&self.strips.states[0]).grow(rows.end, rack);
        if let Some(classical) = &self.strips.classical {
            write(classical).grow(rows.end, rack);
        }
        let blocks = rows.len().div_ceil(self.a.classical_block());
        let work = Work::Start { from: rows.start, end: rows.end };
        let go_on = &mut || ControlFlow::Continue(());
        self.crew.round(work, blocks, |work, i| self.item(0, work, i), go_on)
    }

    /// Takes some rows of tiles through a step. Says whether the step is to be finished on the
    /// assembled frame now.
    fn tiles(
        &self,
        step: usize,
        rows: Range<usize>,
        rack: &mut Rack,
        progress: &mut Told,
    ) -> Result<bool> {
        let grid = &self.grids[step];
        let end = grid.rows[rows.end - 1].core_end;
        write(&self.strips.states[step + 1]).grow(end, rack);
        let work = Work::Tiles { step, from: rows.start * grid.columns.len() };
        let count = rows.len() * grid.columns.len();
        let tell = &mut || progress.tile_done();
        self.crew.round(work, count, |work, i| self.item(0, work, i), tell)?;
        Ok(self.a.reach() == Reach::Global && end == self.a.scene().height)
    }

    /// One part of what threads do together.
    fn item(&self, member: usize, work: Work, i: usize) -> Result<()> {
        let mut worker = lock(&self.workers[member]);
        let settings = read(&self.settings);
        let steps = Steps { a: &*self.a, settings: &settings };
        let y = read(&self.strips.y);
        match work {
            Work::Start { from, end } => {
                let block = self.a.classical_block();
                let rows = from + i * block..(from + (i + 1) * block).min(end);
                Scratch::lend(&mut worker.scratch, || self.start_block(&steps, rows, &y));
                Ok(())
            }
            Work::Tiles { step, from } => {
                let tile = self.grids[step].tile(from + i);
                let stage = Stage { steps, prior: &*self.prior, warm: self.warm };
                let state = read(&self.strips.states[step]);
                let mut scratch = worker.scratch.take();
                let core = Scratch::lend(&mut scratch, || {
                    worker.tile(&stage, step, &tile, &y, &state).map(|core| {
                        write(&self.strips.states[step + 1]).write(tile.core(), core);
                    })
                });
                worker.scratch = scratch;
                self.note(step, from + i, worker.misfit);
                core
            }
        }
    }

    /// The classical estimate of a block of rows, and the state that the first step sees.
    fn start_block(&self, steps: &Steps, rows: Range<usize>, y: &Strip) {
        let region = full_width(rows.clone(), self.a.scene());
        let support = self.a.classical_support(rows.clone());
        let mut x = zeros(region.shape(self.a.scene().channels).len());
        let y = y.rows(support);
        self.a.start_rows(rows, &y, steps.settings.sigma_y, &mut x);
        if let Some(limits) = &steps.settings.limits
            && self.a.rows_overlap()
        {
            loosen(&*self.a, &y, limits, steps.settings.sigma_y, &mut x);
        }
        if let Some(warm) = self.warm {
            warm.start(region, &mut x);
        }
        if let Some(classical) = &self.strips.classical {
            write(classical).write(region, &x);
        }
        steps.start(region, &mut x);
        write(&self.strips.states[0]).write(region, &x);
    }

    /// Finishes a step on the assembled frame.
    fn advance_frame(&self, step: usize) {
        let settings = read(&self.settings);
        let steps = Steps { a: &*self.a, settings: &settings };
        let whole = Region::whole(self.a.scene());
        let y = read(&self.strips.y);
        let mut next = write(&self.strips.states[step + 1]);
        let before = read(&self.strips.states[step]);
        let mut x0 = next.rows(0..whole.height);
        let mut dual = lock(&self.dual);
        let mut buffers = Buffers::after(std::mem::take(&mut dual));
        let misfit = steps.advance(step, whole, &y, &before, &mut x0, &mut buffers);
        if step + 1 < self.grids.len() {
            *dual = buffers.into_dual();
        }
        next.write(whole, &x0);
        self.note(step, 0, misfit);
    }

    /// Keeps the misfit of a tile, if it is of the last step.
    fn note(&self, step: usize, tile: usize, misfit: Misfit) {
        if step + 1 == self.grids.len() {
            lock(&self.misfits)[tile] = misfit;
        }
    }

    /// The sum of the misfits of the row of tiles that ends with this row of the scene.
    fn misfit(&self, end: usize) -> Misfit {
        let mut sum = Misfit::default();
        let Some(grid) = self.grids.last() else { return sum };
        let columns = grid.columns.len();
        let row = grid.rows.iter().position(|row| row.core_end == end);
        let tiles = match self.a.reach() {
            Reach::Local => row.map_or(0..0, |row| row * columns..(row + 1) * columns),
            Reach::Global => 0..grid.len(),
        };
        lock(&self.misfits)[tiles].iter().for_each(|tile| sum.add(*tile));
        sum
    }

    /// Finishes rows and hands them out.
    fn finish(&self, settings: &Settings, rows: Range<usize>, done: OnFinished) -> Result<()> {
        let region = full_width(rows.clone(), self.a.scene());
        let mut x = read(&self.strips.states[self.grids.len()]).rows(rows.clone());
        if let Some(classical) = &self.strips.classical {
            // Two estimates with errors of their own: a blend is often better than either.
            let b = settings.generative;
            let classical = read(classical).rows(rows);
            x.iter_mut().zip(&*classical).for_each(|(x, c)| *x = c + b * (*x - c));
        }
        if let Some(warm) = self.warm {
            warm.keep(region, &mut x);
        }
        let measured = self.a.measured(region);
        let y = read(&self.strips.y).rows(measured.y..measured.y + measured.height);
        finish(&*self.a, region, &y, settings, &mut x);
        done(Finished { region, x: &x, y: &y, misfit: self.misfit(region.y + region.height) })
    }
}

impl Strips {
    /// Lets go of everything that is left from a frame before.
    fn clear(&self, measured: &mut Rack, scenes: &mut Rack) {
        write(&self.y).clear(measured);
        for strip in self.classical.iter().chain(&self.states) {
            write(strip).clear(scenes);
        }
    }

    /// Takes rows of the measurement from `source`, up to `end`.
    fn measure(&self, end: usize, source: &mut dyn Rows, rack: &mut Rack) -> Result<()> {
        let mut y = write(&self.y);
        while y.end() < end {
            let row = y.next_row(rack);
            source.next(row)?;
            if let Some(bad) = not_finite(row) {
                return Err(Error::shape("measurement", "finite values", bad));
            }
        }
        Ok(())
    }

    /// Lets go of what no task needs any more.
    fn release(&self, order: &Order, measured: &mut Rack, scenes: &mut Rack) {
        write(&self.y).release(order.first_of_measurement(), measured);
        if let Some(classical) = &self.classical {
            write(classical).release(order.finished(), scenes);
        }
        for (k, state) in self.states.iter().enumerate() {
            write(state).release(order.first_of_state(k), scenes);
        }
    }
}

/// How far a frame has come, and who wants to know.
struct Told<'a> {
    progress: OnProgress<'a>,
    now: Progress,
}

impl Told<'_> {
    fn tile_done(&mut self) -> ControlFlow<()> {
        self.now.done += 1;
        (self.progress)(self.now)
    }
}

// A lock poisoned by a panic is of no matter: the panic goes on up.

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(|e| e.into_inner())
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(|e| e.into_inner())
}
