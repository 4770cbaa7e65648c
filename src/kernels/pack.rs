//! Weights on their way from a file into the order in which the kernels read them.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::grid::{CHANNEL_STEP, round_up};
use super::simd::BLOCK;

/// The weights of a convolution as a file holds them: `[taps][in][out]`, taps row by row, output
/// channels next to each other.
#[derive(Debug, Clone, Copy)]
pub enum Weights<'a> {
    F32(&'a [f32]),
    F16(&'a [f16]),
    /// Times one scale per output channel.
    Int8(&'a [i8], &'a [f32]),
}

impl Weights<'_> {
    /// Number of weights.
    pub fn count(&self) -> usize {
        match self {
            Weights::F32(w) => w.len(),
            Weights::F16(w) => w.len(),
            Weights::Int8(w, _) => w.len(),
        }
    }

    /// Floats of scratch memory that [`widen`](Weights::widen) needs.
    pub fn widened_len(&self) -> usize {
        match self {
            Weights::F32(_) => 0,
            _ => self.count(),
        }
    }

    /// All weights in single precision, of `outputs` channels: as they lie, or widened into
    /// `scratch`.
    pub fn widen<'s>(&'s self, outputs: usize, scratch: &'s mut [f32]) -> &'s [f32] {
        match self {
            Weights::F32(w) => return w,
            Weights::F16(w) => w.convert_to_f32_slice(scratch),
            Weights::Int8(w, scales) => {
                for (out, w) in scratch.chunks_exact_mut(outputs).zip(w.chunks_exact(outputs)) {
                    for ((out, w), scale) in out.iter_mut().zip(w).zip(*scales) {
                        *out = f32::from(*w) * scale;
                    }
                }
            }
        }
        scratch
    }

    /// The weights of rows `rows`, of `outputs` channels each.
    pub fn rows(&self, rows: std::ops::Range<usize>, outputs: usize) -> Self {
        let range = rows.start * outputs..rows.end * outputs;
        match self {
            Weights::F32(w) => Weights::F32(&w[range]),
            Weights::F16(w) => Weights::F16(&w[range]),
            Weights::Int8(w, scales) => Weights::Int8(&w[range], scales),
        }
    }
}

/// Output channels in blocks of at most [`BLOCK`]: `(first, width)` of each. The last one may be
/// narrower, in steps of [`CHANNEL_STEP`].
pub fn blocks(outputs: usize) -> impl Iterator<Item = (usize, usize)> {
    let padded = round_up(outputs, CHANNEL_STEP);
    (0..padded).step_by(BLOCK).map(move |first| (first, BLOCK.min(padded - first)))
}

/// Floats that [`pack`] writes.
pub fn packed_len(taps: usize, inputs: usize, outputs: usize) -> usize {
    taps * round_up(inputs, CHANNEL_STEP) * round_up(outputs, CHANNEL_STEP)
}

/// Arranges weights `[taps][in][out]` for the matrix product: block after block of output
/// channels, in each `[taps][in, padded][width]`. Padding is zero.
pub fn pack(weights: &[f32], inputs: usize, outputs: usize, packed: &mut [f32]) {
    let padded = round_up(inputs, CHANNEL_STEP);
    let taps = weights.len() / (inputs * outputs);
    let mut rest = packed;
    for (first, width) in blocks(outputs) {
        let (block, after) = rest.split_at_mut(taps * padded * width);
        rest = after;
        let known = width.min(outputs - first);
        for (row, out) in block.chunks_exact_mut(width).enumerate() {
            let (tap, i) = (row / padded, row % padded);
            out.fill(0.0);
            if i < inputs {
                let start = (tap * inputs + i) * outputs + first;
                out[..known].copy_from_slice(&weights[start..start + known]);
            }
        }
    }
}
