//! CPU kernels on plain slices, forward and backward: one folder or file for each operation. They use no layers and no
//! files.
//!
//! Activations are row-major: `[n, channels, height, width]` or `[n, features]`; in `channels_last` also
//! `[n, height, width, channels]`. Outputs are overwritten. Each kernel is
//! tested against a reference implementation in f64 (`reference`), whose gradients are compared with difference quotients.
//! Work is distributed over threads ([`crate::parallel`]). The bytes of a result do not depend on the number of threads,
//! since sums run over a fixed partition in a fixed order.
//!
//! A buffer of the wrong length is an error of the caller and panics.

#![allow(
    clippy::needless_range_loop,
    reason = "arrays of vectors are indexed: an iterator over them makes them go through memory instead of registers"
)]

pub mod activation;
pub mod avgpool;
pub mod blend;
pub mod channel_affine;
pub mod channels_last;
pub mod conv2d;
pub mod conv_block;
pub mod detach;
pub mod expectation;
pub mod gemm;
pub mod group_mean;
pub mod image_input;
pub mod join;
pub mod layer;
pub mod linear;
pub mod maxpool;
pub mod mean_max;
pub mod normalize;
pub mod parts;
pub mod region_pool;
mod shape;
pub mod sigmoid;
pub(crate) mod simd;
#[cfg(test)]
mod soundness_tests;
#[cfg(test)]
pub(crate) mod testing;
pub mod upsample;
pub mod winograd;

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, Sub};

pub(crate) use shape::product;
pub use shape::{Activation, ConvShape, PoolShape};

/// The number types of the reference implementations: f32 and f64.
pub trait Float:
    Copy
    + Debug
    + Default
    + PartialOrd
    + From<u16>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + AddAssign
{
    /// Returns `e^self`.
    #[must_use]
    fn exp(self) -> Self;
    /// Returns the nearest number of this type.
    fn from_f64(value: f64) -> Self;
}

impl Float for f32 {
    fn exp(self) -> Self {
        self.exp()
    }
    fn from_f64(value: f64) -> Self {
        value as Self
    }
}

impl Float for f64 {
    fn exp(self) -> Self {
        self.exp()
    }
    fn from_f64(value: f64) -> Self {
        value
    }
}
