//! Other ways through the levels than the default one: `cargo bench --bench sampler`.
//!
//! Prints the tables of `docs/sampler.md`: means of PSNR (dB) over parts of 192 x 192 pixels of
//! the pictures of `tests/assets`, measurements in float. What the library has no setting for is
//! done by plain loops over whole frames, [`plain`] and [`draw`], which give the library's results
//! where they do what that does.
//! `-- only SPEC` makes the rows of one degradation, `-- TABLE` one table.

mod common;
mod walk;

use common::{Case, DRAW};
use ddnm::degrade::Degradation;
use ddnm::frame::{Frame, Region};
use ddnm::noise::NoiseField;
use ddnm::prior::{self, Model, Prior};
use ddnm::sampler::{Defaults, Mode, NoiseRule, defaults};
use ddnm::schedule::{Diffusion, Level, travel};
use walk::{estimate, left, part};

/// Degradations, and noise in code values.
const TASKS: [(&str, f64); 15] = [
    ("bayer:rggb", 0.0),
    ("mask:half", 0.0),
    ("sr:2", 0.0),
    ("sr:4", 0.0),
    ("sr:2+bayer:rggb", 0.0),
    ("gray", 0.0),
    ("hadamard:0.25", 0.0),
    ("none", 5.0),
    ("none", 25.0),
    ("mask:half", 25.0),
    ("sr:4", 5.0),
    ("sr:2", 25.0),
    ("blur:gauss:1.6", 5.0),
    ("bayer:rggb", 25.0),
    ("hadamard:0.25", 25.0),
];

fn main() {
    if let Err(e) = run() {
        eprintln!("sampler: {e}");
        std::process::exit(e.exit_code());
    }
}

/// How a plain loop goes.
#[derive(Clone)]
struct Way {
    levels: Vec<Level>,
    generative: f32,
    /// The library's relaxation, inside of the weight.
    relaxation: f64,
    /// Factor of the whole correction.
    factor: f32,
    /// Share of the projected estimate's change that is added to it.
    momentum: f32,
    /// Of the change from the step's state, as the library's, or of that from the last estimate.
    from_state: bool,
}

impl Way {
    fn new(prior: &Model, d: &Defaults) -> Way {
        Way {
            levels: prior.diffusion().geometric(d.start, d.end, d.steps),
            generative: d.generative,
            relaxation: d.relaxation,
            factor: 1.0,
            momentum: d.momentum,
            from_state: true,
        }
    }
}

fn run() -> ddnm::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let only = args.iter().position(|a| a == "only").and_then(|i| args.get(i + 1));
    let wanted = |table: &str| args.is_empty() || only.is_some() || args.iter().any(|a| a == table);
    let prior = prior::bundled()?;
    let pictures: Vec<Frame> = common::pictures()?.iter().map(part).collect::<ddnm::Result<_>>()?;
    let mut tasks = Vec::new();
    for (spec, noise) in TASKS.into_iter().filter(|t| only.is_none_or(|only| only == t.0)) {
        let cases: ddnm::Result<Vec<Case>> =
            pictures.iter().map(|x| Case::new(spec, noise, x)).collect();
        tasks.push(Task { name: format!("`{spec}`, {noise}"), cases: cases? });
    }
    type Table = fn(&Model, &[Task]) -> ddnm::Result<()>;
    let tables: [(&str, Table); 6] = [
        ("around", around),
        ("spacing", spacing),
        ("projection", projection),
        ("start", start),
        ("travel", again),
        ("noise", noise),
    ];
    for (name, table) in tables {
        if wanted(name) {
            table(&prior, &tasks)?;
        }
    }
    Ok(())
}

/// A degradation of every picture.
struct Task<'a> {
    name: String,
    cases: Vec<Case<'a>>,
}

impl Task<'_> {
    fn defaults(&self, faithful: bool) -> Defaults {
        let case = &self.cases[0];
        defaults(&case.a, case.sigma_y, faithful)
    }

    fn is_noisy(&self) -> bool {
        self.cases[0].sigma_y > 0.0
    }

    /// PSNR of each picture; they are restored at the same time.
    fn each(
        &self,
        restore: impl Fn(&Case) -> ddnm::Result<Frame> + Sync,
    ) -> ddnm::Result<Vec<f64>> {
        let one = |case: &Case| ddnm::metrics::psnr(&restore(case)?, case.x);
        let one = &one;
        std::thread::scope(|threads| {
            let all: Vec<_> =
                self.cases.iter().map(|case| threads.spawn(move || one(case))).collect();
            let joined = all.into_iter().map(|thread| match thread.join() {
                Ok(score) => score,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            joined.collect()
        })
    }

    fn mean(&self, restore: impl Fn(&Case) -> ddnm::Result<Frame> + Sync) -> ddnm::Result<f64> {
        Ok(mean(&self.each(restore)?))
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Prints a row of a table.
fn row(name: &str, cells: &[f64]) {
    let cells: Vec<String> = cells.iter().map(|v| format!("{v:.2}")).collect();
    println!("| {name} | {} |", cells.join(" | "));
}

/// Prints the head of a table.
fn head(columns: &[&str]) {
    println!("\n| {} |\n|{}", columns.join(" | "), "---|".repeat(columns.len()));
}

/// Around the defaults: one number changed at a time.
fn around(prior: &Model, tasks: &[Task]) -> ddnm::Result<()> {
    head(&[
        "task",
        "default",
        "steps halved",
        "doubled",
        "end halved",
        "doubled",
        "blend 0",
        "0.3",
        "0.6",
        "1",
        "`sample`",
        "eta 0",
        "0.5",
        "1",
        "4 steps",
        "16",
    ]);
    for task in tasks {
        let d = task.defaults(true);
        let default = Way::new(prior, &d);
        let with = |d: Defaults| Way::new(prior, &d);
        let blend = |generative| Way { generative, ..default.clone() };
        let ways = [
            default.clone(),
            with(Defaults { steps: d.steps.div_ceil(2), ..d }),
            with(Defaults { steps: 2 * d.steps, ..d }),
            with(Defaults { end: d.end / 2.0, ..d }),
            with(Defaults { end: (2.0 * d.end).min(d.start), ..d }),
            blend(0.0),
            blend(0.3),
            blend(0.6),
            blend(1.0),
        ];
        let mut cells = Vec::new();
        for way in &ways {
            cells.push(task.mean(|case| plain(case, prior, way))?);
        }
        let d = task.defaults(false);
        for (eta, steps) in [(0.85, 8), (0.0, 8), (0.5, 8), (1.0, 8), (0.85, 4), (0.85, 16)] {
            let mode = Mode::Sample { eta, rule: NoiseRule::Split, seed: 0 };
            let levels = prior.diffusion().geometric(d.start, d.end, steps);
            cells.push(task.mean(|case| case.restore(prior, mode, levels.clone(), &d))?);
        }
        row(&task.name, &cells);
    }
    Ok(())
}

/// Whose noise a draw keeps: that of the prior's estimate, as the library, or that of the projected
/// one. They differ in what was measured alone, so with noise in the measurement, where DDNM+
/// keeps none of it there, they are the same.
fn noise(prior: &Model, tasks: &[Task]) -> ddnm::Result<()> {
    head(&["task", "the library", "of the estimate", "of the projected one"]);
    for task in tasks.iter().filter(|task| !task.is_noisy()) {
        let d = task.defaults(false);
        let levels = prior.diffusion().geometric(d.start, d.end, d.steps);
        let cells = [
            task.mean(|case| case.restore(prior, DRAW, levels.clone(), &d))?,
            task.mean(|case| draw(case, prior, &levels, false))?,
            task.mean(|case| draw(case, prior, &levels, true))?,
        ];
        row(&task.name, &cells);
    }
    Ok(())
}

/// The plain loop of the mode `sample` over a whole frame without noise in the measurement.
/// `projected`: the noise that is kept follows from the projected estimate.
fn draw(case: &Case, prior: &Model, levels: &[Level], projected: bool) -> ddnm::Result<Frame> {
    let Mode::Sample { eta, .. } = DRAW else { unreachable!("DRAW is a draw") };
    let whole = Region::whole(case.x.shape);
    let fresh = |draw: u16| {
        let mut z = vec![0.0; case.x.shape.len()];
        NoiseField { seed: 1, frame: 0, draw }.fill(whole, case.x.shape.channels, &mut z);
        z
    };
    let mix = |level: Level, x0: &[f32], noise: &[f32]| -> Vec<f32> {
        let (signal, sigma) = (level.signal() as f32, level.noise() as f32);
        x0.iter().zip(noise).map(|(x, n)| signal * x + sigma * n).collect()
    };
    let mut state = mix(levels[0], &case.a.start(&case.y.data, 0.0), &fresh(0));
    for (k, level) in levels.iter().enumerate() {
        let (signal, sigma) = (level.signal() as f32, level.noise() as f32);
        let kept = |x0: &[f32]| -> Vec<f32> {
            state.iter().zip(x0).map(|(x, x0)| (x - signal * x0) / sigma).collect()
        };
        let unscaled: Vec<f32> = state.iter().map(|v| v / signal).collect();
        let mut x0 = estimate(case, prior, *level, &unscaled)?;
        let before = kept(&x0);
        let mut correction = vec![0.0; x0.len()];
        case.a.pinv(whole, &left(case, &x0), &|_| 1.0, &mut correction);
        x0.iter_mut().zip(&correction).for_each(|(x, c)| *x += c);
        let eps = if projected { kept(&x0) } else { before };
        let (eta, rest) = (eta as f32, (1.0 - eta * eta).sqrt() as f32);
        let z = fresh(k as u16 + 1);
        let noise: Vec<f32> = z.iter().zip(&eps).map(|(z, e)| eta * z + rest * e).collect();
        let next = levels.get(k + 1).copied().unwrap_or(Level::CLEAN);
        state = mix(next, &x0, &noise);
    }
    state.iter_mut().for_each(|v| *v = v.clamp(-1.0, 1.0));
    Frame::new(case.x.shape, state)
}

/// Geometric levels, and those of even timesteps from the same start, as diffusers names them:
/// leading ones end at the first timestep, trailing ones a step before.
fn spacing(prior: &Model, tasks: &[Task]) -> ddnm::Result<()> {
    head(&["task", "steps", "the library", "geometric", "leading", "trailing"]);
    for task in tasks {
        let d = task.defaults(true);
        let way = Way::new(prior, &d);
        let library = task.mean(|case| {
            let levels = way.levels.clone();
            case.restore(prior, Mode::Faithful, levels, &d)
        })?;
        let mut cells = vec![library, task.mean(|case| plain(case, prior, &way))?];
        for last in [0.0, 1.0] {
            let levels = even(prior.diffusion(), d.start, d.steps, last);
            let way = Way { levels, ..way.clone() };
            cells.push(task.mean(|case| plain(case, prior, &way))?);
        }
        row(&format!("{} | {}", task.name, d.steps), &cells);
    }
    Ok(())
}

/// Levels at even timesteps from `start`: the last one is `last` steps from the first timestep.
fn even(diffusion: &Diffusion, start: f64, steps: usize, last: f64) -> Vec<Level> {
    let first = diffusion.at_sigma(start).t;
    let at = |k: usize| {
        let share = (steps - 1 - k) as f64 + last;
        let t = first * share / ((steps - 1) as f64 + last).max(1.0);
        diffusion.at_step(t.round() as usize)
    };
    (0..steps).map(at).collect()
}

/// Relaxation inside of the weight and outside (a factor of the whole correction), and momentum.
fn projection(prior: &Model, tasks: &[Task]) -> ddnm::Result<()> {
    let columns = [
        "task",
        "default",
        "its rho",
        "rho 1",
        "twice",
        "factor 1.3",
        "factor 1.6",
        "its momentum",
        "0",
        "0.5",
        "0.9",
        "heavy ball 0.5",
        "0.9",
    ];
    head(&columns);
    for task in tasks {
        let d = task.defaults(true);
        let way = Way::new(prior, &d);
        let mut cells = vec![task.mean(|case| plain(case, prior, &way))?, d.relaxation];
        let momentum = |momentum| Way { momentum, ..way.clone() };
        let ball = |momentum| Way { momentum, from_state: false, ..way.clone() };
        let ways = [
            Way { relaxation: 1.0, ..way.clone() },
            Way { relaxation: 2.0 * d.relaxation, ..way.clone() },
            Way { factor: 1.3, ..way.clone() },
            Way { factor: 1.6, ..way.clone() },
            momentum(0.0),
            momentum(0.5),
            momentum(0.9),
            ball(0.5),
            ball(0.9),
        ];
        for (i, way) in ways.iter().enumerate() {
            if i == 4 {
                cells.push(f64::from(d.momentum));
            }
            let same = i < 2 && !task.is_noisy();
            cells.push(if same { cells[0] } else { task.mean(|case| plain(case, prior, way))? });
        }
        row(&task.name, &cells);
    }
    Ok(())
}

/// The level of the first step: the default one, the best of several for all pictures, the best
/// for each picture, which no rule can know, and one from the residual of a first evaluation.
fn start(prior: &Model, tasks: &[Task]) -> ddnm::Result<()> {
    const FACTORS: [f64; 7] = [0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8];
    let columns = ["task", "start", "default", "best start", "for all", "for each", "residual"];
    head(&columns);
    for task in tasks {
        let d = task.defaults(true);
        let scaled = |factor: f64| {
            let (start, end) = (factor * d.start, factor * d.end);
            Way::new(prior, &Defaults { start, end, ..d })
        };
        let mut all = Vec::new();
        for factor in FACTORS {
            let way = scaled(factor);
            all.push(task.each(|case| plain(case, prior, &way))?);
        }
        let best = (0..all.len()).max_by(|a, b| mean(&all[*a]).total_cmp(&mean(&all[*b])));
        let best = best.unwrap_or(3);
        let each = |i: usize| all.iter().map(|v| v[i]).fold(f64::MIN, f64::max);
        let each: Vec<f64> = (0..task.cases.len()).map(each).collect();
        let residual = task.mean(|case| {
            let level = from_residual(case, prior, d.start)?;
            plain(case, prior, &scaled((level / d.start).clamp(0.25, 4.0)))
        })?;
        let start = d.start;
        let cells = [mean(&all[3]), FACTORS[best] * start, mean(&all[best]), mean(&each), residual];
        row(&format!("{} | {start:.3}", task.name), &cells);
    }
    Ok(())
}

/// Steps up again in the mode `sample`, and as many evaluations without them.
fn again(prior: &Model, tasks: &[Task]) -> ddnm::Result<()> {
    let columns = [
        "task",
        "8 evaluations",
        "16",
        "16: length 1, twice",
        "16: length 2, twice",
        "16: length 4, twice",
        "24",
        "24: length 2, thrice",
    ];
    head(&columns);
    for task in tasks {
        let d = task.defaults(false);
        let levels = |steps| prior.diffusion().geometric(d.start, d.end, steps);
        let ways = [
            levels(8),
            levels(16),
            travel(&levels(8), 1, 2),
            travel(&levels(8), 2, 2),
            travel(&levels(8), 4, 2),
            levels(24),
            travel(&levels(8), 2, 3),
        ];
        let mut cells = Vec::new();
        for levels in ways {
            cells.push(task.mean(|case| case.restore(prior, DRAW, levels.clone(), &d))?);
        }
        row(&task.name, &cells);
    }
    Ok(())
}

/// The plain loop of the mode `faithful` over a whole frame.
fn plain(case: &Case, prior: &Model, way: &Way) -> ddnm::Result<Frame> {
    let start = case.a.start(&case.y.data, case.sigma_y);
    let (mut state, mut last) = (start.clone(), start.clone());
    for level in &way.levels {
        let mut x0 = estimate(case, prior, *level, &state)?;
        let (mut residual, mut correction) = (left(case, &x0), vec![0.0; x0.len()]);
        let variance = way.relaxation * level.sigma().powi(2);
        let noise = case.sigma_y;
        let weight =
            |s: f32| (variance / (variance + (noise / f64::from(s)).powi(2))) as f32 * way.factor;
        if noise == 0.0 {
            residual.iter_mut().for_each(|r| *r *= way.factor);
        }
        let exact = |_: f32| 1.0;
        let weight: &dyn Fn(f32) -> f32 = if noise > 0.0 { &weight } else { &exact };
        case.a.pinv(Region::whole(case.x.shape), &residual, weight, &mut correction);
        x0.iter_mut().zip(&correction).for_each(|(x, c)| *x += c);
        let from = if way.from_state { &state } else { &last };
        state = x0.iter().zip(from).map(|(x, from)| x + way.momentum * (x - from)).collect();
        last = x0;
    }
    let mut x = last;
    x.iter_mut()
        .zip(&start)
        .for_each(|(x, s)| *x = (s + way.generative * (*x - s)).clamp(-1.0, 1.0));
    Frame::new(case.x.shape, x)
}

/// A level for the first step from what the prior's first estimate lacks of the measurement: the
/// root of the mean square of `A+ (y - A x0)` per measured direction, times a factor that is the
/// same for all tasks.
fn from_residual(case: &Case, prior: &Model, start: f64) -> ddnm::Result<f64> {
    const FACTOR: f64 = 4.0;
    let level = prior.diffusion().at_sigma(start);
    let x0 = estimate(case, prior, level, &case.a.start(&case.y.data, case.sigma_y))?;
    let mut change = vec![0.0; x0.len()];
    case.a.pinv(Region::whole(case.x.shape), &left(case, &x0), &|_| 1.0, &mut change);
    let square: f64 = change.iter().map(|v| f64::from(*v).powi(2)).sum();
    Ok(FACTOR * (square / case.a.rank() as f64).sqrt())
}
