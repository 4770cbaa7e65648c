//! Signals that end a stream in good order.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator;
use signal_hook::low_level::exit;

use crate::error::Error;

/// How long a reader may take nothing of a frame once a signal has come.
const GRACE: Duration = Duration::from_secs(5);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Which signals have come.
pub struct Signals {
    interrupted: Arc<AtomicBool>,
    /// Either of the two.
    stopped: Arc<AtomicBool>,
    /// Whether nothing has been begun that would have to be finished.
    waiting: Arc<AtomicBool>,
    /// Writes to standard output that have begun or ended: odd in the middle of one.
    writes: Arc<AtomicU64>,
}

impl Signals {
    /// SIGINT and SIGTERM end the stream after the frame at hand: at once before there can be one,
    /// and after a while where nobody takes it. The second of them always ends the process at once.
    pub fn new() -> Signals {
        let new = || Arc::new(AtomicBool::new(false));
        let signals = Signals {
            interrupted: new(),
            stopped: new(),
            waiting: Arc::new(AtomicBool::new(true)),
            writes: Arc::default(),
        };
        let interrupted = Error::Interrupted.exit_code();
        // Registering only fails for signals that cannot be caught, which these are not. What is
        // registered first is done first, so `stopped` ends the process at a second signal.
        for (signal, code) in [(SIGINT, interrupted), (SIGTERM, 0)] {
            let _ = flag::register_conditional_shutdown(signal, code, signals.waiting.clone());
            let stopped = signals.stopped.clone();
            let _ = flag::register_conditional_shutdown(signal, interrupted, stopped);
            let _ = flag::register(signal, signals.stopped.clone());
        }
        let _ = flag::register(SIGINT, signals.interrupted.clone());
        if let Ok(coming) = iterator::Signals::new([SIGINT, SIGTERM]) {
            let (interrupted, writes) = (signals.interrupted.clone(), signals.writes.clone());
            let watch = move || end_without_a_reader(coming, &interrupted, &writes);
            // Without this thread it takes a second signal.
            let _ = std::thread::Builder::new().name("signals".into()).spawn(watch);
        }
        signals
    }

    /// Frames may be at hand from now on.
    pub fn begin(&self) {
        self.waiting.store(false, Ordering::Relaxed);
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

    /// A writer to standard output, which is given up where it does not go on after a signal.
    pub fn watched<'a>(&self, out: &'a mut dyn Write) -> Watched<'a> {
        Watched { out, writes: self.writes.clone() }
    }
}

/// Waits for a signal, and then ends the process once a write has not gone on for a while: the
/// frame at hand cannot be finished then.
fn end_without_a_reader(
    mut coming: iterator::Signals,
    interrupted: &AtomicBool,
    writes: &AtomicU64,
) {
    let _ = coming.forever().next();
    let (mut seen, mut since) = (0, Instant::now());
    loop {
        let now = writes.load(Ordering::Relaxed);
        if now != seen || now.is_multiple_of(2) {
            (seen, since) = (now, Instant::now());
        } else if since.elapsed() >= GRACE {
            break;
        }
        std::thread::sleep(LOOK);
    }
    let why = format!("its reader has taken nothing for {} s", GRACE.as_secs());
    let error = Error::output("standard output".as_ref(), why);
    let _ = writeln!(std::io::stderr(), "ddnm: {error}");
    let was_interrupted = interrupted.load(Ordering::Relaxed);
    exit(if was_interrupted { Error::Interrupted } else { error }.exit_code());
}

/// See [`Signals::watched`].
pub struct Watched<'a> {
    out: &'a mut dyn Write,
    writes: Arc<AtomicU64>,
}

impl Watched<'_> {
    fn watch<T>(&mut self, work: impl FnOnce(&mut dyn Write) -> T) -> T {
        self.writes.fetch_add(1, Ordering::Relaxed);
        let done = work(self.out);
        self.writes.fetch_add(1, Ordering::Relaxed);
        done
    }
}

impl Write for Watched<'_> {
    /// Writes what a pipe holds at most: a larger frame goes on while its reader is only slow.
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        const PART: usize = 1 << 16;
        self.watch(|out| out.write(&bytes[..bytes.len().min(PART)]))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.watch(|out| out.flush())
    }
}
