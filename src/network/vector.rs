//! Operators on vectors: the few values that tell a network the noise level.

use super::{Binary, Unary};

impl Unary {
    pub fn of(self, x: f32) -> f32 {
        match self {
            Unary::Sin => x.sin(),
            Unary::Cos => x.cos(),
            Unary::Exp => x.exp(),
            Unary::Log => x.ln(),
            Unary::Sqrt => x.sqrt(),
            Unary::Reciprocal => x.recip(),
            Unary::Negate => -x,
            Unary::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Unary::Silu => x / (1.0 + (-x).exp()),
            Unary::Tanh => x.tanh(),
        }
    }
}

impl Binary {
    pub fn of(self, a: f32, b: f32) -> f32 {
        match self {
            Binary::Add => a + b,
            Binary::Subtract => a - b,
            Binary::Multiply => a * b,
            Binary::Divide => a / b,
            Binary::Maximum => a.max(b),
            Binary::Minimum => a.min(b),
            Binary::Power => a.powf(b),
        }
    }
}

/// Value `i` of a vector; a vector of one value has it everywhere.
pub fn at(vector: &[f32], i: usize) -> f32 {
    if vector.len() == 1 { vector[0] } else { vector[i] }
}

/// `out = W v`, with `W` as `[in][out]`.
pub fn linear(weights: &[f32], vector: &[f32], out: &mut [f32]) {
    out.fill(0.0);
    for (row, v) in weights.chunks_exact(out.len()).zip(vector) {
        for (out, w) in out.iter_mut().zip(row) {
            *out += w * v;
        }
    }
}
