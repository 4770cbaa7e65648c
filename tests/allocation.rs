//! Evaluating a network allocates nothing once its thread is warm, and restoring a frame nothing
//! after the first one.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ddnm::degrade::{self, CameraNoise, Degradation, Spec};
use ddnm::frame::{Frame, Shape};
use ddnm::network::Arithmetic;
use ddnm::prior::{self, Evaluator, Identity, Model, Prior};
use ddnm::sampler::{Mode, NoiseRule, Restorer, Settings};
use ddnm::schedule::Diffusion;
use ddnm::weights::{Bytes, Format};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

// One test alone in its binary: another one would allocate meanwhile.
#[test]
fn nothing_is_allocated_after_the_first_time() {
    evaluations();
    frames();
}

fn evaluations() {
    let bundled = prior::bundled().unwrap();
    let level = bundled.diffusion().at_sigma(0.2);
    let narrow = bundled.pack_for(Format::Int8, Arithmetic::Int8).unwrap();
    let narrow = Model::packed(Bytes::copy(&narrow), Path::new("int8.ddnm"), true).unwrap();
    let cases = [(&bundled, 64), (&bundled, 96), (&narrow, 64), (&narrow, 96)];
    let mut evaluators = cases.map(|(prior, side)| prior.evaluator(side, side).unwrap());
    let pictures = cases.map(|(_, side)| side).map(|side| vec![0.1; 3 * side * side]);
    let mut results = pictures.clone();
    let mut evaluate = || {
        for (i, evaluator) in evaluators.iter_mut().enumerate() {
            evaluator.x0(&pictures[i], level, &mut results[i]).unwrap();
        }
    };
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    evaluate();
    let warm = ALLOCATIONS.load(Ordering::Relaxed);
    assert!(warm > before, "the allocator counts");
    (0..3).for_each(|_| evaluate());
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed), warm);
}

/// The bundled prior in tiles of 32 pixels.
struct Tiled(Model);

impl Prior for Tiled {
    fn channels(&self) -> usize {
        self.0.channels()
    }
    fn multiple(&self) -> usize {
        self.0.multiple()
    }
    fn tile(&self) -> usize {
        32
    }
    fn halo(&self, _sigma: f64) -> usize {
        8
    }
    fn diffusion(&self) -> &Diffusion {
        self.0.diffusion()
    }
    fn prepare(&self, windows: &[(usize, usize)], threads: usize) -> ddnm::Result<()> {
        self.0.prepare(windows, threads)
    }
    fn evaluator(&self, height: usize, width: usize) -> ddnm::Result<Box<dyn Evaluator>> {
        self.0.evaluator(height, width)
    }
    fn identity(&self) -> Identity {
        self.0.identity()
    }
}

/// A scene with black, white and much between; each frame's is another.
fn scene(shape: Shape, frame: usize) -> Frame {
    let value =
        |i: usize| (2.0 * (i as f32 * (0.013 + 0.002 * frame as f32)).sin()).clamp(-1.0, 1.0);
    Frame::new(shape, (0..shape.len()).map(value).collect()).unwrap()
}

/// A mask with a large hole and small ones.
fn mask(shape: Shape) -> Frame {
    let missing =
        |y: usize, x: usize| (10..30).contains(&y) && x < 25 || (y * 7 + x * 3).is_multiple_of(11);
    let value = |i: usize| if missing(i / shape.width, i % shape.width) { -1.0 } else { 1.0 };
    let shape = Shape { channels: 1, ..shape };
    Frame::new(shape, (0..shape.len()).map(value).collect()).unwrap()
}

fn frames() {
    let prior = Arc::new(Tiled(prior::bundled().unwrap()));
    let draw = Mode::Sample { eta: 0.85, rule: NoiseRule::Split, seed: 1 };
    for (spec, channels) in [
        ("none", 3),
        ("none", 1),
        ("bayer:rggb", 3),
        ("sr:2", 3),
        ("mask:holes", 3),
        ("gray+mask:holes+sr:3", 3),
        ("bayer:gbrg+mask:holes", 3),
        ("sr:2+420", 3),
    ] {
        let shape = Shape::new(channels, 90, 70);
        let a = Spec::parse(spec).unwrap().build(shape, &|_| Ok(mask(shape).into())).unwrap();
        let a: Arc<dyn Degradation> = Arc::from(a);
        let camera = Some(CameraNoise { gain: 0.4, read: 2.0 });
        for (mode, sigma_y, camera, generative) in [
            (Mode::Faithful, 0.0, None, 0.6),
            (Mode::Faithful, 0.1, camera, 1.0),
            (draw, 0.0, None, 1.0),
            (draw, 0.1, None, 1.0),
        ] {
            for threads in [1, 2] {
                let levels = prior.diffusion().geometric(0.2, 0.1, 2);
                let settings = Settings {
                    generative,
                    camera,
                    threads,
                    band: Some(1),
                    ..Settings::new(mode, sigma_y, levels)
                };
                let mut restorer = Restorer::new(a.clone(), prior.clone(), settings).unwrap();
                let mut x = Frame::filled(shape, 0.0);
                let ys = [0, 1, 2].map(|frame| {
                    let y = degrade::measure(&*a, &scene(shape, frame), sigma_y, 1);
                    Frame::new(a.measurement(), y).unwrap()
                });
                let counts = ys.each_ref().map(|y| {
                    let before = ALLOCATIONS.load(Ordering::Relaxed);
                    restorer.restore_into(y, &mut x, &mut |_| ControlFlow::Continue(())).unwrap();
                    ALLOCATIONS.load(Ordering::Relaxed) - before
                });
                assert!(counts[0] > 0, "the allocator counts");
                let case = format!("{spec}, {channels} channels, {mode:?}, {sigma_y}, {threads}");
                assert_eq!(counts[1..], [0, 0], "{case} threads");
            }
        }
    }
}
