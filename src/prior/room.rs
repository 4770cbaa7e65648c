//! What a network may occupy and calculate for one window size.

use super::refusal::Refusal;
use crate::network::Plan;

/// Bytes of intermediate values that live at once, per pixel of the window. The bundled network
/// needs 700, that of DDPM for CIFAR-10 needs 17,000. Attention needs more as windows grow: over
/// every second pixel of a window of 184x184, six heads take 100 KiB per pixel.
const LIVE_PER_PIXEL: u64 = 128 << 10;
/// And whatever the window: embeddings of the noise level, transformed weights of one layer.
const LIVE: u64 = 64 << 20;

/// Bytes of constants that are computed while loading, per byte of the file: half precision and
/// 8-bit weights grow by 2 and 4, and a transposed one is there twice.
const CONSTANTS_PER_BYTE: u64 = 8;
/// And whatever the weights: tables of positions and angles.
const CONSTANTS: u64 = 64 << 20;

/// Multiply-accumulates and written bytes per pixel of the window; the network of DDPM for
/// CIFAR-10 needs 6.4 million.
const WORK_PER_PIXEL: u64 = 1 << 28;
const WORK: u64 = 1 << 32;

/// What a network may occupy for one window size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Room {
    /// Bytes of intermediate values that live at once.
    pub live: u64,
    /// Bytes of constants.
    pub constants: u64,
    /// Multiply-accumulates.
    pub work: u64,
}

impl Room {
    /// The room for a window of `height x width` and a file of `size` bytes.
    pub fn new(height: usize, width: usize, size: usize) -> Room {
        let pixels = (height as u64).saturating_mul(width as u64);
        let room = |each: u64, count: u64, rest| count.saturating_mul(each).saturating_add(rest);
        Room {
            live: room(LIVE_PER_PIXEL, pixels, LIVE),
            constants: room(CONSTANTS_PER_BYTE, size as u64, CONSTANTS),
            work: room(WORK_PER_PIXEL, pixels, WORK),
        }
    }

    /// Refuses a plan of our own operators that has no room.
    pub fn admit(&self, plan: &Plan) -> Result<(), Refusal> {
        let bytes = plan.bytes() as u64;
        if bytes > self.live {
            let expected = format!("at most {} bytes of memory for a window", self.live);
            return Refusal::because(expected, bytes);
        }
        let work = plan.layers().iter().fold(0u64, |sum, (_, _, n)| sum.saturating_add(*n));
        if work > self.work {
            let expected = format!("at most {} multiply-accumulates for a window", self.work);
            return Refusal::because(expected, work);
        }
        Ok(())
    }
}
