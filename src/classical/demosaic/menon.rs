//! Green is interpolated along rows and along columns, the better of the two is chosen per
//! pixel afterwards, and red and blue follow from colour differences.

use super::{Bayer, Strip, by_strips};
use crate::scratch::{Buffer, List};

/// D. Menon, S. Andriani and G. Calvagno, "Demosaicing with directional filtering and a
/// posteriori decision", IEEE Transactions on Image Processing 16(1), 2007, with its refining
/// step.
///
/// `mosaic` is `[height, width]`; the result is `[3, height, width]` in the same units. It can
/// overshoot at edges. Exact on constants and on ramps where the three colours have the same
/// slope. About 100 operations a pixel; besides the result it needs memory for some 100 rows.
pub fn menon(mosaic: &[f32], height: usize, width: usize, bayer: Bayer) -> Vec<f32> {
    estimate(mosaic, height, width, bayer).to_vec()
}

/// [`menon`]'s estimate.
pub(super) fn estimate(mosaic: &[f32], height: usize, width: usize, bayer: Bayer) -> Buffer<f32> {
    let mut work = Work::new(bayer);
    by_strips(mosaic, height, width, bayer, BORDER, |strip, out| {
        work.start(strip);
        work.interpolate_green(strip);
        work.choose_green(strip);
        work.fill_at_green();
        work.fill_opposite();
        work.refine_green();
        work.fill_at_green();
        work.refine_opposite();
        for (c, plane) in out.into_iter().enumerate() {
            for (y, row) in plane.chunks_exact_mut(width).enumerate() {
                let at = (y + BORDER) * work.stride + BORDER;
                row.copy_from_slice(&work.rgb[c][at..at + width]);
            }
        }
    })
}

/// How far a result can depend on the mosaic: each step below looks one or two pixels further.
/// The last step's margin is 9; even, so that the phase is kept.
pub const BORDER: usize = 10;

/// The buffers of one strip, of its size with borders. Each step leaves a wider margin of the
/// border without a meaningful value.
struct Work {
    stride: usize,
    rows: usize,
    bayer: Bayer,
    rgb: [List<f32>; 3],
    /// At pixels that are not green: measured colour minus green as interpolated along the row,
    /// and along the column.
    difference: [List<f32>; 2],
    /// At pixels that are not green: the index step of the direction that was chosen.
    step: List<usize>,
}

impl Work {
    fn new(bayer: Bayer) -> Work {
        Work {
            stride: 0,
            rows: 0,
            bayer,
            rgb: std::array::from_fn(|_| List::new()),
            difference: std::array::from_fn(|_| List::new()),
            step: List::new(),
        }
    }

    fn start(&mut self, strip: &Strip) {
        (self.stride, self.rows) = (strip.stride, strip.rows);
        for plane in &mut self.rgb {
            plane.clone_from(&strip.data);
        }
        for plane in &mut self.difference {
            plane.resize(strip.data.len(), 0.0);
        }
        self.step.resize(strip.data.len(), 1);
    }

    /// Index of each pixel in row `y` that is not green (or, if `green`, that is), `margin`
    /// pixels from the edges.
    fn pixels(&self, y: usize, margin: usize, green: bool) -> impl Iterator<Item = usize> + use<> {
        let parity = self.bayer.row(y).0 ^ usize::from(green);
        let first = margin + (margin + parity) % 2;
        (y * self.stride + first..(y + 1) * self.stride - margin).step_by(2)
    }

    fn inner_rows(&self, margin: usize) -> std::ops::Range<usize> {
        margin..self.rows - margin
    }

    /// Both directional estimates of green: the mean of the neighbours plus half the curvature
    /// of the measured colour (the paper's 5-tap filter).
    fn interpolate_green(&mut self, strip: &Strip) {
        let m = &strip.data;
        for (difference, step) in [(0, 1), (1, self.stride)] {
            for y in self.inner_rows(2) {
                for i in self.pixels(y, 2, false) {
                    let near = m[i - step] + m[i + step];
                    let curve = 2.0 * m[i] - m[i - 2 * step] - m[i + 2 * step];
                    self.difference[difference][i] = m[i] - 0.5 * near - 0.25 * curve;
                }
            }
        }
    }

    /// Takes per pixel the direction along which the colour difference changes less.
    fn choose_green(&mut self, strip: &Strip) {
        let [along_row, along_column] = &self.difference;
        for y in self.inner_rows(4) {
            for i in self.pixels(y, 4, false) {
                let horizontal = roughness(along_row, i, 1, self.stride);
                let vertical = roughness(along_column, i, self.stride, 1);
                let (difference, step) = if horizontal <= vertical {
                    (along_row[i], 1)
                } else {
                    (along_column[i], self.stride)
                };
                self.step[i] = step;
                self.rgb[1][i] = strip.data[i] - difference;
            }
        }
    }

    /// Red and blue at green pixels: green plus the mean colour difference of the two
    /// neighbours that measured the colour.
    fn fill_at_green(&mut self) {
        for y in self.inner_rows(5) {
            let own = self.bayer.row(y).1;
            for i in self.pixels(y, 5, true) {
                for (colour, step) in [(own, 1), (2 - own, self.stride)] {
                    let c = self.mean_difference(colour, 1, i, step);
                    self.rgb[colour][i] = self.rgb[1][i] + c;
                }
            }
        }
    }

    /// Red at blue pixels and blue at red ones: from the two green neighbours in the chosen
    /// direction, where by now both are known.
    fn fill_opposite(&mut self) {
        for y in self.inner_rows(6) {
            let own = self.bayer.row(y).1;
            for i in self.pixels(y, 6, false) {
                let c = self.mean_difference(2 - own, own, i, self.step[i]);
                self.rgb[2 - own][i] = self.rgb[own][i] + c;
            }
        }
    }

    /// Green again, from the colour difference averaged over three pixels in the chosen
    /// direction: the difference is smooth, so what varies quickly in it is error.
    fn refine_green(&mut self) {
        for y in self.inner_rows(7) {
            let own = self.bayer.row(y).1;
            for i in self.pixels(y, 7, false) {
                let around = self.mean_difference(own, 1, i, self.step[i]);
                let here = self.rgb[own][i] - self.rgb[1][i];
                self.rgb[1][i] = self.rgb[own][i] - (2.0 * around + here) / 3.0;
            }
        }
    }

    /// The same for red at blue pixels and blue at red ones.
    fn refine_opposite(&mut self) {
        for y in self.inner_rows(9) {
            let own = self.bayer.row(y).1;
            for i in self.pixels(y, 9, false) {
                let around = self.mean_difference(2 - own, own, i, self.step[i]);
                let here = self.rgb[2 - own][i] - self.rgb[own][i];
                self.rgb[2 - own][i] = self.rgb[own][i] + (2.0 * around + here) / 3.0;
            }
        }
    }

    /// Mean of channel `a` minus channel `b` over the two neighbours of pixel `i` at `step`.
    fn mean_difference(&self, a: usize, b: usize, i: usize, step: usize) -> f32 {
        let (a, b) = (&self.rgb[a], &self.rgb[b]);
        0.5 * ((a[i - step] - b[i - step]) + (a[i + step] - b[i + step]))
    }
}

/// How much the colour difference `c` changes around pixel `i` in steps of `along`, in a 5x5
/// window: the pixel's own line counts three times, the other colour's lines beside it and the
/// own colour's next lines once.
fn roughness(c: &[f32], i: usize, along: usize, across: usize) -> f32 {
    let line = |i: usize| (c[i] - c[i - 2 * along]).abs() + (c[i + 2 * along] - c[i]).abs();
    let beside = |i: usize| (c[i + along] - c[i - along]).abs();
    3.0 * line(i)
        + line(i - 2 * across)
        + line(i + 2 * across)
        + beside(i - across)
        + beside(i + across)
}
