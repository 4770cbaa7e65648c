//! What was asked for: which device, and in which precision.

use crate::error::{Error, Result};

/// Where to restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// On a GPU if there is one that can be used.
    Auto,
    Processor,
    /// On a GPU, perhaps the one of this number.
    Cuda(Option<usize>),
}

impl Choice {
    /// Understands `auto`, `cpu`, `cuda` and `cuda:N`.
    pub fn parse(text: &str) -> Result<Choice> {
        match text.split_once(':') {
            None if text == "auto" => Ok(Choice::Auto),
            None if text == "cpu" => Ok(Choice::Processor),
            None if text == "cuda" => Ok(Choice::Cuda(None)),
            Some(("cuda", n)) if n.parse::<usize>().is_ok() => Ok(Choice::Cuda(n.parse().ok())),
            _ => {
                let expected = "auto, cpu, cuda or cuda:N";
                Err(Error::Usage(format!("device: expected {expected}, found {text}")))
            }
        }
    }
}

/// How the network calculates on a device; the projection is always in single precision, so that
/// the measurement is kept alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    F32,
    F16,
}

impl Precision {
    /// Understands `f32` and `f16`.
    pub fn parse(text: &str) -> Result<Precision> {
        match text {
            "f32" => Ok(Precision::F32),
            "f16" => Ok(Precision::F16),
            _ => Err(Error::Usage(format!("precision: expected f32 or f16, found {text}"))),
        }
    }

    /// The name in arguments and certificates.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::F16 => "f16",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_names_and_numbers() {
        assert_eq!(Choice::parse("auto"), Ok(Choice::Auto));
        assert_eq!(Choice::parse("cpu"), Ok(Choice::Processor));
        assert_eq!(Choice::parse("cuda"), Ok(Choice::Cuda(None)));
        assert_eq!(Choice::parse("cuda:3"), Ok(Choice::Cuda(Some(3))));
        for wrong in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "cpu:0"] {
            assert!(matches!(Choice::parse(wrong), Err(Error::Usage(_))), "{wrong}");
        }
        assert!(Precision::parse("f64").is_err());
    }
}
