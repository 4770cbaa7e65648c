//! What a file's code values leave open: rounding, and the ends of its range.

/// Each measured value is an interval: what was measured lay within `half` of what the file holds,
/// and beyond it where that is an end of the file's range, since a saturated value only says at
/// least that much. In units of `[-1, 1]`, black -1 and white 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Half a code value.
    pub half: f32,
    /// The least value that the file can hold.
    pub black: f32,
    /// The greatest one.
    pub white: f32,
}

impl Limits {
    /// Whether `y` is an end of the file's range that `A x = y - r` is at or beyond: then it says
    /// nothing more of `x`. `gain` is its `A 1`, by which measured values differ from the file's.
    pub fn is_open(&self, y: f32, gain: f32, r: f32) -> bool {
        // Codes are floats here: the ends are met up to rounding.
        const CLOSE: f32 = 1e-6;
        let file = y + gain - 1.0;
        if r > 0.0 { file <= self.black + CLOSE } else { file >= self.white - CLOSE }
    }

    /// Turns residuals `r = y - A x` into the distances to the intervals, with the same sign:
    /// `clip(A x, lo, hi) - A x`. `gain` holds `A 1`.
    pub fn shorten(&self, y: &[f32], gain: &[f32], r: &mut [f32]) {
        for ((r, y), gain) in r.iter_mut().zip(y).zip(gain) {
            let open = self.is_open(*y, *gain, *r);
            *r = if open { 0.0 } else { *r - r.clamp(-self.half, self.half) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn residuals_are_distances_to_intervals() {
        let limits = Limits { half: 0.1, black: -1.0, white: 1.0 };
        // In front of a gain of 0.5 white is 2 - 0.5 = 1.5 and black -0.5.
        let y = [0.0, 0.0, 1.5, 1.5, -0.5, -0.5, 1.4];
        let mut r = [0.3, -0.05, -0.7, 0.7, 0.7, -0.7, -0.7];
        limits.shorten(&y, &[0.5; 7], &mut r);
        for (found, expected) in r.iter().zip([0.2, 0.0, 0.0, 0.6, 0.0, -0.6, -0.6]) {
            assert!((found - expected).abs() < 1e-6, "{found}, not {expected}");
        }
    }
}
