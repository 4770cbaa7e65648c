//! Restoration on a GPU: each step as one graph of tract's, which a device runs on frames that stay
//! there.
//!
//! The graph is the same for the processor, where tests hold it to the native path; only the
//! device's own kernels are beyond what a machine without one can show.

mod engine;
mod network;
mod operator;
mod run;
mod step;
mod table;
#[cfg(test)]
mod tests;
mod tiles;
mod wires;

use std::path::Path;

use tract_core::internal::TractResult;

use crate::error::Result;
use crate::prior::guard::guard;
pub use engine::{Engine, Processor};
pub use run::{Prepared, Traffic, supports};

/// How the network calculates on a device; the projection is always in single precision, so that
/// the measurement is kept alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    F32,
    F16,
}

/// Runs a part of tract's; what fails or panics there becomes an error.
fn guarded<T>(expected: &str, f: impl FnOnce() -> TractResult<T>) -> Result<T> {
    guard(Path::new("(on a device)"), expected, f)
}
