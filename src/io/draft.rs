//! A picture file that is checked before it gets its name.

use super::write::{Header, TakeRow, encode_rows};
use super::{AtomicFile, Picture, is_standard, write_bytes};
use crate::error::Result;
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A PNG file that has been written whole and has no name yet. It can be read, and takes its name
/// at [`commit`](Draft::commit); dropped without that, nothing is left of it.
///
/// It lies beside its final place; what will go to standard output, a device or a pipe is held in
/// memory until then.
pub struct Draft {
    target: PathBuf,
    file: Option<AtomicFile>,
    bytes: Vec<u8>,
    sha256: [u8; 32],
}

impl Draft {
    /// Whether a draft for `path` is held in memory.
    pub fn is_held(path: &Path) -> bool {
        is_standard(path) || std::fs::metadata(path).is_ok_and(|m| !m.is_file())
    }

    /// Writes a draft; see [`encode_rows`].
    pub fn write(
        path: &Path,
        header: &Header,
        produce: &mut dyn FnMut(TakeRow) -> Result<()>,
    ) -> Result<Draft> {
        let (mut file, mut bytes) = (None, Vec::new());
        let out: &mut dyn Write = match Draft::is_held(path) {
            true => &mut bytes,
            false => file.insert(AtomicFile::create(path)?),
        };
        let mut hashed = Hashed { out, hash: Sha256::new() };
        encode_rows(&mut hashed, path, header, produce)?;
        let sha256 = hashed.hash.finalize().into();
        Ok(Draft { target: path.into(), file, bytes, sha256 })
    }

    /// SHA-256 of the file's bytes.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// Lets `work` read what has been written.
    pub fn read<T>(&mut self, work: impl FnOnce(&Picture) -> Result<T>) -> Result<T> {
        if let Some(file) = &mut self.file
            && let Some(written) = file.reopen()?
        {
            return work(&Picture::from_file(written, &self.target)?);
        }
        let picture = Picture::from_bytes(std::mem::take(&mut self.bytes), &self.target)?;
        let result = work(&picture);
        self.bytes = picture.into_bytes();
        result
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// `Error::Output`.
    pub fn commit(self) -> Result<()> {
        match self.file {
            Some(file) => file.commit(),
            None => write_bytes(&self.target, &self.bytes),
        }
    }
}

/// Sums up what goes through it.
struct Hashed<'a> {
    out: &'a mut dyn Write,
    hash: Sha256,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.out.write(bytes)?;
        self.hash.update(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
