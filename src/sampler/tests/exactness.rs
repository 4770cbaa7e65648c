//! `A x = y`, also where values end at black or white, and after rounding.

use super::*;
use crate::certificate::{residual, rounding_bound};
use crate::frame::{Region, from_code, to_code};

const SPECS: [&str; 8] =
    ["none", "sr:2", "sr:3", "sr:16", "gray", "bayer:gbrg", "mask:checker", "gray+mask:hole+sr:2"];

/// A scene most of which is pure black or white.
fn saturated(shape: Shape) -> Frame {
    let mut x = scene(shape);
    x.data.iter_mut().for_each(|v| *v = (*v * 8.0).clamp(-1.0, 1.0));
    x
}

/// Where rows overlap the range and the measurement are met together to a fraction of a code
/// value, and on the directions that are kept.
#[test]
fn overlapping_rows_agree_to_what_is_promised() {
    for spec in ["sr:2:bicubic", "sr:3:bicubic", "blur:gauss:0.8", "blur:box:3", "hadamard:0.3"] {
        for x in [scene(Shape::new(3, 37, 45)), saturated(Shape::new(3, 37, 45))] {
            let a = operator(spec, x.shape);
            let y = measured(&a, &x, 0.0);
            let prior = Smoother::new(3, 16, 4);
            for mode in [Mode::Faithful, DRAW] {
                let levels = prior.diffusion().geometric(0.2, 0.02, 3);
                let found = go(&a, &y, &prior, &settings(mode, levels)).unwrap();
                assert!(found.data.iter().all(|v| v.abs() <= 1.0), "{spec}");
                let kept = rms(&kept_residual(&a, &y.data, &found.data).0) * 127.5;
                // Of a picture that is mostly black and white, up to a quarter of a code value.
                assert!(kept < 0.25, "{spec} {mode:?}: {kept} code values");
                let written = rounded(&found, 8);
                let kept = rms(&kept_residual(&a, &y.data, &written.data).0) * 127.5;
                assert!(kept <= 0.25 + rounding_bound(&a, 8), "{spec} {mode:?}: {kept}");
            }
        }
    }
}

fn rounded(x: &Frame, bits: u8) -> Frame {
    let data = x.data.iter().map(|&v| from_code(to_code(v, bits), bits)).collect();
    Frame::new(x.shape, data).unwrap()
}

#[test]
fn results_agree_with_the_measurement_also_at_black_and_white() {
    for shape in [Shape::new(3, 37, 45), Shape::new(3, 5, 3)] {
        for x in [scene(shape), saturated(shape)] {
            for spec in SPECS {
                let a = operator(spec, shape);
                let y = measured(&a, &x, 0.0);
                let prior = Smoother::new(3, 16, 4);
                for mode in [Mode::Faithful, DRAW] {
                    let levels = prior.diffusion().geometric(0.2, 0.02, 3);
                    let found = go(&a, &y, &prior, &settings(mode, levels)).unwrap();
                    assert!(found.data.iter().all(|v| v.abs() <= 1.0), "{spec}");
                    let exact = residual(&a, &y, &found);
                    assert!(exact.max < 1e-5 * 255.0, "{spec} {mode:?} {shape}: {exact:?}");
                    for bits in [8, 16] {
                        let written = residual(&a, &y, &rounded(&found, bits));
                        let bound = rounding_bound(&a, bits) + 1e-3;
                        assert!(written.max <= bound, "{spec} {bits} bits: {written:?} > {bound}");
                    }
                }
            }
        }
    }
}

/// The projection onto measurement and box is the nearest point of both: no move of weight from
/// one pixel to another that keeps the measurement comes closer to where it started.
#[test]
fn into_box_is_a_projection() {
    let shape = Shape::new(1, 8, 8);
    let a = operator("sr:4", shape);
    let x = saturated(shape);
    let y = measured(&a, &x, 0.0);
    let start: Vec<f32> = (0..64).map(|i| ((i * 29) % 17) as f32 / 6.0 - 1.3).collect();
    let mut found = start.clone();
    into_box(&a, Region::whole(shape), &y.data, None, &mut found);
    let clipped: Vec<f32> = start.iter().map(|v| v.clamp(-1.0, 1.0)).collect();
    for i in 0..64 {
        for j in (0..64).filter(|&j| (i / 32, i % 8 / 4) == (j / 32, j % 8 / 4) && j != i) {
            // Moving a little from j to i must not come closer.
            if found[i] < 1.0 - 1e-4 && found[j] > -1.0 + 1e-4 {
                let gain = (clipped[i] - found[i]) - (clipped[j] - found[j]);
                assert!(gain < 1e-4, "{i} {j}: {gain}");
            }
        }
    }
}

/// Saturated values say at least, or at most, so much: what lies beyond is kept, what does not reach
/// them is corrected, and everything else is exact.
#[test]
fn saturated_values_are_bounds() {
    let shape = Shape::new(3, 30, 40);
    // Twice the light: half of the range is above white.
    let load = |_: &std::path::Path| -> Result<Box<dyn Rows>> {
        Ok(Frame::filled(Shape::new(1, 30, 40), 3.0).into())
    };
    let a = Spec::parse("gain:twice+sr:2").unwrap().build(shape, &load).unwrap();
    let prior = Smoother::new(3, 16, 4);
    let mut x = scene(shape);
    x.data.iter_mut().for_each(|v| *v *= 0.9);
    let mut file = degrade::to_file(&a, &measured(&a, &x, 0.0).data).unwrap();
    let clipped = file.data.iter().filter(|v| **v > 1.0).count();
    assert!(clipped > 100 && clipped < file.data.len() - 100, "{clipped}");
    file.data.iter_mut().for_each(|v| *v = v.min(1.0));
    let y = degrade::measurement(&a, &file).unwrap();
    let limits = Some(Limits { half: 0.0, black: -1.0, white: 1.0 });
    for mode in [Mode::Faithful, DRAW] {
        let levels = prior.diffusion().geometric(0.2, 0.02, 3);
        let open = Settings { limits, ..settings(mode, levels.clone()) };
        let found = go(&a, &y, &prior, &open).unwrap();
        let again = degrade::to_file(&a, &measured(&a, &found, 0.0).data).unwrap();
        let mut beyond = 0;
        for (found, file) in again.data.iter().zip(&file.data) {
            let saturated = *file >= 1.0;
            beyond += usize::from(*found > 1.01);
            assert!((found - file).abs() < 1e-5 || saturated && found > file, "{found}, {file}");
        }
        // A draw goes beyond; the smoother itself has no reason to.
        assert!(beyond > 0 || mode == Mode::Faithful, "{mode:?}");
    }
    for (spec, sigma_y, mode) in
        [("sr:2:bicubic", 0.0, Mode::Faithful), ("blocks:0.5", 0.0, DRAW), ("sr:2", 0.1, DRAW)]
    {
        let a = operator(spec, shape);
        let y = measured(&a, &x, sigma_y);
        let levels = prior.diffusion().geometric(0.2, 0.02, 3);
        let refused = go(&a, &y, &prior, &Settings { sigma_y, limits, ..settings(mode, levels) });
        assert!(matches!(refused, Err(Error::Usage(why)) if why.contains("saturation")), "{spec}");
    }
}

/// Every position of the dial agrees with the measurement, and 0 is the classical estimate.
#[test]
fn every_blend_agrees_with_the_measurement() {
    let shape = Shape::new(3, 30, 40);
    let (a, prior) = (operator("sr:3", shape), Smoother::new(3, 16, 4));
    let y = measured(&a, &scene(shape), 0.0);
    let run = |generative| {
        let levels = prior.diffusion().geometric(0.2, 0.02, 3);
        let blend = Settings { generative, ..settings(Mode::Faithful, levels) };
        go(&a, &y, &prior, &blend).unwrap()
    };
    for generative in [0.0, 0.3, 1.0] {
        let r = residual(&a, &y, &run(generative));
        assert!(r.max < 1e-5 * 255.0, "{generative}: {r:?}");
    }
    let classical = a.classical(&y.data);
    let far =
        |x: &Frame| x.data.iter().zip(&classical).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(far(&run(0.0)) < 1e-5 && far(&run(1.0)) > 0.01);
}

/// What goes on in the direction of a change that keeps the measurement keeps it too; where there
/// is one step alone, nothing goes on.
#[test]
fn momentum_keeps_the_measurement_and_ends_before_the_last_step() {
    let shape = Shape::new(3, 30, 40);
    let (a, prior) = (operator("sr:3", shape), Smoother::new(3, 16, 4));
    let y = measured(&a, &scene(shape), 0.0);
    let run = |momentum, steps| {
        let levels = prior.diffusion().geometric(0.2, 0.02, steps);
        let onward = Settings { momentum, ..settings(Mode::Faithful, levels) };
        go(&a, &y, &prior, &onward).unwrap()
    };
    let r = residual(&a, &y, &run(0.9, 4));
    assert!(r.max < 1e-5 * 255.0, "{r:?}");
    assert!(run(0.9, 1) == run(0.0, 1) && run(0.9, 4) != run(0.0, 4));
}

/// With noise the weight leaves the residual that the noise deserves: much less than projecting
/// nothing, and more than none.
#[test]
fn noise_leaves_a_residual_of_its_own_size() {
    let shape = Shape::new(3, 40, 40);
    let (a, prior) = (operator("none", shape), Smoother::new(3, 16, 4));
    let sigma_y = 20.0 / 127.5;
    let y = measured(&a, &scene(shape), sigma_y);
    let levels = prior.diffusion().geometric(0.2, 0.02, 4);
    let left = |relaxation| {
        let noisy = Settings { sigma_y, relaxation, ..settings(Mode::Faithful, levels.clone()) };
        residual(&a, &y, &go(&a, &y, &prior, &noisy).unwrap()).rms
    };
    let rms = left(1.0);
    assert!(rms > 10.0 && rms < 30.0, "{rms}");
    // The more the measurement counts, the less is left.
    assert!(left(4.0) < 0.95 * rms, "{} of {rms}", left(4.0));
}
