//! Frames through operators and priors, and the queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::*;
use crate::classical::demosaic::Bayer;
use crate::colour::{Coding, Matrix};
use crate::degrade::{Degradation, Spec};
use crate::error::Result;
use crate::frame::{Frame, Rows, Shape, from_code, to_code};
use crate::io::video::{Format, Packing, Sensor};
use crate::prior::{Coded, Evaluator, Identity, Prior, bundled, find};
use crate::sampler::{Clock, Mode, Settings};
use crate::schedule::{Diffusion, Level};

fn settings(prior: &dyn Prior, sigma_y: f64) -> Settings {
    let levels = prior.diffusion().geometric(0.1, 0.05, 2);
    let mode = Mode::Faithful;
    Settings::new(mode, sigma_y, levels)
}

/// The clock's time that an evaluation of a pixel takes, in nanoseconds.
const PIXEL: u64 = 1000;

/// A prior whose evaluations take time of a clock that nothing else moves.
struct Costly<'a>(&'a dyn Prior, Arc<AtomicU64>);

impl Prior for Costly<'_> {
    fn channels(&self) -> usize {
        self.0.channels()
    }
    fn multiple(&self) -> usize {
        self.0.multiple()
    }
    fn tile(&self) -> usize {
        16
    }
    fn halo(&self, _: f64) -> usize {
        4
    }
    fn diffusion(&self) -> &Diffusion {
        self.0.diffusion()
    }
    fn evaluator(&self, height: usize, width: usize) -> Result<Box<dyn Evaluator>> {
        let cost = PIXEL * (height * width) as u64;
        Ok(Box::new(CostlyAt(self.0.evaluator(height, width)?, cost, self.1.clone())))
    }
    fn identity(&self) -> Identity {
        self.0.identity()
    }
}

struct CostlyAt(Box<dyn Evaluator>, u64, Arc<AtomicU64>);

impl Evaluator for CostlyAt {
    fn x0(&mut self, x_t: &[f32], level: Level, x0: &mut [f32]) -> Result<()> {
        self.2.fetch_add(self.1, Ordering::Relaxed);
        self.0.x0(x_t, level, x0)
    }
}

/// What became of some frames: the last one, what is said of each, and the clock's time for each.
struct Restored {
    last: Vec<u8>,
    outcomes: Vec<Outcome>,
    took: Vec<Duration>,
}

/// Restores frames of 64x64 R'G'B' that were 128x128, each within this time.
fn within(time: Option<Duration>, warm: bool, frames: &[Vec<u8>]) -> Restored {
    // The small one: what is under test is how time is spent, over hundreds of tiles.
    let small = concat!(env!("CARGO_MANIFEST_DIR"), "/models/patch-xs.ddnm");
    let model = find(Some(small)).unwrap();
    let nanos = Arc::new(AtomicU64::new(7));
    let prior = Costly(&model, nanos.clone());
    let settings = settings(&prior, 0.0);
    let input = Format { width: 64, height: 64, packing: Packing::Rgb, bits: 8, stride: None };
    let output = Format { width: 128, height: 128, ..input };
    let a = Spec::parse("sr:2").unwrap();
    let a = a.build(Shape::new(3, 128, 128), &|_| unreachable!()).unwrap();
    let clock: Clock = {
        let nanos = nanos.clone();
        Arc::new(move || Duration::from_nanos(nanos.load(Ordering::Relaxed)))
    };
    let parts = Parts {
        a: &a,
        prior: &prior,
        settings: &settings,
        input,
        output,
        sensor: None,
        colours: None,
        coded: None,
        warm,
        budget: time.map(|time| (time, clock.clone())),
        black: vec![-1.0; 3],
    };
    let mut pipeline = Pipeline::new(parts).unwrap();
    pipeline.practise().unwrap();
    let (mut last, mut outcomes, mut took) = (Vec::new(), Vec::new(), Vec::new());
    for frame in frames {
        let began = clock();
        outcomes.push(pipeline.frame(frame, &mut last, &mut || {}).unwrap());
        let took_now = clock() - began;
        assert!(time.is_none_or(|time| took_now <= time), "{took_now:?} of {time:?}");
        took.push(took_now);
    }
    Restored { last, outcomes, took }
}

/// A flat frame with a rough part at its lower right.
fn rough_corner() -> Vec<u8> {
    let value = |i: usize| {
        let (y, x) = (i / 3 / 64, i / 3 % 64);
        if y >= 48 && x >= 48 { (i * 7919 % 251) as u8 } else { 90 }
    };
    (0..64 * 64 * 3).map(value).collect()
}

#[test]
fn without_time_a_frame_is_the_classical_estimate_and_with_much_it_is_as_without_a_limit() {
    let frames = [rough_corner()];
    let free = within(None, false, &frames);
    let much = within(Some(Duration::from_secs(1000)), false, &frames);
    assert!(much.last == free.last, "with much time");
    let (without, outcome) = (free.outcomes[0], much.outcomes[0]);
    assert_eq!((outcome.evaluations, outcome.tiles), (2.0, without.tiles));
    assert_eq!(outcome.tiles.skipped, 0);
    assert!(free.took[0] > Duration::ZERO);

    let none = within(Some(Duration::ZERO), false, &frames);
    let outcome = none.outcomes[0];
    assert_eq!((outcome.evaluations, none.took[0]), (0.0, Duration::ZERO));
    assert_eq!((outcome.tiles.evaluated, outcome.late), (0, 0.0));
    assert!(outcome.tiles.skipped > 0 && outcome.residual_max <= 0.5001, "{outcome:?}");
    assert!(none.last != free.last);
}

#[test]
fn the_first_frame_of_a_warm_stream_is_planned_like_that_of_a_cold_one() {
    let frames = vec![vec![90; 64 * 64 * 3]; 2];
    let all = within(Some(Duration::from_secs(1000)), true, &frames).outcomes;
    assert_eq!((all[0].evaluations, all[0].tiles.skipped), (2.0, 0), "{:?}", all[0]);
    assert_eq!((all[1].evaluations, all[1].tiles.skipped), (0.0, 0), "{:?}", all[1]);
}

/// Practice has taught what an evaluation takes: nothing has to be found out on real frames.
#[test]
fn the_first_frame_already_uses_what_fits() {
    let frames = [rough_corner()];
    let whole = within(None, false, &frames).took[0];
    for (warm, share) in [(false, 0.3), (true, 0.6), (false, 0.9)] {
        let time = whole.mul_f64(share);
        let took = within(Some(time), warm, &frames).took[0];
        // One tile of the largest window is what may be left, and a little for doubts.
        let left = Duration::from_nanos(PIXEL * 48 * 48) + time.mul_f64(0.05);
        assert!(took + left >= time, "{share}, warm {warm}: {took:?} of {time:?}");
    }
    for warm in [false, true] {
        let all = within(Some(whole.mul_f64(1.1)), warm, &frames).outcomes[0];
        assert_eq!((all.evaluations, all.tiles.skipped), (2.0, 0), "warm {warm}: {all:?}");
    }
}

#[test]
fn some_time_is_used_where_there_is_most_to_see_and_never_exceeded() {
    let frames = vec![rough_corner(); 16];
    let whole = within(None, false, &frames[..1]).took[0];
    let classical = within(Some(Duration::ZERO), false, &frames[..1]).last;
    for share in [0.1, 0.3, 0.6, 0.9] {
        let time = whole.mul_f64(share);
        let Restored { last: out, outcomes, took } = within(Some(time), false, &frames);
        let (outcome, took) = (outcomes[15], took[15]);
        // One tile of the largest window is what may be left, and a little for doubts.
        let left = Duration::from_nanos(PIXEL * 48 * 48) + time.mul_f64(0.05);
        assert!(took + left >= time, "{share}: {took:?} of {time:?}");
        assert_eq!(outcome.steps, if share < 0.5 { 1 } else { 2 }, "{share}");
        assert!(outcome.residual_max <= 0.5001, "{share}: {outcome:?}");
        assert!(outcome.tiles.skipped > 0 && outcome.late == 0.0, "{share}: {outcome:?}");
        let differs = |x: usize, y: usize| {
            let at = 3 * (y * 128 + x);
            out[at..at + 24] != classical[at..at + 24]
        };
        assert!(differs(110, 110), "{share}: the rough part was left out");
        assert!(share > 0.2 || !differs(30, 30), "{share}: a flat part was not");
    }
}

/// What there was no time for is made up for as soon as there is.
#[test]
fn a_still_scene_is_finished_frame_by_frame() {
    let frames = vec![rough_corner(); 14];
    let whole = within(None, false, &frames[..1]).took[0];
    let all = within(Some(whole.mul_f64(0.2)), true, &frames).outcomes;
    let last = all[13];
    let evaluated: Vec<usize> = all.iter().map(|o| o.tiles.evaluated).collect();
    let skipped: Vec<usize> = all.iter().map(|o| o.tiles.skipped).collect();
    assert!(evaluated[0] > 0 && skipped[0] > 0, "{evaluated:?} {skipped:?}");
    assert!(skipped.windows(2).all(|s| s[1] <= s[0]), "{skipped:?}");
    assert_eq!((last.tiles.evaluated, last.tiles.skipped), (0, 0), "{evaluated:?} {skipped:?}");
}

/// Code values of the whole range, smooth here and rough there.
fn frame_of(format: &Format) -> Vec<u8> {
    let max = (1usize << format.bits) - 1;
    let wave = |i: usize| ((i as f32 * 0.05).sin() * 0.5 + 0.5) * max as f32;
    let code = |i: usize| if i % 97 < 40 { i * 7919 % (max + 1) } else { wave(i) as usize };
    let count = format.frame_bytes();
    match format.bits {
        8 => (0..count).map(|i| code(i) as u8).collect(),
        _ => (0..count / 2).flat_map(|i| (code(i) as u16).to_le_bytes()).collect(),
    }
}

/// Restores one frame of luma and chroma.
fn restored(spec: &str, input: Format, output: Format, coding: Coding) -> (Vec<u8>, Outcome) {
    let model = bundled().unwrap();
    let prior = Coded::new(&model, coding);
    let ratio = match input.chroma() {
        (2, 2) => "420",
        (2, 1) => "422",
        _ => "444",
    };
    let scene = Shape::new(3, output.height, output.width);
    let spec = Spec::parse(&format!("{spec}+{ratio}")).unwrap();
    let a = spec.build(scene, &|_| unreachable!()).unwrap();
    let settings = settings(&prior, 0.0);
    let [y, cb, cr] = coding.black();
    let mut black = vec![y; input.shape().channels - 2];
    black.extend([cb, cr]);
    let parts = Parts {
        a: &a,
        prior: &prior,
        settings: &settings,
        input,
        output,
        sensor: None,
        colours: None,
        coded: None,
        warm: false,
        budget: None,
        black,
    };
    let mut out = Vec::new();
    let outcome = Pipeline::new(parts).unwrap().frame(&frame_of(&input), &mut out, &mut || {});
    (out, outcome.unwrap())
}

fn coding(full: bool, bits: u8) -> Coding {
    Coding { matrix: Matrix::Bt601, full, bits, mono: false }
}

/// Whatever the codes: also luma below black and above white, and colours outside of R'G'B'.
#[test]
fn without_noise_or_degradation_frames_come_out_as_they_are() {
    for (packing, bits) in [
        (Packing::Planar { across: 2, down: 2 }, 8),
        (Packing::Planar { across: 2, down: 2 }, 10),
        (Packing::Planar { across: 2, down: 1 }, 8),
        (Packing::Planar { across: 1, down: 1 }, 8),
        (Packing::SemiPlanar, 8),
    ] {
        for (width, height) in [(48, 40), (33, 21)] {
            let format = Format { width, height, packing, bits, stride: None };
            let (out, outcome) = restored("none", format, format, coding(false, bits));
            assert!(out == frame_of(&format), "{format:?}");
            assert!(outcome.residual_max < 1e-3, "{format:?}: {outcome:?}");
        }
    }
}

#[test]
fn a_larger_frame_averages_to_the_one_that_came_in() {
    let packing = Packing::Planar { across: 2, down: 2 };
    let input = Format { width: 32, height: 24, packing, bits: 8, stride: None };
    let output = Format { width: 64, height: 48, ..input };
    for full in [true, false] {
        let (out, outcome) = restored("sr:2", input, output, coding(full, 8));
        assert!(outcome.residual_max <= 0.5001, "{outcome:?}");
        let came = frame_of(&input);
        let (mut from, mut to) = (0, 0);
        for (width, height) in [(32, 24), (16, 12), (16, 12)] {
            for i in 0..width * height {
                let (y, x) = (i / width, i % width);
                let at = |dy: usize, dx: usize| {
                    f32::from(out[to + (2 * y + dy) * 2 * width + 2 * x + dx])
                };
                let mean = (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4.0;
                let expected = f32::from(came[from + i]);
                assert!((mean - expected).abs() <= 0.5001, "{mean}, not {expected}");
            }
            (from, to) = (from + width * height, to + 4 * width * height);
        }
    }
}

#[test]
fn a_developed_mosaic_stays_in_the_picture() {
    let model = bundled().unwrap();
    let input = Format { width: 40, height: 32, packing: Packing::Mono, bits: 16, stride: None };
    let input = Format { bits: 10, ..input };
    let output = Format { packing: Packing::Rgb, bits: 8, ..input };
    let sensor = Sensor::new(Bayer::Gbrg, 10, (64.0, 1023.0), [1.8, 1.0, 1.4], 2.2).unwrap();
    let a = Spec::parse("bayer:gbrg").unwrap();
    let a = a.build(Shape::new(3, 32, 40), &|_| unreachable!()).unwrap();
    let settings = settings(&model, 0.0);
    let mut expected = vec![0.0; input.shape().len()];
    input.unpack(&frame_of(&input), &mut expected);
    sensor.develop(input.shape(), &mut expected);
    let parts = Parts {
        a: &a,
        prior: &model,
        settings: &settings,
        input,
        output,
        sensor: Some(sensor),
        colours: None,
        coded: None,
        warm: false,
        budget: None,
        black: vec![-1.0],
    };
    let mut out = Vec::new();
    let mut pipeline = Pipeline::new(parts).unwrap();
    let outcome = pipeline.frame(&frame_of(&input), &mut out, &mut || {}).unwrap();
    assert!(outcome.residual_max <= 0.5001, "{outcome:?}");
    for (i, v) in expected.iter().enumerate() {
        let channel = Bayer::Gbrg.channel(i / 40, i % 40);
        assert_eq!(u16::from(out[3 * i + channel]), to_code(*v, 8), "pixel {i}");
    }
}

/// A hole is black in a file of light, and black is code 16 and no chroma in limited range.
#[test]
fn holes_of_masks_are_black_as_the_stream_has_it() {
    let model = bundled().unwrap();
    let coding = coding(false, 8);
    let prior = Coded::new(&model, coding);
    let packing = Packing::Planar { across: 2, down: 2 };
    let format = Format { width: 32, height: 32, packing, bits: 8, stride: None };
    let mask = |_: &std::path::Path| -> crate::Result<Box<dyn Rows>> {
        let value = |i: usize| if i.is_multiple_of(5) { -1.0 } else { 1.0 };
        let values = (0..1024).map(value).collect();
        Ok(Frame::new(Shape::new(1, 32, 32), values)?.into())
    };
    let a = Spec::parse("mask:holes+420").unwrap().build(Shape::new(3, 32, 32), &mask).unwrap();
    let settings = settings(&prior, 0.0);
    let [y, cb, cr] = coding.black();
    let black = vec![y, y, y, y, cb, cr];
    let parts = Parts {
        a: &a,
        prior: &prior,
        settings: &settings,
        input: format,
        output: format,
        sensor: None,
        colours: None,
        coded: None,
        warm: false,
        budget: None,
        black,
    };
    // A flat scene of codes 126, 90, 160, with holes.
    let scene = [126.0, 90.0, 160.0];
    let hole = |i: usize| if i.is_multiple_of(5) { 1.0 } else { 0.0 };
    let mut bytes: Vec<u8> = (0..1024).map(|i| if i % 5 == 0 { 16 } else { 126 }).collect();
    for c in [1, 2] {
        for i in 0..256 {
            let at = i / 16 * 64 + i % 16 * 2;
            let holes: f64 = [at, at + 1, at + 32, at + 33].map(hole).iter().sum();
            bytes.push(((scene[c] * (4.0 - holes) + 128.0 * holes) / 4.0).round() as u8);
        }
    }
    let mut out = Vec::new();
    Pipeline::new(parts).unwrap().frame(&bytes, &mut out, &mut || {}).unwrap();
    // Chroma codes were rounded, and a block says at least two fifths of its chroma.
    let worst = |range: std::ops::Range<usize>, of: f64| {
        out[range].iter().map(|v| (f64::from(*v) - of).abs()).fold(0.0, f64::max)
    };
    assert!(worst(0..1024, 126.0) <= 6.0, "luma {}", worst(0..1024, 126.0));
    assert!(worst(1024..1280, 90.0) <= 4.0, "Cb {}", worst(1024..1280, 90.0));
    assert!(worst(1280..1536, 160.0) <= 4.0, "Cr {}", worst(1280..1536, 160.0));
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let model = bundled().unwrap();
    let settings = settings(&model, 0.0);
    let format = Format { width: 8, height: 8, packing: Packing::Rgb, bits: 8, stride: None };
    let a = Spec::parse("sr:2").unwrap();
    let a = a.build(Shape::new(3, 16, 16), &|_| unreachable!()).unwrap();
    let refused = |input, output| {
        let (black, sensor) = (vec![-1.0; 3], None);
        let parts = Parts {
            a: &a,
            prior: &model,
            settings: &settings,
            input,
            output,
            sensor,
            colours: None,
            coded: None,
            warm: false,
            budget: None,
            black,
        };
        Pipeline::new(parts).err().map(|e| e.exit_code())
    };
    let double = Format { width: 16, height: 16, ..format };
    assert_eq!(refused(format, double), None);
    assert_eq!(refused(double, double), Some(3));
    assert_eq!(refused(format, format), Some(3));
    assert_eq!(a.measurement().len(), 192);
    assert_eq!(from_code(0, 8), -1.0);
}

#[test]
fn a_full_queue_blocks_or_drops_its_oldest_frame() {
    let soon = Duration::from_millis(5);
    let queue = Queue::new(2, WhenFull::DropOldest, |v: &i32| *v >= 0);
    // What is no frame is never dropped.
    for v in [-1, 1, 2, 3] {
        assert!(queue.push(v));
    }
    assert_eq!(queue.counts(), (2, 2));
    assert_eq!([(); 3].map(|()| queue.pop(soon)), [Some(-1), Some(3), None]);

    let queue = Arc::new(Queue::new(2, WhenFull::Block, |_: &i32| true));
    let writer = {
        let queue = queue.clone();
        std::thread::spawn(move || (0..5).map(|v| queue.push(v)).filter(|ok| *ok).count())
    };
    let got: Vec<i32> = std::iter::from_fn(|| queue.pop(Duration::from_secs(5))).take(4).collect();
    assert_eq!(got, [0, 1, 2, 3]);
    assert_eq!(writer.join().unwrap(), 5);
    assert_eq!(queue.counts(), (1, 0));
    // Closing lets a waiting writer go.
    assert!(queue.push(5));
    let waiting = {
        let queue = queue.clone();
        std::thread::spawn(move || queue.push(6))
    };
    queue.close();
    assert!(!waiting.join().unwrap());
    assert_eq!(queue.pop(soon), None);
}
