//! The learned part: a network that says what a noisy picture could look like without noise.

mod bundled;
mod coded;
mod convert;
mod gaussian;
#[cfg(feature = "onnx")]
pub(crate) mod guard;
#[cfg(feature = "onnx")]
mod island;
#[cfg(feature = "onnx")]
mod limits;
#[cfg(feature = "onnx")]
mod lower;
mod manifest;
mod model;
#[cfg(feature = "onnx")]
pub(crate) mod normalize;
#[cfg(feature = "onnx")]
mod onnx;
mod packed;
mod refusal;
mod room;
#[cfg(feature = "onnx")]
mod strip;
#[cfg(all(test, feature = "onnx"))]
mod tests;
#[cfg(feature = "onnx")]
mod widen;

#[cfg(feature = "cuda")]
pub use bundled::find_onnx;
pub use bundled::{bundled, find, named};
pub use coded::Coded;
#[cfg(any(feature = "cuda", all(test, feature = "onnx")))]
pub(crate) use convert::Conversion;
pub use gaussian::Gaussian;
pub use manifest::{Conditioning, Halo, Manifest, Prediction};
pub use model::{Layer, Model};

use crate::error::Result;
use crate::schedule::{Diffusion, Level};

/// A model of what scenes look like: `x0 = prior(x_t, t)`, the mean of the scenes that could
/// lie behind the noisy state `x_t = sqrt(alpha_bar) x + sqrt(1 - alpha_bar) n`.
pub trait Prior: Send + Sync {
    /// Channels of the scenes that it knows.
    fn channels(&self) -> usize;
    /// Window sides must be multiples of this.
    fn multiple(&self) -> usize;
    /// Side of the tile core that the model prefers, in pixels.
    fn tile(&self) -> usize;
    /// Context, in pixels, that a tile needs around its core up to noise level `sigma`.
    fn halo(&self, sigma: f64) -> usize;
    /// The process that it was trained on.
    fn diffusion(&self) -> &Diffusion;
    /// A worker for windows of `height x width`, both multiples of [`multiple`](Prior::multiple).
    fn evaluator(&self, height: usize, width: usize) -> Result<Box<dyn Evaluator>>;
    /// Makes now what `threads` evaluators at a time need for windows of these sizes (height,
    /// width), so that evaluations allocate nothing. By default nothing is made in advance.
    fn prepare(&self, windows: &[(usize, usize)], threads: usize) -> Result<()> {
        let _ = (windows, threads);
        Ok(())
    }
    /// Whether the levels that it is asked at already stand for noise that is the same in all
    /// channels, as a gray scene's is.
    fn allows_for_equal_noise(&self) -> bool {
        false
    }
    /// What identifies it in a certificate: name, weights' checksum.
    fn identity(&self) -> Identity;
}

/// Evaluates a prior on windows of one size; one per thread.
pub trait Evaluator: Send {
    /// `x0 = prior(x_t, level)`; both `[channels, height, width]`, `x0` in about `[-1, 1]`.
    fn x0(&mut self, x_t: &[f32], level: Level, x0: &mut [f32]) -> Result<()>;
}

/// What a certificate says of a prior: all that its results depend on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    pub name: String,
    /// Of the model file, or of the weights in a packed one.
    pub sha256: String,
    /// How the weights are held: `f32`, `f16` or `int8`.
    pub weights: String,
    /// How the convolutions that stand less than `f32` calculate: `f32` or `int8`.
    pub arithmetic: String,
    /// The instruction set of the kernels in floats; whole numbers are exact on all.
    pub kernels: String,
}
