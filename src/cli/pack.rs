//! `ddnm pack`.

use super::args::{Pack, path};
use super::print;
use crate::error::{Error, Result};
use crate::io;
use crate::prior;
use crate::weights::Format;

pub fn run(args: Pack) -> Result<()> {
    let format = match args.weights.as_str() {
        "f32" => Format::F32,
        "f16" => Format::F16,
        "int8" => Format::Int8,
        other => {
            let message = format!("--weights: expected f32, f16 or int8, found {other}");
            return Err(Error::Usage(message));
        }
    };
    let output = path(&args.output);
    io::check_writable(output)?;
    let bytes = prior::find(Some(&args.model))?.pack(format)?;
    io::write_bytes(output, &bytes)?;
    print(&format!("{}: {} bytes, weights in {}", args.output, bytes.len(), args.weights))
}
