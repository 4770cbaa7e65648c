//! The step graph on the processor against the native path.

mod equality;
mod table;

use std::ops::ControlFlow;
use std::path::Path;

use super::*;
use crate::degrade::{self, Degradation, Spec};
use crate::frame::{Frame, Shape};
use crate::prior::{Manifest, Model, Prior};
use crate::sampler::{self, Mode, NoiseRule, Settings};

/// One of the models of the repository, with small tiles.
fn model(name: &str) -> Model {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let path = folder.join(name).with_extension("toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut manifest = Manifest::parse(&text, &path).unwrap();
    manifest.tile = 16;
    manifest.halo.iter_mut().for_each(|halo| halo.pixels = 8);
    let bytes = std::fs::read(folder.join(&manifest.file)).unwrap();
    Model::onnx(manifest, &bytes, &path).unwrap()
}

fn operator(spec: &str, scene: Shape) -> Box<dyn Degradation> {
    // A checkerboard, gains from none to full, and a checkerboard behind pooling.
    let load = |path: &Path| -> crate::Result<Box<dyn crate::frame::Rows>> {
        let name = path.to_str();
        let half = |side: usize| if name == Some("half") { side.div_ceil(2) } else { side };
        let shape = Shape::new(1, half(scene.height), half(scene.width));
        let value = |i: usize| match name {
            Some("ramp") => (i % shape.width) as f32 / shape.width as f32,
            _ => [1.0, -1.0][(i / shape.width + i % shape.width) % 2],
        };
        Ok(Frame::new(shape, (0..shape.len()).map(value).collect())?.into())
    };
    Spec::parse(spec).unwrap().build(scene, &load).unwrap()
}

/// A smooth scene with an edge.
fn scene(shape: Shape) -> Frame {
    let value = |i: usize| {
        let (c, y, x) = (i / shape.plane(), i % shape.plane() / shape.width, i % shape.width);
        let wave = ((x as f32 * 0.21) + c as f32).sin() * ((y as f32) * 0.13).cos();
        0.6 * wave + if x > y { 0.25 } else { -0.25 }
    };
    Frame::new(shape, (0..shape.len()).map(value).collect()).unwrap()
}

fn measured(a: &dyn Degradation, sigma_y: f64) -> Frame {
    let y = degrade::measure(a, &scene(a.scene()), sigma_y, 5);
    Frame::new(a.measurement(), y).unwrap()
}

fn settings(prior: &dyn Prior, mode: Mode, sigma_y: f64, steps: usize) -> Settings {
    let levels = prior.diffusion().geometric(0.3, 0.05, steps);
    Settings { relaxation: 1.5, momentum: 0.4, ..Settings::new(mode, sigma_y, levels) }
}

fn job<'a>(
    a: &'a dyn Degradation,
    model: &'a Model,
    settings: &'a Settings,
    precision: Precision,
) -> Job<'a> {
    Job { a, model, settings, precision }
}

/// The largest difference between the two paths.
fn difference(
    a: &dyn Degradation,
    y: &Frame,
    model: &Model,
    settings: &Settings,
    precision: Precision,
) -> f32 {
    let mut go_on = |_| ControlFlow::Continue(());
    let native = sampler::restore(a, y, model, settings, &mut go_on).unwrap();
    let prepared = Prepared::new(&Processor, Job { a, model, settings, precision }).unwrap();
    let (found, _) = prepared.restore(y, &mut go_on).unwrap();
    largest(&native, &found)
}

fn largest(a: &Frame, b: &Frame) -> f32 {
    a.data.iter().zip(&b.data).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}
