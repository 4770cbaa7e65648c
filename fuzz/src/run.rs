//! What every target does with a model that its loader takes.

use ddnm::error::Error;
use ddnm::prior::{Model, Prior};

/// Evaluates a small window.
pub fn evaluate(model: Model) -> ddnm::Result<()> {
    let side = 16usize.next_multiple_of(model.multiple());
    let level = model.diffusion().at_sigma(0.3);
    let x: Vec<f32> =
        (0..model.channels() * side * side).map(|i| (i as f32 * 0.37).sin()).collect();
    model.evaluator(side, side)?.x0(&x, level, &mut vec![0.0; x.len()])
}

/// Whether a model was accepted; panics on any error but `Error::Model`.
pub fn accepted(result: ddnm::Result<()>) -> bool {
    match result {
        Ok(()) => true,
        Err(Error::Model { .. }) => false,
        Err(other) => panic!("not an error of the model: {other}"),
    }
}
