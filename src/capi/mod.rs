//! The C interface. `ddnm.h` is made of this module by cbindgen (`cbindgen.toml`): what C
//! programmers need to know stands at the items, by their names in C.
//!
//! Built with `cargo rustc --release --lib --features capi --crate-type cdylib` (or `staticlib`).
//! Panics do not cross it: they become a status like any other error.

mod options;
mod picture;
mod status;
#[cfg(test)]
mod tests;

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::degrade::{Degradation, MeasuredRows};
use crate::frame::Shape;
use crate::sampler::{Finished, Restorer};
pub use options::Options;
pub use picture::{DDNM_F32, DDNM_U8, DDNM_U16, Picture};
use picture::{Samples, Source, Target};
pub use status::*;

/// Size of a picture, in pixels.
#[repr(C)]
pub struct Size {
    width: u32,
    height: u32,
    channels: u32,
}

/// Restores the frames of one camera. It is made once and given frame after frame; after the first
/// it allocates nothing, where the degradation is local (not for blurs, sr:N:bicubic and compressed
/// sensing). It may move from thread to thread, and is used by one call at a time. It has threads
/// of its own.
pub struct Handle {
    restorer: Restorer,
    a: Arc<dyn Degradation>,
    samples: Samples,
    /// Rows of the measurement, from frame to frame.
    held: Vec<f32>,
}

/// Called on the calling thread for each tile that is done, of all steps; `user` is what the caller
/// gave. What is not 0 stops the frame. It must return: no exception, no longjmp.
pub type Progress =
    Option<unsafe extern "C" fn(user: *mut c_void, done: usize, total: usize) -> c_int>;

/// Makes a restorer, which `ddnm_destroy` frees. On failure `*made` is NULL.
///
/// # Safety
/// `options` and `made` are NULL or point to what their types say; strings in the options end with
/// a zero. They are needed during this call only.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ddnm_create(options: *const Options, made: *mut *mut Handle) -> c_int {
    guarded(|| {
        // SAFETY: NULL or the caller's, for this call.
        let made = unsafe { made.as_mut() }.ok_or_else(|| null("restorer"))?;
        *made = std::ptr::null_mut();
        // SAFETY: likewise.
        let options = unsafe { options.as_ref() }.ok_or_else(|| null("options"))?;
        // SAFETY: strings of the caller's, for this call.
        let handle = unsafe { options.restorer() }?;
        *made = Box::into_raw(Box::new(handle));
        Ok(())
    })
}

/// Sizes of what comes in and of what comes out; NULL where one does not matter.
///
/// # Safety
/// `restorer` is NULL or from `ddnm_create`; the sizes are NULL or can be written.
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

/// Restores a frame. `measured` is only read; it and `result` have the sizes that `ddnm_sizes`
/// says, and share no memory. `frame` is the frame's number, which the noise of a sample depends
/// on. `progress` may be NULL. After a failure parts of `result` have been written.
///
/// # Safety
/// `restorer` is NULL or from `ddnm_create`, and not used by another call meanwhile. Pictures are
/// NULL or hold as many bytes as they say, which nobody else uses meanwhile.
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

/// Ends a restorer's threads and frees it; NULL is fine.
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

/// The library's version, as in "0.1.0"; the string lives as long as the library.
#[unsafe(no_mangle)]
pub extern "C" fn ddnm_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    CStr::from_bytes_with_nul(VERSION.as_bytes()).unwrap_or_default().as_ptr()
}
