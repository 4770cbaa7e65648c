//! How alike two pictures are: PSNR and SSIM.

use crate::error::{Error, Result};
use crate::frame::Frame;

/// Widest window of `ssim`, in pixels.
const WINDOW: usize = 11;
/// Standard deviation of its Gaussian, in pixels.
const SIGMA: f64 = 1.5;

/// Peak signal-to-noise ratio in dB over all values of all channels; the peak is 2, the width
/// of `[-1, 1]`. Infinite for equal frames.
///
/// # Errors
/// `Error::Shape` when the sizes differ.
pub fn psnr(a: &Frame, b: &Frame) -> Result<f64> {
    same_shape(a, b)?;
    let squares = a.data.iter().zip(&b.data).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2));
    let mse = squares.sum::<f64>() / a.data.len() as f64;
    Ok(10.0 * (4.0 / mse).log10())
}

/// Mean structural similarity (Wang, Bovik, Sheikh, Simoncelli 2004), at most 1.
///
/// On the 8-bit scale (range 255, not rounded), with an 11x11 Gaussian window of sigma 1.5,
/// K1 = 0.01 and K2 = 0.03, over the windows that lie inside the picture, averaged over the
/// channels. A frame with a side below 11 uses the largest odd window that fits.
///
/// # Errors
/// `Error::Shape` when the sizes differ.
pub fn ssim(a: &Frame, b: &Frame) -> Result<f64> {
    same_shape(a, b)?;
    let shape = a.shape;
    let side = shape.height.min(shape.width);
    let window = gaussian(WINDOW.min(if side.is_multiple_of(2) { side - 1 } else { side }));
    let sum: f64 = (0..shape.channels)
        .map(|c| ssim_plane(a.channel(c), b.channel(c), shape.width, &window))
        .sum();
    Ok(sum / shape.channels as f64)
}

fn same_shape(a: &Frame, b: &Frame) -> Result<()> {
    if a.shape == b.shape { Ok(()) } else { Err(Error::shape("compare", a.shape, b.shape)) }
}

/// A Gaussian of `size` (odd) samples whose sum is 1; the window is its outer product.
fn gaussian(size: usize) -> Vec<f64> {
    let middle = (size / 2) as f64;
    let weight = |i: usize| (-(i as f64 - middle).powi(2) / (2.0 * SIGMA * SIGMA)).exp();
    let total: f64 = (0..size).map(weight).sum();
    (0..size).map(|i| weight(i) / total).collect()
}

/// Local sums of one row: of a, b, a², b² and ab.
type Moments = [f64; 5];

/// Mean SSIM of one channel. Keeps only as many filtered rows as the window is high, so that
/// the memory does not grow with the picture's height.
fn ssim_plane(a: &[f32], b: &[f32], width: usize, window: &[f64]) -> f64 {
    let size = window.len();
    let columns = width - size + 1;
    let mut ring = vec![vec![Moments::default(); columns]; size];
    let (mut sum, mut count) = (0.0, 0usize);
    for (y, (row_a, row_b)) in a.chunks_exact(width).zip(b.chunks_exact(width)).enumerate() {
        filter_row(row_a, row_b, window, &mut ring[y % size]);
        if y + 1 < size {
            continue;
        }
        // Row `y + 1 - size + i` of the picture; the oldest row is the one after the newest.
        let rows = window.iter().enumerate().map(|(i, weight)| (&ring[(y + 1 + i) % size], weight));
        let window_at = |x: usize| {
            let mut moments = Moments::default();
            for (row, weight) in rows.clone() {
                moments.iter_mut().zip(row[x]).for_each(|(sum, value)| *sum += weight * value);
            }
            moments
        };
        sum += (0..columns).map(|x| similarity(&window_at(x))).sum::<f64>();
        count += columns;
    }
    sum / count as f64
}

fn filter_row(a: &[f32], b: &[f32], window: &[f64], out: &mut [Moments]) {
    let code = |value: f32| (f64::from(value) + 1.0) * 127.5;
    for (x, moments) in out.iter_mut().enumerate() {
        *moments = Moments::default();
        for (i, weight) in window.iter().enumerate() {
            let (a, b) = (code(a[x + i]), code(b[x + i]));
            let terms = [a, b, a * a, b * b, a * b];
            moments.iter_mut().zip(terms).for_each(|(sum, term)| *sum += weight * term);
        }
    }
}

/// The SSIM index of one window.
fn similarity(&[mean_a, mean_b, aa, bb, ab]: &Moments) -> f64 {
    const C1: f64 = (0.01 * 255.0) * (0.01 * 255.0);
    const C2: f64 = (0.03 * 255.0) * (0.03 * 255.0);
    let (var_a, var_b) = (aa - mean_a * mean_a, bb - mean_b * mean_b);
    let covariance = ab - mean_a * mean_b;
    ((2.0 * mean_a * mean_b + C1) * (2.0 * covariance + C2))
        / ((mean_a * mean_a + mean_b * mean_b + C1) * (var_a + var_b + C2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Shape, from_code};

    /// A smooth pattern and a disturbed copy, in whole 8-bit code values.
    fn pair(shape: Shape) -> (Frame, Frame) {
        let (mut a, mut b) = (Frame::filled(shape, 0.0), Frame::filled(shape, 0.0));
        for c in 0..shape.channels {
            for y in 0..shape.height {
                for x in 0..shape.width {
                    let clean = (x * (5 + c) + y * 3 + (x * y) % (17 + c)) % 256;
                    let noisy = (clean + (x * 7 + y * 13 + c * 29) % 31).min(255);
                    let at = c * shape.plane() + y * shape.width + x;
                    a.data[at] = from_code(clean as u16, 8);
                    b.data[at] = from_code(noisy as u16, 8);
                }
            }
        }
        (a, b)
    }

    #[test]
    fn ssim_agrees_with_scikit_image() {
        // structural_similarity(a, b, data_range=255, gaussian_weights=True, sigma=1.5,
        // use_sample_covariance=False) of scikit-image 0.26 on the same code values. It refuses
        // the small picture: there the paper's formula over scipy's 7x7 Gaussian filter.
        for (shape, expected) in [
            (Shape::new(3, 40, 53), 0.8262294341332522),
            (Shape::new(1, 11, 64), 0.7868786883634118),
            (Shape::new(1, 8, 23), 0.7253052645760549),
        ] {
            let (a, b) = pair(shape);
            let found = ssim(&a, &b).unwrap();
            assert!((found - expected).abs() < 1e-6, "{shape}: {found}, not {expected}");
            assert!((ssim(&a, &a).unwrap() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn psnr_follows_its_definition() {
        let shape = Shape::new(3, 5, 7);
        let (a, b) = pair(shape);
        assert_eq!(psnr(&a, &a).unwrap(), f64::INFINITY);
        // One code value of 255 everywhere: 20 log10(255).
        let (one, zero) = (Frame::filled(shape, from_code(1, 8)), Frame::filled(shape, -1.0));
        assert!((psnr(&one, &zero).unwrap() - 48.130804).abs() < 1e-4);
        assert!(psnr(&a, &b).unwrap() < 40.0);
        // peak_signal_noise_ratio of scikit-image 0.26 on the code values.
        let (a, b) = pair(Shape::new(3, 40, 53));
        assert!((psnr(&a, &b).unwrap() - 23.504100135990136).abs() < 1e-4);
    }

    #[test]
    fn the_smallest_frames_have_numbers_too() {
        let (a, b) = pair(Shape::new(1, 1, 1));
        assert!(ssim(&a, &b).unwrap().is_finite());
        let (a, b) = pair(Shape::new(1, 2, 9));
        assert!(ssim(&a, &b).unwrap() <= 1.0);
    }

    #[test]
    fn sizes_must_agree() {
        let (a, _) = pair(Shape::new(1, 4, 6));
        let (b, _) = pair(Shape::new(1, 6, 4));
        assert!(matches!(psnr(&a, &b), Err(Error::Shape { .. })));
        assert!(matches!(ssim(&a, &b), Err(Error::Shape { .. })));
    }
}
