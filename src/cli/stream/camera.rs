//! What is known of a camera: its profile, and what the command line says in its place.

use std::path::Path;

use serde::Deserialize;

use super::super::args::Stream;
use crate::error::{Error, Result};

/// A profile: each field stands for the option of that name.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Camera {
    /// Of the code values that `black` and `white` are given in; other frames' are scaled.
    bits: Option<u8>,
    /// In code values of the sensor.
    pub black: Option<f32>,
    pub white: Option<f32>,
    /// White balance of R, G and B.
    pub gains: Option<[f32; 3]>,
    pub gamma: Option<f32>,
    /// From white-balanced camera RGB to the colours that go out, in linear light; rows give R, G
    /// and B.
    pub matrix: Option<[[f32; 3]; 3]>,
    pub noise: Option<String>,
    /// Where the numbers come from.
    #[serde(default, rename = "source")]
    _source: String,
}

/// Profiles in the program, by the sensor's name.
const BUILT_IN: [(&str, &str); 3] = [
    ("imx219", include_str!("../../../targets/cameras/imx219.toml")),
    ("imx477", include_str!("../../../targets/cameras/imx477.toml")),
    ("imx708", include_str!("../../../targets/cameras/imx708.toml")),
];

impl Camera {
    /// The profile that was asked for, for frames of `bits`, with what the command line says in
    /// its place.
    ///
    /// # Errors
    /// [`Error::Input`] for a file that cannot be read or is no profile; [`Error::Usage`] for
    /// options that are no such numbers, and for an unknown name.
    pub fn new(args: &Stream, bits: u8) -> Result<Camera> {
        let mut camera = args.camera.as_deref().map(load).transpose()?.unwrap_or_default();
        let scale = 2f32.powi(i32::from(bits) - i32::from(camera.bits.unwrap_or(bits)));
        camera.black = args.black.or(camera.black.map(|v| v * scale));
        camera.white = args.white.or(camera.white.map(|v| v * scale));
        camera.gamma = args.gamma.or(camera.gamma);
        camera.noise = args.noise.clone().or(camera.noise);
        if let Some(gains) = &args.gains {
            camera.gains = Some(numbers("gains", "three numbers R,G,B", gains)?);
        }
        if let Some(matrix) = &args.colours {
            let expected = "nine numbers, rows one after another";
            let all: [f32; 9] = numbers("colours", expected, matrix)?;
            let row = |i: usize| [all[3 * i], all[3 * i + 1], all[3 * i + 2]];
            camera.matrix = Some([row(0), row(1), row(2)]);
        }
        Ok(camera)
    }
}

fn numbers<const N: usize>(what: &str, expected: &str, text: &str) -> Result<[f32; N]> {
    let found: Option<Vec<f32>> = text.split(',').map(|v| v.trim().parse().ok()).collect();
    found
        .and_then(|v| v.try_into().ok())
        .ok_or_else(|| Error::Usage(format!("{what}: expected {expected}, found {text}")))
}

fn load(name: &str) -> Result<Camera> {
    let held = BUILT_IN.iter().find(|(known, _)| *known == name);
    let text = match held {
        Some((_, text)) => (*text).to_owned(),
        None if name.ends_with(".toml") => std::fs::read_to_string(name)
            .map_err(|e| Error::input(Path::new(name), "a camera's profile", e))?,
        None => {
            let known = BUILT_IN.map(|(known, _)| known).join(", ");
            let expected = format!("{known}, or a file NAME.toml");
            return Err(Error::Usage(format!("camera: expected {expected}, found {name}")));
        }
    };
    toml::from_str(&text)
        .map_err(|e| Error::input(Path::new(name), "a camera's profile", e.message()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::code_max;
    use crate::io::video::ColourMatrix;

    #[test]
    fn profiles_in_the_program_can_be_read() {
        for (name, _) in BUILT_IN {
            let camera = load(name).unwrap();
            let bits = camera.bits.unwrap();
            assert!(
                (8..=16).contains(&bits) && camera.black.unwrap() < 0.1 * code_max(bits),
                "{name}"
            );
            ColourMatrix::new(camera.matrix.unwrap(), 2.2).unwrap();
            assert!(!camera._source.is_empty(), "{name}");
        }
    }
}
