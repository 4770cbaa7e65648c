//! The graph of a file: its names, its order and its counts.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::tensor_shape_proto::dimension::Value;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, type_proto};

use super::constants::Constants;
use super::{Refusal, attributes, operators, rules, tensor};

/// ONNX's versions of its operators that the rules here were written for.
const OPERATOR_SETS: std::ops::RangeInclusive<i64> = 7..=25;

/// The largest published pixel UNet, that of guided-diffusion for 256x256, has 3405 nodes when it
/// is exported operator by operator. The engine's work grows with the square.
const MOST_NODES: usize = 6144;
const MOST_INITIALIZERS: usize = 6144;
/// Inputs and outputs of all nodes together.
const MOST_EDGES: usize = 4 * MOST_NODES;
/// Inputs and outputs of the graph, each.
const MOST_PORTS: usize = 64;
const LONGEST_NAME: usize = 512;
/// A side of an input or output that a file may state; windows have their size from elsewhere.
const MOST_SIDE: i64 = 1 << 16;

/// The engine compares every constant with all before it. This bounds the bytes it compares when
/// they have type, shape and beginning in common.
const MOST_COMPARED: u64 = 4 << 30;

/// Calculations on constants alone, which the engine does while it loads, in
/// multiply-accumulates: merging adapters into weights takes a thousandth of it.
const MOST_CONSTANT_WORK: u64 = 1 << 32;

/// Refuses a file that asks for what no network needs.
pub fn check(model: &ModelProto) -> Result<(), Refusal> {
    let versions: Vec<i64> =
        model.opset_import.iter().filter(|o| is_onnx(&o.domain)).map(|o| o.version).collect();
    if versions.len() != 1 || !versions.iter().all(|v| OPERATOR_SETS.contains(v)) {
        let (first, last) = OPERATOR_SETS.into_inner();
        return Refusal::because(
            format!("one ONNX operator set, of version {first} to {last}"),
            format!("{versions:?}"),
        );
    }
    let Some(graph) = &model.graph else {
        return Refusal::because("a graph", "none");
    };
    counts(graph)?;
    let mut names = Names::default();
    weights(graph, &mut names)?;
    for input in &graph.input {
        value(input, "graph input")?;
        // Older files list every initializer as an input as well.
        if !names.constants.contains(input.name.as_str()) {
            names.define(&input.name, "graph inputs")?;
        }
    }
    let mut work = 0;
    for node in &graph.node {
        check_node(node, &mut names, &mut work)?;
    }
    let mut seen = HashSet::new();
    for output in &graph.output {
        value(output, "graph output")?;
        if !names.known.contains(output.name.as_str()) {
            let expected = "graph outputs that a node computes";
            return Refusal::because(expected, quoted(&output.name));
        }
        if !seen.insert(&output.name) {
            return Refusal::because("graph outputs that differ", quoted(&output.name));
        }
    }
    Ok(())
}

/// Whether a domain is ONNX's own.
fn is_onnx(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

fn quoted(name: &str) -> String {
    format!("`{name}`")
}

/// Names that a graph has defined so far.
#[derive(Default)]
struct Names<'a> {
    known: HashSet<&'a str>,
    /// Those whose value does not depend on the graph's inputs.
    constants: HashSet<&'a str>,
    stated: Constants<'a>,
}

impl<'a> Names<'a> {
    fn define(&mut self, name: &'a str, what: &str) -> Result<(), Refusal> {
        check_name(name, what)?;
        if name.is_empty() || !self.known.insert(name) {
            return Refusal::because(format!("{what} with names of their own"), quoted(name));
        }
        Ok(())
    }
}

fn check_name(name: &str, what: &str) -> Result<(), Refusal> {
    if name.len() > LONGEST_NAME || name.contains(char::is_control) {
        let shown: String = name.escape_debug().take(80).collect();
        let expected =
            format!("names of {what} of at most {LONGEST_NAME} bytes without control characters");
        return Refusal::because(expected, quoted(&shown));
    }
    Ok(())
}

fn counts(graph: &GraphProto) -> Result<(), Refusal> {
    let edges = graph.node.iter().map(|n| n.input.len() + n.output.len()).sum();
    let counts = [
        ("nodes", graph.node.len(), 1, MOST_NODES),
        ("initializers", graph.initializer.len(), 0, MOST_INITIALIZERS),
        ("sparse initializers", graph.sparse_initializer.len(), 0, 0),
        ("inputs and outputs of nodes", edges, 1, MOST_EDGES),
        ("graph inputs", graph.input.len(), 1, MOST_PORTS + MOST_INITIALIZERS),
        ("graph outputs", graph.output.len(), 1, MOST_PORTS),
    ];
    for (what, count, fewest, most) in counts {
        if !(fewest..=most).contains(&count) {
            return Refusal::because(format!("{fewest} to {most} {what}"), count);
        }
    }
    Ok(())
}

/// Initializers, and the tensors of `Constant` nodes.
fn weights<'a>(graph: &'a GraphProto, names: &mut Names<'a>) -> Result<(), Refusal> {
    for tensor in &graph.initializer {
        names.define(&tensor.name, "initializers")?;
        names.constants.insert(&tensor.name);
        tensor::check(tensor, &format!("initializer `{}`", tensor.name))?;
        names.stated.initializer(tensor);
    }
    for node in &graph.node {
        for tensor in node.attribute.iter().filter_map(|a| a.t.as_ref()) {
            tensor::check(tensor, &format!("a tensor at {}", operators::place(node)))?;
        }
    }
    // Weights of one shape that begin alike, and their bytes together.
    let mut alike: HashMap<_, (u64, u64)> = HashMap::new();
    let attributes = graph.node.iter().flat_map(|n| &n.attribute).filter_map(|a| a.t.as_ref());
    for tensor in graph.initializer.iter().chain(attributes) {
        let (count, bytes) = alike.entry(beginning(tensor)).or_default();
        *count += 1;
        *bytes += tensor.raw_data.len() as u64;
        *bytes += 8 * (tensor.float_data.len() + tensor.int64_data.len()) as u64;
        *bytes += 8 * (tensor.double_data.len() + tensor.int32_data.len()) as u64;
    }
    let compared = alike.values().map(|(count, bytes)| count.saturating_mul(*bytes)).sum::<u64>();
    if compared > MOST_COMPARED {
        let expected =
            format!("at most {MOST_COMPARED} bytes to compare of constants that start alike");
        return Refusal::because(expected, compared);
    }
    Ok(())
}

/// What constants that the engine compares at length have in common.
fn beginning(tensor: &TensorProto) -> (i32, &[i64], Vec<u64>) {
    const SOME: usize = 16;
    let raw = tensor.raw_data.iter().take(8 * SOME).map(|&v| v.into());
    let floats = tensor.float_data.iter().take(SOME).map(|&v| v.to_bits().into());
    let doubles = tensor.double_data.iter().take(SOME).map(|&v| v.to_bits());
    let words = tensor.int32_data.iter().take(SOME).map(|&v| v as u64);
    let longs = tensor.int64_data.iter().take(SOME).map(|&v| v as u64);
    let values = raw.chain(floats).chain(doubles).chain(words).chain(longs).collect();
    (tensor.data_type, &tensor.dims, values)
}

/// The declared type and shape of a graph's input or output.
fn value(value: &ValueInfoProto, what: &str) -> Result<(), Refusal> {
    check_name(&value.name, what)?;
    let place = format!("{what} `{}`", value.name);
    let Some(type_proto::Value::TensorType(of)) =
        value.r#type.as_ref().and_then(|t| t.value.as_ref())
    else {
        return Refusal::because(format!("{place} as a tensor"), "another type, or none");
    };
    tensor::check_type(of.elem_type, &place)?;
    let dims = of.shape.iter().flat_map(|shape| &shape.dim);
    // What is not stated is dynamic. Old exporters write 0 or -1 for that.
    let stated = dims.map(|d| match d.value {
        Some(Value::DimValue(n)) => n,
        _ => 1,
    });
    let stated: Vec<i64> = stated.collect();
    let sides = stated.iter().all(|n| (-1..=MOST_SIDE).contains(n));
    if stated.len() > tensor::MOST_DIMENSIONS || !sides {
        let most = tensor::MOST_DIMENSIONS;
        let expected = format!("{place} of at most {most} dimensions, each up to {MOST_SIDE}");
        return Refusal::because(expected, format!("{stated:?}"));
    }
    Ok(())
}

fn check_node<'a>(
    node: &'a NodeProto,
    names: &mut Names<'a>,
    work: &mut u64,
) -> Result<(), Refusal> {
    check_name(&node.name, "nodes")?;
    let place = operators::place(node);
    if !is_onnx(&node.domain) && node.domain != "com.microsoft" {
        let expected = format!("an operator of ONNX at {place}");
        return Refusal::because(expected, format!("domain {:?}", node.domain));
    }
    operators::check_arity(node)?;
    // ONNX wants nodes in the order of their evaluation, so this also refuses cycles.
    let inputs = || node.input.iter().map(String::as_str).filter(|name| !name.is_empty());
    if let Some(name) = inputs().find(|name| !names.known.contains(name)) {
        check_name(name, "inputs")?;
        let expected = format!("inputs at {place} that are computed before it");
        return Refusal::because(expected, quoted(name));
    }
    attributes::check(node)?;
    rules::check(node, &names.stated)?;
    // Shapes are constants too: the window's size is known when the engine evaluates.
    let is_shape = matches!(node.op_type.as_str(), "Shape" | "Size");
    let is_constant = is_shape || inputs().all(|name| names.constants.contains(name));
    if is_constant && operators::is_heavy(node) {
        *work += constant_work(node, &names.stated)?;
        if *work > MOST_CONSTANT_WORK {
            let expected = format!(
                "at most {MOST_CONSTANT_WORK} multiply-accumulates on constants, up to {place}"
            );
            return Refusal::because(expected, *work);
        }
    }
    for output in node.output.iter().filter(|name| !name.is_empty()) {
        names.define(output, &format!("outputs at {place}"))?;
        if is_constant {
            names.constants.insert(output);
        }
    }
    names.stated.node(node);
    Ok(())
}

/// An upper bound for a product or convolution of constants: every element with every other.
fn constant_work(node: &NodeProto, stated: &Constants) -> Result<u64, Refusal> {
    let mut work = operators::kernel_volume(node);
    for index in 0..node.input.len().min(2) {
        let Some(dims) = stated.shape(node, index) else {
            let expected = format!("something to calculate at {}", operators::place(node));
            return Refusal::because(expected, "constants that follow from constants");
        };
        work = work.saturating_mul(tensor::elements(&dims, "a constant")?.max(1));
    }
    Ok(work)
}
