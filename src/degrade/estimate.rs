//! How strong the Gaussian noise of a measurement is, from the measurement alone.
//!
//! Immerkaer's mask (1996), the difference of two Laplacians, leaves little of a picture but its
//! noise. Its mean square is taken block by block, and of all blocks a low quantile: that of the
//! smoothest ones, where there is hardly anything but noise. What noise alone would give there is
//! known. Texture that is everywhere counts as noise: below three code values or so the two cannot
//! be told apart, and the estimate is too large by up to two.

use super::Degradation;
use crate::error::{Error, Result};
use crate::frame::{Rows, Shape};

/// Side of a block, in answers of the mask.
const BLOCK: usize = 8;
/// The quantile of the blocks, and the mean square that noise of variance 1 has there (measured on
/// 62,000 blocks) with the mask on neighbours, and on every other value.
const QUANTILE: f64 = 0.05;
const NOISE_THERE: [f64; 2] = [0.5527, 0.58];
/// With fewer blocks there is no quantile.
const LEAST: u64 = 16;
/// Classes of mean squares: so many for a factor of two, from `2^-LOWEST` on.
const CLASSES: f64 = 32.0;
const LOWEST: f64 = 12.0;
const COUNT: usize = 1024;

/// The standard deviation of the noise in a measurement's file, in 8-bit code values. Values at
/// black or white are left out: there noise was cut off, or nothing measured.
///
/// # Errors
/// [`Error::Usage`] for a measurement that is no picture or has too few whole blocks, and what
/// reading gives.
pub fn noise(a: &dyn Degradation, file: &mut dyn Rows) -> Result<f64> {
    let refuse = |expected: &str, found: String| {
        Err(Error::Usage(format!("noise: expected {expected} for auto, found {found}")))
    };
    if !a.is_picture() {
        return refuse("a measurement that is a picture", format!("`{}`", a.spec()));
    }
    let step = if a.is_mosaic() { 2 } else { 1 };
    let mut blocks = Blocks::new(file.shape(), step);
    let mut row = vec![0.0; file.shape().channels * file.shape().width];
    for y in 0..file.shape().height {
        file.next(&mut row)?;
        blocks.take(y, &row);
    }
    match blocks.quantile() {
        Some(energy) => Ok((energy / NOISE_THERE[step - 1]).sqrt()),
        None => refuse(
            &format!("at least {LEAST} blocks of {BLOCK}x{BLOCK} values without black and white"),
            blocks.whole.to_string(),
        ),
    }
}

/// The mean squares of all blocks, from rows that come one by one.
struct Blocks {
    shape: Shape,
    /// From a value to its neighbour of the same colour.
    step: usize,
    /// The last rows, as many as the mask spans, in code values.
    rows: Vec<Vec<f32>>,
    /// Sums of squares of the row of blocks at hand, and whether nothing was left out.
    sums: Vec<(f64, bool)>,
    classes: Vec<u64>,
    whole: u64,
}

impl Blocks {
    fn new(shape: Shape, step: usize) -> Blocks {
        let across = shape.width.saturating_sub(2 * step) / BLOCK;
        let sums = vec![(0.0, true); shape.channels * across];
        Blocks { shape, step, rows: Vec::new(), sums, classes: vec![0; COUNT], whole: 0 }
    }

    /// Counts row `y`, its channels one after another.
    fn take(&mut self, y: usize, row: &[f32]) {
        let span = 2 * self.step + 1;
        if self.rows.len() == span {
            self.rows.rotate_left(1);
            self.rows.pop();
        }
        self.rows.push(row.iter().map(|v| 127.5 * (v + 1.0)).collect());
        if self.rows.len() < span || self.sums.is_empty() {
            return;
        }
        let across = self.sums.len() / self.shape.channels;
        let of = |i: usize| &self.rows[i * self.step];
        let (above, here, below) = (of(0), of(1), of(2));
        for (i, (sum, whole)) in self.sums.iter_mut().enumerate() {
            let from = i / across * self.shape.width + i % across * BLOCK;
            for x in from..from + BLOCK {
                let (left, middle, right) = (x, x + self.step, x + 2 * self.step);
                let along = |row: &[f32]| row[left] - 2.0 * row[middle] + row[right];
                let answer = (along(above) - 2.0 * along(here) + along(below)) / 6.0;
                *sum += f64::from(answer).powi(2);
                let taps = [above, here, below].map(|row| [row[left], row[middle], row[right]]);
                *whole &= taps.as_flattened().iter().all(|v| *v > 1e-3 && *v < 255.0 - 1e-3);
            }
        }
        if (y + 2 - span).is_multiple_of(BLOCK) {
            self.finish();
        }
    }

    /// Sorts a row of blocks into their classes.
    fn finish(&mut self) {
        for (sum, whole) in &mut self.sums {
            if *whole {
                let class = CLASSES * ((*sum / (BLOCK * BLOCK) as f64).log2() + LOWEST);
                self.classes[(class.max(0.0) as usize).min(COUNT - 1)] += 1;
                self.whole += 1;
            }
            (*sum, *whole) = (0.0, true);
        }
    }

    fn quantile(&self) -> Option<f64> {
        if self.whole < LEAST {
            return None;
        }
        let wanted = QUANTILE * self.whole as f64;
        let mut below = 0.0;
        for (class, count) in self.classes.iter().enumerate() {
            let count = *count as f64;
            if below + count > wanted {
                let at = class as f64 + (wanted - below) / count;
                // Nothing in the lowest class: no noise at all.
                return Some(if class == 0 { 0.0 } else { (at / CLASSES - LOWEST).exp2() });
            }
            below += count;
        }
        None
    }
}
