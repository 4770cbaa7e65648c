//! ONNX models in half precision, evaluated in single precision.
//!
//! Weights in `f16` halve a file. But no x86-64 and few ARM cores calculate in `f16`, tract emulates
//! it there in software, hundreds of times slower, and accumulating in `f16` costs accuracy. So
//! every `f16` of a graph becomes `f32` before tract sees it; only the file is small.

use half::f16;
use half::slice::HalfFloatSliceExt;
use tract_onnx::pb::type_proto::Value;
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto, ValueInfoProto};

/// ONNX's numbers of element types.
const FLOAT: i32 = 1;
const FLOAT16: i32 = 10;

/// Makes every half-precision weight, input, output and cast of a model single-precision.
pub fn widen(model: &mut ModelProto) {
    let Some(graph) = &mut model.graph else { return };
    let GraphProto { node, initializer, input, output, value_info, .. } = graph;
    initializer.iter_mut().for_each(widen_tensor);
    input.iter_mut().chain(output).chain(value_info).for_each(widen_value);
    for node in node {
        let is_cast = node.op_type == "Cast";
        for attribute in &mut node.attribute {
            if is_cast && attribute.name == "to" && attribute.i == i64::from(FLOAT16) {
                attribute.i = i64::from(FLOAT);
            }
            attribute.t.iter_mut().for_each(widen_tensor);
        }
    }
}

fn widen_value(value: &mut ValueInfoProto) {
    if let Some(Value::TensorType(tensor)) = value.r#type.as_mut().and_then(|t| t.value.as_mut())
        && tensor.elem_type == FLOAT16
    {
        tensor.elem_type = FLOAT;
    }
}

fn widen_tensor(tensor: &mut TensorProto) {
    if tensor.data_type != FLOAT16 {
        return;
    }
    let narrow: Vec<f16> = if tensor.raw_data.is_empty() {
        // Outside of raw data, ONNX keeps the bits of a half in the low end of an int32.
        tensor.int32_data.drain(..).map(|v| f16::from_bits(v as u16)).collect()
    } else {
        tensor.raw_data.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]])).collect()
    };
    let mut wide = vec![0.0f32; narrow.len()];
    narrow.convert_to_f32_slice(&mut wide);
    tensor.raw_data = wide.iter().flat_map(|v| v.to_le_bytes()).collect();
    tensor.data_type = FLOAT;
}
