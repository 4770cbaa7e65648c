//! Bytes to values and back.

use crate::classical::demosaic::Bayer;
use crate::frame::{Shape, from_code};
use crate::io::video::{Format, Packing, Sensor, mipi};

fn format(width: usize, height: usize, packing: Packing, bits: u8) -> Format {
    Format { width, height, packing, bits, stride: None }
}

const PLANAR: [Packing; 4] = [
    Packing::Planar { across: 2, down: 2 },
    Packing::Planar { across: 2, down: 1 },
    Packing::Planar { across: 1, down: 1 },
    Packing::Planar { across: 4, down: 1 },
];

/// Code values without any order, all of `bits` bits.
fn codes(count: usize, bits: u8) -> Vec<u16> {
    let code = |i: usize| (i * 7919 + i / 3) % (1 << bits);
    (0..count).map(|i| code(i) as u16).collect()
}

#[test]
fn every_packing_survives_the_round_trip() {
    let others = [Packing::Mono, Packing::SemiPlanar, Packing::Rgb];
    for packing in PLANAR.into_iter().chain(others) {
        for bits in [8, 9, 10, 12, 14, 16] {
            for (width, height) in [(16, 6), (7, 5), (1, 1), (2, 3)] {
                let format = format(width, height, packing, bits);
                let wide = if bits > 8 { 2 } else { 1 };
                let samples = codes(format.frame_bytes() / wide, bits);
                let bytes: Vec<u8> = match wide {
                    2 => samples.iter().flat_map(|c| c.to_le_bytes()).collect(),
                    _ => samples.iter().map(|&c| c as u8).collect(),
                };
                let mut values = vec![0.0; format.shape().len()];
                format.unpack(&bytes, &mut values);
                let mut back = Vec::new();
                format.pack(&values, &mut back);
                assert!(back == bytes, "{format:?}");
            }
        }
    }
}

#[test]
fn mipi_packed_rows_survive_the_round_trip_bit_by_bit() {
    for width in 1..=17usize {
        for (bits, packing) in [(10, Packing::Raw10), (12, Packing::Raw12)] {
            let format = format(width, 3, packing, bits);
            let samples = codes(width * 3, bits);
            let values: Vec<f32> = samples.iter().map(|&c| from_code(c, bits)).collect();
            let mut bytes = Vec::new();
            format.pack(&values, &mut bytes);
            assert_eq!(bytes.len(), format.frame_bytes());
            let mut back = vec![0.0; values.len()];
            format.unpack(&bytes, &mut back);
            assert!(back == values, "{width} {bits}");
            let mut again = Vec::new();
            format.pack(&back, &mut again);
            assert!(again == bytes, "{width} {bits}");
        }
    }
}

/// From the figures of the MIPI CSI-2 standard: high bytes first, then what is left, the first
/// pixel's lowest.
#[test]
fn mipi_packing_has_the_standard_order() {
    let mut out = Vec::new();
    mipi::unpack10(&[0x80, 0x01, 0xff, 0x00, 0b11_00_01_10], 4, &mut out);
    assert_eq!(out, [0x202, 0x005, 0x3fc, 0x003]);
    out.clear();
    mipi::unpack12(&[0x80, 0x01, 0xa5], 2, &mut out);
    assert_eq!(out, [0x805, 0x01a]);
}

#[test]
fn luma_of_a_block_and_its_chroma_stand_together() {
    let i420 = format(3, 2, Packing::Planar { across: 2, down: 2 }, 8);
    assert_eq!(i420.shape(), Shape::new(6, 1, 2));
    let bytes = [0, 1, 2, 10, 11, 12, 50, 51, 60, 61];
    let mut values = vec![9.0; 12];
    i420.unpack(&bytes, &mut values);
    let expected = [0.0, 2.0, 1.0, -1.0, 10.0, 12.0, 11.0, -1.0, 50.0, 51.0, 60.0, 61.0];
    for (v, code) in values.iter().zip(expected) {
        // -1: luma that a block at the edge lacks.
        let expected = if code < 0.0 { 9.0 } else { from_code(code as u16, 8) };
        assert_eq!(*v, expected);
    }
    let nv12 = format(3, 2, Packing::SemiPlanar, 8);
    let mut same = vec![9.0; 12];
    nv12.unpack(&[0, 1, 2, 10, 11, 12, 50, 60, 51, 61], &mut same);
    assert!(same == values);
}

#[test]
fn padded_rows_are_passed_over() {
    for packing in [PLANAR[0], Packing::SemiPlanar, Packing::Mono, Packing::Rgb] {
        let tight = format(70, 4, packing, 8);
        let padded = tight.padded();
        assert_eq!(padded.stride.unwrap() % 64, 0);
        let mut values = vec![0.0; tight.shape().len()];
        let codes: Vec<u8> = codes(tight.frame_bytes(), 8).iter().map(|&c| c as u8).collect();
        tight.unpack(&codes, &mut values);
        let mut bytes = Vec::new();
        padded.pack(&values, &mut bytes);
        assert_eq!(bytes.len(), padded.frame_bytes());
        let mut back = vec![0.0; values.len()];
        padded.unpack(&bytes, &mut back);
        assert!(back == values, "{packing:?}");
    }
    // What rpicam-vid sends for 780 pixels: rows of 832 bytes, chroma rows of 416.
    assert_eq!(format(780, 4, PLANAR[0], 8).padded().frame_bytes(), 832 * 6);
}

#[test]
fn sensors_are_developed_sample_by_sample() {
    let sensor = Sensor::new(Bayer::Rggb, 10, (64.0, 1023.0), [2.0, 1.0, 1.5], 2.2).unwrap();
    let shape = Shape::new(1, 2, 2);
    let raw = [300, 300, 64, 1000].map(|c| from_code(c, 10));
    let mut values = raw.to_vec();
    sensor.develop(shape, &mut values);
    let curve = |gain: f32, code: f32| {
        2.0 * (gain * (code - 64.0) / 959.0).clamp(0.0, 1.0).powf(1.0 / 2.2) - 1.0
    };
    let expected = [curve(2.0, 300.0), curve(1.0, 300.0), -1.0, 1.0];
    assert!(values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6));
    for (levels, gains, gamma) in [
        ((64.0, 64.0), [1.0; 3], 2.2),
        ((0.0, 1024.0), [1.0; 3], 2.2),
        ((0.0, 1023.0), [1.0, 0.0, 1.0], 2.2),
        ((0.0, 1023.0), [1.0; 3], f32::NAN),
    ] {
        assert!(Sensor::new(Bayer::Rggb, 10, levels, gains, gamma).is_err());
    }
}
