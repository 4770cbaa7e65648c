//! Operators over whole frames: their identities at odd sizes, and against dense matrices.

use super::check::identities;
use super::*;
use crate::error::Error;
use crate::frame::{Rows, collect, from_code};
use crate::sampler::tests::dense::{Mat, matrix};
use std::path::Path;

/// Files by name: `mask-WxH`, with holes; `psf-WxH`, a kernel that points nowhere in particular;
/// `sharp-WxH`, one that is nearly a single point.
fn load(path: &Path) -> Result<Box<dyn Rows>> {
    let name = path.to_str().unwrap();
    let (kind, size) = name.split_once('-').unwrap();
    let (w, h) = size.split_once('x').unwrap();
    let shape = Shape::new(1, h.parse().unwrap(), w.parse().unwrap());
    let value = |i: usize| {
        let hash = i.wrapping_mul(2_654_435_761) >> 9;
        match kind {
            "sharp" if i == 1 => 60.0,
            "mask" => f32::from(u8::from(!hash.is_multiple_of(3))) * 2.0 - 1.0,
            _ => from_code((1 + hash % 200) as u16, 8),
        }
    };
    Ok(Frame::new(shape, (0..shape.len()).map(value).collect())?.into())
}

fn build(spec: &str, scene: Shape) -> Box<dyn Degradation> {
    Spec::parse(spec).unwrap().build(scene, &load).unwrap()
}

/// The pseudo-inverse with weights `s^2 / (s^2 + eta)`, by elimination.
fn dense_pinv(m: &Mat, y: &Mat, eta: f64) -> Mat {
    let gram = m.times(&m.t()).plus(eta, &Mat::identity(m.rows));
    m.t().times(&gram.solve(y))
}

fn distance(found: &[f32], expected: &Mat) -> f64 {
    Mat::column(found).plus(-1.0, expected).norm() / expected.norm()
}

#[test]
fn bicubic_satisfies_its_identities_at_every_size() {
    for (w, h) in [(12, 8), (7, 5), (1, 9), (16, 1), (33, 19), (1, 1), (17, 65)] {
        for n in 2..=16 {
            let spec = format!("sr:{n}:bicubic");
            let a = build(&spec, Shape::new(3, h, w));
            assert_eq!(a.spec(), spec);
            let found = identities(&*a, Region::whole(a.scene()));
            // Where the last sample lies beyond the frame its row nearly repeats its neighbour.
            assert!(found.worst() < 1e-5, "{spec} at {w}x{h}: {found:?}");
        }
    }
}

#[test]
fn other_operators_satisfy_their_identities_at_every_size() {
    for (w, h) in [(12, 8), (7, 5), (1, 9), (16, 1), (33, 19), (1, 1), (64, 70)] {
        for spec in [
            "blur:gauss:0.5",
            "blur:gauss:1.6",
            "blur:gauss:0.7,2.5",
            "blur:box:3",
            "blur:box:9",
            "hadamard:0.25:0",
            "hadamard:1:3",
            "blocks:0.1:7",
        ] {
            let a = build(spec, Shape::new(3, h, w));
            assert_eq!(a.spec(), spec);
            let found = identities(&*a, Region::whole(a.scene()));
            // A truncated inverse multiplies rounding errors by up to 50.
            let bound = if a.truncation() > 0.0 { 5e-5 } else { 3e-6 };
            assert!(found.worst() < bound, "{spec} at {w}x{h}: {found:?}");
            assert!(found.left_out <= 1.0, "{spec} at {w}x{h}: {found:?}");
        }
    }
    for (w, h) in [(12, 8), (3, 3), (33, 19), (3, 40)] {
        let a = build("blur:sharp-3x2", Shape::new(3, h, w));
        let found = identities(&*a, Region::whole(a.scene()));
        assert!(found.worst() < 1e-5, "{w}x{h}: {found}");
        let a = build("blur:psf-3x2", Shape::new(3, h, w));
        let found = identities(&*a, Region::whole(a.scene()));
        // What its truncation leaves out is not an identity.
        assert!(found.adjoint < 1e-6 && found.symmetric < 1e-5, "{w}x{h}: {found}");
    }
}

#[test]
fn truncated_pseudo_inverses_invert_what_they_keep() {
    // Not so blurred that anything is lost, these have ordinary pseudo-inverses.
    for spec in ["blur:gauss:0.7", "blur:gauss:0.5,0.6", "hadamard:0.4:5", "blocks:0.3:2"] {
        let a = build(spec, Shape::new(1, 9, 7));
        let (m, _) = matrix(&*a);
        let y: Vec<f32> = (0..m.rows).map(|i| (i as f32 * 0.7).sin()).collect();
        let mut x = vec![0.0; m.columns];
        for eta in [0.0, 0.04] {
            a.pinv(Region::whole(a.scene()), &y, &|s| s * s / (s * s + eta), &mut x);
            let error = distance(&x, &dense_pinv(&m, &Mat::column(&y), f64::from(eta)));
            assert!(error < 2e-5, "{spec}, eta {eta}: {error}");
        }
    }
}

#[test]
fn blurred_constants_stay_and_blurs_reach_where_they_say() {
    for spec in ["blur:gauss:1.6", "blur:box:5", "blur:psf-3x2", "blur:gauss:30"] {
        let a = build(spec, Shape::new(3, 9, 11));
        let mut gain = vec![0.0; a.measurement().len()];
        a.dc_gain(Region::whole(a.scene()), &mut gain);
        assert!(gain.iter().all(|g| (g - 1.0).abs() < 1e-5), "{spec}");
    }
    let a = build("blur:psf-3x2", Shape::new(1, 6, 8));
    assert_eq!(a.measurement(), Shape::new(1, 5, 6));
    let found = Spec::parse("blur:psf-3x2").unwrap().build_for(Shape::new(1, 5, 6), None, &load);
    assert_eq!(found.unwrap().scene(), Shape::new(1, 6, 8));
    // A point becomes the kernel, not its mirror image.
    let mut x = vec![0.0; 48];
    x[3 * 8 + 4] = 1.0;
    let mut y = vec![0.0; 30];
    a.apply(Region::whole(a.scene()), &x, &mut y);
    let kernel = collect(&mut *load(Path::new("psf-3x2")).unwrap()).unwrap();
    let light = |i: usize| 0.5 * (kernel.data[i] + 1.0);
    let sum: f32 = (0..6).map(light).sum();
    for i in 0..6 {
        // The last tap of the kernel stands over the first pixel that sees the point.
        let at = (2 + i / 3) * 6 + 2 + i % 3;
        assert!((y[at] - light(i) / sum).abs() < 1e-6, "tap {i}");
    }
}

#[test]
fn sizes_of_measurements_that_are_no_pictures_must_be_said() {
    let spec = Spec::parse("hadamard:0.25").unwrap();
    let scene = Shape::new(3, 9, 11);
    let a = spec.build(scene, &load).unwrap();
    // 99 pixels are 64 + 32 + 2 + 1, of which a quarter is measured, and each mean.
    assert_eq!(a.measurement(), Shape::new(3, 1, 16 + 8 + 1 + 1));
    assert_eq!(a.rank(), 3 * 26);
    assert!(!a.is_picture());
    assert!(matches!(spec.build_for(a.measurement(), None, &load), Err(Error::Usage(_))));
    let found = spec.build_for(a.measurement(), Some((11, 9)), &load).unwrap();
    assert_eq!(found.scene(), scene);
    assert!(spec.build_for(a.measurement(), Some((12, 9)), &load).is_err());
}

#[test]
fn gains_are_undone_and_dark_ones_are_not() {
    let gains = |path: &Path| -> Result<Box<dyn Rows>> {
        assert_eq!(path.to_str(), Some("flat"));
        // 0.5, 1.5 (above white), 1.5 / 64 (too dark), 1.
        let gains = vec![0.0, 2.0, 2.0 * 1.5 / 64.0 - 1.0, 1.0];
        Ok(Frame::new(Shape::new(1, 2, 2), gains)?.into())
    };
    let a = Spec::parse("gain:flat").unwrap().build(Shape::new(3, 2, 2), &gains).unwrap();
    let mut s = vec![0.0; 12];
    a.singular_values(Region::whole(a.scene()), &mut s);
    for (s, expected) in s.iter().zip([0.5, 1.5, 0.0, 1.0].repeat(3)) {
        assert!((s - expected).abs() < 1e-4, "{s} {expected}");
    }
    assert!(identities(&*a, Region::whole(a.scene())).worst() < 2e-6);
    let dark =
        |_: &Path| -> Result<Box<dyn Rows>> { Ok(Frame::filled(Shape::new(1, 2, 2), -1.0).into()) };
    assert!(Spec::parse("gain:dark").unwrap().build(Shape::new(3, 2, 2), &dark).is_err());
}

#[test]
fn bad_kernels_and_ratios_are_refused() {
    for spec in [
        "blur",
        "blur:",
        "blur:gauss:0",
        "blur:gauss:1,2,3",
        "blur:gauss:nan",
        "blur:box:4",
        "blur:box:101",
        "hadamard",
        "hadamard:0",
        "hadamard:1.1",
        "hadamard:0.5:x",
        "hadamard:0.5+sr:2",
        "gain:",
    ] {
        assert!(matches!(Spec::parse(spec), Err(Error::Spec { .. })), "{spec}");
    }
    let scene = Shape::new(3, 4, 4);
    let kernels = |path: &Path| -> Result<Box<dyn Rows>> {
        let (shape, value) = match path.to_str() {
            Some("black") => (Shape::new(1, 2, 2), -1.0),
            Some("huge") => (Shape::new(1, 1, 300), 1.0),
            _ => (Shape::new(1, 5, 2), 1.0),
        };
        Ok(Frame::filled(shape, value).into())
    };
    for spec in ["blur:black", "blur:huge", "blur:tall"] {
        assert!(Spec::parse(spec).unwrap().build(scene, &kernels).is_err(), "{spec}");
    }
}

#[test]
fn pseudo_inverses_are_those_of_dense_matrices() {
    for (spec, exact) in [
        ("sr:2:bicubic", true),
        ("sr:3:bicubic", true),
        ("blur:sharp-3x2", true),
        ("blur:psf-3x2", false),
        ("sr:2:bicubic+mask:mask-7x6", false),
        ("blur:psf-4x4+mask:mask-10x8+sr:2", false),
        ("blur:gauss:1+gray:equal+mask:mask-13x11", false),
        ("mask:mask-13x11+sr:2:bicubic", false),
    ] {
        let scene = Shape::new(if spec.contains("gray") { 3 } else { 1 }, 11, 13);
        let a = build(spec, scene);
        let whole = Region::whole(scene);
        let (m, kept) = matrix(&*a);
        let mut y: Vec<f32> = (0..a.measurement().len()).map(|i| (i as f32 * 0.7).sin()).collect();
        let mut measured = vec![0.0; y.len()];
        a.singular_values(whole, &mut measured);
        y.iter_mut().zip(&measured).for_each(|(y, s)| *y *= s);
        let dense_y = Mat::new(kept.len(), 1, |i, _| f64::from(y[kept[i]]));
        let mut x = vec![0.0; scene.len()];
        let floor = f64::from(a.truncation()).powi(2);
        for eta in [0.0, 0.01, 0.3] {
            a.pinv(whole, &y, &|s| s * s / (s * s + eta), &mut x);
            let error = distance(&x, &dense_pinv(&m, &dense_y, f64::from(eta).max(floor)));
            assert!(
                error < if eta == 0.0 && exact { 2e-5 } else { 6e-2 },
                "{spec}, eta {eta}: {error}"
            );
        }
        if exact {
            let found = identities(&*a, whole);
            assert!(found.worst() < 1e-5, "{spec}: {found}");
        }
        // A weight that is no filter of Wiener's: A+ S^4 = A^T A A^T.
        a.pinv(whole, &y, &|s| s.powi(4), &mut x);
        let expected = m.t().times(&m.times(&m.t().times(&dense_y)));
        let error = distance(&x, &expected);
        assert!(error < 2e-2, "{spec}, weight s^4: {error}");
    }
}

#[test]
fn declared_spectra_are_those_of_dense_matrices() {
    for spec in ["sr:2:bicubic", "sr:3:bicubic", "sr:4:bicubic"] {
        let a = build(spec, Shape::new(1, 14, 17));
        let (m, _) = matrix(&*a);
        let gram = m.times(&m.t());
        // Powers of a matrix by squaring: its norm, and that of its inverse.
        let extreme = |mut power: Mat| {
            let mut log = 0.0;
            for doubling in 0..14 {
                let norm = power.norm();
                log += norm.ln() / f64::from(1 << doubling);
                power = power.scaled(1.0 / norm);
                power = power.times(&power);
            }
            log.exp()
        };
        let largest = extreme(gram.clone()).sqrt();
        let smallest = 1.0 / extreme(gram.solve(&Mat::identity(gram.rows))).sqrt();
        let Spectrum::Basis { min, max } = a.spectrum() else { panic!("{:?}", a.spectrum()) };
        assert!((f64::from(max) / largest - 1.0).abs() < 2e-3, "{spec}: {max} {largest}");
        assert!((f64::from(min) / smallest - 1.0).abs() < 2e-3, "{spec}: {min} {smallest}");
        let (mut row_sum, mut gain) = (0.0f64, vec![0.0; a.measurement().len()]);
        for i in 0..m.rows {
            row_sum = row_sum.max((0..m.columns).map(|j| m.at(i, j).abs()).sum());
        }
        assert!((f64::from(a.max_row_sum()) / row_sum - 1.0).abs() < 1e-4, "{spec}");
        a.dc_gain(Region::whole(a.scene()), &mut gain);
        assert!(gain.iter().all(|g| (g - 1.0).abs() < 1e-5), "{spec}");
    }
}

/// A map whose author got its adjoint wrong by a factor, if that is not 1; which measures nothing
/// at gain 0.
struct Sum {
    gain: f32,
    wrong: f32,
}

impl LinearMap for Sum {
    fn spec(&self) -> String {
        "sum".into()
    }
    fn scene(&self) -> Shape {
        Shape::new(1, 4, 6)
    }
    fn measurement(&self) -> Shape {
        Shape::new(1, 4, 3)
    }
    fn apply(&self, x: &[f32], y: &mut [f32]) {
        y.iter_mut().zip(x.chunks(2)).for_each(|(y, x)| *y = self.gain * (x[0] - 0.5 * x[1]));
    }
    fn adjoint(&self, y: &[f32], x: &mut [f32]) {
        for (x, y) in x.chunks_mut(2).zip(y) {
            (x[0], x[1]) = (self.gain * y, -0.5 * self.gain * self.wrong * y);
        }
    }
}

#[test]
fn the_author_of_an_operator_is_told_what_is_wrong() {
    let check = |wrong: f32| {
        let a = Linear::new(Sum { gain: 0.8, wrong }).unwrap();
        identities(&a, Region::whole(a.scene()))
    };
    let right = check(1.0);
    assert!(right.worst() < 1e-5, "{right}");
    for (wrong, least) in [(1.1, 1e-3), (-1.0, 1e-2)] {
        let found = check(wrong);
        assert!(found.adjoint > least, "{wrong}: {found}");
        let text = found.to_string();
        assert!(
            text.starts_with(&format!("<A v, u> and <v, A^T u> differ by {:.1e}", found.adjoint))
        );
    }
    assert!(Linear::new(Sum { gain: 0.0, wrong: 1.0 }).is_err());
}

#[test]
fn norms_of_unknown_maps_are_measured() {
    let a = Linear::new(Sum { gain: 0.8, wrong: 1.0 }).unwrap();
    let exact = 0.8 * 1.25f32.sqrt();
    let Spectrum::Bound { max } = a.spectrum() else { panic!("{:?}", a.spectrum()) };
    assert!(max >= exact && max < 1.03 * exact, "{max}");
    assert_eq!(a.rank(), 12);
    // The bound on sums of rows holds for the true one, 0.8 * 1.5.
    assert!(a.max_row_sum() >= 1.2);
}

#[test]
fn noise_takes_more_of_what_was_measured_weakly() {
    let scene = Shape::new(3, 24, 32);
    let share = |spec: &str, noise: f64| build(spec, scene).measured_share(noise / 127.5);
    // Directions that were measured all alike, or not at all, are a matter of counting.
    for (spec, expected) in
        [("none", 1.0), ("sr:2", 0.25), ("gray", 1.0 / 3.0), ("hadamard:0.5", 0.5)]
    {
        for noise in [0.0, 25.0] {
            assert!((share(spec, noise) - expected).abs() < 1e-6, "{spec}, {noise}");
        }
    }
    // By its definition, from the singular values of one axis after the other.
    let axis = |k: usize, n: usize| {
        let taps = [1.0, (-0.5f64).exp(), (-2.0f64).exp(), (-4.5f64).exp(), (-8.0f64).exp()];
        let sum = 2.0 * taps.iter().sum::<f64>() - 1.0;
        let wave = |j: usize| (std::f64::consts::PI * (j * k) as f64 / n as f64).cos();
        (2.0 * (0..5).map(|j| taps[j] * wave(j)).sum::<f64>() - 1.0) / sum
    };
    let eta = (25.0f64 / 127.5 / 0.5).powi(2);
    let counted = (0..24 * 32).map(|i| (axis(i / 32, 24) * axis(i % 32, 32)).powi(2));
    let expected = counted.map(|s2| (1.0 + eta) * s2 / (s2 + eta)).sum::<f64>() / (24.0 * 32.0);
    let found = share("blur:gauss:1", 25.0);
    assert!((found / expected - 1.0).abs() < 0.01, "{found} {expected}");
    // A kernel's spectrum tells the same; and what is lost on the way to the sensor is as noise.
    for spec in ["blur:gauss:1", "blur:psf-5x3"] {
        let (little, much) = (share(spec, 2.0), share(spec, 25.0));
        assert!(much < 0.7 * little && little < 1.0, "{spec}: {little} {much}");
        let chain = share(&format!("{spec}+sr:2"), 12.5);
        assert!((chain / (0.25 * much) - 1.0).abs() < 1e-3, "{spec}: {chain} {much}");
    }
}
