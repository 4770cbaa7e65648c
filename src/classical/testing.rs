//! Pictures and measures for the tests of this folder.

use crate::frame::{Shape, from_code};

/// A test picture as `[3, H, W]`.
pub fn picture(name: &str) -> (Vec<f32>, Shape) {
    let path = format!("{}/tests/assets/{name}.png", env!("CARGO_MANIFEST_DIR"));
    let rgb = image::open(&path).expect("a test picture").to_rgb8();
    let shape = Shape::new(3, rgb.height() as usize, rgb.width() as usize);
    let mut data = Vec::with_capacity(shape.len());
    for c in 0..3 {
        data.extend(rgb.pixels().map(|p| from_code(p.0[c].into(), 8)));
    }
    (data, shape)
}

/// The three pictures that bounds are stated for, in the bounds' order.
pub const PICTURES: [&str; 3] = ["astronaut", "coffee", "chelsea"];

/// Peak signal-to-noise ratio in dB over all values, the estimate clipped to `[-1, 1]`.
pub fn psnr(estimate: &[f32], truth: &[f32]) -> f64 {
    assert_eq!(estimate.len(), truth.len());
    let pairs = estimate.iter().zip(truth);
    let squares: f64 = pairs.map(|(e, t)| f64::from(e.clamp(-1.0, 1.0) - t).powi(2)).sum();
    10.0 * (4.0 * truth.len() as f64 / squares).log10()
}

/// A picture cut to `height` by `width` at its top left.
pub fn crop(data: &[f32], shape: Shape, height: usize, width: usize) -> Vec<f32> {
    let rows =
        data.chunks_exact(shape.plane()).flat_map(|p| p.chunks_exact(shape.width).take(height));
    rows.flat_map(|row| &row[..width]).copied().collect()
}

/// Uniform numbers in `[0, 1)`: xorshift64*.
pub struct Noise(pub u64);

impl Noise {
    pub fn next(&mut self) -> f32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 40) as f32 / (1u64 << 24) as f32
    }
}
