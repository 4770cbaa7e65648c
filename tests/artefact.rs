//! The program as it is shipped, against a stored picture: the one that was built with this test,
//! or the command in `DDNM_PROGRAM`, such as `qemu-aarch64 path/to/ddnm`.

mod common;

use std::process::Command;

use common::{Folder, agrees_with_golden, part};

fn run(arguments: &[&str]) -> String {
    let named = std::env::var("DDNM_PROGRAM").unwrap_or(env!("CARGO_BIN_EXE_ddnm").into());
    let mut words = named.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{named} {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// The restoration `bayer` of `tests/golden.rs`, in the words of the command line.
#[test]
fn the_program_restores_the_golden_picture() {
    let folder = Folder::new();
    let (x, y, out) = (folder.arg("x.png"), folder.arg("y.png"), folder.arg("out.png"));
    ddnm::io::write(x.as_ref(), &part("astronaut.png", 170, 80, 83, 61), 8).unwrap();
    run(&["degrade", &x, "-o", &y, "-d", "bayer:rggb"]);
    let levels = ["--steps", "3", "--start", "25.5", "--end", "2.55", "--generative", "1"];
    let arguments = ["restore", &y, "-o", &out, "-d", "bayer:rggb", "--threads", "2"];
    run(&[&arguments[..], &levels[..]].concat());
    agrees_with_golden(&ddnm::io::read(out.as_ref()).unwrap(), "bayer");
}

#[test]
fn the_program_knows_where_it_runs() {
    assert!(run(&["--version"]).contains("target"));
    assert!(run(&["boards"]).contains("this machine"));
}
