//! One restoration, pixel for pixel: every architecture must agree with the stored picture within
//! one code value, with at most 0.1 % of the values differing.
//!
//! `DDNM_WRITE_GOLDEN=1 cargo test --test golden` makes the picture anew, on x86-64.

use std::ops::ControlFlow;
use std::path::Path;

use ddnm::degrade::{self, Degradation, Spec};
use ddnm::frame::{Frame, Region, Shape, crop, to_code};
use ddnm::prior::{self, Prior};
use ddnm::sampler::{self, Mode, NoiseRule, Settings};

fn restore(spec: &str, mode: Mode, noise: f64) -> Frame {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/assets");
    let whole = ddnm::io::read(&assets.join("astronaut.png")).unwrap();
    let shape = Shape::new(3, 61, 83);
    let mut data = vec![0.0; shape.len()];
    crop(&whole.data, whole.shape, Region { y: 80, x: 170, height: 61, width: 83 }, &mut data);
    let x = Frame::new(shape, data).unwrap();
    let a = Spec::parse(spec).unwrap().build(shape, &|_| unreachable!()).unwrap();
    let sigma_y = noise / 127.5;
    let y = Frame::new(a.measurement(), degrade::measure(&a, &x, sigma_y, 1)).unwrap();
    let prior = prior::bundled().unwrap();
    let levels = prior.diffusion().geometric(0.2, 0.02, 3);
    let settings =
        Settings { mode, sigma_y, levels, generative: 1.0, frame: 0, threads: 2, band: None };
    sampler::restore(&a, &y, &prior, &settings, &mut |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn all_architectures_agree() {
    let draw = Mode::Sample { eta: 0.85, rule: NoiseRule::Split, seed: 7 };
    let cases = [
        ("bayer", "bayer:rggb", Mode::Faithful, 0.0),
        ("sr2", "sr:2", draw, 0.0),
        ("noise", "none", draw, 20.0),
    ];
    for (name, spec, mode, noise) in cases {
        let found = restore(spec, mode, noise);
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/assets/golden-{name}.png"));
        if std::env::var_os("DDNM_WRITE_GOLDEN").is_some() {
            ddnm::io::write(&path, &found, 8).unwrap();
        }
        let golden = ddnm::io::read(&path).unwrap();
        assert_eq!(found.shape, golden.shape);
        let codes =
            |f: &Frame| f.data.iter().map(|&v| i32::from(to_code(v, 8))).collect::<Vec<_>>();
        let (found, golden) = (codes(&found), codes(&golden));
        let differing: Vec<i32> =
            found.iter().zip(&golden).map(|(a, b)| (a - b).abs()).filter(|&d| d > 0).collect();
        assert!(differing.iter().all(|&d| d == 1), "{name}: {differing:?}");
        assert!(differing.len() * 1000 <= found.len(), "{name}: {} values differ", differing.len());
    }
}
