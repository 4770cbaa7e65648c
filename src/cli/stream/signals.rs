//! Signals that end a stream in good order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Which signals have come.
pub struct Signals {
    interrupted: Arc<AtomicBool>,
    /// Either of the two.
    stopped: Arc<AtomicBool>,
}

impl Signals {
    /// SIGINT and SIGTERM end the stream after the frame at hand; a second SIGINT ends it at once.
    pub fn new() -> Signals {
        let new = || Arc::new(AtomicBool::new(false));
        let signals = Signals { interrupted: new(), stopped: new() };
        // Registering only fails for signals that cannot be caught, which these are not.
        let _ = flag::register_conditional_shutdown(SIGINT, 130, signals.interrupted.clone());
        let _ = flag::register(SIGINT, signals.interrupted.clone());
        let _ = flag::register(SIGINT, signals.stopped.clone());
        let _ = flag::register(SIGTERM, signals.stopped.clone());
        signals
    }

    pub fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// The flag of [`stopped`](Signals::stopped).
    pub fn flag(&self) -> &AtomicBool {
        &self.stopped
    }

    pub fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}
