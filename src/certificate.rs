//! The proof that comes with a result: how far `A x` is from what was measured.
//!
//! All residuals are in 8-bit code values (0..255, whatever the file's depth), the unit of
//! `--noise`.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::alarm::{self, Finding};
use crate::degrade::{Degradation, Limits, Reach, blocks};
use crate::error::{Error, Result};
use crate::frame::{Frame, Region, code_max, crop};
use crate::prior::Identity;
use crate::sampler::grid::{Grid, Tile, Tiling};
use crate::sampler::{Finished, Misfit, Mode, NoiseRule, Settings, kept_residual, rms};

/// Half of `[-1, 1]` in 8-bit code values.
const CODES: f64 = 127.5;

/// What a certificate says besides its numbers.
pub const STATEMENT: &str = "Agreement with the measurement is not proof of truth: what the \
measurement does not contain comes from a model of typical pictures, and many different scenes \
agree with the same measurement.";

/// The distance of `A x` from the measurement, in 8-bit code values.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Residual {
    pub max: f64,
    pub rms: f64,
}

/// The sums behind a [`Residual`].
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    max: f64,
    squares: f64,
    count: u64,
}

impl Sums {
    /// Counts residuals `r` where something was measured: where the singular value `s` is not 0.
    fn count(&mut self, r: &[f32], s: &[f32]) {
        for (r, s) in r.iter().zip(s) {
            if *s > 0.0 {
                let r = f64::from(*r) * CODES;
                self.max = self.max.max(r.abs());
                self.squares += r * r;
                self.count += 1;
            }
        }
    }

    fn add(&mut self, other: Sums) {
        self.max = self.max.max(other.max);
        self.squares += other.squares;
        self.count += other.count;
    }

    fn residual(&self) -> Residual {
        // A maximum passes over what is not a number; a sum does not.
        let max = if self.squares.is_nan() { f64::NAN } else { self.max };
        Residual { max, rms: (self.squares / self.count.max(1) as f64).sqrt() }
    }
}

/// `y - A x` of a region, of which `x` and `y` hold the scene and the measurement; with `limits`
/// the distance to each value's interval.
fn distances(
    a: &dyn Degradation,
    region: Region,
    x: &[f32],
    y: &[f32],
    limits: Option<&Limits>,
) -> Vec<f32> {
    let mut r = vec![0.0; y.len()];
    a.apply(region, x, &mut r);
    r.iter_mut().zip(y).for_each(|(r, y)| *r = y - *r);
    if let Some(limits) = limits {
        let mut gain = vec![0.0; y.len()];
        a.dc_gain(region, &mut gain);
        limits.shorten(y, &gain, &mut r);
    }
    r
}

/// The singular values of a region, one per measured value.
fn singular_values(a: &dyn Degradation, region: Region) -> Vec<f32> {
    let mut s = vec![0.0; a.measured(region).shape(a.measurement().channels).len()];
    a.singular_values(region, &mut s);
    s
}

/// The residual of a picture; unmeasured values do not count.
pub fn residual(a: &dyn Degradation, y: &Frame, x: &Frame) -> Residual {
    let mut sums = Sums::default();
    for region in blocks(a) {
        let mut part = vec![0.0; region.shape(a.scene().channels).len()];
        crop(&x.data, x.shape, region, &mut part);
        let measured = a.measured(region);
        let mut expected = vec![0.0; measured.shape(a.measurement().channels).len()];
        crop(&y.data, y.shape, measured, &mut expected);
        let r = distances(a, region, &part, &expected, None);
        sums.count(&r, &singular_values(a, region));
    }
    sums.residual()
}

/// The residuals of a result that is finished part by part.
pub struct Tally<'a> {
    a: &'a dyn Degradation,
    grid: &'a Grid,
    exact: Sums,
    written: Sums,
    /// One per tile of the grid; none for an operator that needs the whole frame.
    tiles: Vec<Sums>,
    misfit: Misfit,
    /// Whether the measurement has no noise.
    exactly: bool,
    limits: Option<Limits>,
    /// Without noise and where rows of `A` overlap: the residuals on the directions that `A`
    /// keeps, before and after rounding, as roots of the mean square.
    kept: Option<(f64, f64)>,
}

impl<'a> Tally<'a> {
    /// For the tiles of the last step, `grid`.
    pub fn new(a: &'a dyn Degradation, grid: &'a Grid, settings: &Settings) -> Tally<'a> {
        let (exact, written) = (Sums::default(), Sums::default());
        let tiles = if a.reach() == Reach::Local { grid.len() } else { 0 };
        let tiles = vec![Sums::default(); tiles];
        let (exactly, limits) = (settings.sigma_y == 0.0, settings.limits);
        Tally {
            a,
            grid,
            exact,
            written,
            tiles,
            misfit: Misfit::default(),
            exactly,
            limits,
            kept: None,
        }
    }

    /// Counts a part, which lies in one row of tiles; `written` is what the file holds of it, as `part.x`.
    pub fn add(&mut self, part: &Finished, written: &[f32]) {
        let Finished { region, x, y, misfit } = *part;
        self.misfit.add(misfit);
        let limits = self.limits.as_ref();
        let s = singular_values(self.a, region);
        self.exact.count(&distances(self.a, region, x, y, limits), &s);
        if self.exactly && self.a.rows_overlap() {
            let of = |x: &[f32]| rms(&kept_residual(self.a, y, limits, x).0) * CODES;
            self.kept = Some((of(x), of(written)));
        }
        let r = distances(self.a, region, written, y, limits);
        if self.a.reach() == Reach::Global {
            self.written.count(&r, &s);
            return;
        }
        let measured = self.a.measured(region);
        let row = self.grid.rows.partition_point(|r| r.core_end <= region.y);
        for (i, column) in self.grid.columns.iter().enumerate() {
            let tile = Region { x: column.core, width: column.core_end - column.core, ..region };
            let of = self.a.measured(tile);
            let mut sums = Sums::default();
            for line in 0..self.a.measurement().channels * measured.height {
                let start = line * measured.width + of.x - measured.x;
                let line = start..start + of.width;
                sums.count(&r[line.clone()], &s[line]);
            }
            self.written.add(sums);
            self.tiles[row * self.grid.columns.len() + i].add(sums);
        }
    }
}

/// The share of the scene's values that the measurement determines: the rank of `A` over the
/// number of values.
pub fn measured_share(a: &dyn Degradation) -> f64 {
    a.rank() as f64 / a.scene().len() as f64
}

/// The largest residual that rounding to `bits` can leave, in 8-bit code values: half a step of
/// the file times the largest row sum of `A`. Where rows of `A` overlap it bounds the root of
/// the mean square, by the largest singular value: single residuals of long rows can be large.
pub fn rounding_bound(a: &dyn Degradation, bits: u8) -> f64 {
    let half = 0.5 * 255.0 / f64::from(code_max(bits));
    if a.rows_overlap() {
        let spread = a.scene().len() as f64 / a.measurement().len() as f64;
        return half * f64::from(a.spectrum().max()) * spread.sqrt();
    }
    half * f64::from(a.max_row_sum())
}

/// The residual (root of the mean square, 8-bit code values) that is promised before rounding
/// where rows of `A` overlap. Not every `y` is that of a picture there: rounding to 8 bits alone
/// moves `y` by up to this.
const OVERLAPPING: f64 = 0.5;

/// SHA-256 of the operator: its spec, its sizes, and its singular values and gains from the top
/// of the scene to its bottom, or where its rows overlap its
/// [`contents`](Degradation::contents).
pub fn operator_hash(a: &dyn Degradation) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{}|{}|{}|", a.spec(), a.scene(), a.measurement()));
    if a.rows_overlap() {
        update(&mut hash, &a.contents());
        return hex(&hash.finalize());
    }
    let mut values = Vec::new();
    for region in blocks(a) {
        values.resize(a.measured(region).shape(a.measurement().channels).len(), 0.0);
        a.singular_values(region, &mut values);
        update(&mut hash, &values);
        a.dc_gain(region, &mut values);
        update(&mut hash, &values);
    }
    hex(&hash.finalize())
}

/// Adds values as little-endian bytes: many at a time, since each call costs more than a value.
fn update(hash: &mut Sha256, values: &[f32]) {
    let mut bytes = [0; 1 << 12];
    for values in values.chunks(bytes.len() / size_of::<f32>()) {
        for (to, v) in bytes.chunks_exact_mut(size_of::<f32>()).zip(values) {
            to.copy_from_slice(&v.to_le_bytes());
        }
        hash.update(&bytes[..size_of_val(values)]);
    }
}

/// SHA-256 of some bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// A checksum in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Everything that a certificate is made of.
pub struct Evidence<'a> {
    pub a: &'a dyn Degradation,
    pub tally: &'a Tally<'a>,
    /// Bits per sample of the written file.
    pub bits: u8,
    /// SHA-256 of the written file.
    pub file: &'a str,
    pub settings: &'a Settings,
    pub prior: &'a Identity,
    pub tiling: Tiling,
    /// The noise that was estimated from the measurement, in 8-bit code values.
    pub estimated: Option<f64>,
}

impl Evidence<'_> {
    /// Residuals of the whole frame, before and after rounding.
    pub fn residuals(&self) -> (Residual, Residual) {
        (self.tally.exact.residual(), self.tally.written.residual())
    }

    /// What the misfit of the prior's last estimate says of degradation and noise.
    pub fn finding(&self) -> Finding {
        alarm::judge(self.a, self.settings, self.prior, self.tally.misfit)
    }

    /// Checks what is promised: without noise, `A x = y` up to float rounding, and up to
    /// [`rounding_bound`] in the file. Where rows of `A` overlap: the root of the mean square of
    /// the residual, on the directions that `A` keeps, up to half a code value.
    pub fn check(&self) -> Result<()> {
        let (exact, written) = self.residuals();
        if self.settings.sigma_y > 0.0 {
            return Ok(());
        }
        if let Some((exact, written)) = self.tally.kept {
            return self.check_kept(exact, written);
        }
        // A tenth of the bound on top: the file's own values are floats again when read.
        let bound = 1.1 * rounding_bound(self.a, self.bits);
        if exact.max <= 1e-5 * 255.0 && written.max <= bound {
            return Ok(());
        }
        Err(Error::Numerical {
            what: format!("agreement with the measurement of `{}`", self.a.spec()),
            expected: format!("a residual of at most {bound:.3} code values"),
            found: format!(
                "{:.3} ({:.5} before rounding): no picture between black and white gives this \
                 measurement exactly; if it is noisy, say so with --noise",
                written.max, exact.max
            ),
        })
    }

    fn check_kept(&self, exact: f64, written: f64) -> Result<()> {
        let after = OVERLAPPING + 1.1 * rounding_bound(self.a, self.bits);
        if exact <= OVERLAPPING && written <= after {
            return Ok(());
        }
        Err(Error::Numerical {
            what: format!("agreement with the measurement of `{}`", self.a.spec()),
            expected: format!(
                "a residual (RMS) of at most {OVERLAPPING} code values, {after:.3} rounded"
            ),
            found: format!(
                "{exact:.3}, {written:.3} rounded: no picture between black and white gives this \
                 measurement; if it is noisy, say so with --noise"
            ),
        })
    }

    /// The certificate.
    pub fn json(&self) -> Value {
        let (before, after) = self.residuals();
        let grid = self.tally.grid;
        let tile = |(tile, sums): (Tile, &Sums)| {
            let (core, r) = (tile.core(), sums.residual());
            json!({ "x": core.x, "y": core.y, "width": core.width, "height": core.height,
                    "max": r.max, "rms": r.rms })
        };
        let tiles = grid.tiles().zip(&self.tally.tiles);
        let tiles: Vec<Value> = tiles.map(tile).collect();
        let noise = self.settings.sigma_y * CODES;
        let (a, prior) = (self.a, self.prior);
        let finding = self.finding();
        json!({
            "statement": STATEMENT,
            "unit": "8-bit code values",
            "residual": {
                "before_rounding": { "max": before.max, "rms": before.rms },
                "written_file": { "max": after.max, "rms": after.rms },
                "rounding_bound": rounding_bound(a, self.bits),
                "kept_directions": self.tally.kept.map(|(before, after)| json!({
                    "before_rounding": { "rms": before }, "written_file": { "rms": after },
                })),
            },
            "last_estimate": {
                "misfit": finding.rms, "usual": finding.usual, "counted": finding.count,
                "verdict": finding.verdict.name(),
            },
            "noise": noise,
            "noise_estimated": self.estimated,
            "camera_noise": self.settings.camera.map(|c| json!({ "gain": c.gain, "read": c.read })),
            "saturation": self.settings.limits.map(|l| json!({
                "half_code": f64::from(l.half) * CODES,
                "black": f64::from(l.black + 1.0) * CODES, "white": f64::from(l.white + 1.0) * CODES,
            })),
            "measured_share": measured_share(a),
            "result": { "sha256": self.file, "bits": self.bits,
                        "width": a.scene().width, "height": a.scene().height,
                        "channels": a.scene().channels },
            "operator": {
                "spec": a.spec(), "sha256": operator_hash(a),
                // Directions with smaller singular values count as not measured.
                "truncation": a.truncation(),
            },
            "model": {
                "name": prior.name,
                "sha256": prior.sha256,
                "weights": prior.weights,
                "arithmetic": prior.arithmetic,
                "kernels": prior.kernels,
            },
            "mode": mode(&self.settings.mode),
            "schedule": self.settings.levels.iter()
                .map(|l| json!({ "sigma": l.sigma(), "t": l.t })).collect::<Vec<_>>(),
            "generative": self.settings.generative,
            "relaxation": self.settings.relaxation,
            "momentum": self.settings.momentum,
            "evaluations": self.settings.levels.len(),
            "tile": { "core": self.tiling.tile, "halo": self.tiling.halo },
            "machine": { "architecture": std::env::consts::ARCH, "threads": self.settings.threads },
            "program": { "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") },
            "tiles": tiles,
        })
    }
}

fn mode(mode: &Mode) -> Value {
    match mode {
        Mode::Faithful => json!({ "name": "faithful" }),
        Mode::Sample { eta, rule, seed } => {
            let rule = if *rule == NoiseRule::Split { "split" } else { "ddim" };
            json!({ "name": "sample", "eta": eta, "rule": rule, "seed": seed })
        }
    }
}
