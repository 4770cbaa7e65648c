//! What a restoration will cost, before it is started.

use std::time::Instant;

use crate::degrade::Degradation;
use crate::error::Result;
use crate::frame::Shape;
use crate::prior::{Model, Prior};
use crate::sampler::grid::Grid;
use crate::sampler::{Settings, tiling};

/// The cost of one restoration. Bytes are an estimate from counted buffers, seconds from one
/// evaluation timed on this machine.
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
    /// The network's weights, once per window size that occurs.
    pub weight_bytes: u64,
    /// Measurement, states and result.
    pub frame_bytes: u64,
    /// Intermediate results of the network, all threads.
    pub activation_bytes: u64,
    pub seconds: f64,
}

impl Plan {
    /// All of the memory.
    pub fn bytes(&self) -> u64 {
        self.weight_bytes + self.frame_bytes + self.activation_bytes
    }
}

/// Plans a restoration; evaluates the prior once on one window to time it.
pub fn plan(a: &dyn Degradation, prior: &Model, settings: &Settings) -> Result<Plan> {
    let tiling = tiling(a, prior, &settings.levels);
    let scene = a.scene();
    let grids: Vec<Grid> = (0..settings.levels.len()).map(|k| tiling.grid(scene, k)).collect();
    let window_pixels: u64 = grids.iter().map(|g| g.window_pixels() as u64).sum();
    let mut sizes: Vec<(usize, usize)> = grids
        .iter()
        .flat_map(|g| g.tiles(0..g.rows.len()))
        .map(|t| (t.rows.size, t.columns.size))
        .collect();
    sizes.sort_unstable();
    sizes.dedup();
    let (height, width) = *sizes.iter().max_by_key(|(h, w)| h * w).unwrap_or(&(0, 0));

    let (layers, weight_bytes) = prior.layers(height, width)?;
    let macs: u64 = layers.iter().map(|l| l.multiply_accumulates).sum();
    let window = (height * width) as u64;
    let seconds = time_one(prior, settings, height, width)? * window_pixels as f64 / window as f64;
    // The widest layer's input and output and one skip connection live at a time; the widest
    // layers hold as many values as the picture has, times channels over down-sampling.
    let values = layers.iter().map(|l| l.values).max().unwrap_or(0);
    let threads = settings.threads.min(grids[0].len().max(1)) as u64;
    let frame = 4 * scene.len() as u64;
    Ok(Plan {
        scene,
        core: tiling.tile,
        halo: tiling.halo,
        tiles: grids.iter().map(Grid::len).sum(),
        evaluations: settings.levels.len(),
        window_pixels,
        multiply_accumulates: (macs as f64 * window_pixels as f64 / window as f64) as u64,
        // Parsed once, and packed once per window size.
        weight_bytes: weight_bytes * (1 + sizes.len() as u64),
        frame_bytes: 6 * frame + 3 * 4 * a.measurement().len() as u64,
        activation_bytes: threads * 4 * 4 * values,
        // Threads share memory and caches: perfect scaling is the lower bound.
        seconds: seconds / threads as f64,
    })
}

fn time_one(prior: &dyn Prior, settings: &Settings, height: usize, width: usize) -> Result<f64> {
    let mut evaluator = prior.evaluator(height, width)?;
    let x = vec![0.0; prior.channels() * height * width];
    let mut out = x.clone();
    // The first evaluation also touches memory for the first time.
    evaluator.x0(&x, settings.levels[0], &mut out)?;
    let started = Instant::now();
    evaluator.x0(&x, settings.levels[0], &mut out)?;
    Ok(started.elapsed().as_secs_f64())
}
