//! From options to a restorer.

use std::ffi::{CStr, c_char};
use std::path::Path;
use std::sync::Arc;

use super::Handle;
use super::picture::Samples;
use super::status::null;
use crate::boards;
use crate::cli::job;
use crate::degrade::Degradation;
use crate::error::{Error, Result};
use crate::frame::Shape;
use crate::plan;
use crate::sampler::Restorer;

/// What is restored, and how. Set all to 0 first, then `size` to sizeof(ddnm_options); 0 is the
/// usual value of what need not be said.
#[repr(C)]
pub struct Options {
    /// sizeof(ddnm_options), by which a library of another version is found out.
    pub size: usize,
    /// What happened to the scene, as in "bayer:rggb" or "gray+sr:2". Needed.
    pub spec: *const c_char,
    /// A model file; NULL: the built-in model.
    pub model: *const c_char,
    /// "faithful" or "sample"; NULL: faithful.
    pub mode: *const c_char,
    /// Noise of the measurement: standard deviation in 8-bit code values, 0 to 25500. Where
    /// `noise_gain` is not 0, that of the readout alone, 0 to 255.
    pub noise: f64,
    /// A camera's noise, that grows with the light: the variance of a value `v` is
    /// noise_gain * v + noise * noise, all in 8-bit code values. 0 to 255; 0: as strong everywhere.
    pub noise_gain: f64,
    /// Of a sample: share of new noise per step, 0 to 1. 0: 0.85; for as good as none say 1e-30.
    pub eta: f64,
    /// Of a sample: another one for each.
    pub seed: u64,
    /// Size of the measurement in pixels, 1 to 65535 each.
    pub width: u32,
    pub height: u32,
    /// Of the measurement: 1 or 3.
    pub channels: u32,
    /// Of the measurement: DDNM_U8, DDNM_U16 or DDNM_F32.
    pub samples: u32,
    /// Size of the scene in pixels; 0 and 0: the largest that fits.
    pub scene_width: u32,
    pub scene_height: u32,
    /// Evaluations of the model, 1 to 1000; 0: what suits the degradation.
    pub steps: u32,
    /// 0: as many as the machine grants; -1: one less, and so on; at most 1024.
    pub threads: i32,
}

/// A string of the caller's; `None` for NULL.
///
/// # Safety
/// `text` is NULL or ends with a zero, and is not changed while the result is used.
unsafe fn string<'a>(text: *const c_char, what: &str) -> Result<Option<&'a str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    let text = unsafe { CStr::from_ptr(text) };
    let refused = |_| Error::Usage(format!("{what}: expected UTF-8, found {text:?}"));
    text.to_str().map(Some).map_err(refused)
}

impl Options {
    /// Makes the restorer.
    ///
    /// # Safety
    /// Strings are NULL or end with a zero, and nobody changes them meanwhile.
    pub unsafe fn restorer(&self) -> Result<Handle> {
        if self.size != size_of::<Options>() {
            let (expected, found) = (size_of::<Options>(), self.size);
            return Err(Error::Usage(format!("options: expected size {expected}, found {found}")));
        }
        // SAFETY: the caller's promise.
        let (spec, model, mode) = unsafe {
            (string(self.spec, "spec")?, string(self.model, "model")?, string(self.mode, "mode")?)
        };
        self.create(spec.ok_or_else(|| null("spec"))?, model, mode.unwrap_or("faithful"))
    }

    fn create(&self, spec: &str, model: Option<&str>, mode: &str) -> Result<Handle> {
        let Options { width, height, channels, .. } = *self;
        let measured = Shape::new(channels as usize, height as usize, width as usize);
        if measured.is_empty() || measured.width.max(measured.height) > crate::io::MAX_SIDE {
            let expected =
                format!("sides and channels of at least 1, sides up to {}", crate::io::MAX_SIDE);
            return Err(Error::shape("measurement", expected, measured));
        }
        let samples = Samples::new(self.samples)?;
        let size = match (self.scene_width, self.scene_height) {
            (0, 0) => None,
            (width, height) => Some(format!("{width}x{height}")),
        };
        let a = job::operator(spec, measured, None, size.as_deref())?;
        let model = job::model(model, None)?;
        let machine = boards::detect(Path::new("/"))?;
        let schedule = job::Schedule {
            mode,
            rule: None,
            eta: Some(self.eta).filter(|eta| *eta != 0.0),
            seed: self.seed,
            noise: self.noise()?,
            steps: (self.steps > 0).then_some(self.steps as usize),
            start: None,
            end: None,
            generative: None,
            relaxation: None,
            momentum: None,
            travel: None,
            threads: job::threads(self.threads as isize, &machine, None),
            board: None,
            bits: samples.bits(),
        };
        let mut settings = schedule.settings(&a, &model)?;
        let planned = plan::Job {
            a: &a,
            prior: &model,
            settings: &settings,
            input_bytes: 0,
            bits: 8,
            output_is_held: false,
        };
        let plan = plan::plan(&planned, &[])?;
        (settings.threads, settings.band) = (plan.threads, plan.band);
        let a: Arc<dyn Degradation> = Arc::from(a);
        let restorer = Restorer::new(a.clone(), Arc::new(model), settings)?;
        Ok(Handle { restorer, a, samples, held: Vec::new() })
    }

    fn noise(&self) -> Result<job::Noise> {
        if self.noise_gain == 0.0 {
            return Ok(job::Noise::Even(job::sigma(self.noise, "noise")?));
        }
        job::Noise::camera(self.noise_gain, self.noise).ok_or_else(|| {
            let (gain, read) = (self.noise_gain, self.noise);
            let expected = "noise_gain and noise: expected 0 to 255";
            Error::Usage(format!("{expected}, found {gain} and {read}"))
        })
    }
}
