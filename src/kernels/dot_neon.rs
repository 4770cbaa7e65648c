//! Products of bytes on ARM64.

// Iterators over arrays of vectors become calls of memcpy, which cost as much as the arithmetic.
#![allow(clippy::needless_range_loop)]

use std::arch::aarch64::*;
use std::arch::asm;

use super::dot::{Dot, QUANTIZED};
use super::neon::Neon;
use super::simd::BLOCK;

/// Inputs are signed bytes: without a sign they are shifted down.
#[inline(always)]
fn shift(signed: bool) -> i32 {
    if signed { 0 } else { -128 }
}

/// # Safety
///
/// `x` and `to` are valid for [`QUANTIZED`] values.
#[inline(always)]
unsafe fn quantize(x: *const f32, inverse: f32, shift: i32, to: *mut i8) {
    // SAFETY: the caller's promise.
    unsafe {
        let shift = vdupq_n_s32(shift);
        let mut whole = [shift; QUANTIZED / 4];
        for i in 0..QUANTIZED / 4 {
            let v = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x.add(4 * i)), inverse));
            whole[i] = vaddq_s32(v, shift);
        }
        let low = vcombine_s16(vqmovn_s32(whole[0]), vqmovn_s32(whole[1]));
        let high = vcombine_s16(vqmovn_s32(whole[2]), vqmovn_s32(whole[3]));
        vst1q_s8(to, vcombine_s8(vqmovn_s16(low), vqmovn_s16(high)));
    }
}

/// What every ARM64 has: `smull`, `smlal` and `sadalp`.
pub struct NeonPairs;

// SAFETY: NEON belongs to the baseline of the target.
unsafe impl Dot for NeonPairs {
    type Floats = Neon;
    type Input = i8;
    type Weight = i8;
    type V = int32x4_t;
    // 4 x 4 sums, 8 halves of vectors of weights and 2 of inputs, and the products on their way.
    const ROWS: usize = 4;

    #[inline(always)]
    fn shift(signed: bool) -> i32 {
        shift(signed)
    }
    #[inline(always)]
    unsafe fn load(p: *const i32) -> int32x4_t {
        // SAFETY: see the impl.
        unsafe { vld1q_s32(p) }
    }
    #[inline(always)]
    unsafe fn to_floats(v: int32x4_t) -> float32x4_t {
        // SAFETY: see the impl.
        unsafe { vcvtq_f32_s32(v) }
    }
    /// Pairs of inputs.
    #[inline(always)]
    unsafe fn arrange(rows: &[[i8; BLOCK]; 4], width: usize, to: *mut i8) {
        // SAFETY: see the impl.
        unsafe {
            for pair in 0..2 {
                let a = vld1q_s8(rows[2 * pair].as_ptr());
                let b = vld1q_s8(rows[2 * pair + 1].as_ptr());
                let to = to.add(pair * 2 * width);
                vst1q_s8(to, vzip1q_s8(a, b));
                if width == BLOCK {
                    vst1q_s8(to.add(16), vzip2q_s8(a, b));
                }
            }
        }
    }
    #[inline(always)]
    unsafe fn quantize(x: *const f32, inverse: f32, shift: i32, to: *mut i8) {
        // SAFETY: the caller's promise.
        unsafe { quantize(x, inverse, shift, to) }
    }
    /// Two products of bytes fit 16 bits: 2 * 128 * 127 < 2^15. So two are added there before they
    /// are added to the sums in pairs.
    #[inline(always)]
    unsafe fn rank4<const R: usize, const N: usize>(
        acc: &mut [[int32x4_t; N]; R],
        a: *const i8,
        stride: usize,
        b: *const i8,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut w = [[vdup_n_s8(0); N]; 2];
            for n in 0..N {
                w[0][n] = vld1_s8(b.add(n * 8));
                w[1][n] = vld1_s8(b.add((N + n) * 8));
            }
            for r in 0..R {
                let x = a.add(r * stride).cast::<i16>();
                let x0 = vreinterpret_s8_s16(vdup_n_s16(x.read_unaligned()));
                let x1 = vreinterpret_s8_s16(vdup_n_s16(x.add(1).read_unaligned()));
                for n in 0..N {
                    let products = vmlal_s8(vmull_s8(x0, w[0][n]), x1, w[1][n]);
                    acc[r][n] = vpadalq_s16(acc[r][n], products);
                }
            }
        }
    }
}

/// ARM64 with the dot product instructions (ARMv8.2 and later, optionally).
pub struct NeonDot;

// SAFETY: instantiated only inside functions that enable `dotprod`, which are called only where
// the processor has it (`super::Isa::available`).
unsafe impl Dot for NeonDot {
    type Floats = Neon;
    type Input = i8;
    type Weight = i8;
    type V = int32x4_t;
    const ROWS: usize = 6;

    #[inline(always)]
    fn shift(signed: bool) -> i32 {
        shift(signed)
    }
    #[inline(always)]
    unsafe fn load(p: *const i32) -> int32x4_t {
        // SAFETY: see the impl.
        unsafe { vld1q_s32(p) }
    }
    #[inline(always)]
    unsafe fn to_floats(v: int32x4_t) -> float32x4_t {
        // SAFETY: see the impl.
        unsafe { vcvtq_f32_s32(v) }
    }
    /// All four weights of an output side by side.
    #[inline(always)]
    unsafe fn arrange(rows: &[[i8; BLOCK]; 4], width: usize, to: *mut i8) {
        // SAFETY: see the impl.
        unsafe {
            let mut quads = [0i8; 4 * BLOCK];
            let (a, b) = (vld1q_s8(rows[0].as_ptr()), vld1q_s8(rows[1].as_ptr()));
            let (c, d) = (vld1q_s8(rows[2].as_ptr()), vld1q_s8(rows[3].as_ptr()));
            vst4q_s8(quads.as_mut_ptr(), int8x16x4_t(a, b, c, d));
            for n in 0..width / 4 {
                vst1q_s8(to.add(16 * n), vld1q_s8(quads.as_ptr().add(16 * n)));
            }
        }
    }
    #[inline(always)]
    unsafe fn quantize(x: *const f32, inverse: f32, shift: i32, to: *mut i8) {
        // SAFETY: the caller's promise.
        unsafe { quantize(x, inverse, shift, to) }
    }
    #[inline(always)]
    unsafe fn rank4<const R: usize, const N: usize>(
        acc: &mut [[int32x4_t; N]; R],
        a: *const i8,
        stride: usize,
        b: *const i8,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut w = [vdupq_n_s8(0); N];
            for n in 0..N {
                w[n] = vld1q_s8(b.add(n * 16));
            }
            for r in 0..R {
                let x = a.add(r * stride).cast::<i32>().read_unaligned();
                let x = vreinterpretq_s8_s32(vdupq_n_s32(x));
                for n in 0..N {
                    // The intrinsic is not stable yet.
                    asm!(
                        "sdot {sums:v}.4s, {x:v}.16b, {w:v}.16b",
                        sums = inout(vreg) acc[r][n],
                        x = in(vreg) x,
                        w = in(vreg) w[n],
                        options(pure, nomem, nostack, preserves_flags),
                    );
                }
            }
        }
    }
}
