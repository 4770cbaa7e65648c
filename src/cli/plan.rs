//! `ddnm plan`.

use serde_json::json;

use super::args::{Plan, path};
use super::{job, print};
use crate::degrade::{Degradation, Spec};
use crate::error::{Error, Result};
use crate::frame::Shape;
use crate::prior::{self, Prior};
use crate::{io, plan};

pub fn run(args: Plan) -> Result<()> {
    let a = match (&args.input, &args.size) {
        (Some(name), size) => {
            job::operator(&args.degradation, &io::read(path(name))?, size.as_deref())?
        }
        (None, Some(size)) => {
            let (width, height) = job::parse_size(size)?;
            Spec::parse(&args.degradation)?.build(Shape::new(3, height, width), &job::load_mask)?
        }
        (None, None) => {
            let why = "plan: expected a measurement, or --size WIDTHxHEIGHT";
            return Err(Error::Usage(why.into()));
        }
    };
    let prior = prior::find(args.model.as_deref())?;
    let settings = job::Schedule {
        mode: &args.mode,
        rule: "split",
        eta: 0.85,
        seed: 0,
        noise: args.noise,
        steps: args.steps,
        start: None,
        end: None,
        generative: None,
        threads: args.threads,
        bits: 8,
    }
    .settings(&a, &prior)?;
    let plan = plan::plan(&a, &prior, &settings)?;
    if args.json {
        let line = json!({
            "spec": a.spec(), "width": plan.scene.width, "height": plan.scene.height,
            "tile": plan.core, "halo": plan.halo, "tiles": plan.tiles,
            "evaluations": plan.evaluations, "threads": settings.threads,
            "window_pixels": plan.window_pixels,
            "multiply_accumulates": plan.multiply_accumulates,
            "weight_bytes": plan.weight_bytes, "frame_bytes": plan.frame_bytes,
            "activation_bytes": plan.activation_bytes, "bytes": plan.bytes(),
            "seconds": plan.seconds, "model": prior.identity().name,
        });
        return print(&line.to_string());
    }
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let text = [
        format!("scene         {} through `{}`", plan.scene, a.spec()),
        format!(
            "tiles         {} in {} evaluations, core about {}, halo {}",
            plan.tiles, plan.evaluations, plan.core, plan.halo
        ),
        format!(
            "work          {:.1} M window pixels, {:.1} G multiply-accumulates",
            plan.window_pixels as f64 / 1e6,
            plan.multiply_accumulates as f64 / 1e9
        ),
        format!(
            "memory        about {:.0} MiB: weights {:.0}, frames {:.0}, activations {:.0} in {} threads",
            mib(plan.bytes()),
            mib(plan.weight_bytes),
            mib(plan.frame_bytes),
            mib(plan.activation_bytes),
            settings.threads
        ),
        format!("time          about {:.1} s here, by one tile measured now", plan.seconds),
    ];
    print(&text.join("\n"))
}
