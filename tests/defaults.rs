//! What the default schedule gains over the classical estimate that it begins with, on a part of a
//! picture that no model was trained on.

use std::ops::ControlFlow;
use std::path::Path;

use ddnm::degrade::{self, Degradation, Spec};
use ddnm::frame::{Frame, Region, Shape, crop};
use ddnm::metrics::psnr;
use ddnm::prior::{self, Prior};
use ddnm::sampler::{self, Defaults, Mode, Settings, defaults};

fn part() -> Frame {
    let whole = ddnm::io::read(Path::new("tests/assets/astronaut.png")).unwrap();
    let region = Region { y: 60, x: 180, height: 130, width: 142 };
    let mut data = vec![0.0; region.shape(3).len()];
    crop(&whole.data, whole.shape, region, &mut data);
    Frame::new(region.shape(3), data).unwrap()
}

struct Case {
    x: Frame,
    a: Box<dyn Degradation>,
    y: Frame,
    sigma_y: f64,
}

impl Case {
    fn new(spec: &str, noise: f64) -> Case {
        let x = part();
        // Corners with a third of the light.
        let lens = |shape: Shape| {
            let value = |i: usize| {
                let (v, u) = (i / shape.width, i % shape.width);
                let (v, u) = (v as f32 / shape.height as f32, u as f32 / shape.width as f32);
                1.0 - 8.0 / 3.0 * ((v - 0.5).powi(2) + (u - 0.5).powi(2))
            };
            Frame::new(Shape { channels: 1, ..shape }, (0..shape.plane()).map(value).collect())
        };
        let a = Spec::parse(spec).unwrap().build(x.shape, &|_| Ok(lens(x.shape)?.into())).unwrap();
        let sigma_y = noise / 127.5;
        let y = Frame::new(a.measurement(), degrade::measure(&a, &x, sigma_y, 3)).unwrap();
        Case { x, a, y, sigma_y }
    }

    fn classical(&self) -> f64 {
        let mut x = Frame::new(self.x.shape, self.a.start(&self.y.data, self.sigma_y)).unwrap();
        x.data.iter_mut().for_each(|v| *v = v.clamp(-1.0, 1.0));
        psnr(&x, &self.x).unwrap()
    }

    fn restored(&self, change: impl Fn(Defaults) -> Defaults) -> f64 {
        let prior = prior::bundled().unwrap();
        let d = change(defaults(&self.a, self.sigma_y, true));
        let settings = Settings {
            threads: 2,
            ..Settings::new(
                Mode::Faithful,
                self.sigma_y,
                prior.diffusion().geometric(d.start, d.end, d.steps),
            )
            .suit(&d)
        };
        let go = &mut |_| ControlFlow::Continue(());
        let found = sampler::restore(&self.a, &self.y, &prior, &settings, go).unwrap();
        psnr(&found, &self.x).unwrap()
    }
}

#[test]
fn every_default_is_better_than_its_start() {
    for (spec, noise, least) in [
        ("sr:2+bayer:rggb", 0.0, 0.15),
        ("sr:2+bayer:rggb", 5.0, 0.15),
        ("sr:2", 0.0, 0.15),
        ("sr:4", 5.0, 0.15),
        ("gray", 25.0, 0.5),
        ("gain:lens", 25.0, 8.0),
        ("bayer:rggb", 25.0, 5.0),
        ("blur:gauss:1.6", 5.0, 1.5),
    ] {
        let case = Case::new(spec, noise);
        let (before, after) = (case.classical(), case.restored(|d| d));
        eprintln!("{spec}, noise {noise}: {before:.2} to {after:.2}");
        assert!(after >= before + least, "{spec}, noise {noise}: {before:.2} to {after:.2}");
    }
}

/// What the defaults were chosen for: each of these is worse without.
#[test]
fn start_level_relaxation_and_momentum_pay() {
    let pays = |spec: &str, noise: f64, least: f64, without: &dyn Fn(Defaults) -> Defaults| {
        let case = Case::new(spec, noise);
        let (with, without) = (case.restored(|d| d), case.restored(without));
        eprintln!("{spec}, noise {noise}: {without:.2} to {with:.2}");
        assert!(with > without + least, "{spec}, noise {noise}: {without:.2} to {with:.2}");
    };
    let low = |d| Defaults { start: 25.0 / 127.5, end: 0.03, ..d };
    pays("gain:lens", 25.0, 2.0, &low);
    pays("hadamard:0.25", 25.0, 1.0, &|d| Defaults { relaxation: 1.0, ..d });
    pays("sr:4", 5.0, 0.05, &|d| Defaults { relaxation: 1.0, ..d });
    pays("sr:2", 0.0, 0.1, &|d| Defaults { momentum: 0.0, ..d });
}
