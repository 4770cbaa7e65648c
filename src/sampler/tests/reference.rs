//! A draw of DDNM and two of DDNM+, step by step as `tests/reference/trajectory.py` computes them
//! with dense matrices in float64.

use std::path::{Path, PathBuf};

use super::step::{Buffers, Steps};
use super::strip::Strip;
use super::truth::{covariance, gaussian};
use super::*;

const STEPS: usize = 6;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/trajectory")
}

/// The first values of a list, which go from it.
fn take(from: &mut Vec<f64>, count: usize) -> Vec<f64> {
    let rest = from.split_off(count);
    std::mem::replace(from, rest)
}

/// The largest distance of a state from that of the reference.
fn distance(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let away = found.iter().zip(expected).map(|(f, e)| (f64::from(*f) - e).abs());
    away.fold(0.0, f64::max)
}

#[test]
fn every_step_of_a_draw_is_that_of_the_reference() {
    let shape = Shape::new(1, 6, 8);
    let bytes = std::fs::read(folder().join("values.bin")).unwrap();
    let mut values: Vec<f64> =
        bytes.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect();
    let load = |name: &Path| crate::io::rows(&folder().join(name).with_extension("npy"));
    let a = Spec::parse("gain:gain+sr:2").unwrap().build(shape, &load).unwrap();
    let prior = gaussian(shape, &covariance(shape, 0.05, 0.8));
    let whole = Region::whole(shape);
    for sigma_y in [0.0, 0.03, 0.4] {
        let levels = ddpm().geometric(0.5, 0.02, STEPS);
        for (level, expected) in levels.iter().zip(take(&mut values, STEPS)) {
            assert!((level.alpha_bar - expected).abs() < 1e-12, "{level:?}: {expected}");
        }
        let mode = Mode::Sample { eta: 0.85, rule: NoiseRule::Split, seed: 77 };
        let settings = Settings { sigma_y, ..settings(mode, levels.clone()) };
        let steps = Steps { a: &*a, settings: &settings };
        let measured: Vec<f32> =
            take(&mut values, a.measurement().len()).iter().map(|v| *v as f32).collect();
        let y = Strip::of(a.measurement(), &measured);

        let mut state = vec![0.0; shape.len()];
        a.pinv(whole, &measured, &|_| 1.0, &mut state);
        steps.start(whole, &mut state);
        let start = distance(&state, &take(&mut values, shape.len()));
        assert!(start < 2e-6, "noise {sigma_y}, first state: {start}");
        let mut evaluator = prior.evaluator(shape.height, shape.width).unwrap();
        for (k, level) in levels.iter().enumerate() {
            let mut next = vec![0.0; shape.len()];
            evaluator.x0(&state, *level, &mut next).unwrap();
            let from = Strip::of(shape, &state);
            steps.advance(k, whole, &y, &from, &mut next, &mut Buffers::default());
            let away = distance(&next, &take(&mut values, shape.len()));
            assert!(away < 2e-6, "noise {sigma_y}, step {}: {away}", k + 1);
            state = next;
        }
    }
    assert!(values.is_empty(), "{} values too many", values.len());
}
