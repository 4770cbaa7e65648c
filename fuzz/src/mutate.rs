//! Changes to ONNX models: in their structure, so that most remain models, and in their bytes.

use tract_onnx::pb::*;

use crate::network::{floats, int, integers, ints};
use crate::random::Random;
use crate::tiny::{node, value};
use crate::words::{ATTRIBUTES, Holds, OPERATORS};

/// Changes one thing in a model.
pub fn mutate(model: &mut ModelProto, r: &mut Random) {
    if r.chance(3) {
        let version = if r.chance(80) { 7 + r.below(19) as i64 } else { r.integer() };
        model.opset_import.iter_mut().for_each(|opset| opset.version = version);
    }
    let Some(graph) = &mut model.graph else { return };
    match r.below(16) {
        0..4 => grow(graph, r),
        4..8 => attribute(graph, r),
        8..11 => edge(graph, r),
        11 | 12 => {
            let index = r.below(graph.initializer.len());
            graph.initializer.get_mut(index).into_iter().for_each(|t| tensor(t, r));
        }
        13 => order(graph, r),
        14 => port(graph, r),
        _ => {
            let operator = operator(r).0;
            some_node(graph, r).into_iter().for_each(|n| n.op_type = operator.clone());
        }
    }
}

/// Changes some bytes of a file.
pub fn damage(bytes: &mut Vec<u8>, r: &mut Random) {
    for _ in 0..1 + r.below(4) {
        let place = r.below(bytes.len());
        match r.below(8) {
            0 => bytes.truncate(place),
            1 => {
                let end = (place + r.below(64)).min(bytes.len());
                let piece = bytes[place..end].to_vec();
                let to = r.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            2 => drop(bytes.drain(place..(place + r.below(16)).min(bytes.len()))),
            _ => bytes.get_mut(place).into_iter().for_each(|b| *b = r.next() as u8),
        }
    }
}

fn operator(r: &mut Random) -> (String, usize) {
    let all: Vec<&str> = OPERATORS.split(' ').collect();
    let (name, inputs) = r.pick(&all).split_once('/').unwrap_or(("Abs", "1"));
    (name.to_string(), inputs.parse().unwrap_or(1))
}

fn some_node<'a>(graph: &'a mut GraphProto, r: &mut Random) -> Option<&'a mut NodeProto> {
    let index = r.below(graph.node.len());
    graph.node.get_mut(index)
}

/// The names of all values before a node.
fn names(graph: &GraphProto, before: usize) -> Vec<String> {
    let outputs = graph.node.iter().take(before).flat_map(|n| n.output.iter().cloned());
    let inputs = graph.input.iter().map(|v| v.name.clone());
    let weights = graph.initializer.iter().map(|t| t.name.clone());
    inputs.chain(outputs).chain(weights).filter(|name| !name.is_empty()).collect()
}

/// Adds a node somewhere, with a way from its output into the result.
fn grow(graph: &mut GraphProto, r: &mut Random) {
    let count = graph.node.len();
    let fresh = format!("n{count}");
    let (operator, inputs) = operator(r);
    let known = names(graph, count.saturating_sub(1));
    let mut from = Vec::new();
    for i in 0..inputs {
        // First a value of the network, then parameters.
        if r.chance(if i == 0 { 85 } else { 25 }) && !known.is_empty() {
            from.push(r.pick(&known).clone());
        } else if i > 0 && r.chance(5) {
            from.push(String::new());
        } else {
            let name = format!("{fresh}_{i}");
            let constant = constant(&name, r);
            graph.initializer.push(constant);
            from.push(name);
        }
    }
    let from: Vec<&str> = from.iter().map(String::as_str).collect();
    let mut grown = node(&operator, &from, &fresh);
    for _ in 0..r.below(4) {
        let (name, holds) = *r.pick(&ATTRIBUTES);
        let made = make_attribute(name, holds, r);
        grown.attribute.push(made);
    }
    if operator.ends_with("Pool") || operator.contains("Conv") && r.chance(50) {
        grown.attribute.push(ints("kernel_shape", &[1 + r.below(3) as i64, 1 + r.below(3) as i64]));
    }
    let Some(last) = graph.node.last_mut() else { return };
    let Some(result) = last.output.first_mut() else { return };
    let result = std::mem::replace(result, format!("{fresh}_before"));
    if r.chance(50) {
        // As it is, in the place of what came before.
        let user = r.below(graph.node.len());
        let user = &mut graph.node[user];
        let input = r.below(user.input.len());
        user.input.get_mut(input).into_iter().for_each(|name| *name = fresh.clone());
        let place = graph.node.len() - 1;
        graph.node[place].output[0] = result;
        let place = r.below(place + 1);
        graph.node.insert(place, grown);
    } else {
        // As one number added to the result.
        graph.node.push(grown);
        let mut cast = node("Cast", &[&fresh], &format!("{fresh}_real"));
        cast.attribute.push(int("to", 1));
        graph.node.push(cast);
        let mut most = node("ReduceMax", &[&format!("{fresh}_real")], &format!("{fresh}_most"));
        most.attribute.push(int("keepdims", 0));
        graph.node.push(most);
        let sum = [format!("{fresh}_before"), format!("{fresh}_most")];
        graph.node.push(node("Add", &[&sum[0], &sum[1]], &result));
    }
}

/// A small tensor, or one that says it is large.
fn constant(name: &str, r: &mut Random) -> TensorProto {
    let size = |r: &mut Random| *r.pick(&[0, 1, 1, 2, 3, 4, 4, 8, 8]);
    let mut constant = match r.below(4) {
        0 => {
            let values: Vec<i64> = (0..r.below(6)).map(|_| r.integer()).collect();
            integers(name, &values)
        }
        1 => TensorProto { dims: vec![], ..integers(name, &[r.integer()]) },
        2 => TensorProto { dims: vec![], float_data: vec![r.real()], ..floats(name, &[1]) },
        _ => {
            let dims: Vec<i64> = (0..r.below(5)).map(|_| size(r)).collect();
            floats(name, &dims)
        }
    };
    if r.chance(10) {
        tensor(&mut constant, r);
    }
    constant
}

fn make_attribute(name: &str, holds: Holds, r: &mut Random) -> AttributeProto {
    let mut made = match holds {
        Holds::Int => int(name, r.integer()),
        Holds::Ints => {
            let count = *r.pick(&[0, 1, 2, 2, 2, 3, 4, 4]);
            let values: Vec<i64> = (0..count).map(|_| r.integer()).collect();
            ints(name, &values)
        }
        Holds::Float => {
            AttributeProto { f: r.real(), r#type: 1, name: name.into(), ..Default::default() }
        }
        Holds::Tensor => {
            let t = Some(constant("", r));
            AttributeProto { t, r#type: 4, name: name.into(), ..Default::default() }
        }
        Holds::Text(texts) => {
            let texts: Vec<&str> = texts.split_whitespace().collect();
            let s = r.pick(&texts).as_bytes().to_vec();
            AttributeProto { s, r#type: 3, name: name.into(), ..Default::default() }
        }
    };
    if r.chance(2) {
        made.r#type = r.below(16) as i32;
    }
    made
}

fn attribute(graph: &mut GraphProto, r: &mut Random) {
    let Some(node) = some_node(graph, r) else { return };
    if node.attribute.is_empty() || r.chance(40) {
        let (name, holds) = *r.pick(&ATTRIBUTES);
        node.attribute.retain(|a| a.name != name);
        node.attribute.push(make_attribute(name, holds, r));
        return;
    }
    let index = r.below(node.attribute.len());
    let a = &mut node.attribute[index];
    match r.below(6) {
        0 => drop(node.attribute.remove(index)),
        1 => drop(a.ints.pop()),
        2 => a.ints.push(r.integer()),
        3 if a.t.is_some() => a.t.iter_mut().for_each(|t| tensor(t, r)),
        _ => {
            a.i = r.integer();
            a.f = r.real();
            let index = r.below(a.ints.len());
            a.ints.get_mut(index).into_iter().for_each(|v| *v = r.integer());
        }
    }
}

/// Connects something else.
fn edge(graph: &mut GraphProto, r: &mut Random) {
    let index = r.below(graph.node.len());
    let limit = if r.chance(95) { index } else { graph.node.len() };
    let known = names(graph, limit);
    let Some(node) = graph.node.get_mut(index) else { return };
    let slot = r.below(node.input.len());
    match r.below(10) {
        0 => node.input.truncate(slot),
        1 => node.input.push(r.pick(&known).clone()),
        2 => node.input.get_mut(slot).into_iter().for_each(String::clear),
        3 => node.output.push(format!("extra{}", r.below(4))),
        4 => drop(node.output.pop()),
        _ if known.is_empty() => {}
        _ => node.input.get_mut(slot).into_iter().for_each(|n| *n = r.pick(&known).clone()),
    }
}

fn tensor(t: &mut TensorProto, r: &mut Random) {
    let slot = r.below(t.dims.len());
    match r.below(9) {
        0 => t.dims.get_mut(slot).into_iter().for_each(|d| *d = r.integer()),
        1 => t.data_type = *r.pick(&[0, 1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 22, 99]),
        2 => t.dims.reverse(),
        3 => t.dims.push(1),
        4 => t.dims.insert(slot.min(t.dims.len()), 1),
        5 => drop(t.dims.pop()),
        6 => {
            t.float_data.truncate(r.below(t.float_data.len() + 1));
            t.int64_data.truncate(r.below(t.int64_data.len() + 1));
            t.dims = vec![t.float_data.len().max(t.int64_data.len()) as i64];
        }
        _ => {
            let index = r.below(t.float_data.len());
            t.float_data.get_mut(index).into_iter().for_each(|v| *v = r.real());
            let index = r.below(t.int64_data.len());
            t.int64_data.get_mut(index).into_iter().for_each(|v| *v = r.integer());
        }
    }
}

/// Removes, repeats or moves a node.
fn order(graph: &mut GraphProto, r: &mut Random) {
    let count = graph.node.len();
    let (one, other) = (r.below(count), r.below(count));
    match r.below(3) {
        _ if count == 0 => {}
        0 => drop(graph.node.remove(one)),
        1 => {
            let again = graph.node[one].clone();
            graph.node.insert(other, again);
        }
        _ => graph.node.swap(one, other),
    }
}

/// Changes an input or output of the graph.
fn port(graph: &mut GraphProto, r: &mut Random) {
    let element = *r.pick(&[0, 1, 1, 7, 8, 10, 11, 16]);
    let dims: Vec<i64> = (0..r.below(6)).map(|_| r.integer()).collect();
    let ports = if r.chance(50) { &mut graph.input } else { &mut graph.output };
    let index = r.below(ports.len());
    let Some(port) = ports.get_mut(index) else { return };
    match r.below(4) {
        0 => port.name.push('x'),
        1 => drop(ports.remove(index)),
        _ => {
            let name = port.name.clone();
            *port = value(&name, element, &dims);
        }
    }
}
