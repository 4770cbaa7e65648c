//! Noise that depends on nothing but its address: the same normal number for the same
//! (seed, frame, evaluation, channel, y, x), whatever the tiles, their order or the threads.
//!
//! The generator is Philox 4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers:
//! as easy as 1, 2, 3", SC 2011): ten rounds of multiply and exchange over a counter, keyed by
//! the seed.

use crate::frame::Region;

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Philox 4x32-10: four random words for a counter and a key.
pub fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        let a = u64::from(MULTIPLIERS[0]) * u64::from(counter[0]);
        let b = u64::from(MULTIPLIERS[1]) * u64::from(counter[2]);
        counter = [
            (b >> 32) as u32 ^ counter[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ counter[3] ^ key[1],
            a as u32,
        ];
    }
    counter
}

/// One field of standard normal noise over a whole frame, evaluated where it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoiseField {
    pub seed: u64,
    /// Which frame of a sequence; a still noise field for video keeps this constant.
    pub frame: u32,
    /// Which draw within the frame: the number of the network evaluation, or another stream.
    pub draw: u16,
}

impl NoiseField {
    /// The random words at one address.
    fn words(&self, channel: usize, y: usize, x: usize) -> [u32; 4] {
        let key = [self.seed as u32, (self.seed >> 32) as u32];
        let stream = u32::from(self.draw) << 16 | (channel as u32 & 0xffff);
        philox([x as u32, y as u32, self.frame, stream], key)
    }

    /// A Poisson number of this mean at one address, `[channel, y, x]`: how many electrons come
    /// where so many are expected.
    pub fn poisson(&self, mean: f64, at: [usize; 3]) -> f64 {
        /// From here on the distribution is all but continuous.
        const MANY: f64 = 60.0;
        let [channel, y, x] = at;
        if mean >= MANY {
            // A normal number with the skew of a Poisson number (Cornish and Fisher).
            let z = f64::from(self.at(channel, y, x));
            return (mean + mean.sqrt() * z + (z * z - 1.0) / 6.0).max(0.0);
        }
        // The first count whose cumulative probability reaches a uniform number.
        let u = uniform(self.words(channel, y, x));
        let mut probability = (-mean).exp();
        let (mut count, mut sum) = (0.0, probability);
        while sum < u && count < 10.0 * MANY {
            count += 1.0;
            probability *= mean / count;
            sum += probability;
        }
        count
    }

    /// The standard normal number at one address.
    pub fn at(&self, channel: usize, y: usize, x: usize) -> f32 {
        // Two neighbours in x share one block: the cosine and the sine of Box and Muller.
        let words = self.words(channel, y, x / 2);
        let u = uniform(words);
        let angle = f64::from(words[2]) / 4_294_967_296.0 * std::f64::consts::TAU;
        let radius = (-2.0 * u.ln()).sqrt();
        (radius * if x.is_multiple_of(2) { angle.cos() } else { angle.sin() }) as f32
    }

    /// Fills `out`, `[channels, region.height, region.width]`, with the field over `region`.
    pub fn fill(&self, region: Region, channels: usize, out: &mut [f32]) {
        let rows = out.chunks_exact_mut(region.width).take(channels * region.height);
        for (i, row) in rows.enumerate() {
            let (c, y) = (i / region.height, region.y + i % region.height);
            for (x, v) in row.iter_mut().enumerate() {
                *v = self.at(c, y, region.x + x);
            }
        }
    }
}

/// A number in `(0, 1]` of 53 bits: its logarithm is finite.
fn uniform(words: [u32; 4]) -> f64 {
    let bits = u64::from(words[0]) << 21 ^ u64::from(words[1]) >> 11;
    (bits + 1) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of the Philox paper's reference test vectors (kat_vectors, philox4x32 10).
    #[test]
    fn philox_gives_the_published_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn the_field_is_standard_normal_and_uncorrelated() {
        let field = NoiseField { seed: 7, frame: 0, draw: 3 };
        let region = Region { y: 0, x: 0, height: 256, width: 256 };
        let mut v = vec![0.0; 256 * 256];
        field.fill(region, 1, &mut v);
        let n = v.len() as f64;
        let moment = |p: i32| v.iter().map(|&x| f64::from(x).powi(p)).sum::<f64>() / n;
        // Five standard errors of each moment.
        assert!(moment(1).abs() < 5.0 / n.sqrt());
        assert!((moment(2) - 1.0).abs() < 5.0 * (2.0 / n).sqrt());
        assert!(moment(3).abs() < 5.0 * (15.0 / n).sqrt());
        assert!((moment(4) - 3.0).abs() < 5.0 * (96.0 / n).sqrt());
        for lag in [1, 2, 256] {
            let c = v.iter().zip(&v[lag..]).map(|(a, b)| f64::from(a * b)).sum::<f64>() / n;
            assert!(c.abs() < 5.0 / n.sqrt(), "lag {lag}: {c}");
        }
    }

    /// Mean, variance and third moment of a Poisson number about its mean are all that mean.
    #[test]
    fn poisson_numbers_have_the_moments_of_theirs() {
        let field = NoiseField { seed: 11, frame: 0, draw: 1 };
        for mean in [0.0, 0.3f64, 4.0, 59.0, 61.0, 2000.0] {
            let n = 40_000;
            let v: Vec<f64> =
                (0..n).map(|i| field.poisson(mean, [0, i / 200, i % 200]) - mean).collect();
            let within = |power: i32, variance: f64| {
                let found = v.iter().map(|v| v.powi(power)).sum::<f64>() / n as f64;
                let expected = if power == 1 { 0.0 } else { mean };
                // Five standard errors.
                let error = 5.0 * (variance / n as f64).sqrt() + 1e-12;
                assert!((found - expected).abs() <= error, "{mean}, {power}: {found}");
            };
            within(1, mean);
            within(2, mean + 2.0 * mean.powi(2));
            within(3, mean + 24.0 * mean.powi(2) + 15.0 * mean.powi(3));
        }
    }

    #[test]
    fn a_part_of_the_field_equals_the_same_part_of_the_whole() {
        let field = NoiseField { seed: 1, frame: 2, draw: 0 };
        let part = Region { y: 3, x: 5, height: 4, width: 7 };
        let mut v = vec![0.0; 2 * 28];
        field.fill(part, 2, &mut v);
        assert_eq!(v[28 + 2 * 7 + 4], field.at(1, 5, 9));
        assert_ne!(field.at(0, 5, 9), NoiseField { draw: 1, ..field }.at(0, 5, 9));
        assert_ne!(field.at(0, 5, 9), NoiseField { frame: 3, ..field }.at(0, 5, 9));
        assert_ne!(field.at(0, 5, 9), NoiseField { seed: 2, ..field }.at(0, 5, 9));
    }
}
