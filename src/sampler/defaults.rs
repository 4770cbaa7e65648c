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
        if !faithful {
            let (start, end) = (2.0 * uncertainty, uncertainty / 33.0);
            return Defaults { steps: 16, start, end: end.max(sigma_y.min(start)), ..plain };
        }
        // Details come out at lower and lower levels, down to that of the noise.
        let start = 0.8 * uncertainty;
        let end = (0.6 * sigma_y).clamp(uncertainty / 50.0, uncertainty / 33.0);
        // What a step takes for the scene's is mostly what was not measured: of noise it is far
        // less than the level says, so the measurement counts for much more.
        let relaxation = 2.5 / measured(a, sigma_y);
        return Defaults { steps: 16, start, end, relaxation, momentum: MOMENTUM, ..plain };
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
        return Defaults { steps, start, end, relaxation: relaxation(a, sigma_y), ..plain };
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
fn relaxation(a: &dyn Degradation, sigma_y: f64) -> f64 {
    // More than this amplifies noise.
    const MOST: f64 = 5.0;
    measured(a, sigma_y).sqrt().recip().min(MOST)
}

/// The share of the scene that is measured, a 64th to 1.
fn measured(a: &dyn Degradation, sigma_y: f64) -> f64 {
    // Where there is no colour, brightness is the scene.
    let channels = if a.loses_colour() { a.scene().channels as f64 } else { 1.0 };
    (channels * a.measured_share(sigma_y)).clamp(1.0 / 64.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::degrade::Spec;
    use crate::frame::Shape;

    #[test]
    fn the_less_was_measured_the_more_it_counts() {
        let load = |_: &std::path::Path| unreachable!();
        let of = |spec: &str, noise: f64| {
            let a = Spec::parse(spec).unwrap().build(Shape::new(3, 64, 64), &load).unwrap();
            defaults(&a, noise / 127.5, true).relaxation
        };
        assert_eq!(of("none", 25.0), 1.0);
        assert_eq!(of("sr:2", 25.0), 2.0);
        assert!(of("blur:gauss:1.6", 2.0) > of("blur:gauss:0.8", 2.0));
        assert!(of("blur:gauss:1.6", 25.0) > of("blur:gauss:1.6", 2.0));
        assert_eq!(of("sr:8", 5.0), 5.0);
        assert!((of("hadamard:0.25", 5.0) - 10.0).abs() < 0.1);
    }
}
