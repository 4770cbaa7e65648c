//! The noise budget of a draw's step, in every direction of the scene.

use std::path::Path;

use super::step::{Buffers, Steps};
use super::strip::Strip;
use super::*;

/// `psf`: a kernel of 3 x 2; `holes`: a mask of what it leaves of the scene.
fn load(name: &Path) -> Result<Box<dyn Rows>> {
    let (shape, values): (_, Vec<f32>) = match name.to_str() {
        Some("psf") => (Shape::new(1, 2, 3), vec![0.2, 1.0, -0.4, -0.8, 0.5, -0.2]),
        _ => {
            let shape = Shape::new(1, 5, 6);
            (shape, (0..30).map(|i| if i % 7 == 3 { -1.0 } else { 1.0 }).collect())
        }
    };
    Ok(Frame::new(shape, values)?.into())
}

/// With an estimate that is the scene, and a state that is that scene with white noise of its
/// level, all that a step ends with besides the scene is noise: of the measurement, of the state
/// and new. Its variance must be that of the next level wherever one looks: along the measured
/// directions `A^T e_i`, across them, and pixel by pixel.
#[test]
fn a_step_ends_with_the_variance_of_its_level_in_every_direction() {
    const STEPS: u32 = 3000;
    let shape = Shape::new(1, 6, 8);
    let n = shape.len();
    let level = |sigma| ddpm().at_sigma(sigma);
    for (spec, sigma_y) in [
        ("blur:gauss:1", 0.05),
        ("blur:gauss:1", 0.3),
        ("blur:psf", 0.05),
        ("blur:psf", 0.3),
        ("blur:psf+mask:holes+sr:2", 0.05),
        // So little that what the map leaves to the prior decides.
        ("blur:psf+mask:holes+sr:2", 0.002),
    ] {
        let a = Spec::parse(spec).unwrap().build(shape, &load).unwrap();
        let whole = Region::whole(shape);
        let x = scene(shape);
        let m = a.measurement().len();
        let mut exact = vec![0.0; m];
        a.apply(whole, &x.data, &mut exact);
        // Directions to look along, and the same without what of them is measured.
        let mut looks: Vec<Vec<f32>> = Vec::new();
        for i in 0..m {
            let (mut unit, mut row) = (vec![0.0; m], vec![0.0; n]);
            unit[i] = 1.0;
            a.adjoint(whole, &unit, &mut row);
            looks.push(row);
        }
        for i in 0..n {
            let (mut unit, mut seen, mut back) = (vec![0.0; n], vec![0.0; m], vec![0.0; n]);
            unit[i] = 1.0;
            a.apply(whole, &unit, &mut seen);
            a.pinv(whole, &seen, &|_| 1.0, &mut back);
            looks.push(unit.iter().zip(&back).map(|(u, b)| u - b).collect());
            looks.push(unit);
        }
        for look in &mut looks {
            let size = look.iter().map(|v| v * v).sum::<f32>().sqrt();
            look.iter_mut().for_each(|v| *v /= size.max(1e-3));
        }
        looks.retain(|look| look.iter().map(|v| v * v).sum::<f32>() > 0.99);

        let mut squares = vec![0.0; looks.len()];
        let (from, to) = (level(0.4), level(0.15));
        for frame in 0..STEPS {
            let mode = Mode::Sample { eta: 0.85, rule: NoiseRule::Split, seed: 5 };
            let settings = Settings { sigma_y, frame, ..settings(mode, vec![from, to]) };
            let noise = |draw: u16, len: usize| -> Vec<f32> {
                let field = crate::noise::NoiseField { seed: 6, frame, draw };
                (0..len).map(|i| field.at(0, 0, i)).collect()
            };
            let mut says = vec![0.0; m];
            a.singular_values(whole, &mut says);
            let measured = exact.iter().zip(noise(0, m)).zip(&says);
            let measured =
                measured.map(|((v, z), s)| if *s > 0.0 { v + sigma_y as f32 * z } else { 0.0 });
            let y = Strip::of(a.measurement(), &measured.collect::<Vec<f32>>());
            let state: Vec<f32> = (x.data.iter().zip(noise(1, n)))
                .map(|(x, z)| from.signal() as f32 * x + from.noise() as f32 * z)
                .collect();
            let mut next = x.data.clone();
            let steps = Steps { a: &*a, settings: &settings };
            let from = Strip::of(a.scene(), &state);
            steps.advance(0, whole, &y, &from, &mut next, &mut Buffers::default());
            next.iter_mut().zip(&x.data).for_each(|(v, x)| *v -= to.signal() as f32 * x);
            for (square, look) in squares.iter_mut().zip(&looks) {
                let along: f32 = look.iter().zip(&next).map(|(l, v)| l * v).sum();
                *square += f64::from(along).powi(2);
            }
        }
        let expected = to.noise().powi(2) * f64::from(STEPS);
        for (i, square) in squares.iter().enumerate() {
            // A variance over so many is known to 2.6 %, and some hundred of them to five times
            // that; systems are solved to some hundredths.
            let off = square / expected - 1.0;
            assert!(off.abs() < 0.15, "{spec}, noise {sigma_y}, direction {i}: {off}");
        }
        let mean = squares.iter().sum::<f64>() / squares.len() as f64 / expected - 1.0;
        assert!(mean.abs() < 0.02, "{spec}, noise {sigma_y}: {mean} in the mean");
    }
}
