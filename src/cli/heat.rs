//! Heat during a restoration: pauses, and what the report says of it.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::boards::heat::{Guard, Throttling, Watch, temperature};
use crate::error::Result;

const ROOT: &str = "/";

/// Watches the machine's heat between tiles.
pub struct Heat {
    guard: Option<Guard>,
    watch: Watch,
    start: Option<f64>,
}

impl Heat {
    /// `max_c` is the temperature above which to pause, in degrees Celsius.
    pub fn new(max_c: Option<f64>) -> Result<Heat> {
        let root = Path::new(ROOT);
        let guard = max_c.map(|c| Guard::new(root, c)).transpose()?;
        Ok(Heat { guard, watch: Watch::new(root), start: temperature(root) })
    }

    /// Waits while the machine is too hot; breaks off when `stop` is set.
    pub fn pause(&mut self, stop: &AtomicBool) -> ControlFlow<()> {
        let stopped = || match stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        stopped()?;
        self.watch.pass();
        let Some(guard) = &mut self.guard else { return ControlFlow::Continue(()) };
        guard.pause(&mut |time| {
            std::thread::sleep(time);
            stopped()
        })
    }

    /// Temperatures in degrees Celsius, seconds of pauses, what was seen meanwhile, and whether the
    /// machine was slowed down.
    pub fn report(&mut self) -> Value {
        let root = Path::new(ROOT);
        self.watch.look();
        let (throttling, seen) = (Throttling::read(root), self.watch.seen());
        let slowed = seen.slowed > 0 || seen.throttled == Some(true);
        json!({
            "start": self.start, "end": temperature(root),
            "paused_seconds": self.guard.as_ref().map_or(0.0, |g| g.paused().as_secs_f64()),
            "slowed": slowed, "seen": seen, "throttling": throttling,
        })
    }
}
