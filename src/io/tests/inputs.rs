//! Every kind of picture that is read.

use super::craft::{Spec, chunk, png};
use super::*;
use crate::frame::to_code;

fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/assets").join(name)
}

#[test]
fn what_cannot_come_row_by_row_is_held_whole() {
    let folder = Folder::new();
    for (interlaced, said) in [(false, None), (true, Some("interlaced"))] {
        let spec = Spec { width: 9, height: 5, depth: 8, color: 2, interlaced };
        std::fs::write(folder.join("a.png"), png(spec, &[], |x, _, _| x as u16)).unwrap();
        let picture = Picture::open(&folder.join("a.png")).unwrap();
        let why = picture.held_whole();
        assert_eq!(why.is_some(), said.is_some());
        assert!(said.is_none_or(|said| why.is_some_and(|why| why.contains(said))), "{why:?}");
        assert_eq!(picture.held_bytes() > 0, interlaced);
    }
    let jpeg = Picture::open(&asset("tiny.jpg")).unwrap();
    assert!(jpeg.held_whole().is_some_and(|why| why.contains("JPEG")));
}

#[test]
fn every_depth_and_colour_interlaced_or_not() {
    let kinds = [
        (0, 1),
        (0, 2),
        (0, 4),
        (0, 8),
        (0, 16),
        (2, 8),
        (2, 16),
        (4, 8),
        (4, 16),
        (6, 8),
        (6, 16),
    ];
    let sizes = [(1, 1), (1, 9), (2, 3), (4, 5), (5, 1), (9, 8), (17, 11)];
    for (color, depth) in kinds {
        for (width, height) in sizes {
            for interlaced in [false, true] {
                let spec = Spec { width, height, depth, color, interlaced };
                let max = (1u32 << depth) - 1;
                let code = |x: usize, y: usize, c: usize| {
                    ((x * 977 + y * 3571 + c * 77) as u32 % (max + 1)) as u16
                };
                let frame = memory(&png(spec, &[], code)).unwrap();
                let has_alpha = color >= 4;
                let channels = if color & 2 == 2 { 3 } else { 1 };
                assert_eq!(frame.shape, Shape::new(channels, height, width));
                let bits = depth.max(8);
                assert_eq!(frame.origin.bit_depth, bits);
                assert_eq!(frame.origin.alpha.is_some(), has_alpha);
                for y in 0..height {
                    for x in 0..width {
                        let at = y * width + x;
                        let scale = if depth < 8 { 255 / max as u16 } else { 1 };
                        for c in 0..channels {
                            let found = to_code(frame.channel(c)[at], bits);
                            assert_eq!(found, code(x, y, c) * scale, "{color} {depth} {x},{y},{c}");
                        }
                        if let Some(alpha) = &frame.origin.alpha {
                            let scale = if depth == 8 { 257 } else { 1 };
                            assert_eq!(alpha[at], code(x, y, channels) * scale);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn palettes_become_colours() {
    let palette = vec![10, 20, 30, 40, 50, 60, 70, 80, 90, 255, 0, 128];
    for depth in [1, 2, 4, 8] {
        for transparent in [false, true] {
            let spec = Spec { width: 9, height: 3, depth, color: 3, interlaced: depth == 4 };
            let mut chunks: Vec<(&[u8; 4], Vec<u8>)> = vec![(b"PLTE", palette.clone())];
            if transparent {
                // Entries past the end of the list are opaque.
                chunks.push((b"tRNS", vec![0, 128]));
            }
            let entries = if depth == 1 { 2 } else { 4 };
            let index = |x: usize, y: usize| (x + y) % entries;
            let frame = memory(&png(spec, &chunks, |x, y, _| index(x, y) as u16)).unwrap();
            assert_eq!(frame.shape.channels, 3);
            assert_eq!(frame.origin.bit_depth, 8);
            for (at, (x, y)) in (0..27).map(|i| (i, (i % 9, i / 9))) {
                for c in 0..3 {
                    let expected = u16::from(palette[index(x, y) * 3 + c]);
                    assert_eq!(to_code(frame.channel(c)[at], 8), expected);
                }
                let opacity = [0, 128 * 257, 65535, 65535][index(x, y)];
                assert_eq!(
                    frame.origin.alpha.as_ref().map(|a| a[at]),
                    transparent.then_some(opacity)
                );
            }
        }
    }
}

#[test]
fn a_transparent_colour_becomes_alpha() {
    for (color, depth) in [(0, 2), (0, 8), (0, 16), (2, 8), (2, 16)] {
        let spec = Spec { width: 4, height: 1, depth, color, interlaced: false };
        let key = [0u8, 2].repeat(spec.samples());
        let frame = memory(&png(spec, &[(b"tRNS", key)], |x, _, _| x as u16)).unwrap();
        assert_eq!(frame.origin.alpha.unwrap(), [65535, 65535, 0, 65535], "{color} {depth}");
    }
}

#[test]
fn texts_and_exif_may_stand_behind_the_pixels() {
    let spec = Spec { width: 1, height: 1, depth: 8, color: 0, interlaced: false };
    let mut file = png(spec, &[(b"tEXt", b"Author\0me".to_vec())], |_, _, _| 7);
    file.truncate(file.len() - 12);
    chunk(&mut file, b"eXIf", &exif());
    chunk(&mut file, b"tEXt", b"ddnm:scene\x0064x48");
    chunk(&mut file, b"IEND", &[]);
    let frame = memory(&file).unwrap();
    assert_eq!(frame.origin.scene, Some((64, 48)));
    assert_eq!(frame.origin.exif, Some(exif()));

    let nonsense = png(spec, &[(b"tEXt", b"ddnm:scene\0large".to_vec())], |_, _, _| 7);
    assert_eq!(memory(&nonsense).unwrap().origin.scene, None);
}

#[test]
fn a_camera_jpeg_keeps_its_profile_and_orientation() {
    let frame = read(&asset("tiny.jpg")).unwrap();
    // Orientation 6 is kept, not applied: the picture is as wide as it is stored.
    assert_eq!(frame.shape, Shape::new(3, 13, 21));
    assert_eq!(frame.origin.bit_depth, 8);
    let exif = frame.origin.exif.as_deref().unwrap();
    assert!(exif.starts_with(b"MM\0*") || exif.starts_with(b"II*\0"), "{exif:?}");
    assert_eq!(frame.origin.icc.as_ref().map(Vec::len), Some(588));
    expect_pixels(&frame, &[[0, 1, 0], [122, 114, 111], [241, 225, 225]]);

    let folder = Folder::new();
    let path = folder.join("copy.png");
    write(&path, &frame, 8).unwrap();
    assert_eq!(read(&path).unwrap(), frame);
}

#[test]
fn jpegs_of_other_kinds() {
    let progressive = read(&asset("tiny-progressive.jpg")).unwrap();
    expect_pixels(&progressive, &[[1, 0, 0], [122, 113, 116], [235, 228, 222]]);
    let gray = read(&asset("tiny-gray.jpg")).unwrap();
    assert_eq!(gray.shape, Shape::new(1, 13, 21));
    expect_pixels(&gray, &[[0], [116], [230]]);
    let cmyk = read(&asset("tiny-cmyk.jpg")).unwrap();
    expect_pixels(&cmyk, &[[0, 0, 0], [121, 114, 112], [239, 227, 223]]);
    assert_eq!(cmyk.origin.icc, None, "a CMYK profile does not describe RGB");
}

/// Top left, middle and bottom right as libjpeg decodes them; decoders may differ a little.
fn expect_pixels<const N: usize>(frame: &Frame, expected: &[[u16; N]; 3]) {
    for (at, pixel) in [0, 6 * 21 + 10, 12 * 21 + 20].into_iter().zip(expected) {
        for (c, &code) in pixel.iter().enumerate() {
            let found = to_code(frame.channel(c)[at], 8);
            assert!(found.abs_diff(code) <= 4, "channel {c} at {at}: {found}, not {code}");
        }
    }
}

#[test]
fn the_demo_pictures_open() {
    for (name, width, height) in [
        ("astronaut.png", 512, 512),
        ("chelsea.png", 451, 300),
        ("coffee.png", 600, 400),
        ("rocket.jpg", 640, 427),
    ] {
        assert_eq!(read(&asset(name)).unwrap().shape, Shape::new(3, height, width), "{name}");
    }
}
