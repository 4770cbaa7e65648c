//! What one thread needs to run networks: allocated once, kept from run to run.

/// Working memory of one thread. It grows to what the largest plan needs and stays so.
#[derive(Debug, Default)]
pub struct Memory {
    /// Pictures and vectors between layers.
    pub(super) arena: Vec<f32>,
    /// Transformed weights and spectra of one layer.
    pub(super) scratch: Vec<f32>,
    /// Three vectors with one value per channel, padded: bias or scale, shift, centre.
    pub(super) channels: [Vec<f32>; 3],
    /// Sums per channel.
    pub(super) sums: Vec<f64>,
}

impl Memory {
    /// Room for runs that need `arena` and `scratch` floats and pictures of up to `channels`.
    pub(super) fn reserve(&mut self, arena: usize, scratch: usize, channels: usize) {
        let grow = |v: &mut Vec<f32>, len| {
            if v.len() < len {
                // A plan knows what it needs; room to spare would be a surprise.
                v.reserve_exact(len - v.len());
                v.resize(len, 0.0);
            }
        };
        grow(&mut self.arena, arena);
        grow(&mut self.scratch, scratch);
        self.channels.iter_mut().for_each(|v| grow(v, channels));
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
