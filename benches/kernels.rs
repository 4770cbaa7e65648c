//! Time of each kind of layer of the bundled prior, as multiply-accumulates of the plain
//! convolution per second, beside what the same core can multiply and add at all.
//!
//!     cargo bench --bench kernels

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use ddnm::kernels::*;
use ddnm::network::Arithmetic;
use ddnm::prior::{self, Model, Prior};
use ddnm::weights::{Bytes, Format};

/// Side of the window for the time of a whole evaluation.
const WINDOW: usize = 128;

/// Inputs, outputs, side and number of the bundled prior's 3x3 convolutions in a window of 192.
const BUNDLED: [(usize, usize, usize, usize); 5] =
    [(12, 64, 96, 1), (64, 64, 96, 4), (48, 48, 48, 4), (96, 96, 24, 4), (64, 12, 96, 1)];

/// Inputs, outputs and side of others: smaller pictures, and as pruning leaves them, multiples of
/// no vector beside some that are.
const OTHERS: [(usize, usize, usize); 9] = [
    (12, 64, 32),
    (64, 64, 32),
    (96, 96, 8),
    (16, 16, 48),
    (17, 17, 48),
    (20, 20, 48),
    (32, 32, 48),
    (36, 36, 48),
    (50, 50, 48),
];

/// Best time of a call, in seconds.
fn best(f: impl FnMut()) -> f64 {
    best_in(0.3, f)
}

/// Best time of a call within so many seconds.
fn best_in(seconds: f64, mut f: impl FnMut()) -> f64 {
    f();
    let mut best = f64::MAX;
    let began = Instant::now();
    while began.elapsed().as_secs_f64() < seconds {
        let start = Instant::now();
        f();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

fn main() -> ddnm::Result<()> {
    println!("GMAC/s, of the plain convolution. f32 by two methods, int8 in whole numbers.\n");
    println!("| path | layer | side | direct | Winograd | int8 | to direct | to Winograd |");
    println!("|---|---|---|---|---|---|---|---|");
    for isa in Isa::available() {
        let mut all = Times::default();
        for (inputs, outputs, side, count) in BUNDLED {
            let layer = layer(isa, inputs, outputs, side);
            layer.print(isa, &format!("{inputs} to {outputs} | {side}"));
            all = all.and(&layer, count);
        }
        all.print(isa, "all 14 of the prior | 96 and less");
        for (inputs, outputs, side) in OTHERS {
            let layer = layer(isa, inputs, outputs, side);
            layer.print(isa, &format!("{inputs} to {outputs} | {side}"));
        }
    }
    println!(
        "\nOne evaluation of the bundled prior, window {WINDOW}, on one core: multiplies and adds"
    );
    println!(
        "in registers alone, what the network's would take at that rate, and what it takes.\n"
    );
    println!("| path | peak in f32, GMAC/s | all at the peak, ms | f32, ms | int8, ms |");
    println!("|---|---|---|---|---|");
    Isa::available().into_iter().try_for_each(network)
}

/// What layers take, in seconds, and their multiply-accumulates.
#[derive(Default)]
struct Times {
    macs: f64,
    direct: f64,
    winograd: f64,
    int8: f64,
}

impl Times {
    /// These and `count` times those of `layer`.
    fn and(self, layer: &Times, count: usize) -> Times {
        let n = count as f64;
        Times {
            macs: self.macs + n * layer.macs,
            direct: self.direct + n * layer.direct,
            winograd: self.winograd + n * layer.winograd,
            int8: self.int8 + n * layer.int8,
        }
    }

    fn print(&self, isa: Isa, what: &str) {
        println!(
            "| {} | {what} | {:.1} | {:.1} | {:.1} | {:.2} | {:.2} |",
            isa.name(),
            self.macs / self.direct / 1e9,
            self.macs / self.winograd / 1e9,
            self.macs / self.int8 / 1e9,
            self.direct / self.int8,
            self.winograd / self.int8
        );
    }
}

fn layer(isa: Isa, inputs: usize, outputs: usize, side: usize) -> Times {
    let grid = |channels| Grid { height: side, width: side, channels };
    let input = View { offset: 0, grid: grid(inputs) };
    let output = View { offset: input.grid.floats(), grid: grid(outputs) };
    let mut memory = vec![0.5; output.offset + output.grid.floats()];
    let numbers = vec![0.01; 9 * inputs * outputs];
    let bytes = vec![1; 9 * inputs * outputs];
    let scales = vec![0.01; outputs];
    let bias = vec![0.0; output.grid.pixel()];
    let epilogue = Epilogue { bias: &bias, activation: Activation::Relu, residual: None };
    let weights = Weights::F32(&numbers);
    let job = Conv { input, output, kernel: 3, stride: 1, pad: 1, spread: (1, 0, 0) };
    let mut scratch = vec![0.0; job.scratch_len(&weights)];
    let direct = best(|| conv(isa, &mut memory, &job, weights, &mut scratch, epilogue));
    let whole = ConvInt8 { conv: job, signed: true };
    let job = Winograd { input, output };
    let mut scratch = vec![0.0; job.scratch_len(&weights)];
    let winograd =
        best(|| ddnm::kernels::winograd(isa, &mut memory, &job, weights, &mut scratch, epilogue));
    let weights = Weights::Int8(&bytes, &scales);
    let mut scratch = vec![0.0; whole.scratch_len(isa)];
    let int8 = best(|| conv_int8(isa, &mut memory, &whole, weights, &mut scratch, epilogue));
    Times { macs: (9 * inputs * outputs * side * side) as f64, direct, winograd, int8 }
}

fn network(isa: Isa) -> ddnm::Result<()> {
    const ROUNDS: usize = 1_000_000;
    let macs = peak(isa, ROUNDS).0 as f64;
    let peak = macs / best(|| _ = black_box(peak(isa, black_box(ROUNDS))));
    let prior = prior::bundled()?;
    let work: u64 = prior.layers(WINDOW, WINDOW)?.0.iter().map(|l| l.multiply_accumulates).sum();
    let bytes = Bytes::copy(&prior.pack_for(Format::Int8, Arithmetic::Int8)?);
    let narrow = Model::packed(bytes, Path::new("int8"), true)?;
    println!(
        "| {} | {:.1} | {:.2} | {:.2} | {:.2} |",
        isa.name(),
        peak / 1e9,
        work as f64 / peak * 1e3,
        evaluation(&prior.with_isa(isa))? * 1e3,
        evaluation(&narrow.with_isa(isa))? * 1e3
    );
    Ok(())
}

/// Seconds of one evaluation.
fn evaluation(prior: &Model) -> ddnm::Result<f64> {
    let mut evaluator = prior.evaluator(WINDOW, WINDOW)?;
    let level = prior.diffusion().at_sigma(0.2);
    let x = vec![0.1; 3 * WINDOW * WINDOW];
    let mut x0 = x.clone();
    let mut result = Ok(());
    let seconds = best_in(1.0, || result = evaluator.x0(&x, level, &mut x0));
    result.map(|()| seconds)
}
