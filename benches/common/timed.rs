//! How long networks take within what else is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use ddnm::prior::{Evaluator, Identity, Model, Prior};
use ddnm::schedule::{Diffusion, Level};

/// A prior that says how long its network took.
pub struct Timed<'a> {
    prior: &'a Model,
    nanoseconds: Arc<AtomicU64>,
}

struct TimedEvaluator {
    evaluator: Box<dyn Evaluator>,
    nanoseconds: Arc<AtomicU64>,
}

impl Timed<'_> {
    /// Nothing has been asked of it yet.
    pub fn new(prior: &Model) -> Timed<'_> {
        Timed { prior, nanoseconds: Arc::default() }
    }

    /// Seconds since it was asked last.
    pub fn take(&self) -> f64 {
        self.nanoseconds.swap(0, Relaxed) as f64 * 1e-9
    }
}

impl Evaluator for TimedEvaluator {
    fn x0(&mut self, x_t: &[f32], level: Level, x0: &mut [f32]) -> ddnm::Result<()> {
        let start = Instant::now();
        let result = self.evaluator.x0(x_t, level, x0);
        self.nanoseconds.fetch_add(start.elapsed().as_nanos() as u64, Relaxed);
        result
    }
}

impl Prior for Timed<'_> {
    fn channels(&self) -> usize {
        self.prior.channels()
    }
    fn multiple(&self) -> usize {
        self.prior.multiple()
    }
    fn tile(&self) -> usize {
        self.prior.tile()
    }
    fn halo(&self, sigma: f64) -> usize {
        self.prior.halo(sigma)
    }
    fn diffusion(&self) -> &Diffusion {
        self.prior.diffusion()
    }
    fn evaluator(&self, height: usize, width: usize) -> ddnm::Result<Box<dyn Evaluator>> {
        let evaluator = self.prior.evaluator(height, width)?;
        Ok(Box::new(TimedEvaluator { evaluator, nanoseconds: self.nanoseconds.clone() }))
    }
    fn identity(&self) -> Identity {
        self.prior.identity()
    }
}

/// The median of some turns: a machine can be slower in some of them.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values = Vec::from_iter(values);
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
