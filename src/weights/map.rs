//! Model files, mapped into memory.

use std::fs::File;
use std::io::Write;
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd;
use std::path::Path;

use memmap2::Mmap;
use signal_hook::consts::SIGBUS;
use signal_hook::low_level;

use crate::error::{Error, Result};

/// Maps a model file for reading.
pub fn map(path: &Path) -> Result<Mmap> {
    let refuse = |e: std::io::Error| Error::model(path, "a model file", e);
    // Before it is opened: that of a pipe would wait for somebody who writes.
    if !std::fs::metadata(path).map_err(refuse)?.is_file() {
        return Err(Error::model(path, "a model file", "a folder, a device or a pipe"));
    }
    let file = File::open(path).map_err(refuse)?;
    if file.metadata().map_err(refuse)?.len() == 0 {
        return Err(Error::model(path, "a model file", "an empty file"));
    }
    // SAFETY: the map is only read, as bytes and numbers for which every bit pattern is valid.
    // Another process could still change or truncate the file meanwhile. A change while it is
    // loaded fails its checksum, a later one gives other weights; a truncation ends in SIGBUS, which
    // `report_lost_files` turns into a message.
    unsafe { Mmap::map(&file) }.map_err(refuse)
}

/// Has the process say so, and end with the exit code of an unusable model, when a mapped file
/// becomes shorter while it is in use. For programs; a library leaves signals to its caller.
pub fn report_lost_files() -> std::io::Result<()> {
    const MESSAGE: &[u8] =
        b"error: a model file: expected to stay whole while it is in use, found it truncated\n";
    let end = || {
        // SAFETY: standard error is not closed, since the file is not dropped; writing to a file
        // is one system call, as a signal handler may make.
        let mut stderr = ManuallyDrop::new(unsafe { File::from_raw_fd(2) });
        // There is nobody left to tell if this fails.
        let _ = stderr.write_all(MESSAGE);
        low_level::exit(4);
    };
    // SAFETY: the action only makes system calls that are allowed in a signal handler.
    unsafe { low_level::register(SIGBUS, end) }.map(|_| ())
}
