//! Classical estimates of a scene from its measurement: no learned part, no randomness.
//!
//! The sampler starts from these, and the tables compare against them. All are pure functions
//! on planar `f32` data: rows of `width` values, planes one after another, nominally in
//! `[-1, 1]`. None of them clips: a sharp estimate may overshoot the nominal range a little.

pub mod bicubic;
mod curvature;
pub mod demosaic;
pub mod fill;

#[cfg(test)]
mod testing;
