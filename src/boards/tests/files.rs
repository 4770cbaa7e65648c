use std::path::Path;

use super::super::{Board, FILES, all, find};

const PI4: &str = include_str!("../../../targets/pi4.toml");

#[test]
fn every_file_of_targets_is_compiled_in() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("targets");
    let mut there = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let compiled = FILES.iter().find(|(n, _)| *n == name).map(|(_, text)| *text);
            assert_eq!(compiled, Some(&*std::fs::read_to_string(&path).unwrap()), "{name}");
            there.push(name);
        }
    }
    assert_eq!(there.len(), FILES.len());
    assert_eq!(all().unwrap().len(), FILES.len());
}

#[test]
fn what_a_file_says_holds_together() {
    let triples = [
        "aarch64-unknown-linux-musl",
        "armv7-unknown-linux-gnueabihf",
        "x86_64-unknown-linux-musl",
    ];
    for board in all().unwrap() {
        let name = &board.name;
        assert!(triples.contains(&board.triple.as_str()), "{name}");
        assert!(["patch-s", "patch-xs"].contains(&board.defaults.model.as_str()), "{name}");
        // Whoever has not measured says so.
        for source in [&board.arithmetic.source, &board.bandwidth.source] {
            let honest = ["Estimate", "estimate", "Measured by others"];
            assert!(honest.iter().any(|word| source.contains(word)), "{name}: {source}");
        }
    }
}

#[test]
fn boards_are_found_by_name_and_unknown_ones_are_answered_with_the_list() {
    assert_eq!(find("pi5").unwrap().page_size, 16384);
    let error = find("pi9").unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let text = error.to_string();
    assert!(text.contains("pi9") && FILES.iter().all(|(name, _)| text.contains(name)), "{text}");
}

#[test]
fn a_file_that_does_not_fit_is_refused_with_its_name_and_field() {
    let refused = |from: &str, to: &str| {
        assert!(PI4.contains(from), "{from}");
        Board::parse(&PI4.replacen(from, to, 1), "pi4.toml").unwrap_err().to_string()
    };
    let cases = [
        ("cores = 4", "cores = 0", "cores"),
        ("cores = 4", "cores = \"four\"", "cores"),
        ("cores = 4", "", "cores"),
        ("cores = 4", "cores = 4\nspeed = 9", "speed"),
        ("threads = 4", "threads = 5", "threads"),
        ("weights = \"f32\"", "weights = \"bf16\"", "weights"),
        ("[1024, 2048, 4096, 8192]", "[]", "memory_mib"),
        ("[1024, 2048, 4096, 8192]", "[2048, 1024]", "memory_mib"),
        ("page_size = 4096", "page_size = 5000", "page_size"),
        ("clock_ghz = 1.8", "clock_ghz = nan", "clock_ghz"),
        ("gflops = 57.6", "gflops = 100.0", "gflops"),
        ("share = 0.5", "share = 1.5", "share"),
        ("scaling = 1.8", "scaling = 4.5", "scaling"),
        ("gb_per_s = 5.6", "gb_per_s = inf", "gb_per_s"),
        ("name = \"pi4\"", "name = \"pi5\"", "name"),
    ];
    for (from, to, field) in cases {
        let error = refused(from, to);
        assert!(error.contains("pi4.toml") && error.contains(field), "{from}: {error}");
    }
    let source = PI4.rsplit_once("source = ").unwrap().0.to_owned() + "source = \" \"";
    let error = Board::parse(&source, "pi4.toml").unwrap_err().to_string();
    assert!(error.contains("bandwidth.source"), "{error}");
    assert!(Board::parse(PI4, "pi4.toml").is_ok());
}

#[test]
fn predictions_follow_arithmetic_or_memory_whichever_is_slower() {
    let board = find("pi4").unwrap();
    // 14.4 G/s x 0.5 x 4, and two operations in a multiply-accumulate.
    let one = board.seconds(14_400_000_000, 0, 1);
    assert!((one - 1.0).abs() < 1e-9, "{one}");
    assert!((board.seconds(14_400_000_000, 0, 4) - 1.0 / 1.8).abs() < 1e-9);
    // More threads than cores do not help, and none counts as one.
    assert_eq!(board.seconds(1 << 30, 0, 4), board.seconds(1 << 30, 0, 64));
    assert_eq!(board.seconds(1 << 30, 0, 0), board.seconds(1 << 30, 0, 1));
    assert!((board.seconds(1, 56_000_000_000, 4) - 10.0).abs() < 1e-9);
    let seconds = |name: &str| find(name).unwrap().seconds(1 << 40, 1 << 30, 64);
    assert!(seconds("pi-zero-2-w") > seconds("pi4") && seconds("pi4") > seconds("pi5"));
}
