//! Why a model is refused, before it has a file to be named with.

use std::fmt;

use crate::error::Error;

/// Why a model is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What it should have been, and where.
    pub expected: String,
    /// What it is.
    pub found: String,
}

impl Refusal {
    /// A refusal as a failed result.
    pub fn because<T>(expected: impl fmt::Display, found: impl fmt::Display) -> Result<T, Refusal> {
        Err(Refusal { expected: expected.to_string(), found: found.to_string() })
    }

    /// The error that names the file.
    pub fn of(self, path: &std::path::Path) -> Error {
        Error::model(path, self.expected, self.found)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found {}", self.expected, self.found)
    }
}

impl std::error::Error for Refusal {}
