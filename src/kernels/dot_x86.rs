//! Products of bytes on x86-64.

// Iterators over arrays of vectors become calls of memcpy, which cost as much as the arithmetic.
#![allow(clippy::needless_range_loop)]

use std::arch::x86_64::*;

use super::avx2::Avx2;
use super::avx512::Avx512;
use super::dot::Dot;
use super::simd::BLOCK;

/// AVX2 with inputs and weights in 16 bits: `vpmaddwd` adds two products of 16 bits in 32.
///
/// `vpmaddubsw`, on bytes, would add two products in 16 bits and saturate unless an input or a
/// weight gave up a bit. In registers it was a quarter faster when measured (Zen 4). But inputs of 7
/// bits would be another quantization than that of all other paths, which now give the same bits;
/// and Winograd in `f32` remains faster than both where there is no VNNI.
pub struct Avx2Dot;

/// Sixteen rounded values in 16 bits, in order.
///
/// # Safety
///
/// AVX2 is there, and `x` valid for 16 floats.
#[inline(always)]
unsafe fn whole(x: *const f32, inverse: f32) -> __m256i {
    // SAFETY: the caller's promise.
    unsafe {
        let inverse = _mm256_set1_ps(inverse);
        let low = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), inverse));
        let high = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x.add(8)), inverse));
        _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(low, high))
    }
}

// SAFETY: instantiated only inside functions that enable AVX2, which are called only where the
// processor has it (`super::Isa::available`).
unsafe impl Dot for Avx2Dot {
    type Floats = Avx2;
    type Input = i16;
    type Weight = i16;
    type V = __m256i;
    const ROWS: usize = 6;

    #[inline(always)]
    fn shift(_signed: bool) -> i32 {
        0
    }
    #[inline(always)]
    unsafe fn load(p: *const i32) -> __m256i {
        // SAFETY: see the impl.
        unsafe { _mm256_loadu_si256(p.cast()) }
    }
    #[inline(always)]
    unsafe fn to_floats(v: __m256i) -> __m256 {
        // SAFETY: see the impl.
        unsafe { _mm256_cvtepi32_ps(v) }
    }
    /// Pairs of inputs, widened.
    #[inline(always)]
    unsafe fn arrange(rows: &[[i8; BLOCK]; 4], width: usize, to: *mut i16) {
        // SAFETY: see the impl.
        unsafe {
            for pair in 0..2 {
                let a = _mm_loadu_si128(rows[2 * pair].as_ptr().cast());
                let b = _mm_loadu_si128(rows[2 * pair + 1].as_ptr().cast());
                let to = to.add(pair * 2 * width).cast::<__m256i>();
                _mm256_storeu_si256(to, _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(a, b)));
                if width == BLOCK {
                    let high = _mm256_cvtepi8_epi16(_mm_unpackhi_epi8(a, b));
                    _mm256_storeu_si256(to.add(1), high);
                }
            }
        }
    }
    #[inline(always)]
    unsafe fn quantize(x: *const f32, inverse: f32, _shift: i32, to: *mut i16) {
        // SAFETY: see the impl.
        unsafe { _mm256_storeu_si256(to.cast(), whole(x, inverse)) }
    }
    #[inline(always)]
    unsafe fn rank4<const R: usize, const N: usize>(
        acc: &mut [[__m256i; N]; R],
        a: *const i16,
        stride: usize,
        b: *const i16,
    ) {
        for pair in 0..2 {
            // SAFETY: the caller's promise.
            unsafe {
                let mut w = [_mm256_setzero_si256(); N];
                for n in 0..N {
                    w[n] = _mm256_loadu_si256(b.add((pair * N + n) * 16).cast());
                }
                for r in 0..R {
                    let x = a.add(r * stride + pair * 2).cast::<i32>().read_unaligned();
                    let x = _mm256_set1_epi32(x);
                    for n in 0..N {
                        acc[r][n] = _mm256_add_epi32(acc[r][n], _mm256_madd_epi16(x, w[n]));
                    }
                }
            }
        }
    }
}

/// All four weights of an output side by side.
///
/// # Safety
///
/// `to` is valid for four rows of `width` weights.
#[inline(always)]
unsafe fn by_fours(rows: &[[i8; BLOCK]; 4], width: usize, to: *mut i8) {
    // SAFETY: the caller's promise; SSE2 belongs to the baseline of the target.
    unsafe {
        let a = _mm_loadu_si128(rows[0].as_ptr().cast());
        let b = _mm_loadu_si128(rows[1].as_ptr().cast());
        let c = _mm_loadu_si128(rows[2].as_ptr().cast());
        let d = _mm_loadu_si128(rows[3].as_ptr().cast());
        let to = to.cast::<__m128i>();
        let (ab, cd) = (_mm_unpacklo_epi8(a, b), _mm_unpacklo_epi8(c, d));
        _mm_storeu_si128(to, _mm_unpacklo_epi16(ab, cd));
        _mm_storeu_si128(to.add(1), _mm_unpackhi_epi16(ab, cd));
        if width == BLOCK {
            let (ab, cd) = (_mm_unpackhi_epi8(a, b), _mm_unpackhi_epi8(c, d));
            _mm_storeu_si128(to.add(2), _mm_unpacklo_epi16(ab, cd));
            _mm_storeu_si128(to.add(3), _mm_unpackhi_epi16(ab, cd));
        }
    }
}

/// A path with `vpdpbusd` in 256 bits: unsigned inputs, signed weights, four at a time.
macro_rules! dot256 {
    ($name:ident, $dpbusd:ident) => {
        // SAFETY: instantiated only inside functions that enable what it needs, which are called
        // only where the processor has it (`super::Isa::available`).
        unsafe impl Dot for $name {
            type Floats = Avx2;
            type Input = u8;
            type Weight = i8;
            type V = __m256i;
            const ROWS: usize = 6;

            #[inline(always)]
            fn shift(signed: bool) -> i32 {
                if signed { 128 } else { 0 }
            }
            #[inline(always)]
            unsafe fn load(p: *const i32) -> __m256i {
                // SAFETY: see the impl.
                unsafe { _mm256_loadu_si256(p.cast()) }
            }
            #[inline(always)]
            unsafe fn to_floats(v: __m256i) -> __m256 {
                // SAFETY: see the impl.
                unsafe { _mm256_cvtepi32_ps(v) }
            }
            #[inline(always)]
            unsafe fn arrange(rows: &[[i8; BLOCK]; 4], width: usize, to: *mut i8) {
                // SAFETY: see the impl.
                unsafe { by_fours(rows, width, to) }
            }
            #[inline(always)]
            unsafe fn quantize(x: *const f32, inverse: f32, shift: i32, to: *mut u8) {
                // SAFETY: see the impl.
                unsafe {
                    let v = _mm256_add_epi16(whole(x, inverse), _mm256_set1_epi16(shift as i16));
                    let v = _mm256_permute4x64_epi64::<0b10_00>(_mm256_packus_epi16(v, v));
                    _mm_storeu_si128(to.cast(), _mm256_castsi256_si128(v));
                }
            }
            #[inline(always)]
            unsafe fn rank4<const R: usize, const N: usize>(
                acc: &mut [[__m256i; N]; R],
                a: *const u8,
                stride: usize,
                b: *const i8,
            ) {
                // SAFETY: the caller's promise.
                unsafe {
                    let mut w = [_mm256_setzero_si256(); N];
                    for n in 0..N {
                        w[n] = _mm256_loadu_si256(b.add(n * 32).cast());
                    }
                    for r in 0..R {
                        let x = a.add(r * stride).cast::<i32>().read_unaligned();
                        let x = _mm256_set1_epi32(x);
                        for n in 0..N {
                            acc[r][n] = $dpbusd(acc[r][n], x, w[n]);
                        }
                    }
                }
            }
        }
    };
}

/// AVX-VNNI.
pub struct AvxVnni;
dot256!(AvxVnni, _mm256_dpbusd_avx_epi32);

/// AVX-512 VNNI in half of its width, for pictures of which a pixel does not fill a vector.
pub struct Avx512VnniHalf;
dot256!(Avx512VnniHalf, _mm256_dpbusd_epi32);

/// AVX-512 VNNI.
pub struct Avx512Vnni;

// SAFETY: instantiated only inside functions that enable AVX-512 VNNI, which are called only
// where the processor has it (`super::Isa::available`).
unsafe impl Dot for Avx512Vnni {
    type Floats = Avx512;
    type Input = u8;
    type Weight = i8;
    type V = __m512i;
    const ROWS: usize = 12;

    #[inline(always)]
    fn shift(signed: bool) -> i32 {
        if signed { 128 } else { 0 }
    }
    #[inline(always)]
    unsafe fn load(p: *const i32) -> __m512i {
        // SAFETY: see the impl.
        unsafe { _mm512_loadu_si512(p.cast()) }
    }
    #[inline(always)]
    unsafe fn to_floats(v: __m512i) -> __m512 {
        // SAFETY: see the impl.
        unsafe { _mm512_cvtepi32_ps(v) }
    }
    #[inline(always)]
    unsafe fn arrange(rows: &[[i8; BLOCK]; 4], width: usize, to: *mut i8) {
        // SAFETY: see the impl.
        unsafe { by_fours(rows, width, to) }
    }
    #[inline(always)]
    unsafe fn quantize(x: *const f32, inverse: f32, shift: i32, to: *mut u8) {
        // SAFETY: see the impl.
        unsafe {
            let v = _mm512_mul_ps(_mm512_loadu_ps(x), _mm512_set1_ps(inverse));
            let v = _mm512_add_epi32(_mm512_cvtps_epi32(v), _mm512_set1_epi32(shift));
            _mm_storeu_si128(to.cast(), _mm512_cvtusepi32_epi8(v));
        }
    }
    #[inline(always)]
    unsafe fn rank4<const R: usize, const N: usize>(
        acc: &mut [[__m512i; N]; R],
        a: *const u8,
        stride: usize,
        b: *const i8,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut w = [_mm512_setzero_si512(); N];
            for n in 0..N {
                w[n] = _mm512_loadu_si512(b.add(n * 64).cast());
            }
            for r in 0..R {
                let x = a.add(r * stride).cast::<i32>().read_unaligned();
                let x = _mm512_set1_epi32(x);
                for n in 0..N {
                    acc[r][n] = _mm512_dpbusd_epi32(acc[r][n], x, w[n]);
                }
            }
        }
    }
}
