//! How many bytes of rows a restoration holds at most: its order gone through without a picture.

use std::ops::Range;

use super::whole;
use crate::degrade::{Degradation, Reach, full_width};
use crate::sampler::grid::Grid;
use crate::sampler::order::{Order, Places, Task};

pub const FLOAT: u64 = size_of::<f32>() as u64;
/// What a row costs besides its values: its place in the list and the allocator's own.
const ROW: u64 = 40;

/// How a restoration goes about it, as far as it matters for its rows.
#[derive(Clone, Copy)]
pub struct Way {
    /// Rows of tiles at a time.
    pub band: usize,
    /// Tiles at a time.
    pub threads: usize,
    /// Whether the classical estimate is blended in at the end.
    pub blends: bool,
    /// Whether noise is drawn.
    pub draws: bool,
    /// Whether the measurement has no noise, so that the last pass makes it exact.
    pub exactly: bool,
    /// Whether measured values differ in their noise, or in whether they say something.
    pub values_differ: bool,
    /// Whether saturated values are left out of systems of equations.
    pub loosens: bool,
}

/// The most bytes that rows and the buffers of a task take together, beside `network` bytes that
/// are taken from the first tile on.
pub fn peak(a: &dyn Degradation, grids: &[Grid], way: &Way, network: u64) -> u64 {
    let (before, beside) = peaks(a, grids, way);
    beside.max(before.saturating_sub(network)) + a.held_bytes()
}

/// The most bytes before the first tile, and from then on.
fn peaks(a: &dyn Degradation, grids: &[Grid], way: &Way) -> (u64, u64) {
    let (scene, measurement) = (a.scene(), a.measurement());
    let row = |values: usize| values as u64 * FLOAT + ROW;
    let scene_row = row(scene.channels * scene.width);
    let measured_row = row(measurement.channels * measurement.width);
    let steps = grids.len();
    let mut places = Places::default();
    let mut order = Order::new(a, grids, way.band, way.threads, &mut places);
    let (mut y, mut started) = (Held::default(), Held::default());
    let mut states = vec![Held::default(); steps + 1];
    // First before any tile, then beside the network.
    let (mut most, mut before) = (0, None);
    let held = |y: &Held, started: &Held, states: &[Held]| {
        y.rows() * measured_row
            + started.rows() * if way.blends { scene_row } else { 0 }
            + states.iter().map(|s| s.rows() * scene_row).sum::<u64>()
    };
    while let Some(task) = order.next_task() {
        let buffers = match task {
            Task::Start { rows, support } => {
                y.end = y.end.max(support.end);
                let buffers = match a.reach() {
                    Reach::Local => classical(a, rows.clone()),
                    Reach::Global => whole::start(a, way),
                };
                most = most.max(held(&y, &started, &states) + buffers);
                started.end = rows.end;
                states[0].end = rows.end;
                rows.len() as u64 * scene_row
            }
            Task::Tiles { step, rows } => {
                before.get_or_insert_with(|| std::mem::take(&mut most));
                let tiles = &grids[step].rows[rows];
                states[step + 1].end = tiles.last().map_or(0, |t| t.core_end);
                match a.reach() {
                    Reach::Local => {
                        let at_once = way.threads.min(grids[step].len()) as u64;
                        at_once * projection(a, grids[step].largest_core(), way)
                    }
                    Reach::Global => whole::projection(a, way),
                }
            }
            Task::Finish { rows } if a.reach() == Reach::Local => finish(a, rows.len(), way),
            Task::Finish { .. } => whole::finish(a, way),
        };
        most = most.max(held(&y, &started, &states) + buffers);
        y.first = order.first_of_measurement();
        started.first = order.finished();
        for (k, state) in states.iter_mut().enumerate() {
            state.first = order.first_of_state(k);
        }
    }
    // The allocator does not fit everything together without gaps: a sixth, by experience.
    let gaps = |bytes: u64| bytes + bytes / 6 + FLOAT * measured_block(a) as u64;
    (gaps(before.unwrap_or(0)), gaps(most))
}

/// Rows `first .. end` of a strip.
#[derive(Debug, Clone, Default)]
struct Held {
    first: usize,
    end: usize,
}

impl Held {
    fn rows(&self) -> u64 {
        self.end.saturating_sub(self.first) as u64
    }
}

/// Buffers of a classical estimate of some rows, in blocks that are made at the same time, each
/// from the rows of the measurement that it depends on.
fn classical(a: &dyn Degradation, rows: Range<usize>) -> u64 {
    let (scene, measurement) = (a.scene(), a.measurement());
    let block = a.classical_block();
    let support = |top| a.classical_support(top..(top + block).min(rows.end)).len();
    let supports = || rows.clone().step_by(block).map(support);
    let (support, largest): (usize, usize) = (supports().sum(), supports().max().unwrap_or(1));
    let estimate = rows.len() * scene.channels * scene.width;
    let measured = support * measurement.channels * measurement.width;
    // First it is made, then corrected by what was measured.
    let own = a.classical_bytes() * support as u64 / largest.max(1) as u64;
    if a.is_identity() {
        return FLOAT * (estimate + measured) as u64;
    }
    let made = FLOAT * (estimate + 2 * measured) as u64 + own;
    made.max(FLOAT * (2 * estimate + 4 * measured) as u64)
}

/// Bytes of a block's classical estimate and of what it is made from. An allocator may keep them
/// for the thread that made it, where another thread has no use of them.
pub fn kept(a: &dyn Degradation) -> u64 {
    if a.reach() == Reach::Global {
        return 0;
    }
    let (scene, measurement) = (a.scene(), a.measurement());
    let rows = a.classical_block().min(scene.height);
    let support = a.classical_support(0..rows).len();
    let values = rows * scene.channels * scene.width;
    FLOAT * (values + support * measurement.channels * measurement.width) as u64
}

/// Bytes that a thread holds for the core of a tile of `pixels`: what becomes of it, and the
/// correction; the residual. Where the projection is one of the whole frame, only what becomes of it.
pub fn tile_bytes(a: &dyn Degradation, pixels: usize) -> u64 {
    let values = (pixels * a.scene().channels) as u64;
    if a.reach() == Reach::Global {
        return FLOAT * values;
    }
    FLOAT * (2 * values + measured_share(a, values))
}

/// Of so many values of the scene, how many a measurement has.
fn measured_share(a: &dyn Degradation, values: u64) -> u64 {
    (values as f64 * a.measurement().len() as f64 / a.scene().len() as f64) as u64
}

/// Buffers of a projection of `pixels` of the scene besides: the scaled residual, and a draw's
/// kinds of noise, or the strength of each value's.
fn projection(a: &dyn Degradation, pixels: usize, way: &Way) -> u64 {
    let values = (pixels * a.scene().channels) as u64;
    let measured = measured_share(a, values) * if way.values_differ { 3 } else { 1 };
    FLOAT * (measured + if way.draws { 3 * values } else { 0 })
}

/// Buffers of the last pass over some rows, and of their way into the file and the certificate.
fn finish(a: &dyn Degradation, rows: usize, way: &Way) -> u64 {
    let region = full_width(0..rows, a.scene());
    let pixels = region.area();
    let values = (pixels * a.scene().channels) as u64;
    let measured = measured_share(a, values);
    if !way.exactly {
        // Estimate, blend and rounded result, and residuals of that.
        return FLOAT * (4 * values + 4 * measured);
    }
    FLOAT * (8 * values + 3 * measured)
}

/// Values of the measurement that are converted at a time, and held until all of them are taken.
fn measured_block(a: &dyn Degradation) -> usize {
    if a.reach() == Reach::Global {
        // Converted and taken before anything else is held.
        return 0;
    }
    let first = crate::degrade::blocks(a).next();
    first.map_or(0, |region| a.measured(region).shape(a.measurement().channels).len())
}
