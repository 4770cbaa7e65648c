//! What runs a graph: the processor here, a GPU in `cuda.rs`.

use tract_core::internal::*;
use tract_core::runtime::{DefaultRuntime, Runnable};

/// Something that runs graphs.
pub trait Engine {
    /// Compiles a graph.
    fn prepare(&self, graph: TypedModel) -> TractResult<Box<dyn Runnable>>;
    /// Brings a value to where graphs run; it can be an input any number of times.
    fn upload(&self, value: Tensor) -> TractResult<TValue>;
}

/// tract on the processor: for tests, since our own kernels are faster there.
pub struct Processor;

impl Engine for Processor {
    fn prepare(&self, graph: TypedModel) -> TractResult<Box<dyn Runnable>> {
        DefaultRuntime.prepare(graph)
    }

    fn upload(&self, value: Tensor) -> TractResult<TValue> {
        Ok(value.into_tvalue())
    }
}
