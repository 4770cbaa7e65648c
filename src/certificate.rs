//! The proof that comes with a result: how far `A x` is from what was measured.
//!
//! All residuals are in 8-bit code values (0..255, whatever the file's depth), the unit of
//! `--noise`.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::degrade::Degradation;
use crate::error::{Error, Result};
use crate::frame::{Frame, Region, code_max, crop};
use crate::prior::Identity;
use crate::sampler::grid::{Grid, Tiling};
use crate::sampler::{Mode, NoiseRule, Settings};

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
    let mut s = vec![0.0; a.measurement().len()];
    a.singular_values(Region::whole(a.scene()), &mut s);
    s.iter().filter(|&&s| s > 0.0).count() as f64 / a.scene().len() as f64
}

/// The largest residual that rounding to `bits` can leave, in 8-bit code values: half a step of
/// the file times the largest row sum of `A`.
pub fn rounding_bound(a: &dyn Degradation, bits: u8) -> f64 {
    0.5 * 255.0 / f64::from(code_max(bits)) * f64::from(a.max_row_sum())
}

/// SHA-256 of the operator: its spec, its sizes, its spectrum and its gains.
pub fn operator_hash(a: &dyn Degradation) -> String {
    let whole = Region::whole(a.scene());
    let mut hash = Sha256::new();
    hash.update(format!("{}|{}|{}|", a.spec(), a.scene(), a.measurement()));
    let mut values = vec![0.0; a.measurement().len()];
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

    /// Checks what is promised: without noise, `A x = y` up to float rounding, and up to
    /// [`rounding_bound`] in the file.
    pub fn check(&self) -> Result<()> {
        let (exact, written) = self.residuals();
        if self.settings.sigma_y > 0.0 {
            return Ok(());
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

    /// The certificate.
    pub fn json(&self) -> Value {
        let (before, after) = self.residuals();
        let tiles: Vec<Value> = self
            .grid
            .tiles(0..self.grid.rows.len())
            .iter()
            .map(|tile| {
                let core = tile.core();
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
                "arithmetic": prior.arithmetic,
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
