//! The graph with its regions as single operators, for tract to run.

use std::collections::HashMap;
use std::sync::Arc;

use tract_core::internal::*;

use super::super::island::Island;
use super::super::room::Room;
use super::{Lowered, State};
use crate::kernels::Isa;
use crate::network::Plan;

/// A model with the inputs and outputs of `model`, in which every region is one node. Refuses
/// regions that need more than `room`.
pub fn assemble(
    model: &TypedModel,
    lowered: &Lowered,
    store: &Arc<crate::weights::Store>,
    isa: Isa,
    room: &Room,
) -> TractResult<TypedModel> {
    let mut target = TypedModel { symbols: model.symbols.clone(), ..TypedModel::default() };
    let mut wires: HashMap<OutletId, OutletId> = HashMap::new();
    let deepest = lowered.foreign.values().copied().max().unwrap_or(0).max(lowered.regions.len());
    for outlet in model.input_outlets()? {
        let name = model.node(outlet.node).name.clone();
        wires
            .insert(*outlet, target.add_source(name, model.outlet_fact(*outlet)?.without_value())?);
    }
    let order = model.eval_order()?;
    for level in 0..=deepest {
        for id in &order {
            let node = model.node(*id);
            let is_here = lowered.foreign.get(id) == Some(&level);
            if is_here && !wires.contains_key(&OutletId::from(*id)) {
                let inputs = take(&mut target, model, lowered, &wires, &node.inputs)?;
                let made = target.wire_node(&node.name, node.op.clone(), &inputs)?;
                for (slot, outlet) in made.into_iter().enumerate() {
                    wires.insert(OutletId::new(*id, slot), outlet);
                }
            }
        }
        let Some(region) = lowered.regions.get(level) else { continue };
        if region.outputs.is_empty() {
            continue;
        }
        let inputs = take(&mut target, model, lowered, &wires, &region.inputs)?;
        let shapes = |outlets: &[OutletId]| -> TractResult<Vec<TVec<usize>>> {
            let shape = |o: &OutletId| {
                let fact = model.outlet_fact(*o)?;
                Ok(fact.shape.as_concrete().context("a concrete shape")?.into())
            };
            outlets.iter().map(shape).collect()
        };
        let sizes: Vec<(usize, usize)> = shapes(&region.inputs)?
            .iter()
            .map(|shape| match shape[..] {
                [_, _, h, w] => (h, w),
                _ => (1, 1),
            })
            .collect();
        let network = Arc::new(region.network.clone());
        let plan = Plan::new(network, store.clone(), isa, &sizes)
            .map_err(|e| format_err!("expected {e}"))?;
        room.admit(&plan)?;
        let island = Island::new(Arc::new(plan), shapes(&region.outputs)?);
        let made = target.wire_node(format!("region.{level}"), island, &inputs)?;
        for (outlet, wire) in region.outputs.iter().zip(made) {
            wires.insert(*outlet, wire);
        }
    }
    let outputs = take(&mut target, model, lowered, &wires, model.output_outlets()?)?;
    target.select_output_outlets(&outputs)?;
    Ok(target)
}

/// The wires for outlets of the old graph; constants are added where they are needed.
fn take(
    target: &mut TypedModel,
    model: &TypedModel,
    lowered: &Lowered,
    wires: &HashMap<OutletId, OutletId>,
    outlets: &[OutletId],
) -> TractResult<TVec<OutletId>> {
    let mut found = tvec![];
    for outlet in outlets {
        found.push(match (wires.get(outlet), lowered.states.get(outlet)) {
            (Some(wire), _) => *wire,
            (None, Some(State::Constant(tensor))) => {
                let name = format!("{}.{}", model.node(outlet.node).name, target.nodes().len());
                target.add_const(name, tensor.clone())?
            }
            _ => bail!("no value for {}", model.node(outlet.node).name),
        });
    }
    Ok(found)
}
