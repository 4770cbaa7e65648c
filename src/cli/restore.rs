//! `ddnm restore`.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

use serde_json::json;

use super::args::{Restore, path};
use super::{interrupt_flag, job, print, progress};
use crate::certificate::{Evidence, sha256};
use crate::degrade::{self, Degradation};
use crate::error::Result;
use crate::io;
use crate::prior::{self, Prior};
use crate::sampler;

pub fn run(args: Restore) -> Result<()> {
    let started = Instant::now();
    let stop = interrupt_flag();
    let (input, output) = (path(&args.input), path(&args.output));
    // Everything that can be refused is refused before the work.
    io::check_picture_name(output)?;
    io::check_writable(output)?;
    if let Some(name) = &args.certificate {
        io::check_writable(path(name))?;
    }
    let file = io::read(input)?;
    let bits = job::depth(args.depth, &file)?;
    let a = job::operator(&args.degradation, &file, args.size.as_deref())?;
    let y = degrade::measurement(&a, &file)?;
    let prior = prior::find(args.model.as_deref())?;
    let settings = job::Schedule {
        mode: &args.mode,
        rule: &args.rule,
        eta: args.eta,
        seed: args.seed,
        noise: args.noise,
        steps: args.steps,
        start: args.start,
        end: args.end,
        generative: args.generative,
        threads: args.threads,
        bits: file.origin.bit_depth,
    }
    .settings(&a, &prior)?;

    let mut bar = progress::Bar::new(args.quiet);
    let mut on_progress = |p| {
        bar.show(p);
        if stop.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let mut x = sampler::restore(&a, &y, &prior, &settings, &mut on_progress)?;
    bar.finish();
    x.origin = file.origin.clone();
    x.origin.scene = None;
    if (x.shape.width, x.shape.height) != (file.shape.width, file.shape.height) {
        x.origin.alpha = None;
    }

    // The certificate is about the file, so the file is made first and read back.
    let mut bytes = Vec::new();
    io::encode(&mut bytes, output, &x, bits)?;
    let written = io::read_bytes(&bytes, output)?;
    let hash = sha256(&bytes);
    let tiling = sampler::tiling(&a, &prior, &settings.levels);
    let grid = tiling.grid(a.scene(), 0);
    let evidence = Evidence {
        a: &a,
        y: &y,
        exact: &x,
        written: &written,
        bits,
        file: &hash,
        settings: &settings,
        prior: &prior.identity(),
        grid: &grid,
        tiling,
    };
    evidence.check()?;
    io::write_bytes(output, &bytes)?;
    if let Some(name) = &args.certificate {
        let text = format!("{:#}\n", evidence.json());
        io::write_bytes(path(name), text.as_bytes())?;
    }
    if args.json {
        let (before, after) = evidence.residuals();
        let line = json!({
            "input": input.display().to_string(), "output": output.display().to_string(),
            "width": x.shape.width, "height": x.shape.height,
            "spec": a.spec(), "evaluations": settings.levels.len(),
            "residual_max": after.max, "residual_rms": after.rms,
            "residual_max_before_rounding": before.max,
            "seconds": started.elapsed().as_secs_f64(),
        });
        // Where the picture takes standard output, the line goes to standard error.
        match output == Path::new("-") {
            true => eprintln!("{line}"),
            false => print(&line.to_string())?,
        }
    }
    Ok(())
}
