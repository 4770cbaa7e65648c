//! `ddnm pack`.

use std::path::Path;

use super::args::{Pack, path};
use super::print;
use crate::error::{Error, Result};
use crate::io;
use crate::network::Arithmetic;
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
    let arithmetic = match args.arithmetic.as_str() {
        "f32" => Arithmetic::F32,
        "int8" if format == Format::Int8 => Arithmetic::Int8,
        "int8" => {
            let message =
                format!("--arithmetic int8: expected --weights int8, found {}", args.weights);
            return Err(Error::Usage(message));
        }
        other => {
            let message = format!("--arithmetic: expected f32 or int8, found {other}");
            return Err(Error::Usage(message));
        }
    };
    let output = path(&args.output);
    io::check_writable(output)?;
    let bytes = prior::find(Some(&args.model))?.pack_for(format, arithmetic)?;
    io::write_bytes(output, &bytes)?;
    if output == Path::new("-") {
        return Ok(());
    }
    let (weights, arithmetic) = (args.weights, args.arithmetic);
    let bytes = bytes.len();
    print(&format!(
        "{}: {bytes} bytes, weights in {weights}, arithmetic in {arithmetic}",
        args.output
    ))
}
