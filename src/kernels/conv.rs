//! Convolutions as matrix products over runs of memory: 1x1, 2x2 and 3x3, at stride 1 or 2, and
//! transposed 2x2 at stride 2.

use super::grid::View;
use super::isa::{Isa, dispatch};
use super::pack::{Weights, blocks, pack, packed_len};
use super::product::{Epilogue, MOST_ROWS, Rows, sums};
use super::simd::{BLOCK, Simd};

/// A convolution from one picture to another in the same memory.
#[derive(Debug, Clone, Copy)]
pub struct Conv {
    pub input: View,
    pub output: View,
    /// Side of the kernel: 1, 2 or 3.
    pub kernel: usize,
    /// 1 or 2.
    pub stride: usize,
    /// Rows and columns of zeros before the picture: 0 or 1.
    pub pad: usize,
    /// Where outputs go: pixel `(y, x)` to `(spread y + dy, spread x + dx)`. `(1, 0, 0)`, or
    /// `(2, dy, dx)` for one tap of a transposed convolution.
    pub spread: (usize, usize, usize),
}

impl Conv {
    /// Rows and columns that are computed.
    pub(super) fn size(&self) -> (usize, usize) {
        let (spread, dy, dx) = self.spread;
        let along = |n: usize, d: usize| (n - d).div_ceil(spread);
        (along(self.output.grid.height, dy), along(self.output.grid.width, dx))
    }

    /// Floats of scratch memory that [`conv`] needs.
    pub fn scratch_len(&self, weights: &Weights) -> usize {
        self.packed_len() + weights.widened_len()
    }

    fn packed_len(&self) -> usize {
        let (input, output) = (self.input.grid.channels, self.output.grid.channels);
        packed_len(self.kernel * self.kernel, input, output)
    }

    /// The first tap, the number of taps, and how many the weights have.
    pub(super) fn taps(&self) -> (usize, usize, usize) {
        let (spread, dy, dx) = self.spread;
        let own = self.kernel * self.kernel;
        ((dy * spread + dx) * own, own, spread * spread * own)
    }

    /// Whether every pixel that is read or written lies in its picture or the border.
    fn fits(&self) -> bool {
        let (height, width) = self.size();
        let reach = |n: usize, side: usize| {
            n == 0 || (n - 1) * self.stride + self.kernel <= side + self.pad + 1
        };
        let (spread, dy, dx) = self.spread;
        matches!(self.kernel, 1..=3)
            && matches!(self.stride, 1 | 2)
            && self.pad <= 1
            && dy < spread
            && dx < spread
            && reach(height, self.input.grid.height)
            && reach(width, self.input.grid.width)
    }

    /// Panics if views, weights or bias do not fit together, or do not fit a memory of `len`.
    pub(super) fn check(&self, len: usize, weights: &Weights, epilogue: Epilogue) {
        let (input, output) = (self.input.grid, self.output.grid);
        assert!(self.fits(), "a convolution inside its pictures");
        let all = self.taps().2 * input.channels * output.channels;
        assert_eq!(weights.count(), all, "number of weights");
        assert!(epilogue.bias.len() >= output.pixel(), "bias");
        assert!(!self.input.overlaps(&self.output), "input apart from output");
        let end = |view: &View| view.offset + view.grid.floats();
        let residual = epilogue.residual.map_or(0, |offset| offset + output.floats());
        assert!(end(&self.input).max(end(&self.output)).max(residual) <= len, "views");
    }
}

/// Runs a convolution with weights in the order of [`arrange`](super::arrange); those of a
/// transposed one hold the taps of all four places. The paddings of input and output must be clear. Panics if views, weights or bias do not fit together.
pub fn conv(
    isa: Isa,
    memory: &mut [f32],
    job: &Conv,
    weights: Weights,
    scratch: &mut [f32],
    epilogue: Epilogue,
) {
    let (inputs, outputs) = (job.input.grid.channels, job.output.grid.channels);
    job.check(memory.len(), &weights, epilogue);
    let (packed, widened) = scratch[..job.scratch_len(&weights)].split_at_mut(job.packed_len());
    pack(weights, job.taps(), (inputs, outputs), packed, widened);
    let packed: &[f32] = packed;
    let memory = memory.as_mut_ptr();
    // SAFETY of the pointers: all views are inside of `memory`, and `fits` holds.
    let isa = isa.narrowed(&[job.input.grid, job.output.grid]);
    dispatch!(isa, run(memory: *mut f32, job: &Conv, packed: &[f32], epilogue: Epilogue));
}

/// # Safety
///
/// As checked by [`conv`]; the instruction set of `S` is there.
#[inline(always)]
unsafe fn run<S: Simd>(memory: *mut f32, job: &Conv, packed: &[f32], epilogue: Epilogue) {
    let (input, output) = (job.input.grid, job.output.grid);
    let (spread, dy, dx) = job.spread;
    let (height, width) = job.size();
    let rows = Rows {
        stride: job.stride * input.pixel(),
        segments: job.kernel,
        segment: input.row(),
        length: job.kernel * input.pixel(),
        b: BLOCK,
    };
    let depth = rows.segments * rows.length;
    let step = spread * output.pixel();
    let mut found = [0.0; MOST_ROWS * BLOCK];
    for (first, lanes) in blocks(output.channels) {
        let rows = Rows { b: lanes, ..rows };
        for y in 0..height {
            for x in (0..width).step_by(S::ROWS) {
                let count = S::ROWS.min(width - x);
                let before = |n: usize| (n * job.stride).wrapping_sub(job.pad);
                let from = job.input.offset + input.at(before(y), before(x));
                let to = output.at(spread * y + dy, spread * x + dx) + first;
                // SAFETY: as above.
                unsafe {
                    let b = packed.as_ptr().add(first * depth);
                    let out = (found.as_mut_ptr(), BLOCK);
                    sums::<S>(memory.add(from), rows, count, b, lanes, out);
                    for r in 0..count {
                        let at = to + r * step;
                        let row = found.as_ptr().add(r * BLOCK);
                        finish::<S>(row, lanes, memory, job.output.offset, at, first, epilogue);
                    }
                }
            }
        }
    }
}

/// The epilogue of `lanes` sums of one pixel, at `at` in the grid.
///
/// # Safety
///
/// The instruction set of `S` is there; `sums` can be read and `memory + offset + at`, and the
/// residual's place there, read and written for `lanes` floats rounded up to whole vectors; the bias
/// goes on for as many from `channel`.
#[inline(always)]
pub(super) unsafe fn finish<S: Simd>(
    sums: *const f32,
    lanes: usize,
    memory: *mut f32,
    offset: usize,
    at: usize,
    channel: usize,
    epilogue: Epilogue,
) {
    for lane in (0..lanes).step_by(S::LANES) {
        // SAFETY: the caller's promise.
        unsafe {
            let bias = S::load(epilogue.bias.as_ptr().add(channel + lane));
            let sum = S::add(S::load(sums.add(lane)), bias);
            let mut value = epilogue.activation.apply::<S>(sum);
            if let Some(residual) = epilogue.residual {
                value = S::add(value, S::load(memory.add(residual + at + lane)));
            }
            S::store(memory.add(offset + at + lane), value);
        }
    }
}
