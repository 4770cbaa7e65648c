//! Statuses, and why the last function failed.

use std::cell::RefCell;
use std::ffi::{CString, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, Result};

/// Done. The other statuses are the exit codes of the program.
pub const DDNM_OK: c_int = 0;
/// Options that make no sense, or NULL where a pointer is needed.
pub const DDNM_USAGE: c_int = 2;
/// A picture of the wrong size, or with values that are no numbers.
pub const DDNM_INPUT: c_int = 3;
/// A model that cannot be used.
pub const DDNM_MODEL: c_int = 4;
/// Not enough memory.
pub const DDNM_MEMORY: c_int = 5;
/// The model gave what is no number.
pub const DDNM_NUMERICAL: c_int = 6;
/// An instruction set that is not there.
pub const DDNM_DEVICE: c_int = 8;
/// A bug of this library, or of the progress function; destroy the restorer.
pub const DDNM_BUG: c_int = 70;
/// The progress function asked to stop.
pub const DDNM_STOPPED: c_int = 130;

thread_local! {
    static SAID: RefCell<CString> = RefCell::default();
}

/// Runs a function's work; its error, or panic, becomes a status and a message.
pub fn guarded(work: impl FnOnce() -> Result<()>) -> c_int {
    let (status, said) = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => return DDNM_OK,
        Ok(Err(Error::Interrupted)) => (DDNM_STOPPED, "stopped".into()),
        Ok(Err(e)) => (e.exit_code(), e.to_string()),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            (DDNM_BUG, format!("expected no bug, found one: {said}"))
        }
    };
    let said = CString::new(said.replace('\0', "?")).unwrap_or_default();
    let _ = SAID.try_with(|last| last.replace(said));
    status
}

/// Why the last function that failed on this thread did so: one line of UTF-8, empty where none
/// has failed. It is the library's own, and valid until the next one fails here or the thread ends.
#[unsafe(no_mangle)]
pub extern "C" fn ddnm_error() -> *const c_char {
    SAID.try_with(|said| said.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// The error of a pointer that is missing.
pub fn null(what: &str) -> Error {
    Error::Usage(format!("{what}: expected a pointer, found NULL"))
}
