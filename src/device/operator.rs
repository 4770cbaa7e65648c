//! Degradations with closed forms, as nodes of a graph: `A`, and `A+` with weights per singular
//! value.

use tract_core::internal::*;

use super::wires::Wires;
use crate::degrade::{AxisMap, Degradation, Reach, Spectrum};
use crate::frame::{Region, Shape};
use crate::noise::NoiseField;

/// A degradation that a graph can hold.
pub struct Closed {
    scene: Shape,
    measurement: Shape,
    form: Form,
    pub singular: Singular,
}

/// Singular values, one for all or one for each direction of the measurement.
#[derive(Debug, Clone, PartialEq)]
pub enum Singular {
    Flat(f32),
    /// Planar as directions lie (see [`Form`]), or one plane for all channels; 0 where nothing is
    /// kept.
    Map {
        shape: Shape,
        values: Vec<f32>,
    },
}

enum Form {
    /// `(A x)_m = sum of e_j x_j` over the pixels `j` of block `m` (and over channels, where the
    /// measurement has one): every chain of pooling, masks, gray and Bayer filters. No value of
    /// the scene enters two measurements, so `e = A^T 1`, and directions are the measurements.
    Rows { factor: usize, entries: Vec<f32> },
    /// One symmetric map down and one across; directions are products of cosines.
    Axes { down: AxisMap, across: AxisMap, signed: Vec<f32> },
}

impl Closed {
    /// The form of a degradation, if it has one that graphs can hold.
    pub fn of(a: &dyn Degradation) -> Option<Closed> {
        if let Some([down, across]) = a.axes() {
            return Some(axes(a, down, across));
        }
        let rows = rows(a)?;
        // Whether this is all that `a` does is seen where it acts on noise.
        let mut x = vec![0.0; rows.scene.len()];
        NoiseField { seed: 0, frame: 0, draw: 0 }.fill(
            whole(rows.scene),
            rows.scene.channels,
            &mut x,
        );
        let (mut expected, found) = (vec![0.0; rows.measurement.len()], rows.host(&x));
        a.apply(whole(rows.scene), &x, &mut expected);
        let same = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-5 * (1.0 + a.abs());
        expected.iter().zip(&found).all(same).then_some(rows)
    }

    /// What the graph will do with `x`, done here, for forms of rows.
    fn host(&self, x: &[f32]) -> Vec<f32> {
        let mut y = vec![0.0; self.measurement.len()];
        let Form::Rows { factor, entries } = &self.form else { return y };
        let Shape { height, width, .. } = self.scene;
        for (i, (x, e)) in x.iter().zip(entries).enumerate() {
            let (c, row, column) = (i / (height * width), i / width % height, i % width);
            let channel = if self.measurement.channels == 1 { 0 } else { c };
            let at = (channel * self.measurement.height + row / factor) * self.measurement.width;
            y[at + column / factor] += e * x;
        }
        y
    }

    /// Adds what does not change from step to step to a graph.
    pub fn wire<'a>(&'a self, wires: &mut Wires) -> TractResult<Wired<'a>> {
        let square = |w: &mut Wires, side: usize, v: &[f32]| w.constant(&[side, side], v);
        let (scene, measurement) = (self.scene, self.measurement);
        let constants = match &self.form {
            Form::Rows { entries, .. } => vec![picture(wires, scene, entries)?],
            Form::Axes { down, across, .. } => {
                let (high, wide) = (scene.height, scene.width);
                let (rows, columns) = (cosines(high), cosines(wide));
                // Columns are multiplied from the right, too: see `both`.
                vec![
                    square(wires, high, &down.matrix)?,
                    square(wires, wide, &across.matrix)?,
                    square(wires, high, &transposed(&rows, high))?,
                    square(wires, wide, &transposed(&columns, wide))?,
                    square(wires, high, &rows)?,
                    square(wires, wide, &columns)?,
                ]
            }
        };
        let map = match &self.singular {
            Singular::Flat(_) => None,
            Singular::Map { shape, values } => {
                let inverse: Vec<f32> = match &self.form {
                    Form::Axes { signed, .. } => signed.iter().map(|s| invert(*s)).collect(),
                    Form::Rows { .. } => values.iter().map(|s| invert(s * s)).collect(),
                };
                Some((picture(wires, *shape, values)?, picture(wires, *shape, &inverse)?))
            }
        };
        Ok(Wired { closed: self, constants, map, measurement })
    }
}

fn invert(s: f32) -> f32 {
    if s == 0.0 { 0.0 } else { 1.0 / s }
}

fn whole(shape: Shape) -> Region {
    Region::whole(shape)
}

fn picture(wires: &mut Wires, shape: Shape, values: &[f32]) -> TractResult<OutletId> {
    wires.constant(&[1, shape.channels, shape.height, shape.width], values)
}

/// The form of rows that do not overlap, if sizes allow for it.
fn rows(a: &dyn Degradation) -> Option<Closed> {
    let (scene, measurement) = (a.scene(), a.measurement());
    let local = !a.rows_overlap() && a.reach() == Reach::Local;
    let fits = measurement.channels == 1 || measurement.channels == scene.channels;
    let of = |factor: usize| {
        let Shape { height, width, .. } = scene;
        (height.div_ceil(factor), width.div_ceil(factor)) == (measurement.height, measurement.width)
    };
    // The largest side tells the factor; more than one fits only where a measurement is one pixel.
    let factor =
        (1..=scene.height.max(scene.width)).find(|f| of(*f) && a.period().is_multiple_of(*f));
    let factor = factor.filter(|_| local && fits)?;
    let mut entries = vec![0.0; scene.len()];
    a.adjoint(whole(scene), &vec![1.0; measurement.len()], &mut entries);
    let singular = match a.spectrum() {
        Spectrum::Flat(s) => Singular::Flat(s),
        _ => {
            let mut values = vec![0.0; measurement.len()];
            a.singular_values(whole(scene), &mut values);
            Singular::Map { shape: measurement, values }
        }
    };
    Some(Closed { scene, measurement, form: Form::Rows { factor, entries }, singular })
}

fn axes(a: &dyn Degradation, down: AxisMap, across: AxisMap) -> Closed {
    let (scene, least) = (a.scene(), a.truncation());
    let kept = |s: f32| if s.abs() >= least { s } else { 0.0 };
    let row = |d: &f32| across.singular.iter().map(|a| kept(d * a)).collect::<Vec<_>>();
    let signed: Vec<f32> = down.singular.iter().flat_map(row).collect();
    let values = signed.iter().map(|s| s.abs()).collect();
    let singular = Singular::Map { shape: Shape { channels: 1, ..scene }, values };
    let form = Form::Axes { down, across, signed };
    Closed { scene, measurement: a.measurement(), form, singular }
}

/// The orthonormal cosines of a line, `[frequency, position]`.
fn cosines(size: usize) -> Vec<f32> {
    let value = |at: usize| {
        let (k, i) = (at / size, at % size);
        let scale = if k == 0 { 1.0 } else { 2f64.sqrt() } / (size as f64).sqrt();
        // The cosine's period in whole numbers: no accuracy is lost on the way.
        let turn = k * (2 * i + 1) % (4 * size);
        (scale * (std::f64::consts::PI * turn as f64 / (2 * size) as f64).cos()) as f32
    };
    (0..size * size).map(value).collect()
}

fn transposed(matrix: &[f32], size: usize) -> Vec<f32> {
    (0..size * size).map(|at| matrix[at % size * size + at / size]).collect()
}

/// A degradation in a graph.
pub struct Wired<'a> {
    closed: &'a Closed,
    constants: Vec<OutletId>,
    /// Singular values and what `A+` multiplies directions by, where these differ.
    pub map: Option<(OutletId, OutletId)>,
    measurement: Shape,
}

impl Wired<'_> {
    /// `A x`.
    pub fn apply(&self, wires: &mut Wires, x: OutletId) -> TractResult<OutletId> {
        match &self.closed.form {
            Form::Axes { .. } => self.both(wires, x, self.constants[0], self.constants[1]),
            Form::Rows { factor, .. } => {
                let x = wires.mul(x, self.constants[0])?;
                let x = if self.measurement.channels == 1 { wires.sum(x, 1)? } else { x };
                self.pool(wires, x, *factor)
            }
        }
    }

    /// The directions of a measurement.
    pub fn directions(&self, wires: &mut Wires, y: OutletId) -> TractResult<OutletId> {
        match &self.closed.form {
            Form::Axes { .. } => self.both(wires, y, self.constants[2], self.constants[3]),
            Form::Rows { .. } => Ok(y),
        }
    }

    /// `A+` of directions that are divided by what it takes already.
    pub fn back(&self, wires: &mut Wires, v: OutletId) -> TractResult<OutletId> {
        match &self.closed.form {
            Form::Axes { .. } => self.both(wires, v, self.constants[4], self.constants[5]),
            Form::Rows { factor, .. } => {
                let v = self.spread(wires, v, *factor)?;
                wires.mul(v, self.constants[0])
            }
        }
    }

    /// Sums of blocks; those at the far edges are of what is there.
    fn pool(&self, wires: &mut Wires, x: OutletId, factor: usize) -> TractResult<OutletId> {
        if factor == 1 {
            return Ok(x);
        }
        let Shape { channels, height, width } = self.measurement;
        let (high, wide) = (height * factor, width * factor);
        let Shape { height: has, width: wide_has, .. } = self.closed.scene;
        let x = wires.pad(x, high - has, wide - wide_has)?;
        let x = wires.reshape(x, &[channels * height, factor, width, factor])?;
        let x = wires.sum(x, 3)?;
        let x = wires.sum(x, 1)?;
        wires.reshape(x, &[1, channels, height, width])
    }

    /// Every measurement to all pixels of its block.
    fn spread(&self, wires: &mut Wires, v: OutletId, factor: usize) -> TractResult<OutletId> {
        if factor == 1 {
            return Ok(v);
        }
        let Shape { channels, height, width } = self.measurement;
        let v = wires.reshape(v, &[channels * height, 1, width, 1])?;
        let v = wires.broadcast(v, &[channels * height, factor, width, factor])?;
        let v = wires.reshape(v, &[1, channels, height * factor, width * factor])?;
        let v = wires.slice(v, 2, 0, self.closed.scene.height)?;
        wires.slice(v, 3, 0, self.closed.scene.width)
    }

    /// Multiplies rows by `across` from the right and columns by `down` in the same way.
    fn both(
        &self,
        wires: &mut Wires,
        x: OutletId,
        down: OutletId,
        across: OutletId,
    ) -> TractResult<OutletId> {
        let Shape { channels, height, width } = self.closed.scene;
        let x = wires.reshape(x, &[channels * height, width])?;
        let x = wires.product(x, across)?;
        let x = wires.reshape(x, &[1, channels, height, width])?;
        let x = wires.move_axis(x, 3, 2)?;
        let x = wires.reshape(x, &[channels * width, height])?;
        let x = wires.product(x, down)?;
        let x = wires.reshape(x, &[1, channels, width, height])?;
        wires.move_axis(x, 3, 2)
    }
}
