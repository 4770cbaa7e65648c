//! Every operator at random sizes, with random masks, gains, kernels and ratios: what holds of all
//! of them. A failure is shrunk to the smallest case that fails, and printed as the [`Case`] it is.
//!
//! Cases are the same in every run; `PROPTEST_CASES` says how many, `PROPTEST_RNG_SEED` which.

use std::path::Path;

use ddnm::degrade::{Degradation, Spec, Spectrum, check};
use ddnm::frame::{Frame, Region, Rows, Shape};
use ddnm::noise::NoiseField;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

/// One degradation of a chain whose rows do not overlap.
#[derive(Debug, Clone, Copy)]
enum Link {
    Pool(usize),
    Mask,
    Gain,
    Gray(&'static str),
    Bayer(&'static str),
}

#[derive(Debug, Clone)]
enum Kind {
    Chain(Vec<Link>),
    Bicubic(usize),
    Gauss(f64, f64),
    Box(usize),
    /// `hadamard` or `blocks`, a ratio and a seed.
    Walsh(&'static str, f64, u64),
    /// Height and width.
    Kernel(usize, usize),
    /// What overlaps (a kernel, or a cubic down-sampling of a factor), and what does not behind it.
    Overlapping(Result<(usize, usize), usize>, Vec<Link>),
}

#[derive(Clone)]
struct Case {
    channels: usize,
    height: usize,
    width: usize,
    kind: Kind,
    /// Quarters of white, repeated over masks, gains and kernels.
    light: Vec<u8>,
}

impl std::fmt::Debug for Case {
    /// On one line: this is what a failure shows.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Case { channels, height, width, light, .. } = self;
        let spec = self.spec();
        write!(f, "`{spec}`, scene {channels} x {height} x {width}, quarters of white {light:?}")
    }
}

impl Case {
    /// The spec; files are named by their size.
    fn spec(&self) -> String {
        let Case { mut channels, mut height, mut width, .. } = *self;
        let mut parts = vec!["none".to_string()];
        let links = match &self.kind {
            Kind::Chain(links) => links,
            Kind::Overlapping(Ok((h, w)), links) => {
                parts[0] = format!("blur:{h}x{w}");
                (height, width) = ((height + 1).saturating_sub(*h), (width + 1).saturating_sub(*w));
                links
            }
            Kind::Overlapping(Err(n), links) => {
                parts[0] = format!("sr:{n}:bicubic");
                (height, width) = (height.div_ceil(*n), width.div_ceil(*n));
                links
            }
            Kind::Bicubic(n) => return format!("sr:{n}:bicubic"),
            Kind::Gauss(x, y) => return format!("blur:gauss:{x},{y}"),
            Kind::Box(side) => return format!("blur:box:{side}"),
            Kind::Walsh(name, ratio, seed) => return format!("{name}:{ratio}:{seed}"),
            Kind::Kernel(height, width) => return format!("blur:{height}x{width}"),
        };
        for link in links {
            let colour_is_there = channels == 3;
            match link {
                Link::Pool(n) => {
                    parts.push(format!("sr:{n}"));
                    (height, width) = (height.div_ceil(*n), width.div_ceil(*n));
                }
                Link::Mask => parts.push(format!("mask:{height}x{width}")),
                Link::Gain => parts.push(format!("gain:{height}x{width}")),
                Link::Gray(weights) if colour_is_there => {
                    parts.push(format!("gray:{weights}"));
                    channels = 1;
                }
                Link::Bayer(phase) if colour_is_there => {
                    parts.push(format!("bayer:{phase}"));
                    channels = 1;
                }
                // These need colour.
                Link::Gray(_) | Link::Bayer(_) => {}
            }
        }
        parts.join("+")
    }

    fn build(&self) -> ddnm::Result<Box<dyn Degradation>> {
        let load = |name: &Path| -> ddnm::Result<Box<dyn Rows>> {
            let size = name.to_str().unwrap().split_once('x').unwrap();
            let shape = Shape::new(1, size.0.parse().unwrap(), size.1.parse().unwrap());
            let light = self.light.iter().cycle().take(shape.len());
            Ok(Frame::new(shape, light.map(|q| f32::from(*q) / 2.0 - 1.0).collect())?.into())
        };
        let scene = Shape::new(self.channels, self.height, self.width);
        Spec::parse(&self.spec())?.build(scene, &load)
    }
}

fn link() -> impl Strategy<Value = Link> {
    prop_oneof![
        Just(Link::Mask),
        Just(Link::Gain),
        (2..=16usize).prop_map(Link::Pool),
        prop::sample::select(vec!["equal", "601", "709"]).prop_map(Link::Gray),
        prop::sample::select(vec!["rggb", "bggr", "grbg", "gbrg"]).prop_map(Link::Bayer),
    ]
}

/// Hundredths, so that specs stay short.
fn hundredths(range: std::ops::RangeInclusive<u32>) -> impl Strategy<Value = f64> {
    range.prop_map(|v| f64::from(v) / 100.0)
}

fn kind() -> impl Strategy<Value = Kind> {
    let walsh = prop::sample::select(vec!["hadamard", "blocks"]);
    prop_oneof![
        4 => prop::collection::vec(link(), 0..4).prop_map(Kind::Chain),
        1 => (2..=16usize).prop_map(Kind::Bicubic),
        1 => (hundredths(10..=400), hundredths(10..=400)).prop_map(|(x, y)| Kind::Gauss(x, y)),
        1 => (1..=6usize).prop_map(|half| Kind::Box(2 * half + 1)),
        1 => (walsh, hundredths(1..=100), any::<u64>()).prop_map(|(n, r, s)| Kind::Walsh(n, r, s)),
        1 => (1..=7usize, 1..=7usize).prop_map(|(h, w)| Kind::Kernel(h, w)),
        1 => ((1..=7usize, 1..=7usize), prop::collection::vec(link(), 1..3))
            .prop_map(|(size, links)| Kind::Overlapping(Ok(size), links)),
        1 => (2..=4usize, prop::collection::vec(link(), 1..3))
            .prop_map(|(n, links)| Kind::Overlapping(Err(n), links)),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let light = prop::collection::vec(0..=4u8, 1..12);
    let channels = prop::sample::select(vec![1, 3]);
    (channels, 1..=14usize, 1..=14usize, kind(), light).prop_map(
        |(channels, height, width, kind, light)| Case { channels, height, width, kind, light },
    )
}

fn random(draw: u16, len: usize) -> Vec<f32> {
    let field = NoiseField { seed: 9, frame: 0, draw };
    (0..len).map(|i| field.at(0, 0, i)).collect()
}

fn norm(v: &[f32]) -> f64 {
    v.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}

/// Relative to `b`, or where that is all but nothing absolute.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let away: Vec<f32> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    norm(&away) / norm(b).max(1e-3)
}

/// How much `<A v, u>` and `<v, A^T u>` differ, relative to `|v| |A^T u|`: `A v` may all but cancel
/// where little is measured.
fn adjoint(a: &dyn Degradation) -> f64 {
    let whole = Region::whole(a.scene());
    let (v, u) = (random(1, a.scene().len()), random(2, a.measurement().len()));
    let (mut av, mut atu) = (vec![0.0; u.len()], vec![0.0; v.len()]);
    a.apply(whole, &v, &mut av);
    a.adjoint(whole, &u, &mut atu);
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let size = norm(&v) * norm(&atu);
    if size > 0.0 { (dot(&av, &u) - dot(&v, &atu)).abs() / size } else { 0.0 }
}

/// `A+ A A+ u` against `A+ u`.
fn reflexive(a: &dyn Degradation) -> f64 {
    let whole = Region::whole(a.scene());
    let mut y = random(4, a.measurement().len());
    let (mut once, mut twice) = (vec![0.0; a.scene().len()], vec![0.0; a.scene().len()]);
    a.pinv(whole, &y, &|_| 1.0, &mut once);
    a.apply(whole, &once, &mut y);
    a.pinv(whole, &y, &|_| 1.0, &mut twice);
    distance(&twice, &once)
}

/// The trace of the projection `A+ A`: the number of directions that are measured.
fn trace(a: &dyn Degradation) -> f64 {
    let whole = Region::whole(a.scene());
    let (mut unit, mut y) = (vec![0.0; a.scene().len()], vec![0.0; a.measurement().len()]);
    let mut back = vec![0.0; unit.len()];
    let mut sum = 0.0;
    for i in 0..unit.len() {
        unit[i] = 1.0;
        a.apply(whole, &unit, &mut y);
        a.pinv(whole, &y, &|_| 1.0, &mut back);
        sum += f64::from(back[i]);
        unit[i] = 0.0;
    }
    sum
}

/// The largest singular value, by the power method from a random scene: never above it.
fn largest(a: &dyn Degradation) -> f64 {
    let whole = Region::whole(a.scene());
    let (mut x, mut y) = (random(5, a.scene().len()), vec![0.0; a.measurement().len()]);
    let mut found = 0.0;
    for _ in 0..60 {
        let size = norm(&x) as f32;
        x.iter_mut().for_each(|v| *v /= size);
        a.apply(whole, &x, &mut y);
        found = norm(&y);
        a.adjoint(whole, &y, &mut x);
    }
    found
}

/// What is asked of an operator; the rest of `case` is what it is built from.
fn holds(case: &Case) -> Result<(), TestCaseError> {
    let a = match case.build() {
        Ok(a) => a,
        // Nothing measured, a kernel that is black or larger than the scene.
        Err(ddnm::Error::Shape { .. } | ddnm::Error::Spec { .. }) => return Ok(()),
        Err(other) => return Err(TestCaseError::fail(format!("not built: {other}"))),
    };
    let found = check::identities(&a, Region::whole(a.scene()));
    let adjoint = adjoint(&a);
    prop_assert!(adjoint < 2e-6, "<A v, u> and <v, A^T u> differ by {adjoint} of |v| |A^T u|");
    prop_assert!(found.left_out <= 1.0, "truncated more than was said: {found}");
    let largest_found = largest(&a);
    let declared = f64::from(a.spectrum().max());
    prop_assert!(largest_found <= declared * 1.001, "{largest_found} above {declared}");
    if matches!(case.kind, Kind::Kernel(..) | Kind::Overlapping(..)) {
        // Its inverse is an iteration that stops at a share of the residual, and fades out where
        // others cut off.
        prop_assert!(found.symmetric < 3e-3, "symmetry: {found}");
        return Ok(());
    }
    // A truncated inverse multiplies rounding errors by up to fifty.
    let bound = if a.truncation() > 0.0 { 1e-4 } else { 2e-5 };
    let worst = [found.pseudo_inverse, found.symmetric, found.idempotent, found.spectrum];
    prop_assert!(worst.iter().all(|error| *error < bound), "identities: {found}");
    let again = reflexive(&a);
    prop_assert!(again < bound, "A+ A A+ u is off by {again}");
    let (trace, rank) = (trace(&a), a.rank() as f64);
    prop_assert!((trace - rank).abs() < 0.01 + 1e-4 * rank, "trace {trace}, rank {rank}");
    if let Spectrum::Flat(s) = a.spectrum() {
        prop_assert!((largest_found / f64::from(s) - 1.0).abs() < 1e-4, "{largest_found}, not {s}");
    }
    Ok(())
}

#[test]
fn every_operator_is_what_it_says_at_every_size() {
    const CASES: u32 = 4096;
    let usual = Config::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { usual.cases } else { CASES };
    let config = Config { failure_persistence: None, cases, ..usual };
    let seed = match config.rng_seed {
        RngSeed::Random => RngSeed::Fixed(7),
        fixed => fixed,
    };
    let mut runner = proptest::test_runner::TestRunner::new(Config { rng_seed: seed, ..config });
    if let Err(failed) = runner.run(&case(), |case| holds(&case)) {
        panic!("{failed}");
    }
}
