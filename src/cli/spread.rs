//! Where draws differ: several of them, and their standard deviation per pixel as a picture.

use std::path::Path;

use crate::error::{Error, Result};
use crate::frame::{Frame, Shape};
use crate::sampler::{Finished, Mode};

/// Most draws.
const MOST: usize = 1000;

/// The number of draws that were asked for: 1 where nothing was said.
///
/// # Errors
/// [`Error::Usage`] where a spread cannot be had: of one draw, of no draws, without a file for it.
pub fn draws(samples: Option<usize>, file: Option<&Path>, mode: Mode) -> Result<usize> {
    let usage = |why: String| Err(Error::Usage(why));
    match (samples, file) {
        (None, None) => Ok(1),
        (Some(count), Some(_)) if !(2..=MOST).contains(&count) => {
            usage(format!("samples: expected 2 to {MOST}, found {count}"))
        }
        (Some(_), Some(_)) if mode == Mode::Faithful => {
            usage("samples: expected the mode sample, found faithful, which does not draw".into())
        }
        (Some(count), Some(_)) => Ok(count),
        (Some(_), None) => usage("samples: expected --spread FILE for what they show".into()),
        (None, Some(_)) => usage("spread: expected --samples N, the number of draws".into()),
    }
}

/// Running mean and sum of squared deviations of every value of a scene (B. P. Welford, "Note on a
/// method for calculating corrected sums of squares and products", Technometrics 4(3), 1962).
pub struct Spread {
    scene: Shape,
    draws: usize,
    mean: Vec<f32>,
    squares: Vec<f32>,
}

impl Spread {
    /// Of a scene of this size.
    pub fn new(scene: Shape) -> Spread {
        let zero = vec![0.0; scene.len()];
        Spread { scene, draws: 0, mean: zero.clone(), squares: zero }
    }

    /// The bytes that it takes, with the picture that comes out.
    pub fn bytes(scene: Shape) -> u64 {
        ((2 * scene.len() + scene.plane()) * size_of::<f32>()) as u64
    }

    /// The rows that follow are those of another draw.
    pub fn next_draw(&mut self) {
        self.draws += 1;
    }

    /// Takes finished rows of the present draw.
    pub fn add(&mut self, part: &Finished) {
        let (from, len) = (part.region.y * part.region.width, part.region.area());
        let share = 1.0 / self.draws.max(1) as f32;
        for (c, plane) in part.x.chunks_exact(len).enumerate() {
            let at = c * self.scene.plane() + from;
            let held = self.mean[at..].iter_mut().zip(&mut self.squares[at..]);
            for ((mean, squares), v) in held.zip(plane) {
                let before = v - *mean;
                *mean += share * before;
                *squares += before * (v - *mean);
            }
        }
    }

    /// The standard deviation of each pixel (root of the mean of its channels' variances) as a
    /// picture of one channel, black for 0 and white for 255 code values.
    pub fn picture(&self) -> Result<Frame> {
        let plane = self.scene.plane();
        let share = 1.0 / (self.draws.max(2) - 1) as f32 / self.scene.channels as f32;
        let sum = |i| self.squares[i..].iter().step_by(plane).sum::<f32>();
        // Light is (v + 1) / 2: half of a deviation in [-1, 1].
        let values = (0..plane).map(|i| (share * sum(i)).sqrt() - 1.0).collect();
        Frame::new(Shape { channels: 1, ..self.scene }, values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Region;
    use crate::sampler::Misfit;

    #[test]
    fn the_picture_is_the_standard_deviation_of_the_draws() {
        let scene = Shape::new(2, 2, 1);
        let mut spread = Spread::new(scene);
        // Channel 0 is 0.1, 0.2, 0.6 in the upper row; everything else stands still.
        for v in [0.1, 0.2, 0.6] {
            spread.next_draw();
            for (y, x) in [(0, [v, 0.5]), (1, [-0.3, 0.9])] {
                let region = Region { y, x: 0, height: 1, width: 1 };
                spread.add(&Finished { region, x: &x, y: &[], misfit: Misfit::default() });
            }
        }
        let found = spread.picture().unwrap();
        // Variance 0.07 in one of two channels.
        assert!((found.data[0] + 1.0 - 0.035f32.sqrt()).abs() < 1e-6);
        assert!((found.data[1] + 1.0).abs() < 1e-6);
    }
}
