//! How long work would take on a board that is not at hand.

use super::Board;

/// Winograd's F(4x4, 3x3) multiplies 36 times where the direct way of a 3x3 convolution multiplies
/// 144 times (Lavin and Gray, 2016). Other convolutions are few in the networks that we ship.
pub const WINOGRAD: f64 = 4.0;

impl Board {
    /// A prediction, not a measurement: seconds for this many multiply-accumulates, counted as
    /// direct convolutions need them, and this many bytes read from and written to main memory.
    ///
    /// One core is taken to reach `share` of its peak in what Winograd's way leaves to be done;
    /// `threads`, up to the number of cores, come between one core and `scaling` of it. The
    /// slower of arithmetic and memory counts. Expect it to be wrong by up to a factor of two:
    /// `share` is what another engine with the same method reaches in published tables, which the
    /// files in `targets/` name.
    pub fn seconds(&self, multiply_accumulates: u64, bytes: u64, threads: usize) -> f64 {
        let a = &self.arithmetic;
        let rate = 1e9 * a.gflops_core * a.share * WINOGRAD * self.speedup(threads);
        let arithmetic = 2.0 * multiply_accumulates as f64 / rate;
        arithmetic.max(bytes as f64 / (1e9 * self.bandwidth.gb_per_s))
    }

    /// How much faster `threads` are than one, by a straight line from 1 to `scaling`.
    fn speedup(&self, threads: usize) -> f64 {
        let more = threads.clamp(1, self.cores) - 1;
        let most = (self.cores - 1).max(1);
        1.0 + (self.arithmetic.scaling - 1.0) * more as f64 / most as f64
    }
}
