//! Luma and chroma: what the planes of a video mean.

use crate::frame::code_max;

/// Which weights the colours have in luma.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matrix {
    /// ITU-R BT.601: 0.299, 0.587, 0.114.
    Bt601,
    /// ITU-R BT.709: 0.2126, 0.7152, 0.0722.
    Bt709,
}

/// How R'G'B' was turned into code values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coding {
    pub matrix: Matrix,
    /// Whether black is code 0 and white the largest; otherwise 16 and 235 times `2^(bits - 8)`.
    pub full: bool,
    /// Bits per sample, 8 to 16.
    pub bits: u8,
    /// Whether there is luma alone.
    pub mono: bool,
}

impl Coding {
    /// Distance of black and white, and of the ends of chroma, in code values; black, and no
    /// chroma.
    fn levels(&self) -> [f64; 4] {
        let max = f64::from(code_max(self.bits));
        let step = f64::from(1u32 << (self.bits - 8));
        match self.full {
            true => [max, max, 0.0, 128.0 * step],
            false => [219.0 * step, 224.0 * step, 16.0 * step, 128.0 * step],
        }
    }

    /// From planes to R'G'B', both in `[-1, 1]` (a plane's code 0 is -1, its largest 1).
    pub fn to_rgb(&self) -> Affine {
        let max = f64::from(code_max(self.bits));
        let [luma, chroma, black, middle] = self.levels();
        // In units of [-1, 1]: Y' = gain * v + offset, Cb and Cr from -1 to 1 likewise.
        let (gain, offset) = (max / luma, (max - 2.0 * black) / luma - 1.0);
        let (gain_c, offset_c) = (max / chroma, (max - 2.0 * middle) / chroma);
        if self.mono {
            let row = |i: usize| std::array::from_fn(|j| if i == j { gain } else { 0.0 });
            return Affine { matrix: std::array::from_fn(row), offset: [offset; 3] };
        }
        let (r, b) = match self.matrix {
            Matrix::Bt601 => (0.299, 0.114),
            Matrix::Bt709 => (0.2126, 0.0722),
        };
        let g = 1.0 - r - b;
        let rows = [
            [0.0, 2.0 * (1.0 - r)],
            [-2.0 * (1.0 - b) * b / g, -2.0 * (1.0 - r) * r / g],
            [2.0 * (1.0 - b), 0.0],
        ];
        Affine {
            matrix: rows.map(|[cb, cr]| [gain, gain_c * cb, gain_c * cr]),
            offset: rows.map(|[cb, cr]| offset + offset_c * (cb + cr)),
        }
    }

    /// Noise of which strength in R'G'B', white, looks like noise of strength 1 in the planes:
    /// equally strong in luma, which decides how a picture looks. The mean of three channels has
    /// noise weaker by the root of three.
    pub fn noise_gain(&self) -> f64 {
        3f64.sqrt() * f64::from(code_max(self.bits)) / self.levels()[0]
    }

    /// What black is in each plane, in `[-1, 1]`.
    pub fn black(&self) -> [f32; 3] {
        let [_, _, black, middle] = self.levels();
        let value = |code: f64| (2.0 * code / f64::from(code_max(self.bits)) - 1.0) as f32;
        [value(black), value(middle), value(middle)]
    }
}

/// `matrix v + offset`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    pub matrix: [[f64; 3]; 3],
    pub offset: [f64; 3],
}

impl Affine {
    /// The image of one pixel.
    pub fn at(&self, v: [f64; 3]) -> [f64; 3] {
        std::array::from_fn(|i| {
            self.offset[i] + (0..3).map(|j| self.matrix[i][j] * v[j]).sum::<f64>()
        })
    }

    /// The map back; the matrix must be regular, as those of codings are.
    pub fn inverse(&self) -> Affine {
        let m = &self.matrix;
        // Cofactors, with indices that go around.
        let minor = |i: usize, j: usize| {
            let (a, b, c, d) = ((i + 1) % 3, (i + 2) % 3, (j + 1) % 3, (j + 2) % 3);
            m[a][c] * m[b][d] - m[a][d] * m[b][c]
        };
        let det: f64 = (0..3).map(|j| m[0][j] * minor(0, j)).sum();
        let matrix = std::array::from_fn(|i| std::array::from_fn(|j| minor(j, i) / det));
        let linear = Affine { matrix, offset: [0.0; 3] };
        Affine { matrix, offset: linear.at(self.offset).map(|v| -v) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(code: f64, bits: u8) -> f64 {
        2.0 * code / f64::from(code_max(bits)) - 1.0
    }

    /// Codes of BT.601 and BT.709 colour bars (100 %), as in ITU-R BT.601-7 and BT.709-6, rounded.
    #[test]
    fn colours_have_the_codes_of_the_standards() {
        let cases = [
            (Matrix::Bt601, false, [81.0, 90.0, 240.0], [1.0, -1.0, -1.0]),
            (Matrix::Bt601, false, [145.0, 54.0, 34.0], [-1.0, 1.0, -1.0]),
            (Matrix::Bt601, false, [41.0, 240.0, 110.0], [-1.0, -1.0, 1.0]),
            (Matrix::Bt709, false, [63.0, 102.0, 240.0], [1.0, -1.0, -1.0]),
            (Matrix::Bt709, false, [173.0, 42.0, 26.0], [-1.0, 1.0, -1.0]),
            (Matrix::Bt601, true, [76.0, 85.0, 255.0], [1.0, -1.0, -1.0]),
            (Matrix::Bt601, false, [235.0, 128.0, 128.0], [1.0, 1.0, 1.0]),
            (Matrix::Bt709, true, [0.0, 128.0, 128.0], [-1.0, -1.0, -1.0]),
        ];
        for (matrix, full, codes, rgb) in cases {
            for bits in [8, 10, 12] {
                let step = f64::from(1u32 << (bits - 8));
                let coding = Coding { matrix, full, bits, mono: false };
                let found = coding.to_rgb().at(codes.map(|c| value(c * step, bits)));
                let worst = (0..3).map(|i| (found[i] - rgb[i]).abs()).fold(0.0, f64::max);
                assert!(worst < 0.02, "{coding:?} {codes:?}: {found:?}");
            }
        }
    }

    #[test]
    fn the_inverse_is_one_and_black_is_black() {
        for matrix in [Matrix::Bt601, Matrix::Bt709] {
            for (full, mono) in [(true, false), (false, false), (true, true), (false, true)] {
                let coding = Coding { matrix, full, bits: 10, mono };
                let (to, back) = (coding.to_rgb(), coding.to_rgb().inverse());
                for v in [[0.3, -0.2, 0.9], [-1.0, 1.0, 0.0]] {
                    let again = back.at(to.at(v));
                    assert!((0..3).all(|i| (again[i] - v[i]).abs() < 1e-12), "{again:?}");
                }
                let black = coding.black().map(f64::from);
                let black = if mono { [black[0]; 3] } else { black };
                assert!(to.at(black).iter().all(|v| (v + 1.0).abs() < 1e-6));
            }
        }
    }

    #[test]
    fn the_gain_of_noise_is_that_of_luma() {
        let coding = Coding { matrix: Matrix::Bt601, full: false, bits: 8, mono: false };
        // White noise in R'G'B' is weaker by the root of three in their mean.
        let expected = 3f64.sqrt() * 255.0 / 219.0;
        assert!((coding.noise_gain() - expected).abs() < 1e-9);
        let gray = Coding { full: true, mono: true, ..coding };
        assert!((gray.noise_gain() - 3f64.sqrt()).abs() < 1e-9);
    }
}
