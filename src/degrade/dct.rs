//! The cosine transform of pictures, of any size: the basis of blurs with mirrored borders.

use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

/// The orthonormal DCT-II of lines of one length, two real lines at a time as one complex line.
///
/// J. Makhoul, "A fast cosine transform in one and two dimensions", IEEE Transactions on
/// Acoustics, Speech and Signal Processing 28(1), 1980: even samples, then odd ones backwards,
/// through a Fourier transform of the same length.
pub struct Dct {
    size: usize,
    forward: Arc<dyn Fft<f32>>,
    inverse: Arc<dyn Fft<f32>>,
    /// `exp(i pi k / 2 size)`, scaled for orthonormality.
    turns: Vec<Complex<f32>>,
}

/// Lines of a picture that are worked on together: what a cache line holds of a row.
pub const LINES: usize = 16;

impl Dct {
    pub fn new(size: usize) -> Dct {
        let mut planner = FftPlanner::new();
        let turn = |k: usize| {
            let (sin, cos) = (std::f64::consts::FRAC_PI_2 * k as f64 / size as f64).sin_cos();
            let scale = (0.5 / size as f64).sqrt();
            Complex::new((scale * cos) as f32, (scale * sin) as f32)
        };
        Dct {
            size,
            forward: planner.plan_fft_forward(size),
            inverse: planner.plan_fft_inverse(size),
            turns: (0..size).map(turn).collect(),
        }
    }

    /// Where sample `i` stands on the way into the transform.
    #[inline(always)]
    fn place(&self, i: usize) -> usize {
        if i.is_multiple_of(2) { i / 2 } else { self.size - 1 - i / 2 }
    }

    fn scratch(&self) -> Vec<Complex<f32>> {
        let len =
            self.forward.get_inplace_scratch_len().max(self.inverse.get_inplace_scratch_len());
        vec![Complex::default(); len]
    }

    /// The two lines' values that belong together, `k` and `size - k`, with the factor of `k`:
    /// first the coefficient that is alone, then the pairs; an even size has one more alone.
    #[inline(always)]
    fn pairs(&self, line: &mut [Complex<f32>], work: impl Fn(Parts, Pair) -> Pair) {
        let n = self.size;
        line[0] *= (1.0 / n as f32).sqrt();
        let (front, back) = line[1..].split_at_mut((n - 1) / 2);
        let back = match front.len() < back.len() {
            true => {
                back[0] *= 2.0 * self.turns[n / 2].re;
                &mut back[1..]
            }
            false => back,
        };
        let (front, few) = front.as_chunks_mut();
        let (few_back, back) = back.as_rchunks_mut();
        let (turns, few_turns) = self.turns[1..].split_at(front.len() * TOGETHER);
        for ((turns, a), b) in turns.as_chunks().0.iter().zip(front).zip(back.iter_mut().rev()) {
            let (from_a, from_b) = work(Parts::of(turns), (Parts::of(a), Parts::of(b).reversed()));
            (*a, *b) = (from_a.joined(), from_b.reversed().joined());
        }
        if few.is_empty() {
            return;
        }
        let mut padded = [[Complex::default(); TOGETHER]; 3];
        let count = few.len();
        padded[0][..count].copy_from_slice(&few_turns[..count]);
        padded[1][..count].copy_from_slice(few);
        padded[2][TOGETHER - count..].copy_from_slice(few_back);
        let [turns, a, b] = padded.map(|part| Parts::of(&part));
        let (a, b) = work(turns, (a, b.reversed()));
        few.copy_from_slice(&a.joined()[..count]);
        few_back.copy_from_slice(&b.reversed().joined()[TOGETHER - count..]);
    }

    /// Placed samples to coefficients.
    #[inline(always)]
    fn to_coefficients(&self, line: &mut [Complex<f32>], scratch: &mut [Complex<f32>]) {
        self.forward.process_with_scratch(line, scratch);
        self.pairs(line, |turn, (a, b)| {
            let (sum_re, sum_im) = (each(|i| a.re[i] + b.re[i]), each(|i| a.im[i] + b.im[i]));
            let (gap_re, gap_im) = (each(|i| a.re[i] - b.re[i]), each(|i| a.im[i] - b.im[i]));
            let (cos, sin) = (turn.re, turn.im);
            let a = Parts {
                re: each(|i| cos[i] * sum_re[i] + sin[i] * gap_im[i]),
                im: each(|i| cos[i] * sum_im[i] - sin[i] * gap_re[i]),
            };
            let b = Parts {
                re: each(|i| sin[i] * sum_re[i] - cos[i] * gap_im[i]),
                im: each(|i| sin[i] * sum_im[i] + cos[i] * gap_re[i]),
            };
            (a, b)
        });
    }

    /// Coefficients to placed samples.
    #[inline(always)]
    fn to_samples(&self, line: &mut [Complex<f32>], scratch: &mut [Complex<f32>]) {
        self.pairs(line, |turn, (a, b)| {
            // With the mirrored coefficients, over i, that a real sequence owes.
            let (sum_re, sum_im) = (each(|i| a.re[i] + b.im[i]), each(|i| a.im[i] - b.re[i]));
            let (gap_re, gap_im) = (each(|i| b.re[i] + a.im[i]), each(|i| b.im[i] - a.re[i]));
            let (cos, sin) = (turn.re, turn.im);
            let a = Parts {
                re: each(|i| cos[i] * sum_re[i] - sin[i] * sum_im[i]),
                im: each(|i| cos[i] * sum_im[i] + sin[i] * sum_re[i]),
            };
            let b = Parts {
                re: each(|i| sin[i] * gap_re[i] - cos[i] * gap_im[i]),
                im: each(|i| sin[i] * gap_im[i] + cos[i] * gap_re[i]),
            };
            (a, b)
        });
        self.inverse.process_with_scratch(line, scratch);
    }
}

/// Values that are worked on together, as one vector.
const TOGETHER: usize = 8;

/// Values of a line, real and imaginary parts apart.
#[derive(Clone, Copy)]
struct Parts {
    re: [f32; TOGETHER],
    im: [f32; TOGETHER],
}

/// Values from the front of a line, and those from its back that belong to them.
type Pair = (Parts, Parts);

impl Parts {
    #[inline(always)]
    fn of(values: &[Complex<f32>; TOGETHER]) -> Parts {
        Parts { re: each(|i| values[i].re), im: each(|i| values[i].im) }
    }

    #[inline(always)]
    fn reversed(self) -> Parts {
        Parts { re: each(|i| self.re[TOGETHER - 1 - i]), im: each(|i| self.im[TOGETHER - 1 - i]) }
    }

    #[inline(always)]
    fn joined(self) -> [Complex<f32>; TOGETHER] {
        std::array::from_fn(|i| Complex::new(self.re[i], self.im[i]))
    }
}

#[inline(always)]
fn each(value: impl Fn(usize) -> f32) -> [f32; TOGETHER] {
    std::array::from_fn(value)
}

/// Multiplies the coefficients of each plane of `x`, `[height, width]`, by `filter`, and returns to the
/// planes. The filter holds its columns one after another; from its end on it is 0.
#[inline(always)]
pub fn apply_filter(x: &mut [f32], filter: &[f32], down: &Dct, across: &Dct) {
    let (height, width) = (down.size, across.size);
    let columns = filter.len() / height;
    let (mut scratch, mut scratch_down) = (across.scratch(), down.scratch());
    let mut line = vec![Complex::default(); width];
    let mut lines = vec![Complex::default(); LINES / 2 * height];
    for plane in x.chunks_mut(height * width) {
        for pair in plane.chunks_mut(2 * width) {
            let (a, b) = pair.split_at_mut(width);
            if b.is_empty() {
                line.fill(Complex::default());
            }
            scatter(&mut line, a, |c| &mut c.re);
            scatter(&mut line, b, |c| &mut c.im);
            across.to_coefficients(&mut line, &mut scratch);
            a.iter_mut().zip(&line).for_each(|(v, c)| *v = c.re);
            b.iter_mut().zip(&line).for_each(|(v, c)| *v = c.im);
        }
        for (block, filter) in filter.chunks(LINES * height).enumerate() {
            filter_columns(plane, LINES * block, filter, down, &mut lines, &mut scratch_down);
        }
        for pair in plane.chunks_mut(2 * width) {
            let (a, b) = pair.split_at_mut(width);
            line[columns..].fill(Complex::default());
            join(&mut line, &a[..columns], &b[..columns.min(b.len())]);
            across.to_samples(&mut line, &mut scratch);
            gather(&line, a, |c| c.re);
            gather(&line, b, |c| c.im);
        }
    }
}

/// As many columns as `filter` has, from column `left` on, there and back.
#[inline(always)]
fn filter_columns(
    plane: &mut [f32],
    left: usize,
    filter: &[f32],
    down: &Dct,
    lines: &mut [Complex<f32>],
    scratch: &mut [Complex<f32>],
) {
    let (height, width) = (down.size, plane.len() / down.size);
    let these = left..left + filter.len() / height;
    for (i, row) in plane.chunks(width).enumerate() {
        let place = down.place(i);
        let (pairs, single) = row[these.clone()].as_chunks();
        for (j, [a, b]) in pairs.iter().enumerate() {
            lines[j * height + place] = Complex::new(*a, *b);
        }
        if let [a] = single {
            lines[pairs.len() * height + place] = Complex::new(*a, 0.0);
        }
    }
    for (column, filter) in lines.chunks_mut(height).zip(filter.chunks(2 * height)) {
        down.to_coefficients(column, scratch);
        let (a, b) = filter.split_at(height);
        column.iter_mut().zip(a).for_each(|(c, f)| c.re *= f);
        column.iter_mut().zip(b).for_each(|(c, f)| c.im *= f);
        down.to_samples(column, scratch);
    }
    for (i, row) in plane.chunks_mut(width).enumerate() {
        let place = down.place(i);
        let (pairs, single) = row[these.clone()].as_chunks_mut();
        for (j, [a, b]) in pairs.iter_mut().enumerate() {
            let c = lines[j * height + place];
            (*a, *b) = (c.re, c.im);
        }
        if let [a] = single {
            *a = lines[pairs.len() * height + place].re;
        }
    }
}

/// `a + i b`; without `b` the imaginary part stays as it is.
#[inline(always)]
fn join(line: &mut [Complex<f32>], a: &[f32], b: &[f32]) {
    line.iter_mut().zip(a).for_each(|(to, v)| to.re = *v);
    line.iter_mut().zip(b).for_each(|(to, v)| to.im = *v);
}

/// Samples to their places: even ones from the front, odd ones from the back. None leave their
/// part of the line as it is.
#[inline(always)]
fn scatter(line: &mut [Complex<f32>], from: &[f32], part: impl Fn(&mut Complex<f32>) -> &mut f32) {
    let (even, odd) = (from.iter().step_by(2), from.iter().skip(1).step_by(2));
    line.iter_mut().zip(even).for_each(|(to, v)| *part(to) = *v);
    line.iter_mut().rev().zip(odd).for_each(|(to, v)| *part(to) = *v);
}

/// Samples from their places.
#[inline(always)]
fn gather(line: &[Complex<f32>], to: &mut [f32], part: impl Fn(&Complex<f32>) -> f32) {
    to.iter_mut().step_by(2).zip(line).for_each(|(v, from)| *v = part(from));
    to.iter_mut().skip(1).step_by(2).zip(line.iter().rev()).for_each(|(v, from)| *v = part(from));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_are_sums_of_cosines_and_come_back() {
        for n in [1, 2, 3, 4, 7, 16, 30, 97] {
            let dct = Dct::new(n);
            let value = |i: usize, k: f64| ((i as f64 + 1.0) * k).sin();
            let mut line = vec![Complex::default(); n];
            for i in 0..n {
                line[dct.place(i)] = Complex::new(value(i, 0.7) as f32, value(i, 1.9) as f32);
            }
            let placed = line.clone();
            dct.to_coefficients(&mut line, &mut dct.scratch());
            for (k, c) in line.iter().enumerate() {
                let scale = if k == 0 { 1.0 } else { 2f64.sqrt() } / (n as f64).sqrt();
                let cosine = |i: usize| {
                    (std::f64::consts::PI * (i as f64 + 0.5) * k as f64 / n as f64).cos() * scale
                };
                let sum = |f: f64| (0..n).map(|i| value(i, f) * cosine(i)).sum::<f64>();
                let expected = (sum(0.7), sum(1.9));
                assert!((f64::from(c.re) - expected.0).abs() < 3e-6, "{n} {k}");
                assert!((f64::from(c.im) - expected.1).abs() < 3e-6, "{n} {k}");
            }
            dct.to_samples(&mut line, &mut dct.scratch());
            assert!(line.iter().zip(&placed).all(|(a, b)| (a - b).norm() < 3e-6), "{n}");
        }
    }
}
