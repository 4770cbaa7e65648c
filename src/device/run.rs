//! The loop over steps: the frame's state stays where the graphs run.

use tract_core::internal::*;
use tract_core::runtime::Runnable;

use super::engine::Engine;
use super::operator::Closed;
use super::step::{BATCH, Numbers, Plan};
use super::{Precision, guarded};
use crate::degrade::{Degradation, Reach, full_width};
use crate::error::{Error, Result};
use crate::frame::{Frame, Region, Rows, Shape, rows_of};
use crate::prior::Model;
use crate::sampler::grid::Grid;
use crate::sampler::{
    self, Finished, Misfit, Mode, OnFinished, OnProgress, Progress, Settings, Steps,
};

/// Bytes that go over the bus for a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    pub up: u64,
    pub down: u64,
}

/// Compiled steps for frames of one size, one degradation and one schedule.
pub struct Prepared<'a> {
    a: &'a dyn Degradation,
    model: &'a Model,
    settings: &'a Settings,
    engine: &'a dyn Engine,
    closed: Closed,
    /// A grid and the step over it: there are two, of which one is shifted.
    steps: Vec<(Grid, Box<dyn Runnable>)>,
}

/// Whether a degradation has a form that graphs can hold.
///
/// # Errors
/// [`Error::Usage`], which says what there is instead.
pub fn supports(a: &dyn Degradation) -> Result<Closed> {
    Closed::of(a).ok_or_else(|| {
        let expected = "a degradation with a closed form, of none, sr:N, mask, gain, gray, bayer and \
                        what they make together, or blur:gauss or blur:box alone";
        Error::Usage(format!("device: expected {expected}, found `{}`", a.spec()))
    })
}

/// Whether graphs can hold what a restoration is to do: as [`supports`], noise of one strength, and
/// measured values that are no intervals.
pub fn takes(a: &dyn Degradation, settings: &Settings) -> Result<Closed> {
    if settings.camera.is_some() {
        let why = "device: expected noise of one strength, found a camera's";
        return Err(Error::Usage(why.into()));
    }
    if settings.limits.is_some() {
        let why = "device: expected measured values that are exact, found intervals (--saturation)";
        return Err(Error::Usage(why.into()));
    }
    supports(a)
}

/// What is to be restored, and how.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    pub a: &'a dyn Degradation,
    pub model: &'a Model,
    pub settings: &'a Settings,
    pub precision: Precision,
}

impl Job<'_> {
    /// The steps as graphs, with the grids of their tiles: those of all steps, each once.
    pub fn graphs(&self) -> Result<Vec<(Grid, TypedModel)>> {
        let Job { a, model, settings, precision } = *self;
        sampler::check(a, a.measurement(), model, settings)?;
        let closed = takes(a, settings)?;
        let plan = Plan { a, closed: &closed, model, settings, precision, batch: BATCH };
        let mut graphs: Vec<(Grid, TypedModel)> = Vec::new();
        for grid in sampler::grids(a, model, &settings.levels) {
            if !graphs.iter().any(|(known, _)| *known == grid) {
                let graph = plan.step(&grid)?;
                graphs.push((grid, graph));
            }
        }
        Ok(graphs)
    }

    /// The operators of all steps, how many nodes there are of each, and where tract's source
    /// translates them.
    #[cfg(feature = "cuda")]
    pub fn summary(&self) -> Result<Vec<(String, usize, String)>> {
        let graphs: Vec<TypedModel> = self.graphs()?.into_iter().map(|(_, graph)| graph).collect();
        guarded("a step that can be looked through", || super::table::summary(&graphs))
    }
}

impl<'a> Prepared<'a> {
    /// Builds and compiles the steps.
    pub fn new(engine: &'a dyn Engine, job: Job<'a>) -> Result<Prepared<'a>> {
        let mut steps: Vec<(Grid, Box<dyn Runnable>)> = Vec::new();
        for (grid, graph) in job.graphs()? {
            let step = guarded("a step that can be compiled", || engine.prepare(graph))?;
            steps.push((grid, step));
        }
        let Job { a, model, settings, .. } = job;
        Ok(Prepared { a, model, settings, engine, closed: supports(a)?, steps })
    }

    /// The step over one grid.
    fn step(&self, grid: &Grid) -> Result<&dyn Runnable> {
        let found = self.steps.iter().find(|(known, _)| known == grid);
        found.map(|(_, step)| step.as_ref()).ok_or_else(|| {
            Error::Usage("device: expected tiles that steps were compiled for, found others".into())
        })
    }

    /// Restores a frame, as [`sampler::restore`] does. It reports progress, and can be stopped,
    /// after each step.
    pub fn restore(&self, y: &Frame, progress: OnProgress) -> Result<(Frame, Traffic)> {
        sampler::check(self.a, y.shape, self.model, self.settings)?;
        if let Some(bad) = crate::frame::not_finite(&y.data) {
            return Err(Error::shape("measurement", "finite values", bad));
        }
        let (a, settings) = (self.a, self.settings);
        let (scene, whole) = (a.scene(), Region::whole(a.scene()));
        let classical = a.start(&y.data, settings.sigma_y);
        let mut x = classical.clone();
        let native = Steps { a, settings };
        native.start(whole, &mut x);

        let mut traffic = Traffic::default();
        let measurement = self.upload(a.measurement(), &y.data, &mut traffic)?;
        let mut state = self.upload(scene, &x, &mut traffic)?;
        let grids = sampler::grids(a, self.model, &settings.levels);
        let mut told = Progress { done: 0, total: grids.iter().map(Grid::len).sum() };
        for (k, grid) in grids.iter().enumerate() {
            let numbers = Numbers::new(a, self.model, settings, &self.closed.singular, k);
            let numbers =
                self.upload(Shape::new(1, 1, Numbers::COUNT), &numbers.values(), &mut traffic)?;
            let mut inputs = tvec![state, measurement.clone(), numbers];
            if let Mode::Sample { seed, .. } = settings.mode {
                native.field(k, seed).fill(whole, scene.channels, &mut x);
                inputs.push(self.upload(scene, &x, &mut traffic)?);
            }
            let step = self.step(grid)?;
            let mut outputs = guarded("a step that runs", || step.run(inputs))?;
            let health = outputs.pop().map(|v| read(&v, &mut traffic)).transpose()?;
            state = outputs.pop().ok_or_else(|| no_output(k))?;
            if !health.is_some_and(|h| h.iter().all(|v| v.is_finite())) {
                let what = format!("the prior's estimate at step {}, on a device", k + 1);
                let expected = "finite values".into();
                return Err(Error::Numerical { what, expected, found: "others".into() });
            }
            told.done += grid.len();
            if progress(told).is_break() {
                return Err(Error::Interrupted);
            }
        }
        let mut x = read(&state, &mut traffic)?;
        if settings.generative < 1.0 {
            let b = settings.generative;
            x.iter_mut().zip(&classical).for_each(|(x, c)| *x = c + b * (*x - c));
        }
        for region in crate::degrade::blocks(a) {
            finish(a, region, y, settings, &mut x);
        }
        Ok((Frame::new(scene, x)?, traffic))
    }

    /// [`restore`](Prepared::restore) for rows of a measurement and of a result, as
    /// [`sampler::restore_rows`]; both frames are held whole.
    pub fn restore_rows(
        &self,
        source: &mut dyn Rows,
        done: OnFinished,
        progress: OnProgress,
    ) -> Result<()> {
        let (a, scene) = (self.a, self.a.scene());
        let mut y = Frame::filled(source.shape(), 0.0);
        let width = y.shape.width;
        let mut row = vec![0.0; y.shape.channels * width];
        for i in 0..y.shape.height {
            source.next(&mut row)?;
            for (c, part) in row.chunks_exact(width).enumerate() {
                y.channel_mut(c)[i * width..][..width].copy_from_slice(part);
            }
        }
        let (x, traffic) = self.restore(&y, progress)?;
        log::info!("{} bytes to the device, {} back", traffic.up, traffic.down);
        let grids = sampler::grids(a, self.model, &self.settings.levels);
        let whole = [(0, scene.height)];
        let rows: Vec<(usize, usize)> = match (a.reach(), grids.last()) {
            (Reach::Local, Some(last)) => last.rows.iter().map(|s| (s.core, s.core_end)).collect(),
            _ => whole.to_vec(),
        };
        for (from, to) in rows {
            let region = full_width(from..to, scene);
            let measured = a.measured(region);
            let part = rows_of(&x.data, scene, from..to);
            let y = rows_of(&y.data, y.shape, measured.y..measured.y + measured.height);
            done(Finished { region, x: &part, y: &y, misfit: Misfit::default() })?;
        }
        Ok(())
    }

    fn upload(&self, shape: Shape, values: &[f32], traffic: &mut Traffic) -> Result<TValue> {
        traffic.up += size_of_val(values) as u64;
        guarded("room for a frame", || {
            let shape = [1, shape.channels, shape.height, shape.width];
            self.engine.upload(Tensor::from_shape(&shape, values)?)
        })
    }
}

/// The last pass over some rows of the frame `x`.
fn finish(a: &dyn Degradation, region: Region, y: &Frame, settings: &Settings, x: &mut [f32]) {
    let scene = a.scene();
    let measured = a.measured(region);
    let mut part = rows_of(x, scene, region.y..region.y + region.height);
    let y = rows_of(&y.data, y.shape, measured.y..measured.y + measured.height);
    sampler::finish(a, region, &y, settings, &mut part);
    for (plane, part) in x.chunks_exact_mut(scene.plane()).zip(part.chunks(region.area())) {
        plane[region.y * scene.width..][..part.len()].copy_from_slice(part);
    }
}

fn read(value: &TValue, traffic: &mut Traffic) -> Result<Vec<f32>> {
    let values = guarded("a result that can be read", || {
        Ok(value.try_as_plain_ram()?.as_slice::<f32>()?.to_vec())
    })?;
    traffic.down += size_of_val(&values[..]) as u64;
    Ok(values)
}

fn no_output(k: usize) -> Error {
    let what = format!("step {} on a device", k + 1);
    Error::Numerical { what, expected: "a state".into(), found: "nothing".into() }
}
