//! Frames in a row, restored one after another: what stands between a reader and a writer.

mod pipeline;
mod queue;
#[cfg(test)]
mod tests;

pub use pipeline::{Outcome, Parts, Pipeline, Tiles};
pub use queue::{Queue, WhenFull};
