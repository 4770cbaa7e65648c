//! Many files at once: folders of pictures, and numbered ones.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::atomic::reason;
use crate::error::{Error, Result};

/// Names that files of a folder must end with to be taken for pictures.
const ENDINGS: [&str; 4] = ["png", "jpg", "jpeg", "npy"];

/// Files that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Files {
    Folder(PathBuf),
    /// `folder/` `before` NUMBER `after`; the number has at least so many digits, zeros in front.
    Numbered {
        folder: PathBuf,
        before: String,
        digits: usize,
        after: String,
    },
}

/// One of many files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is below the folder, `/` between the parts.
    pub name: PathBuf,
    /// Of a numbered file.
    pub number: Option<u64>,
}

impl Files {
    /// The files that an input names; `None` for a single one: what exists and is no folder, and
    /// a name without `%d` or `%06d`.
    pub fn of_input(path: &Path) -> Option<Files> {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => Some(Files::Folder(path.into())),
            Ok(_) => None,
            Err(_) => Files::numbered(path),
        }
    }

    /// The files that an output names: numbered ones, or a folder.
    pub fn of_output(path: &Path) -> Files {
        Files::numbered(path).unwrap_or_else(|| Files::Folder(path.into()))
    }

    fn numbered(path: &Path) -> Option<Files> {
        let name = path.file_name()?.to_str()?;
        let (before, rest) = name.split_once('%')?;
        let (digits, after) = rest.split_once('d')?;
        let digits = match digits.strip_prefix('0') {
            None if digits.is_empty() => 1,
            None => return None,
            Some(width) => width.parse().ok().filter(|n| (1..=20).contains(n))?,
        };
        let folder = path.parent().filter(|f| !f.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).into();
        Some(Files::Numbered { folder, before: before.into(), digits, after: after.into() })
    }

    /// The folder that they are in.
    pub fn folder(&self) -> &Path {
        match self {
            Files::Folder(folder) | Files::Numbered { folder, .. } => folder,
        }
    }

    /// The files that there are: numbered ones by their numbers, those of a folder by their names,
    /// with those of the folders in it if `recursive`. Hidden files are left out, and so is what
    /// lies below `except`.
    ///
    /// # Errors
    /// [`Error::Input`] for folders that cannot be read, and where there is no such file.
    pub fn list(&self, recursive: bool, except: &Path) -> Result<Vec<Entry>> {
        let mut found = Vec::new();
        let expected = match self {
            Files::Folder(folder) => {
                let except = fs::canonicalize(except).ok();
                walk(folder, Path::new(""), recursive, except.as_deref(), &mut found)?;
                found.sort_by(|a, b| a.name.cmp(&b.name));
                "PNG, JPEG or .npy files".into()
            }
            Files::Numbered { folder, .. } => {
                for name in names(folder)? {
                    if let Some(number) = self.number(&name) {
                        found.push(Entry { name: name.into(), number: Some(number) });
                    }
                }
                found.sort_by_key(|entry| entry.number);
                format!("files such as {}", self.file_name(0))
            }
        };
        match found.is_empty() {
            true => Err(Error::input(self.folder(), expected, "none")),
            false => Ok(found),
        }
    }

    /// The number in a file's name, if it is one of these.
    fn number(&self, name: &str) -> Option<u64> {
        let Files::Numbered { before, after, .. } = self else { return None };
        let text = name.strip_prefix(before.as_str())?.strip_suffix(after.as_str())?;
        let number = text.parse().ok()?;
        (self.file_name(number) == name).then_some(number)
    }

    fn file_name(&self, number: u64) -> String {
        match self {
            Files::Folder(_) => number.to_string(),
            Files::Numbered { before, digits, after, .. } => {
                format!("{before}{number:0digits$}{after}")
            }
        }
    }

    /// The file of these that stands for another set's `entry`: by its number, or in a folder by
    /// its name with this ending.
    ///
    /// # Errors
    /// [`Error::Usage`] where these are numbered and the entry is not.
    pub fn place(&self, entry: &Entry, ending: &str) -> Result<PathBuf> {
        match (self, entry.number) {
            (Files::Folder(folder), _) => Ok(folder.join(entry.name.with_extension(ending))),
            (Files::Numbered { folder, .. }, Some(n)) => Ok(folder.join(self.file_name(n))),
            (Files::Numbered { .. }, None) => {
                let (name, file) = (entry.name.display(), self.file_name(0));
                Err(Error::Usage(format!(
                    "expected a folder for what a folder becomes, found numbers ({file}) for {name}"
                )))
            }
        }
    }
}

/// Refuses outputs that are inputs too, and two inputs that would become one output.
///
/// # Errors
/// [`Error::Usage`] with the names.
pub fn check_distinct(pairs: &[(PathBuf, PathBuf)]) -> Result<()> {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.into());
    let inputs: HashSet<PathBuf> = pairs.iter().map(|(input, _)| real(input)).collect();
    let mut outputs = HashSet::new();
    for (input, output) in pairs {
        let (name, becomes) = (input.display(), output.display());
        if inputs.contains(&real(output)) {
            return Err(Error::Usage(format!("{becomes}: expected another name than an input's")));
        }
        if !outputs.insert(output) {
            return Err(Error::Usage(format!("{name}: another input becomes {becomes} already")));
        }
    }
    Ok(())
}

/// Names in a folder; those that are no text are left out, with a warning.
fn names(folder: &Path) -> Result<Vec<String>> {
    let failed = |e: std::io::Error| Error::input(folder, "a folder of frames", reason(&e));
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        match entry.map_err(failed)?.file_name().into_string() {
            Ok(name) => names.push(name),
            Err(odd) => log::warn!("{}: not UTF-8: {}", folder.display(), odd.display()),
        }
    }
    Ok(names)
}

fn walk(
    root: &Path,
    below: &Path,
    recursive: bool,
    except: Option<&Path>,
    found: &mut Vec<Entry>,
) -> Result<()> {
    for name in names(&root.join(below))? {
        let (name, path) = (below.join(&name), root.join(below).join(&name));
        let hidden = name.file_name().is_none_or(|n| n.as_encoded_bytes().starts_with(b"."));
        // A folder behind a symbolic link may be one that we are in.
        let is_folder = fs::symlink_metadata(&path).is_ok_and(|m| m.is_dir());
        if hidden || (is_folder && fs::canonicalize(&path).ok().as_deref() == except) {
            continue;
        }
        if is_folder && recursive {
            walk(root, &name, recursive, except, found)?;
        } else if !is_folder {
            let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("");
            if ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known)) && !path.is_dir() {
                found.push(Entry { name, number: None });
            }
        }
    }
    Ok(())
}
