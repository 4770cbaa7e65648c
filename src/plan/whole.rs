//! Bytes that operators over whole frames take for a moment: what the wavefront, the last pass
//! and the certificate hold besides the rows of measurement and states.

use super::rows::{FLOAT, Way};
use crate::degrade::Degradation;

/// Sizes in floats.
struct Sizes {
    scene: u64,
    measured: u64,
    forward: u64,
    inverse: u64,
    /// What conjugate gradients keep from one step to the next: part of `inverse` in a step.
    kept: u64,
}

impl Sizes {
    fn of(a: &dyn Degradation, way: &Way) -> Sizes {
        let working = a.working();
        let [forward, gram, inverse] =
            [working.forward, working.gram, working.inverse].map(|floats| floats as u64);
        let (scene, measured) = (a.scene().len() as u64, a.measurement().len() as u64);
        // Where values differ, conjugate gradients take the place of a closed form: with a weight
        // for each value, or on residuals without some of them.
        let inverse = match (way.loosens, way.values_differ) {
            (true, _) => inverse.max(7 * measured + gram.max(forward)),
            (false, true) => inverse.max(6 * measured + forward),
            _ => inverse,
        };
        let kept = if a.is_iterative() { working.kept as u64 } else { 0 };
        Sizes { scene, measured, forward, inverse, kept }
    }
}

/// Of the classical estimate: itself, and the measurement.
pub fn start(a: &dyn Degradation, way: &Way) -> u64 {
    let Sizes { scene, measured, inverse, .. } = Sizes::of(a, way);
    let made = a.classical_bytes() / FLOAT;
    // Gains, residuals and what is seen of them, and a correction.
    let loosened = if way.loosens { 4 * measured + scene + inverse } else { 0 };
    FLOAT * (scene + measured + made.max(loosened))
}

/// Of the projection of the prior's estimate.
pub fn projection(a: &dyn Degradation, way: &Way) -> u64 {
    let Sizes { scene, measured, forward, inverse, kept } = Sizes::of(a, way);
    let noise = 2 * measured * u64::from(way.values_differ);
    // Kinds of noise of a draw: the new one, the prior's, and what becomes of them, which is
    // corrected too where the measurement has noise.
    let bridged = way.draws && !way.exactly && a.is_iterative();
    let (drawn, outcome) = match (way.draws, bridged) {
        (false, _) => (0, 0),
        // That new noise goes through the system with the residual, in the place of a correction.
        (_, true) => (scene, if way.loosens { measured } else { 0 }),
        (_, false) => (2 * scene, scene),
    };
    let corrected = scene + inverse + outcome;
    // The last step looks at what light each value has.
    let gains = kept + 2 * measured + scene + forward;
    FLOAT * (scene + noise + measured + drawn + gains.max(corrected))
}

/// Of the last pass, the rounding and the certificate.
pub fn finish(a: &dyn Degradation, way: &Way) -> u64 {
    let Sizes { scene, measured, forward, inverse, kept } = Sizes::of(a, way);
    let gains = if way.loosens { measured + scene } else { 0 };
    let residual = 2 * measured + gains + forward;
    // The rounded result, and residuals of both.
    let proof = scene + residual;
    let directions = measured + scene + inverse.max(forward + gains);
    // What a step leads to; or a step of the pixels that can still move, a flag for each.
    let moved = measured + scene + directions;
    let freed = 5 * measured + scene + scene / FLOAT + forward;
    let exact = if way.exactly { moved.max(freed).max(scene + directions) } else { 0 };
    FLOAT * (kept + scene + measured + proof.max(exact))
}
