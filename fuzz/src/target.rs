//! What is fuzzed.

use std::sync::OnceLock;

use crate::onnx::{self, Seeds};
use crate::random::Random;

/// One loader. Another one (of the program's own model files) is one more entry in [`TARGETS`].
pub struct Target {
    pub name: &'static str,
    /// Makes the input of a case.
    pub make: fn(&mut Random) -> Vec<u8>,
    /// Runs it; panics if the loader does what it must not. Returns whether it was accepted.
    pub run: fn(&[u8]) -> bool,
    /// Uses the loader once, on a good input.
    pub warm: fn(),
    /// The file in the input of a case, to look at with other tools.
    pub file: fn(&[u8]) -> &[u8],
}

pub const TARGETS: [Target; 1] = [Target {
    name: "onnx",
    make: |random| seeds().make(random),
    run: onnx::run,
    warm: || drop(ddnm::prior::bundled()),
    file: onnx::model,
}];

fn seeds() -> &'static Seeds {
    static SEEDS: OnceLock<Seeds> = OnceLock::new();
    SEEDS.get_or_init(Seeds::find)
}
