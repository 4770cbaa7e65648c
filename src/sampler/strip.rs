//! The state of one step: a run of rows of the frame, which grows at its end and is released at
//! its beginning.

use std::collections::VecDeque;

use super::grid::Tile;
use crate::degrade::full_width;
use crate::frame::{Region, Shape};
use crate::scratch::{Buffer, any};

/// Rows that no strip holds, all of one size; kept only where there will be a next frame.
pub struct Rack {
    values: usize,
    keeps: bool,
    rows: Vec<Vec<f32>>,
}

impl Rack {
    /// For rows of a frame.
    pub fn new(frame: Shape, keeps: bool) -> Rack {
        Rack { values: frame.channels * frame.width, keeps, rows: Vec::new() }
    }

    fn take(&mut self) -> Vec<f32> {
        self.rows.pop().unwrap_or_else(|| vec![0.0; self.values])
    }

    fn give(&mut self, row: Vec<f32>) {
        if self.keeps {
            self.rows.push(row);
        }
    }
}

/// Rows `first ..` of a frame; each row holds its channels one after another.
pub struct Strip {
    frame: Shape,
    first: usize,
    rows: VecDeque<Vec<f32>>,
}

impl Strip {
    /// An empty strip of a frame.
    pub fn new(frame: Shape) -> Strip {
        Strip { frame, first: 0, rows: VecDeque::new() }
    }

    /// All rows of a planar frame.
    #[cfg(test)]
    pub fn of(frame: Shape, data: &[f32]) -> Strip {
        let mut strip = Strip::new(frame);
        strip.grow(frame.height, &mut Rack::new(frame, false));
        strip.write(Region::whole(frame), data);
        strip
    }

    /// Makes room for rows up to `end`; what they hold must be written before it is read.
    pub fn grow(&mut self, end: usize, rack: &mut Rack) {
        while self.end() < end {
            self.next_row(rack);
        }
    }

    /// Lets go of the rows before `start`.
    pub fn release(&mut self, start: usize, rack: &mut Rack) {
        while self.first < start {
            let Some(row) = self.rows.pop_front() else { return };
            rack.give(row);
            self.first += 1;
        }
    }

    /// Lets go of all rows: the next one is the first of a frame.
    pub fn clear(&mut self, rack: &mut Rack) {
        self.release(usize::MAX, rack);
        self.first = 0;
    }

    /// The row after the last one that it holds.
    pub fn end(&self) -> usize {
        self.first + self.rows.len()
    }

    /// A new row at its end, channels one after another.
    pub fn next_row(&mut self, rack: &mut Rack) -> &mut [f32] {
        self.rows.push_back(rack.take());
        self.rows.back_mut().map_or(&mut [], |row| row)
    }

    /// Writes a planar rectangle; its rows must have been grown and not released.
    pub fn write(&mut self, region: Region, data: &[f32]) {
        for c in 0..self.frame.channels {
            for i in 0..region.height {
                let from = (c * region.height + i) * region.width;
                let to = c * self.frame.width + region.x;
                self.rows[region.y + i - self.first][to..to + region.width]
                    .copy_from_slice(&data[from..from + region.width]);
            }
        }
    }

    /// A planar copy of some rows.
    pub fn rows(&self, rows: std::ops::Range<usize>) -> Buffer<f32> {
        let region = full_width(rows, self.frame);
        let mut out = any(region.shape(self.frame.channels).len());
        self.read(region, &mut out);
        out
    }

    /// The rows of a rectangle, channel by channel as they lie in a planar copy of it.
    fn rows_in(&self, region: Region) -> impl Iterator<Item = &[f32]> {
        (0..self.frame.channels).flat_map(move |c| {
            let from = c * self.frame.width + region.x;
            let rows = region.y - self.first..region.y - self.first + region.height;
            rows.map(move |row| &self.rows[row][from..from + region.width])
        })
    }

    /// Reads a planar rectangle.
    pub fn read(&self, region: Region, out: &mut [f32]) {
        self.with(region, out, |v, own| *v = own);
    }

    /// Changes each of `values`, a planar rectangle, by what it holds there.
    pub fn with(&self, region: Region, values: &mut [f32], change: impl Fn(&mut f32, f32)) {
        for (values, own) in values.chunks_mut(region.width).zip(self.rows_in(region)) {
            values.iter_mut().zip(own).for_each(|(v, own)| change(v, *own));
        }
    }

    /// Reads a tile's window, `[channels, rows.size, columns.size]`, `scale` times; beyond the
    /// frame's far edges the picture is mirrored.
    pub fn read_window(&self, tile: &Tile, scale: f32, out: &mut [f32]) {
        let (height, width) = (tile.rows.size, tile.columns.size);
        let inside = width.min(self.frame.width - tile.columns.window);
        for c in 0..self.frame.channels {
            for i in 0..height {
                let y = mirror(tile.rows.window + i, self.frame.height);
                let row = &self.rows[y - self.first][c * self.frame.width..][..self.frame.width];
                let to = (c * height + i) * width;
                let out = &mut out[to..to + width];
                let (here, beyond) = out.split_at_mut(inside);
                let from = &row[tile.columns.window..];
                here.iter_mut().zip(from).for_each(|(v, from)| *v = scale * from);
                for (j, v) in beyond.iter_mut().enumerate() {
                    *v = scale * row[mirror(tile.columns.window + inside + j, self.frame.width)];
                }
            }
        }
    }
}

/// The pixel that stands for `i` on an axis of `length` pixels, mirrored at its edge pixels.
pub fn mirror(i: usize, length: usize) -> usize {
    if i < length {
        return i;
    }
    if length == 1 {
        return 0;
    }
    let period = 2 * (length - 1);
    let i = i % period;
    if i < length { i } else { period - i }
}

#[cfg(test)]
mod tests {
    use super::super::grid::Span;
    use super::*;

    #[test]
    fn windows_are_mirrored_at_the_far_edges() {
        let frame = Shape::new(2, 2, 3);
        let data: Vec<f32> = (0..12).map(|v| v as f32).collect();
        let mut strip = Strip::new(frame);
        strip.grow(2, &mut Rack::new(frame, false));
        strip.write(Region::whole(frame), &data);
        let span = |end| Span { core: 0, core_end: end, window: 0, size: 4 };
        let mut out = vec![0.0; 32];
        strip.read_window(&Tile { rows: span(2), columns: span(3) }, 1.0, &mut out);
        assert_eq!(out[..4], [0.0, 1.0, 2.0, 1.0]);
        assert_eq!(out[4..8], [3.0, 4.0, 5.0, 4.0]);
        assert_eq!(out[8..12], [0.0, 1.0, 2.0, 1.0]);
        assert_eq!(out[12..16], [3.0, 4.0, 5.0, 4.0]);
        assert_eq!(out[16..20], [6.0, 7.0, 8.0, 7.0]);
        assert_eq!([0, 1, 2, 3, 4, 5].map(|i| mirror(i, 1)), [0; 6]);
    }

    #[test]
    fn rows_are_grown_written_and_released() {
        let frame = Shape::new(1, 6, 2);
        let (mut strip, mut rack) = (Strip::new(frame), Rack::new(frame, true));
        strip.grow(4, &mut rack);
        let region = Region { y: 2, x: 1, height: 2, width: 1 };
        strip.write(region, &[5.0, 6.0]);
        strip.release(2, &mut rack);
        strip.grow(6, &mut rack);
        let mut out = [0.0; 2];
        strip.read(region, &mut out);
        assert_eq!(out, [5.0, 6.0]);
        strip.clear(&mut rack);
        assert_eq!((strip.end(), rack.rows.len()), (0, 4));
    }
}
