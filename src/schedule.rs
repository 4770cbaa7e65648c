//! Noise levels: how the prior was trained, and which levels a restoration visits. Numbers only.
//!
//! A level is one point of the variance-preserving process of DDPM (Ho et al. 2020):
//! `x_t = sqrt(alpha_bar) x + sqrt(1 - alpha_bar) n`. Divided by `sqrt(alpha_bar)` it is the
//! scene plus noise of standard deviation `sigma = sqrt((1 - alpha_bar) / alpha_bar)`.

use crate::error::{Error, Result};

/// One noise level of the process that a prior was trained on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// Timestep, `0 ..= steps - 1`; fractional between the trained ones.
    pub t: f64,
    /// Share of the signal's variance, in `(0, 1]`.
    pub alpha_bar: f64,
}

impl Level {
    /// No noise at all: where every restoration ends.
    pub const CLEAN: Level = Level { t: 0.0, alpha_bar: 1.0 };

    /// Amplitude of the signal, `sqrt(alpha_bar)`.
    pub fn signal(&self) -> f64 {
        self.alpha_bar.sqrt()
    }

    /// Amplitude of the noise, `sqrt(1 - alpha_bar)`.
    pub fn noise(&self) -> f64 {
        (1.0 - self.alpha_bar).max(0.0).sqrt()
    }

    /// Standard deviation of the noise relative to the signal, in units of `[-1, 1]`.
    pub fn sigma(&self) -> f64 {
        self.noise() / self.signal()
    }
}

/// The forward process of a prior: `alpha_bar` at every trained timestep.
#[derive(Debug, Clone, PartialEq)]
pub struct Diffusion {
    alpha_bar: Vec<f64>,
}

impl Diffusion {
    /// Betas growing linearly, as in DDPM: `beta_start ..= beta_end` over `steps`.
    pub fn linear(beta_start: f64, beta_end: f64, steps: usize) -> Result<Diffusion> {
        Self::from_betas((0..steps).map(|i| lerp(beta_start, beta_end, i, steps)))
    }

    /// Betas whose square roots grow linearly, as in latent diffusion.
    pub fn scaled_linear(beta_start: f64, beta_end: f64, steps: usize) -> Result<Diffusion> {
        let (a, b) = (beta_start.sqrt(), beta_end.sqrt());
        Self::from_betas((0..steps).map(|i| lerp(a, b, i, steps).powi(2)))
    }

    /// The cosine schedule of Nichol and Dhariwal (2021), betas capped at 0.999.
    pub fn cosine(steps: usize) -> Result<Diffusion> {
        let f = |i: usize| {
            let u = (i as f64 / steps as f64 + 0.008) / 1.008;
            (u * std::f64::consts::FRAC_PI_2).cos().powi(2)
        };
        Self::from_betas((0..steps).map(|i| (1.0 - f(i + 1) / f(i)).min(0.999)))
    }

    fn from_betas(betas: impl Iterator<Item = f64>) -> Result<Diffusion> {
        let mut product = 1.0;
        let mut alpha_bar = Vec::new();
        for beta in betas {
            if !(beta > 0.0 && beta < 1.0) {
                return Err(Error::Usage(format!(
                    "noise schedule: expected every beta between 0 and 1, found {beta}"
                )));
            }
            product *= 1.0 - beta;
            alpha_bar.push(product);
        }
        if alpha_bar.len() < 2 {
            return Err(Error::Usage("noise schedule: expected at least 2 steps".into()));
        }
        Ok(Diffusion { alpha_bar })
    }

    /// Number of trained timesteps.
    pub fn steps(&self) -> usize {
        self.alpha_bar.len()
    }

    /// The level of a trained timestep.
    pub fn at_step(&self, t: usize) -> Level {
        let t = t.min(self.steps() - 1);
        Level { t: t as f64, alpha_bar: self.alpha_bar[t] }
    }

    /// The level at which noise is `sigma` times the signal: `t` by linear interpolation in
    /// `log sigma` between the trained steps, clamped to them; `alpha_bar` is that of the
    /// clamped level, so that state and timestep always belong together.
    pub fn at_sigma(&self, sigma: f64) -> Level {
        let log_sigma = |i: usize| self.at_step(i).sigma().ln();
        let last = self.steps() - 1;
        if sigma.is_nan() || sigma <= self.at_step(0).sigma() {
            return self.at_step(0);
        }
        if sigma >= self.at_step(last).sigma() {
            return self.at_step(last);
        }
        let above = self.alpha_bar.partition_point(|&a| ((1.0 - a) / a).sqrt() <= sigma);
        let (lo, hi) = (log_sigma(above - 1), log_sigma(above));
        let t = (above - 1) as f64 + (sigma.ln() - lo) / (hi - lo);
        Level { t, alpha_bar: 1.0 / (1.0 + sigma * sigma) }
    }

    /// `count` levels whose sigma falls geometrically from `start` to `end`, both included;
    /// one level alone is `start`. `count` is at least 1 and `0 < end <= start`.
    pub fn geometric(&self, start: f64, end: f64, count: usize) -> Vec<Level> {
        let last = count.saturating_sub(1).max(1) as f64;
        (0..count.max(1))
            .map(|k| self.at_sigma(start * (end / start).powf(k as f64 / last)))
            .collect()
    }
}

/// Time travel (Lugmayr et al. 2022): every `length` levels are gone through `repeats` times before
/// the next ones. Both are at least 1.
pub fn travel(levels: &[Level], length: usize, repeats: usize) -> Vec<Level> {
    levels.chunks(length.max(1)).flat_map(|part| part.repeat(repeats)).collect()
}

fn lerp(a: f64, b: f64, i: usize, count: usize) -> f64 {
    a + (b - a) * i as f64 / (count.max(2) - 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ddpm() -> Diffusion {
        Diffusion::linear(1e-4, 0.02, 1000).unwrap()
    }

    /// sqrt(alpha_bar) of the DDPM schedule, computed independently in float64 with NumPy.
    #[test]
    fn the_linear_schedule_has_the_known_values() {
        for (t, signal) in [(0, 0.99995), (200, 0.810), (499, 0.280), (999, 0.00635)] {
            let found = ddpm().at_step(t).signal();
            assert!((found - signal).abs() < 6e-4, "t {t}: {found}");
        }
    }

    #[test]
    fn sigma_and_timestep_are_inverse_to_each_other() {
        for d in [
            ddpm(),
            Diffusion::cosine(1000).unwrap(),
            Diffusion::scaled_linear(8.5e-4, 0.012, 1000).unwrap(),
        ] {
            for t in [0, 1, 17, 400, 998, 999] {
                let level = d.at_step(t);
                let back = d.at_sigma(level.sigma());
                assert!((back.t - level.t).abs() < 1e-6, "{t}: {}", back.t);
                assert!((back.alpha_bar - level.alpha_bar).abs() < 1e-12);
            }
            let between = d.at_sigma((d.at_step(10).sigma() * d.at_step(11).sigma()).sqrt());
            assert!((between.t - 10.5).abs() < 1e-9);
        }
    }

    #[test]
    fn levels_outside_the_trained_range_are_clamped_whole() {
        assert_eq!(ddpm().at_sigma(1e-9), ddpm().at_step(0));
        assert_eq!(ddpm().at_sigma(1e9), ddpm().at_step(999));
        assert_eq!(ddpm().at_sigma(f64::NAN), ddpm().at_step(0));
    }

    #[test]
    fn geometric_levels_hold_both_ends() {
        let levels = ddpm().geometric(0.2, 0.02, 4);
        let sigmas: Vec<f64> = levels.iter().map(Level::sigma).collect();
        assert!((sigmas[0] - 0.2).abs() < 1e-9 && (sigmas[3] - 0.02).abs() < 1e-9);
        assert!((sigmas[1] / sigmas[0] - sigmas[2] / sigmas[1]).abs() < 1e-9);
        assert_eq!(ddpm().geometric(0.2, 0.02, 1).len(), 1);
    }

    #[test]
    fn travel_goes_back_before_it_goes_on() {
        let levels = ddpm().geometric(0.2, 0.02, 3);
        let [a, b, c] = levels[..] else { panic!("three levels") };
        assert_eq!(travel(&levels, 2, 2), [a, b, a, b, c, c]);
        assert_eq!(travel(&levels, 1, 1), levels);
    }

    #[test]
    fn impossible_schedules_are_refused() {
        assert!(Diffusion::linear(0.0, 0.02, 1000).is_err());
        assert!(Diffusion::linear(1e-4, 1.5, 1000).is_err());
        assert!(Diffusion::linear(1e-4, 0.02, 1).is_err());
    }
}
