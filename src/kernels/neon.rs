//! ARM64 with NEON, which every 64-bit ARM has.

use std::arch::aarch64::*;

use super::simd::Simd;

/// Four floats in a 128-bit register.
pub struct Neon;

// SAFETY: NEON belongs to the baseline of the target.
unsafe impl Simd for Neon {
    const LANES: usize = 4;
    // 6 x 4 sums, 4 vectors of weights and 4 of the 6 rows' inputs fill the 32 registers.
    const ROWS: usize = 6;
    type V = float32x4_t;

    #[inline(always)]
    unsafe fn splat(x: f32) -> float32x4_t {
        // SAFETY: see the impl.
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> float32x4_t {
        // SAFETY: see the impl.
        unsafe { vld1q_f32(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: float32x4_t) {
        // SAFETY: see the impl.
        unsafe { vst1q_f32(p, v) }
    }
    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see the impl.
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see the impl.
        unsafe { vsubq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see the impl.
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see the impl.
        unsafe { vdivq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn max(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see the impl.
        unsafe { vmaxq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see the impl.
        unsafe { vminq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: see the impl.
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    unsafe fn exp2_whole(n: float32x4_t) -> float32x4_t {
        // SAFETY: see the impl.
        unsafe {
            let biased = vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127));
            vreinterpretq_f32_s32(vshlq_n_s32::<23>(biased))
        }
    }
    #[inline(always)]
    unsafe fn round(v: float32x4_t) -> float32x4_t {
        // SAFETY: see the impl.
        unsafe { vrndnq_f32(v) }
    }

    /// One load brings four inputs of a row, which the products then take lane by lane.
    #[inline(always)]
    unsafe fn rank4<const R: usize, const N: usize>(
        acc: &mut [[float32x4_t; N]; R],
        a: *const f32,
        stride: usize,
        b: *const f32,
        b_stride: usize,
    ) {
        // SAFETY: the caller's promise covers four values in each row.
        unsafe {
            let mut rows = [vdupq_n_f32(0.0); R];
            for (r, row) in rows.iter_mut().enumerate() {
                *row = vld1q_f32(a.add(r * stride));
            }
            macro_rules! step {
                ($lane:literal) => {
                    for n in 0..N {
                        let v = vld1q_f32(b.add($lane * b_stride + n * 4));
                        for r in 0..R {
                            acc[r][n] = vfmaq_laneq_f32::<$lane>(acc[r][n], v, rows[r]);
                        }
                    }
                };
            }
            step!(0);
            step!(1);
            step!(2);
            step!(3);
        }
    }
}
