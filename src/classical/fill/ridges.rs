//! Continues edges and lines through holes: least squares on directional second differences,
//! reweighted so that a pixel bends only across the directions in which the picture bends
//! anyway.

use super::is_known;
use crate::classical::curvature::{Band, MOST_ROWS, Rule, band_bytes, by_bands};
use crate::frame::Shape;
use crate::scratch::{Buffer, List};

/// Rounds of reweighting.
const ROUNDS: usize = 6;
/// Relaxation sweeps over the holes per round.
const SWEEPS: usize = 2;
/// Over-relaxation of a sweep. All the constants are the best of a search on photographs with
/// half and four fifths of the pixels missing, and flat optima.
const OMEGA: f32 = 1.6;
const RULE: Rule = Rule { straight: 0.04, radius: 3 };

/// Refines all holes of `values` (`known` 0), which hold a smooth estimate.
pub fn refine(values: &mut [f32], known: &[f32], shape: Shape) {
    // Two values per channel: the least and the largest that is known.
    let range = |(values, known): (&[f32], &[f32])| {
        let known = values.iter().zip(known).filter(|(_, k)| is_known(**k)).map(|(v, _)| *v);
        known.fold([f32::INFINITY, f32::NEG_INFINITY], |[a, b], v| [a.min(v), b.max(v)])
    };
    let planes = values.chunks_exact(shape.plane()).zip(known.chunks_exact(shape.plane()));
    let ranges = Buffer::collect(2 * shape.channels, planes.flat_map(range));
    let ranges = ranges.as_chunks::<2>().0;
    // The mean over the channels: their edges coincide more often than not.
    let factor = 1.0 / (shape.channels as f32).sqrt();
    let views = || (0..shape.channels).map(|c| [(c, factor)]);
    by_bands(values, shape, |band| {
        // Of channel after channel, each list with its length in front.
        let mut holes: List<usize> = List::new();
        (0..shape.channels).for_each(|c| add_holes(band, known, shape, c, ranges[c], &mut holes));
        if holes.len() == shape.channels {
            return;
        }
        for round in 0..ROUNDS {
            if round == 0 {
                band.weigh_alike();
            } else {
                band.weigh(views, &RULE);
            }
            for _ in 0..SWEEPS {
                sweep(band, &holes);
            }
        }
        for (c, holes) in lists(&holes).enumerate() {
            let [low, high] = ranges[c];
            let plane = band.plane(c);
            holes.iter().for_each(|&i| plane[i] = plane[i].clamp(low, high));
        }
    });
}

/// Bytes of working memory of [`refine`].
pub fn bytes(shape: Shape) -> u64 {
    // The band, and the places of holes.
    let holes = shape.channels * shape.width * shape.height.min(MOST_ROWS);
    band_bytes(shape) + (holes * size_of::<usize>()) as u64
}

/// Adds where a band's channel `c` has holes; none in a channel of which nothing is known (an
/// empty `range`), which stays as it is.
fn add_holes(
    band: &Band,
    known: &[f32],
    shape: Shape,
    c: usize,
    [low, high]: [f32; 2],
    holes: &mut Vec<usize>,
) {
    let at_length = holes.len();
    holes.push(0);
    if low <= high {
        for (y, at) in band.lines() {
            let row = &known[c * shape.plane() + y * shape.width..][..shape.width];
            holes.extend(at.zip(row).filter(|(_, k)| !is_known(**k)).map(|(i, _)| i));
        }
    }
    holes[at_length] = holes.len() - at_length - 1;
}

/// The lists that were added, one after another.
fn lists(mut holes: &[usize]) -> impl Iterator<Item = &[usize]> {
    std::iter::from_fn(move || {
        let (len, rest) = holes.split_first()?;
        let (list, rest) = rest.split_at(*len);
        holes = rest;
        Some(list)
    })
}

/// Moves each hole towards the minimum of the weighted squares, the others held.
fn sweep(band: &mut Band, holes: &[usize]) {
    for (c, holes) in lists(holes).enumerate() {
        for &i in holes {
            let [force] = band.force([c], i);
            let step = OMEGA * force / band.stiffness(i);
            band.plane(c)[i] -= step;
        }
    }
}
