//! Continues edges and lines through holes: least squares on directional second differences,
//! reweighted so that a pixel bends only across the directions in which the picture bends
//! anyway.

use super::is_known;
use crate::classical::curvature::{Band, MOST_ROWS, Rule, band_bytes, by_bands};
use crate::frame::Shape;

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
    let ranges: Vec<(f32, f32)> = values
        .chunks_exact(shape.plane())
        .zip(known.chunks_exact(shape.plane()))
        .map(|(values, known)| {
            let known = values.iter().zip(known).filter(|(_, k)| is_known(**k)).map(|(v, _)| *v);
            known.fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)))
        })
        .collect();
    // The mean over the channels: their edges coincide more often than not.
    let factor = 1.0 / (shape.channels as f32).sqrt();
    let views: Vec<_> = (0..shape.channels).map(|c| vec![(c, factor)]).collect();
    by_bands(values, shape, |band| {
        let holes: Vec<Vec<usize>> =
            (0..shape.channels).map(|c| holes(band, known, shape, c, ranges[c])).collect();
        if holes.iter().all(Vec::is_empty) {
            return;
        }
        for round in 0..ROUNDS {
            if round == 0 {
                band.weigh_alike();
            } else {
                band.weigh(&views, &RULE);
            }
            for _ in 0..SWEEPS {
                sweep(band, &holes);
            }
        }
        for (c, (low, high)) in ranges.iter().enumerate() {
            for &i in &holes[c] {
                band.planes[c][i] = band.planes[c][i].clamp(*low, *high);
            }
        }
    });
}

/// Bytes of working memory of [`refine`].
pub fn bytes(shape: Shape) -> u64 {
    // The band, and the places of holes.
    let holes = shape.channels * shape.width * shape.height.min(MOST_ROWS);
    band_bytes(shape) + (holes * size_of::<usize>()) as u64
}

/// Where a band's channel `c` has holes; none in a channel of which nothing is known (an empty
/// `range`), which stays as it is.
fn holes(band: &Band, known: &[f32], shape: Shape, c: usize, range: (f32, f32)) -> Vec<usize> {
    let mut holes = Vec::new();
    if range.0 <= range.1 {
        for (y, at) in band.lines() {
            let row = &known[c * shape.plane() + y * shape.width..][..shape.width];
            holes.extend(at.zip(row).filter(|(_, k)| !is_known(**k)).map(|(i, _)| i));
        }
    }
    holes
}

/// Moves each hole towards the minimum of the weighted squares, the others held.
fn sweep(band: &mut Band, holes: &[Vec<usize>]) {
    for (c, holes) in holes.iter().enumerate() {
        for &i in holes {
            let [force] = band.force([c], i);
            band.planes[c][i] -= OMEGA * force / band.stiffness(i);
        }
    }
}
