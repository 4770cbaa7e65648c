//! What one thread needs to run networks: allocated once, kept from run to run.

use std::ops::{Deref, DerefMut};

/// Floats that begin on a cache line, so that no vector lies across two.
#[derive(Debug, Default)]
pub(super) struct Floats {
    data: Vec<f32>,
    /// How many come before the cache line.
    skip: usize,
}

impl Floats {
    /// A cache line.
    const LINE: usize = 64;

    /// Makes room for `len`; what was there is lost where it has to grow.
    fn grow(&mut self, len: usize) {
        if self.len() >= len {
            return;
        }
        let spare = Floats::LINE / size_of::<f32>();
        // A plan knows what it needs; room to spare would be a surprise.
        self.data = Vec::new();
        self.data.reserve_exact(len + spare);
        self.data.resize(len + spare, 0.0);
        self.skip = self.data.as_ptr().align_offset(Floats::LINE).min(spare);
        self.data.truncate(self.skip + len);
    }
}

impl Deref for Floats {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.data[self.skip..]
    }
}

impl DerefMut for Floats {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.data[self.skip..]
    }
}

/// Working memory of one thread. It grows to what the largest plan needs and stays so.
#[derive(Debug, Default)]
pub struct Memory {
    /// Pictures and vectors between layers.
    pub(super) arena: Floats,
    /// Transformed weights and spectra of one layer.
    pub(super) scratch: Floats,
    /// Three vectors with one value per channel, padded: bias or scale, shift, centre.
    pub(super) channels: [Vec<f32>; 3],
    /// Sums per channel.
    pub(super) sums: Vec<f64>,
}

impl Memory {
    /// Room for runs that need `arena` and `scratch` floats and pictures of up to `channels`.
    pub(super) fn reserve(&mut self, arena: usize, scratch: usize, channels: usize) {
        self.arena.grow(arena);
        self.scratch.grow(scratch);
        for values in &mut self.channels {
            if values.len() < channels {
                values.resize(channels, 0.0);
            }
        }
        if self.sums.len() < channels {
            self.sums.resize(channels, 0.0);
        }
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        let floats = self.arena.len() + self.scratch.len();
        let channels: usize = self.channels.iter().map(Vec::len).sum();
        (floats + channels) * size_of::<f32>() + self.sums.len() * size_of::<f64>()
    }
}
