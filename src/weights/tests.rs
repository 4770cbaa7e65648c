//! Packed files that are whole, and all the ways in which they are not.

use super::*;

fn file() -> Vec<u8> {
    write(FORMAT_VERSION, br#"{"some":"description"}"#, &[1, 2, 3, 4, 5])
}

#[test]
fn what_is_written_is_read() {
    let file = file();
    let contents = read(&file, true).unwrap();
    assert_eq!(&file[contents.description], br#"{"some":"description"}"#);
    assert_eq!(&file[contents.weights.clone()], [1, 2, 3, 4, 5]);
    assert!(contents.weights.start.is_multiple_of(1 << 16));
}

#[test]
fn every_truncation_and_every_addition_is_refused() {
    let file = file();
    for len in (0..200).chain([1000, 65535, 65536, file.len() - 1]) {
        assert!(read(&file[..len], true).is_err(), "{len} bytes");
    }
    let (expected, found) = read(&file[..file.len() - 1], true).unwrap_err();
    assert!(expected.contains("65541") && found.contains("65540"), "{expected}, {found}");
    assert!(read(&[&file[..], &[0]].concat(), true).is_err());
}

#[test]
fn every_altered_byte_is_found() {
    let whole = file();
    for at in (0..200).chain([30_000, 65_535]).chain(65_536..whole.len()) {
        for bit in [1, 128] {
            let mut file = whole.clone();
            file[at] ^= bit;
            assert!(read(&file, true).is_err(), "byte {at}");
        }
    }
}

/// A size that is right but for what 32 bits do not hold, in a header that is otherwise whole.
#[test]
fn sizes_beyond_32_bits_are_not_cut_short() {
    use sha2::{Digest, Sha256};
    for at in [20, 28] {
        let mut file = file();
        file[at] = 1;
        let description = 96..96 + usize::from(file[12]);
        let first = Sha256::new().chain_update(&file[..32]).chain_update(&file[description]);
        let checksum = first.finalize();
        file[32..64].copy_from_slice(&checksum);
        assert!(read(&file, true).is_err(), "byte {at}");
    }
}

#[test]
fn another_version_is_named() {
    let mut file = file();
    file[8] = 9;
    let (expected, found) = read(&file, true).unwrap_err();
    assert!(expected.contains("from 1 to 2") && found == "9", "{expected}, {found}");
    file[8] = 0;
    assert!(read(&file, true).is_err());
}

#[test]
fn tensors_outside_of_their_section_are_refused() {
    let entry = |rows, outputs, offset| TensorEntry { format: Format::F32, rows, outputs, offset };
    let store = |entry| Store::new(Bytes::copy(&[0; 64]), 0..64, vec![entry]);
    assert!(store(entry(4, 4, 0)).is_ok());
    for bad in [
        entry(4, 4, 4),
        entry(4, 5, 0),
        entry(2, 2, 2),
        entry(usize::MAX, 2, 0),
        entry(1, 1, usize::MAX),
    ] {
        assert!(store(bad.clone()).is_err(), "{bad:?}");
    }
}

#[test]
fn a_byte_without_a_counterpart_is_refused() {
    let entry = TensorEntry { format: Format::Int8, rows: 1, outputs: 1, offset: 0 };
    let store = |byte: u8| {
        let mut bytes = vec![0; 128];
        bytes[64] = byte;
        Store::new(Bytes::copy(&bytes), 0..128, vec![entry.clone()])
    };
    assert!(store(129).is_ok());
    let error = store(128).unwrap_err();
    assert!(error.contains("-127"), "{error}");
}

#[test]
fn numbers_survive_in_every_format() {
    let values: Vec<f32> = (0..40).map(|i| (i as f32 * 0.37).sin()).collect();
    for (format, bound) in [(Format::F32, 0.0), (Format::F16, 5e-4), (Format::Int8, 4e-3)] {
        let mut builder = StoreBuilder::default();
        builder.push(&values, 20, format);
        let store = builder.build().unwrap();
        let weights = store.weights(0);
        let mut room = vec![0.0; weights.widened_len()];
        let found = weights.widen(20, &mut room);
        let errors = found.iter().zip(&values).map(|(a, b)| (a - b).abs());
        let worst = errors.fold(0.0, f32::max);
        assert!(found.len() == 40 && worst <= bound, "{format:?}: {worst}");
    }
}
