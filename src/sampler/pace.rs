//! How long evaluations take, learned while they are done.

use std::sync::{Arc, Mutex, MutexGuard};

use super::budget::Clock;
use crate::error::Result;
use crate::prior::{Evaluator, Identity, Prior};
use crate::schedule::{Diffusion, Level};

/// A time that is measured again and again: its mean and mean deviation, the last values counting
/// most, as RFC 6298 does for the round trips of packets.
#[derive(Debug, Clone, Copy, Default)]
pub struct Estimate {
    /// `None` before the first value.
    known: Option<(f64, f64)>,
}

impl Estimate {
    pub fn learn(&mut self, value: f64) {
        self.known = Some(match self.known {
            None => (value, value / 2.0),
            Some((mean, deviation)) => {
                // A machine that has become slower is believed at once.
                let surprise = value > mean + 4.0 * deviation;
                let next = if surprise { value } else { 0.875 * mean + 0.125 * value };
                (next, 0.75 * deviation + 0.25 * (value - mean).abs())
            }
        });
    }

    /// Nothing could be measured, because it would have taken too long: doubts fade soon, and the
    /// value itself very slowly, so that a machine that was hot once is tried again.
    pub fn age(&mut self) {
        self.known = self.known.map(|(mean, deviation)| (0.999 * mean, 0.75 * deviation));
    }

    /// What it will hardly take longer than.
    pub fn high(&self) -> Option<f64> {
        self.known.map(|(mean, deviation)| mean + 4.0 * deviation)
    }
}

/// What has been seen of a frame's evaluations.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// Seconds in which there was at least one, and those of all threads.
    pub wall: f64,
    pub busy: f64,
    /// Pixels of their windows.
    pub pixels: usize,
    /// How many there are at this moment, and since when there was always one.
    active: usize,
    since: f64,
}

/// Watches evaluations, on all threads.
pub struct Watch {
    clock: Clock,
    seen: Mutex<Seen>,
}

impl Watch {
    pub fn new(clock: Clock) -> Watch {
        Watch { clock, seen: Mutex::default() }
    }

    pub fn reset(&self) {
        *self.lock() = Seen::default();
    }

    pub fn seen(&self) -> Seen {
        *self.lock()
    }

    /// Seconds in which there was an evaluation, up to now.
    pub fn wall(&self) -> f64 {
        let now = (self.clock)().as_secs_f64();
        let seen = self.seen();
        seen.wall + if seen.active > 0 { now - seen.since } else { 0.0 }
    }

    fn watch<T>(&self, pixels: usize, work: impl FnOnce() -> T) -> T {
        let began = (self.clock)().as_secs_f64();
        {
            let mut seen = self.lock();
            if seen.active == 0 {
                seen.since = began;
            }
            seen.active += 1;
        }
        let result = work();
        let now = (self.clock)().as_secs_f64();
        let mut seen = self.lock();
        seen.active = seen.active.saturating_sub(1);
        seen.busy += now - began;
        seen.pixels += pixels;
        if seen.active == 0 {
            seen.wall += now - seen.since;
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// A prior whose evaluations are watched.
pub struct Timed<'a> {
    inner: &'a dyn Prior,
    watch: Arc<Watch>,
}

impl<'a> Timed<'a> {
    pub fn new(inner: &'a dyn Prior, watch: Arc<Watch>) -> Timed<'a> {
        Timed { inner, watch }
    }
}

impl Prior for Timed<'_> {
    fn channels(&self) -> usize {
        self.inner.channels()
    }

    fn multiple(&self) -> usize {
        self.inner.multiple()
    }

    fn tile(&self) -> usize {
        self.inner.tile()
    }

    fn halo(&self, sigma: f64) -> usize {
        self.inner.halo(sigma)
    }

    fn diffusion(&self) -> &Diffusion {
        self.inner.diffusion()
    }

    fn evaluator(&self, height: usize, width: usize) -> Result<Box<dyn Evaluator>> {
        let inner = self.inner.evaluator(height, width)?;
        Ok(Box::new(TimedAt { inner, watch: self.watch.clone(), pixels: height * width }))
    }

    fn prepare(&self, windows: &[(usize, usize)], threads: usize) -> Result<()> {
        self.inner.prepare(windows, threads)
    }

    fn allows_for_equal_noise(&self) -> bool {
        self.inner.allows_for_equal_noise()
    }

    fn identity(&self) -> Identity {
        self.inner.identity()
    }
}

struct TimedAt {
    inner: Box<dyn Evaluator>,
    watch: Arc<Watch>,
    pixels: usize,
}

impl Evaluator for TimedAt {
    fn x0(&mut self, x_t: &[f32], level: Level, x0: &mut [f32]) -> Result<()> {
        self.watch.watch(self.pixels, || self.inner.x0(x_t, level, x0))
    }
}
