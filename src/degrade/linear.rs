//! Any linear map as a degradation: from `A` and `A^T` alone.

use std::ops::Range;

use super::torus::Behind;
use super::{AxisMap, Degradation, Dual, Reach, Spectrum, Working, krylov};
use crate::error::{Error, Result};
use crate::frame::{Region, Shape};
use crate::noise::NoiseField;

/// A linear map `A` over whole frames. `apply` and `adjoint` are all that an author must write;
/// the rest has defaults that hold for every map, and that maps with closed forms replace.
/// [`check::identities`](super::check::identities) says what is wrong with one.
///
/// Buffers are planar, `x` of [`scene`](LinearMap::scene) and `y` of
/// [`measurement`](LinearMap::measurement).
pub trait LinearMap: Send + Sync {
    /// The name of the map, which stands in certificates.
    fn spec(&self) -> String;
    /// Size of the scene.
    fn scene(&self) -> Shape;
    /// Size of the measurement.
    fn measurement(&self) -> Shape;
    /// `y = A x`.
    fn apply(&self, x: &[f32], y: &mut [f32]);
    /// `x = A^T y`.
    fn adjoint(&self, y: &[f32], x: &mut [f32]);

    /// `x = A+ W y` as in [`Degradation::pinv_from`], by conjugate gradients or Lanczos' method.
    fn pinv(&self, y: &[f32], weight: &dyn Fn(f32) -> f32, dual: &mut Dual, x: &mut [f32]) {
        krylov::pinv(self, y, weight, dual, x);
    }
    /// `out = A A^T y`.
    fn gram(&self, y: &[f32], out: &mut [f32]) {
        let mut x = vec![0.0; self.scene().len()];
        self.adjoint(y, &mut x);
        self.apply(&x, out);
    }
    /// `out = M r` with some symmetric positive `M` that is near `(A A^T + eta I)^-1`: saves
    /// conjugate gradients iterations.
    fn precondition(&self, eta: f32, r: &[f32], out: &mut [f32]) {
        let _ = eta;
        out.copy_from_slice(r);
    }
    /// `A A^T` as a convolution seen through a window, where it is one: then conjugate gradients
    /// look for no more than what is hidden.
    fn circulant(&self) -> Option<Behind<'_>> {
        None
    }
    /// Share of the residual that conjugate gradients may leave where there is noise.
    fn noisy_share(&self) -> f64 {
        0.03
    }
    /// The spectrum, where it is known.
    fn spectrum(&self) -> Option<Spectrum> {
        None
    }
    /// See [`Degradation::truncation`].
    fn truncation(&self) -> f32 {
        0.0
    }
    /// See [`Degradation::rank`]; what [`measures`](LinearMap::measures) says, where unknown.
    fn rank(&self) -> Option<usize> {
        None
    }
    /// See [`Degradation::measured_share`]; what [`rank`](LinearMap::rank) says, where unknown.
    fn measured_share(&self, sigma_y: f64) -> Option<f64> {
        let _ = sigma_y;
        None
    }
    /// Sets each of `out` to 1 where something is measured and to 0 where nothing is.
    fn measures(&self, out: &mut [f32]) {
        out.fill(1.0);
    }
    /// Largest sum of absolute entries of a row, where it is known.
    fn max_row_sum(&self) -> Option<f32> {
        None
    }
    /// See [`Degradation::held_bytes`].
    fn held_bytes(&self) -> u64 {
        0
    }
    /// See [`Degradation::axes`].
    fn axes(&self) -> Option<[AxisMap; 2]> {
        None
    }
    /// See [`Degradation::contents`].
    fn contents(&self) -> Vec<f32> {
        Vec::new()
    }
    /// See [`Degradation::is_picture`].
    fn is_picture(&self) -> bool {
        true
    }
    /// See [`Degradation::uncertainty`].
    fn uncertainty(&self) -> f64 {
        0.2
    }
    /// See [`Degradation::noise_gain`].
    fn noise_gain(&self) -> f64 {
        1.0
    }
    /// See [`Degradation::start`]. By default `A+ W y`, each direction weighted as Wiener would
    /// if the scene varied by 0.5 everywhere.
    fn start(&self, y: &[f32], sigma_y: f64, x: &mut [f32]) {
        self.pinv(y, &wiener(sigma_y, 0.5), &mut Dual::default(), x);
    }
    /// See [`Degradation::working`]. By default for an `apply` and an `adjoint` without any.
    fn working(&self) -> Working {
        krylov::working(self, 0, self.scene().len())
    }
}

/// The weight of a direction of singular value `s` that Wiener's filter gives a measurement with
/// noise `sigma_y` of a scene that varies by `spread`.
pub fn wiener(sigma_y: f64, spread: f64) -> impl Fn(f32) -> f32 {
    let eta = ((sigma_y / spread).powi(2)) as f32;
    move |s| if eta == 0.0 { 1.0 } else { s * s / (s * s + eta) }
}

/// See [`Degradation::measured_share`]: from the squares of singular values of which the largest
/// is 1.
pub fn share(squares: impl ExactSizeIterator<Item = f32>, sigma_y: f64) -> f64 {
    const SPREAD: f64 = 0.5;
    let eta = (sigma_y / SPREAD).powi(2);
    let count = squares.len() as f64;
    let sum: f64 = squares.map(f64::from).filter(|s2| *s2 > 0.0).map(|s2| s2 / (s2 + eta)).sum();
    (1.0 + eta) * sum / count
}

/// A [`LinearMap`] as a [`Degradation`].
pub struct Linear<T> {
    map: T,
    spectrum: Spectrum,
}

impl<T: LinearMap> Linear<T> {
    /// Wraps a map; measures its norm where it does not declare a spectrum.
    ///
    /// # Errors
    /// [`Error::Shape`] for a scene or measurement without values, and for a map that gives
    /// nothing but 0.
    pub fn new(map: T) -> Result<Linear<T>> {
        let what = format!("degradation `{}`", map.spec());
        for shape in [map.scene(), map.measurement()] {
            if shape.is_empty() {
                return Err(Error::shape(&what, "at least one value", shape));
            }
        }
        let spectrum = match map.spectrum() {
            Some(spectrum) => spectrum,
            None => Spectrum::Bound { max: norm(&map) },
        };
        if !(spectrum.max() > 0.0 && spectrum.max().is_finite()) {
            return Err(Error::shape(&what, "something measured", "nothing"));
        }
        Ok(Linear { map, spectrum })
    }

    /// The map inside.
    pub fn map(&self) -> &T {
        &self.map
    }
}

/// The largest singular value of a map, by power iteration, which comes from below: with a
/// margin for what is missing.
fn norm(map: &dyn LinearMap) -> f32 {
    const MARGIN: f32 = 1.02;
    const ROUNDS: usize = 30;
    let field = NoiseField { seed: 0, frame: 0, draw: 0 };
    let mut x: Vec<f32> = (0..map.scene().len()).map(|i| 1.0 + field.at(0, 0, i)).collect();
    let mut y = vec![0.0; map.measurement().len()];
    let mut found = 0.0;
    for _ in 0..ROUNDS {
        let length = krylov::dot(&x, &x).sqrt();
        if length == 0.0 {
            return 0.0;
        }
        x.iter_mut().for_each(|v| *v = (f64::from(*v) / length) as f32);
        map.apply(&x, &mut y);
        found = krylov::dot(&y, &y).sqrt() as f32;
        map.adjoint(&y, &mut x);
    }
    MARGIN * found
}

impl<T: LinearMap> Degradation for Linear<T> {
    fn spec(&self) -> String {
        self.map.spec()
    }

    fn scene(&self) -> Shape {
        self.map.scene()
    }

    fn measurement(&self) -> Shape {
        self.map.measurement()
    }

    fn measured(&self, _region: Region) -> Region {
        Region::whole(self.measurement())
    }

    fn apply(&self, _region: Region, x: &[f32], y: &mut [f32]) {
        self.map.apply(x, y);
    }

    fn adjoint(&self, _region: Region, y: &[f32], x: &mut [f32]) {
        self.map.adjoint(y, x);
    }

    fn pinv(&self, _region: Region, y: &[f32], weight: &dyn Fn(f32) -> f32, x: &mut [f32]) {
        self.map.pinv(y, weight, &mut Dual::default(), x);
    }

    fn pinv_from(&self, y: &[f32], weight: &dyn Fn(f32) -> f32, dual: &mut Dual, x: &mut [f32]) {
        self.map.pinv(y, weight, dual, x);
    }

    fn gram(&self, y: &[f32], out: &mut [f32]) {
        self.map.gram(y, out);
    }

    fn circulant(&self) -> Option<Behind<'_>> {
        self.map.circulant()
    }

    fn singular_values(&self, _region: Region, out: &mut [f32]) {
        self.map.measures(out);
    }

    fn dc_gain(&self, _region: Region, out: &mut [f32]) {
        self.map.apply(&vec![1.0; self.scene().len()], out);
    }

    fn spectrum(&self) -> Spectrum {
        self.spectrum
    }

    fn period(&self) -> usize {
        1
    }

    fn reach(&self) -> Reach {
        Reach::Global
    }

    fn max_row_sum(&self) -> f32 {
        // A row is no longer than the largest singular value, and its sum by Cauchy and Schwarz
        // no more than the root of its entries' number times that.
        let most = (self.scene().len() as f32).sqrt() * self.spectrum.max();
        self.map.max_row_sum().unwrap_or(most)
    }

    fn uncertainty(&self) -> f64 {
        self.map.uncertainty()
    }

    fn noise_gain(&self) -> f64 {
        self.map.noise_gain()
    }

    fn classical_rows(&self, _rows: Range<usize>, y: &[f32], x: &mut [f32]) {
        self.map.start(y, 0.0, x);
    }

    fn start_rows(&self, _rows: Range<usize>, y: &[f32], sigma_y: f64, x: &mut [f32]) {
        self.map.start(y, sigma_y, x);
    }

    fn held_bytes(&self) -> u64 {
        self.map.held_bytes()
    }

    fn classical_bytes(&self) -> u64 {
        (self.map.working().start * size_of::<f32>()) as u64
    }

    fn working(&self) -> Working {
        self.map.working()
    }

    fn truncation(&self) -> f32 {
        self.map.truncation()
    }

    fn rank(&self) -> usize {
        let count = || {
            let mut s = vec![0.0; self.measurement().len()];
            self.map.measures(&mut s);
            s.iter().filter(|&&s| s > 0.0).count().min(self.scene().len())
        };
        self.map.rank().unwrap_or_else(count)
    }

    fn measured_share(&self, sigma_y: f64) -> f64 {
        let counted = || self.rank() as f64 / self.scene().len() as f64;
        self.map.measured_share(sigma_y).unwrap_or_else(counted)
    }

    fn rows_overlap(&self) -> bool {
        true
    }

    fn axes(&self) -> Option<[AxisMap; 2]> {
        self.map.axes()
    }

    fn contents(&self) -> Vec<f32> {
        self.map.contents()
    }

    fn is_picture(&self) -> bool {
        self.map.is_picture()
    }
}
