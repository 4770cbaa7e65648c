//! Frames of one size, one after another: everything is made once.

use std::sync::Arc;
use std::thread::JoinHandle;

use super::wavefront::{Lead, Part, Wavefront};
use super::{OnFinished, OnProgress, Settings, check, into_frame};
use crate::degrade::Degradation;
use crate::error::{Error, Result};
use crate::frame::{Frame, FrameRows, Rows};
use crate::prior::Prior;

/// Restores frame after frame as [`restore`](super::restore) does each of them, with threads and
/// buffers of its own that stay.
///
/// After its first frame a restorer allocates nothing, where the operator is local
/// ([`Reach::Local`](crate::degrade::Reach)) and one of this crate, and the prior is a model that
/// runs without tract: packed ones do, the bundled ones and most others from ONNX too. Operators
/// over whole frames, one's own operators and priors allocate what they like. Restorers that work
/// at the same time need a model each: its working memory is for the threads of one.
///
/// It can be sent to other threads; its own threads end when it is dropped.
pub struct Restorer {
    wave: Arc<Wavefront<'static>>,
    lead: Lead,
    threads: Vec<JoinHandle<()>>,
}

impl Restorer {
    /// Everything for frames of the operator's measurement.
    ///
    /// # Errors
    /// As for [`restore`](super::restore); what the prior says of windows of the sizes that it will
    /// be asked for; [`Error::Usage`] where the system gives no thread.
    pub fn new(
        a: Arc<dyn Degradation>,
        prior: Arc<dyn Prior>,
        settings: Settings,
    ) -> Result<Restorer> {
        check(&*a, a.measurement(), &*prior, &settings)?;
        let lead = Lead::new(&*a, true);
        let wave = Wavefront::new(Part::Shared(a), Part::Shared(prior), None, settings, true);
        wave.prepare()?;
        let mut restorer = Restorer { wave: Arc::new(wave), lead, threads: Vec::new() };
        for member in 1..restorer.wave.threads() {
            let wave = restorer.wave.clone();
            let start = std::thread::Builder::new().name(format!("ddnm {member}"));
            let failed = |e| Error::Usage(format!("expected one more thread, found none: {e}"));
            restorer.threads.push(start.spawn(move || wave.serve(member)).map_err(failed)?);
            restorer.wave.crew.join();
        }
        Ok(restorer)
    }

    /// The degradation that frames have suffered.
    pub fn degradation(&self) -> &dyn Degradation {
        self.wave.degradation()
    }

    /// Sets the number of the next frame, which its noise depends on; see [`Settings::frame`].
    pub fn set_frame(&mut self, number: u32) {
        self.wave.set_frame(number);
    }

    /// Restores the measurement `y` (as from [`measurement`](crate::degrade::measurement)) into
    /// `x`, a frame of the scene's size.
    ///
    /// # Errors
    /// As for [`restore`](super::restore); then `x` holds a part of the result.
    pub fn restore_into(&mut self, y: &Frame, x: &mut Frame, progress: OnProgress) -> Result<()> {
        let scene = self.degradation().scene();
        if x.shape != scene {
            return Err(Error::shape("frame for the result", scene, x.shape));
        }
        self.restore_rows(&mut FrameRows::new(y), &mut into_frame(x), progress)
    }

    /// Restores a measurement that comes row by row; see [`restore_rows`](super::restore_rows).
    pub fn restore_rows(
        &mut self,
        y: &mut dyn Rows,
        done: OnFinished,
        progress: OnProgress,
    ) -> Result<()> {
        let expected = self.degradation().measurement();
        if y.shape() != expected {
            return Err(Error::shape("measurement", expected, y.shape()));
        }
        let restored = self.wave.frame(&mut self.lead, y, done, progress);
        self.wave.level();
        restored
    }
}

impl Drop for Restorer {
    fn drop(&mut self) {
        self.wave.crew.dismiss();
        for thread in self.threads.drain(..) {
            // Panics of a thread's work have been reported.
            let _ = thread.join();
        }
    }
}
