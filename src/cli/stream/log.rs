//! A JSON line about each frame.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::io::atomic::reason;

/// Where the lines go.
pub enum Log {
    /// Nowhere.
    Quiet,
    Standard,
    File(File, PathBuf),
}

impl Log {
    /// Lines are added to a file that exists.
    pub fn open(path: Option<&str>, quiet: bool) -> Result<Log> {
        match path {
            None if quiet => Ok(Log::Quiet),
            None => Ok(Log::Standard),
            Some(name) => {
                let path = Path::new(name);
                let file = OpenOptions::new().append(true).create(true).open(path);
                let file = file.map_err(|e| Error::output(path, reason(&e)))?;
                Ok(Log::File(file, path.into()))
            }
        }
    }

    /// Writes one line, at once.
    pub fn line(&mut self, line: &Value) -> Result<()> {
        match self {
            Log::Quiet => Ok(()),
            // A terminal that has gone is no reason to stop.
            Log::Standard => {
                let _ = writeln!(std::io::stderr(), "{line}");
                Ok(())
            }
            Log::File(file, path) => {
                file.write_all(format!("{line}\n").as_bytes()).map_err(|e| match e.kind() {
                    // Unlike that of the frames, its end is not what ends a pipe in good order.
                    ErrorKind::BrokenPipe => Error::output(path, "nobody reads it any more"),
                    _ => Error::output(path, reason(&e)),
                })
            }
        }
    }
}
