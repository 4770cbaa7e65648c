//! What is known of the boards that the program is made for: `targets/*.toml`, compiled in. Which
//! one this is ([`detect`]), and how long work would take there ([`Board::seconds`]).

mod cgroup;
mod detect;
pub mod heat;
mod predict;
mod process;
mod processor;
mod root;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

pub use detect::{Machine, MemoryLimit, detect};
pub use predict::WINOGRAD;
pub(crate) use root::Root;

/// One board: a file of `targets/`, whose field names these are.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Board {
    /// What `--board` takes; also the name of the file.
    pub name: String,
    pub title: String,
    /// The Rust target of the program that is shipped for it.
    pub triple: String,
    pub cpu: String,
    pub clock_ghz: f64,
    /// Instruction sets that matter to the kernels, now or later.
    pub features: Vec<String>,
    pub cores: usize,
    /// Sizes that it is sold with, in MiB, smallest first.
    pub memory_mib: Vec<u64>,
    /// Bytes per page of the maker's usual kernel.
    pub page_size: u64,
    /// Parts of the device tree's `model` that identify it.
    pub model: Vec<String>,
    /// Entries of the device tree's `compatible` that identify it.
    pub compatible: Vec<String>,
    pub defaults: Defaults,
    pub arithmetic: Arithmetic,
    pub bandwidth: Bandwidth,
}

/// What a restoration uses there if nothing else is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    pub threads: usize,
    /// Name of a model.
    pub model: String,
    /// How its weights are held: `f32`, or `f16` or `int8` where such a file has been packed.
    pub weights: String,
    /// Rows of tiles at a time, at most.
    pub band: usize,
    /// Evaluations per pixel, at most, of what a degradation usually takes.
    pub steps: usize,
}

impl Defaults {
    /// Names of the model, the one to prefer first.
    pub fn models(&self) -> Vec<String> {
        match self.weights.as_str() {
            "f32" => vec![self.model.clone()],
            weights => vec![format!("{}-{weights}", self.model), self.model.clone()],
        }
    }
}

/// Single-precision arithmetic.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Arithmetic {
    /// Peak of all cores, in 1e9 operations per second; a multiply-add is two.
    pub gflops: f64,
    /// Peak of one core.
    pub gflops_core: f64,
    /// The part of the peak that the kernels are expected to reach on one core, 0 to 1.
    pub share: f64,
    /// How much faster all cores are than one, 1 to `cores`.
    pub scaling: f64,
    /// Where these numbers come from, and which of them are estimates.
    pub source: String,
}

/// Main memory.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Bandwidth {
    /// Bytes read and written, in 1e9 per second.
    pub gb_per_s: f64,
    /// Where the number comes from, and whether it is an estimate.
    pub source: String,
}

/// Every file of `targets/`, boards before the kinds of processor that stand for all others.
const FILES: [(&str, &str); 10] = [
    ("pi-zero-2-w", include_str!("../../targets/pi-zero-2-w.toml")),
    ("pi3", include_str!("../../targets/pi3.toml")),
    ("pi4", include_str!("../../targets/pi4.toml")),
    ("pi5", include_str!("../../targets/pi5.toml")),
    ("jetson-nano", include_str!("../../targets/jetson-nano.toml")),
    ("orin-nano", include_str!("../../targets/orin-nano.toml")),
    ("agx-orin", include_str!("../../targets/agx-orin.toml")),
    ("arm64", include_str!("../../targets/arm64.toml")),
    ("armv7", include_str!("../../targets/armv7.toml")),
    ("x86-64", include_str!("../../targets/x86-64.toml")),
];

/// All boards. An error would be a file of `targets/` that does not fit, which the tests refuse.
pub fn all() -> Result<&'static [Board]> {
    static BOARDS: OnceLock<Result<Vec<Board>>> = OnceLock::new();
    let boards = BOARDS.get_or_init(|| {
        FILES.iter().map(|(name, text)| Board::parse(text, &format!("{name}.toml"))).collect()
    });
    boards.as_deref().map_err(Error::clone)
}

/// The board of this name; the error lists the names that there are.
pub fn find(name: &str) -> Result<&'static Board> {
    let boards = all()?;
    boards.iter().find(|board| board.name == name).ok_or_else(|| {
        let names: Vec<&str> = boards.iter().map(|board| board.name.as_str()).collect();
        Error::Usage(format!("board: expected one of {}, found {name}", names.join(", ")))
    })
}

impl Board {
    /// Reads and checks the file of one board; `file` is its name in `targets/`.
    pub fn parse(text: &str, file: &str) -> Result<Board> {
        let path = Path::new("targets").join(file);
        let board: Board = toml::from_str(text).map_err(|e| {
            Error::input(&path, "a board (TOML)", e.to_string().trim_end().replace('\n', " "))
        })?;
        board.check(&path)?;
        Ok(board)
    }

    /// Refuses impossible values.
    fn check(&self, path: &Path) -> Result<()> {
        let refuse = |expected: &str, found: String| Err(Error::input(path, expected, found));
        if Some(self.name.as_str()) != path.file_stem().and_then(|stem| stem.to_str()) {
            return refuse("name as the file is called", self.name.clone());
        }
        if !(1..=1024).contains(&self.cores) {
            return refuse("cores from 1 to 1024", self.cores.to_string());
        }
        if !(1..=self.cores).contains(&self.defaults.threads) {
            return refuse("defaults.threads from 1 to cores", self.defaults.threads.to_string());
        }
        if !matches!(self.defaults.weights.as_str(), "f32" | "f16" | "int8") {
            return refuse("defaults.weights f32, f16 or int8", self.defaults.weights.clone());
        }
        for (field, found) in [("band", self.defaults.band), ("steps", self.defaults.steps)] {
            if !(1..=1000).contains(&found) {
                return refuse(&format!("defaults.{field} from 1 to 1000"), found.to_string());
            }
        }
        let grows = self.memory_mib.is_sorted_by(|a, b| a < b);
        if !grows || !self.memory_mib.first().is_some_and(|&mib| (64..1 << 30).contains(&mib)) {
            let expected = "memory_mib as at least one size from 64 MiB on, smallest first";
            return refuse(expected, format!("{:?}", self.memory_mib));
        }
        if !(self.page_size.is_power_of_two() && (4096..=65536).contains(&self.page_size)) {
            return refuse(
                "page_size as a power of two, 4096 to 65536",
                self.page_size.to_string(),
            );
        }
        let Arithmetic { gflops, gflops_core, share, scaling, .. } = self.arithmetic;
        let cores = self.cores as f64;
        let numbers = [
            ("clock_ghz above 0", self.clock_ghz, self.clock_ghz > 0.0),
            ("arithmetic.gflops_core above 0", gflops_core, gflops_core > 0.0),
            (
                "arithmetic.gflops as cores times gflops_core",
                gflops,
                (gflops - cores * gflops_core).abs() <= 0.01 * gflops,
            ),
            ("arithmetic.share above 0, up to 1", share, share > 0.0 && share <= 1.0),
            ("arithmetic.scaling from 1 to cores", scaling, (1.0..=cores).contains(&scaling)),
            ("bandwidth.gb_per_s above 0", self.bandwidth.gb_per_s, self.bandwidth.gb_per_s > 0.0),
        ];
        for (expected, found, holds) in numbers {
            if !(holds && found.is_finite()) {
                return refuse(expected, found.to_string());
            }
        }
        for (field, source) in
            [("arithmetic", &self.arithmetic.source), ("bandwidth", &self.bandwidth.source)]
        {
            if source.trim().is_empty() {
                return refuse(&format!("{field}.source as text"), "none".into());
            }
        }
        Ok(())
    }

    /// Bytes of the smallest memory that it is sold with.
    pub fn memory(&self) -> u64 {
        self.memory_mib.first().map_or(0, |mib| mib << 20)
    }
}
