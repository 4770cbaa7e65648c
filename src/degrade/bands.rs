//! The borders of a [`Window`] without holes, solved nearly exactly.
//!
//! What such a window hides of a torus is a band of rows and a band of columns. Within either band
//! alone `S = Q (C + eta I)^-1 Q^T` is a convolution along it, whose Fourier transform is a small
//! Toeplitz matrix for each frequency: those are factored once for each `eta`. The sum of both
//! inverses, with what lies in both bands counted half for each (an additive Schwarz method), is so
//! near `S^-1` that one or two iterations are enough where a convolution takes five.

use std::sync::Arc;

use rustfft::Fft;
use rustfft::num_complex::Complex;

use super::fourier::Grid;
use super::window::Window;
use crate::frame::Shape;
use crate::scratch::Buffer;

/// Factors of a band of rows and of a band of columns.
pub struct Bands {
    torus: Shape,
    rows: Band,
    columns: Band,
}

/// Lines of a torus that follow each other, and `L L^*` of their matrix for half of the frequencies
/// along them.
struct Band {
    /// The first line and how many there are.
    lines: (usize, usize),
    /// Lines of the torus in all, and values of a line.
    of: usize,
    length: usize,
    /// `[length / 2 + 1, lines, lines]`, lower triangles.
    factors: Vec<Complex<f32>>,
    fft: [Arc<dyn Fft<f32>>; 2],
}

/// Floats that the factors for a window take, if they take no more than a picture of its torus and
/// it has no holes.
pub fn size(window: &Window) -> Option<usize> {
    let (torus, ((_, rows), (_, columns))) = (window.torus(), window.borders()?);
    let of = |lines: usize, length: usize| 2 * (length / 2 + 1) * lines * lines;
    let floats = of(rows, torus.width) + of(columns, torus.height);
    (floats <= torus.len()).then_some(floats)
}

/// Floats of working memory beside the factors.
pub fn working(window: &Window) -> usize {
    let (torus, borders) = (window.torus(), window.borders().unwrap_or_default());
    let ((_, rows), (_, columns)) = borders;
    // A band, and the transforms' own.
    let band = |lines: usize, length: usize| 2 * (lines + 2) * length;
    band(rows, torus.width).max(band(columns, torus.height))
}

impl Bands {
    /// Those of `(C + eta I)^-1`, whose value at a frequency is `inverse(response)`; `response` is
    /// column by column. `None` where [`size`] says so.
    pub fn new(
        grid: &Grid,
        window: &Window,
        response: &[Complex<f32>],
        inverse: impl Fn(Complex<f32>) -> f32,
    ) -> Option<Bands> {
        size(window)?;
        let (rows, columns) = window.borders()?;
        let (height, width) = (grid.height, grid.width);
        let band = |lines, of, length, fft: &[Arc<dyn Fft<f32>>; 2]| Band {
            lines,
            of,
            length,
            factors: Vec::new(),
            fft: fft.clone(),
        };
        let mut bands = Bands {
            torus: window.torus(),
            rows: band(rows, height, width, &grid.rows),
            columns: band(columns, width, height, &grid.columns),
        };
        // A band's matrices come from transforms across it.
        bands.rows.factor(&grid.columns[1], |f, out| {
            let column = response[f * height..][..height].iter();
            out.iter_mut().zip(column).for_each(|(o, k)| *o = inverse(*k).into());
        });
        bands.columns.factor(&grid.rows[1], |f, out| {
            let row = response[f..].iter().step_by(height);
            out.iter_mut().zip(row).for_each(|(o, k)| *o = inverse(*k).into());
        });
        Some(bands)
    }

    /// `out`, near `S^-1 v`, of a channel of the torus; only what the window hides is read and
    /// written.
    pub fn solve(&self, v: &[f32], out: &mut [f32]) {
        let longest = [&self.rows, &self.columns].map(|band| band.lines.1 * band.length);
        let mut buffer = Buffer::any(longest[0].max(longest[1]));
        let width = self.torus.width;
        self.pass(&self.rows, |line, i| line * width + i, v, out, &mut buffer);
        self.pass(&self.columns, |line, i| i * width + line, v, out, &mut buffer);
    }

    /// One band; `at` is where a value of a line lies in the channel.
    fn pass(
        &self,
        band: &Band,
        at: impl Fn(usize, usize) -> usize,
        v: &[f32],
        out: &mut [f32],
        buffer: &mut [Complex<f32>],
    ) {
        let is_rows = std::ptr::eq(band, &self.rows);
        let other = if is_rows { &self.columns } else { &self.rows };
        let shared = |i: usize| other.holds(i);
        let buffer = &mut buffer[..band.lines.1 * band.length];
        for (k, values) in buffer.chunks_mut(band.length).enumerate() {
            for (i, c) in values.iter_mut().enumerate() {
                let place = at(band.line(k), i);
                let half = if shared(i) { std::f32::consts::FRAC_1_SQRT_2 } else { 1.0 };
                *c = (half * v[place]).into();
            }
        }
        band.solve(buffer);
        for (k, values) in buffer.chunks(band.length).enumerate() {
            for (i, c) in values.iter().enumerate() {
                let place = at(band.line(k), i);
                let half = if shared(i) { std::f32::consts::FRAC_1_SQRT_2 } else { 1.0 };
                // The rows' part comes first.
                let kept = if shared(i) && !is_rows { 1.0 } else { 0.0 };
                out[place] = kept * out[place] + half * c.re;
            }
        }
    }
}

impl Band {
    /// The `k`-th line's place on the torus.
    fn line(&self, k: usize) -> usize {
        (self.lines.0 + k) % self.of
    }

    fn holds(&self, line: usize) -> bool {
        (line + self.of - self.lines.0) % self.of < self.lines.1
    }

    /// Factors the matrices; `spectrum` gives the values of one frequency along the band, at all
    /// frequencies across it.
    fn factor(
        &mut self,
        across: &Arc<dyn Fft<f32>>,
        spectrum: impl Fn(usize, &mut [Complex<f32>]),
    ) {
        let n = self.lines.1;
        let frequencies = self.length / 2 + 1;
        self.factors = vec![Complex::default(); frequencies * n * n];
        if n == 0 {
            return;
        }
        let mut values = vec![Complex::default(); self.of];
        let mut scratch = vec![Complex::default(); across.get_inplace_scratch_len()];
        let scale = 1.0 / self.of as f32;
        for (f, factor) in self.factors.chunks_mut(n * n).enumerate() {
            spectrum(f, &mut values);
            across.process_with_scratch(&mut values, &mut scratch);
            for i in 0..n {
                for j in 0..=i {
                    // Toeplitz: what a line does to another depends on how far they are apart.
                    let mut sum = values[i - j] * scale;
                    for k in 0..j {
                        sum -= factor[i * n + k] * factor[j * n + k].conj();
                    }
                    factor[i * n + j] = match i == j {
                        false => sum / factor[j * n + j].re,
                        true => sum.re.max(f32::MIN_POSITIVE).sqrt().into(),
                    };
                }
            }
        }
    }

    /// Solves for lines that follow each other in `v`.
    fn solve(&self, v: &mut [Complex<f32>]) {
        let (n, length) = (self.lines.1, self.length);
        if n == 0 {
            return;
        }
        self.fft[0].process(v);
        let mut b = vec![Complex::default(); n];
        let scale = 1.0 / length as f32;
        for (f, factor) in self.factors.chunks(n * n).enumerate() {
            for (i, b) in b.iter_mut().enumerate() {
                *b = v[i * length + f] * scale;
            }
            for i in 0..n {
                let mut sum = b[i];
                for k in 0..i {
                    sum -= factor[i * n + k] * b[k];
                }
                b[i] = sum / factor[i * n + i].re;
            }
            for i in (0..n).rev() {
                let mut sum = b[i];
                for k in i + 1..n {
                    sum -= factor[k * n + i].conj() * b[k];
                }
                b[i] = sum / factor[i * n + i].re;
            }
            for (i, b) in b.iter().enumerate() {
                v[i * length + f] = *b;
                // The other half of the frequencies has the conjugate matrices and values.
                v[i * length + (length - f) % length] = b.conj();
            }
        }
        self.fft[1].process(v);
    }
}
