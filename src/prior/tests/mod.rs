mod graphs;
mod hostile;
mod network;
mod ours;
mod packed;
mod tiny;

use std::path::Path;

use super::*;
use crate::certificate::sha256;
use crate::error::Error;
use crate::frame::Shape;
use tiny::{INT64, Tiny};

/// The manifest of a tiny network, with some of its lines replaced.
fn manifest(bytes: &[u8], prediction: &str, conditioning: &str, extra: &str) -> String {
    let sum = sha256(bytes);
    format!(
        "name = 'tiny'\nfile = 'tiny.onnx'\nsha256 = '{sum}'\nlicence = 'CC0-1.0'\nchannels = 3\n\
         input = 'picture'\noutput = 'result'\nprediction = '{prediction}'\n\
         conditioning = '{conditioning}'\nconditioning_input = 'told'\nmultiple = 4\ntile = 64\n\
         halo = [{{ sigma = 1.0, pixels = 8 }}]\n{extra}\n\
         [schedule]\nkind = 'linear'\nbeta_start = 1e-4\nbeta_end = 0.02\nsteps = 1000\n"
    )
}

fn load(text: &str, bytes: &[u8]) -> crate::Result<Model> {
    let path = Path::new("tiny.toml");
    Model::onnx(Manifest::parse(text, path)?, bytes, path)
}

/// Runs a tiny network on one window and compares every value with `expected(x_t, level)`.
fn check(tiny: Tiny, text: &str, expected: impl Fn(f64, Level) -> f64) {
    let prior = load(text, &tiny.onnx()).unwrap();
    for sigma in [0.02, 0.3, 2.0] {
        let level = prior.diffusion().at_sigma(sigma);
        let x: Vec<f32> = (0..3 * 8 * 4).map(|i| (i as f32 * 0.7).sin()).collect();
        let mut x0 = vec![0.0; x.len()];
        prior.evaluator(8, 4).unwrap().x0(&x, level, &mut x0).unwrap();
        for (x, found) in x.iter().zip(&x0) {
            let expected = expected(f64::from(*x), level);
            let error = (f64::from(*found) - expected).abs();
            assert!(error < 1e-5 * (1.0 + expected.abs()), "sigma {sigma}: {found} for {expected}");
        }
    }
}

#[test]
fn epsilon_by_timestep() {
    let tiny = Tiny::default();
    let text = manifest(&tiny.onnx(), "epsilon", "timestep", "");
    check(tiny, &text, |x, l| (x - l.noise() * (0.5 * x + 0.01 * l.t)) / l.signal());
}

#[test]
fn v_by_timestep() {
    let tiny = Tiny::default();
    let text = manifest(&tiny.onnx(), "v", "timestep", "");
    check(tiny, &text, |x, l| l.signal() * x - l.noise() * (0.5 * x + 0.01 * l.t));
}

#[test]
fn sample_by_timestep() {
    let tiny = Tiny::default();
    let text = manifest(&tiny.onnx(), "sample", "timestep", "");
    check(tiny, &text, |x, l| 0.5 * x + 0.01 * l.t);
}

#[test]
fn whole_timesteps_of_integer_inputs_and_scalars() {
    for shape in [vec![], vec![1], vec![-1]] {
        let tiny = Tiny { told_type: INT64, told_shape: shape, ..Tiny::default() };
        let text = manifest(&tiny.onnx(), "sample", "timestep", "");
        check(tiny, &text, |x, l| 0.5 * x + 0.01 * l.t.round());
    }
}

#[test]
fn learned_variance_is_dropped() {
    let tiny = Tiny { variance: true, ..Tiny::default() };
    let text = manifest(&tiny.onnx(), "epsilon", "timestep", "output_channels = 6");
    check(tiny, &text, |x, l| (x - l.noise() * (0.5 * x + 0.01 * l.t)) / l.signal());
}

/// Told sigma, a network sees the scene plus noise, in its own range: here black 0, white 1.
#[test]
fn sample_by_sigma_in_another_range() {
    let tiny = Tiny::default();
    let text = manifest(&tiny.onnx(), "sample", "sigma", "range = [0.0, 1.0]");
    check(tiny, &text, |x, l| {
        let seen = (x / l.signal() + 1.0) / 2.0;
        let out = 0.5 * seen + 0.01 * l.sigma() / 2.0;
        2.0 * out - 1.0
    });
}

#[test]
fn epsilon_by_sigma() {
    let tiny = Tiny::default();
    let text = manifest(&tiny.onnx(), "epsilon", "sigma", "");
    check(tiny, &text, |x, l| {
        let seen = x / l.signal();
        seen - l.sigma() * (0.5 * seen + 0.01 * l.sigma())
    });
}

#[test]
fn sample_by_noise_map() {
    let tiny = Tiny { told_shape: vec![1, 1, -1, -1], ..Tiny::default() };
    let text = manifest(&tiny.onnx(), "sample", "noise-map", "");
    check(tiny, &text, |x, l| 0.5 * x / l.signal() + 0.01 * l.sigma());
}

#[test]
fn half_precision_files_are_evaluated_in_single_precision() {
    // 0.01 is no half: the nearest one is what the file holds.
    let slope = f64::from(half::f16::from_f32(0.01).to_f32());
    let tiny = Tiny { half: true, told_type: tiny::FLOAT16, ..Tiny::default() };
    let text = manifest(&tiny.onnx(), "sample", "timestep", "");
    check(tiny, &text, |x, l| 0.5 * x + slope * l.t);
}

/// The error of loading and evaluating one window.
fn refusal(text: &str, bytes: &[u8]) -> String {
    let result = load(text, bytes).and_then(|p| p.evaluator(8, 8).map(drop));
    match result {
        Err(e @ Error::Model { .. }) => e.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_manifest_that_disagrees_with_its_model_is_refused() {
    let bytes = Tiny::default().onnx();
    let text = manifest(&bytes, "v", "timestep", "");
    let swap = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    };
    let cases = [
        (swap("sha256 = '", "sha256 = '0"), "sha256"),
        (swap("input = 'picture'", "input = 'image'"), "image"),
        (swap("output = 'result'", "output = 'noise'"), "noise"),
        (swap("conditioning_input = 'told'", "conditioning_input = 't'"), "`t`"),
        (swap("channels = 3", "channels = 1"), "channels"),
        (swap("channels = 3", "channels = 3\noutput_channels = 6"), "6"),
        (swap("channels = 3", "channels = 3\noutput_channels = 4611686018427387904"), "64"),
        (swap("channels = 3", "channels = 2"), "1 or 3"),
        (swap("multiple = 4", "multiple = 0"), "multiple"),
        (swap("steps = 1000", "steps = 1"), "schedule"),
        (swap("prediction = 'v'", "prediction = 'noise'"), "noise"),
        (swap("prediction = 'v'", ""), "prediction"),
        (swap("tile = 64", "tile = 64\nsize = 3"), "size"),
        (swap("conditioning = 'timestep'", "conditioning = 'sigma'"), "epsilon or sample"),
        (swap("file = 'tiny.onnx'", "file = '../tiny.onnx'"), "plain name"),
    ];
    for (text, hint) in cases {
        let found = refusal(&text, &bytes);
        assert!(found.contains(hint) && !found.contains('\n'), "{hint}: {found}");
    }
}

#[test]
fn weights_that_are_not_numbers_are_refused() {
    for gain in [f32::NAN, f32::INFINITY] {
        let bytes = Tiny { gain, ..Tiny::default() }.onnx();
        let found = refusal(&manifest(&bytes, "v", "timestep", ""), &bytes);
        assert!(found.contains("finite"), "{found}");
    }
}

#[test]
fn files_that_are_no_model_are_refused() {
    for bytes in [&b"not a model"[..], &[0; 64], b"\x89PNG\r\n\x1a\n"] {
        refusal(&manifest(bytes, "v", "timestep", ""), bytes);
    }
    let whole = Tiny::default().onnx();
    let text = manifest(&whole, "v", "timestep", "");
    for n in 0..whole.len() {
        assert!(refusal(&text, &whole[..n]).contains("sha256"), "{n} bytes");
    }
}

#[test]
fn windows_of_other_sizes_are_refused() {
    let bytes = Tiny::default().onnx();
    let prior = load(&manifest(&bytes, "v", "timestep", ""), &bytes).unwrap();
    assert!(prior.evaluator(6, 8).is_err());
    assert!(prior.evaluator(0, 8).is_err());
    let level = prior.diffusion().at_step(0);
    assert!(prior.evaluator(8, 8).unwrap().x0(&[0.0; 5], level, &mut [0.0; 5]).is_err());
}

#[test]
fn halos_grow_with_the_noise() {
    let prior = bundled().unwrap();
    let halos: Vec<usize> = [0.01, 0.3, 0.4, 0.8, 5.0, 1e9].map(|s| prior.halo(s)).into();
    assert!(halos.is_sorted() && halos[0] < halos[5], "{halos:?}");
}

/// On a picture it has never seen, most of the noise goes and the picture stays.
#[test]
fn the_bundled_prior_denoises() {
    let prior = bundled().unwrap();
    let level = prior.diffusion().at_sigma(0.2);
    let shape = Shape::new(3, 32, 32);
    let clean: Vec<f32> = (0..shape.len()).map(|i| ((i % 32) as f32 * 0.2).sin() * 0.5).collect();
    let field = crate::noise::NoiseField { seed: 1, frame: 0, draw: 0 };
    let x_t: Vec<f32> = clean
        .iter()
        .enumerate()
        .map(|(i, c)| {
            level.signal() as f32 * c + level.noise() as f32 * field.at(0, i / 32, i % 32)
        })
        .collect();
    let mut x0 = vec![0.0; shape.len()];
    prior.evaluator(32, 32).unwrap().x0(&x_t, level, &mut x0).unwrap();
    let error = |v: &[f32]| v.iter().zip(&clean).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
    let noisy: Vec<f32> = x_t.iter().map(|v| v / level.signal() as f32).collect();
    assert!(error(&x0) < 0.15 * error(&noisy), "{} of {}", error(&x0), error(&noisy));
}

/// For an independent Gaussian the denoiser is a shrinkage, known in closed form.
#[test]
fn the_gaussian_prior_shrinks() {
    let diffusion = crate::schedule::Diffusion::linear(1e-4, 0.02, 1000).unwrap();
    let shape = Shape::new(1, 1, 3);
    let covariance = vec![4.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
    let prior = Gaussian::new(shape, covariance, diffusion).unwrap();
    let level = prior.diffusion().at_sigma(0.5);
    let mut x0 = vec![0.0; 3];
    let x_t: Vec<f32> = [1.0, -2.0, 3.0].iter().map(|v| v * level.signal() as f32).collect();
    prior.evaluator(1, 3).unwrap().x0(&x_t, level, &mut x0).unwrap();
    for (found, expected) in x0.iter().zip([1.0 * 4.0 / 4.25, -2.0 / 1.25, 0.0]) {
        assert!((found - expected).abs() < 1e-6, "{x0:?}");
    }
}
