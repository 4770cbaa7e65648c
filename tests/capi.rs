//! A C program with the library gives what the program gives. Run with `--features capi`, on a
//! machine with C and C++ compilers.
#![cfg(target_os = "linux")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Folder, ok, part};
use ddnm::frame::{Frame, to_code};
use ddnm::io;

/// Runs a command that must succeed, and returns what it printed.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Builds the library, and returns the folder that it is in.
fn library() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["rustc", "--lib", "--no-default-features", "--features", "capi"]);
    cargo.args(["--crate-type", "cdylib", "--message-format", "json"]);
    let built = run(cargo.current_dir(env!("CARGO_MANIFEST_DIR")));
    let name = built.split('"').find(|part| part.ends_with("libddnm.so")).expect("a library");
    Path::new(name).parent().unwrap().into()
}

/// The samples of a picture, pixel by pixel.
fn samples(frame: &Frame) -> Vec<u8> {
    let plane = frame.shape.plane();
    let value = |i: usize| frame.data[i % frame.shape.channels * plane + i / frame.shape.channels];
    (0..frame.shape.len()).map(|i| to_code(value(i), 8) as u8).collect()
}

fn netpbm(frame: &Frame) -> Vec<u8> {
    let kind = if frame.shape.channels == 3 { 6 } else { 5 };
    let header = format!("P{kind}\n{} {}\n255\n", frame.shape.width, frame.shape.height);
    [header.into_bytes(), samples(frame)].concat()
}

#[test]
fn a_c_program_restores_as_the_program_does() {
    let folder = Folder::new();
    let library = library();
    let (headers, program) = ("src/capi", folder.arg("restore"));
    let strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", headers];
    let link = ["-L", library.to_str().unwrap(), "-lddnm", "-o", &program];
    run(Command::new("cc").args(strict).arg("-std=c99").arg("examples/c/restore.c").args(link));
    let cpp = ["-std=c++17", "-fsyntax-only", "-x", "c++", "src/capi/ddnm.h"];
    run(Command::new("c++").args(["-Wall", "-Wextra", "-Werror"]).args(cpp));

    let (x, y, out) = (folder.arg("x.png"), folder.arg("y.png"), folder.arg("out.png"));
    let (from, to) = (folder.arg("y.pnm"), folder.arg("out.pnm"));
    io::write(x.as_ref(), &part("coffee.png", 100, 50, 96, 64), 8).unwrap();
    for (spec, noise) in
        [("bayer:rggb", "0"), ("sr:2", "0"), ("none", "25"), ("none", "poisson:0.8,3")]
    {
        ok(&["degrade", &x, "-o", &y, "-d", spec, "--noise", noise]);
        ok(&["restore", &y, "-o", &out, "-d", spec, "--noise", noise, "-q"]);
        std::fs::write(&from, netpbm(&io::read(y.as_ref()).unwrap())).unwrap();
        let mut restore = Command::new(&program);
        restore.args([spec, noise, &from, &to]).env("LD_LIBRARY_PATH", &library);
        run(&mut restore);
        let expected = netpbm(&io::read(out.as_ref()).unwrap());
        assert!(std::fs::read(&to).unwrap() == expected, "{spec}");
    }
    let refused = Command::new(&program)
        .args(["nonsense", "0", &from, &to])
        .env("LD_LIBRARY_PATH", &library)
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("nonsense"));
}
