//! Makes the picture of the README: for each task the scene, its measurement and the result, two
//! tasks side by side. `cargo run --release --example contact_sheet -- OUT.png`

#[path = "../benches/common/mod.rs"]
#[allow(dead_code)]
mod common;

use std::path::Path;

use common::Case;
use ddnm::degrade::{self, Degradation};
use ddnm::frame::{Frame, Region, Shape, crop};
use ddnm::prior::{self, Prior};
use ddnm::sampler::{Mode, defaults};

/// Side of a shown part, in pixels, and how often each pixel is repeated.
const SIDE: usize = 96;
const ZOOM: usize = 2;
/// Shown pixels between pictures, and between the two tasks of a row.
const GAP: usize = 6;
const AISLE: usize = 24;

/// Index into `common::NAMES`, left and top of the part, degradation, noise in code values.
const TASKS: [(usize, usize, usize, &str, f64); 16] = [
    (1, 150, 96, "bayer:rggb", 0.0),
    (2, 150, 70, "bayer:rggb+mask:defects", 5.0),
    (0, 180, 60, "none", 25.0),
    (1, 300, 200, "sr:2+bayer:rggb", 0.0),
    (0, 372, 24, "sr:2", 0.0),
    (1, 300, 200, "sr:4:bicubic", 0.0),
    (0, 180, 60, "blur:gauss:1.6", 2.0),
    (2, 150, 70, "blur:motion", 2.0),
    (2, 150, 70, "mask:half", 0.0),
    (0, 180, 60, "mask:scratches", 0.0),
    (1, 150, 96, "hadamard:0.25", 0.0),
    (2, 150, 70, "blocks:0.25", 0.0),
    (1, 4, 300, "gain:lens", 5.0),
    (0, 180, 60, "gray", 25.0),
    (0, 180, 60, "gray+mask:scratches+sr:2", 0.0),
    (2, 150, 70, "gray+mask:scratches+sr:2", 5.0),
];

fn main() -> ddnm::Result<()> {
    let out = std::env::args().nth(1).unwrap_or_else(|| "contact-sheet.png".into());
    let cell = SIDE * ZOOM + GAP;
    let triple = 3 * cell - GAP;
    let rows = TASKS.len().div_ceil(2);
    let mut sheet = Frame::filled(Shape::new(3, rows * cell - GAP, 2 * triple + AISLE), 1.0);
    let pictures = common::pictures()?;
    let prior = prior::bundled()?;
    for (task, &(picture, x, y, spec, noise)) in TASKS.iter().enumerate() {
        let part = Region { y, x, height: SIDE, width: SIDE };
        let (top, left) = (task / 2 * cell, task % 2 * (triple + AISLE));
        for (column, shown) in restore(&pictures[picture], spec, noise, &prior)?.iter().enumerate()
        {
            let mut values = vec![0.0; 3 * SIDE * SIDE];
            crop(&shown.data, shown.shape, part, &mut values);
            paste(&mut sheet, &values, top, left + column * cell);
        }
    }
    ddnm::io::write(Path::new(&out), &sheet, 8)
}

/// Scene, measurement as [`seen`] and result.
fn restore(x: &Frame, spec: &str, noise: f64, prior: &dyn Prior) -> ddnm::Result<[Frame; 3]> {
    let case = Case::new(spec, noise, x)?;
    let d = defaults(&case.a, case.sigma_y, true);
    let levels = prior.diffusion().geometric(d.start, d.end, d.steps);
    let found = case.restore(prior, Mode::Faithful, levels, &d)?;
    Ok([x.clone(), seen(&case, spec)?, found])
}

/// The measurement in the scene's size and colours: pixels of a smaller one are repeated, a mosaic
/// is shown in its colours, and of one that is no picture its pseudo-inverse.
fn seen(case: &Case, spec: &str) -> ddnm::Result<Frame> {
    let scene = case.x.shape;
    if spec.starts_with("hadamard") || spec.starts_with("blocks") {
        let mut x = vec![0.0; scene.len()];
        case.a.pinv(Region::whole(scene), &case.y.data, &|_| 1.0, &mut x);
        return Frame::new(scene, x);
    }
    let file = degrade::to_file(&case.a, &case.y.data)?;
    let Shape { height, width, .. } = file.shape;
    let factor = (scene.width as f64 / width as f64).round() as usize;
    // A kernel without borders leaves a smaller picture, from the middle of the scene.
    let middle = |scene: usize, size: usize| scene.saturating_sub(size * factor) / 2;
    let (top, left) = (middle(scene.height, height), middle(scene.width, width));
    let mosaic = spec.contains("bayer");
    let value = |i: usize| {
        let (c, i) = (i / scene.plane(), i % scene.plane());
        let y = ((i / scene.width).saturating_sub(top) / factor).min(height - 1);
        let x = ((i % scene.width).saturating_sub(left) / factor).min(width - 1);
        match file.shape.channels {
            1 if mosaic && [[0, 1], [1, 2]][y % 2][x % 2] != c => -1.0,
            1 => file.data[y * width + x],
            _ => file.data[c * file.shape.plane() + y * width + x],
        }
    };
    Frame::new(scene, (0..scene.len()).map(value).collect())
}

fn paste(sheet: &mut Frame, part: &[f32], top: usize, left: usize) {
    let Shape { height, width, .. } = sheet.shape;
    for (i, v) in part.iter().enumerate() {
        let (c, y, x) = (i / (SIDE * SIDE), i / SIDE % SIDE, i % SIDE);
        for dy in 0..ZOOM {
            let from = (c * height + top + y * ZOOM + dy) * width + left + x * ZOOM;
            sheet.data[from..from + ZOOM].fill(*v);
        }
    }
}
