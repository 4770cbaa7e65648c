//! What ONNX files are written with: operators, attributes, and strings that attributes take.

/// Operators, each with the number of its inputs. Mostly those that networks have; some that the
/// loader must refuse.
pub const OPERATORS: &str = "\
Abs/1 Acos/1 Acosh/1 ArgMax/1 ArgMin/1 Asin/1 Asinh/1 Atan/1 Atanh/1 AveragePool/1 Cast/1 Ceil/1 \
Celu/1 ConstantOfShape/1 Cos/1 Cosh/1 DepthToSpace/1 DynamicQuantizeLinear/1 Elu/1 Erf/1 Exp/1 \
Flatten/1 Floor/1 Gelu/1 GlobalAveragePool/1 GlobalMaxPool/1 HardSigmoid/1 HardSwish/1 Hardmax/1 \
Identity/1 IsInf/1 IsNaN/1 LRN/1 LeakyRelu/1 Log/1 LogSoftmax/1 LpNormalization/1 MaxPool/1 \
MeanVarianceNormalization/1 Mish/1 Neg/1 Not/1 QuickGelu/1 Reciprocal/1 Relu/1 Round/1 Rsqrt/1 \
Selu/1 Shape/1 Shrink/1 Sigmoid/1 Sign/1 Sin/1 Sinh/1 Size/1 Softmax/1 Softplus/1 Softsign/1 \
SpaceToDepth/1 Sqrt/1 Swish/1 Tan/1 Tanh/1 ThresholdedRelu/1 Transpose/1 FastGelu/2 ReduceL1/1 \
ReduceL2/2 ReduceLogSum/1 ReduceLogSumExp/2 ReduceMax/1 ReduceMean/2 ReduceMin/1 ReduceProd/1 \
ReduceSum/2 ReduceSumSquare/1 Split/2 Split/1 Squeeze/2 Trilu/2 Unsqueeze/2 Clip/3 Dropout/1 Pad/2 \
Pad/3 Pad/4 Resize/2 Resize/3 Resize/4 Slice/3 Slice/4 Slice/5 Concat/2 Concat/3 Max/2 Mean/3 Min/2 \
Sum/3 Add/2 And/2 BiasGelu/2 CastLike/2 CumSum/2 Div/2 Equal/2 Expand/2 Gather/2 GatherElements/2 \
GatherND/2 Greater/2 GreaterOrEqual/2 GridSample/2 Less/2 LessOrEqual/2 MatMul/2 Mod/2 Mul/2 Or/2 \
PRelu/2 Pow/2 RMSNormalization/2 Reshape/2 SimplifiedLayerNormalization/2 Sub/2 Tile/2 Xor/2 Conv/2 \
Conv/3 ConvTranspose/2 ConvTranspose/3 DequantizeLinear/3 Einsum/2 Gemm/3 LayerNormalization/3 \
QuantizeLinear/3 ConvInteger/4 MatMulInteger/4 GroupNormalization/3 InstanceNormalization/3 OneHot/3 \
Range/3 ScatterElements/3 ScatterND/3 Where/3 BatchNormalization/5 QLinearConv/9 QLinearMatMul/8 \
If/1 Loop/2 Scan/2 NonZero/1 TopK/2 RandomNormal/0 EyeLike/1 Upsample/2 Multinomial/1";

/// What an attribute holds.
#[derive(Clone, Copy, PartialEq)]
pub enum Holds {
    Int,
    Ints,
    Float,
    Tensor,
    /// One of these, separated by spaces.
    Text(&'static str),
}

use Holds::*;

/// Attributes and what they hold.
pub const ATTRIBUTES: [(&str, Holds); 60] = [
    ("axis", Int),
    ("axes", Ints),
    ("perm", Ints),
    ("kernel_shape", Ints),
    ("strides", Ints),
    ("dilations", Ints),
    ("pads", Ints),
    ("output_padding", Ints),
    ("output_shape", Ints),
    ("group", Int),
    ("auto_pad", Text("NOTSET VALID SAME_UPPER SAME_LOWER SAME")),
    ("ceil_mode", Int),
    ("count_include_pad", Int),
    ("storage_order", Int),
    ("num_groups", Int),
    ("epsilon", Float),
    ("alpha", Float),
    ("beta", Float),
    ("gamma", Float),
    ("lambd", Float),
    ("bias", Float),
    ("size", Int),
    ("p", Int),
    ("blocksize", Int),
    ("mode", Text("nearest linear cubic constant reflect edge wrap DCR CRD bilinear bicubic")),
    ("keepdims", Int),
    ("noop_with_empty_axes", Int),
    ("exclusive", Int),
    ("reverse", Int),
    ("fmod", Int),
    ("to", Int),
    ("saturate", Int),
    ("approximate", Text("none tanh")),
    ("equation", Text("ij,jk->ik bchw,bcij->bhwij abc,abd->acd ii,ij->i ...a,...b->... a->")),
    ("transA", Int),
    ("transB", Int),
    ("value", Tensor),
    ("split", Ints),
    ("num_outputs", Int),
    ("allowzero", Int),
    ("start", Int),
    ("end", Int),
    ("starts", Ints),
    ("ends", Ints),
    ("select_last_index", Int),
    ("batch_dims", Int),
    ("reduction", Text("none add mul max min")),
    ("upper", Int),
    (
        "coordinate_transformation_mode",
        Text(
            "half_pixel asymmetric align_corners pytorch_half_pixel tf_crop_and_resize \
              half_pixel_symmetric",
        ),
    ),
    ("nearest_mode", Text("round_prefer_floor round_prefer_ceil floor ceil")),
    ("antialias", Int),
    ("keep_aspect_ratio_policy", Text("stretch not_larger not_smaller")),
    ("cubic_coeff_a", Float),
    ("exclude_outside", Int),
    ("extrapolation_value", Float),
    ("align_corners", Int),
    ("padding_mode", Text("zeros border reflection")),
    ("across_channels", Int),
    ("min", Float),
    ("max", Float),
];
