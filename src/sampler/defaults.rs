//! How to restore when nothing was said: by measurement, see `models/README.md`.

use crate::degrade::Degradation;

/// A schedule: `steps` levels, geometrically from `start` to `end` (sigma in `[-1, 1]` units).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Defaults {
    pub steps: usize,
    pub start: f64,
    pub end: f64,
    /// See [`Settings::generative`](super::Settings::generative).
    pub generative: f32,
    /// See [`Settings::relaxation`](super::Settings::relaxation).
    pub relaxation: f64,
    /// See [`Settings::momentum`](super::Settings::momentum).
    pub momentum: f32,
}

/// Below this uncertainty the classical estimate is about as good as the prior's: the two are
/// blended, and few evaluations do.
const GOOD_START: f64 = 0.05;

/// From this uncertainty on the classical estimate is hardly a picture, as in compressed
/// sensing: each step takes part of its error away, so there are more of them.
const NO_START: f64 = 0.45;

/// Where each step takes part of an error away that is not noise, states go nearly as far again.
const MOMENTUM: f32 = 0.9;

/// The schedule for a degradation with noise `sigma_y`, in either mode.
pub fn defaults(a: &dyn Degradation, sigma_y: f64, faithful: bool) -> Defaults {
    let uncertainty = a.uncertainty();
    let plain = Defaults {
        steps: 8,
        start: (2.0 * sigma_y).max(0.2),
        end: 0.02,
        generative: 1.0,
        relaxation: 1.0,
        momentum: 0.0,
    };
    if uncertainty >= NO_START {
        let start = if faithful { uncertainty } else { 2.0 * uncertainty };
        if !faithful {
            let end = (uncertainty / 33.0).max(sigma_y.min(start));
            return Defaults { steps: 16, start, end, ..plain };
        }
        let end = (uncertainty / 33.0).max((0.5 * sigma_y).min(start));
        let (relaxation, momentum) = (relaxation(a), MOMENTUM);
        return Defaults { steps: 16, start, end, relaxation, momentum, ..plain };
    }
    if !faithful {
        return plain;
    }
    if sigma_y > 0.0 {
        // Without steps of about this ratio the noise of the measurement comes back at the end.
        const RATIO: f64 = 0.55;
        // Lower levels change nothing any more.
        const LEAST: f64 = 0.01;
        // Noise that the level does not cover looks to the prior like something to be kept.
        let noise = sigma_y * a.noise_gain();
        let start = uncertainty.max(noise);
        // Where the measurement is certain but for its noise, a good denoiser is done sooner.
        let fall = if uncertainty > noise { 12.0 } else { 6.5 };
        let end = (start / fall).max(LEAST).min(start);
        let steps = 1 + ((end / start).ln() / RATIO.ln()).round() as usize;
        return Defaults { steps, start, end, relaxation: relaxation(a), ..plain };
    }
    let start = uncertainty.max(0.01);
    if start < GOOD_START {
        return Defaults { steps: 4, start, end: start / 3.0, generative: 0.6, ..plain };
    }
    Defaults { start, end: start / 8.0, momentum: MOMENTUM, ..plain }
}

/// How much more than by its noise the measurement counts in a step, see
/// [`Settings::relaxation`](super::Settings::relaxation): the less of the scene was measured, the
/// more of what was is smoothed away with the rest.
fn relaxation(a: &dyn Degradation) -> f64 {
    // Where there is no colour, brightness is the scene.
    let channels = if a.loses_colour() { a.scene().channels } else { 1 };
    let measured = (channels * a.rank()) as f64 / a.scene().len() as f64;
    measured.clamp(1.0 / 64.0, 1.0).sqrt().recip()
}
