pub(crate) mod dense;
mod exactness;
mod invariance;
mod reference;
mod restorer;
mod truth;
mod variance;
mod warm;

use std::ops::ControlFlow;

use super::*;
use crate::degrade::{self, Spec};
use crate::frame::{Rows, Shape};
use crate::prior::{Evaluator, Identity};
use crate::schedule::Diffusion;

fn ddpm() -> Diffusion {
    Diffusion::linear(1e-4, 0.02, 1000).unwrap()
}

fn operator(spec: &str, scene: Shape) -> Box<dyn Degradation> {
    // Masks of the tests are checkerboards with a hole in the middle.
    let load = |path: &std::path::Path| -> Result<Box<dyn Rows>> {
        let hole = path.to_str() == Some("hole");
        let value = |i: usize| {
            let (y, x) = (i / scene.width, i % scene.width);
            let inside = |v: usize, n: usize| v >= n / 4 && v < n / 2;
            let missing = match hole {
                true => inside(y, scene.height) && inside(x, scene.width),
                false => (y + x) % 2 == 1,
            };
            if missing { -1.0 } else { 1.0 }
        };
        let mask = (0..scene.plane()).map(value).collect();
        Ok(Frame::new(Shape { channels: 1, ..scene }, mask)?.into())
    };
    Spec::parse(spec).unwrap().build(scene, &load).unwrap()
}

/// A smooth scene with an edge, within `[-0.9, 0.9]`.
fn scene(shape: Shape) -> Frame {
    let value = |i: usize| {
        let (c, y, x) = (i / shape.plane(), i % shape.plane() / shape.width, i % shape.width);
        let wave = ((x as f32 * 0.21) + c as f32).sin() * ((y as f32) * 0.13).cos();
        0.6 * wave + if x > y { 0.25 } else { -0.25 }
    };
    Frame::new(shape, (0..shape.len()).map(value).collect()).unwrap()
}

fn measured(a: &dyn Degradation, x: &Frame, sigma_y: f64) -> Frame {
    Frame::new(a.measurement(), degrade::measure(a, x, sigma_y, 5)).unwrap()
}

fn settings(mode: Mode, levels: Vec<Level>) -> Settings {
    Settings::new(mode, 0.0, levels)
}

fn go(a: &dyn Degradation, y: &Frame, prior: &dyn Prior, settings: &Settings) -> Result<Frame> {
    restore(a, y, prior, settings, &mut |_| ControlFlow::Continue(()))
}

const DRAW: Mode = Mode::Sample { eta: 0.85, rule: NoiseRule::Split, seed: 3 };

/// A prior that smooths: the mean over a 5x5 neighbourhood, without what lies outside the window.
/// Cheap, and wrong at window borders unless the halo is at least 2.
#[derive(Clone)]
struct Smoother {
    channels: usize,
    tile: usize,
    halo: usize,
    diffusion: Diffusion,
    /// Gives NaN instead, from this value of the state on.
    breaks_above: f32,
}

impl Smoother {
    fn new(channels: usize, tile: usize, halo: usize) -> Smoother {
        Smoother { channels, tile, halo, diffusion: ddpm(), breaks_above: f32::INFINITY }
    }
}

impl Prior for Smoother {
    fn channels(&self) -> usize {
        self.channels
    }
    fn multiple(&self) -> usize {
        4
    }
    fn tile(&self) -> usize {
        self.tile
    }
    fn halo(&self, _sigma: f64) -> usize {
        self.halo
    }
    fn diffusion(&self) -> &Diffusion {
        &self.diffusion
    }
    fn evaluator(&self, height: usize, width: usize) -> Result<Box<dyn Evaluator>> {
        Ok(Box::new(SmootherAt {
            of: self.clone(),
            height: height as isize,
            width: width as isize,
        }))
    }
    fn identity(&self) -> Identity {
        Identity { name: "smoother".into(), ..Identity::default() }
    }
}

struct SmootherAt {
    of: Smoother,
    height: isize,
    width: isize,
}

impl Evaluator for SmootherAt {
    fn x0(&mut self, x_t: &[f32], level: Level, x0: &mut [f32]) -> Result<()> {
        let (h, w) = (self.height, self.width);
        assert_eq!(x_t.len() as isize, self.of.channels as isize * h * w);
        for (i, out) in x0.iter_mut().enumerate() {
            let i = i as isize;
            let (plane, y, x) = (i / (h * w) * h * w, i % (h * w) / w, i % w);
            let (mut sum, mut count) = (0.0, 0.0);
            for v in (y - 2).max(0)..=(y + 2).min(h - 1) {
                for u in (x - 2).max(0)..=(x + 2).min(w - 1) {
                    sum += x_t[(plane + v * w + u) as usize];
                    count += 1.0;
                }
            }
            *out = sum / count / level.signal() as f32;
            if x_t[i as usize] > self.of.breaks_above {
                *out = f32::NAN;
            }
        }
        Ok(())
    }
}
