//! What is fuzzed.

use std::sync::OnceLock;

use prost::Message;

use crate::network::network;
use crate::random::Random;
use crate::run::evaluate;
use crate::{npy, onnx, packed};

/// One loader.
pub struct Target {
    pub name: &'static str,
    /// Makes the input of a case.
    pub make: fn(&mut Random) -> Vec<u8>,
    /// Runs it; panics if the loader does what it must not. Returns whether it was accepted.
    pub run: fn(&[u8]) -> bool,
    /// The file in the input of a case, to look at with other tools.
    pub file: fn(&[u8]) -> &[u8],
}

pub const TARGETS: [Target; 3] = [
    Target {
        name: "onnx",
        make: |random| {
            static SEEDS: OnceLock<onnx::Seeds> = OnceLock::new();
            SEEDS.get_or_init(onnx::Seeds::find).make(random)
        },
        run: onnx::run,
        file: onnx::model,
    },
    Target {
        name: "ddnm",
        make: |random| {
            static SEEDS: OnceLock<packed::Seeds> = OnceLock::new();
            SEEDS.get_or_init(packed::Seeds::find).make(random)
        },
        run: packed::run,
        file: |case| case,
    },
    Target { name: "npy", make: npy::make, run: npy::run, file: |case| case },
];

/// Uses every loader once, on a good model.
pub fn warm() {
    drop(onnx::load(onnx::MANIFEST, &network().encode_to_vec()).and_then(evaluate));
}
