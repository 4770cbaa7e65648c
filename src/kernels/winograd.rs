//! 3x3 convolution at stride 1 by Winograd's F(4x4, 3x3) (Lavin and Gray 2016): 36 products in
//! place of 144 for 4x4 outputs.
//!
//! `Y = A^T [(G g G^T) . (B^T d B)] A`, with the interpolation points 0, 1, -1, 2, -2 and
//! infinity. The 36 products are matrix products over channels, one per frequency.

// Iterators over arrays of vectors become calls of memcpy, which cost as much as the arithmetic.
#![allow(clippy::needless_range_loop)]

use super::grid::{CHANNEL_STEP, View, round_up};
use super::isa::{Isa, dispatch};
use super::pack::{Weights, blocks};
use super::product::{self, Epilogue, Rows};
use super::simd::{BLOCK, Simd};
use super::transforms::{IN, OUT, input_1d, kernel_1d, output_1d};

/// Products per tile and pair of channels.
const FREQUENCIES: usize = IN * IN;

/// Bytes of transformed inputs that are worked on at a time: less than the second-level cache of
/// the small boards.
const INPUT_BYTES: usize = 192 << 10;

/// Tiles that are worked on at a time are a multiple of this: of every path's register block.
const BATCH_STEP: usize = 12;

/// Floats between the frequencies of the transformed weights: a cache line, so that a kernel's 36
/// values do not fall into few cache sets.
const SKEW: usize = 16;

/// A 3x3 convolution at stride 1 with one pixel of zeros around, by Winograd's method.
#[derive(Debug, Clone, Copy)]
pub struct Winograd {
    pub input: View,
    pub output: View,
}

impl Winograd {
    fn tiles(&self) -> (usize, usize) {
        let grid = self.output.grid;
        (grid.height.div_ceil(OUT), grid.width.div_ceil(OUT))
    }

    /// Tiles that are worked on at a time.
    fn batch(&self) -> usize {
        let most = INPUT_BYTES / (FREQUENCIES * self.input.grid.pixel() * size_of::<f32>());
        let (down, across) = self.tiles();
        let batches = (down * across).div_ceil(most.max(1).next_multiple_of(BATCH_STEP));
        (down * across).div_ceil(batches).next_multiple_of(BATCH_STEP)
    }

    fn batches(&self) -> usize {
        let (down, across) = self.tiles();
        (down * across).div_ceil(self.batch())
    }

    /// Floats of transformed weights that are held at a time: all, where they are used more than
    /// once; otherwise one block of output channels, which then stays in the cache.
    fn weights_len(&self) -> usize {
        let inputs = self.input.grid.channels;
        let lens = blocks(self.output.grid.channels).map(|(_, width)| block_len(inputs, width));
        if self.batches() == 1 { lens.max().unwrap_or(0) } else { lens.sum() }
    }

    /// Floats of scratch memory that [`winograd`] needs.
    pub fn scratch_len(&self, weights: &Weights) -> usize {
        weights.widened_len() + self.own_scratch_len()
    }

    fn own_scratch_len(&self) -> usize {
        self.weights_len() + self.batch() * FREQUENCIES * (self.input.grid.pixel() + BLOCK)
    }
}

/// Floats from one frequency to the next in a block of `width` output channels.
fn frequency_len(inputs: usize, width: usize) -> usize {
    round_up(inputs, CHANNEL_STEP) * width + SKEW
}

/// Floats of a block of `width` output channels.
fn block_len(inputs: usize, width: usize) -> usize {
    FREQUENCIES * frequency_len(inputs, width)
}

/// Runs the convolution with weights in the order of [`arrange`](super::arrange). The paddings of input and output must be
/// clear. Panics if the parts do not fit together.
pub fn winograd(
    isa: Isa,
    memory: &mut [f32],
    job: &Winograd,
    weights: Weights,
    scratch: &mut [f32],
    epilogue: Epilogue,
) {
    let (input, output) = (job.input.grid, job.output.grid);
    assert_eq!((input.height, input.width), (output.height, output.width), "sizes");
    assert_eq!(weights.count(), 9 * input.channels * output.channels, "number of weights");
    assert!(epilogue.bias.len() >= output.pixel(), "bias");
    assert!(!job.input.overlaps(&job.output), "input apart from output");
    let end = |view: &View| view.offset + view.grid.floats();
    let residual = epilogue.residual.map_or(0, |offset| offset + output.floats());
    assert!(end(&job.input).max(end(&job.output)).max(residual) <= memory.len(), "views");
    let (scratch, widened) =
        scratch[..job.scratch_len(&weights)].split_at_mut(job.own_scratch_len());
    let memory = memory.as_mut_ptr();
    let scratch = scratch.as_mut_ptr();
    // SAFETY of the pointers: all views are inside of `memory`, and the other lengths are right.
    let isa = isa.narrowed(&[input, output]);
    dispatch!(isa, run(memory: *mut f32, job: &Winograd, weights: Weights, scratch: *mut f32, widened: &mut [f32], epilogue: Epilogue));
}

/// # Safety
///
/// As checked by [`winograd`]; the instruction set of `S` is there.
#[inline(always)]
unsafe fn run<S: Simd>(
    memory: *mut f32,
    job: &Winograd,
    weights: Weights,
    scratch: *mut f32,
    widened: &mut [f32],
    epilogue: Epilogue,
) {
    let (down, across) = job.tiles();
    let (batch, batches) = (job.batch(), job.batches());
    let (inputs, outputs) = (job.input.grid.channels, job.output.grid.channels);
    let depth = job.input.grid.pixel();
    // Tile after tile, frequency after frequency, channel after channel.
    // SAFETY: inside of the scratch memory.
    let (spectrum, sums) = unsafe {
        let spectrum = scratch.add(job.weights_len());
        (spectrum, spectrum.add(batch * FREQUENCIES * depth))
    };
    for n in 0..batches {
        let start = n * batch;
        let count = batch.min(down * across - start);
        let place = |n: usize| ((start + n) / across * OUT, (start + n) % across * OUT);
        for n in 0..count {
            let (y, x) = place(n);
            // SAFETY: the window of a tile lies in the padded picture.
            unsafe {
                let window = memory.add(
                    job.input.offset + job.input.grid.at(y.wrapping_sub(1), x.wrapping_sub(1)),
                );
                input_tile::<S>(window, job, spectrum.add(n * FREQUENCIES * depth));
            }
        }
        let mut block = scratch;
        for (first, width) in blocks(outputs) {
            // SAFETY: as above.
            unsafe {
                if n == 0 {
                    let columns = width.min(outputs - first);
                    let matrix = weights.block(9 * inputs, first, columns);
                    let matrix = matrix.widen(columns, widened);
                    weights_block::<S>(matrix, inputs, (columns, width), block);
                }
                products::<S>(spectrum, depth, count, block, width, sums);
                for n in 0..count {
                    for lane in (0..width).step_by(S::LANES) {
                        let sums = sums.add(n * FREQUENCIES * BLOCK + lane);
                        output_tile::<S>(sums, memory, job, place(n), first + lane, epilogue);
                    }
                }
                if batches > 1 {
                    block = block.add(block_len(inputs, width));
                }
            }
        }
    }
}

/// `G g G^T` for one block of output channels: from `[in][taps][columns]` to
/// `[frequencies][in][width]`.
///
/// # Safety
///
/// The instruction set of `S` is there; `block` has room for `FREQUENCIES` times
/// [`frequency_len`] floats.
#[inline(always)]
unsafe fn weights_block<S: Simd>(
    matrix: &[f32],
    inputs: usize,
    (columns, width): (usize, usize),
    block: *mut f32,
) {
    let frequency = frequency_len(inputs, width);
    for i in 0..round_up(inputs, CHANNEL_STEP) {
        for lane in (0..width).step_by(S::LANES) {
            // SAFETY: the caller's promise.
            unsafe {
                let mut half = [[S::splat(0.0); IN]; 3];
                if i < inputs {
                    for column in 0..3 {
                        let row = i * 9 + column;
                        half[column] = kernel_1d::<S>([
                            load_part::<S>(matrix, row * columns, lane, columns),
                            load_part::<S>(matrix, (row + 3) * columns, lane, columns),
                            load_part::<S>(matrix, (row + 6) * columns, lane, columns),
                        ]);
                    }
                }
                let to = opaque(block.add(i * width + lane));
                for row in 0..IN {
                    let out = kernel_1d::<S>([half[0][row], half[1][row], half[2][row]]);
                    for column in 0..IN {
                        S::store(to.add((row * IN + column) * frequency), out[column]);
                    }
                }
            }
        }
    }
}

/// The pointer itself. Without this the compiler steps dozens of addresses along in memory, one for
/// each place that is reached from the pointer, which costs more than working them out.
#[inline(always)]
fn opaque(pointer: *mut f32) -> *mut f32 {
    std::hint::black_box(pointer)
}

/// Columns `lane..` of the row that starts at `row`; zeros where it has no more columns.
///
/// # Safety
///
/// The instruction set of `S` is there.
#[inline(always)]
unsafe fn load_part<S: Simd>(matrix: &[f32], row: usize, lane: usize, columns: usize) -> S::V {
    let known = S::LANES.min(columns.saturating_sub(lane));
    // SAFETY: a vector is read only where the row goes on so far.
    unsafe {
        if known == S::LANES {
            return S::load(matrix[row + lane..row + lane + known].as_ptr());
        }
        let mut padded = [0.0; BLOCK];
        for (to, from) in padded.iter_mut().zip(&matrix[row + columns - known..row + columns]) {
            *to = *from;
        }
        S::load(padded.as_ptr())
    }
}

/// The products over input channels, for `count` tiles and one block of output channels.
///
/// # Safety
///
/// The instruction set of `S` is there; `spectrum` holds `count` tiles of `FREQUENCIES * depth`
/// floats, `block` what [`weights_block`] wrote, and `sums` has room for `count` tiles of
/// `FREQUENCIES * BLOCK` floats.
#[inline(always)]
unsafe fn products<S: Simd>(
    spectrum: *const f32,
    depth: usize,
    count: usize,
    block: *const f32,
    width: usize,
    sums: *mut f32,
) {
    let stride = FREQUENCIES * depth;
    let rows = Rows { stride, segments: 1, segment: 0, length: depth, b: width };
    let frequency = depth * width + SKEW;
    for f in 0..FREQUENCIES {
        for n in (0..count).step_by(S::ROWS) {
            let rows_left = S::ROWS.min(count - n);
            // SAFETY: the caller's promise.
            unsafe {
                let a = spectrum.add((n * FREQUENCIES + f) * depth);
                let b = block.add(f * frequency);
                let out = sums.add((n * FREQUENCIES + f) * BLOCK);
                product::sums::<S>(a, rows, rows_left, b, width, (out, FREQUENCIES * BLOCK));
            }
        }
    }
}

/// `B^T d B` of the window that starts at `window`, for all channels.
///
/// # Safety
///
/// The instruction set of `S` is there; `window` is the top left of `IN` x `IN` pixels of the padded
/// input, all of it readable; `spectrum` has room for `FREQUENCIES` times a pixel's floats.
#[inline(always)]
unsafe fn input_tile<S: Simd>(window: *const f32, job: &Winograd, spectrum: *mut f32) {
    let (row, pixel) = (job.input.grid.row(), job.input.grid.pixel());
    for c in (0..pixel).step_by(S::LANES) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut half = [[S::splat(0.0); IN]; IN];
            for x in 0..IN {
                let top = window.add(x * pixel + c);
                half[x] = input_1d::<S>([
                    S::load(top),
                    S::load(top.add(row)),
                    S::load(top.add(2 * row)),
                    S::load(top.add(3 * row)),
                    S::load(top.add(4 * row)),
                    S::load(top.add(5 * row)),
                ]);
            }
            for y in 0..IN {
                let out = input_1d::<S>([
                    half[0][y], half[1][y], half[2][y], half[3][y], half[4][y], half[5][y],
                ]);
                for x in 0..IN {
                    S::store(spectrum.add((y * IN + x) * pixel + c), out[x]);
                }
            }
        }
    }
}

/// `A^T m A` of the sums of one tile and vector of channels, and the epilogue.
///
/// # Safety
///
/// The instruction set of `S` is there; `sums` holds the `FREQUENCIES * BLOCK` sums of a tile, from
/// the vector of channels that is wanted; `(y, x)` lies in the output, whose place in `memory`, and the
/// residual's, can be read and written.
#[inline(always)]
unsafe fn output_tile<S: Simd>(
    sums: *const f32,
    memory: *mut f32,
    job: &Winograd,
    (y, x): (usize, usize),
    channel: usize,
    epilogue: Epilogue,
) {
    let grid = job.output.grid;
    let (rows, columns) = (OUT.min(grid.height - y), OUT.min(grid.width - x));
    // SAFETY: the caller's promise; only pixels of the picture are written.
    unsafe {
        let bias = S::load(epilogue.bias.as_ptr().add(channel));
        let mut half = [[S::splat(0.0); OUT]; IN];
        for column in 0..IN {
            let top = sums.add(column * BLOCK);
            half[column] = output_1d::<S>([
                S::load(top),
                S::load(top.add(IN * BLOCK)),
                S::load(top.add(2 * IN * BLOCK)),
                S::load(top.add(3 * IN * BLOCK)),
                S::load(top.add(4 * IN * BLOCK)),
                S::load(top.add(5 * IN * BLOCK)),
            ]);
        }
        for r in 0..rows {
            let line = output_1d::<S>([
                half[0][r], half[1][r], half[2][r], half[3][r], half[4][r], half[5][r],
            ]);
            for c in 0..columns {
                let at = grid.at(y + r, x + c) + channel;
                let mut value = epilogue.activation.apply::<S>(S::add(line[c], bias));
                if let Some(residual) = epilogue.residual {
                    value = S::add(value, S::load(memory.add(residual + at)));
                }
                S::store(memory.add(job.output.offset + at), value);
            }
        }
    }
}
