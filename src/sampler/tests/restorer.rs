//! Frame after frame gives what each of them alone does.

use std::sync::Arc;

use super::*;
use crate::sampler::Restorer;

#[test]
fn a_restorer_gives_the_bits_of_restore_frame_after_frame() {
    for (spec, channels) in
        [("none", 3), ("bayer:rggb", 3), ("mask:hole", 1), ("gray+sr:3", 3), ("blur:gauss:1", 3)]
    {
        let shape = Shape::new(channels, 67, 50);
        for (mode, sigma_y, threads) in [(Mode::Faithful, 0.0, 1), (DRAW, 0.1, 2), (DRAW, 0.0, 3)] {
            let prior = Arc::new(Smoother::new(3, 16, 4));
            let levels = prior.diffusion().geometric(0.3, 0.02, 3);
            let steps =
                Settings { sigma_y, threads, generative: 0.7, ..settings(mode, levels.clone()) };
            let a: Arc<dyn Degradation> = Arc::new(operator(spec, shape));
            let mut restorer = Restorer::new(a.clone(), prior.clone(), steps.clone()).unwrap();
            let mut x = Frame::filled(shape, 0.0);
            for frame in 0..3 {
                let mut scene = scene(shape);
                scene.data.iter_mut().for_each(|v| *v *= 1.0 - 0.2 * frame as f32);
                let y = measured(&*a, &scene, sigma_y);
                restorer.set_frame(frame);
                let go_on = &mut |_| ControlFlow::Continue(());
                restorer.restore_into(&y, &mut x, go_on).unwrap();
                let expected = go(&*a, &y, &*prior, &Settings { frame, ..steps.clone() }).unwrap();
                assert!(x == expected, "{spec} {mode:?} {sigma_y} frame {frame}");
            }
        }
    }
}

#[test]
fn a_restorer_can_be_stopped_and_goes_on_on_another_thread() {
    fn sent<T: Send>(t: T) -> T {
        t
    }
    let shape = Shape::new(3, 60, 60);
    let prior = Arc::new(Smoother::new(3, 16, 4));
    let levels = prior.diffusion().geometric(0.2, 0.02, 3);
    let steps = Settings { threads: 3, band: Some(1), ..settings(Mode::Faithful, levels) };
    let a: Arc<dyn Degradation> = Arc::new(operator("sr:2", shape));
    let y = measured(&*a, &scene(shape), 0.0);
    let expected = go(&*a, &y, &*prior, &steps).unwrap();
    let mut restorer = sent(Restorer::new(a, prior, steps).unwrap());
    let mut x = Frame::filled(shape, 0.0);
    for stop_after in [1, 5, 9] {
        let stopped = restorer.restore_into(&y, &mut x, &mut |p: Progress| {
            if p.done == stop_after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(stopped, Err(Error::Interrupted));
    }
    let frame = std::thread::spawn(move || {
        restorer.restore_into(&y, &mut x, &mut |_| ControlFlow::Continue(())).unwrap();
        x
    });
    assert!(frame.join().unwrap() == expected);
}

#[test]
fn a_restorer_refuses_what_does_not_fit_and_survives_what_is_not_a_number() {
    let shape = Shape::new(3, 40, 40);
    let a: Arc<dyn Degradation> = Arc::new(operator("none", shape));
    let levels = ddpm().geometric(0.2, 0.02, 2);
    let steps = Settings { threads: 2, ..settings(Mode::Faithful, levels) };
    let two = Arc::new(Smoother::new(2, 16, 4));
    assert!(Restorer::new(a.clone(), two, steps.clone()).is_err());

    let prior = Arc::new(Smoother::new(3, 16, 4));
    let mut restorer = Restorer::new(a.clone(), prior.clone(), steps.clone()).unwrap();
    let y = measured(&*a, &scene(shape), 0.0);
    let mut go_on = |_| ControlFlow::Continue(());
    let (mut x, mut small) = (Frame::filled(shape, 0.0), Frame::filled(Shape::new(3, 40, 39), 0.0));
    assert!(matches!(restorer.restore_into(&y, &mut small, &mut go_on), Err(Error::Shape { .. })));
    assert!(matches!(restorer.restore_into(&small, &mut x, &mut go_on), Err(Error::Shape { .. })));
    let mut broken = y.clone();
    broken.data[7] = f32::NAN;
    assert!(matches!(restorer.restore_into(&broken, &mut x, &mut go_on), Err(Error::Shape { .. })));
    restorer.restore_into(&y, &mut x, &mut go_on).unwrap();
    assert!(x == go(&*a, &y, &*prior, &steps).unwrap());
}

/// A prior that has a bug.
struct Panics(Smoother, std::sync::atomic::AtomicBool);

impl Prior for Panics {
    fn channels(&self) -> usize {
        self.0.channels()
    }
    fn multiple(&self) -> usize {
        self.0.multiple()
    }
    fn tile(&self) -> usize {
        self.0.tile()
    }
    fn halo(&self, sigma: f64) -> usize {
        self.0.halo(sigma)
    }
    fn diffusion(&self) -> &Diffusion {
        self.0.diffusion()
    }
    fn evaluator(&self, height: usize, width: usize) -> Result<Box<dyn Evaluator>> {
        assert!(!self.1.load(std::sync::atomic::Ordering::Relaxed), "a bug");
        self.0.evaluator(height, width)
    }
    fn identity(&self) -> Identity {
        self.0.identity()
    }
}

#[test]
fn a_panic_of_any_thread_is_the_callers() {
    let shape = Shape::new(3, 60, 60);
    let a = operator("none", shape);
    let prior = Panics(Smoother::new(3, 16, 4), true.into());
    let y = measured(&a, &scene(shape), 0.0);
    let levels = prior.diffusion().geometric(0.2, 0.02, 1);
    let steps = Settings { threads: 4, ..settings(Mode::Faithful, levels) };
    let restore = || go(&a, &y, &prior, &steps);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(restore)).unwrap_err();
    assert_eq!(panicked.downcast_ref::<&str>(), Some(&"a bug"));
}
