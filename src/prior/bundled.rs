//! The prior that comes with the program, and how others are found.

use std::path::{Path, PathBuf};

use super::{Manifest, OnnxPrior};
use crate::error::{Error, Result};
use crate::weights;

const MANIFEST: &str = include_str!("../../models/patch-s.toml");
const WEIGHTS: &[u8] = include_bytes!("../../models/patch-s.onnx");

/// The prior inside the binary.
pub fn bundled() -> Result<OnnxPrior> {
    let path = Path::new("patch-s (built in)");
    OnnxPrior::new(Manifest::parse(MANIFEST, path)?, WEIGHTS, path)
}

/// Folders that a bare model name is looked up in, first to last.
fn folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let binary = std::env::current_exe().ok();
    folders.extend(binary.as_deref().and_then(Path::parent).map(|folder| folder.join("models")));
    if let Some(home) = std::env::var_os("XDG_DATA_HOME") {
        folders.push(PathBuf::from(home).join("ddnm"));
    } else if let Some(home) = std::env::var_os("HOME") {
        folders.push(PathBuf::from(home).join(".local/share/ddnm"));
    }
    folders.push("/usr/local/share/ddnm".into());
    folders.push("/usr/share/ddnm".into());
    folders
}

/// Finds a prior. `None` is the one inside the binary. Otherwise `model` is a manifest
/// (`.toml`), an ONNX file with its manifest beside it under the same name, or the bare name of
/// a manifest in `models/` beside the binary, in `$XDG_DATA_HOME/ddnm` (`~/.local/share/ddnm`),
/// `/usr/local/share/ddnm` or `/usr/share/ddnm`.
pub fn find(model: Option<&str>) -> Result<OnnxPrior> {
    let Some(model) = model else { return bundled() };
    let path = Path::new(model);
    let is_name = !model.contains('/') && path.extension().is_none();
    if !is_name {
        return load(&path.with_extension("toml"), path);
    }
    if Manifest::parse(MANIFEST, path)?.name == model {
        return bundled();
    }
    let tried: Vec<PathBuf> = folders().iter().map(|f| f.join(format!("{model}.toml"))).collect();
    match tried.iter().find(|p| p.is_file()) {
        Some(found) => load(found, found),
        None => {
            let places: Vec<String> = tried.iter().map(|p| p.display().to_string()).collect();
            let expected = format!("a manifest in one of {}", places.join(", "));
            Err(Error::model(path, expected, "none"))
        }
    }
}

/// Loads the model of a manifest; `asked` is what the user named, for the error.
fn load(manifest: &Path, asked: &Path) -> Result<OnnxPrior> {
    if !asked.exists() {
        return Err(Error::model(asked, "a manifest (.toml) or an ONNX file", "no such file"));
    }
    let text = std::fs::read_to_string(manifest)
        .map_err(|e| Error::model(manifest, "a manifest beside the model", e))?;
    let parsed = Manifest::parse(&text, manifest)?;
    let file = manifest.with_file_name(&parsed.file);
    let bytes = weights::map(&file)?;
    OnnxPrior::new(parsed, &bytes, &file)
}
