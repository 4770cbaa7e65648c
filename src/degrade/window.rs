//! What a measurement shows of a torus, and what it hides.

use std::ops::Range;

use crate::frame::Shape;

/// What a measurement shows of a torus, channel by channel.
#[derive(Debug, Clone)]
pub struct Window {
    measurement: Shape,
    torus: Shape,
    /// Row and column of the measurement's first value.
    at: (usize, usize),
    /// Of each channel, or of all where they hide the same.
    hidden: Vec<Hidden>,
}

/// Where nothing is measured, in one channel of a torus.
#[derive(Debug, Clone, PartialEq)]
enum Hidden {
    /// First values and lengths of runs.
    Runs(Vec<(u32, u32)>),
    /// All places, where runs are short: each of these costs as much as several values.
    Places(Vec<u32>),
}

/// Values that runs have at least, in the mean, to be held as such.
const RUN: usize = 8;

impl Window {
    /// `measures` is 0 where a value of the measurement says nothing; empty where all say something.
    pub fn new(measurement: Shape, torus: Shape, at: (usize, usize), measures: &[f32]) -> Window {
        let mut window = Window { measurement, torus, at, hidden: Vec::new() };
        window.hidden = match measures.is_empty() {
            true => vec![window.hide(measures)],
            false => measures.chunks(measurement.plane()).map(|says| window.hide(says)).collect(),
        };
        if window.hidden.windows(2).all(|two| two[0] == two[1]) {
            window.hidden.truncate(1);
        }
        window
    }

    /// The same without the values where `seen` is 0.
    pub fn without(&self, seen: &[f32]) -> Window {
        let plane = self.torus.plane();
        let mut measures = vec![0.0; self.measurement.len()];
        let parts = measures.chunks_mut(self.measurement.plane());
        for (channel, part) in parts.enumerate() {
            let mut shown = vec![1.0; plane];
            self.look(channel, &mut shown, part);
        }
        measures.iter_mut().zip(seen).for_each(|(m, seen)| *m = if *seen > 0.0 { *m } else { 0.0 });
        Window::new(self.measurement, self.torus, self.at, &measures)
    }

    /// What of a channel is hidden; `says` is 0 where a value says nothing.
    fn hide(&self, says: &[f32]) -> Hidden {
        let (mut end, mut runs) = (0, Vec::new());
        for (first, there) in self.rows() {
            push(&mut runs, end..there);
            end = there + self.measurement.width;
            let values = says.get(first..first + self.measurement.width).unwrap_or(&[]);
            for (x, _) in values.iter().enumerate().filter(|(_, v)| **v == 0.0) {
                push(&mut runs, there + x..there + x + 1);
            }
        }
        push(&mut runs, end..self.torus.plane());
        Hidden::new(runs)
    }

    /// Where the rows of a channel of the measurement begin, and where these lie on the torus.
    fn rows(&self) -> impl Iterator<Item = (usize, usize)> {
        let ((top, left), width) = (self.at, self.torus.width);
        (0..self.measurement.height)
            .map(move |y| (y * self.measurement.width, (top + y) * width + left))
    }

    /// The measurement.
    pub fn measurement(&self) -> Shape {
        self.measurement
    }

    /// The torus.
    pub fn torus(&self) -> Shape {
        self.torus
    }

    fn of(&self, channel: usize) -> &Hidden {
        &self.hidden[channel.min(self.hidden.len() - 1)]
    }

    /// How many values are hidden in a channel.
    pub fn hidden_in(&self, channel: usize) -> usize {
        self.of(channel).len()
    }

    /// How many values are hidden.
    pub fn hidden(&self) -> usize {
        (0..self.torus.channels).map(|channel| self.hidden_in(channel)).sum()
    }

    /// Bytes that it holds.
    pub fn held_bytes(&self) -> u64 {
        self.hidden.iter().map(Hidden::held_bytes).sum()
    }

    /// The first and the number of the rows, and of the columns, of which nothing is measured, around
    /// the torus; `None` where more is hidden.
    pub fn borders(&self) -> Option<((usize, usize), (usize, usize))> {
        let (m, t) = (self.measurement, self.torus);
        if self.hidden() != t.len() - m.len() {
            return None;
        }
        let along = |at: usize, shown: usize, all: usize| ((at + shown) % all, all - shown);
        Some((along(self.at.0, m.height, t.height), along(self.at.1, m.width, t.width)))
    }

    /// `out = P^T y + Q^T u`, of a channel.
    pub fn lay(&self, channel: usize, y: &[f32], u: &[f32], out: &mut [f32]) {
        self.place(y, out);
        self.put(channel, u, out);
    }

    /// The measured values of a channel of the torus, and whatever `y` has where there are holes.
    pub fn place(&self, y: &[f32], out: &mut [f32]) {
        let width = self.measurement.width;
        for (from, to) in self.rows() {
            out[to..to + width].copy_from_slice(&y[from..from + width]);
        }
    }

    /// What is hidden, of a channel of the torus.
    pub fn put(&self, channel: usize, u: &[f32], out: &mut [f32]) {
        match self.of(channel) {
            Hidden::Runs(runs) => {
                let mut rest = u;
                for run in ranges(runs) {
                    let (here, others) = rest.split_at(run.len());
                    out[run].copy_from_slice(here);
                    rest = others;
                }
            }
            Hidden::Places(places) => {
                places.iter().zip(u).for_each(|(at, u)| out[*at as usize] = *u);
            }
        }
    }

    /// `u = Q w`, of a channel.
    pub fn take(&self, channel: usize, w: &[f32], u: &mut [f32]) {
        match self.of(channel) {
            Hidden::Runs(runs) => {
                let mut rest = u;
                for run in ranges(runs) {
                    let (here, others) = rest.split_at_mut(run.len());
                    here.copy_from_slice(&w[run]);
                    rest = others;
                }
            }
            Hidden::Places(places) => {
                places.iter().zip(u).for_each(|(at, u)| *u = w[*at as usize]);
            }
        }
    }

    /// `z = P w`, of a channel; `w` is 0 elsewhere afterwards.
    pub fn look(&self, channel: usize, w: &mut [f32], z: &mut [f32]) {
        match self.of(channel) {
            Hidden::Runs(runs) => ranges(runs).for_each(|run| w[run].fill(0.0)),
            Hidden::Places(places) => places.iter().for_each(|at| w[*at as usize] = 0.0),
        }
        let width = self.measurement.width;
        for (to, from) in self.rows() {
            z[to..to + width].copy_from_slice(&w[from..from + width]);
        }
    }
}

impl Hidden {
    fn new(mut runs: Vec<(u32, u32)>) -> Hidden {
        let values: usize = runs.iter().map(|(_, length)| *length as usize).sum();
        if values >= RUN * runs.len() {
            runs.shrink_to_fit();
            return Hidden::Runs(runs);
        }
        let mut places = Vec::with_capacity(values);
        runs.iter().for_each(|(first, length)| places.extend(*first..*first + *length));
        Hidden::Places(places)
    }

    fn len(&self) -> usize {
        match self {
            Hidden::Runs(runs) => runs.iter().map(|(_, length)| *length as usize).sum(),
            Hidden::Places(places) => places.len(),
        }
    }

    fn held_bytes(&self) -> u64 {
        match self {
            Hidden::Runs(runs) => size_of_val(&**runs) as u64,
            Hidden::Places(places) => size_of_val(&**places) as u64,
        }
    }
}

/// Makes these places the end of a list of runs.
fn push(runs: &mut Vec<(u32, u32)>, places: Range<usize>) {
    let (first, length) = (places.start as u32, places.len() as u32);
    match runs.last_mut() {
        _ if places.is_empty() => {}
        Some((start, all)) if *start + *all == first => *all += length,
        _ => runs.push((first, length)),
    }
}

fn ranges(runs: &[(u32, u32)]) -> impl Iterator<Item = Range<usize>> {
    runs.iter().map(|(first, length)| *first as usize..(*first + *length) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_shows_what_is_measured_and_hides_the_rest() {
        let (measurement, torus) = (Shape::new(2, 3, 4), Shape::new(2, 5, 7));
        let says = |i: usize| f32::from(u8::from(!i.is_multiple_of(7)));
        let differing: Vec<f32> = (0..24).map(says).collect();
        let same: Vec<f32> = (0..24).map(|i| says(i % 12)).collect();
        let few: Vec<f32> =
            (0..24).map(|i: usize| f32::from(u8::from(!i.is_multiple_of(2)))).collect();
        let all = Window::new(measurement, torus, (1, 2), &[]);
        assert_eq!((all.hidden(), all.hidden.len()), (70 - 24, 1));
        for (measures, kinds) in [(vec![1.0; 24], 1), (same, 1), (few, 1), (differing, 2)] {
            let window = Window::new(measurement, torus, (1, 2), &measures);
            assert_eq!(window.hidden.len(), kinds);
            assert_eq!(all.without(&measures).hidden, window.hidden);
            let shown = measures.iter().filter(|v| **v > 0.0).count();
            assert_eq!(window.hidden(), 70 - shown);
            for channel in 0..2 {
                let says = &measures[12 * channel..12 * (channel + 1)];
                let y: Vec<f32> = (1..=12).map(|i| i as f32).collect();
                let u: Vec<f32> = (0..window.hidden_in(channel)).map(|i| -1.0 - i as f32).collect();
                let (mut laid, mut back) = (vec![0.0; 35], vec![0.0; u.len()]);
                window.lay(channel, &y, &u, &mut laid);
                window.take(channel, &laid, &mut back);
                assert_eq!(back, u);
                // The 6th value is in the second row.
                assert_eq!(laid[2 * 7 + 2 + 1] == 6.0, says[5] > 0.0);
                let mut seen = vec![0.0; 12];
                window.look(channel, &mut laid, &mut seen);
                assert!(seen.iter().zip(&y).zip(says).all(|((s, y), says)| *s == y * says));
                assert_eq!(laid.iter().filter(|v| **v != 0.0).count(), 35 - u.len());
            }
        }
    }
}
