//! Convolutions by Fourier transforms.

use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

use crate::frame::Shape;
use crate::kernels::wide;
use crate::scratch::Buffer;

/// Fourier transforms of complex pictures of one size.
pub struct Grid {
    pub height: usize,
    pub width: usize,
    /// Of a row and of a column, there and back.
    pub(super) rows: [Arc<dyn Fft<f32>>; 2],
    pub(super) columns: [Arc<dyn Fft<f32>>; 2],
}

/// Columns that are worked on together: what two cache lines hold of a row.
const COLUMNS: usize = 16;
/// Values between two of them: columns of a power of two would meet in few places of a cache.
const APART: usize = 8;

impl Grid {
    /// A grid of at least this size, of sides whose transforms are fast.
    pub fn new(height: usize, width: usize) -> Grid {
        let (height, width) = (fast_size(height), fast_size(width));
        let mut planner = FftPlanner::new();
        let mut both = |n| [planner.plan_fft_forward(n), planner.plan_fft_inverse(n)];
        Grid { height, width, rows: both(width), columns: both(height) }
    }

    /// Floats of working memory that [`through`](Grid::through) takes.
    pub fn working(&self) -> usize {
        let half = self.width / 2 + 1;
        2 * (self.height * half + COLUMNS * (self.height + APART) + half + 2 * self.width)
    }

    /// The spectrum of a few values at places `(y, x)` of the grid, column by column.
    pub fn response(
        &self,
        values: impl Iterator<Item = ((usize, usize), f32)>,
    ) -> Vec<Complex<f32>> {
        let picture = self.spectrum(values);
        let columns = (0..self.width).flat_map(|x| (0..self.height).map(move |y| (y, x)));
        columns.map(|(y, x)| picture[y * self.width + x]).collect()
    }

    /// The spectrum of a few values at places `(y, x)` of the grid, row by row.
    pub fn spectrum(
        &self,
        values: impl Iterator<Item = ((usize, usize), f32)>,
    ) -> Vec<Complex<f32>> {
        let mut picture = vec![Complex::default(); self.height * self.width];
        for ((y, x), v) in values {
            picture[y * self.width + x] += v;
        }
        self.forward(&mut picture);
        picture
    }

    /// The spectrum of a picture, in place.
    pub fn forward(&self, picture: &mut [Complex<f32>]) {
        self.rows[0].process(picture);
        self.each_column(picture, self.width, |_, column, scratch| {
            self.columns[0].process_with_scratch(column, scratch);
        });
    }

    /// The picture of a spectrum, in place.
    pub fn inverse(&self, spectrum: &mut [Complex<f32>]) {
        let scale = 1.0 / (self.height * self.width) as f32;
        self.each_column(spectrum, self.width, |_, column, scratch| {
            self.columns[1].process_with_scratch(column, scratch);
            column.iter_mut().for_each(|c| *c *= scale);
        });
        self.rows[1].process(spectrum);
    }

    /// Puts planes of `from` on the grid, multiplies their spectra by `filter(response)` and cuts
    /// `to` out, each with its shape and the place of its first pixel on the grid. The filter
    /// must be one of real pictures.
    pub fn through(
        &self,
        from: Part<&[f32]>,
        to: Part<&mut [f32]>,
        response: &[Complex<f32>],
        filter: impl Fn(Complex<f32>) -> Complex<f32>,
    ) {
        let (grid, filter) = (self, &filter);
        wide!(through(
            grid: &Grid,
            from: Part<&[f32]>,
            to: Part<&mut [f32]>,
            response: &[Complex<f32>],
            filter: &impl Fn(Complex<f32>) -> Complex<f32>,
        ));
    }

    /// [`through`](Grid::through) for a single plane: rows are transformed two at a time, and half
    /// of their spectra says all.
    #[inline(always)]
    fn plane_through(
        &self,
        from: Part<&[f32]>,
        to: Part<&mut [f32]>,
        response: &[Complex<f32>],
        factor: &impl Fn(Complex<f32>) -> Complex<f32>,
    ) {
        let (from, from_shape, (top, left)) = from;
        let (to, to_shape, to_at) = to;
        let (width, half) = (self.width, self.width / 2 + 1);
        let mut scratch = Buffer::any(self.row_scratch());
        let mut pair = Buffer::any(width);
        let mut spectra = Buffer::any(self.height * half);
        let none = Buffer::zeros(half);
        spectra[..top * half].fill(Complex::default());
        spectra[(top + from_shape.height) * half..].fill(Complex::default());
        let rows = from.chunks(2 * from_shape.width);
        for (two, out) in rows.zip(spectra[top * half..].chunks_mut(2 * half)) {
            pair.fill(Complex::default());
            let (upper, lower) = two.split_at(from_shape.width);
            pair[left..].iter_mut().zip(upper).for_each(|(c, v)| c.re = *v);
            pair[left..].iter_mut().zip(lower).for_each(|(c, v)| c.im = *v);
            self.rows[0].process_with_scratch(&mut pair, &mut scratch);
            let (upper, lower) = out.split_at_mut(half);
            // A frequency and its mirror image; the first one is its own.
            upper[0] = pair[0].re.into();
            let rest = &pair[1..];
            for ((upper, here), there) in upper[1..].iter_mut().zip(rest).zip(rest.iter().rev()) {
                *upper = (here + there.conj()) * 0.5;
            }
            if let Some((first, lower)) = lower.split_first_mut() {
                *first = pair[0].im.into();
                for ((lower, here), there) in lower.iter_mut().zip(rest).zip(rest.iter().rev()) {
                    let twice = here - there.conj();
                    *lower = Complex::new(0.5 * twice.im, -0.5 * twice.re);
                }
            }
        }
        self.filter_columns(&mut spectra, half, response, factor);
        let rows = to.chunks_mut(2 * to_shape.width);
        for (two, of) in rows.zip(spectra[to_at.0 * half..].chunks(2 * half)) {
            let (upper, lower) = of.split_at(half);
            let lower = if lower.is_empty() { &none[..] } else { lower };
            for ((p, u), l) in pair.iter_mut().zip(upper).zip(lower) {
                *p = Complex::new(u.re - l.im, u.im + l.re);
            }
            let mirrored = pair[1..].iter_mut().rev().zip(&upper[1..]).zip(&lower[1..]);
            for ((p, u), l) in mirrored {
                *p = Complex::new(u.re + l.im, l.re - u.im);
            }
            self.rows[1].process_with_scratch(&mut pair, &mut scratch);
            let (upper, lower) = two.split_at_mut(to_shape.width);
            upper.iter_mut().zip(&pair[to_at.1..]).for_each(|(v, c)| *v = c.re);
            lower.iter_mut().zip(&pair[to_at.1..]).for_each(|(v, c)| *v = c.im);
        }
    }

    /// Multiplies the spectrum of rows' spectra, `width` frequencies each, by `factor(response)`;
    /// `response` is in columns.
    #[inline(always)]
    fn filter_columns(
        &self,
        spectra: &mut [Complex<f32>],
        width: usize,
        response: &[Complex<f32>],
        factor: &impl Fn(Complex<f32>) -> Complex<f32>,
    ) {
        let scale = 1.0 / (self.height * self.width) as f32;
        self.each_column(spectra, width, |x, column, scratch| {
            self.columns[0].process_with_scratch(column, scratch);
            for (c, k) in column.iter_mut().zip(&response[x * self.height..]) {
                *c *= factor(*k) * scale;
            }
            self.columns[1].process_with_scratch(column, scratch);
        });
    }

    fn row_scratch(&self) -> usize {
        self.rows.iter().map(|r| r.get_inplace_scratch_len()).max().unwrap_or(0)
    }

    #[inline(always)]
    fn each_column(
        &self,
        picture: &mut [Complex<f32>],
        width: usize,
        work: impl Fn(usize, &mut [Complex<f32>], &mut [Complex<f32>]),
    ) {
        let scratch = self.columns.iter().map(|c| c.get_inplace_scratch_len()).max().unwrap_or(0);
        let mut scratch = Buffer::any(scratch);
        let (height, apart) = (self.height, self.height + APART);
        let mut columns = Buffer::any(COLUMNS * apart);
        for left in (0..width).step_by(COLUMNS) {
            let count = COLUMNS.min(width - left);
            for (i, row) in picture.chunks(width).enumerate() {
                let mut at = i;
                for v in &row[left..left + count] {
                    columns[at] = *v;
                    at += apart;
                }
            }
            for (j, column) in columns.chunks_mut(apart).take(count).enumerate() {
                work(left + j, &mut column[..height], &mut scratch);
            }
            for (i, row) in picture.chunks_mut(width).enumerate() {
                let mut at = i;
                for v in &mut row[left..left + count] {
                    *v = columns[at];
                    at += apart;
                }
            }
        }
    }
}

/// Planes, their shape, and the place of their first pixel on a grid.
type Part<Planes> = (Planes, Shape, (usize, usize));

/// [`Grid::through`].
#[inline(always)]
fn through(
    grid: &Grid,
    from: Part<&[f32]>,
    to: Part<&mut [f32]>,
    response: &[Complex<f32>],
    filter: &impl Fn(Complex<f32>) -> Complex<f32>,
) {
    let (from, from_shape, from_at) = from;
    let (to, to_shape, to_at) = to;
    for (from, to) in from.chunks(from_shape.plane()).zip(to.chunks_mut(to_shape.plane())) {
        let (from, to) = ((from, from_shape, from_at), (to, to_shape, to_at));
        grid.plane_through(from, to, response, filter);
    }
}

/// A number of at least `least` whose transform is fast, and which is not much larger: what a grid
/// has beyond a scene is hidden from the measurement, and has to be solved for.
fn fast_size(least: usize) -> usize {
    let dear = |n: usize| Some((n as f64 / least as f64).powi(12) * time_per_value(n)?);
    let near = (least..=least + least / 8 + 1).filter_map(|n| Some((n, dear(n)?)));
    let found = near.min_by(|a, b| a.1.total_cmp(&b.1));
    found.map_or(least.next_power_of_two(), |(n, _)| n)
}

/// How long the transform of `n` values takes for each of them, in parts of what it is for a
/// power of two, about, with AVX2; `None` where it is several times as long.
fn time_per_value(n: usize) -> Option<f64> {
    let mut rest = n;
    let mut power = |p: usize| {
        let mut k = 0;
        while rest.is_multiple_of(p) {
            (rest, k) = (rest / p, k + 1);
        }
        k
    };
    let [twos, threes, fives, sevens, elevens] = [2, 3, 5, 7, 11].map(&mut power);
    let is_slow = twos == 0 && n > 16 || fives > 2 || sevens > 1 || elevens > 1 || rest > 1;
    let odd = if twos < 3 { 0.1 } else { 0.0 };
    let [threes, fives, sevens, elevens] = [threes, fives, sevens, elevens].map(f64::from);
    let time = 1.0 + 0.05 * threes + 0.17 * fives + 0.25 * sevens + 0.4 * elevens + odd;
    (!is_slow).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_grids_are_fast_and_near() {
        let found = [1, 9, 300, 405, 486, 610, 625, 650, 4066].map(fast_size);
        assert_eq!(found, [1, 9, 300, 420, 486, 616, 640, 672, 4096]);
        for n in 64..3000 {
            let found = fast_size(n);
            assert!(found >= n && found <= n + n / 10, "{n}: {found}");
        }
    }
}
