//! What a network occupies for one window size, before any of it is computed.

use tract_core::model::TypedModel;
use tract_core::ops::konst::Const;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::infer::{Factoid, InferenceFact};
use tract_onnx::tract_hir::internal::{OutletId, SpecialOps};

use super::{Demands, Refusal, Room};

/// Infers type and shape of every value of a network whose inputs are set.
///
/// The engine computes what follows from constants while it infers shapes. So each node is
/// asked for the shape of its outputs first, and only computed if they have room.
pub fn infer(model: &mut InferenceModel, demands: &Demands, room: &Room) -> TractResult<()> {
    let mut constants = 0u64;
    for id in model.eval_order()? {
        let node = model.node(id);
        if InferenceModel::is_source(&node.op) {
            continue;
        }
        let place = format!("node `{}`", node.name);
        let inputs = node.inputs.iter().map(|o| model.outlet_fact(*o).cloned());
        let inputs: TVec<InferenceFact> = inputs.collect::<TractResult<_>>()?;
        let outputs: TVec<InferenceFact> = node.outputs.iter().map(|o| o.fact.clone()).collect();
        let is_constant = inputs.iter().all(|fact| fact.value.is_concrete());
        let demand = demands.of(&node.name);
        if let Some(rank) = inputs.first().and_then(|fact| fact.shape.rank().concretize())
            && !demand.ranks.contains(&(rank as usize))
        {
            let (fewest, most) = demand.ranks.into_inner();
            let expected = format!("{fewest} to {most} dimensions at {place}");
            Refusal::because(expected, rank)?;
        }
        if inputs.iter().any(is_empty) && !demand.takes_empty {
            Refusal::because(format!("values as inputs of {place}"), "a tensor without any")?;
        }
        let inputs: TVec<&InferenceFact> = inputs.iter().collect();
        let outputs: TVec<&InferenceFact> = outputs.iter().collect();
        let op = &mut model.node_mut(id).op;
        let (_, inferred, _) = op.infer_facts(inputs.clone(), outputs.clone(), tvec!())?;
        for fact in &inferred {
            let bytes = inferred_bytes(fact, &place)?;
            if bytes > room.live {
                let expected = format!("at most {} bytes from {place}", room.live);
                Refusal::because(expected, bytes)?;
            }
            if is_constant {
                constants = constants.saturating_add(bytes);
            }
        }
        if constants > room.constants {
            let expected = format!("at most {} bytes of constants up to {place}", room.constants);
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
pub fn fits(model: &TypedModel, room: &Room) -> TractResult<()> {
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
            ("bytes that live at once", live, room.live),
            ("bytes of constants", constants, room.constants),
            ("multiply-accumulates", work, room.work),
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

/// Whether a tensor holds no value.
fn is_empty(fact: &InferenceFact) -> bool {
    fact.shape.dims().any(|dim| dim.concretize().is_some_and(|size| size == 0.into()))
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
