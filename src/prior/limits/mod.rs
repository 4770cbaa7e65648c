//! What an ONNX file may ask for, checked before the engine acts on it.
//!
//! A model file is a program from elsewhere. The engine trusts it: a stride of 0 divides, a scale
//! of a billion allocates. So each file passes these gates, first to last:
//!
//! - `wire`: its structure, before anything is decoded, since two bytes can become a kilobyte;
//! - `graph`, with `tensor`, `operators` and `attributes`: what is written in it;
//! - `shapes`: for one window size, what its values occupy, before any is computed.
//!
//! The limits leave room for every published diffusion UNet that works on pixels; where a number
//! follows from something, it says from what.

mod attributes;
mod constants;
mod graph;
mod operators;
mod shapes;
mod tensor;
mod wire;

use std::fmt;

pub use graph::check;
pub use shapes::Room;
pub use wire::scan;

/// Why a model is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What it should have been, and where.
    pub expected: String,
    /// What it is.
    pub found: String,
}

impl Refusal {
    /// A refusal as a failed result.
    fn because<T>(expected: impl fmt::Display, found: impl fmt::Display) -> Result<T, Refusal> {
        Err(Refusal { expected: expected.to_string(), found: found.to_string() })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

impl std::error::Error for Refusal {}
