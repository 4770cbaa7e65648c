//! The same bits, whatever the machine does; and what goes wrong is said.

use super::*;
use crate::degrade::{Reach, Spectrum};
use crate::frame::Region;
use crate::prior::bundled;

/// An operator that claims to need the whole frame.
struct Assembled(Box<dyn Degradation>);

impl Degradation for Assembled {
    fn spec(&self) -> String {
        self.0.spec()
    }
    fn scene(&self) -> Shape {
        self.0.scene()
    }
    fn measurement(&self) -> Shape {
        self.0.measurement()
    }
    fn measured(&self, region: Region) -> Region {
        assert_eq!(region, Region::whole(self.scene()));
        self.0.measured(region)
    }
    fn apply(&self, region: Region, x: &[f32], y: &mut [f32]) {
        assert_eq!(region, Region::whole(self.scene()));
        self.0.apply(region, x, y);
    }
    fn adjoint(&self, region: Region, y: &[f32], x: &mut [f32]) {
        self.0.adjoint(region, y, x);
    }
    fn pinv(&self, region: Region, y: &[f32], weight: &dyn Fn(f32) -> f32, x: &mut [f32]) {
        self.0.pinv(region, y, weight, x);
    }
    fn singular_values(&self, region: Region, out: &mut [f32]) {
        self.0.singular_values(region, out);
    }
    fn dc_gain(&self, region: Region, out: &mut [f32]) {
        self.0.dc_gain(region, out);
    }
    fn spectrum(&self) -> Spectrum {
        self.0.spectrum()
    }
    fn period(&self) -> usize {
        self.0.period()
    }
    fn reach(&self) -> Reach {
        Reach::Global
    }
    fn max_row_sum(&self) -> f32 {
        self.0.max_row_sum()
    }
    fn uncertainty(&self) -> f64 {
        self.0.uncertainty()
    }
    fn classical_rows(&self, _rows: std::ops::Range<usize>, y: &[f32], x: &mut [f32]) {
        x.copy_from_slice(&self.0.classical(y));
    }
}

#[test]
fn threads_bands_and_reach_do_not_change_a_bit() {
    for (spec, channels) in
        [("sr:2", 3), ("bayer:rggb", 3), ("mask:hole", 1), ("gray+mask:hole+sr:3", 3)]
    {
        let shape = Shape::new(channels, 67, 50);
        let a = operator(spec, shape);
        let prior = Smoother::new(3, 16, 4);
        for (mode, sigma_y) in [(Mode::Faithful, 0.0), (DRAW, 0.0), (DRAW, 0.1)] {
            let y = measured(&a, &scene(shape), sigma_y);
            let levels = prior.diffusion().geometric(0.3, 0.02, 4);
            let first = Settings { sigma_y, ..settings(mode, levels) };
            let expected = go(&a, &y, &prior, &first).unwrap();
            for (threads, band) in [(2, None), (5, None), (1, Some(1)), (3, Some(1)), (2, Some(2))]
            {
                let other = Settings { threads, band, ..first.clone() };
                let found = go(&a, &y, &prior, &other).unwrap();
                assert!(found == expected, "{spec} {mode:?} {threads} {band:?}");
            }
            let whole = Assembled(operator(spec, shape));
            for band in [None, Some(1)] {
                let other = Settings { band, threads: 2, ..first.clone() };
                let found = go(&whole, &y, &prior, &other).unwrap();
                assert!(found == expected, "{spec} {mode:?} assembled {band:?}");
            }
        }
    }
}

/// The misfit of the last estimate is summed tile by tile, and counts each measured value once.
#[test]
fn misfits_do_not_depend_on_threads_and_bands() {
    let shape = Shape::new(3, 67, 50);
    let prior = Smoother::new(3, 16, 4);
    let of = |a: &dyn Degradation, y: &Frame, settings: &Settings| {
        let mut sum = Misfit::default();
        let mut done = |part: Finished| {
            sum.add(part.misfit);
            Ok(())
        };
        let go_on = &mut |_| ControlFlow::Continue(());
        restore_rows(a, &mut FrameRows::new(y), &prior, settings, &mut done, go_on).unwrap();
        sum
    };
    for (spec, mode) in [("sr:2", Mode::Faithful), ("bayer:rggb", DRAW), ("mask:hole", DRAW)] {
        let a = operator(spec, shape);
        let y = measured(&a, &scene(shape), 0.0);
        let first = settings(mode, prior.diffusion().geometric(0.3, 0.02, 3));
        let expected = of(&a, &y, &first);
        assert_eq!(expected.count, a.rank() as u64, "{spec}");
        assert!(expected.rms() > 1e-3, "{spec}: {expected:?}");
        for (threads, band) in [(2, None), (1, Some(1)), (3, Some(2))] {
            let other = Settings { threads, band, ..first.clone() };
            assert_eq!(of(&a, &y, &other), expected, "{spec} {threads} {band:?}");
        }
        let whole = of(&Assembled(operator(spec, shape)), &y, &first);
        assert_eq!(whole.count, expected.count, "{spec}");
        assert!((whole.rms() / expected.rms() - 1.0).abs() < 1e-9, "{spec}");
    }
}

/// With enough halo the tiles cannot be told from one evaluation of the whole frame.
#[test]
fn tiles_with_enough_halo_equal_the_untiled_result() {
    let shape = Shape::new(3, 64, 96);
    let a = operator("sr:2", shape);
    let y = measured(&a, &scene(shape), 0.0);
    let run = |tile, halo| {
        let prior = Smoother::new(3, tile, halo);
        let levels = prior.diffusion().geometric(0.2, 0.02, 1);
        go(&a, &y, &prior, &settings(Mode::Faithful, levels)).unwrap()
    };
    assert!(run(16, 2) == run(1000, 0));
    assert!(run(16, 0) != run(1000, 0), "a halo too small must show, or this test cannot");
}

#[test]
fn draws_differ_by_seed_and_frame_and_repeat() {
    let shape = Shape::new(3, 20, 20);
    let (a, prior) = (operator("sr:2", shape), Smoother::new(3, 16, 4));
    let y = measured(&a, &scene(shape), 0.0);
    let levels = prior.diffusion().geometric(0.2, 0.02, 2);
    let run = |seed, frame| {
        let mode = Mode::Sample { eta: 0.85, rule: NoiseRule::Split, seed };
        go(&a, &y, &prior, &Settings { frame, ..settings(mode, levels.clone()) }).unwrap()
    };
    assert_eq!(run(1, 0), run(1, 0));
    assert_ne!(run(1, 0), run(2, 0));
    assert_ne!(run(1, 0), run(1, 1));
}

#[test]
fn progress_counts_every_tile_and_can_stop() {
    let shape = Shape::new(3, 60, 60);
    let (a, prior) = (operator("none", shape), Smoother::new(3, 16, 4));
    let y = measured(&a, &scene(shape), 0.0);
    let levels = prior.diffusion().geometric(0.2, 0.02, 3);
    let steps = Settings { threads: 2, ..settings(Mode::Faithful, levels) };
    let mut seen = Vec::new();
    restore(&a, &y, &prior, &steps, &mut |p| {
        seen.push(p);
        ControlFlow::Continue(())
    })
    .unwrap();
    let total = seen[0].total;
    assert_eq!(seen.iter().map(|p| p.done).collect::<Vec<_>>(), (1..=total).collect::<Vec<_>>());
    let mut calls = 0;
    let stopped = restore(&a, &y, &prior, &steps, &mut |_| {
        calls += 1;
        if calls == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(stopped, Err(Error::Interrupted));
    assert!(calls < total);
}

#[test]
fn what_is_not_a_number_is_an_error() {
    let shape = Shape::new(3, 40, 40);
    let a = operator("none", shape);
    let y = measured(&a, &scene(shape), 0.0);
    let prior = Smoother { breaks_above: 0.5, ..Smoother::new(3, 16, 4) };
    let levels = prior.diffusion().geometric(0.2, 0.02, 2);
    let steps = Settings { threads: 2, ..settings(Mode::Faithful, levels) };
    assert!(matches!(go(&a, &y, &prior, &steps), Err(Error::Numerical { .. })));
    let mut broken = y.clone();
    broken.data[7] = f32::NAN;
    let prior = Smoother::new(3, 16, 4);
    assert!(matches!(go(&a, &broken, &prior, &steps), Err(Error::Shape { .. })));
    let two = Smoother::new(2, 16, 4);
    assert!(go(&a, &y, &two, &steps).is_err());
}

/// Seams: with the bundled prior, tiles of 64 pixels and its own halo, the picture is that of one
/// window, and is not steeper across the borders of tiles than elsewhere.
#[test]
fn the_bundled_prior_leaves_no_seams() {
    let file = crate::io::read("tests/assets/coffee.png".as_ref()).unwrap();
    let shape = Shape::new(3, 160, 160);
    let mut clean = vec![0.0; shape.len()];
    let part = Region { y: 150, x: 250, height: 160, width: 160 };
    crate::frame::crop(&file.data, file.shape, part, &mut clean);
    let clean = Frame::new(shape, clean).unwrap();
    let a = operator("sr:2", shape);
    let y = measured(&a, &clean, 0.0);
    let whole = bundled().unwrap();
    let tiled = Tiled(bundled().unwrap());
    let levels = whole.diffusion().geometric(0.2, 0.05, 2);
    let steps = settings(Mode::Faithful, levels);
    let one = go(&a, &y, &whole, &steps).unwrap();
    let many = go(&a, &y, &tiled, &steps).unwrap();
    let squares: f32 = one.data.iter().zip(&many.data).map(|(a, b)| (a - b).powi(2)).sum();
    let rms = (squares / shape.len() as f32).sqrt() * 127.5;
    assert!(rms > 0.0 && rms < 0.1, "{rms} code values");

    let grid = tiling(&a, &tiled, &steps.levels).grid(shape, 1);
    let borders: Vec<usize> = grid.columns.iter().map(|s| s.core).filter(|&x| x > 0).collect();
    assert!(!borders.is_empty());
    let gradient = |frame: &Frame, x: usize| {
        let rows = frame.data.chunks_exact(shape.width);
        rows.map(|row| f64::from(row[x] - row[x - 1]).abs()).sum::<f64>()
    };
    for x in borders {
        let ratio = gradient(&many, x) / gradient(&one, x);
        assert!((ratio - 1.0).abs() < 0.02, "column {x}: {ratio}");
    }
}

/// The bundled prior in tiles of 64 pixels.
struct Tiled(crate::prior::Model);

impl Prior for Tiled {
    fn channels(&self) -> usize {
        self.0.channels()
    }
    fn multiple(&self) -> usize {
        self.0.multiple()
    }
    fn tile(&self) -> usize {
        64
    }
    fn halo(&self, sigma: f64) -> usize {
        self.0.halo(sigma)
    }
    fn diffusion(&self) -> &Diffusion {
        self.0.diffusion()
    }
    fn evaluator(&self, height: usize, width: usize) -> Result<Box<dyn Evaluator>> {
        self.0.evaluator(height, width)
    }
    fn identity(&self) -> Identity {
        self.0.identity()
    }
}
