//! `ddnm degrade`.

use std::path::Path;

use super::args::{Degrade, path};
use super::job::{self, Noise};
use crate::degrade::{self, Degradation, Spec};
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::io;

pub fn run(args: Degrade) -> Result<()> {
    let output = path(&args.output);
    let floats = io::npy::is_npy_name(output);
    if !floats {
        io::check_picture_name(output)?;
    }
    io::check_writable(output)?;
    let noise = job::Noise::parse(&args.noise)?;
    let x = io::read(path(&args.input))?;
    let bits = match (args.headroom, args.depth) {
        (false, depth) => job::depth(depth, &x.origin)?,
        (true, None | Some(16)) => 16,
        (true, Some(depth)) => {
            return Err(Error::Usage(format!("headroom: expected 16 bits, found {depth}")));
        }
    };
    let a = Spec::parse(&args.degradation)?.build(x.shape, &job::load_mask)?;
    let y = match noise {
        Noise::Even(sigma_y) => degrade::measure(&a, &x, sigma_y, args.seed),
        Noise::Camera(camera) if a.is_picture() => {
            degrade::measure_camera(&a, &x, &camera, args.seed)
        }
        Noise::Camera(_) => {
            let why =
                format!("noise: expected one strength for `{}`, found {}", a.spec(), args.noise);
            return Err(Error::Usage(why));
        }
    };
    let mut file = degrade::to_file(&a, &y)?;
    if floats || !a.is_picture() {
        return write_floats(output, &file, floats);
    }
    let end = if args.headroom { 2.0 } else { 1.0 };
    let clipped = file.data.iter().filter(|v| v.abs() > end + 1e-6).count();
    if clipped > 0 {
        let share = 100.0 * clipped as f64 / file.data.len() as f64;
        let more = if args.headroom { "" } else { "--headroom, or " };
        log::warn!(
            "{share:.2} % of the values were outside the file's range and are clipped; \
             {more}a name in .npy keeps them"
        );
    }
    file.origin = x.origin.clone();
    file.origin.headroom = args.headroom;
    let (scene, measured) = (x.shape, file.shape);
    if (scene.width, scene.height) != (measured.width, measured.height) {
        file.origin.alpha = None;
    }
    file.origin.scene = Some((scene.width, scene.height));
    io::write(output, &file, bits)
}

/// Writes the measurement as an array of floats.
fn write_floats(output: &Path, file: &Frame, named: bool) -> Result<()> {
    if !named && output != Path::new("-") {
        let output = output.display();
        let why = format!("{output}: expected a name in .npy for a measurement that is no picture");
        return Err(Error::Usage(why));
    }
    let mut bytes = Vec::new();
    io::npy::encode(&mut bytes, output, file)?;
    io::write_bytes(output, &bytes)
}
