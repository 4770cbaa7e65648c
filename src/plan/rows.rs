//! How many bytes of rows a restoration holds at most: its order gone through without a picture.

use crate::degrade::{Degradation, Reach, full_width};
use crate::sampler::grid::Grid;
use crate::sampler::order::{Order, Task};

const FLOAT: u64 = size_of::<f32>() as u64;
/// What a row costs besides its values: its place in the list and the allocator's own.
const ROW: u64 = 40;

/// The most bytes that rows and the buffers of a task take together, beside a network that takes
/// `network` bytes from the first tile on; `threads` tiles are worked on at a time.
pub fn peak(
    a: &dyn Degradation,
    grids: &[Grid],
    band: usize,
    blends: bool,
    threads: usize,
    network: u64,
) -> u64 {
    let (before, beside) = peaks(a, grids, band, blends, threads);
    beside.max(before.saturating_sub(network)) + a.held_bytes()
}

/// The most bytes before the first tile, and from then on.
fn peaks(
    a: &dyn Degradation,
    grids: &[Grid],
    band: usize,
    blends: bool,
    threads: usize,
) -> (u64, u64) {
    let (scene, measurement) = (a.scene(), a.measurement());
    let row = |values: usize| values as u64 * FLOAT + ROW;
    let scene_row = row(scene.channels * scene.width);
    let measured_row = row(measurement.channels * measurement.width);
    let steps = grids.len();
    let mut order = Order::new(a, grids, band);
    let (mut y, mut started) = (Held::default(), Held::default());
    let mut states = vec![Held::default(); steps + 1];
    // First before any tile, then beside the network.
    let (mut most, mut before) = (0, None);
    let held = |y: &Held, started: &Held, states: &[Held]| {
        y.rows() * measured_row
            + started.rows() * if blends { scene_row } else { 0 }
            + states.iter().map(|s| s.rows() * scene_row).sum::<u64>()
    };
    while let Some(task) = order.next_task() {
        let buffers = match task {
            Task::Start { rows, support } => {
                y.end = y.end.max(support.end);
                let buffers = classical(a, rows.len(), support.len());
                most = most.max(held(&y, &started, &states) + buffers);
                started.end = rows.end;
                states[0].end = rows.end;
                rows.len() as u64 * scene_row
            }
            Task::Tiles { step, rows } => {
                before.get_or_insert_with(|| std::mem::take(&mut most));
                let tiles = &grids[step].rows[rows];
                states[step + 1].end = tiles.last().map_or(0, |t| t.core_end);
                let largest = tiles.iter().map(|r| r.core_end - r.core).max().unwrap_or(0);
                let columns = grids[step].columns.iter().map(|c| c.core_end - c.core);
                let largest = largest * columns.max().unwrap_or(0);
                match a.reach() {
                    Reach::Local => threads.min(grids[step].len()) as u64 * advance(a, largest),
                    Reach::Global => advance(a, scene.plane()),
                }
            }
            Task::Finish { rows } => finish(a, rows.len()),
        };
        most = most.max(held(&y, &started, &states) + buffers);
        y.first = order.first_of_measurement();
        started.first = order.finished();
        for (k, state) in states.iter_mut().enumerate() {
            state.first = order.first_of_state(k);
        }
    }
    // The allocator does not fit everything together without gaps: an eighth, by experience.
    let gaps = |bytes: u64| bytes + bytes / 8 + FLOAT * measured_block(a) as u64;
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

/// Buffers of a classical estimate of some rows from `support` rows of the measurement.
fn classical(a: &dyn Degradation, rows: usize, support: usize) -> u64 {
    let (scene, measurement) = (a.scene(), a.measurement());
    let estimate = rows * scene.channels * scene.width;
    let measured = support * measurement.channels * measurement.width;
    // First it is made, then corrected by what was measured.
    let made = FLOAT * (estimate + 2 * measured) as u64 + a.classical_bytes();
    made.max(FLOAT * (2 * estimate + 4 * measured) as u64)
}

/// Buffers of a projection of `pixels` of the scene: state, estimate, correction and a draw's two
/// kinds of noise; the measurement, its residual and spectrum.
fn advance(a: &dyn Degradation, pixels: usize) -> u64 {
    let values = pixels * a.scene().channels;
    let share = a.measurement().len() as f64 / a.scene().len() as f64;
    // An operator over the whole frame has buffers of its own.
    let own = if a.rows_overlap() { a.classical_bytes() } else { 0 };
    own + FLOAT * (4 * values as u64 + (3.0 * values as f64 * share) as u64)
}

/// Buffers of the last pass over some rows, and of their way into the file and the certificate.
fn finish(a: &dyn Degradation, rows: usize) -> u64 {
    let region = full_width(0..rows, a.scene());
    FLOAT * (5 * a.scene().channels * region.area()) as u64 + advance(a, region.area())
}

/// Values of the measurement that are converted at a time.
fn measured_block(a: &dyn Degradation) -> usize {
    let first = crate::degrade::blocks(a).next();
    first.map_or(0, |region| a.measured(region).shape(a.measurement().channels).len())
}
