//! Noise that depends on nothing but its address: the same normal number for the same
//! (seed, frame, evaluation, channel, y, x), whatever the tiles, their order or the threads.

use std::sync::OnceLock;

use crate::frame::Region;
pub use crate::kernels::philox;
use crate::kernels::{Isa, normal_pair, normals};

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
    fn key(&self) -> [u32; 2] {
        [self.seed as u32, (self.seed >> 32) as u32]
    }

    fn counter(&self, channel: usize, y: usize, x: usize) -> [u32; 4] {
        let stream = u32::from(self.draw) << 16 | (channel as u32 & 0xffff);
        [x as u32, y as u32, self.frame, stream]
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
        let u = uniform(philox(self.counter(channel, y, x), self.key()));
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
        // Two neighbours in x share one counter.
        normal_pair(self.counter(channel, y, x / 2), self.key())[x % 2]
    }

    /// Fills `out`, `[channels, region.height, region.width]`, with the field over `region`.
    pub fn fill(&self, region: Region, channels: usize, out: &mut [f32]) {
        let isa = isa();
        let rows = out.chunks_exact_mut(region.width).take(channels * region.height);
        for (i, row) in rows.enumerate() {
            let (c, y) = (i / region.height, region.y + i % region.height);
            // Half a pair may stand at either end.
            let (head, rest) = row.split_at_mut(region.x % 2);
            let (pairs, tail) = rest.split_at_mut(rest.len() / 2 * 2);
            let first = region.x + head.len();
            head.iter_mut().for_each(|v| *v = self.at(c, y, region.x));
            normals(isa, self.counter(c, y, first / 2), self.key(), pairs);
            tail.iter_mut().for_each(|v| *v = self.at(c, y, first + pairs.len()));
        }
    }
}

/// All paths give the same bits; this is the fastest, or the one that is pinned.
fn isa() -> Isa {
    static CHOSEN: OnceLock<Isa> = OnceLock::new();
    *CHOSEN.get_or_init(|| Isa::choose().unwrap_or(Isa::Portable))
}

/// A number in `(0, 1]` of 53 bits: its logarithm is finite.
fn uniform(words: [u32; 4]) -> f64 {
    let bits = u64::from(words[0]) << 21 ^ u64::from(words[1]) >> 11;
    (bits + 1) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

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
        // Pairs of neighbours may be cut at either end.
        for (x, width) in [(5, 7), (4, 7), (5, 8), (4, 8), (5, 1), (4, 1)] {
            let part = Region { y: 3, x, height: 4, width };
            let mut v = vec![0.0; 2 * part.shape(1).len()];
            field.fill(part, 2, &mut v);
            for (i, v) in v.iter().enumerate() {
                let (row, column) = (i / width, i % width);
                assert_eq!(*v, field.at(row / 4, 3 + row % 4, x + column));
            }
        }
        assert_ne!(field.at(0, 5, 9), NoiseField { draw: 1, ..field }.at(0, 5, 9));
        assert_ne!(field.at(0, 5, 9), NoiseField { frame: 3, ..field }.at(0, 5, 9));
        assert_ne!(field.at(0, 5, 9), NoiseField { seed: 2, ..field }.at(0, 5, 9));
    }
}
