//! One step on one region: the prior's estimate, projected onto the measurement, and on to the
//! next noise level.

use super::strip::Strip;
use super::{Misfit, Mode, NoiseRule, Settings};
use crate::degrade::{Degradation, Dual, Limits, pinv_seen, weighted};
use crate::frame::Region;
use crate::noise::NoiseField;
use crate::prior::Prior;
use crate::schedule::Level;
use crate::scratch::{Buffer, any, zeros};

/// Noise draw of the starting state; those of the steps follow it.
const START: u16 = 0;

/// Everything that the steps of one restoration share.
pub struct Steps<'a> {
    pub a: &'a dyn Degradation,
    pub settings: &'a Settings,
}

/// Buffers of a step, kept from tile to tile: fresh ones would cost page faults.
#[derive(Default)]
pub struct Buffers {
    pub(super) residual: Vec<f32>,
    correction: Vec<f32>,
    pub(super) values: Values,
    dual: Dual,
}

/// What each measured value says, where they differ.
#[derive(Default)]
pub(super) struct Values {
    /// Standard deviation of its noise.
    sigmas: Vec<f32>,
    /// Its singular value; 0 where it says nothing.
    singular: Vec<f32>,
    /// Whether one of them is an end of the file's range that the estimate lies beyond.
    is_open: bool,
}

impl Values {
    /// Notes the values that say nothing: see [`Limits::is_open`].
    fn open(&mut self, limits: &Limits, y: &[f32], gain: &[f32], r: &[f32]) {
        self.is_open = false;
        let values = self.singular.iter_mut().zip(y).zip(gain).zip(r);
        for (((s, y), gain), r) in values {
            if *s > 0.0 && limits.is_open(*y, *gain, *r) {
                *s = 0.0;
                self.is_open = true;
            }
        }
    }
}

impl Buffers {
    /// Those of a step on the whole frame, which begins where the one before has ended.
    pub fn after(dual: Dual) -> Buffers {
        Buffers { dual, ..Buffers::default() }
    }

    /// What the next step on the whole frame begins with.
    pub fn into_dual(self) -> Dual {
        self.dual
    }

    /// Makes them as large as those of another thread.
    pub fn cover(&mut self, other: &Buffers) {
        room(&mut self.residual, other.residual.len());
        room(&mut self.correction, other.correction.len());
        room(&mut self.values.sigmas, other.values.sigmas.len());
        room(&mut self.values.singular, other.values.singular.len());
    }
}

/// The weight of a direction of the measurement, from its singular value and its noise.
pub(super) type Weight<'a> = &'a dyn Fn(f32, f64) -> f32;

/// Noise (standard deviation) and singular value of each measured value, 0 where it says nothing;
/// `None` where all are alike.
pub(super) type Noise<'a> = Option<(&'a [f32], &'a [f32])>;

/// The first `len` values of a buffer that grows to what is needed; what they hold is left from
/// before.
pub fn room(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.reserve_exact(len - buffer.len());
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

/// Amplitudes of one step in one direction of the scene.
pub struct Amplitudes {
    /// How far the estimate is moved to the measurement, 0 to 1.
    pub lambda: f64,
    /// New noise.
    pub fresh: f64,
    /// The prior's own noise.
    pub kept: f64,
}

impl Amplitudes {
    /// Those of a step to `next` in directions that are not measured, and without noise in the
    /// measurement in all.
    pub fn null(next: Level, eta: f64) -> Amplitudes {
        Amplitudes {
            lambda: 1.0,
            fresh: eta * next.noise(),
            kept: (1.0 - eta * eta).max(0.0).sqrt() * next.noise(),
        }
    }
}

impl Steps<'_> {
    /// The level that step `k` ends at.
    pub fn next_level(&self, k: usize) -> Level {
        self.settings.levels.get(k + 1).copied().unwrap_or(Level::CLEAN)
    }

    /// Turns a classical estimate of `region` into the state that the first step sees.
    pub fn start(&self, region: Region, x: &mut [f32]) {
        let Mode::Sample { seed, .. } = self.settings.mode else { return };
        let level = self.settings.levels[0];
        let field = NoiseField { seed, frame: self.settings.frame, draw: START };
        let mut z = zeros(x.len());
        field.fill(region, self.a.scene().channels, &mut z);
        let (signal, noise) = (level.signal() as f32, level.noise() as f32);
        x.iter_mut().zip(&*z).for_each(|(x, z)| *x = signal * *x + noise * z);
    }

    /// Whether states carry noise: the measurement's own, or what a draw puts in.
    fn has_noise(&self) -> bool {
        self.settings.sigma_y > 0.0 || self.settings.mode != Mode::Faithful
    }

    /// Factor from a state to what the prior expects, `x_t`.
    fn input_scale(&self, k: usize) -> f32 {
        match self.settings.mode {
            // The proximal iteration's state is a picture, as if its noise had been averaged out.
            Mode::Faithful => self.settings.levels[k].signal() as f32,
            Mode::Sample { .. } => 1.0,
        }
    }

    /// The level that the prior is asked at in step `k`, and the factor from a state to the `x_t`
    /// that it is asked with.
    ///
    /// A gray scene goes through a colour prior as equal channels, all with the same noise: in
    /// brightness that is as much as independent noise of sqrt(3) times the strength. (What a
    /// classical estimate lacks is no such noise: there the level itself is best.)
    pub fn asked(&self, k: usize, prior: &dyn Prior) -> (Level, f32) {
        let told = self.settings.levels[k];
        let copies = prior.channels() / self.a.scene().channels;
        let counts = self.has_noise() && !prior.allows_for_equal_noise();
        let asked = match copies > 1 && counts {
            false => told,
            true => prior.diffusion().at_sigma(told.sigma() * (copies as f64).sqrt()),
        };
        (asked, self.input_scale(k) * (asked.signal() / told.signal()) as f32)
    }

    /// By how much of its change a state goes on after step `k`.
    pub fn momentum(&self, k: usize) -> f32 {
        if k + 1 < self.settings.levels.len() { self.settings.momentum } else { 0.0 }
    }

    /// The new noise of step `k`.
    pub fn field(&self, k: usize, seed: u64) -> NoiseField {
        NoiseField { seed, frame: self.settings.frame, draw: START + 1 + k as u16 }
    }

    /// Takes step `k` on `region`: on entry `x0` is the prior's estimate and `state` what it was
    /// made from; on return `x0` is the next state.
    /// `y` holds the measurement of the region. Returns the misfit of the prior's estimate in the
    /// last step.
    pub fn advance(
        &self,
        k: usize,
        region: Region,
        y: &Strip,
        state: &Strip,
        x0: &mut [f32],
        buffers: &mut Buffers,
    ) -> Misfit {
        x0.iter_mut().for_each(|v| *v = v.clamp(-1.0, 1.0));
        let (level, next) = (self.settings.levels[k], self.next_level(k));
        if self.values_differ() {
            self.look(region, x0, &mut buffers.values);
        }
        match self.settings.mode {
            Mode::Faithful => {
                let sigma2 = self.settings.relaxation * level.sigma().powi(2);
                let weight = |s: f32, sigma_y: f64| {
                    (sigma2 / (sigma2 + (sigma_y / f64::from(s)).powi(2))) as f32
                };
                let misfit = self.project(k, region, y, &weight, x0, buffers);
                let momentum = self.momentum(k);
                if momentum > 0.0 {
                    state.with(region, x0, |x, from| *x += momentum * (*x - from));
                }
                misfit
            }
            Mode::Sample { eta, rule, seed } => {
                let field = self.field(k, seed);
                let eta = effective_eta(eta, rule, level, next);
                self.draw(k, region, y, level, next, eta, field, state, x0, buffers)
            }
        }
    }

    /// Whether measured values differ in what they say: in their noise, or where there is noise and
    /// some can lie beyond the file's range. (Without noise a residual of 0 is all it takes.)
    fn values_differ(&self) -> bool {
        let Settings { camera, limits, sigma_y, .. } = self.settings;
        camera.is_some() || limits.is_some() && *sigma_y > 0.0
    }

    /// Noise and singular values of so many measured values, where these differ.
    pub(super) fn noise<'b>(&self, values: &'b Values, len: usize) -> Noise<'b> {
        let differ = self.settings.camera.is_some() || values.is_open;
        differ.then(|| (&values.sigmas[..len], &values.singular[..len]))
    }

    /// Notes how strong the noise is in each measured value. A camera's follows from the light of
    /// the estimate: the measured values themselves would make what noise has darkened count for
    /// more.
    fn look(&self, region: Region, x0: &[f32], values: &mut Values) {
        let len = self.a.measured(region).shape(self.a.measurement().channels).len();
        let sigmas = room(&mut values.sigmas, len);
        match &self.settings.camera {
            Some(camera) => {
                self.a.apply(region, x0, sigmas);
                camera.sigmas(self.a, region, sigmas);
            }
            None => sigmas.fill(self.settings.sigma_y as f32),
        }
        self.a.singular_values(region, room(&mut values.singular, len));
    }

    /// `x = A+ W r`; `r` is lost.
    pub(super) fn weigh(
        &self,
        region: Region,
        r: &mut [f32],
        weight: Weight,
        noise: Noise,
        dual: &mut Dual,
        x: &mut [f32],
    ) {
        let sigma_y = self.settings.sigma_y;
        let of_frame = |s: f32| weight(s, sigma_y);
        let Some((sigmas, singular)) = noise else {
            return match self.a.rows_overlap() {
                true => self.a.pinv_from(r, &of_frame, dual, x),
                false => self.a.pinv(region, r, &of_frame, x),
            };
        };
        if self.a.rows_overlap() && self.settings.camera.is_none() {
            return pinv_seen(self.a, singular, r, &of_frame, x);
        }
        if self.a.rows_overlap() {
            // So noisy that it does not count, next to weights of about 1.
            const NOTHING: f32 = 1e6;
            // The weights of `faithful` are 1 / (1 + eta) where the singular value is 1.
            let eta = |sigma: f32| 1.0 / weight(1.0, f64::from(sigma)) - 1.0;
            let values = sigmas.iter().zip(singular);
            let etas = values.map(|(sigma, s)| if *s > 0.0 { eta(*sigma) } else { NOTHING });
            return weighted(self.a, r, &Vec::from_iter(etas), x);
        }
        for ((r, sigma), s) in r.iter_mut().zip(sigmas).zip(singular) {
            *r *= if *s > 0.0 { weight(*s, f64::from(*sigma)) } else { 0.0 };
        }
        self.a.pinv(region, r, &|_| 1.0, x);
    }

    /// `x0 <- x0 + A+ W (y - A x0)` in step `k`; returns the misfit of `x0` before, in the last one.
    fn project(
        &self,
        k: usize,
        region: Region,
        y: &Strip,
        weight: Weight,
        x0: &mut [f32],
        buffers: &mut Buffers,
    ) -> Misfit {
        let misfit = self.compare(k, region, y, x0, buffers);
        let Buffers { residual, correction, values, dual } = buffers;
        let residual = room(residual, self.measured_len(region));
        let correction = room(correction, x0.len());
        let noise = self.noise(values, residual.len());
        self.weigh(region, residual, weight, noise, dual, correction);
        x0.iter_mut().zip(&*correction).for_each(|(x, c)| *x += c);
        misfit
    }

    /// Values of the measurement of a region.
    pub(super) fn measured_len(&self, region: Region) -> usize {
        self.a.measured(region).shape(self.a.measurement().channels).len()
    }

    /// What `A x0` lacks of `y`, into the buffer of the residual; returns the misfit in the last
    /// step.
    pub(super) fn compare(
        &self,
        k: usize,
        region: Region,
        y: &Strip,
        x0: &[f32],
        buffers: &mut Buffers,
    ) -> Misfit {
        let measured = self.a.measured(region);
        let len = self.measured_len(region);
        let Buffers { residual, values, .. } = buffers;
        let residual = room(residual, len);
        self.a.apply(region, x0, residual);
        y.with(measured, residual, |v, own| *v = own - *v);
        let last = k + 1 == self.settings.levels.len();
        let mut misfit = Misfit::default();
        if last || self.settings.limits.is_some() {
            let (mut expected, mut gain) = (any(len), any(len));
            y.read(measured, &mut expected);
            self.a.dc_gain(region, &mut gain);
            if let Some(limits) = &self.settings.limits {
                if self.values_differ() {
                    values.open(limits, &expected, &gain, residual);
                }
                limits.shorten(&expected, &gain, residual);
            }
            if last {
                misfit = self.misfit(&expected, &gain, residual, self.noise(values, len));
            }
        }
        misfit
    }

    /// See [`Misfit`]; `r` is what `A x0` lacks of `y`, `gain` is `A 1`.
    fn misfit(&self, y: &[f32], gain: &[f32], r: &[f32], noise: Noise) -> Misfit {
        // Values near the ends of a file's range have lost part of their noise there.
        const DEVIATIONS: f64 = 2.0;
        let (typical, ends) = (self.settings.sigma_y, self.a.is_picture());
        let mut misfit = Misfit::default();
        for (i, ((y, r), gain)) in y.iter().zip(r).zip(gain).enumerate() {
            let sigma = noise.map_or(typical, |(sigmas, _)| f64::from(sigmas[i]));
            let light = f64::from(y - r + gain);
            let margin = DEVIATIONS * sigma;
            if ends && !(light > margin && light < 2.0 - margin) {
                continue;
            }
            let scale = if noise.is_some() && sigma > 0.0 { typical / sigma } else { 1.0 };
            misfit.squares += (scale * f64::from(*r)).powi(2);
            misfit.count += 1;
        }
        misfit
    }

    /// A step of DDNM (without noise in the measurement) or DDNM+ (with).
    #[allow(clippy::too_many_arguments)]
    fn draw(
        &self,
        k: usize,
        region: Region,
        y: &Strip,
        level: Level,
        next: Level,
        eta: f64,
        field: NoiseField,
        state: &Strip,
        x0: &mut [f32],
        buffers: &mut Buffers,
    ) -> Misfit {
        let channels = self.a.scene().channels;
        let (signal, noise) = (level.signal() as f32, level.noise() as f32);
        let mut z = any(x0.len());
        field.fill(region, channels, &mut z);
        let null = Amplitudes::null(next, eta);
        let unmeasured = |z: f32, eps: f32| null.fresh as f32 * z + null.kept as f32 * eps;
        // The noise that the prior sees in the state.
        let mut eps = any(x0.len());
        state.read(region, &mut eps);
        eps.iter_mut().zip(&*x0).for_each(|(x, x0)| *x = (*x - signal * x0) / noise);
        if self.a.is_iterative() && self.settings.sigma_y > 0.0 {
            z.iter_mut().zip(&*eps).for_each(|(z, eps)| *z = unmeasured(*z, *eps));
            drop(eps);
            return self.bridge(k, y, next, field, &z, x0, buffers);
        }
        let noise_out = z.iter().zip(&*eps).map(|(z, eps)| unmeasured(*z, *eps));
        let mut noise_out = Buffer::collect(x0.len(), noise_out);
        let range = |s: f32, sigma_y: f64| match sigma_y == 0.0 {
            true => Amplitudes::null(next, eta),
            false => ddnm_plus(f64::from(s), sigma_y, next, eta),
        };
        let lambda = |s: f32, sigma_y: f64| range(s, sigma_y).lambda as f32;
        let misfit = self.project(k, region, y, &lambda, x0, buffers);
        if self.settings.sigma_y > 0.0 {
            // In what is measured the noise of the measurement takes part of the budget.
            let fresh = |s: f32, sigma_y: f64| (range(s, sigma_y).fresh - null.fresh) as f32;
            let kept = |s: f32, sigma_y: f64| (range(s, sigma_y).kept - null.kept) as f32;
            self.spread(region, &z, &fresh, buffers, &mut noise_out);
            self.spread(region, &eps, &kept, buffers, &mut noise_out);
        }
        let signal = next.signal() as f32;
        x0.iter_mut().zip(&*noise_out).for_each(|(x, n)| *x = signal * *x + n);
        misfit
    }

    /// `out += A+ W A v`: `v` in the range space, weighted by singular value.
    fn spread(
        &self,
        region: Region,
        v: &[f32],
        weight: Weight,
        buffers: &mut Buffers,
        out: &mut [f32],
    ) {
        let channels = self.a.measurement().channels;
        let Buffers { residual, correction, values, .. } = buffers;
        let av = room(residual, self.a.measured(region).shape(channels).len());
        self.a.apply(region, v, av);
        let back = room(correction, out.len());
        let noise = self.noise(values, av.len());
        self.weigh(region, av, weight, noise, &mut Dual::default(), back);
        out.iter_mut().zip(&*back).for_each(|(o, b)| *o += b);
    }
}

/// The share of new noise in a step's whole, for either rule.
pub fn effective_eta(eta: f64, rule: NoiseRule, level: Level, next: Level) -> f64 {
    match rule {
        // Back in time there is nothing but new noise.
        _ if next.noise() > level.noise() => 1.0,
        NoiseRule::Split => eta,
        NoiseRule::Ddim if next.noise() == 0.0 => 0.0,
        NoiseRule::Ddim => {
            let drop = (1.0 - level.alpha_bar / next.alpha_bar).max(0.0).sqrt();
            eta * drop / level.noise()
        }
    }
}

/// DDNM+ (Wang et al. 2023, section 3.3) in a direction of singular value `s`: the noise of the
/// measurement, scaled as it enters the estimate, and the injected noise together have the
/// variance of the next level.
pub fn ddnm_plus(s: f64, sigma_y: f64, next: Level, eta: f64) -> Amplitudes {
    let (a, total) = (next.signal(), next.noise());
    let measured = a * sigma_y / s;
    if total >= measured {
        let fresh = (total * total - measured * measured).max(0.0).sqrt();
        return Amplitudes { lambda: 1.0, fresh, kept: 0.0 };
    }
    let lambda = total * (1.0 - eta * eta).max(0.0).sqrt() / measured;
    Amplitudes { lambda, fresh: eta * total, kept: 0.0 }
}
