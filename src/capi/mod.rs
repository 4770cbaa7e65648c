//! The C interface: what each function does, and what its caller promises, is said in `ddnm.h`.
//!
//! Built with `cargo rustc --release --lib --features capi --crate-type cdylib` (or `staticlib`).
//! Panics do not cross it: they become a status like any other error.

mod picture;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use crate::boards;
use crate::cli::job;
use crate::degrade::{Degradation, MeasuredRows};
use crate::error::{Error, Result};
use crate::frame::Shape;
use crate::plan;
use crate::sampler::{Finished, Restorer};
use picture::{Picture, Samples, Source, Target};

/// `ddnm_options`.
#[repr(C)]
pub struct Options {
    size: usize,
    spec: *const c_char,
    model: *const c_char,
    mode: *const c_char,
    noise: f64,
    seed: u64,
    width: u32,
    height: u32,
    channels: u32,
    samples: u32,
    scene_width: u32,
    scene_height: u32,
    steps: u32,
    threads: i32,
}

/// `ddnm_size`.
#[repr(C)]
pub struct Size {
    width: u32,
    height: u32,
    channels: u32,
}

/// `ddnm_restorer`.
pub struct Handle {
    restorer: Restorer,
    a: Arc<dyn Degradation>,
    samples: Samples,
    /// Rows of the measurement, from frame to frame.
    held: Vec<f32>,
}

/// `ddnm_progress`.
pub type Progress = Option<unsafe extern "C" fn(*mut c_void, usize, usize) -> c_int>;

/// Status of a panic: a bug of this library, or of the callback.
const BUG: c_int = 70;

thread_local! {
    static SAID: RefCell<CString> = RefCell::default();
}

/// Runs a function's work; its error, or panic, becomes a status and a message.
fn guarded(work: impl FnOnce() -> Result<()>) -> c_int {
    let (status, said) = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => return 0,
        Ok(Err(Error::Interrupted)) => (130, "stopped".into()),
        Ok(Err(e)) => (e.exit_code(), e.to_string()),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            (BUG, format!("expected no bug, found one: {said}"))
        }
    };
    let said = CString::new(said.replace('\0', "?")).unwrap_or_default();
    let _ = SAID.try_with(|last| last.replace(said));
    status
}

fn null(what: &str) -> Error {
    Error::Usage(format!("{what}: expected a pointer, found NULL"))
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

/// See `ddnm.h`.
///
/// # Safety
/// Pointers are NULL or as `ddnm.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ddnm_create(options: *const Options, made: *mut *mut Handle) -> c_int {
    guarded(|| {
        // SAFETY: NULL or the caller's, for this call.
        let made = unsafe { made.as_mut() }.ok_or_else(|| null("restorer"))?;
        *made = std::ptr::null_mut();
        // SAFETY: likewise.
        let options = unsafe { options.as_ref() }.ok_or_else(|| null("options"))?;
        if options.size != size_of::<Options>() {
            let (expected, found) = (size_of::<Options>(), options.size);
            return Err(Error::Usage(format!("options: expected size {expected}, found {found}")));
        }
        // SAFETY: NULL or strings of the caller's, for this call.
        let (spec, model, mode) = unsafe {
            (
                string(options.spec, "spec")?,
                string(options.model, "model")?,
                string(options.mode, "mode")?,
            )
        };
        let spec = spec.ok_or_else(|| null("spec"))?;
        let handle = create(options, spec, model, mode.unwrap_or("faithful"))?;
        *made = Box::into_raw(Box::new(handle));
        Ok(())
    })
}

fn create(options: &Options, spec: &str, model: Option<&str>, mode: &str) -> Result<Handle> {
    let Options { width, height, channels, .. } = *options;
    let measured = Shape::new(channels as usize, height as usize, width as usize);
    if measured.is_empty() || measured.width.max(measured.height) > crate::io::MAX_SIDE {
        let expected =
            format!("sides and channels of at least 1, sides up to {}", crate::io::MAX_SIDE);
        return Err(Error::shape("measurement", expected, measured));
    }
    let samples = Samples::new(options.samples)?;
    let size = match (options.scene_width, options.scene_height) {
        (0, 0) => None,
        (width, height) => Some(format!("{width}x{height}")),
    };
    let a = job::operator(spec, measured, None, size.as_deref())?;
    let model = job::model(model, None)?;
    let machine = boards::detect(Path::new("/"))?;
    let schedule = job::Schedule {
        mode,
        rule: "split",
        eta: 0.85,
        seed: options.seed,
        noise: job::Noise::Even(job::sigma(options.noise, "noise")?),
        steps: (options.steps > 0).then_some(options.steps as usize),
        start: None,
        end: None,
        generative: None,
        relaxation: None,
        momentum: None,
        travel: None,
        threads: job::threads(options.threads as isize, &machine, None),
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
    let plan = plan::plan(&planned, None)?;
    (settings.threads, settings.band) = (plan.threads, plan.band);
    let a: Arc<dyn Degradation> = Arc::from(a);
    let restorer = Restorer::new(a.clone(), Arc::new(model), settings)?;
    Ok(Handle { restorer, a, samples, held: Vec::new() })
}

/// See `ddnm.h`.
///
/// # Safety
/// Pointers are NULL or as `ddnm.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ddnm_sizes(
    restorer: *const Handle,
    measurement: *mut Size,
    scene: *mut Size,
) -> c_int {
    guarded(|| {
        // SAFETY: NULL or from `ddnm_create`.
        let handle = unsafe { restorer.as_ref() }.ok_or_else(|| null("restorer"))?;
        let size = |shape: Shape| Size {
            width: shape.width as u32,
            height: shape.height as u32,
            channels: shape.channels as u32,
        };
        for (to, shape) in [(measurement, handle.a.measurement()), (scene, handle.a.scene())] {
            // SAFETY: NULL or the caller's, for this call.
            if let Some(to) = unsafe { to.as_mut() } {
                *to = size(shape);
            }
        }
        Ok(())
    })
}

/// See `ddnm.h`.
///
/// # Safety
/// Pointers are NULL or as `ddnm.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ddnm_restore(
    restorer: *mut Handle,
    measured: *const Picture,
    result: *const Picture,
    frame: u32,
    progress: Progress,
    user: *mut c_void,
) -> c_int {
    guarded(|| {
        // SAFETY: NULL or from `ddnm_create`, and used by this call alone.
        let handle = unsafe { restorer.as_mut() }.ok_or_else(|| null("restorer"))?;
        // SAFETY: NULL or the caller's, for this call.
        let measured = unsafe { measured.as_ref() }.ok_or_else(|| null("measured"))?;
        // SAFETY: likewise.
        let result = unsafe { result.as_ref() }.ok_or_else(|| null("result"))?;
        let Handle { restorer, a, samples, held } = handle;
        measured.check("measured", a.measurement(), Some(*samples))?;
        result.check("result", a.scene(), None)?;
        measured.apart(result)?;
        // SAFETY: both hold as many bytes as they say and lie apart; nobody else uses them now.
        let (mut source, mut target) = unsafe { (Source::new(measured)?, Target::new(result)?) };
        restorer.set_frame(frame);
        let mut rows = MeasuredRows::with_buffer(&**a, &mut source, std::mem::take(held))?;
        let mut done = |part: Finished| {
            target.write(&part);
            Ok(())
        };
        let mut told = |p: crate::sampler::Progress| match progress {
            // SAFETY: the caller's function, on the caller's thread.
            Some(f) if unsafe { f(user, p.done, p.total) } != 0 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        let restored = restorer.restore_rows(&mut rows, &mut done, &mut told);
        *held = rows.into_buffer();
        restored
    })
}

/// See `ddnm.h`.
///
/// # Safety
/// `restorer` is NULL or from `ddnm_create`, and not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ddnm_destroy(restorer: *mut Handle) {
    guarded(|| {
        if !restorer.is_null() {
            // SAFETY: made by `ddnm_create`, and the caller lets go of it.
            drop(unsafe { Box::from_raw(restorer) });
        }
        Ok(())
    });
}

/// See `ddnm.h`.
#[unsafe(no_mangle)]
pub extern "C" fn ddnm_error() -> *const c_char {
    SAID.try_with(|said| said.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// See `ddnm.h`.
#[unsafe(no_mangle)]
pub extern "C" fn ddnm_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    CStr::from_bytes_with_nul(VERSION.as_bytes()).unwrap_or_default().as_ptr()
}
