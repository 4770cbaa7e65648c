//! A smooth start at every scale: average what is known into ever coarser pictures, then fill
//! each picture's holes from the next coarser one.

use super::is_known;
use crate::scratch::{Buffer, zeros};

/// Relaxation sweeps per scale: they turn the pyramid's blocks into a membrane.
const SWEEPS: usize = 6;

/// Fills the holes (`known` 0) of one channel; 0 if nothing is known.
pub fn fill(values: &mut [f32], known: &[f32], height: usize, width: usize) {
    // What stands in a hole must not count, not even as infinity times zero.
    for (value, &known) in values.iter_mut().zip(known) {
        if !is_known(known) {
            *value = 0.0;
        }
    }
    let weight = known.iter().map(|&k| f32::from(u8::from(is_known(k))));
    let weight = Buffer::collect(known.len(), weight);
    push(values, &weight, height, width);
}

/// Fills where `weight` is below 1, from the level below; recursive, with half the size each time.
fn push(values: &mut [f32], weight: &[f32], height: usize, width: usize) {
    if height == 1 && width == 1 || weight.iter().all(|&w| w >= 1.0) {
        return;
    }
    let (h, w) = (height.div_ceil(2), width.div_ceil(2));
    let mut coarse = zeros(h * w);
    let mut coarse_weight = zeros(h * w);
    for y in 0..height {
        for x in 0..width {
            let (i, j) = (y * width + x, y / 2 * w + x / 2);
            coarse[j] += weight[i] * values[i];
            coarse_weight[j] += weight[i];
        }
    }
    for (value, weight) in coarse.iter_mut().zip(coarse_weight.iter_mut()) {
        if *weight > 0.0 {
            *value /= *weight;
        }
        // One known pixel of the four is enough to be sure of the mean.
        *weight = weight.min(1.0);
    }
    push(&mut coarse, &coarse_weight, h, w);
    // The nearest coarse pixel counts 3/4 along each axis, the next one 1/4.
    let nearest = |i: usize, n: usize| {
        let next =
            if i.is_multiple_of(2) { (i / 2).saturating_sub(1) } else { (i / 2 + 1).min(n - 1) };
        (i / 2, next)
    };
    for y in 0..height {
        let (y0, y1) = nearest(y, h);
        for x in 0..width {
            let i = y * width + x;
            if weight[i] < 1.0 {
                let (x0, x1) = nearest(x, w);
                let near = 0.75 * coarse[y0 * w + x0] + 0.25 * coarse[y0 * w + x1];
                let far = 0.75 * coarse[y1 * w + x0] + 0.25 * coarse[y1 * w + x1];
                let below = 0.75 * near + 0.25 * far;
                values[i] = weight[i] * values[i] + (1.0 - weight[i]) * below;
            }
        }
    }
    relax(values, weight, height, width);
}

/// Moves each value without any weight to the mean of its four neighbours, several times.
fn relax(values: &mut [f32], weight: &[f32], height: usize, width: usize) {
    for _ in 0..SWEEPS {
        for y in 0..height {
            for x in 0..width {
                let i = y * width + x;
                if weight[i] > 0.0 {
                    continue;
                }
                let up = values[if y > 0 { i - width } else { i }];
                let down = values[if y + 1 < height { i + width } else { i }];
                let left = values[if x > 0 { i - 1 } else { i }];
                let right = values[if x + 1 < width { i + 1 } else { i }];
                values[i] = 0.25 * (up + down + left + right);
            }
        }
    }
}
