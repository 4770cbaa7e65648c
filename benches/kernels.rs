//! Time of each kind of layer of the bundled prior, as multiply-accumulates of the plain
//! convolution per second, beside the same processor's peak.
//!
//!     cargo bench --bench kernels

use std::time::Instant;

use ddnm::kernels::*;

/// Best time of a call, in seconds.
fn best(mut f: impl FnMut()) -> f64 {
    f();
    let mut best = f64::MAX;
    let began = Instant::now();
    while began.elapsed().as_secs_f64() < 0.3 {
        let start = Instant::now();
        f();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

fn main() {
    println!("| path | layer | side | direct, GMAC/s | Winograd, GMAC/s |");
    println!("|---|---|---|---|---|");
    for isa in Isa::available() {
        for (inputs, outputs, side) in [
            (12, 64, 32),
            (64, 64, 32),
            (64, 64, 96),
            (48, 48, 48),
            (96, 96, 8),
            (96, 96, 24),
            (64, 12, 96),
        ] {
            layer(isa, inputs, outputs, side);
        }
    }
}

fn layer(isa: Isa, inputs: usize, outputs: usize, side: usize) {
    let grid = |channels| Grid { height: side, width: side, channels };
    let input = View { offset: 0, grid: grid(inputs) };
    let output = View { offset: input.grid.floats(), grid: grid(outputs) };
    let mut memory = vec![0.5; output.offset + output.grid.floats()];
    let weights = vec![0.01; 9 * inputs * outputs];
    let bias = vec![0.0; output.grid.pixel()];
    let epilogue = Epilogue { bias: &bias, activation: Activation::Relu, residual: None };
    let weights = Weights::F32(&weights);
    let job = Conv { input, output, kernel: 3, stride: 1, pad: 1, spread: (1, 0, 0) };
    let mut scratch = vec![0.0; job.scratch_len(&weights)];
    let direct = best(|| conv(isa, &mut memory, &job, weights, &mut scratch, epilogue));
    let job = Winograd { input, output };
    let mut scratch = vec![0.0; job.scratch_len(&weights)];
    let fast = best(|| winograd(isa, &mut memory, &job, weights, &mut scratch, epilogue));
    let macs = (9 * inputs * outputs * side * side) as f64;
    println!(
        "| {} | {inputs} to {outputs} | {side} | {:.1} | {:.1} |",
        isa.name(),
        macs / direct / 1e9,
        macs / fast / 1e9
    );
}
