//! A graph of tract's under construction, with the few operators that a step needs.
//!
//! Pictures are `[1, channels, height, width]`, batches of windows `[n, ..]`, numbers
//! `[1, 1, 1, 1]`: tract's binary operators want operands of one rank.

use tract_core::internal::*;
use tract_core::ops::array::{MultiBroadcastTo, Pad, PadMode, Slice, TypedConcat};
use tract_core::ops::binary::TypedBinOp;
use tract_core::ops::einsum::EinSum;
use tract_core::ops::logic::{Iff, comp_gte};
use tract_core::ops::math;
use tract_core::ops::nn::{Reduce, Reducer};

/// A graph, and the part of a step that is being added to it.
pub struct Wires {
    pub model: TypedModel,
    /// First part of the names of new nodes.
    pub part: &'static str,
}

impl Wires {
    pub fn new() -> Wires {
        Wires { model: TypedModel::default(), part: "step" }
    }

    pub fn op(
        &mut self,
        op: impl Into<Box<dyn TypedOp>>,
        to: &[OutletId],
    ) -> TractResult<OutletId> {
        let op = op.into();
        let name = format!("{}.{}.{}", self.part, self.model.nodes().len(), op.name());
        Ok(self.model.wire_node(name, op, to)?[0])
    }

    pub fn input(&mut self, name: &str, shape: [usize; 4]) -> TractResult<OutletId> {
        self.model.add_source(name, f32::fact(shape))
    }

    pub fn constant(&mut self, shape: &[usize], values: &[f32]) -> TractResult<OutletId> {
        let name = format!("{}.{}.constant", self.part, self.model.nodes().len());
        self.model.add_const(name, Tensor::from_shape(shape, values)?)
    }

    pub fn number(&mut self, value: f32) -> TractResult<OutletId> {
        self.constant(&[1; 4], &[value])
    }

    /// The concrete shape of a value.
    pub fn shape(&self, of: OutletId) -> TractResult<TVec<usize>> {
        let shape = &self.model.outlet_fact(of)?.shape;
        Ok(shape.as_concrete().context("a shape without a size")?.into())
    }

    pub fn mul(&mut self, a: OutletId, b: OutletId) -> TractResult<OutletId> {
        self.op(math::mul(), &[a, b])
    }

    pub fn add(&mut self, a: OutletId, b: OutletId) -> TractResult<OutletId> {
        self.op(math::add(), &[a, b])
    }

    pub fn sub(&mut self, a: OutletId, b: OutletId) -> TractResult<OutletId> {
        self.op(math::sub(), &[a, b])
    }

    pub fn div(&mut self, a: OutletId, b: OutletId) -> TractResult<OutletId> {
        self.op(math::div(), &[a, b])
    }

    pub fn sqrt(&mut self, a: OutletId) -> TractResult<OutletId> {
        self.op(math::sqrt(), &[a])
    }

    pub fn clamp(&mut self, a: OutletId, low: f32, high: f32) -> TractResult<OutletId> {
        let (low, high) = (self.number(low)?, self.number(high)?);
        let a = self.op(math::max(), &[a, low])?;
        self.op(math::min(), &[a, high])
    }

    /// `yes` where `a >= b`, `no` elsewhere.
    pub fn choose(
        &mut self,
        [a, b]: [OutletId; 2],
        yes: OutletId,
        no: OutletId,
    ) -> TractResult<OutletId> {
        let condition = self.op(TypedBinOp(comp_gte(), None), &[a, b])?;
        self.op(Iff, &[condition, yes, no])
    }

    pub fn slice(
        &mut self,
        a: OutletId,
        axis: usize,
        from: usize,
        to: usize,
    ) -> TractResult<OutletId> {
        if from == 0 && to == self.shape(a)?[axis] {
            return Ok(a);
        }
        self.op(Slice::new(axis, from, to), &[a])
    }

    pub fn concat(&mut self, axis: usize, parts: &[OutletId]) -> TractResult<OutletId> {
        match parts {
            [one] => Ok(*one),
            _ => self.op(TypedConcat { axis }, parts),
        }
    }

    /// Zeros behind the end of height and width.
    pub fn pad(&mut self, a: OutletId, down: usize, across: usize) -> TractResult<OutletId> {
        if (down, across) == (0, 0) {
            return Ok(a);
        }
        let pads = vec![(0, 0), (0, 0), (0, down), (0, across)];
        self.op(Pad { pads, mode: PadMode::Constant(rctensor0(0f32)) }, &[a])
    }

    /// The same values in another shape.
    pub fn reshape(&mut self, a: OutletId, to: &[usize]) -> TractResult<OutletId> {
        let from = self.shape(a)?;
        if *from == *to {
            return Ok(a);
        }
        let dims = |shape: &[usize]| shape.iter().map(|d| d.to_dim()).collect::<TVec<TDim>>();
        self.op(AxisOp::Reshape(0, dims(&from), dims(to)), &[a])
    }

    pub fn move_axis(&mut self, a: OutletId, from: usize, to: usize) -> TractResult<OutletId> {
        self.op(AxisOp::Move(from, to), &[a])
    }

    pub fn broadcast(&mut self, a: OutletId, to: &[usize]) -> TractResult<OutletId> {
        let shape: TVec<TDim> = to.iter().map(|d| d.to_dim()).collect();
        self.op(MultiBroadcastTo { shape: shape.into() }, &[a])
    }

    /// The sum over one axis, which stays with length 1.
    pub fn sum(&mut self, a: OutletId, axis: usize) -> TractResult<OutletId> {
        if self.shape(a)?[axis] == 1 {
            return Ok(a);
        }
        self.op(Reduce { axes: tvec![axis], reducer: Reducer::Sum }, &[a])
    }

    /// The product of two matrices, `[m, k]` and `[k, n]`.
    pub fn product(&mut self, a: OutletId, b: OutletId) -> TractResult<OutletId> {
        self.op(EinSum::new("mk,kn->mn".parse()?, f32::datum_type()), &[a, b])
    }
}
