//! The one-dimensional transforms of Winograd's F(4, 3), for vectors of channels.

use super::simd::Simd;

/// Side of a tile of outputs.
pub const OUT: usize = 4;
/// Side of its window of inputs.
pub const IN: usize = 6;

/// `G g`.
///
/// # Safety
///
/// The instruction set of `S` is there.
#[inline(always)]
pub unsafe fn kernel_1d<S: Simd>(g: [S::V; 3]) -> [S::V; IN] {
    // SAFETY: the caller's promise.
    unsafe {
        let outer = S::mul(S::add(g[0], g[2]), S::splat(-1.0 / 6.0));
        let sixth = S::mul(g[1], S::splat(1.0 / 6.0));
        let far = S::fma(g[2], S::splat(1.0 / 6.0), S::mul(g[0], S::splat(1.0 / 24.0)));
        let twelfth = S::mul(g[1], S::splat(1.0 / 12.0));
        [
            S::mul(g[0], S::splat(0.25)),
            S::sub(outer, sixth),
            S::add(outer, sixth),
            S::add(far, twelfth),
            S::sub(far, twelfth),
            g[2],
        ]
    }
}

/// `B^T d`.
///
/// # Safety
///
/// The instruction set of `S` is there.
#[inline(always)]
pub unsafe fn input_1d<S: Simd>(d: [S::V; IN]) -> [S::V; IN] {
    // SAFETY: the caller's promise.
    unsafe {
        let (four, five, two) = (S::splat(4.0), S::splat(-5.0), S::splat(2.0));
        let minus_four = S::splat(-4.0);
        let even = S::fma(minus_four, d[2], d[4]);
        let odd = S::fma(minus_four, d[1], d[3]);
        let inner = S::sub(d[4], d[2]);
        let outer = S::mul(two, S::sub(d[3], d[1]));
        [
            S::fma(four, d[0], S::fma(five, d[2], d[4])),
            S::add(even, odd),
            S::sub(even, odd),
            S::add(inner, outer),
            S::sub(inner, outer),
            S::fma(four, d[1], S::fma(five, d[3], d[5])),
        ]
    }
}

/// `A^T m`.
///
/// # Safety
///
/// The instruction set of `S` is there.
#[inline(always)]
pub unsafe fn output_1d<S: Simd>(m: [S::V; IN]) -> [S::V; OUT] {
    // SAFETY: the caller's promise.
    unsafe {
        let (s1, d1) = (S::add(m[1], m[2]), S::sub(m[1], m[2]));
        let (s2, d2) = (S::add(m[3], m[4]), S::sub(m[3], m[4]));
        [
            S::add(S::add(m[0], s1), s2),
            S::fma(S::splat(2.0), d2, d1),
            S::fma(S::splat(4.0), s2, s1),
            S::add(S::fma(S::splat(8.0), d2, d1), m[5]),
        ]
    }
}
