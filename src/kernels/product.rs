//! The matrix product in registers, and what happens to a sum before it is stored.

// Iterators over arrays of vectors become calls of memcpy, which cost as much as the arithmetic.
#![allow(clippy::needless_range_loop)]

use serde::{Deserialize, Serialize};

use super::simd::{BLOCK, Simd};

/// A function of one value, after a convolution or a norm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    None,
    /// `max(x, 0)`
    Relu,
    /// `x` where positive, `slope * x` elsewhere.
    LeakyRelu(f32),
    /// `x / (1 + exp(-x))`
    Silu,
}

/// What is done to the sums of a convolution: `activation(sum + bias) + residual`.
#[derive(Clone, Copy)]
pub struct Epilogue<'a> {
    /// One value per output channel, padded: the layer's bias with the time embedding.
    pub bias: &'a [f32],
    pub activation: Activation,
    /// Offset in memory of a picture of the output's grid.
    pub residual: Option<usize>,
}

/// `x / (1 + exp(-x))`, within 4e-7 of `|x|`.
///
/// # Safety
///
/// The instruction set of `S` is there.
#[inline(always)]
pub unsafe fn silu<S: Simd>(x: S::V) -> S::V {
    // SAFETY: as above.
    unsafe {
        let one = S::splat(1.0);
        let e = exp::<S>(S::sub(S::splat(0.0), x));
        S::div(x, S::add(one, e))
    }
}

/// `exp(x)` for `x` in -87..=88, clamped to that; relative error below 2e-7.
///
/// `exp(x) = 2^n exp(r)` with `|r| <= log(2) / 2`, `exp(r)` by its Taylor series to the seventh
/// power.
///
/// # Safety
///
/// The instruction set of `S` is there.
#[inline(always)]
pub unsafe fn exp<S: Simd>(x: S::V) -> S::V {
    // SAFETY: as above; `n` stays in -126..=127 by the clamp.
    unsafe {
        let x = S::max(S::min(x, S::splat(88.0)), S::splat(-87.0));
        let n = S::round(S::mul(x, S::splat(std::f32::consts::LOG2_E)));
        // log(2) in two parts, the first exact in few bits.
        let r = S::fma(n, S::splat(-0.693_359_4), x);
        let r = S::fma(n, S::splat(2.121_944_4e-4), r);
        let mut sum = S::splat(1.0 / 5040.0);
        for term in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
            sum = S::fma(sum, r, S::splat(term));
        }
        S::mul(sum, S::exp2_whole(n))
    }
}

impl Activation {
    /// # Safety
    ///
    /// The instruction set of `S` is there.
    #[inline(always)]
    pub unsafe fn apply<S: Simd>(self, x: S::V) -> S::V {
        // SAFETY: as above.
        unsafe {
            match self {
                Activation::None => x,
                Activation::Relu => S::max(x, S::splat(0.0)),
                Activation::LeakyRelu(slope) => {
                    let zero = S::splat(0.0);
                    S::fma(S::min(x, zero), S::splat(slope), S::max(x, zero))
                }
                Activation::Silu => silu::<S>(x),
            }
        }
    }
}

/// Rows of the left matrix: row `r` starts `r * stride` floats on and is made of `segments` runs
/// of `length` floats, a multiple of 4, that start `segment` floats apart.
#[derive(Clone, Copy)]
pub struct Rows {
    pub stride: usize,
    pub segments: usize,
    pub segment: usize,
    pub length: usize,
    /// From one row of the right matrix to the next.
    pub b: usize,
}

/// `R` rows times a panel of `N` vectors, in registers.
///
/// # Safety
///
/// `a` is valid for the rows, `b` for `segments * length` rows of `N`
/// vectors, and the instruction
/// set of `S` is there.
#[inline(always)]
pub unsafe fn product<S: Simd, const R: usize, const N: usize>(
    a: *const f32,
    rows: Rows,
    b: *const f32,
) -> [[S::V; N]; R] {
    // SAFETY: as above.
    unsafe {
        let mut acc = [[S::splat(0.0); N]; R];
        let mut b = b;
        for s in 0..rows.segments {
            let a = a.add(s * rows.segment);
            for k in (0..rows.length).step_by(4) {
                S::rank4(&mut acc, a.add(k), rows.stride, b, rows.b);
                b = b.add(4 * rows.b);
            }
        }
        acc
    }
}

/// `count <= ROWS` rows times a panel of `width` floats (8 or 16), to memory: row `r` of the sums
/// to `out + r * stride`.
///
/// # Safety
///
/// As [`product`], and `out` is valid for the sums.
#[inline(always)]
pub unsafe fn sums<S: Simd>(
    a: *const f32,
    rows: Rows,
    count: usize,
    b: *const f32,
    width: usize,
    (out, stride): (*mut f32, usize),
) {
    macro_rules! run {
        ($r:literal, $n:literal) => {{
            // SAFETY: as above.
            let sums = unsafe { product::<S, $r, $n>(a, rows, b) };
            for r in 0..$r {
                for n in 0..$n {
                    // SAFETY: as above.
                    unsafe { S::store(out.add(r * stride + n * S::LANES), sums[r][n]) };
                }
            }
        }};
    }
    macro_rules! by_rows {
        ($n:literal) => {
            match count {
                1 => run!(1, $n),
                2 => run!(2, $n),
                3 => run!(3, $n),
                4 => run!(4, $n),
                5 if S::ROWS > 4 => run!(5, $n),
                6 if S::ROWS > 4 => run!(6, $n),
                7 if S::ROWS > 6 => run!(7, $n),
                8 if S::ROWS > 6 => run!(8, $n),
                9 if S::ROWS > 6 => run!(9, $n),
                10 if S::ROWS > 6 => run!(10, $n),
                11 if S::ROWS > 6 => run!(11, $n),
                12 if S::ROWS > 6 => run!(12, $n),
                _ => {}
            }
        };
    }
    debug_assert!(count <= S::ROWS && (width == BLOCK || width == BLOCK / 2));
    match width / S::LANES {
        1 => by_rows!(1),
        2 => by_rows!(2),
        4 if S::LANES == 4 => by_rows!(4),
        _ => {}
    }
}

/// Most rows of a register block, of any instruction set.
pub const MOST_ROWS: usize = 12;
