//! What is done when: the order in which a frame goes through all steps, and which rows are held
//! meanwhile.
//!
//! The state of step `s + 1` in a row of tiles depends on the state of step `s` in the rows of
//! their windows, and on nothing else. So the rows of tiles of all steps can be done in any order
//! that respects this: here always the deepest step that can go on, `band` rows of tiles at a
//! time, and rows that nothing needs any more are let go. With a band as high as the frame this
//! is the ordinary loop over steps; with low bands only a few rows of each state exist at a time.
//! The result is the same, because every tile is a function of one fixed window alone.
//!
//! The order follows from sizes alone. So it can be gone through without any picture, which is
//! how a plan knows how many rows are held at most.

use std::ops::Range;

use super::grid::Grid;
use crate::degrade::{Degradation, Reach, full_width};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Make the classical estimate of these rows of the scene, whole blocks, from these rows of
    /// the measurement.
    Start { rows: Range<usize>, support: Range<usize> },
    /// Take these rows of tiles through a step.
    Tiles { step: usize, rows: Range<usize> },
    /// Finish these rows of the scene and hand them out.
    Finish { rows: Range<usize> },
}

/// The order of one restoration, and how far it has come.
pub struct Order<'a> {
    a: &'a dyn Degradation,
    grids: &'a [Grid],
    band: usize,
    /// Rows of the scene that are started at a time.
    starts: usize,
    height: usize,
    /// Rows of the scene with a classical estimate.
    started: usize,
    /// Next row of tiles, per step.
    next_row: &'a mut [usize],
    /// Rows of each state that are final; state 0 is what the first step sees.
    complete: &'a mut [usize],
    finished: usize,
}

/// What an [`Order`] keeps per step, to be used again for the next frame.
#[derive(Debug, Clone, Default)]
pub struct Places {
    next_row: Vec<usize>,
    complete: Vec<usize>,
}

impl<'a> Order<'a> {
    /// The order for the tiles `grids` of each step, at most `band` rows of them and `blocks`
    /// blocks of the classical estimate at a time.
    pub fn new(
        a: &'a dyn Degradation,
        grids: &'a [Grid],
        band: usize,
        blocks: usize,
        places: &'a mut Places,
    ) -> Order<'a> {
        for (per_step, len) in
            [(&mut places.next_row, grids.len()), (&mut places.complete, grids.len() + 1)]
        {
            per_step.clear();
            per_step.resize(len, 0);
        }
        Order {
            starts: blocks.saturating_mul(a.classical_block()),
            a,
            grids,
            band,
            height: a.scene().height,
            started: 0,
            next_row: &mut places.next_row,
            complete: &mut places.complete,
            finished: 0,
        }
    }

    /// Where the next rows to finish end: few rows at a time, all of one row of tiles.
    fn finish_end(&self) -> usize {
        const ROWS: usize = 16;
        if self.a.reach() == Reach::Global {
            return self.height;
        }
        let tiles = &self.grids[self.grids.len() - 1].rows;
        let tile_end = tiles.iter().map(|t| t.core_end).find(|end| *end > self.finished);
        let unit = ROWS.next_multiple_of(self.a.period());
        ((self.finished + 1).next_multiple_of(unit)).min(tile_end.unwrap_or(self.height))
    }

    /// How many rows of tiles step `k` could do now, and how many it has left.
    fn ready(&self, k: usize) -> (usize, usize) {
        let left = &self.grids[k].rows[self.next_row[k]..];
        let complete = self.complete[k];
        let ready = left
            .iter()
            .take_while(|rows| (rows.window + rows.size).min(self.height) <= complete)
            .count();
        (ready, left.len())
    }

    /// The next task, which counts as done from here on; `None` at the end.
    pub fn next_task(&mut self) -> Option<Task> {
        let steps = self.grids.len();
        if self.finished < self.complete[steps] {
            let rows = self.finished..self.finish_end();
            self.finished = rows.end;
            return Some(Task::Finish { rows });
        }
        for step in (0..steps).rev() {
            let (ready, left) = self.ready(step);
            if left == 0 || ready < self.band.min(left) {
                continue;
            }
            let from = self.next_row[step];
            let rows = from..from + self.band.min(ready);
            let end = self.grids[step].rows[rows.end - 1].core_end;
            self.next_row[step] = rows.end;
            if self.a.reach() == Reach::Local || end == self.height {
                self.complete[step + 1] = end;
            }
            return Some(Task::Tiles { step, rows });
        }
        if self.started < self.height {
            let rows = self.started..self.started.saturating_add(self.starts).min(self.height);
            (self.started, self.complete[0]) = (rows.end, rows.end);
            return Some(Task::Start { support: self.support(&rows), rows });
        }
        None
    }

    /// The rows of the measurement that whole blocks of rows of the scene depend on.
    fn support(&self, rows: &Range<usize>) -> Range<usize> {
        let block = self.a.classical_block();
        let last = (rows.end - 1) / block * block..rows.end;
        let first = rows.start..(rows.start + block).min(rows.end);
        let support = |rows| self.a.classical_support(rows);
        support(first).start..support(last).end
    }

    /// The first row of state `k` that is still needed.
    pub fn first_of_state(&self, k: usize) -> usize {
        let Some(grid) = self.grids.get(k) else { return self.finished };
        match grid.rows.get(self.next_row[k]) {
            None => self.height,
            Some(rows) if self.a.reach() == Reach::Local => rows.window,
            // A projection of the whole frame still needs the whole state.
            Some(_) => 0,
        }
    }

    /// The first row of the scene that is not finished.
    pub fn finished(&self) -> usize {
        self.finished
    }

    /// The first row of the measurement that is still needed.
    pub fn first_of_measurement(&self) -> usize {
        if self.finished == self.height {
            return self.a.measurement().height;
        }
        let after = match self.a.reach() {
            Reach::Local => {
                self.a.measured(full_width(self.finished..self.height, self.a.scene())).y
            }
            Reach::Global => 0,
        };
        if self.started == self.height {
            return after;
        }
        let block = self.started..(self.started + self.a.classical_block()).min(self.height);
        after.min(self.a.classical_support(block).start)
    }
}
