//! Tells the program which commit and target it was built from, for `ddnm --version`.

use std::path::Path;
use std::process::Command;

fn main() {
    let target = std::env::var("TARGET").unwrap_or_else(|_| "unknown".into());
    println!("cargo:rustc-env=DDNM_TARGET={target}");
    let commit = checkout().or_else(package).unwrap_or_else(|| "unknown".into());
    println!("cargo:rustc-env=DDNM_COMMIT={commit}");
    println!("cargo:rerun-if-changed=build.rs");
}

/// What git says, where this folder is a checkout itself: inside of another one it would name
/// that one's commit.
fn checkout() -> Option<String> {
    let here = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR")?).canonicalize().ok()?;
    let top = git(&["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != here {
        return None;
    }
    // Grows with every commit and checkout; without it, the file that names the branch.
    for file in ["logs/HEAD", "HEAD"] {
        let path = git(&["rev-parse", "--git-path", file])?;
        if Path::new(&path).exists() {
            println!("cargo:rerun-if-changed={path}");
            break;
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

/// What `cargo package` wrote beside the sources.
fn package() -> Option<String> {
    let text = std::fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, rest) = text.split_once("\"sha1\"")?;
    let commit = rest.split('"').nth(1)?;
    commit.get(..12).map(str::to_owned)
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
