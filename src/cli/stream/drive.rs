//! The loop over frames: one thread reads, this one restores and writes.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use super::log::Log;
use super::signals::Signals;
use crate::boards::heat::temperature;
use crate::cli::heat::Heat;
use crate::error::{Error, Result};
use crate::io::atomic::{reason, to_stdout};
use crate::io::video::{Frames, Next, frame_line};
use crate::stream::{Pipeline, Queue, WhenFull};

/// How long to wait for a frame before looking for signals.
const PATIENCE: Duration = Duration::from_millis(50);

/// What may wait, and what happens when more comes.
pub struct Limits {
    pub queue: usize,
    pub when_full: WhenFull,
}

/// Everything that a stream needs but its frames.
pub struct Drive<'a> {
    pub pipeline: Pipeline<'a>,
    pub log: Log,
    pub heat: Heat,
    pub signals: Signals,
    /// The line that the output begins with; frames have lines then too.
    pub first: Option<String>,
    /// Private memory that was planned, in bytes.
    pub planned: u64,
}

/// What the reader passes on.
enum Item {
    Frame { number: u64, tags: String, bytes: Vec<u8>, came: Instant },
    Skipped { why: String },
    End(Result<()>),
}

#[derive(Default)]
struct Counts {
    frames: u64,
    skipped: u64,
}

impl Drive<'_> {
    /// Goes on until the frames end, a signal comes or the reader of the output has gone.
    ///
    /// # Errors
    /// What ended the stream early, after all whole frames before it have been written; and
    /// [`Error::Frames`] where some were broken.
    pub fn run(mut self, frames: Box<dyn Frames>, limits: Limits) -> Result<()> {
        self.signals.begin();
        let started = Instant::now();
        let is_frame = |item: &Item| matches!(item, Item::Frame { .. });
        let queue = Arc::new(Queue::new(limits.queue, limits.when_full, is_frame));
        let reader = {
            let queue = queue.clone();
            let start = std::thread::Builder::new().name("reader".into());
            let failed = |e| Error::Usage(format!("expected one more thread, found none: {e}"));
            start.spawn(move || read(frames, &queue)).map_err(failed)?
        };
        let mut counts = Counts::default();
        let done = to_stdout(|out, name| self.write(out, name, &queue, &reader, &mut counts));
        let (_, dropped) = queue.counts();
        // The reader may wait for input that never comes: it ends with the process.
        queue.close();
        let end = json!({
            "frames": counts.frames, "skipped": counts.skipped, "dropped": dropped,
            "seconds": started.elapsed().as_secs_f64(), "planned_bytes": self.planned,
            "heat": self.heat.report(),
        });
        self.log.line(&end)?;
        done?;
        match counts.skipped {
            0 => Ok(()),
            failed => Err(Error::Frames { failed, whole: counts.frames }),
        }
    }

    fn write(
        &mut self,
        out: &mut dyn Write,
        name: &Path,
        queue: &Queue<Item>,
        reader: &JoinHandle<()>,
        counts: &mut Counts,
    ) -> Result<()> {
        let failed = |e: std::io::Error| Error::output(name, reason(&e));
        let out = &mut self.signals.watched(out);
        if let Some(line) = &self.first {
            out.write_all(line.as_bytes()).and_then(|()| out.flush()).map_err(failed)?;
        }
        let mut result = Vec::new();
        loop {
            if self.signals.interrupted() {
                return Err(Error::Interrupted);
            }
            if self.signals.stopped() {
                return Ok(());
            }
            // Asked before the queue is: a reader that has ended has put its end into it.
            let ended = reader.is_finished();
            let (number, tags, bytes, came) = match queue.pop(PATIENCE) {
                Some(Item::Frame { number, tags, bytes, came }) => (number, tags, bytes, came),
                Some(Item::End(end)) => return end,
                Some(Item::Skipped { why }) => {
                    counts.skipped += 1;
                    ::log::warn!("{why}");
                    self.log.line(&json!({ "skipped": why }))?;
                    continue;
                }
                None if ended => {
                    let (what, expected) = ("the reader of frames", "an end");
                    let (what, expected) = (what.to_string(), expected.to_string());
                    return Err(Error::Numerical { what, expected, found: "none".into() });
                }
                None => continue,
            };
            let began = Instant::now();
            let (heat, stop) = (&mut self.heat, self.signals.flag());
            // A signal ends a pause, not the frame.
            let mut pause = || _ = heat.pause(stop);
            let outcome = self.pipeline.frame(&bytes, &mut result, &mut pause)?;
            if self.first.is_some() {
                out.write_all(frame_line(&tags).as_bytes()).map_err(failed)?;
            }
            out.write_all(&result).and_then(|()| out.flush()).map_err(failed)?;
            counts.frames += 1;
            let (waiting, dropped) = queue.counts();
            self.log.line(&json!({
                "frame": number, "seconds": began.elapsed().as_secs_f64(),
                "latency": came.elapsed().as_secs_f64(),
                "evaluations": outcome.evaluations, "steps": outcome.steps,
                "tiles": outcome.tiles.evaluated, "tiles_still": outcome.tiles.still,
                "tiles_skipped": outcome.tiles.skipped, "late": outcome.late,
                "cut": outcome.cut,
                "residual_max": outcome.residual_max, "residual_rms": outcome.residual_rms,
                "temperature": temperature(Path::new("/")),
                "waiting": waiting, "dropped": dropped,
            }))?;
        }
    }
}

/// Reads frames until they end or nobody wants them any more.
fn read(mut frames: Box<dyn Frames>, queue: &Queue<Item>) {
    let mut number = 0;
    loop {
        let mut bytes = Vec::new();
        let item = match frames.next(&mut bytes) {
            Ok(Next::Frame { tags }) => {
                let came = Instant::now();
                number += 1;
                Item::Frame { number: number - 1, tags, bytes, came }
            }
            Ok(Next::Skipped { why }) => Item::Skipped { why },
            Ok(Next::End) => Item::End(Ok(())),
            Err(e) => Item::End(Err(e)),
        };
        let last = matches!(item, Item::End(_));
        if !queue.push(item) || last {
            return;
        }
    }
}
