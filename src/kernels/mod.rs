//! The arithmetic of the network: convolutions, norms and what stands between them, written once
//! over vectors of one instruction set ([`simd::Simd`]) and chosen at run time ([`Isa`]); and the
//! normal numbers of draws.
//!
//! Pictures are channels-last with a border of zeros ([`Grid`]), so that a convolution is a matrix
//! product whose rows are runs of memory as they lie: nothing is gathered.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod conv;
mod conv_int8;
mod dot;
#[cfg(target_arch = "aarch64")]
mod dot_neon;
#[cfg(target_arch = "x86_64")]
mod dot_x86;
mod grid;
mod isa;
#[cfg(target_arch = "aarch64")]
mod neon;
mod normal;
mod pack;
mod peak;
mod pointwise;
mod portable;
mod product;
mod rearrange;
#[cfg(test)]
mod reference;
mod simd;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_between;
#[cfg(test)]
mod tests_int8;
mod transforms;
mod wide;
mod winograd;

pub use conv::{Conv, conv};
pub use conv_int8::{ConvInt8, MOST_INPUTS, conv_int8};
pub use grid::{CHANNEL_STEP, Grid, View, round_up};
pub use isa::Isa;
pub use normal::{normal_pair, normals, philox};
pub use pack::{Weights, arrange, blocks};
pub use peak::peak;
pub use pointwise::{add, moments, pointwise};
pub use product::{Activation, Epilogue};
pub use rearrange::{
    average, copy_channels, depth_to_space, from_planes, space_to_depth, take_channels, to_planes,
    upsample,
};
pub(crate) use wide::wide;
pub use winograd::{Winograd, winograd};
