//! The proof that comes with a result: how far `A x` is from what was measured.
//!
//! All residuals are in 8-bit code values (0..255, whatever the file's depth), the unit of
//! `--noise`.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::degrade::{Degradation, Reach};
use crate::error::{Error, Result};
use crate::frame::{Frame, Region, code_max, crop};
use crate::prior::Identity;
use crate::sampler::grid::{Grid, Tiling};
use crate::sampler::{CONTENT, Mode, NoiseRule, Settings, kept_residual, rms};

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

/// The residual of a picture over `region` of the scene; unmeasured values do not count.
pub fn residual(a: &dyn Degradation, y: &Frame, x: &Frame, region: Region) -> Residual {
    let scene = region.shape(a.scene().channels);
    let measured = a.measured(region);
    let shape = measured.shape(a.measurement().channels);
    let mut part = vec![0.0; scene.len()];
    crop(&x.data, x.shape, region, &mut part);
    let mut ax = vec![0.0; shape.len()];
    a.apply(region, &part, &mut ax);
    let mut expected = vec![0.0; shape.len()];
    crop(&y.data, y.shape, measured, &mut expected);
    let mut s = vec![0.0; shape.len()];
    a.singular_values(region, &mut s);
    let (mut max, mut sum, mut count) = (0.0f64, 0.0, 0);
    for ((ax, y), s) in ax.iter().zip(&expected).zip(&s) {
        if *s > 0.0 {
            let r = f64::from(ax - y) * CODES;
            max = if r.is_nan() { r } else { max.max(r.abs()) };
            sum += r * r;
            count += 1;
        }
    }
    Residual { max, rms: (sum / f64::from(count.max(1))).sqrt() }
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

/// What the rounding of the measurement's own file can have taken from `A x = y` (root of the
/// mean square, 8-bit code values), where rows of `A` overlap: then not every `y` is that of a
/// picture, and `y` as rounded may be none.
fn measured_to(y: &Frame) -> f64 {
    let half = match y.origin.bit_depth {
        bits @ (8 | 16) => 0.5 * 255.0 / f64::from(code_max(bits)),
        _ => 0.0,
    };
    half.max(2.0 * CONTENT * CODES)
}

/// SHA-256 of the operator: its spec, its sizes, its spectrum and its gains, or where rows of it
/// overlap its [`contents`](Degradation::contents).
pub fn operator_hash(a: &dyn Degradation) -> String {
    let whole = Region::whole(a.scene());
    let mut hash = Sha256::new();
    hash.update(format!("{}|{}|{}|", a.spec(), a.scene(), a.measurement()));
    let mut values = a.contents();
    if a.rows_overlap() {
        values.iter().for_each(|v: &f32| hash.update(v.to_le_bytes()));
        return hex(&hash.finalize());
    }
    values.resize(a.measurement().len(), 0.0);
    a.singular_values(whole, &mut values);
    values.iter().for_each(|v: &f32| hash.update(v.to_le_bytes()));
    a.dc_gain(whole, &mut values);
    values.iter().for_each(|v: &f32| hash.update(v.to_le_bytes()));
    hex(&hash.finalize())
}

/// SHA-256 of a file's bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Everything that a certificate is made of.
pub struct Evidence<'a> {
    pub a: &'a dyn Degradation,
    pub y: &'a Frame,
    /// The result before rounding.
    pub exact: &'a Frame,
    /// The result as read back from the written file.
    pub written: &'a Frame,
    /// Bits per sample of the written file.
    pub bits: u8,
    /// SHA-256 of the written file.
    pub file: &'a str,
    pub settings: &'a Settings,
    pub prior: &'a Identity,
    /// The tiles of the first step.
    pub grid: &'a Grid,
    pub tiling: Tiling,
}

impl Evidence<'_> {
    /// Residuals of the whole frame, before and after rounding.
    pub fn residuals(&self) -> (Residual, Residual) {
        let whole = Region::whole(self.a.scene());
        let of = |x| residual(self.a, self.y, x, whole);
        (of(self.exact), of(self.written))
    }

    /// Where rows of `A` overlap: the residuals on the directions that `A` keeps, before and
    /// after rounding, as roots of the mean square.
    pub fn kept(&self) -> Option<(f64, f64)> {
        let of = |x: &Frame| rms(&kept_residual(self.a, &self.y.data, &x.data).0) * CODES;
        self.a.rows_overlap().then(|| (of(self.exact), of(self.written)))
    }

    /// Checks what is promised: without noise, `A x = y` up to float rounding, and up to
    /// [`rounding_bound`] in the file. Where rows of `A` overlap: the root of the mean square of
    /// the residual, on the directions that `A` keeps, up to the rounding of the measurement.
    pub fn check(&self) -> Result<()> {
        let (exact, written) = self.residuals();
        if self.settings.sigma_y > 0.0 {
            return Ok(());
        }
        if let Some((exact, written)) = self.kept() {
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
        let before = measured_to(self.y);
        let after = before + 1.1 * rounding_bound(self.a, self.bits);
        if exact <= before && written <= after {
            return Ok(());
        }
        Err(Error::Numerical {
            what: format!("agreement with the measurement of `{}`", self.a.spec()),
            expected: format!(
                "a residual (RMS) of at most {before:.3} code values, {after:.3} rounded"
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
        // An operator over the whole frame has no residual of a tile.
        let regions = match self.a.reach() {
            Reach::Local => {
                self.grid.tiles(0..self.grid.rows.len()).iter().map(|t| t.core()).collect()
            }
            Reach::Global => vec![Region::whole(self.a.scene())],
        };
        let tiles: Vec<Value> = regions
            .into_iter()
            .map(|core| {
                let r = residual(self.a, self.y, self.written, core);
                json!({ "x": core.x, "y": core.y, "width": core.width, "height": core.height,
                        "max": r.max, "rms": r.rms })
            })
            .collect();
        let noise = self.settings.sigma_y * CODES;
        let (a, prior) = (self.a, self.prior);
        json!({
            "statement": STATEMENT,
            "unit": "8-bit code values",
            "residual": {
                "before_rounding": { "max": before.max, "rms": before.rms },
                "written_file": { "max": after.max, "rms": after.rms },
                "rounding_bound": rounding_bound(a, self.bits),
                "kept_directions": self.kept().map(|(before, after)| json!({
                    "before_rounding": { "rms": before }, "written_file": { "rms": after },
                })),
            },
            "noise": noise,
            "measured_share": measured_share(a),
            "result": { "sha256": self.file, "bits": self.bits,
                        "width": a.scene().width, "height": a.scene().height,
                        "channels": a.scene().channels },
            "operator": { "spec": a.spec(), "sha256": operator_hash(a) },
            "model": {
                "name": prior.name,
                "sha256": prior.sha256,
                "weights": prior.weights,
                "kernels": prior.kernels,
            },
            "mode": mode(&self.settings.mode),
            "schedule": self.settings.levels.iter()
                .map(|l| json!({ "sigma": l.sigma(), "t": l.t })).collect::<Vec<_>>(),
            "generative": self.settings.generative,
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
