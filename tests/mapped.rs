//! Mapped model files: one that becomes shorter while it is in use ends the process with a
//! message, and its weights stay in the file.

use std::path::Path;
use std::process::Command;

use ddnm::prior::{self, Prior};
use ddnm::weights::{self, Format};

/// Set in the child process, to the file to map.
const CHILD: &str = "DDNM_TEST_MAPPED";

fn model(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("model.ddnm");
    let bundled = concat!(env!("CARGO_MANIFEST_DIR"), "/models/patch-s.ddnm");
    std::fs::copy(bundled, &path).unwrap();
    path
}

#[test]
fn a_model_that_is_truncated_while_it_is_in_use_is_reported() {
    if let Some(path) = std::env::var_os(CHILD) {
        weights::report_lost_files().unwrap();
        let prior = prior::find(path.to_str()).unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_len(4096).unwrap();
        let x = vec![0.0; 3 * 64 * 64];
        let level = prior.diffusion().at_sigma(0.1);
        let _ = prior.evaluator(64, 64).unwrap().x0(&x, level, &mut x.clone());
        panic!("weights that are gone were read");
    }
    let folder = std::env::temp_dir().join(format!("ddnm-mapped-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_model_that_is_truncated_while_it_is_in_use_is_reported"])
        .arg("--nocapture")
        .env(CHILD, model(&folder))
        .output()
        .unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let said = String::from_utf8_lossy(&child.stderr);
    assert_eq!(child.status.code(), Some(4), "{said}");
    assert!(said.contains("truncated"), "{said}");
}

/// Private memory of this process in KiB (Linux).
#[cfg(target_os = "linux")]
fn anonymous() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A loaded model is small in private memory: less than the 2.7 MB of its weights, by far, and in
/// 8 bits less than their 0.7.
#[cfg(target_os = "linux")]
#[test]
fn a_loaded_model_leaves_its_weights_in_the_file() {
    let folder = std::env::temp_dir().join(format!("ddnm-private-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (wide, narrow) = (model(&folder), folder.join("int8.ddnm"));
    let bytes = prior::bundled().unwrap().pack(Format::Int8).unwrap();
    std::fs::write(&narrow, &bytes).unwrap();
    drop(bytes);
    for (path, most) in [(wide, 1024), (narrow, 512)] {
        let load = || prior::find(path.to_str()).unwrap();
        // What the first load brings along once (code paths, allocator) is not the model's.
        let first = load();
        let before = anonymous();
        let models: Vec<_> = (0..4).map(|_| load()).collect();
        let each = anonymous().saturating_sub(before) / models.len() as u64;
        drop(first);
        assert!(each < most, "{}: {each} KiB of private memory for each", path.display());
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
