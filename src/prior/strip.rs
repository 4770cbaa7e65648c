//! Takes out of an ONNX model what is not needed to evaluate it, before the engine sees it.

use std::collections::HashSet;

use tract_onnx::pb::ModelProto;
use tract_onnx::pb::tensor_shape_proto::dimension::Value;
use tract_onnx::pb::type_proto::Value::TensorType;

/// Removes descriptions, names nodes after their outputs where two share a name, and makes
/// dimensions that have names or no size dynamic.
///
/// Every dimension has a size once a window has: the engine need not calculate with names, which
/// can be whole formulas, and would have to prove that they agree.
pub fn strip(model: &mut ModelProto) {
    model.metadata_props.clear();
    model.functions.clear();
    model.training_info.clear();
    let Some(graph) = &mut model.graph else { return };
    graph.value_info.clear();
    graph.quantization_annotation.clear();
    // ONNX only recommends that nodes have names of their own; the engine insists.
    let values =
        graph.input.iter().map(|v| &v.name).chain(graph.initializer.iter().map(|t| &t.name));
    let mut seen: HashSet<&String> = values.collect();
    if !graph.node.iter().all(|node| seen.insert(&node.name)) {
        for node in &mut graph.node {
            node.name = node.output.first().cloned().unwrap_or_default();
        }
    }
    for port in graph.input.iter_mut().chain(&mut graph.output) {
        let Some(TensorType(tensor)) = port.r#type.as_mut().and_then(|t| t.value.as_mut()) else {
            continue;
        };
        for dim in tensor.shape.iter_mut().flat_map(|shape| &mut shape.dim) {
            dim.value.take_if(|v| !matches!(v, Value::DimValue(1..)));
        }
    }
}
