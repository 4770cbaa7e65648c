//! Blur by any point spread function.

use rustfft::num_complex::Complex;

use super::bands::Bands;
use super::fourier::Grid;
use super::linear::{share, wiener};
use super::torus::{Behind, Circulant};
use super::window::Window;
use super::{Dual, LinearMap, Spectrum, Working, krylov};
use crate::error::{Error, Result};
use crate::frame::{Frame, Shape};

/// Largest side of a point spread function, in pixels.
pub const MAX_PSF: usize = 255;

/// Singular values well below this are left to the prior, where there are any.
const TRUNCATION: f32 = 0.02;
/// Above this smallest value of a kernel's spectrum its blur is undone to the end.
const WELL_CONDITIONED: f32 = 0.05;

/// `y = crop(k * x)`: a measurement holds only pixels whose whole kernel lies within the scene,
/// so a scene is larger than its measurement by the kernel's size less one. Nothing is assumed
/// about what lies beyond a frame: it is part of the scene, and mostly up to the prior.
///
/// The convolution goes by Fourier transforms on a grid that holds the scene, where what wraps
/// around falls outside of the measurement. `A A^T` is nearly diagonal there, which
/// preconditions the conjugate gradients of the pseudo-inverse.
pub struct Psf {
    name: String,
    scene: Shape,
    /// `(height, width)` of the kernel, and the kernel.
    kernel: (usize, usize),
    taps: Vec<f32>,
    grid: Grid,
    /// The kernel's transform on the grid, column by column.
    response: Vec<Complex<f32>>,
    smallest: f32,
    row_sum: f32,
    /// What a measurement shows of the grid.
    window: Window,
}

/// The size of the kernel in a picture of it, `(height, width)`.
pub fn kernel_size(name: &str, picture: &Frame) -> Result<(usize, usize)> {
    let Shape { height, width, .. } = picture.shape;
    if height > MAX_PSF || width > MAX_PSF {
        let expected = format!("sides up to {MAX_PSF}");
        return Err(Error::shape(
            &format!("point spread function {name}"),
            expected,
            picture.shape,
        ));
    }
    Ok((height, width))
}

impl Psf {
    /// The blur of a scene of size `scene` by the kernel in a picture (black is 0; the kernel is
    /// scaled to a sum of 1; colours are averaged). `name` stands in the spec.
    ///
    /// # Errors
    /// [`Error::Shape`] for kernels that are black, larger than [`MAX_PSF`] or than the scene.
    pub fn new(name: &str, picture: &Frame, scene: Shape) -> Result<Psf> {
        let what = format!("point spread function {name}");
        let (height, width) = kernel_size(name, picture)?;
        if height > scene.height || width > scene.width {
            let expected = format!("at most the scene's {}x{}", scene.width, scene.height);
            return Err(Error::shape(&what, expected, picture.shape));
        }
        let channels = picture.shape.channels;
        let value = |i: usize| {
            let sum = (0..channels).map(|c| f64::from(picture.channel(c)[i]) + 1.0).sum::<f64>();
            0.5 * sum / channels as f64
        };
        let kernel: Vec<f64> = (0..height * width).map(value).collect();
        let sum: f64 = kernel.iter().sum();
        // An all-black picture of floats is zero up to their rounding.
        if sum.is_nan() || sum <= 1e-6 {
            return Err(Error::shape(&what, "something that is not black", "a black picture"));
        }
        let grid = Grid::new(scene.height, scene.width);
        let taps: Vec<f32> = kernel.iter().map(|k| (k / sum) as f32).collect();
        let response = grid.response(
            taps.chunks(width)
                .enumerate()
                .flat_map(|(y, row)| row.iter().enumerate().map(move |(x, k)| ((y, x), *k))),
        );
        let smallest = response.iter().map(|k| k.norm()).fold(f32::MAX, f32::min);
        let row_sum = taps.iter().map(|k| k.abs()).sum();
        let (kernel, name) = ((height, width), name.into());
        let measurement =
            Shape::new(scene.channels, scene.height + 1 - height, scene.width + 1 - width);
        let torus = Shape::new(scene.channels, grid.height, grid.width);
        let window = Window::new(measurement, torus, (height - 1, width - 1), &[]);
        Ok(Psf { name, scene, kernel, taps, grid, response, smallest, row_sum, window })
    }

    /// Where the measurement lies on the grid.
    fn offset(&self) -> (usize, usize) {
        (self.kernel.0 - 1, self.kernel.1 - 1)
    }

    /// `from` filtered and cut to `to`, each with where it lies on the grid.
    fn through(
        &self,
        from: (&[f32], Shape, (usize, usize)),
        to: (&mut [f32], Shape, (usize, usize)),
        filter: impl Fn(Complex<f32>) -> Complex<f32>,
    ) {
        self.grid.through(from, to, &self.response, filter);
    }
}

impl LinearMap for Psf {
    fn spec(&self) -> String {
        format!("blur:{}", self.name)
    }

    fn scene(&self) -> Shape {
        self.scene
    }

    fn measurement(&self) -> Shape {
        let Shape { channels, height, width } = self.scene;
        Shape::new(channels, height + 1 - self.kernel.0, width + 1 - self.kernel.1)
    }

    fn apply(&self, x: &[f32], y: &mut [f32]) {
        self.through((x, self.scene, (0, 0)), (y, self.measurement(), self.offset()), |k| k);
    }

    fn adjoint(&self, y: &[f32], x: &mut [f32]) {
        let from = (y, self.measurement(), self.offset());
        self.through(from, (x, self.scene, (0, 0)), |k| k.conj());
    }

    fn gram(&self, y: &[f32], out: &mut [f32]) {
        // What A^T spreads lies within the scene: nothing needs to be cut between the two.
        let (shape, at) = (self.measurement(), self.offset());
        self.through((y, shape, at), (out, shape, at), |k| Complex::new(k.norm_sqr(), 0.0));
    }

    fn circulant(&self) -> Option<Behind<'_>> {
        Some((self, &self.window))
    }

    fn noisy_share(&self) -> f64 {
        // What is left lies at the borders; the rest is solved at once.
        0.05
    }

    fn spectrum(&self) -> Option<Spectrum> {
        // No singular value of a part is above those of the whole; the sum of a non-negative
        // kernel is nearly attained by smooth pictures.
        Some(Spectrum::Bound { max: self.row_sum })
    }

    fn truncation(&self) -> f32 {
        if self.smallest >= WELL_CONDITIONED { 0.0 } else { TRUNCATION }
    }

    fn measured_share(&self, sigma_y: f64) -> Option<f64> {
        let kept = |s: f32| if s >= self.truncation() { s * s } else { 0.0 };
        Some(share(self.response.iter().map(|k| kept(k.norm())), sigma_y))
    }

    fn held_bytes(&self) -> u64 {
        (self.response.len() * size_of::<Complex<f32>>()) as u64 + self.window.held_bytes()
    }

    fn contents(&self) -> Vec<f32> {
        self.taps.clone()
    }

    fn max_row_sum(&self) -> Option<f32> {
        Some(self.row_sum)
    }

    fn uncertainty(&self) -> f64 {
        0.4
    }

    /// The blurred picture, its border continued outward, sharpened by Wiener's filter for
    /// details of 0.1.
    fn start(&self, y: &[f32], sigma_y: f64, x: &mut [f32]) {
        let shape = self.measurement();
        for (x, y) in x.chunks_mut(self.scene.plane()).zip(y.chunks(shape.plane())) {
            for (i, row) in x.chunks_mut(self.scene.width).enumerate() {
                let from = i.saturating_sub(self.offset().0 / 2).min(shape.height - 1);
                for (j, v) in row.iter_mut().enumerate() {
                    let at = j.saturating_sub(self.offset().1 / 2).min(shape.width - 1);
                    *v = y[from * shape.width + at];
                }
            }
        }
        let mut r = vec![0.0; y.len()];
        self.apply(x, &mut r);
        r.iter_mut().zip(y).for_each(|(r, y)| *r = y - *r);
        let mut correction = vec![0.0; x.len()];
        let weight = wiener(sigma_y.max(ROUNDING), 0.1);
        self.pinv(&r, &weight, &mut Dual::default(), &mut correction);
        x.iter_mut().zip(&correction).for_each(|(x, c)| *x += c);
    }

    fn working(&self) -> Working {
        let transform = self.grid.working();
        let own = krylov::working(self, transform, transform);
        let start = self.measurement().len() + self.scene.len() + own.inverse;
        Working { start, ..own }
    }
}

impl Circulant for Psf {
    fn inverse(&self, eta: f32, v: &[f32], out: &mut [f32]) {
        let torus = self.window.torus();
        let (from, to) = ((v, torus, (0, 0)), (out, torus, (0, 0)));
        self.through(from, to, |k| (1.0 / (k.norm_sqr() + eta)).into());
    }

    fn extremes(&self) -> (f32, f32) {
        (self.smallest.powi(2), self.row_sum.powi(2))
    }

    fn bands(&self, window: &Window, eta: f32) -> Option<Bands> {
        Bands::new(&self.grid, window, &self.response, |k| 1.0 / (k.norm_sqr() + eta))
    }

    fn spreads(&self) -> bool {
        true
    }

    fn spread(&self, w: &[f32], x: &mut [f32]) -> bool {
        let torus = self.window.torus();
        self.through((w, torus, (0, 0)), (x, self.scene, (0, 0)), |k| k.conj());
        true
    }

    fn working(&self) -> usize {
        self.grid.working()
    }
}

/// Standard deviation of the rounding to 8 bits, in units of `[-1, 1]`.
const ROUNDING: f64 = 0.2887 / 127.5;
