//! What may be asked of each operator, as far as a file states it.

use std::fmt::Debug;
use std::ops::RangeInclusive;

use tract_onnx::pb::NodeProto;

use super::Refusal;
use super::attributes::{int, ints};
use super::constants::Constants;
use super::operators::{MOST_PARTS, place};
use super::tensor::MOST_DIMENSIONS;

/// Sides of convolution kernels, and what goes with them. Published UNets use kernels of up to 7,
/// strides of up to 4 and dilations of up to 16; networks on patches, kernels and strides of 32.
const KERNEL: RangeInclusive<i64> = 1..=64;
const STRIDE: RangeInclusive<i64> = 1..=64;
const DILATION: RangeInclusive<i64> = 1..=64;
const PADDING: RangeInclusive<i64> = 0..=256;
/// Channels, groups of channels.
const CHANNELS: RangeInclusive<i64> = 1..=1 << 16;
/// Factors of `Resize`: no UNet skips more than four levels at once.
const SCALE: RangeInclusive<f64> = 1.0 / 64.0..=16.0;
const SIDE: RangeInclusive<f64> = 1.0..=65536.0;
const BLOCK: RangeInclusive<i64> = 1..=16;
/// Elements of a tensor that a file describes by its shape alone.
const SHAPED: f64 = (1 << 24) as f64;

const AXES: RangeInclusive<f64> = -(MOST_DIMENSIONS as f64)..=MOST_DIMENSIONS as f64;

/// Refuses what an operator cannot mean, as far as the file states it.
pub fn check(node: &NodeProto, stated: &Constants) -> Result<(), Refusal> {
    match node.op_type.as_str() {
        "Conv" | "ConvInteger" | "ConvTranspose" => window(node, stated.shape(node, 1)),
        "QLinearConv" => window(node, stated.shape(node, 3)),
        "AveragePool" | "MaxPool" => window(node, None),
        "GroupNormalization" => groups(node, stated),
        "DepthToSpace" | "SpaceToDepth" => {
            one(node, "blocksize", int(node, "blocksize").unwrap_or(0), BLOCK)
        }
        "LRN" => one(node, "size", int(node, "size").unwrap_or(0), KERNEL),
        "Transpose" => permutation(node),
        "Resize" => resize(node, stated),
        "Range" => range(node, stated),
        "Reshape" => shape(node, stated, 1, -1.0, f64::from(i32::MAX)),
        "Expand" => shape(node, stated, 1, -1.0, SHAPED),
        "ConstantOfShape" => shape(node, stated, 0, 0.0, SHAPED),
        "Tile" => shape(node, stated, 1, 0.0, SHAPED),
        "Split" => list(node, stated, 1, MOST_PARTS, 0.0..=f64::from(i32::MAX)).map(drop),
        "Squeeze" | "Unsqueeze" => list(node, stated, 1, MOST_DIMENSIONS, AXES).map(drop),
        reduce if reduce.starts_with("Reduce") => {
            list(node, stated, 1, MOST_DIMENSIONS, AXES).map(drop)
        }
        "Pad" => {
            let pads = ints(node, "pads").map(|pads| pads.iter().map(|&p| p as f64).collect());
            let pads = pads.or(stated.input(node, 1)).unwrap_or_default();
            let most = *SIDE.end();
            all(node, "paddings", &pads, -most..=most)
        }
        _ => Ok(()),
    }
}

fn one(
    node: &NodeProto,
    name: &str,
    value: i64,
    range: RangeInclusive<i64>,
) -> Result<(), Refusal> {
    all(node, name, &[value], range)
}

/// Every value within a range; not-a-number is within none.
fn all<T: PartialOrd + Debug>(
    node: &NodeProto,
    what: &str,
    values: &[T],
    range: RangeInclusive<T>,
) -> Result<(), Refusal> {
    if values.iter().all(|v| range.contains(v)) {
        return Ok(());
    }
    let (first, last) = range.into_inner();
    let expected = format!("{what} from {first:?} to {last:?} at {}", place(node));
    Refusal::because(expected, format!("{values:?}"))
}

/// Convolutions and pools; `weights` is the shape of the kernel, where the file states it.
fn window(node: &NodeProto, weights: Option<Vec<i64>>) -> Result<(), Refusal> {
    let kernel = weights.as_deref().map(|w| w.get(2..).unwrap_or(&[]));
    let lists = [
        ("kernel_shape", KERNEL, 1),
        ("strides", STRIDE, 1),
        ("dilations", DILATION, 1),
        ("pads", PADDING, 2),
        ("output_padding", 0..=*STRIDE.end(), 1),
        ("output_shape", 1..=*SIDE.end() as i64, 1),
    ];
    let mut rank = kernel.map(<[i64]>::len);
    window_axes(node, rank.unwrap_or(1))?;
    for (name, range, per_axis) in lists {
        let Some(values) = ints(node, name) else { continue };
        all(node, name, values, range)?;
        let axes = *rank.get_or_insert(values.len() / per_axis);
        if values.len() != axes * per_axis {
            let expected = format!("{} {name} at {}", axes * per_axis, place(node));
            return Refusal::because(expected, format!("{values:?}"));
        }
    }
    window_axes(node, rank.unwrap_or(0))?;
    if let (Some(kernel), Some(stated)) = (kernel, ints(node, "kernel_shape"))
        && kernel != stated
    {
        let expected = format!("the kernel_shape of its weights {kernel:?} at {}", place(node));
        return Refusal::because(expected, format!("{stated:?}"));
    }
    all(node, "sides of a kernel", kernel.unwrap_or(&[]), KERNEL)?;
    let auto = node.attribute.iter().find(|a| a.name == "auto_pad").map(|a| &a.s[..]);
    if !matches!(auto, None | Some(b"" | b"NOTSET" | b"VALID" | b"SAME_UPPER" | b"SAME_LOWER")) {
        let found = String::from_utf8_lossy(auto.unwrap_or_default()).escape_debug().to_string();
        return Refusal::because(format!("an auto_pad of ONNX at {}", place(node)), found);
    }
    let group = int(node, "group").unwrap_or(1);
    one(node, "group", group, CHANNELS)?;
    let Some(weights) = weights else { return Ok(()) };
    all(node, "channels", &weights[..2], CHANNELS)?;
    // The first dimension counts the channels that the groups share out.
    if weights[0] % group != 0 {
        let expected = format!("a group that divides {} channels at {}", weights[0], place(node));
        return Refusal::because(expected, group);
    }
    Ok(())
}

fn window_axes(node: &NodeProto, axes: usize) -> Result<(), Refusal> {
    if !(1..=3).contains(&axes) {
        let expected = format!("a window of 1 to 3 dimensions at {}", place(node));
        return Refusal::because(expected, axes);
    }
    Ok(())
}

fn groups(node: &NodeProto, stated: &Constants) -> Result<(), Refusal> {
    let groups = int(node, "num_groups").unwrap_or(0);
    one(node, "num_groups", groups, CHANNELS)?;
    // One scale per channel; in operator set 18, one per group.
    match stated.shape(node, 1).as_deref() {
        Some(&[scales]) if scales % groups != 0 => {
            let expected = format!("num_groups that divide {scales} channels at {}", place(node));
            Refusal::because(expected, groups)
        }
        _ => Ok(()),
    }
}

fn permutation(node: &NodeProto) -> Result<(), Refusal> {
    let Some(perm) = ints(node, "perm") else { return Ok(()) };
    let mut sorted = perm.to_vec();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..perm.len() as i64) {
        let expected = format!("perm as an order of all axes at {}", place(node));
        return Refusal::because(expected, format!("{perm:?}"));
    }
    Ok(())
}

/// Scales or sizes; those that depend on the window's size are left to the check of shapes.
fn resize(node: &NodeProto, stated: &Constants) -> Result<(), Refusal> {
    let given = |index: usize| node.input.get(index).is_some_and(|name| !name.is_empty());
    // Operator set 10 has the scales where later ones have the region.
    let scales = if node.input.len() == 2 { 1 } else { 2 };
    let stated_scales = stated.input(node, scales);
    // Exporters leave the scales empty where sizes are given.
    let is_empty = stated.shape(node, scales).is_some_and(|dims| dims.contains(&0));
    if !given(3) && (!given(scales) || is_empty) {
        return Refusal::because(format!("scales or sizes at {}", place(node)), "neither");
    }
    all(node, "scales", &stated_scales.unwrap_or_default(), SCALE)?;
    all(node, "sizes", &stated.input(node, 3).unwrap_or_default(), SIDE)
}

fn range(node: &NodeProto, stated: &Constants) -> Result<(), Refusal> {
    let values: Vec<f64> = (0..3).filter_map(|i| stated.input(node, i)).flatten().collect();
    let &[start, limit, delta] = &values[..] else { return Ok(()) };
    // Not-a-number is within no range.
    let count = (limit - start) / delta;
    if delta == 0.0 || !(-SHAPED..=SHAPED).contains(&count) {
        let expected = format!("a range of at most {SHAPED} values at {}", place(node));
        return Refusal::because(expected, format!("{values:?}"));
    }
    Ok(())
}

/// The list in an input, where the file states it: at most `most` values of a range.
fn list(
    node: &NodeProto,
    stated: &Constants,
    input: usize,
    most: usize,
    range: RangeInclusive<f64>,
) -> Result<Vec<f64>, Refusal> {
    let dims = stated.shape(node, input).unwrap_or_default();
    let count: i64 = dims.iter().product();
    if dims.len() > 1 || count > most as i64 {
        let expected =
            format!("a list of at most {most} values as input {input} of {}", place(node));
        return Refusal::because(expected, format!("a tensor of shape {dims:?}"));
    }
    let values = stated.input(node, input).unwrap_or_default();
    all(node, "values", &values, range)?;
    Ok(values)
}

/// The shape in an input, where the file states it: of at most `most` elements.
fn shape(
    node: &NodeProto,
    stated: &Constants,
    input: usize,
    least: f64,
    most: f64,
) -> Result<(), Refusal> {
    let dims = list(node, stated, input, MOST_DIMENSIONS, least..=most)?;
    let product: f64 = dims.iter().filter(|&&dim| dim > 0.0).product();
    if product > most {
        let expected = format!("at most {most} elements at {}", place(node));
        return Refusal::because(expected, format!("{dims:?}"));
    }
    Ok(())
}
