//! From what a sensor counts to pictures.

use crate::classical::demosaic::Bayer;
use crate::error::{Error, Result};
use crate::frame::{Shape, code_max, to_code};

/// Black and white level, white balance and tone curve of a sensor behind a Bayer filter.
///
/// All of it acts on each sample alone, so it commutes with the filter's selection: the samples
/// become those of a picture in white-balanced, gamma-encoded camera RGB, which is what a prior
/// knows, and the operator stays a selection. A colour matrix mixes channels: it comes after.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensor {
    bayer: Bayer,
    bits: u8,
    /// The value in `[-1, 1]` of every code value, per channel.
    tables: [Vec<f32>; 3],
}

impl Sensor {
    /// `black` and `white` are in code values of `bits` bits, `gains` those of R, G and B, and
    /// `gamma` the exponent whose inverse the tone curve is. What lies outside of black and white
    /// after the gain becomes black or white.
    ///
    /// # Errors
    /// [`Error::Usage`] for a black level that is not below the white level, and for gains and
    /// gammas that are not above 0.
    pub fn new(
        bayer: Bayer,
        bits: u8,
        (black, white): (f32, f32),
        gains: [f32; 3],
        gamma: f32,
    ) -> Result<Sensor> {
        let max = code_max(bits);
        if !(0.0 <= black && black < white && white <= max) {
            return Err(Error::Usage(format!(
                "levels: expected 0 <= black < white <= {max}, found {black} and {white}"
            )));
        }
        if let Some(bad) = gains.iter().chain([&gamma]).find(|v| !(**v > 0.0 && v.is_finite())) {
            return Err(Error::Usage(format!(
                "gains and gamma: expected numbers above 0, found {bad}"
            )));
        }
        let value = |gain: f32, code: u16| {
            let light = gain * (f32::from(code) - black) / (white - black);
            2.0 * light.clamp(0.0, 1.0).powf(1.0 / gamma) - 1.0
        };
        let tables = gains.map(|gain| (0..=max as u16).map(|code| value(gain, code)).collect());
        Ok(Sensor { bayer, bits, tables })
    }

    /// Turns a frame of code values (as from [`Format::unpack`](super::Format::unpack)) into the
    /// mosaic of a picture.
    pub fn develop(&self, shape: Shape, values: &mut [f32]) {
        for (y, row) in values.chunks_exact_mut(shape.width).enumerate() {
            let channels = [0, 1].map(|x| self.bayer.channel(y, x));
            for (x, v) in row.iter_mut().enumerate() {
                *v = self.tables[channels[x % 2]][usize::from(to_code(*v, self.bits))];
            }
        }
    }
}
