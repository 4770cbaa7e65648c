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
    fn pairs(&self, line: &mut [Complex<f32>], work: impl Fn(&Complex<f32>, Pair)) {
        let n = self.size;
        line[0] *= (1.0 / n as f32).sqrt();
        let (front, back) = line[1..].split_at_mut((n - 1) / 2);
        if front.len() < back.len() {
            back[0] *= 2.0 * self.turns[n / 2].re;
        }
        for ((turn, a), b) in self.turns[1..].iter().zip(front).zip(back.iter_mut().rev()) {
            work(turn, (a, b));
        }
    }

    /// Placed samples to coefficients.
    fn to_coefficients(&self, line: &mut [Complex<f32>], scratch: &mut [Complex<f32>]) {
        self.forward.process_with_scratch(line, scratch);
        self.pairs(line, |turn, (a, b)| {
            let (sum, gap) = (*a + *b, *a - *b);
            let (cos, sin) = (turn.re, turn.im);
            *a = Complex::new(cos * sum.re + sin * gap.im, cos * sum.im - sin * gap.re);
            *b = Complex::new(sin * sum.re - cos * gap.im, sin * sum.im + cos * gap.re);
        });
    }

    /// Coefficients to placed samples.
    fn to_samples(&self, line: &mut [Complex<f32>], scratch: &mut [Complex<f32>]) {
        self.pairs(line, |turn, (a, b)| {
            // With the mirrored coefficients, over i, that a real sequence owes.
            let (sum, gap) =
                (Complex::new(a.re + b.im, a.im - b.re), Complex::new(b.re + a.im, b.im - a.re));
            let (cos, sin) = (turn.re, turn.im);
            *a = Complex::new(cos * sum.re - sin * sum.im, cos * sum.im + sin * sum.re);
            *b = Complex::new(sin * gap.re - cos * gap.im, sin * gap.im + cos * gap.re);
        });
        self.inverse.process_with_scratch(line, scratch);
    }
}

/// Two values of a line.
type Pair<'a> = (&'a mut Complex<f32>, &'a mut Complex<f32>);

/// Multiplies the coefficients of a picture by `filter`, both `[height, width]`, and returns to
/// the picture.
pub fn apply_filter(plane: &mut [f32], filter: &[f32], down: &Dct, across: &Dct) {
    let (height, width) = (down.size, across.size);
    let mut scratch = across.scratch();
    let mut line = vec![Complex::default(); width];
    let rows = |plane: &mut [f32],
                line: &mut [Complex<f32>],
                scratch: &mut [Complex<f32>],
                inverse: bool| {
        for pair in plane.chunks_mut(2 * width) {
            let (a, b) = pair.split_at_mut(width);
            if b.is_empty() {
                line.fill(Complex::default());
            }
            if inverse {
                join(line, a, b);
                across.to_samples(line, scratch);
                gather(line, a, |c| c.re);
                gather(line, b, |c| c.im);
            } else {
                scatter(line, a, |c| &mut c.re);
                scatter(line, b, |c| &mut c.im);
                across.to_coefficients(line, scratch);
                a.iter_mut().zip(&*line).for_each(|(v, c)| *v = c.re);
                b.iter_mut().zip(&*line).for_each(|(v, c)| *v = c.im);
            }
        }
    };
    rows(plane, &mut line, &mut scratch, false);

    // Columns, a few at a time, there and back.
    let mut scratch_down = down.scratch();
    let mut columns = vec![Complex::default(); LINES / 2 * height];
    for left in (0..width).step_by(LINES) {
        let count = LINES.min(width - left);
        for (i, row) in plane.chunks(width).enumerate() {
            for (j, pair) in row[left..left + count].chunks(2).enumerate() {
                columns[j * height + down.place(i)] =
                    Complex::new(pair[0], pair.get(1).copied().unwrap_or(0.0));
            }
        }
        for (j, column) in columns.chunks_mut(height).take(count.div_ceil(2)).enumerate() {
            down.to_coefficients(column, &mut scratch_down);
            let at = left + 2 * j;
            let paired = at + 1 < width;
            for (c, row) in column.iter_mut().zip(filter.chunks(width)) {
                c.re *= row[at];
                c.im *= if paired { row[at + 1] } else { 0.0 };
            }
            down.to_samples(column, &mut scratch_down);
        }
        for (i, row) in plane.chunks_mut(width).enumerate() {
            for (j, pair) in row[left..left + count].chunks_mut(2).enumerate() {
                let c = columns[j * height + down.place(i)];
                pair[0] = c.re;
                if let Some(second) = pair.get_mut(1) {
                    *second = c.im;
                }
            }
        }
    }
    rows(plane, &mut line, &mut scratch, true);
}

/// `a + i b`; without `b` the imaginary part stays as it is.
fn join(line: &mut [Complex<f32>], a: &[f32], b: &[f32]) {
    line.iter_mut().zip(a).for_each(|(to, v)| to.re = *v);
    line.iter_mut().zip(b).for_each(|(to, v)| to.im = *v);
}

/// Samples to their places: even ones from the front, odd ones from the back. None leave their
/// part of the line as it is.
fn scatter(line: &mut [Complex<f32>], from: &[f32], part: impl Fn(&mut Complex<f32>) -> &mut f32) {
    let (even, odd) = (from.iter().step_by(2), from.iter().skip(1).step_by(2));
    line.iter_mut().zip(even).for_each(|(to, v)| *part(to) = *v);
    line.iter_mut().rev().zip(odd).for_each(|(to, v)| *part(to) = *v);
}

/// Samples from their places.
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
