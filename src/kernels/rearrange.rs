//! Pictures between planes and channels-last, and from one grid to another.

use super::grid::View;

/// Fills `to` from planes `[channels / factor^2][factor h][factor w]`, times `scale`. With a
/// factor above 1, the pixels of a block become channels (`pixel_unshuffle`): channel
/// `(c factor + dy) factor + dx` is pixel `(dy, dx)` of the block in plane `c`.
pub fn from_planes(planes: &[f32], scale: f32, memory: &mut [f32], to: View, factor: usize) {
    let grid = to.grid;
    let (height, width) = (grid.height * factor, grid.width * factor);
    let blocks = grid.channels / (factor * factor);
    assert_eq!(planes.len(), blocks * height * width, "planes");
    let memory = to.of(memory);
    for y in 0..grid.height {
        for x in 0..grid.width {
            let start = grid.at(y, x);
            let pixel = &mut memory[start..start + grid.pixel()];
            pixel[grid.channels..].fill(0.0);
            for (c, out) in pixel[..grid.channels].chunks_exact_mut(factor * factor).enumerate() {
                for (dy, out) in out.chunks_exact_mut(factor).enumerate() {
                    let start = (c * height + y * factor + dy) * width + x * factor;
                    for (out, v) in out.iter_mut().zip(&planes[start..start + factor]) {
                        *out = v * scale;
                    }
                }
            }
        }
    }
}

/// The inverse of [`from_planes`] without a scale, `pixel_shuffle` with a factor above 1.
pub fn to_planes(memory: &mut [f32], from: View, planes: &mut [f32], factor: usize) {
    let grid = from.grid;
    let (height, width) = (grid.height * factor, grid.width * factor);
    let blocks = grid.channels / (factor * factor);
    assert_eq!(planes.len(), blocks * height * width, "planes");
    let memory = from.of(memory);
    for y in 0..grid.height {
        for x in 0..grid.width {
            let pixel = &memory[grid.at(y, x)..][..grid.channels];
            for (c, values) in pixel.chunks_exact(factor * factor).enumerate() {
                for (dy, values) in values.chunks_exact(factor).enumerate() {
                    let start = (c * height + y * factor + dy) * width + x * factor;
                    planes[start..start + factor].copy_from_slice(values);
                }
            }
        }
    }
}

/// Copies all channels of `from` to the channels of `to` from `first` on.
pub fn copy_channels(memory: &mut [f32], from: View, to: View, first: usize) {
    let (source, target) = (from.grid, to.grid);
    assert_eq!((source.height, source.width), (target.height, target.width), "sizes");
    assert!(first + source.channels <= target.channels && !from.overlaps(&to), "channels");
    for y in 0..source.height {
        for x in 0..source.width {
            let start = from.offset + source.at(y, x);
            let end = to.offset + target.at(y, x) + first;
            memory.copy_within(start..start + source.channels, end);
            if first + source.channels == target.channels {
                let padding = target.pixel() - target.channels;
                memory[end + source.channels..][..padding].fill(0.0);
            }
        }
    }
}

/// Copies the channels of `from` from `first` on to all of `to`.
pub fn take_channels(memory: &mut [f32], from: View, first: usize, to: View) {
    let (source, target) = (from.grid, to.grid);
    assert_eq!((source.height, source.width), (target.height, target.width), "sizes");
    assert!(first + target.channels <= source.channels && !from.overlaps(&to), "channels");
    for y in 0..target.height {
        for x in 0..target.width {
            let start = from.offset + source.at(y, x) + first;
            let end = to.offset + target.at(y, x);
            memory.copy_within(start..start + target.channels, end);
            memory[end + target.channels..end + target.pixel()].fill(0.0);
        }
    }
}

/// The mean of every block of `factor` by `factor` pixels.
pub fn average(memory: &mut [f32], from: View, to: View, factor: usize) {
    let (source, target) = (from.grid, to.grid);
    assert_eq!(
        (source.height, source.width, source.channels),
        (target.height * factor, target.width * factor, target.channels),
        "sizes"
    );
    assert!(!from.overlaps(&to), "apart");
    let share = 1.0 / (factor * factor) as f32;
    for y in 0..target.height {
        for x in 0..target.width {
            let end = to.offset + target.at(y, x);
            for c in 0..target.pixel() {
                let mut sum = 0.0;
                for dy in 0..factor {
                    for dx in 0..factor {
                        let at = source.at(y * factor + dy, x * factor + dx);
                        sum += memory[from.offset + at + c];
                    }
                }
                memory[end + c] = sum * share;
            }
        }
    }
}

/// Repeats every pixel `factor` times down and across.
pub fn upsample(memory: &mut [f32], from: View, to: View, factor: usize) {
    let (source, target) = (from.grid, to.grid);
    assert_eq!(
        (source.height * factor, source.width * factor, source.channels),
        (target.height, target.width, target.channels),
        "sizes"
    );
    assert!(!from.overlaps(&to), "apart");
    for y in 0..target.height {
        for x in 0..target.width {
            let start = from.offset + source.at(y / factor, x / factor);
            memory.copy_within(start..start + source.pixel(), to.offset + target.at(y, x));
        }
    }
}

/// Pixels of a block become channels, as in [`from_planes`].
pub fn space_to_depth(memory: &mut [f32], from: View, to: View, factor: usize) {
    reorder(memory, from, to, factor, true);
}

/// The inverse of [`space_to_depth`].
pub fn depth_to_space(memory: &mut [f32], from: View, to: View, factor: usize) {
    reorder(memory, from, to, factor, false);
}

fn reorder(memory: &mut [f32], from: View, to: View, factor: usize, down: bool) {
    let (fine, coarse) = if down { (from, to) } else { (to, from) };
    let channels = fine.grid.channels;
    assert_eq!(
        (fine.grid.height, fine.grid.width, channels * factor * factor),
        (coarse.grid.height * factor, coarse.grid.width * factor, coarse.grid.channels),
        "sizes"
    );
    assert!(!from.overlaps(&to), "apart");
    let grid = to.grid;
    for y in 0..grid.height {
        let start = to.offset + grid.at(y, 0);
        memory[start..start + grid.width * grid.pixel()].fill(0.0);
    }
    for y in 0..fine.grid.height {
        for x in 0..fine.grid.width {
            let at_fine = fine.offset + fine.grid.at(y, x);
            let at_coarse = coarse.offset + coarse.grid.at(y / factor, x / factor);
            let place = y % factor * factor + x % factor;
            for c in 0..channels {
                let (a, b) = (at_fine + c, at_coarse + c * factor * factor + place);
                let (source, target) = if down { (a, b) } else { (b, a) };
                memory[target] = memory[source];
            }
        }
    }
}
