//! How fast a core can multiply and add at all: what times are to be compared with.

// Iterators over arrays of vectors become calls of memcpy, which cost as much as the arithmetic.
#![allow(clippy::needless_range_loop)]

use super::isa::{Isa, dispatch};
use super::simd::{BLOCK, Simd};

/// Sums in registers: as many as are on their way at once, at two a cycle for four cycles each.
const SUMS: usize = 8;

/// Multiplies and adds in registers alone, `rounds` times; returns how many multiply-accumulates
/// that were and a value that depends on all of them.
pub fn peak(isa: Isa, rounds: usize) -> (usize, f32) {
    let mut found = [0.0; 1 + BLOCK];
    let result = &mut found;
    // SAFETY of the pointers: a vector has at most `BLOCK` floats.
    dispatch!(isa, run(rounds: usize, result: &mut [f32; 1 + BLOCK]));
    (found[0] as usize * rounds, found[1..].iter().sum())
}

/// # Safety
///
/// The instruction set of `S` is there.
#[inline(always)]
unsafe fn run<S: Simd>(rounds: usize, found: &mut [f32; 1 + BLOCK]) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [S::splat(0.0); SUMS];
        for n in 0..SUMS {
            sums[n] = S::splat(n as f32);
        }
        let (factor, term) = (S::splat(0.5), S::splat(1.0));
        for _ in 0..rounds {
            for n in 0..SUMS {
                sums[n] = S::fma(sums[n], factor, term);
            }
        }
        for n in 1..SUMS {
            sums[0] = S::add(sums[0], sums[n]);
        }
        S::store(found[1..].as_mut_ptr(), sums[0]);
        found[0] = (SUMS * S::LANES) as f32;
    }
}
