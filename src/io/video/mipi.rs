//! Samples of 10 and 12 bits as MIPI CSI-2 packs them: the high bytes of a group of pixels, then
//! one byte with what is left of each, the first pixel's in the lowest bits.

/// Appends `count` samples of RAW10; `bytes` holds five for every four of them, or part of four.
pub fn unpack10(bytes: &[u8], count: usize, out: &mut Vec<u16>) {
    let end = out.len() + count;
    for group in bytes.chunks_exact(5) {
        for k in 0..4 {
            out.push(u16::from(group[k]) << 2 | u16::from(group[4] >> (2 * k)) & 3);
        }
    }
    out.truncate(end);
}

/// The inverse of [`unpack10`]; what the last group lacks is 0.
pub fn pack10(samples: &[u16], bytes: &mut [u8]) {
    for (group, of) in bytes.chunks_exact_mut(5).zip(samples.chunks(4)) {
        group[4] = 0;
        for (k, s) in of.iter().enumerate() {
            group[k] = (s >> 2) as u8;
            group[4] |= (s & 3) as u8 * (1 << (2 * k));
        }
    }
}

/// Appends `count` samples of RAW12; `bytes` holds three for every two of them, or part of two.
pub fn unpack12(bytes: &[u8], count: usize, out: &mut Vec<u16>) {
    let end = out.len() + count;
    for group in bytes.chunks_exact(3) {
        out.push(u16::from(group[0]) << 4 | u16::from(group[2]) & 15);
        out.push(u16::from(group[1]) << 4 | u16::from(group[2] >> 4));
    }
    out.truncate(end);
}

/// The inverse of [`unpack12`]; what the last group lacks is 0.
pub fn pack12(samples: &[u16], bytes: &mut [u8]) {
    for (group, of) in bytes.chunks_exact_mut(3).zip(samples.chunks(2)) {
        group[2] = 0;
        for (k, s) in of.iter().enumerate() {
            group[k] = (s >> 4) as u8;
            group[2] |= (s & 15) as u8 * (1 << (4 * k));
        }
    }
}
