//! The program with the feature `cuda` where there is no GPU, or one whose driver is broken.
//!
//! Drivers here are libraries that a C compiler makes of a few lines; they stand for what is wrong,
//! never for a device that works.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use common::Folder;

const VERSION: &str = "int cuDriverGetVersion(int *v) { *v = 13000; return 0; }\n";
const INIT: &str = "int cuInit(unsigned f) { return 0; }\n";
/// What tract-cuda asks for besides the driver.
const LIBRARIES: [&str; 4] = ["libcudart.so", "libnvrtc.so", "libcublas.so", "libcudnn.so"];

/// A folder with a measurement.
fn folder() -> Folder {
    let folder = Folder::new();
    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/assets/chelsea.png");
    let picture = picture.display().to_string();
    let (small, scene) = (folder.arg("small.png"), folder.arg("scene.png"));
    common::ok(&["degrade", &picture, "-o", &small, "-d", "sr:8"]);
    // Of itself, so that no other scene's size is recorded in it.
    common::ok(&["degrade", &small, "-o", &scene, "-d", "none"]);
    folder
}

fn library(folder: &Folder, name: &str, source: &str) {
    let code = folder.path("library.c");
    std::fs::write(&code, source).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(folder.path(name)).arg(&code);
    assert!(compiler.status().unwrap().success(), "{name}");
}

/// Restores on a device, with the libraries of `folder` in sight. It must be over soon.
fn restore(folder: &Folder, device: &str) -> Output {
    let started = Instant::now();
    let done = command(folder)
        .args([
            "restore",
            &folder.arg("scene.png"),
            "-o",
            &folder.arg("out.png"),
            "-d",
            "none",
            "-q",
        ])
        .args(["--steps", "1", "--device", device])
        .output()
        .unwrap();
    assert!(started.elapsed() < Duration::from_secs(120));
    done
}

fn command(folder: &Folder) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ddnm"));
    command.env("LD_LIBRARY_PATH", folder.path("")).env("DDNM_DEVICE_TIMEOUT", "3");
    command
}

/// What it says, in one line.
fn line(done: &Output) -> String {
    let text = String::from_utf8(done.stderr.clone()).unwrap();
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    text
}

/// On the processor with `auto`, not at all with `cuda`, and in both cases it says why.
fn refuses(folder: &Folder, why: &str) {
    let done = restore(folder, "cuda");
    let text = line(&done);
    assert_eq!(done.status.code(), Some(8), "{text}");
    assert!(text.starts_with("ddnm: device: ") && text.contains(why), "{text}");
    assert!(!folder.path("out.png").exists());

    let done = restore(folder, "auto");
    let text = line(&done);
    assert_eq!(done.status.code(), Some(0), "{text}");
    assert!(text.contains("restoring on the processor: ") && text.contains(why), "{text}");
    std::fs::remove_file(folder.path("out.png")).unwrap();
}

#[test]
fn without_a_driver() {
    refuses(&folder(), "CUDA driver library not found");
}

#[test]
fn a_driver_without_functions() {
    let folder = folder();
    library(&folder, "libcuda.so.1", "int nothing;\n");
    refuses(&folder, "symbol cuInit is missing");
}

#[test]
fn a_file_that_is_no_library() {
    let folder = folder();
    std::fs::write(folder.path("libcuda.so.1"), "not a library").unwrap();
    refuses(&folder, "CUDA driver library not found");
}

#[test]
fn a_driver_that_finds_no_device() {
    let folder = folder();
    let init = "int cuInit(unsigned f) { return 100; }\n";
    library(&folder, "libcuda.so.1", &format!("{init}{VERSION}"));
    refuses(&folder, "cuInit returned 100");
}

#[test]
fn a_driver_that_is_too_old() {
    let folder = folder();
    let version = "int cuDriverGetVersion(int *v) { *v = 11040; return 0; }\n";
    library(&folder, "libcuda.so.1", &format!("{INIT}{version}"));
    refuses(&folder, "Found driver API 11.4");
}

#[test]
fn a_driver_that_does_not_know_its_version() {
    let folder = folder();
    let version = "int cuDriverGetVersion(int *v) { return 999; }\n";
    library(&folder, "libcuda.so.1", &format!("{INIT}{version}"));
    refuses(&folder, "cuDriverGetVersion failed");
}

#[test]
fn a_driver_that_never_answers() {
    let folder = folder();
    let init = "#include <unistd.h>\nint cuInit(unsigned f) { for (;;) sleep(1); }\n";
    library(&folder, "libcuda.so.1", &format!("{init}{VERSION}"));
    refuses(&folder, "none in 3 s");
}

#[test]
fn a_driver_without_the_libraries() {
    let folder = folder();
    library(&folder, "libcuda.so.1", &format!("{INIT}{VERSION}"));
    for missing in LIBRARIES {
        let label = missing.trim_start_matches("lib").trim_end_matches(".so");
        refuses(&folder, label);
        library(&folder, missing, "int nothing;\n");
    }
}

#[test]
fn libraries_without_functions() {
    let folder = folder();
    library(&folder, "libcuda.so.1", &format!("{INIT}{VERSION}"));
    LIBRARIES.iter().for_each(|name| library(&folder, name, "int nothing;\n"));
    // Where the bindings panic.
    refuses(&folder, "a GPU");
}

#[test]
fn devices_that_there_are_none_of() {
    let folder = folder();
    let done = restore(&folder, "cuda:1");
    let text = line(&done);
    assert_eq!(done.status.code(), Some(8), "{text}");
    let done = restore(&folder, "cuda:x");
    assert_eq!(done.status.code(), Some(2), "{}", line(&done));
}

#[test]
fn the_processor_is_not_asked_for_a_driver() {
    let folder = folder();
    library(&folder, "libcuda.so.1", "int cuInit(unsigned f) { __builtin_trap(); }\n");
    let done = restore(&folder, "cpu");
    assert_eq!((done.status.code(), done.stderr.len()), (Some(0), 0));
}

#[test]
fn inspect_lists_every_node_and_then_what_is_missing() {
    let done = command(&folder()).args(["inspect", "--device", "cuda"]).output().unwrap();
    let text = String::from_utf8(done.stdout.clone()).unwrap();
    assert_eq!(done.status.code(), Some(8), "{}", line(&done));
    assert!(text.contains("tract-cuda/src/transform.rs:510"), "{text}");
    assert!(!text.contains("on the processor"), "{text}");
}

/// The table's lines, in the sources that this program was built from.
#[test]
fn the_table_tells_the_lines_of_the_source() {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cargo"));
    let registries = std::fs::read_dir(home.join("registry/src")).unwrap();
    let folders: Vec<PathBuf> = registries.map(|entry| entry.unwrap().path()).collect();
    for entry in ddnm::device::TABLE {
        let (name, file) = entry.file.split_once('/').unwrap();
        let package = format!("{name}-{}", ddnm::device::VERSION);
        let path = folders.iter().map(|f| f.join(&package).join(file)).find(|p| p.is_file());
        let text = std::fs::read_to_string(path.unwrap()).unwrap();
        let found = text.lines().nth(entry.line - 1).unwrap();
        assert!(found.contains(entry.says), "{}:{} says {found}", entry.file, entry.line);
    }
}
