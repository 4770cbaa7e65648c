//! The prior that comes with the program, and how others are found.

use std::path::{Path, PathBuf};

use super::Model;
use crate::error::{Error, Result};
use crate::weights::{self, Bytes};

/// Name of the prior inside the binary.
const NAME: &str = "patch-s";

/// Bytes at an address that suits any number.
#[repr(align(64))]
struct Aligned<T: ?Sized>(T);

static PACKED: &Aligned<[u8]> = &Aligned(*include_bytes!("../../models/patch-s.ddnm"));

/// The prior inside the binary. Its weights are used where they lie there: pages of the
/// executable, like those of a mapped file.
pub fn bundled() -> Result<Model> {
    // The checksum is a test's task: the binary does not change.
    Model::packed(Bytes::Static(&PACKED.0), Path::new("patch-s (built in)"), false)
}

/// Folders that a bare model name is looked up in, first to last.
fn folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let binary = std::env::current_exe().ok();
    let around = || binary.iter().flat_map(|binary| binary.ancestors().skip(1));
    folders.extend(around().next().map(|folder| folder.join("models")));
    // Built in a checkout, its models lie beside the folder `target`.
    let target = around().find(|folder| folder.ends_with("target"));
    folders.extend(target.map(|folder| folder.with_file_name("models")));
    if let Some(home) = std::env::var_os("XDG_DATA_HOME") {
        folders.push(PathBuf::from(home).join("ddnm"));
    } else if let Some(home) = std::env::var_os("HOME") {
        folders.push(PathBuf::from(home).join(".local/share/ddnm"));
    }
    folders.push("/usr/local/share/ddnm".into());
    folders.push("/usr/share/ddnm".into());
    folders
}

/// Finds a prior. `None` is the one inside the binary. Otherwise `model` is a packed model
/// (`.ddnm`), a manifest (`.toml`), an ONNX file with its manifest beside it under the same name,
/// or the bare name of a packed model or a manifest in `models/` beside the binary or of the
/// checkout that it was built in, in
/// `$XDG_DATA_HOME/ddnm` (`~/.local/share/ddnm`), `/usr/local/share/ddnm` or `/usr/share/ddnm`.
pub fn find(model: Option<&str>) -> Result<Model> {
    let Some(model) = model else { return bundled() };
    let path = Path::new(model);
    let is_name = !model.contains('/') && path.extension().is_none();
    if !is_name {
        return load(path);
    }
    if NAME == model {
        return bundled();
    }
    match named(model) {
        Some(found) => load(&found),
        None => {
            let places: Vec<String> = folders().iter().map(|p| p.display().to_string()).collect();
            let expected = format!("{model}.ddnm or {model}.toml in one of {}", places.join(", "));
            Err(Error::model(path, expected, "none"))
        }
    }
}

/// The file of a bare model name, if there is one.
pub fn named(model: &str) -> Option<PathBuf> {
    let files = |folder: PathBuf| {
        ["ddnm", "toml"].map(|extension| folder.join(format!("{model}.{extension}")))
    };
    folders().into_iter().flat_map(files).find(|file| file.is_file())
}

/// [`find`], for devices: their graphs are made from ONNX. A packed model stands for the ONNX file
/// that it was made from, where its manifest lies beside it under the same name.
#[cfg(feature = "cuda")]
pub fn find_onnx(model: Option<&str>) -> Result<Model> {
    let onnx = include_bytes!("../../models/patch-s.onnx");
    let text = include_str!("../../models/patch-s.toml");
    let path = Path::new("patch-s.onnx (built in)");
    match model {
        None | Some(NAME) => Model::onnx(super::Manifest::parse(text, path)?, onnx, path),
        Some(model) => {
            let found = find(Some(model))?;
            let path = found.path().with_extension("toml");
            if found.is_packed() && path.is_file() { load_onnx(&path) } else { Ok(found) }
        }
    }
}

/// Loads a model file.
fn load(path: &Path) -> Result<Model> {
    if !path.exists() {
        let expected = "a packed model (.ddnm), a manifest (.toml) or an ONNX file";
        return Err(Error::model(path, expected, "no such file"));
    }
    if path.extension().is_some_and(|e| e == "ddnm") {
        return Model::packed(Bytes::Mapped(weights::map(path)?), path, true);
    }
    load_onnx(path)
}

#[cfg(feature = "onnx")]
fn load_onnx(path: &Path) -> Result<Model> {
    let manifest = path.with_extension("toml");
    let text = std::fs::read_to_string(&manifest)
        .map_err(|e| Error::model(&manifest, "a manifest beside the model", e))?;
    let parsed = super::Manifest::parse(&text, &manifest)?;
    let file = manifest.with_file_name(&parsed.file);
    let bytes = weights::map(&file)?;
    Model::onnx(parsed, &bytes, &file)
}

#[cfg(not(feature = "onnx"))]
fn load_onnx(path: &Path) -> Result<Model> {
    let expected = "a packed model (.ddnm): this program was built without ONNX";
    Err(Error::model(path, expected, "another file"))
}
