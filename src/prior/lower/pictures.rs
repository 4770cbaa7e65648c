//! Nodes on pictures.

use tract_core::internal::*;
use tract_core::ops::array::{Slice, TypedConcat};
use tract_core::ops::binary::TypedBinOp;
use tract_core::ops::cnn::conv::Conv as TractConv;
use tract_core::ops::cnn::deconv::Deconv;
use tract_core::ops::cnn::{KernelFormat, PaddingSpec, PoolSpec, SumPool};
use tract_core::ops::einsum::EinSum;
use tract_core::ops::element_wise::ElementWiseOp;
use tract_core::ops::math;
use tract_core::ops::nn::{DataFormat, LeakyRelu, NearestUpsample, Silu};

use super::{Kind, Lowering, State, floats};
use crate::kernels::{Activation, arrange};
use crate::network::{Arithmetic, Conv, Op, Value};
use crate::weights::Format;

impl Lowering<'_> {
    /// Our version of a node whose result is a picture.
    pub(super) fn picture(
        &mut self,
        node: &TypedNode,
        region: usize,
    ) -> TractResult<Option<State>> {
        let Some(kind @ Kind::Picture(_)) = self.kind(node.id.into()) else { return Ok(None) };
        let made = if let Some(op) = node.op_as::<TractConv>() {
            self.conv(op, node, region)
        } else if let Some(op) = node.op_as::<Deconv>() {
            self.deconv(op, node, region)
        } else if let Some(op) = node.op_as::<EinSum>() {
            self.one_by_one(op, node, region)
        } else if let Some(op) = node.op_as::<ElementWiseOp>() {
            self.activation(op, node, region)
        } else if let Some(op) = node.op_as::<TypedBinOp>() {
            self.binary(op, node, region)
        } else if let Some(op) = node.op_as::<TypedConcat>() {
            if op.axis == 1 { self.pictures(node, region).map(|v| (Op::Concat, v)) } else { None }
        } else if let Some(op) = node.op_as::<Slice>() {
            self.channels(op, node, region)
        } else if let Some(op) = node.op_as::<SumPool>() {
            self.average(op, node, region)
        } else if let Some(op) = node.op_as::<NearestUpsample>() {
            match op.scales[..] {
                [1, 1, a, b] if a == b && (2..=16).contains(&a) => {
                    self.pictures(node, region).map(|v| (Op::Upsample { factor: a }, v))
                }
                _ => None,
            }
        } else {
            None
        };
        Ok(made.map(|(op, inputs)| self.layer(region, op, inputs, kind)))
    }

    /// Some channels of a picture.
    fn channels(
        &mut self,
        op: &Slice,
        node: &TypedNode,
        region: usize,
    ) -> Option<(Op, Vec<Value>)> {
        let (start, end) = (op.start.to_usize().ok()?, op.end.to_usize().ok()?);
        let is_channels = op.axis == 1 && end > start;
        let inputs = is_channels.then(|| self.pictures(node, region))??;
        Some((Op::Channels { start, len: end - start }, inputs))
    }

    /// The mean of blocks that do not overlap and fill the picture.
    fn average(
        &mut self,
        op: &SumPool,
        node: &TypedNode,
        region: usize,
    ) -> Option<(Op, Vec<Value>)> {
        let (factor, pad) = geometry(&op.pool_spec)?;
        let Some(Kind::Picture([_, h, w])) = self.kind(node.inputs[0]) else { return None };
        let fills = h.is_multiple_of(factor) && w.is_multiple_of(factor);
        let blocks = op.pool_spec.kernel_shape.iter().all(|side| *side == factor);
        if !op.normalize || pad != [0, 0] || !blocks || !fills || factor > 16 {
            return None;
        }
        Some((Op::Average { factor }, self.pictures(node, region)?))
    }

    /// All inputs, if they are pictures.
    fn pictures(&mut self, node: &TypedNode, region: usize) -> Option<Vec<Value>> {
        node.inputs.iter().map(|input| self.take_picture(region, *input)).collect()
    }

    fn take_picture(&mut self, region: usize, outlet: OutletId) -> Option<Value> {
        match self.take(region, outlet)? {
            (value, Kind::Picture(_)) => Some(value),
            _ => None,
        }
    }

    /// A constant tensor's shape and values.
    fn weights(&self, outlet: OutletId) -> Option<(Vec<usize>, Vec<f32>)> {
        match self.states.get(&outlet)? {
            State::Constant(tensor) => Some((tensor.shape().to_vec(), floats(tensor)?)),
            _ => None,
        }
    }

    /// A bias of one value per channel, or of one for all.
    fn bias(&mut self, region: usize, outlet: OutletId, outputs: usize) -> Option<Value> {
        match self.take(region, outlet)? {
            (value, Kind::Vector(n)) if n == 1 || n == outputs => Some(value),
            _ => None,
        }
    }

    fn conv(
        &mut self,
        op: &TractConv,
        node: &TypedNode,
        region: usize,
    ) -> Option<(Op, Vec<Value>)> {
        let [x, kernel, bias] = node.inputs[..] else { return None };
        let (stride, pad) = geometry(&op.pool_spec)?;
        let (shape, values) = self.weights(kernel)?;
        if op.group != 1 || op.q_params.is_some() || op.kernel_fmt != KernelFormat::OIHW {
            return None;
        }
        let [outputs, inputs, side, across] = shape[..] else { return None };
        if side != across || !(1..=3).contains(&side) || !(1..=2).contains(&stride) {
            return None;
        }
        let x = self.take_picture(region, x)?;
        let bias = self.bias(region, bias, outputs)?;
        let strides = [1, side * side, inputs * side * side];
        let weights = reorder(&values, [side * side, inputs, outputs], strides);
        let weights = arrange(&weights, side * side, inputs, outputs);
        let weights = self.store.push_blocks(&weights, outputs, Format::F32);
        let activation = Activation::None;
        let conv = Conv {
            weights,
            kernel: side,
            stride,
            pad,
            outputs,
            activation,
            residual: false,
            arithmetic: Arithmetic::F32,
        };
        Some((Op::Conv(conv), vec![x, bias]))
    }

    fn deconv(&mut self, op: &Deconv, node: &TypedNode, region: usize) -> Option<(Op, Vec<Value>)> {
        let [x, kernel, bias] = node.inputs[..] else { return None };
        let (stride, pad) = geometry(&op.pool_spec)?;
        let (shape, values) = self.weights(kernel)?;
        let plain = op.group == 1 && op.adjustments.iter().all(|a| *a == 0);
        // tract keeps the kernel of a transposed convolution with its outputs first.
        let [outputs, inputs, 2, 2] = shape[..] else { return None };
        if !plain || op.kernel_format != KernelFormat::OIHW || stride != 2 || pad != [0, 0] {
            return None;
        }
        let x = self.take_picture(region, x)?;
        let bias = self.bias(region, bias, outputs)?;
        let weights = reorder(&values, [4, inputs, outputs], [1, 4, inputs * 4]);
        let weights = arrange(&weights, 4, inputs, outputs);
        let weights = self.store.push_blocks(&weights, outputs, Format::F32);
        let activation = Activation::None;
        Some((Op::Transposed { weights, outputs, activation, residual: false }, vec![x, bias]))
    }

    /// A 1x1 convolution, which tract writes as a product with a matrix.
    fn one_by_one(
        &mut self,
        op: &EinSum,
        node: &TypedNode,
        region: usize,
    ) -> Option<(Op, Vec<Value>)> {
        let [a, b] = node.inputs[..] else { return None };
        let (slot, x, matrix) = match (self.weights(a), self.weights(b)) {
            (None, Some(matrix)) => (1, a, matrix),
            (Some(matrix), None) => (0, b, matrix),
            _ => return None,
        };
        let (shape, values) = matrix;
        let Some(Kind::Picture([inputs, height, width])) = self.kind(x) else { return None };
        let Some(Kind::Picture([outputs, h, w])) = self.kind(node.id.into()) else { return None };
        if (h, w) != (height, width) || values.len() != inputs * outputs {
            return None;
        }
        // Height and width stay where they are; channels are summed over.
        let mut strides = [0, 0];
        for axis in op.axes.iter_all_axes() {
            let (picture, matrix) = (&axis.inputs[1 - slot], &axis.inputs[slot]);
            match (&picture[..], &matrix[..], &axis.outputs[0][..]) {
                ([1], [at], []) => strides[0] = shape[at + 1..].iter().product(),
                ([], [at], [1]) => strides[1] = shape[at + 1..].iter().product(),
                ([a], [], [b]) if a == b && *a != 1 => {}
                ([], [at], _) | (_, [at], []) if shape[*at] == 1 => {}
                ([], [], _) => {}
                _ => return None,
            }
        }
        if strides.contains(&0) {
            return None;
        }
        let x = self.take_picture(region, x)?;
        let bias = self.constant(region, &[0.0]);
        let weights = reorder(&values, [1, inputs, outputs], [0, strides[0], strides[1]]);
        let weights = arrange(&weights, 1, inputs, outputs);
        let conv = Conv {
            weights: self.store.push_blocks(&weights, outputs, Format::F32),
            kernel: 1,
            stride: 1,
            pad: [0, 0],
            outputs,
            activation: Activation::None,
            residual: false,
            arithmetic: Arithmetic::F32,
        };
        Some((Op::Conv(conv), vec![x, bias]))
    }

    fn pointwise(
        &mut self,
        region: usize,
        outlet: OutletId,
        activation: Activation,
    ) -> Option<(Op, Vec<Value>)> {
        let x = self.take_picture(region, outlet)?;
        let (one, zero) = (self.constant(region, &[1.0]), self.constant(region, &[0.0]));
        Some((Op::Pointwise(activation), vec![x, one, zero]))
    }

    fn activation(
        &mut self,
        op: &ElementWiseOp,
        node: &TypedNode,
        region: usize,
    ) -> Option<(Op, Vec<Value>)> {
        let activation = if op.0.is::<Silu>() {
            Activation::Silu
        } else if let Some(op) = op.0.downcast_ref::<LeakyRelu>() {
            Activation::LeakyRelu(op.alpha)
        } else {
            return None;
        };
        self.pointwise(region, node.inputs[0], activation)
    }

    /// Sums of pictures; pictures with a scale or a shift per channel; `max(x, 0)`.
    fn binary(
        &mut self,
        op: &TypedBinOp,
        node: &TypedNode,
        region: usize,
    ) -> Option<(Op, Vec<Value>)> {
        let op = &op.0;
        let is_picture = |i: usize| matches!(self.kind(node.inputs[i]), Some(Kind::Picture(_)));
        let whole = self.kind(node.id.into());
        let (a, b) = (node.inputs[0], node.inputs[1]);
        match (is_picture(0), is_picture(1)) {
            (true, true) if op.is::<math::Add>() && self.kind(a) == self.kind(b) => {
                self.pictures(node, region).map(|v| (Op::Add, v))
            }
            (true, false) => self.per_channel(op.as_ref(), a, b, region),
            (false, true) if !op.is::<math::Sub>() && !op.is::<math::Div>() => {
                self.per_channel(op.as_ref(), b, a, region)
            }
            _ => None,
        }
        .filter(|_| [a, b].iter().any(|o| self.kind(*o) == whole))
    }

    fn per_channel(
        &mut self,
        op: &dyn tract_core::ops::binary::BinMiniOp,
        x: OutletId,
        vector: OutletId,
        region: usize,
    ) -> Option<(Op, Vec<Value>)> {
        // The vector's values lie along the channels, or there is one for all.
        let shape = self.shape(vector)?;
        if shape.iter().enumerate().any(|(axis, n)| *n != 1 && axis != 1) {
            return None;
        }
        if op.is::<math::Max>() {
            let (_, values) = self.weights(vector)?;
            let is_relu = values.iter().all(|v| *v == 0.0);
            return if is_relu { self.pointwise(region, x, Activation::Relu) } else { None };
        }
        let (op, mut inputs) = match () {
            () if op.is::<math::Mul>() => (Op::Pointwise(Activation::None), [None, Some(0.0)]),
            () if op.is::<math::Add>() => (Op::Pointwise(Activation::None), [Some(1.0), None]),
            () => return None,
        };
        let x = self.take_picture(region, x)?;
        let (vector, Kind::Vector(_)) = self.take(region, vector)? else { return None };
        let mut values = vec![x];
        for constant in &mut inputs {
            values.push(match constant {
                Some(value) => self.constant(region, &[*value]),
                None => vector,
            });
        }
        Some((op, values))
    }
}

/// Stride and padding of a convolution that is the same down and across, without dilation.
fn geometry(spec: &PoolSpec) -> Option<(usize, [usize; 2])> {
    let pad = match &spec.padding {
        PaddingSpec::Valid => [0, 0],
        PaddingSpec::Explicit(before, after) => match (&before[..], &after[..]) {
            (&[a, b], &[c, d]) if a == b && c == d && a <= 1 && c <= 1 => [a, c],
            _ => return None,
        },
        _ => return None,
    };
    let strides = spec.strides();
    let plain = spec.data_format == DataFormat::NCHW
        && spec.rank() == 2
        && strides[0] == strides[1]
        && spec.dilations().iter().all(|d| *d == 1);
    plain.then_some((strides[0], pad))
}

/// Values in the order `[sides[0]][sides[1]][sides[2]]`, from where the strides say they are.
fn reorder(values: &[f32], sides: [usize; 3], strides: [usize; 3]) -> Vec<f32> {
    let mut ordered = Vec::with_capacity(values.len());
    for a in 0..sides[0] {
        for b in 0..sides[1] {
            for c in 0..sides[2] {
                ordered.push(values[a * strides[0] + b * strides[1] + c * strides[2]]);
            }
        }
    }
    ordered
}
