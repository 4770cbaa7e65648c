//! Random choices that a seed and a case's number determine.

/// A SplitMix64 generator (Steele, Lea, Flood 2014).
pub struct Random(u64);

impl Random {
    /// The choices of one case.
    pub fn new(seed: u64, case: u64) -> Random {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ case);
        Random(random.next())
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`; 0 if `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() >> 16) as usize % n.max(1)
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of some things, of which there is at least one.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// An integer that sizes are made of, mostly small, sometimes where something overflows.
    pub fn integer(&mut self) -> i64 {
        const SMALL: [i64; 12] = [0, 1, 1, 2, 2, 3, 4, 8, -1, -1, -2, 16];
        const MIDDLE: [i64; 14] = [5, 6, 7, 9, 15, 31, 63, 64, 65, 100, 255, 256, 257, 1000];
        const LARGE: [i64; 15] = [
            4096,
            65535,
            65536,
            1 << 20,
            (1 << 20) + 1,
            1 << 24,
            i32::MAX as i64,
            i32::MIN as i64,
            1 << 32,
            1 << 33,
            1 << 40,
            1 << 62,
            i64::MAX - 1,
            i64::MAX,
            i64::MIN,
        ];
        match self.below(10) {
            0..7 => *self.pick(&SMALL),
            7..9 => *self.pick(&MIDDLE),
            _ => *self.pick(&LARGE),
        }
    }

    /// A real number, mostly a plain one.
    pub fn real(&mut self) -> f32 {
        const WILD: [f32; 12] = [
            0.0,
            -0.0,
            -1.0,
            1e-30,
            1e9,
            3e38,
            17.0,
            1e-3,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
            f32::MIN_POSITIVE,
        ];
        match self.chance(70) {
            true => *self.pick(&[0.5, 1.0, 1.0, 2.0, 2.0, 3.0, 1e-5]),
            false => *self.pick(&WILD),
        }
    }
}
