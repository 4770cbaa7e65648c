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

/// The schedule for a degradation with noise `sigma_y`.
pub fn defaults(a: &dyn Degradation, sigma_y: f64, faithful: bool) -> Defaults {
    let start = a.uncertainty().max(sigma_y);
    if faithful {
        return Defaults { steps: 8, start, end: 0.02f64.min(start), generative: 1.0 };
    }
    Defaults { steps: 8, start: (2.0 * sigma_y).max(0.2), end: 0.02, generative: 1.0 }
}
