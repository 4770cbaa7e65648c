//! How pictures lie in an engine's memory.

/// Channels of a pixel are padded with zeros to a multiple of this.
pub const CHANNEL_STEP: usize = 8;

/// Pixels of zeros around every picture: the padding of a 3x3 convolution.
const BORDER: usize = 1;

/// Rows and columns beyond the picture are zero up to a multiple of this: Winograd's tile.
const TILE: usize = 4;

/// The smallest multiple of `step` that is not below `n`.
pub fn round_up(n: usize, step: usize) -> usize {
    n.div_ceil(step) * step
}

/// A picture in memory: channels last, padded with zeros in every direction. Sizes in pixels and
/// channels, the rest in floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
}

impl Grid {
    /// From one pixel to the next.
    pub fn pixel(&self) -> usize {
        round_up(self.channels, CHANNEL_STEP)
    }

    /// From one row to the next.
    pub fn row(&self) -> usize {
        (round_up(self.width, TILE) + 2 * BORDER) * self.pixel()
    }

    /// All of it, padding included.
    pub fn floats(&self) -> usize {
        (round_up(self.height, TILE) + 2 * BORDER) * self.row()
    }

    /// Where pixel `(y, x)` starts. `y` and `x` may be -1, given as such by wrapping.
    pub fn at(&self, y: usize, x: usize) -> usize {
        y.wrapping_add(BORDER) * self.row() + x.wrapping_add(BORDER) * self.pixel()
    }

    /// Makes everything around the picture zero, as the kernels expect it. Padded channels inside
    /// are zero because the kernels write them so.
    pub fn clear_padding(&self, memory: &mut [f32]) {
        let row = self.row();
        memory[..BORDER * row].fill(0.0);
        for y in 0..self.height {
            let start = (y + BORDER) * row;
            memory[start..self.at(y, 0)].fill(0.0);
            memory[self.at(y, self.width)..start + row].fill(0.0);
        }
        memory[(self.height + BORDER) * row..self.floats()].fill(0.0);
    }
}

/// A picture at a place in an engine's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// In floats from the start of the memory.
    pub offset: usize,
    pub grid: Grid,
}

impl View {
    /// Its part of `memory`. Panics where the view reaches beyond it.
    pub fn of<'a>(&self, memory: &'a mut [f32]) -> &'a mut [f32] {
        &mut memory[self.offset..self.offset + self.grid.floats()]
    }

    /// Whether it shares memory with another.
    pub fn overlaps(&self, other: &View) -> bool {
        self.offset < other.offset + other.grid.floats()
            && other.offset < self.offset + self.grid.floats()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_cleared_and_the_picture_is_not() {
        for (height, width, channels) in [(1, 1, 1), (4, 4, 8), (5, 7, 3), (8, 6, 12)] {
            let grid = Grid { height, width, channels };
            let mut memory = vec![1.0; grid.floats()];
            grid.clear_padding(&mut memory);
            let inside = height * width * grid.pixel();
            assert_eq!(memory.iter().sum::<f32>(), inside as f32);
            for y in 0..height {
                let start = grid.at(y, 0);
                assert!(memory[start..start + width * grid.pixel()].iter().all(|v| *v == 1.0));
            }
            // The last tile's window of a 3x3 convolution ends inside.
            let tiles = |n: usize| round_up(n, 4);
            let last = grid.at(tiles(height), tiles(width)) + grid.pixel();
            assert_eq!(last, grid.floats());
        }
    }
}
