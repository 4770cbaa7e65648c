//! The two ways to build for a board, cargo alone and `cross`, share targets and flags.

use std::collections::BTreeSet;
use std::path::Path;

use toml::{Table, Value};

fn table(name: &str) -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(path).unwrap().parse().unwrap()
}

fn keys(table: &Value) -> BTreeSet<&str> {
    table.as_table().unwrap().keys().map(String::as_str).collect()
}

/// The keys that cross documents (cross-rs/cross, docs/config_file.md).
#[test]
fn cross_understands_its_file() {
    const BUILD: [&str; 8] =
        ["build-std", "xargo", "zig", "default-target", "pre-build", "env", "dockerfile", "image"];
    const TARGET: [&str; 8] =
        ["build-std", "xargo", "image", "runner", "pre-build", "env", "dockerfile", "zig"];
    let cross = table("cross.toml");
    let allowed = |found: BTreeSet<&str>, known: &[&str]| {
        let odd: Vec<&str> = found.into_iter().filter(|key| !known.contains(key)).collect();
        assert!(odd.is_empty(), "{odd:?}");
    };
    allowed(cross.keys().map(String::as_str).collect(), &["build", "target"]);
    allowed(keys(&cross["build"]), &BUILD);
    allowed(keys(&cross["build"]["env"]), &["volumes", "passthrough"]);
    let targets = cross["target"].as_table().unwrap();
    for (triple, target) in targets {
        allowed(keys(target), &TARGET);
        let image = target["image"].as_str().unwrap();
        assert!(image.starts_with("ghcr.io/cross-rs/") && image.contains(triple), "{image}");
    }
    assert!(targets.contains_key(cross["build"]["default-target"].as_str().unwrap()));
}

#[test]
fn both_ways_know_the_same_targets_and_only_cargo_has_flags() {
    let (cross, cargo) = (table("cross.toml"), table(".cargo/config.toml"));
    let targets = keys(&cargo["target"]);
    assert_eq!(keys(&cross["target"]), targets);
    for board in ddnm::boards::all().unwrap() {
        assert!(targets.contains(board.triple.as_str()), "{}", board.name);
    }
    // Flags in the environment would go before those of the file, in the container alone.
    for variable in cross["build"]["env"]["passthrough"].as_array().unwrap() {
        let variable = variable.as_str().unwrap();
        assert!(!variable.contains("FLAGS") && !variable.contains('='), "{variable}");
    }
    // What is forced would go before the compilers of cross's images.
    for (name, value) in cargo["env"].as_table().unwrap() {
        assert!(name.starts_with("CC_") && value.is_str(), "{name}");
    }
}
