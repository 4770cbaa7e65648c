//! What a restoration will cost, before it is started, and how it fits into a budget of memory.

mod rows;
mod whole;

use std::time::Instant;

use crate::boards::MemoryLimit;
use crate::degrade::{Degradation, Reach};
use crate::error::{Error, Result};
use crate::frame::Shape;
use crate::prior::{Model, Prior};
use crate::sampler::grid::Grid;
use crate::sampler::{Mode, Settings, grids, tiling};

/// A restoration that is to be planned.
pub struct Job<'a> {
    pub a: &'a dyn Degradation,
    pub prior: &'a Model,
    /// Its `threads` are the most that may be used, its `band` the most rows of tiles at a time.
    pub settings: &'a Settings,
    /// What holding the input in memory takes, see [`Picture::held_bytes`](crate::io::Picture).
    pub input_bytes: u64,
    /// Bits per sample of the result.
    pub bits: u8,
    /// Whether the result is held in memory until it is whole, as on its way to a pipe.
    pub output_is_held: bool,
}

/// How a restoration goes about it, and what it costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub scene: Shape,
    /// Preferred core and halo of a tile, in pixels.
    pub core: usize,
    pub halo: usize,
    /// Tiles of all steps.
    pub tiles: usize,
    /// Evaluations of the network per pixel.
    pub evaluations: usize,
    /// Pixels that go through the network, halos included, over all steps.
    pub window_pixels: u64,
    pub multiply_accumulates: u64,
    /// Bytes that the network reads and writes if nothing stays in a cache from one layer to the
    /// next: every value once written and once read, and the weights once per window.
    pub bytes_moved: u64,
    /// Threads that are used, and rows of tiles that are worked on at a time (`None`: whole frame).
    pub threads: usize,
    pub band: Option<usize>,
    pub memory: Memory,
}

/// Private memory at its peak, in bytes, by what it is for. The model's weights in a packed file
/// are not in it: they are mapped, and the system can take their pages back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// The program itself, its threads, and the coding of pictures.
    pub program: u64,
    /// The model, where it is not mapped.
    pub model: u64,
    /// Working memory of the network and of tiles, all threads.
    pub network: u64,
    /// Rows of the measurement, of the states between the steps and of the result.
    pub rows: u64,
    /// An input or output that cannot be read or written row by row.
    pub files: u64,
}

impl Memory {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.program + self.model + self.network + self.rows + self.files
    }
}

/// What the program takes before it does anything: its relocated data, stacks, the allocator.
const PROGRAM: u64 = 1216 << 10;
/// What each further thread takes: its stack as far as it is used, and an allocator of its own.
const THREAD: u64 = 384 << 10;
/// Buffers of the decoder and of the encoder of a picture, and of their files; with 16 bits another
/// one compresses.
const CODING: [u64; 2] = [640 << 10, 1 << 20];
/// Rows of samples that decoder and encoder hold: the last ones, and filtered ones to choose from.
const CODED_ROWS: u64 = 16;

/// Plans within limits of memory: as many threads as may be used and fit, then as many rows of
/// tiles at a time as keep them busy and fit. Neither changes the result.
///
/// # Errors
/// [`Error::Memory`] with the smallest limit that would do.
pub fn plan(job: &Job, limits: &[MemoryLimit]) -> Result<Plan> {
    let grids = grids(job.a, job.prior, &job.settings.levels);
    let columns = grids.iter().map(|g| g.columns.len()).min().unwrap_or(1);
    let most_rows = job.settings.band.unwrap_or(usize::MAX);
    for threads in (1..=job.settings.threads.max(1)).rev() {
        // With fewer tiles than this at a time threads wait for each other too often.
        let busy = if threads == 1 { 1 } else { (4 * threads).div_ceil(columns).min(most_rows) };
        for band in (1..=busy).rev() {
            let memory = memory(job, &grids, threads, band)?;
            let further = threads as u64 - 1;
            if limits.iter().all(|l| memory.total() + further * l.thread <= l.bytes) {
                return finish(job, &grids, threads, band, memory);
            }
        }
    }
    let most = job.settings.threads.max(1);
    let busy = (4 * most).div_ceil(columns).min(most_rows);
    let needed = memory(job, &grids, most, busy)?.total();
    let smallest = memory(job, &grids, 1, 1)?.total();
    let limit = limits.iter().map(|l| l.bytes).min().unwrap_or(u64::MAX);
    Err(Error::Memory { needed, limit, smallest })
}

fn finish(job: &Job, grids: &[Grid], threads: usize, band: usize, memory: Memory) -> Result<Plan> {
    let tiling = tiling(job.a, job.prior, &job.settings.levels);
    let (height, width) = largest_window(grids);
    let (layers, weights) = job.prior.layers(height, width)?;
    let macs: u64 = layers.iter().map(|l| l.multiply_accumulates).sum();
    let values: u64 = layers.iter().map(|l| l.values).sum();
    let window_pixels: u64 = grids.iter().map(|g| g.window_pixels() as u64).sum();
    let windows = window_pixels as f64 / (height * width) as f64;
    Ok(Plan {
        scene: job.a.scene(),
        core: tiling.tile,
        halo: tiling.halo,
        tiles: grids.iter().map(Grid::len).sum(),
        evaluations: grids.len(),
        window_pixels,
        multiply_accumulates: (macs as f64 * windows) as u64,
        bytes_moved: ((8 * values + weights) as f64 * windows) as u64,
        threads,
        band: if job.a.reach() == Reach::Local { Some(band) } else { None },
        memory,
    })
}

fn memory(job: &Job, grids: &[Grid], threads: usize, band: usize) -> Result<Memory> {
    let (a, scene) = (job.a, job.a.scene());
    let (height, width) = largest_window(grids);
    let tiles = grids.iter().map(Grid::len).max().unwrap_or(1);
    let used = threads.min(tiles) as u64;
    // What goes into the prior, which is the state first, and what comes out of it.
    let window = 2 * job.prior.channels() * height * width * size_of::<f32>();
    let engine = job.prior.memory(height, width)? + window;
    let core = grids.iter().map(Grid::largest_core).max().unwrap_or(0);
    let samples = usize::from(job.bits / 8) * (scene.channels + 1);
    let row = (scene.width * samples) as u64;
    let way = rows::Way {
        band,
        threads,
        blends: job.settings.generative < 1.0,
        draws: job.settings.mode != Mode::Faithful,
        exactly: job.settings.sigma_y == 0.0,
        values_differ: job.settings.camera.is_some() || job.settings.limits.is_some(),
        loosens: job.settings.limits.is_some() && a.rows_overlap(),
    };
    let network = used * (engine as u64 + rows::tile_bytes(a, core));
    let coding = CODING[usize::from(job.bits > 8)];
    Ok(Memory {
        program: PROGRAM + coding + (used - 1) * (THREAD + rows::kept(a)) + CODED_ROWS * row,
        model: job.prior.held_bytes(),
        network,
        rows: rows::peak(a, grids, &way, network),
        // Growing by doubling, a buffer has room for twice of what it holds.
        files: job.input_bytes + if job.output_is_held { 2 * row * scene.height as u64 } else { 0 },
    })
}

fn largest_window(grids: &[Grid]) -> (usize, usize) {
    let sizes = grids.iter().map(Grid::largest_window);
    sizes.max_by_key(|(h, w)| h * w).unwrap_or((1, 1))
}

/// Seconds that a plan takes on this machine: one window is evaluated to time it.
pub fn seconds_here(job: &Job, plan: &Plan) -> Result<f64> {
    let grids = grids(job.a, job.prior, &job.settings.levels);
    let (height, width) = largest_window(&grids);
    let mut evaluator = job.prior.evaluator(height, width)?;
    let x = vec![0.0; job.prior.channels() * height * width];
    let mut out = x.clone();
    // The first evaluation also touches memory for the first time.
    evaluator.x0(&x, job.settings.levels[0], &mut out)?;
    let started = Instant::now();
    evaluator.x0(&x, job.settings.levels[0], &mut out)?;
    let one = started.elapsed().as_secs_f64();
    // Threads share memory and caches: perfect scaling is the lower bound.
    Ok(one * plan.window_pixels as f64 / (height * width) as f64 / plan.threads as f64)
}
