//! Each missing colour is the mean of its nearest measured neighbours.

use super::{Bayer, by_strips};

/// Bilinear interpolation of the three colours, each on its own: green from 4 neighbours, red
/// and blue from 2 or 4. Blurs edges and leaves coloured fringes on them, but never overshoots.
///
/// `mosaic` is `[height, width]`; the result is `[3, height, width]` in the same units, within
/// the range of the mosaic's values.
pub fn bilinear(mosaic: &[f32], height: usize, width: usize, bayer: Bayer) -> Vec<f32> {
    const BORDER: usize = 2;
    by_strips(mosaic, height, width, bayer, BORDER, |strip, out| {
        for y in 0..strip.rows - 2 * BORDER {
            let (parity, own) = bayer.row(y);
            let other = 2 - own;
            let line = |dy: usize| &strip.row(y + dy)[1..1 + width + 2];
            let (above, here, below) = (line(1), line(2), line(3));
            for x in 0..width {
                let sides = here[x] + here[x + 2];
                let ends = above[x + 1] + below[x + 1];
                let at = y * width + x;
                if x % 2 == parity {
                    let corners = above[x] + above[x + 2] + below[x] + below[x + 2];
                    out[1][at] = 0.25 * (sides + ends);
                    out[other][at] = 0.25 * corners;
                } else {
                    out[own][at] = 0.5 * sides;
                    out[other][at] = 0.5 * ends;
                }
            }
        }
    })
    .to_vec()
}
