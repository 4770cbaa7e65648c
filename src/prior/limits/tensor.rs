//! Tensors in a file: their types, shapes and data.

use tract_onnx::pb::TensorProto;

use super::Refusal;

/// Dimensions of one tensor.
pub const MOST_DIMENSIONS: usize = 8;

/// Elements of one tensor; `i32::MAX` would be 8 GiB of weights in one layer.
const MOST_ELEMENTS: u64 = i32::MAX as u64;

/// ONNX's number of an element type, with its name, its bytes, and the field that holds values
/// which are not raw bytes.
struct Element {
    number: i32,
    name: &'static str,
    bytes: u64,
    field: Field,
}

#[derive(Clone, Copy, PartialEq)]
enum Field {
    Floats,
    Doubles,
    Int32s,
    Int64s,
    /// Only raw bytes: the engine would read another field than the one that ONNX names.
    Raw,
}

const fn element(number: i32, name: &'static str, bytes: u64, field: Field) -> Element {
    Element { number, name, bytes, field }
}

/// What networks consist of. No strings, complex numbers, `bfloat16` or types below 8 bits, which
/// the engine does not know.
const ELEMENTS: [Element; 12] = [
    element(1, "float32", 4, Field::Floats),
    element(2, "uint8", 1, Field::Int32s),
    element(3, "int8", 1, Field::Int32s),
    element(4, "uint16", 2, Field::Int32s),
    element(5, "int16", 2, Field::Int32s),
    element(6, "int32", 4, Field::Int32s),
    element(7, "int64", 8, Field::Int64s),
    element(9, "bool", 1, Field::Int32s),
    element(10, "float16", 2, Field::Int32s),
    element(11, "float64", 8, Field::Doubles),
    element(12, "uint32", 4, Field::Raw),
    element(13, "uint64", 8, Field::Raw),
];

/// The element type with this number, if networks have it.
fn known(number: i32, place: &str) -> Result<&'static Element, Refusal> {
    match ELEMENTS.iter().find(|e| e.number == number) {
        Some(element) => Ok(element),
        None => {
            let names: Vec<&str> = ELEMENTS.iter().map(|e| e.name).collect();
            let expected = format!("{place} of type {}", names.join(", "));
            Refusal::because(expected, format!("ONNX element type {number}"))
        }
    }
}

/// Refuses element types that the engine does not know.
pub fn check_type(number: i32, place: &str) -> Result<(), Refusal> {
    known(number, place).map(drop)
}

/// Elements of a shape, or a refusal.
pub fn elements(dims: &[i64], place: &str) -> Result<u64, Refusal> {
    let refuse = |expected| Refusal::because(expected, format!("{dims:?}"));
    if dims.len() > MOST_DIMENSIONS {
        return refuse(format!("{place} of at most {MOST_DIMENSIONS} dimensions"));
    }
    let mut product = 1u64;
    for &dim in dims {
        // Each dimension by itself too: a zero must not hide the others.
        match u64::try_from(dim) {
            Ok(dim) if dim <= MOST_ELEMENTS => product = product.saturating_mul(dim),
            _ => return refuse(format!("{place} with dimensions from 0 to {MOST_ELEMENTS}")),
        }
    }
    if product > MOST_ELEMENTS {
        return refuse(format!("{place} of at most {MOST_ELEMENTS} elements"));
    }
    Ok(product)
}

/// Checks a tensor against the data that is there; returns its bytes.
pub fn check(tensor: &TensorProto, place: &str) -> Result<u64, Refusal> {
    if tensor.data_location == Some(1) || !tensor.external_data.is_empty() {
        return Refusal::because(format!("{place} inside of the model's file"), "external data");
    }
    if tensor.segment.is_some() {
        return Refusal::because(format!("{place} in one piece"), "a segment");
    }
    let element = known(tensor.data_type, place)?;
    let elements = elements(&tensor.dims, place)?;
    let bytes = elements * element.bytes;
    let shape = format!("{place}, {} of shape {:?}", element.name, tensor.dims);
    if !tensor.raw_data.is_empty() {
        if tensor.raw_data.len() as u64 != bytes {
            let found = format!("{} bytes", tensor.raw_data.len());
            return Refusal::because(format!("{bytes} bytes for {shape}"), found);
        }
        return Ok(bytes);
    }
    let present = match element.field {
        Field::Floats => tensor.float_data.len(),
        Field::Doubles => tensor.double_data.len(),
        Field::Int32s => tensor.int32_data.len(),
        Field::Int64s => tensor.int64_data.len(),
        Field::Raw => 0,
    };
    if present as u64 != elements {
        return Refusal::because(
            format!("{elements} values for {shape}"),
            format!("{present} values"),
        );
    }
    Ok(bytes)
}

/// The values of a small tensor that passed [`check`]; `None` if it has more than `most`.
pub fn values(tensor: &TensorProto, most: usize) -> Option<Vec<f64>> {
    let element = ELEMENTS.iter().find(|e| e.number == tensor.data_type)?;
    let raw = &tensor.raw_data;
    if raw.is_empty() {
        let values: Vec<f64> = match element.field {
            Field::Floats => tensor.float_data.iter().take(most + 1).map(|&v| v.into()).collect(),
            Field::Doubles => tensor.double_data.iter().take(most + 1).copied().collect(),
            Field::Int32s => {
                let is_half = element.name == "float16";
                let half = |v: i32| half::f16::from_bits(v as u16).to_f64();
                let value = |&v: &i32| if is_half { half(v) } else { v.into() };
                tensor.int32_data.iter().take(most + 1).map(value).collect()
            }
            Field::Int64s => tensor.int64_data.iter().take(most + 1).map(|&v| v as f64).collect(),
            Field::Raw => Vec::new(),
        };
        return (values.len() <= most).then_some(values);
    }
    if raw.len() > most * element.bytes as usize {
        return None;
    }
    let read = |b: &[u8]| match (element.number, b) {
        (1, &[a, b, c, d]) => f64::from(f32::from_le_bytes([a, b, c, d])),
        (3, &[a]) => f64::from(a as i8),
        (5, &[a, b]) => f64::from(i16::from_le_bytes([a, b])),
        (6, &[a, b, c, d]) => f64::from(i32::from_le_bytes([a, b, c, d])),
        (7, &[a, b, c, d, e, f, g, h]) => i64::from_le_bytes([a, b, c, d, e, f, g, h]) as f64,
        (10, &[a, b]) => half::f16::from_le_bytes([a, b]).to_f64(),
        (11, &[a, b, c, d, e, f, g, h]) => f64::from_le_bytes([a, b, c, d, e, f, g, h]),
        // The unsigned ones.
        (_, bytes) => bytes.iter().rev().fold(0.0, |value, &b| value * 256.0 + f64::from(b)),
    };
    Some(raw.chunks_exact(element.bytes as usize).map(read).collect())
}
