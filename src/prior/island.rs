//! A network of our own operators as one node of tract's graph.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex};

use tract_core::internal::*;

use crate::network::{Memory, Plan};

/// One node that runs a [`Plan`].
#[derive(Clone)]
pub struct Island {
    plan: Arc<Plan>,
    outputs: Vec<TVec<usize>>,
    /// Working memory that no thread uses at the moment.
    idle: Arc<Mutex<Vec<Memory>>>,
}

impl Island {
    /// A node whose outputs have the given shapes.
    pub fn new(plan: Arc<Plan>, outputs: Vec<TVec<usize>>) -> Island {
        Island { plan, outputs, idle: Arc::default() }
    }
}

impl std::fmt::Debug for Island {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Island {:?}", self.outputs)
    }
}

impl PartialEq for Island {
    fn eq(&self, other: &Island) -> bool {
        Arc::ptr_eq(&self.plan, &other.plan)
    }
}

impl Eq for Island {}

impl Hash for Island {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.plan).hash(state);
    }
}

impl Op for Island {
    fn name(&self) -> StaticName {
        "Island".into()
    }
    op_as_typed_op!();
}

impl EvalOp for Island {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let plain: Vec<_> =
            inputs.iter().map(|t| t.try_as_plain_ram()).collect::<TractResult<_>>()?;
        let slices: Vec<&[f32]> =
            plain.iter().map(|t| t.as_slice::<f32>()).collect::<TractResult<_>>()?;
        let mut results: Vec<Vec<f32>> =
            self.outputs.iter().map(|shape| vec![0.0; shape.iter().product()]).collect();
        let mut views: Vec<&mut [f32]> = results.iter_mut().map(Vec::as_mut_slice).collect();
        // A poisoned lock only means that another thread failed: what is in the list is idle.
        let idle = || self.idle.lock().unwrap_or_else(|e| e.into_inner());
        let mut memory = idle().pop().unwrap_or_default();
        self.plan.run(&mut memory, &slices, &mut views);
        idle().push(memory);
        let tensors = results.iter().zip(&self.outputs);
        tensors.map(|(values, shape)| Ok(Tensor::from_shape(shape, values)?.into())).collect()
    }
}

impl TypedOp for Island {
    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(self.outputs.iter().map(|shape| f32::fact(&shape[..])).collect())
    }
    as_op!();
}
