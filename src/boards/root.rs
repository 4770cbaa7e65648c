//! Files of the kernel below a root, so that made-up trees can stand in for it.

use std::path::{Path, PathBuf};

/// No file of the kernel that is read here is longer.
const LONGEST: u64 = 1 << 20;

/// The root of a file system: `/`, or a made-up tree.
#[derive(Debug, Clone)]
pub(crate) struct Root(PathBuf);

impl Root {
    pub(crate) fn new(root: &Path) -> Root {
        Root(root.into())
    }

    /// The bytes of a file, named from the root without its slash; `None` if it cannot be read.
    pub(crate) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        use std::io::Read;
        let mut bytes = Vec::new();
        let file = std::fs::File::open(self.0.join(name)).ok()?;
        file.take(LONGEST).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// The text of a file, without zero bytes and space around it.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let bytes = self.bytes(name)?;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The whole number that a file holds.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    /// Names in a folder that begin with `prefix`, in order.
    pub(crate) fn list(&self, folder: &str, prefix: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.join(folder)).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
        names.sort();
        names
    }
}
