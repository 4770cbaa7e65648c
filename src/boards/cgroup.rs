//! Limits that a container, a service or a user's slice sets: control groups, both versions.
//! A group is bound by the groups around it too, so all of them are read.

use super::Root;

/// Limits on this process.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) struct Limits {
    /// Bytes of memory.
    pub(super) memory: Option<u64>,
    /// Bytes of the memory's limit that are not used yet, where there is a limit.
    pub(super) memory_left: Option<u64>,
    /// Processors, in full ones.
    pub(super) cpus: Option<f64>,
}

/// Where version 2 is mounted: alone, or beside version 1.
const UNIFIED: [&str; 2] = ["sys/fs/cgroup", "sys/fs/cgroup/unified"];

impl Limits {
    pub(super) fn read(root: &Root) -> Limits {
        let mut limits = Limits::default();
        // Lines are `number:controllers:path`; version 2 has no controllers.
        let own = root.text("proc/self/cgroup").unwrap_or_default();
        for line in own.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
            for group in groups(path) {
                if controllers.is_empty() {
                    for mount in UNIFIED {
                        limits.unified(root, &format!("{mount}{group}"));
                    }
                }
                let has = |name| controllers.split(',').any(|c| c == name);
                if has("memory") {
                    limits.memory_v1(root, &format!("sys/fs/cgroup/memory{group}"));
                }
                if has("cpu") {
                    // The mount point is named by all controllers that share it.
                    limits.cpu_v1(root, &format!("sys/fs/cgroup/cpu{group}"));
                    limits.cpu_v1(root, &format!("sys/fs/cgroup/{controllers}{group}"));
                }
            }
        }
        limits
    }

    fn unified(&mut self, root: &Root, group: &str) {
        // "max", or bytes.
        let limit = root.number(&format!("{group}/memory.max"));
        let used = root.number(&format!("{group}/memory.current"));
        self.memory(root, group, limit, used, "inactive_file ");
        // "max period", or "quota period", in microseconds.
        let text = root.text(&format!("{group}/cpu.max")).unwrap_or_default();
        if let Some((quota, period)) = text.split_once(' ') {
            self.cpus(quota.parse().ok(), period.trim().parse().ok());
        }
    }

    fn memory_v1(&mut self, root: &Root, group: &str) {
        let limit: Option<u64> = root.number(&format!("{group}/memory.limit_in_bytes"));
        // No limit is the largest number of whole pages.
        let limit = limit.filter(|&bytes| bytes < 1 << 62);
        let used = root.number(&format!("{group}/memory.usage_in_bytes"));
        self.memory(root, group, limit, used, "total_inactive_file ");
    }

    fn cpu_v1(&mut self, root: &Root, group: &str) {
        // -1 is no quota.
        let quota: Option<i64> = root.number(&format!("{group}/cpu.cfs_quota_us"));
        let period = root.number(&format!("{group}/cpu.cfs_period_us"));
        self.cpus(quota.filter(|&q| q > 0).map(|q| q as f64), period);
    }

    fn memory(
        &mut self,
        root: &Root,
        group: &str,
        limit: Option<u64>,
        used: Option<u64>,
        idle: &str,
    ) {
        let Some(limit) = limit else { return };
        // Pages of files that nobody touched lately count as used, but are given up first.
        let stat = root.text(&format!("{group}/memory.stat")).unwrap_or_default();
        let idle = stat.lines().find_map(|line| line.strip_prefix(idle)?.trim().parse().ok());
        let used = used.unwrap_or(0).saturating_sub(idle.unwrap_or(0));
        self.memory = least(self.memory, limit);
        self.memory_left = least(self.memory_left, limit.saturating_sub(used));
    }

    fn cpus(&mut self, quota: Option<f64>, period: Option<f64>) {
        if let (Some(quota), Some(period)) = (quota, period) {
            let cpus = quota / period;
            if cpus.is_finite() && cpus > 0.0 {
                self.cpus = Some(self.cpus.map_or(cpus, |other| other.min(cpus)));
            }
        }
    }
}

fn least(known: Option<u64>, new: u64) -> Option<u64> {
    Some(known.map_or(new, |known| known.min(new)))
}

/// A group and those around it: `/a/b`, `/a` and the empty path of the mount itself. In a
/// container the mount is often the group itself, and only the last one is there.
fn groups(path: &str) -> Vec<&str> {
    let path = path.trim_end_matches('/');
    // `..` is a group outside of what this process may see.
    if path.split('/').any(|part| part == "..") {
        return vec![""];
    }
    let ends = path.match_indices('/').map(|(i, _)| i).take(64);
    let mut groups: Vec<&str> = ends.map(|end| &path[..end]).collect();
    if !path.is_empty() {
        groups.push(path);
    }
    if groups.is_empty() {
        groups.push("");
    }
    groups
}
