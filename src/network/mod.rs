//! A network as a short list of final operators, run by our own kernels in one piece of memory.
//!
//! This is what a model file holds, and what the known parts of an ONNX graph become. Layers are
//! in the order in which they run; each makes one value out of earlier ones. Nothing here depends
//! on the size of a picture: sizes are worked out when a [`Plan`] is made for a window.

mod fuse;
mod memory;
mod plan;
mod run;
mod size;
#[cfg(test)]
mod tests;
mod vector;

pub use fuse::fuse;
pub use memory::Memory;
pub use plan::Plan;
pub use size::Size;

use serde::{Deserialize, Serialize};

use crate::kernels::Activation;

/// A value: first the inputs, then the result of each layer.
pub type Value = usize;

/// A tensor among the weights.
pub type Tensor = usize;

/// A list of layers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    pub inputs: Vec<Input>,
    pub layers: Vec<Layer>,
    pub outputs: Vec<Output>,
}

/// What is given to a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// `[channels, h, w]`
    Planes { channels: usize },
    /// `[len]`
    Vector { len: usize },
}

/// What a network gives: a vector, or a picture as planes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    pub value: Value,
    /// Blocks of `shuffle^2` channels become pixels (`pixel_shuffle`); 1 for none, and for
    /// vectors.
    pub shuffle: usize,
}

/// One operator and the values that it takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    pub op: Op,
    pub inputs: Vec<Value>,
}

/// The operators. Pictures are `[c, h, w]`, vectors `[n]`; a vector of one value serves for any
/// length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Op {
    /// A vector of the weights.
    Constant {
        values: Tensor,
        len: usize,
    },
    /// `W v`, with `W` as `[in][out]`.
    Linear {
        weights: Tensor,
        inputs: usize,
        outputs: usize,
    },
    /// A function of every value of a vector.
    Unary(Unary),
    /// A function of two vectors, value by value.
    Binary(Binary),
    /// Vectors, one behind the other.
    Join,
    /// A part of a vector.
    Slice {
        start: usize,
        len: usize,
    },

    /// Planes, times an optional second input of one value; with `unshuffle` above 1, the pixels
    /// of a block become channels.
    FromPlanes {
        unshuffle: usize,
    },
    /// `activation(conv(x) + bias) + residual`: inputs `x`, the bias, and the residual if there
    /// is one. Weights in the order of [`arrange`](crate::kernels::arrange).
    Conv(Conv),
    /// Transposed 2x2 convolution at stride 2, with the inputs of a convolution.
    Transposed {
        weights: Tensor,
        outputs: usize,
        activation: Activation,
        residual: bool,
    },
    /// `activation(scale x + shift)`: inputs `x`, scale and shift.
    Pointwise(Activation),
    /// Group normalization, then as [`Pointwise`](Op::Pointwise).
    Norm {
        groups: usize,
        epsilon: f32,
        activation: Activation,
    },
    /// The sum of two pictures.
    Add,
    /// Pictures of one size, channels one behind the other.
    Concat,
    /// Some channels of a picture.
    Channels {
        start: usize,
        len: usize,
    },
    /// The mean of every block of pixels.
    Average {
        factor: usize,
    },
    /// Nearest neighbour.
    Upsample {
        factor: usize,
    },
    SpaceToDepth {
        factor: usize,
    },
    DepthToSpace {
        factor: usize,
    },
}

/// A convolution of a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv {
    pub weights: Tensor,
    /// Side of the kernel: 1 to 3.
    pub kernel: usize,
    /// 1 or 2.
    pub stride: usize,
    /// Zeros before and behind the picture, 0 or 1 each.
    pub pad: [usize; 2],
    pub outputs: usize,
    pub activation: Activation,
    pub residual: bool,
    /// Absent in a file, it is [`Arithmetic::F32`].
    #[serde(default, skip_serializing_if = "Arithmetic::is_f32")]
    pub arithmetic: Arithmetic,
}

/// How the products of a convolution are formed and summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arithmetic {
    /// In single precision, from weights of any format.
    #[default]
    F32,
    /// In whole numbers, from 8-bit weights and an input that is quantized to 8 bits.
    Int8,
}

impl Arithmetic {
    /// The name in files, certificates and arguments.
    pub fn name(self) -> &'static str {
        match self {
            Arithmetic::F32 => "f32",
            Arithmetic::Int8 => "int8",
        }
    }

    fn is_f32(&self) -> bool {
        *self == Arithmetic::F32
    }
}

/// Functions of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unary {
    Sin,
    Cos,
    Exp,
    Log,
    Sqrt,
    Reciprocal,
    Negate,
    Sigmoid,
    Silu,
    Tanh,
}

/// Functions of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Maximum,
    Minimum,
    Power,
}

impl Network {
    /// The value that layer `index` makes.
    pub fn value_of(&self, layer: usize) -> Value {
        self.inputs.len() + layer
    }

    /// The layer that makes `value`, unless it is an input.
    pub fn layer_of(&self, value: Value) -> Option<&Layer> {
        self.layers.get(value.checked_sub(self.inputs.len())?)
    }

    /// The same network with all its convolutions in single precision.
    pub fn in_floats(&self) -> Network {
        let mut network = self.clone();
        for layer in &mut network.layers {
            if let Op::Conv(conv) = &mut layer.op {
                conv.arithmetic = Arithmetic::F32;
            }
        }
        network
    }

    /// The arithmetic of its convolutions: 8 bits if one of them uses them.
    pub fn arithmetic(&self) -> Arithmetic {
        let int8 = |l: &Layer| matches!(&l.op, Op::Conv(c) if c.arithmetic == Arithmetic::Int8);
        if self.layers.iter().any(int8) { Arithmetic::Int8 } else { Arithmetic::F32 }
    }

    /// Whether `value` is a picture without negative values, because of what makes it.
    pub fn is_non_negative(&self, value: Value) -> bool {
        let relu = Activation::Relu;
        self.layer_of(value).is_some_and(|layer| match &layer.op {
            Op::Conv(conv) => conv.activation == relu && !conv.residual,
            Op::Transposed { activation, residual, .. } => *activation == relu && !residual,
            Op::Pointwise(activation) | Op::Norm { activation, .. } => *activation == relu,
            _ => false,
        })
    }

    /// How often `value` is used, by layers and as an output.
    pub fn uses(&self, value: Value) -> usize {
        let by_layers = self.layers.iter().flat_map(|l| &l.inputs).filter(|v| **v == value);
        by_layers.count() + self.outputs.iter().filter(|o| o.value == value).count()
    }
}
