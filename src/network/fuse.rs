//! Layers that can be done by the one before them, so that a picture passes through memory once.

use super::{Conv, Input, Layer, Network, Op, Value};
use crate::kernels::Activation;

/// Rewrites a network into fewer layers with the same result. `ones` and `zeros` tell constants
/// of one value, all of whose values are 1 or 0, from others.
pub fn fuse(mut network: Network, constant: impl Fn(&Op) -> Option<f32>) -> Network {
    while let Some(next) = step(&network, &constant) {
        network = order(next);
    }
    order(network)
}

/// One rewriting, if any is left.
fn step(network: &Network, constant: &impl Fn(&Op) -> Option<f32>) -> Option<Network> {
    (0..network.layers.len()).find_map(|i| {
        shuffle_into_planes(network, i)
            .or_else(|| shuffle_into_output(network, i))
            .or_else(|| scale_into_planes(network, i, constant))
            .or_else(|| pointwise_into(network, i, constant))
            .or_else(|| add_into(network, i))
    })
}

/// The only layer that uses what layer `i` takes as its first input, that input being used once.
fn sole_source(network: &Network, i: usize, input: usize) -> Option<usize> {
    let value = *network.layers[i].inputs.get(input)?;
    let source = value.checked_sub(network.inputs.len())?;
    (network.uses(value) == 1).then_some(source)
}

fn is_constant(
    network: &Network,
    value: Value,
    wanted: f32,
    constant: &impl Fn(&Op) -> Option<f32>,
) -> bool {
    network.layer_of(value).and_then(|layer| constant(&layer.op)) == Some(wanted)
}

/// Planes, then space to depth: one layer.
fn shuffle_into_planes(network: &Network, i: usize) -> Option<Network> {
    let Op::SpaceToDepth { factor } = network.layers[i].op else { return None };
    let source = sole_source(network, i, 0)?;
    let Op::FromPlanes { unshuffle: 1 } = network.layers[source].op else { return None };
    let mut next = network.clone();
    next.layers[source].op = Op::FromPlanes { unshuffle: factor };
    Some(remove(next, i))
}

/// Depth to space, then planes for the caller: one copy.
fn shuffle_into_output(network: &Network, i: usize) -> Option<Network> {
    let Op::DepthToSpace { factor } = network.layers[i].op else { return None };
    let value = network.value_of(i);
    let output = network.outputs.iter().position(|o| o.value == value && o.shuffle == 1)?;
    let mut next = network.clone();
    next.outputs[output] = super::Output { value: network.layers[i].inputs[0], shuffle: factor };
    Some(next)
}

/// Planes, then a factor for all of them: one layer.
fn scale_into_planes(
    network: &Network,
    i: usize,
    constant: &impl Fn(&Op) -> Option<f32>,
) -> Option<Network> {
    let layer = &network.layers[i];
    let Op::Pointwise(Activation::None) = layer.op else { return None };
    let source = sole_source(network, i, 0)?;
    let Op::FromPlanes { .. } = network.layers[source].op else { return None };
    let (scale, shift) = (layer.inputs[1], layer.inputs[2]);
    let alone = network.layers[source].inputs.len() == 1 && is_single(network, scale);
    if !alone || !is_constant(network, shift, 0.0, constant) {
        return None;
    }
    let mut next = network.clone();
    next.layers[source].inputs.push(scale);
    Some(remove(next, i))
}

/// Whether a vector surely has one value.
fn is_single(network: &Network, value: Value) -> bool {
    match network.layer_of(value) {
        None => network.inputs.get(value) == Some(&Input::Vector { len: 1 }),
        Some(Layer { op, inputs }) => match op {
            Op::Constant { len, .. } | Op::Slice { len, .. } => *len == 1,
            Op::Linear { outputs, .. } => *outputs == 1,
            Op::Unary(_) | Op::Binary(_) => inputs.iter().all(|v| is_single(network, *v)),
            _ => false,
        },
    }
}

/// An activation or a shift after a convolution or a norm, a scale after a norm.
fn pointwise_into(
    network: &Network,
    i: usize,
    constant: &impl Fn(&Op) -> Option<f32>,
) -> Option<Network> {
    let layer = &network.layers[i];
    let Op::Pointwise(after) = layer.op else { return None };
    let source = sole_source(network, i, 0)?;
    let (scale, shift) = (layer.inputs[1], layer.inputs[2]);
    let plain_scale = is_constant(network, scale, 1.0, constant);
    let plain_shift = is_constant(network, shift, 0.0, constant);
    let mut next = network.clone();
    match &mut next.layers[source].op {
        Op::Conv(Conv { activation, residual, .. })
        | Op::Transposed { activation, residual, .. } => {
            if *activation != Activation::None || *residual || !plain_scale {
                return None;
            }
            *activation = after;
            if !plain_shift {
                let bias = next.layers[source].inputs[1];
                next = with_sum(next, source, 1, bias, shift);
            }
        }
        Op::Norm { activation, .. } => {
            let inner = is_constant(network, network.layers[source].inputs[1], 1.0, constant)
                && is_constant(network, network.layers[source].inputs[2], 0.0, constant);
            if *activation != Activation::None || !(inner || (plain_scale && plain_shift)) {
                return None;
            }
            *activation = after;
            if inner {
                next.layers[source].inputs = vec![next.layers[source].inputs[0], scale, shift];
            }
        }
        Op::Pointwise(before) => {
            if *before != Activation::None || !plain_scale || !plain_shift {
                return None;
            }
            *before = after;
        }
        _ => return None,
    }
    Some(remove(next, i))
}

/// Makes input `slot` of a layer the sum of two vectors.
fn with_sum(mut network: Network, layer: usize, slot: usize, a: Value, b: Value) -> Network {
    network.layers.push(Layer { op: Op::Binary(super::Binary::Add), inputs: vec![a, b] });
    network.layers[layer].inputs[slot] = network.value_of(network.layers.len() - 1);
    network
}

/// The sum of a convolution and another picture: its residual.
fn add_into(network: &Network, i: usize) -> Option<Network> {
    let Op::Add = network.layers[i].op else { return None };
    (0..2).find_map(|slot| {
        let source = sole_source(network, i, slot)?;
        let other = network.layers[i].inputs[1 - slot];
        let mut next = network.clone();
        match &mut next.layers[source].op {
            Op::Conv(Conv { residual, .. }) | Op::Transposed { residual, .. } if !*residual => {
                *residual = true;
            }
            _ => return None,
        }
        if depends(network, other, network.value_of(source)) {
            return None;
        }
        next.layers[source].inputs.push(other);
        Some(remove(next, i))
    })
}

/// Whether `value` is made from `source`.
fn depends(network: &Network, value: Value, source: Value) -> bool {
    let mut stack = vec![value];
    let mut seen = vec![false; network.inputs.len() + network.layers.len()];
    while let Some(v) = stack.pop() {
        if v == source {
            return true;
        }
        if !std::mem::replace(&mut seen[v], true)
            && let Some(layer) = network.layer_of(v)
        {
            stack.extend(&layer.inputs);
        }
    }
    false
}

/// Takes layer `i` out; its first input stands for its result. The layer itself stays in the list
/// without a use, and [`order`] drops it.
fn remove(mut network: Network, i: usize) -> Network {
    let (value, source) = (network.value_of(i), network.layers[i].inputs[0]);
    // The first input of a sum may be either of the two: the one that took the other in is used.
    let source = match network.layers[i].op {
        Op::Add => {
            let inputs = &network.layers[i].inputs;
            let took = |v: Value, other: Value| {
                network.layer_of(v).is_some_and(|layer| layer.inputs.get(2) == Some(&other))
            };
            if took(inputs[0], inputs[1]) { inputs[0] } else { inputs[1] }
        }
        _ => source,
    };
    for layer in &mut network.layers {
        layer.inputs.iter_mut().filter(|v| **v == value).for_each(|v| *v = source);
    }
    network.outputs.iter_mut().filter(|o| o.value == value).for_each(|o| o.value = source);
    network.layers[i].inputs.clear();
    network
}

/// Puts layers into an order in which each uses earlier ones only, as late in the list as they
/// were, and drops those that no output needs.
fn order(network: Network) -> Network {
    let inputs = network.inputs.len();
    let mut place: Vec<Option<Value>> = (0..inputs).map(Some).collect();
    place.resize(inputs + network.layers.len(), None);
    let mut layers: Vec<Layer> = Vec::new();
    // Depth first without recursion: a value is placed after its inputs.
    for output in &network.outputs {
        let mut stack = vec![output.value];
        while let Some(&value) = stack.last() {
            if place[value].is_some() {
                stack.pop();
                continue;
            }
            let layer = &network.layers[value - inputs];
            match layer.inputs.iter().find(|v| place[**v].is_none()) {
                Some(missing) => stack.push(*missing),
                None => {
                    let known = layer.inputs.iter().filter_map(|v| place[*v]).collect();
                    layers.push(Layer { op: layer.op.clone(), inputs: known });
                    place[value] = Some(inputs + layers.len() - 1);
                    stack.pop();
                }
            }
        }
    }
    let mut outputs = network.outputs;
    for output in &mut outputs {
        output.value = place[output.value].unwrap_or(output.value);
    }
    Network { inputs: network.inputs, layers, outputs }
}
