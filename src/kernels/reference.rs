//! What the kernels compute, in float64 and in the plainest way.

use super::grid::View;
use super::product::Activation;

/// `[height][width][channels]` of a view.
pub fn read(memory: &[f32], view: View) -> Vec<f64> {
    let grid = view.grid;
    let mut values = Vec::new();
    for y in 0..grid.height {
        for x in 0..grid.width {
            let at = view.offset + grid.at(y, x);
            values.extend(memory[at..at + grid.channels].iter().map(|v| f64::from(*v)));
        }
    }
    values
}

pub fn activation(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::None => x,
        Activation::Relu => x.max(0.0),
        Activation::LeakyRelu(slope) => x.max(0.0) + f64::from(slope) * x.min(0.0),
        Activation::Silu => x / (1.0 + (-x).exp()),
    }
}

/// A convolution of `[h][w][in]` with `[kernel][kernel][in][out]`, zeros around: the sums alone.
pub fn conv(
    input: &[f64],
    (height, width, inputs): (usize, usize, usize),
    weights: &[f32],
    (kernel, stride, pad): (usize, usize, usize),
    (out_height, out_width, outputs): (usize, usize, usize),
) -> Vec<f64> {
    let mut sums = vec![0.0; out_height * out_width * outputs];
    for y in 0..out_height {
        for x in 0..out_width {
            for tap in 0..kernel * kernel {
                let (sy, sx) = (y * stride + tap / kernel, x * stride + tap % kernel);
                if sy < pad || sx < pad || sy - pad >= height || sx - pad >= width {
                    continue;
                }
                let from = ((sy - pad) * width + sx - pad) * inputs;
                for i in 0..inputs {
                    for o in 0..outputs {
                        let w = f64::from(weights[(tap * inputs + i) * outputs + o]);
                        sums[(y * out_width + x) * outputs + o] += input[from + i] * w;
                    }
                }
            }
        }
    }
    sums
}
