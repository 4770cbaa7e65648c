//! Restores camera frames with a diffusion prior, on small boards, and proves that each
//! result agrees with what the camera measured. See `ARCHITECTURE.md` for the rooms.

pub mod classical;
pub mod error;
pub mod frame;
pub mod io;
pub mod metrics;

pub use error::{Error, Result};
pub use frame::{Frame, Shape};
