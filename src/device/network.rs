//! The prior's network for a batch of windows, in operators that tract translates for devices.

use std::collections::HashSet;

use tract_core::floats::FloatPrecisionTranslator;
use tract_core::internal::*;
use tract_core::ops::cnn::conv::Conv;
use tract_core::ops::cnn::deconv::Deconv;
use tract_core::ops::cnn::{KernelFormat, PaddingSpec, PoolSpec};
use tract_core::ops::konst::Const;
use tract_core::ops::math;
use tract_core::ops::nn::{DataFormat, Reduce, Reducer};
use tract_core::ops::source::TypedSource;
use tract_core::transform::ModelTransform;

use super::Precision;
use super::wires::Wires;
use crate::error::Result;
use crate::prior::Model;
use crate::prior::normalize::Normalize;

/// Part of the names of nodes that stay in single precision.
const SINGLE: &str = ".single";

/// The network of an ONNX model: inputs are the windows, `[batch, channels, height, width]`, and
/// what it is told; single precision on both ends.
pub fn network(
    model: &Model,
    [batch, height, width]: [usize; 3],
    precision: Precision,
) -> Result<TypedModel> {
    let graph = model.graph(batch, height, width)?;
    super::guarded("a network that can be rewritten for a device", || {
        let mut graph = graph;
        Rewriter::default()
            .with_rule_for("one-by-one", one_by_one)
            .with_rule_for("moments", moments)
            .rewrite(&(), &mut graph)?;
        let mut graph = graph.into_decluttered()?;
        if precision == Precision::F16 {
            halve(&mut graph)?;
            graph = graph.into_decluttered()?;
        }
        Ok(graph)
    })
}

/// A transposed convolution whose stride is its kernel's size, as a 1x1 convolution to as many
/// channels as there are values in a block, which then become pixels. Exactly the same products.
fn one_by_one(
    _: &(),
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    op: &Deconv,
) -> TractResult<Option<TypedModelPatch>> {
    let facts = model.node_input_facts(node.id)?;
    let pool = &op.pool_spec;
    let [n, inputs, h, w] = facts[0].shape.as_concrete().map(<[_]>::to_vec).unwrap_or_default()[..]
    else {
        return Ok(None);
    };
    let plain = op.group == 1
        && op.adjustments.iter().all(|a| *a == 0)
        && op.kernel_format == KernelFormat::OIHW
        && pool.data_format == DataFormat::NCHW
        && pool.dilations().iter().all(|d| *d == 1)
        && *pool.strides() == *pool.kernel_shape
        && [h, w].iter().enumerate().all(|(i, _)| pool.padding.valid_dim(i, false));
    let (Some(kernel), Some(bias)) = (&facts[1].konst, &facts[2].konst) else { return Ok(None) };
    if !plain || pool.kernel_shape.len() != 2 {
        return Ok(None);
    }
    let (down, across, outputs) =
        (pool.kernel_shape[0], pool.kernel_shape[1], pool.output_channels);
    let block = down * across;
    // `[o, i, down, across]` to `[(o, down, across), i, 1, 1]`.
    let kernel = kernel.cast_to::<f32>()?;
    let kernel = kernel.try_as_plain_ram()?.as_slice::<f32>()?.to_vec();
    let mut weights = vec![0.0; kernel.len()];
    for (at, value) in kernel.iter().enumerate() {
        let (o, i, tap) = (at / (inputs * block), at / block % inputs, at % block);
        weights[(o * block + tap) * inputs + i] = *value;
    }
    let bias = bias.cast_to::<f32>()?;
    let bias = bias.try_as_plain_ram()?.as_slice::<f32>()?.to_vec();
    let of = |channel: usize| if bias.len() == 1 { bias[0] } else { bias[channel / block] };
    let biases: Vec<f32> = (0..outputs * block).map(of).collect();

    let mut patch = TypedModelPatch::default();
    let x = patch.tap_model(model, node.inputs[0])?;
    let weights = Tensor::from_shape(&[outputs * block, inputs, 1, 1], &weights)?;
    let weights = patch.add_const(format!("{name}.weights"), weights)?;
    let biases = patch.add_const(format!("{name}.biases"), tensor1(&biases))?;
    let conv = Conv {
        pool_spec: PoolSpec {
            kernel_shape: tvec![1, 1],
            padding: PaddingSpec::Valid,
            dilations: None,
            strides: None,
            output_channels: outputs * block,
            ..pool.clone()
        },
        kernel_fmt: KernelFormat::OIHW,
        group: 1,
        q_params: None,
    };
    let mut wire = patch.wire_node(format!("{name}.one-by-one"), conv, &[x, weights, biases])?;
    let dims = |shape: &[usize]| shape.iter().map(|d| d.to_dim()).collect::<TVec<TDim>>();
    let [tall, wide] = [h * down, w * across];
    let steps = [
        // [n, (o, down, across), h, w] to [n, o, h, down, w, across].
        AxisOp::Reshape(1, dims(&[outputs * block]), dims(&[outputs, down, across])),
        AxisOp::Move(2, 4),
        AxisOp::Move(2, 5),
        AxisOp::Reshape(1, dims(&[outputs, h, down, w, across]), dims(&[outputs, tall, wide])),
    ];
    for (i, step) in steps.into_iter().enumerate() {
        wire = patch.wire_node(format!("{name}.pixels.{i}"), step, &wire)?;
    }
    debug_assert_eq!(
        patch.outlet_fact(wire[0])?.shape.as_concrete(),
        Some(&[n, outputs, tall, wide][..])
    );
    patch.shunt_outside(model, node.id.into(), wire[0])?;
    Ok(Some(patch))
}

/// Normalization by mean and variance, from sums.
fn moments(
    _: &(),
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    op: &Normalize,
) -> TractResult<Option<TypedModelPatch>> {
    let fact = model.node_input_facts(node.id)?[0];
    let Some(shape) = fact.shape.as_concrete() else { return Ok(None) };
    let groups: usize = shape[..2].iter().product();
    let size: usize = shape[2..].iter().product();
    let dims = |shape: &[usize]| shape.iter().map(|d| d.to_dim()).collect::<TVec<TDim>>();
    let mut patch = TypedModelPatch::default();
    let x = patch.tap_model(model, node.inputs[0])?;
    let mut at = 0;
    let mut wire = |patch: &mut TypedModelPatch, op: Box<dyn TypedOp>, to: &[OutletId]| {
        at += 1;
        patch.wire_node(format!("{name}{SINGLE}.{at}"), op, to).map(|wires| wires[0])
    };
    let number = |patch: &mut TypedModelPatch, what: &str, value: f32| {
        patch.add_const(format!("{name}{SINGLE}.{what}"), Tensor::from_shape(&[1, 1], &[value])?)
    };
    let reduce = |reducer| Box::new(Reduce { axes: tvec![1], reducer });
    let share = number(&mut patch, "share", 1.0 / size as f32)?;
    let epsilon = number(&mut patch, "epsilon", op.epsilon())?;
    let flat = AxisOp::Reshape(0, dims(shape), dims(&[groups, size]));
    let x = wire(&mut patch, Box::new(flat), &[x])?;
    let sum = wire(&mut patch, reduce(Reducer::Sum), &[x])?;
    let mean = wire(&mut patch, Box::new(math::mul()), &[sum, share])?;
    let x = wire(&mut patch, Box::new(math::sub()), &[x, mean])?;
    let variance = wire(&mut patch, reduce(Reducer::MeanOfSquares), &[x])?;
    let variance = wire(&mut patch, Box::new(math::add()), &[variance, epsilon])?;
    let scale = wire(&mut patch, Box::new(math::rsqrt()), &[variance])?;
    let x = wire(&mut patch, Box::new(math::mul()), &[x, scale])?;
    let back = AxisOp::Reshape(0, dims(&[groups, size]), dims(shape));
    let x = wire(&mut patch, Box::new(back), &[x])?;
    patch.shunt_outside(model, node.id.into(), x)?;
    Ok(Some(patch))
}

/// What pictures go through in half precision: everything that depends on the windows, but for
/// moments. What the network makes of the noise level stays in single precision, where its powers
/// have room.
fn halve(graph: &mut TypedModel) -> TractResult<()> {
    let windows = graph.input_outlets()?[0].node;
    let mut pictures = HashSet::from([windows]);
    for id in graph.eval_order()? {
        if graph.node(id).inputs.iter().any(|input| pictures.contains(&input.node)) {
            pictures.insert(id);
        }
    }
    pictures.retain(|id| !graph.node(*id).name.contains(SINGLE));
    let told = graph.input_outlets()?[1].node;
    // Weights are narrowed once, where they lie.
    let weights: Vec<usize> = pictures
        .iter()
        .flat_map(|id| graph.node(*id).inputs.iter().map(|input| input.node))
        .filter(|id| graph.node(*id).op_is::<Const>())
        .collect();
    pictures.extend(weights);
    pictures.remove(&windows);
    let inside = move |node: &TypedNode| node.id != told && pictures.contains(&node.id);
    let (single, half) = (f32::datum_type(), f16::datum_type());
    FloatPrecisionTranslator::with_filter(single, half, inside).transform(graph)
}

/// Adds the network to a step and returns its output. `constants` holds the weights that the step
/// has already, by the nodes of `graph`.
pub fn append(
    wires: &mut Wires,
    graph: &TypedModel,
    constants: &mut HashMap<usize, OutletId>,
    windows: OutletId,
    told: OutletId,
) -> TractResult<OutletId> {
    let inputs = graph.input_outlets()?;
    let mut found: HashMap<OutletId, OutletId> = HashMap::new();
    for id in graph.eval_order()? {
        let node = graph.node(id);
        if node.op_is::<TypedSource>() {
            let (given, fact) = match inputs.iter().position(|i| i.node == id) {
                Some(0) => (windows, &node.outputs[0].fact),
                _ => (told, &node.outputs[0].fact),
            };
            let shape = fact.shape.as_concrete().context("an input without a size")?;
            let given = match wires.shape(given)?.len() == shape.len() {
                true => given,
                false => wires.reshape(given, shape)?,
            };
            let given = cast(wires, given, fact.datum_type)?;
            found.insert(id.into(), given);
        } else if let Some(constant) = node.op_as::<Const>() {
            let value = match constants.get(&id) {
                Some(known) => *known,
                None => {
                    let name = format!("{}.{}", wires.part, node.name);
                    let new = wires.model.add_const(name, constant.val().clone())?;
                    *constants.entry(id).or_insert(new)
                }
            };
            found.insert(id.into(), value);
        } else {
            let to: TVec<OutletId> = node.inputs.iter().map(|input| found[input]).collect();
            let name = format!("{}.{}.{}", wires.part, wires.model.nodes().len(), node.name);
            for (slot, out) in wires.model.wire_node(name, node.op.clone(), &to)?.iter().enumerate()
            {
                found.insert(OutletId::new(id, slot), *out);
            }
        }
    }
    let output = found[&graph.output_outlets()?[0]];
    cast(wires, output, f32::datum_type())
}

fn cast(wires: &mut Wires, a: OutletId, to: DatumType) -> TractResult<OutletId> {
    match wires.model.outlet_fact(a)?.datum_type == to {
        true => Ok(a),
        false => wires.op(tract_core::ops::cast::cast(to), &[a]),
    }
}
