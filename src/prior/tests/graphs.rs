//! ONNX graphs that are none, files that are cut or changed, and files that grow when decoded.

use prost::Message;
use tract_onnx::pb::*;

use super::hostile::{refused, run};
use super::network::*;
use super::tiny::{FLOAT, Tiny, node, value};
use crate::error::Error;

#[test]
fn names() {
    refused("`nothing`", |m| graph(m).output.push(value("nothing", FLOAT, &[1])));
    refused("`result`", |m| graph(m).output.push(value("result", FLOAT, &[1])));
    refused("`nothing`", |m| at(m, "silu").input[0] = "nothing".into());
    refused("`silu`", |m| at(m, "silu").input[0] = "silu".into());
    refused("`result`", |m| at(m, "silu").input[0] = "result".into());
    refused("`norm`", |m| at(m, "gate").output[0] = "norm".into());
    refused("`picture`", |m| at(m, "result").output[0] = "picture".into());
    refused("`ones`", |m| weights(m, "zeros").name = "ones".into());
    refused("graph inputs", |m| graph(m).input.push(value("told", FLOAT, &[1])));
    refused("outputs", |m| at(m, "gate").output[0].clear());
    refused("outputs", |m| at(m, "gate").output.clear());
    refused("outputs", |m| at(m, "gate").output.extend(["a".into(), "b".into()]));
    refused("control characters", |m| at(m, "gate").name = "\u{1b}[2J".into());
    refused("512 bytes", |m| at(m, "gate").name = "x".repeat(1 << 20));
    refused("512 bytes", |m| graph(m).output[0].name = "x".repeat(1 << 20));
}

/// Nodes are named after their outputs where they have no name, and two may share one.
#[test]
fn names_of_nodes_do_not_matter() {
    let mut model = network();
    graph(&mut model).node.iter_mut().for_each(|n| n.name = "same".into());
    run(&model.encode_to_vec()).unwrap();
    graph(&mut model).node[3].name = "picture".into();
    run(&model.encode_to_vec()).unwrap();
    graph(&mut model).node.iter_mut().for_each(|n| n.name.clear());
    run(&model.encode_to_vec()).unwrap();
}

#[test]
fn operators_that_networks_do_not_have() {
    let others = [
        "",
        "If",
        "Loop",
        "Scan",
        "LSTM",
        "NonZero",
        "GatherND",
        "RandomNormal",
        "Evil\u{7}",
        "conv",
    ];
    for operator in others {
        refused("operator", |m| at(m, "gate").op_type = operator.into());
    }
    refused("domain", |m| at(m, "gate").domain = "org.evil".into());
    refused("inputs", |m| at(m, "in").input.truncate(1));
    refused("inputs", |m| at(m, "in").input[1].clear());
    refused("inputs", |m| at(m, "gate").input.push("norm".into()));
    refused("inputs", |m| at(m, "both").input = vec!["up".into(); 2000]);
}

#[test]
fn counts() {
    refused("a graph", |m| m.graph = None);
    refused("operator set", |m| m.opset_import.clear());
    refused("operator set", |m| m.opset_import[0].version = 1 << 40);
    refused("operator set", |m| m.opset_import.push(m.opset_import[0].clone()));
    refused("nodes", |m| graph(m).node.clear());
    refused("graph inputs", |m| graph(m).input.clear());
    refused("graph outputs", |m| graph(m).output.clear());
    refused("6144 nodes", |m| {
        (0..7000).for_each(|i| add(m, "Abs", &["picture"], &format!("a{i}")));
    });
    refused("6144 initializers", |m| {
        (0..7000).for_each(|i| give(m, floats(&format!("w{i}"), &[1])));
    });
    refused("inputs and outputs", |m| {
        let inputs = vec!["picture"; 30];
        (0..1000).for_each(|i| add(m, "Concat", &inputs, &format!("c{i}")));
    });
    refused("sparse", |m| graph(m).sparse_initializer.push(SparseTensorProto::default()));
    refused("picture", |m| graph(m).input[0] = value("picture", FLOAT, &[1, 3, 1 << 40, 8]));
    refused("picture", |m| graph(m).input[0] = value("picture", FLOAT, &[1; 9]));
    refused("picture", |m| graph(m).input[0].r#type = None);
    refused("result", |m| graph(m).output[0] = value("result", FLOAT, &[1, 3, 1 << 40, 8]));
    // All alike up to their last values, so that a comparison goes on to the end.
    refused("alike", |m| {
        for i in 0..3000 {
            let mut float_data = vec![0.0; 500];
            float_data[499] = i as f32;
            give(m, TensorProto { float_data, dims: vec![500], ..floats(&format!("w{i}"), &[0]) });
        }
    });
}

/// The engine moves one of these at a time, and then looks at all of them again.
#[test]
fn chains_of_transpositions() {
    refused("simplifies", |m| {
        at(m, "result").output[0] = "turned0".into();
        for i in 0..600 {
            let next = if i == 599 { "result".into() } else { format!("turned{}", i + 1) };
            let sine = format!("sine{i}");
            add(m, "Transpose", &[&format!("turned{i}")], &sine);
            set(m, &sine, ints("perm", &[0, 1, 3, 2]));
            add(m, "Sin", &[&sine], &next);
        }
    });
}

/// Dimensions with names are dynamic, whatever the names say.
#[test]
fn names_of_dimensions_do_not_matter() {
    use tensor_shape_proto::dimension::Value::DimParam;
    for name in [String::new(), "(".repeat(100_000), "h*(w+1/0)".into(), "-1".into()] {
        let mut model = network();
        let port = &mut graph(&mut model).input[0].r#type.as_mut().unwrap().value;
        let Some(type_proto::Value::TensorType(tensor)) = port else { unreachable!() };
        let dims = &mut tensor.shape.as_mut().unwrap().dim;
        dims[2..].iter_mut().for_each(|d| d.value = Some(DimParam(name.clone())));
        run(&model.encode_to_vec()).unwrap();
    }
}

#[test]
fn files_that_grow_when_they_are_decoded() {
    // Two bytes each: a node in a graph, an attribute in a node.
    for empty in [[0x0a, 0], [0x2a, 0]] {
        let field = |tag: u8, content: &[u8]| {
            let mut field = vec![tag];
            prost::encode_length_delimiter(content.len(), &mut field).unwrap();
            field.extend(content);
            field
        };
        let many = empty.repeat(1 << 21);
        let graph = if empty[0] == 0x0a { many } else { field(0x0a, &many) };
        let text = run(&field(0x3a, &graph)).unwrap_err().to_string();
        assert!(text.contains("decoded structure"), "{text}");
    }
    // Subgraphs in subgraphs.
    let mut model = network();
    for _ in 0..60 {
        let g = model.graph.take();
        let body = AttributeProto { name: "body".into(), g, r#type: 5, ..Default::default() };
        let holder = NodeProto { attribute: vec![body], ..node("If", &["picture"], "result") };
        model.graph = Some(GraphProto { node: vec![holder], ..Default::default() });
    }
    let text = run(&model.encode_to_vec()).unwrap_err().to_string();
    assert!(text.contains("levels"), "{text}");
}

/// Never anything but success or a refusal.
fn survives(bytes: &[u8]) -> bool {
    match run(bytes) {
        Ok(()) => true,
        Err(Error::Model { .. }) => false,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn files_cut_anywhere() {
    for whole in [network().encode_to_vec(), Tiny::default().onnx()] {
        for n in 0..whole.len() {
            assert!(!survives(&whole[..n]), "{n} bytes");
        }
    }
}

#[test]
fn files_with_changed_bytes() {
    let whole = network().encode_to_vec();
    let mut random = 1u64;
    let mut next = |below: usize| {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (random >> 33) as usize % below
    };
    let mut accepted = 0;
    for _ in 0..2000 {
        let mut bytes = whole.clone();
        for _ in 0..1 + next(4) {
            let place = next(bytes.len());
            bytes[place] = next(256) as u8;
        }
        accepted += usize::from(survives(&bytes));
    }
    // Many changes only touch weights.
    assert!((100..1900).contains(&accepted), "{accepted}");
}
