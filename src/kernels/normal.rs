//! Normal numbers from counters, as many at a time as vectors hold.
//!
//! The generator is Philox 4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers:
//! as easy as 1, 2, 3", SC 2011): ten rounds of multiply and exchange over a counter, keyed by
//! the seed. Two of its words become two normal numbers by the method of Box and Muller.
//!
//! Logarithm, sine and cosine are power series: additions, multiplications, one division and one
//! square root, which every processor rounds alike. So the numbers are the same bits on all paths
//! and all machines, which those of a mathematics library are not.

use super::isa::{Isa, dispatch};
use super::simd::Simd;

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Philox 4x32-10: four random words for a counter and a key.
#[inline(always)]
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

/// Two independent standard normal numbers of one counter; none is beyond 6.6.
#[inline(always)]
pub fn normal_pair(counter: [u32; 4], key: [u32; 2]) -> [f32; 2] {
    let words = philox(counter, key);
    // In (0, 1], of 31 bits where that is small.
    let uniform = ((words[0] >> 1) as i32 as f32 + 1.0) * (1.0 / 2_147_483_648.0);
    let radius = (-2.0 * ln(uniform)).sqrt();
    let [cos, sin] = cos_sin(words[2]);
    [radius * cos, radius * sin]
}

/// The natural logarithm of a positive normal number.
#[inline(always)]
fn ln(x: f32) -> f32 {
    /// Bits of the root of 1/2: mantissas are taken from there to twice as much.
    const HALF_ROOT: i32 = 0x3f35_04f3;
    let exponent = (x.to_bits() as i32 - HALF_ROOT) >> 23;
    let mantissa = f32::from_bits((x.to_bits() as i32 - (exponent << 23)) as u32);
    // 2 artanh((m - 1) / (m + 1)), to a billionth.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let q = s * s;
    let series = 1.0 + q * (1.0 / 3.0 + q * (0.2 + q * (1.0 / 7.0 + q * (1.0 / 9.0))));
    exponent as f32 * std::f32::consts::LN_2 + 2.0 * s * series
}

/// Cosine and sine of `2 pi turn / 2^32`.
#[inline(always)]
fn cos_sin(turn: u32) -> [f32; 2] {
    const EIGHTH: u32 = 1 << 29;
    // The nearest quarter turn, and what is left: at most an eighth either way.
    let from = turn.wrapping_add(EIGHTH);
    let quarter = from >> 30;
    let left = (from & (2 * EIGHTH - 1)) as i32 - EIGHTH as i32;
    let a = left as f32 * (std::f32::consts::TAU / 4_294_967_296.0);
    let q = a * a;
    let sin = a * (1.0 - q / 6.0 * (1.0 - q / 20.0 * (1.0 - q / 42.0 * (1.0 - q / 72.0))));
    let cos = 1.0 - q / 2.0 * (1.0 - q / 12.0 * (1.0 - q / 30.0 * (1.0 - q / 56.0)));
    let odd = quarter & 1 == 1;
    let (x, y) = if odd { (sin, cos) } else { (cos, sin) };
    let sign = |v: f32, of: u32| f32::from_bits(v.to_bits() ^ (of & 2) << 30);
    [sign(x, quarter + 1), sign(y, quarter)]
}

/// Fills `out`, of even length, with the pairs of `counter` and those after it, which differ in the
/// first word.
pub fn normals(isa: Isa, counter: [u32; 4], key: [u32; 2], out: &mut [f32]) {
    assert!(out.len().is_multiple_of(2), "pairs");
    // There are no pointers.
    dispatch!(isa, run_normals(counter: [u32; 4], key: [u32; 2], out: &mut [f32]));
}

/// The compiler makes vectors of the instruction set of `S` of it.
///
/// # Safety
///
/// The instruction set of `S` is there.
#[inline(always)]
unsafe fn run_normals<S: Simd>(counter: [u32; 4], key: [u32; 2], out: &mut [f32]) {
    let (pairs, _) = out.as_chunks_mut::<2>();
    for (i, pair) in pairs.iter_mut().enumerate() {
        *pair = normal_pair(
            [counter[0].wrapping_add(i as u32), counter[1], counter[2], counter[3]],
            key,
        );
    }
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
    fn logarithms_are_those_of_the_library() {
        let mut x = 1.0f32 / 2_147_483_648.0;
        while x <= 1.0 {
            let real = f64::from(x).ln();
            let error = (f64::from(ln(x)) - real).abs();
            assert!(error <= 2e-7 * real.abs().max(0.5), "{x}: {error:.1e}");
            x *= 1.0007;
        }
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn cosines_and_sines_are_those_of_the_library() {
        for turn in (0..1 << 16).map(|i: u32| i.wrapping_mul(65_537)) {
            let angle = f64::from(turn) / 4_294_967_296.0 * std::f64::consts::TAU;
            let [cos, sin] = cos_sin(turn).map(f64::from);
            assert!((cos - angle.cos()).abs() < 2e-7, "{turn}: {cos}");
            assert!((sin - angle.sin()).abs() < 2e-7, "{turn}: {sin}");
        }
        for (quarter, both) in
            [(0, [1.0, 0.0]), (1, [0.0, 1.0]), (2, [-1.0, 0.0]), (3, [0.0, -1.0])]
        {
            assert_eq!(cos_sin(quarter << 30).map(|v| v + 0.0), both);
        }
    }

    #[test]
    fn all_paths_give_the_same_bits() {
        let (counter, key) = ([u32::MAX - 20, 3, 1, 7], [5, 9]);
        for len in [0, 2, 30, 1002] {
            let one = |i: usize| {
                let first = counter[0].wrapping_add((i / 2) as u32);
                normal_pair([first, counter[1], counter[2], counter[3]], key)[i % 2]
            };
            let expected: Vec<u32> = (0..len).map(|i| one(i).to_bits()).collect();
            for isa in Isa::available_in_floats() {
                let mut found = vec![0.0; len];
                normals(isa, counter, key, &mut found);
                let found: Vec<u32> = found.iter().map(|v| v.to_bits()).collect();
                assert_eq!(found, expected, "{}", isa.name());
            }
        }
    }

    /// The largest there is.
    #[test]
    fn the_tail_ends_where_it_is_said_to() {
        let radius = (-2.0 * ln(1.0 / 2_147_483_648.0)).sqrt();
        assert!(radius > 6.5 && radius < 6.6, "{radius}");
    }
}
