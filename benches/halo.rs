//! How much context a tile needs: `cargo bench --bench halo`.
//!
//! One evaluation of the prior at several noise levels on a 512x512 picture, in tiles with a
//! halo, against one window as large as the picture: RMS difference in 8-bit code values, and
//! the pixels that go through the network relative to the picture's.

use std::ops::ControlFlow;
use std::path::Path;

use ddnm::degrade::{self, Degradation, Spec};
use ddnm::frame::Frame;
use ddnm::prior::{self, Evaluator, Identity, Model, Prior};
use ddnm::sampler::{self, Mode, Settings, tiling};
use ddnm::schedule::Diffusion;

const SIGMAS: [f64; 5] = [0.05, 0.2, 0.4, 0.8, 3.0];
const TILES: [usize; 2] = [64, 160];
const HALOS: [usize; 7] = [0, 8, 16, 24, 32, 40, 48];

/// The bundled prior with other tiles.
struct Tiled<'a> {
    prior: &'a Model,
    tile: usize,
    halo: usize,
}

impl Prior for Tiled<'_> {
    fn channels(&self) -> usize {
        self.prior.channels()
    }
    fn multiple(&self) -> usize {
        self.prior.multiple()
    }
    fn tile(&self) -> usize {
        self.tile
    }
    fn halo(&self, _sigma: f64) -> usize {
        self.halo
    }
    fn diffusion(&self) -> &Diffusion {
        self.prior.diffusion()
    }
    fn evaluator(&self, height: usize, width: usize) -> ddnm::Result<Box<dyn Evaluator>> {
        self.prior.evaluator(height, width)
    }
    fn identity(&self) -> Identity {
        self.prior.identity()
    }
}

fn main() -> ddnm::Result<()> {
    let model = std::env::args().skip_while(|a| a != "model").nth(1);
    let prior = prior::find(model.as_deref())?;
    let x = ddnm::io::read(Path::new("tests/assets/astronaut.png"))?;
    let a = Spec::parse("none")?.build(x.shape, &|_| unreachable!())?;
    // A measurement so noisy that only the prior counts.
    let run = |sigma: f64, tile, halo| -> ddnm::Result<(Frame, f64)> {
        let tiled = Tiled { prior: &prior, tile, halo };
        let y = Frame::new(x.shape, degrade::measure(&a, &x, sigma, 0))?;
        let levels = vec![prior.diffusion().at_sigma(sigma)];
        let work = tiling(&a, &tiled, &levels).grid(a.scene(), 0).window_pixels();
        let settings = Settings { threads: 2, ..Settings::new(Mode::Faithful, 1e6, levels) };
        let found =
            sampler::restore(&a, &y, &tiled, &settings, &mut |_| ControlFlow::Continue(()))?;
        Ok((found, work as f64 / x.shape.plane() as f64))
    };
    let header: Vec<String> = SIGMAS.iter().map(|s| format!("sigma {s}")).collect();
    println!("| core | halo | {} | work |", header.join(" | "));
    println!("|---|---|{}---|", "---|".repeat(SIGMAS.len()));
    let mut whole = Vec::new();
    for sigma in SIGMAS {
        whole.push(run(sigma, 4096, 0)?.0);
    }
    for tile in TILES {
        for halo in HALOS {
            let (mut cells, mut work) = (Vec::new(), 0.0);
            for (sigma, whole) in SIGMAS.iter().zip(&whole) {
                let (found, cost) = run(*sigma, tile, halo)?;
                let squares: f64 =
                    found.data.iter().zip(&whole.data).map(|(a, b)| f64::from(a - b).powi(2)).sum();
                cells.push(format!("{:.3}", (squares / found.data.len() as f64).sqrt() * 127.5));
                work = cost;
            }
            println!("| {tile} | {halo} | {} | {work:.2} |", cells.join(" | "));
        }
    }
    Ok(())
}
