//! The convolutions at the beginning of a network as one pass over each photo, in the fused forms.
//!
//! A chain is planned from the list of layers: it takes as many of them as the fused forms do, or none. A photo goes
//! through all of it while its maps lie in the second-level cache; photos are spread over the pool. What is wider than
//! a cache, and the layouts between the forms, never leave this room: in go photos, out come features.
//!
//! | the chain's layers | form |
//! |---|---|
//! | `Normalize` | part of reading the photo |
//! | `Conv2d` 5×5, `MaxPool2d` 2×2, `Relu`; up to 8 input channels, at least 3×8 cells behind the pool | `conv_rows` |
//! | the same; from 8 input channels (a multiple of 4), output channels a multiple of 8, at least 4×4 outputs | `tiles::pool` |
//! | `Conv2d` as there, `Relu`, `AvgPool2d` | `tiles::average`, which ends the chain |
//!
//! Forms follow each other in this order. Whatever does not fit, and every processor without AVX2 and FMA, takes the
//! general kernels, one a layer.

#[cfg(not(target_arch = "x86_64"))]
mod disabled;
#[cfg(target_arch = "x86_64")]
mod infer;
#[cfg(target_arch = "x86_64")]
mod intra_op;
#[cfg(target_arch = "x86_64")]
mod plan;
#[cfg(test)]
#[cfg(target_arch = "x86_64")]
mod tests;
#[cfg(target_arch = "x86_64")]
mod training;

#[cfg(not(target_arch = "x86_64"))]
pub use disabled::{FusedPlan, FusedTraining};
#[cfg(not(target_arch = "x86_64"))]
pub(crate) use disabled::{IntraOp, Maps};
#[cfg(target_arch = "x86_64")]
pub(crate) use infer::Maps;
#[cfg(target_arch = "x86_64")]
pub(crate) use intra_op::IntraOp;
#[cfg(target_arch = "x86_64")]
pub use plan::FusedPlan;
#[cfg(target_arch = "x86_64")]
pub use training::FusedTraining;
