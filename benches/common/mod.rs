//! What tables of restorations have in common: pictures, degradations of them, and what is found.

#[allow(dead_code)]
pub mod timed;

use std::ops::ControlFlow;
use std::path::Path;

use ddnm::degrade::{self, Degradation, Spec};
use ddnm::frame::{Frame, Shape};
use ddnm::io;
use ddnm::noise::NoiseField;
use ddnm::prior::Prior;
use ddnm::sampler::{self, Defaults, Mode, NoiseRule, Settings};
use ddnm::schedule::Level;

/// Names of the [`pictures`].
pub const NAMES: [&str; 3] = ["astronaut", "coffee", "chelsea"];

/// Height and width of the kernel of a moving camera.
const MOTION: (usize, usize) = (7, 11);
/// Where no noise is declared an ill-conditioned operator is given what an 8-bit file rounds away.
const ROUNDING: f64 = 0.29;

/// The mode `sample` as it is by default.
pub const DRAW: Mode = Mode::Sample { eta: 0.85, rule: NoiseRule::Split, seed: 0 };

/// The pictures of `tests/assets` that no model was trained on.
pub fn pictures() -> ddnm::Result<Vec<Frame>> {
    NAMES.iter().map(|name| io::read(Path::new(&format!("tests/assets/{name}.png")))).collect()
}

/// A picture, its degradation and a measurement of it in float.
pub struct Case<'a> {
    pub x: &'a Frame,
    pub a: Box<dyn Degradation>,
    pub y: Frame,
    /// In units of `[-1, 1]`.
    pub sigma_y: f64,
}

impl Case<'_> {
    /// `noise` in code values.
    pub fn new<'a>(spec: &str, noise: f64, x: &'a Frame) -> ddnm::Result<Case<'a>> {
        // What stands behind the motion sees a frame smaller by the kernel.
        let mut seen = x.shape;
        if spec.starts_with("blur:motion+") {
            (seen.height, seen.width) = (seen.height + 1 - MOTION.0, seen.width + 1 - MOTION.1);
        }
        let a = Spec::parse(spec)?.build(x.shape, &|path| Ok(picture(path, seen)?.into()))?;
        let noise = if a.truncation() > 0.0 { noise.max(ROUNDING) } else { noise };
        let sigma_y = noise / 127.5;
        let y = Frame::new(a.measurement(), degrade::measure(&a, x, sigma_y, 0))?;
        Ok(Case { x, a, y, sigma_y })
    }

    /// What the library makes of it by these levels and otherwise as `d` says.
    pub fn restore(
        &self,
        prior: &dyn Prior,
        mode: Mode,
        levels: Vec<Level>,
        d: &Defaults,
    ) -> ddnm::Result<Frame> {
        let settings = Settings {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            ..Settings::new(mode, self.sigma_y, levels).suit(d)
        };
        sampler::restore(&self.a, &self.y, prior, &settings, &mut |_| ControlFlow::Continue(()))
    }
}

/// The pictures that the degradations name, drawn for a scene of this size.
fn picture(path: &Path, scene: Shape) -> ddnm::Result<Frame> {
    let (height, width) = match path.to_str() {
        Some("motion") => MOTION,
        _ => (scene.height, scene.width),
    };
    let random = NoiseField { seed: 1, frame: 0, draw: 9 };
    let value = |i: usize| {
        let (y, x) = (i / width, i % width);
        let (v, u) = (y as f32, x as f32);
        match path.to_str() {
            // A camera that moves along a line, two pixels wide.
            Some("motion") => 2.0 * (1.0 - 0.8 * (v - 0.6 * u).abs()).max(0.0) - 1.0,
            // Every other pixel is missing.
            Some("half") => random.at(0, y, x).signum(),
            // One in two hundred is.
            Some("defects") => (2.576 + random.at(0, y, x)).signum(),
            // Dark corners, down to a third.
            Some("lens") => {
                let (v, u) = (v / height as f32 - 0.5, u / width as f32 - 0.5);
                1.0 - 8.0 / 3.0 * (v * v + u * u)
            }
            // Lines of three pixels across everything.
            _ => {
                let away = |slope: f32, every: f32| (u + slope * v).rem_euclid(every) < 3.0;
                if away(0.3, 61.0) || away(-1.7, 97.0) { -1.0 } else { 1.0 }
            }
        }
    };
    Frame::new(Shape::new(1, height, width), (0..height * width).map(value).collect())
}
