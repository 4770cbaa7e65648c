//! What happened to the scene: linear degradations `y = A x`, their adjoints and pseudo-inverses.
//!
//! Everything here is linear and works on pictures in `[-1, 1]`. A measurement *file* is in
//! units of light, black 0 and white 1: `u_y = A u_x` with `u = (x + 1) / 2`. So the value of a
//! measurement pixel is `y = 2 u_y - A 1`, which is the usual `2 u - 1` wherever the rows of `A`
//! sum to one, and 0 where nothing was measured. [`measurement`] and [`to_file`] convert.

mod bands;
mod bayer;
mod blur;
mod camera;
mod chain;
pub mod check;
mod cubic;
mod dct;
pub mod estimate;
mod filling;
mod fourier;
mod gray;
mod krylov;
mod lanczos;
mod limits;
mod linear;
mod mask;
mod measured;
mod planes;
mod pool;
mod psf;
mod response;
mod rows;
mod seen;
mod share;
mod spec;
mod stationary;
#[cfg(test)]
mod tests;
mod torus;
mod walsh;
#[cfg(test)]
mod whole_tests;
mod window;

pub use bayer::Mosaic;
pub use blur::{Blur, Kernel};
pub use camera::{CameraNoise, weighted};
pub use chain::Chain;
pub use cubic::Bicubic;
pub use gray::{Gray, Luma};
pub use krylov::Dual;
pub use limits::Limits;
pub(crate) use linear::wiener;
pub use linear::{Linear, LinearMap};
pub use mask::{LEAST_GAIN, Mask};
pub use measured::{MeasuredRows, measurement};
pub use planes::Planes;
pub use pool::Pool;
pub use psf::{MAX_PSF, Psf};
pub use rows::{DisjointRows, Stage};
pub use seen::pinv_seen;
pub use share::{PROBES, measured_share};
pub use spec::Spec;
pub use torus::{Behind, Circulant};
pub use walsh::{Extent, Walsh};
pub use window::Window;

use std::ops::Range;

use crate::error::Result;
use crate::frame::{Frame, Region, Shape, rows_of};
use crate::noise::NoiseField;
use crate::scratch::zeros;

/// How far, in scene pixels, a measurement reaches beyond its own block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// A pixel's projection depends on its own block alone: it happens inside a tile's task.
    Local,
    /// The projection needs the assembled frame.
    Global,
}

/// What is known of the singular values of `A`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Spectrum {
    /// One value for everything that is measured.
    Flat(f32),
    /// One value per measurement; the smallest that is not zero, and the largest.
    Diagonal { min: f32, max: f32 },
    /// One value per direction of a basis of its own; the smallest that is kept (see
    /// [`Degradation::truncation`]), and the largest.
    Basis { min: f32, max: f32 },
    /// Only a bound of the largest is known.
    Bound { max: f32 },
}

impl Spectrum {
    /// The largest singular value.
    pub fn max(&self) -> f32 {
        match *self {
            Spectrum::Flat(max) => max,
            Spectrum::Diagonal { max, .. } | Spectrum::Basis { max, .. } => max,
            Spectrum::Bound { max } => max,
        }
    }

    /// That of `factor` times the map.
    fn times(self, factor: f32) -> Spectrum {
        match self {
            Spectrum::Flat(s) => Spectrum::Flat(factor * s),
            Spectrum::Diagonal { min, max } => {
                Spectrum::Diagonal { min: factor * min, max: factor * max }
            }
            Spectrum::Basis { min, max } => {
                Spectrum::Basis { min: factor * min, max: factor * max }
            }
            Spectrum::Bound { max } => Spectrum::Bound { max: factor * max },
        }
    }
}

/// A symmetric map of lines of one length, whose singular vectors are the cosines
/// `cos(pi k (i + 1/2) / length)`.
#[derive(Debug, Clone, PartialEq)]
pub struct AxisMap {
    /// Row by row, `[length, length]`.
    pub matrix: Vec<f32>,
    /// The signed factor of the `k`-th cosine, `[length]`.
    pub singular: Vec<f32>,
}

/// How many floats of working memory an operator over whole frames takes for a moment, beside
/// what goes in and comes out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Working {
    /// For `apply` or `adjoint`.
    pub forward: usize,
    /// For `gram`.
    pub gram: usize,
    /// For `pinv`, with what iterations keep from one step to the next.
    pub inverse: usize,
    /// What these keep.
    pub kept: usize,
    /// For a classical estimate.
    pub start: usize,
}

/// A linear map `A` from a scene to its measurement.
///
/// All buffers are planar. A *region* is a rectangle of the scene whose top left corner lies on
/// multiples of [`period`](Degradation::period) and whose far edges do too, or end at the frame's
/// edge; `x` then holds `[scene channels, region.height, region.width]` and `y` holds
/// `[measurement channels, ..]` of [`measured`](Degradation::measured). An operator whose reach
/// is [`Reach::Global`] is only ever asked for the whole frame.
pub trait Degradation: Send + Sync {
    /// The spec that names this degradation, in its canonical form.
    fn spec(&self) -> String;
    /// Size of the scene.
    fn scene(&self) -> Shape;
    /// Size of the measurement.
    fn measurement(&self) -> Shape;
    /// The rectangle of the measurement that belongs to `region` of the scene.
    fn measured(&self, region: Region) -> Region;
    /// `y = A x`.
    fn apply(&self, region: Region, x: &[f32], y: &mut [f32]);
    /// `x = A^T y`.
    fn adjoint(&self, region: Region, y: &[f32], x: &mut [f32]);
    /// `out = A A^T y`, of the whole frame.
    fn gram(&self, y: &[f32], out: &mut [f32]) {
        let whole = Region::whole(self.scene());
        let mut x = vec![0.0; self.scene().len()];
        self.adjoint(whole, y, &mut x);
        self.apply(whole, &x, out);
    }
    /// `x = A+ W y`, where `W` multiplies each direction of the measurement by `weight(s)`, s
    /// its singular value. With `weight = 1` this is the pseudo-inverse; directions that `A`
    /// does not measure give 0.
    fn pinv(&self, region: Region, y: &[f32], weight: &dyn Fn(f32) -> f32, x: &mut [f32]);
    /// [`pinv`](Degradation::pinv) of the whole frame in one step of several: where it is found by
    /// iteration, that begins at what the step before has left in `dual`, and ends where what is
    /// left is little beside the noise.
    fn pinv_from(&self, y: &[f32], weight: &dyn Fn(f32) -> f32, dual: &mut Dual, x: &mut [f32]) {
        let _ = dual;
        self.pinv(Region::whole(self.scene()), y, weight, x);
    }
    /// `A A^T` as a convolution seen through a window, where it is one.
    fn circulant(&self) -> Option<Behind<'_>> {
        None
    }
    /// Whether the pseudo-inverse is found by iteration, since there is no basis in which it is
    /// known.
    fn is_iterative(&self) -> bool {
        matches!(self.spectrum(), Spectrum::Bound { .. })
    }
    /// The singular value that belongs to each measurement value of `region`; 0 where nothing
    /// is measured. Where [rows overlap](Degradation::rows_overlap) there is none that belongs
    /// to one value: then 1 stands for anything that is measured.
    fn singular_values(&self, region: Region, out: &mut [f32]);
    /// `A 1`: how each measurement answers to a white scene.
    fn dc_gain(&self, region: Region, out: &mut [f32]);
    /// The declared spectrum.
    fn spectrum(&self) -> Spectrum;
    /// Tiles of the scene must start at multiples of this many pixels.
    fn period(&self) -> usize;
    /// Whether the projection can be done tile by tile.
    fn reach(&self) -> Reach;
    /// Largest sum of absolute entries of a row of `A`: a change of at most `e` per scene value
    /// moves a measurement by at most `e` times this.
    fn max_row_sum(&self) -> f32;
    /// How far off a classical estimate typically is: the noise level, in units of `[-1, 1]`,
    /// that a restoration without noise in the measurement should start at.
    fn uncertainty(&self) -> f64;
    /// How many times as strong as in the measurement noise is in a classical estimate, in the
    /// directions of the scene where it is strongest: a restoration of a noisy measurement should
    /// start at a level that covers it. 1 where the estimate itself keeps noise down.
    fn noise_gain(&self) -> f64 {
        1.0
    }
    /// A classical estimate of the scene is made block by block: how many rows each has but the
    /// last. A multiple of the period, or the whole height.
    fn classical_block(&self) -> usize {
        self.scene().height
    }
    /// The rows of the measurement that the classical estimate of a block depends on.
    fn classical_support(&self, rows: Range<usize>) -> Range<usize> {
        let _ = rows;
        0..self.measurement().height
    }
    /// A classical, non-learned estimate `x` of a block of the scene, `[channels, rows, width]`,
    /// from the rows of the measurement that it depends on.
    fn classical_rows(&self, rows: Range<usize>, y: &[f32], x: &mut [f32]);
    /// Bytes that the operator itself holds, as a mask does.
    fn held_bytes(&self) -> u64 {
        0
    }
    /// Bytes of working memory that `classical_rows` needs for a block, besides the rows that go in
    /// and come out and copies of them.
    fn classical_bytes(&self) -> u64 {
        4 * self.scene().len() as u64 * size_of::<f32>() as u64
    }
    /// Working memory over the whole frame; where a projection is local, only chains with links
    /// that are not ask for it.
    fn working(&self) -> Working {
        let start = self.classical_bytes() as usize / size_of::<f32>();
        Working { gram: self.scene().len(), start, ..Working::default() }
    }
    /// [`classical_rows`](Degradation::classical_rows) from a measurement with noise of standard
    /// deviation `sigma_y`, which an inverse of an ill-conditioned operator must not amplify.
    fn start_rows(&self, rows: Range<usize>, y: &[f32], sigma_y: f64, x: &mut [f32]) {
        let _ = sigma_y;
        self.classical_rows(rows, y, x);
    }
    /// The estimate of the whole scene from the whole measurement, without and with noise.
    fn classical(&self, y: &[f32]) -> Vec<f32> {
        self.start(y, 0.0)
    }
    /// See [`classical`](Degradation::classical).
    fn start(&self, y: &[f32], sigma_y: f64) -> Vec<f32> {
        let (scene, measurement) = (self.scene(), self.measurement());
        let mut x = vec![0.0; scene.len()];
        for top in (0..scene.height).step_by(self.classical_block()) {
            let rows = top..(top + self.classical_block()).min(scene.height);
            let part = rows_of(y, measurement, self.classical_support(rows.clone()));
            let mut estimate = zeros(scene.channels * rows.len() * scene.width);
            self.start_rows(rows.clone(), &part, sigma_y, &mut estimate);
            let planes =
                x.chunks_exact_mut(scene.plane()).zip(estimate.chunks(rows.len() * scene.width));
            for (plane, part) in planes {
                plane[rows.start * scene.width..rows.end * scene.width].copy_from_slice(part);
            }
        }
        x
    }
    /// Directions with singular values below this count as unmeasured: noise, and the rounding
    /// of a file, would drown what they say. 0 for well-conditioned operators.
    fn truncation(&self) -> f32 {
        0.0
    }
    /// The number of directions that are measured.
    fn rank(&self) -> usize {
        let scene = self.scene();
        if self.is_identity() {
            return scene.len();
        }
        let mut count = 0;
        for region in regions(scene, self.reach(), self.period()) {
            let mut s = vec![0.0; self.measured(region).shape(self.measurement().channels).len()];
            self.singular_values(region, &mut s);
            count += s.iter().filter(|&&s| s > 0.0).count();
        }
        count
    }
    /// The share of the scene's directions that is measured; a direction of singular value `s` counts
    /// as `s^2 / (s^2 + eta)` to that of a direction of 1, where `eta = (sigma_y / 0.5)^2` is what
    /// noise is to a scene that varies by 0.5.
    fn measured_share(&self, sigma_y: f64) -> f64 {
        let _ = sigma_y;
        self.rank() as f64 / self.scene().len() as f64
    }
    /// Whether a scene value can enter more than one measurement, or enter it with a negative
    /// sign: then the range of a picture and the measurement can only be met approximately.
    fn rows_overlap(&self) -> bool {
        false
    }
    /// Whether the measurement is the scene itself.
    fn is_identity(&self) -> bool {
        false
    }
    /// Whether colour is lost everywhere.
    fn loses_colour(&self) -> bool {
        false
    }
    /// The maps of a column and of a row, where `A` is these two one after the other.
    fn axes(&self) -> Option<[AxisMap; 2]> {
        None
    }
    /// Numbers that the spec does not tell and that define the operator, such as those of a
    /// file; for certificates. Where rows do not overlap, spectrum and gains say enough.
    fn contents(&self) -> Vec<f32> {
        Vec::new()
    }
    /// Whether neighbouring values of the measurement are of different colours, those two apart
    /// of the same.
    fn is_mosaic(&self) -> bool {
        false
    }
    /// Whether the measurement can be looked at; if not, its file is an array of floats.
    fn is_picture(&self) -> bool {
        true
    }
}

/// Forwards everything, what has a default too: an operator behind a pointer is the operator.
impl Degradation for Box<dyn Degradation> {
    fn spec(&self) -> String {
        (**self).spec()
    }
    fn scene(&self) -> Shape {
        (**self).scene()
    }
    fn measurement(&self) -> Shape {
        (**self).measurement()
    }
    fn measured(&self, region: Region) -> Region {
        (**self).measured(region)
    }
    fn apply(&self, region: Region, x: &[f32], y: &mut [f32]) {
        (**self).apply(region, x, y);
    }
    fn adjoint(&self, region: Region, y: &[f32], x: &mut [f32]) {
        (**self).adjoint(region, y, x);
    }
    fn gram(&self, y: &[f32], out: &mut [f32]) {
        (**self).gram(y, out);
    }
    fn pinv(&self, region: Region, y: &[f32], weight: &dyn Fn(f32) -> f32, x: &mut [f32]) {
        (**self).pinv(region, y, weight, x);
    }
    fn pinv_from(&self, y: &[f32], weight: &dyn Fn(f32) -> f32, dual: &mut Dual, x: &mut [f32]) {
        (**self).pinv_from(y, weight, dual, x);
    }
    fn circulant(&self) -> Option<Behind<'_>> {
        (**self).circulant()
    }
    fn singular_values(&self, region: Region, out: &mut [f32]) {
        (**self).singular_values(region, out);
    }
    fn dc_gain(&self, region: Region, out: &mut [f32]) {
        (**self).dc_gain(region, out);
    }
    fn spectrum(&self) -> Spectrum {
        (**self).spectrum()
    }
    fn period(&self) -> usize {
        (**self).period()
    }
    fn reach(&self) -> Reach {
        (**self).reach()
    }
    fn max_row_sum(&self) -> f32 {
        (**self).max_row_sum()
    }
    fn uncertainty(&self) -> f64 {
        (**self).uncertainty()
    }
    fn measured_share(&self, sigma_y: f64) -> f64 {
        (**self).measured_share(sigma_y)
    }
    fn noise_gain(&self) -> f64 {
        (**self).noise_gain()
    }
    fn classical_block(&self) -> usize {
        (**self).classical_block()
    }
    fn classical_support(&self, rows: Range<usize>) -> Range<usize> {
        (**self).classical_support(rows)
    }
    fn classical_rows(&self, rows: Range<usize>, y: &[f32], x: &mut [f32]) {
        (**self).classical_rows(rows, y, x);
    }
    fn held_bytes(&self) -> u64 {
        (**self).held_bytes()
    }
    fn classical_bytes(&self) -> u64 {
        (**self).classical_bytes()
    }
    fn working(&self) -> Working {
        (**self).working()
    }
    fn start_rows(&self, rows: Range<usize>, y: &[f32], sigma_y: f64, x: &mut [f32]) {
        (**self).start_rows(rows, y, sigma_y, x);
    }
    fn truncation(&self) -> f32 {
        (**self).truncation()
    }
    fn rank(&self) -> usize {
        (**self).rank()
    }
    fn rows_overlap(&self) -> bool {
        (**self).rows_overlap()
    }
    fn is_identity(&self) -> bool {
        (**self).is_identity()
    }
    fn loses_colour(&self) -> bool {
        (**self).loses_colour()
    }
    fn axes(&self) -> Option<[AxisMap; 2]> {
        (**self).axes()
    }
    fn contents(&self) -> Vec<f32> {
        (**self).contents()
    }
    fn is_mosaic(&self) -> bool {
        (**self).is_mosaic()
    }
    fn is_picture(&self) -> bool {
        (**self).is_picture()
    }
}

/// Some rows of a scene.
pub fn full_width(rows: Range<usize>, scene: Shape) -> Region {
    Region { y: rows.start, x: 0, height: rows.len(), width: scene.width }
}

/// The scene in regions of full width, from the top, small enough to go through one by one; one
/// region where the operator needs the whole frame.
pub fn blocks(a: &dyn Degradation) -> impl Iterator<Item = Region> + use<> {
    regions(a.scene(), a.reach(), a.period())
}

fn regions(scene: Shape, reach: Reach, period: usize) -> impl Iterator<Item = Region> {
    const ROWS: usize = 16;
    let height = match reach {
        Reach::Local => ROWS.next_multiple_of(period),
        Reach::Global => scene.height,
    };
    let tops = (0..scene.height).step_by(height);
    tops.map(move |top| full_width(top..(top + height).min(scene.height), scene))
}

/// What a camera that degrades as `a` does would measure of `x`: `A x`, with Gaussian noise of
/// standard deviation `sigma_y` (in units of `[-1, 1]`) wherever something is measured.
pub fn measure(a: &dyn Degradation, x: &Frame, sigma_y: f64, seed: u64) -> Vec<f32> {
    let mut y = vec![0.0; a.measurement().len()];
    a.apply(Region::whole(a.scene()), &x.data, &mut y);
    if sigma_y > 0.0 {
        add_noise(a, seed, &mut y, |_, _, z| sigma_y as f32 * z);
    }
    y
}

/// [`measure`] with the noise of a camera: electrons come in whole numbers (Poisson), and what
/// reads them adds Gaussian noise.
pub fn measure_camera(a: &dyn Degradation, x: &Frame, camera: &CameraNoise, seed: u64) -> Vec<f32> {
    let mut y = vec![0.0; a.measurement().len()];
    let whole = Region::whole(a.scene());
    a.apply(whole, &x.data, &mut y);
    let mut light = vec![0.0; y.len()];
    a.dc_gain(whole, &mut light);
    light.iter_mut().zip(&y).for_each(|(l, y)| *l = 0.5 * (*l + y));
    let shot = NoiseField { seed, frame: 0, draw: SHOT_NOISE };
    add_noise(a, seed, &mut y, |i, [c, row, column], z| {
        let electrons = shot.poisson(camera.electrons(f64::from(light[i])), [c, row, column]);
        camera.error(f64::from(light[i]), electrons, f64::from(z)) as f32
    });
    y
}

/// Adds `error(index, [channel, row, column], z)`, with `z` a standard normal number, wherever
/// something is measured.
fn add_noise(
    a: &dyn Degradation,
    seed: u64,
    y: &mut [f32],
    error: impl Fn(usize, [usize; 3], f32) -> f32,
) {
    let shape = a.measurement();
    let field = NoiseField { seed, frame: 0, draw: MEASUREMENT_NOISE };
    let mut s = vec![0.0; y.len()];
    a.singular_values(Region::whole(a.scene()), &mut s);
    for (i, (y, s)) in y.iter_mut().zip(&s).enumerate() {
        if *s > 0.0 {
            let at = [i / shape.plane(), i % shape.plane() / shape.width, i % shape.width];
            *y += error(i, at, field.at(at[0], at[1], at[2]));
        }
    }
}

/// The noise streams of measurements, apart from those of the sampler's steps.
const MEASUREMENT_NOISE: u16 = u16::MAX;
const SHOT_NOISE: u16 = u16::MAX - 1;

/// The inverse of [`measurement`]: `y` as a picture in units of light, black where nothing was
/// measured.
pub fn to_file(a: &dyn Degradation, y: &[f32]) -> Result<Frame> {
    let mut gain = vec![0.0; y.len()];
    a.dc_gain(Region::whole(a.scene()), &mut gain);
    Frame::new(a.measurement(), y.iter().zip(&gain).map(|(v, g)| v - 1.0 + g).collect())
}
