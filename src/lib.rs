//! Restores camera frames with a diffusion prior, on small boards, and proves that each
//! result agrees with what the camera measured. See `ARCHITECTURE.md` for the rooms.

#![deny(unsafe_op_in_unsafe_fn)]

pub mod alarm;
pub mod boards;
#[cfg(feature = "capi")]
pub mod capi;
pub mod certificate;
pub mod classical;
pub mod cli;
pub mod colour;
pub mod degrade;
pub mod device;
pub mod error;
pub mod frame;
pub mod io;
pub mod kernels;
pub mod metrics;
pub mod network;
pub mod noise;
pub mod plan;
pub mod prior;
pub mod sampler;
pub mod schedule;
mod scratch;
pub mod stream;
pub mod weights;

pub use error::{Error, Result};
pub use frame::{Frame, Shape};

/// The program of the README, compiled as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
