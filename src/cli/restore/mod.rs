//! `ddnm restore`: one file, or many.

mod many;
mod one;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::Value;

use super::args::{Restore, path};
use super::device::{Asked, Place};
use super::heat::Heat;
use super::{interrupt_flag, print};
use crate::boards::{self, Board, Machine};
use crate::error::{Error, Result};
use crate::io::{self, files::Files};
use crate::prior::Model;

/// What one file is restored from and to.
struct Names<'a> {
    input: &'a Path,
    output: &'a Path,
    certificate: Option<&'a Path>,
    spread: Option<&'a Path>,
}

impl Names<'_> {
    /// Whether all that would be written is there already.
    fn exist(&self) -> bool {
        let others = [self.certificate, self.spread];
        self.output.exists() && others.into_iter().flatten().all(Path::exists)
    }
}

/// What all files share.
struct Setup {
    machine: Machine,
    board: Option<&'static Board>,
    heat: Heat,
    place: Place,
    model: Model,
    stop: Arc<AtomicBool>,
}

impl Setup {
    fn new(args: &Restore) -> Result<Setup> {
        let asked = Asked::parse(&args.device, &args.precision)?;
        let stop = interrupt_flag();
        let board = args.board.as_deref().map(boards::find).transpose()?;
        let heat = Heat::new(args.max_temp)?;
        let place = Place::find(&asked)?;
        let model = place.model(args.model.as_deref(), board)?;
        // Last: what is allocated and mapped by now is no longer left.
        let machine = boards::detect(Path::new("/"))?;
        Ok(Setup { machine, board, heat, place, model, stop })
    }
}

pub fn run(args: Restore) -> Result<()> {
    let input = path(&args.input);
    if let Some(files) = Files::of_input(input) {
        if args.spread.is_some() {
            let why = format!("spread: expected one file, found {}", input.display());
            return Err(Error::Usage(why));
        }
        if args.measured.is_some() {
            let found = input.display();
            return Err(Error::Usage(format!("measured: expected one file, found {found}")));
        }
        return many::run(&args, &files);
    }
    if args.recursive {
        let why = format!("recursive: expected a folder, found {}", input.display());
        return Err(Error::Usage(why));
    }
    let names = Names {
        input,
        output: path(&args.output),
        certificate: args.certificate.as_deref().map(path),
        spread: args.spread.as_deref().map(path),
    };
    if args.skip_existing && names.exist() {
        return Ok(());
    }
    // Everything that can be refused is refused before the work.
    names.check()?;
    if let Some(name) = args.measured.as_deref().map(path) {
        io::check_picture_name(name)?;
        io::check_writable(name)?;
    }
    let line = one::run(&args, &names, &mut Setup::new(&args)?)?;
    say(&args, names.output, &line)
}

impl Names<'_> {
    fn check(&self) -> Result<()> {
        io::check_picture_name(self.output)?;
        io::check_writable(self.output)?;
        self.spread.map_or(Ok(()), io::check_picture_name)?;
        [self.certificate, self.spread].into_iter().flatten().try_for_each(io::check_writable)
    }
}

/// Prints a line about a result, where it was asked for.
fn say(args: &Restore, output: &Path, line: &Value) -> Result<()> {
    match args.json {
        false => Ok(()),
        // Where the picture takes standard output, the line goes to standard error.
        true if output == Path::new("-") => {
            eprintln!("{line}");
            Ok(())
        }
        true => print(&line.to_string()),
    }
}
