//! `ddnm plan`.

use std::path::Path;

use serde_json::json;

use super::args::{Plan, path};
use super::{job, print};
use crate::degrade::{Degradation, Spec};
use crate::error::{Error, Result};
use crate::frame::{Origin, Shape};
use crate::prior::Prior;
use crate::{boards, boards::MemoryLimit, io, plan};

pub fn run(args: Plan) -> Result<()> {
    let (a, held, origin, noise) = match (&args.input, &args.size) {
        (Some(name), size) => {
            let file = io::Picture::open(path(name))?;
            let (held, recorded) = ((file.held_bytes(), file.held_whole()), file.origin.scene);
            let a = job::operator(&args.degradation, file.shape(), recorded, size.as_deref())?;
            let (noise, _) = job::Noise::of_file(&args.noise, &a, &file)?;
            (a, held, file.origin, noise)
        }
        (None, Some(size)) => {
            let (width, height) = job::parse_size(size)?;
            let scene = Shape::new(3, height, width);
            let a = Spec::parse(&args.degradation)?.build(scene, &job::load_mask)?;
            let origin = Origin { bit_depth: 8, ..Origin::default() };
            (a, (0, None), origin, job::Noise::parse(&args.noise)?)
        }
        (None, None) => {
            let why = "plan: expected a measurement, or --size WIDTHxHEIGHT";
            return Err(Error::Usage(why.into()));
        }
    };
    let (input_bytes, held_whole) = held;
    let machine = boards::detect(Path::new("/"))?;
    let board = args.board.as_deref().map(boards::find).transpose()?;
    let prior = job::model(args.model.as_deref(), board)?;
    let mut settings = job::Schedule {
        mode: &args.mode,
        rule: None,
        eta: None,
        seed: 0,
        noise,
        steps: args.steps,
        start: None,
        end: None,
        generative: None,
        relaxation: None,
        momentum: None,
        travel: args.travel.as_deref(),
        threads: job::threads(args.threads, &machine, board),
        board,
        bits: origin.bit_depth,
    }
    .settings(&a, &prior)?;
    settings.limits = job::limits(args.saturation, &origin)?;
    let limits = match board {
        // Half of the smallest that it is sold with: the system needs some.
        Some(board) => {
            let asked = job::bytes(args.max_memory.as_deref())?;
            vec![MemoryLimit::of(asked.unwrap_or(board.memory() / 2))]
        }
        None => job::memory(args.max_memory.as_deref(), &machine)?,
    };
    let job = plan::Job {
        a: &a,
        prior: &prior,
        settings: &settings,
        input_bytes,
        bits: job::depth(args.depth, &origin)?,
        output_is_held: false,
    };
    let plan = plan::plan(&job, &limits)?;
    let (seconds, basis) = match board {
        Some(board) => {
            let (macs, bytes) = (plan.multiply_accumulates, plan.bytes_moved);
            let title = &board.title;
            let basis = format!("a prediction for {title}, from counted operations and its peaks");
            (board.seconds(macs, bytes, plan.threads), basis)
        }
        None => (plan::seconds_here(&job, &plan)?, "here, by one tile measured now".into()),
    };
    let memory = plan.memory;
    if args.json {
        let line = json!({
            "spec": a.spec(), "width": plan.scene.width, "height": plan.scene.height,
            "tile": plan.core, "halo": plan.halo, "tiles": plan.tiles,
            "evaluations": plan.evaluations, "threads": plan.threads, "band": plan.band,
            "window_pixels": plan.window_pixels,
            "multiply_accumulates": plan.multiply_accumulates,
            "bytes": {
                "total": memory.total(), "program": memory.program, "model": memory.model,
                "network": memory.network, "rows": memory.rows, "files": memory.files,
            },
            "bytes_moved": plan.bytes_moved, "held_whole": held_whole,
            "seconds": seconds, "basis": basis, "board": args.board, "model": prior.identity().name,
        });
        return print(&line.to_string());
    }
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let band = match plan.band {
        Some(rows) => format!("{rows} rows of tiles at a time"),
        None => "the whole frame at a time".into(),
    };
    let held = held_whole.map(|why| format!("input         held whole: {why}"));
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
        format!("order         {band}, {} threads", plan.threads),
        format!(
            "memory        {:.1} MiB private: program {:.1}, model {:.1}, network {:.1}, rows {:.1}, \
             files {:.1}",
            mib(memory.total()),
            mib(memory.program),
            mib(memory.model),
            mib(memory.network),
            mib(memory.rows),
            mib(memory.files),
        ),
        format!("time          about {seconds:.1} s: {basis}"),
    ];
    let lines: Vec<String> = text.into_iter().chain(held).collect();
    print(&lines.join("\n"))
}
