//! A degradation of one's own, from nothing but `A` and `A^T`: a camera that moves sideways
//! while its shutter is open. `cargo run --release --example own_operator`

use std::ops::ControlFlow;
use std::path::Path;

use ddnm::degrade::{self, Degradation, Linear, LinearMap, check};
use ddnm::frame::{Frame, Region, Shape, crop};
use ddnm::prior::{self, Prior};
use ddnm::sampler::{self, Mode, Settings, defaults};

/// `y(i) = (x(i) + .. + x(i + LENGTH - 1)) / LENGTH` in each row; what leaves the frame is lost.
struct Motion(Shape);

const LENGTH: usize = 7;

impl LinearMap for Motion {
    fn spec(&self) -> String {
        format!("motion:{LENGTH}")
    }
    fn scene(&self) -> Shape {
        self.0
    }
    fn measurement(&self) -> Shape {
        Shape { width: self.0.width + 1 - LENGTH, ..self.0 }
    }
    fn apply(&self, x: &[f32], y: &mut [f32]) {
        for (x, y) in x.chunks(self.0.width).zip(y.chunks_mut(self.measurement().width)) {
            y.iter_mut().enumerate().for_each(|(i, y)| *y = mean(&x[i..i + LENGTH]));
        }
    }
    fn adjoint(&self, y: &[f32], x: &mut [f32]) {
        x.fill(0.0);
        for (x, y) in x.chunks_mut(self.0.width).zip(y.chunks(self.measurement().width)) {
            for (i, y) in y.iter().enumerate() {
                x[i..i + LENGTH].iter_mut().for_each(|x| *x += y / LENGTH as f32);
            }
        }
    }
    // Its spectrum has zeros: what is as good as lost shall be left to the prior.
    fn truncation(&self) -> f32 {
        0.05
    }
}

fn mean(v: &[f32]) -> f32 {
    v.iter().sum::<f32>() / v.len() as f32
}

fn main() -> ddnm::Result<()> {
    let picture = ddnm::io::read(Path::new("tests/assets/coffee.png"))?;
    let region = Region { y: 100, x: 150, height: 128, width: 192 };
    let mut x = Frame::filled(region.shape(3), 0.0);
    crop(&picture.data, picture.shape, region, &mut x.data);

    let a = Linear::new(Motion(x.shape))?;
    println!("{}", check::identities(&a, Region::whole(a.scene())));
    let sigma_y = 1.0 / 127.5;
    let y = Frame::new(a.measurement(), degrade::measure(&a, &x, sigma_y, 0))?;
    let prior = prior::bundled()?;
    let d = defaults(&a, sigma_y, true);
    let settings = Settings::new(
        Mode::Faithful,
        sigma_y,
        prior.diffusion().geometric(d.start, d.end, d.steps),
    )
    .suit(&d);
    let found = sampler::restore(&a, &y, &prior, &settings, &mut |_| ControlFlow::Continue(()))?;
    let start = Frame::new(a.scene(), a.start(&y.data, sigma_y))?;
    let psnr = |f: &Frame| ddnm::metrics::psnr(f, &x);
    println!("classical {:.2} dB, restored {:.2} dB", psnr(&start)?, psnr(&found)?);
    Ok(())
}
