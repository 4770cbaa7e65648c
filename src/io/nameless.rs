//! Files without a name, which the system removes with the process that writes them, however it
//! ends. Linux has them on most file systems.

#[cfg(target_os = "linux")]
pub use linux::{create, link, reopen};
#[cfg(not(target_os = "linux"))]
pub use others::{create, link, reopen};

#[cfg(target_os = "linux")]
mod linux {
    use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};
    use std::fs::File;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::path::{Path, PathBuf};

    /// How the file can be reached meanwhile.
    fn handle(file: &File) -> PathBuf {
        format!("/proc/self/fd/{}", file.as_raw_fd()).into()
    }

    /// A file in `folder`; `None` where it cannot be had, or not be given a name later.
    pub fn create(folder: &Path) -> Option<File> {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = File::from(open(folder, flags, Mode::from_raw_mode(0o666)).ok()?);
        reopen(&file).is_ok().then_some(file)
    }

    /// Gives it a name that nothing has.
    pub fn link(file: &File, name: &Path) -> io::Result<()> {
        Ok(linkat(CWD, handle(file), CWD, name, AtFlags::SYMLINK_FOLLOW)?)
    }

    /// Opens it again, to be read.
    pub fn reopen(file: &File) -> io::Result<File> {
        File::open(handle(file))
    }
}

#[cfg(not(target_os = "linux"))]
mod others {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    pub fn create(_folder: &Path) -> Option<File> {
        None
    }

    pub fn link(_file: &File, _name: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn reopen(_file: &File) -> io::Result<File> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
