//! The alarm for a wrong degradation or noise, and intervals, from outside.

mod common;

use common::{Folder, ddnm, ok, part};
use ddnm::io;
use serde_json::Value;

/// A clean picture.
fn clean(folder: &Folder) -> String {
    let name = folder.arg("clean.png");
    io::write(name.as_ref(), &part("chelsea.png", 128, 64, 128, 128), 8).unwrap();
    name
}

/// What a restoration of `y` says of itself, in its line and on standard error, and what its
/// certificate says of the last estimate.
fn said(folder: &Folder, y: &str, more: &[&str]) -> (Value, String, Value) {
    let (x, proof) = (folder.arg("x.png"), folder.arg("c.json"));
    let args = ["restore", y, "-o", &x, "--certificate", &proof, "--json"];
    let output = ddnm(&[&args[..], more].concat());
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    let certificate: Value =
        serde_json::from_str(&std::fs::read_to_string(&proof).unwrap()).unwrap();
    (serde_json::from_slice(&output.stdout).unwrap(), errors, certificate["last_estimate"].clone())
}

#[test]
fn wrong_degradations_and_noises_raise_an_alarm() {
    let folder = Folder::new();
    let (clean, y) = (clean(&folder), folder.arg("y.png"));
    // What happened, what is declared, and what the verdict on it must be.
    let cases: [(&[&str], &[&str], &str); 7] = [
        (&["-d", "sr:2"], &["-d", "sr:2"], "usual"),
        (&["-d", "bayer:rggb"], &["-d", "bayer:rggb"], "usual"),
        (&["-d", "bayer:rggb"], &["-d", "bayer:grbg", "--mode", "sample"], "alarm"),
        (&["-d", "none", "--noise", "25"], &["-d", "none", "--noise", "25"], "usual"),
        (&["-d", "none", "--noise", "25"], &["-d", "none", "--noise", "50"], "alarm"),
        (&["-d", "sr:2"], &["-d", "sr:2", "--steps", "3"], "not calibrated"),
        (&["-d", "sr:3"], &["-d", "sr:3"], "not calibrated"),
    ];
    for (did, declared, verdict) in cases {
        ok(&[&["degrade", &clean, "-o", &y][..], did].concat());
        let (line, errors, finding) = said(&folder, &y, declared);
        let what = format!("{did:?}, declared {declared:?}: {finding}");
        assert_eq!((&line["verdict"], &finding["verdict"]), (&verdict.into(), &verdict.into()));
        assert_eq!(line["misfit"], finding["misfit"], "{what}");
        assert_eq!(finding["usual"].is_null(), verdict == "not calibrated", "{what}");
        assert_eq!(
            errors.contains("is the degradation or the noise"),
            verdict == "alarm",
            "{what}"
        );
    }
}

#[test]
fn saturation_is_for_all_pictures_and_refused_for_floats() {
    let folder = Folder::new();
    let (clean, y, x) = (clean(&folder), folder.arg("y.png"), folder.arg("x.png"));
    let floats = folder.arg("y.npy");
    ok(&["degrade", &clean, "-o", &floats, "-d", "sr:2"]);
    let output = ddnm(&["restore", &floats, "-o", &x, "-d", "sr:2", "--saturation"]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("saturation: expected"), "{errors}");
    let certificate = folder.arg("c.json");
    for (spec, noise, mode) in [
        ("none", "0", "faithful"),
        ("blur:gauss:1", "2", "faithful"),
        ("sr:2:bicubic", "2", "sample"),
    ] {
        ok(&["degrade", &clean, "-o", &y, "-d", spec, "--noise", noise]);
        let how = ["-d", spec, "--noise", noise, "--mode", mode, "--saturation"];
        ok(&[&["restore", &y, "-o", &x, "--certificate", &certificate][..], &how].concat());
        let text = std::fs::read_to_string(&certificate).unwrap();
        let proof: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(proof["saturation"]["white"], 255.0, "{spec}");
        // Nobody has measured what is usual with intervals.
        assert_eq!(proof["last_estimate"]["verdict"], "not calibrated", "{spec}");
    }
}
