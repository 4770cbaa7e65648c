//! What a plan says of memory is what a restoration takes: never more, and not much less.
#![cfg(target_os = "linux")]

mod common;

use std::process::{Command, Output, Stdio};

use common::{Folder, ddnm, most_memory, ok, part};
use ddnm::frame::{Frame, Shape};
use ddnm::io;
use serde_json::Value;

/// Runs the program and returns the most private memory (RssAnon) that it was seen to have.
fn peak(args: &[&str]) -> u64 {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ddnm"))
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let most = most_memory(&mut child);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    most
}

/// A picture of any size, made of a photograph side by side with itself.
fn tiled(width: usize, height: usize) -> Frame {
    let of = part("chelsea.png", 100, 50, 160, 120);
    let shape = Shape::new(3, height, width);
    let value = |i: usize| {
        let (c, y, x) = (i / shape.plane(), i % shape.plane() / width, i % width);
        of.channel(c)[y % of.shape.height * of.shape.width + x % of.shape.width]
    };
    Frame::new(shape, (0..shape.len()).map(value).collect()).unwrap()
}

/// A mask without every other pixel, at random.
fn holes(width: usize, height: usize) -> Frame {
    let shape = Shape::new(1, height, width);
    let value = |i: usize| if i.wrapping_mul(2_654_435_761) >> 20 & 1 == 0 { -1.0 } else { 1.0 };
    Frame::new(shape, (0..shape.len()).map(value).collect()).unwrap()
}

/// Also where memory for 0.9 of it would not do: a plan that says twice as much as is needed would
/// refuse what could be done.
#[test]
fn plans_say_what_restorations_take() {
    let folder = Folder::new();
    let (x, y, out) = (folder.arg("x.png"), folder.arg("y.png"), folder.arg("out.png"));
    let mask = folder.arg("mask.png");
    let masked = &format!("mask:{mask}");
    for (width, height, steps) in [(48, 40, "2"), (320, 240, "2"), (1200, 90, "3"), (90, 700, "3")]
    {
        io::write(x.as_ref(), &tiled(width, height), 8).unwrap();
        io::write(mask.as_ref(), &holes(width, height), 8).unwrap();
        for (spec, noise) in [
            ("bayer:rggb", "0"),
            ("sr:2", "0"),
            ("none", "25"),
            ("none", "poisson:2,2"),
            ("gray+sr:3", "0"),
            (masked, "0"),
        ] {
            ok(&["degrade", &x, "-o", &y, "-d", spec, "--noise", noise]);
            for threads in ["1", "2"] {
                let how = ["-d", spec, "--noise", noise, "--threads", threads, "--steps", steps];
                takes_what_was_planned(&y, &out, &how);
            }
        }
    }
}

/// The same of operators over whole frames, by closed forms and by conjugate gradients, of draws,
/// and of inputs that are held whole or have 16 bits.
#[test]
fn plans_say_what_whole_frames_take() {
    let folder = Folder::new();
    let (x, png, out) = (folder.arg("x.png"), folder.arg("y.png"), folder.arg("out.png"));
    let (npy, psf) = (folder.arg("y.npy"), folder.arg("psf.png"));
    io::write(psf.as_ref(), &line(), 8).unwrap();
    let (psf, both) = (&format!("blur:{psf}"), &format!("blur:{psf}+sr:2"));
    for (width, height) in [(48, 40), (320, 240), (90, 500)] {
        io::write(x.as_ref(), &tiled(width, height), 8).unwrap();
        let size = &format!("{width}x{height}");
        for (spec, y, noise, mode, bits, threads) in [
            ("blur:gauss:1.6", &png, "0", "faithful", "8", "1"),
            ("blur:gauss:1.6", &png, "2", "sample", "8", "2"),
            ("blur:gauss:1.6", &png, "0", "faithful", "16", "2"),
            ("blur:box:5", &png, "poisson:2,2", "faithful", "8", "1"),
            (psf, &png, "2", "faithful", "8", "2"),
            (psf, &png, "0", "sample", "8", "1"),
            (both, &png, "2", "faithful", "8", "1"),
            ("sr:2:bicubic", &png, "0", "faithful", "8", "2"),
            ("sr:2:bicubic", &png, "0", "sample", "8", "1"),
            ("hadamard:0.25:7", &npy, "0", "faithful", "8", "1"),
            ("blocks:0.25:7", &npy, "0", "sample", "8", "2"),
            ("bayer:rggb", &png, "0", "sample", "8", "2"),
            ("bayer:rggb", &png, "0", "faithful", "16", "1"),
        ] {
            let bits = if y == &png { &["--depth", bits][..] } else { &[] };
            let degraded = ["degrade", &x, "-o", y, "-d", spec, "--noise", noise];
            ok(&[&degraded[..], bits].concat());
            let how = ["-d", spec, "--noise", noise, "--mode", mode, "--threads", threads];
            let size = if y == &npy { &["--size", size][..] } else { &[] };
            takes_what_was_planned(y, &out, &[&how[..], &["--steps", "2"], size].concat());
        }
    }
    let jpeg = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/assets/rocket.jpg");
    for (spec, threads) in [("none", "1"), ("none", "2"), ("blur:gauss:1.6", "1")] {
        let how = ["-d", spec, "--noise", "5", "--threads", threads, "--steps", "2"];
        takes_what_was_planned(jpeg, &out, &how);
    }
}

/// Restores, and compares what it takes with what the plan says.
fn takes_what_was_planned(y: &str, out: &str, how: &[&str]) {
    let planned = planned(&[&[y][..], how].concat());
    let found = peak(&[&["restore", y, "-o", out, "-q"][..], how].concat());
    println!("{:.3} of {planned} bytes: {how:?}", found as f64 / planned as f64);
    assert!(found <= planned, "{y} {how:?}: {found} bytes, {planned} planned");
    assert!(found * 10 >= planned * 8, "{y} {how:?}: {found} bytes, {planned} planned");
}

/// A point spread function: a line across 11 x 7 pixels.
fn line() -> Frame {
    let away = |i: usize| ((i / 11) as f32 - (i % 11) as f32 * 0.6).abs();
    let value = |i: usize| 2.0 * (1.0 - 0.8 * away(i)).max(0.0) - 1.0;
    Frame::new(Shape::new(1, 7, 11), (0..77).map(value).collect()).unwrap()
}

/// What `ddnm plan` says with these arguments, in bytes.
fn planned(args: &[&str]) -> u64 {
    let said = ok(&[&["plan", "--json"], args].concat());
    let said: Value = serde_json::from_str(&said).unwrap();
    said["bytes"]["total"].as_u64().unwrap()
}

/// For a local degradation the height of a frame does not count; of a mask one bit per pixel does.
#[test]
fn tall_frames_take_no_more_memory() {
    let at = |height: usize| {
        let size = format!("200x{height}");
        planned(&["--size", &size, "-d", "bayer:rggb", "--threads", "1"])
    };
    let (low, high) = (at(3000), at(30_000));
    assert!(high <= low, "{low} bytes at 3000 rows, {high} at 30000");

    let folder = Folder::new();
    let (mask, x, y) = (folder.arg("mask.png"), folder.arg("x.png"), folder.arg("y.png"));
    let spec = format!("mask:{mask}");
    let both = [1500usize, 6000].map(|height| {
        io::write(mask.as_ref(), &holes(200, height), 8).unwrap();
        io::write(x.as_ref(), &tiled(200, height), 8).unwrap();
        ok(&["degrade", &x, "-o", &y, "-d", &spec]);
        let how = ["-d", &spec, "--threads", "1", "--steps", "1"];
        let planned = planned(&[&[y.as_str()][..], &how].concat());
        let found =
            peak(&[&["restore", &y, "-o", &folder.arg("out.png"), "-q"][..], &how].concat());
        assert!(found <= planned, "{height} rows: {found} bytes, {planned} planned");
        (planned, found)
    });
    let bits = 4500 * 200 / 8;
    let [(low, seen_low), (high, seen_high)] = both;
    assert!(high <= low + bits + bits / 6, "{low} bytes planned at 1500 rows, {high} at 6000");
    assert!(seen_high <= seen_low + bits + (256 << 10), "{seen_low} bytes, then {seen_high}");
}

#[test]
fn a_budget_is_kept_or_refused_and_never_changes_the_result() {
    let folder = Folder::new();
    let (x, y, out) = (folder.arg("x.png"), folder.arg("y.png"), folder.arg("out.png"));
    io::write(x.as_ref(), &tiled(300, 420), 8).unwrap();
    ok(&["degrade", &x, "-o", &y, "-d", "bayer:rggb"]);
    let how = ["restore", &y, "-o", &out, "-d", "bayer:rggb", "--steps", "2", "-q"];
    ok(&[&how[..], &["--threads", "3"]].concat());
    let free = std::fs::read(&out).unwrap();
    std::fs::remove_file(&out).unwrap();

    let refused = ddnm(&[&how[..], &["--max-memory", "3M"]].concat());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(5), "{said}");
    assert_eq!(folder.files(), ["x.png", "y.png"]);
    // The refusal names the smallest budget that would do: it does, and one byte less does not.
    let smallest: u64 =
        said.split("; ").last().unwrap().split(' ').next().unwrap().parse().unwrap();
    let less = ddnm(&[&how[..], &["--max-memory", &(smallest - 1).to_string()]].concat());
    assert_eq!(less.status.code(), Some(5));
    let found = peak(&[&how[..], &["--max-memory", &smallest.to_string()]].concat());
    assert!(found <= smallest, "{found} bytes, {smallest} allowed");
    assert!(std::fs::read(&out).unwrap() == free);
}

/// Runs the program under a limit of so many KiB, of data (`d`) or of addresses (`v`).
fn under(kind: &str, kib: u64, args: &[&str]) -> Output {
    let script = format!("ulimit -{kind} {kib} && exec \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_ddnm")]).args(args).output().unwrap()
}

/// Under a limit of the system: refused in time below the plan, done above it.
#[test]
fn limits_of_the_system_are_kept() {
    let folder = Folder::new();
    let (x, y, out) = (folder.arg("x.png"), folder.arg("y.png"), folder.arg("out.png"));
    io::write(x.as_ref(), &tiled(200, 150), 8).unwrap();
    ok(&["degrade", &x, "-o", &y, "-d", "sr:2"]);
    let how = ["-d", "sr:2", "--threads", "1", "--steps", "1"];
    let planned = planned(&[&[y.as_str()][..], &how].concat());
    let run = |kib: u64| under("d", kib, &[&["restore", &y, "-o", &out, "-q"][..], &how].concat());
    let below = run(planned / 1024 - 16);
    let said = String::from_utf8_lossy(&below.stderr);
    assert_eq!(below.status.code(), Some(5), "{said}");
    assert!(said.contains("would do"), "{said}");
    assert_eq!(folder.files(), ["x.png", "y.png"]);
    // The program itself has taken some of it before it plans.
    let above = run(planned / 1024 + 1024);
    assert!(above.status.success(), "{}", String::from_utf8_lossy(&above.stderr));
    assert!(folder.path("out.png").exists());
}

/// Under limits around the plan two threads end with a right file, or are refused in time; stacks
/// and what allocators hold ready per thread count too.
#[test]
fn threads_keep_the_limits_of_the_system() {
    let folder = Folder::new();
    let (x, y, out) = (folder.arg("x.png"), folder.arg("y.png"), folder.arg("out.png"));
    io::write(x.as_ref(), &tiled(300, 200), 8).unwrap();
    ok(&["degrade", &x, "-o", &y, "-d", "sr:2"]);
    let how = ["-d", "sr:2", "--threads", "2", "--steps", "1"];
    let planned = planned(&[&[y.as_str()][..], &how].concat()) / 1024;
    ok(&[&["restore", &y, "-o", &out, "-q"][..], &how].concat());
    let right = std::fs::read(&out).unwrap();
    // `ulimit -v` counts addresses: also those of the program, and what allocators reserve.
    let data = (planned / 2..planned + 6000).step_by(400).map(|kib| ("d", kib));
    let loads = |kib: &u64| under("v", *kib, &["--version"]).status.success();
    let least = (16_000..).step_by(4000).find(loads).unwrap();
    let addresses = (least..least + 160_000).step_by(8000).map(|kib| ("v", kib));
    let (mut done, mut refused) = ([0, 0], [0, 0]);
    for (kind, kib) in data.chain(addresses) {
        std::fs::remove_file(&out).ok();
        let run = under(kind, kib, &[&["restore", &y, "-o", &out, "-q"][..], &how].concat());
        let said = String::from_utf8_lossy(&run.stderr);
        let counted = usize::from(kind == "v");
        match run.status.code() {
            Some(0) => {
                assert!(std::fs::read(&out).unwrap() == right, "-{kind} {kib}");
                done[counted] += 1;
            }
            code => {
                assert_eq!(code, Some(5), "-{kind} {kib}: {said}");
                assert_eq!(folder.files(), ["x.png", "y.png"], "-{kind} {kib}");
                refused[counted] += 1;
            }
        }
    }
    assert!(done.iter().chain(&refused).all(|n| *n > 0), "{done:?} done, {refused:?} refused");
}

#[test]
fn the_report_of_a_benchmark_is_complete() {
    let args = ["bench", "--json", "--size", "96x64", "--threads", "1", "--board", "pi4"];
    let report: Value = serde_json::from_str(&ok(&args)).unwrap();
    assert!(report["tile"]["start_ms"].as_f64().unwrap() > 0.0);
    assert!(report["tile"]["steady_ms"].as_f64().unwrap() > 0.0);
    assert!(report["binary_bytes"].as_u64().unwrap() > 1 << 20);
    assert_eq!(report["board"], "pi4");
    let frame = &report["frames"][0];
    assert_eq!((&frame["threads"], &frame["evaluations"]), (&1.into(), &4.into()));
    assert!(frame["seconds"].as_f64().unwrap() > 0.0);
    assert!(frame["share_of_peak"].as_f64().unwrap() > 0.0);
    assert!(frame["memory"]["private"].as_u64().unwrap() > 1 << 20);
    assert!(frame["residual_max"].as_f64().unwrap() <= 0.5 + 1e-3);
}
