//! How much of a picture's surroundings the filling of its holes depends on.

use std::ops::Range;

use crate::frame::Shape;

/// Rows beside what is filled that count in any case: as many as the refinement looks at.
const LEAST: usize = crate::classical::curvature::OVERLAP;
/// The side of the smallest cells. Smaller holes are filled from nearby alone.
const CELL: usize = 8;

/// Where a picture has holes, and of what size: for cells of 8 by 8 pixels, 16 by 16 and so on,
/// whether nothing at all is known in them, in some channel.
///
/// A hole that is nowhere wider than `2 s` holds an empty cell of side `s` at most. It is smooth
/// inside and determined by its border, so rows from `2 s` further on than it reaches do not
/// matter any more.
pub struct Holes {
    height: usize,
    /// Per scale and row of cells, whether one of them is empty.
    empty: Vec<Vec<bool>>,
}

impl Holes {
    /// Goes through a picture's rows from the top: `next` says what of a row is known, channels
    /// one after another.
    pub fn new(shape: Shape, mut next: impl FnMut(usize, &mut [bool])) -> Holes {
        let cells = |n: usize| (n / CELL).max(1);
        let (rows, columns) = (cells(shape.height), cells(shape.width));
        let mut known = vec![false; shape.channels * shape.width];
        // Cells in which something is known, of one channel after another. What is left at the
        // far edges belongs to the last cell.
        let mut cell = vec![vec![false; rows * columns]; shape.channels];
        for y in 0..shape.height {
            next(y, &mut known);
            for (cell, known) in cell.iter_mut().zip(known.chunks_exact(shape.width)) {
                let row = &mut cell[(y / CELL).min(rows - 1) * columns..][..columns];
                for (x, known) in known.iter().enumerate() {
                    row[(x / CELL).min(columns - 1)] |= known;
                }
            }
        }
        let mut empty = Vec::new();
        let (mut rows, mut columns) = (rows, columns);
        loop {
            let row_of_empty = |y: usize| {
                cell.iter().any(|cell| cell[y * columns..(y + 1) * columns].contains(&false))
            };
            let found: Vec<bool> = (0..rows).map(row_of_empty).collect();
            if !found.contains(&true) {
                break;
            }
            empty.push(found);
            if rows == 1 && columns == 1 {
                break;
            }
            let (h, w) = ((rows / 2).max(1), (columns / 2).max(1));
            for cell in &mut cell {
                let mut coarse = vec![false; h * w];
                for y in 0..rows {
                    for x in 0..columns {
                        coarse[(y / 2).min(h - 1) * w + (x / 2).min(w - 1)] |=
                            cell[y * columns + x];
                    }
                }
                *cell = coarse;
            }
            (rows, columns) = (h, w);
        }
        Holes { height: shape.height, empty }
    }

    /// The rows that the filling of some rows should look at. They begin at a multiple of the
    /// cells that matter, so that the same pixels are averaged whichever rows are filled.
    pub fn window(&self, rows: Range<usize>) -> Range<usize> {
        let mut window = self.widened(&rows, 0);
        // A hole beside the rows can be larger than what they have of it themselves.
        while let Some(side) = self.largest(&window) {
            let wider = self.widened(&rows, side);
            if wider == window {
                break;
            }
            window = wider;
        }
        window
    }

    fn widened(&self, rows: &Range<usize>, side: usize) -> Range<usize> {
        let (margin, unit) = (LEAST + 4 * side, LEAST.max(2 * side));
        let top = rows.start.saturating_sub(margin) / unit * unit;
        top..(rows.end + margin).min(self.height)
    }

    /// The side of the largest empty cells that some rows have a part of.
    fn largest(&self, rows: &Range<usize>) -> Option<usize> {
        let sides = (0..self.empty.len()).rev().map(|k| (k, CELL << k));
        sides.into_iter().find_map(|(k, side)| {
            let last = self.empty[k].len() - 1;
            let (from, to) = ((rows.start / side).min(last), ((rows.end - 1) / side).min(last));
            self.empty[k][from..=to].contains(&true).then_some(side)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The holes of one channel of which everything but some rectangles is known.
    fn holes(height: usize, width: usize, empty: &[(Range<usize>, Range<usize>)]) -> Holes {
        Holes::new(Shape::new(1, height, width), |y, known| {
            for (x, known) in known.iter_mut().enumerate() {
                *known = !empty.iter().any(|(ys, xs)| ys.contains(&y) && xs.contains(&x));
            }
        })
    }

    #[test]
    fn small_holes_look_nearby() {
        let some = holes(640, 100, &[(0..640, 3..8), (300..305, 0..100)]);
        assert_eq!(some.window(64..128), 48..144);
        assert_eq!(some.window(0..64), 0..80);
        assert_eq!(some.window(576..640), 560..640);
    }

    #[test]
    fn all_of_a_hole_is_seen_from_everywhere_near_it() {
        for (top, bottom) in [(300, 332), (256, 384), (100, 500)] {
            let one = holes(640, 900, &[(top..bottom, 200..700)]);
            let size = bottom - top;
            for from in (0..640).step_by(64) {
                let window = one.window(from..from + 64);
                let touches = from < bottom && top < from + 64;
                let sees = window.start <= top && window.end >= bottom;
                assert!(!touches || sees, "{top}..{bottom} from {from}: {window:?}");
                let beyond = from >= bottom + 5 * size + 32 || from + 64 + 5 * size + 32 <= top;
                assert!(!beyond || window.len() <= 64 + 3 * LEAST, "{from}: {window:?}");
            }
        }
    }

    #[test]
    fn windows_do_not_depend_on_what_is_far_away() {
        let far = holes(4000, 64, &[(1000..1100, 0..64)]);
        assert_eq!(far.window(2000..2064), 1984..2080);
        let nothing = holes(300, 300, &[(0..300, 0..300)]);
        assert_eq!(nothing.window(64..128), 0..300);
        let tiny = holes(3, 5, &[(0..3, 0..2)]);
        assert_eq!(tiny.window(0..3), 0..3);
    }
}
