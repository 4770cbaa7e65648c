//! Arrays of floats as NumPy saves them (`.npy`): measurements that are no pictures, or that
//! should not be rounded.
//!
//! The values of a file are in units of light, black 0 and white 1, like those of a picture.

use super::{MAX_PIXELS, allocate};
use crate::error::{Error, Result};
use crate::frame::{Frame, Shape};
use std::io::Write;
use std::path::Path;

const MAGIC: &[u8] = b"\x93NUMPY";
/// Longest header that is read, in bytes; NumPy's own are below 128.
const MAX_HEADER: usize = 1 << 16;
const EXPECTED: &str = "a .npy array of float32 or float64, shape (N,), (C, N) or (C, H, W)";

/// Whether these bytes begin like a `.npy` file.
pub fn is_npy(head: &[u8]) -> bool {
    head.starts_with(MAGIC)
}

/// Whether this is a name of a `.npy` file.
pub fn is_npy_name(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy"))
}

/// Reads an array from memory: `(N,)` is one channel and row, `(C, N)` are C channels of a row,
/// `(C, H, W)` is a picture; C is 1 or 3. `name` stands for the file in error messages.
///
/// # Errors
/// [`Error::Input`] for other shapes, types and versions, for values that are not finite, and for
/// a length that is not the shape's.
pub fn decode(bytes: &[u8], name: &Path) -> Result<Frame> {
    let refuse = |found: String| Err(Error::input(name, EXPECTED, found));
    let header = |len: usize, from: usize| bytes.get(from..from.checked_add(len)?);
    let (text, data) = match bytes.get(MAGIC.len()).zip(header(4, 8)) {
        Some((1, len)) => split(bytes, 10, usize::from(u16::from_le_bytes([len[0], len[1]]))),
        Some((2 | 3, len)) => {
            let len = u32::from_le_bytes([len[0], len[1], len[2], len[3]]);
            split(bytes, 12, usize::try_from(len).unwrap_or(usize::MAX))
        }
        Some((version, _)) => return refuse(format!("version {version} of the format")),
        None => None,
    }
    .ok_or_else(|| Error::input(name, EXPECTED, "a header that is cut off or too long"))?;
    let text = String::from_utf8_lossy(text);
    if field(&text, "fortran_order") != Some("False") {
        return refuse("one stored column by column (fortran_order)".into());
    }
    let size = match field(&text, "descr") {
        Some("'<f4'") => 4,
        Some("'<f8'") => 8,
        Some(other) => return refuse(format!("values of type {other}")),
        None => return refuse("a header without `descr`".into()),
    };
    let Some(shape) = shape(&text) else {
        let found = field(&text, "shape").unwrap_or("none");
        return refuse(format!("the shape {found}"));
    };
    let values = shape.channels * shape.plane();
    if data.len() != values * size {
        return refuse(format!("{} bytes of values for {values} of {size} bytes", data.len()));
    }
    let mut out: Vec<f32> = allocate(values, name)?;
    for (v, bytes) in out.iter_mut().zip(data.chunks_exact(size)) {
        let light = match bytes {
            &[a, b, c, d] => f64::from(f32::from_le_bytes([a, b, c, d])),
            _ => bytes.try_into().map_or(f64::NAN, f64::from_le_bytes),
        };
        *v = (2.0 * light - 1.0) as f32;
        if !v.is_finite() {
            return refuse(format!("the value {light}"));
        }
    }
    Frame::new(shape, out)
}

/// The header's text and what follows it.
fn split(bytes: &[u8], from: usize, len: usize) -> Option<(&[u8], &[u8])> {
    (len <= MAX_HEADER).then(|| bytes.get(from..)?.split_at_checked(len)).flatten()
}

/// The value of a key of the header, which is a Python dictionary of three known keys.
fn field<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = header.split_once(&format!("'{key}'"))?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let end = match rest.strip_prefix('(') {
        Some(inside) => inside.find(')')? + 2,
        None => rest.find([',', '}'])?,
    };
    Some(rest[..end].trim())
}

/// The shape that a header gives, if it is one that can be used.
fn shape(header: &str) -> Option<Shape> {
    let inside = field(header, "shape")?.strip_prefix('(')?.strip_suffix(')')?;
    let sides = inside.split(',').map(str::trim).filter(|s| !s.is_empty());
    let sides: Vec<usize> = sides.map(|s| s.parse().ok()).collect::<Option<_>>()?;
    let shape = match sides[..] {
        [n] => Shape::new(1, 1, n),
        [channels, n] => Shape::new(channels, 1, n),
        [channels, height, width] => Shape::new(channels, height, width),
        _ => return None,
    };
    let fits = matches!(shape.channels, 1 | 3) && (1..=MAX_PIXELS).contains(&shape.plane());
    fits.then_some(shape)
}

/// Writes a frame as float32 of shape `(C, H, W)`, or `(C, N)` if it has one row.
///
/// # Errors
/// [`Error::Output`] for what the system refuses.
pub fn encode(out: &mut dyn Write, name: &Path, frame: &Frame) -> Result<()> {
    let Shape { channels, height, width } = frame.shape;
    let shape = match height {
        1 => format!("({channels}, {width})"),
        _ => format!("({channels}, {height}, {width})"),
    };
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    // The values begin at a multiple of 64 bytes, behind a line break.
    let before = MAGIC.len() + 4;
    let padding = (before + header.len() + 1).next_multiple_of(64) - before - header.len() - 1;
    header.extend(std::iter::repeat_n(' ', padding));
    header.push('\n');
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(frame.data.iter().flat_map(|v| (0.5 * v + 0.5).to_le_bytes()));
    out.write_all(&bytes).map_err(|e| Error::output(name, super::atomic::reason(&e)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, values: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(values);
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        for shape in [Shape::new(3, 1, 7), Shape::new(1, 4, 5), Shape::new(3, 2, 3)] {
            let data = (0..shape.len()).map(|i| i as f32 * 0.37 - 2.0).collect();
            let frame = Frame::new(shape, data).unwrap();
            let mut bytes = Vec::new();
            encode(&mut bytes, Path::new("x.npy"), &frame).unwrap();
            assert!((bytes.len() - 4 * shape.len()).is_multiple_of(64));
            let found = decode(&bytes, Path::new("x.npy")).unwrap();
            assert_eq!(found.shape, shape);
            assert!(found.data.iter().zip(&frame.data).all(|(a, b)| (a - b).abs() < 1e-6));
        }
    }

    #[test]
    fn doubles_and_other_spacings_are_read() {
        let values: Vec<u8> = [0.0f64, 0.25, 1.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let header = "{ 'shape' : (3,) ,'fortran_order':False,'descr':'<f8' }\n";
        let found = decode(&file(header, &values), Path::new("x")).unwrap();
        assert_eq!((found.shape, &found.data[..]), (Shape::new(1, 1, 3), &[-1.0, -0.5, 1.0][..]));
    }

    #[test]
    fn other_arrays_are_refused_with_what_was_found() {
        let with = |descr: &str, order: &str, shape: &str| {
            format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n")
        };
        let four = [0u8; 16];
        let cases = [
            (file(&with("<i4", "False", "(4,)"), &four), "<i4"),
            (file(&with("<f4", "True", "(4,)"), &four), "fortran_order"),
            (file(&with("<f4", "False", "(5,)"), &four), "16 bytes of values for 5"),
            (file(&with("<f4", "False", "(2, 2)"), &four), "(2, 2)"),
            (file(&with("<f4", "False", "()"), &four), "()"),
            (file(&with("<f4", "False", "(1, 1, 2, 2)"), &four), "(1, 1, 2, 2)"),
            (file(&with("<f4", "False", "(99999999999999999999,)"), &four), "99999999999999999999"),
            (file(&with("<f4", "False", "(3, 4611686018427387904)"), &four), "4611686018427387904"),
            (file("{}", &four), "fortran_order"),
            (file(&with("<f4", "False", "(1,)"), &f32::NAN.to_le_bytes()), "NaN"),
            (b"\x93NUMPY\x09\x00\x00\x00\x00\x00\x00\x00".to_vec(), "version 9"),
            (b"\x93NUMPY\x01\x00\xff\xff{}".to_vec(), "cut off"),
            (b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(), "cut off"),
            (b"\x93NUMPY".to_vec(), "cut off"),
        ];
        for (bytes, word) in cases {
            match decode(&bytes, Path::new("x.npy")) {
                Err(Error::Input { found, .. }) => assert!(found.contains(word), "{found}: {word}"),
                other => panic!("{word}: {other:?}"),
            }
        }
    }
}
