//! Limits that this process was started with: `ulimit -v` and `ulimit -d`.

use super::Root;

/// Bytes that the process may still allocate, where a limit says so.
pub(super) fn left(root: &Root) -> Option<u64> {
    let limits = root.text("proc/self/limits")?;
    let status = root.text("proc/self/status")?;
    let left = |limit: &str, used: &str| {
        // "Max data size     soft     hard     bytes": what applies is the soft one.
        let line = limits.lines().find_map(|line| line.strip_prefix(limit))?;
        let most: u64 = line.split_whitespace().next()?.parse().ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(used))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(most.saturating_sub(kib * 1024))
    };
    let address_space = left("Max address space", "VmSize:");
    address_space.into_iter().chain(left("Max data size", "VmData:")).min()
}
