//! A small network of the operators that UNets have, and changes to it.

use tract_onnx::pb::*;

use super::tiny::{FLOAT, INT64, node, value};

/// Convolution, norm, activation, pooling, two ways up again, attention over channels, and the
/// noise level added, on `[1, 3, h, w]` with even sides.
pub fn network() -> ModelProto {
    let mut nodes = vec![
        node("Conv", &["picture", "in_w", "in_b"], "in"),
        node("GroupNormalization", &["in", "ones", "zeros"], "norm"),
        node("Sigmoid", &["norm"], "gate"),
        node("Mul", &["norm", "gate"], "silu"),
        node("MaxPool", &["silu"], "down"),
        node("Resize", &["down", "", "scales"], "up"),
        node("ConvTranspose", &["down", "up_w"], "learned"),
        node("Concat", &["up", "learned"], "both"),
        node("Reshape", &["both", "rows"], "tokens"),
        node("Transpose", &["tokens"], "turned"),
        node("MatMul", &["tokens", "turned"], "scores"),
        node("Softmax", &["scores"], "attention"),
        node("MatMul", &["attention", "tokens"], "mixed"),
        node("Shape", &["both"], "size"),
        node("Reshape", &["mixed", "size"], "spread"),
        node("Conv", &["spread", "out_w"], "out"),
        node("Unsqueeze", &["told", "axes"], "column"),
        node("Gemm", &["column", "told_w"], "embedded"),
        node("Reshape", &["embedded", "pixel"], "shift"),
        node("Add", &["out", "shift"], "result"),
    ];
    let attributes: [(&str, &str, &[i64]); 8] = [
        ("in", "pads", &[1, 1, 1, 1]),
        ("in", "strides", &[1, 1]),
        ("in", "dilations", &[1, 1]),
        ("down", "kernel_shape", &[2, 2]),
        ("down", "strides", &[2, 2]),
        ("learned", "strides", &[2, 2]),
        ("turned", "perm", &[0, 2, 1]),
        ("out", "pads", &[0, 0, 0, 0]),
    ];
    for (name, attribute, values) in attributes {
        find(&mut nodes, name).attribute.push(ints(attribute, values));
    }
    for (name, attribute, value) in [
        ("in", "group", 1),
        ("norm", "num_groups", 2),
        ("both", "axis", 1),
        ("attention", "axis", 2),
    ] {
        find(&mut nodes, name).attribute.push(int(attribute, value));
    }
    let initializer = vec![
        floats("in_w", &[4, 3, 3, 3]),
        floats("in_b", &[4]),
        floats("ones", &[4]),
        floats("zeros", &[4]),
        TensorProto { float_data: vec![1.0, 1.0, 2.0, 2.0], ..floats("scales", &[4]) },
        floats("up_w", &[4, 4, 2, 2]),
        integers("rows", &[1, 8, -1]),
        floats("out_w", &[3, 8, 1, 1]),
        integers("axes", &[1]),
        floats("told_w", &[1, 3]),
        integers("pixel", &[1, 3, 1, 1]),
    ];
    let graph = GraphProto {
        node: nodes,
        name: "network".into(),
        initializer,
        input: vec![value("picture", FLOAT, &[1, 3, -1, -1]), value("told", FLOAT, &[1])],
        output: vec![value("result", FLOAT, &[1, 3, -1, -1])],
        ..Default::default()
    };
    let opset = OperatorSetIdProto { domain: String::new(), version: 21 };
    ModelProto {
        ir_version: 10,
        opset_import: vec![opset],
        graph: Some(graph),
        ..Default::default()
    }
}

/// The same without normalization, pooling and attention: all of it becomes our own operators.
pub fn plain_network() -> ModelProto {
    let mut model = network();
    let absent =
        ["norm", "tokens", "turned", "scores", "attention", "mixed", "size", "spread", "up"];
    graph(&mut model).node.retain(|n| !absent.contains(&n.name.as_str()));
    at(&mut model, "gate").input = vec!["in".into()];
    let inputs =
        [("silu", ["in", "gate"]), ("both", ["silu", "learned"]), ("out", ["both", "out_w"])];
    for (name, inputs) in inputs {
        at(&mut model, name).input = inputs.map(String::from).into();
    }
    let down = at(&mut model, "down");
    *down = node("Conv", &["silu", "down_w"], "down");
    for (name, values) in [("strides", &[2, 2][..]), ("pads", &[1; 4])] {
        set(&mut model, "down", ints(name, values));
    }
    give(&mut model, floats("down_w", &[4, 4, 3, 3]));
    model
}

/// The graph.
pub fn graph(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.as_mut().unwrap()
}

/// The node with this name.
pub fn at<'a>(model: &'a mut ModelProto, name: &str) -> &'a mut NodeProto {
    find(&mut graph(model).node, name)
}

fn find<'a>(nodes: &'a mut [NodeProto], name: &str) -> &'a mut NodeProto {
    nodes.iter_mut().find(|n| n.name == name).unwrap()
}

/// The initializer with this name.
pub fn weights<'a>(model: &'a mut ModelProto, name: &str) -> &'a mut TensorProto {
    graph(model).initializer.iter_mut().find(|t| t.name == name).unwrap()
}

/// Replaces a node's attribute, or adds it.
pub fn set(model: &mut ModelProto, name: &str, attribute: AttributeProto) {
    let attributes = &mut at(model, name).attribute;
    attributes.retain(|a| a.name != attribute.name);
    attributes.push(attribute);
}

/// Adds a node that computes `output`.
pub fn add(model: &mut ModelProto, operator: &str, inputs: &[&str], output: &str) {
    graph(model).node.push(node(operator, inputs, output));
}

/// Adds an initializer.
pub fn give(model: &mut ModelProto, tensor: TensorProto) {
    graph(model).initializer.push(tensor);
}

/// An attribute that is one integer.
pub fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i, r#type: 2, ..Default::default() }
}

/// An attribute that is a list of integers.
pub fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto { name: name.into(), ints: ints.into(), r#type: 7, ..Default::default() }
}

/// Weights of some shape, between -0.5 and 0.5.
pub fn floats(name: &str, dims: &[i64]) -> TensorProto {
    let count: i64 = dims.iter().product();
    TensorProto {
        name: name.into(),
        dims: dims.into(),
        data_type: FLOAT,
        float_data: (0..count).map(|i| (i as f32 * 0.7).sin() * 0.5).collect(),
        ..Default::default()
    }
}

/// A list of integers.
pub fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![values.len() as i64],
        data_type: INT64,
        int64_data: values.into(),
        ..Default::default()
    }
}
