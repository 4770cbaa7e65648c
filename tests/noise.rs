//! Noise that differs from value to value, and noise that has to be found out.

mod common;

use std::path::Path;

use common::{Folder, ddnm, ok, part};
use ddnm::degrade::{self, CameraNoise, Degradation, Spec, estimate, weighted};
use ddnm::frame::{Frame, FrameRows, Region, Shape};
use ddnm::io;
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn operator(spec: &str, scene: Shape) -> Box<dyn Degradation> {
    Spec::parse(spec).unwrap().build(scene, &io::rows).unwrap()
}

fn psnr(a: &str, b: &str) -> f64 {
    json(&ok(&["compare", a, b, "--json"]))["psnr"].as_f64().unwrap()
}

#[test]
fn a_cameras_noise_has_the_variance_that_was_said() {
    let shape = Shape::new(1, 200, 250);
    let camera = CameraNoise { gain: 0.7, read: 2.0 };
    for (spec, code) in [("none", 20.0f32), ("none", 200.0), ("sr:2", 90.0)] {
        let a = operator(spec, shape);
        let level = code / 127.5 - 1.0;
        let y = degrade::measure_camera(&a, &Frame::filled(shape, level), &camera, 3);
        let errors: Vec<f64> = y.iter().map(|v| 127.5 * f64::from(v - level)).collect();
        let n = errors.len() as f64;
        let (mean, variance) =
            (errors.iter().sum::<f64>() / n, errors.iter().map(|e| e * e).sum::<f64>() / n);
        let expected = 0.7 * f64::from(code) + 4.0;
        assert!(mean.abs() < 5.0 * (expected / n).sqrt(), "{spec} at {code}: mean {mean}");
        assert!((variance / expected - 1.0).abs() < 5.0 * (3.0 / n).sqrt(), "{code}: {variance}");
    }
}

/// The step for noise that differs solves its equations, and is the weighting of values where
/// rows do not overlap.
#[test]
fn weighted_steps_solve_their_equations() {
    let scene = Shape::new(1, 24, 32);
    for spec in ["blur:gauss:1.2", "sr:2:bicubic", "sr:2"] {
        let a = operator(spec, scene);
        let whole = Region::whole(scene);
        let m = a.measurement().len();
        let r: Vec<f32> = (0..m).map(|i| (i as f32 * 0.7).sin()).collect();
        let eta: Vec<f32> = (0..m).map(|i| 0.3 + 0.3 * (i % 7) as f32).collect();
        let mut x = vec![0.0; scene.len()];
        weighted(&a, &r, &eta, &mut x);
        // x = A^T z with (A A^T + diag(eta)) z = r, so eta z = r - A x, and back.
        let mut left = vec![0.0; m];
        a.apply(whole, &x, &mut left);
        let z: Vec<f32> = r.iter().zip(&left).zip(&eta).map(|((r, l), e)| (r - l) / e).collect();
        let mut again = vec![0.0; scene.len()];
        a.adjoint(whole, &z, &mut again);
        let square = |v: f32| f64::from(v) * f64::from(v);
        let size: f64 = x.iter().map(|v| square(*v)).sum();
        let error: f64 = x.iter().zip(&again).map(|(x, y)| square(x - y)).sum();
        assert!(error < 0.15 * 0.15 * size, "{spec}: {}", (error / size).sqrt());
        if spec == "sr:2" {
            let scaled: Vec<f32> = r.iter().zip(&eta).map(|(r, e)| r * 0.25 / (0.25 + e)).collect();
            a.pinv(whole, &scaled, &|_| 1.0, &mut again);
            let error: f64 = x.iter().zip(&again).map(|(x, y)| square(x - y)).sum();
            assert!(error < 1e-10 * size, "{}", (error / size).sqrt());
        }
    }
}

/// What is known of the noise helps, on photographs whose noise differs by a factor of eight.
#[test]
fn to_know_a_cameras_noise_is_better_than_its_mean() {
    let folder = Folder::new();
    let (x, y, out, proof) =
        (folder.arg("x.png"), folder.arg("y.npy"), folder.arg("out.png"), folder.arg("c.json"));
    let mut scene = part("astronaut.png", 100, 20, 160, 128);
    // A shadow over the left half.
    for (i, v) in scene.data.iter_mut().enumerate() {
        *v = if i % 160 < 80 { 0.15 * (*v + 1.0) - 1.0 } else { *v };
    }
    io::write(x.as_ref(), &scene, 8).unwrap();
    for (spec, noise, gain) in [
        ("none", "poisson:4,1", 0.3),
        ("bayer:rggb", "poisson:4,1", 0.2),
        ("sr:2", "poisson:4,1", 0.0),
    ] {
        ok(&["degrade", &x, "-o", &y, "-d", spec, "--noise", noise]);
        // The root of the mean variance.
        let a = operator(spec, scene.shape);
        let clean = degrade::measure(&a, &scene, 0.0, 0);
        let mean = clean.iter().map(|v| 63.75 * 2.0 * (f64::from(*v) + 1.0)).sum::<f64>();
        let even = (4.0 * mean / clean.len() as f64 + 1.0).sqrt().to_string();
        let run = |noise: &str| {
            let args = ["restore", &y, "-o", &out, "-d", spec, "--noise", noise];
            ok(&[&args[..], &["--size", "160x128", "--certificate", &proof]].concat());
            psnr(&out, &x)
        };
        let (blind, known) = (run(&even), run(noise));
        println!("{spec}: {blind:.2} dB with one strength, {known:.2} dB");
        let said = json(&std::fs::read_to_string(&proof).unwrap());
        assert_eq!(said["camera_noise"]["gain"], 4.0);
        assert!(known > blind + gain, "{spec}: {known} dB, {blind} dB with one strength");
    }
}

#[test]
fn a_cameras_noise_is_refused_where_it_means_nothing() {
    let folder = Folder::new();
    let (x, y, out) = (folder.arg("x.png"), folder.arg("y.png"), folder.arg("out.png"));
    io::write(x.as_ref(), &part("chelsea.png", 120, 60, 48, 40), 8).unwrap();
    let refused = |args: &[&str], word: &str| {
        let output = ddnm(args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(word), "{error}");
    };
    let floats = folder.arg("y.npy");
    refused(
        &["degrade", &x, "-o", &floats, "-d", "blocks:0.5", "--noise", "poisson:1,1"],
        "one strength",
    );
    refused(&["degrade", &x, "-o", &y, "-d", "none", "--noise", "poisson:1"], "poisson:0.4,2");
    ok(&["degrade", &x, "-o", &y, "-d", "blur:gauss:1.2", "--noise", "poisson:0.5,1"]);
    let args = ["restore", &y, "-o", &out, "-d", "blur:gauss:1.2", "--noise", "poisson:0.5,1"];
    refused(&[&args[..], &["--mode", "sample"]].concat(), "faithful");
    ok(&args);
    refused(&["degrade", &x, "-o", &y, "-d", "none", "--noise", "auto"], "auto");
}

/// From five code values on within a seventh of the truth; below, texture counts as noise.
#[test]
fn noise_is_estimated_from_photographs_and_mosaics() {
    for name in ["astronaut", "coffee", "chelsea"] {
        let x = io::read(Path::new(&format!("tests/assets/{name}.png"))).unwrap();
        for spec in ["none", "bayer:gbrg", "sr:2", "blur:gauss:1.6"] {
            let a = operator(spec, x.shape);
            let mut line = format!("{name} {spec}:");
            for noise in [0.0, 2.0, 5.0, 10.0, 25.0] {
                let y = degrade::measure(&a, &x, noise / 127.5, 1);
                let mut file = degrade::to_file(&a, &y).unwrap();
                file.data.iter_mut().for_each(|v| {
                    *v = ddnm::frame::from_code(ddnm::frame::to_code(*v, 8), 8);
                });
                let found = estimate::noise(&a, &mut FrameRows::new(&file)).unwrap();
                line += &format!(" {found:.2}");
                let (least, most) = match noise {
                    0.0 => (0.0, 2.0),
                    2.0 => (1.9, 3.1),
                    _ => (0.93 * noise, 1.2 * noise),
                };
                assert!((least..=most).contains(&found), "{name}, {spec}, {noise}: {found}");
            }
            println!("{line}");
        }
    }
}

#[test]
fn what_auto_found_is_in_the_certificate() {
    let folder = Folder::new();
    let (x, y, out, proof) =
        (folder.arg("x.png"), folder.arg("y.png"), folder.arg("out.png"), folder.arg("c.json"));
    io::write(x.as_ref(), &part("chelsea.png", 100, 50, 160, 120), 8).unwrap();
    ok(&["degrade", &x, "-o", &y, "-d", "none", "--noise", "12"]);
    let args = ["restore", &y, "-o", &out, "-d", "none", "--noise", "auto"];
    let line = json(&ok(&[&args[..], &["--json", "--certificate", &proof]].concat()));
    let found = line["noise_estimated"].as_f64().unwrap();
    assert!((10.8..14.0).contains(&found), "{found}");
    let said = json(&std::fs::read_to_string(&proof).unwrap());
    assert_eq!(said["noise_estimated"], line["noise_estimated"]);
    assert!(psnr(&out, &x) > psnr(&y, &x) + 5.0);
    // Nothing to estimate from.
    let black = folder.arg("black.png");
    io::write(black.as_ref(), &Frame::filled(Shape::new(1, 60, 60), -1.0), 8).unwrap();
    let output = ddnm(&["restore", &black, "-o", &out, "-d", "none", "--noise", "auto"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn headroom_keeps_noise_beyond_black_and_white() {
    let folder = Folder::new();
    let x = folder.arg("clean.png");
    io::write(x.as_ref(), &part("astronaut.png", 0, 0, 64, 48), 8).unwrap();
    let (floats, wide, clipped) = (folder.arg("y.npy"), folder.arg("y.png"), folder.arg("z.png"));
    let noisy = |out: &str, more: &[&str]| {
        let args = ["degrade", &x, "-o", out, "-d", "sr:2", "--noise", "25"];
        ddnm(&[&args[..], more].concat())
    };
    let said = |more: &[&str], out: &str| {
        let output = noisy(out, more);
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said(&[], &clipped).contains("--headroom"));
    assert_eq!((said(&[], &floats), said(&["--headroom"], &wide)), (String::new(), String::new()));
    let read = |name: &str| io::read(name.as_ref()).unwrap();
    let (exact, found) = (read(&floats), read(&wide));
    let beyond = exact.data.iter().filter(|v| v.abs() > 1.0).count();
    assert!(beyond > 100, "{beyond}");
    // Half a code value of a range that is twice as wide.
    let far = exact.data.iter().zip(&found.data).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(far < 2.1 / 65535.0, "{far}");
    assert!(found.origin.headroom && found.origin.scene == Some((64, 48)));
    assert_eq!(noisy(&wide, &["--headroom", "--depth", "8"]).status.code(), Some(2));
    // What is restored from it has a picture's range again.
    let out = folder.arg("out.png");
    ok(&["restore", &wide, "-o", &out, "-d", "sr:2", "--noise", "25"]);
    assert!(!read(&out).origin.headroom);
}
