//! ONNX files that ask for what no network needs: each is refused, with what and where.

use prost::Message;
use tract_onnx::pb::*;

use super::network::*;
use super::tiny::{FLOAT16, INT64, node, value};
use super::{load, manifest};
use crate::error::{Error, Result};
use crate::prior::Prior;

/// Loads a model and evaluates one window of 8x8.
pub fn run(bytes: &[u8]) -> Result<()> {
    let prior = load(&manifest(bytes, "v", "timestep", ""), bytes)?;
    let level = prior.diffusion().at_sigma(0.3);
    prior.evaluator(8, 8)?.x0(&[0.1; 3 * 64], level, &mut [0.0; 3 * 64])
}

/// Changes the network; it must be refused by an error that holds `hint`.
pub fn refused(hint: &str, change: impl FnOnce(&mut ModelProto)) {
    let mut model = network();
    change(&mut model);
    match run(&model.encode_to_vec()) {
        Err(e @ Error::Model { .. }) => {
            let text = e.to_string();
            assert!(text.contains(hint) && !text.contains('\n'), "no `{hint}` in: {text}");
            assert_eq!(e.exit_code(), 4);
        }
        other => panic!("{hint}: {other:?}"),
    }
}

/// Gives a node and its value another name: a second node may then take the old one.
fn rename(model: &mut ModelProto, old: &str, new: &str) {
    let node = at(model, old);
    (node.name, node.output[0]) = (new.into(), new.into());
}

/// Adds a node whose value goes into the result, behind a sum that keeps its shape.
fn refused_node(hint: &str, operator: &str, inputs: &[&str], constants: &[TensorProto]) {
    refused(hint, |m| {
        constants.iter().for_each(|c| give(m, c.clone()));
        rename(m, "result", "before");
        add(m, operator, inputs, "added");
        add(m, "ReduceMax", &["added"], "most");
        add(m, "Add", &["before", "most"], "result");
    });
}

#[test]
fn the_network_itself_is_accepted() {
    run(&network().encode_to_vec()).unwrap();
    let bytes = plain_network().encode_to_vec();
    run(&bytes).unwrap();
    load(&manifest(&bytes, "v", "timestep", ""), &bytes).unwrap().network().unwrap();
}

#[test]
fn windows_of_convolutions_and_pools() {
    let lists: [(&str, &str, &[i64]); 18] = [
        ("in", "strides", &[0, 1]),
        ("in", "strides", &[-1, 1]),
        ("in", "strides", &[1 << 62, 1]),
        ("in", "strides", &[1]),
        ("in", "strides", &[1, 1, 1]),
        ("in", "dilations", &[0, 0]),
        ("in", "dilations", &[65, 1]),
        ("in", "pads", &[1 << 33, 1, 1, 1]),
        ("in", "pads", &[-1, 1, 1, 1]),
        ("in", "pads", &[1, 1]),
        ("in", "pads", &[1, 1, 1, 1, 1]),
        ("in", "kernel_shape", &[5, 5]),
        ("down", "kernel_shape", &[0, 2]),
        ("down", "kernel_shape", &[1 << 20, 2]),
        ("down", "kernel_shape", &[]),
        ("down", "strides", &[0, 0]),
        ("learned", "output_padding", &[1000, 0]),
        ("learned", "output_shape", &[1 << 40, 2]),
    ];
    for (node, attribute, values) in lists {
        refused(node, |m| set(m, node, ints(attribute, values)));
    }
    for group in [0, -1, 3, 1 << 40] {
        refused("group", |m| set(m, "in", int("group", group)));
    }
    refused("learned", |m| set(m, "learned", int("group", 3)));
    refused("kernel", |m| *weights(m, "in_w") = floats("in_w", &[4, 3, 65, 1]));
    refused("1 to 3 dimensions", |m| *weights(m, "in_w") = floats("in_w", &[4, 3]));
    refused("channels", |m| *weights(m, "in_w") = floats("in_w", &[0, 3, 3, 3]));
    refused("auto_pad", |m| {
        let s = b"EVERYWHERE".to_vec();
        let auto = AttributeProto { name: "auto_pad".into(), s, r#type: 3, ..Default::default() };
        set(m, "in", auto);
    });
}

#[test]
fn other_attributes() {
    for groups in [0, -4, 3, 1 << 40] {
        refused("num_groups", |m| set(m, "norm", int("num_groups", groups)));
    }
    let real =
        |name: &str, f| AttributeProto { name: name.into(), f, r#type: 1, ..Default::default() };
    for epsilon in [-1.0, f32::NAN, f32::INFINITY] {
        refused("epsilon", |m| set(m, "norm", real("epsilon", epsilon)));
    }
    refused("NaN", |m| set(m, "embedded", real("alpha", f32::NAN)));
    refused("axes", |m| set(m, "attention", int("axis", 9)));
    refused("axes", |m| set(m, "turned", ints("perm", &[0, 2, 1 << 19])));
    for perm in [&[0, 0, 1][..], &[0, 2, 3], &[-1, 0, 1]] {
        refused("perm", |m| set(m, "turned", ints("perm", perm)));
    }
    refused("1048576", |m| set(m, "attention", int("other", i64::MIN)));
    refused("two", |m| at(m, "in").attribute.push(int("group", 1)));
    refused("items", |m| set(m, "in", ints("other", &[1; 5000])));
    refused("attributes", |m| (0..40).for_each(|i| set(m, "in", int(&format!("a{i}"), 1))));
    refused("subgraph", |m| {
        let g = Some(GraphProto::default());
        let body = AttributeProto { name: "body".into(), g, r#type: 5, ..Default::default() };
        set(m, "in", body);
    });
    refused("blocksize", |m| {
        at(m, "silu").op_type = "DepthToSpace".into();
        at(m, "silu").input.pop();
        set(m, "silu", int("blocksize", 0));
    });
}

/// The engine takes an axis beyond the dimensions for one near the largest number there is.
#[test]
fn axes_beyond_the_dimensions() {
    let scalar = || TensorProto { dims: vec![], ..floats("scalar", &[1]) };
    let scale = || floats("scale", &[1]);
    let operators = ["LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"];
    for operator in operators {
        refused_node("dimensions", operator, &["scalar", "scale"], &[scalar(), scale()]);
    }
    for operator in ["Softmax", "ArgMax", "LpNormalization", "Split", "GlobalMaxPool"] {
        refused_node("dimensions", operator, &["scalar"], &[scalar()]);
    }
    for (axis, node) in [(4, "attention"), (-4, "attention"), (-5, "both"), (4, "both")] {
        refused("dimensions", |m| set(m, node, int("axis", axis)));
    }
    refused("dimensions", |m| set(m, "turned", ints("perm", &[1, 0])));
    refused("dimensions", |m| *weights(m, "axes") = integers("axes", &[5]));
    refused("dimensions", |m| {
        weights(m, "scales").float_data.pop();
        weights(m, "scales").dims = vec![3];
    });
}

#[test]
fn tensors_without_values() {
    let empty = || floats("empty", &[0]);
    for operator in ["Relu", "ReduceMax", "Transpose", "Not"] {
        refused_node("without any", operator, &["empty"], &[empty()]);
    }
    for operator in ["Mul", "MatMul", "CumSum", "Gather", "Equal"] {
        refused_node("without any", operator, &["picture", "empty"], &[empty()]);
    }
}

#[test]
fn scales_and_sizes() {
    for scale in [1e9, f32::NAN, -3.0, 0.0, f32::INFINITY, 1e-9, 17.0] {
        refused("scales", |m| weights(m, "scales").float_data[3] = scale);
    }
    for size in [0, -1, 1 << 17, i64::MAX] {
        refused("sizes", |m| {
            give(m, integers("sizes", &[1, 4, 8, size]));
            at(m, "up").input = ["down", "", "", "sizes"].map(String::from).into();
        });
    }
    refused("scales or sizes", |m| at(m, "up").input.truncate(1));
    refused("scales or sizes", |m| *weights(m, "scales") = floats("scales", &[0]));
    // Scales that depend on the picture's values: no size follows from the window's.
    refused("node `up`", |m| {
        let position = graph(m).node.iter().position(|n| n.name == "up").unwrap();
        graph(m).node.insert(position, node("Mul", &["scales", "told"], "told_scales"));
        at(m, "up").input[2] = "told_scales".into();
    });
}

#[test]
fn shapes_that_make_giants() {
    let one = || floats("one", &[1]);
    let shape = |dims: &[i64]| integers("shape", dims);
    refused_node("values", "Expand", &["one", "shape"], &[one(), shape(&[1 << 40])]);
    refused_node("elements", "Expand", &["one", "shape"], &[one(), shape(&[1 << 20, 1 << 20])]);
    refused_node("at most 8", "Expand", &["one", "shape"], &[one(), shape(&[1; 9])]);
    refused_node("values", "ConstantOfShape", &["shape"], &[shape(&[-4])]);
    refused_node("elements", "ConstantOfShape", &["shape"], &[shape(&[1 << 13; 4])]);
    refused_node("values", "Tile", &["one", "shape"], &[one(), shape(&[1 << 36])]);
    refused_node("paddings", "Pad", &["one", "shape"], &[one(), shape(&[0, 1 << 36])]);
    refused_node("values", "Reshape", &["one", "shape"], &[one(), shape(&[-2])]);
    for operator in ["Squeeze", "Unsqueeze", "ReduceSum"] {
        refused_node("values", operator, &["one", "shape"], &[one(), shape(&[9])]);
        refused_node("at most 8", operator, &["one", "shape"], &[one(), shape(&[0; 9])]);
    }
    refused_node("values", "Split", &["one", "shape"], &[one(), shape(&[-1])]);
    let scalar = |name: &str, v: i64| TensorProto { dims: vec![], ..integers(name, &[v]) };
    for (limit, delta) in [(1 << 40, 1), (5, 0), (i64::MAX, -1)] {
        let constants = [scalar("a", 0), scalar("b", limit), scalar("c", delta)];
        refused_node("range", "Range", &["a", "b", "c"], &constants);
    }
    // In steps, so that no single number is large.
    refused("node `grow", |m| {
        give(m, integers("eights", &[8]));
        give(m, floats("grow0", &[64]));
        rename(m, "result", "before");
        for i in 0..12 {
            add(m, "Tile", &[&format!("grow{i}"), "eights"], &format!("grow{}", i + 1));
        }
        add(m, "ReduceMax", &["grow12"], "most");
        add(m, "Add", &["before", "most"], "result");
    });
    // The same with values that depend on the picture, and none of them a constant.
    refused("node `grow", |m| {
        rename(m, "result", "before");
        add(m, "Identity", &["picture"], "grow0");
        for i in 0..30 {
            let name = format!("grow{i}");
            add(m, "Concat", &[&name, &name], &format!("grow{}", i + 1));
            set(m, &format!("grow{}", i + 1), int("axis", 1));
        }
        add(m, "ReduceMax", &["grow30"], "most");
        add(m, "Add", &["before", "most"], "result");
    });
}

#[test]
fn calculations_on_constants() {
    // A product of constants that takes minutes, its result small.
    let tall = TensorProto { name: "tall".into(), ..zeros(&[64, 1 << 16]) };
    let wide = TensorProto { name: "wide".into(), ..zeros(&[1 << 16, 64]) };
    refused_node("on constants", "MatMul", &["tall", "wide"], &[tall, wide]);
    refused("follow from constants", |m| {
        rename(m, "result", "before");
        add(m, "Relu", &["told_w"], "derived");
        add(m, "MatMul", &["column", "derived"], "fine");
        add(m, "Transpose", &["derived"], "turned_w");
        add(m, "MatMul", &["derived", "turned_w"], "product");
        add(m, "Add", &["before", "product"], "result");
    });
}

/// Zeros as raw bytes.
fn zeros(dims: &[i64]) -> TensorProto {
    let count: i64 = dims.iter().product();
    let raw_data = vec![0; 4 * count as usize];
    TensorProto { raw_data, float_data: vec![], dims: dims.into(), ..floats("", &[0]) }
}

#[test]
fn tensors_that_disagree_with_their_data() {
    refused("in_w", |m| weights(m, "in_w").dims[0] = 5);
    refused("in_w", |m| weights(m, "in_w").dims[0] = -4);
    refused("in_w", |m| weights(m, "in_w").dims[0] = i64::MAX);
    refused("elements", |m| weights(m, "in_w").dims = vec![1 << 30, 1 << 30, 1 << 30, 1 << 30]);
    refused("dimensions", |m| weights(m, "in_w").dims = vec![0, i64::MAX]);
    refused("8 dimensions", |m| weights(m, "in_w").dims = vec![1; 9]);
    refused("bytes", |m| weights(m, "in_w").raw_data = vec![0; 7]);
    for number in [-1, 0, 8, 14, 15, 16, 17, 21, 22, 23, 99] {
        refused("element type", |m| weights(m, "in_w").data_type = number);
        refused("element type", |m| graph(m).input[0] = value("picture", number, &[1, 3, -1, -1]));
        refused("element type", |m| {
            at(m, "gate").op_type = "Cast".into();
            set(m, "gate", int("to", number.into()));
        });
    }
    for number in [2, 12, 13, INT64, FLOAT16] {
        refused("in_w", |m| weights(m, "in_w").data_type = number);
    }
    refused("external", |m| weights(m, "in_w").data_location = Some(1));
    refused("external", |m| {
        let entry = StringStringEntryProto { key: "location".into(), value: "/etc/passwd".into() };
        weights(m, "in_w").external_data.push(entry);
    });
    refused("segment", |m| {
        weights(m, "in_w").segment = Some(tensor_proto::Segment { begin: 0, end: 1 });
    });
}
