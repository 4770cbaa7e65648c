//! Both modes, with and without noise, for every operator that has a graph.

use super::*;

/// Largest difference, of values in `[-1, 1]`.
const TOLERANCE: f32 = 1e-4;

/// The same where the network calculates in half precision; the certificate's residual is not
/// touched by that.
const TOLERANCE_F16: f32 = 5e-3;

pub const SPECS: [&str; 16] = [
    "none",
    "sr:2",
    "sr:3",
    "mask:checker",
    "gain:ramp",
    "gray",
    "gray:601",
    "bayer:rggb",
    "bayer:gbrg",
    "blur:gauss:1.2",
    "blur:gauss:0.6,1.5",
    "blur:box:3",
    "gray+sr:2",
    "sr:2+mask:half",
    "gain:ramp+gray+sr:2",
    "sr:2+bayer:grbg",
];

pub const SPLIT: Mode = Mode::Sample { eta: 0.85, rule: NoiseRule::Split, seed: 3 };
pub const DDIM: Mode = Mode::Sample { eta: 0.7, rule: NoiseRule::Ddim, seed: 4 };

#[test]
fn every_operator_in_every_mode() {
    // Emulators take a quarter of an hour for all of it with the larger model.
    let emulated = !cfg!(target_arch = "x86_64");
    let model = model(if emulated { "patch-xs" } else { "patch-s" });
    let noises: &[f64] = if emulated { &[0.1] } else { &[0.0, 0.1] };
    for spec in SPECS {
        // One tile, mirrored at its far edges.
        let a = operator(spec, Shape::new(3, 21, 22));
        for mode in [Mode::Faithful, SPLIT, DDIM] {
            for &sigma_y in noises {
                let settings = settings(&model, mode, sigma_y, 2);
                let y = measured(&*a, sigma_y);
                let found = difference(&*a, &y, &model, &settings, Precision::F32);
                assert!(found < TOLERANCE, "{spec}, {mode:?}, noise {sigma_y}: {found}");
            }
        }
    }
}

#[test]
fn tiles_of_all_sizes_on_both_grids() {
    let model = model("patch-xs");
    for (spec, mode) in [("sr:2", Mode::Faithful), ("blur:gauss:1.2", SPLIT), ("none", DDIM)] {
        let a = operator(spec, Shape::new(3, 37, 42));
        let settings = settings(&model, mode, 0.1, 2);
        let grids = sampler::grids(&*a, &model, &settings.levels);
        assert!(grids.iter().all(|grid| grid.len() > 3), "one tile or two show nothing");
        let found = difference(&*a, &measured(&*a, 0.1), &model, &settings, Precision::F32);
        assert!(found < TOLERANCE, "{spec}, {mode:?}: {found}");
    }
}

#[test]
fn the_prior_inside_the_program() {
    let (onnx, packed) = (model("patch-s"), crate::prior::bundled().unwrap());
    // One tile: the packed prior has larger ones.
    let a = operator("bayer:rggb", Shape::new(3, 24, 24));
    for mode in [Mode::Faithful, SPLIT] {
        let settings = settings(&onnx, mode, 0.0, 2);
        let y = measured(&*a, 0.0);
        let mut go_on = |_| ControlFlow::Continue(());
        let native = sampler::restore(&*a, &y, &packed, &settings, &mut go_on).unwrap();
        let prepared =
            Prepared::new(&Processor, job(&*a, &onnx, &settings, Precision::F32)).unwrap();
        let (found, _) = prepared.restore(&y, &mut go_on).unwrap();
        let found = largest(&native, &found);
        assert!(found < TOLERANCE, "{mode:?}: {found}");
    }
}

#[test]
fn a_gray_scene_through_a_colour_prior() {
    let model = model("patch-xs");
    let a = operator("sr:2", Shape::new(1, 24, 21));
    for (mode, sigma_y) in [(Mode::Faithful, 0.1), (SPLIT, 0.0)] {
        let settings = settings(&model, mode, sigma_y, 2);
        let found = difference(&*a, &measured(&*a, sigma_y), &model, &settings, Precision::F32);
        assert!(found < TOLERANCE, "{mode:?}: {found}");
    }
}

#[test]
fn half_precision_stays_close_and_keeps_the_measurement() {
    let model = model("patch-xs");
    let a = operator("sr:2", Shape::new(3, 16, 16));
    let y = measured(&*a, 0.0);
    let settings = settings(&model, Mode::Faithful, 0.0, 2);
    let found = difference(&*a, &y, &model, &settings, Precision::F16);
    assert!(found > 0.0 && found < TOLERANCE_F16, "{found}");
    let prepared = Prepared::new(&Processor, job(&*a, &model, &settings, Precision::F16)).unwrap();
    let (x, _) = prepared.restore(&y, &mut |_| ControlFlow::Continue(())).unwrap();
    let residual = crate::certificate::residual(&*a, &y, &x);
    assert!(residual.max < 1e-3, "{residual:?}");
}

#[test]
fn only_frames_cross_the_bus() {
    let model = model("patch-xs");
    let a = operator("sr:2", Shape::new(3, 24, 24));
    let (frame, y) = (3 * 24 * 24 * 4, 3 * 12 * 12 * 4);
    for (mode, draws) in [(Mode::Faithful, 0), (SPLIT, 3)] {
        let settings = settings(&model, mode, 0.0, 3);
        let prepared =
            Prepared::new(&Processor, job(&*a, &model, &settings, Precision::F32)).unwrap();
        let (_, traffic) =
            prepared.restore(&measured(&*a, 0.0), &mut |_| ControlFlow::Continue(())).unwrap();
        // Each step, the numbers of the step go there, and one number comes back.
        let numbers = 3 * 4 * step::Numbers::COUNT as u64;
        assert_eq!(traffic, Traffic { up: y + (1 + draws) * frame + numbers, down: frame + 3 * 4 });
    }
}

#[test]
fn what_has_no_closed_form_is_refused() {
    for spec in ["sr:2:bicubic", "blur:gauss:1.2+sr:2", "hadamard:0.5", "420"] {
        let a = operator(spec, Shape::new(3, 16, 16));
        assert!(matches!(supports(&*a), Err(crate::Error::Usage(_))), "{spec}");
    }
}

#[test]
fn a_broken_estimate_is_noticed() {
    let model = model("patch-xs");
    let a = operator("none", Shape::new(3, 16, 16));
    let mut settings = settings(&model, Mode::Faithful, 0.0, 1);
    // A level that no state stands: its amplitude divides by nothing.
    settings.levels[0].t = f64::NAN;
    let prepared = Prepared::new(&Processor, job(&*a, &model, &settings, Precision::F32)).unwrap();
    let done = prepared.restore(&measured(&*a, 0.0), &mut |_| ControlFlow::Continue(()));
    assert!(matches!(done, Err(crate::Error::Numerical { .. })), "{:?}", done.err());
}
