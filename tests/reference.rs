//! Every kind of network runs as ONNX Runtime runs it: the bundled prior, its smaller relative, a
//! diffusers UNet, a guided-diffusion UNet and a denoiser told the noise as a map, on windows of
//! several sizes.
//!
//! `tests/reference/make.py` made the models, and the values from ONNX Runtime's outputs.

use std::path::{Path, PathBuf};

use ddnm::prior::{self, Prior};
use ddnm::schedule::Level;
use serde::Deserialize;

/// Largest difference that is allowed, relative to the root mean square of `x0`.
const TOLERANCE: f64 = 1e-4;

#[derive(Deserialize)]
struct Windows {
    window: Vec<Window>,
}

#[derive(Deserialize)]
struct Window {
    height: usize,
    width: usize,
    t: f64,
    alpha_bar: f64,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference")
}

fn windows() -> Vec<Window> {
    let text = std::fs::read_to_string(folder().join("windows.toml")).unwrap();
    toml::from_str::<Windows>(&text).unwrap().window
}

/// The float32 values of a file, cut into windows of three channels.
fn values(file: &str) -> Vec<Vec<f32>> {
    let bytes = std::fs::read(folder().join(file)).unwrap();
    let all: Vec<f32> =
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let mut rest = &all[..];
    let mut cut = |w: &Window| {
        let (window, behind) = rest.split_at(3 * w.height * w.width);
        rest = behind;
        window.to_vec()
    };
    let windows = windows().iter().map(&mut cut).collect();
    assert!(rest.is_empty(), "{file}: {} values too many", rest.len());
    windows
}

/// The largest difference of `found` to `expected`, relative to the root mean square of the latter.
fn difference(found: &[f32], expected: &[f32]) -> f64 {
    let square = expected.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
    let rms = (square / expected.len() as f64).sqrt();
    assert!(rms > 0.1, "the reference is all but empty: RMS {rms}");
    let differences = found.iter().zip(expected).map(|(f, e)| f64::from(f - e).abs());
    // `max` would pass over a NaN.
    differences.fold(0.0, |m: f64, d| if m.is_nan() || d <= m { m } else { d }) / rms
}

/// Holds a model, the bundled one without a manifest, to the values of `file`.
fn check(model: Option<&str>, file: &str) {
    let path = model.map(|name| folder().join(name).display().to_string());
    let prior = prior::find(path.as_deref()).unwrap();
    for ((window, x_t), expected) in windows().iter().zip(values("windows.bin")).zip(values(file)) {
        let Window { height, width, t, alpha_bar } = *window;
        let level = Level { t, alpha_bar };
        let own = prior.diffusion().at_sigma(level.sigma());
        assert!(
            (own.t - t).abs() < 1e-6,
            "{file}: the manifest's schedule has t {} for {t}",
            own.t
        );
        let mut x0 = vec![0.0; x_t.len()];
        prior.evaluator(height, width).unwrap().x0(&x_t, level, &mut x0).unwrap();
        let difference = difference(&x0, &expected);
        let said = format!("{file}, {width}x{height}, t {t}: off by {difference:.1e} of the RMS");
        println!("{said}");
        assert!(difference <= TOLERANCE, "{said}");
    }
}

#[test]
fn the_bundled_prior() {
    check(None, "patch-s.bin");
}

#[test]
fn the_small_prior_from_its_manifest_and_packed() {
    for file in ["patch-xs.toml", "patch-xs.ddnm"] {
        check(Some(&format!("../../models/{file}")), "patch-xs.bin");
    }
}

#[test]
fn a_diffusers_unet() {
    check(Some("diffusers.toml"), "diffusers.bin");
}

#[test]
fn a_guided_diffusion_unet_with_learned_variance() {
    check(Some("guided.toml"), "guided.bin");
}

#[test]
fn a_denoiser_told_the_noise_as_a_map() {
    check(Some("noisemap.toml"), "noisemap.bin");
}

#[test]
fn a_difference_is_found_wherever_it_is() {
    let expected = [1.0, -1.0, 1.0, -1.0];
    assert_eq!(difference(&expected, &expected), 0.0);
    assert_eq!(difference(&[1.0, -1.0, 0.5, -1.0], &expected), 0.5);
    assert!(difference(&[f32::NAN, -1.0, 1.0, -1.0], &expected).is_nan());
    assert!(difference(&[1.0, f32::NAN, 1.0, 0.0], &expected).is_nan());
}
