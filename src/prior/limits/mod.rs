//! What an ONNX file may ask for, checked before the engine acts on it.
//!
//! A model file is a program from elsewhere. The engine trusts it: a stride of 0 divides, a scale
//! of a billion allocates. So each file passes these gates, first to last:
//!
//! - `wire`: its structure, before anything is decoded, since two bytes can become a kilobyte;
//! - `graph`, with `tensor`, `operators`, `attributes` and `rules`: what is written in it;
//! - `shapes`, with `inputs`: for one window size, what its values are and occupy, before any is
//!   computed.
//!
//! The limits leave room for every published diffusion UNet that works on pixels; where a number
//! follows from something, it says from what.

mod attributes;
mod constants;
mod graph;
mod inputs;
mod operators;
mod rules;
mod shapes;
mod simplify;
mod tensor;
mod wire;

pub use graph::check;
pub use inputs::Demands;
pub use shapes::{fits, infer};
pub use simplify::{declutter, generate};
pub use wire::scan;

use super::refusal::Refusal;
use super::room::Room;
