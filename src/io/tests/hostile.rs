//! Files that are wrong, cut, broken or made to hurt: one clear error each, never a panic.

use super::craft::{Spec, chunk, png};
use super::*;
use std::fs;

const JPEGS: [&[u8]; 4] = [
    include_bytes!("../../../tests/assets/tiny.jpg"),
    include_bytes!("../../../tests/assets/tiny-progressive.jpg"),
    include_bytes!("../../../tests/assets/tiny-gray.jpg"),
    include_bytes!("../../../tests/assets/tiny-cmyk.jpg"),
];

fn pngs() -> Vec<Vec<u8>> {
    let mut files: Vec<Vec<u8>> =
        vec![png_bytes(&rich(3, 8, true), 8), png_bytes(&rich(1, 16, false), 16)];
    for interlaced in [false, true] {
        let spec = Spec { width: 9, height: 5, depth: 2, color: 3, interlaced };
        let palette = (0..12).map(|i| i * 20).collect();
        files.push(png(spec, &[(b"PLTE", palette), (b"tRNS", vec![9, 99])], |x, y, _| {
            ((x + y) % 4) as u16
        }));
    }
    files
}

fn input_error(bytes: &[u8]) -> String {
    match memory(bytes) {
        Err(error @ Error::Input { .. }) => error.to_string(),
        other => panic!("expected an input error, found {other:?}"),
    }
}

#[test]
fn every_cut_is_an_error() {
    for file in pngs().iter().map(Vec::as_slice).chain(JPEGS) {
        memory(file).unwrap();
        for length in 0..file.len() {
            let error = input_error(&file[..length]);
            assert!(!error.contains('\n'), "{error}");
        }
    }
}

#[test]
fn what_follows_a_whole_picture_does_not_matter() {
    for file in pngs().iter().map(Vec::as_slice).chain(JPEGS) {
        assert_eq!(memory(&[file, b"trailing bytes"].concat()), memory(file));
    }
}

/// xorshift64*: the tests need no better one.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }
}

#[test]
fn broken_bytes_never_panic() {
    let mut random = Random(7);
    for file in pngs().iter().map(Vec::as_slice).chain(JPEGS) {
        for _ in 0..3000 {
            let mut bytes = file.to_vec();
            for _ in 0..1 + random.below(4) {
                let at = random.below(bytes.len());
                bytes[at] = random.below(256) as u8;
            }
            let _ = memory(&bytes);
        }
        // Each header byte, at its extremes.
        for at in 0..file.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = file.to_vec();
                bytes[at] = value;
                let _ = memory(&bytes);
            }
        }
    }
}

#[test]
fn odd_chunks_with_good_checksums_never_panic() {
    const NAMES: [&[u8; 4]; 12] = [
        b"PLTE", b"tRNS", b"iCCP", b"eXIf", b"tEXt", b"acTL", b"fcTL", b"fdAT", b"sBIT", b"IDAT",
        b"IEND", b"zTXt",
    ];
    let mut random = Random(11);
    for _ in 0..6000 {
        let interlaced = random.below(2) == 1;
        let kinds = [(0, 1), (0, 16), (2, 8), (3, 2), (3, 8), (4, 8), (6, 16)];
        let (color, depth) = kinds[random.below(kinds.len())];
        let palette: Vec<u8> =
            (0..[0, 3, 11, 12, 768, 771][random.below(6)]).map(|i| i as u8).collect();
        let spec = Spec { width: 9, height: 5, depth, color, interlaced };
        let base = png(spec, &[(b"PLTE", palette)], |x, y, _| (x * y) as u16);
        let mut file = base[..8].to_vec();
        let mut rest = &base[8..];
        while rest.len() >= 12 {
            // Before each chunk perhaps a strange one; the pixels perhaps in two halves.
            if random.below(3) == 0 {
                let data: Vec<u8> =
                    (0..random.below(40)).map(|_| random.below(256) as u8).collect();
                chunk(&mut file, NAMES[random.below(NAMES.len())], &data);
            }
            let length = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
            let mut data = rest[8..8 + length].to_vec();
            if random.below(3) == 0 && length > 0 {
                data[random.below(length)] = random.below(256) as u8;
            }
            let name = [rest[4], rest[5], rest[6], rest[7]];
            if &name == b"IDAT" && random.below(3) == 0 {
                let (first, second) = data.split_at(random.below(length));
                chunk(&mut file, b"IDAT", first);
                if random.below(2) == 0 {
                    chunk(&mut file, NAMES[random.below(NAMES.len())], &[0, 1, 0, 2, 0, 3]);
                }
                chunk(&mut file, b"IDAT", second);
            } else {
                chunk(&mut file, &name, &data);
            }
            rest = &rest[12 + length..];
        }
        let _ = memory(&file);
    }
}

#[test]
fn sizes_are_refused_before_memory_is_taken() {
    for (width, height, why) in [
        (0u32, 5u32, ""),
        (5, 0, ""),
        (65_536, 1, "65535"),
        (u32::MAX, u32::MAX, ""),
        (65_535, 65_535, "pixels"),
        (16_384, 16_384, "only"),
    ] {
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
        header.extend([16, 6, 0, 0, 0]);
        chunk(&mut file, b"IHDR", &header);
        chunk(&mut file, b"IDAT", &[0x78, 1]);
        let error = input_error(&file);
        assert!(error.contains(why), "{error}");
    }
    // The same in a JPEG's frame header, and a height that is to follow later.
    for (size, why) in [
        ([0xff, 0xff, 0xff, 0xff], "pixels"),
        ([0x40, 0, 0x40, 0], "only"),
        ([0, 0, 0, 9], "height"),
    ] {
        let mut file = JPEGS[2].to_vec();
        let at = file.windows(2).position(|w| w == [0xff, 0xc0]).unwrap() + 5;
        file[at..at + 4].copy_from_slice(&size);
        let error = input_error(&file);
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn palettes_of_impossible_length_are_refused() {
    let spec = Spec { width: 2, height: 1, depth: 8, color: 3, interlaced: false };
    for length in [0, 1, 4, 767, 771] {
        input_error(&png(spec, &[(b"PLTE", vec![5; length])], |_, _, _| 0));
    }
    // An index past the end of the palette shows black, as browsers do.
    let frame = memory(&png(spec, &[(b"PLTE", vec![5; 3])], |x, _, _| x as u16)).unwrap();
    assert_eq!(frame.channel(0), [from_code(5, 8), -1.0]);
}

#[test]
fn a_broken_profile_does_not_cost_the_picture() {
    let spec = Spec { width: 1, height: 1, depth: 8, color: 0, interlaced: false };
    let file = png(spec, &[(b"iCCP", b"p\0\0not zlib".to_vec())], |_, _, _| 0);
    assert_eq!(memory(&file).unwrap().origin.icc, None);
}

#[test]
fn files_that_are_no_pictures_are_named() {
    let folder = Folder::new();
    fs::write(folder.join("a.png"), "Dear sir,\n").unwrap();
    fs::write(folder.join("b.png"), b"GIF89a\x01\0\x01\0").unwrap();
    fs::write(folder.join("c.jpg"), "").unwrap();
    fs::write(folder.join("d.jpg"), pngs().remove(0)).unwrap();
    for (name, found) in [
        ("a.png", "a text file"),
        ("b.png", "a GIF picture"),
        ("c.jpg", "an empty file"),
        ("e.png", "no such file"),
        ("", "a folder"),
        ("a.png/x", ""),
    ] {
        let error = read(&folder.join(name)).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        let text = error.to_string();
        assert!(text.contains("expected a PNG or JPEG picture, found"), "{text}");
        assert!(text.ends_with(found), "{text}");
    }
    // Content counts, not the name.
    read(&folder.join("d.jpg")).unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn an_endless_file_is_refused_at_once() {
    let error = read(Path::new("/dev/zero")).unwrap_err();
    assert!(error.to_string().contains("unknown format"), "{error}");
}
