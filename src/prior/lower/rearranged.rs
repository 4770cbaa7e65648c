//! Reshapes and transpositions of pictures. One by one they are nothing that we know; in a row they
//! are a pixel shuffle, its inverse, or nothing at all.

use std::sync::Arc;

use tract_core::internal::*;

use super::super::normalize::Normalize;
use super::{Kind, Lowering, State};
use crate::kernels::Activation;
use crate::network::Op;

/// Largest side of a block that becomes channels.
const MOST_FACTOR: usize = 16;

impl Lowering<'_> {
    /// A node that only moves values, or that normalizes moved ones.
    pub(super) fn rearrange(&mut self, node: &TypedNode) -> TractResult<Option<State>> {
        if let Some(op) = node.op_as::<Normalize>() {
            return Ok(self.normalize(op, node));
        }
        let Some(op) = node.op_as::<AxisOp>() else { return Ok(None) };
        let (region, value, picture, places) = match self.states.get(&node.inputs[0]).cloned() {
            Some(State::Rearranged { region, value, picture, places }) => {
                (region, value, picture, places)
            }
            Some(State::Known { region, value, kind: Kind::Picture(picture) }) => {
                let places = Arc::new((0..picture.iter().product()).collect());
                (region, value, picture, places)
            }
            _ => {
                // A picture of tract's is one of ours from here on.
                let Some(Kind::Picture(picture)) = self.kind(node.inputs[0]) else {
                    return Ok(None);
                };
                let Some(region) = self.region_for(node) else { return Ok(None) };
                let Some((value, _)) = self.take(region, node.inputs[0]) else { return Ok(None) };
                (region, value, picture, Arc::new((0..picture.iter().product()).collect()))
            }
        };
        let Some(before) = self.shape(node.inputs[0]) else { return Ok(None) };
        let numbers: Vec<i64> = places.iter().map(|p| *p as i64).collect();
        let mut moved = Tensor::from_shape(&before, &numbers)?;
        op.change_tensor(&mut moved, false)?;
        let plain = moved.try_as_plain_ram()?;
        let places: Vec<usize> = plain.as_slice::<i64>()?.iter().map(|p| *p as usize).collect();
        let Some(after) = self.shape(node.id.into()) else { return Ok(None) };
        if let [1, c, h, w] = after[..]
            && let Some(op) = shuffle(picture, [c, h, w], &places)
        {
            let kind = Kind::Picture([c, h, w]);
            return Ok(Some(match op {
                None => State::Known { region, value, kind },
                Some(op) => self.layer(region, op, vec![value], kind),
            }));
        }
        Ok(Some(State::Rearranged { region, value, picture, places: Arc::new(places) }))
    }

    /// The normalization of a group of channels, which exporters write as that of one channel of a
    /// picture in another shape.
    fn normalize(&mut self, op: &Normalize, node: &TypedNode) -> Option<State> {
        let input = node.inputs[0];
        let shape = self.shape(input)?;
        let [1, groups, ..] = shape[..] else { return None };
        let (region, value, picture) = match self.states.get(&input)?.clone() {
            State::Rearranged { region, value, picture, places } => {
                let in_order = places.iter().enumerate().all(|(i, p)| i == *p);
                (region, value, in_order.then_some(picture)?)
            }
            _ => {
                let region = self.region_for(node)?;
                let (value, Kind::Picture(picture)) = self.take(region, input)? else {
                    return None;
                };
                (region, value, picture)
            }
        };
        if !picture[0].is_multiple_of(groups) {
            return None;
        }
        let (one, zero) = (self.constant(region, &[1.0]), self.constant(region, &[0.0]));
        let norm = Op::Norm { groups, epsilon: op.epsilon(), activation: Activation::None };
        let value = self.region(region).push(norm, vec![value, one, zero]);
        let places = Arc::new((0..picture.iter().product()).collect());
        Some(match shape[..] {
            [1, c, h, w] if [c, h, w] == picture => {
                State::Known { region, value, kind: Kind::Picture(picture) }
            }
            _ => State::Rearranged { region, value, picture, places },
        })
    }
}

/// The operator that takes a picture of size `from` to one of size `to`, if `places` is one:
/// `Some(None)` if nothing moves.
fn shuffle(from: [usize; 3], to: [usize; 3], places: &[usize]) -> Option<Option<Op>> {
    let at = |[_, h, w]: [usize; 3], c: usize, y: usize, x: usize| (c * h + y) * w + x;
    if from == to {
        return places.iter().enumerate().all(|(i, p)| i == *p).then_some(None);
    }
    // The finer of the two, and the factor between them.
    let down = from[1] > to[1];
    let (fine, coarse) = if down { (from, to) } else { (to, from) };
    let factor = fine[1] / coarse[1].max(1);
    if factor > MOST_FACTOR
        || coarse != [fine[0] * factor * factor, fine[1] / factor, fine[2] / factor]
    {
        return None;
    }
    for c in 0..fine[0] {
        for y in 0..fine[1] {
            for x in 0..fine[2] {
                let channel = (c * factor + y % factor) * factor + x % factor;
                let (a, b) = (at(fine, c, y, x), at(coarse, channel, y / factor, x / factor));
                let (source, target) = if down { (a, b) } else { (b, a) };
                if places[target] != source {
                    return None;
                }
            }
        }
    }
    Some(Some(if down { Op::SpaceToDepth { factor } } else { Op::DepthToSpace { factor } }))
}
