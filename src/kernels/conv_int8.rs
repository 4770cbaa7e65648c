//! Convolutions in whole numbers: inputs and weights in 8 bits, sums in 32.
//!
//! The input is quantized with one step for the whole picture, `largest / 255` if no value is
//! negative and `largest magnitude / 127` otherwise; the weights bring one scale per output
//! channel. The sums are exact, and what follows is rounded value by value, so that every path
//! gives the same result (but for SiLU, whose parts are rounded differently).

// Iterators over arrays of vectors become calls of memcpy, which cost as much as the arithmetic.
#![allow(clippy::needless_range_loop)]

use super::conv::{Conv, finish};
use super::dot::{Dot, QUANTIZED};
use super::isa::{Isa, dispatch_dot};
use super::pack::{Weights, blocks};
use super::product::{Epilogue, MOST_ROWS, Rows};
use super::simd::{BLOCK, Simd};

/// Most inputs of one sum: with larger ones it could leave 32 bits.
pub const MOST_INPUTS: usize = i32::MAX as usize / (255 * 127);

/// An input whose largest magnitude is below this is taken for zero: one over its step could not
/// be calculated.
const LEAST: f32 = 1e-30;

/// A convolution in whole numbers.
#[derive(Debug, Clone, Copy)]
pub struct ConvInt8 {
    pub conv: Conv,
    /// Whether inputs can be negative: then they keep a bit less.
    pub signed: bool,
}

impl ConvInt8 {
    /// Floats of scratch memory that [`conv_int8`] needs.
    pub fn scratch_len(&self, isa: Isa) -> usize {
        // A block of weights is at most as long as all rows of its 16 columns.
        let block = self.conv.kernel * self.conv.kernel * self.conv.input.grid.pixel() * BLOCK;
        ((block + self.conv.input.grid.floats()) * isa.dot_bytes()).div_ceil(size_of::<f32>())
    }
}

/// Runs a convolution with 8-bit weights in the order of [`arrange`](super::arrange). The paddings
/// of input and output must be clear. Panics if views, weights or bias do not fit together, or if
/// the weights are not [`Weights::Int8`] or too many for one sum ([`MOST_INPUTS`]).
pub fn conv_int8(
    isa: Isa,
    memory: &mut [f32],
    job: &ConvInt8,
    weights: Weights,
    scratch: &mut [f32],
    epilogue: Epilogue,
) {
    job.conv.check(memory.len(), &weights, epilogue);
    let Weights::Int8(numbers, scales) = weights else { panic!("weights in 8 bits") };
    let inputs = job.conv.kernel * job.conv.kernel * job.conv.input.grid.channels;
    assert!(inputs <= MOST_INPUTS, "sums in 32 bits");
    assert_eq!(scales.len(), job.conv.output.grid.channels, "scales");
    let scratch = scratch[..job.scratch_len(isa)].as_mut_ptr();
    let memory = memory.as_mut_ptr();
    let half = !job.conv.output.grid.pixel().is_multiple_of(BLOCK);
    // SAFETY of the pointers: all views are inside of `memory`, `fits` holds, and the scratch
    // memory has room for the quantized input and a block of weights.
    dispatch_dot!(isa, half, run(memory: *mut f32, job: &ConvInt8, numbers: &[i8], scales: &[f32], scratch: *mut f32, epilogue: Epilogue));
}

/// # Safety
///
/// As checked by [`conv_int8`]; the instruction set of `D` is there.
#[inline(always)]
unsafe fn run<D: Dot>(
    memory: *mut f32,
    job: &ConvInt8,
    numbers: &[i8],
    scales: &[f32],
    scratch: *mut f32,
    epilogue: Epilogue,
) {
    let ConvInt8 { conv, signed } = *job;
    let grid = conv.input.grid;
    let shift = D::shift(signed);
    let quantized = scratch.cast::<D::Input>();
    // SAFETY: inside of the input and of the scratch memory. A grid is a multiple of 32 floats.
    let (step, packed) = unsafe {
        let x = memory.add(conv.input.offset);
        let largest = largest::<D::Floats>(x, grid.floats(), signed);
        let levels = if signed { 127.0 } else { 255.0 };
        let inverse = if largest > LEAST { levels / largest } else { 0.0 };
        for i in (0..grid.floats()).step_by(QUANTIZED) {
            D::quantize(x.add(i), inverse, shift, quantized.add(i));
        }
        (largest / levels, quantized.add(grid.floats()).cast::<D::Weight>())
    };
    for (first, width) in blocks(conv.output.grid.channels) {
        let columns = width.min(conv.output.grid.channels - first);
        let mut block = Block { first, width, starts: [0; BLOCK], factors: [0.0; BLOCK] };
        for c in 0..columns {
            block.factors[c] = step * scales[first + c];
        }
        // SAFETY: the caller's promise.
        unsafe {
            pack::<D>(numbers, &conv, &mut block, columns, packed);
            for c in 0..BLOCK {
                block.starts[c] = block.starts[c].wrapping_mul(-shift);
            }
            products::<D>(memory, &conv, quantized, packed, &block, epilogue);
        }
    }
}

/// A block of output channels.
struct Block {
    first: usize,
    width: usize,
    /// Where the sums start.
    starts: [i32; BLOCK],
    /// What the sums are multiplied by.
    factors: [f32; BLOCK],
}

/// The largest value, or magnitude if `signed`. Not a number if one of the values is not finite,
/// so that the result of the convolution is none either.
///
/// # Safety
///
/// The instruction set of `S` is there; `x` can be read for `len` floats, a multiple of 32.
#[inline(always)]
unsafe fn largest<S: Simd>(x: *const f32, len: usize, signed: bool) -> f32 {
    // As many floats as every grid is a multiple of, in vectors that do not wait for each other.
    const AT_ONCE: usize = 32;
    let mut lanes = [[0.0; AT_ONCE]; 3];
    // SAFETY: the caller's promise.
    unsafe {
        let zero = S::splat(0.0);
        let mut high = [zero; AT_ONCE / 4];
        let mut low = [zero; AT_ONCE / 4];
        let mut poison = [zero; AT_ONCE / 4];
        for i in (0..len).step_by(AT_ONCE) {
            for n in 0..AT_ONCE / S::LANES {
                let v = S::load(x.add(i + n * S::LANES));
                poison[n] = S::fma(v, zero, poison[n]);
                high[n] = S::max(high[n], v);
                low[n] = S::min(low[n], v);
            }
        }
        for n in 0..AT_ONCE / S::LANES {
            S::store(lanes[0].as_mut_ptr().add(n * S::LANES), high[n]);
            S::store(lanes[1].as_mut_ptr().add(n * S::LANES), low[n]);
            S::store(lanes[2].as_mut_ptr().add(n * S::LANES), poison[n]);
        }
    }
    let (mut largest, mut poison) = (0.0, 0.0);
    for i in 0..AT_ONCE {
        if lanes[0][i] > largest {
            largest = lanes[0][i];
        }
        if signed && -lanes[1][i] > largest {
            largest = -lanes[1][i];
        }
        poison += lanes[2][i];
    }
    largest + poison
}

/// Arranges a block of weights as [`Dot::rank4`] takes it, `[taps][in, padded / 4]` of four rows;
/// padding is zero. Adds each column up in `block.starts`.
///
/// # Safety
///
/// The instruction set of `D` is there; `packed` has room for all taps of the padded inputs, times
/// the block's width.
#[inline(always)]
unsafe fn pack<D: Dot>(
    numbers: &[i8],
    conv: &Conv,
    block: &mut Block,
    columns: usize,
    packed: *mut D::Weight,
) {
    let (first_tap, taps, all_taps) = conv.taps();
    let (inputs, pixel) = (conv.input.grid.channels, conv.input.grid.pixel());
    let matrix = &numbers[block.first * inputs * all_taps..];
    let mut to = packed;
    for tap in first_tap..first_tap + taps {
        for i in (0..pixel).step_by(4) {
            let mut rows = [[0; BLOCK]; 4];
            for j in 0..4.min(inputs.saturating_sub(i)) {
                let start = ((i + j) * all_taps + tap) * columns;
                let row = &matrix[start..start + columns];
                if columns == BLOCK {
                    // SAFETY: as long as that.
                    rows[j] = unsafe { row.as_ptr().cast::<[i8; BLOCK]>().read() };
                } else {
                    rows[j][..columns].copy_from_slice(row);
                }
            }
            for c in 0..BLOCK {
                let ab = i16::from(rows[0][c]) + i16::from(rows[1][c]);
                let cd = i16::from(rows[2][c]) + i16::from(rows[3][c]);
                block.starts[c] += i32::from(ab + cd);
            }
            // SAFETY: the caller's promise.
            unsafe {
                D::arrange(&rows, block.width, to);
                to = to.add(4 * block.width);
            }
        }
    }
}

/// The products of one block of output channels, and the epilogue.
///
/// # Safety
///
/// As of [`run`]; `quantized` holds the whole input, `packed` what [`pack`] wrote for `block`.
#[inline(always)]
unsafe fn products<D: Dot>(
    memory: *mut f32,
    conv: &Conv,
    quantized: *const D::Input,
    packed: *const D::Weight,
    block: &Block,
    epilogue: Epilogue,
) {
    let (input, output) = (conv.input.grid, conv.output.grid);
    let (spread, dy, dx) = conv.spread;
    let (height, width) = conv.size();
    let rows = Rows {
        stride: conv.stride * input.pixel(),
        segments: conv.kernel,
        segment: input.row(),
        length: conv.kernel * input.pixel(),
        b: 0,
    };
    let step = spread * output.pixel();
    let mut found = [0.0; MOST_ROWS * BLOCK];
    for y in 0..height {
        for x in (0..width).step_by(D::ROWS) {
            let count = D::ROWS.min(width - x);
            let before = |n: usize| (n * conv.stride).wrapping_sub(conv.pad);
            let from = input.at(before(y), before(x));
            let to = output.at(spread * y + dy, spread * x + dx) + block.first;
            // SAFETY: the caller's promise.
            unsafe {
                let out = found.as_mut_ptr();
                sums::<D>(quantized.add(from), rows, count, packed, block, out);
                for r in 0..count {
                    let row = found.as_ptr().add(r * BLOCK);
                    let (offset, at) = (conv.output.offset, to + r * step);
                    finish::<D::Floats>(
                        row,
                        block.width,
                        memory,
                        offset,
                        at,
                        block.first,
                        epilogue,
                    );
                }
            }
        }
    }
}

/// `count <= ROWS` rows times a block of weights, times the block's factors, to memory: row `r` to
/// `out + r * BLOCK`.
///
/// # Safety
///
/// The instruction set of `D` is there; `a` can be read for `count` rows as `rows` says, `b` for a
/// block of packed weights; `out` has room for `count * BLOCK` floats.
#[inline(always)]
unsafe fn sums<D: Dot>(
    a: *const D::Input,
    rows: Rows,
    count: usize,
    b: *const D::Weight,
    block: &Block,
    out: *mut f32,
) {
    macro_rules! run {
        ($r:literal, $n:literal) => {
            // SAFETY: the caller's promise.
            unsafe { sums_of::<D, $r, $n>(a, rows, b, block, out) }
        };
    }
    macro_rules! by_rows {
        ($n:literal) => {
            match count {
                1 => run!(1, $n),
                2 => run!(2, $n),
                3 => run!(3, $n),
                4 => run!(4, $n),
                5 if D::ROWS > 4 => run!(5, $n),
                6 if D::ROWS > 4 => run!(6, $n),
                7 if D::ROWS > 6 => run!(7, $n),
                8 if D::ROWS > 6 => run!(8, $n),
                9 if D::ROWS > 6 => run!(9, $n),
                10 if D::ROWS > 6 => run!(10, $n),
                11 if D::ROWS > 6 => run!(11, $n),
                12 if D::ROWS > 6 => run!(12, $n),
                _ => {}
            }
        };
    }
    match block.width / D::Floats::LANES {
        1 => by_rows!(1),
        2 => by_rows!(2),
        4 if D::Floats::LANES == 4 => by_rows!(4),
        _ => {}
    }
}

/// [`sums`] of `R` rows and `N` vectors.
///
/// # Safety
///
/// As of [`sums`].
#[inline(always)]
unsafe fn sums_of<D: Dot, const R: usize, const N: usize>(
    a: *const D::Input,
    rows: Rows,
    b: *const D::Weight,
    block: &Block,
    out: *mut f32,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let start = D::load(block.starts.as_ptr());
        let mut acc = [[start; N]; R];
        for n in 1..N {
            let start = D::load(block.starts.as_ptr().add(n * D::Floats::LANES));
            for r in 0..R {
                acc[r][n] = start;
            }
        }
        let mut b = b;
        for s in 0..rows.segments {
            let a = a.add(s * rows.segment);
            for k in (0..rows.length).step_by(4) {
                D::rank4::<R, N>(&mut acc, a.add(k), rows.stride, b);
                b = b.add(4 * N * D::Floats::LANES);
            }
        }
        for n in 0..N {
            let lane = n * D::Floats::LANES;
            let factors = D::Floats::load(block.factors.as_ptr().add(lane));
            for r in 0..R {
                let sum = D::Floats::mul(D::to_floats(acc[r][n]), factors);
                D::Floats::store(out.add(r * BLOCK + lane), sum);
            }
        }
    }
}
