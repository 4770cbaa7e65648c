//! One instruction set, as the kernels see it.

// Iterators over arrays of vectors become calls of memcpy, which cost as much as the arithmetic.
#![allow(clippy::needless_range_loop)]

/// Widest block of output channels that a matrix product keeps in registers.
pub const BLOCK: usize = 16;

/// Vectors of floats of one instruction set. The kernels are written once over this trait, and
/// instantiated where the instruction set is enabled (see [`dispatch`](super::dispatch)). Between
/// there and here everything is `#[inline(always)]` and nothing is a closure: what is not inlined
/// is compiled without the instruction set, many times slower.
///
/// # Safety
///
/// Every method may use instructions of the set: the caller has checked that the processor has
/// them. Pointers must be valid for the values that are read or written; no alignment is asked.
pub unsafe trait Simd {
    /// Floats per vector: a divisor of [`BLOCK`].
    const LANES: usize;
    /// Rows of the matrix product's register block.
    const ROWS: usize;
    type V: Copy;

    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(p: *const f32) -> Self::V;
    unsafe fn store(p: *mut f32, v: Self::V);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once where the instruction set can.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `2^n`, where `n` holds whole numbers in `-126..=127`.
    unsafe fn exp2_whole(n: Self::V) -> Self::V;
    /// The nearest whole number.
    unsafe fn round(v: Self::V) -> Self::V;

    /// Four steps of a matrix product in registers: adds `a[r][0..4] * b[0..4][..]` to `acc`.
    /// Row `r` of `a` starts `r * stride` floats on, row `k` of `b` `k * b_stride`.
    #[inline(always)]
    unsafe fn rank4<const R: usize, const N: usize>(
        acc: &mut [[Self::V; N]; R],
        a: *const f32,
        stride: usize,
        b: *const f32,
        b_stride: usize,
    ) {
        // SAFETY: the caller's promise covers four values in each row.
        unsafe {
            for k in 0..4 {
                let mut row = [Self::splat(0.0); N];
                for n in 0..N {
                    row[n] = Self::load(b.add(k * b_stride + n * Self::LANES));
                }
                for r in 0..R {
                    let x = Self::splat(*a.add(r * stride + k));
                    for n in 0..N {
                        acc[r][n] = Self::fma(x, row[n], acc[r][n]);
                    }
                }
            }
        }
    }
}
