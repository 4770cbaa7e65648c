//! The tensors of a model in one run of bytes.

use half::f16;
use serde::{Deserialize, Serialize};
use std::ops::Range;

use super::bytes::{Bytes, as_f16, as_f32, as_i8};
use crate::kernels::{Weights, blocks};

/// Tensors start at multiples of this: a cache line.
const ALIGN: usize = 64;

/// How numbers are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    F32,
    F16,
    /// Signed bytes in `-127..=127` times one scale per output channel: the largest magnitude of
    /// the channel over 127.
    Int8,
}

/// Where a tensor lies and what it holds: `rows * outputs` numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorEntry {
    pub format: Format,
    pub rows: usize,
    pub outputs: usize,
    /// First byte of the numbers. Scales of 8-bit ones stand before them, padded to the alignment.
    pub offset: usize,
}

impl TensorEntry {
    fn len(&self) -> Option<usize> {
        self.rows.checked_mul(self.outputs)
    }

    /// Bytes of the scales and of the numbers.
    fn ranges(&self) -> Option<(Range<usize>, Range<usize>)> {
        let scales = match self.format {
            Format::Int8 => self.outputs.checked_mul(4)?,
            _ => 0,
        };
        let size = match self.format {
            Format::F32 => 4,
            Format::F16 => 2,
            Format::Int8 => 1,
        };
        let start = self.offset.checked_add(scales.checked_next_multiple_of(ALIGN)?)?;
        let end = start.checked_add(self.len()?.checked_mul(size)?)?;
        Some((self.offset..self.offset.checked_add(scales)?, start..end))
    }
}

/// Tensors, and the bytes that hold them.
#[derive(Debug)]
pub struct Store {
    bytes: Bytes,
    /// Where the tensors' section starts in `bytes`.
    section: Range<usize>,
    tensors: Vec<TensorEntry>,
}

impl Store {
    /// Tensors in a section of `bytes`. Refuses, with the reason, a tensor that does not lie in
    /// the section or is not aligned there, tensors that together hold more than the section (so
    /// that a short list cannot ask for the same bytes again and again), numbers that are not
    /// finite, and the 8-bit number -128.
    pub fn new(
        bytes: Bytes,
        section: Range<usize>,
        tensors: Vec<TensorEntry>,
    ) -> Result<Store, String> {
        let store = Store { bytes, section, tensors };
        let mut held = 0;
        for index in 0..store.tensors.len() {
            let entry = &store.tensors[index];
            let weights = store
                .find(entry)
                .ok_or_else(|| format!("tensor {index} in the section, found {entry:?}"))?;
            held += entry.ranges().map_or(0, |(scales, numbers)| scales.len() + numbers.len());
            if held > store.section.len() {
                return Err(format!("tensors apart from each other, found {entry:?}"));
            }
            let finite = match weights {
                Weights::F32(w) => w.iter().all(|w| w.is_finite()),
                Weights::F16(w) => w.iter().all(|w| w.is_finite()),
                Weights::Int8(w, scales) => {
                    w.iter().all(|w| *w != i8::MIN) && scales.iter().all(|s| s.is_finite())
                }
            };
            if !finite {
                let expected = "finite weights, 8-bit ones in -127..=127, in tensor";
                return Err(format!("{expected} {index}"));
            }
        }
        Ok(store)
    }

    /// No tensors.
    pub fn empty() -> Store {
        Store { bytes: Bytes::Static(&[]), section: 0..0, tensors: vec![] }
    }

    /// Whether it holds the same tensors.
    pub fn same(&self, other: &Store) -> bool {
        self.tensors == other.tensors && self.section() == other.section()
    }

    fn find(&self, entry: &TensorEntry) -> Option<Weights<'_>> {
        let section = self.bytes.as_slice().get(self.section.clone())?;
        let (scales, numbers) = entry.ranges()?;
        let numbers = section.get(numbers)?;
        Some(match entry.format {
            Format::F32 => Weights::F32(as_f32(numbers)?),
            Format::F16 => Weights::F16(as_f16(numbers)?),
            Format::Int8 => Weights::Int8(as_i8(numbers), as_f32(section.get(scales)?)?),
        })
    }

    /// The numbers of a tensor; none if there is no such tensor.
    pub fn weights(&self, tensor: usize) -> Weights<'_> {
        let found = self.tensors.get(tensor).and_then(|entry| self.find(entry));
        found.unwrap_or(Weights::F32(&[]))
    }

    /// How many numbers a tensor has.
    pub fn len_of(&self, tensor: usize) -> Option<usize> {
        self.tensors.get(tensor)?.len()
    }

    pub fn tensors(&self) -> &[TensorEntry] {
        &self.tensors
    }

    /// The bytes of the tensors, as a file holds them.
    pub fn section(&self) -> &[u8] {
        &self.bytes.as_slice()[self.section.clone()]
    }
}

/// Collects tensors into a [`Store`].
#[derive(Debug, Default)]
pub struct StoreBuilder {
    bytes: Vec<u8>,
    tensors: Vec<TensorEntry>,
}

impl StoreBuilder {
    /// Adds the weights of a convolution, in the order of [`arrange`](crate::kernels::arrange);
    /// returns the tensor's number.
    pub fn push_blocks(&mut self, values: &[f32], outputs: usize, format: Format) -> usize {
        let rows = values.len() / outputs.max(1);
        let block = |(first, width): (usize, usize)| (first, width.min(outputs - first));
        let columns = |(first, columns)| (&values[first * rows..][..columns * rows], columns);
        let matrices: Vec<_> = blocks(outputs).map(block).map(columns).collect();
        self.push_matrices(&matrices, outputs, format)
    }

    /// Adds a matrix `[rows][outputs]`; returns the tensor's number.
    pub fn push(&mut self, values: &[f32], outputs: usize, format: Format) -> usize {
        self.push_matrices(&[(values, outputs)], outputs, format)
    }

    /// Adds matrices whose columns together are the outputs.
    fn push_matrices(
        &mut self,
        matrices: &[(&[f32], usize)],
        outputs: usize,
        format: Format,
    ) -> usize {
        self.align();
        let values = || matrices.iter().flat_map(|(values, _)| *values);
        let rows = values().count() / outputs.max(1);
        self.tensors.push(TensorEntry { format, rows, outputs, offset: self.bytes.len() });
        match format {
            Format::F32 => self.bytes.extend(values().flat_map(|v| v.to_le_bytes())),
            Format::F16 => {
                self.bytes.extend(values().flat_map(|v| f16::from_f32(*v).to_le_bytes()));
            }
            Format::Int8 => {
                let mut scales = Vec::with_capacity(outputs);
                for (values, columns) in matrices {
                    let mut largest = vec![0.0f32; *columns];
                    for row in values.chunks_exact(*columns) {
                        largest.iter_mut().zip(row).for_each(|(l, v)| *l = l.max(v.abs()));
                    }
                    scales.extend(largest.iter().map(|l| l / 127.0));
                }
                self.bytes.extend(scales.iter().flat_map(|v| v.to_le_bytes()));
                self.align();
                let mut first = 0;
                for (values, columns) in matrices {
                    let scales = &scales[first..first + columns];
                    first += columns;
                    for row in values.chunks_exact(*columns) {
                        self.bytes.extend(row.iter().zip(scales).map(|(v, scale)| {
                            let whole = if *scale > 0.0 { (v / scale).round() } else { 0.0 };
                            whole as i8 as u8
                        }));
                    }
                }
            }
        }
        self.tensors.len() - 1
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
    }

    /// All of it in memory.
    pub fn build(mut self) -> Result<Store, String> {
        self.align();
        let section = 0..self.bytes.len();
        Store::new(Bytes::copy(&self.bytes), section, self.tensors)
    }
}
