//! Tiny ONNX networks: `output = gain * picture + slope * told`, small enough to check by hand.

use prost::Message;
use tract_onnx::pb::*;

/// What a tiny network looks like from outside.
pub struct Tiny {
    pub gain: f32,
    pub slope: f32,
    pub channels: i64,
    /// Element type of the conditioning input: 1 is float32, 7 is int64.
    pub told_type: i32,
    /// Shape of the conditioning input; -1 is dynamic.
    pub told_shape: Vec<i64>,
    /// Whether the output is doubled, as with a learned variance.
    pub variance: bool,
    /// Whether weights, input and output are in half precision.
    pub half: bool,
}

pub const FLOAT: i32 = 1;
pub const INT64: i32 = 7;
pub const FLOAT16: i32 = 10;

impl Default for Tiny {
    fn default() -> Tiny {
        Tiny {
            gain: 0.5,
            slope: 0.01,
            channels: 3,
            told_type: FLOAT,
            told_shape: vec![-1],
            variance: false,
            half: false,
        }
    }
}

impl Tiny {
    /// The file.
    pub fn onnx(&self) -> Vec<u8> {
        let mut nodes = Vec::new();
        let told = if self.told_type == INT64 {
            let to = AttributeProto { name: "to".into(), i: 1, r#type: 2, ..Default::default() };
            nodes.push(NodeProto { attribute: vec![to], ..node("Cast", &["told"], "told_f32") });
            "told_f32"
        } else {
            "told"
        };
        nodes.push(node("Mul", &["picture", "gain"], "scaled"));
        nodes.push(node("Mul", &[told, "slope"], "shift"));
        let sum = if self.variance { "sum" } else { "result" };
        nodes.push(node("Add", &["scaled", "shift"], sum));
        if self.variance {
            let axis =
                AttributeProto { name: "axis".into(), i: 1, r#type: 2, ..Default::default() };
            nodes.push(NodeProto {
                attribute: vec![axis],
                ..node("Concat", &["sum", "shiftless"], "result")
            });
            nodes.insert(0, node("Mul", &["picture", "slope"], "shiftless"));
        }
        let (element, constant): (i32, fn(&str, f32) -> TensorProto) =
            if self.half { (FLOAT16, half_constant) } else { (FLOAT, constant) };
        let graph = GraphProto {
            node: nodes,
            name: "tiny".into(),
            initializer: vec![constant("gain", self.gain), constant("slope", self.slope)],
            input: vec![
                value("picture", element, &[1, self.channels, -1, -1]),
                value("told", self.told_type, &self.told_shape),
            ],
            output: vec![value("result", element, &[1, -1, -1, -1])],
            ..Default::default()
        };
        let opset = OperatorSetIdProto { domain: String::new(), version: 17 };
        ModelProto {
            ir_version: 8,
            opset_import: vec![opset],
            graph: Some(graph),
            ..Default::default()
        }
        .encode_to_vec()
    }
}

pub fn node(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|s| s.to_string()).collect(),
        output: vec![output.into()],
        name: output.into(),
        op_type: operator.into(),
        ..Default::default()
    }
}

pub fn constant(name: &str, value: f32) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![1],
        data_type: FLOAT,
        float_data: vec![value],
        ..Default::default()
    }
}

fn half_constant(name: &str, value: f32) -> TensorProto {
    let bits = half::f16::from_f32(value).to_le_bytes();
    TensorProto {
        data_type: FLOAT16,
        float_data: vec![],
        raw_data: bits.into(),
        ..constant(name, value)
    }
}

pub fn value(name: &str, element: i32, shape: &[i64]) -> ValueInfoProto {
    use tensor_shape_proto::{Dimension, dimension::Value};
    let dimension = |(i, &n): (usize, &i64)| {
        let value = if n < 0 { Value::DimParam(format!("{name}_{i}")) } else { Value::DimValue(n) };
        Dimension { value: Some(value), ..Default::default() }
    };
    let shape = TensorShapeProto { dim: shape.iter().enumerate().map(dimension).collect() };
    let tensor = type_proto::Tensor { elem_type: element, shape: Some(shape) };
    let r#type =
        TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..Default::default() };
    ValueInfoProto { name: name.into(), r#type: Some(r#type), ..Default::default() }
}
