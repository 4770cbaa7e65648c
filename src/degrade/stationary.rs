//! A preconditioner for maps that treat all places alike.

use rustfft::num_complex::Complex;

use super::LinearMap;
use super::fourier::Grid;
use crate::frame::Shape;

/// `A A^T` as a convolution: its response to a single value of the measurement, in the middle,
/// as it would be everywhere without borders. As in T. F. Chan's circulant preconditioners (SIAM
/// J. Sci. Stat. Comput. 9, 1988), but found by asking the map.
pub struct Stationary {
    grid: Grid,
    /// Its transform, column by column: real, since `A A^T` is symmetric.
    response: Vec<Complex<f32>>,
    measurement: Shape,
}

/// Parts of the largest response below which one counts as nothing, and up to which the responses
/// of two places may differ.
const NOTHING: f32 = 1e-4;
const ALIKE: f32 = 1e-2;
/// Measurements that are smaller are all border.
const LEAST: usize = 8;

impl Stationary {
    /// `None` where places or channels are not treated alike, or are not independent.
    pub fn new<M: LinearMap + ?Sized>(map: &M) -> Option<Stationary> {
        let measurement = map.measurement();
        let (height, width) = (measurement.height, measurement.width);
        if height < LEAST || width < LEAST {
            return None;
        }
        let middle = (height / 2, width / 2);
        let found = Response::new(map, 0, middle, (middle.0, middle.1));
        let reach = found.reach()?;
        // Other places within a pattern of two or three, and other channels, must answer alike.
        let beside = [(0, 1), (1, 0), (1, 1), (2, 2)];
        let others = beside.map(|(y, x)| (0, (middle.0 + y, middle.1 + x)));
        let channels = (1..measurement.channels).map(|c| (c, middle));
        for (channel, at) in others.into_iter().chain(channels) {
            if !found.is_like(&Response::new(map, channel, at, reach)) {
                return None;
            }
        }
        let grid = Grid::new(height + reach.0, width + reach.1);
        let around = |r: usize| (-(r as isize)..=r as isize).collect::<Vec<_>>();
        let (down, across) = (around(reach.0), around(reach.1));
        let fold = |d: isize, n: usize| d.rem_euclid(n as isize) as usize;
        let places = down.iter().flat_map(|dy| across.iter().map(move |dx| (*dy, *dx)));
        let values: Vec<_> = places
            .map(|(dy, dx)| ((fold(dy, grid.height), fold(dx, grid.width)), found.at(dy, dx)))
            .collect();
        let response = grid.response(values.into_iter());
        Some(Stationary { grid, response, measurement })
    }

    /// Bytes that it holds.
    pub fn held_bytes(&self) -> u64 {
        (self.response.len() * size_of::<Complex<f32>>()) as u64
    }

    /// Floats of working memory that [`solve`](Stationary::solve) takes.
    pub fn working(&self) -> usize {
        self.grid.working()
    }

    /// `out`, near `(A A^T + eta I)^-1 r`.
    pub fn solve(&self, eta: f32, r: &[f32], out: &mut [f32]) {
        let shape = self.measurement;
        let floor = eta.max(1e-6);
        self.grid.through((r, shape, (0, 0)), (out, shape, (0, 0)), &self.response, |k| {
            Complex::new(1.0 / (k.re.max(0.0) + floor), 0.0)
        });
    }
}

/// What `A A^T` makes of a single value.
struct Response {
    values: Vec<f32>,
    shape: Shape,
    channel: usize,
    at: (usize, usize),
    /// Rows and columns around it that can be asked for.
    reach: (usize, usize),
}

impl Response {
    fn new<M: LinearMap + ?Sized>(
        map: &M,
        channel: usize,
        at: (usize, usize),
        reach: (usize, usize),
    ) -> Response {
        let shape = map.measurement();
        let mut value = vec![0.0; shape.len()];
        value[channel * shape.plane() + at.0 * shape.width + at.1] = 1.0;
        let mut values = vec![0.0; shape.len()];
        map.gram(&value, &mut values);
        Response { values, shape, channel, at, reach }
    }

    /// The value that many rows below and columns to the right; 0 beyond the frame.
    fn at(&self, down: isize, right: isize) -> f32 {
        let y = self.at.0.checked_add_signed(down).filter(|y| *y < self.shape.height);
        let x = self.at.1.checked_add_signed(right).filter(|x| *x < self.shape.width);
        let (Some(y), Some(x)) = (y, x) else { return 0.0 };
        self.values[self.channel * self.shape.plane() + y * self.shape.width + x]
    }

    /// Rows and columns around it that it reaches; `None` if that is half of the frame.
    fn reach(&self) -> Option<(usize, usize)> {
        let nothing = NOTHING * self.at(0, 0);
        let plane = &self.values[self.channel * self.shape.plane()..][..self.shape.plane()];
        let (mut down, mut across) = (0, 0);
        for (i, _) in plane.iter().enumerate().filter(|(_, v)| v.abs() > nothing) {
            down = down.max((i / self.shape.width).abs_diff(self.at.0));
            across = across.max((i % self.shape.width).abs_diff(self.at.1));
        }
        let fits = down + 2 < self.reach.0 && across + 2 < self.reach.1;
        (fits && self.at(0, 0) > 0.0).then_some((down, across))
    }

    /// Whether another place answers alike, as far as that one reaches, and neither of them in
    /// another channel.
    fn is_like(&self, other: &Response) -> bool {
        let (down, across) = (other.reach.0 as isize, other.reach.1 as isize);
        let most = ALIKE * self.at(0, 0);
        let mut pairs = (-down..=down).flat_map(|y| (-across..=across).map(move |x| (y, x)));
        let alike = pairs.all(|(y, x)| (self.at(y, x) - other.at(y, x)).abs() <= most);
        let alone = |r: &Response| {
            let planes = r.values.chunks(r.shape.plane()).enumerate();
            let mut others = planes.filter(|(c, _)| *c != r.channel);
            others.all(|(_, plane)| plane.iter().all(|v| v.abs() <= most))
        };
        alike && alone(self) && alone(other)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Chain, Spec, krylov};
    use super::*;
    use crate::frame::{Frame, Rows};

    /// A drawn line of 11 x 7 pixels, or a mask of which every third value is missing.
    fn load(name: &std::path::Path) -> crate::Result<Box<dyn Rows>> {
        let line = |i: usize| {
            let away = ((i / 11) as f32 - (i % 11) as f32 * 0.6).abs();
            2.0 * (1.0 - 0.8 * away).max(0.0) - 1.0
        };
        let (shape, values): (_, Vec<f32>) = match name.to_str() {
            Some("line") => (Shape::new(1, 7, 11), (0..77).map(line).collect()),
            _ => {
                let shape = Shape::new(1, 48 - 6, 64 - 10);
                let hole = |i: usize| if i.is_multiple_of(3) { -1.0 } else { 1.0 };
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

    #[test]
    fn what_does_not_treat_all_places_alike_is_left_alone() {
        for spec in ["blur:line+mask:holes", "blur:line+bayer:rggb"] {
            assert!(Stationary::new(&map(spec)).is_none(), "{spec}");
        }
    }
}
