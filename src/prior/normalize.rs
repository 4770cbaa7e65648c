//! Normalization to mean 0 and variance 1, as one operator: tract would take it apart into about
//! ten passes, and we could no longer see it.

use tract_core::internal::*;
use tract_core::ops::math;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::{
    Expansion, InferenceOp, InferenceResult, Solver, TensorProxy, check_input_arity,
    check_output_arity, expand,
};

/// `(x - mean) / sqrt(variance + epsilon)` over all axes from the third on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Normalize {
    /// Bits of the float.
    epsilon: u32,
}

impl Normalize {
    pub fn epsilon(&self) -> f32 {
        f32::from_bits(self.epsilon)
    }
}

impl Op for Normalize {
    fn name(&self) -> StaticName {
        "Normalize".into()
    }
    op_as_typed_op!();
}

impl EvalOp for Normalize {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = &inputs[0];
        let mut values = input.try_as_plain_ram()?.as_slice::<f32>()?.to_vec();
        let size: usize = input.shape().iter().skip(2).product();
        for group in values.chunks_exact_mut(size.max(1)) {
            let count = group.len() as f64;
            let mean = group.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
            let square = |v: f64| v * v;
            let variance = group.iter().map(|v| square(f64::from(*v) - mean)).sum::<f64>() / count;
            let scale = 1.0 / (variance + f64::from(self.epsilon())).sqrt();
            group.iter_mut().for_each(|v| *v = ((f64::from(*v) - mean) * scale) as f32);
        }
        Ok(tvec![Tensor::from_shape(input.shape(), &values)?.into()])
    }
}

impl TypedOp for Normalize {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec![f32::fact(inputs[0].shape.iter().cloned().collect::<TVec<TDim>>())])
    }
    as_op!();
}

/// ONNX's `InstanceNormalization`, with [`Normalize`] in the middle.
#[derive(Debug, Clone)]
struct Instance {
    epsilon: f32,
}

/// What the parser of ONNX calls for `InstanceNormalization`.
pub fn instance_normalization(
    _ctx: &ParsingContext,
    node: &NodeProto,
) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let epsilon = node.get_attr_opt("epsilon")?.unwrap_or(1e-5);
    Ok((expand(Instance { epsilon }), vec![]))
}

impl Expansion for Instance {
    fn name(&self) -> StaticName {
        "InstanceNormalization".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        solver: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 3)?;
        check_output_arity(outputs, 1)?;
        solver.equals(&inputs[0].shape, &outputs[0].shape)?;
        solver.equals(&inputs[0].datum_type, &outputs[0].datum_type)?;
        solver.equals(&inputs[1].shape, &inputs[2].shape)?;
        solver.equals(&inputs[1].shape[0], &inputs[0].shape[1])
    }

    fn wire(
        &self,
        name: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let rank = model.outlet_fact(inputs[0])?.rank();
        let op = Normalize { epsilon: self.epsilon.to_bits() };
        let mut wire = model.wire_node(format!("{name}.normalize"), op, &inputs[..1])?;
        let steps: [(&str, OutletId, TypedBinOpMaker); 2] =
            [("scale", inputs[1], math::mul), ("bias", inputs[2], math::add)];
        for (step, vector, op) in steps {
            let mut vector = tvec![vector];
            for axis in (0..1).chain(2..rank) {
                let name = format!("{name}.{step}.{axis}");
                vector = model.wire_node(name, AxisOp::Add(axis), &vector)?;
            }
            wire = model.wire_node(format!("{name}.{step}"), op(), &[wire[0], vector[0]])?;
        }
        Ok(wire)
    }
}

type TypedBinOpMaker = fn() -> tract_core::ops::binary::TypedBinOp;
