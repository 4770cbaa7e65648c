//! The program end to end: degrade, restore, certificate, compare.

mod common;

use common::{Folder, ddnm, ok, part};
use ddnm::frame::{Frame, Shape};
use ddnm::io;
use serde_json::Value;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// A clean picture of odd size, as PNG.
fn clean(folder: &Folder) -> String {
    let name = folder.arg("clean.png");
    io::write(name.as_ref(), &part("chelsea.png", 120, 60, 91, 67), 8).unwrap();
    name
}

fn mask(folder: &Folder, name: &str, width: usize, height: usize) -> String {
    let shape = Shape::new(1, height, width);
    let value = |i: usize| if (i % width + i / width * 3) % 4 < 2 { 1.0 } else { -1.0 };
    let frame = Frame::new(shape, (0..shape.len()).map(value).collect()).unwrap();
    io::write(&folder.path(name), &frame, 8).unwrap();
    folder.arg(name)
}

#[test]
fn every_task_agrees_with_its_measurement_and_beats_its_start() {
    let folder = Folder::new();
    let x = clean(&folder);
    let holes = mask(&folder, "holes.png", 91, 67);
    // The PSNR that each must reach, well above the classical estimate's.
    let tasks = [
        ("sr:2".to_string(), 31.5),
        ("sr:3".into(), 28.6),
        ("bayer:gbrg".into(), 36.0),
        (format!("mask:{holes}"), 33.0),
        ("gray".into(), 18.5),
        (format!("gray+mask:{holes}+sr:2"), 18.3),
    ];
    for (spec, least) in tasks {
        let (y, out, proof) = (folder.arg("y.png"), folder.arg("x.png"), folder.arg("c.json"));
        ok(&["degrade", &x, "-o", &y, "-d", &spec]);
        let args = ["restore", &y, "-o", &out, "-d", &spec, "--certificate", &proof, "--json"];
        let line = json(&ok(&[&args[..], &["--steps", "4"]].concat()));
        assert_eq!((&line["width"], &line["height"]), (&91.into(), &67.into()), "{spec}");

        let certificate = json(&std::fs::read_to_string(&proof).unwrap());
        let residual = &certificate["residual"];
        let bound = residual["rounding_bound"].as_f64().unwrap();
        assert!(residual["before_rounding"]["max"].as_f64().unwrap() < 1e-5 * 255.0, "{spec}");
        assert!(residual["written_file"]["max"].as_f64().unwrap() <= bound + 1e-3, "{spec}");
        assert_eq!(certificate["evaluations"], 4);
        assert_eq!(certificate["operator"]["spec"], spec.as_str());
        assert!(certificate["statement"].as_str().unwrap().contains("not proof of truth"));

        let compared = json(&ok(&["compare", &out, &x, "-d", &spec, "-y", &y, "--json"]));
        let psnr = compared["psnr"].as_f64().unwrap();
        assert!(psnr > least, "{spec}: {psnr} dB");
        assert_eq!(compared["residual"]["max"], residual["written_file"]["max"], "{spec}");
    }
}

/// Operators over the whole frame: with noise, and where rows overlap without.
#[test]
fn global_operators_restore_from_their_measurements_files() {
    let folder = Folder::new();
    let x = clean(&folder);
    let psf = folder.arg("psf.png");
    let kernel = [0, 40, 255, 40, 90, 0, 200, 30, 0].map(|c| ddnm::frame::from_code(c, 8));
    io::write(psf.as_ref(), &Frame::new(Shape::new(1, 3, 3), kernel.to_vec()).unwrap(), 8).unwrap();
    let size: &[&str] = &["--size", "91x67"];
    // Noise, what restore must be told, and the PSNR that each must reach.
    let tasks: [(String, &str, &[&str], f64); 9] = [
        ("sr:2:bicubic".into(), "0", &[], 32.5),
        ("sr:3:bicubic".into(), "2", &[], 28.5),
        ("blur:gauss:1.2".into(), "0", &[], 33.0),
        ("blur:gauss:1.6,0.8".into(), "2", &[], 30.5),
        ("blur:box:3".into(), "2", &[], 32.0),
        (format!("blur:{psf}"), "2", &[], 31.0),
        ("hadamard:0.3:5".into(), "0", size, 30.0),
        ("blocks:0.4".into(), "3", size, 29.0),
        ("gray:709+sr:2:bicubic".into(), "1", &[], 18.0),
    ];
    for (spec, noise, extra, least) in tasks {
        let file = if extra.is_empty() { "y.png" } else { "y.npy" };
        let (y, out, proof) = (folder.arg(file), folder.arg("x.png"), folder.arg("c.json"));
        ok(&["degrade", &x, "-o", &y, "-d", &spec, "--noise", noise]);
        let args = ["restore", &y, "-o", &out, "-d", &spec, "--noise", noise];
        ok(&[&args[..], &["--certificate", &proof], extra].concat());
        let certificate = json(&std::fs::read_to_string(&proof).unwrap());
        let kept = &certificate["residual"]["kept_directions"];
        let bound = certificate["residual"]["rounding_bound"].as_f64().unwrap();
        // The rounding of the file is noise to an operator that leaves directions to the prior.
        if certificate["noise"] == 0.0 {
            assert!(kept["before_rounding"]["rms"].as_f64().unwrap() < 0.5, "{spec}: {kept}");
            assert!(kept["written_file"]["rms"].as_f64().unwrap() < 0.5 + bound, "{spec}: {kept}");
        }
        assert_eq!(
            certificate["operator"]["spec"].as_str().unwrap().split(':').next(),
            spec.split(':').next()
        );
        let psnr = json(&ok(&["compare", &out, &x, "--json"]))["psnr"].as_f64().unwrap();
        assert!(psnr > least, "{spec}: {psnr} dB");
    }
}

#[test]
fn measurements_that_are_no_pictures_say_what_they_need() {
    let folder = Folder::new();
    let (x, y, out) = (clean(&folder), folder.arg("y.npy"), folder.arg("x.png"));
    let png = ddnm(&["degrade", &x, "-o", &folder.arg("y.png"), "-d", "hadamard:0.2"]);
    assert_eq!(png.status.code(), Some(2));
    ok(&["degrade", &x, "-o", &y, "-d", "hadamard:0.2"]);
    let refused = |args: &[&str], code: i32, word: &str| {
        let output = ddnm(&[&["restore", &y, "-o", &out], args].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(error.contains(word), "{error}");
    };
    refused(&["-d", "hadamard:0.2"], 2, "--size");
    refused(&["-d", "hadamard:0.2", "--size", "92x67"], 3, "92x67");
    refused(&["-d", "hadamard:0.3", "--size", "91x67"], 3, "expected");
    // Any measurement can be kept unrounded.
    ok(&["degrade", &x, "-o", &y, "-d", "sr:2"]);
    let file = io::read(y.as_ref()).unwrap();
    assert_eq!((file.shape, file.origin.bit_depth), (Shape::new(3, 34, 46), 0));
    ok(&["restore", &y, "-o", &out, "-d", "sr:2", "--size", "91x67", "--steps", "1"]);
}

#[test]
fn denoising_removes_most_of_the_noise() {
    let folder = Folder::new();
    let (x, y, out) = (clean(&folder), folder.arg("y.png"), folder.arg("x.png"));
    ok(&["degrade", &x, "-o", &y, "-d", "none", "--noise", "25", "--seed", "4"]);
    ok(&["restore", &y, "-o", &out, "-d", "none", "--noise", "25"]);
    let psnr = |a: &str| json(&ok(&["compare", a, &x, "--json"]))["psnr"].as_f64().unwrap();
    assert!(psnr(&out) > psnr(&y) + 8.0, "{} after {}", psnr(&out), psnr(&y));
}

/// A gray picture goes through the colour prior as three equal channels.
#[test]
fn gray_pictures_are_denoised_as_well() {
    let folder = Folder::new();
    let (x, y, out) = (folder.arg("x.png"), folder.arg("y.png"), folder.arg("out.png"));
    let mut gray = part("chelsea.png", 120, 60, 91, 67);
    gray.data.truncate(gray.shape.plane());
    gray.shape.channels = 1;
    io::write(x.as_ref(), &gray, 8).unwrap();
    ok(&["degrade", &x, "-o", &y, "-d", "none", "--noise", "25", "--seed", "4"]);
    ok(&["restore", &y, "-o", &out, "-d", "none", "--noise", "25"]);
    let psnr = |a: &str| json(&ok(&["compare", a, &x, "--json"]))["psnr"].as_f64().unwrap();
    assert!(psnr(&out) > psnr(&y) + 7.0, "{} after {}", psnr(&out), psnr(&y));
}

#[test]
fn the_result_does_not_depend_on_the_threads_and_the_seed_counts_only_for_draws() {
    let folder = Folder::new();
    let (x, y) = (clean(&folder), folder.arg("y.png"));
    ok(&["degrade", &x, "-o", &y, "-d", "sr:2"]);
    let run = |extra: &[&str]| {
        let out = folder.arg("out.png");
        let args = ["restore", &y, "-o", &out, "-d", "sr:2", "--steps", "2"];
        ok(&[&args[..], extra].concat());
        std::fs::read(&out).unwrap()
    };
    assert_eq!(run(&["--threads", "1"]), run(&["--threads", "3"]));
    assert_eq!(run(&["--seed", "1"]), run(&["--seed", "2"]));
    let draw = |seed| run(&["--mode", "sample", "--seed", seed]);
    assert_eq!(draw("1"), draw("1"));
    assert_ne!(draw("1"), draw("2"));
    assert_ne!(run(&["--mode", "sample", "--rule", "ddim", "--seed", "1"]), draw("1"));
}

#[test]
fn what_the_file_carries_is_kept() {
    let folder = Folder::new();
    let mut x = part("chelsea.png", 100, 80, 40, 24);
    // A minimal TIFF block that says: turned by 90 degrees.
    let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
    x.origin.exif = Some(exif.clone());
    x.origin.alpha = Some((0..40 * 24).map(|i| (i * 60) as u16).collect());
    let (y, out) = (folder.path("y.png"), folder.path("x.png"));
    io::write(&y, &x, 16).unwrap();
    let args = |spec| {
        [
            "restore",
            y.to_str().unwrap(),
            "-o",
            out.to_str().unwrap(),
            "-d",
            spec,
            "--noise",
            "5",
            "--steps",
            "1",
        ]
    };
    ok(&args("none"));
    let found = io::read(&out).unwrap();
    assert_eq!(found.origin.exif, Some(exif.clone()));
    assert_eq!(found.origin.alpha, x.origin.alpha);
    assert_eq!(found.origin.bit_depth, 16);
    // Where the size changes, an alpha plane of the old size would be wrong.
    ok(&args("sr:2"));
    let found = io::read(&out).unwrap();
    assert_eq!((found.shape, found.origin.alpha), (Shape::new(3, 48, 80), None));
    assert_eq!(found.origin.exif, Some(exif));
}

#[test]
fn scene_sizes_come_from_the_file_from_the_user_or_are_assumed() {
    let folder = Folder::new();
    let (x, y) = (clean(&folder), folder.arg("y.png"));
    ok(&["degrade", &x, "-o", &y, "-d", "sr:4"]);
    // The same measurement without its record of the scene.
    let (bare, out) = (folder.arg("bare.png"), folder.arg("x.png"));
    let mut file = io::read(y.as_ref()).unwrap();
    assert_eq!(file.origin.scene.take(), Some((91, 67)));
    io::write(bare.as_ref(), &file, 8).unwrap();
    let size = |input: &str, extra: &[&str]| {
        let args = ["restore", input, "-o", &out, "-d", "sr:4", "--steps", "1"];
        ok(&[&args[..], extra].concat());
        let shape = io::read(out.as_ref()).unwrap().shape;
        (shape.width, shape.height)
    };
    assert_eq!(size(&y, &[]), (91, 67));
    assert_eq!(size(&bare, &["--size", "90x66"]), (90, 66));
    assert_eq!(size(&bare, &[]), (92, 68));
    let wrong = ddnm(&["restore", &bare, "-o", &out, "-d", "sr:4", "--size", "80x60"]);
    assert_eq!(wrong.status.code(), Some(3));
}

#[test]
fn gray_frames_and_jpeg_frames_are_restored() {
    let folder = Folder::new();
    let (gray, y, out) = (folder.arg("g.png"), folder.arg("y.png"), folder.arg("x.png"));
    let mut x = part("coffee.png", 200, 100, 64, 48);
    x.data.truncate(x.shape.plane());
    x.shape.channels = 1;
    io::write(gray.as_ref(), &x, 8).unwrap();
    ok(&["degrade", &gray, "-o", &y, "-d", "sr:2"]);
    ok(&["restore", &y, "-o", &out, "-d", "sr:2", "--steps", "3"]);
    let found = io::read(out.as_ref()).unwrap();
    assert_eq!(found.shape, x.shape);
    assert!(ddnm::metrics::psnr(&found, &x).unwrap() > 27.0);
    let jpeg = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/assets/tiny.jpg");
    ok(&["restore", jpeg, "-o", &out, "-d", "none", "--noise", "3", "--steps", "1"]);
}

#[test]
fn pictures_go_through_pipes() {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let folder = Folder::new();
    let x = clean(&folder);
    let y = folder.arg("y.png");
    ok(&["degrade", &x, "-o", &y, "-d", "sr:2"]);
    ok(&["restore", &y, "-o", &folder.arg("x.png"), "-d", "sr:2", "--steps", "1"]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_ddnm"))
        .args(["restore", "-", "-o", "-", "-d", "sr:2", "--steps", "1", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&std::fs::read(&y).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout, std::fs::read(folder.path("x.png")).unwrap());
    assert_eq!(json(&String::from_utf8(output.stderr).unwrap())["width"], 91);
}

#[test]
fn an_interrupted_restoration_leaves_nothing() {
    use std::process::{Command, Stdio};
    let folder = Folder::new();
    let x = clean(&folder);
    for (signal, code) in [("-INT", 130), ("-TERM", 130)] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ddnm"))
            .args(["restore", &x, "-o", &folder.arg("x.png"), "-d", "sr:4", "--steps", "900"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Long enough to be at work: 900 steps take minutes.
        std::thread::sleep(std::time::Duration::from_millis(1500));
        let id = child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(code), "{signal}");
        assert_eq!(folder.files(), ["clean.png"]);
    }
}

/// A model that asks for arithmetic in 8 bits says so, certificates say what was done, and it
/// restores as well.
#[test]
fn arithmetic_in_8_bits_is_named() {
    let folder = Folder::new();
    let bundled = concat!(env!("CARGO_MANIFEST_DIR"), "/models/patch-s.ddnm");
    let (model, y) = (folder.arg("int8.ddnm"), folder.arg("y.png"));
    ok(&["pack", bundled, "-o", &model, "--weights", "int8", "--arithmetic", "int8"]);
    let inspected = json(&ok(&["inspect", &model, "--json"]));
    assert_eq!(inspected["asked_arithmetic"], "int8");
    // Processors without products of bytes do it in single precision.
    let done = inspected["arithmetic"].as_str().unwrap();
    let pinned = std::process::Command::new(env!("CARGO_BIN_EXE_ddnm"))
        .args(["inspect", &model])
        .env("DDNM_KERNEL", "portable")
        .output();
    let pinned = String::from_utf8(pinned.unwrap().stdout).unwrap();
    assert!(pinned.contains("f32 (the file asks for int8"), "{pinned}");
    io::write(y.as_ref(), &part("chelsea.png", 100, 100, 32, 24), 8).unwrap();
    let (out, proof) = (folder.arg("x.png"), folder.arg("proof.json"));
    let task = ["restore", &y, "-o", &out, "-d", "sr:2", "--certificate", &proof];
    for (arguments, name) in [(&["--model", &model][..], done), (&[], "f32")] {
        ok(&[&task[..], arguments].concat());
        let certificate = json(&std::fs::read_to_string(&proof).unwrap());
        assert_eq!(certificate["model"]["arithmetic"], name);
    }
}

#[test]
fn plans_and_inspections_say_what_there_is() {
    let plan =
        json(&ok(&["plan", "-d", "bayer:rggb", "--size", "320x200", "--steps", "2", "--json"]));
    assert_eq!(plan["evaluations"], 2);
    assert!(plan["window_pixels"].as_u64().unwrap() >= 2 * 320 * 200);
    assert!(plan["seconds"].as_f64().unwrap() > 0.0);
    let model = json(&ok(&["inspect", "--json"]));
    let macs = model["multiply_accumulates_per_pixel"].as_f64().unwrap();
    assert!(macs > 45e3 && macs < 55e3, "{macs}");
    assert_eq!(model["channels"], 3);
    assert_eq!(model["arithmetic"], "f32");
    assert!(ok(&["inspect"]).contains("multiply-accumulates per pixel"));
    assert!(ok(&["--help"]).contains("restore"));
    assert!(ok(&["--version"]).starts_with("ddnm "));
}

/// Draws differ where nothing was measured, and the first of them is the result.
#[test]
fn the_spread_of_draws_shows_what_was_not_measured() {
    let folder = Folder::new();
    let x = clean(&folder);
    let half = Frame::new(
        Shape::new(1, 67, 91),
        (0..67 * 91)
            .map(|i| if i % 91 < 45 { 1.0 } else { (i as f32 * 2.7).sin().signum() })
            .collect(),
    );
    let mask = folder.arg("mask.png");
    io::write(mask.as_ref(), &half.unwrap(), 8).unwrap();
    let spec = format!("mask:{mask}");
    let y = folder.arg("y.png");
    ok(&["degrade", &x, "-o", &y, "-d", &spec]);
    let (one, first, spread) = (folder.arg("1.png"), folder.arg("3.png"), folder.arg("s.png"));
    let draw = ["restore", &y, "-d", &spec, "--mode", "sample", "--steps", "3", "--seed", "4"];
    ok(&[&draw[..], &["-o", &one]].concat());
    ok(&[&draw[..], &["-o", &first, "--samples", "3", "--spread", &spread]].concat());
    assert!(std::fs::read(&one).unwrap() == std::fs::read(&first).unwrap());

    let found = io::read(spread.as_ref()).unwrap();
    assert_eq!(found.shape, Shape::new(1, 67, 91));
    let known = half_known(&mask);
    let mean = |measured: bool| {
        let of = found.data.iter().zip(&known).filter(|(_, k)| **k == measured);
        let values: Vec<f32> = of.map(|(v, _)| (v + 1.0) * 127.5).collect();
        values.iter().sum::<f32>() / values.len() as f32
    };
    let (measured, guessed) = (mean(true), mean(false));
    assert!(measured < 0.01, "{measured}");
    assert!(guessed > 0.5, "{guessed}");

    for wrong in [
        &["--samples", "3"][..],
        &["--spread", &spread],
        &["--samples", "1", "--spread", &spread],
        &["--mode", "faithful", "--samples", "3", "--spread", &spread],
    ] {
        let args = [&["restore", &y, "-o", &one, "-d", &spec][..], wrong].concat();
        assert_eq!(ddnm(&args).status.code(), Some(2), "{wrong:?}");
    }
}

/// Where a mask is white.
fn half_known(mask: &str) -> Vec<bool> {
    io::read(mask.as_ref()).unwrap().data.iter().map(|v| *v > 0.0).collect()
}
