//! What acts on each value alone, and the statistics of a group normalization.

use super::grid::View;
use super::isa::{Isa, dispatch};
use super::product::Activation;
use super::simd::Simd;

fn check(memory: &[f32], from: &View, to: &View) {
    assert_eq!(from.grid, to.grid, "grids");
    let end = |view: &View| view.offset + view.grid.floats();
    assert!(end(from).max(end(to)) <= memory.len(), "views");
    assert!(from.offset == to.offset || !from.overlaps(to), "in place, or apart");
}

/// `activation(scale[c] x + shift[c])`, from one view to another or in place. `scale` and `shift`
/// are padded with zeros.
pub fn pointwise(
    isa: Isa,
    memory: &mut [f32],
    (from, to): (View, View),
    scale: &[f32],
    shift: &[f32],
    activation: Activation,
) {
    check(memory, &from, &to);
    assert!(scale.len().min(shift.len()) >= from.grid.pixel(), "scale and shift");
    let memory = memory.as_mut_ptr();
    // SAFETY of the pointers: as checked.
    let isa = isa.narrowed(&[from.grid]);
    dispatch!(isa, run_pointwise(memory: *mut f32, from: View, to: View, scale: &[f32], shift: &[f32], activation: Activation));
}

/// # Safety
///
/// As checked by [`pointwise`]; the instruction set of `S` is there.
#[inline(always)]
unsafe fn run_pointwise<S: Simd>(
    memory: *mut f32,
    from: View,
    to: View,
    scale: &[f32],
    shift: &[f32],
    activation: Activation,
) {
    let grid = from.grid;
    for y in 0..grid.height {
        for x in 0..grid.width {
            for c in (0..grid.pixel()).step_by(S::LANES) {
                // SAFETY: as checked by the caller.
                unsafe {
                    let at = grid.at(y, x) + c;
                    let (scale, shift) = (scale.as_ptr().add(c), shift.as_ptr().add(c));
                    let value = S::load(memory.add(from.offset + at));
                    let value = S::fma(value, S::load(scale), S::load(shift));
                    S::store(memory.add(to.offset + at), activation.apply::<S>(value));
                }
            }
        }
    }
}

/// `to = from + other`; `to` may be either of them.
pub fn add(isa: Isa, memory: &mut [f32], from: View, other: View, to: View) {
    check(memory, &from, &to);
    check(memory, &other, &to);
    let memory = memory.as_mut_ptr();
    // SAFETY of the pointers: as checked.
    let isa = isa.narrowed(&[from.grid]);
    dispatch!(isa, run_add(memory: *mut f32, from: View, other: View, to: View));
}

/// # Safety
///
/// As checked by [`add`]; the instruction set of `S` is there.
#[inline(always)]
unsafe fn run_add<S: Simd>(memory: *mut f32, from: View, other: View, to: View) {
    let grid = from.grid;
    for y in 0..grid.height {
        let row = grid.at(y, 0);
        for at in (row..row + grid.width * grid.pixel()).step_by(S::LANES) {
            // SAFETY: as checked by the caller.
            unsafe {
                let sum = S::add(
                    S::load(memory.add(from.offset + at)),
                    S::load(memory.add(other.offset + at)),
                );
                S::store(memory.add(to.offset + at), sum);
            }
        }
    }
}

/// For every channel the sum over the picture of `(x - center[c])^power`, `power` 1 or 2, added up
/// row by row in float64.
pub fn moments(isa: Isa, memory: &[f32], view: View, center: &[f32], power: u32, out: &mut [f64]) {
    assert!(view.offset + view.grid.floats() <= memory.len(), "view");
    assert!(center.len().min(out.len()) >= view.grid.pixel(), "room for the channels");
    out.fill(0.0);
    // SAFETY of the pointers: as checked.
    let isa = isa.narrowed(&[view.grid]);
    dispatch!(isa, run_moments(memory: &[f32], view: View, center: &[f32], power: u32, out: &mut [f64]));
}

/// # Safety
///
/// As checked by [`moments`]; the instruction set of `S` is there.
#[inline(always)]
unsafe fn run_moments<S: Simd>(
    memory: &[f32],
    view: View,
    center: &[f32],
    power: u32,
    out: &mut [f64],
) {
    let grid = view.grid;
    for y in 0..grid.height {
        for c in (0..grid.pixel()).step_by(S::LANES) {
            let mut row = [0.0f32; super::simd::BLOCK];
            // SAFETY: as checked by the caller.
            unsafe {
                let middle = S::load(center.as_ptr().add(c));
                let mut sum = S::splat(0.0);
                for x in 0..grid.width {
                    let value = S::load(memory.as_ptr().add(view.offset + grid.at(y, x) + c));
                    let value = S::sub(value, middle);
                    sum = S::add(sum, if power == 2 { S::mul(value, value) } else { value });
                }
                S::store(row.as_mut_ptr(), sum);
            }
            for (out, sum) in out[c..].iter_mut().zip(&row[..S::LANES]) {
                *out += f64::from(*sum);
            }
        }
    }
}
