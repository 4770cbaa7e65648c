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
                let kept = rms(&kept_residual(&a, &y.data, None, &found.data).0) * 127.5;
                // Of a picture that is mostly black and white, up to a quarter of a code value.
                assert!(kept < 0.25, "{spec} {mode:?}: {kept} code values");
                let written = rounded(&found, 8);
                let kept = rms(&kept_residual(&a, &y.data, None, &written.data).0) * 127.5;
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
    let a = operator("blocks:0.5", shape);
    let y = measured(&a, &x, 0.0);
    let levels = prior.diffusion().geometric(0.2, 0.02, 3);
    let refused = go(&a, &y, &prior, &Settings { limits, ..settings(DRAW, levels) });
    assert!(matches!(refused, Err(Error::Usage(why)) if why.contains("saturation")));
}

/// As a picture's file has it: a gain of 2 cuts off what is brighter than gray.
const ENDS: Limits = Limits { half: 0.0, black: -1.0, white: 1.0 };

/// A dark scene with bright spots, twice as bright behind `spec`, and cut off at white; the
/// operator, the scene and the measurement, and what of each is saturated.
fn bright(spec: &str, noise: f64) -> (Box<dyn Degradation>, Frame, Frame, Vec<bool>) {
    let shape = Shape::new(3, 48, 48);
    let load = |_: &std::path::Path| -> Result<Box<dyn Rows>> {
        Ok(Frame::filled(Shape { channels: 1, ..shape }, 3.0).into())
    };
    let spec = format!("gain:twice+{spec}");
    let a = Spec::parse(&spec).unwrap().build(shape, &load).unwrap();
    let mut x = scene(shape);
    for (i, v) in x.data.iter_mut().enumerate() {
        let (y, x) = (i % shape.plane() / shape.width % 24, i % shape.width % 24);
        let far = (y as f32 - 12.0).powi(2) + (x as f32 - 12.0).powi(2);
        *v = 0.25 * *v - 0.5 + 1.3 * (-far / 18.0).exp();
    }
    let mut file = degrade::to_file(&a, &measured(&a, &x, noise / 127.5).data).unwrap();
    file.data.iter_mut().for_each(|v| *v = v.clamp(-1.0, 1.0));
    let white: Vec<f32> = file.data.iter().map(|v| f32::from(u8::from(*v >= 1.0))).collect();
    let mut lost = vec![0.0; shape.len()];
    a.adjoint(Region::whole(shape), &white, &mut lost);
    let y = degrade::measurement(&a, &file).unwrap();
    (a, x, y, lost.iter().map(|v| *v > 0.2).collect())
}

/// Root of the mean square of the error over saturated values.
fn error(found: &[f32], x: &Frame, lost: &[bool]) -> f64 {
    let values = found.iter().zip(&x.data).zip(lost).filter(|(_, lost)| **lost);
    rms(&values.map(|((f, x), _)| f - x).collect::<Vec<f32>>())
}

/// Bounds bring highlights back, for all degradations of pictures, with and without noise.
#[test]
fn saturated_scenes_are_nearer_with_bounds() {
    let prior = crate::prior::bundled().unwrap();
    // Part of the error that may be left.
    for (spec, noise, most) in [
        ("sr:2", 0.0, 0.98),
        ("sr:2", 5.0, 0.98),
        // Whose prior sees little of what is cut off: single values.
        ("bayer:rggb", 5.0, 0.995),
        ("sr:2:bicubic", 0.0, 0.98),
        ("sr:2:bicubic", 5.0, 0.98),
        ("blur:gauss:1.6", 2.0, 0.98),
    ] {
        let (a, x, y, lost) = bright(spec, noise);
        for mode in [Mode::Faithful, DRAW] {
            let sigma_y = noise / 127.5;
            let d = defaults(&a, sigma_y, mode == Mode::Faithful);
            let levels = prior.diffusion().geometric(d.start, d.end, d.steps);
            let exact = Settings { sigma_y, ..settings(mode, levels).suit(&d) };
            let open = Settings { limits: Some(ENDS), ..exact.clone() };
            let [exact, open] = [exact, open].map(|how| go(&a, &y, &prior, &how).unwrap());
            let [before, after] = [&exact, &open].map(|found| error(&found.data, &x, &lost));
            assert!(
                after < most * before,
                "{spec} {noise} {mode:?}: {before} before, {after} after"
            );
        }
    }
}

/// Where rows overlap too: a noise-free measurement is met on the directions that are kept, up to
/// the interval of what is saturated, and no worse than without saturation.
#[test]
fn overlapping_rows_agree_with_intervals() {
    let prior = Smoother::new(3, 16, 4);
    for spec in ["sr:2:bicubic", "sr:3:bicubic", "blur:gauss:0.8"] {
        let (a, x, y, _) = bright(spec, 0.0);
        let whole = measured(&a, &x, 0.0);
        for mode in [Mode::Faithful, DRAW] {
            let levels = prior.diffusion().geometric(0.2, 0.02, 3);
            let open = Settings { limits: Some(ENDS), ..settings(mode, levels.clone()) };
            let found = go(&a, &y, &prior, &open).unwrap();
            let left = rms(&kept_residual(&a, &y.data, open.limits.as_ref(), &found.data).0);
            // What there is without saturation, of the same scene.
            let usual = go(&a, &whole, &prior, &settings(mode, levels)).unwrap();
            let usual = rms(&kept_residual(&a, &whole.data, None, &usual.data).0);
            assert!(left <= usual.max(CONTENT), "{spec} {mode:?}: {left}, {usual} without");
            // Saturated values are no exact ones.
            let taken = rms(&kept_residual(&a, &y.data, None, &found.data).0);
            assert!(taken > 2.0 * left, "{spec} {mode:?}: {taken}");
        }
    }
}

/// Classical estimates that take saturated values for exact are further from the scene.
#[test]
fn the_classical_start_respects_bounds() {
    let (a, x, y, lost) = bright("blur:gauss:1.6", 2.0);
    let sigma_y = 2.0 / 127.5;
    let mut start = a.start(&y.data, sigma_y);
    let before = error(&start, &x, &lost);
    loosen::loosen(&a, &y.data, &ENDS, sigma_y, &mut start);
    let after = error(&start, &x, &lost);
    assert!(after < 0.9 * before, "{before} before, {after} after");
    // Where nothing is saturated nothing changes.
    let mut dark = y.clone();
    dark.data.iter_mut().for_each(|v| *v = v.min(-0.01));
    let start = a.start(&dark.data, sigma_y);
    let mut same = start.clone();
    loosen::loosen(&a, &dark.data, &ENDS, sigma_y, &mut same);
    assert!(start.iter().map(|v| v.clamp(-1.0, 1.0)).eq(same));
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
