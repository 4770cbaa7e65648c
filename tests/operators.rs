//! Every operator against a dense matrix of it and its singular value decomposition, which
//! `tests/reference/operators.py` computes with NumPy and SciPy in float64.

use std::path::{Path, PathBuf};

use ddnm::degrade::{Degradation, Spec, Spectrum};
use ddnm::frame::{Region, Shape};
use serde::Deserialize;

const HEIGHT: usize = 7;
const WIDTH: usize = 9;

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    spec: String,
    channels: usize,
    measured: usize,
    /// Whether small singular values fade out instead of being cut off.
    smooth: bool,
    rank: usize,
    smallest: f64,
    largest: f64,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/operators")
}

/// Relative distance, of vectors.
fn distance(found: &[f32], expected: &[f32]) -> f64 {
    let square = |v: f32| f64::from(v) * f64::from(v);
    let norm: f64 = expected.iter().map(|v| square(*v)).sum();
    let error: f64 = found.iter().zip(expected).map(|(f, e)| square(f - e)).sum();
    assert_eq!(found.len(), expected.len());
    assert!(norm > 1e-3, "an empty reference");
    (error / norm).sqrt()
}

#[test]
fn operators_are_those_of_the_reference() {
    let text = std::fs::read_to_string(folder().join("cases.toml")).unwrap();
    let cases = toml::from_str::<Cases>(&text).unwrap().case;
    assert!(cases.len() >= 20);
    let bytes = std::fs::read(folder().join("values.bin")).unwrap();
    let values: Vec<f32> =
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let mut rest = &values[..];
    let mut next = |n: usize| {
        let (here, behind) = rest.split_at(n);
        rest = behind;
        here
    };
    let load = |name: &Path| ddnm::io::rows(&folder().join(name).with_extension("npy"));
    for case in &cases {
        let spec = &case.spec;
        let scene = Shape::new(case.channels, HEIGHT, WIDTH);
        let a = Spec::parse(spec).unwrap().build(scene, &load).unwrap();
        let whole = Region::whole(scene);
        let x: Vec<f32> = (0..scene.len()).map(|i| (0.7 * i as f64).sin() as f32).collect();
        let mut y: Vec<f32> =
            (0..case.measured).map(|i| (1.3 * i as f64 + 0.2).sin() as f32).collect();
        assert_eq!(a.measurement().len(), y.len(), "{spec}");
        let mut s = vec![0.0; y.len()];
        a.singular_values(whole, &mut s);
        y.iter_mut().zip(&s).for_each(|(y, s)| *y *= if *s > 0.0 { 1.0 } else { 0.0 });

        let mut ax = vec![0.0; y.len()];
        a.apply(whole, &x, &mut ax);
        let error = distance(&ax, next(y.len()));
        assert!(error < 1e-6, "{spec}: A x is off by {error}");

        let mut back = vec![0.0; x.len()];
        a.pinv(whole, &y, &|_| 1.0, &mut back);
        let error = distance(&back, next(x.len()));
        assert!(error < if case.smooth { 1e-2 } else { 3e-5 }, "{spec}: A+ y is off by {error}");
        a.pinv(whole, &y, &|s| s * s / (s * s + 0.04), &mut back);
        let error = distance(&back, next(x.len()));
        // Conjugate gradients leave a part of the residual where there is noise.
        assert!(error < 3e-2, "{spec}: A+ W y is off by {error}");

        let close = |found: f32, expected: f64| {
            let off = (f64::from(found) / expected - 1.0).abs();
            assert!(off < 2e-3, "{spec}: singular value {found}, expected {expected}");
        };
        match a.spectrum() {
            Spectrum::Flat(s) => {
                close(s, case.smallest);
                close(s, case.largest);
            }
            Spectrum::Diagonal { min, max } | Spectrum::Basis { min, max } => {
                close(min, case.smallest);
                close(max, case.largest);
            }
            Spectrum::Bound { max } => assert!(f64::from(max) >= case.largest * 0.99, "{spec}"),
        }
        if !case.smooth {
            assert_eq!(a.rank(), case.rank, "{spec}");
        }
    }
    assert!(rest.is_empty());
}
