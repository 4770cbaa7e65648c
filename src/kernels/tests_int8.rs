//! Convolutions in whole numbers, on every path.

use super::tests::{Case, cases, memory, padded, random, truth, views};
use super::*;

const KERNELS: [(usize, usize, usize); 5] = [(1, 1, 0), (2, 2, 0), (3, 1, 1), (3, 2, 1), (3, 2, 0)];

/// Weights as a file holds them, and the numbers that they stand for, `[taps][in][out]`.
struct Bytes {
    arranged: Vec<i8>,
    scales: Vec<f32>,
    values: Vec<f32>,
}

impl Bytes {
    /// From whole numbers `[taps][in][out]`.
    fn new(whole: &[f32], taps: usize, scales: Vec<f32>) -> Bytes {
        let outputs = scales.len();
        let inputs = whole.len() / taps / outputs;
        let arranged = arrange(whole, taps, inputs, outputs).iter().map(|w| *w as i8).collect();
        let values = whole.iter().enumerate().map(|(i, w)| w * scales[i % outputs]).collect();
        Bytes { arranged, scales, values }
    }

    fn random(case: &Case) -> Bytes {
        let taps = case.kernel.0 * case.kernel.0;
        let (inputs, outputs) = case.channels;
        let whole: Vec<f32> = random(9, taps * inputs * outputs, 50.0)
            .iter()
            .map(|w| w.round().clamp(-127.0, 127.0))
            .collect();
        let scales = random(7, outputs, 0.002).iter().map(|s| s.abs()).collect();
        Bytes::new(&whole, taps, scales)
    }
}

/// A case with its pictures: input, output, residual.
struct Scene<'a> {
    case: &'a Case,
    views: Vec<View>,
    memory: Vec<f32>,
    signed: bool,
}

impl<'a> Scene<'a> {
    /// With `change` of every value of the input: it has to leave zeros.
    fn new(case: &'a Case, signed: bool, change: impl Fn(f32) -> f32) -> Scene<'a> {
        let [input, output] = case.grids();
        let views = views(&[input, output, output]);
        let mut memory = memory(&views);
        views[0].of(&mut memory).iter_mut().for_each(|v| *v = change(*v));
        Scene { case, views, memory, signed }
    }

    /// The memory after the convolution; the scratch memory is full of rubbish.
    fn run(&self, isa: Isa, weights: &Bytes, bias: &[f32]) -> Vec<f32> {
        let mut memory = self.memory.clone();
        let (kernel, stride, pad) = self.case.kernel;
        let (input, output) = (self.views[0], self.views[1]);
        let conv = Conv { input, output, kernel, stride, pad, spread: (1, 0, 0) };
        let job = ConvInt8 { conv, signed: self.signed };
        let bias = padded(bias);
        let residual = self.case.residual.then_some(self.views[2].offset);
        let epilogue = Epilogue { bias: &bias, activation: self.case.activation, residual };
        let mut scratch = vec![f32::NAN; job.scratch_len(isa)];
        let weights = Weights::Int8(&weights.arranged, &weights.scales);
        conv_int8(isa, &mut memory, &job, weights, &mut scratch, epilogue);
        memory
    }

    fn truth(&self, weights: &Bytes, bias: &[f32]) -> Vec<f64> {
        truth(self.case, &self.memory, &self.views, &weights.values, bias)
    }
}

fn plain(mut case: Case) -> Case {
    (case.activation, case.residual) = (Activation::None, false);
    case
}

/// With inputs that are whole numbers already, the sums are the exact ones; also where all
/// products are as large as they can be.
#[test]
fn sums_of_whole_numbers_are_exact() {
    let extremes = |levels: f32| move |v: f32| if v == 0.0 { 0.0 } else { levels.copysign(v) };
    for case in cases(&KERNELS).into_iter().map(plain) {
        let taps = case.kernel.0 * case.kernel.0;
        let (inputs, outputs) = case.channels;
        let largest: Vec<f32> =
            random(9, taps * inputs * outputs, 1.0).iter().map(|w| w.signum() * 127.0).collect();
        let same = vec![127.0; largest.len()];
        let bias = vec![0.0; outputs];
        for signed in [false, true] {
            let levels = if signed { 127.0 } else { 255.0 };
            for whole in [&largest, &same] {
                let weights = Bytes::new(whole, taps, vec![1.0; outputs]);
                let sign = |v: f32| if signed { v } else { v.abs() };
                let scene = Scene::new(&case, signed, |v| sign(extremes(levels)(v)));
                let truth = scene.truth(&weights, &bias);
                for isa in Isa::available() {
                    let found = reference::read(&scene.run(isa, &weights, &bias), scene.views[1]);
                    let exact = found.iter().zip(&truth).all(|(a, b)| *a == f64::from(*b as f32));
                    assert!(exact, "{isa:?} {:?} {:?} {signed}", case.channels, case.kernel);
                }
            }
        }
    }
}

/// But for SiLU, every path gives the bits of the portable one.
#[test]
fn all_paths_agree_bit_for_bit() {
    for case in cases(&KERNELS).iter().filter(|c| c.activation != Activation::Silu) {
        let weights = Bytes::random(case);
        let bias = random(8, case.channels.1, 1.0);
        for signed in [false, true] {
            let scene = Scene::new(case, signed, |v| if signed { v } else { v.max(0.0) });
            let expected = scene.run(Isa::Portable, &weights, &bias);
            for isa in Isa::available() {
                let found = scene.run(isa, &weights, &bias);
                let same = found.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "{isa:?} {:?} {:?} {signed}", case.channels, case.kernel);
            }
        }
    }
}

/// Every output is as near to the convolution in float64 as half a step of every input allows:
/// `step / 2` times the sum of the magnitudes of its weights (SiLU is at most 1.1 times as steep
/// as a line), and float rounding.
#[test]
fn outputs_are_as_near_as_the_step_of_the_input_allows() {
    for case in cases(&KERNELS) {
        let weights = Bytes::random(&case);
        let outputs = case.channels.1;
        let bias = random(8, outputs, 1.0);
        for signed in [false, true] {
            let scene = Scene::new(&case, signed, |v| if signed { v } else { v.max(0.0) });
            let truth = scene.truth(&weights, &bias);
            let input = reference::read(&scene.memory, scene.views[0]);
            let largest = input.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
            let step = largest / if signed { 127.0 } else { 255.0 };
            let mut magnitudes = vec![0.0; outputs];
            for (i, w) in weights.values.iter().enumerate() {
                magnitudes[i % outputs] += f64::from(w.abs());
            }
            for isa in Isa::available() {
                let found = reference::read(&scene.run(isa, &weights, &bias), scene.views[1]);
                let near = found.iter().zip(&truth).enumerate().all(|(i, (a, b))| {
                    let bound = 1.1 * magnitudes[i % outputs] * step / 2.0;
                    (a - b).abs() <= bound + 1e-5 * (1.0 + b.abs())
                });
                assert!(near, "{isa:?} {:?} {:?} {signed}", case.channels, case.kernel);
            }
        }
    }
}

/// The taps of a transposed convolution are found among all four.
#[test]
fn taps_of_a_transposed_convolution_are_those_in_floats() {
    let grid = |side, channels| Grid { height: side, width: side, channels };
    let views = views(&[grid(5, 12), grid(10, 20)]);
    let start = memory(&views);
    let whole: Vec<f32> =
        random(9, 4 * 12 * 20, 50.0).iter().map(|w| w.round().clamp(-127.0, 127.0)).collect();
    let weights = Bytes::new(&whole, 4, vec![0.01; 20]);
    let weights = Weights::Int8(&weights.arranged, &weights.scales);
    let bias = padded(&[0.5; 20]);
    let epilogue = Epilogue { bias: &bias, activation: Activation::None, residual: None };
    for isa in Isa::available() {
        let (mut memory, mut expected) = (start.clone(), start.clone());
        for tap in 0..4 {
            let spread = (2, tap / 2, tap % 2);
            let (input, output) = (views[0], views[1]);
            let conv = Conv { input, output, kernel: 1, stride: 1, pad: 0, spread };
            let mut scratch = vec![f32::NAN; conv.scratch_len(&weights)];
            super::conv(isa, &mut expected, &conv, weights, &mut scratch, epilogue);
            let job = ConvInt8 { conv, signed: true };
            let mut scratch = vec![f32::NAN; job.scratch_len(isa)];
            conv_int8(isa, &mut memory, &job, weights, &mut scratch, epilogue);
        }
        let (found, expected) =
            (reference::read(&memory, views[1]), reference::read(&expected, views[1]));
        let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst < 0.2, "{isa:?}: {worst}");
    }
}

/// What is not a number must not become one.
#[test]
fn a_result_of_values_that_are_not_finite_is_not_finite() {
    let case = plain(cases(&KERNELS[2..3]).swap_remove(12));
    let weights = Bytes::random(&case);
    let bias = vec![0.0; case.channels.1];
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for signed in [false, true] {
            let mut scene = Scene::new(&case, signed, |v| v.abs());
            let at = scene.views[0].offset + scene.views[0].grid.at(2, 3);
            scene.memory[at] = bad;
            for isa in Isa::available() {
                let found = reference::read(&scene.run(isa, &weights, &bias), scene.views[1]);
                assert!(found.iter().all(|v| v.is_nan()), "{isa:?} {bad}");
            }
        }
    }
}
