//! `ddnm inspect`.

use std::fmt::Write;

use serde_json::json;

use super::args::Inspect;
use super::print;
use crate::error::Result;
use crate::prior::{self, Prior};

pub fn run(args: Inspect) -> Result<()> {
    let prior = prior::find(args.model.as_deref())?;
    let manifest = prior.manifest();
    let side = 64usize.next_multiple_of(prior.multiple());
    let (layers, bytes) = prior.layers(side, side)?;
    let macs: u64 = layers.iter().map(|l| l.multiply_accumulates).sum();
    let per_pixel = macs as f64 / (side * side) as f64;
    if args.json {
        let layer = |l: &prior::Layer| {
            json!({ "name": l.name, "operator": l.operator, "output": l.output,
                    "multiply_accumulates": l.multiply_accumulates })
        };
        let line = json!({
            "name": manifest.name, "file": manifest.file, "sha256": manifest.sha256,
            "licence": manifest.licence, "channels": manifest.channels,
            "prediction": format!("{:?}", manifest.prediction).to_lowercase(),
            "conditioning": format!("{:?}", manifest.conditioning).to_lowercase(),
            "multiple": manifest.multiple, "tile": manifest.tile,
            "arithmetic": prior.arithmetic().name(),
            "asked_arithmetic": prior.asked_arithmetic().name(), "weight_bytes": bytes, "window": side,
            "multiply_accumulates_per_pixel": per_pixel,
            "layers": layers.iter().map(layer).collect::<Vec<_>>(),
        });
        return print(&line.to_string());
    }
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<14}{value}");
    };
    line("name", manifest.name.clone());
    line("file", format!("{} (sha256 {})", manifest.file, manifest.sha256));
    line("licence", manifest.licence.clone());
    line("channels", manifest.channels.to_string());
    line("prediction", format!("{:?}, told {:?}", manifest.prediction, manifest.conditioning));
    line("noise levels", format!("{} steps", prior.diffusion().steps()));
    line(
        "windows",
        format!("multiples of {}, preferred core {}", manifest.multiple, manifest.tile),
    );
    for halo in &manifest.halo {
        line("halo", format!("{} pixels up to sigma {}", halo.pixels, halo.sigma));
    }
    line("weights", format!("{bytes} bytes"));
    let (arithmetic, asked) = (prior.arithmetic(), prior.asked_arithmetic());
    let why = match arithmetic == asked {
        true => String::new(),
        false => {
            format!(" (the file asks for {}; no products of bytes here)", asked.name())
        }
    };
    line("arithmetic", format!("{}{why}", arithmetic.name()));
    line("operations", format!("{per_pixel:.0} multiply-accumulates per pixel"));
    line("layers", format!("of a {side}x{side} window, with their multiply-accumulates"));
    for l in &layers {
        let cost = l.multiply_accumulates;
        line("", format!("{cost:>10}  {:<18} {:<16} {}", l.operator, l.output, l.name));
    }
    print(text.trim_end())?;
    match &args.device {
        Some(device) => super::device::list(device, args.model.as_deref()),
        None => Ok(()),
    }
}
