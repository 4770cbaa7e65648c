//! What a network occupies for one window size, before any of it is computed.

use tract_core::model::TypedModel;
use tract_core::ops::konst::Const;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::{Factoid, InferenceFact};
use tract_onnx::tract_hir::internal::{OutletId, SpecialOps};

use super::Refusal;

/// Bytes of intermediate values that live at once, per pixel of the window. The bundled network
/// needs 700, that of DDPM for CIFAR-10 needs 17,000. Attention needs more as windows grow: over
/// every second pixel of a window of 184x184, six heads take 100 KiB per pixel.
const LIVE_PER_PIXEL: u64 = 128 << 10;
/// And whatever the window: embeddings of the noise level.
const LIVE: u64 = 64 << 20;

/// Bytes of constants that are computed while loading, per byte of weights in the file: half
/// precision and 8-bit weights grow by 2 and 4, and a transposed one is there twice.
const CONSTANTS_PER_BYTE: u64 = 8;
/// And whatever the weights: tables of positions and angles.
const CONSTANTS: u64 = 64 << 20;

/// Multiply-accumulates and written bytes per pixel of the window; the network of DDPM for
/// CIFAR-10 needs 6.4 million.
const WORK_PER_PIXEL: u64 = 1 << 28;
const WORK: u64 = 1 << 32;

/// What a network may occupy for one window size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Room {
    /// Bytes of intermediate values that live at once.
    live: u64,
    /// Bytes of constants.
    constants: u64,
    /// Multiply-accumulates.
    work: u64,
}

impl Room {
    /// The room for a window of `height x width` and `weights` bytes in the file.
    pub fn new(height: usize, width: usize, weights: usize) -> Room {
        let pixels = (height as u64).saturating_mul(width as u64);
        Room {
            live: pixels.saturating_mul(LIVE_PER_PIXEL).saturating_add(LIVE),
            constants: (weights as u64)
                .saturating_mul(CONSTANTS_PER_BYTE)
                .saturating_add(CONSTANTS),
            work: pixels.saturating_mul(WORK_PER_PIXEL).saturating_add(WORK),
        }
    }

    /// Infers type and shape of every value of a network whose inputs are set.
    ///
    /// The engine computes what follows from constants while it infers shapes. So each node is
    /// asked for the shape of its outputs first, and only computed if they have room.
    pub fn infer(&self, model: &mut InferenceModel) -> TractResult<()> {
        let mut constants = 0u64;
        for id in model.eval_order()? {
            let node = model.node(id);
            if InferenceModel::is_source(&node.op) {
                continue;
            }
            let place = format!("node `{}`", node.name);
            let inputs = node.inputs.iter().map(|o| model.outlet_fact(*o).cloned());
            let inputs: TVec<InferenceFact> = inputs.collect::<TractResult<_>>()?;
            let outputs: TVec<InferenceFact> =
                node.outputs.iter().map(|o| o.fact.clone()).collect();
            let is_constant = inputs.iter().all(|fact| fact.value.is_concrete());
            let inputs: TVec<&InferenceFact> = inputs.iter().collect();
            let outputs: TVec<&InferenceFact> = outputs.iter().collect();
            let op = &mut model.node_mut(id).op;
            let (_, inferred, _) = op.infer_facts(inputs.clone(), outputs.clone(), tvec!())?;
            for fact in &inferred {
                let bytes = inferred_bytes(fact, &place)?;
                if bytes > self.live {
                    let expected = format!("at most {} bytes from {place}", self.live);
                    Refusal::because(expected, bytes)?;
                }
                if is_constant {
                    constants = constants.saturating_add(bytes);
                }
            }
            if constants > self.constants {
                let expected =
                    format!("at most {} bytes of constants up to {place}", self.constants);
                Refusal::because(expected, constants)?;
            }
            let (_, inferred, _) = op.infer(inputs, outputs, tvec!())?;
            for (slot, fact) in inferred.into_iter().enumerate() {
                let outlet = OutletId::new(id, slot);
                let fact = model.outlet_fact(outlet)?.unify(&fact)?;
                model.set_outlet_fact(outlet, fact)?;
            }
        }
        Ok(())
    }

    /// Refuses a network whose values, constants or operations have no room.
    pub fn check(&self, model: &TypedModel) -> TractResult<()> {
        let order = model.eval_order()?;
        let mut uses = vec![0; model.nodes().len()];
        let inputs = order.iter().flat_map(|&id| &model.node(id).inputs);
        for outlet in inputs.chain(model.output_outlets()?) {
            uses[outlet.node] += 1;
        }
        let mut bytes = vec![0u64; model.nodes().len()];
        let (mut constants, mut live, mut work) = (0u64, 0u64, 0u64);
        for id in order {
            let node = model.node(id);
            let place = format!("node `{}`", node.name);
            let mut size = 0u64;
            for output in &node.outputs {
                size = size.saturating_add(typed_bytes(&output.fact, &place)?);
            }
            if node.op_is::<Const>() {
                constants = constants.saturating_add(size);
            } else {
                bytes[id] = size;
                live = live.saturating_add(size);
                work = work.saturating_add(size);
            }
            let inputs = model.node_input_facts(id)?;
            for (_, count) in node.op.cost(&inputs)? {
                work = work.saturating_add(u64::try_from(count.to_i64()?).unwrap_or(u64::MAX));
            }
            let totals = [
                ("bytes that live at once", live, self.live),
                ("bytes of constants", constants, self.constants),
                ("multiply-accumulates", work, self.work),
            ];
            for (what, total, most) in totals {
                if total > most {
                    let expected = format!("at most {most} {what} for a window, up to {place}");
                    Refusal::because(expected, total)?;
                }
            }
            for input in &node.inputs {
                uses[input.node] -= 1;
                if uses[input.node] == 0 {
                    live -= bytes[input.node];
                }
            }
        }
        Ok(())
    }
}

/// The product of sizes, without overflow.
fn volume<'a>(dims: impl IntoIterator<Item = Option<&'a TDim>>, place: &str) -> TractResult<u64> {
    let mut product = 1u64;
    for dim in dims {
        let size = dim.and_then(|d| d.to_i64().ok()).and_then(|d| u64::try_from(d).ok());
        let Some(size) = size else {
            let expected = format!("a size from {place} that follows from the window's");
            return Ok(Refusal::because(expected, "one that is unknown or negative")?);
        };
        product = product.saturating_mul(size);
    }
    Ok(product)
}

fn inferred_bytes(fact: &InferenceFact, place: &str) -> TractResult<u64> {
    if fact.shape.is_open() {
        let expected = format!("a shape from {place} that follows from the window's");
        Refusal::because(expected, "one that is unknown")?;
    }
    let dims = fact.shape.dims().map(|d| d.concretize());
    let dims: TVec<Option<TDim>> = dims.collect();
    let each = fact.datum_type.concretize().map_or(size_of::<TDim>(), |dt| dt.size_of());
    Ok(volume(dims.iter().map(Option::as_ref), place)?.saturating_mul(each as u64))
}

fn typed_bytes(fact: &TypedFact, place: &str) -> TractResult<u64> {
    let each = fact.datum_type.size_of() as u64;
    let mut bytes = volume(fact.shape.iter().map(Some), place)?.saturating_mul(each);
    // Values in a layout of the engine's own, such as packed matrices.
    if let Some(exotic) = fact.exotic_fact() {
        for size in exotic.buffer_sizes() {
            bytes = bytes.saturating_add(volume([Some(&size)], place)?);
        }
    }
    Ok(bytes)
}
