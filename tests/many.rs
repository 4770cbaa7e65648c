//! Many files in one run: folders, numbers, broken ones, and runs that end before their time.
#![cfg(unix)]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{Folder, ddnm, ok, part};
use serde_json::Value;

const HOW: [&str; 6] = ["-d", "sr:2", "--steps", "1", "--threads", "1"];

/// Writes a small measurement, each another part of a picture.
fn frame(path: &Path, i: usize, side: usize) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    ddnm::io::write(path, &part("chelsea.png", 20 + 9 * i, 30, side, side), 8).unwrap();
}

fn restore(more: &[&str]) -> (i32, Vec<Value>, String) {
    let output = ddnm(&[&["restore"], more, &HOW, &["--json"]].concat());
    let said = String::from_utf8(output.stdout).unwrap();
    let lines = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code().unwrap(), lines, String::from_utf8(output.stderr).unwrap())
}

/// All files below a folder, with what they hold.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        match path.is_dir() {
            true => {
                found.extend(contents(&path).into_iter().map(|(n, b)| (format!("{name}/{n}"), b)))
            }
            false => found.push((name, fs::read(&path).unwrap())),
        }
    }
    found.sort();
    found
}

fn names(folder: &Path) -> Vec<String> {
    contents(folder).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn a_folder_becomes_a_folder_with_a_certificate_for_each_file() {
    let folder = Folder::new();
    for (i, name) in ["in/a.png", "in/b.png", "in/deep/c.png"].iter().enumerate() {
        frame(&folder.path(name), i, 24);
    }
    let (input, out, proofs) = (folder.arg("in"), folder.arg("new/out"), folder.arg("proofs"));
    let (code, lines, said) = restore(&[&input, "-o", &out, "--certificate", &proofs]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(names(&folder.path("new/out")), ["a.png", "b.png"]);
    assert_eq!((lines.len(), &lines[2]["frames"], &lines[2]["failed"]), (3, &2.into(), &0.into()));
    let (code, lines, said) =
        restore(&[&input, "-o", &out, "--certificate", &proofs, "--recursive", "--skip-existing"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!((&lines[1]["frames"], &lines[1]["skipped"]), (&1.into(), &2.into()));
    assert_eq!(names(&folder.path("new/out")), ["a.png", "b.png", "deep/c.png"]);
    assert_eq!(names(&folder.path("proofs")), ["a.json", "b.json", "deep/c.json"]);
    // Each is what its own run would have given.
    for name in ["a", "b", "deep/c"] {
        let (single, proof) = (folder.arg("single.png"), folder.arg("single.json"));
        let from = folder.arg(&format!("in/{name}.png"));
        ok(&[&["restore", &from, "-o", &single, "--certificate", &proof], &HOW[..]].concat());
        let many = folder.path(&format!("new/out/{name}.png"));
        assert!(fs::read(&single).unwrap() == fs::read(many).unwrap(), "{name}");
        let json = |path: &Path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
        let many = json(&folder.path(&format!("proofs/{name}.json")));
        assert_eq!(many["result"], json(Path::new(&proof))["result"], "{name}");
    }
    // A result without its certificate is made again.
    fs::remove_file(folder.path("proofs/b.json")).unwrap();
    let (_, lines, _) =
        restore(&[&input, "-o", &out, "--certificate", &proofs, "--recursive", "--skip-existing"]);
    assert_eq!((&lines[1]["frames"], &lines[1]["skipped"]), (&1.into(), &2.into()));
}

#[test]
fn numbered_files_keep_their_numbers_and_broken_ones_are_reported() {
    let folder = Folder::new();
    for i in [7, 8, 10, 11] {
        frame(&folder.path(&format!("in/f{i:04}.png")), i, 20);
    }
    let whole = fs::read(folder.path("in/f0008.png")).unwrap();
    fs::write(folder.path("in/f0008.png"), &whole[..whole.len() / 2]).unwrap();
    fs::write(folder.path("in/f0010.png"), "no picture").unwrap();
    let (input, out) = (folder.arg("in/f%04d.png"), folder.arg("out/%d.png"));
    let (code, lines, said) = restore(&[&input, "-o", &out]);
    assert_eq!(code, 1, "{said}");
    assert_eq!(names(&folder.path("out")), ["11.png", "7.png"]);
    for name in ["f0008.png: expected", "f0010.png: expected", "2 broken ones beside 2 whole"] {
        assert!(said.contains(name), "{said}");
    }
    assert!(lines[1]["failed"].is_string() && lines[2]["failed"].is_string(), "{lines:?}");
    assert_eq!(lines[4]["failed"], 2);
    // Mended, the run goes on where it was; what is there is not touched.
    fs::write(folder.path("in/f0008.png"), &whole).unwrap();
    fs::remove_file(folder.path("in/f0010.png")).unwrap();
    fs::write(folder.path("out/7.png"), "mine").unwrap();
    let (code, lines, said) = restore(&[&input, "-o", &out, "--skip-existing"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!((&lines[1]["frames"], &lines[1]["skipped"]), (&1.into(), &2.into()));
    assert!(fs::read(folder.path("out/7.png")).unwrap() == b"mine");
}

#[test]
fn contradictions_are_refused_before_any_work() {
    let folder = Folder::new();
    frame(&folder.path("in/a.png"), 0, 20);
    frame(&folder.path("in/1.png"), 0, 20);
    fs::create_dir(folder.path("empty")).unwrap();
    let arg = |name: &str| folder.arg(name);
    let before = contents(&folder.path("in"));
    for (args, code, says) in [
        (&[&arg("in"), "-o", "-"][..], 2, "found -"),
        (&[&arg("in"), "-o", &arg("out/%d.png")], 2, "a folder for what a folder becomes"),
        (&[&arg("in"), "-o", &arg("in")], 2, "another name than an input's"),
        (&[&arg("in/%d.png"), "-o", &arg("in")], 2, "another name than an input's"),
        (&[&arg("in/a.png"), "-o", &arg("b.png"), "--recursive"], 2, "expected a folder"),
        (&[&arg("in/%d.png"), "-o", &arg("out"), "--recursive"], 2, "expected a folder"),
        (&[&arg("empty"), "-o", &arg("out")], 3, "found none"),
        (&[&arg("in/b%d.png"), "-o", &arg("out")], 3, "files such as b0.png"),
        (&[&arg("in"), "-o", &arg("in/a.png")], 2, "a folder or numbered"),
        (&[&arg("in"), "-o", &arg("out"), "-d", "nonsense"], 2, "nonsense"),
        (&[&arg("in"), "-o", &arg("out"), "--model", "nowhere.ddnm"], 4, "nowhere"),
    ] {
        let how: &[&str] = if args.contains(&"-d") { &[] } else { &HOW };
        let output = ddnm(&[&["restore"], args, how].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(says), "{args:?}: {said}");
        assert!(contents(&folder.path("in")) == before, "{args:?}");
    }
    // Two inputs of one name.
    fs::copy(folder.path("in/a.png"), folder.path("in/a.jpg")).unwrap();
    let (code, _, said) = restore(&[&arg("in"), "-o", &arg("out")]);
    assert!(code == 2 && said.contains("another input becomes"), "{said}");
}

/// The same set, restored without any accident.
fn undisturbed(folder: &Folder) -> Vec<(String, Vec<u8>)> {
    ok(&[&["restore", &folder.arg("in"), "-o", &folder.arg("calm")], &HOW[..]].concat());
    contents(&folder.path("calm"))
}

#[test]
fn a_killed_run_leaves_whole_files_and_goes_on() {
    let folder = Folder::new();
    for i in 0..12 {
        frame(&folder.path(&format!("in/{i:02}.png")), i, 64);
    }
    let expected = undisturbed(&folder);
    let out = folder.path("out");
    // Killed at some moment after the first result, and ended by signals at others.
    for (round, signal) in ["-KILL", "-KILL", "-TERM", "-INT"].iter().enumerate() {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ddnm"))
            .args(["restore", &folder.arg("in"), "-o", &folder.arg("out"), "--skip-existing"])
            .args(HOW)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let patience = Instant::now() + Duration::from_secs(60);
        let there = || fs::read_dir(&out).map_or(0, |d| d.count());
        let before = there();
        while there() <= before && child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < patience);
            std::thread::sleep(Duration::from_millis(1 + 3 * round as u64));
        }
        let _ = Command::new("kill").args([*signal, &child.id().to_string()]).status().unwrap();
        let status = child.wait().unwrap();
        if signal.len() < 5 || *signal == "-TERM" {
            assert!(matches!(status.code(), Some(130 | 0)), "{signal}: {status}");
        }
        for (name, bytes) in contents(&out).into_iter().filter(|(n, _)| n.ends_with(".png")) {
            let same = expected.iter().any(|(n, b)| *n == name && *b == bytes);
            assert!(same, "{name} after {signal}");
        }
    }
    ok(&[&["restore", &folder.arg("in"), "-o", &folder.arg("out"), "--skip-existing"], &HOW[..]]
        .concat());
    let mut whole = contents(&out);
    whole.retain(|(name, _)| name.ends_with(".png"));
    assert!(whole == expected);
}

/// A limit of file size stands for a disk that is full: writing fails in the middle of a file.
#[test]
fn a_disk_that_is_full_ends_the_run_and_leaves_whole_files() {
    let folder = Folder::new();
    for (i, side) in [8, 8, 64, 8].iter().enumerate() {
        frame(&folder.path(&format!("in/{i}.png")), i, *side);
    }
    let expected = undisturbed(&folder);
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_ddnm"), "restore"])
        .args([&folder.arg("in"), "-o", &folder.arg("out")])
        .args(HOW)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert!(said.contains("cannot write") && said.contains("out/2.png"), "{said}");
    assert!(contents(&folder.path("out")) == expected[..2], "{:?}", names(&folder.path("out")));
    // With room again, it goes on.
    ok(&[&["restore", &folder.arg("in"), "-o", &folder.arg("out"), "--skip-existing"], &HOW[..]]
        .concat());
    assert!(contents(&folder.path("out")) == expected);
}

/// A disk that is full in the middle of a file: nothing of that is left, least of all under its
/// name, and with room again the run goes on.
#[test]
#[cfg(target_os = "linux")]
fn a_small_disk_that_fills_up_keeps_the_whole_files() {
    let folder = Folder::new();
    for (i, side) in [8, 8, 96, 8].iter().enumerate() {
        frame(&folder.path(&format!("in/{i}.png")), i, *side);
    }
    let expected = undisturbed(&folder);
    assert!(expected[2].1.len() > 32 << 10, "{} bytes fit", expected[2].1.len());
    let (disk, copy) = (folder.arg("disk"), folder.arg("copy"));
    let (input, out) = (folder.arg("in"), format!("{disk}/out"));
    let program = [env!("CARGO_BIN_EXE_ddnm"), "restore", &input, "-o", &out];
    let command = [&program[..], &HOW].concat();
    let done = common::on_a_small_disk("32k", [&disk, &copy], &command, Stdio::null());
    let Some(output) = done else { return };
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert!(said.contains("out/2.png: the disk is full"), "{said}");
    assert!(
        contents(&folder.path("copy/out")) == expected[..2],
        "{:?}",
        names(&folder.path("copy"))
    );
    let out = folder.arg("copy/out");
    ok(&[&["restore", &input, "-o", &out, "--skip-existing"], &HOW[..]].concat());
    assert!(contents(&folder.path("copy/out")) == expected);
}
