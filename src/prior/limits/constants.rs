//! Values that a file states: initializers and the outputs of `Constant`.

use std::collections::HashMap;

use tract_onnx::pb::{NodeProto, TensorProto};

use super::tensor::{MOST_DIMENSIONS, values};

/// A value that a file states.
#[derive(Clone, Copy)]
pub enum Constant<'a> {
    Tensor(&'a TensorProto),
    Int(i64),
    Ints(&'a [i64]),
    Float(f32),
    Floats(&'a [f32]),
}

impl Constant<'_> {
    /// Its shape.
    pub fn dims(&self) -> Vec<i64> {
        match self {
            Constant::Tensor(tensor) => tensor.dims.clone(),
            Constant::Int(_) | Constant::Float(_) => vec![],
            Constant::Ints(v) => vec![v.len() as i64],
            Constant::Floats(v) => vec![v.len() as i64],
        }
    }

    /// Its values, if it can be a shape or what goes with one: at most two per dimension.
    fn values(&self) -> Option<Vec<f64>> {
        let most = 2 * MOST_DIMENSIONS;
        let few = |v: Vec<f64>| (v.len() <= most).then_some(v);
        match self {
            Constant::Tensor(tensor) => values(tensor, most),
            Constant::Int(v) => few(vec![*v as f64]),
            Constant::Ints(v) => few(v.iter().map(|&v| v as f64).collect()),
            Constant::Float(v) => few(vec![(*v).into()]),
            Constant::Floats(v) => few(v.iter().map(|&v| v.into()).collect()),
        }
    }
}

/// Every value that a file states, by name.
#[derive(Default)]
pub struct Constants<'a>(HashMap<&'a str, Constant<'a>>);

impl<'a> Constants<'a> {
    /// Notes an initializer.
    pub fn initializer(&mut self, tensor: &'a TensorProto) {
        self.0.insert(&tensor.name, Constant::Tensor(tensor));
    }

    /// Notes what follows from constants alone without a calculation: the output of a `Constant`,
    /// or a constant under another name.
    pub fn node(&mut self, node: &'a NodeProto) {
        let Some(output) = node.output.first() else { return };
        let constant = match node.op_type.as_str() {
            "Constant" => node.attribute.iter().find_map(|a| match a.name.as_str() {
                "value" => a.t.as_ref().map(Constant::Tensor),
                "value_int" => Some(Constant::Int(a.i)),
                "value_ints" => Some(Constant::Ints(&a.ints)),
                "value_float" => Some(Constant::Float(a.f)),
                "value_floats" => Some(Constant::Floats(&a.floats)),
                _ => None,
            }),
            "Identity" => node.input.first().and_then(|name| self.get(name)),
            _ => None,
        };
        constant.map(|constant| self.0.insert(output, constant));
    }

    /// The value with this name, if the file states it.
    pub fn get(&self, name: &str) -> Option<Constant<'a>> {
        self.0.get(name).copied()
    }

    /// The values of a node's input. `None` where there is none, where it follows from something
    /// else, or where it has more values than any shape.
    pub fn input(&self, node: &NodeProto, index: usize) -> Option<Vec<f64>> {
        let name = node.input.get(index).filter(|name| !name.is_empty())?;
        self.get(name)?.values()
    }

    /// The shape of a node's input, where the file states its value.
    pub fn shape(&self, node: &NodeProto, index: usize) -> Option<Vec<i64>> {
        self.get(node.input.get(index)?).map(|constant| constant.dims())
    }
}
