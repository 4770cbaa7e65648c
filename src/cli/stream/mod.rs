//! `ddnm stream`.

mod camera;
mod drive;
mod log;
mod options;
mod signals;
mod source;

use std::io::{IsTerminal, stdout};
use std::path::Path;
use std::time::Duration;

use super::args::Stream;
use super::heat::Heat;
use super::job;
use crate::boards::{self, Board};
use crate::colour::Coding;
use crate::degrade::{Degradation, Reach, Spec};
use crate::error::{Error, Result};
use crate::frame::Shape;
use crate::io::video::Format;
use crate::plan;
use crate::prior::{Coded, Model, Prior};
use crate::sampler::{Settings, machine_clock};
use crate::stream::{Parts, Pipeline, WhenFull};
use drive::{Drive, Limits};
use log::Log;
use signals::Signals;
use source::Source;

pub fn run(args: Stream) -> Result<()> {
    let signals = Signals::new();
    let when_full = match args.when_slow.as_str() {
        "block" => WhenFull::Block,
        "drop-oldest" => WhenFull::DropOldest,
        other => {
            let why = format!("when-slow: expected block or drop-oldest, found {other}");
            return Err(Error::Usage(why));
        }
    };
    if stdout().is_terminal() {
        let why = "stream: expected a pipe or a file for the frames, found a terminal";
        return Err(Error::Usage(why.into()));
    }
    if args.warm && args.mode != "faithful" {
        let why = format!("warm: expected the mode faithful, found {}", args.mode);
        return Err(Error::Usage(why));
    }
    let budget = args.budget.as_deref().map(duration).transpose()?;
    if budget.is_some() && args.mode != "faithful" {
        let why = format!("budget: expected the mode faithful, found {}", args.mode);
        return Err(Error::Usage(why));
    }
    let log = Log::open(args.log.as_deref(), args.quiet)?;
    let machine = boards::detect(Path::new("/"))?;
    let board = args.board.as_deref().map(boards::find).transpose()?;
    let heat = Heat::new(args.max_temp)?;
    let model = job::model(args.model.as_deref(), board)?;

    let source = Source::open(&args)?;
    let a = operator(&args, &source.format)?;
    if args.warm && a.reach() != Reach::Local {
        let why = format!("warm: expected a degradation that is local, found {}", a.spec());
        return Err(Error::Usage(why));
    }
    let scene = a.scene();
    let (output, header) = source.output(&args, scene)?;
    let coding = source.coding(&args, scene)?;
    let planes = source.coded(&args, &output)?;
    let coded = coding.map(|coding| Coded::new(&model, coding));
    let prior: &dyn Prior = coded.as_ref().map_or(&model, |c| c);

    let threads = job::threads(args.threads, &machine, board);
    let (rgb, mut settings) = settings(&args, &source.noise, &a, &model, coding, threads, board)?;
    let limits = job::memory(args.max_memory.as_deref(), &machine)?;
    let shown = usize::from(planes.is_some()) + usize::from(source.colours.is_some());
    let planned = plan::Job {
        a: &a,
        prior: &model,
        settings: &rgb,
        input_bytes: held_bytes(&args, &a, &source.format, &output, shown),
        bits: 8,
        output_is_held: false,
    };
    let plan = plan::plan(&planned, &limits)?;
    (settings.threads, settings.band) = (plan.threads, plan.band);

    let black = match coding {
        None => vec![-1.0; a.measurement().channels],
        Some(coding) => {
            let [luma, cb, cr] = coding.black();
            let (across, down) = source.format.chroma();
            let mut black = vec![luma; across * down];
            black.extend(if coding.mono { vec![] } else { vec![cb, cr] });
            black
        }
    };
    let parts = Parts {
        a: &a,
        prior,
        settings: &settings,
        input: source.format,
        output,
        coded: planes,
        sensor: source.sensor,
        colours: source.colours,
        warm: args.warm,
        budget: budget.map(|time| (time, machine_clock())),
        black,
    };
    let mut pipeline = Pipeline::new(parts)?;
    pipeline.practise()?;
    let limits = Limits { queue: args.queue, when_full };
    let first = header.as_ref().map(|h| h.line(output.width, output.height));
    let planned = plan.memory.total();
    Drive { pipeline, log, heat, signals, first, planned }.run(source.frames, limits)
}

/// A time, as in `200ms` or `1.5s`.
fn duration(text: &str) -> Result<Duration> {
    let (digits, unit) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 1e-3),
        None => (text.strip_suffix('s').unwrap_or(if text == "0" { text } else { "" }), 1.0),
    };
    match digits.parse::<f64>() {
        Ok(number) if (0.0..=86_400.0).contains(&(number * unit)) => {
            Ok(Duration::from_secs_f64(number * unit))
        }
        _ => {
            let why = format!("budget: expected a time up to a day, as in 200ms, found {text}");
            Err(Error::Usage(why))
        }
    }
}

/// The operator that gives such frames.
fn operator(args: &Stream, format: &Format) -> Result<impl Degradation + use<>> {
    let Format { width, height, .. } = *format;
    let channels = if format.shape().channels == 1 { 1 } else { 3 };
    let picture = Shape::new(channels, height, width);
    let a = job::operator(&args.degradation, picture, None, args.scene.as_deref())?;
    if !format.is_ycbcr() {
        return Ok(a);
    }
    let ratio = match format.chroma() {
        (1, 1) => "444",
        (2, 1) => "422",
        (4, 1) => "411",
        _ => "420",
    };
    let spec = Spec::parse(&format!("{}+{ratio}", args.degradation))?;
    spec.build(a.scene(), &job::load_mask)
}

/// Settings for the model's R'G'B', which plans are made by, and for the planes of the scene. In
/// these all levels are lower by as much as noise grows on the way to R'G'B'.
fn settings(
    args: &Stream,
    noise: &str,
    a: &dyn Degradation,
    model: &Model,
    coding: Option<Coding>,
    threads: usize,
    board: Option<&Board>,
) -> Result<(Settings, Settings)> {
    let gain = coding.map_or(1.0, |coding| coding.noise_gain());
    let said = noise;
    let noise = job::Noise::parse(said)?;
    if args.warm && matches!(noise, job::Noise::Camera(_)) {
        let why = format!("warm: expected noise of one strength, found {said}");
        return Err(Error::Usage(why));
    }
    let rgb = job::Schedule {
        mode: &args.mode,
        rule: args.rule.as_deref(),
        eta: args.eta,
        seed: args.seed,
        noise: noise.scaled(gain),
        steps: args.steps,
        start: args.start,
        end: args.end,
        generative: args.generative,
        // Planes of chroma that are smaller are no scene that was measured in part.
        relaxation: args.relaxation.or(coding.filter(|_| args.mode == "faithful").map(|_| 1.0)),
        momentum: args.momentum,
        travel: None,
        threads,
        board,
        bits: 8,
    }
    .settings(a, model)?;
    let levels = rgb.levels.iter().map(|l| model.diffusion().at_sigma(l.sigma() / gain)).collect();
    // In the planes themselves the noise is what was said.
    let camera = match noise {
        job::Noise::Camera(camera) => Some(camera),
        job::Noise::Even(_) => None,
    };
    let settings = Settings { sigma_y: rgb.sigma_y / gain, camera, levels, ..rgb.clone() };
    Ok((rgb, settings))
}

/// Memory for whole frames: those that wait and those at hand as bytes, and as numbers the
/// measurement, what is known of it and its residual, the result and what stands between the parts
/// of the operator, what is written, twice, and `shown` copies of the result in other colours.
fn held_bytes(
    args: &Stream,
    a: &dyn Degradation,
    input: &Format,
    output: &Format,
    shown: usize,
) -> u64 {
    let (y, x) = (a.measurement().len(), a.scene().len());
    // The last measurement and result, and the start that is made of it.
    let remembered = if args.warm { y + 2 * x } else { 0 };
    let numbers = 4 * y + 2 * x + remembered + shown * x + 2 * output.shape().len();
    let bytes = (args.queue as u64 + 2) * input.frame_bytes() as u64 + output.frame_bytes() as u64;
    (numbers * size_of::<f32>()) as u64 + bytes
}
