//! Running a plan.

use super::plan::{Place, transposed};
use super::vector::{at, linear};
use super::{Layer, Memory, Op, Plan, Value};
use crate::kernels::{self, CHANNEL_STEP, Epilogue, View, round_up};

impl Plan {
    /// Runs the network: `inputs` and `outputs` in the order and sizes of the plan. Allocates only
    /// what `memory` does not hold yet. Panics if a length is not the plan's.
    pub fn run(&self, memory: &mut Memory, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        self.reserve(memory);
        for (value, input) in inputs.iter().enumerate() {
            if let Place::Vector { offset, len } = self.places[value] {
                write(memory, offset, len, |i, _| input[i]);
            }
        }
        for (index, layer) in self.network.layers.iter().enumerate() {
            match self.places[self.network.value_of(index)] {
                Place::Vector { offset, len } => self.run_vector(layer, memory, offset, len),
                Place::Picture(view) => self.run_picture(layer, memory, view, inputs),
                Place::Planes { .. } => {}
            }
        }
        for (output, target) in self.network.outputs.iter().zip(outputs) {
            match self.places[output.value] {
                Place::Vector { offset, len } => {
                    target.copy_from_slice(&memory.arena[offset..offset + len]);
                }
                Place::Picture(view) => {
                    kernels::to_planes(&mut memory.arena, view, target, output.shuffle);
                }
                Place::Planes { .. } => {}
            }
        }
    }

    fn vector<'a>(&self, arena: &'a [f32], value: Value) -> &'a [f32] {
        match self.places[value] {
            Place::Vector { offset, len } => &arena[offset..offset + len],
            // Sizes have been checked: no layer takes something else for a vector.
            _ => &[],
        }
    }

    fn run_vector(&self, layer: &Layer, memory: &mut Memory, offset: usize, len: usize) {
        let value = |i: usize| match self.places[layer.inputs[i]] {
            Place::Vector { offset, len } => offset..offset + len,
            _ => 0..0,
        };
        match &layer.op {
            Op::Constant { values, .. } => {
                let weights = self.store.weights(*values);
                let widened = weights.widen(len, &mut memory.scratch);
                memory.arena[offset..offset + len].copy_from_slice(&widened[..len]);
                clear_rest(&mut memory.arena, offset, len);
            }
            Op::Linear { weights, inputs, outputs } => {
                let weights = self.store.weights(*weights);
                let all = &mut memory.scratch[..weights.widened_len()];
                let weights = weights.widen(*outputs, all);
                // A vector's place lies before or behind its inputs'.
                let (from, to) = apart(&mut memory.arena, value(0), offset..offset + len);
                linear(weights, &from[..*inputs], to);
                clear_rest(&mut memory.arena, offset, len);
            }
            Op::Unary(f) => {
                let from = value(0);
                write(memory, offset, len, |i, arena| f.of(at(&arena[from.clone()], i)));
            }
            Op::Binary(f) => {
                let (a, b) = (value(0), value(1));
                write(memory, offset, len, |i, arena| {
                    f.of(at(&arena[a.clone()], i), at(&arena[b.clone()], i))
                });
            }
            Op::Slice { start, .. } => {
                let from = value(0);
                write(memory, offset, len, |i, arena| arena[from.start + start + i]);
            }
            Op::Join => {
                let mut next = offset;
                for i in 0..layer.inputs.len() {
                    let from = value(i);
                    next += from.len();
                    let to = next - from.len();
                    memory.arena.copy_within(from, to);
                }
                clear_rest(&mut memory.arena, offset, len);
            }
            _ => {}
        }
    }

    /// Copies a vector to the vectors per channel, for `channels` channels, zeros behind.
    fn spread(&self, memory: &mut Memory, slot: usize, value: Value, channels: usize) {
        let vector = self.vector(&memory.arena, value);
        let to = &mut memory.channels[slot][..round_up(channels, CHANNEL_STEP)];
        to.fill(0.0);
        to[..channels].iter_mut().enumerate().for_each(|(i, v)| *v = at(vector, i));
    }

    fn run_picture(&self, layer: &Layer, memory: &mut Memory, to: View, inputs: &[&[f32]]) {
        let from = self.places[layer.inputs[0]].view();
        let view = |i: usize| self.places[layer.inputs[i]].view();
        let channels = to.grid.channels;
        if !layer.inputs.iter().any(|v| self.places[*v] == Place::Picture(to)) {
            to.grid.clear_padding(to.of(&mut memory.arena));
        }
        match &layer.op {
            Op::FromPlanes { unshuffle } => {
                let Place::Planes { index, .. } = self.places[layer.inputs[0]] else { return };
                let scale = layer.inputs.get(1).map_or(1.0, |v| self.vector(&memory.arena, *v)[0]);
                kernels::from_planes(inputs[index], scale, &mut memory.arena, to, *unshuffle);
            }
            Op::Conv(conv) => {
                self.spread(memory, 0, layer.inputs[1], channels);
                let epilogue = Epilogue {
                    bias: &memory.channels[0],
                    activation: conv.activation,
                    residual: conv.residual.then(|| view(2).offset),
                };
                let weights = self.store.weights(conv.weights);
                let (arena, scratch) = (&mut memory.arena, &mut memory.scratch);
                if let Some(job) = self.int8(layer, conv, from, to) {
                    kernels::conv_int8(self.isa, arena, &job, weights, scratch, epilogue);
                } else if let Some(job) = self.winograd(conv, from, to) {
                    kernels::winograd(self.isa, arena, &job, weights, scratch, epilogue);
                } else {
                    let job = self.direct(conv, from, to);
                    kernels::conv(self.isa, arena, &job, weights, scratch, epilogue);
                }
            }
            Op::Transposed { weights, activation, residual, .. } => {
                self.spread(memory, 0, layer.inputs[1], channels);
                let weights = self.store.weights(*weights);
                for tap in 0..4 {
                    let epilogue = Epilogue {
                        bias: &memory.channels[0],
                        activation: *activation,
                        residual: residual.then(|| view(2).offset),
                    };
                    let job = transposed(from, to, tap);
                    let (arena, scratch) = (&mut memory.arena, &mut memory.scratch);
                    kernels::conv(self.isa, arena, &job, weights, scratch, epilogue);
                }
            }
            Op::Pointwise(activation) => {
                self.spread(memory, 0, layer.inputs[1], channels);
                self.spread(memory, 1, layer.inputs[2], channels);
                let [scale, shift, _] = &memory.channels;
                let arena = &mut memory.arena;
                kernels::pointwise(self.isa, arena, (from, to), scale, shift, *activation);
            }
            Op::Norm { groups, epsilon, activation } => {
                self.spread(memory, 0, layer.inputs[1], channels);
                self.spread(memory, 1, layer.inputs[2], channels);
                self.normalize(memory, from, *groups, *epsilon);
                let [scale, shift, _] = &memory.channels;
                let arena = &mut memory.arena;
                kernels::pointwise(self.isa, arena, (from, to), scale, shift, *activation);
            }
            Op::Add => kernels::add(self.isa, &mut memory.arena, from, view(1), to),
            Op::Concat => {
                let mut first = 0;
                for i in 0..layer.inputs.len() {
                    kernels::copy_channels(&mut memory.arena, view(i), to, first);
                    first += view(i).grid.channels;
                }
            }
            Op::Channels { start, .. } => {
                kernels::take_channels(&mut memory.arena, from, *start, to);
            }
            Op::Average { factor } => kernels::average(&mut memory.arena, from, to, *factor),
            Op::Upsample { factor } => kernels::upsample(&mut memory.arena, from, to, *factor),
            Op::SpaceToDepth { factor } => {
                kernels::space_to_depth(&mut memory.arena, from, to, *factor);
            }
            Op::DepthToSpace { factor } => {
                kernels::depth_to_space(&mut memory.arena, from, to, *factor);
            }
            _ => {}
        }
    }

    /// Turns scale and shift per channel, which act on the normalized picture, into those that act
    /// on the picture as it is (Wu and He 2018).
    fn normalize(&self, memory: &mut Memory, from: View, groups: usize, epsilon: f32) {
        let grid = from.grid;
        let size = grid.channels / groups;
        let count = (size * grid.height * grid.width) as f64;
        let Memory { arena, channels: [scale, shift, center], sums, .. } = memory;
        let sums = &mut sums[..grid.pixel()];
        center[..grid.pixel()].fill(0.0);
        kernels::moments(self.isa, arena, from, center, 1, sums);
        for group in 0..groups {
            let range = group * size..(group + 1) * size;
            let mean = sums[range.clone()].iter().sum::<f64>() / count;
            center[range].fill(mean as f32);
        }
        kernels::moments(self.isa, arena, from, center, 2, sums);
        for group in 0..groups {
            let range = group * size..(group + 1) * size;
            let variance = sums[range.clone()].iter().sum::<f64>() / count;
            let inverse = (1.0 / (variance + f64::from(epsilon)).sqrt()) as f32;
            for c in range {
                scale[c] *= inverse;
                shift[c] -= center[c] * scale[c];
            }
        }
    }
}

/// Makes a vector value by value, from the values before it in the arena.
fn write(memory: &mut Memory, offset: usize, len: usize, f: impl Fn(usize, &[f32]) -> f32) {
    for i in 0..len {
        let value = f(i, &memory.arena);
        memory.arena[offset + i] = value;
    }
    clear_rest(&mut memory.arena, offset, len);
}

/// Zeros up to the next vector.
fn clear_rest(arena: &mut [f32], offset: usize, len: usize) {
    arena[offset + len..offset + round_up(len, CHANNEL_STEP)].fill(0.0);
}

/// Two ranges that do not overlap, the second to be written.
fn apart(
    arena: &mut [f32],
    from: std::ops::Range<usize>,
    to: std::ops::Range<usize>,
) -> (&[f32], &mut [f32]) {
    if from.end <= to.start {
        let (front, back) = arena.split_at_mut(to.start);
        (&front[from], &mut back[..to.len()])
    } else {
        let (front, back) = arena.split_at_mut(from.start);
        (&back[..from.len()], &mut front[to])
    }
}
