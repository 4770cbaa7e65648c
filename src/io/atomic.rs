//! Files that appear under their names only when they are whole.

use super::{is_standard, nameless};
use crate::error::{Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// Reason of the `Error::Output` of a pipe whose reader has gone; see `is_broken_pipe`.
const BROKEN_PIPE: &str = "the reader of the pipe has gone";
const BUFFER: usize = 1 << 16;

/// A file under construction. It is written in the folder of its final name, takes that name at
/// `commit`, and vanishes when dropped without that. Where the system has files without a name it
/// is one, and also vanishes when the process is killed; elsewhere it has a hidden temporary name.
///
/// A symbolic link is followed, so the file behind it is what is replaced. What is no regular
/// file (a device, a named pipe) cannot be replaced and is written to directly.
#[derive(Debug)]
pub struct AtomicFile {
    /// Empty once committed.
    file: Option<BufWriter<File>>,
    place: Place,
    target: PathBuf,
    /// The name as the caller gave it, for messages.
    name: PathBuf,
}

/// Where a file is while it is written.
#[derive(Debug)]
enum Place {
    /// Where it stays: a device or a pipe, or committed.
    Final,
    /// Under a temporary name.
    Temporary(PathBuf),
    Nameless,
}

impl AtomicFile {
    /// Starts a file that will be called `path`. The folder must exist.
    ///
    /// # Errors
    /// `Error::Output` with the path and the reason.
    pub fn create(path: &Path) -> Result<AtomicFile> {
        let name = path.to_path_buf();
        let refused = |why: &str| Err(Error::output(path, why));
        let target = match fs::symlink_metadata(path) {
            // A link that leads nowhere is itself replaced.
            Ok(m) if m.is_symlink() => fs::canonicalize(path).unwrap_or_else(|_| path.into()),
            _ => path.into(),
        };
        let existing = fs::metadata(&target).ok();
        let names_folder = path.as_os_str().as_encoded_bytes().ends_with(b"/");
        if names_folder || existing.as_ref().is_some_and(|m| m.is_dir()) {
            return refused("it is a folder");
        }
        if existing.as_ref().is_some_and(|m| !m.is_file()) {
            let file = OpenOptions::new().write(true).open(&target);
            let file = file.map_err(|e| Error::output(path, reason(&e)))?;
            let file = Some(BufWriter::with_capacity(BUFFER, file));
            return Ok(AtomicFile { file, place: Place::Final, target, name });
        }
        if target.file_name().is_none() {
            return refused("it is no file name");
        }
        let (file, place) = match nameless::create(folder_of(&target)) {
            Some(file) => (file, Place::Nameless),
            None => {
                let (file, temp) = with_temporary_name(&target, |temp| File::create_new(temp))
                    .map_err(|e| Error::output(path, reason(&e)))?;
                (file, Place::Temporary(temp))
            }
        };
        if let Some(old) = existing {
            // The new file keeps the old one's mode where the system lets us.
            let _ = file.set_permissions(old.permissions());
        }
        let file = Some(BufWriter::with_capacity(BUFFER, file));
        Ok(AtomicFile { file, place, target, name })
    }

    /// Makes sure that everything is on the disk and gives the file its final name.
    ///
    /// # Errors
    /// `Error::Output`; the final name then still shows what it showed before.
    pub fn commit(mut self) -> Result<()> {
        self.finish().map_err(|e| Error::output(&self.name, reason(&e)))
    }

    /// What has been written so far, to be read; `None` for devices and pipes.
    ///
    /// # Errors
    /// `Error::Output`.
    pub fn reopen(&mut self) -> Result<Option<File>> {
        let failed = |e: io::Error| Error::output(&self.name, reason(&e));
        let Some(writer) = &mut self.file else { return Ok(None) };
        writer.flush().map_err(failed)?;
        let opened = match &self.place {
            Place::Final => return Ok(None),
            Place::Temporary(temp) => File::open(temp),
            Place::Nameless => nameless::reopen(writer.get_ref()),
        };
        opened.map(Some).map_err(failed)
    }

    fn finish(&mut self) -> io::Result<()> {
        let Some(mut writer) = self.file.take() else { return Ok(()) };
        writer.flush()?;
        if matches!(self.place, Place::Final) {
            return Ok(());
        }
        writer.get_ref().sync_all()?;
        if matches!(self.place, Place::Nameless) {
            // A link cannot take another file's place, so there is a temporary name after all.
            let link = |temp: &Path| nameless::link(writer.get_ref(), temp);
            self.place = Place::Temporary(with_temporary_name(&self.target, link)?.1);
        }
        drop(writer);
        if let Place::Temporary(temp) = &self.place {
            fs::rename(temp, &self.target)?;
        }
        self.place = Place::Final;
        // The name is safe against a power cut once the folder is on the disk too; not every
        // file system offers that, and the file itself is whole either way.
        if cfg!(unix) {
            let _ = File::open(folder_of(&self.target)).and_then(|f| f.sync_all());
        }
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => Err(ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), |file| file.flush())
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if matches!(self.place, Place::Final) {
            return;
        }
        // What is still in the buffer is not worth writing.
        if let Some(writer) = self.file.take() {
            drop(writer.into_parts());
        }
        if let Place::Temporary(temp) = &self.place {
            let _ = fs::remove_file(temp);
        }
    }
}

/// Writes a text file, all or nothing; `-` is standard output.
///
/// # Errors
/// `Error::Output`.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    if is_standard(path) {
        return to_stdout(|out, name| {
            out.write_all(bytes).map_err(|e| Error::output(name, reason(&e)))
        });
    }
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes).map_err(|e| Error::output(path, reason(&e)))?;
    file.commit()
}

/// Finds out before long work whether a file of this name could be written at its end: the
/// folder exists and lets files be made, and the name is not a folder's. Leaves nothing behind.
///
/// # Errors
/// `Error::Output`, as the write itself would give.
pub fn check_writable(path: &Path) -> Result<()> {
    // Opening a named pipe would wait for its reader; devices and pipes are left to the write.
    let special = fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir());
    if is_standard(path) || special {
        return Ok(());
    }
    AtomicFile::create(path).map(drop)
}

/// Removes what processes that were killed have left in a folder: files under temporary names that
/// nobody has written to for a day. What cannot be read or removed stays.
pub fn remove_leftovers(folder: &Path) {
    const OLD: Duration = Duration::from_secs(24 * 60 * 60);
    let is_temporary = |name: &str| {
        let (rest, count) = name.strip_prefix('.')?.strip_suffix(".tmp")?.rsplit_once('-')?;
        let (_, process) = rest.rsplit_once('.')?;
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        (is_number(process) && is_number(count)).then_some(())
    };
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let named = entry.file_name().to_str().and_then(is_temporary).is_some();
        let is_old = |time: SystemTime| time.elapsed().is_ok_and(|age| age > OLD);
        if named && entry.metadata().is_ok_and(|m| m.is_file() && m.modified().is_ok_and(is_old)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether this error says that the reader of our output has gone, which ends a pipeline
/// (`ddnm … | head`) in good order.
pub fn is_broken_pipe(error: &Error) -> bool {
    matches!(error, Error::Output { reason, .. } if reason == BROKEN_PIPE)
}

/// Lets `work` write to standard output, buffered, and flushes. `work` gets the name to use in
/// its errors.
pub fn to_stdout(work: impl FnOnce(&mut dyn Write, &Path) -> Result<()>) -> Result<()> {
    let name = Path::new("standard output");
    let mut out = BufWriter::with_capacity(BUFFER, io::stdout().lock());
    work(&mut out, name)?;
    out.flush().map_err(|e| Error::output(name, reason(&e)))
}

/// Why the system would not write, in words that fit after "cannot write FILE:".
pub(crate) fn reason(e: &io::Error) -> String {
    match e.kind() {
        ErrorKind::NotFound => "no such folder".into(),
        ErrorKind::NotADirectory => "its folder is not a folder".into(),
        ErrorKind::AlreadyExists => "it is no folder".into(),
        ErrorKind::IsADirectory => "it is a folder".into(),
        ErrorKind::PermissionDenied => "no permission".into(),
        ErrorKind::ReadOnlyFilesystem => "the disk is read-only".into(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "the disk is full".into(),
        ErrorKind::BrokenPipe => BROKEN_PIPE.into(),
        _ => e.to_string(),
    }
}

/// The folder that holds `path`.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes something under a hidden name beside `target` that nothing else has:
/// `.NAME.PID-COUNT.tmp`.
fn with_temporary_name<T>(
    target: &Path,
    make: impl Fn(&Path) -> io::Result<T>,
) -> io::Result<(T, PathBuf)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let folder = folder_of(target);
    let stem = target.file_name().unwrap_or_default().to_string_lossy();
    // Shortened: the temporary name must not be too long where the final one is not.
    let stem: String = stem.chars().take(32).collect();
    let process = std::process::id();
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let temp = folder.join(format!(".{stem}.{process}-{count}.tmp"));
        match make(&temp) {
            // Left by a process of the same number that was killed; the next count is free.
            Err(e) if e.kind() == ErrorKind::AlreadyExists => continue,
            result => return result.map(|made| (made, temp)),
        }
    }
}
