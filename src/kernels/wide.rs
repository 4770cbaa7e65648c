//! Loops in plain Rust, with the vectors that the processor has.

/// Calls a function that is compiled for AVX2 too, which the program may not presume on x86-64 (ARM64
/// always has its vectors). Nothing is fused or
/// reordered, so the results are the same bits either way. The function must be
/// `#[inline(always)]`, and what it calls must be inlined too: what is not, is compiled without.
macro_rules! wide {
    ($function:ident($($arg:ident: $type:ty),* $(,)?) $(-> $result:ty)?) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2")]
        fn avx2($($arg: $type),*) $(-> $result)? {
            $function($($arg),*)
        }
        #[cfg(target_arch = "x86_64")]
        let result = match is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2, and nothing else is asked of the caller.
            true => unsafe { avx2($($arg),*) },
            false => $function($($arg),*),
        };
        #[cfg(not(target_arch = "x86_64"))]
        let result = $function($($arg),*);
        result
    }};
}
pub(crate) use wide;

#[cfg(test)]
mod tests {
    #[inline(always)]
    fn sums(from: &[f32], to: &mut [f32]) {
        let pairs = from.iter().zip(&from[7..]);
        to.iter_mut().zip(pairs).for_each(|(to, (a, b))| *to = 0.3 * a + 0.7 * b - a * b);
    }

    #[test]
    fn wide_vectors_change_no_bit() {
        let values: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin()).collect();
        let [mut expected, mut found] = [vec![0.0; 993], vec![0.0; 993]];
        sums(&values, &mut expected);
        let (from, to) = (&values[..], &mut found[..]);
        wide!(sums(from: &[f32], to: &mut [f32]));
        let bits = |v: &[f32]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&found), bits(&expected));
    }
}
