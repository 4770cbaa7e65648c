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
}

/// Below this uncertainty the classical estimate is about as good as the prior's: the two are
/// blended, and few evaluations do.
const GOOD_START: f64 = 0.05;

/// From this uncertainty on the classical estimate is hardly a picture, as in compressed
/// sensing: each step takes part of its error away, so there are more of them.
const NO_START: f64 = 0.45;

/// The schedule for a degradation with noise `sigma_y`, in either mode.
pub fn defaults(a: &dyn Degradation, sigma_y: f64, faithful: bool) -> Defaults {
    let uncertainty = a.uncertainty();
    if uncertainty >= NO_START {
        let start = if faithful { uncertainty } else { 2.0 * uncertainty };
        let end = (uncertainty / 33.0).max(sigma_y.min(start));
        return Defaults { steps: 16, start, end, generative: 1.0 };
    }
    if !faithful {
        return Defaults { steps: 8, start: (2.0 * sigma_y).max(0.2), end: 0.02, generative: 1.0 };
    }
    if sigma_y > 0.0 {
        // Without steps of about this ratio the noise of the measurement comes back at the end.
        const RATIO: f64 = 0.55;
        let start = uncertainty.max(sigma_y);
        // Where the measurement is certain but for its noise, a good denoiser is done sooner.
        let fall = if uncertainty > sigma_y { 12.0 } else { 6.5 };
        let end = (start / fall).max(0.02).min(start);
        let steps = 1 + ((end / start).ln() / RATIO.ln()).round() as usize;
        return Defaults { steps, start, end, generative: 1.0 };
    }
    let start = uncertainty.max(0.01);
    if start < GOOD_START {
        return Defaults { steps: 4, start, end: start / 3.0, generative: 0.6 };
    }
    Defaults { steps: 8, start, end: start / 8.0, generative: 1.0 }
}
