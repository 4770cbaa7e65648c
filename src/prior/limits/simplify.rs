//! The engine's own simplification of graphs, with an end to its patience.
//!
//! It changes one place of a graph at a time and looks for the next from there, so that a chain of
//! a few hundred transpositions takes hours.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tract_core::model::{TypedModel, TypedModelPatch};
use tract_core::optim::{Optimizer, OptimizerSession, TypedPass};
use tract_onnx::prelude::TractResult;

use super::Refusal;

/// Changes times nodes: seconds of work. The largest published pixel UNet, that of
/// guided-diffusion for 256x256, takes a quarter of it.
const MOST_STEPS: u64 = 1 << 25;

/// Simplifies a graph, as `into_decluttered` does.
pub fn declutter(model: &mut TypedModel) -> TractResult<()> {
    watched(Optimizer::declutter()).session().optimize(model)
}

/// Chooses the engine's final operators for a graph, as `into_optimized` does.
pub fn generate(model: &mut TypedModel) -> TractResult<()> {
    declutter(model)?;
    model.optimize_with_session(&mut watched(Optimizer::codegen()).session())
}

fn watched(mut optimizer: Optimizer) -> Optimizer {
    let spent = Arc::new(AtomicU64::new(0));
    let watch = |pass| Box::new(Watched { pass, spent: spent.clone() }) as Box<dyn TypedPass>;
    optimizer.passes = optimizer.passes.into_iter().map(watch).collect();
    optimizer
}

/// A pass of the engine that counts its steps.
#[derive(Debug, Clone)]
struct Watched {
    pass: Box<dyn TypedPass>,
    /// Steps of all passes together.
    spent: Arc<AtomicU64>,
}

impl TypedPass for Watched {
    fn reset(&mut self) -> TractResult<()> {
        self.pass.reset()
    }

    fn next(
        &mut self,
        session: &mut OptimizerSession,
        model: &TypedModel,
    ) -> TractResult<Option<TypedModelPatch>> {
        let steps = model.nodes().len() as u64;
        if self.spent.fetch_add(steps, Ordering::Relaxed) > MOST_STEPS {
            let expected = format!("a graph that the engine simplifies in {MOST_STEPS} steps");
            Refusal::because(expected, "one that takes more")?;
        }
        self.pass.next(session, model)
    }

    fn run_direct(&mut self, model: &mut TypedModel) -> TractResult<bool> {
        self.pass.run_direct(model)
    }
}
