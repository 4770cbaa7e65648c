//! Windows cut out of a frame and put together in batches, and cores put together again.

use tract_core::internal::*;

use super::wires::Wires;
use crate::frame::Shape;
use crate::sampler::grid::{Grid, Span, Tile};
use crate::sampler::mirror;

/// Windows of one size that the network sees at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    pub height: usize,
    pub width: usize,
    /// Numbers of tiles in their grid, row by row.
    pub tiles: Vec<usize>,
}

/// The tiles of a grid in batches of at most `most`.
pub fn batches(grid: &Grid, most: usize) -> Vec<Batch> {
    let mut sizes: Vec<Batch> = Vec::new();
    for (i, tile) in grid.tiles().enumerate() {
        let (height, width) = (tile.rows.size, tile.columns.size);
        match sizes.iter_mut().find(|b| (b.height, b.width) == (height, width)) {
            Some(batch) => batch.tiles.push(i),
            None => sizes.push(Batch { height, width, tiles: vec![i] }),
        }
    }
    let parts = |b: &Batch| {
        b.tiles.chunks(most.max(1)).map(|t| Batch { tiles: t.to_vec(), ..*b }).collect::<Vec<_>>()
    };
    sizes.iter().flat_map(parts).collect()
}

/// The window of every tile, `[1, channels, height, width]`; beyond the frame's far edges the
/// picture is mirrored.
pub fn windows(
    wires: &mut Wires,
    state: OutletId,
    scene: Shape,
    grid: &Grid,
) -> TractResult<Vec<OutletId>> {
    let end = |spans: &[Span]| spans.iter().map(|s| s.window + s.size).max().unwrap_or(0);
    let state = extend(wires, state, 2, scene.height, end(&grid.rows))?;
    let state = extend(wires, state, 3, scene.width, end(&grid.columns))?;
    let mut windows = Vec::with_capacity(grid.len());
    for rows in &grid.rows {
        let strip = wires.slice(state, 2, rows.window, rows.window + rows.size)?;
        for columns in &grid.columns {
            windows.push(wires.slice(strip, 3, columns.window, columns.window + columns.size)?);
        }
    }
    Ok(windows)
}

/// Mirrors what an axis lacks: tract translates no padding but that with constants.
fn extend(
    wires: &mut Wires,
    state: OutletId,
    axis: usize,
    length: usize,
    end: usize,
) -> TractResult<OutletId> {
    let mut parts = vec![state];
    for i in length..end {
        let from = mirror(i, length);
        parts.push(wires.slice(state, axis, from, from + 1)?);
    }
    wires.concat(axis, &parts)
}

/// The frame whose tiles' windows are items of batches: `of[tile]` is a batch and its item.
pub fn assemble(wires: &mut Wires, grid: &Grid, of: &[(OutletId, usize)]) -> TractResult<OutletId> {
    let across = grid.columns.len();
    let mut rows = Vec::with_capacity(grid.rows.len());
    for (i, row) in of.chunks(across).enumerate() {
        let mut cores = Vec::with_capacity(across);
        for (j, &(batch, item)) in row.iter().enumerate() {
            let window = wires.slice(batch, 0, item, item + 1)?;
            cores.push(core(wires, window, &grid.tile(i * across + j))?);
        }
        rows.push(wires.concat(3, &cores)?);
    }
    wires.concat(2, &rows)
}

fn core(wires: &mut Wires, window: OutletId, tile: &Tile) -> TractResult<OutletId> {
    let within = |span: &Span| (span.core - span.window, span.core_end - span.window);
    let ((top, bottom), (left, right)) = (within(&tile.rows), within(&tile.columns));
    let rows = wires.slice(window, 2, top, bottom)?;
    wires.slice(rows, 3, left, right)
}
