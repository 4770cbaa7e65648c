//! Every kernel on every path against float64, at sizes that divide nothing.

use super::*;
use crate::noise::NoiseField;

const NEAR: f64 = 1e-5;
const WINOGRAD: f64 = 1e-4;

/// Normal numbers, the same on every machine.
pub(super) fn random(seed: u64, len: usize, scale: f32) -> Vec<f32> {
    let field = NoiseField { seed, frame: 0, draw: 0 };
    (0..len).map(|i| scale * field.at(0, i / 1000, i % 1000)).collect()
}

/// A memory with random pictures at the places of `views`, with clear paddings, and rubbish
/// everywhere else.
pub(super) fn memory(views: &[View]) -> Vec<f32> {
    let len = views.iter().map(|v| v.offset + v.grid.floats()).max().unwrap();
    let mut memory = vec![7.0; len];
    for (seed, view) in views.iter().enumerate() {
        let grid = view.grid;
        let values = random(seed as u64, grid.height * grid.width * grid.channels, 1.0);
        let part = view.of(&mut memory);
        grid.clear_padding(part);
        for (i, value) in values.chunks_exact(grid.channels).enumerate() {
            let at = grid.at(i / grid.width, i % grid.width);
            part[at..at + grid.pixel()].fill(0.0);
            part[at..at + grid.channels].copy_from_slice(value);
        }
    }
    memory
}

/// Views one behind the other, with odd gaps.
pub(super) fn views(grids: &[Grid]) -> Vec<View> {
    let mut offset = 3;
    grids
        .iter()
        .map(|grid| {
            let view = View { offset, grid: *grid };
            offset += grid.floats() + 5;
            view
        })
        .collect()
}

/// Root mean square of the difference relative to that of the truth; padded channels must be zero.
fn error(memory: &[f32], view: View, truth: &[f64]) -> f64 {
    let found = reference::read(memory, view);
    let square = |v: f64| v * v;
    let difference: f64 = found.iter().zip(truth).map(|(a, b)| square(a - b)).sum();
    let whole: f64 = truth.iter().map(|v| square(*v)).sum();
    let wide = View { grid: Grid { channels: view.grid.pixel(), ..view.grid }, ..view };
    let padded = reference::read(memory, wide);
    for pixel in padded.chunks_exact(view.grid.pixel()) {
        assert!(pixel[view.grid.channels..].iter().all(|v| *v == 0.0), "padded channels");
    }
    (difference / whole).sqrt()
}

pub(super) struct Case {
    pub size: (usize, usize),
    pub channels: (usize, usize),
    pub kernel: (usize, usize, usize),
    pub activation: Activation,
    pub residual: bool,
}

impl Case {
    /// The grids of input and output.
    pub fn grids(&self) -> [Grid; 2] {
        let (kernel, stride, pad) = self.kernel;
        let grow = |n: usize| if kernel == 2 || stride > pad + 1 { 2 * n } else { n };
        let (height, width) = (grow(self.size.0), grow(self.size.1));
        let input = Grid { height, width, channels: self.channels.0 };
        let along = |n: usize| n.div_ceil(stride);
        let output = Grid { height: along(height), width: along(width), channels: self.channels.1 };
        [input, output]
    }
}

/// Truth of a case on `[input, output, residual]`.
pub(super) fn truth(
    case: &Case,
    memory: &[f32],
    views: &[View],
    weights: &[f32],
    bias: &[f32],
) -> Vec<f64> {
    let (input, output) = (views[0].grid, views[1].grid);
    let sums = reference::conv(
        &reference::read(memory, views[0]),
        (input.height, input.width, input.channels),
        weights,
        case.kernel,
        (output.height, output.width, output.channels),
    );
    let residual = reference::read(memory, views[2]);
    let finished = sums.iter().enumerate().map(|(i, sum)| {
        let value = sum + f64::from(bias[i % output.channels]);
        let residual = if case.residual { residual[i] } else { 0.0 };
        reference::activation(case.activation, value) + residual
    });
    finished.collect()
}

pub(super) fn padded(bias: &[f32]) -> Vec<f32> {
    let mut bias = bias.to_vec();
    bias.resize(round_up(bias.len(), CHANNEL_STEP), 0.0);
    bias
}

pub(super) fn cases(kernels: &[(usize, usize, usize)]) -> Vec<Case> {
    let sizes = [(1, 1), (4, 8), (5, 7), (9, 30), (18, 40)];
    let channels = [(3, 5), (16, 16), (12, 40), (20, 36), (64, 12)];
    let acts = [Activation::None, Activation::Relu, Activation::LeakyRelu(0.1), Activation::Silu];
    let mut cases = Vec::new();
    for &kernel in kernels {
        for (i, &size) in sizes.iter().enumerate() {
            for (j, &channels) in channels.iter().enumerate() {
                let activation = acts[(i + j) % 4];
                cases.push(Case { size, channels, kernel, activation, residual: (i + j) % 3 == 0 });
            }
        }
    }
    cases
}

#[test]
fn convolutions_are_those_of_the_reference() {
    for case in cases(&[(1, 1, 0), (2, 2, 0), (3, 1, 1), (3, 2, 1), (3, 2, 0)]) {
        let (kernel, stride, pad) = case.kernel;
        let (inputs, outputs) = case.channels;
        let [input, output] = case.grids();
        let views = views(&[input, output, output]);
        let start = memory(&views);
        let weights = random(9, kernel * kernel * inputs * outputs, 0.3);
        let bias = random(8, outputs, 1.0);
        let truth = truth(&case, &start, &views, &weights, &bias);
        for isa in Isa::available_in_floats() {
            let mut memory = start.clone();
            let job =
                Conv { input: views[0], output: views[1], kernel, stride, pad, spread: (1, 0, 0) };
            let residual = case.residual.then_some(views[2].offset);
            let bias = padded(&bias);
            let epilogue = Epilogue { bias: &bias, activation: case.activation, residual };
            let arranged = arrange(&weights, kernel * kernel, inputs, outputs);
            let weights = Weights::F32(&arranged);
            let mut scratch = vec![f32::NAN; job.scratch_len(&weights)];
            conv(isa, &mut memory, &job, weights, &mut scratch, epilogue);
            let error = error(&memory, views[1], &truth);
            assert!(error < NEAR, "{isa:?} {:?} {:?}: {error:e}", case.size, case.kernel);
        }
    }
}

#[test]
fn winograd_is_the_reference_convolution() {
    for case in cases(&[(3, 1, 1)]) {
        let (height, width) = case.size;
        let (inputs, outputs) = case.channels;
        let input = Grid { height, width, channels: inputs };
        let output = Grid { height, width, channels: outputs };
        let views = views(&[input, output, output]);
        let start = memory(&views);
        let weights = random(9, 9 * inputs * outputs, 0.3);
        let bias = random(8, outputs, 1.0);
        let truth = truth(&case, &start, &views, &weights, &bias);
        for isa in Isa::available_in_floats() {
            let mut memory = start.clone();
            let arranged = arrange(&weights, 9, inputs, outputs);
            let weights = Weights::F32(&arranged);
            let job = Winograd { input: views[0], output: views[1] };
            let mut scratch = vec![f32::NAN; job.scratch_len(&weights)];
            let residual = case.residual.then_some(views[2].offset);
            let bias = padded(&bias);
            let epilogue = Epilogue { bias: &bias, activation: case.activation, residual };
            winograd(isa, &mut memory, &job, weights, &mut scratch, epilogue);
            let error = error(&memory, views[1], &truth);
            assert!(error < WINOGRAD, "{isa:?} {:?} {:?}: {error:e}", case.size, case.channels);
        }
    }
}
