//! Bilinear interpolation corrected by the gradient of the colour that was measured.

use super::{Bayer, by_strips};

/// The 5x5 linear filters of H. S. Malvar, L. He and R. Cutler, "High-quality linear
/// interpolation for demosaicing of Bayer-patterned color images", ICASSP 2004.
///
/// Each estimate is the bilinear one plus a gain times the Laplacian of the measured colour
/// (1/2 for green, 5/8 for red and blue at green pixels, 3/4 for red at blue and blue at red).
/// Exact on constants and on ramps where the three colours have the same slope.
///
/// `mosaic` is `[height, width]`; the result is `[3, height, width]` in the same units. It can
/// overshoot at edges.
pub fn malvar(mosaic: &[f32], height: usize, width: usize, bayer: Bayer) -> Vec<f32> {
    const BORDER: usize = 2;
    by_strips(mosaic, height, width, bayer, BORDER, |strip, out| {
        for y in 0..strip.rows - 2 * BORDER {
            let (parity, own) = bayer.row(y);
            let other = 2 - own;
            let lines: [&[f32]; 5] = std::array::from_fn(|dy| strip.row(y + dy));
            for x in 0..width {
                let centre = lines[2][x + 2];
                let sides = lines[2][x + 1] + lines[2][x + 3];
                let ends = lines[1][x + 2] + lines[3][x + 2];
                let far_sides = lines[2][x] + lines[2][x + 4];
                let far_ends = lines[0][x + 2] + lines[4][x + 2];
                let corners = lines[1][x + 1] + lines[1][x + 3] + lines[3][x + 1] + lines[3][x + 3];
                let at = y * width + x;
                if x % 2 == parity {
                    let far = far_sides + far_ends;
                    out[1][at] = 0.25 * (sides + ends) + 0.125 * (4.0 * centre - far);
                    out[other][at] = 0.25 * corners + 0.1875 * (4.0 * centre - far);
                } else {
                    // The paper's second filter and its transpose: towards the neighbours along
                    // the line the gradient counts in full, across it with the opposite sign.
                    let common = 0.625 * centre - 0.125 * corners;
                    out[own][at] = 0.5 * sides + common - 0.125 * far_sides + 0.0625 * far_ends;
                    out[other][at] = 0.5 * ends + common - 0.125 * far_ends + 0.0625 * far_sides;
                }
            }
        }
    })
    .to_vec()
}
