//! Where every value of a network lies while it runs on a window of one size.

use std::sync::Arc;

use super::size::{Size, sizes};
use super::{Layer, Network, Op, Value};
use crate::kernels::{self, CHANNEL_STEP, Grid, Isa, View, round_up};
use crate::weights::Store;

/// Pictures below this many pixels are too small for Winograd's tiles.
const WINOGRAD_PIXELS: usize = 32;

/// A network for one window size: every size is known, every value has its place.
#[derive(Debug)]
pub struct Plan {
    pub(super) network: Arc<Network>,
    pub(super) store: Arc<Store>,
    pub(super) isa: Isa,
    pub(super) places: Vec<Place>,
    arena: usize,
    scratch: usize,
    channels: usize,
}

/// Where a value lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Place {
    /// With the caller: input `index`.
    Planes {
        index: usize,
        grid: Grid,
    },
    Vector {
        offset: usize,
        len: usize,
    },
    Picture(View),
}

impl Place {
    pub(super) fn view(self) -> View {
        match self {
            Place::Picture(view) => view,
            // Sizes have been checked: no layer takes something else for a picture.
            _ => View { offset: 0, grid: Grid { height: 0, width: 0, channels: 0 } },
        }
    }
}

impl Plan {
    /// A plan for inputs of the given `(height, width)`, one for each input of the network (that
    /// of a vector is ignored). An error says which layer cannot take what it gets.
    pub fn new(
        network: Arc<Network>,
        store: Arc<Store>,
        isa: Isa,
        inputs: &[(usize, usize)],
    ) -> Result<Plan, String> {
        let sizes = sizes(&network, &store, inputs)?;
        let mut plan = Plan {
            places: Vec::with_capacity(sizes.len()),
            arena: 0,
            scratch: 0,
            channels: CHANNEL_STEP,
            network,
            store,
            isa,
        };
        plan.place(&sizes);
        let network = plan.network.clone();
        for layer in &network.layers {
            plan.scratch = plan.scratch.max(plan.scratch_of(layer));
        }
        Ok(plan)
    }

    /// Bytes of working memory that each thread needs.
    pub fn bytes(&self) -> usize {
        (self.arena + self.scratch + 3 * self.channels) * size_of::<f32>()
            + self.channels * size_of::<f64>()
            + 2 * LINE * size_of::<f32>()
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Number of values of every input and output.
    pub fn lengths(&self) -> (Vec<usize>, Vec<usize>) {
        let volume = |grid: Grid| grid.height * grid.width * grid.channels;
        let len = |value: Value| match self.places[value] {
            Place::Vector { len, .. } => len,
            Place::Planes { grid, .. } => volume(grid),
            Place::Picture(view) => volume(view.grid),
        };
        let inputs = (0..self.network.inputs.len()).map(len).collect();
        (inputs, self.network.outputs.iter().map(|o| len(o.value)).collect())
    }

    /// Every layer's name, the shape of its result and its multiply-accumulates.
    pub fn layers(&self) -> Vec<(&'static str, Vec<usize>, u64)> {
        let layers = self.network.layers.iter().enumerate();
        let described = layers.map(|(i, layer)| {
            let shape = match self.places[self.network.value_of(i)] {
                Place::Vector { len, .. } => vec![len],
                Place::Planes { grid, .. } => vec![grid.channels, grid.height, grid.width],
                Place::Picture(View { grid, .. }) => vec![grid.channels, grid.height, grid.width],
            };
            let inputs = || self.places[layer.inputs[0]].view().grid;
            let pixels = shape.iter().skip(1).product::<usize>();
            // More than a 32-bit number holds.
            let product = |factors: &[usize]| factors.iter().fold(1, |n, &m| n * m as u64);
            let macs = match &layer.op {
                Op::Linear { inputs, outputs, .. } => product(&[*inputs, *outputs]),
                Op::Conv(conv) => {
                    product(&[conv.kernel, conv.kernel, inputs().channels, conv.outputs, pixels])
                }
                Op::Transposed { outputs, .. } => product(&[inputs().channels, *outputs, pixels]),
                _ => 0,
            };
            (layer.op.name(), shape, macs)
        });
        described.collect()
    }

    /// Makes room in `memory` for a run.
    pub fn reserve(&self, memory: &mut super::Memory) {
        memory.reserve(self.arena, self.scratch, self.channels);
    }

    /// Gives every value its place: vectors at the front, pictures behind them, each at the lowest
    /// free place when it is made. A picture takes the place of one that is used for the last
    /// time, where its layer can work in place.
    fn place(&mut self, sizes: &[Size]) {
        let network = self.network.clone();
        let mut last = vec![0; sizes.len()];
        for (i, layer) in network.layers.iter().enumerate() {
            layer.inputs.iter().for_each(|v| last[*v] = i);
        }
        network.outputs.iter().for_each(|o| last[o.value] = usize::MAX);
        for size in sizes {
            if let Size::Vector(len) = size {
                self.arena += round_up(*len, CHANNEL_STEP);
            }
        }
        let mut vectors = 0;
        let mut live: Vec<(View, usize)> = Vec::new();
        let first = round_up(self.arena, LINE);
        for (value, size) in sizes.iter().enumerate() {
            let layer = value.checked_sub(network.inputs.len());
            let place = match *size {
                Size::Planes(grid) => Place::Planes { index: value, grid },
                Size::Vector(len) => {
                    vectors += round_up(len, CHANNEL_STEP);
                    Place::Vector { offset: vectors - round_up(len, CHANNEL_STEP), len }
                }
                Size::Picture(grid) => {
                    let i = layer.unwrap_or(0);
                    let taken = in_place(&network.layers[i])
                        .filter(|v| last[*v] == i)
                        .map(|v| self.places[v].view())
                        .filter(|view| view.grid == grid);
                    live.retain(|(view, end)| *end >= i && Some(*view) != taken);
                    let view = taken.unwrap_or_else(|| lowest(&live, first, grid));
                    live.push((view, last[value]));
                    live.sort_by_key(|(view, _)| view.offset);
                    self.arena = self.arena.max(view.offset + grid.floats());
                    self.channels = self.channels.max(grid.pixel());
                    Place::Picture(view)
                }
            };
            self.places.push(place);
        }
    }

    fn scratch_of(&self, layer: &Layer) -> usize {
        let weights = |tensor| self.store.weights(tensor);
        if let Op::Linear { weights: tensor, .. } | Op::Constant { values: tensor, .. } = layer.op {
            return weights(tensor).widened_len();
        }
        let Some(output) = self.output_of(layer) else { return 0 };
        match &layer.op {
            Op::Conv(conv) => {
                let input = self.places[layer.inputs[0]].view();
                if let Some(job) = self.int8(layer, conv, input, output) {
                    return job.scratch_len(self.isa);
                }
                let weights = weights(conv.weights);
                match self.winograd(conv, input, output) {
                    Some(job) => job.scratch_len(&weights),
                    None => self.direct(conv, input, output).scratch_len(&weights),
                }
            }
            Op::Transposed { weights: tensor, .. } => {
                let input = self.places[layer.inputs[0]].view();
                transposed(input, output, 0).scratch_len(&weights(*tensor))
            }
            _ => 0,
        }
    }

    /// The place of the picture that a layer makes.
    fn output_of(&self, layer: &Layer) -> Option<View> {
        let index = self.network.layers.iter().position(|l| std::ptr::eq(l, layer))?;
        Some(self.places[self.network.value_of(index)].view())
    }

    /// Winograd's method for a convolution, where it is one at stride 1 and worth it.
    pub(super) fn winograd(
        &self,
        conv: &super::Conv,
        input: View,
        output: View,
    ) -> Option<kernels::Winograd> {
        let worth = input.grid.channels.min(output.grid.channels) >= CHANNEL_STEP
            && output.grid.height * output.grid.width >= WINOGRAD_PIXELS;
        (conv.kernel == 3 && conv.stride == 1 && conv.pad == [1, 1] && worth)
            .then_some(kernels::Winograd { input, output })
    }

    /// A convolution in whole numbers, where the network asks for it.
    pub(super) fn int8(
        &self,
        layer: &Layer,
        conv: &super::Conv,
        input: View,
        output: View,
    ) -> Option<kernels::ConvInt8> {
        let signed = !self.network.is_non_negative(layer.inputs[0]);
        (conv.arithmetic == super::Arithmetic::Int8)
            .then(|| kernels::ConvInt8 { conv: self.direct(conv, input, output), signed })
    }

    pub(super) fn direct(&self, conv: &super::Conv, input: View, output: View) -> kernels::Conv {
        let super::Conv { kernel, stride, pad, .. } = *conv;
        kernels::Conv { input, output, kernel, stride, pad: pad[0], spread: (1, 0, 0) }
    }
}

/// One of the four taps of a transposed convolution.
pub(super) fn transposed(input: View, output: View, tap: usize) -> kernels::Conv {
    let spread = (2, tap / 2, tap % 2);
    kernels::Conv { input, output, kernel: 1, stride: 1, pad: 0, spread }
}

/// The input whose place the result may take.
fn in_place(layer: &Layer) -> Option<Value> {
    match &layer.op {
        Op::Pointwise(_) | Op::Norm { .. } | Op::Add => layer.inputs.first().copied(),
        // Not where the residual is also what the convolution reads.
        Op::Conv(super::Conv { residual: true, .. }) | Op::Transposed { residual: true, .. } => {
            layer.inputs.get(2).copied().filter(|v| *v != layer.inputs[0])
        }
        _ => None,
    }
}

/// Floats of a cache line, on which pictures begin: vectors across two of them are slower.
const LINE: usize = 16;

/// The lowest place from `first` on for a grid between live pictures, which are in order.
fn lowest(live: &[(View, usize)], first: usize, grid: Grid) -> View {
    let mut offset = first;
    for (view, _) in live {
        if offset + grid.floats() <= view.offset {
            break;
        }
        offset = round_up(offset.max(view.offset + view.grid.floats()), LINE);
    }
    View { offset, grid }
}
