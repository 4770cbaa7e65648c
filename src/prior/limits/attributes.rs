//! Attributes of nodes, whatever the operator.

use std::collections::HashSet;

use tract_onnx::pb::NodeProto;

use super::Refusal;
use super::operators::place;
use super::tensor::{MOST_DIMENSIONS, check_type};

const MOST_ATTRIBUTES: usize = 32;
/// Numbers or strings in one attribute.
const MOST_ITEMS: usize = 4096;
/// Bytes of a string; the longest known are the equations of `Einsum`.
const LONGEST_STRING: usize = 256;
/// Sizes, axes, counts, flags: nothing that an operator takes is larger.
const LARGEST_INTEGER: i64 = 1 << 20;

/// Refuses attributes that no operator needs: subgraphs, huge integers, not-a-number.
pub fn check(node: &NodeProto) -> Result<(), Refusal> {
    if node.attribute.len() > MOST_ATTRIBUTES {
        let expected = format!("at most {MOST_ATTRIBUTES} attributes at {}", place(node));
        return Refusal::because(expected, node.attribute.len());
    }
    let mut names = HashSet::new();
    for a in &node.attribute {
        let at = || format!("`{}` at {}", a.name.escape_debug(), place(node));
        if !names.insert(&a.name) {
            return Refusal::because(format!("one {}", at()), "two");
        }
        if a.g.is_some() || !a.graphs.is_empty() {
            return Refusal::because(format!("no subgraph in {}", at()), "one");
        }
        let is_sparse = a.sparse_tensor.is_some() || !a.sparse_tensors.is_empty();
        if is_sparse || !a.tensors.is_empty() || !a.ref_attr_name.is_empty() {
            let expected = format!("numbers, a string or a tensor in {}", at());
            return Refusal::because(expected, "something else");
        }
        let items = a.ints.len().max(a.floats.len()).max(a.strings.len());
        if items > MOST_ITEMS {
            return Refusal::because(format!("at most {MOST_ITEMS} items in {}", at()), items);
        }
        let longest = a.strings.iter().chain([&a.s]).map(Vec::len).max().unwrap_or(0);
        if longest > LONGEST_STRING {
            let expected = format!("at most {LONGEST_STRING} bytes in {}", at());
            return Refusal::because(expected, longest);
        }
        if let Some(nan) = a.floats.iter().chain([&a.f]).find(|v| v.is_nan()) {
            return Refusal::because(format!("a number in {}", at()), nan);
        }
        // Ends of slices say "up to the end" with the largest integer there is.
        let is_free = matches!(node.op_type.as_str(), "Constant" | "Slice");
        let limit = -LARGEST_INTEGER..=LARGEST_INTEGER;
        let wild = a.ints.iter().chain([&a.i]).find(|v| !limit.contains(v));
        if let Some(wild) = wild.filter(|_| !is_free) {
            let expected = format!("integers of at most {LARGEST_INTEGER} in {}", at());
            return Refusal::because(expected, wild);
        }
        let axes = -(MOST_DIMENSIONS as i64)..=MOST_DIMENSIONS as i64;
        let numbers = a.ints.iter().chain([&a.i]);
        match a.name.as_str() {
            "axis" | "axes" | "perm" | "batch_dims" => {
                if let Some(axis) = numbers.clone().find(|v| !axes.contains(v)) {
                    let expected = format!("axes within {MOST_DIMENSIONS} dimensions in {}", at());
                    return Refusal::because(expected, axis);
                }
            }
            "epsilon" if !(a.f >= 0.0 && a.f.is_finite()) => {
                return Refusal::because(format!("a number from 0 in {}", at()), a.f);
            }
            "to" => check_type(i32::try_from(a.i).unwrap_or(0), &at())?,
            _ => {}
        }
    }
    Ok(())
}

/// The integers of an attribute, where it is there.
pub fn ints<'a>(node: &'a NodeProto, name: &str) -> Option<&'a [i64]> {
    node.attribute.iter().find(|a| a.name == name).map(|a| &a.ints[..])
}

/// The integer of an attribute, where it is there.
pub fn int(node: &NodeProto, name: &str) -> Option<i64> {
    node.attribute.iter().find(|a| a.name == name).map(|a| a.i)
}
