//! How long evaluations take, learned while they are done.

use std::sync::{Arc, Mutex, MutexGuard};

use super::budget::Clock;
use crate::error::Result;
use crate::prior::{Evaluator, Identity, Prior};
use crate::schedule::{Diffusion, Level};

/// A time that is measured again and again: its mean and mean deviation, the last values counting
/// most, as RFC 6298 does for the round trips of packets. The first values count alike.
#[derive(Debug, Clone, Copy, Default)]
pub struct Estimate {
    mean: f64,
    deviation: f64,
    /// Values so far.
    count: u32,
}

impl Estimate {
    pub fn learn(&mut self, value: f64) {
        self.count = self.count.saturating_add(1);
        if self.count == 1 {
            // Evaluations of a machine differ far less than round trips do, which RFC 6298 doubts
            // by a half at first; where they do, the deviation grows with the next value.
            (self.mean, self.deviation) = (value, value / 8.0);
            return;
        }
        let weight = |least: f64| (1.0 / f64::from(self.count)).max(least);
        let off = value - self.mean;
        // A machine that has become slower is believed at once.
        let surprise = off > 4.0 * self.deviation;
        self.mean += if surprise { off } else { weight(0.125) * off };
        self.deviation += weight(0.25) * (off.abs() - self.deviation);
    }

    /// Nothing could be measured, because it would have taken too long: doubts fade soon, and the
    /// value itself very slowly, so that a machine that was hot once is tried again.
    pub fn age(&mut self) {
        self.mean *= 0.999;
        self.deviation *= 0.75;
    }

    /// What it will hardly take longer than; `None` before the first value.
    pub fn high(&self) -> Option<f64> {
        (self.count > 0).then_some(self.mean + 4.0 * self.deviation)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubts_are_small_where_values_are_alike_and_grow_where_they_are_not() {
        let mut estimate = Estimate::default();
        assert_eq!(estimate.high(), None);
        (0..4).for_each(|_| estimate.learn(2.0));
        let high = estimate.high().unwrap();
        assert!(high > 2.0 && high < 2.0 * 1.15, "{high}");
        // Twice as slow all at once: believed, with room for more.
        estimate.learn(4.0);
        let high = estimate.high().unwrap();
        assert!(high > 5.0, "{high}");
        (0..30).for_each(|i| estimate.learn(3.0 + f64::from(i % 2)));
        let high = estimate.high().unwrap();
        assert!(high > 5.0 && high < 6.0, "{high}");
    }
}
