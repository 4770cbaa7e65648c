//! A preconditioner for maps that treat all places alike but for how strongly they are measured.

use rustfft::num_complex::Complex;

use super::fourier::Grid;
use super::response::{ALIKE, Response, WEAKEST};
use super::torus::{Behind, Circulant};
use super::window::Window;
use super::{LinearMap, krylov};
use crate::frame::Shape;
use crate::noise::NoiseField;
use crate::scratch::{Buffer, any, zeros};

/// `A A^T` as a convolution `K` between scalings `D` of its values, `D K D`. As in T. F. Chan's
/// circulant preconditioners (SIAM J. Sci. Stat. Comput. 9, 1988), but found by asking the map.
///
/// Where a mosaic treats places by turns, those of each turn are a picture of their own, and `K`
/// is a small matrix per frequency of these.
pub struct Stationary {
    grid: Grid,
    window: Window,
    /// Turns of a pattern, by row and by column.
    period: usize,
    /// Places of a pattern that answer each other.
    groups: Vec<Group>,
    gains: Vec<f32>,
    /// What is added to `K`, since it is not all of `A A^T`.
    misfit: f32,
    /// Part of an entry of the diagonal that a pivot is at least.
    least: f32,
    /// An eigenvalue of `K` as those that decide how fast iterations are.
    typical: f32,
    /// No eigenvalue of `K` is larger.
    largest: f32,
}

/// Which power of `K + eta I`.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Power {
    Itself,
    Inverse,
}

/// Places of a pattern and their matrix: spectra of the responses in `members[i]` to
/// `members[j]`, `i >= j`, row by row of the triangle.
struct Group {
    members: Vec<usize>,
    spectra: Vec<Vec<Complex<f32>>>,
}

/// Most places of a pattern.
const PLACES: usize = 4;
/// Part of an entry of the diagonal that a pivot is at least where places do not tell all: then the
/// matrix need not be a positive one.
const LEAST: f32 = 1e-2;
/// Part of a typical response that counts as typical for what is solved last.
const TYPICAL: f32 = 0.2;
/// How far `K` between windows may be from `A A^T` and still be it, relative to its largest values.
const ITSELF: f64 = 1e-5;

impl Stationary {
    /// `None` where channels are not treated alike or not independent, and where all is border.
    pub fn new<M: LinearMap + ?Sized>(map: &M) -> Option<Stationary> {
        let measurement = map.measurement();
        let response = Response::new(map)?;
        let period = response.period;
        let (down, across) = response.reach;
        let grid = Grid::new(
            measurement.height.div_ceil(period) + down.div_ceil(period),
            measurement.width.div_ceil(period) + across.div_ceil(period),
        );
        let (typical, misfit) = (TYPICAL * response.middle(), response.misfit);
        let groups: Vec<Group> = groups(&response)
            .into_iter()
            .map(|members| {
                let pairs = members.iter().enumerate();
                let pairs =
                    pairs.flat_map(|(i, to)| members[..=i].iter().map(move |by| (*to, *by)));
                let spectra = pairs.map(|(to, by)| spectrum(&grid, &response, to, by)).collect();
                Group { members: members.clone(), spectra }
            })
            .collect();
        let largest = groups.iter().map(Group::largest).fold(0.0, f32::max);
        let gains = response.gains;
        let (height, width) = (period * grid.height, period * grid.width);
        let torus = Shape::new(measurement.channels, height, width);
        let window = Window::new(measurement, torus, (0, 0), &gains);
        let least = LEAST;
        let mut found =
            Stationary { grid, window, period, groups, gains, misfit, least, typical, largest };
        if found.is_itself(map) {
            (found.misfit, found.least, found.gains) = (0.0, 0.0, Vec::new());
        } else {
            found.window = Window::new(measurement, torus, (0, 0), &[]);
        }
        Some(found)
    }

    /// Whether `K` between windows is `A A^T`, by what both make of random values.
    fn is_itself<M: LinearMap + ?Sized>(&self, map: &M) -> bool {
        if self.gains.iter().any(|gain| *gain > 0.0 && *gain < 1.0 - ALIKE) {
            return false;
        }
        let field = NoiseField { seed: 0, frame: 0, draw: 0 };
        let mut v: Vec<f32> = (0..map.measurement().len()).map(|i| field.at(0, 0, i)).collect();
        v.iter_mut().zip(&self.gains).for_each(|(v, gain)| *v *= gain.ceil());
        let (mut real, mut found) = (vec![0.0; v.len()], vec![0.0; v.len()]);
        map.gram(&v, &mut real);
        self.pass(0.0, Power::Itself, &v, &mut found);
        found.iter_mut().zip(&real).for_each(|(found, real)| *found -= real);
        let size = krylov::dot(&v, &v) * f64::from(map.spectrum().map_or(1.0, |s| s.max())).powi(4);
        krylov::dot(&found, &found) <= ITSELF * ITSELF * size
    }

    /// `K` and its window, if that is `A A^T` and nothing is left out or made up.
    pub fn exact(&self) -> Option<Behind<'_>> {
        (self.least == 0.0).then_some((self, &self.window))
    }

    /// Bytes that it holds.
    pub fn held_bytes(&self) -> u64 {
        let spectra: usize = self.groups.iter().flat_map(|g| &g.spectra).map(Vec::len).sum();
        let own = spectra * size_of::<Complex<f32>>() + size_of_val(&*self.gains);
        own as u64 + self.window.held_bytes()
    }

    /// Floats of working memory that [`solve`](Stationary::solve) takes.
    pub fn working_to_solve(&self) -> usize {
        2 * self.window.torus().plane() + self.window.measurement().len() + self.working()
    }

    /// `out`, near `(A A^T + eta I)^-1 r`.
    pub fn solve(&self, eta: f32, r: &[f32], out: &mut [f32]) {
        // `D K D + eta I` is nearly `S (K + eta I) S` with what `S` makes of a typical eigenvalue.
        let typical = self.typical;
        let scale = |gain: f32| match gain > 0.0 {
            true => ((typical + eta) / (gain.max(WEAKEST).powi(2) * typical + eta)).sqrt(),
            false => 0.0,
        };
        let mut scaled = Buffer::collect(r.len(), r.iter().copied());
        scaled.iter_mut().zip(&self.gains).for_each(|(v, gain)| *v *= scale(*gain));
        self.pass(eta.max(1e-6), Power::Inverse, &scaled, out);
        out.iter_mut().zip(&self.gains).for_each(|(v, gain)| *v *= scale(*gain));
    }

    /// `out = P (K + eta I)^power P^T v`, of measurements.
    fn pass(&self, eta: f32, power: Power, v: &[f32], out: &mut [f32]) {
        let plane = self.window.torus().plane();
        let (mut here, mut there) = (zeros(plane), any(plane));
        let measured = self.window.measurement().plane();
        let channels = v.chunks(measured).zip(out.chunks_mut(measured)).enumerate();
        for (channel, (v, out)) in channels {
            self.window.place(v, &mut here);
            self.raise(eta, power, &here, &mut there);
            self.window.look(channel, &mut there, out);
        }
    }

    /// `out = (K + eta I)^power v` of a channel of the torus.
    fn raise(&self, eta: f32, power: Power, v: &[f32], out: &mut [f32]) {
        if self.period == 1 {
            let shift = match power {
                Power::Itself => eta,
                Power::Inverse => eta + self.misfit,
            };
            let sum = |k: Complex<f32>| k.re.max(0.0) + shift;
            let torus = self.window.torus();
            let (from, to) = ((v, torus, (0, 0)), (out, torus, (0, 0)));
            let response = &self.groups[0].spectra[0];
            return match power {
                Power::Itself => self.grid.through(from, to, response, |k| sum(k).into()),
                Power::Inverse => self.grid.through(from, to, response, |k| (1.0 / sum(k)).into()),
            };
        }
        let mut parts = self.parts(v);
        for group in &self.groups {
            let mut members: Vec<_> =
                group.members.iter().map(|place| std::mem::take(&mut parts[*place])).collect();
            match power {
                Power::Itself => group.multiply(eta, &mut members),
                Power::Inverse => group.solve(self.misfit, eta, self.least, &mut members),
            }
            group.members.iter().zip(members).for_each(|(place, part)| parts[*place] = part);
        }
        self.join(parts, out);
    }

    /// The spectra of the values of all turns. Two are transformed at a time, as the parts of a
    /// complex picture.
    fn parts(&self, v: &[f32]) -> Vec<Buffer<Complex<f32>>> {
        let (height, width) = (self.grid.height, self.grid.width);
        let mut parts: Vec<_> = (0..PLACES).map(|_| Buffer::any(height * width)).collect();
        for (row, two) in parts.chunks_mut(2).enumerate() {
            let [even, odd] = two else { continue };
            let lines = v.chunks(2 * width).skip(row).step_by(2);
            for (line, values) in even.chunks_mut(width).zip(lines) {
                let (pairs, _) = values.as_chunks::<2>();
                line.iter_mut().zip(pairs).for_each(|(c, [re, im])| *c = Complex::new(*re, *im));
            }
            self.grid.forward(even);
            // A frequency and its mirror image tell both parts.
            for y in 0..height {
                let mirrored = (height - y) % height * width;
                for x in 0..width {
                    let here = even[y * width + x];
                    let there = even[mirrored + (width - x) % width].conj();
                    odd[y * width + x] = (here - there) * Complex::new(0.0, -0.5);
                }
            }
            // What is left of a picture without its second part.
            let i = Complex::new(0.0, 1.0);
            even.iter_mut().zip(&*odd).for_each(|(even, odd)| *even -= i * odd);
        }
        parts
    }

    /// The values of all turns from their spectra.
    fn join(&self, mut parts: Vec<Buffer<Complex<f32>>>, out: &mut [f32]) {
        let width = self.grid.width;
        let i = Complex::new(0.0, 1.0);
        for (row, two) in parts.chunks_mut(2).enumerate() {
            let [even, odd] = two else { continue };
            even.iter_mut().zip(&*odd).for_each(|(even, odd)| *even += i * odd);
            self.grid.inverse(even);
            let lines = out.chunks_mut(2 * width).skip(row).step_by(2);
            for (line, values) in even.chunks(width).zip(lines) {
                let (pairs, _) = values.as_chunks_mut::<2>();
                pairs.iter_mut().zip(line).for_each(|(pair, c)| *pair = [c.re, c.im]);
            }
        }
    }
}

impl Circulant for Stationary {
    fn inverse(&self, eta: f32, v: &[f32], out: &mut [f32]) {
        self.raise(eta, Power::Inverse, v, out);
    }

    fn extremes(&self) -> (f32, f32) {
        (0.0, self.largest)
    }

    fn working(&self) -> usize {
        match self.period {
            1 => self.grid.working(),
            // The spectra of all turns, of two floats a value.
            _ => 2 * PLACES * self.grid.height * self.grid.width + self.grid.working(),
        }
    }
}

/// Places of a pattern in groups that answer each other.
fn groups(response: &Response) -> Vec<Vec<usize>> {
    let places = response.period * response.period;
    let mut of: Vec<usize> = (0..places).collect();
    for by in 0..places {
        for to in 0..places {
            if answers(response, to, by).any(|(_, _, v)| v != 0.0) {
                let (kept, lost) = (of[by].min(of[to]), of[by].max(of[to]));
                of.iter_mut().filter(|g| **g == lost).for_each(|g| *g = kept);
            }
        }
    }
    let members = |group: usize| (0..places).filter(|p| of[*p] == group).collect::<Vec<_>>();
    (0..places).map(members).filter(|members| !members.is_empty()).collect()
}

/// What a value at the place `by` of a pattern does at the places `to`: rows and columns of
/// patterns, and the response, 0 where it is next to nothing.
fn answers(response: &Response, to: usize, by: usize) -> impl Iterator<Item = (isize, isize, f32)> {
    const NOTHING: f32 = 1e-5;
    let period = response.period as isize;
    let turn = |place: usize| (place as isize / period, place as isize % period);
    let (to, from) = (turn(to), turn(by));
    let least = NOTHING * response.middle();
    let reach = (response.reach.0 as isize, response.reach.1 as isize);
    let places = (-reach.0..=reach.0).flat_map(move |y| (-reach.1..=reach.1).map(move |x| (y, x)));
    places.filter_map(move |(y, x)| {
        let (down, across) = (from.0 + y, from.1 + x);
        let here = (down.rem_euclid(period), across.rem_euclid(period)) == to;
        here.then(|| {
            let value = response.at(by, y, x);
            let value = if value.abs() > least { value } else { 0.0 };
            (down.div_euclid(period), across.div_euclid(period), value)
        })
    })
}

fn spectrum(grid: &Grid, response: &Response, to: usize, by: usize) -> Vec<Complex<f32>> {
    let fold = |d: isize, n: usize| d.rem_euclid(n as isize) as usize;
    let values =
        answers(response, to, by).map(|(y, x, v)| ((fold(y, grid.height), fold(x, grid.width)), v));
    if response.period == 1 { grid.response(values) } else { grid.spectrum(values) }
}

impl Group {
    /// The largest sum of the eigenvalues of a frequency.
    fn largest(&self) -> f32 {
        let diagonal = |i: usize| &self.spectra[i * (i + 1) / 2 + i];
        let sum = |f: usize| (0..self.members.len()).map(|i| diagonal(i)[f].re).sum::<f32>();
        (0..diagonal(0).len()).map(sum).fold(0.0, f32::max)
    }

    /// Replaces the spectra of the members' values by those of the solution, frequency by
    /// frequency: `L D L^*` of a Hermitian matrix, with pivots of at least `eta` and the part
    /// `least` of the diagonal.
    fn solve(&self, misfit: f32, eta: f32, least: f32, parts: &mut [Buffer<Complex<f32>>]) {
        let n = parts.len();
        let shift = misfit + eta;
        if let [part] = parts {
            for (v, k) in part.iter_mut().zip(&self.spectra[0]) {
                *v /= k.re.max(0.0) + shift;
            }
            return;
        }
        if let [first, second] = parts {
            // As below, for the greens of a mosaic.
            let [own, both, other] = [0, 1, 2].map(|i| self.spectra[i].iter());
            let places = first.iter_mut().zip(second).zip(own.zip(both).zip(other));
            for ((v0, v1), ((a, b), d)) in places {
                let pivot = (a.re + shift).max(eta + least * (a.re + shift));
                let l = b / pivot;
                let below = d.re + shift;
                let last = (below - b.norm_sqr() / pivot).max(eta + least * below);
                *v1 = (*v1 - l * *v0) / last;
                *v0 = *v0 / pivot - l.conj() * *v1;
            }
            return;
        }
        let zero = Complex::default();
        for f in 0..parts[0].len() {
            let mut l = [[zero; PLACES]; PLACES];
            let mut pivots = [0.0f32; PLACES];
            let mut v = [zero; PLACES];
            for i in 0..n {
                let row = i * (i + 1) / 2;
                v[i] = parts[i][f];
                for j in 0..i {
                    let mut sum = self.spectra[row + j][f];
                    for k in 0..j {
                        sum -= l[i][k] * l[j][k].conj() * pivots[k];
                    }
                    l[i][j] = sum / pivots[j];
                    let taken = l[i][j] * v[j];
                    v[i] -= taken;
                }
                let own = self.spectra[row + i][f].re + shift;
                let taken: f32 = (0..i).map(|k| l[i][k].norm_sqr() * pivots[k]).sum();
                pivots[i] = (own - taken).max(eta + least * own);
            }
            for i in (0..n).rev() {
                v[i] /= pivots[i];
                for k in i + 1..n {
                    let taken = l[k][i].conj() * v[k];
                    v[i] -= taken;
                }
                parts[i][f] = v[i];
            }
        }
    }
}

impl Group {
    /// Replaces the spectra of the members' values by those of their product with the matrix and
    /// `eta I`.
    fn multiply(&self, eta: f32, parts: &mut [Buffer<Complex<f32>>]) {
        let n = parts.len();
        if let [part] = parts {
            let values = part.iter_mut().zip(&self.spectra[0]);
            return values.for_each(|(v, k)| *v *= k.re + eta);
        }
        if let [first, second] = parts {
            let [own, both, other] = [0, 1, 2].map(|i| self.spectra[i].iter());
            let places = first.iter_mut().zip(second).zip(own.zip(both).zip(other));
            return places.for_each(|((v0, v1), ((a, b), d))| {
                let product = *v0 * (a + eta) + b.conj() * *v1;
                *v1 = b * *v0 + *v1 * (d + eta);
                *v0 = product;
            });
        }
        for f in 0..parts[0].len() {
            let mut v = [Complex::default(); PLACES];
            v.iter_mut().zip(&*parts).for_each(|(v, part)| *v = part[f]);
            for (i, part) in parts.iter_mut().enumerate() {
                let of = |j: usize| match i >= j {
                    true => self.spectra[i * (i + 1) / 2 + j][f],
                    false => self.spectra[j * (j + 1) / 2 + i][f].conj(),
                };
                part[f] = v[i] * eta + (0..n).map(|j| of(j) * v[j]).sum::<Complex<f32>>();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Chain, Spec, krylov};
    use super::*;
    use crate::frame::{Frame, Rows};

    /// A drawn line of 11 x 7 pixels, or a mask of which every third value is missing, or a few.
    fn load(name: &std::path::Path) -> crate::Result<Box<dyn Rows>> {
        let line = |i: usize| {
            let away = ((i / 11) as f32 - (i % 11) as f32 * 0.6).abs();
            2.0 * (1.0 - 0.8 * away).max(0.0) - 1.0
        };
        let (shape, values): (_, Vec<f32>) = match name.to_str() {
            Some("line") => (Shape::new(1, 7, 11), (0..77).map(line).collect()),
            _ => {
                let shape = Shape::new(1, 48 - 6, 64 - 10);
                let every = if name.to_str() == Some("defects") { 37 } else { 3 };
                let hole = |i: usize| if i.is_multiple_of(every) { -1.0 } else { 1.0 };
                (shape, (0..shape.len()).map(hole).collect())
            }
        };
        Ok(Frame::new(shape, values)?.into())
    }

    fn map(spec: &str) -> Chain {
        Chain::new(vec![Spec::parse(spec).unwrap().build(Shape::new(3, 48, 64), &load).unwrap()])
    }

    #[test]
    fn it_solves_what_treats_all_places_alike_but_for_the_borders() {
        for spec in ["sr:2", "blur:line", "blur:line+sr:2", "blur:line+gray"] {
            let a = map(spec);
            let shape = a.measurement();
            let stationary = Stationary::new(&a).unwrap();
            // Nothing at the borders.
            let inside = |i: usize| {
                let (y, x) = (i / shape.width % shape.height, i % shape.width);
                let middle = |at: usize, n: usize| at.abs_diff(n / 2) < n / 8;
                middle(y, shape.height) && middle(x, shape.width)
            };
            let value = |i: usize| if inside(i) { (i as f32 * 1.7).sin() } else { 0.0 };
            let z: Vec<f32> = (0..shape.len()).map(value).collect();
            let (eta, mut r, mut back) = (0.1, vec![0.0; z.len()], vec![0.0; z.len()]);
            a.gram(&z, &mut r);
            r.iter_mut().zip(&z).for_each(|(r, z)| *r += eta * z);
            stationary.solve(eta, &r, &mut back);
            let error: Vec<f32> = back.iter().zip(&z).map(|(b, z)| b - z).collect();
            let share = krylov::dot(&error, &error) / krylov::dot(&z, &z);
            assert!(share < 1e-4, "{spec}: {share:.1e}");
        }
    }

    /// A map without what speeds it up.
    struct Plain<'a>(&'a Chain);

    impl LinearMap for Plain<'_> {
        fn spec(&self) -> String {
            self.0.spec()
        }
        fn scene(&self) -> Shape {
            self.0.scene()
        }
        fn measurement(&self) -> Shape {
            self.0.measurement()
        }
        fn apply(&self, x: &[f32], y: &mut [f32]) {
            self.0.apply(x, y);
        }
        fn adjoint(&self, y: &[f32], x: &mut [f32]) {
            self.0.adjoint(y, x);
        }
        fn noisy_share(&self) -> f64 {
            self.0.noisy_share()
        }
        fn truncation(&self) -> f32 {
            self.0.truncation()
        }
    }

    #[test]
    fn masks_and_mosaics_take_fewer_iterations() {
        for (spec, part) in [
            ("blur:line+mask:holes", 0.8),
            ("blur:line+mask:holes+sr:2", 0.7),
            ("blur:line+bayer:rggb", 0.5),
            ("blur:line+bayer:gbrg+mask:defects", 0.8),
        ] {
            let a = map(spec);
            let field = crate::noise::NoiseField { seed: 3, frame: 0, draw: 0 };
            let x: Vec<f32> = (0..a.scene().len()).map(|i| field.at(0, 0, i)).collect();
            let (mut y, mut back) = (vec![0.0; a.measurement().len()], vec![0.0; x.len()]);
            a.apply(&x, &mut y);
            let mut iterations = |m: &dyn LinearMap| {
                let mut dual = krylov::Dual::new(0.0);
                krylov::pinv(m, &y, &|s| s * s / (s * s + 1e-3), &mut dual, &mut back);
                dual.iterations() as f32
            };
            let (with, without) = (iterations(&a), iterations(&Plain(&a)));
            assert!(with <= part * without, "{spec}: {with} and {without}");
        }
    }

    #[test]
    fn channels_that_mix_and_frames_that_are_all_border_are_left_alone() {
        assert!(Stationary::new(&map("blur:line+420")).is_none());
        let small = Spec::parse("blur:line+sr:2").unwrap();
        let small = small.build(Shape::new(3, 20, 24), &load).unwrap();
        assert!(Stationary::new(&Chain::new(vec![small])).is_none());
    }
}
