//! Which board this is, and what of it may be used.

use std::path::Path;

use serde::Serialize;

use super::cgroup::Limits;
use super::processor::{self, Processor};
use super::{Board, Root, all};
use crate::error::Result;

/// Where the kernel shows the device tree.
const TREES: [&str; 2] = ["proc/device-tree", "sys/firmware/devicetree/base"];

/// The machine that the program runs on. What the kernel does not say is `None`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// The board, or what stands for all with such a processor; `None` for processors that no
    /// file of `targets/` is about.
    pub board: Option<&'static Board>,
    /// What told the board.
    pub why: String,
    /// What the board calls itself.
    pub model: Option<String>,
    /// The core's name, or as the processor calls itself.
    pub processor: Option<String>,
    /// That of this program, as Rust calls it.
    pub architecture: &'static str,
    /// Processors that this process may run on.
    pub cpus: usize,
    /// How many full ones a control group grants.
    pub cpu_limit: Option<f64>,
    /// Bytes of memory that the machine has.
    pub memory: Option<u64>,
    /// Bytes that can be used now without swapping and within the limit.
    pub memory_available: Option<u64>,
    /// Bytes that a control group grants.
    pub memory_limit: Option<u64>,
    /// What this process may still allocate, where `ulimit` says so.
    pub process_left: Vec<MemoryLimit>,
    /// Bytes per page.
    pub page_size: Option<u64>,
}

impl Machine {
    /// Threads that are worth starting: a fraction of a processor counts as one, since time that
    /// one thread leaves unused is lost.
    pub fn threads(&self) -> usize {
        let granted = self.cpu_limit.map_or(usize::MAX, |cpus| cpus.ceil() as usize);
        self.cpus.min(granted).max(1)
    }

    /// Memory that a program may take, by all that is known.
    pub fn memory_left(&self) -> impl Iterator<Item = MemoryLimit> {
        let available = self.memory_available.map(MemoryLimit::of);
        available.into_iter().chain(self.process_left.iter().copied())
    }
}

/// A limit of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MemoryLimit {
    pub bytes: u64,
    /// What each thread besides the first takes of it that is not private memory.
    pub thread: u64,
}

impl MemoryLimit {
    /// One of private memory.
    pub fn of(bytes: u64) -> MemoryLimit {
        MemoryLimit { bytes, thread: 0 }
    }
}

/// Looks at the machine whose files are below `root`, which is `/` but for tests.
pub fn detect(root: &Path) -> Result<Machine> {
    detect_as(root, std::env::consts::ARCH)
}

/// [`detect`], for a program of the given architecture.
pub(super) fn detect_as(root: &Path, architecture: &'static str) -> Result<Machine> {
    let root = Root::new(root);
    let processor = Processor::read(&root);
    let tree = |name: &str| TREES.iter().find_map(|tree| root.text(&format!("{tree}/{name}")));
    let model = tree("model").or(processor.model).map(printable);
    let compatible = tree("compatible").unwrap_or_default();
    let (board, why) = identify(model.as_deref(), &compatible, architecture)?;

    let info = root.text("proc/meminfo").unwrap_or_default();
    let kib = |name: &str| {
        let rest = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    };
    let limits = Limits::read(&root);
    let memory = kib("MemTotal");
    let free = kib("MemAvailable");
    // A group may be granted more than there is.
    let memory_limit = limits.memory.filter(|&limit| memory.is_none_or(|memory| limit < memory));
    let left = memory_limit.and(limits.memory_left);
    Ok(Machine {
        board,
        why,
        model,
        processor: processor.name.map(printable),
        architecture,
        cpus: processor::allowed(&root).unwrap_or(processor.count).max(1),
        cpu_limit: limits.cpus,
        memory,
        memory_available: free.into_iter().chain(left).min(),
        memory_limit,
        process_left: super::process::left(&root),
        page_size: processor::page_size(&root),
    })
}

/// Without what could confuse a terminal.
fn printable(text: String) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// The board, and what told it.
fn identify(
    model: Option<&str>,
    compatible: &str,
    architecture: &str,
) -> Result<(Option<&'static Board>, String)> {
    let boards = all()?;
    if let Some(model) = model {
        for board in boards {
            if let Some(part) = board.model.iter().find(|part| model.contains(part.as_str())) {
                return Ok((Some(board), format!("it calls itself {part}")));
            }
        }
    }
    let names = || compatible.split('\0');
    for board in boards {
        if let Some(name) = board.compatible.iter().find(|name| names().any(|n| n == *name)) {
            return Ok((Some(board), format!("its device tree is compatible with {name}")));
        }
    }
    let kind = match architecture {
        "aarch64" => "arm64",
        "arm" => "armv7",
        "x86_64" => "x86-64",
        other => return Ok((None, format!("no board has a processor of the kind {other}"))),
    };
    let board = boards.iter().find(|board| board.name == kind);
    Ok((board, format!("no board is recognized, and this program is for {architecture}")))
}
