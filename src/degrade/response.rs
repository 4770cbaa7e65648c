//! What `A A^T` makes of single values of a measurement, found by asking the map.

use super::LinearMap;
use crate::frame::Shape;

/// `A A^T` near `D K D`: how strongly each value is measured, `D`, and what is the same for all
/// places of a pattern, `K`, as it would be without borders.
pub struct Response {
    /// Rows and columns after which places are treated alike again, 1 or 2.
    pub period: usize,
    /// Rows and columns that the response to a value reaches.
    pub reach: (usize, usize),
    /// One for each place of a pattern: `(2 reach.0 + 1) x (2 reach.1 + 1)` values around it.
    kernels: Vec<Vec<f32>>,
    /// How far `A A^T` is from `D K D`: the root of the sum of squares of a row, relative to `D`.
    pub misfit: f32,
    /// `D`, 0 where nothing is measured; empty where all values are measured alike.
    pub gains: Vec<f32>,
}

/// Part of the largest response below which one counts as nothing.
const NOTHING: f32 = 1e-5;
/// Parts of a response, and of the largest gain, up to which two count as alike.
pub const ALIKE: f32 = 1e-2;
/// Gains below count as this: what is measured so weakly is not worth more work.
pub const WEAKEST: f32 = 0.05;
/// Part of the misfit that is left where places are treated by turns.
const MORE: f32 = 0.5;
/// The longest pattern: that of a mosaic.
const PERIOD: usize = 2;

impl Response {
    /// `None` where channels are not treated alike or not independent, and where the frame is all
    /// border.
    pub fn new<M: LinearMap + ?Sized>(map: &M) -> Option<Response> {
        let shape = map.measurement();
        let asked = Asked { map, shape, gains: gains(map) };
        let reach = asked.reach()?;
        let phases: Option<Vec<Fit>> = (0..PERIOD * PERIOD)
            .map(|phase| asked.fit((phase / PERIOD, phase % PERIOD), reach))
            .collect();
        let phases = phases?;
        let mut all = Fit::new(reach);
        phases.iter().for_each(|phase| all.add(phase));
        // By turns only where that tells more: means over few places differ by chance.
        let together = asked.misfit(&all, reach);
        let apart = phases.iter().map(|fit| asked.misfit(fit, reach)).sum::<f32>();
        let apart = apart / phases.len() as f32;
        let by_turns = together > ALIKE * all.middle() && apart < MORE * together;
        let (fits, misfit) = if by_turns { (phases, apart) } else { (vec![all], together) };
        if fits.iter().any(|fit| fit.middle().is_nan() || fit.middle() <= 0.0) {
            return None;
        }
        let period = if fits.len() == 1 { 1 } else { PERIOD };
        let kernels = fits.iter().map(Fit::kernel).collect();
        let Asked { gains, .. } = asked;
        Some(Response { period, reach, kernels, misfit, gains })
    }

    /// What a value at this place of a pattern does that many rows below and columns to the right.
    pub fn at(&self, phase: usize, down: isize, across: isize) -> f32 {
        let (y, x) = (down + self.reach.0 as isize, across + self.reach.1 as isize);
        self.kernels[phase][y as usize * (2 * self.reach.1 + 1) + x as usize]
    }

    /// What values do at their own places, in the mean.
    pub fn middle(&self) -> f32 {
        let all: f32 = (0..self.kernels.len()).map(|phase| self.at(phase, 0, 0)).sum();
        all / self.kernels.len() as f32
    }
}

/// `A 1` relative to its largest value: with smooth scenes in mind, how strongly each value is
/// measured. Empty where that is the same for all.
fn gains<M: LinearMap + ?Sized>(map: &M) -> Vec<f32> {
    let mut gains = vec![0.0; map.measurement().len()];
    map.apply(&vec![1.0; map.scene().len()], &mut gains);
    let largest = most(&gains);
    let mut measures = vec![0.0; gains.len()];
    map.measures(&mut measures);
    for (gain, measured) in gains.iter_mut().zip(&measures) {
        let relative = if largest > 0.0 { gain.abs() / largest } else { 1.0 };
        *gain = if *measured > 0.0 { relative.max(WEAKEST) } else { 0.0 };
    }
    if gains.iter().all(|g| *g > 1.0 - ALIKE) { Vec::new() } else { gains }
}

fn most(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, v| v.abs().max(most))
}

/// Responses to ones at some places, and their mean, weighted by the gains.
struct Fit {
    sums: Vec<f32>,
    weights: Vec<f32>,
    /// Places, and what was found around them.
    found: Vec<(usize, usize)>,
    values: Vec<Vec<f32>>,
}

impl Fit {
    fn new(reach: (usize, usize)) -> Fit {
        let zeros = vec![0.0; (2 * reach.0 + 1) * (2 * reach.1 + 1)];
        Fit { sums: zeros.clone(), weights: zeros, found: Vec::new(), values: Vec::new() }
    }

    fn add(&mut self, other: &Fit) {
        self.sums.iter_mut().zip(&other.sums).for_each(|(a, b)| *a += b);
        self.weights.iter_mut().zip(&other.weights).for_each(|(a, b)| *a += b);
        self.found.extend_from_slice(&other.found);
        self.values.extend_from_slice(&other.values);
    }

    /// 0 where nothing was measured at that distance.
    fn kernel(&self) -> Vec<f32> {
        let mean = |(sum, all): (&f32, &f32)| if *all > 0.0 { sum / all } else { 0.0 };
        self.sums.iter().zip(&self.weights).map(mean).collect()
    }

    fn middle(&self) -> f32 {
        let at = self.sums.len() / 2;
        self.sums[at] / self.weights[at]
    }
}

struct Asked<'a, M: ?Sized> {
    map: &'a M,
    shape: Shape,
    gains: Vec<f32>,
}

impl<M: LinearMap + ?Sized> Asked<'_, M> {
    fn gain(&self, at: usize) -> f32 {
        self.gains.get(at).copied().unwrap_or(1.0)
    }

    /// The responses to ones at these places of a channel. `None` if other channels answer.
    fn ask(&self, channel: usize, places: &[(usize, usize)]) -> Option<Vec<f32>> {
        let plane = self.shape.plane();
        let mut values = vec![0.0; self.shape.len()];
        places.iter().for_each(|(y, x)| values[channel * plane + y * self.shape.width + x] = 1.0);
        let mut out = vec![0.0; values.len()];
        self.map.gram(&values, &mut out);
        let own = out[channel * plane..][..plane].to_vec();
        out[channel * plane..][..plane].fill(0.0);
        (most(&out) <= ALIKE * most(&own)).then_some(own)
    }

    /// Rows and columns that a response reaches, that of the farthest of a few; `None` if there is
    /// none or if it is half of the frame, and if another channel answers otherwise than the first.
    fn reach(&self) -> Option<(usize, usize)> {
        let (height, width) = (self.shape.height, self.shape.width);
        let places = [(0, 0), (height / 8, width / 8 + 1)];
        let (mut down, mut across) = (0, 0);
        for (y, x) in places {
            let at = (height / 2 + y, width / 2 + x);
            if at.0 >= height || at.1 >= width || self.gain(at.0 * width + at.1) == 0.0 {
                continue;
            }
            let found = self.ask(0, &[at])?;
            let middle = found[at.0 * width + at.1];
            for channel in 1..self.shape.channels {
                let other = self.ask(channel, &[at])?;
                let away: Vec<f32> = found.iter().zip(&other).map(|(a, b)| a - b).collect();
                if most(&away) > ALIKE * middle {
                    return None;
                }
            }
            for (i, _) in found.iter().enumerate().filter(|(_, v)| v.abs() > NOTHING * middle) {
                down = down.max((i / width).abs_diff(at.0));
                across = across.max((i % width).abs_diff(at.1));
            }
        }
        // A pattern, and a response beside it, on both sides.
        let fits = 2 * (down + PERIOD) < height && 2 * (across + PERIOD) < width;
        fits.then_some((down, across))
    }

    /// The responses at places of this phase that are far enough from each other and from the
    /// borders to be asked together.
    fn fit(&self, phase: (usize, usize), reach: (usize, usize)) -> Option<Fit> {
        let along = |size: usize, reach: usize, phase: usize| {
            let first = (reach..).find(|i| i % PERIOD == phase).unwrap_or(reach);
            // Not in step with longer patterns, which a mask may have.
            let every = (2 * reach + 1..).find(|n| n % PERIOD == 0 && n % 3 > 0 && n % 5 > 0);
            let every = every.unwrap_or(size);
            (first..size.saturating_sub(reach)).step_by(every)
        };
        let rows = along(self.shape.height, reach.0, phase.0);
        let columns = along(self.shape.width, reach.1, phase.1);
        let places = rows.flat_map(|y| columns.clone().map(move |x| (y, x)));
        let measured = |(y, x): &(usize, usize)| self.gain(y * self.shape.width + x) > 0.0;
        let places: Vec<_> = places.filter(measured).collect();
        let found = self.ask(0, &places)?;
        let mut fit = Fit::new(reach);
        for place in places {
            let values: Vec<f32> = self.around(place, reach).map(|(at, _)| found[at]).collect();
            let sums = fit.sums.iter_mut().zip(&mut fit.weights).zip(&values);
            for (((sum, all), value), (_, weight)) in sums.zip(self.around(place, reach)) {
                *sum += weight * value;
                *all += weight * weight;
            }
            fit.found.push(place);
            fit.values.push(values);
        }
        Some(fit)
    }

    /// Where the values around a place are, and what gains make of a response there.
    fn around(
        &self,
        (y, x): (usize, usize),
        reach: (usize, usize),
    ) -> impl Iterator<Item = (usize, f32)> {
        let (width, columns) = (self.shape.width, 2 * reach.1 + 1);
        let own = self.gain(y * width + x);
        (0..(2 * reach.0 + 1) * columns).map(move |i| {
            let at = (y - reach.0 + i / columns) * width + x - reach.1 + i % columns;
            (at, own * self.gain(at))
        })
    }

    /// How far the responses are from their mean: the root of the sum of squares.
    fn misfit(&self, fit: &Fit, reach: (usize, usize)) -> f32 {
        let kernel = fit.kernel();
        let of_place = |(place, values): (&(usize, usize), &Vec<f32>)| {
            let around = self.around(*place, reach).zip(values).zip(&kernel);
            let away = around.filter(|(((_, weight), _), _)| *weight > 0.0);
            let away = away.map(|(((_, weight), value), mean)| value / weight - mean);
            away.map(|v| v * v).sum::<f32>().sqrt()
        };
        let sum: f32 = fit.found.iter().zip(&fit.values).map(of_place).sum();
        sum / fit.found.len().max(1) as f32
    }
}
