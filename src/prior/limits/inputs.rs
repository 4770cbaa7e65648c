//! What each node can take, which depends on the window's size.
//!
//! The engine trusts axes: one beyond the dimensions becomes an index near `usize::MAX`, and a loop
//! up to there. And it takes the first value of tensors without looking whether there is one.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};

use super::attributes::{int, ints};
use super::constants::Constants;
use super::tensor::MOST_DIMENSIONS;

/// Operators that take lists, which can be empty: the shape of a scalar has no dimensions.
const LIST_OPERATORS: [&str; 9] = [
    "Cast",
    "Concat",
    "ConstantOfShape",
    "Expand",
    "Identity",
    "Reshape",
    "Resize",
    "Shape",
    "Size",
];

/// What a node can take.
#[derive(Debug, Clone)]
pub struct Demand {
    /// Numbers of dimensions of its first input.
    pub ranks: RangeInclusive<usize>,
    /// Whether its inputs may be lists without values.
    pub takes_empty: bool,
}

/// What the nodes of a model can take, by their names.
#[derive(Debug, Clone, Default)]
pub struct Demands(HashMap<String, Demand>);

impl Demands {
    /// Those of a model that passed [`check`](super::check). Nodes have the names that the engine
    /// gives them.
    pub fn new(model: &ModelProto) -> Demands {
        let mut demands = Demands::default();
        let Some(GraphProto { node, initializer, .. }) = &model.graph else { return demands };
        let mut stated = Constants::default();
        initializer.iter().for_each(|tensor| stated.initializer(tensor));
        for node in node {
            let name = [&node.name].into_iter().chain(&node.output).find(|name| !name.is_empty());
            if let Some(name) = name {
                let takes_empty = LIST_OPERATORS.contains(&node.op_type.as_str());
                let demand = Demand { ranks: ranks(node, &stated), takes_empty };
                demands.0.insert(name.clone(), demand);
            }
            stated.node(node);
        }
        demands
    }

    /// What one node can take.
    pub fn of(&self, node: &str) -> Demand {
        let unknown = Demand { ranks: 0..=MOST_DIMENSIONS, takes_empty: false };
        self.0.get(node).cloned().unwrap_or(unknown)
    }
}

fn ranks(node: &NodeProto, stated: &Constants) -> RangeInclusive<usize> {
    let exactly = |rank: usize| rank..=rank;
    let at_least = |rank: usize| rank..=MOST_DIMENSIONS;
    let listed = |input| stated.input(node, input).map(|v| v.iter().map(|v| *v as i64).collect());
    let axes =
        |input| ints(node, "axes").map(<[i64]>::to_vec).or(listed(input)).unwrap_or_default();
    let operator = node.op_type.as_str();
    match operator {
        "Conv" | "ConvInteger" | "ConvTranspose" | "QLinearConv" | "AveragePool" | "MaxPool" => {
            let weights = if operator == "QLinearConv" { 3 } else { 1 };
            let spatial = ints(node, "kernel_shape").map(|kernel| kernel.len() + 2);
            match stated.shape(node, weights).map(|dims| dims.len()).or(spatial) {
                Some(rank) => exactly(rank),
                None => 3..=5,
            }
        }
        "Transpose" => ints(node, "perm").map_or(at_least(0), |perm| exactly(perm.len())),
        "DepthToSpace" | "SpaceToDepth" | "GridSample" => exactly(4),
        "MeanVarianceNormalization" if ints(node, "axes").is_none() => at_least(4),
        "GroupNormalization" | "InstanceNormalization" => at_least(3),
        "GlobalAveragePool" | "GlobalMaxPool" => at_least(3),
        "BatchNormalization" | "LRN" | "Trilu" => at_least(2),
        "Flatten" => at_least(fewest(&[int(node, "axis").unwrap_or(1)]).saturating_sub(1)),
        "Unsqueeze" => {
            let axes = axes(1);
            at_least(fewest(&axes).saturating_sub(axes.len()))
        }
        "Slice" => at_least(fewest(&axes(3))),
        "Softmax"
        | "LogSoftmax"
        | "Hardmax"
        | "LayerNormalization"
        | "LpNormalization"
        | "RMSNormalization"
        | "SimplifiedLayerNormalization" => at_least(fewest(&[int(node, "axis").unwrap_or(-1)])),
        "Split" | "Gather" | "ArgMax" | "ArgMin" | "Concat" => {
            at_least(fewest(&[int(node, "axis").unwrap_or(0)]))
        }
        "CumSum" => at_least(fewest(&listed(1).unwrap_or_default()).max(1)),
        "Resize" if node.attribute.iter().all(|a| a.name != "axes") => {
            let scales = if node.input.len() == 2 { 1 } else { 2 };
            let each = [scales, 3].map(|input| stated.shape(node, input));
            let counts = each.into_iter().flatten().filter_map(|dims| dims.first().copied());
            counts.max().filter(|n| *n > 0).map_or(at_least(1), |n| exactly(n as usize))
        }
        reduce if reduce.starts_with("Reduce") || reduce == "Squeeze" => at_least(fewest(&axes(1))),
        _ => at_least(0),
    }
}

/// The fewest dimensions that have all of these axes; negative ones count from the last.
fn fewest(axes: &[i64]) -> usize {
    let needed = |axis: &i64| if *axis < 0 { axis.unsigned_abs() } else { *axis as u64 + 1 };
    // What no tensor has is beyond any tensor's dimensions.
    axes.iter().map(needed).max().unwrap_or(0).min(MOST_DIMENSIONS as u64 + 1) as usize
}
