//! Turns failures of the engine, panics included, into errors.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::Path;
use std::sync::Once;

use tract_onnx::prelude::TractResult;

use super::refusal::Refusal;
use crate::error::{Error, Result};

/// Longest reason that an error repeats, in characters: the engine's can hold whole tensors.
const LONGEST_REASON: usize = 400;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a part of the engine that hostile files can make panic, and turns that into an error.
///
/// The message of such a panic goes into the error instead of to standard error.
pub fn guard<T>(path: &Path, expected: &str, f: impl FnOnce() -> TractResult<T>) -> Result<T> {
    silence_guarded_panics();
    let outer = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    GUARDED.set(outer);
    let found = match result {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(e)) => match e.downcast::<Refusal>() {
            Ok(refusal) => return Err(refusal.of(path)),
            // One line: the outermost and the innermost of tract's reasons.
            Err(e) => {
                let (outer, root) = (e.to_string(), e.root_cause().to_string());
                if outer == root { outer } else { format!("{outer}: {root}") }
            }
        },
        Err(panic) => format!("something that the engine cannot take: {}", message(&*panic)),
    };
    let found = found.replace(char::is_control, " ");
    Err(Error::model(path, expected, found.chars().take(LONGEST_REASON).collect::<String>()))
}

/// What a panic said.
fn message(panic: &dyn Any) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given")
}

/// Keeps the standard message of a panic, except on threads that are in [`guard`].
fn silence_guarded_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let standard = take_hook();
        set_hook(Box::new(move |panic| {
            if !GUARDED.get() {
                standard(panic);
            }
        }));
    });
}
