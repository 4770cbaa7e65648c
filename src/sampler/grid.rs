//! Which tiles a step consists of: cores that cover the frame once, each with the window of the
//! frame that it is computed from. Everything follows from the frame, the model and the
//! operator, never from the machine.

use crate::frame::{Region, Shape};

/// One tile along one axis, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First pixel that this tile decides.
    pub core: usize,
    /// One past the last pixel that it decides.
    pub core_end: usize,
    /// First pixel of its window, a multiple of the network's own period.
    pub window: usize,
    /// Size of the window; where it reaches beyond the frame's far edge, the frame is mirrored.
    pub size: usize,
}

/// What tiles look like, for one model, operator and noise level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tiling {
    /// Preferred side of a core.
    pub tile: usize,
    /// Context around a core.
    pub halo: usize,
    /// Cores start at multiples of this, also on the grid that is shifted by half a core.
    pub period: usize,
    /// Windows are multiples of this and start at multiples of it: a network with strides gives
    /// another result for a picture that is shifted by less.
    pub multiple: usize,
}

impl Tiling {
    /// The tiles along an axis of `length` pixels. All cores but the outer ones are equally
    /// long, and there are at most two sizes of windows. On the shifted grid the borders lie in
    /// the middle of the other grid's cores.
    pub fn axis(&self, length: usize, shifted: bool) -> Vec<Span> {
        let Tiling { tile, halo, period, multiple } = *self;
        let inner = length.saturating_sub(2 * halo);
        let count = inner.div_ceil(tile).max(1);
        if count == 1 {
            let size = length.next_multiple_of(multiple);
            return vec![Span { core: 0, core_end: length, window: 0, size }];
        }
        // Where the two periods agree, cores lie on the network's grid and windows lose nothing.
        let aligned = multiple.is_multiple_of(period);
        let unit = if aligned { multiple } else { period };
        let slack = if aligned { 0 } else { multiple - 1 };
        let core = inner.div_ceil(count).next_multiple_of(2 * unit);
        // The frame's edge needs no halo, so the outer cores can be larger by one.
        let edge = halo.next_multiple_of(unit);
        let first = edge + if shifted { core / 2 } else { core };
        let mut borders = vec![0];
        // What is left at the end, if no larger than a halo, fits in the last window.
        borders.extend((0..).map(|k| first + k * core).take_while(|cut| cut + halo < length));
        borders.push(length);

        let full = (core + edge.max(halo) + halo + slack).next_multiple_of(multiple);
        let small = (core / 2 + edge + halo + slack).next_multiple_of(multiple);
        let end = length.next_multiple_of(multiple);
        let span = |pair: &[usize]| {
            let (core, core_end) = (pair[0], pair[1]);
            let from = core.saturating_sub(halo) / multiple * multiple;
            let needed = (core_end + halo).min(length) - from;
            let size =
                if needed <= small { small } else { full.max(needed.next_multiple_of(multiple)) };
            Span { core, core_end, window: from.min(end.saturating_sub(size)), size }
        };
        borders.windows(2).map(span).collect()
    }

    /// The tiles of a step of a frame, row by row. Every other step shifts the grid.
    pub fn grid(&self, frame: Shape, step: usize) -> Grid {
        let shifted = step % 2 == 1;
        Grid { rows: self.axis(frame.height, shifted), columns: self.axis(frame.width, shifted) }
    }
}

/// The tiles of one step: the product of two axes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    pub rows: Vec<Span>,
    pub columns: Vec<Span>,
}

/// One tile of a grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    pub rows: Span,
    pub columns: Span,
}

impl Grid {
    /// A tile, counted row by row.
    pub fn tile(&self, i: usize) -> Tile {
        let columns = self.columns.len();
        Tile { rows: self.rows[i / columns], columns: self.columns[i % columns] }
    }

    /// All tiles, row by row.
    pub fn tiles(&self) -> impl Iterator<Item = Tile> {
        (0..self.len()).map(|i| self.tile(i))
    }

    /// Number of tiles.
    pub fn len(&self) -> usize {
        self.rows.len() * self.columns.len()
    }

    /// A grid has at least one tile.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Height and width of the largest window.
    pub fn largest_window(&self) -> (usize, usize) {
        let most = |spans: &[Span]| spans.iter().map(|s| s.size).max().unwrap_or(0);
        (most(&self.rows), most(&self.columns))
    }

    /// Pixels of the largest core.
    pub fn largest_core(&self) -> usize {
        let most = |spans: &[Span]| spans.iter().map(|s| s.core_end - s.core).max().unwrap_or(0);
        most(&self.rows) * most(&self.columns)
    }

    /// Pixels of all windows together: what the network has to do.
    pub fn window_pixels(&self) -> usize {
        let side = |spans: &[Span]| spans.iter().map(|s| s.size).sum::<usize>();
        side(&self.rows) * side(&self.columns)
    }
}

impl Tile {
    /// The pixels that this tile decides.
    pub fn core(&self) -> Region {
        Region {
            y: self.rows.core,
            x: self.columns.core,
            height: self.rows.core_end - self.rows.core,
            width: self.columns.core_end - self.columns.core,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_cover_every_axis_once_and_windows_hold_their_halo() {
        for period in [1, 2, 3, 16, 48] {
            for halo in [0, 8, 17, 48] {
                let tiling = Tiling { tile: 64, halo, period, multiple: 8 };
                for length in (1..700).chain([4056]) {
                    let whole = tiling.axis(length, false);
                    let shifted = tiling.axis(length, true);
                    for spans in [&whole, &shifted] {
                        check(&tiling, spans, length);
                    }
                    let common = whole
                        .iter()
                        .filter(|s| s.core > 0 && shifted.iter().any(|t| t.core == s.core));
                    assert_eq!(
                        common.count(),
                        0,
                        "a seam would stay in place: {tiling:?} {length}"
                    );
                }
            }
        }
    }

    fn check(tiling: &Tiling, spans: &[Span], length: usize) {
        let what = format!("{tiling:?} length {length}: {spans:?}");
        assert_eq!((spans[0].core, spans[spans.len() - 1].core_end), (0, length), "{what}");
        let mut sizes: Vec<usize> = spans.iter().map(|s| s.size).collect();
        sizes.sort_unstable();
        sizes.dedup();
        assert!(sizes.len() <= 2, "{what}");
        for (i, s) in spans.iter().enumerate() {
            assert!(s.core < s.core_end && s.core % tiling.period == 0, "{what}");
            assert!(i == 0 || spans[i - 1].core_end == s.core, "{what}");
            assert!(s.size % tiling.multiple == 0, "{what}");
            assert!(s.window <= s.core.saturating_sub(tiling.halo), "{what}");
            assert!(s.window + s.size >= (s.core_end + tiling.halo).min(length), "{what}");
            assert!(s.window % tiling.multiple == 0, "{what}");
            let end = length.next_multiple_of(tiling.multiple);
            assert!(s.window == 0 || s.window + s.size <= end, "{what}");
        }
    }

    #[test]
    fn the_work_stays_close_to_the_frame() {
        let tiling = Tiling { tile: 160, halo: 16, period: 2, multiple: 8 };
        for (w, h) in [(512, 512), (640, 480), (600, 400), (4056, 3040)] {
            for step in 0..2 {
                let ratio =
                    tiling.grid(Shape::new(3, h, w), step).window_pixels() as f64 / (w * h) as f64;
                assert!(ratio < 1.65, "{w}x{h} step {step}: {ratio}");
            }
        }
    }
}
