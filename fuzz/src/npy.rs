//! The reader of `.npy` arrays.

use std::path::Path;

use ddnm::error::Error;
use ddnm::io::npy;

use crate::mutate::damage;
use crate::random::Random;

/// The file of a case: mostly a header that NumPy could have written, with something about it
/// that is not as it should be.
pub fn make(r: &mut Random) -> Vec<u8> {
    let descr = *r.pick(&["<f4", "<f4", "<f8", "<f8", ">f4", "<i4", "|u1", "<f2", "<c8", "", "O"]);
    let order = *r.pick(&["False", "False", "False", "True", "0", ""]);
    let sides: Vec<u64> = (0..r.below(5)).map(|i| side(r, i)).collect();
    let mut shape: String = sides.iter().map(|side| format!("{side}, ")).collect();
    if r.chance(5) {
        shape = (*r.pick(&["-1", "1e3", "0x10", "3, (4, 5)", "3)", "'7'", "+5", " "])).into();
    }
    let mut fields = vec![
        format!("'descr': '{descr}'"),
        format!("'fortran_order': {order}"),
        format!("'shape': ({shape})"),
    ];
    match r.below(12) {
        0 => drop(fields.remove(r.below(3))),
        1 => fields.push(fields[r.below(3)].clone()),
        2 => fields.swap(0, 2),
        3 => fields.insert(0, "'more': (1, {'shape': 2})".into()),
        _ => {}
    }
    let mut text = format!("{{{}, }}", fields.join(", ")).into_bytes();
    if r.chance(10) {
        damage(&mut text, r);
    }
    text.extend(std::iter::repeat_n(b' ', r.below(70)));
    text.push(b'\n');
    let version = *r.pick(&[1, 1, 1, 2, 3, 0, 255]);
    let mut length = text.len() as u64;
    if r.chance(5) {
        length = r.integer() as u64;
    }
    let mut file = b"\x93NUMPY".to_vec();
    file.extend([version, 0]);
    match version {
        1 => file.extend((length as u16).to_le_bytes()),
        _ => file.extend((length as u32).to_le_bytes()),
    }
    file.extend(text);
    let size = if descr == "<f8" { 8 } else { 4 };
    let wanted = sides.iter().fold(size, |product: u64, side| product.saturating_mul(*side));
    let off = if r.chance(85) { 0 } else { r.below(9) as u64 };
    file.extend(values(r, size, wanted.saturating_add(off).min(1 << 16) as usize));
    if r.chance(10) {
        damage(&mut file, r);
    }
    file
}

/// A side of an array; mostly one that can be.
fn side(r: &mut Random, place: usize) -> u64 {
    match r.below(20) {
        0 => r.integer() as u64,
        1 => *r.pick(&[0, 1 << 16, 1 << 32, u64::MAX, (1 << 62) + 1]),
        _ if place == 0 => *r.pick(&[1, 3]),
        _ => 1 + r.below(20) as u64,
    }
}

/// So many bytes of numbers, seldom some that are not finite.
fn values(r: &mut Random, size: u64, bytes: usize) -> Vec<u8> {
    let strange = r.chance(10);
    let mut value = || match strange {
        true => r.real(),
        false => r.below(2000) as f32 / 1000.0 - 0.5,
    };
    let mut out = Vec::with_capacity(bytes + 8);
    while out.len() < bytes {
        match size {
            8 => out.extend(f64::from(value()).to_le_bytes()),
            _ => out.extend(value().to_le_bytes()),
        }
    }
    out.truncate(bytes);
    out
}

/// Reads an array; what is read must be whole, and be the same when it is written and read again.
pub fn run(case: &[u8]) -> bool {
    let name = Path::new("case.npy");
    let frame = match npy::decode(case, name) {
        Ok(frame) => frame,
        Err(Error::Input { .. }) => return false,
        Err(other) => panic!("not an error of the input: {other}"),
    };
    assert_eq!(frame.data.len(), frame.shape.len());
    assert!(frame.data.iter().all(|v| v.is_finite()), "values that are not finite");
    let mut bytes = Vec::new();
    npy::encode(&mut bytes, name, &frame).expect("a frame that can be written");
    let again = npy::decode(&bytes, name).expect("a file that can be read");
    let mut pairs = frame.data.iter().zip(&again.data);
    // Light is (v + 1) / 2, so what is near -1 is rounded once more.
    let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6 * (1.0 + a.abs());
    assert!(frame.shape == again.shape && pairs.all(close), "another array when written");
    true
}
