//! Enlarges a picture whose pixels are means of square blocks.

use std::ops::Range;

use crate::frame::Shape;
use crate::scratch::{Buffer, zeros};

/// R. G. Keys' cubic interpolation ("Cubic convolution interpolation for digital image
/// processing", IEEE Transactions on Acoustics, Speech and Signal Processing 29(6), 1981, with
/// `a = -1/2`) of `y`, `[C, from.height, from.width]`, to `[C, to_height, to_width]`.
///
/// Input pixel `j` of a line is the mean of the `factor` output pixels from `factor * j` on, so
/// it counts as a sample at the centre of its block: output pixel `x` lies at
/// `(x + 0.5) / factor - 0.5`. Where the output size is no multiple of `factor` the last block
/// is partial and its sample sits at the centre of the part. Keys' kernel is a cubic through
/// the samples with the slope of the chord of the two neighbours at each, which is how it
/// carries over to the uneven spacing there: ramps stay exact away from the edges. Beyond the
/// edges the picture is mirrored.
///
/// # Panics
///
/// If the sizes do not fit: each of `from` must be the output's divided by `factor`, rounded up.
pub fn upsample(
    y: &[f32],
    from: Shape,
    to_height: usize,
    to_width: usize,
    factor: usize,
) -> Vec<f32> {
    assert_eq!(from.height, to_height.div_ceil(factor), "rows of blocks");
    let mut out = vec![0.0; from.channels * to_height * to_width];
    upsample_rows(y, from, 0, (to_height, to_width), factor, 0..to_height, &mut out);
    out
}

/// The rows of blocks that [`upsample`]'s output `rows` depend on.
pub fn support(rows: Range<usize>, to_height: usize, factor: usize) -> Range<usize> {
    let taps = |rows| taps(to_height.div_ceil(factor), to_height, factor, rows);
    let used = || taps(rows.clone()).flat_map(|t| t.index);
    used().min().unwrap_or(0)..used().max().map_or(0, |j| j + 1)
}

/// Some rows of what [`upsample`] makes, from those of its input that they depend on: `y` is
/// `[C, from.height, from.width]` and its first row is number `first` of the whole input; `to` is
/// the height and width of the whole output.
pub fn upsample_rows(
    y: &[f32],
    from: Shape,
    first: usize,
    (to_height, to_width): (usize, usize),
    factor: usize,
    rows: Range<usize>,
    out: &mut [f32],
) {
    assert_eq!(y.len(), from.len(), "values of {from}");
    assert_eq!(from.width, to_width.div_ceil(factor), "columns of blocks");
    assert_eq!(out.len(), from.channels * rows.len() * to_width, "values of {rows:?}");
    if out.is_empty() {
        return;
    }
    let planes = out.chunks_exact_mut(rows.len() * to_width);
    let columns = || taps(from.width, to_width, factor, 0..to_width);
    let weights = Buffer::collect(4 * to_width, columns().flat_map(|tap| tap.weight));
    let indices = Buffer::collect(4 * to_width, columns().flat_map(|tap| tap.index));
    let mut line = zeros(from.width);
    for (plane, out) in y.chunks_exact(from.plane()).zip(planes) {
        // Rows first: there are few columns yet, and whole rows are combined at once.
        let taps = taps(to_height.div_ceil(factor), to_height, factor, rows.clone());
        for (row, tap) in out.chunks_exact_mut(to_width).zip(taps) {
            let [a, b, c, d] = tap.index.map(|j| &plane[(j - first) * from.width..][..from.width]);
            let [wa, wb, wc, wd] = tap.weight;
            for (x, value) in line.iter_mut().enumerate() {
                *value = wa * a[x] + wb * b[x] + wc * c[x] + wd * d[x];
            }
            let taps = indices.as_chunks::<4>().0.iter().zip(weights.as_chunks::<4>().0);
            for (value, (index, [wa, wb, wc, wd])) in row.iter_mut().zip(taps) {
                let [a, b, c, d] = index.map(|j| line[j]);
                *value = wa * a + wb * b + wc * c + wd * d;
            }
        }
    }
}

/// Which four input values make an output value.
struct Taps {
    index: [usize; 4],
    weight: [f32; 4],
}

/// The taps of the output positions `at` of a line of `n` blocks that cover `size` pixels.
fn taps(n: usize, size: usize, factor: usize, at: Range<usize>) -> impl Iterator<Item = Taps> {
    let centre = move |j: usize| {
        let end = ((j + 1) * factor).min(size);
        0.5 * (j * factor + end) as f64
    };
    // Block `j` of the line as it continues beyond its edges: where its mean is found, and
    // where its centre lies. A single block has no neighbour that could be mirrored twice.
    let node = move |j: isize| {
        let last = n as isize - 1;
        if j < 0 {
            let k = (-1 - j).min(last) as usize;
            (k, -centre(k))
        } else if j > last {
            let k = (2 * last + 1 - j).max(0) as usize;
            (k, 2.0 * size as f64 - centre(k))
        } else {
            (j as usize, centre(j as usize))
        }
    };
    let tap = move |x: usize| {
        if n == 1 {
            return Taps { index: [0; 4], weight: [0.0, 1.0, 0.0, 0.0] };
        }
        let at = x as f64 + 0.5;
        let mut j = (x / factor) as isize;
        if at < node(j).1 {
            j -= 1;
        }
        let [(i0, p0), (i1, p1), (i2, p2), (i3, p3)] = [j - 1, j, j + 1, j + 2].map(node);
        let gap = p2 - p1;
        let t = (at - p1) / gap;
        // Hermite's cubic: the value's share of the left end, and the slopes' of both ends.
        let left = (1.0 + 2.0 * t) * (1.0 - t) * (1.0 - t);
        let slope_left = t * (1.0 - t) * (1.0 - t) * gap / (p2 - p0);
        let slope_right = t * t * (t - 1.0) * gap / (p3 - p1);
        let weight = [-slope_left, left - slope_right, 1.0 - left + slope_left, slope_right];
        Taps { index: [i0, i1, i2, i3], weight: weight.map(|w| w as f32) }
    };
    at.map(tap)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classical::testing::{PICTURES, crop, picture, psnr};
    use crate::frame::rows_of;

    /// The measurement that `upsample` expects.
    fn block_means(x: &[f32], shape: Shape, factor: usize) -> (Vec<f32>, Shape) {
        let to =
            Shape::new(shape.channels, shape.height.div_ceil(factor), shape.width.div_ceil(factor));
        let mut out = Vec::new();
        for plane in x.chunks_exact(shape.plane()) {
            for by in 0..to.height {
                for bx in 0..to.width {
                    let ys = by * factor..((by + 1) * factor).min(shape.height);
                    let xs = bx * factor..((bx + 1) * factor).min(shape.width);
                    let n = (ys.len() * xs.len()) as f32;
                    let block = ys.flat_map(|y| &plane[y * shape.width..][xs.clone()]);
                    out.push(block.sum::<f32>() / n);
                }
            }
        }
        (out, to)
    }

    #[test]
    fn constants_are_exact_at_any_size() {
        for (h, w) in [(1, 1), (1, 9), (2, 3), (7, 5), (16, 13)] {
            for factor in [1, 2, 3, 4, 8] {
                let shape = Shape::new(2, h, w);
                let (y, from) = block_means(&vec![0.37; shape.len()], shape, factor);
                let up = upsample(&y, from, h, w, factor);
                assert!(up.len() == shape.len());
                assert!(up.iter().all(|v| (v - 0.37).abs() < 1e-6), "{h}x{w} by {factor}");
            }
        }
    }

    #[test]
    fn ramps_are_exact_away_from_the_edges_partial_block_included() {
        for (factor, size) in [(2, 31), (4, 41), (4, 42), (4, 43), (8, 65)] {
            let shape = Shape::new(1, size, size);
            let ramp = |i: usize| (i / size) as f32 * 0.013 - (i % size) as f32 * 0.021;
            let x: Vec<f32> = (0..shape.len()).map(ramp).collect();
            let (y, from) = block_means(&x, shape, factor);
            let up = upsample(&y, from, size, size, factor);
            // Up to the last sample but one, whose slope no longer sees the mirrored side.
            let end = size - size % factor - factor / 2 - 1;
            for r in 2 * factor..end {
                for c in 2 * factor..end {
                    let i = r * size + c;
                    assert!((up[i] - x[i]).abs() < 1e-5, "factor {factor}, size {size}: {r} {c}");
                }
            }
        }
    }

    #[test]
    fn rows_alone_are_those_of_the_whole() {
        let shape = Shape::new(2, 45, 31);
        let (from, factor) = (Shape::new(2, 15, 11), 3);
        let y: Vec<f32> = (0..from.len()).map(|i| (i as f32 * 0.7).sin()).collect();
        let whole = upsample(&y, from, shape.height, shape.width, factor);
        for rows in [0..1, 0..7, 20..21, 19..32, 44..45] {
            let support = support(rows.clone(), shape.height, factor);
            assert!(support.len() <= rows.len() / factor + 5, "{rows:?} need {support:?}");
            let part = Shape { height: support.len(), ..from };
            let mut found = vec![0.0; shape.channels * rows.len() * shape.width];
            let whole_size = (shape.height, shape.width);
            let y = rows_of(&y, from, support.clone());
            let first = support.start;
            upsample_rows(&y, part, first, whole_size, factor, rows.clone(), &mut found);
            assert!(found == rows_of(&whole, shape, rows.clone()), "{rows:?}");
        }
    }

    #[test]
    fn a_factor_of_one_changes_nothing() {
        let (x, shape) = picture("chelsea");
        let up = upsample(&x, shape, shape.height, shape.width, 1);
        assert!(x.iter().zip(&up).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn real_pictures_reach_the_measured_quality() {
        let bounds = [25.3, 25.7, 30.0];
        for (name, bound) in PICTURES.into_iter().zip(bounds) {
            let (x, shape) = picture(name);
            // The second size ends in a partial block both ways.
            for (h, w) in [(shape.height / 4 * 4, shape.width / 4 * 4), (297, 398)] {
                let shape_cut = Shape::new(3, h, w);
                let x = crop(&x, shape, h, w);
                let (y, from) = block_means(&x, shape_cut, 4);
                let got = psnr(&upsample(&y, from, h, w, 4), &x);
                let bound = if h == 297 { bound - 0.5 } else { bound };
                assert!(got >= bound, "{name} {w}x{h}: {got:.2} dB");
            }
        }
    }
}
