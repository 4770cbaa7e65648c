//! From a camera's colours to those of a standard.

use crate::error::{Error, Result};

/// A colour correction matrix: what turns white-balanced camera RGB into linear sRGB (or another
/// standard's), in linear light.
///
/// It mixes channels, so it is applied to what has been restored, and not to what is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColourMatrix {
    /// Rows give R, G and B.
    rows: [[f32; 3]; 3],
    gamma: f32,
}

impl ColourMatrix {
    /// For pictures whose tone curve is the inverse of the exponent `gamma`.
    ///
    /// # Errors
    /// [`Error::Usage`] for numbers that are not finite, and for a row that does not sum to 1
    /// within 2 %: white would become coloured.
    pub fn new(rows: [[f32; 3]; 3], gamma: f32) -> Result<ColourMatrix> {
        for row in rows {
            let sum: f32 = row.iter().sum();
            let white = (0.98..=1.02).contains(&sum);
            if !white {
                return Err(Error::Usage(format!(
                    "colour matrix: expected rows that sum to 1, so that white stays white, found \
                     {row:?}, which sums to {sum}"
                )));
            }
        }
        Ok(ColourMatrix { rows, gamma })
    }

    /// Turns planar R'G'B' in `[-1, 1]` into that of the standard; what is beyond its black and
    /// white clips.
    pub fn apply(&self, picture: &mut [f32]) {
        let plane = picture.len() / 3;
        let (r, rest) = picture.split_at_mut(plane);
        let (g, b) = rest.split_at_mut(plane);
        for ((r, g), b) in r.iter_mut().zip(g).zip(b) {
            let light = [*r, *g, *b].map(|v| (v * 0.5 + 0.5).clamp(0.0, 1.0).powf(self.gamma));
            let [to_r, to_g, to_b] = self.rows.map(|row| {
                let sum: f32 = row.iter().zip(light).map(|(a, v)| a * v).sum();
                2.0 * sum.clamp(0.0, 1.0).powf(1.0 / self.gamma) - 1.0
            });
            (*r, *g, *b) = (to_r, to_g, to_b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_and_gray_stay_and_colours_move_apart() {
        let rows = [[1.6, -0.5, -0.1], [-0.2, 1.5, -0.3], [0.0, -0.6, 1.6]];
        let matrix = ColourMatrix::new(rows, 2.2).unwrap();
        // White, gray, black, and a pale red.
        let mut picture = [1.0, 0.2, -1.0, 0.5, 1.0, 0.2, -1.0, 0.0, 1.0, 0.2, -1.0, 0.0];
        matrix.apply(&mut picture);
        for (i, expected) in [1.0, 0.2, -1.0].iter().enumerate() {
            for c in 0..3 {
                assert!((picture[4 * c + i] - expected).abs() < 1e-5);
            }
        }
        // In linear light 0.5312 and 0.2176: 1.6 r - 0.6 g.
        let light = 1.6 * 0.75f32.powf(2.2) - 0.6 * 0.5f32.powf(2.2);
        assert!((picture[3] - (2.0 * light.powf(1.0 / 2.2) - 1.0)).abs() < 1e-5);
        assert!(picture[7] < 0.0);
    }

    #[test]
    fn a_matrix_that_colours_white_is_refused() {
        let rows = [[1.0, 0.0, 0.0], [0.0, 1.1, 0.0], [0.0, 0.0, 1.0]];
        let said = ColourMatrix::new(rows, 2.2).unwrap_err().to_string();
        assert!(said.contains("1.1"), "{said}");
        assert!(ColourMatrix::new([[f32::NAN; 3]; 3], 2.2).is_err());
    }
}
