//! The structure of a protobuf file, before it is decoded.
//!
//! An empty attribute takes two bytes in a file and about a kilobyte once decoded. This scan adds
//! up what decoding would allocate beyond the bytes of the file itself.

use std::mem::size_of;

use tract_onnx::pb;

use super::Refusal;

/// Bytes of decoded structure: 6000 nodes with their names and attributes take a quarter of it.
const MOST_STRUCTURE: usize = 128 << 20;

/// Messages in messages; the decoder has a limit of its own, which is higher.
const MOST_DEPTH: usize = 32;

/// The messages of ONNX that hold others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Sparse,
    Value,
    Type,
    TensorType,
    Shape,
    Dimension,
    Annotation,
    Training,
    Function,
    /// A pair of strings, or of numbers.
    Pair,
}

use Message::*;

impl Message {
    /// The message in a field, by ONNX's numbers of fields; `None` for strings and numbers.
    fn field(self, number: u64) -> Option<Message> {
        Some(match (self, number) {
            (Model, 7) | (Attribute, 6 | 11) | (Training, 1 | 2) => Graph,
            (Model, 8 | 14) | (Function, 9) | (Tensor, 3 | 13) => Pair,
            (Annotation, 2) | (Training, 3 | 4) => Pair,
            (Model, 20) => Training,
            (Model, 25) => Function,
            (Graph, 1) | (Function, 7) => Node,
            (Graph, 5) | (Attribute, 5 | 10) | (Sparse, 1 | 2) => Tensor,
            (Graph, 15) | (Attribute, 22 | 23) => Sparse,
            (Graph, 11..=13) => Value,
            (Graph, 14) => Annotation,
            (Node, 5) => Attribute,
            (Attribute, 15) | (Value, 2) => Type,
            (Type, 1) => TensorType,
            (TensorType, 2) => Shape,
            (Shape, 1) => Dimension,
            _ => return None,
        })
    }

    /// Whether a field holds numbers that may take one byte each, and eight once decoded.
    fn is_packed(self, number: u64) -> bool {
        matches!((self, number), (Tensor, 1 | 5 | 7 | 11) | (Attribute, 8) | (Sparse, 3))
    }

    fn size(self) -> usize {
        match self {
            Model => size_of::<pb::ModelProto>(),
            Graph => size_of::<pb::GraphProto>(),
            Node => size_of::<pb::NodeProto>(),
            Attribute => size_of::<pb::AttributeProto>(),
            Tensor => size_of::<pb::TensorProto>(),
            Sparse => size_of::<pb::SparseTensorProto>(),
            Value => size_of::<pb::ValueInfoProto>(),
            Type => size_of::<pb::TypeProto>(),
            TensorType => size_of::<pb::type_proto::Tensor>(),
            Shape => size_of::<pb::TensorShapeProto>(),
            Dimension => size_of::<pb::tensor_shape_proto::Dimension>(),
            Annotation => size_of::<pb::TensorAnnotation>(),
            Training => size_of::<pb::TrainingInfoProto>(),
            Function => size_of::<pb::FunctionProto>(),
            Pair => size_of::<pb::StringStringEntryProto>(),
        }
    }
}

/// Why a scan ends before the end of the file.
enum Stop {
    /// The decoder will stop here too, and say why.
    Malformed,
    Refused(Refusal),
}

/// Refuses a file whose decoded structure would be large.
pub fn scan(bytes: &[u8]) -> Result<(), Refusal> {
    let mut structure = 0;
    match message(Model, bytes, 0, &mut structure) {
        Err(Stop::Refused(refusal)) => Err(refusal),
        Ok(()) | Err(Stop::Malformed) => Ok(()),
    }
}

fn message(
    kind: Message,
    mut bytes: &[u8],
    depth: usize,
    structure: &mut usize,
) -> Result<(), Stop> {
    let refuse =
        |expected: String| Refusal::because(expected, "more in the file").map_err(Stop::Refused);
    if depth > MOST_DEPTH {
        return refuse(format!("at most {MOST_DEPTH} levels of messages"));
    }
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let number = tag >> 3;
        match tag & 7 {
            0 => {
                varint(&mut bytes)?;
                *structure += size_of::<u64>();
            }
            1 => drop(take(&mut bytes, 8)?),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).map_err(|_| Stop::Malformed)?;
                let content = take(&mut bytes, length)?;
                *structure += match kind.field(number) {
                    Some(inner) => {
                        message(inner, content, depth + 1, structure)?;
                        inner.size()
                    }
                    None if kind.is_packed(number) => length * size_of::<u64>(),
                    None => size_of::<String>(),
                };
            }
            // Groups, which ONNX does not use; the decoder skips them.
            3 | 4 => {}
            5 => drop(take(&mut bytes, 4)?),
            _ => return Err(Stop::Malformed),
        }
        if *structure > MOST_STRUCTURE {
            return refuse(format!("at most {MOST_STRUCTURE} bytes of decoded structure"));
        }
    }
    Ok(())
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], Stop> {
    let (content, rest) = bytes.split_at_checked(length).ok_or(Stop::Malformed)?;
    *bytes = rest;
    Ok(content)
}

/// Seven bits a byte, lowest first; the highest bit says that more follow.
fn varint(bytes: &mut &[u8]) -> Result<u64, Stop> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Stop::Malformed)
}
