//! Operators of networks for pictures.

use tract_onnx::pb::NodeProto;

use super::Refusal;
use super::attributes::{int, ints};

/// The operators, by the fewest and most inputs that they take. All else is refused: control flow
/// and recurrence, whose bodies would need all these rules again; results whose size depends on
/// values; gathering and scattering at lists of places, where the engine loops without end over
/// indices of rank 0; random numbers; trees and text.
const OPERATORS: [(usize, usize, &str); 13] = [
    (0, 0, "Constant"),
    (
        1,
        1,
        "Abs Acos Acosh ArgMax ArgMin Asin Asinh Atan Atanh AveragePool Cast Ceil Celu \
         ConstantOfShape Cos Cosh DepthToSpace DynamicQuantizeLinear Elu Erf Exp Flatten Floor \
         Gelu GlobalAveragePool GlobalMaxPool HardSigmoid HardSwish Hardmax Identity IsInf IsNaN \
         LRN LeakyRelu Log LogSoftmax LpNormalization MaxPool MeanVarianceNormalization Mish Neg \
         Not QuickGelu Reciprocal Relu Round Rsqrt Selu Shape Shrink Sigmoid Sign Sin Sinh Size \
         Softmax Softplus Softsign SpaceToDepth Sqrt Swish Tan Tanh ThresholdedRelu Transpose",
    ),
    (
        1,
        2,
        "FastGelu ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin \
         ReduceProd ReduceSum ReduceSumSquare Split Squeeze Trilu Unsqueeze",
    ),
    (1, 3, "Clip Dropout"),
    (1, 4, "Pad Resize"),
    (1, 5, "Slice"),
    // The engine's work grows with the cube.
    (1, 32, "Concat Max Mean Min Sum"),
    (
        2,
        2,
        "Add And BiasGelu CastLike CumSum Div Equal Expand Gather Greater \
         GreaterOrEqual GridSample Less LessOrEqual MatMul Mod Mul Or PRelu Pow RMSNormalization \
         Reshape SimplifiedLayerNormalization Sub Tile Xor",
    ),
    (2, 3, "Conv ConvTranspose DequantizeLinear Einsum Gemm LayerNormalization QuantizeLinear"),
    (2, 4, "ConvInteger MatMulInteger"),
    (3, 3, "GroupNormalization InstanceNormalization Range Where"),
    (5, 5, "BatchNormalization"),
    (8, 9, "QLinearConv QLinearMatMul"),
];

/// The most parts that `Split` makes.
pub const MOST_PARTS: usize = 256;

/// The most outputs of an operator.
fn most_outputs(operator: &str) -> usize {
    match operator {
        "Split" => MOST_PARTS,
        "BatchNormalization" => 5,
        "DynamicQuantizeLinear" | "LayerNormalization" => 3,
        "Dropout" | "MaxPool" | "SimplifiedLayerNormalization" => 2,
        _ => 1,
    }
}

/// Names a node in an error.
pub fn place(node: &NodeProto) -> String {
    let named = [&node.name].into_iter().chain(&node.output).find(|name| !name.is_empty());
    let short = |text: &str| text.escape_debug().take(80).collect::<String>();
    let name = named.map_or(String::new(), |name| short(name));
    format!("node `{name}` ({})", short(&node.op_type))
}

/// Refuses unknown operators, and known ones with too few or too many inputs or outputs.
pub fn check_arity(node: &NodeProto) -> Result<(), Refusal> {
    let operator = node.op_type.as_str();
    let found = OPERATORS.iter().find(|(_, _, names)| names.split(' ').any(|n| n == operator));
    let Some(&(fewest, most, _)) = found else {
        let expected = format!("an operator of networks for pictures at {}", place(node));
        return Refusal::because(expected, format!("`{}`", operator.escape_debug()));
    };
    let present = node.input.iter().take_while(|name| !name.is_empty()).count();
    if present < fewest || node.input.len() > most {
        let expected = format!("{fewest} to {most} inputs at {}", place(node));
        return Refusal::because(expected, format!("{:?}", node.input));
    }
    let most = most_outputs(operator);
    if !(1..=most).contains(&node.output.len()) || node.output[0].is_empty() {
        let expected = format!("1 to {most} outputs at {}", place(node));
        return Refusal::because(expected, format!("{} outputs", node.output.len()));
    }
    Ok(())
}

/// Whether an operator calculates more than a few times its inputs and outputs.
pub fn is_heavy(node: &NodeProto) -> bool {
    let operator = node.op_type.as_str();
    operator.contains("Conv")
        || operator.contains("MatMul")
        || matches!(operator, "Gemm" | "Einsum" | "AveragePool" | "MaxPool" | "LRN")
}

/// Values under a pooling window; 1 for what has none.
pub fn kernel_volume(node: &NodeProto) -> u64 {
    let sides = ints(node, "kernel_shape").unwrap_or(&[]);
    let size = int(node, "size").unwrap_or(1);
    sides
        .iter()
        .chain([&size])
        .fold(1u64, |product, side| product.saturating_mul(side.unsigned_abs().max(1)))
}
