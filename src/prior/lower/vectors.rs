//! Nodes on vectors: what tells a network the noise level.

use tract_core::internal::*;
use tract_core::ops::array::{Slice, TypedConcat};
use tract_core::ops::binary::TypedBinOp;
use tract_core::ops::einsum::EinSum;
use tract_core::ops::element_wise::ElementWiseOp;
use tract_core::ops::identity::Identity;
use tract_core::ops::{math, nn};

use super::{Kind, Lowering, State, floats};
use crate::network::{Binary, Op, Unary};
use crate::weights::Format;

/// The one axis along which a vector's values lie, if it has more than one value.
fn long_axis(shape: &[usize]) -> Option<usize> {
    shape.iter().position(|n| *n != 1)
}

impl Lowering<'_> {
    /// Our version of a node whose result is a vector.
    pub(super) fn vector(&mut self, node: &TypedNode, region: usize) -> TractResult<Option<State>> {
        let Some(kind @ Kind::Vector(len)) = self.kind(node.id.into()) else { return Ok(None) };
        let Some(shape) = self.shape(node.id.into()) else { return Ok(None) };
        if let Some(op) = node.op_as::<EinSum>() {
            return Ok(self.linear(op, node, region));
        }
        let op = if let Some(op) = node.op_as::<ElementWiseOp>() {
            unary(op).map(Op::Unary)
        } else if let Some(op) = node.op_as::<TypedBinOp>() {
            let along = |i: usize| {
                let input = self.shape(node.inputs[i])?;
                Some(long_axis(&input).is_none_or(|axis| Some(axis) == long_axis(&shape)))
            };
            let aligned = along(0).unwrap_or(false) && along(1).unwrap_or(false);
            binary(op).filter(|_| aligned).map(Op::Binary)
        } else if let Some(op) = node.op_as::<TypedConcat>() {
            (long_axis(&shape) == Some(op.axis)).then_some(Op::Join)
        } else if let Some(op) = node.op_as::<Slice>() {
            let input = self.shape(node.inputs[0]).unwrap_or_default();
            let start = op.start.to_usize().ok();
            start
                .filter(|_| long_axis(&input).is_none_or(|axis| axis == op.axis))
                .map(|start| Op::Slice { start, len })
        } else if node.op_is::<AxisOp>() || node.op_is::<Identity>() {
            // The values stay in order.
            Some(Op::Slice { start: 0, len })
        } else {
            None
        };
        let Some(op) = op else { return Ok(None) };
        let mut inputs = Vec::new();
        for input in &node.inputs {
            match self.take(region, *input) {
                Some((value, Kind::Vector(_))) => inputs.push(value),
                _ => return Ok(None),
            }
        }
        if matches!(op, Op::Slice { start: 0, len: n } if self.len(node.inputs[0]) == Some(n)) {
            return Ok(Some(State::Known { region, value: inputs[0], kind }));
        }
        Ok(Some(self.layer(region, op, inputs, kind)))
    }

    fn len(&self, outlet: OutletId) -> Option<usize> {
        self.shape(outlet).map(|shape| shape.iter().product())
    }

    /// A vector times a constant matrix.
    fn linear(&mut self, op: &EinSum, node: &TypedNode, region: usize) -> Option<State> {
        let [a, b] = node.inputs[..] else { return None };
        let constant = |outlet: OutletId| match self.states.get(&outlet) {
            Some(State::Constant(tensor)) => Some(tensor.clone()),
            _ => None,
        };
        let (slot, vector, matrix) = match (constant(a), constant(b)) {
            (None, Some(matrix)) => (1, a, matrix),
            (Some(matrix), None) => (0, b, matrix),
            _ => return None,
        };
        let kind @ Kind::Vector(outputs) = self.kind(node.id.into())? else { return None };
        let Kind::Vector(inputs) = self.kind(vector)? else { return None };
        let shape = matrix.shape();
        let values = floats(&matrix)?;
        if values.len() != inputs * outputs {
            return None;
        }
        // Which of the matrix's axes is summed over, and which remains.
        let mut strides = [0, 0];
        for axis in op.axes.iter_all_axes() {
            let [at] = axis.inputs[slot][..] else { continue };
            if shape[at] != 1 {
                let stride: usize = shape[at + 1..].iter().product();
                let summed = axis.outputs[0].is_empty();
                strides[usize::from(!summed)] = stride;
            }
        }
        let known = |side: usize, stride: usize| side == 1 || stride != 0;
        if !known(inputs, strides[0]) || !known(outputs, strides[1]) {
            return None;
        }
        let order = |i: usize, o: usize| values[i * strides[0] + o * strides[1]];
        let weights: Vec<f32> =
            (0..inputs).flat_map(|i| (0..outputs).map(move |o| order(i, o))).collect();
        let (value, _) = self.take(region, vector)?;
        let weights = self.store.push(&weights, outputs, Format::F32);
        Some(self.layer(region, Op::Linear { weights, inputs, outputs }, vec![value], kind))
    }
}

fn unary(op: &ElementWiseOp) -> Option<Unary> {
    let op = &op.0;
    Some(match () {
        () if op.is::<math::Sin>() => Unary::Sin,
        () if op.is::<math::Cos>() => Unary::Cos,
        () if op.is::<math::Exp>() => Unary::Exp,
        () if op.is::<math::Ln>() => Unary::Log,
        () if op.is::<math::Sqrt>() => Unary::Sqrt,
        () if op.is::<math::Recip>() => Unary::Reciprocal,
        () if op.is::<math::Neg>() => Unary::Negate,
        () if op.is::<math::Tanh>() => Unary::Tanh,
        () if op.is::<nn::Sigmoid>() => Unary::Sigmoid,
        () if op.is::<nn::Silu>() => Unary::Silu,
        () => return None,
    })
}

fn binary(op: &TypedBinOp) -> Option<Binary> {
    let op = &op.0;
    Some(match () {
        () if op.is::<math::Add>() => Binary::Add,
        () if op.is::<math::Sub>() => Binary::Subtract,
        () if op.is::<math::Mul>() => Binary::Multiply,
        () if op.is::<math::Div>() => Binary::Divide,
        () if op.is::<math::Max>() => Binary::Maximum,
        () if op.is::<math::Min>() => Binary::Minimum,
        () if op.is::<math::Pow>() => Binary::Power,
        () => return None,
    })
}
