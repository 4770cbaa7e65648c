//! Networks by hand: what layers compute, what fusion keeps, where values lie.

use std::sync::Arc;

use super::*;
use crate::kernels::{Isa, arrange};
use crate::noise::NoiseField;
use crate::weights::{Format, Store, StoreBuilder};

fn random(seed: u64, len: usize) -> Vec<f32> {
    let field = NoiseField { seed, frame: 0, draw: 0 };
    (0..len).map(|i| field.at(0, i / 1000, i % 1000)).collect()
}

/// A network that grows layer by layer, with random weights.
struct Builder {
    network: Network,
    store: StoreBuilder,
    seed: u64,
}

impl Builder {
    fn new(channels: usize) -> Builder {
        let inputs = vec![Input::Planes { channels }, Input::Vector { len: 1 }];
        let network = Network { inputs, ..Network::default() };
        Builder { network, store: StoreBuilder::default(), seed: 1 }
    }

    fn push(&mut self, op: Op, inputs: &[Value]) -> Value {
        self.network.layers.push(Layer { op, inputs: inputs.to_vec() });
        self.network.value_of(self.network.layers.len() - 1)
    }

    fn constant(&mut self, values: &[f32]) -> Value {
        let tensor = self.store.push(values, values.len(), Format::F32);
        self.push(Op::Constant { values: tensor, len: values.len() }, &[])
    }

    fn weights(&mut self, taps: usize, inputs: usize, outputs: usize) -> Tensor {
        self.weights_in(Format::F32, taps, inputs, outputs)
    }

    fn weights_in(&mut self, format: Format, taps: usize, inputs: usize, outputs: usize) -> Tensor {
        self.seed += 1;
        let scale = (2.0 / (taps * inputs) as f32).sqrt();
        let values: Vec<f32> =
            random(self.seed, taps * inputs * outputs).iter().map(|v| v * scale).collect();
        self.store.push_blocks(&arrange(&values, taps, inputs, outputs), outputs, format)
    }

    fn conv(&mut self, x: Value, inputs: usize, outputs: usize) -> Value {
        let weights = self.weights(9, inputs, outputs);
        let bias = self.constant(&random(self.seed + 100, outputs));
        let conv = Conv {
            weights,
            kernel: 3,
            stride: 1,
            pad: [1, 1],
            outputs,
            activation: Activation::None,
            residual: false,
            arithmetic: Arithmetic::F32,
        };
        self.push(Op::Conv(conv), &[x, bias])
    }

    fn pointwise(&mut self, activation: Activation, x: Value) -> Value {
        let (one, zero) = (self.constant(&[1.0]), self.constant(&[0.0]));
        self.push(Op::Pointwise(activation), &[x, one, zero])
    }

    fn finish(mut self, value: Value) -> (Network, Store) {
        self.network.outputs = vec![Output { value, shuffle: 1 }];
        (self.network, self.store.build().unwrap())
    }
}

/// A residual block under a pixel shuffle, in the plainest layers.
fn plain() -> (Network, Store) {
    let mut b = Builder::new(3);
    let planes = b.push(Op::FromPlanes { unshuffle: 1 }, &[0]);
    let zero = b.constant(&[0.0]);
    let scaled = b.push(Op::Pointwise(Activation::None), &[planes, 1, zero]);
    let down = b.push(Op::SpaceToDepth { factor: 2 }, &[scaled]);
    let wide = b.conv(down, 12, 20);
    let first = b.conv(wide, 20, 20);
    let shift = b.constant(&random(50, 20));
    let one = b.constant(&[1.0]);
    let shifted = b.push(Op::Pointwise(Activation::None), &[first, one, shift]);
    let active = b.pointwise(Activation::Relu, shifted);
    let second = b.conv(active, 20, 20);
    let sum = b.push(Op::Add, &[wide, second]);
    let (ones, zeros) = (b.constant(&[1.0]), b.constant(&[0.0]));
    let norm = Op::Norm { groups: 5, epsilon: 1e-5, activation: Activation::None };
    let normal = b.push(norm, &[sum, ones, zeros]);
    let (gamma, beta) = (b.constant(&random(60, 20)), b.constant(&random(61, 20)));
    let affine = b.push(Op::Pointwise(Activation::Silu), &[normal, gamma, beta]);
    let out = b.conv(affine, 20, 12);
    let up = b.push(Op::DepthToSpace { factor: 2 }, &[out]);
    b.finish(up)
}

fn constant_value(store: &Store) -> impl Fn(&Op) -> Option<f32> {
    |op| match op {
        Op::Constant { values, .. } => match store.weights(*values) {
            crate::kernels::Weights::F32([first, rest @ ..]) => {
                rest.iter().all(|v| v == first).then_some(*first)
            }
            _ => None,
        },
        _ => None,
    }
}

fn run(network: Network, store: Arc<Store>, side: (usize, usize), memory: &mut Memory) -> Vec<f32> {
    let plan = Plan::new(Arc::new(network), store, Isa::Portable, &[side, (1, 1)]).unwrap();
    let x = random(9, plan.lengths().0[0]);
    let mut out = vec![0.0; plan.lengths().1[0]];
    plan.run(memory, &[&x, &[0.7]], &mut [&mut out]);
    out
}

#[test]
fn fusion_leaves_few_layers_and_the_same_result() {
    let (network, store) = plain();
    let fused = fuse(network.clone(), constant_value(&store));
    let count = |n: &Network, name: &str| n.layers.iter().filter(|l| l.op.name() == name).count();
    for name in ["pointwise", "add", "space-to-depth", "depth-to-space"] {
        assert!(count(&network, name) > 0 && count(&fused, name) == 0, "{name}");
    }
    assert_eq!((count(&fused, "conv"), count(&fused, "norm")), (4, 1));
    assert_eq!(fused.outputs[0].shuffle, 2);
    let store = Arc::new(store);
    for side in [(8, 12), (22, 14)] {
        let expected = run(network.clone(), store.clone(), side, &mut Memory::default());
        let found = run(fused.clone(), store.clone(), side, &mut Memory::default());
        let worst = expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{side:?}: {worst}");
    }
}

/// What lies in memory from another network or window must not show.
#[test]
fn results_do_not_depend_on_what_memory_held() {
    let (network, store) = plain();
    let store = Arc::new(store);
    let expected = run(network.clone(), store.clone(), (8, 12), &mut Memory::default());
    let mut memory = Memory::default();
    run(network.clone(), store.clone(), (40, 36), &mut memory);
    memory.arena.fill(f32::NAN);
    memory.scratch.fill(f32::NAN);
    assert!(run(network, store, (8, 12), &mut memory) == expected);
}

#[test]
fn pictures_in_use_do_not_overlap() {
    let (network, store) = plain();
    let network = fuse(network, constant_value(&store));
    let plan =
        Plan::new(Arc::new(network.clone()), Arc::new(store), Isa::Portable, &[(16, 16), (1, 1)])
            .unwrap();
    let last = |value: Value| {
        let used = network.layers.iter().rposition(|l| l.inputs.contains(&value));
        let is_output = network.outputs.iter().any(|o| o.value == value);
        if is_output { usize::MAX } else { used.unwrap_or(0) }
    };
    for (i, layer) in network.layers.iter().enumerate() {
        let made = network.value_of(i);
        let plan::Place::Picture(view) = plan.places[made] else { continue };
        for other in (0..made).filter(|v| last(*v) > i || layer.inputs.contains(v)) {
            let plan::Place::Picture(held) = plan.places[other] else { continue };
            let in_place = held == view && last(other) == i;
            assert!(in_place || !view.overlaps(&held), "layer {i} over value {other}");
        }
    }
}

#[test]
fn channels_and_means_are_those_of_the_picture() {
    let mut b = Builder::new(6);
    let picture = b.push(Op::FromPlanes { unshuffle: 1 }, &[0]);
    let some = b.push(Op::Channels { start: 2, len: 3 }, &[picture]);
    let mean = b.push(Op::Average { factor: 2 }, &[some]);
    let (network, store) = b.finish(mean);
    let found = run(network, Arc::new(store), (4, 6), &mut Memory::default());
    let x = random(9, 6 * 24);
    for (i, found) in found.iter().enumerate() {
        let (c, y, x0) = (i / 6 + 2, i / 3 % 2 * 2, i % 3 * 2);
        let at = |dy: usize, dx: usize| x[(c * 4 + y + dy) * 6 + x0 + dx];
        let expected = (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4.0;
        assert!((found - expected).abs() < 1e-6, "value {i}");
    }
}

/// Three convolutions in 8 bits between channels that fill no vector, after one in `f32`.
fn narrow(arithmetic: Arithmetic) -> (Network, Store) {
    let mut b = Builder::new(3);
    let mut value = b.push(Op::FromPlanes { unshuffle: 1 }, &[0]);
    let channels = [3, 13, 21, 21, 5];
    for (i, pair) in channels.windows(2).enumerate() {
        let input = value;
        value = b.conv(input, pair[0], pair[1]);
        let weights = b.weights_in(Format::Int8, 9, pair[0], pair[1]);
        let layer = &mut b.network.layers[value - b.network.inputs.len()];
        let Op::Conv(conv) = &mut layer.op else { unreachable!() };
        if i > 0 {
            (conv.weights, conv.arithmetic) = (weights, arithmetic);
        }
        if i < 2 {
            conv.activation = Activation::Relu;
        }
        if pair[0] == pair[1] {
            conv.residual = true;
            layer.inputs.push(input);
        }
    }
    b.finish(value)
}

#[test]
fn arithmetic_in_8_bits_is_close_to_that_in_floats() {
    let (network, store) = narrow(Arithmetic::Int8);
    assert_eq!(network.arithmetic(), Arithmetic::Int8);
    let convs = network.layers.iter().filter(|l| matches!(l.op, Op::Conv(_)));
    let non_negative: Vec<bool> = convs.map(|l| network.is_non_negative(l.inputs[0])).collect();
    assert_eq!(non_negative, [false, true, true, false]);
    let (in_floats, same) = narrow(Arithmetic::F32);
    assert!(store.same(&same));
    let store = Arc::new(store);
    for side in [(8, 12), (21, 7)] {
        let expected = run(in_floats.clone(), store.clone(), side, &mut Memory::default());
        let found = run(network.clone(), store.clone(), side, &mut Memory::default());
        let square = |v: f32| f64::from(v) * f64::from(v);
        let difference: f64 = expected.iter().zip(&found).map(|(a, b)| square(a - b)).sum();
        let whole: f64 = expected.iter().map(|v| square(*v)).sum();
        let error = (difference / whole).sqrt();
        assert!(error > 0.0 && error < 0.02, "{side:?}: {error:e}");
        // What memory held does not show.
        let mut memory = Memory::default();
        run(plain().0, Arc::new(plain().1), (40, 36), &mut memory);
        memory.arena.fill(f32::NAN);
        memory.scratch.fill(f32::NAN);
        assert!(run(network.clone(), store.clone(), side, &mut memory) == found);
    }
}

#[test]
fn networks_that_do_not_fit_together_are_refused() {
    let refused = |change: &dyn Fn(&mut Network), hint: &str| {
        let (mut network, store) = plain();
        change(&mut network);
        let sizes = [(8, 8), (1, 1)];
        let error = Plan::new(Arc::new(network), Arc::new(store), Isa::Portable, &sizes);
        let text = error.err().unwrap_or_default();
        assert!(text.contains(hint), "no `{hint}` in: {text}");
    };
    refused(&|n| n.layers[0].inputs[0] = 99, "earlier values");
    refused(&|n| n.layers[3].op = Op::SpaceToDepth { factor: 3 }, "multiples of 3");
    refused(&|n| n.outputs[0].shuffle = 5, "output");
    refused(&|n| n.outputs[0].value = 1000, "output");
    refused(&|n| n.inputs.truncate(1), "inputs");
    refused(
        &|n| {
            let Op::Conv(conv) = &mut n.layers[5].op else { unreachable!() };
            conv.arithmetic = Arithmetic::Int8;
        },
        "weights in int8",
    );
    refused(
        &|n| {
            for layer in &mut n.layers {
                if let Op::Conv(conv) = &mut layer.op {
                    conv.outputs += 1;
                }
            }
        },
        "weights",
    );
}

#[test]
fn pictures_that_cannot_be_addressed_are_refused() {
    let refusal = |side| {
        let (network, store) = plain();
        let sizes = [(side, side), (1, 1)];
        Plan::new(Arc::new(network), Arc::new(store), Isa::Portable, &sizes).err()
    };
    assert_eq!(refusal(64), None);
    assert!(refusal(1 << 15).is_some_and(|e| e.contains("possible size")));
    // Each of its values can be addressed, but not all of them.
    let all = refusal(1 << 13);
    assert_eq!(all.is_some_and(|e| e.contains("values in memory")), usize::BITS == 32);
}
