//! What plain loops over whole frames are made of, for what the library has no setting for.

use ddnm::degrade::Degradation;
use ddnm::frame::{Frame, Region, crop};
use ddnm::prior::{Model, Prior};
use ddnm::schedule::Level;

use crate::common::Case;

/// A part of a picture: there are many ways to go through.
pub fn part(x: &Frame) -> ddnm::Result<Frame> {
    let region = Region { y: 20, x: 100, height: 192, width: 192 };
    let mut data = vec![0.0; region.shape(x.shape.channels).len()];
    crop(&x.data, x.shape, region, &mut data);
    Frame::new(region.shape(x.shape.channels), data)
}

/// What the prior makes of a state that is a picture, mirrored to the size that it wants.
pub fn estimate(case: &Case, prior: &Model, level: Level, state: &[f32]) -> ddnm::Result<Vec<f32>> {
    let s = case.x.shape;
    let (height, width) =
        (s.height.next_multiple_of(prior.multiple()), s.width.next_multiple_of(prior.multiple()));
    let inside = |i: usize, size: usize| if i < size { i } else { 2 * size - 2 - i };
    let signal = level.signal() as f32;
    let mut input = Vec::with_capacity(s.channels * height * width);
    for plane in state.chunks_exact(s.plane()) {
        for y in 0..height {
            let line = &plane[inside(y, s.height) * s.width..][..s.width];
            input.extend((0..width).map(|x| signal * line[inside(x, s.width)]));
        }
    }
    let mut output = vec![0.0; input.len()];
    prior.evaluator(height, width)?.x0(&input, level, &mut output)?;
    let mut x0 = Vec::with_capacity(s.len());
    for plane in output.chunks_exact(height * width) {
        for line in plane.chunks_exact(width).take(s.height) {
            x0.extend(line[..s.width].iter().map(|v| v.clamp(-1.0, 1.0)));
        }
    }
    Ok(x0)
}

/// `y - A x`.
pub fn left(case: &Case, x: &[f32]) -> Vec<f32> {
    let mut r = vec![0.0; case.y.data.len()];
    case.a.apply(Region::whole(case.x.shape), x, &mut r);
    r.iter_mut().zip(&case.y.data).for_each(|(r, y)| *r = y - *r);
    r
}
