//! One step of a restoration as one graph: a frame's state in, its next state out.
//!
//! The same arithmetic as `sampler/step.rs`, on the whole frame at once: tiles are cut out of it
//! in the graph, go through the network in batches, and are put together again before the
//! projection. What changes from step to step is one short vector of numbers.

use std::collections::hash_map::Entry;

use tract_core::internal::*;

use super::operator::{Closed, Singular, Wired};
use super::tiles::{self, Batch};
use super::wires::Wires;
use super::{Precision, guarded, network};
use crate::degrade::Degradation;
use crate::error::Result;
use crate::prior::{Conversion, Model, Prior};
use crate::sampler::grid::Grid;
use crate::sampler::{Amplitudes, Mode, Settings, Steps, ddnm_plus, effective_eta};

/// Windows that go through the network at a time: enough to fill a device, and few enough that
/// what lives at once stays in the hundreds of megabytes.
pub const BATCH: usize = 8;

/// What changes from step to step. A vector `[1, 1, 1, COUNT]` on its way to a device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Numbers {
    /// What the network is told of the noise level.
    told: f32,
    /// From a state to the network's input.
    scale: f32,
    /// The estimate is `keep state + gain output`, and a constant.
    keep: f32,
    gain: f32,
    /// How far to move to the measurement, over `s^2`, and new and kept noise, likewise: where all
    /// singular values are one.
    lambda: f32,
    fresh: f32,
    kept: f32,
    /// New and kept noise where nothing is measured.
    null_fresh: f32,
    null_kept: f32,
    /// The prior's noise is `noise_state state + noise_x0 x0`.
    noise_state: f32,
    noise_x0: f32,
    /// Amplitude of the scene in the next state.
    signal: f32,
    /// Variance of the level, and of the measurement's noise.
    variance: f32,
    variance_y: f32,
    /// Standard deviations of the next level's noise and of the measurement's, as it enters.
    total: f32,
    measured: f32,
    /// What DDNM+ divides by the measurement's noise where that is the stronger.
    share: f32,
    /// By how much of its change a state goes on, and the negative.
    momentum: f32,
    backward: f32,
}

impl Numbers {
    pub const COUNT: usize = 19;

    /// Those of step `k`.
    pub fn new(
        a: &dyn Degradation,
        model: &Model,
        settings: &Settings,
        singular: &Singular,
        k: usize,
    ) -> Numbers {
        let steps = Steps { a, settings };
        let (level, next) = (settings.levels[k], steps.next_level(k));
        let (asked, to_input) = steps.asked(k, model);
        let Conversion { scale, told, keep, gain, .. } = model.conversion(asked);
        let sigma_y = settings.sigma_y;
        let variance = settings.relaxation * level.sigma().powi(2);
        let s = match singular {
            Singular::Flat(s) => f64::from(*s),
            Singular::Map { .. } => 1.0,
        };
        let mut numbers = Numbers {
            told,
            scale: scale * to_input,
            keep: keep * to_input,
            gain,
            lambda: 0.0,
            fresh: 0.0,
            kept: 0.0,
            null_fresh: 0.0,
            null_kept: 0.0,
            noise_state: (1.0 / level.noise()) as f32,
            noise_x0: (-level.signal() / level.noise()) as f32,
            signal: next.signal() as f32,
            variance: variance as f32,
            variance_y: sigma_y.powi(2) as f32,
            total: next.noise() as f32,
            measured: (next.signal() * sigma_y) as f32,
            share: 0.0,
            momentum: steps.momentum(k),
            backward: -steps.momentum(k),
        };
        match settings.mode {
            Mode::Faithful => {
                let weight = variance / (variance + (sigma_y / s).powi(2));
                numbers.lambda = (weight / (s * s)) as f32;
            }
            Mode::Sample { eta, rule, .. } => {
                let eta = effective_eta(eta, rule, level, next);
                let null = Amplitudes::null(next, eta);
                let range = match sigma_y == 0.0 {
                    true => Amplitudes::null(next, eta),
                    false => ddnm_plus(s, sigma_y, next, eta),
                };
                numbers.lambda = (next.signal() * range.lambda / (s * s)) as f32;
                numbers.fresh = ((range.fresh - null.fresh) / (s * s)) as f32;
                numbers.kept = ((range.kept - null.kept) / (s * s)) as f32;
                numbers.null_fresh = null.fresh as f32;
                numbers.null_kept = null.kept as f32;
                numbers.share = null.kept as f32;
            }
        }
        numbers
    }

    /// In the order in which a graph takes them apart.
    pub fn values(&self) -> [f32; Numbers::COUNT] {
        [
            self.told,
            self.scale,
            self.keep,
            self.gain,
            self.lambda,
            self.fresh,
            self.kept,
            self.null_fresh,
            self.null_kept,
            self.noise_state,
            self.noise_x0,
            self.signal,
            self.variance,
            self.variance_y,
            self.total,
            self.measured,
            self.share,
            self.momentum,
            self.backward,
        ]
    }
}

/// The same numbers in a graph.
struct NumberWires {
    told: OutletId,
    scale: OutletId,
    keep: OutletId,
    gain: OutletId,
    lambda: OutletId,
    fresh: OutletId,
    kept: OutletId,
    null_fresh: OutletId,
    null_kept: OutletId,
    noise_state: OutletId,
    noise_x0: OutletId,
    signal: OutletId,
    variance: OutletId,
    variance_y: OutletId,
    total: OutletId,
    measured: OutletId,
    share: OutletId,
    momentum: OutletId,
    backward: OutletId,
}

impl NumberWires {
    fn new(wires: &mut Wires, vector: OutletId) -> TractResult<NumberWires> {
        let mut at = 0;
        let mut next = || {
            at += 1;
            wires.slice(vector, 3, at - 1, at)
        };
        Ok(NumberWires {
            told: next()?,
            scale: next()?,
            keep: next()?,
            gain: next()?,
            lambda: next()?,
            fresh: next()?,
            kept: next()?,
            null_fresh: next()?,
            null_kept: next()?,
            noise_state: next()?,
            noise_x0: next()?,
            signal: next()?,
            variance: next()?,
            variance_y: next()?,
            total: next()?,
            measured: next()?,
            share: next()?,
            momentum: next()?,
            backward: next()?,
        })
    }
}

/// `x + momentum (x - state)`.
fn onward(w: &mut Wires, n: &NumberWires, state: OutletId, x: OutletId) -> TractResult<OutletId> {
    let (ahead, back) = (w.mul(x, n.momentum)?, w.mul(state, n.backward)?);
    let change = w.add(ahead, back)?;
    w.add(x, change)
}

/// What a step is built from.
pub struct Plan<'a> {
    pub a: &'a dyn Degradation,
    pub closed: &'a Closed,
    pub model: &'a Model,
    pub settings: &'a Settings,
    pub precision: Precision,
    /// Windows per batch.
    pub batch: usize,
}

impl Plan<'_> {
    /// The graph of the steps whose tiles lie as in `grid`. Inputs are the state `[1, c, h, w]`,
    /// the measurement, the [numbers](Numbers) and, where a mode draws, noise like the state;
    /// outputs are the next state and one number that is finite if all of the network's output is.
    pub fn step(&self, grid: &Grid) -> Result<TypedModel> {
        let batches = tiles::batches(grid, self.batch);
        let mut networks: HashMap<[usize; 3], TypedModel> = HashMap::new();
        for batch in &batches {
            let size = [batch.tiles.len(), batch.height, batch.width];
            if let Entry::Vacant(empty) = networks.entry(size) {
                empty.insert(network::network(self.model, size, self.precision)?);
            }
        }
        guarded("a step that can be built", || self.wire(grid, &batches, &networks))
    }

    fn wire(
        &self,
        grid: &Grid,
        batches: &[Batch],
        networks: &HashMap<[usize; 3], TypedModel>,
    ) -> TractResult<TypedModel> {
        let (scene, measurement) = (self.a.scene(), self.a.measurement());
        let mut held = Wires::new();
        let w = &mut held;
        let state = w.input("state", [1, scene.channels, scene.height, scene.width])?;
        let [c, h, width] = [measurement.channels, measurement.height, measurement.width];
        let y = w.input("measurement", [1, c, h, width])?;
        let vector = w.input("numbers", [1, 1, 1, Numbers::COUNT])?;
        let draws = self.settings.mode != Mode::Faithful;
        let noise = match draws {
            true => Some(w.input("noise", [1, scene.channels, scene.height, scene.width])?),
            false => None,
        };
        let n = NumberWires::new(w, vector)?;

        w.part = "tiles";
        let scaled = w.mul(state, n.scale)?;
        let Conversion { offset, shift, .. } = self.model.conversion(self.settings.levels[0]);
        let scaled = if offset == 0.0 { scaled } else { offset_by(w, scaled, offset)? };
        let windows = tiles::windows(w, scaled, scene, grid)?;
        let copies = self.model.channels() / scene.channels;
        let mut of = vec![(state, 0); grid.len()];
        let mut constants: HashMap<[usize; 3], HashMap<usize, OutletId>> = HashMap::new();
        for batch in batches {
            w.part = "tiles";
            let parts: Vec<OutletId> = batch.tiles.iter().map(|t| windows[*t]).collect();
            let input = w.concat(0, &parts)?;
            let input = w.concat(1, &vec![input; copies])?;
            w.part = "network";
            let size = [batch.tiles.len(), batch.height, batch.width];
            let known = constants.entry(size).or_default();
            let output = network::append(w, &networks[&size], known, input, n.told)?;
            w.part = "tiles";
            let output = w.slice(output, 1, 0, self.model.channels())?;
            for (item, tile) in batch.tiles.iter().enumerate() {
                of[*tile] = (output, item);
            }
        }
        let output = tiles::assemble(w, grid, &of)?;
        // Not a number or infinite anywhere, it is here too: maxima and minima would hide it.
        let sum = w.sum(output, 3)?;
        let sum = w.sum(sum, 2)?;
        let health = w.sum(sum, 1)?;

        w.part = "estimate";
        let (kept, made) = (w.mul(state, n.keep)?, w.mul(output, n.gain)?);
        let x0 = w.add(made, kept)?;
        let x0 = if shift == 0.0 { x0 } else { offset_by(w, x0, shift)? };
        let x0 = match copies {
            1 => x0,
            _ => {
                let (sum, share) = (w.sum(x0, 1)?, w.number(1.0 / copies as f32)?);
                w.mul(sum, share)?
            }
        };
        let x0 = w.clamp(x0, -1.0, 1.0)?;

        w.part = "projection";
        let a = self.closed.wire(w)?;
        let next = match noise {
            None => {
                let x = self.faithful(w, &a, &n, x0, y)?;
                match self.settings.momentum > 0.0 {
                    true => onward(w, &n, state, x)?,
                    false => x,
                }
            }
            Some(noise) => self.draw(w, &a, &n, [state, x0, y, noise])?,
        };
        held.model.select_output_outlets(&[next, health])?;
        held.model.into_decluttered()
    }

    /// `x0 + A+ W (y - A x0)`.
    fn faithful(
        &self,
        w: &mut Wires,
        a: &Wired,
        n: &NumberWires,
        x0: OutletId,
        y: OutletId,
    ) -> TractResult<OutletId> {
        let residual = residual(w, a, x0, y)?;
        let weighted = match a.map {
            None => w.mul(residual, n.lambda)?,
            Some((_, inverse)) if self.settings.sigma_y == 0.0 => w.mul(residual, inverse)?,
            Some((singular, inverse)) => {
                // rho sigma^2 s^2 / (rho sigma^2 s^2 + sigma_y^2)
                let square = w.mul(singular, singular)?;
                let part = w.mul(square, n.variance)?;
                let all = w.add(part, n.variance_y)?;
                let weight = w.div(part, all)?;
                let weight = w.mul(weight, inverse)?;
                w.mul(residual, weight)?
            }
        };
        let correction = a.back(w, weighted)?;
        w.add(x0, correction)
    }

    /// A step of DDNM or DDNM+; one `A+` for the estimate and both noises.
    fn draw(
        &self,
        w: &mut Wires,
        a: &Wired,
        n: &NumberWires,
        [state, x0, y, noise]: [OutletId; 4],
    ) -> TractResult<OutletId> {
        let noisy = self.settings.sigma_y > 0.0;
        let (of_state, of_x0) = (w.mul(state, n.noise_state)?, w.mul(x0, n.noise_x0)?);
        let eps = w.add(of_state, of_x0)?;
        // In the range: how far to move, and what the noises differ by from elsewhere.
        let [lambda, fresh, kept] = match a.map {
            None => [n.lambda, n.fresh, n.kept],
            Some((_, inverse)) if !noisy => [w.mul(inverse, n.signal)?, n.fresh, n.kept],
            Some((singular, inverse)) => self.weights(w, n, singular, inverse)?,
        };
        let residual = residual(w, a, x0, y)?;
        let mut range = w.mul(residual, lambda)?;
        if noisy {
            for (v, weight) in [(noise, fresh), (eps, kept)] {
                let measured = a.apply(w, v)?;
                let directions = a.directions(w, measured)?;
                let weighted = w.mul(directions, weight)?;
                range = w.add(range, weighted)?;
            }
        }
        let range = a.back(w, range)?;
        w.part = "next";
        let parts = [(x0, n.signal), (noise, n.null_fresh), (eps, n.null_kept)];
        let mut next = range;
        for (v, amplitude) in parts {
            let part = w.mul(v, amplitude)?;
            next = w.add(next, part)?;
        }
        Ok(next)
    }

    /// DDNM+ in directions of singular values of their own: weights of the residual, of new and of
    /// kept noise.
    fn weights(
        &self,
        w: &mut Wires,
        n: &NumberWires,
        singular: OutletId,
        inverse: OutletId,
    ) -> TractResult<[OutletId; 3]> {
        let (zero, one) = (w.number(0.0)?, w.number(1.0)?);
        // Where nothing is measured, s is 0: the level's noise is not the stronger there, and
        // `inverse` takes all that follows away.
        let level = w.mul(singular, n.total)?;
        let compared = [level, n.measured];
        // sqrt(total^2 - (measured / s)^2), and what of it is left of new noise otherwise.
        let above = w.number(f32::MIN_POSITIVE)?;
        let safe = w.choose([singular, above], singular, one)?;
        let measured = w.div(n.measured, safe)?;
        let (more, less) = (w.add(n.total, measured)?, w.sub(n.total, measured)?);
        let difference = w.mul(more, less)?;
        let difference = w.op(tract_core::ops::math::max(), &[difference, zero])?;
        let strong = w.sqrt(difference)?;
        let fresh = w.choose(compared, strong, n.null_fresh)?;
        let fresh = w.sub(fresh, n.null_fresh)?;
        let weak = w.div(n.share, measured)?;
        let lambda = w.choose(compared, one, weak)?;
        let lambda = w.mul(lambda, n.signal)?;
        let kept = w.sub(zero, n.null_kept)?;
        Ok([w.mul(lambda, inverse)?, w.mul(fresh, inverse)?, w.mul(inverse, kept)?])
    }
}

fn offset_by(w: &mut Wires, a: OutletId, value: f32) -> TractResult<OutletId> {
    let value = w.number(value)?;
    w.add(a, value)
}

/// The directions of `y - A x0`.
fn residual(w: &mut Wires, a: &Wired, x0: OutletId, y: OutletId) -> TractResult<OutletId> {
    let ax = a.apply(w, x0)?;
    let r = w.sub(y, ax)?;
    a.directions(w, r)
}
