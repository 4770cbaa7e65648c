//! Makes the picture of the README: for each task a row with the scene, its measurement and the
//! result. `cargo run --release --example contact_sheet -- OUT.png`

use std::ops::ControlFlow;
use std::path::Path;

use ddnm::degrade::{self, Spec};
use ddnm::frame::{Frame, Region, Rows, Shape, crop, from_code, to_code};
use ddnm::prior::{self, Prior};
use ddnm::sampler::{self, Mode, Settings, defaults};

/// Side of a shown part, in pixels, and how often each pixel is repeated.
const SIDE: usize = 96;
const ZOOM: usize = 3;
const GAP: usize = 8;

/// Picture, left and top of the part, degradation, noise in code values.
const ROWS: [(&str, usize, usize, &str, f64); 7] = [
    ("coffee", 150, 96, "bayer:rggb", 0.0),
    ("chelsea", 150, 70, "mask:half", 0.0),
    ("astronaut", 180, 60, "none", 25.0),
    ("astronaut", 372, 24, "sr:2", 0.0),
    ("coffee", 300, 200, "sr:4:bicubic", 0.0),
    ("astronaut", 180, 60, "blur:gauss:1.6", 2.0),
    ("chelsea", 150, 70, "gray+mask:half+sr:2", 0.0),
];

fn main() -> ddnm::Result<()> {
    let out = std::env::args().nth(1).unwrap_or_else(|| "contact-sheet.png".into());
    let cell = SIDE * ZOOM + GAP;
    let shape = Shape::new(3, ROWS.len() * cell - GAP, 3 * cell - GAP);
    let mut sheet = Frame::filled(shape, 1.0);
    let prior = prior::bundled()?;
    for (row, (name, x, y, spec, noise)) in ROWS.into_iter().enumerate() {
        let file = format!("tests/assets/{name}.png");
        let whole = ddnm::io::read(Path::new(&file))?;
        let region = Region { y, x, height: SIDE, width: SIDE };
        for (column, picture) in restore(&whole, spec, noise, &prior)?.iter().enumerate() {
            let mut part = vec![0.0; 3 * SIDE * SIDE];
            crop(&picture.data, picture.shape, region, &mut part);
            paste(&mut sheet, &part, row * cell, column * cell);
        }
    }
    ddnm::io::write(Path::new(&out), &sheet, 8)
}

/// Scene, measurement (in the scene's size and colours) and result, rounded to 8 bits as in files.
fn restore(x: &Frame, spec: &str, noise: f64, prior: &dyn Prior) -> ddnm::Result<[Frame; 3]> {
    let half = |_: &Path| -> ddnm::Result<Box<dyn Rows>> {
        let field = ddnm::noise::NoiseField { seed: 1, frame: 0, draw: 9 };
        let value = |i: usize| field.at(0, i / x.shape.width, i % x.shape.width).signum();
        let shape = Shape { channels: 1, ..x.shape };
        Ok(Frame::new(shape, (0..shape.len()).map(value).collect())?.into())
    };
    let a = Spec::parse(spec)?.build(x.shape, &half)?;
    let sigma_y = noise / 127.5;
    let mut file = degrade::to_file(&a, &degrade::measure(&a, x, sigma_y, 0))?;
    file.data.iter_mut().for_each(|v| *v = from_code(to_code(*v, 8), 8));
    let y = degrade::measurement(&a, &file)?;
    let d = defaults(&a, sigma_y, true);
    let settings = Settings {
        threads: 2,
        ..Settings::new(
            Mode::Faithful,
            sigma_y,
            prior.diffusion().geometric(d.start, d.end, d.steps),
        )
        .suit(&d)
    };
    let found = sampler::restore(&a, &y, prior, &settings, &mut |_| ControlFlow::Continue(()))?;
    // Pixels of a smaller measurement are repeated; a mosaic is shown in its colours.
    let shown = |i: usize| {
        let (c, row, column) =
            (i / x.shape.plane(), i % x.shape.plane() / x.shape.width, i % x.shape.width);
        let factor = x.shape.width.div_ceil(file.shape.width);
        let at = (row / factor) * file.shape.width + column / factor;
        match file.shape.channels {
            1 if [[0, 1], [1, 2]][row % 2][column % 2] != c => -1.0,
            1 => file.data[at],
            _ => file.data[c * file.shape.plane() + at],
        }
    };
    let shown = Frame::new(x.shape, (0..x.shape.len()).map(shown).collect())?;
    Ok([x.clone(), shown, found])
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
