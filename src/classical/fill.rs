//! Estimates missing pixels from the known ones around them.

mod holes;
mod pyramid;
mod ridges;

pub use holes::Holes;

use crate::frame::Shape;
use crate::scratch::zeros;

/// Whether a mask value says that its pixel is known.
fn is_known(mask: f32) -> bool {
    mask > 0.0
}

/// Replaces the values whose `known` is 0 by estimates; values with `known` above 0 stay.
///
/// `values` and `known` are `[C, H, W]`; what stands in a hole on entry does not matter. Values
/// are expected to span roughly `[-1, 1]`: what counts as a straight line depends on that.
///
/// The start is a pull-push pyramid (S. J. Gortler, R. Grzeszczuk, R. Szeliski and M. F. Cohen,
/// "The Lumigraph", SIGGRAPH 1996) relaxed towards a membrane at each scale, which spans holes
/// of any size smoothly. From there the picture's curvature is minimized along rows, columns and
/// both diagonals, each weighted per pixel by how straight the picture already runs that way, so
/// that edges and lines continue through the holes instead of blurring (iteratively reweighted
/// least squares on second differences). All channels share these weights, so a channel that is
/// known guides the others.
///
/// An estimate stays within the range of its channel's known values. A channel without any
/// becomes 0. Time is linear in the number of pixels: with half of them missing about 650
/// operations a value. Some rows can be filled by themselves: [`Holes`] says what they depend on.
pub fn fill(values: &mut [f32], known: &[f32], shape: Shape) {
    assert_eq!(values.len(), shape.len(), "values of {shape}");
    assert_eq!(known.len(), shape.len(), "known of {shape}");
    if shape.is_empty() || known.iter().all(|&k| is_known(k)) {
        return;
    }
    let planes = values.chunks_exact_mut(shape.plane()).zip(known.chunks_exact(shape.plane()));
    for (values, known) in planes {
        pyramid::fill(values, known, shape.height, shape.width);
    }
    ridges::refine(values, known, shape);
}

/// Bytes of working memory of [`fill`] for a picture of this size.
pub fn fill_bytes(shape: Shape) -> u64 {
    // First a channel's weights, and the coarser pictures, a third of it, of values and weights.
    let pyramid = (shape.plane() * 5 / 3 * size_of::<f32>()) as u64;
    pyramid.max(ridges::bytes(shape))
}

/// Bytes of working memory of [`fill_mosaic`].
pub fn fill_mosaic_bytes(shape: Shape) -> u64 {
    let quarter = places(shape);
    (2 * quarter.len() * size_of::<f32>()) as u64 + fill_bytes(quarter)
}

/// The four places of a mosaic's 2x2 pattern, as channels.
pub fn places(shape: Shape) -> Shape {
    Shape::new(4, shape.height.div_ceil(2), shape.width.div_ceil(2))
}

/// [`fill`] for a mosaic (one channel, `shape`): pixels of one place in the 2x2 pattern are
/// filled from those of the same place, since their neighbours have other colours.
pub fn fill_mosaic(values: &mut [f32], known: &[f32], shape: Shape) {
    let quarter = places(shape);
    let place = |i: usize| {
        let (y, x) = (i / shape.width, i % shape.width);
        ((y % 2 * 2 + x % 2) * quarter.height + y / 2) * quarter.width + x / 2
    };
    // At odd sizes some places do not exist; they count as unknown.
    let (mut v, mut k) = (zeros(quarter.len()), zeros(quarter.len()));
    for i in 0..shape.plane() {
        (v[place(i)], k[place(i)]) = (values[i], known[i]);
    }
    fill(&mut v, &k, quarter);
    for (i, value) in values.iter_mut().enumerate() {
        *value = v[place(i)];
    }
}

/// The plain peer: each hole becomes the mean of the known values of its channel in the `window`
/// by `window` pixels around it (odd), cut off at the picture's edges. Where none of them is
/// known, the window is the smallest larger one that has any.
///
/// Arguments and guarantees are as for [`fill`]. With half of the pixels missing, 3 is the best
/// window on photographs.
pub fn local_mean(values: &mut [f32], known: &[f32], shape: Shape, window: usize) {
    assert_eq!(values.len(), shape.len(), "values of {shape}");
    assert_eq!(known.len(), shape.len(), "known of {shape}");
    if shape.is_empty() {
        return;
    }
    let planes = values.chunks_exact_mut(shape.plane()).zip(known.chunks_exact(shape.plane()));
    for (values, known) in planes {
        let sums = Sums::new(values, known, shape.width);
        let reach = shape.height.max(shape.width);
        for (i, value) in values.iter_mut().enumerate() {
            if is_known(known[i]) {
                continue;
            }
            let (y, x) = (i / shape.width, i % shape.width);
            let (mut count, mut sum) = sums.around(y, x, window / 2);
            if count == 0.0 {
                // More window, more known pixels: bisect for the smallest with any.
                let (mut empty, mut enough) = (window / 2, reach);
                while empty + 1 < enough {
                    let middle = empty.midpoint(enough);
                    if sums.around(y, x, middle).0 == 0.0 {
                        empty = middle;
                    } else {
                        enough = middle;
                    }
                }
                (count, sum) = sums.around(y, x, enough);
            }
            *value = if count > 0.0 { (sum / count) as f32 } else { 0.0 };
        }
    }
}

/// Sums over any rectangle from its corners: entry `(y, x)` holds the number and the sum of the
/// known values above and left of pixel `(y, x)`.
struct Sums {
    width: usize,
    height: usize,
    table: Vec<(f64, f64)>,
}

impl Sums {
    fn new(values: &[f32], known: &[f32], width: usize) -> Sums {
        let height = values.len() / width;
        let mut table = vec![(0.0, 0.0); (height + 1) * (width + 1)];
        for y in 0..height {
            let (mut count, mut sum) = (0.0, 0.0);
            for x in 0..width {
                let i = y * width + x;
                if is_known(known[i]) {
                    count += 1.0;
                    sum += f64::from(values[i]);
                }
                let above: (f64, f64) = table[y * (width + 1) + x + 1];
                table[(y + 1) * (width + 1) + x + 1] = (above.0 + count, above.1 + sum);
            }
        }
        Sums { width, height, table }
    }

    /// Number and sum of the known values at most `radius` rows and columns away.
    fn around(&self, y: usize, x: usize, radius: usize) -> (f64, f64) {
        let (top, left) = (y.saturating_sub(radius), x.saturating_sub(radius));
        let (bottom, right) = ((y + radius + 1).min(self.height), (x + radius + 1).min(self.width));
        let at = |y: usize, x: usize| self.table[y * (self.width + 1) + x];
        let [a, b, c, d] = [at(bottom, right), at(top, right), at(bottom, left), at(top, left)];
        (a.0 - b.0 - c.0 + d.0, a.1 - b.1 - c.1 + d.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classical::testing::{Noise, PICTURES, picture, psnr};
    use crate::frame::rows_of;

    /// A mask of `len` values that keeps the given share.
    fn random_mask(len: usize, share: f32, seed: u64) -> Vec<f32> {
        let mut noise = Noise(seed);
        (0..len).map(|_| f32::from(u8::from(noise.next() < share))).collect()
    }

    /// The values with what must not matter in the holes.
    fn punched(x: &[f32], known: &[f32]) -> Vec<f32> {
        x.iter().zip(known).map(|(&x, &k)| if is_known(k) { x } else { f32::NAN }).collect()
    }

    #[test]
    fn half_of_a_picture_comes_back_better_than_by_the_local_mean() {
        let bounds = [34.3, 32.9, 37.2];
        let means = [29.9, 29.5, 34.1];
        for ((name, bound), mean) in PICTURES.into_iter().zip(bounds).zip(means) {
            let (x, shape) = picture(name);
            let known = random_mask(shape.plane(), 0.5, 5).repeat(3);
            let mut by_mean = punched(&x, &known);
            local_mean(&mut by_mean, &known, shape, 3);
            let mut filled = punched(&x, &known);
            fill(&mut filled, &known, shape);
            let (got_mean, got) = (psnr(&by_mean, &x), psnr(&filled, &x));
            assert!(got_mean >= mean, "{name}: local mean {got_mean:.2} dB");
            assert!(got >= bound, "{name}: {got:.2} dB");
        }
    }

    #[test]
    fn defects_and_rectangles_come_back_too() {
        let (x, shape) = picture("coffee");
        let square = |i: usize| {
            let (y, x) = (i / shape.width % shape.height, i % shape.width);
            f32::from(u8::from(y % 100 < 60 || x % 100 < 60))
        };
        let rectangles: Vec<f32> = (0..shape.len()).map(square).collect();
        let defects = random_mask(shape.len(), 0.999, 9);
        for (known, bound) in [(rectangles, 26.8), (defects, 62.0)] {
            let mut filled = punched(&x, &known);
            fill(&mut filled, &known, shape);
            let mut by_mean = punched(&x, &known);
            local_mean(&mut by_mean, &known, shape, 3);
            let (got, mean) = (psnr(&filled, &x), psnr(&by_mean, &x));
            assert!(got > mean && got >= bound, "{got:.2} dB, local mean {mean:.2} dB");
        }
    }

    /// Some rows at a time, each from the window that [`Holes`] asks for.
    fn fill_by_rows(values: &[f32], known: &[f32], shape: Shape) -> Vec<f32> {
        let holes = Holes::new(shape, |y, row| {
            for (c, part) in row.chunks_exact_mut(shape.width).enumerate() {
                let at = c * shape.plane() + y * shape.width;
                part.iter_mut().zip(&known[at..]).for_each(|(to, k)| *to = is_known(*k));
            }
        });
        let mut all = values.to_vec();
        for top in (0..shape.height).step_by(64) {
            let rows = top..(top + 64).min(shape.height);
            let window = holes.window(rows.clone());
            let part = Shape { height: window.len(), ..shape };
            let mut filled = rows_of(values, shape, window.clone());
            fill(&mut filled, &rows_of(known, shape, window.clone()), part);
            let inner = rows.start - window.start..rows.end - window.start;
            let filled = rows_of(&filled, part, inner);
            let planes = filled.chunks_exact(rows.len() * shape.width);
            for (all, filled) in all.chunks_exact_mut(shape.plane()).zip(planes) {
                all[top * shape.width..][..filled.len()].copy_from_slice(filled);
            }
        }
        all
    }

    #[test]
    fn rows_by_themselves_are_filled_as_in_the_whole_picture() {
        let (x, shape) = picture("coffee");
        let random = |share| random_mask(shape.plane(), share, 5).repeat(3);
        let squares = |period: usize, hole: usize| {
            let known = |i: usize| {
                let (y, x) = (i / shape.width % shape.height, i % shape.width);
                f32::from(u8::from(y % period < period - hole || x % period < period - hole))
            };
            (0..shape.len()).map(known).collect::<Vec<f32>>()
        };
        let masks = [
            (random(0.5), 0.01),
            (random(0.1), 0.05),
            (squares(20, 6), 0.01),
            (squares(100, 40), 0.05),
            (squares(240, 130), 0.05),
        ];
        for (i, (known, bound)) in masks.into_iter().enumerate() {
            let holes = punched(&x, &known);
            let mut whole = holes.clone();
            fill(&mut whole, &known, shape);
            let rows = fill_by_rows(&holes, &known, shape);
            let (a, b) = (psnr(&whole, &x), psnr(&rows, &x));
            assert!((a - b).abs() < bound, "mask {i}: {a:.3} dB, by rows {b:.3} dB");
            // No border shows where two windows meet: steps across it are like those elsewhere.
            let steps = |of: &[f32]| -> f32 {
                let borders = (64..shape.height).step_by(64).map(|y| y * shape.width);
                let below = borders.flat_map(|at| at..at + shape.width);
                below.map(|i| (of[i] - of[i - shape.width]).abs()).sum()
            };
            let seam = steps(&rows) / steps(&whole);
            assert!((0.97..1.03).contains(&seam), "mask {i}: {seam} of the steps");
        }
    }

    #[test]
    fn known_values_stay_and_estimates_are_in_range_at_any_size() {
        for (c, h, w) in [(1, 1, 1), (2, 1, 9), (1, 8, 1), (3, 2, 2), (3, 5, 7), (2, 150, 11)] {
            let shape = Shape::new(c, h, w);
            for share in [0.0, 0.05, 0.5, 0.9, 1.0] {
                let mut noise = Noise(1 + h as u64);
                let x: Vec<f32> = (0..shape.len()).map(|_| noise.next() * 2.0 - 1.0).collect();
                let known = random_mask(shape.len(), share, 77);
                let mut filled = punched(&x, &known);
                fill(&mut filled, &known, shape);
                let mut by_mean = punched(&x, &known);
                local_mean(&mut by_mean, &known, shape, 5);
                for got in [filled, by_mean] {
                    for i in 0..x.len() {
                        assert!(known[i] == 0.0 || got[i] == x[i], "{shape} {share}");
                        assert!((-1.0..=1.0).contains(&got[i]), "{shape} {share}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_channel_of_which_nothing_is_known_is_zero() {
        let shape = Shape::new(3, 20, 21);
        let mut values = vec![0.7; shape.len()];
        let mut known = vec![1.0; shape.len()];
        known[shape.plane()..2 * shape.plane()].fill(0.0);
        let mut by_mean = values.clone();
        local_mean(&mut by_mean, &known, shape, 3);
        fill(&mut values, &known, shape);
        for got in [values, by_mean] {
            let channels: Vec<&[f32]> = got.chunks_exact(shape.plane()).collect();
            assert!(channels[1].iter().all(|&v| v == 0.0));
            assert!(channels[0].iter().chain(channels[2]).all(|&v| v == 0.7));
        }
    }

    #[test]
    fn constants_are_exact() {
        let shape = Shape::new(2, 160, 40);
        for share in [0.02, 0.5] {
            let known = random_mask(shape.len(), share, 4);
            let mut values = punched(&vec![0.25; shape.len()], &known);
            fill(&mut values, &known, shape);
            assert!(values.iter().all(|v| (v - 0.25).abs() < 1e-5));
        }
    }

    /// A straight edge at a slant through a hole: the mean of the surroundings would be grey.
    #[test]
    fn ramps_and_edges_continue_through_holes() {
        let shape = Shape::new(1, 64, 64);
        let ramp = |i: usize| (i / 64) as f32 * 0.01 - (i % 64) as f32 * 0.012;
        let edge = |i: usize| {
            (0.4 * (2 * (i / 64)) as f32 - 0.4 * (i % 64) as f32 - 12.0).clamp(-0.9, 0.9)
        };
        let holes = |i: usize| f32::from(u8::from((i / 64) % 16 >= 5 || (i % 64) % 16 >= 5));
        let known: Vec<f32> = (0..shape.len()).map(holes).collect();
        for (name, x, bound) in [
            ("ramp", (0..shape.len()).map(ramp).collect::<Vec<f32>>(), 55.0),
            ("edge", (0..shape.len()).map(edge).collect(), 33.0),
        ] {
            let mut filled = punched(&x, &known);
            fill(&mut filled, &known, shape);
            let mut by_mean = punched(&x, &known);
            local_mean(&mut by_mean, &known, shape, 3);
            let (got, mean) = (psnr(&filled, &x), psnr(&by_mean, &x));
            assert!(got >= bound && got > mean + 5.0, "{name}: {got:.2} dB, mean {mean:.2} dB");
        }
    }

    #[test]
    fn a_large_hole_is_smooth() {
        let shape = Shape::new(1, 200, 200);
        let level = |i: usize| if i % 200 < 100 { -0.5f32 } else { 0.5 };
        let hole = |i: usize| {
            let inside = (40..160).contains(&(i / 200)) && (40..160).contains(&(i % 200));
            f32::from(u8::from(!inside))
        };
        let known: Vec<f32> = (0..shape.len()).map(hole).collect();
        let mut values = punched(&(0..shape.len()).map(level).collect::<Vec<_>>(), &known);
        fill(&mut values, &known, shape);
        let mut steepest = 0.0f32;
        for y in 60..140 {
            for x in 60..140 {
                let i = y * 200 + x;
                steepest = steepest.max((values[i] - values[i - 1]).abs());
                steepest = steepest.max((values[i] - values[i - 200]).abs());
            }
        }
        assert!(steepest < 0.04, "{steepest} from one pixel to the next");
    }
}
