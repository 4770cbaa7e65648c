//! Restoration on a GPU: each step as one graph of tract's, which a device runs on frames that stay
//! there.
//!
//! The graph is the same for the processor, where tests hold it to the native path; only the
//! device's own kernels are beyond what a machine without one can show. A build without the feature
//! `cuda` only knows the names of devices.

mod choice;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(any(feature = "cuda", all(test, feature = "onnx")))]
mod engine;
#[cfg(any(feature = "cuda", all(test, feature = "onnx")))]
mod network;
#[cfg(any(feature = "cuda", all(test, feature = "onnx")))]
mod operator;
#[cfg(any(feature = "cuda", all(test, feature = "onnx")))]
mod run;
#[cfg(any(feature = "cuda", all(test, feature = "onnx")))]
mod step;
#[cfg(any(feature = "cuda", all(test, feature = "onnx")))]
mod table;
#[cfg(all(test, feature = "onnx"))]
mod tests;
#[cfg(any(feature = "cuda", all(test, feature = "onnx")))]
mod tiles;
#[cfg(any(feature = "cuda", all(test, feature = "onnx")))]
mod wires;

pub use choice::{Choice, Precision};
#[cfg(feature = "cuda")]
pub use cuda::{Gpu, open, select};
#[cfg(any(feature = "cuda", all(test, feature = "onnx")))]
pub use engine::{Engine, Processor};
#[cfg(any(feature = "cuda", all(test, feature = "onnx")))]
pub use run::{Job, Prepared, Traffic, supports, takes};

#[cfg(any(feature = "cuda", all(test, feature = "onnx")))]
pub use table::{Entry, TABLE, VERSION};

/// Runs a part of tract's; what fails or panics there becomes an error.
#[cfg(any(feature = "cuda", all(test, feature = "onnx")))]
fn guarded<T>(
    expected: &str,
    f: impl FnOnce() -> tract_core::internal::TractResult<T>,
) -> crate::error::Result<T> {
    use crate::error::Error;
    let place = std::path::Path::new("on a device");
    crate::prior::guard::guard(place, expected, f).map_err(|e| match e {
        Error::Model { expected, found, .. } => Error::Device { expected, found },
        other => other,
    })
}
