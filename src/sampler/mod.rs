//! The restoration: a short schedule of noise levels, at each of which the prior says what the
//! scene could look like and the projection puts the measured part back.

mod bridge;
mod budget;
mod change;
mod crew;
mod defaults;
mod finish;
pub mod grid;
mod loosen;
pub mod order;
mod pace;
mod restorer;
mod step;
mod strip;
#[cfg(test)]
pub(crate) mod tests;
mod warm;
mod wavefront;
mod worker;

pub use budget::{Budget, Clock, machine_clock};
pub use defaults::{Defaults, defaults};
#[cfg(any(feature = "cuda", all(test, feature = "onnx")))]
pub(crate) use finish::finish;
pub use finish::{CONTENT, between, into_box, kept_residual, rms};
pub use restorer::Restorer;
#[cfg(any(feature = "cuda", all(test, feature = "onnx")))]
pub(crate) use step::{Amplitudes, Steps, ddnm_plus, effective_eta};
#[cfg(any(feature = "cuda", all(test, feature = "onnx")))]
pub(crate) use strip::mirror;
pub use warm::{Memory, Warm};

use std::ops::ControlFlow;

use crate::degrade::{CameraNoise, Degradation, Limits};
use crate::error::{Error, Result};
use crate::frame::{Frame, FrameRows, Region, Rows, Shape};
use crate::prior::Prior;
use crate::schedule::Level;
use grid::{Grid, Tiling};
use wavefront::{Part, Wavefront};

/// What the restoration aims at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    /// The highest fidelity: a proximal iteration without noise, `x <- x0 + w A+ (y - A x0)`
    /// with `x0 = prior(x, sigma_k)` and
    /// `w = rho sigma_k^2 / (rho sigma_k^2 + (sigma_y / s)^2)`, `rho` the
    /// [relaxation](Settings::relaxation).
    Faithful,
    /// A draw from what the scene could be: DDNM without noise in the measurement, DDNM+ with.
    Sample { eta: f64, rule: NoiseRule, seed: u64 },
}

/// How much of the noise of a `sample` step is drawn anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoiseRule {
    /// DDNM's: new and old noise in the proportion `eta : sqrt(1 - eta^2)` of the whole.
    Split,
    /// DDIM's `sigma(eta)` (Song et al. 2021, eq. 16).
    Ddim,
}

/// How to restore.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub mode: Mode,
    /// Noise of the measurement: standard deviation in units of `[-1, 1]`
    /// (`code values / 127.5`).
    pub sigma_y: f64,
    /// Where the noise differs from value to value: how. `sigma_y` is then that of a typical one.
    pub camera: Option<CameraNoise>,
    /// What the measurement's code values leave open; `None` takes them for exact (but for noise).
    pub limits: Option<Limits>,
    /// The noise levels, each of which costs one evaluation of the prior. They fall, but for time
    /// travel (Lugmayr et al. 2022): in the mode `sample` a level above the last one is reached by
    /// new noise on the projected estimate.
    pub levels: Vec<Level>,
    /// How far the result goes from the classical estimate (0) to what the prior makes of it (1);
    /// every value agrees with the measurement alike.
    pub generative: f32,
    /// Only for [`Mode::Faithful`] with noise: how many times the variance of its level an
    /// estimate of the prior is taken to have. Every step smooths, and the measurement must count
    /// for more the more steps there are: with 1 a step is that of the proximal iteration.
    pub relaxation: f64,
    /// Only for [`Mode::Faithful`]: the share of a step's change by which the state goes on in
    /// its direction, but for the last step. Where a step can take only part of an error away this
    /// saves steps. Without noise every state agrees with the measurement as before.
    pub momentum: f32,
    /// Number of the frame in a sequence, for its noise.
    pub frame: u32,
    /// Threads, at least 1. Does not change the result.
    pub threads: usize,
    /// Rows of tiles that are worked on at a time, see [`order`]; `None` is the whole frame. Does
    /// not change the result.
    pub band: Option<usize>,
}

impl Settings {
    /// Plain steps through `levels` on one thread, at once from top to bottom, with nothing left of
    /// the classical estimate.
    pub fn new(mode: Mode, sigma_y: f64, levels: Vec<Level>) -> Settings {
        Settings {
            mode,
            sigma_y,
            camera: None,
            limits: None,
            levels,
            generative: 1.0,
            relaxation: 1.0,
            momentum: 0.0,
            frame: 0,
            threads: 1,
            band: None,
        }
    }

    /// With what suits a degradation, but for the levels.
    pub fn suit(self, d: &Defaults) -> Settings {
        let Defaults { generative, relaxation, momentum, .. } = *d;
        Settings { generative, relaxation, momentum, ..self }
    }
}

/// How far a restoration has come: tiles, of all steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub done: usize,
    pub total: usize,
}

/// Called for each tile that is done, on the thread that called; may stop the restoration, which
/// then ends with [`Error::Interrupted`].
pub type OnProgress<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// The tiles of a restoration: how they lie and how many there are.
pub fn tiling(a: &dyn Degradation, prior: &dyn Prior, levels: &[Level]) -> Tiling {
    let sigma = levels.iter().map(Level::sigma).fold(0.0, f64::max);
    Tiling {
        tile: prior.tile(),
        halo: prior.halo(sigma),
        period: a.period(),
        multiple: prior.multiple(),
    }
}

/// The tiles of each step.
pub fn grids(a: &dyn Degradation, prior: &dyn Prior, levels: &[Level]) -> Vec<Grid> {
    let tiling = tiling(a, prior, levels);
    (0..levels.len()).map(|k| tiling.grid(a.scene(), k)).collect()
}

/// How far the prior's last estimate `x0` was from the measurement before it was projected onto it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Misfit {
    /// Sum of `(y - A x0)^2`, in units of `[-1, 1]`. Where noise differs from value to value, each
    /// is scaled by the typical deviation over its own.
    pub squares: f64,
    /// Values in it: all that are measured, without those of a picture that the estimate has nearer
    /// to black or white than two standard deviations of the noise.
    pub count: u64,
}

impl Misfit {
    /// Counts another part.
    pub fn add(&mut self, other: Misfit) {
        self.squares += other.squares;
        self.count += other.count;
    }

    /// Root of the mean square; 0 where nothing was counted.
    pub fn rms(&self) -> f64 {
        (self.squares / self.count.max(1) as f64).sqrt()
    }
}

/// Rows of a result, from the top: those of one row of the last step's tiles, or all of them for
/// an operator that needs the whole frame.
pub struct Finished<'a> {
    pub region: Region,
    /// The result, `[scene channels, region.height, region.width]`.
    pub x: &'a [f32],
    /// The measurement that belongs to the region.
    pub y: &'a [f32],
    /// That of a row of tiles comes with its last part; nothing is counted in other parts, and
    /// where a device restores.
    pub misfit: Misfit,
}

/// Called with finished rows; may fail, which ends the restoration.
pub type OnFinished<'a> = &'a mut dyn FnMut(Finished) -> Result<()>;

/// Restores the scene that `y` was measured from, from the top to the bottom: takes rows of `y`
/// (as from [`MeasuredRows`](crate::degrade::MeasuredRows)) as it needs them and hands out
/// finished ones. The result lies in `[-1, 1]`; without noise it satisfies `A x = y` to float
/// rounding wherever any picture in that range does.
pub fn restore_rows(
    a: &dyn Degradation,
    y: &mut dyn Rows,
    prior: &dyn Prior,
    settings: &Settings,
    done: OnFinished,
    progress: OnProgress,
) -> Result<()> {
    check(a, y.shape(), prior, settings)?;
    run(a, y, prior, settings, None, done, progress)
}

/// [`restore_rows`] for a measurement and a result in memory; `y` is as from
/// [`measurement`](crate::degrade::measurement).
pub fn restore(
    a: &dyn Degradation,
    y: &Frame,
    prior: &dyn Prior,
    settings: &Settings,
    progress: OnProgress,
) -> Result<Frame> {
    restore_warm(a, y, prior, settings, None, progress)
}

/// [`restore`] for a frame of a video, with what the frames before it say; only
/// [`Mode::Faithful`], whose states are pictures.
pub fn restore_warm(
    a: &dyn Degradation,
    y: &Frame,
    prior: &dyn Prior,
    settings: &Settings,
    warm: Option<&Warm>,
    progress: OnProgress,
) -> Result<Frame> {
    check(a, y.shape, prior, settings)?;
    if warm.is_some() && settings.mode != Mode::Faithful {
        return Err(Error::Usage("warm: expected the mode faithful, found sample".into()));
    }
    let mut x = Frame::filled(a.scene(), 0.0);
    let rows = &mut FrameRows::new(y);
    run(a, rows, prior, settings, warm, &mut into_frame(&mut x), progress)?;
    Ok(x)
}

/// Collects finished rows.
fn into_frame(x: &mut Frame) -> impl FnMut(Finished) -> Result<()> {
    |part| {
        let (from, len) = (part.region.y * part.region.width, part.region.area());
        for (c, plane) in part.x.chunks_exact(len).enumerate() {
            x.channel_mut(c)[from..from + len].copy_from_slice(plane);
        }
        Ok(())
    }
}

fn run(
    a: &dyn Degradation,
    y: &mut dyn Rows,
    prior: &dyn Prior,
    settings: &Settings,
    warm: Option<&Warm>,
    done: OnFinished,
    progress: OnProgress,
) -> Result<()> {
    let (a, prior) = (Part::Lent(a), Part::Lent(prior));
    Wavefront::new(a, prior, warm, settings.clone(), false).once(y, done, progress)
}

pub(crate) fn check(
    a: &dyn Degradation,
    y: Shape,
    prior: &dyn Prior,
    settings: &Settings,
) -> Result<()> {
    if y != a.measurement() {
        return Err(Error::shape("measurement", a.measurement(), y));
    }
    let (scene, known) = (a.scene().channels, prior.channels());
    if scene != known && scene != 1 {
        let expected = format!("a scene of {known} channels or 1");
        return Err(Error::shape("prior", expected, a.scene()));
    }
    if settings.levels.is_empty() || settings.threads == 0 || settings.band == Some(0) {
        return Err(Error::Usage("expected at least one step, thread and row of tiles".into()));
    }
    if !(0.0..=1.0).contains(&settings.generative) {
        let found = settings.generative;
        return Err(Error::Usage(format!("generative: expected 0 to 1, found {found}")));
    }
    if !(settings.sigma_y >= 0.0 && settings.sigma_y.is_finite()) {
        let found = settings.sigma_y;
        return Err(Error::Usage(format!("noise: expected 0 or more, found {found}")));
    }
    if !(settings.relaxation > 0.0 && settings.relaxation.is_finite()) {
        let found = settings.relaxation;
        return Err(Error::Usage(format!("relaxation: expected more than 0, found {found}")));
    }
    if !(0.0..=1.0).contains(&settings.momentum) {
        let found = settings.momentum;
        return Err(Error::Usage(format!("momentum: expected 0 to 1, found {found}")));
    }
    if settings.camera.is_some() {
        check_camera(a, settings)?;
    }
    if settings.limits.is_some() {
        check_limits(a)?;
    }
    Ok(())
}

/// What measured values that are intervals can be used with.
fn check_limits(a: &dyn Degradation) -> Result<()> {
    if a.is_picture() {
        return Ok(());
    }
    let (spec, expected) = (a.spec(), "a degradation that leaves a picture");
    Err(Error::Usage(format!("saturation: expected {expected}, found `{spec}`")))
}

/// What noise that differs from value to value can be used with.
fn check_camera(a: &dyn Degradation, settings: &Settings) -> Result<()> {
    if !a.is_picture() {
        let why = format!(
            "noise: expected one strength for all values of `{}`, which are no \
                           light, found a camera's noise",
            a.spec()
        );
        return Err(Error::Usage(why));
    }
    if a.rows_overlap() && settings.mode != Mode::Faithful {
        let why = format!(
            "noise: expected one strength for all values, or the mode faithful, \
                           for `{}`, found a camera's noise",
            a.spec()
        );
        return Err(Error::Usage(why));
    }
    Ok(())
}
