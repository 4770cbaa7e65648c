//! One measurement to one scene, with its certificate.

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use super::super::args::{Restore, path};
use super::super::rounding::Rounding;
use super::super::spread::{self, Spread};
use super::super::{job, progress};
use super::{Names, Setup};
use crate::alarm::Verdict;
use crate::certificate::{Evidence, Tally, hex};
use crate::degrade::{self, Degradation};
use crate::error::Result;
use crate::frame::{Origin, Shape};
use crate::io;
use crate::plan;
use crate::sampler::{self, Finished, Mode, Progress, Settings};

/// Restores one file, and returns what is to be said about it.
pub fn run(args: &Restore, names: &Names, setup: &mut Setup) -> Result<Value> {
    let started = Instant::now();
    let Names { input, output, certificate, spread: spread_name } = *names;
    let Setup { machine, board, heat, place, model: prior, stop } = setup;
    let file = io::Picture::open(input)?;
    let bits = job::depth(args.depth, &file.origin)?;
    let recorded = file.origin.scene;
    let a = job::operator(&args.degradation, file.shape(), recorded, args.size.as_deref())?;
    let (noise, estimated) = job::Noise::of_file(&args.noise, &a, &file)?;
    let mut settings = job::Schedule {
        mode: &args.mode,
        rule: args.rule.as_deref(),
        eta: args.eta,
        seed: args.seed,
        noise,
        steps: args.steps,
        start: args.start,
        end: args.end,
        generative: args.generative,
        relaxation: args.relaxation,
        momentum: args.momentum,
        travel: args.travel.as_deref(),
        threads: job::threads(args.threads, machine, *board),
        board: *board,
        bits: file.origin.bit_depth,
    }
    .settings(&a, prior)?;
    settings.limits = job::limits(args.saturation, &file.origin)?;
    sampler::check(&a, a.measurement(), prior, &settings)?;
    let place = place.suits(&a, prior, &settings)?;

    let draws = spread::draws(args.samples, spread_name, settings.mode)?;
    let spread_bytes = if draws > 1 { Spread::bytes(a.scene()) } else { 0 };
    let limits = job::memory(args.max_memory.as_deref(), machine)?;
    let planned = plan::Job {
        a: &a,
        prior,
        settings: &settings,
        // What draws have in common is held whole, beside the input.
        input_bytes: file.held_bytes() + spread_bytes,
        bits,
        output_is_held: io::Draft::is_held(output),
    };
    let plan = plan::plan(&planned, &limits)?;
    (settings.threads, settings.band) = (plan.threads, plan.band);

    let mut bar = progress::Bar::new(args.quiet);
    let mut of_all = 0;
    let mut on_progress = |p: Progress| {
        bar.show(Progress { done: of_all + p.done, total: draws * p.total });
        of_all += if p.done == p.total { p.total } else { 0 };
        heat.pause(stop)
    };
    let mut origin = file.origin.clone();
    (origin.scene, origin.headroom) = (None, false);
    if (a.scene().width, a.scene().height) != (file.shape().width, file.shape().height) {
        origin.alpha = None;
    }
    let header = io::Header { shape: a.scene(), bits, origin: &origin };

    let grids = sampler::grids(&a, prior, &settings.levels);
    let mut tally = Tally::new(&a, &grids[grids.len() - 1], &settings);
    let mut rounding = Rounding::new(&header);
    let mut spread = (draws > 1).then(|| Spread::new(a.scene()));
    if let Some(spread) = &mut spread {
        spread.next_draw();
    }
    let mut draft = io::Draft::write(output, &header, &mut |take| {
        let mut rows = file.rows()?;
        let mut y = degrade::MeasuredRows::new(&a, rows.as_mut())?;
        let mut done = |part: Finished| {
            let written = rounding.pass(&part, take)?;
            tally.add(&part, &written);
            if let Some(spread) = &mut spread {
                spread.add(&part);
            }
            Ok(())
        };
        place.restore_rows(&a, &mut y, prior, &settings, &mut done, &mut on_progress)
    })?;
    for i in 1..draws {
        let (Some(spread), Mode::Sample { eta, rule, seed }) = (&mut spread, settings.mode) else {
            break;
        };
        let seed = seed.wrapping_add(i as u64);
        let other = Settings { mode: Mode::Sample { eta, rule, seed }, ..settings.clone() };
        spread.next_draw();
        let mut rows = file.rows()?;
        let mut y = degrade::MeasuredRows::new(&a, rows.as_mut())?;
        let mut add = |part: Finished| {
            spread.add(&part);
            Ok(())
        };
        place.restore_rows(&a, &mut y, prior, &other, &mut add, &mut on_progress)?;
    }
    bar.finish();
    // The certificate is about the file: what has been measured must be what it holds.
    draft.read(|written| rounding.check(written))?;
    let evidence = Evidence {
        a: &a,
        tally: &tally,
        bits,
        file: &hex(&draft.sha256()),
        settings: &settings,
        prior: &place.identity(prior),
        tiling: sampler::tiling(&a, prior, &settings.levels),
        estimated,
    };
    evidence.check()?;
    draft.commit()?;
    if let (Some(spread), Some(name)) = (&spread, spread_name) {
        io::write(name, &spread.picture()?, 16)?;
    }
    if let Some(name) = certificate {
        let text = format!("{:#}\n", evidence.json());
        io::write_bytes(name, text.as_bytes())?;
    }
    if let Some(name) = &args.measured {
        write_measured(&a, path(name))?;
    }
    let (before, after) = evidence.residuals();
    let finding = evidence.finding();
    if let (Verdict::Alarm, Some([least, most])) = (finding.verdict, finding.usual) {
        log::warn!(
            "{}: not as `{}` with noise of {:.1} usually is (misfit {:.2}, usually {least:.2} to \
             {most:.2} code values): is the degradation or the noise another one?",
            input.display(),
            a.spec(),
            settings.sigma_y * 127.5,
            finding.rms
        );
    }
    Ok(json!({
            "input": input.display().to_string(), "output": output.display().to_string(),
            "width": a.scene().width, "height": a.scene().height,
            "spec": a.spec(), "evaluations": settings.levels.len(),
            "residual_max": after.max, "residual_rms": after.rms,
            "residual_max_before_rounding": before.max,
            "misfit": finding.rms, "verdict": finding.verdict.name(),
            "noise": settings.sigma_y * 127.5, "noise_estimated": estimated,
            "threads": plan.threads, "planned_bytes": plan.memory.total(),
            "heat": heat.report(),
            "seconds": started.elapsed().as_secs_f64(),
    }))
}

/// Writes how much of each value of the scene was measured, from black (nothing) to white.
fn write_measured(a: &dyn Degradation, output: &Path) -> Result<()> {
    let Shape { channels, width, .. } = a.scene();
    let header = io::Header { shape: a.scene(), bits: 8, origin: &Origin::default() };
    let draft = io::Draft::write(output, &header, &mut |take| {
        for region in degrade::blocks(a) {
            let mut share = vec![0.0; region.shape(channels).len()];
            degrade::measured_share(a, region, &mut share);
            let mut row = Vec::with_capacity(channels * width);
            for y in 0..region.height {
                row.clear();
                for plane in share.chunks_exact(region.area()) {
                    row.extend(plane[y * width..][..width].iter().map(|v| 2.0 * v - 1.0));
                }
                take(&row)?;
            }
        }
        Ok(())
    })?;
    draft.commit()
}
