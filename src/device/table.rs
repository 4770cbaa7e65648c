//! Which operators tract translates for CUDA, and where its source says so.
//!
//! A graph is translated node by node, and a node that is not runs on the processor, with its
//! inputs and outputs going over the bus. So every operator of a step must stand here.

use tract_core::internal::*;
use tract_core::ops::binary::TypedBinOp;
use tract_core::ops::cnn::conv::Conv;
use tract_core::ops::einsum::prefix_matmul::{PrefixMatMul, rewrite_einsum_to_prefix_matmul};
use tract_core::ops::element_wise::ElementWiseOp;
use tract_core::ops::nn::{Reduce, rewrite_nearest_upsample_to_broadcast};
use tract_core::ops::source::TypedSource;

/// The version of tract-cuda and tract-gpu that the table was read from.
pub const VERSION: &str = "0.23.9";

/// One operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// As tract names it.
    pub operator: &'static str,
    /// The file in tract-cuda or tract-gpu, and the line.
    pub file: &'static str,
    pub line: usize,
    /// What stands on that line.
    pub says: &'static str,
}

const fn entry(
    operator: &'static str,
    file: &'static str,
    line: usize,
    says: &'static str,
) -> Entry {
    Entry { operator, file, line, says }
}

const BINARY: &str = "tract-cuda/src/kernels/binary.rs";
const ELEMENT: &str = "tract-cuda/src/kernels/element_wise.rs";
const COPY: &str = "tract-gpu/src/ops/copy_based.rs";
const TRANSFORM: &str = "tract-cuda/src/transform.rs";

/// Every operator that a step may hold.
pub const TABLE: &[Entry] = &[
    entry("Const", TRANSFORM, 520, "node.op_as::<Const>()"),
    entry("PrefixMatMul", TRANSFORM, 487, "node.op_as::<PrefixMatMul>()"),
    entry("Conv", TRANSFORM, 510, "node.op_as::<Conv>()"),
    entry("Slice", COPY, 26, "node.op_as::<Slice>()"),
    entry("Concat", COPY, 29, "node.op_as::<TypedConcat>()"),
    entry("MultiBroadcastTo", COPY, 16, "node.op_as::<MultiBroadcastTo>()"),
    entry("Reshape", COPY, 19, "node.op_as::<AxisOp>()"),
    entry("MoveAxis", COPY, 19, "node.op_as::<AxisOp>()"),
    entry("AddAxis", COPY, 19, "node.op_as::<AxisOp>()"),
    entry("RmAxis", COPY, 19, "node.op_as::<AxisOp>()"),
    entry("Pad", COPY, 45, "node.op_as::<Pad>()"),
    entry("Cast", "tract-cuda/src/kernels/array/cast.rs", 96, "ops::cast::Cast"),
    entry("Iff", "tract-cuda/src/kernels/iff.rs", 172, "ops::logic::Iff"),
    entry("Reduce<Sum>", "tract-cuda/src/kernels/nn/reduce.rs", 74, "ops::nn::Reduce"),
    entry("Reduce<Max>", "tract-cuda/src/kernels/nn/reduce.rs", 74, "ops::nn::Reduce"),
    entry("Reduce<Min>", "tract-cuda/src/kernels/nn/reduce.rs", 74, "ops::nn::Reduce"),
    entry("Reduce<MeanOfSquares>", "tract-cuda/src/kernels/nn/reduce.rs", 74, "ops::nn::Reduce"),
    entry("Softmax", "tract-cuda/src/kernels/nn/softmax.rs", 84, "ops::nn::Softmax"),
    entry("Mul", BINARY, 13, "\"mul\""),
    entry("Add", BINARY, 13, "\"add\""),
    entry("Div", BINARY, 13, "\"div\""),
    entry("Sub", BINARY, 13, "\"sub\""),
    entry("Pow", BINARY, 13, "\"pow\""),
    entry("Min", BINARY, 13, "\"min\""),
    entry("Max", BINARY, 13, "\"max\""),
    entry("GTE", BINARY, 13, "\"gte\""),
    entry("Neg", ELEMENT, 11, "\"neg\""),
    entry("Abs", ELEMENT, 12, "\"abs\""),
    entry("Square", ELEMENT, 13, "\"square\""),
    entry("Sqrt", ELEMENT, 14, "\"sqrt\""),
    entry("Rsqrt", ELEMENT, 15, "\"rsqrt\""),
    entry("Recip", ELEMENT, 16, "\"recip\""),
    entry("Exp", ELEMENT, 21, "\"exp\""),
    entry("Sigmoid", ELEMENT, 22, "\"sigmoid\""),
    entry("Sin", ELEMENT, 23, "\"sin\""),
    entry("Cos", ELEMENT, 27, "\"cos\""),
    entry("Tanh", ELEMENT, 32, "\"tanh\""),
    entry("Ln", ELEMENT, 36, "\"ln\""),
    entry("Silu", ELEMENT, 37, "\"silu\""),
];

/// Why a node would not run on a device, or where its translation is.
pub fn translated(
    model: &TypedModel,
    node: &TypedNode,
) -> TractResult<Result<&'static Entry, String>> {
    let name = node.op.name();
    let facts = model.node_input_facts(node.id)?;
    let Some(entry) = TABLE.iter().find(|e| e.operator == name) else {
        return Ok(Err("tract-cuda has no translation".into()));
    };
    let rank = facts.iter().map(|f| f.rank()).max().unwrap_or(0);
    let floats = facts.iter().all(|f| matches!(f.datum_type, DatumType::F32 | DatumType::F16));
    let refuse = |why: &str| Ok(Err(why.to_string()));
    if (node.op_is::<TypedBinOp>() || name == "Iff") && rank > 5 {
        return refuse("operands of more than five axes");
    }
    if node.op_is::<ElementWiseOp>() && !floats {
        return refuse("a function of other than floats");
    }
    if let Some(op) = node.op_as::<Reduce>()
        && op.axes.len() > 1
        && name == "Reduce<MeanOfSquares>"
    {
        return refuse("a mean of squares over more than one axis");
    }
    if let Some(product) = node.op_as::<PrefixMatMul>() {
        // A transposed result is no hindrance: the operands change places before (transform.rs:103).
        let same = facts.iter().all(|f| f.datum_type == facts[0].datum_type);
        if product.quantize_output.is_some() || !same || !floats {
            return refuse("a product of matrices of other than equal floats");
        }
    }
    if let Some(conv) = node.op_as::<Conv>() {
        let shape = conv.pool_spec.data_format.shape(&facts[0].shape)?;
        let padding = conv.pool_spec.computed_padding(shape.hw_dims());
        if !floats || !padding.iter().all(|p| p.pad_before == p.pad_after) {
            return refuse("a convolution that cuDNN cannot do");
        }
    }
    Ok(Ok(entry))
}

/// What tract-cuda makes of a graph before it translates it node by node, where it is tract-core
/// that does it.
pub fn prepared(graph: &TypedModel) -> TractResult<TypedModel> {
    let mut graph = graph.clone();
    rewrite_einsum_to_prefix_matmul(&mut graph, false)?;
    Rewriter::default()
        .with_rule_for("nearest-upsample", rewrite_nearest_upsample_to_broadcast)
        .rewrite(&(), &mut graph)?;
    Ok(graph)
}

/// The nodes of a step that would not run on a device, each with the reason.
pub fn left_behind(graph: &TypedModel) -> TractResult<Vec<String>> {
    let graph = prepared(graph)?;
    let mut left = Vec::new();
    for id in graph.eval_order()? {
        let node = graph.node(id);
        if node.op_is::<TypedSource>() {
            continue;
        }
        if let Err(why) = translated(&graph, node)? {
            left.push(format!("{} ({}): {why}", node.name, node.op.name()));
        }
    }
    Ok(left)
}

/// The operators of graphs, how many nodes there are of each, and where their translation is (or
/// why there is none).
#[cfg(feature = "cuda")]
pub fn summary(graphs: &[TypedModel]) -> TractResult<Vec<(String, usize, String)>> {
    let mut kinds: Vec<(String, usize, String)> = Vec::new();
    for graph in graphs {
        let graph = prepared(graph)?;
        for id in graph.eval_order()? {
            let node = graph.node(id);
            if node.op_is::<TypedSource>() {
                continue;
            }
            let place = match translated(&graph, node)? {
                Ok(entry) => format!("{}:{}", entry.file, entry.line),
                Err(why) => format!("on the processor: {why}"),
            };
            let operator = node.op.name().into_owned();
            match kinds.iter_mut().find(|(known, _, at)| (known, at) == (&operator, &place)) {
                Some((_, count, _)) => *count += 1,
                None => kinds.push((operator, 1, place)),
            }
        }
    }
    kinds.sort();
    Ok(kinds)
}
