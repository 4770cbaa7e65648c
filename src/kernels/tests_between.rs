//! What stands between convolutions, on every path against float64, at sizes that divide nothing.

use super::tests::{memory, random, views};
use super::*;

const NEAR: f64 = 1e-5;

/// Height, width and channels.
const SIZES: [(usize, usize, usize); 5] =
    [(1, 1, 3), (3, 5, 16), (7, 4, 12), (9, 13, 20), (18, 11, 64)];

const ACTIVATIONS: [Activation; 4] =
    [Activation::None, Activation::Relu, Activation::LeakyRelu(0.1), Activation::Silu];

fn grid((height, width, channels): (usize, usize, usize)) -> Grid {
    Grid { height, width, channels }
}

/// Root of the mean square of the difference, relative to that of the truth.
fn error(found: &[f64], truth: &[f64]) -> f64 {
    assert_eq!(found.len(), truth.len());
    let difference: f64 = found.iter().zip(truth).map(|(a, b)| (a - b).powi(2)).sum();
    (difference / truth.iter().map(|v| v * v).sum::<f64>()).sqrt()
}

#[test]
fn scales_shifts_and_activations() {
    for (size, activation) in SIZES.into_iter().zip(ACTIVATIONS.into_iter().cycle()) {
        let grid = grid(size);
        let views = views(&[grid, grid]);
        let start = memory(&views);
        let padded = |seed| {
            let mut values = random(seed, grid.channels, 1.0);
            values.resize(grid.pixel(), 0.0);
            values
        };
        let (scale, shift) = (padded(5), padded(6));
        let truth: Vec<f64> = reference::read(&start, views[0])
            .iter()
            .enumerate()
            .map(|(i, v)| {
                let c = i % grid.channels;
                let value = f64::from(scale[c]) * v + f64::from(shift[c]);
                reference::activation(activation, value)
            })
            .collect();
        for isa in Isa::available_in_floats() {
            // To another place, and in place.
            for to in [views[1], views[0]] {
                let mut memory = start.clone();
                pointwise(isa, &mut memory, (views[0], to), &scale, &shift, activation);
                let error = error(&reference::read(&memory, to), &truth);
                assert!(error < NEAR, "{isa:?} {size:?} {activation:?}: {error:e}");
            }
        }
    }
}

#[test]
fn sums_of_pictures() {
    for size in SIZES {
        let grid = grid(size);
        let views = views(&[grid, grid, grid]);
        let start = memory(&views);
        let values = views.iter().map(|view| reference::read(&start, *view));
        let values: Vec<Vec<f64>> = values.collect();
        let truth: Vec<f64> = values[0].iter().zip(&values[1]).map(|(a, b)| a + b).collect();
        for isa in Isa::available_in_floats() {
            for to in views.iter().rev() {
                let mut memory = start.clone();
                add(isa, &mut memory, views[0], views[1], *to);
                let error = error(&reference::read(&memory, *to), &truth);
                assert!(error < NEAR, "{isa:?} {size:?}: {error:e}");
            }
        }
    }
}

#[test]
fn moments_of_pictures() {
    for size in SIZES {
        let grid = grid(size);
        let views = views(&[grid]);
        let start = memory(&views);
        let mut center = random(7, grid.channels, 0.5);
        center.resize(grid.pixel(), 0.0);
        for power in [1, 2] {
            let mut truth = vec![0.0; grid.channels];
            for (i, v) in reference::read(&start, views[0]).iter().enumerate() {
                let c = i % grid.channels;
                truth[c] += (v - f64::from(center[c])).powi(power as i32);
            }
            for isa in Isa::available_in_floats() {
                let mut found = vec![f64::NAN; grid.pixel()];
                moments(isa, &start, views[0], &center, power, &mut found);
                let error = error(&found[..grid.channels], &truth);
                assert!(error < NEAR, "{isa:?} {size:?} power {power}: {error:e}");
            }
        }
    }
}

/// `from_planes` and `to_planes` only move values: a picture comes back as it was, and each value
/// lies where the convention of `pixel_unshuffle` says.
#[test]
fn planes_come_back_from_channels() {
    for factor in [1, 2, 3] {
        let (channels, height, width) = (3, 4, 5);
        let grid = Grid { height, width, channels: channels * factor * factor };
        let views = views(&[grid]);
        let mut memory = memory(&views);
        let planes = random(3, channels * height * width * factor * factor, 1.0);
        from_planes(&planes, 1.0, &mut memory, views[0], factor);
        let moved = reference::read(&memory, views[0]);
        for (i, value) in moved.iter().enumerate() {
            let (pixel, channel) = (i / grid.channels, i % grid.channels);
            let (y, x) = (pixel / width, pixel % width);
            let (c, dy, dx) =
                (channel / (factor * factor), channel / factor % factor, channel % factor);
            let row = c * height * factor + y * factor + dy;
            let from = planes[row * width * factor + x * factor + dx];
            assert_eq!(*value, f64::from(from), "factor {factor}, value {i}");
        }
        let mut back = vec![f32::NAN; planes.len()];
        to_planes(&mut memory, views[0], &mut back, factor);
        assert_eq!(back, planes, "factor {factor}");
    }
}
