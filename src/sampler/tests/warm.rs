//! Frames of a video: what the last one spares, and what it must not change.

use super::*;
use crate::sampler::{Memory, restore_warm};

const SIZE: Shape = Shape { channels: 3, height: 96, width: 128 };

/// Restores a frame with what is remembered; also says how many evaluations that took.
fn next(
    a: &dyn Degradation,
    y: &Frame,
    prior: &dyn Prior,
    settings: &Settings,
    memory: &Memory,
) -> (Frame, f64, Memory) {
    let warm = memory.compare(a, y, settings).unwrap();
    let go = &mut |_| ControlFlow::Continue(());
    let x = restore_warm(a, y, prior, settings, Some(&warm), go).unwrap();
    let evaluations = warm.evaluations(&grids(a, prior, &settings.levels));
    let memory = warm.remember(x.clone(), y.clone());
    (x, evaluations, memory)
}

fn levels(count: usize) -> Vec<Level> {
    ddpm().geometric(0.2, 0.05, count)
}

fn rms(a: &Frame, b: &Frame) -> f64 {
    let squares = a.data.iter().zip(&b.data).map(|(a, b)| f64::from(a - b).powi(2));
    (squares.sum::<f64>() / a.data.len() as f64).sqrt()
}

fn residual(a: &dyn Degradation, x: &Frame, y: &Frame) -> f32 {
    let mut again = vec![0.0; y.data.len()];
    a.apply(Region::whole(a.scene()), &x.data, &mut again);
    again.iter().zip(&y.data).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn a_frame_like_the_last_costs_nothing_and_changes_nothing() {
    let prior = Smoother::new(3, 32, 4);
    for spec in ["sr:2", "bayer:rggb", "gray", "none"] {
        let a = operator(spec, SIZE);
        let y = measured(&a, &scene(SIZE), 0.0);
        let settings = settings(Mode::Faithful, levels(3));
        let cold = go(&a, &y, &prior, &settings).unwrap();
        let memory = Memory::new(cold.clone(), y.clone());
        let (x, evaluations, _) = next(&a, &y, &prior, &settings, &memory);
        assert_eq!(evaluations, 0.0, "{spec}");
        assert!(rms(&x, &cold) < 1e-6, "{spec}: {}", rms(&x, &cold));
    }
}

#[test]
fn a_change_costs_the_tiles_that_see_it_and_meets_the_measurement() {
    let prior = Smoother::new(3, 32, 4);
    let a = operator("sr:2", SIZE);
    let before = scene(SIZE);
    let mut after = before.clone();
    for c in 0..3 {
        for i in 0..100 {
            after.channel_mut(c)[(70 + i / 10) * SIZE.width + 10 + i % 10] = 0.8;
        }
    }
    let settings = settings(Mode::Faithful, levels(3));
    let y = measured(&a, &before, 0.0);
    let memory = Memory::new(go(&a, &y, &prior, &settings).unwrap(), y);
    let y = measured(&a, &after, 0.0);
    let (x, evaluations, _) = next(&a, &y, &prior, &settings, &memory);
    assert!(evaluations > 0.0 && evaluations < 1.5, "{evaluations} of 3");
    assert!(residual(&a, &x, &y) < 1e-5, "{}", residual(&a, &x, &y));
    // As good as without the last frame, in a picture of which most has not changed.
    let cold = go(&a, &y, &prior, &settings).unwrap();
    let (warm, cold) = (rms(&x, &after), rms(&cold, &after));
    assert!(warm < 1.05 * cold, "{warm}, cold {cold}");
}

#[test]
fn still_noise_is_averaged_and_moving_pictures_are_not() {
    let prior = Smoother::new(3, 32, 4);
    let a = operator("none", SIZE);
    let sigma_y = 0.1;
    let settings = Settings { sigma_y, ..settings(Mode::Faithful, levels(3)) };
    let of = |shift: usize, seed: u64| {
        // Waves that no shift leaves as they are, and that the prior smooths but a little.
        let value = |i: usize| {
            let (y, x) = (i % SIZE.plane() / SIZE.width, i % SIZE.width + shift);
            0.5 * (x as f32 * 0.3 + y as f32 * 0.1).sin()
        };
        let x = Frame::new(SIZE, (0..SIZE.len()).map(value).collect()).unwrap();
        let y = Frame::new(SIZE, degrade::measure(&a, &x, sigma_y, seed)).unwrap();
        (x, y)
    };
    for speed in [0, 3] {
        let (_, y) = of(0, 0);
        let mut memory = Memory::new(go(&a, &y, &prior, &settings).unwrap(), y);
        let mut last = (0.0, 0.0);
        for frame in 1..10 {
            let (truth, y) = of(speed * frame, frame as u64);
            let (x, evaluations, next) = next(&a, &y, &prior, &settings, &memory);
            let cold = go(&a, &y, &prior, &settings).unwrap();
            last = (rms(&x, &truth), rms(&cold, &truth));
            memory = next;
            match speed {
                0 => assert!(evaluations <= 0.6, "frame {frame}: {evaluations}"),
                _ => assert!(evaluations == 3.0, "frame {frame}: {evaluations}"),
            }
        }
        let (warm, cold) = last;
        match speed {
            // Ten measurements and an estimate that counts as four.
            0 => assert!(warm < 0.5 * sigma_y && warm < 0.7 * cold, "{warm}, cold {cold}"),
            _ => assert!(warm < 1.02 * cold, "{warm}, cold {cold}"),
        }
    }
}

#[test]
fn threads_and_bands_do_not_change_a_warm_result() {
    let prior = Smoother::new(3, 32, 4);
    let a = operator("bayer:grbg", SIZE);
    let mut after = scene(SIZE);
    after.channel_mut(1)[40 * SIZE.width..44 * SIZE.width].fill(0.5);
    let settings = settings(Mode::Faithful, levels(4));
    let y = measured(&a, &scene(SIZE), 0.0);
    let memory = Memory::new(go(&a, &y, &prior, &settings).unwrap(), y);
    let y = measured(&a, &after, 0.0);
    let (x, evaluations, _) = next(&a, &y, &prior, &settings, &memory);
    assert!(evaluations > 0.0 && evaluations < 4.0, "{evaluations}");
    for (threads, band) in [(3, None), (1, Some(1)), (2, Some(2))] {
        let settings = Settings { threads, band, ..settings.clone() };
        let (again, ..) = next(&a, &y, &prior, &settings, &memory);
        assert!(again == x, "{threads} threads, band {band:?}");
    }
}

#[test]
fn a_draw_cannot_begin_warm() {
    let prior = Smoother::new(3, 32, 4);
    let a = operator("sr:2", SIZE);
    let y = measured(&a, &scene(SIZE), 0.0);
    let settings = settings(DRAW, levels(2));
    let memory = Memory::new(scene(SIZE), y.clone());
    let warm = memory.compare(&a, &y, &settings).unwrap();
    let go = &mut |_| ControlFlow::Continue(());
    let refused = restore_warm(&a, &y, &prior, &settings, Some(&warm), go).unwrap_err();
    assert_eq!(refused.exit_code(), 2);
}
