//! The size of every value of a network for inputs of given sizes, and whether each operator can
//! take what it gets: a model file is not to be trusted.

use crate::kernels::{Grid, MOST_INPUTS};

use super::{Arithmetic, Conv, Input, Layer, Network, Op};
use crate::weights::{Format, Store};

/// The size of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    Vector(usize),
    /// As the caller gives it.
    Planes(Grid),
    /// As the kernels take it.
    Picture(Grid),
}

/// Largest side of a picture, channels of one, or length of a vector: far beyond any network for
/// small boards, and small enough that no product of sizes overflows.
const MOST: usize = 1 << 16;
/// Layers of a network, and its inputs and outputs: work on a network grows with their square.
const MOST_LAYERS: usize = 8192;
/// Most values of one picture.
const MOST_VALUES: u64 = 1 << 31;
/// Most floats of all values together, as they lie in memory: what a process can address.
const MOST_FLOATS: u64 = isize::MAX as u64 / size_of::<f32>() as u64;

/// The sizes of all values, for picture inputs of `sizes` (`(height, width)`; what stands for a
/// vector is ignored). An error names the layer and what it cannot take.
pub fn sizes(
    network: &Network,
    store: &Store,
    sizes: &[(usize, usize)],
) -> Result<Vec<Size>, String> {
    if sizes.len() != network.inputs.len() {
        return Err(format!("{} inputs, found {}", network.inputs.len(), sizes.len()));
    }
    for count in [network.inputs.len(), network.layers.len(), network.outputs.len()] {
        if count > MOST_LAYERS {
            return Err(format!("at most {MOST_LAYERS} inputs, layers and outputs, found {count}"));
        }
    }
    let mut known = Vec::new();
    for (input, &(height, width)) in network.inputs.iter().zip(sizes) {
        known.push(match *input {
            Input::Planes { channels } => Size::Planes(Grid { height, width, channels }),
            Input::Vector { len } => Size::Vector(len),
        });
        bounded(known[known.len() - 1])?;
    }
    for (i, layer) in network.layers.iter().enumerate() {
        let size = layer_size(layer, &known, store)
            .and_then(bounded)
            .map_err(|e| format!("layer {i} ({}): {e}", layer.op.name()))?;
        known.push(size);
    }
    let floats = known.iter().copied().map(floats).sum::<u64>();
    if floats > MOST_FLOATS {
        return Err(format!("at most {MOST_FLOATS} values in memory, found {floats}"));
    }
    for output in &network.outputs {
        match known.get(output.value) {
            Some(Size::Vector(_)) if output.shuffle == 1 => {}
            Some(Size::Picture(grid))
                if (1..=16).contains(&output.shuffle)
                    && grid.channels.is_multiple_of(output.shuffle * output.shuffle) => {}
            other => return Err(format!("output {output:?} of {other:?}")),
        }
    }
    Ok(known)
}

fn bounded(size: Size) -> Result<Size, String> {
    let fine = match size {
        Size::Vector(len) => (1..=MOST).contains(&len),
        Size::Planes(g) | Size::Picture(g) => {
            [g.height, g.width, g.channels].iter().all(|n| (1..=MOST).contains(n))
                && [g.width, g.channels].iter().fold(g.height as u64, |n, &m| n * m as u64)
                    <= MOST_VALUES
        }
    };
    if fine { Ok(size) } else { Err(format!("a possible size, found {size:?}")) }
}

/// At least the floats that a value takes in memory, with its padding.
fn floats(size: Size) -> u64 {
    let padded = |n: usize| n as u64 + 8;
    match size {
        Size::Vector(len) => padded(len),
        Size::Planes(_) => 0,
        Size::Picture(g) => padded(g.height) * padded(g.width) * padded(g.channels),
    }
}

fn layer_size(layer: &Layer, known: &[Size], store: &Store) -> Result<Size, String> {
    let inputs: Option<Vec<Size>> = layer.inputs.iter().map(|v| known.get(*v).copied()).collect();
    let inputs = inputs.ok_or("earlier values as inputs")?;
    let weights = |tensor: usize, len: usize| match store.len_of(tensor) {
        Some(found) if found == len => Ok(()),
        found => Err(format!("tensor {tensor} of {len} weights, found {found:?}")),
    };
    // Those of a convolution have scales per output channel.
    let blocks = |tensor: usize, len: usize, outputs: usize| {
        weights(tensor, len)?;
        match store.tensors().get(tensor).map(|entry| entry.outputs) {
            Some(found) if found == outputs => Ok(()),
            found => Err(format!("tensor {tensor} of {outputs} outputs, found {found:?}")),
        }
    };
    let odd = || Err(format!("other inputs than {inputs:?}"));
    Ok(match (&layer.op, inputs.as_slice()) {
        (Op::Constant { values, len }, []) => {
            weights(*values, *len)?;
            Size::Vector(*len)
        }
        (Op::Linear { weights: w, inputs, outputs }, [Size::Vector(n)]) if n == inputs => {
            weights(*w, inputs.saturating_mul(*outputs))?;
            Size::Vector(*outputs)
        }
        (Op::Unary(_), [Size::Vector(n)]) => Size::Vector(*n),
        (Op::Binary(_), [Size::Vector(a), Size::Vector(b)]) if a == b || *a == 1 || *b == 1 => {
            Size::Vector(*a.max(b))
        }
        (Op::Join, [_, ..]) => {
            let lens: Option<Vec<usize>> = inputs
                .iter()
                .map(|size| if let Size::Vector(n) = size { Some(*n) } else { None })
                .collect();
            Size::Vector(lens.ok_or("vectors")?.iter().sum())
        }
        (Op::Slice { start, len }, [Size::Vector(n)]) if start.saturating_add(*len) <= *n => {
            Size::Vector(*len)
        }
        (Op::FromPlanes { unshuffle }, [Size::Planes(g)] | [Size::Planes(g), Size::Vector(1)]) => {
            Size::Picture(gather(*g, *unshuffle)?)
        }
        (Op::Conv(conv), [Size::Picture(g), Size::Vector(bias), rest @ ..]) => {
            let inputs = volume(&[conv.kernel, conv.kernel, g.channels]);
            blocks(conv.weights, inputs.saturating_mul(conv.outputs), conv.outputs)?;
            arithmetic(conv, inputs, store)?;
            let grid = conv_size(conv, *g)?;
            residual(conv.residual, rest, grid, *bias, conv.outputs)?
        }
        (
            Op::Transposed { weights: w, outputs, residual: is, .. },
            [Size::Picture(g), Size::Vector(bias), rest @ ..],
        ) => {
            blocks(*w, volume(&[4, g.channels, *outputs]), *outputs)?;
            let grid = Grid { height: 2 * g.height, width: 2 * g.width, channels: *outputs };
            residual(*is, rest, grid, *bias, *outputs)?
        }
        (Op::Pointwise(_), [Size::Picture(g), Size::Vector(a), Size::Vector(b)])
            if [*a, *b].iter().all(|n| *n == 1 || *n == g.channels) =>
        {
            Size::Picture(*g)
        }
        (Op::Norm { groups, .. }, [Size::Picture(g), Size::Vector(a), Size::Vector(b)])
            if *groups > 0
                && g.channels.is_multiple_of(*groups)
                && [*a, *b].iter().all(|n| *n == 1 || *n == g.channels) =>
        {
            Size::Picture(*g)
        }
        (Op::Add, [Size::Picture(a), Size::Picture(b)]) if a == b => Size::Picture(*a),
        (Op::Concat, [Size::Picture(first), ..]) => {
            let mut channels = 0;
            for size in &inputs {
                match size {
                    Size::Picture(g) if (g.height, g.width) == (first.height, first.width) => {
                        channels += g.channels;
                    }
                    _ => return odd(),
                }
            }
            Size::Picture(Grid { channels, ..*first })
        }
        (Op::Channels { start, len }, [Size::Picture(g)])
            if *len > 0 && start.saturating_add(*len) <= g.channels =>
        {
            Size::Picture(Grid { channels: *len, ..*g })
        }
        (Op::Average { factor }, [Size::Picture(g)]) => {
            let Grid { height, width, .. } = gather(*g, *factor)?;
            Size::Picture(Grid { height, width, ..*g })
        }
        (Op::Upsample { factor }, [Size::Picture(g)]) if (1..=16).contains(factor) => {
            Size::Picture(Grid { height: g.height * factor, width: g.width * factor, ..*g })
        }
        (Op::SpaceToDepth { factor }, [Size::Picture(g)]) => Size::Picture(gather(*g, *factor)?),
        (Op::DepthToSpace { factor }, [Size::Picture(g)])
            if (1..=16).contains(factor) && g.channels.is_multiple_of(factor * factor) =>
        {
            Size::Picture(Grid {
                height: g.height * factor,
                width: g.width * factor,
                channels: g.channels / (factor * factor),
            })
        }
        _ => return odd(),
    })
}

fn volume(sides: &[usize]) -> usize {
    sides.iter().fold(1, |product, n| product.saturating_mul(*n))
}

fn gather(grid: Grid, factor: usize) -> Result<Grid, String> {
    let Grid { height, width, channels } = grid;
    if !(1..=16).contains(&factor) || height % factor != 0 || width % factor != 0 {
        return Err(format!("sides that are multiples of {factor}, found {width}x{height}"));
    }
    let channels = channels * factor * factor;
    Ok(Grid { height: height / factor, width: width / factor, channels })
}

fn conv_size(conv: &Conv, grid: Grid) -> Result<Grid, String> {
    let Conv { kernel, stride, pad, .. } = *conv;
    if !(1..=3).contains(&kernel) || !(1..=2).contains(&stride) || pad.iter().any(|p| *p > 1) {
        return Err(format!("kernel 1 to 3, stride 1 or 2, pad 0 or 1, found {conv:?}"));
    }
    let along = |n: usize| match (n + pad[0] + pad[1]).checked_sub(kernel) {
        Some(room) => Ok(room / stride + 1),
        None => Err(format!("sides of at least {}, found {n}", kernel - pad[0] - pad[1])),
    };
    Ok(Grid { height: along(grid.height)?, width: along(grid.width)?, channels: conv.outputs })
}

/// Whether a convolution of `inputs` per sum can be done in the arithmetic that it asks for.
fn arithmetic(conv: &Conv, inputs: usize, store: &Store) -> Result<(), String> {
    let format = store.tensors().get(conv.weights).map(|entry| entry.format);
    match conv.arithmetic {
        Arithmetic::Int8 if format != Some(Format::Int8) => {
            Err(format!("weights in int8 for int8 arithmetic, found {format:?}"))
        }
        Arithmetic::Int8 if inputs > MOST_INPUTS => {
            Err(format!("at most {MOST_INPUTS} inputs of a sum in int8 arithmetic, found {inputs}"))
        }
        _ => Ok(()),
    }
}

fn residual(
    is: bool,
    rest: &[Size],
    grid: Grid,
    bias: usize,
    outputs: usize,
) -> Result<Size, String> {
    if bias != 1 && bias != outputs {
        return Err(format!("a bias of {outputs} values, found {bias}"));
    }
    match (is, rest) {
        (false, []) => Ok(Size::Picture(grid)),
        (true, [Size::Picture(other)]) if *other == grid => Ok(Size::Picture(grid)),
        _ => Err(format!("a residual of {grid:?} or none, found {rest:?}")),
    }
}

impl Op {
    /// The name for messages and lists.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Constant { .. } => "constant",
            Op::Linear { .. } => "linear",
            Op::Unary(_) => "unary",
            Op::Binary(_) => "binary",
            Op::Join => "join",
            Op::Slice { .. } => "slice",
            Op::FromPlanes { .. } => "from-planes",
            Op::Conv(_) => "conv",
            Op::Transposed { .. } => "transposed",
            Op::Pointwise(_) => "pointwise",
            Op::Norm { .. } => "norm",
            Op::Add => "add",
            Op::Concat => "concat",
            Op::Channels { .. } => "channels",
            Op::Average { .. } => "average",
            Op::Upsample { .. } => "upsample",
            Op::SpaceToDepth { .. } => "space-to-depth",
            Op::DepthToSpace { .. } => "depth-to-space",
        }
    }
}
