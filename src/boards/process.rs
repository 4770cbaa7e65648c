//! Limits that this process was started with: `ulimit -v` and `ulimit -d`.

use super::{MemoryLimit, Root};

/// What a thread reserves and mostly never touches, so that no plan of private memory has it: its
/// stack, of two MiB in Rust, and what its allocator holds ready (1.6 MiB were seen).
const THREAD: u64 = 4 << 20;
/// Addresses that glibc's allocator reserves for a thread; that of musl reserves none.
const ADDRESSES: u64 = match (cfg!(target_env = "gnu"), cfg!(target_pointer_width = "64")) {
    (true, true) => 64 << 20,
    (true, false) => 1 << 20,
    (false, _) => 0,
};

/// What the process may still allocate, where limits say so.
pub(super) fn left(root: &Root) -> Vec<MemoryLimit> {
    let limits = root.text("proc/self/limits").unwrap_or_default();
    let status = root.text("proc/self/status").unwrap_or_default();
    let left = |limit: &str, used: &str, thread: u64| {
        // "Max data size     soft     hard     bytes": what applies is the soft one.
        let line = limits.lines().find_map(|line| line.strip_prefix(limit))?;
        let most: u64 = line.split_whitespace().next()?.parse().ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(used))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(MemoryLimit { bytes: most.saturating_sub(kib * 1024), thread })
    };
    let data = left("Max data size", "VmData:", THREAD);
    let addresses = left("Max address space", "VmSize:", THREAD + ADDRESSES);
    data.into_iter().chain(addresses).collect()
}
