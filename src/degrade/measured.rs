//! From what a file holds to the measurement `y`.

use super::{Degradation, blocks};
use crate::error::{Error, Result};
use crate::frame::{Frame, FrameRows, Region, Rows, Shape, collect};
use crate::scratch::zeros;

/// The measurement that a file's rows hold: converted from units of light (see
/// [`degrade`](super)), and 0 where nothing was measured.
pub struct MeasuredRows<'a> {
    a: &'a dyn Degradation,
    file: &'a mut dyn Rows,
    /// Number of the next block of the scene.
    block: usize,
    /// Rows of one block of the scene, each with its channels one after another.
    held: Vec<f32>,
    next: usize,
    /// Whether the buffer will be used again.
    keeps: bool,
}

impl<'a> MeasuredRows<'a> {
    /// A colour file whose channels are all equal passes for a gray measurement.
    ///
    /// # Errors
    /// [`Error::Shape`] for a file of another size than the operator's measurement.
    pub fn new(a: &'a dyn Degradation, file: &'a mut dyn Rows) -> Result<MeasuredRows<'a>> {
        Ok(MeasuredRows { keeps: false, ..MeasuredRows::with_buffer(a, file, Vec::new())? })
    }

    /// As [`new`](MeasuredRows::new), with the buffer of another one.
    pub fn with_buffer(
        a: &'a dyn Degradation,
        file: &'a mut dyn Rows,
        mut held: Vec<f32>,
    ) -> Result<MeasuredRows<'a>> {
        let (expected, found) = (a.measurement(), file.shape());
        let passes = expected.channels == 1 && found == Shape { channels: 3, ..expected };
        if found != expected && !passes {
            return Err(Error::shape(&format!("measurement of `{}`", a.spec()), expected, found));
        }
        held.clear();
        Ok(MeasuredRows { a, file, block: 0, held, next: 0, keeps: true })
    }

    /// Its buffer, for the next one.
    pub fn into_buffer(self) -> Vec<f32> {
        self.held
    }

    fn load(&mut self, block: Region) -> Result<()> {
        let Shape { channels, width, .. } = self.a.measurement();
        let shape = self.a.measured(block).shape(channels);
        let (mut gain, mut s) = (zeros(shape.len()), zeros(shape.len()));
        self.a.dc_gain(block, &mut gain);
        self.a.singular_values(block, &mut s);
        self.held.resize(shape.len(), 0.0);
        let mut read = zeros(self.file.shape().channels * width);
        for (y, row) in self.held.chunks_exact_mut(channels * width).enumerate() {
            self.file.next(&mut read)?;
            row.copy_from_slice(&read[..row.len()]);
            // Of a colour file that passes for gray, the other channels say the same.
            if !read.chunks_exact(row.len()).all(|same| same == row) {
                let what = format!("measurement of `{}`", self.a.spec());
                return Err(Error::shape(&what, "one channel", "a colour picture"));
            }
            for (c, part) in row.chunks_exact_mut(width).enumerate() {
                let at = (c * shape.height + y) * width;
                let known = gain[at..].iter().zip(&s[at..]);
                for (v, (g, s)) in part.iter_mut().zip(known) {
                    *v = if *s > 0.0 { *v + 1.0 - g } else { 0.0 };
                }
            }
        }
        self.next = 0;
        Ok(())
    }
}

impl Rows for MeasuredRows<'_> {
    fn shape(&self) -> Shape {
        self.a.measurement()
    }

    fn next(&mut self, row: &mut [f32]) -> Result<()> {
        if self.next * row.len() == self.held.len() {
            let Some(block) = blocks(self.a).nth(self.block) else {
                let expected = format!("{} rows", self.a.measurement().height);
                return Err(Error::shape("measurement", expected, "a call for one more"));
            };
            self.block += 1;
            self.load(block)?;
        }
        row.copy_from_slice(&self.held[self.next * row.len()..][..row.len()]);
        self.next += 1;
        if !self.keeps && self.next == self.a.measurement().height {
            // The block was the whole frame.
            (self.held, self.next) = (Vec::new(), 0);
        }
        Ok(())
    }
}

/// The measurement `y` that a file in memory holds; see [`MeasuredRows`].
pub fn measurement(a: &dyn Degradation, file: &Frame) -> Result<Frame> {
    let mut source = FrameRows::new(file);
    let mut y = collect(&mut MeasuredRows::new(a, &mut source)?)?;
    y.origin = file.origin.clone();
    Ok(y)
}
