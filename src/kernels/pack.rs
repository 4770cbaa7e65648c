//! Weights on their way from a file into the order in which the kernels read them.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::grid::{CHANNEL_STEP, round_up};
use super::simd::BLOCK;

/// A matrix `[rows][columns]` as a file holds it. The weights of a convolution are several such
/// matrices, one for each block of output channels (see [`blocks`]), with a row for every input
/// channel and tap: the order in which they are read.
#[derive(Debug, Clone, Copy)]
pub enum Weights<'a> {
    F32(&'a [f32]),
    F16(&'a [f16]),
    /// Times one scale per column.
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

    /// All weights in single precision, of a matrix with `columns`: as they lie, or widened into
    /// `scratch`.
    pub fn widen<'s>(&'s self, columns: usize, scratch: &'s mut [f32]) -> &'s [f32] {
        let room = self.widened_len();
        match self {
            Weights::F32(w) => return w,
            Weights::F16(w) => w.convert_to_f32_slice(&mut scratch[..room]),
            Weights::Int8(w, scales) => {
                for (out, w) in scratch.chunks_exact_mut(columns).zip(w.chunks_exact(columns)) {
                    for ((out, w), scale) in out.iter_mut().zip(w).zip(*scales) {
                        *out = f32::from(*w) * scale;
                    }
                }
            }
        }
        &scratch[..room]
    }

    /// The matrix of a block of output channels, of a convolution with `rows` in each.
    pub fn block(&self, rows: usize, first: usize, columns: usize) -> Self {
        let range = first * rows..(first + columns) * rows;
        match self {
            Weights::F32(w) => Weights::F32(&w[range]),
            Weights::F16(w) => Weights::F16(&w[range]),
            Weights::Int8(w, scales) => Weights::Int8(&w[range], &scales[first..first + columns]),
        }
    }
}

/// Output channels in blocks of at most [`BLOCK`]: `(first, width)` of each. The last one may be
/// narrower, in steps of [`CHANNEL_STEP`].
pub fn blocks(outputs: usize) -> impl Iterator<Item = (usize, usize)> {
    let padded = round_up(outputs, CHANNEL_STEP);
    (0..padded).step_by(BLOCK).map(move |first| (first, BLOCK.min(padded - first)))
}

/// Weights `[taps][in][out]` in the order of a file: block after block of output channels, in each
/// `[in][taps][width]`, without padding.
pub fn arrange(weights: &[f32], taps: usize, inputs: usize, outputs: usize) -> Vec<f32> {
    let mut arranged = Vec::with_capacity(weights.len());
    for (first, width) in blocks(outputs) {
        let columns = width.min(outputs - first);
        for i in 0..inputs {
            for tap in 0..taps {
                let start = (tap * inputs + i) * outputs + first;
                arranged.extend_from_slice(&weights[start..start + columns]);
            }
        }
    }
    arranged
}

/// Floats that [`pack`] writes.
pub fn packed_len(taps: usize, inputs: usize, outputs: usize) -> usize {
    taps * round_up(inputs, CHANNEL_STEP) * round_up(outputs, CHANNEL_STEP)
}

/// Arranges the weights of a convolution for the matrix product: block after block of output
/// channels, in each `[taps][in, padded][width]`. Padding is zero. Takes `taps.1` taps from
/// `taps.0` on, of `taps.2` that there are. `scratch` is room to widen weights.
pub fn pack(
    weights: Weights,
    (first_tap, taps, all_taps): (usize, usize, usize),
    (inputs, outputs): (usize, usize),
    packed: &mut [f32],
    scratch: &mut [f32],
) {
    let padded = round_up(inputs, CHANNEL_STEP);
    let mut rest = packed;
    for (first, width) in blocks(outputs) {
        let (block, after) = rest.split_at_mut(taps * padded * width);
        rest = after;
        let columns = width.min(outputs - first);
        let matrix = weights.block(inputs * all_taps, first, columns);
        let matrix = matrix.widen(columns, scratch);
        for (row, out) in block.chunks_exact_mut(width).enumerate() {
            let (tap, i) = (first_tap + row / padded, row % padded);
            out.fill(0.0);
            if i < inputs {
                let start = (i * all_taps + tap) * columns;
                out[..columns].copy_from_slice(&matrix[start..start + columns]);
            }
        }
    }
}
