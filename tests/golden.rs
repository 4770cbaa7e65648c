//! One restoration, pixel for pixel: every architecture must agree with the stored picture within
//! one code value, with at most 0.1 % of the values differing.
//!
//! `DDNM_WRITE_GOLDEN=1 cargo test --test golden` makes the picture anew, on x86-64.

mod common;

use std::ops::ControlFlow;
use std::path::Path;

use common::{agrees_with_golden, part};
use ddnm::degrade::{self, Degradation, Spec};
use ddnm::frame::Frame;
use ddnm::prior::{self, Prior};
use ddnm::sampler::{self, Mode, NoiseRule, Settings};

fn restore(spec: &str, mode: Mode, noise: f64) -> Frame {
    let x = part("astronaut.png", 170, 80, 83, 61);
    let a = Spec::parse(spec).unwrap().build(x.shape, &|_| unreachable!()).unwrap();
    let sigma_y = noise / 127.5;
    let y = Frame::new(a.measurement(), degrade::measure(&a, &x, sigma_y, 1)).unwrap();
    let prior = prior::bundled().unwrap();
    let levels = prior.diffusion().geometric(0.2, 0.02, 3);
    let settings = Settings { threads: 2, ..Settings::new(mode, sigma_y, levels) };
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
        agrees_with_golden(&found, name);
    }
}
