//! Products of bytes, as the kernels see them, and in plain Rust.

// Iterators over arrays of vectors become calls of memcpy, which cost as much as the arithmetic.
#![allow(clippy::needless_range_loop)]

use super::portable::Portable;
use super::simd::{BLOCK, Simd};

/// Values that are quantized at a time.
pub const QUANTIZED: usize = 16;

/// Matrix products of one instruction set in whole numbers: inputs in `0..=255` (if none is
/// negative) or `-127..=127`, weights in `-127..=127`, sums in 32 bits. The counterpart of [`Simd`];
/// what stands there about inlining holds here. Every path gives the same sums, bit for bit.
///
/// # Safety
///
/// As of [`Simd`].
pub unsafe trait Dot {
    /// The vectors that sums become: as many lanes.
    type Floats: Simd;
    /// How an input is held: plus [`shift`](Dot::shift).
    type Input: Copy;
    /// How a weight is held.
    type Weight: Copy;
    /// Sums of [`Simd::LANES`] outputs in 32 bits.
    type V: Copy;
    /// Rows of the register block.
    const ROWS: usize;

    /// What is added to inputs so that they fit their type. The sums start with what takes it back:
    /// `-shift` times the sum of the weights.
    fn shift(signed: bool) -> i32;

    unsafe fn load(p: *const i32) -> Self::V;
    unsafe fn to_floats(v: Self::V) -> <Self::Floats as Simd>::V;
    /// Arranges the weights of four inputs for [`rank4`](Dot::rank4): `width` (8 or 16) outputs of
    /// each row.
    unsafe fn arrange(rows: &[[i8; BLOCK]; 4], width: usize, to: *mut Self::Weight);

    /// `round(x * inverse) + shift` for [`QUANTIZED`] values; halves go to the even number.
    unsafe fn quantize(x: *const f32, inverse: f32, shift: i32, to: *mut Self::Input);

    /// Four steps of a matrix product in registers, as [`Simd::rank4`]: adds
    /// `a[r][0..4] * b[0..4][..]` to `acc`. Row `r` of `a` starts `r * stride` inputs on; the four
    /// rows of `b` are `N` vectors wide and lie as [`arrange`](Dot::arrange) put them.
    unsafe fn rank4<const R: usize, const N: usize>(
        acc: &mut [[Self::V; N]; R],
        a: *const Self::Input,
        stride: usize,
        b: *const Self::Weight,
    );
}

/// Plain Rust.
pub struct PortableDot;

// SAFETY: no instruction is used that the target does not have.
unsafe impl Dot for PortableDot {
    type Floats = Portable;
    type Input = i16;
    type Weight = i16;
    type V = [i32; 8];
    const ROWS: usize = 4;

    #[inline(always)]
    fn shift(_signed: bool) -> i32 {
        0
    }
    #[inline(always)]
    unsafe fn load(p: *const i32) -> [i32; 8] {
        // SAFETY: the caller's promise.
        unsafe { p.cast::<[i32; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn to_floats(v: [i32; 8]) -> [f32; 8] {
        let mut floats = [0.0; 8];
        for i in 0..8 {
            floats[i] = v[i] as f32;
        }
        floats
    }
    /// One row after the other.
    #[inline(always)]
    unsafe fn arrange(rows: &[[i8; BLOCK]; 4], width: usize, to: *mut i16) {
        for k in 0..4 {
            for c in 0..width {
                // SAFETY: the caller's promise.
                unsafe { *to.add(k * width + c) = i16::from(rows[k][c]) };
            }
        }
    }
    #[inline(always)]
    unsafe fn quantize(x: *const f32, inverse: f32, shift: i32, to: *mut i16) {
        // Floats from here to twice as far are whole numbers: the sum is rounded to one.
        const WHOLE: f32 = 12_582_912.0;
        for i in 0..QUANTIZED {
            // SAFETY: the caller's promise.
            unsafe {
                let rounded = *x.add(i) * inverse + WHOLE;
                let whole = (rounded.to_bits() as i32).wrapping_sub(WHOLE.to_bits() as i32);
                *to.add(i) = whole.wrapping_add(shift) as i16;
            }
        }
    }
    #[inline(always)]
    unsafe fn rank4<const R: usize, const N: usize>(
        acc: &mut [[[i32; 8]; N]; R],
        a: *const i16,
        stride: usize,
        b: *const i16,
    ) {
        for k in 0..4 {
            for n in 0..N {
                // SAFETY: the caller's promise.
                unsafe {
                    let w = b.add((k * N + n) * 8).cast::<[i16; 8]>().read_unaligned();
                    for r in 0..R {
                        let x = *a.add(r * stride + k);
                        for i in 0..8 {
                            let product = i32::from(x) * i32::from(w[i]);
                            acc[r][n][i] = acc[r][n][i].wrapping_add(product);
                        }
                    }
                }
            }
        }
    }
}
