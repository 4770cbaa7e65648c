//! The one error type of the library. Every variant says what was expected, what was
//! found, and where; the command line turns the kind into an exit code.

use std::fmt;
use std::path::{Path, PathBuf};

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation could not be done.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// The request itself makes no sense: contradictory or impossible options.
    Usage(String),
    /// A degradation spec that cannot be understood; `part` is the piece between two `+`.
    Spec { part: String, expected: String, found: String },
    /// A file that cannot be read, or does not hold what it should.
    Input { path: PathBuf, expected: String, found: String },
    /// Sizes that do not fit together.
    Shape { what: String, expected: String, found: String },
    /// A model or manifest that cannot be used.
    Model { path: PathBuf, expected: String, found: String },
    /// The plan needs more memory than it may use. All in bytes.
    Memory { needed: u64, limit: u64, smallest: u64 },
    /// Not-a-number, or a residual above its bound.
    Numerical { what: String, expected: String, found: String },
    /// Some frames of a stream could not be used; the others are done.
    Frames { failed: u64, whole: u64 },
    /// A file that cannot be written.
    Output { path: PathBuf, reason: String },
    /// A device that cannot be used.
    Device { expected: String, found: String },
    /// The caller asked to stop.
    Interrupted,
}

impl Error {
    /// A file that cannot be read or understood.
    pub fn input(path: &Path, expected: impl Into<String>, found: impl fmt::Display) -> Error {
        Error::Input { path: path.into(), expected: expected.into(), found: found.to_string() }
    }

    /// A model that cannot be used.
    pub fn model(path: &Path, expected: impl Into<String>, found: impl fmt::Display) -> Error {
        Error::Model { path: path.into(), expected: expected.into(), found: found.to_string() }
    }

    /// A file that cannot be written.
    pub fn output(path: &Path, reason: impl fmt::Display) -> Error {
        Error::Output { path: path.into(), reason: reason.to_string() }
    }

    /// Sizes that do not fit together.
    pub fn shape(what: &str, expected: impl fmt::Display, found: impl fmt::Display) -> Error {
        Error::Shape { what: what.into(), expected: expected.to_string(), found: found.to_string() }
    }

    /// The process exit code that stands for this kind of error.
    pub fn exit_code(&self) -> i32 {
        match self {
            Error::Frames { .. } => 1,
            Error::Usage(_) | Error::Spec { .. } => 2,
            Error::Input { .. } | Error::Shape { .. } => 3,
            Error::Model { .. } => 4,
            Error::Memory { .. } => 5,
            Error::Numerical { .. } => 6,
            Error::Output { .. } => 7,
            Error::Device { .. } => 8,
            Error::Interrupted => 130,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Usage(why) => f.write_str(why),
            Error::Spec { part, expected, found } => {
                write!(f, "degradation `{part}`: expected {expected}, found {found}")
            }
            Error::Input { path, expected, found } => {
                write!(f, "{}: expected {expected}, found {found}", path.display())
            }
            Error::Shape { what, expected, found } => {
                write!(f, "{what}: expected {expected}, found {found}")
            }
            Error::Model { path, expected, found } => {
                write!(f, "model {}: expected {expected}, found {found}", path.display())
            }
            Error::Memory { needed, limit, smallest } => write!(
                f,
                "needs {needed} bytes of memory but may use {limit}; {smallest} ({}M) would do",
                smallest.div_ceil(1 << 20)
            ),
            Error::Numerical { what, expected, found } => {
                write!(f, "{what}: expected {expected}, found {found}")
            }
            Error::Frames { failed, whole } => {
                write!(f, "expected whole frames, found {failed} broken ones beside {whole} whole")
            }
            Error::Output { path, reason } => {
                write!(f, "cannot write {}: {reason}", path.display())
            }
            Error::Device { expected, found } => {
                write!(f, "device: expected {expected}, found {found}")
            }
            Error::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for Error {}
