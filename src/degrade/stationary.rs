//! A preconditioner for maps that treat all places alike but for how strongly they are measured.

use rustfft::num_complex::Complex;

use super::LinearMap;
use super::fourier::Grid;
use super::response::{Response, WEAKEST};
use crate::frame::Shape;

/// `A A^T` as a convolution `K` between scalings `D` of its values, `D K D`. As in T. F. Chan's
/// circulant preconditioners (SIAM J. Sci. Stat. Comput. 9, 1988), but found by asking the map.
///
/// Where a mosaic treats places by turns, those of each turn are a picture of their own, and `K`
/// is a small matrix per frequency of these.
pub struct Stationary {
    grid: Grid,
    measurement: Shape,
    /// Turns of a pattern, by row and by column.
    period: usize,
    /// Places of a pattern that answer each other.
    groups: Vec<Group>,
    gains: Vec<f32>,
    /// What is added to `K`, since it is not all of `A A^T`.
    misfit: f32,
    /// An eigenvalue of `K` as those that decide how fast iterations are.
    typical: f32,
}

/// Places of a pattern and their matrix: spectra of the responses in `members[i]` to
/// `members[j]`, `i >= j`, row by row of the triangle.
struct Group {
    members: Vec<usize>,
    spectra: Vec<Vec<Complex<f32>>>,
}

/// Most places of a pattern.
const PLACES: usize = 4;
/// Part of an entry of the diagonal that a pivot is at least: what places are asked does not tell
/// all, so the matrix need not be a positive one.
const LEAST: f32 = 1e-2;
/// Part of a typical response that counts as typical for what is solved last.
const TYPICAL: f32 = 0.2;

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
        let groups = groups(&response)
            .into_iter()
            .map(|members| {
                let pairs = members.iter().enumerate();
                let pairs =
                    pairs.flat_map(|(i, to)| members[..=i].iter().map(move |by| (*to, *by)));
                let spectra = pairs.map(|(to, by)| spectrum(&grid, &response, to, by)).collect();
                Group { members: members.clone(), spectra }
            })
            .collect();
        let gains = response.gains;
        Some(Stationary { grid, measurement, period, groups, gains, misfit, typical })
    }

    /// Bytes that it holds.
    pub fn held_bytes(&self) -> u64 {
        let spectra: usize = self.groups.iter().flat_map(|g| &g.spectra).map(Vec::len).sum();
        (spectra * size_of::<Complex<f32>>() + size_of_val(&*self.gains)) as u64
    }

    /// Floats of working memory that [`solve`](Stationary::solve) takes.
    pub fn working(&self) -> usize {
        let turns = self.groups.iter().map(|g| g.members.len()).max().unwrap_or(0);
        // The spectra of the turns that are solved together, of two floats a value.
        let parts =
            if self.period == 1 { 0 } else { 2 * turns * self.grid.height * self.grid.width };
        self.gains.len() + parts + self.grid.working()
    }

    /// `out`, near `(A A^T + eta I)^-1 r`.
    pub fn solve(&self, eta: f32, r: &[f32], out: &mut [f32]) {
        if self.gains.is_empty() {
            return self.convolve(eta, r, out);
        }
        // `D K D + eta I` is nearly `S (K + eta I) S` with what `S` makes of a typical eigenvalue.
        let typical = self.typical;
        let scale = |gain: f32| match gain > 0.0 {
            true => ((typical + eta) / (gain.max(WEAKEST).powi(2) * typical + eta)).sqrt(),
            false => 0.0,
        };
        let mut scaled = r.to_vec();
        scaled.iter_mut().zip(&self.gains).for_each(|(v, gain)| *v *= scale(*gain));
        self.convolve(eta, &scaled, out);
        out.iter_mut().zip(&self.gains).for_each(|(v, gain)| *v *= scale(*gain));
    }

    /// `out`, near `(K + eta I)^-1 r`.
    fn convolve(&self, eta: f32, r: &[f32], out: &mut [f32]) {
        let shape = self.measurement;
        let floor = eta.max(1e-6);
        if self.period == 1 {
            let shift = floor + self.misfit;
            let response = &self.groups[0].spectra[0];
            return self.grid.through((r, shape, (0, 0)), (out, shape, (0, 0)), response, |k| {
                Complex::new(1.0 / (k.re.max(0.0) + shift), 0.0)
            });
        }
        let planes = r.chunks(shape.plane()).zip(out.chunks_mut(shape.plane()));
        for (r, out) in planes {
            for group in &self.groups {
                let turn = |place: &usize| (place / self.period, place % self.period);
                let mut parts: Vec<_> =
                    group.members.iter().map(|place| self.part(r, turn(place))).collect();
                group.solve(self.misfit, floor, &mut parts);
                for (place, part) in group.members.iter().zip(&mut parts) {
                    self.put(part, turn(place), out);
                }
            }
        }
    }

    /// The spectrum of the values of one turn.
    fn part(&self, r: &[f32], turn: (usize, usize)) -> Vec<Complex<f32>> {
        let mut part = vec![Complex::default(); self.grid.height * self.grid.width];
        let rows = r.chunks(self.measurement.width).skip(turn.0).step_by(self.period);
        for (line, row) in part.chunks_mut(self.grid.width).zip(rows) {
            let values = row.iter().skip(turn.1).step_by(self.period);
            line.iter_mut().zip(values).for_each(|(c, v)| c.re = *v);
        }
        self.grid.forward(&mut part);
        part
    }

    /// The values of one turn from their spectrum.
    fn put(&self, part: &mut [Complex<f32>], turn: (usize, usize), out: &mut [f32]) {
        self.grid.inverse(part);
        let rows = out.chunks_mut(self.measurement.width).skip(turn.0).step_by(self.period);
        for (line, row) in part.chunks(self.grid.width).zip(rows) {
            let values = row.iter_mut().skip(turn.1).step_by(self.period);
            line.iter().zip(values).for_each(|(c, v)| *v = c.re);
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
    const NOTHING: f32 = 1e-3;
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
    /// Replaces the spectra of the members' values by those of the solution, frequency by
    /// frequency: `L D L^*` of a Hermitian matrix, with pivots above `floor`.
    fn solve(&self, misfit: f32, floor: f32, parts: &mut [Vec<Complex<f32>>]) {
        let n = parts.len();
        let shift = misfit + floor;
        if let [part] = parts {
            for (v, k) in part.iter_mut().zip(&self.spectra[0]) {
                *v /= k.re.max(0.0) + shift;
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
                pivots[i] = (own - taken).max(floor + LEAST * own);
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
