//! Which rows of a measurement with holes a classical estimate depends on, and the filling of them.

use std::ops::Range;

use super::{Degradation, blocks};
use crate::classical::fill::{Holes, fill, fill_bytes, fill_mosaic, fill_mosaic_bytes, places};
use crate::frame::{Region, Shape};

/// How values that nothing was measured of are estimated before anything else.
pub struct Filling {
    /// Colour by colour, as in a mosaic.
    mosaic: bool,
    /// For each block of the classical estimate, the rows of the measurement that it depends on.
    windows: Vec<Range<usize>>,
}

impl Filling {
    /// `supports` are the rows that the blocks would depend on if there were no holes.
    pub fn new(a: &dyn Degradation, mosaic: bool, supports: Vec<Range<usize>>) -> Filling {
        let shape = a.measurement();
        let mut known = KnownRows::new(a);
        let holes = match mosaic {
            false => Holes::new(shape, |_, out| known.next(out)),
            true => {
                let mut row = vec![false; shape.channels * shape.width];
                Holes::new(places(shape), |y, out| {
                    // What does not exist at odd sizes counts as unknown.
                    out.fill(false);
                    let columns = shape.width.div_ceil(2);
                    for j in 0..2.min(shape.height - 2 * y) {
                        known.next(&mut row);
                        for (x, known) in row.iter().enumerate() {
                            out[(2 * j + x % 2) * columns + x / 2] = *known;
                        }
                    }
                })
            }
        };
        let window = |rows: Range<usize>| match mosaic {
            false => holes.window(rows),
            true => {
                let places = holes.window(rows.start / 2..rows.end.div_ceil(2));
                2 * places.start..(2 * places.end).min(shape.height)
            }
        };
        let mut windows: Vec<_> = supports.into_iter().map(window).collect();
        // Rows come from the top and are let go from the top: no block may look further back than
        // the one before, or less far ahead.
        for i in (1..windows.len()).rev() {
            windows[i - 1].start = windows[i - 1].start.min(windows[i].start);
        }
        for i in 1..windows.len() {
            windows[i].end = windows[i].end.max(windows[i - 1].end);
        }
        Filling { mosaic, windows }
    }

    /// The rows of the measurement that some blocks depend on.
    pub fn support(&self, blocks: Range<usize>) -> Range<usize> {
        self.windows[blocks.start].start..self.windows[blocks.end - 1].end
    }

    /// Fills what is not `known` (0) of such rows; `shape` is theirs.
    pub fn fill(&self, values: &mut [f32], known: &[f32], shape: Shape) {
        match self.mosaic {
            true => fill_mosaic(values, known, shape),
            false => fill(values, known, shape),
        }
    }

    /// Bytes of working memory of [`Filling::fill`] for the largest block of this measurement.
    pub fn bytes(&self, measurement: Shape) -> u64 {
        let height = self.windows.iter().map(Range::len).max().unwrap_or(0);
        let shape = Shape { height, ..measurement };
        if self.mosaic { fill_mosaic_bytes(shape) } else { fill_bytes(shape) }
    }
}

/// What of a measurement's rows is known, from the top.
struct KnownRows<'a> {
    a: &'a dyn Degradation,
    blocks: Box<dyn Iterator<Item = Region>>,
    /// Singular values of a block, and its rows of the measurement.
    held: Vec<f32>,
    rows: Range<usize>,
    next: usize,
}

impl<'a> KnownRows<'a> {
    fn new(a: &'a dyn Degradation) -> KnownRows<'a> {
        KnownRows { a, blocks: Box::new(blocks(a)), held: Vec::new(), rows: 0..0, next: 0 }
    }

    /// The next row, `[channels, width]`; nothing is known below the last.
    fn next(&mut self, known: &mut [bool]) {
        let Shape { channels, width, .. } = self.a.measurement();
        if self.next == self.rows.end
            && let Some(block) = self.blocks.next()
        {
            let measured = self.a.measured(block);
            self.held.resize(measured.shape(channels).len(), 0.0);
            self.a.singular_values(block, &mut self.held);
            self.rows = measured.y..measured.y + measured.height;
        }
        let planes = self.held.chunks_exact(self.rows.len() * width);
        for (known, plane) in known.chunks_exact_mut(width).zip(planes) {
            let row = &plane[(self.next - self.rows.start) * width..][..width];
            known.iter_mut().zip(row).for_each(|(known, s)| *known = *s > 0.0);
        }
        self.next += 1;
    }
}
