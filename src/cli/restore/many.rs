//! Folders and numbered files: one after another, each whole or not at all.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::json;

use super::super::args::{Restore, path};
use super::{Names, Setup, one, say};
use crate::error::{Error, Result};
use crate::io::files::{Entry, Files, check_distinct};
use crate::io::{self, atomic::reason};

/// Restores all files of a set. One that is broken or does not fit is reported, and the next one
/// is taken; what would fail for all of them alike ends the run.
///
/// # Errors
/// [`Error::Frames`] at the end where some were broken.
pub fn run(args: &Restore, files: &Files) -> Result<()> {
    let started = Instant::now();
    let results = Files::of_output(path(&args.output));
    let certificates = args.certificate.as_deref().map(|name| Files::of_output(path(name)));
    let output = path(&args.output);
    let picture = matches!(results, Files::Folder(..)) && io::check_picture_name(output).is_ok();
    if picture && !output.is_dir() {
        let found = output.display();
        let why =
            format!("output: expected a folder or numbered files (%06d) for many, found {found}");
        return Err(Error::Usage(why));
    }
    if args.recursive && matches!(files, Files::Numbered { .. }) {
        let why = format!("recursive: expected a folder, found numbers in {}", args.input);
        return Err(Error::Usage(why));
    }
    let all = Places::of(
        files.list(args.recursive, results.folder())?,
        files,
        &results,
        certificates.as_ref(),
    )?;
    let mut setup = Setup::new(args)?;
    let (mut whole, mut skipped, mut failed) = (0u64, 0u64, 0u64);
    let mut last: Option<&Path> = None;
    for places in &all {
        let names = places.names();
        if args.skip_existing && names.exist() {
            skipped += 1;
            continue;
        }
        let folder = names.output.parent();
        if folder != last {
            places.make_folders()?;
            folder.into_iter().for_each(io::remove_leftovers);
            last = folder;
        }
        names.check()?;
        match one::run(args, &names, &mut setup) {
            Ok(line) => {
                whole += 1;
                say(args, names.output, &line)?;
            }
            Err(e) if is_of_one(&e, names.input) => {
                failed += 1;
                let what = tell(&e, names.input);
                eprintln!("ddnm: {what}");
                let line = json!({ "input": names.input.display().to_string(), "failed": what });
                say(args, names.output, &line)?;
            }
            Err(e) => return Err(e),
        }
    }
    let line = json!({
        "frames": whole, "skipped": skipped, "failed": failed,
        "seconds": started.elapsed().as_secs_f64(),
    });
    say(args, path(&args.output), &line)?;
    match failed {
        0 => Ok(()),
        failed => Err(Error::Frames { failed, whole: whole + skipped }),
    }
}

/// Whether an error is about one frame, and the next may be better.
fn is_of_one(e: &Error, input: &Path) -> bool {
    match e {
        Error::Input { path, .. } => path == input,
        Error::Shape { .. } | Error::Memory { .. } | Error::Numerical { .. } => true,
        _ => false,
    }
}

/// The error, with the name of the file that it is about.
fn tell(e: &Error, input: &Path) -> String {
    match e {
        Error::Input { .. } => e.to_string(),
        e => format!("{}: {e}", input.display()),
    }
}

/// The names that belong to one input.
struct Places {
    input: PathBuf,
    output: PathBuf,
    certificate: Option<PathBuf>,
}

impl Places {
    fn of(
        entries: Vec<Entry>,
        files: &Files,
        results: &Files,
        certificates: Option<&Files>,
    ) -> Result<Vec<Places>> {
        let places = |entry: Entry| {
            let output = results.place(&entry, "png")?;
            let certificate = certificates.map(|c| c.place(&entry, "json")).transpose()?;
            Ok(Places { input: files.folder().join(entry.name), output, certificate })
        };
        let all: Vec<Places> = entries.into_iter().map(places).collect::<Result<_>>()?;
        let pairs = |of: &dyn Fn(&Places) -> Option<PathBuf>| -> Vec<(PathBuf, PathBuf)> {
            all.iter().filter_map(|p| Some((p.input.clone(), of(p)?))).collect()
        };
        check_distinct(&pairs(&|p| Some(p.output.clone())))?;
        check_distinct(&pairs(&|p| p.certificate.clone()))?;
        Ok(all)
    }

    fn names(&self) -> Names<'_> {
        let Places { input, output, certificate } = self;
        Names { input, output, certificate: certificate.as_deref(), spread: None }
    }

    fn make_folders(&self) -> Result<()> {
        for file in [Some(&self.output), self.certificate.as_ref()].into_iter().flatten() {
            if let Some(folder) = file.parent() {
                let made = std::fs::create_dir_all(folder);
                made.map_err(|e| Error::output(folder, reason(&e)))?;
            }
        }
        Ok(())
    }
}
