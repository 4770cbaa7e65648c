//! Whether noise alone explains how two measurements of a block differ.

use crate::degrade::Degradation;
use crate::frame::{Frame, Region, crop};

/// Side of the cells of a block whose mean is looked at, in measurement values.
const CELL: usize = 4;
/// By how many of its standard deviations a statistic may be off in a block that is still.
const SLACK: f64 = 4.0;
/// The same of the largest of the means of a block's cells.
const CELL_SLACK: f64 = 5.0;

/// What a block's residual says.
#[derive(Clone, Copy)]
pub struct Residual {
    /// Mean square, in variances of the noise, and number of measurement values.
    pub square: f64,
    pub count: f64,
    /// The largest mean of a cell, in standard deviations of the noise in it.
    pub cell: f64,
    /// By how much the mean of a cell differs at least, beyond what noise explains.
    pub change: f64,
    /// Mean square of the singular values.
    pub gain: f64,
}

impl Residual {
    /// Whether noise of `variance`, in units of the usual, explains it.
    pub fn is_noise(&self, variance: f64) -> bool {
        let spread = 1.0 + SLACK * (2.0 / self.count).sqrt();
        self.square <= variance * spread && self.cell <= CELL_SLACK * variance.sqrt()
    }
}

/// The measurement of a block, and its singular values.
pub fn values(a: &dyn Degradation, region: Region, y: &Frame) -> (Vec<f32>, Vec<f32>) {
    let measured = a.measured(region);
    let mut of = vec![0.0; measured.shape(y.shape.channels).len()];
    let mut s = of.clone();
    crop(&y.data, y.shape, measured, &mut of);
    a.singular_values(region, &mut s);
    (of, s)
}

/// How much there is to see in a block: the root of the mean square by which neighbours of the
/// measurement in a row differ.
pub fn detail(a: &dyn Degradation, region: Region, y: &Frame) -> f64 {
    let (of, s) = values(a, region, y);
    let width = a.measured(region).width;
    let (mut sum, mut count) = (0.0, 0.0f64);
    for (row, s) in of.chunks_exact(width).zip(s.chunks_exact(width)) {
        for (v, s) in row.windows(2).zip(s.windows(2)) {
            if s[0] > 0.0 && s[1] > 0.0 {
                sum += f64::from(v[1] - v[0]).powi(2);
                count += 1.0;
            }
        }
    }
    (sum / count.max(1.0)).sqrt()
}

/// What block `i` and those around it say together.
pub fn around(all: &[Residual], i: usize, columns: usize) -> Residual {
    let (row, column) = (i / columns, i % columns);
    let (mut sum, mut count) = (0.0, 0.0);
    for y in row.saturating_sub(1)..(row + 2).min(all.len() / columns) {
        for x in column.saturating_sub(1)..(column + 2).min(columns) {
            let one = all[y * columns + x];
            sum += one.square * one.count;
            count += one.count;
        }
    }
    Residual { square: sum / count, count, ..all[i] }
}

/// Sums up the residual `r` of a block, `[channels, of.height, of.width]`.
pub fn residual(r: &[f32], s: &[f32], of: Region, variance: f64) -> Residual {
    let known = s.iter().filter(|s| **s > 0.0).count().max(1) as f64;
    let sum = |v: &[f32]| v.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
    let (mut cell, mut change) = (0.0f64, 0.0f64);
    for (r, s) in r.chunks_exact(of.area()).zip(s.chunks_exact(of.area())) {
        for top in (0..of.height).step_by(CELL) {
            for left in (0..of.width).step_by(CELL) {
                let (mut total, mut count) = (0.0f64, 0.0f64);
                // The mean of a block's cells goes as far as this by noise alone.
                const NOISE: f64 = 3.0;
                for i in top..(top + CELL).min(of.height) {
                    for j in left..(left + CELL).min(of.width) {
                        let at = i * of.width + j;
                        total += f64::from(r[at]);
                        count += if s[at] > 0.0 { 1.0 } else { 0.0 };
                    }
                }
                if count == 0.0 {
                    continue;
                }
                let (mean, of_noise) = (total.abs() / count, (variance / count).sqrt());
                cell = cell.max(mean / of_noise);
                change = change.max(mean - NOISE * of_noise);
            }
        }
    }
    let (square, gain) = (sum(r) / (known * variance), (sum(s) / known).max(1e-6));
    Residual { square, count: known, cell, change, gain }
}
