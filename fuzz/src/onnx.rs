//! The loader of ONNX files.

use std::path::{Path, PathBuf};

use ddnm::certificate::sha256;
use ddnm::prior::{Manifest, Model};
use prost::Message;
use tract_onnx::pb::ModelProto;

use crate::mutate::{damage, mutate};
use crate::network::network;
use crate::random::Random;
use crate::run::{accepted, evaluate};
use crate::tiny::Tiny;

/// The manifest of the models of the tests.
pub const MANIFEST: &str = "
name = 'tiny'\nfile = 'tiny.onnx'\nlicence = 'CC0-1.0'\nchannels = 3
sha256 = ''
input = 'picture'\noutput = 'result'\nprediction = 'v'
conditioning = 'timestep'\nconditioning_input = 'told'\nmultiple = 4\ntile = 64
halo = [{ sigma = 1.0, pixels = 8 }]
schedule = { kind = 'linear', beta_start = 1e-4, beta_end = 0.02, steps = 1000 }
";

/// A model to start from, and its manifest.
struct Seed {
    manifest: String,
    model: ModelProto,
}

/// The models to start from: two small ones, and those of the repository.
pub struct Seeds {
    small: Vec<Seed>,
    real: Vec<Seed>,
}

impl Seeds {
    pub fn find() -> Seeds {
        let tiny = ModelProto::decode(&Tiny::default().onnx()[..]).expect("a model");
        let small = [tiny, network()].map(|model| Seed { manifest: MANIFEST.into(), model });
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let folders = ["models", "tests/reference"].map(|folder| root.join(folder));
        let mut files: Vec<PathBuf> = folders
            .iter()
            .flat_map(std::fs::read_dir)
            .flatten()
            .flatten()
            .map(|e| e.path())
            .collect();
        files.sort();
        let read = |path: &PathBuf| {
            let bytes = std::fs::read(path).ok()?;
            let manifest = std::fs::read_to_string(path.with_extension("toml")).ok()?;
            Some(Seed { manifest, model: ModelProto::decode(&bytes[..]).ok()? })
        };
        let is_model = |path: &&PathBuf| path.extension().is_some_and(|e| e == "onnx");
        let real = files.iter().filter(is_model).filter_map(read).collect();
        Seeds { small: small.into(), real }
    }

    /// The input of a case: a manifest and a file.
    pub fn make(&self, r: &mut Random) -> Vec<u8> {
        let seeds = if r.chance(2) && !self.real.is_empty() { &self.real } else { &self.small };
        let seed = r.pick(seeds);
        let mut model = seed.model.clone();
        let in_bytes = r.chance(15);
        for _ in 0..if in_bytes { 0 } else { 1 + r.below(4) } {
            mutate(&mut model, r);
        }
        let mut bytes = model.encode_to_vec();
        if in_bytes {
            damage(&mut bytes, r);
        }
        join(&seed.manifest, &bytes)
    }
}

/// The manifest's length, the manifest, the model.
fn join(manifest: &str, model: &[u8]) -> Vec<u8> {
    let length = (manifest.len() as u64).to_le_bytes();
    [&length[..], manifest.as_bytes(), model].concat()
}

fn split(case: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = case.split_first_chunk()?;
    let (manifest, model) = rest.split_at_checked(u64::from_le_bytes(*length) as usize)?;
    Some((std::str::from_utf8(manifest).ok()?, model))
}

/// Loads the model of a case and evaluates a window; returns whether it was accepted.
pub fn run(case: &[u8]) -> bool {
    let (manifest, model) = split(case).expect("a case as `make` writes it");
    accepted(load(manifest, model).and_then(evaluate))
}

/// Loads a model whose checksum the manifest need not have.
pub fn load(manifest: &str, model: &[u8]) -> ddnm::Result<Model> {
    let path = Path::new("case.onnx");
    let sum = format!("sha256 = '{}'", sha256(model));
    let lines = manifest.lines();
    let lines: Vec<&str> =
        lines.map(|l| if l.starts_with("sha256") { sum.as_str() } else { l }).collect();
    Model::onnx(Manifest::parse(&lines.join("\n"), path)?, model, path)
}

/// The model of a case, for a look at it.
pub fn model(case: &[u8]) -> &[u8] {
    split(case).map_or(case, |(_, model)| model)
}
